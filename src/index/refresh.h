/* Refreshing: brings the embedded index up to date with the embedded store.
 *
 * Only users with new events are milled again, unless there are no answers yet or they were made
 * with another session timeout. Nothing new: nothing is written. */
#ifndef CM_INDEX_REFRESH_H
#define CM_INDEX_REFRESH_H

#include "base/clock.h"
#include "index/index.h"
#include "store/store.h"

#include <stdatomic.h>

typedef struct cm_refresh_options {
    unsigned windows;        /* bit 1 << cm_window_t each */
    int64_t session_timeout; /* ms */
    int64_t memory;          /* bytes, see mill.h */
    int threads;             /* 0: one per processor */
    bool rebuild;            /* forget what is there and compute everything */
    const cm_clock_t *clock;
    const atomic_bool *stop; /* gives up with CM_ESTOP, the answers as they were; may be NULL */
    void (*progress)(void *context, double share);
    void *progress_context;
} cm_refresh_options_t;

/* The account of the answers: accepted = events + duplicates. */
typedef struct cm_refreshed {
    int64_t accepted, events, duplicates;
    int64_t cells; /* of the windows asked for */
    bool changed;  /* there was something new; where all was computed: any answer differed */
} cm_refreshed_t;

/* `store` is an embedded store, opened for writing, with nothing uncommitted. */
int cm_refresh(cm_store_t *store, const cm_refresh_options_t *options, cm_refreshed_t *out,
               cm_err_t *err);

/* Mills another store (not embedded, read from memory) and puts its answers in the place of those
 * that the embedded store has, until its own are made again. Only what differs is written. */
int cm_refresh_from(cm_store_t *other, cm_store_t *store, const cm_refresh_options_t *options,
                    cm_refreshed_t *out, cm_err_t *err);

#endif
