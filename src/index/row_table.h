/* Rows of one window and dimension in memory, found by their url, country and window start.
 *
 * 100 bytes a row, and each string once. Owned by its user; one thread. */
#ifndef CM_INDEX_ROW_TABLE_H
#define CM_INDEX_ROW_TABLE_H

#include "index/index.h"
#include "store/dict.h"

typedef struct cm_index_row {
    uint32_t url, country; /* ids in the table's dictionaries; 0, the empty string, where none is */
    int64_t window_start;  /* ms */
    cm_measures_t measures;
    bool seen; /* for the user of the table */
} cm_index_row_t;

/* All zero is an empty table. */
typedef struct cm_index_row_table {
    cm_dict_t urls, countries;
    cm_index_row_t *rows; /* in the order of arrival */
    size_t count, cap;
    uint32_t *slots; /* hash table: place in `rows` + 1, 0 is free */
    size_t mask;
} cm_index_row_table_t;

/* Adds a row; one with the same key is replaced. */
void cm_index_row_table_put(cm_index_row_table_t *table, const cm_answer_t *answer);

/* The row with the key of this answer; NULL: there is none. */
cm_index_row_t *cm_index_row_table_find(cm_index_row_table_t *table, const cm_answer_t *answer);

/* The row as an answer; its strings live as long as the table. */
cm_answer_t cm_index_row_table_answer(const cm_index_row_table_t *table, const cm_index_row_t *row,
                                      cm_window_t window, cm_dimension_t dimension);

void cm_index_row_table_free(cm_index_row_table_t *table);

#endif
