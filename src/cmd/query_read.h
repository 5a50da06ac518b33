/* The options of `query` and what they ask of the index. Plain data; one thread. */
#ifndef CM_CMD_QUERY_READ_H
#define CM_CMD_QUERY_READ_H

#include "cmd/query_by.h"
#include "index/listing.h"

typedef struct cm_query_options {
    int window, format;
    bool safe;
    const char *url, *country, *from, *to, *sort;
    int64_t limit;
    bool reverse;
    cm_index_options_t index;
    cm_query_by_options_t question;
} cm_query_options_t;

/* Which rows the argument names; answers without one. CM_EUSAGE with the nearest name. */
int cm_query_read_listing(cm_app_t *app, int argc, char **argv, cm_listing_t *listing);

/* What is asked of the index. CM_EUSAGE. */
int cm_query_read(cm_app_t *app, const cm_query_options_t *asked, int argc, char **argv,
                  cm_index_query_t *query);

#endif
