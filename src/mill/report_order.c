/* The groups of a report: those of both spans, in order. */
#include "base/lookup.h"
#include "mill/report_inside.h"

#include <stdlib.h>

const uint32_t *cm_report_entry_key(const cm_report_rows_t *rows, const cm_report_entry_t *entry,
                                    const cm_groups_t **groups)
{
    const bool now = entry->now != CM_REPORT_NO_GROUP;

    *groups = rows->groups[now ? CM_ASKED_NOW : CM_ASKED_BEFORE];
    return cm_groups_at(*groups, now ? entry->now : entry->before).key;
}

/* ---- both spans ---- */

void cm_report_add_key(cm_buf_t *key, const cm_report_rows_t *rows, const cm_groups_t *groups,
                       const uint32_t *values)
{
    const cm_question_t *question = &rows->question;
    const size_t first = cm_groups_dims(groups) - question->dim_count;

    cm_buf_clear(key);
    for (size_t d = 0; d < question->dim_count; d++) {
        const uint32_t value = values[first + d];
        if (value == 0 || cm_facet_is_of_time(question->dims[d].facet)) {
            cm_buf_printf(key, "%u ", value);
            continue;
        }
        cm_str_t text = cm_groups_string(groups, first + d, value, NULL);
        cm_buf_printf(key, "%zu:", text.len); /* no number has a colon */
        cm_buf_add_str(key, text);
    }
}

static void join(cm_report_rows_t *rows, size_t now_count, size_t before_count)
{
    const cm_groups_t *now = rows->groups[CM_ASKED_NOW], *before = rows->groups[CM_ASKED_BEFORE];
    cm_lookup_t lookup = {0};
    cm_buf_t key = CM_BUF_INIT;
    size_t at;

    for (size_t g = 0; g < now_count; g++) {
        cm_report_add_key(&key, rows, now, cm_groups_at(now, g).key);
        cm_lookup_add(&lookup, (cm_str_t){key.data, key.len}, g);
    }
    for (size_t g = 0; g < before_count; g++) {
        cm_report_add_key(&key, rows, before, cm_groups_at(before, g).key);
        if (cm_lookup_find(&lookup, (cm_str_t){key.data, key.len}, &at))
            rows->entries[at].before = (uint32_t)g;
        else
            rows->entries[rows->entry_count++] =
                (cm_report_entry_t){.now = CM_REPORT_NO_GROUP, .before = (uint32_t)g};
    }
    cm_buf_free(&key);
    cm_lookup_free(&lookup);
}

static void find_sort_values(cm_report_rows_t *rows)
{
    const cm_question_t *question = &rows->question;

    for (size_t e = 0; !question->sort_is_dim && e < rows->entry_count; e++) {
        cm_report_entry_t *entry = &rows->entries[e];
        const cm_group_t group = entry->now == CM_REPORT_NO_GROUP
                                     ? cm_report_nothing()
                                     : cm_groups_at(rows->groups[CM_ASKED_NOW], entry->now);
        entry->sort = cm_report_figure(&question->measures[question->sort], &group);
    }
}

int cm_report_collect(cm_report_rows_t *rows, cm_err_t *err)
{
    const cm_groups_t *now = rows->groups[CM_ASKED_NOW], *before = rows->groups[CM_ASKED_BEFORE];

    if (rows->question.dim_count == 0) { /* the total, also of nothing */
        rows->entries = cm_alloc_zero(1, sizeof *rows->entries);
        rows->entry_count = 1;
        return 0;
    }
    const size_t now_count = cm_groups_count(now);
    const size_t before_count = before != NULL ? cm_groups_count(before) : 0;
    if (now_count + before_count >= CM_REPORT_NO_GROUP)
        return cm_fail_memory(err);
    rows->entries = malloc((now_count + before_count + 1) * sizeof *rows->entries);
    if (rows->entries == NULL)
        return cm_fail_memory(err);
    for (size_t g = 0; g < now_count; g++)
        rows->entries[g] = (cm_report_entry_t){.now = (uint32_t)g, .before = CM_REPORT_NO_GROUP};
    rows->entry_count = now_count;
    if (before_count > 0)
        join(rows, now_count, before_count);
    find_sort_values(rows);
    return 0;
}

/* ---- order ---- */

static int compare_dim(const cm_report_rows_t *rows, const cm_report_entry_t *a,
                       const cm_report_entry_t *b, size_t dim, bool reverse)
{
    const cm_groups_t *a_groups, *b_groups;
    const uint32_t a_value = cm_report_entry_key(rows, a, &a_groups)[dim];
    const uint32_t b_value = cm_report_entry_key(rows, b, &b_groups)[dim];
    int order;

    if (a_value == 0 || b_value == 0)
        return (a_value == 0) - (b_value == 0);
    if (cm_facet_is_of_time(rows->question.dims[dim].facet))
        order = (a_value > b_value) - (a_value < b_value);
    else if (a_value == b_value && a_groups == b_groups)
        order = 0;
    else
        order = cm_str_compare(cm_groups_string(a_groups, dim, a_value, NULL),
                               cm_groups_string(b_groups, dim, b_value, NULL));
    return reverse ? -order : order;
}

static int compare_entries(const void *left, const void *right, void *context)
{
    const cm_report_rows_t *rows = context;
    const cm_question_t *question = &rows->question;
    const cm_report_entry_t *a = left, *b = right;
    const bool no_a = a->sort.kind == CM_FIGURE_ABSENT, no_b = b->sort.kind == CM_FIGURE_ABSENT;
    int order = 0;

    if (question->sort_is_dim)
        order = compare_dim(rows, a, b, question->sort, question->reverse);
    else if (no_a || no_b)
        order = no_a - no_b;
    else
        order = cm_report_compare(&b->sort, &a->sort) * (question->reverse ? -1 : 1);
    for (size_t d = 0; order == 0 && d < question->dim_count; d++)
        order = compare_dim(rows, a, b, d, false);
    return order;
}

static void swap(cm_report_entry_t *a, cm_report_entry_t *b)
{
    cm_report_entry_t kept = *a;

    *a = *b;
    *b = kept;
}

/* Moves the entry at `at` down in a heap whose first is the last in order. */
static void sift(cm_report_rows_t *rows, size_t at, size_t count)
{
    cm_report_entry_t *entries = rows->entries;

    while (2 * at + 1 < count) {
        size_t child = 2 * at + 1;
        if (child + 1 < count && compare_entries(&entries[child], &entries[child + 1], rows) < 0)
            child++;
        if (compare_entries(&entries[at], &entries[child], rows) >= 0)
            return;
        swap(&entries[at], &entries[child]);
        at = child;
    }
}

/* Puts the first `count` in order to the front, in any order: few of many are not worth sorting
 * all. */
static void select_first(cm_report_rows_t *rows, size_t count)
{
    for (size_t at = count / 2; at-- > 0;)
        sift(rows, at, count);
    for (size_t e = count; e < rows->entry_count; e++) {
        if (compare_entries(&rows->entries[e], &rows->entries[0], rows) < 0) {
            swap(&rows->entries[e], &rows->entries[0]);
            sift(rows, 0, count);
        }
    }
}

void cm_report_order(cm_report_rows_t *rows)
{
    const cm_question_t *question = &rows->question;
    const bool total = question->dim_count == 0;
    const uint64_t count = rows->entry_count;
    const uint64_t limit = total || question->limit == 0 ? count : (uint64_t)question->limit;
    uint64_t begin = total ? 0 : (uint64_t)question->offset;

    begin = begin < count ? begin : count;
    const uint64_t end = limit < count - begin ? begin + limit : count;
    if (!total && end > begin) {
        if (end < count)
            select_first(rows, end);
        qsort_r(rows->entries, end, sizeof *rows->entries, compare_entries, rows);
    }
    rows->listed = rows->entries + begin;
    rows->listed_count = end - begin;
}
