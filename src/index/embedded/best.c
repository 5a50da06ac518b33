#include "index/embedded/best.h"

#include <stdlib.h>

/* ---- the order ---- */

/* A number of the same order as a finite double. */
static int64_t ordered(double number)
{
    int64_t bits;

    number += 0.0; /* no negative zero */
    memcpy(&bits, &number, sizeof bits);
    return bits >= 0 ? bits : bits ^ INT64_MAX;
}

/* The column by which a query sorts; false: NULL. */
static bool column_of(cm_sort_t sort, const cm_best_row_t *row, int64_t *value)
{
    const int64_t *numbers = row->numbers; /* in the order of CM_MEASURE_COLUMNS */
    static const int columns[CM_SORT_COUNT] = {
        [CM_SORT_CLICKS] = 0,
        [CM_SORT_USERS] = 1,
        [CM_SORT_AVERAGE_TIME_SPENT] = 2,
        [CM_SORT_TIME_SPENT_SUM] = 2,
        [CM_SORT_TIME_SPENT_COUNT] = 3,
        [CM_SORT_AVERAGE_TIME_ON_PAGE] = 4,
        [CM_SORT_ENTRANCES] = 6,
        [CM_SORT_EXITS] = 7,
    };
    const int at = columns[sort];

    switch (sort) {
    case CM_SORT_URL:
    case CM_SORT_COUNTRY:
        *value = 0; /* compare() has it */
        return true;
    case CM_SORT_WINDOW:
        *value = row->start;
        return true;
    case CM_SORT_AVERAGE_TIME_SPENT:
    case CM_SORT_AVERAGE_TIME_ON_PAGE:
        if (numbers[at + 1] == 0)
            return false;
        *value = ordered(cm_average(numbers[at], numbers[at + 1]));
        return true;
    default:
        *value = numbers[at];
        return true;
    }
}

/* Whether large values come first. */
static bool is_down(const cm_index_query_t *query)
{
    return (query->sort >= CM_SORT_URL) == query->reverse;
}

void cm_best_evaluate(const cm_index_query_t *query, cm_best_row_t *row)
{
    int64_t value;

    if (!column_of(query->sort, row, &value))
        row->value = INT64_MAX; /* last in both directions */
    else
        row->value = is_down(query) ? -1 - value : value;
}

/* Most rows that are compared have the same url. */
static int compare_texts(int64_t a, int64_t b, cm_str_t x, cm_str_t y)
{
    return a == b ? 0 : cm_str_compare(x, y);
}

static int compare(const cm_index_query_t *query, const cm_best_row_t *a, const cm_best_row_t *b)
{
    if (a->value != b->value)
        return a->value < b->value ? -1 : 1;
    const int pages = compare_texts(a->url, b->url, a->page, b->page);
    const int names = compare_texts(a->country, b->country, a->name, b->name);
    const int first = query->sort == CM_SORT_URL       ? pages
                      : query->sort == CM_SORT_COUNTRY ? names
                                                       : 0;
    if (first != 0)
        return is_down(query) ? -first : first;
    if (pages != 0 || names != 0)
        return pages != 0 ? pages : names;
    return (a->start > b->start) - (a->start < b->start);
}

/* ---- the heap ---- */

void cm_best_init(cm_best_t *best, const cm_index_query_t *query, size_t wanted)
{
    *best = (cm_best_t){.query = query, .wanted = wanted};
}

static void rise(cm_best_t *best, size_t at)
{
    cm_best_row_t **rows = best->rows, *row = rows[at];

    while (at > 0 && compare(best->query, rows[(at - 1) / 2], row) < 0) {
        rows[at] = rows[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    rows[at] = row;
}

static void sink(cm_best_t *best, size_t count)
{
    cm_best_row_t **rows = best->rows, *row = rows[0];
    size_t at = 0;

    for (size_t child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && compare(best->query, rows[child], rows[child + 1]) < 0)
            child++;
        if (compare(best->query, row, rows[child]) >= 0)
            break;
        rows[at] = rows[child];
        at = child;
    }
    rows[at] = row;
}

void cm_best_offer(cm_best_t *best, const cm_best_row_t *row)
{
    if (best->count == best->wanted) {
        if (compare(best->query, row, best->rows[0]) >= 0)
            return;
        *best->rows[0] = *row;
        sink(best, best->count);
        return;
    }
    if (best->count == best->cap) {
        best->cap = best->cap ? best->cap * 2 : 128;
        best->rows = cm_realloc(best->rows, best->cap * sizeof(cm_best_row_t *));
    }
    best->rows[best->count] = cm_alloc(sizeof *row);
    *best->rows[best->count] = *row;
    rise(best, best->count++);
}

void cm_best_sort(cm_best_t *best)
{
    for (size_t count = best->count; count > 1; count--) {
        cm_best_row_t *last = best->rows[0];
        best->rows[0] = best->rows[count - 1];
        sink(best, count - 1);
        best->rows[count - 1] = last;
    }
}

void cm_best_free(cm_best_t *best)
{
    for (size_t i = 0; i < best->count; i++)
        free(best->rows[i]);
    free(best->rows);
    *best = (cm_best_t){0};
}
