#include "cmd/query_by_print.h"

#include "base/progress.h"
#include "base/terminal.h"

enum {
    FLUSH_BYTES = 1 << 16,
    TEXT_LEAST = 12, /* columns of a dimension on a narrow terminal */
};

/* ---- the table ---- */

/* Averages and rates by what they are: seconds, ms, parts of a whole, or numbers. */
static void add_real(cm_buf_t *text, const cm_measure_t *measure, double value)
{
    if (measure->kind != CM_MEASURE_QUOTIENT) {
        cm_buf_add_double(text, value);
        return;
    }
    switch (measure->counter) {
    case CM_COUNTER_TIME_SPENT_SUM:
    case CM_COUNTER_TIME_ON_PAGE_SUM:
    case CM_COUNTER_VISIT_DURATION_SUM:
        cm_query_table_add_seconds(text, true, value);
        break;
    case CM_COUNTER_ENGAGED_MS_SUM:
        cm_buf_printf(text, "%.1f ms", value);
        break;
    case CM_COUNTER_BOUNCES:
        cm_buf_printf(text, "%.1f %%", 100 * value);
        break;
    default:
        cm_buf_printf(text, "%.2f", value);
    }
}

static void add_figure(cm_buf_t *text, const cm_report_t *report, size_t number,
                       const cm_figure_t *figure)
{
    cm_report_part_t part;
    const cm_measure_t *measure = cm_report_measure(report, number, &part);

    if (figure->kind == CM_FIGURE_ABSENT)
        cm_buf_add_char(text, '-');
    else if (figure->kind == CM_FIGURE_INTEGER)
        cm_buf_add_grouped(text, figure->integer);
    else if (figure->kind == CM_FIGURE_DECIMAL)
        cm_decimal_add_text(text, figure->decimal);
    else if (part == CM_REPORT_CHANGE)
        cm_buf_printf(text, "%+.1f %%", 100 * figure->real);
    else
        add_real(text, measure, figure->real);
}

static void add_titles(cm_text_table_t *table, const cm_report_t *report, cm_arena_t *arena)
{
    cm_buf_t name = CM_BUF_INIT, title = CM_BUF_INIT;

    for (size_t c = 0; c < report->dim_count + report->figure_count; c++) {
        const bool dim = c < report->dim_count;
        cm_buf_clear(&name);
        cm_buf_clear(&title);
        if (dim)
            cm_report_add_dim_name(&name, report, c);
        else
            cm_report_add_figure_name(&name, report, c - report->dim_count);
        cm_terminal_add(&title, (cm_str_t){name.data, name.len});
        cm_text_table_add_column(
            table,
            (cm_text_column_t){.title = cm_arena_copy(arena, (cm_str_t){title.data, title.len}),
                               .right = !dim,
                               .least = dim ? TEXT_LEAST : 0});
    }
    cm_buf_free(&name);
    cm_buf_free(&title);
}

static int print_table(cm_app_t *app, cm_report_t *report)
{
    cm_text_table_t table = {.kept = report->dim_count + 1,
                             .width = cm_text_table_terminal(app->out)};
    cm_arena_t titles = CM_ARENA_INIT;
    cm_buf_t text = CM_BUF_INIT;

    add_titles(&table, report, &titles);
    for (size_t r = 0; r < report->count; r++) {
        const cm_report_line_t line = cm_report_line(report, r);
        for (size_t d = 0; d < report->dim_count; d++) {
            if (line.dims[d].data != NULL)
                cm_terminal_add(&text, line.dims[d]);
            else
                cm_buf_add_char(&text, '-');
            cm_text_table_add(&table, &text);
        }
        for (size_t f = 0; f < report->figure_count; f++) {
            add_figure(&text, report, f, &line.figures[f]);
            cm_text_table_add(&table, &text);
        }
    }
    const size_t shown = cm_text_table_print(&table, &text);
    int rc = cm_app_write(app, &text);
    if (rc == 0)
        cm_text_table_note_left_out(&table, shown, app->messages);
    cm_text_table_free(&table);
    cm_arena_free(&titles);
    cm_buf_free(&text);
    return rc;
}

/* ---- CSV and JSON ---- */

static int print_rows(cm_app_t *app, cm_report_t *report, cm_print_format_t format)
{
    const bool json = format == CM_PRINT_JSON;
    cm_buf_t text = CM_BUF_INIT;
    int rc = 0;

    if (json)
        cm_buf_add_text(&text, "[\n");
    else
        cm_report_add_csv_header(&text, report);
    for (size_t r = 0; rc == 0 && r < report->count; r++) {
        const cm_report_line_t line = cm_report_line(report, r);
        if (json) {
            cm_buf_add_text(&text, r > 0 ? ",\n " : " ");
            cm_report_add_json(&text, report, &line);
        } else {
            cm_report_add_csv(&text, report, &line, format == CM_PRINT_SAFE_CSV);
        }
        if (text.len > FLUSH_BYTES)
            rc = cm_app_write(app, &text);
    }
    if (json)
        cm_buf_add_text(&text, report->count > 0 ? "\n]\n" : "]\n");
    if (rc == 0)
        rc = cm_app_write(app, &text);
    cm_buf_free(&text);
    return rc;
}

int cm_query_by_print(cm_app_t *app, cm_report_t *report, cm_print_format_t format)
{
    int rc = format == CM_PRINT_TABLE ? print_table(app, report) : print_rows(app, report, format);

    for (size_t n = 0; rc == 0 && n < report->note_count; n++) {
        cm_buf_t line = CM_BUF_INIT;
        cm_terminal_add(&line, report->notes[n]);
        fprintf(app->messages, "%s\n", line.data);
        cm_buf_free(&line);
    }
    return rc;
}
