/* Refreshing: brings the embedded index up to date with the embedded store.
 *
 * Only users with new events are milled again, unless there are no answers yet or they were
 * computed with another session timeout. Without new events nothing is written. One thread, that of
 * the store; only the step that mills may run in another one. */
#ifndef CM_INDEX_EMBEDDED_REFRESH_H
#define CM_INDEX_EMBEDDED_REFRESH_H

#include "base/clock.h"
#include "index/index.h"
#include "mill/mill.h"

#include <stdatomic.h>

typedef struct cm_index_refresh_options {
    unsigned windows;        /* bit 1 << cm_window_t each */
    int64_t session_timeout; /* ms */
    int64_t memory;          /* bytes, see mill.h */
    int threads;             /* 0: one per processor */
    bool rebuild;            /* forget what is there and compute everything */
    bool daily;              /* the configuration says that ids of visitors live for one UTC day */
    int64_t most; /* new events that are added at a time, so that writing is short; 0: no limit */
    const cm_clock_t *clock;
    const cm_log_t *log;     /* gets debug entries (CM_DEBUG_INDEX, CM_DEBUG_MILL); may be NULL */
    const atomic_bool *stop; /* gives up with CM_ESTOP, the answers as they were; may be NULL */
    void (*progress)(void *context, double share);
    void *progress_context;
} cm_index_refresh_options_t;

/* The account of the answers: accepted = events + duplicates. */
typedef struct cm_index_refreshed {
    int64_t accepted, events, duplicates;
    int64_t cells; /* of the windows asked for */
    bool changed;  /* there was something new; where all was computed: any answer differed */
} cm_index_refreshed_t;

/* `store` is an embedded store, opened for writing, with nothing uncommitted. */
int cm_index_refresh(cm_store_t *store, const cm_index_refresh_options_t *options,
                     cm_index_refreshed_t *out, cm_err_t *err);

/* The same in three steps, of which the long one leaves the store alone: it may be written
 * meanwhile, by its own thread. What comes after the first step is not in the answers. */
typedef struct cm_index_refreshing cm_index_refreshing_t;

/* Finds out what has to be done. On the store's thread, with nothing uncommitted. The caller frees
 * `*refreshing`, also after a failure of the steps that follow. */
int cm_index_refresh_begin(cm_store_t *store, const cm_index_refresh_options_t *options,
                           cm_index_refreshing_t **refreshing, cm_err_t *err);

/* Whether `most` leaves something for the next time. */
bool cm_index_refresh_leaves(const cm_index_refreshing_t *refreshing);

/* Mills. On any thread. */
int cm_index_refresh_mill(cm_index_refreshing_t *refreshing, cm_err_t *err);

/* Writes the answers. On the store's thread, with nothing uncommitted. */
int cm_index_refresh_end(cm_index_refreshing_t *refreshing, cm_index_refreshed_t *out,
                         cm_err_t *err);

/* NULL is fine. */
void cm_index_refresh_free(cm_index_refreshing_t *refreshing);

/* Mills another store (in memory, or the copy of a table of Cassandra); its answers replace those
 * of the embedded store, until a refresh from the embedded store replaces them in turn. Only rows
 * that differ are written. */
int cm_index_refresh_from(cm_store_t *other, cm_store_t *store,
                          const cm_index_refresh_options_t *options, cm_index_refreshed_t *out,
                          cm_err_t *err);

#endif
