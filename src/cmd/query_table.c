#include "cmd/query_table.h"

#include "base/clock.h"
#include "base/progress.h"
#include "base/terminal.h"

#include <stdlib.h>

enum { COLUMN_WINDOW, COLUMN_URL, COLUMN_COUNTRY, COLUMN_NUMBERS };

enum {
    COLUMN_USERS = COLUMN_NUMBERS + 1,
    URL_LEAST = 16, /* columns, before others are left out */
    COUNTRY_LEAST = 8,
    NAME_LEAST = 8, /* when there is nothing more to leave out */
    GAP = 2,
};

static const char *const titles[CM_QUERY_COLUMNS + 1] = {
    "window",     "url",     "country",   "clicks", "users",
    "time spent", "on page", "entrances", "exits",  NULL};

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
    const cm_measures_t *n = &answer->measures;
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

/* ---- printing ---- */

/* How the columns are laid out. */
typedef struct layout {
    bool shown[CM_QUERY_COLUMNS];
    size_t widths[CM_QUERY_COLUMNS];
} layout_t;

static size_t total_width(const layout_t *layout)
{
    size_t total = 0;

    for (int c = 0; c < CM_QUERY_COLUMNS; c++)
        total += layout->shown[c] ? layout->widths[c] + GAP : 0;
    return total - GAP;
}

/* Takes up to `excess` columns from a column, which keeps `least`. Returns what is left of it. */
static size_t shrink(layout_t *layout, int column, size_t least, size_t excess)
{
    size_t *width = &layout->widths[column];

    if (!layout->shown[column] || *width <= least)
        return excess;
    size_t taken = *width - least < excess ? *width - least : excess;
    *width -= taken;
    return excess - taken;
}

/* Returns the first column that is left out; CM_QUERY_COLUMNS: none. */
static int fit(layout_t *layout, size_t width)
{
    int end = CM_QUERY_COLUMNS;

    while (true) {
        layout_t smaller = *layout;
        size_t total = total_width(layout), excess = total > width ? total - width : 0;
        excess = shrink(&smaller, COLUMN_URL, URL_LEAST, excess);
        excess = shrink(&smaller, COLUMN_COUNTRY, COUNTRY_LEAST, excess);
        if (excess == 0 || end - 1 == COLUMN_USERS) {
            shrink(&smaller, COLUMN_URL, NAME_LEAST, excess);
            *layout = smaller;
            return end;
        }
        layout->shown[--end] = false;
    }
}

static void lay_out(const cm_query_table_t *table, const cm_str_t *header, layout_t *layout)
{
    const cm_dimension_t dimension = table->dimension;

    for (int c = 0; c < CM_QUERY_COLUMNS; c++) {
        layout->shown[c] = true;
        layout->widths[c] = header[c].len;
        for (size_t r = 0; r < table->count; r++) {
            size_t width = cm_terminal_columns(table->rows[r][c]);
            layout->widths[c] = width > layout->widths[c] ? width : layout->widths[c];
        }
    }
    layout->shown[COLUMN_WINDOW] = table->window != CM_WINDOW_ALL;
    layout->shown[COLUMN_URL] = dimension == CM_PER_CELL || dimension == CM_PER_URL;
    layout->shown[COLUMN_COUNTRY] = dimension == CM_PER_CELL || dimension == CM_PER_COUNTRY;
}

static size_t character(cm_str_t text, size_t at)
{
    size_t len = 1;

    while (at + len < text.len && ((unsigned char)text.data[at + len] & 0xC0) == 0x80)
        len++;
    return len;
}

/* The text without its middle, where it is wider than `width`: what tells pages of a site apart
 * stands at the end of a URL. */
static void add_cut(cm_buf_t *out, cm_str_t text, size_t width)
{
    const size_t head = (width - 1) / 3, tail = width - 1 - head;
    size_t end = 0, begin = 0;

    while (cm_terminal_columns((cm_str_t){text.data, end + character(text, end)}) <= head)
        end += character(text, end);
    while (cm_terminal_columns((cm_str_t){text.data + begin, text.len - begin}) > tail)
        begin += character(text, begin);
    cm_buf_add(out, text.data, end);
    cm_buf_add_text(out, "…");
    cm_buf_add(out, text.data + begin, text.len - begin);
}

static void add_cell(cm_buf_t *out, cm_str_t text, size_t width, bool right)
{
    cm_buf_t cut = CM_BUF_INIT;

    if (cm_terminal_columns(text) > width) {
        add_cut(&cut, text, width);
        text = (cm_str_t){cut.data, cut.len};
    }
    cm_terminal_add_padded(out, text, width, right);
    cm_buf_free(&cut);
}

static void print_row(cm_buf_t *out, const cm_str_t *row, const layout_t *layout)
{
    bool first = true;

    for (int c = 0; c < CM_QUERY_COLUMNS; c++) {
        if (!layout->shown[c])
            continue;
        if (!first)
            cm_buf_add_text(out, "  ");
        add_cell(out, row[c], layout->widths[c], c >= COLUMN_NUMBERS);
        first = false;
    }
    cm_buf_add_char(out, '\n');
}

const char *const *cm_query_table_print(const cm_query_table_t *table, cm_buf_t *out)
{
    cm_str_t header[CM_QUERY_COLUMNS];
    layout_t layout;
    int end = CM_QUERY_COLUMNS;

    for (int c = 0; c < CM_QUERY_COLUMNS; c++)
        header[c] = cm_str(titles[c]);
    if (table->daily)
        header[COLUMN_USERS] = CM_STR("daily visitors");
    lay_out(table, header, &layout);
    if (table->width > 0)
        end = fit(&layout, table->width);
    print_row(out, header, &layout);
    for (size_t r = 0; r < table->count; r++)
        print_row(out, table->rows[r], &layout);
    return end < CM_QUERY_COLUMNS && table->count > 0 ? &titles[end] : NULL;
}

void cm_query_table_free(cm_query_table_t *table)
{
    free(table->rows);
    cm_arena_free(&table->texts);
}
