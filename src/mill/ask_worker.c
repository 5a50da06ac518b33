#include "mill/ask_worker.h"

#include <stdlib.h>

enum { STATE_UNKNOWN, STATE_NO, STATE_YES };

void cm_ask_worker_init(cm_ask_worker_t *worker, const cm_ask_plan_t *plan)
{
    *worker = (cm_ask_worker_t){.plan = plan,
                                .states = cm_alloc_zero(plan->count, sizeof *worker->states)};
    worker->facts.timeout = plan->view.timeout;
    worker->facts.engaged = plan->engaged;
    if (plan->engaged)
        worker->facts.urls = cm_timelines_value_count(plan->options->timelines, CM_COLUMN_URL);
    cm_feature_reader_init(&worker->reader, plan->features);
    for (size_t i = 0; i < plan->count; i++) {
        const cm_ask_one_t *one = &plan->ones[i];
        cm_ask_state_t *state = &worker->states[i];
        uint32_t sizes[CM_QUESTION_DIMS_MAX + 1] = {0};
        for (size_t dim = 0; dim < one->dim_count; dim++)
            sizes[dim] = cm_feature_value_count(plan->features, one->dims[dim]);
        cm_tally_init(&state->tally, one->question, one->dim_count, sizes);
        state->memos =
            cm_alloc_zero(one->where.count + one->where_visit.count + one->where_user.count + 1,
                          sizeof *state->memos);
        state->numbers = cm_alloc_zero(one->question->prop_count + 1, sizeof *state->numbers);
        state->number_sizes =
            cm_alloc_zero(one->question->prop_count + 1, sizeof *state->number_sizes);
        state->first = INT64_MAX;
        state->last = INT64_MIN;
    }
}

/* ---- conditions ---- */

/* The string of a value; data NULL: it is absent. */
static cm_str_t string_of(cm_ask_worker_t *worker, size_t feature, uint32_t value)
{
    return value == 0 ? (cm_str_t){NULL, 0}
                      : cm_feature_string(worker->plan->features, feature, value, &worker->arena);
}

static uint8_t ask(cm_ask_worker_t *worker, const cm_ask_filter_t *filter, uint32_t value)
{
    const bool holds =
        cm_condition_holds(filter->condition, string_of(worker, filter->feature, value));

    return holds ? STATE_YES : STATE_NO;
}

/* Whether the condition holds for a value. Engaged times are too many to remember. */
static inline bool holds(cm_ask_worker_t *worker, const cm_ask_filter_t *filter,
                         cm_ask_memo_t *memo, uint32_t value)
{
    if (filter->condition->dim.facet == CM_FACET_ENGAGED_MS)
        return ask(worker, filter, value) == STATE_YES;
    if (value >= memo->size)
        memo->states = cm_tally_room(memo->states, &memo->size, value, 1);
    if (memo->states[value] == STATE_UNKNOWN)
        memo->states[value] = ask(worker, filter, value);
    return memo->states[value] == STATE_YES;
}

/* Removes the rows from the selection for which the condition does not hold. */
static void apply_where(cm_ask_worker_t *worker, const cm_ask_filter_t *filter, cm_ask_memo_t *memo,
                        uint32_t rows)
{
    const uint32_t *values = cm_feature_values(&worker->reader, filter->feature);

    for (uint32_t row = 0; row < rows; row++) {
        if (worker->selected[row])
            worker->selected[row] = holds(worker, filter, memo, values[row]);
    }
}

/* ---- selecting ---- */

static inline int64_t time_at(const cm_crowd_t *crowd, uint32_t row)
{
    return (int64_t)crowd->second[row] * 1000 + crowd->ms[row];
}

static void select_span(uint8_t *selected, const cm_crowd_t *crowd, cm_span_t span)
{
    if (span.from == INT64_MIN && span.to == INT64_MAX) {
        memset(selected, 1, crowd->rows);
        return;
    }
    for (uint32_t row = 0; row < crowd->rows; row++) {
        const int64_t time = time_at(crowd, row);
        selected[row] = time >= span.from && time < span.to;
    }
}

/* Removes the rows whose session has no event in the span for which the condition holds; rows of no
 * session too. */
static void apply_visit(cm_ask_worker_t *worker, const cm_ask_filter_t *filter, cm_ask_memo_t *memo,
                        const cm_crowd_t *crowd, const uint8_t *in_span)
{
    const uint32_t *values = cm_feature_values(&worker->reader, filter->feature);
    const uint32_t *session = worker->facts.session;

    memset(worker->holders, 0, (size_t)worker->facts.sessions + 1);
    for (uint32_t row = 0; row < crowd->rows; row++) {
        if (in_span[row] && session[row] != 0 && holds(worker, filter, memo, values[row]))
            worker->holders[session[row]] = 1;
    }
    for (uint32_t row = 0; row < crowd->rows; row++)
        worker->selected[row] &= worker->holders[session[row]];
}

/* The same for users. */
static void apply_user(cm_ask_worker_t *worker, const cm_ask_filter_t *filter, cm_ask_memo_t *memo,
                       const cm_crowd_t *crowd, const uint8_t *in_span)
{
    const uint32_t *values = cm_feature_values(&worker->reader, filter->feature);
    uint32_t from = 0;

    for (uint32_t user = 0; user < crowd->users; user++) {
        const uint32_t to = crowd->end[user];
        bool found = false;
        for (uint32_t row = from; row < to && !found; row++)
            found = in_span[row] && holds(worker, filter, memo, values[row]);
        if (!found)
            memset(&worker->selected[from], 0, to - from);
        from = to;
    }
}

/* Whether all events are selected, without looking. */
static bool selects_all(const cm_ask_one_t *one)
{
    return one->span.from == INT64_MIN && one->span.to == INT64_MAX && one->where.count == 0 &&
           one->where_visit.count == 0 && one->where_user.count == 0;
}

static void select_rows(cm_ask_worker_t *worker, const cm_ask_one_t *one, cm_ask_state_t *state,
                        const cm_crowd_t *crowd)
{
    uint8_t *in_span = worker->selected + worker->cap;
    cm_ask_memo_t *memo = state->memos;

    select_span(worker->selected, crowd, one->span);
    if (one->where_visit.count + one->where_user.count > 0)
        memcpy(in_span, worker->selected, crowd->rows);
    for (size_t i = 0; i < one->where.count; i++)
        apply_where(worker, &one->where.list[i], memo++, crowd->rows);
    for (size_t i = 0; i < one->where_visit.count; i++)
        apply_visit(worker, &one->where_visit.list[i], memo++, crowd, in_span);
    for (size_t i = 0; i < one->where_user.count; i++)
        apply_user(worker, &one->where_user.list[i], memo++, crowd, in_span);
}

/* ---- counting ---- */

/* The numbers of all values of a property that are in this crowd. */
static const cm_tally_number_t *find_numbers(cm_ask_worker_t *worker, cm_ask_state_t *state,
                                             size_t prop, size_t feature, const uint32_t *values,
                                             uint32_t rows)
{
    for (uint32_t row = 0; row < rows; row++) {
        const uint32_t value = values[row];
        if (value >= state->number_sizes[prop])
            state->numbers[prop] = cm_tally_room(state->numbers[prop], &state->number_sizes[prop],
                                                 value, sizeof *state->numbers[prop]);
        cm_tally_number_t *number = &state->numbers[prop][value];
        if (value == 0 || number->kind != CM_NUMBER_UNKNOWN)
            continue;
        number->kind = cm_decimal_parse(string_of(worker, feature, value), &number->number)
                           ? CM_NUMBER
                           : CM_NUMBER_OTHER;
    }
    return state->numbers[prop];
}

/* The times of the events that were counted, for the ends of steps. */
static void note_times(cm_ask_state_t *state, const cm_tally_rows_t *rows)
{
    for (uint32_t row = 0; row < rows->crowd->rows; row++) {
        const int64_t second = rows->crowd->second[row];
        if (rows->crowd->kind[row] == CM_KIND_ENGAGEMENT ||
            (rows->selected != NULL && !rows->selected[row]))
            continue;
        state->first = second < state->first ? second : state->first;
        state->last = second > state->last ? second : state->last;
    }
}

static void count(cm_ask_worker_t *worker, const cm_ask_one_t *one, cm_ask_state_t *state,
                  const cm_crowd_t *crowd)
{
    const uint32_t *keys[CM_QUESTION_DIMS_MAX + 1];
    cm_tally_rows_t rows = {
        .crowd = crowd, .facts = worker->plan->facts ? &worker->facts : NULL, .keys = keys};

    if (!selects_all(one)) {
        select_rows(worker, one, state, crowd);
        if (memchr(worker->selected, 1, crowd->rows) == NULL)
            return;
        rows.selected = worker->selected;
    }
    for (size_t i = 0; i < one->dim_count; i++)
        keys[i] = cm_feature_values(&worker->reader, one->dims[i]);
    cm_tally_add(&state->tally, &rows);
    for (size_t i = 0; i < one->question->prop_count; i++) {
        const uint32_t *values = cm_feature_values(&worker->reader, one->props[i]);
        cm_tally_add_numbers(&state->tally, &rows, i, values,
                             find_numbers(worker, state, i, one->props[i], values, crowd->rows));
    }
    if (one->question->stepped)
        note_times(state, &rows);
}

int cm_ask_worker_take(cm_ask_worker_t *worker, const cm_crowd_t *crowd, int64_t memory,
                       cm_err_t *err)
{
    if (worker->cap < crowd->rows + 1) {
        worker->cap = crowd->rows + crowd->rows / 2 + 1;
        worker->selected = cm_realloc(worker->selected, 2 * (size_t)worker->cap);
        worker->holders = cm_realloc(worker->holders, worker->cap);
    }
    if (worker->plan->facts)
        cm_facts_find(&worker->facts, crowd);
    cm_feature_reader_begin(&worker->reader, crowd, &worker->facts);
    worker->size = 0;
    for (size_t i = 0; i < worker->plan->count; i++) {
        count(worker, &worker->plan->ones[i], &worker->states[i], crowd);
        worker->size += cm_tally_size(&worker->states[i].tally);
    }
    cm_arena_reset(&worker->arena);
    if (memory > 0 && worker->size > memory)
        return cm_fail(err, CM_ENOMEM,
                       "the answer has more groups than %s allows; ask with fewer dimensions, a "
                       "shorter span, or conditions",
                       worker->plan->options->memory_name);
    return 0;
}

void cm_ask_worker_merge(cm_ask_worker_t *worker, const cm_ask_worker_t *more)
{
    for (size_t i = 0; i < worker->plan->count; i++) {
        cm_ask_state_t *to = &worker->states[i];
        const cm_ask_state_t *from = &more->states[i];
        cm_tally_merge(&to->tally, &from->tally);
        to->first = from->first < to->first ? from->first : to->first;
        to->last = from->last > to->last ? from->last : to->last;
    }
}

void cm_ask_worker_free(cm_ask_worker_t *worker)
{
    for (size_t i = 0; worker->plan != NULL && i < worker->plan->count; i++) {
        const cm_ask_one_t *one = &worker->plan->ones[i];
        cm_ask_state_t *state = &worker->states[i];
        const size_t memos = one->where.count + one->where_visit.count + one->where_user.count;
        for (size_t m = 0; m < memos; m++)
            free(state->memos[m].states);
        for (size_t p = 0; p < one->question->prop_count; p++)
            free(state->numbers[p]);
        free(state->memos);
        free(state->numbers);
        free(state->number_sizes);
        cm_tally_free(&state->tally);
    }
    free(worker->states);
    free(worker->selected);
    free(worker->holders);
    cm_facts_free(&worker->facts);
    if (worker->plan != NULL)
        cm_feature_reader_free(&worker->reader);
    cm_arena_free(&worker->arena);
}
