/* Answers as an aligned table for people. Owns its cells; one thread. */
#ifndef CM_CMD_QUERY_TABLE_H
#define CM_CMD_QUERY_TABLE_H

#include "base/arena.h"
#include "index/index.h"

enum { CM_QUERY_COLUMNS = 9 };

typedef struct cm_query_table {
    cm_window_t window;
    cm_str_t (*rows)[CM_QUERY_COLUMNS];
    size_t count, cap;
    cm_arena_t texts;
} cm_query_table_t;

void cm_query_table_add(cm_query_table_t *table, const cm_answer_t *answer);

/* Appends the whole table, header first. */
void cm_query_table_print(const cm_query_table_t *table, cm_buf_t *out);

void cm_query_table_free(cm_query_table_t *table);

#endif
