#include "cmd/text_table.h"

#include "base/terminal.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    TEXT_LEAST = 8, /* columns of the first text, when there is nothing more to leave out */
    GAP = 2,
};

size_t cm_text_table_terminal(FILE *stream)
{
    struct winsize size;
    int fd = fileno(stream);

    return fd >= 0 && isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

void cm_text_table_add_column(cm_text_table_t *table, cm_text_column_t column)
{
    table->columns = cm_realloc(table->columns, (table->column_count + 1) * sizeof *table->columns);
    table->columns[table->column_count++] = column;
}

void cm_text_table_add(cm_text_table_t *table, cm_buf_t *text)
{
    if (table->count == table->cap) {
        table->cap = table->cap ? table->cap * 2 : 512;
        table->cells = cm_realloc(table->cells, table->cap * sizeof *table->cells);
    }
    table->cells[table->count++] = cm_arena_copy(&table->texts, (cm_str_t){text->data, text->len});
    cm_buf_clear(text);
}

/* ---- printing ---- */

/* The first `shown` columns are laid out. */
typedef struct layout {
    size_t shown;
    size_t *widths;
} layout_t;

static size_t total_width(const layout_t *layout)
{
    size_t total = 0;

    for (size_t c = 0; c < layout->shown; c++)
        total += layout->widths[c] + GAP;
    return total - GAP;
}

/* Takes up to `excess` columns from a column, which keeps `least`. Returns what is left of it. */
static size_t shrink(layout_t *layout, size_t column, size_t least, size_t excess)
{
    size_t *width = &layout->widths[column];

    if (column >= layout->shown || *width <= least)
        return excess;
    size_t taken = *width - least < excess ? *width - least : excess;
    *width -= taken;
    return excess - taken;
}

/* Cuts texts, from the left, each to its least. Returns what is too wide still. */
static size_t cut_texts(const cm_text_table_t *table, layout_t *layout)
{
    const size_t total = total_width(layout);
    size_t excess = total > table->width ? total - table->width : 0;

    for (size_t c = 0; c < layout->shown; c++) {
        if (table->columns[c].least > 0)
            excess = shrink(layout, c, table->columns[c].least, excess);
    }
    return excess;
}

static void cut_first(const cm_text_table_t *table, layout_t *layout, size_t excess)
{
    for (size_t c = 0; c < layout->shown; c++) {
        if (table->columns[c].least > 0) {
            shrink(layout, c, TEXT_LEAST, excess);
            return;
        }
    }
}

static void fit(const cm_text_table_t *table, layout_t *layout)
{
    const size_t bytes = table->column_count * sizeof *layout->widths;
    size_t *wanted = cm_alloc(bytes);

    memcpy(wanted, layout->widths, bytes);
    while (true) {
        size_t excess = cut_texts(table, layout);
        if (excess == 0)
            break;
        if (layout->shown <= table->kept) {
            cut_first(table, layout, excess);
            break;
        }
        layout->shown--;
        memcpy(layout->widths, wanted, bytes);
    }
    free(wanted);
}

static void lay_out(const cm_text_table_t *table, layout_t *layout)
{
    layout->shown = table->column_count;
    layout->widths = cm_alloc(table->column_count * sizeof *layout->widths);
    for (size_t c = 0; c < table->column_count; c++)
        layout->widths[c] = cm_terminal_columns(table->columns[c].title);
    for (size_t i = 0; i < table->count; i++) {
        size_t *widest = &layout->widths[i % table->column_count];
        size_t width = cm_terminal_columns(table->cells[i]);
        *widest = width > *widest ? width : *widest;
    }
    if (table->width > 0)
        fit(table, layout);
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

size_t cm_text_table_print(const cm_text_table_t *table, cm_buf_t *out)
{
    layout_t layout;

    lay_out(table, &layout);
    for (size_t c = 0; c < layout.shown; c++) {
        cm_buf_add_text(out, c > 0 ? "  " : "");
        add_cell(out, table->columns[c].title, layout.widths[c], table->columns[c].right);
    }
    cm_buf_add_char(out, '\n');
    for (size_t row = 0; row < table->count; row += table->column_count) {
        for (size_t c = 0; c < layout.shown; c++) {
            cm_buf_add_text(out, c > 0 ? "  " : "");
            add_cell(out, table->cells[row + c], layout.widths[c], table->columns[c].right);
        }
        cm_buf_add_char(out, '\n');
    }
    free(layout.widths);
    return layout.shown;
}

void cm_text_table_note_left_out(const cm_text_table_t *table, size_t shown, FILE *messages)
{
    if (shown == table->column_count || table->count == 0)
        return;
    fprintf(messages, "too wide for this terminal, left out: ");
    for (size_t c = shown; c < table->column_count; c++)
        fprintf(messages, "%s%.*s", c == shown ? "" : ", ", (int)table->columns[c].title.len,
                table->columns[c].title.data);
    fprintf(messages, "; --format csv prints all\n");
}

void cm_text_table_free(cm_text_table_t *table)
{
    free(table->columns);
    free(table->cells);
    cm_arena_free(&table->texts);
}
