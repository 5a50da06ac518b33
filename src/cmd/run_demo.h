/* Whether `run` is a demonstration, and which data directory it uses then.
 *
 * With the embedded store a demonstration has a directory of its own, DATA/demo, and its collector
 * accepts only the clicks of the demo shop, so that synthetic and real events never mix. With
 * servers the traffic goes where the options say. One thread. */
#ifndef CM_CMD_RUN_DEMO_H
#define CM_CMD_RUN_DEMO_H

#include "cmd/app.h"
#include "serve/collecting.h"
#include "source/synthetic/traffic.h"

typedef struct cm_run_demo {
    bool on;
    bool apart;  /* it has a directory of its own */
    bool yields; /* it is off because events of a site are expected */
    bool marked; /* the answers are synthetic */
    char *directory;
} cm_run_demo_t;

/* `asked`: the value of --demo; `given`: it is not the default; `engines`: events or answers go to
 * Kafka, Cassandra or Elasticsearch. Sets the app's data directory until cm_run_demo_close(), and
 * the rules of the collector. */
void cm_run_demo_open(cm_run_demo_t *demo, cm_app_t *app, bool asked, bool given, bool engines,
                      cm_collect_given_t *collect);

/* Marks the data directory, which exists now, if it is that of a demonstration. CM_EIO. */
int cm_run_demo_mark(cm_run_demo_t *demo, cm_app_t *app);

/* The traffic that the options ask for. In a store of its own it has all fields, unless --fields
 * says otherwise; a server's table may have no columns for them. */
cm_traffic_options_t cm_run_demo_traffic(const cm_run_demo_t *demo,
                                         const cm_traffic_options_t *asked);

/* Appends ", with synthetic traffic", or why there is none. */
void cm_run_demo_describe(const cm_run_demo_t *demo, cm_buf_t *text);

void cm_run_demo_close(cm_run_demo_t *demo);

#endif
