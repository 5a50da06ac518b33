/* An aligned table of texts for people. Owns its cells; one thread. */
#ifndef CM_CMD_TEXT_TABLE_H
#define CM_CMD_TEXT_TABLE_H

#include "base/arena.h"

#include <stdio.h>

typedef struct cm_text_column {
    cm_str_t title; /* as long as the table */
    bool right;     /* aligned to the right */
    size_t least;   /* where it can be cut to fit a terminal: columns that stay; 0: it cannot */
} cm_text_column_t;

typedef struct cm_text_table {
    cm_text_column_t *columns;
    size_t column_count;
    size_t kept;  /* columns on the left that are never left out, at least 1 */
    size_t width; /* columns of the terminal, which it must fit; 0: any */
    cm_str_t *cells;
    size_t count, cap; /* of cells */
    cm_arena_t texts;
} cm_text_table_t;

/* The width of the terminal that the stream is, in columns; 0: it is no terminal, or has no width.
 */
size_t cm_text_table_terminal(FILE *stream);

/* Adds a column, before any cell. */
void cm_text_table_add_column(cm_text_table_t *table, cm_text_column_t column);

/* Adds the text of the buffer as the next cell of the row, or of the next row, and empties it. */
void cm_text_table_add(cm_text_table_t *table, cm_buf_t *text);

/* Appends the whole table, header first. Where it is wider than the terminal, texts are cut in
 * their middle, and then columns on the right are left out. Returns how many are shown. */
size_t cm_text_table_print(const cm_text_table_t *table, cm_buf_t *out);

/* Writes a line that names the columns behind the first `shown` ones, where there are any, and
 * rows. */
void cm_text_table_note_left_out(const cm_text_table_t *table, size_t shown, FILE *messages);

void cm_text_table_free(cm_text_table_t *table);

#endif
