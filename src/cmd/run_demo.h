/* Whether `run` is a demonstration, and where it works then.
 *
 * With the embedded store a demonstration has a directory of its own, DATA/demo, and its collector
 * takes the clicks of the demo shop alone: what is made up and what is real never mix. With real
 * engines the traffic goes where it was asked to go. */
#ifndef CM_CMD_RUN_DEMO_H
#define CM_CMD_RUN_DEMO_H

#include "cmd/app.h"
#include "serve/collecting.h"

typedef struct cm_run_demo {
    bool on;
    bool apart;  /* in a directory of its own */
    bool yields; /* it is off because the traffic of a site is expected */
    bool marked; /* the answers are synthetic */
    char *directory;
} cm_run_demo_t;

/* `asked`: the value of --demo; `given`: somebody has set it; `engines`: events or answers go to
 * Kafka, Cassandra or Elasticsearch. Sets the app's data directory, until cm_run_demo_close(), and
 * fills the collector's rules in. */
void cm_run_demo_open(cm_run_demo_t *demo, cm_app_t *app, bool asked, bool given, bool engines,
                      cm_collect_given_t *collect);

/* When the data directory is there: marks that of a demonstration. CM_EIO. */
int cm_run_demo_mark(cm_run_demo_t *demo, cm_app_t *app);

/* ", with synthetic traffic", and what else there is to say about it. */
void cm_run_demo_describe(const cm_run_demo_t *demo, cm_buf_t *text);

void cm_run_demo_close(cm_run_demo_t *demo);

#endif
