/* A report as CSV and JSON. */
#include "mill/report.h"

void cm_report_add_dim_name(cm_buf_t *text, const cm_report_t *report, size_t dim)
{
    const cm_question_t *question = report->question;

    if (question->stepped && dim == 0)
        cm_buf_add_text(text, cm_facet_names[question->step]);
    else
        cm_buf_add_str(text, question->dims[dim - question->stepped].name);
}

void cm_report_add_figure_name(cm_buf_t *text, const cm_report_t *report, size_t figure)
{
    static const char *const ends[] = {"", "_before", "_change"};
    cm_report_part_t part;

    cm_buf_add_str(text, cm_report_measure(report, figure, &part)->name);
    cm_buf_add_text(text, ends[part]);
}

static void add_number(cm_buf_t *text, const cm_figure_t *figure)
{
    switch (figure->kind) {
    case CM_FIGURE_ABSENT:
        break;
    case CM_FIGURE_INTEGER:
        cm_buf_add_i64(text, figure->integer);
        break;
    case CM_FIGURE_REAL:
        cm_buf_add_double(text, figure->real);
        break;
    case CM_FIGURE_DECIMAL:
        cm_decimal_add_text(text, figure->decimal);
        break;
    }
}

void cm_report_add_csv_header(cm_buf_t *text, const cm_report_t *report)
{
    cm_buf_t name = CM_BUF_INIT;

    for (size_t c = 0; c < report->dim_count + report->figure_count; c++) {
        cm_buf_clear(&name);
        if (c < report->dim_count)
            cm_report_add_dim_name(&name, report, c);
        else
            cm_report_add_figure_name(&name, report, c - report->dim_count);
        if (c > 0)
            cm_buf_add_char(text, ',');
        cm_buf_add_csv(text, (cm_str_t){name.data, name.len});
    }
    cm_buf_add_char(text, '\n');
    cm_buf_free(&name);
}

void cm_report_add_csv(cm_buf_t *text, const cm_report_t *report, const cm_report_line_t *line,
                       bool safe)
{
    const cm_buf_csv_fn add = safe ? cm_buf_add_safe_csv : cm_buf_add_csv;

    const size_t begin = text->len;

    for (size_t d = 0; d < report->dim_count; d++) {
        if (d > 0)
            cm_buf_add_char(text, ',');
        if (line->dims[d].data != NULL)
            add(text, line->dims[d]);
    }
    for (size_t f = 0; f < report->figure_count; f++) {
        if (report->dim_count + f > 0)
            cm_buf_add_char(text, ',');
        add_number(text, &line->figures[f]);
    }
    if (text->len == begin) /* the only column: an empty line would be no row to many readers */
        cm_buf_add_text(text, "\"\"");
    cm_buf_add_char(text, '\n');
}

/* Appends `"NAME":`, with a comma before it unless it is the first member. */
static void add_member(cm_buf_t *text, cm_buf_t *name, bool first)
{
    if (!first)
        cm_buf_add_char(text, ',');
    cm_buf_add_json(text, (cm_str_t){name->data, name->len});
    cm_buf_add_char(text, ':');
    cm_buf_clear(name);
}

void cm_report_add_json(cm_buf_t *text, const cm_report_t *report, const cm_report_line_t *line)
{
    const size_t dims = line->dims != NULL ? report->dim_count : 0;
    cm_buf_t name = CM_BUF_INIT;

    cm_buf_add_char(text, '{');
    for (size_t d = 0; d < dims; d++) {
        cm_report_add_dim_name(&name, report, d);
        add_member(text, &name, d == 0);
        if (line->dims[d].data == NULL)
            cm_buf_add_text(text, "null");
        else
            cm_buf_add_json(text, line->dims[d]);
    }
    for (size_t f = 0; f < report->figure_count; f++) {
        const cm_figure_t *figure = &line->figures[f];
        const char *quote = figure->kind == CM_FIGURE_DECIMAL ? "\"" : "";
        cm_report_add_figure_name(&name, report, f);
        add_member(text, &name, dims + f == 0);
        cm_buf_add_text(text, quote);
        if (figure->kind == CM_FIGURE_ABSENT)
            cm_buf_add_text(text, "null");
        add_number(text, figure);
        cm_buf_add_text(text, quote);
    }
    cm_buf_add_char(text, '}');
    cm_buf_free(&name);
}
