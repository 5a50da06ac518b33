/* The answer to a question as rows: steps, comparison, order and limit, and as text.
 *
 * Rows are in this order: by the column of `sort`, the greatest number or the first text first
 * (`reverse`: the other way round), absent values last in both; then by the text of the dimensions
 * byte by byte, times in their order, absent values last. With steps all rows of the first step
 * come first, the groups of each in that order.
 *
 * A report borrows the question and the timelines. It belongs to one thread. */
#ifndef CM_MILL_REPORT_H
#define CM_MILL_REPORT_H

#include "mill/ask.h"

typedef enum cm_figure_kind {
    CM_FIGURE_ABSENT,
    CM_FIGURE_INTEGER,
    CM_FIGURE_REAL,
    CM_FIGURE_DECIMAL,
} cm_figure_kind_t;

/* The value of a measure. */
typedef struct cm_figure {
    cm_figure_kind_t kind;
    union {
        int64_t integer;
        double real;
        cm_decimal_t decimal;
    };
} cm_figure_t;

/* What stands in a column of figures. */
typedef enum cm_report_part {
    CM_REPORT_NOW,
    CM_REPORT_BEFORE, /* M_before: of the span that is compared with */
    CM_REPORT_CHANGE, /* M_change: (M - M_before) / M_before */
} cm_report_part_t;

enum { CM_REPORT_DIMS_MAX = CM_QUESTION_DIMS_MAX + 1 };

typedef struct cm_report_line {
    const cm_str_t *dims; /* data NULL: absent; by column; the step is the first */
    /* By measure; with a comparison 3 each, as cm_report_part_t. */
    const cm_figure_t *figures;
} cm_report_line_t;

typedef struct cm_report_rows cm_report_rows_t;

typedef struct cm_report {
    const cm_question_t *question; /* borrowed */
    size_t dim_count;              /* with the step */
    size_t figure_count;
    size_t count;           /* rows */
    cm_report_line_t total; /* of all that is selected; its `dims` is NULL */
    size_t groups;          /* before offset and limit; a step is not a group */
    bool more;              /* there are groups behind the limit */
    cm_span_t span;
    cm_str_t *notes; /* sentences without a full stop at the end */
    size_t note_count;
    cm_report_rows_t *rows;
    cm_arena_t arena;
} cm_report_t;

/* What notes depend on. */
typedef struct cm_report_facts {
    bool daily_ids; /* user ids live for one UTC day */
} cm_report_facts_t;

/* Asks and makes rows. CM_EUSAGE when steps make too many rows, CM_ENOMEM, and the errors of
 * cm_ask(). The caller frees it with cm_report_free(), also after an error. */
int cm_report_make(const cm_ask_options_t *options, const cm_report_facts_t *facts,
                   const cm_question_t *question, cm_report_t *report, cm_err_t *err);

/* The same for several questions, which share one walk. `reports` has room for them all; each is
 * freed by the caller, also after an error. */
int cm_report_make_all(const cm_ask_options_t *options, const cm_report_facts_t *facts,
                       const cm_question_t *const *questions, size_t count, cm_report_t *reports,
                       cm_err_t *err);

/* The row `number`, from 0; valid until the next call. */
cm_report_line_t cm_report_line(cm_report_t *report, size_t number);

void cm_report_free(cm_report_t *report);

/* ---- as text ---- */

/* Which part of which measure is the column `figure`. */
const cm_measure_t *cm_report_measure(const cm_report_t *report, size_t figure,
                                      cm_report_part_t *part);

/* Appends the heading of a dimension, and of a figure: "clicks_before". */
void cm_report_add_dim_name(cm_buf_t *text, const cm_report_t *report, size_t dim);
void cm_report_add_figure_name(cm_buf_t *text, const cm_report_t *report, size_t figure);

/* The headings and a row as CSV (RFC 4180, "\n"); absent is empty. `safe`: no spreadsheet takes a
 * text for a formula. */
void cm_report_add_csv_header(cm_buf_t *text, const cm_report_t *report);
void cm_report_add_csv(cm_buf_t *text, const cm_report_t *report, const cm_report_line_t *line,
                       bool safe);

/* A row as a JSON object; absent is null; decimal sums are texts. The total has no dimensions. */
void cm_report_add_json(cm_buf_t *text, const cm_report_t *report, const cm_report_line_t *line);

#endif
