/* A page of the answers: the first rows in an order, of all rows of a span.
 *
 * All rows of the span are visited by as many threads as there are processors, each with a
 * connection of its own, and each keeps the first rows only (best.h): SQL would sort them all. A
 * thread's connection may see another moment of a store that is written meanwhile: then the
 * checksums of the span differ, and the caller's thread works alone. Hours need not be visited
 * where their list of peaks (peaks.h) shows that they have no row of the page. */
#ifndef CM_INDEX_EMBEDDED_SEARCH_H
#define CM_INDEX_EMBEDDED_SEARCH_H

#include "index/embedded/checked.h"

/* Rows of a page, with those that are left out before it. */
enum { CM_SEARCH_ROWS_MAX = 200000 };

typedef struct cm_search_options {
    const cm_database_t *database; /* in a transaction, with checksums */
    const char *data_dir;          /* NULL: no other connection may be opened */
    const cm_index_query_t *query;
    bool check;            /* the rows were not checked before */
    cm_checked_t *checked; /* notes it */
} cm_search_options_t;

/* Whether cm_search() answers such a query. */
bool cm_search_can(const cm_index_query_t *query);

/* Gives the rows. All that they depend on has been checked before the first one is given.
 * CM_ECORRUPT, CM_ESTOP, and what `row` returns. */
int cm_search(const cm_search_options_t *options, cm_answer_fn row, void *context, cm_err_t *err);

#endif
