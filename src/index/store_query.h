/* A query of a store without an index: the answers are milled, sorted and given, and kept nowhere.
 * Called by one thread, in which the rows are given; the mill has threads of its own. */
#ifndef CM_INDEX_STORE_QUERY_H
#define CM_INDEX_STORE_QUERY_H

#include "index/index.h"
#include "store/store.h"

typedef struct cm_index_store_query {
    int64_t session_timeout; /* ms */
    int64_t memory;          /* bytes, see mill.h */
    int threads;             /* 0: one per processor */
} cm_index_store_query_t;

/* Calls `row` for every answer of all time, by clicks, then url and country, as `query` does. */
int cm_index_query_store(cm_store_t *store, const cm_index_store_query_t *options, cm_answer_fn row,
                         void *context, cm_err_t *err);

#endif
