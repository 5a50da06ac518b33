#include "cmd/query_table.h"

#include "base/clock.h"
#include "base/progress.h"
#include "base/terminal.h"

#include <stdlib.h>

enum { COLUMN_WINDOW, COLUMN_URL, COLUMN_COUNTRY, COLUMN_NUMBERS };

static const char *const titles[CM_QUERY_COLUMNS] = {
    "window", "url", "country", "clicks", "users", "time spent", "on page", "entrances", "exits"};

static cm_str_t keep(cm_query_table_t *table, cm_buf_t *text)
{
    cm_str_t copy = cm_arena_copy(&table->texts, (cm_str_t){text->data, text->len});
    cm_buf_clear(text);
    return copy;
}

static void add_seconds(cm_buf_t *text, int64_t sum, int64_t count)
{
    if (count == 0)
        cm_buf_add_text(text, "-");
    else
        cm_buf_printf(text, "%.1f s", (double)sum / (double)count);
}

void cm_query_table_add(cm_query_table_t *table, const cm_answer_t *answer)
{
    const cm_numbers_t *n = &answer->numbers;
    const int64_t plain[] = {n->clicks, n->users}, sessions[] = {n->entrances, n->exits};
    char start[CM_TIME_TEXT];
    cm_buf_t text = CM_BUF_INIT;

    if (table->count == table->cap) {
        table->cap = table->cap ? table->cap * 2 : 64;
        table->rows = cm_realloc(table->rows, table->cap * sizeof *table->rows);
    }
    cm_str_t *row = table->rows[table->count++];
    if (answer->window != CM_WINDOW_ALL)
        cm_buf_add_text(&text, cm_time_format(answer->window_start, start));
    row[COLUMN_WINDOW] = keep(table, &text);
    cm_terminal_add(&text, answer->url);
    row[COLUMN_URL] = keep(table, &text);
    cm_terminal_add(&text, answer->country);
    row[COLUMN_COUNTRY] = keep(table, &text);
    for (int i = 0; i < 2; i++) {
        cm_buf_add_grouped(&text, plain[i]);
        row[COLUMN_NUMBERS + i] = keep(table, &text);
    }
    add_seconds(&text, n->time_spent_sum, n->time_spent_count);
    row[COLUMN_NUMBERS + 2] = keep(table, &text);
    add_seconds(&text, n->page_time_sum, n->page_time_count);
    row[COLUMN_NUMBERS + 3] = keep(table, &text);
    for (int i = 0; i < 2; i++) {
        cm_buf_add_grouped(&text, sessions[i]);
        row[COLUMN_NUMBERS + 4 + i] = keep(table, &text);
    }
    cm_buf_free(&text);
}

static void add_padded(cm_buf_t *out, cm_str_t text, size_t width, bool right)
{
    size_t gap = width - cm_terminal_columns(text);
    if (!right)
        cm_buf_add_str(out, text);
    for (size_t i = 0; i < gap; i++)
        cm_buf_add_char(out, ' ');
    if (right)
        cm_buf_add_str(out, text);
}

static void print_row(cm_buf_t *out, const cm_str_t *row, const size_t *widths, int from)
{
    for (int c = from; c < CM_QUERY_COLUMNS; c++) {
        if (c > from)
            cm_buf_add_text(out, "  ");
        add_padded(out, row[c], widths[c], c >= COLUMN_NUMBERS);
    }
    cm_buf_add_char(out, '\n');
}

void cm_query_table_print(const cm_query_table_t *table, cm_buf_t *out)
{
    cm_str_t header[CM_QUERY_COLUMNS];
    size_t widths[CM_QUERY_COLUMNS];
    int from = table->window == CM_WINDOW_ALL ? COLUMN_URL : COLUMN_WINDOW;

    for (int c = 0; c < CM_QUERY_COLUMNS; c++) {
        header[c] = cm_str(titles[c]);
        widths[c] = header[c].len;
        for (size_t r = 0; r < table->count; r++) {
            size_t width = cm_terminal_columns(table->rows[r][c]);
            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
    print_row(out, header, widths, from);
    for (size_t r = 0; r < table->count; r++)
        print_row(out, table->rows[r], widths, from);
}

void cm_query_table_free(cm_query_table_t *table)
{
    free(table->rows);
    cm_arena_free(&table->texts);
}
