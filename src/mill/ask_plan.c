#include "mill/ask_plan.h"

#include <stdlib.h>

static int add_feature(cm_ask_plan_t *plan, const cm_dim_t *dim, const cm_zone_t *zone,
                       size_t *number, cm_err_t *err)
{
    const int found = cm_features_add(plan->features, dim, zone);

    if (found < 0)
        return cm_fail(err, CM_EUSAGE,
                       "the questions have more than %d different dimensions, conditions and "
                       "properties: ask fewer at a time",
                       CM_FEATURES_MAX);
    *number = (size_t)found;
    plan->engaged |= dim->facet == CM_FACET_ENGAGED_MS;
    return 0;
}

static int add_filters(cm_ask_plan_t *plan, const cm_condition_t *conditions, size_t count,
                       const cm_zone_t *zone, cm_ask_filters_t *filters, cm_err_t *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++) {
        cm_ask_filter_t *filter = &filters->list[filters->count++];
        filter->condition = &conditions[i];
        rc = add_feature(plan, &conditions[i].dim, zone, &filter->feature, err);
    }
    return rc;
}

static int add_dims(cm_ask_plan_t *plan, const cm_asked_t *asked, cm_ask_one_t *one, cm_err_t *err)
{
    const cm_question_t *question = asked->question;
    int rc = 0;

    if (asked->stepped) {
        const cm_dim_t step = {.facet = question->step};
        rc = add_feature(plan, &step, question->zone, &one->dims[one->dim_count++], err);
    }
    for (size_t i = 0; rc == 0 && i < question->dim_count; i++)
        rc = add_feature(plan, &question->dims[i], question->zone, &one->dims[one->dim_count++],
                         err);
    return rc;
}

static int add_one(cm_ask_plan_t *plan, const cm_asked_t *asked, cm_ask_one_t *one, cm_err_t *err)
{
    const cm_question_t *question = asked->question;
    const uint32_t engaged = 1u << CM_COUNTER_ENGAGED_MS_SUM | 1u << CM_COUNTER_ENGAGED_COUNT;

    one->question = question;
    one->span = asked->span;
    int rc = add_dims(plan, asked, one, err);
    if (rc == 0)
        rc = add_filters(plan, question->where, question->where_count, question->zone, &one->where,
                         err);
    if (rc == 0)
        rc = add_filters(plan, question->where_visit, question->where_visit_count, question->zone,
                         &one->where_visit, err);
    if (rc == 0)
        rc = add_filters(plan, question->where_user, question->where_user_count, question->zone,
                         &one->where_user, err);
    for (size_t i = 0; rc == 0 && i < question->prop_count; i++) {
        const cm_dim_t prop = {.facet = CM_FACET_PROP, .key = question->props[i]};
        rc = add_feature(plan, &prop, NULL, &one->props[i], err);
    }
    plan->engaged |= (question->counters & engaged) != 0;
    plan->facts |=
        cm_tally_level(question->counters) > CM_TALLY_EVENTS || question->where_visit_count > 0;
    return rc;
}

/* The lanes give the periods of all questions together. */
static cm_lane_view_t view_of(const cm_ask_plan_t *plan)
{
    const int64_t timeout = plan->options->session_timeout / 1000;
    cm_lane_view_t view = {
        .columns = plan->features->columns,
        .from = INT64_MAX,
        .to = INT64_MIN,
        .times = plan->facts || plan->features->times,
        .context = plan->facts,
        .first = plan->features->first_views,
        .later = plan->engaged,
        .timeout = timeout < CM_FACTS_NONE ? (uint32_t)timeout : CM_FACTS_NONE - 1,
    };

    for (size_t i = 0; i < plan->count; i++) {
        const cm_span_t span = plan->ones[i].span;
        view.from = span.from < view.from ? span.from : view.from;
        view.to = span.to > view.to ? span.to : view.to;
        view.times |=
            span.from != INT64_MIN || span.to != INT64_MAX || plan->ones[i].question->stepped;
    }
    return view;
}

int cm_ask_plan_make(const cm_ask_options_t *options, const cm_asked_t *asked, size_t count,
                     cm_ask_plan_t *plan, cm_err_t *err)
{
    uint32_t also = 0;
    int rc = 0;

    *plan = (cm_ask_plan_t){.options = options,
                            .features = cm_features_new(options->timelines, options->rules),
                            .ones = cm_alloc_zero(count, sizeof *plan->ones),
                            .count = count};
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = add_one(plan, &asked[i], &plan->ones[i], err);
    if (rc < 0)
        return rc;
    plan->facts |= plan->features->sessions || plan->engaged;
    if (plan->engaged)
        also = 1u << CM_COLUMN_URL | 1u << CM_COLUMN_ENGAGED;
    rc = cm_features_prepare(plan->features, also, options, err);
    plan->view = view_of(plan);
    return rc;
}

void cm_ask_plan_free(cm_ask_plan_t *plan)
{
    cm_features_release(plan->features);
    free(plan->ones);
}
