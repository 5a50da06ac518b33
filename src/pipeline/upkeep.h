/* The answers of `run`: brought up to date by a thread of their own, so that who sends events does
 * not wait for them, however many have come.
 *
 * The thread mills; what it has found is written by the thread that owns the store, which also
 * calls all of these. */
#ifndef CM_PIPELINE_UPKEEP_H
#define CM_PIPELINE_UPKEEP_H

#include "index/embedded/refresh.h"
#include "pipeline/env.h"

#include <pthread.h>

/* Must not move while it is at work. */
typedef struct cm_upkeep {
    cm_store_t *store;
    const cm_log_t *log;
    cm_index_refresh_options_t options;
    cm_index_refreshed_t answers; /* as they were written last */
    bool more;                    /* there are events that these do not cover */
    double seconds;               /* that the last ones took which were new */
    int64_t most;                 /* events that are covered at a time */
    /* of what is at work: */
    cm_index_refreshing_t *refreshing; /* NULL: nothing */
    double begun_seconds;              /* what beginning took */
    pthread_t thread;
    int rc; /* of the thread, and what it took, once it has ended: */
    double milled_seconds;
    cm_err_t err;
    atomic_bool ended;
} cm_upkeep_t;

/* Borrows the store and the log. */
void cm_upkeep_open(cm_upkeep_t *self, cm_store_t *store, const cm_index_refresh_options_t *options,
                    const cm_log_t *log);

/* Whether the thread is at work, or what it has found is not written yet. */
bool cm_upkeep_busy(const cm_upkeep_t *self);

/* Whether cm_upkeep_end() will not have to wait. */
bool cm_upkeep_ready(const cm_upkeep_t *self);

/* Sets the thread to work; it is not busy, and the store has nothing uncommitted. `whole`: all new
 * events are covered then; else as many as can be written without making senders wait. */
int cm_upkeep_begin(cm_upkeep_t *self, bool whole, cm_err_t *err);

/* Waits for the thread and writes what it has found; the store has nothing uncommitted. */
int cm_upkeep_end(cm_upkeep_t *self, cm_err_t *err);

/* Gives up what is at work. */
void cm_upkeep_close(cm_upkeep_t *self);

/* A progress callback whose context is a cm_progress_t. */
void cm_upkeep_progress(void *context, double share);

/* Refreshes the answers of `store` once, by this thread, with progress on a terminal; from the
 * events of `other` where that is not NULL. `*seconds`: how long it took. CM_ESTOP when the
 * pipeline is told to stop: the answers are then as they were. */
int cm_upkeep_once(const cm_pipeline_env_t *env, cm_store_t *store, cm_store_t *other,
                   const cm_index_refresh_options_t *options, cm_index_refreshed_t *done,
                   double *seconds, cm_err_t *err);

#endif
