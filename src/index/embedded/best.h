/* The first rows in the order of a query, of all rows that are offered: a heap of as many as the
 * query wants, so that memory and time follow from the page and not from the rows.
 *
 * The order is that of the SQL of select.h. One thread. */
#ifndef CM_INDEX_EMBEDDED_BEST_H
#define CM_INDEX_EMBEDDED_BEST_H

#include "index/embedded/tables.h"

typedef struct cm_best_row {
    int64_t value; /* what the query sorts by: smaller comes first */
    int64_t start, url, country;
    cm_str_t page, name; /* borrowed */
    int64_t numbers[CM_MEASURE_COLUMN_COUNT];
    int64_t updated_at;
} cm_best_row_t;

typedef struct cm_best {
    const cm_index_query_t *query;
    size_t wanted;        /* rows at most, not 0 */
    cm_best_row_t **rows; /* a heap with the last row on top, then in order */
    size_t count, cap;
} cm_best_t;

/* Keeps the first `wanted` rows; borrows the query. The caller frees. */
void cm_best_init(cm_best_t *best, const cm_index_query_t *query, size_t wanted);

/* Sets the row's `value` from the rest of it. */
void cm_best_evaluate(const cm_index_query_t *query, cm_best_row_t *row);

/* Whether a row of this value may be among the first. */
static inline bool cm_best_may(const cm_best_t *best, int64_t value)
{
    return best->count < best->wanted || value <= best->rows[0]->value;
}

/* Takes a copy of the row if it is among the first. */
void cm_best_offer(cm_best_t *best, const cm_best_row_t *row);

/* Puts the rows in order; nothing is offered any more. */
void cm_best_sort(cm_best_t *best);

void cm_best_free(cm_best_t *best);

#endif
