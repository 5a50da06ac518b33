/* Answers as an aligned table for people. Owns its cells; one thread. */
#ifndef CM_CMD_QUERY_TABLE_H
#define CM_CMD_QUERY_TABLE_H

#include "base/arena.h"
#include "index/index.h"

enum { CM_QUERY_COLUMNS = 9 };

typedef struct cm_query_table {
    cm_window_t window;
    cm_dimension_t dimension;
    bool daily;   /* users are daily visitors */
    size_t width; /* columns of the terminal, which it must fit; 0: any */
    cm_str_t (*rows)[CM_QUERY_COLUMNS];
    size_t count, cap;
    cm_arena_t texts;
} cm_query_table_t;

void cm_query_table_add(cm_query_table_t *table, const cm_answer_t *answer);

/* Appends the whole table, header first. Where it is wider than the terminal, URLs and countries
 * are cut in their middle, and then columns on the right are left out. Returns the names of those,
 * a constant list whose last is "exits"; NULL: all are there. */
const char *const *cm_query_table_print(const cm_query_table_t *table, cm_buf_t *out);

void cm_query_table_free(cm_query_table_t *table);

#endif
