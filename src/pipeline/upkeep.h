/* Upkeep: the answers are refreshed again and again while events arrive.
 *
 * Milling can be done by a thread of its own (`beside`), so that clients that send events do not
 * wait for it. What the thread has computed is written by the thread that owns the store; that
 * thread calls all functions. An index elsewhere that follows the answers (index/mirror.h) is told
 * of each refresh. */
#ifndef CM_PIPELINE_UPKEEP_H
#define CM_PIPELINE_UPKEEP_H

#include "index/embedded/refresh.h"
#include "index/mirror.h"
#include "pipeline/env.h"

#include <pthread.h>

/* Must not move while it is at work. */
typedef struct cm_upkeep {
    cm_pipeline_env_t env;
    cm_store_t *store;
    cm_index_refresh_options_t options;
    int64_t every_ms;          /* between two refreshes */
    bool beside;               /* a thread of its own mills */
    bool clicked;              /* events of a person have come: the next refresh may be sooner */
    cm_index_mirror_t *mirror; /* another index that follows the answers; NULL: none; borrowed */
    /* results */
    cm_index_refreshed_t answers; /* as they were written last */
    double seconds;               /* how long the last refresh took that changed anything */
    /* the upkeep's own */
    bool more;            /* there are events that the answers do not cover */
    int64_t refreshed_ns; /* when the last refresh ended; without a thread: when it began */
    int64_t most;         /* events that are covered at a time */
    cm_index_refreshing_t *refreshing; /* NULL: nothing is at work */
    double begun_seconds;              /* how long the first step took */
    pthread_t thread;
    int rc; /* of the thread; like the next two it is valid once it has ended */
    double milled_seconds;
    cm_err_t err;
    atomic_bool ended;
} cm_upkeep_t;

/* Borrows the store. The fields up to `mirror` may be set afterwards. */
void cm_upkeep_open(cm_upkeep_t *self, const cm_pipeline_env_t *env, cm_store_t *store,
                    const cm_index_refresh_options_t *options, int64_t every_ms);

/* Whether there is something to do for cm_upkeep_step(). */
bool cm_upkeep_due(const cm_upkeep_t *self, int64_t now_ns);

/* Refreshes the answers; with a thread: sets it to work, or writes what it has computed. Nothing is
 * uncommitted in the store. */
int cm_upkeep_step(cm_upkeep_t *self, cm_err_t *err);

/* Refreshes the answers up to the last event, and waits for it. Nothing is uncommitted in the
 * store. */
int cm_upkeep_whole(cm_upkeep_t *self, cm_err_t *err);

/* Gives up what is at work. */
void cm_upkeep_close(cm_upkeep_t *self);

/* Refreshes the answers of `store` once, by this thread, with progress on a terminal; from the
 * events of `other` where that is not NULL. `*seconds`: how long it took. CM_ESTOP when the
 * pipeline is told to stop: the answers are then as they were. */
int cm_upkeep_once(const cm_pipeline_env_t *env, cm_store_t *store, cm_store_t *other,
                   const cm_index_refresh_options_t *options, cm_index_refreshed_t *done,
                   double *seconds, cm_err_t *err);

#endif
