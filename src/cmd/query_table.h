/* Answers as an aligned table for people. Owns its cells; one thread. */
#ifndef CM_CMD_QUERY_TABLE_H
#define CM_CMD_QUERY_TABLE_H

#include "cmd/text_table.h"
#include "index/index.h"

typedef struct cm_query_table {
    cm_window_t window;
    cm_dimension_t dimension;
    cm_text_table_t table;
} cm_query_table_t;

/* `query`: what is asked for; `daily`: users are daily visitors; `width`: of the terminal, which
 * the table must fit; 0: any. */
void cm_query_table_start(cm_query_table_t *table, const cm_index_query_t *query, bool daily,
                          size_t width);

void cm_query_table_add(cm_query_table_t *table, const cm_answer_t *answer);

/* Appends the average of seconds as a cell shows it; a `-` for none. */
void cm_query_table_add_seconds(cm_buf_t *text, bool there, double seconds);

void cm_query_table_free(cm_query_table_t *table);

#endif
