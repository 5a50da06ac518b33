/* The events that a question of the command `query` is asked about: the data directory's own, read
 * beside a writer, or those of a server, which one scan copies into a temporary store in the data
 * directory. One thread. */
#ifndef CM_CMD_QUERY_EVENTS_H
#define CM_CMD_QUERY_EVENTS_H

#include "cmd/app.h"

typedef struct cm_query_events {
    cm_store_t *store;     /* to read */
    cm_store_t *directory; /* the data directory's own, for what it has recorded; NULL: none */
    char *temporary;       /* the path of a store that is removed again; NULL: none */
    bool daily;            /* ids of users are valid for one UTC day */
} cm_query_events_t;

/* CM_EINPUT when there is no store yet, and the errors of stores. The caller closes it, also after
 * an error. */
int cm_query_events_open(cm_app_t *app, const cm_store_options_t *options,
                         cm_query_events_t *events);

/* Appends the hosts of the site that imports have recorded, as cm_store_sites() does. */
int cm_query_events_sites(const cm_query_events_t *events, cm_buf_t *hosts, cm_err_t *err);

void cm_query_events_close(cm_query_events_t *events);

#endif
