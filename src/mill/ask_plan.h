/* What cm_ask() decides before its walk: the features that the questions need, and for each
 * question where they are. Made by the calling thread, constant during the walk. */
#ifndef CM_MILL_ASK_PLAN_H
#define CM_MILL_ASK_PLAN_H

#include "mill/ask.h"
#include "mill/feature.h"
#include "mill/tally.h"

/* A condition and the feature that it is about. */
typedef struct cm_ask_filter {
    const cm_condition_t *condition;
    size_t feature;
} cm_ask_filter_t;

typedef struct cm_ask_filters {
    cm_ask_filter_t list[CM_QUESTION_CONDITIONS_MAX];
    size_t count;
} cm_ask_filters_t;

typedef struct cm_ask_one {
    const cm_question_t *question;
    cm_span_t span;
    size_t dims[CM_QUESTION_DIMS_MAX + 1]; /* features; the step comes first */
    size_t dim_count;
    cm_ask_filters_t where, where_visit, where_user;
    size_t props[CM_QUESTION_PROPS_MAX]; /* features */
} cm_ask_one_t;

typedef struct cm_ask_plan {
    const cm_ask_options_t *options;
    cm_features_t *features;
    cm_ask_one_t *ones;
    size_t count;
    bool facts, engaged; /* what the questions need to know of timelines */
    cm_lane_view_t view; /* what the lanes must give */
} cm_ask_plan_t;

/* CM_EUSAGE when the questions have too many features, and what the timelines return. Free it with
 * cm_ask_plan_free(), also after an error. */
int cm_ask_plan_make(const cm_ask_options_t *options, const cm_asked_t *asked, size_t count,
                     cm_ask_plan_t *plan, cm_err_t *err);

void cm_ask_plan_free(cm_ask_plan_t *plan);

#endif
