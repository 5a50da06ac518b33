/* Asking: it walks over timelines and counts what questions want, exactly.
 *
 * Several questions over the same timelines share one walk. A question's answer is a set of groups
 * with exact counters; mill/report.h makes rows of them. A call starts its own threads and ends
 * them before it returns; calls that run at the same time share nothing but the timelines. */
#ifndef CM_MILL_ASK_H
#define CM_MILL_ASK_H

#include "enrich/attribution.h"
#include "mill/question.h"
#include "mill/timelines.h"

/* Sums of a property that is a number. */
typedef struct cm_sums {
    cm_decimal_t sum;
    int64_t count, left_out;
} cm_sums_t;

/* A group of events. */
typedef struct cm_group {
    const uint32_t *key;     /* by dimension: a value, 0: absent */
    const int64_t *counters; /* CM_COUNTER_COUNT; those that the question does not need are 0 */
    const cm_sums_t *props;  /* by question->props */
} cm_group_t;

typedef struct cm_groups cm_groups_t;

typedef struct cm_ask_options {
    cm_timelines_t *timelines;
    const cm_attribution_rules_t *rules; /* of source and channel; borrowed */
    int64_t session_timeout;             /* ms; a longer gap ends a session */
    int threads;                         /* 0: one per processor */
    int64_t memory;                      /* bytes that the groups may take; 0: no limit */
    const char *memory_name;             /* the setting that says so, for messages */
    const atomic_bool *stop;             /* when it becomes true, CM_ESTOP; may be NULL */
    /* Asked from time to time by the calling thread; true: the answer is not wanted any more,
     * CM_ESTOP. NULL: never. */
    bool (*gives_up)(void *context);
    void *context;
} cm_ask_options_t;

typedef struct cm_asked {
    const cm_question_t *question;
    cm_span_t span;      /* of it, or the one before */
    bool stepped;        /* the question's step is the first dimension */
    cm_groups_t *groups; /* the answer */
} cm_asked_t;

/* Answers all `count` questions; the caller frees each `groups` with cm_groups_free(). On failure
 * there are none. CM_ESTOP, CM_ENOMEM where the groups take more than `memory`, and what the
 * timelines return. */
int cm_ask(const cm_ask_options_t *options, cm_asked_t *asked, size_t count, cm_err_t *err);

/* CM_ESTOP when the answer is not wanted any more. For the calling thread. */
int cm_ask_check(const cm_ask_options_t *options, cm_err_t *err);

/* The same while the values 1, 2, ... of a column are gone through: asks for few of them. */
static inline int cm_ask_check_at(const cm_ask_options_t *options, uint32_t value, cm_err_t *err)
{
    return value % 4096 == 0 ? cm_ask_check(options, err) : 0;
}

/* The groups, in no order. Groups in which nothing but engagement falls are not among them, except
 * where the step is a dimension. */
size_t cm_groups_count(const cm_groups_t *groups);
cm_group_t cm_groups_at(const cm_groups_t *groups, size_t number);

/* All events that the question selects. */
cm_group_t cm_groups_total(const cm_groups_t *groups);

/* How many dimensions keys have: those of the question, behind the step where there is one. */
size_t cm_groups_dims(const cm_groups_t *groups);

/* The string of a value of a dimension; data NULL: it is absent. Valid as long as the groups and
 * the timelines; a time is written into `arena` as cm_label_text() does. */
cm_str_t cm_groups_string(const cm_groups_t *groups, size_t dim, uint32_t value, cm_arena_t *arena);

/* Seconds of the first and the last event that the question selects (not of engagement); false
 * where there is none. */
bool cm_groups_times(const cm_groups_t *groups, int64_t *first, int64_t *last);

void cm_groups_free(cm_groups_t *groups);

#endif
