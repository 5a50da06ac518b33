#include "cmd/verify_print.h"

#include "base/clock.h"
#include "base/progress.h"
#include "base/terminal.h"
#include "cmd/verify_fields.h"

#include <stdlib.h>

enum { COLUMN_WINDOW, COLUMN_URL, COLUMN_COUNTRY, COLUMN_FIELD, COLUMN_INDEX, COLUMN_EVENTS };
enum { FLUSH_BYTES = 1 << 16 };

/* ---- a table ---- */

static void add_line(const cm_verify_printer_t *printer, cm_buf_t *out, const cm_str_t *line)
{
    for (int c = 0; c < CM_VERIFY_COLUMNS; c++) {
        if (c > 0)
            cm_buf_add_text(out, "  ");
        cm_terminal_add_padded(out, line[c], printer->widths[c], c >= COLUMN_INDEX);
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
    line[COLUMN_FIELD] = cm_str(cm_verify_field_names[field]);
    if (field < CM_VERIFY_INTEGERS) {
        cm_buf_add_i64(&there, cm_verify_integer_of(&d->actual->measures, field));
        cm_buf_add_i64(&wanted, cm_verify_integer_of(&d->expected->measures, field));
    } else {
        cm_verify_add_average(&there, cm_verify_stored_of(d->actual, field), "-");
        cm_verify_add_average(&wanted, cm_verify_average_of(&d->expected->measures, field), "-");
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
        for (int field = 0; field < CM_VERIFY_FIELDS; field++) {
            if (cm_verify_differs(d, field))
                add_field_line(printer, d, field);
        }
    }
    return printer->line_count + CM_VERIFY_FIELDS > CM_VERIFY_LINES ? print_lines(printer) : 0;
}

/* ---- JSON ---- */

static int add_object(cm_verify_printer_t *printer, const cm_index_discrepancy_t *d)
{
    if (d->alias != NULL)
        cm_verify_add_document(&printer->out, d);
    else
        cm_verify_add_row(&printer->out, d);
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

/* ---- the account ---- */

static void add_part(cm_buf_t *line, int64_t count, const char *what, bool *first)
{
    if (count == 0)
        return;
    cm_buf_add_text(line, *first ? ": " : ", ");
    cm_buf_add_grouped(line, count);
    cm_buf_add_text(line, what);
    *first = false;
}

int cm_verify_print_account(cm_app_t *app, const cm_index_verified_t *done, int64_t newer,
                            int64_t foreign_rows, double seconds)
{
    const int64_t wrong = cm_index_verified_wrong(done);
    cm_buf_t line = CM_BUF_INIT;
    bool first = true;

    if (app->global.json) {
        cm_buf_add_char(&line, '{');
        cm_verify_add_counts(&line, done, newer);
        if (foreign_rows >= 0)
            cm_buf_printf(&line, "\"strange_rows\":%lld,", (long long)foreign_rows);
        cm_buf_printf(&line, "\"seconds\":%.6f}\n", seconds);
        int rc = cm_app_write(app, &line);
        cm_buf_free(&line);
        return rc;
    }
    cm_buf_add_grouped(&line, done->cells);
    cm_buf_add_text(&line, " cells and ");
    cm_buf_add_grouped(&line, done->totals);
    cm_buf_printf(&line, " totals compared in %.3f s, ", seconds);
    if (wrong > 0)
        cm_buf_add_grouped(&line, wrong);
    cm_buf_add_text(&line, wrong == 0 ? "none differs" : wrong == 1 ? " differs" : " differ");
    add_part(&line, done->differ, " with other numbers", &first);
    add_part(&line, done->missing, " missing in the index", &first);
    add_part(&line, done->unexpected, " that should not be there", &first);
    add_part(&line, done->foreign,
             done->foreign == 1 ? " document of another program" : " documents of another program",
             &first);
    add_part(&line, done->miscalled, " with the wrong word for the users of all time", &first);
    fprintf(app->messages, "%s\n", line.data);
    cm_buf_free(&line);
    return 0;
}
