/* Verifying an index against the events of a store: computes the answers again and compares them.
 *
 * Windows that cover the same events with the same session timeout are computed together. All
 * fields of the settings are borrowed. One thread, besides those of the mill. */
#ifndef CM_INDEX_VERIFY_EVENTS_H
#define CM_INDEX_VERIFY_EVENTS_H

#include "base/log.h"
#include "base/progress.h"
#include "index/verify.h"
#include "store/store.h"

typedef struct cm_index_verify_events_settings {
    cm_index_t *index;
    cm_store_t *events;
    bool growing;            /* other processes may add events to the store meanwhile */
    bool daily;              /* the configuration says that ids of visitors live for one UTC day */
    int64_t session_timeout; /* ms; used where the answers do not say with which they were made */
    int64_t memory;          /* bytes, see mill.h */
    const atomic_bool *stop;
    const cm_log_t *log;
    FILE *messages; /* sentences and progress */
    bool terminal;  /* `messages` is a terminal */
    /* Called for each row that differs; its strings live until it returns. Non-zero ends it. */
    int (*found)(void *context, const cm_index_discrepancy_t *discrepancy);
    void *context;
} cm_index_verify_events_settings_t;

typedef struct cm_index_verify_events {
    cm_index_verify_events_settings_t settings;
    cm_freshness_t fresh[CM_WINDOW_COUNT]; /* of the index */
    unsigned windows;                      /* that are verified: bit 1 << cm_window_t each */
    cm_index_verified_t done;
    int64_t newer; /* events that the answers of some window do not cover */
    cm_progress_t progress;
} cm_index_verify_events_t;

/* Reads the freshness of the index and chooses the windows: those of the mask `asked`, or with 0
 * all that the index has. Of the settings only `index` is used. CM_EINPUT when there are no
 * answers. */
int cm_index_verify_events_choose(cm_index_verify_events_t *self, unsigned asked, cm_err_t *err);

/* Computes and compares the chosen windows. CM_ESTOP. */
int cm_index_verify_events_run(cm_index_verify_events_t *self, cm_err_t *err);

/* Whether the index was written since the windows were chosen: `*changed`. */
int cm_index_verify_events_changed(const cm_index_verify_events_t *self, bool *changed,
                                   cm_err_t *err);

#endif
