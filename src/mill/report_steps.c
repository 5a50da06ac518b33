/* The steps of a report: every step of the span, also those without events. */
#include "base/lookup.h"
#include "mill/report_inside.h"

#include <stdlib.h>

/* How many steps a span may have so that they are counted one by one: more are too many in any
 * case, and their number is only said. */
enum { STEPS_COUNTED = 1000000 };

static int64_t second_of(int64_t ms)
{
    return ms / 1000 - (ms % 1000 < 0);
}

/* The seconds [first, last] of a span; its open ends are where the events are (`groups` NULL: not
 * known yet). False: it has none. */
static bool seconds_of(cm_span_t span, const cm_groups_t *groups, int64_t *first, int64_t *last)
{
    int64_t from = 0, to = 0;

    *first = *last = 0;
    if ((span.from == INT64_MIN || span.to == INT64_MAX) &&
        (groups == NULL || !cm_groups_times(groups, &from, &to)))
        return false;
    *first = span.from == INT64_MIN ? from : second_of(span.from);
    *last = span.to == INT64_MAX ? to : second_of(span.to - 1);
    return *first <= *last;
}

static int64_t shortest(cm_facet_t step)
{
    switch (step) {
    case CM_FACET_HOUR:
        return 3600;
    case CM_FACET_WEEK:
        return 7 * 86400;
    case CM_FACET_MONTH:
        return 28 * 86400;
    default:
        return 86400;
    }
}

/* The labels that instants of [first, last] have. A label that the clock skips is not among them,
 * and one that it shows twice is once. */
static void list(const cm_question_t *question, int64_t first, int64_t last,
                 cm_report_steps_t *steps)
{
    cm_labels_t labels = cm_labels(question->step, question->zone);
    size_t cap = 0;

    for (int64_t second = first; second <= last; second = labels.to) {
        cm_labels_find(&labels, second);
        if (steps->count > 0 && labels.label <= steps->labels[steps->count - 1])
            continue;
        if (steps->count == cap) {
            cap = cap > 0 ? 2 * cap : 64;
            steps->labels = cm_realloc(steps->labels, cap * sizeof *steps->labels);
        }
        steps->labels[steps->count++] = labels.label;
    }
}

static int fail_many(const cm_question_t *question, int64_t count, cm_err_t *err)
{
    return cm_fail(err, CM_EUSAGE,
                   "%lld rows are more than %d: ask with a longer step, a shorter span%s",
                   (long long)count, CM_QUESTION_ROWS_MAX,
                   question->dim_count > 0 ? " or a smaller limit" : "");
}

static int list_span(const cm_report_rows_t *rows, cm_span_t span, const cm_groups_t *groups,
                     cm_report_steps_t *steps, cm_err_t *err)
{
    const cm_question_t *question = &rows->question;
    int64_t first, last;

    free(steps->labels);
    *steps = (cm_report_steps_t){NULL, 0};
    if (!seconds_of(span, groups, &first, &last))
        return 0;
    const int64_t most = (last - first) / shortest(question->step) + 1;
    if (most > STEPS_COUNTED)
        return fail_many(question, most, err);
    list(question, first, last, steps);
    return 0;
}

int cm_report_list_steps(cm_report_rows_t *rows, size_t groups, cm_err_t *err)
{
    const cm_question_t *question = &rows->question;

    int rc = list_span(rows, question->span, rows->groups[CM_ASKED_NOW], &rows->steps, err);
    if (rc == 0 && question->compare != CM_COMPARE_NONE)
        rc = list_span(rows, question->before, rows->groups[CM_ASKED_BEFORE], &rows->steps_before,
                       err);
    if (rc == 0 && groups > 0 && rows->steps.count > CM_QUESTION_ROWS_MAX / groups)
        rc = fail_many(question, (int64_t)rows->steps.count * (int64_t)groups, err);
    return rc;
}

/* ---- the groups of each step ---- */

static bool place_of(const cm_report_steps_t *steps, cm_label_t label, size_t *place)
{
    size_t low = 0, high = steps->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (steps->labels[middle] < label)
            low = middle + 1;
        else
            high = middle;
    }
    *place = low;
    return low < steps->count && steps->labels[low] == label;
}

static void fill(cm_report_rows_t *rows, const cm_lookup_t *listed, enum cm_report_asked asked,
                 const cm_report_steps_t *steps)
{
    const cm_groups_t *groups = rows->groups[asked];
    const size_t count = cm_groups_count(groups);
    cm_buf_t key = CM_BUF_INIT;

    for (size_t g = 0; g < count; g++) {
        const uint32_t *values = cm_groups_at(groups, g).key;
        size_t step, at;
        if (!place_of(steps, values[0], &step) || step >= rows->steps.count)
            continue;
        cm_report_add_key(&key, rows, groups, values);
        if (!cm_lookup_find(listed, (cm_str_t){key.data, key.len}, &at))
            continue;
        cm_report_cell_t *cell = &rows->cells[step * rows->listed_count + at];
        *(asked == CM_ASKED_NOW_STEPS ? &cell->now : &cell->before) = (uint32_t)g;
    }
    cm_buf_free(&key);
}

int cm_report_fill_cells(cm_report_rows_t *rows, cm_err_t *err)
{
    const size_t count = rows->steps.count * rows->listed_count;
    cm_lookup_t listed = {0};
    cm_buf_t key = CM_BUF_INIT;

    rows->cells = malloc((count + 1) * sizeof *rows->cells);
    if (rows->cells == NULL)
        return cm_fail_memory(err);
    for (size_t c = 0; c < count; c++)
        rows->cells[c] = (cm_report_cell_t){CM_REPORT_NO_GROUP, CM_REPORT_NO_GROUP};
    for (size_t l = 0; l < rows->listed_count; l++) {
        const cm_groups_t *groups = rows->groups[CM_ASKED_NOW];
        const uint32_t *values = NULL;
        if (rows->question.dim_count > 0)
            values = cm_report_entry_key(rows, &rows->listed[l], &groups);
        cm_report_add_key(&key, rows, groups, values);
        cm_lookup_add(&listed, (cm_str_t){key.data, key.len}, l);
    }
    fill(rows, &listed, CM_ASKED_NOW_STEPS, &rows->steps);
    if (rows->groups[CM_ASKED_BEFORE_STEPS] != NULL)
        fill(rows, &listed, CM_ASKED_BEFORE_STEPS, &rows->steps_before);
    cm_buf_free(&key);
    cm_lookup_free(&listed);
    return 0;
}
