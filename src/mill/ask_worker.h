/* What one thread of cm_ask() does: it takes lanes, finds facts and features of their events,
 * selects and counts. A worker belongs to its thread; the plan is shared and constant. */
#ifndef CM_MILL_ASK_WORKER_H
#define CM_MILL_ASK_WORKER_H

#include "mill/ask_plan.h"

/* For each value of a filter's feature whether the condition holds. */
typedef struct cm_ask_memo {
    uint8_t *states; /* 0: not asked yet, 1: no, 2: yes */
    uint32_t size;
} cm_ask_memo_t;

/* What a worker keeps for a question. */
typedef struct cm_ask_state {
    cm_tally_t tally;
    cm_ask_memo_t *memos;        /* of where, where_visit, where_user, in that order */
    cm_tally_number_t **numbers; /* of each property, by value */
    uint32_t *number_sizes;
    int64_t first, last; /* seconds of the first and the last event that was counted */
} cm_ask_state_t;

typedef struct cm_ask_worker {
    const cm_ask_plan_t *plan;
    cm_feature_reader_t reader;
    cm_facts_t facts;
    cm_ask_state_t *states; /* by question */
    uint8_t *selected;      /* scratch, by row */
    uint8_t *holders;       /* scratch, by session or user */
    uint32_t cap;
    cm_arena_t arena;
    int64_t size; /* bytes of the groups, at the last crowd */
} cm_ask_worker_t;

void cm_ask_worker_init(cm_ask_worker_t *worker, const cm_ask_plan_t *plan);

/* Counts a crowd for all questions. CM_ENOMEM when the groups take more than `memory` (0: no
 * limit). */
int cm_ask_worker_take(cm_ask_worker_t *worker, const cm_crowd_t *crowd, int64_t memory,
                       cm_err_t *err);

/* Adds what another worker has counted. */
void cm_ask_worker_merge(cm_ask_worker_t *worker, const cm_ask_worker_t *more);

void cm_ask_worker_free(cm_ask_worker_t *worker);

#endif
