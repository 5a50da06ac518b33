#include "cmd/verify_print.h"

#include "base/clock.h"
#include "base/terminal.h"

#include <stdlib.h>

enum { COLUMN_WINDOW, COLUMN_URL, COLUMN_COUNTRY, COLUMN_FIELD, COLUMN_INDEX, COLUMN_EVENTS };
enum { FIELDS = 10, INTEGERS = 8, FLUSH_BYTES = 1 << 16 };

static const char *const field_names[FIELDS] = {"clicks",
                                                "unique_user_count",
                                                "time_spent_sum",
                                                "time_spent_count",
                                                "time_on_page_sum",
                                                "time_on_page_count",
                                                "entrances",
                                                "exits",
                                                "average_time_spent",
                                                "average_time_on_page"};

static int64_t integer_of(const cm_measures_t *n, int field)
{
    const int64_t integers[INTEGERS] = {n->clicks,           n->users,         n->time_spent_sum,
                                        n->time_spent_count, n->page_time_sum, n->page_time_count,
                                        n->entrances,        n->exits};
    return integers[field];
}

static cm_stored_average_t average_of(const cm_measures_t *n, int field)
{
    const int64_t count = field == INTEGERS ? n->time_spent_count : n->page_time_count;
    const int64_t sum = field == INTEGERS ? n->time_spent_sum : n->page_time_sum;
    return (cm_stored_average_t){count != 0, count != 0 ? (double)sum / (double)count : 0};
}

/* As the index has stored it; where it stores none, as it follows. */
static cm_stored_average_t stored_of(const cm_answer_t *answer, int field)
{
    return answer->stored != NULL ? answer->stored[field - INTEGERS]
                                  : average_of(&answer->measures, field);
}

/* Averages count only where they are stored: otherwise their integers say it. */
static bool differs(const cm_index_discrepancy_t *d, int field)
{
    if (field < INTEGERS)
        return integer_of(&d->actual->measures, field) != integer_of(&d->expected->measures, field);
    const cm_stored_average_t wanted = average_of(&d->expected->measures, field);
    const cm_stored_average_t there = stored_of(d->actual, field);
    return d->actual->stored != NULL &&
           (wanted.there != there.there || (wanted.there && wanted.value != there.value));
}

static void add_average(cm_buf_t *out, cm_stored_average_t average, const char *none)
{
    if (average.there)
        cm_buf_add_double(out, average.value);
    else
        cm_buf_add_text(out, none);
}

/* ---- a table ---- */

static void add_padded(cm_buf_t *out, cm_str_t text, size_t width, bool right)
{
    const size_t columns = cm_terminal_columns(text), gap = width > columns ? width - columns : 0;

    if (!right)
        cm_buf_add_str(out, text);
    for (size_t i = 0; i < gap; i++)
        cm_buf_add_char(out, ' ');
    if (right)
        cm_buf_add_str(out, text);
}

static void add_line(const cm_verify_printer_t *printer, cm_buf_t *out, const cm_str_t *line)
{
    for (int c = 0; c < CM_VERIFY_COLUMNS; c++) {
        if (c > 0)
            cm_buf_add_text(out, "  ");
        add_padded(out, line[c], printer->widths[c], c >= COLUMN_INDEX);
    }
    cm_buf_add_char(out, '\n');
}

static int print_lines(cm_verify_printer_t *printer)
{
    static const char *const titles[] = {"window", "url", "country", "field", "index", "events"};
    cm_str_t header[CM_VERIFY_COLUMNS];

    for (int c = 0; c < CM_VERIFY_COLUMNS; c++) {
        header[c] = cm_str(titles[c]);
        size_t *width = &printer->widths[c];
        *width = header[c].len > *width ? header[c].len : *width;
        for (int i = 0; i < printer->line_count; i++) {
            size_t columns = cm_terminal_columns(printer->lines[i][c]);
            *width = columns > *width ? columns : *width;
        }
    }
    if (!printer->headed && printer->line_count > 0)
        add_line(printer, &printer->out, header);
    printer->headed |= printer->line_count > 0;
    for (int i = 0; i < printer->line_count; i++)
        add_line(printer, &printer->out, printer->lines[i]);
    printer->line_count = 0;
    cm_arena_reset(&printer->texts);
    return cm_app_write(printer->app, &printer->out);
}

static cm_str_t keep(cm_verify_printer_t *printer, cm_buf_t *text)
{
    cm_str_t copy = cm_arena_copy(&printer->texts, (cm_str_t){text->data, text->len});
    cm_buf_clear(text);
    return copy;
}

/* What the row is about. */
static void name_row(cm_verify_printer_t *printer, const cm_answer_t *answer, cm_str_t *line)
{
    const bool url = answer->dimension == CM_PER_CELL || answer->dimension == CM_PER_URL;
    const bool country = answer->dimension == CM_PER_CELL || answer->dimension == CM_PER_COUNTRY;
    char start[CM_TIME_TEXT];
    cm_buf_t text = CM_BUF_INIT;

    cm_buf_add_text(&text, cm_index_window_names[answer->window]);
    if (answer->window != CM_WINDOW_ALL)
        cm_buf_printf(&text, " %s", cm_time_format(answer->window_start, start));
    line[COLUMN_WINDOW] = keep(printer, &text);
    cm_terminal_add(&text, url ? answer->url : CM_STR("(all)"));
    line[COLUMN_URL] = keep(printer, &text);
    cm_terminal_add(&text, country ? answer->country : CM_STR("(all)"));
    line[COLUMN_COUNTRY] = keep(printer, &text);
    cm_buf_free(&text);
}

static cm_str_t clicks_of(cm_verify_printer_t *printer, const cm_answer_t *answer)
{
    cm_buf_t text = CM_BUF_INIT;

    cm_buf_printf(&text, "%lld click%s", (long long)answer->measures.clicks,
                  answer->measures.clicks == 1 ? "" : "s");
    cm_str_t kept = keep(printer, &text);
    cm_buf_free(&text);
    return kept;
}

static void add_row_line(cm_verify_printer_t *printer, const cm_index_discrepancy_t *d)
{
    cm_str_t *line = printer->lines[printer->line_count++];

    name_row(printer, d->actual != NULL ? d->actual : d->expected, line);
    line[COLUMN_FIELD] = CM_STR("(row)");
    line[COLUMN_INDEX] = d->actual == NULL ? CM_STR("missing")
                         : d->twice        ? CM_STR("twice")
                                           : clicks_of(printer, d->actual);
    line[COLUMN_EVENTS] = d->expected == NULL ? CM_STR("none")
                          : d->twice          ? CM_STR("once")
                                              : clicks_of(printer, d->expected);
}

/* A document has no columns of its own. */
static void add_document_line(cm_verify_printer_t *printer, const cm_index_discrepancy_t *d)
{
    cm_str_t *line = printer->lines[printer->line_count++];
    cm_buf_t text = CM_BUF_INIT;

    line[COLUMN_WINDOW] = line[COLUMN_COUNTRY] = CM_STR("-");
    cm_buf_printf(&text, "_id of %s: ", d->alias);
    cm_terminal_add(&text, d->document);
    line[COLUMN_URL] = keep(printer, &text);
    line[COLUMN_FIELD] = CM_STR("(document)");
    line[COLUMN_INDEX] = CM_STR("no answer");
    line[COLUMN_EVENTS] = CM_STR("none");
    cm_buf_free(&text);
}

static void add_field_line(cm_verify_printer_t *printer, const cm_index_discrepancy_t *d, int field)
{
    cm_str_t *line = printer->lines[printer->line_count++];
    cm_buf_t there = CM_BUF_INIT, wanted = CM_BUF_INIT;

    name_row(printer, d->actual, line);
    line[COLUMN_FIELD] = cm_str(field_names[field]);
    if (field < INTEGERS) {
        cm_buf_add_i64(&there, integer_of(&d->actual->measures, field));
        cm_buf_add_i64(&wanted, integer_of(&d->expected->measures, field));
    } else {
        add_average(&there, stored_of(d->actual, field), "-");
        add_average(&wanted, average_of(&d->expected->measures, field), "-");
    }
    line[COLUMN_INDEX] = keep(printer, &there);
    line[COLUMN_EVENTS] = keep(printer, &wanted);
    cm_buf_free(&there);
    cm_buf_free(&wanted);
}

static int add_lines(cm_verify_printer_t *printer, const cm_index_discrepancy_t *d)
{
    if (d->alias != NULL) {
        add_document_line(printer, d);
    } else if (d->actual == NULL || d->expected == NULL || d->twice) {
        add_row_line(printer, d);
    } else {
        for (int field = 0; field < FIELDS; field++) {
            if (differs(d, field))
                add_field_line(printer, d, field);
        }
    }
    return printer->line_count + FIELDS > CM_VERIFY_LINES ? print_lines(printer) : 0;
}

/* ---- JSON ---- */

/* One side: the fields that differ, or all where the other side has no such row. */
static void add_side(cm_buf_t *out, const cm_index_discrepancy_t *d, bool index)
{
    const cm_answer_t *answer = index ? d->actual : d->expected;
    const bool all = d->actual == NULL || d->expected == NULL || d->twice;
    char between = '{';

    cm_buf_add_text(out, index ? ",\"index\":" : ",\"events\":");
    if (answer == NULL) {
        cm_buf_add_text(out, "null");
        return;
    }
    for (int field = 0; field < FIELDS; field++) {
        if (!all && !differs(d, field))
            continue;
        cm_buf_printf(out, "%c\"%s\":", between, field_names[field]);
        if (field < INTEGERS)
            cm_buf_add_i64(out, integer_of(&answer->measures, field));
        else
            add_average(out,
                        index ? stored_of(answer, field) : average_of(&answer->measures, field),
                        "null");
        between = ',';
    }
    cm_buf_add_char(out, '}');
}

static void add_document_object(cm_buf_t *out, const cm_index_discrepancy_t *d)
{
    cm_buf_add_text(out, "{\"foreign\":true,\"alias\":");
    cm_buf_add_json(out, cm_str(d->alias));
    cm_buf_add_text(out, ",\"document\":");
    cm_buf_add_json(out, d->document);
    cm_buf_add_text(out, "}\n");
}

static void add_row_object(cm_buf_t *out, const cm_index_discrepancy_t *d)
{
    static const char *const dimensions[CM_DIMENSION_COUNT] = {"cell", "url", "country", "site"};
    const cm_answer_t *answer = d->actual != NULL ? d->actual : d->expected;
    char start[CM_TIME_TEXT];

    cm_buf_printf(out, "{\"window\":\"%s\"", cm_index_window_names[answer->window]);
    if (answer->window != CM_WINDOW_ALL)
        cm_buf_printf(out, ",\"window_start\":\"%s\"", cm_time_format(answer->window_start, start));
    cm_buf_printf(out, ",\"dimension\":\"%s\"", dimensions[answer->dimension]);
    if (answer->dimension == CM_PER_CELL || answer->dimension == CM_PER_URL) {
        cm_buf_add_text(out, ",\"url\":");
        cm_buf_add_json(out, answer->url);
    }
    if (answer->dimension == CM_PER_CELL || answer->dimension == CM_PER_COUNTRY) {
        cm_buf_add_text(out, ",\"country\":");
        cm_buf_add_json(out, answer->country);
    }
    if (d->twice)
        cm_buf_add_text(out, ",\"twice\":true");
    add_side(out, d, true);
    add_side(out, d, false);
    cm_buf_add_text(out, "}\n");
}

static int add_object(cm_verify_printer_t *printer, const cm_index_discrepancy_t *d)
{
    if (d->alias != NULL)
        add_document_object(&printer->out, d);
    else
        add_row_object(&printer->out, d);
    return printer->out.len > FLUSH_BYTES ? cm_app_write(printer->app, &printer->out) : 0;
}

/* ---- both ---- */

void cm_verify_printer_start(cm_verify_printer_t *printer, cm_app_t *app, int64_t limit)
{
    *printer = (cm_verify_printer_t){.app = app,
                                     .json = app->global.json,
                                     .limit = limit,
                                     .lines = cm_alloc(CM_VERIFY_LINES * sizeof *printer->lines)};
}

int cm_verify_printer_add(cm_verify_printer_t *printer, const cm_index_discrepancy_t *discrepancy)
{
    if (printer->rows++ >= printer->limit && printer->limit > 0)
        return 0;
    return printer->json ? add_object(printer, discrepancy) : add_lines(printer, discrepancy);
}

int cm_verify_printer_end(cm_verify_printer_t *printer, int rc)
{
    if (rc == 0)
        rc = printer->json ? cm_app_write(printer->app, &printer->out) : print_lines(printer);
    cm_buf_free(&printer->out);
    cm_arena_free(&printer->texts);
    free(printer->lines);
    return rc;
}
