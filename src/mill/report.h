/* The answer to a question as rows: steps, comparison, order and limit, and as text.
 *
 * An answer owns its memory, but strings of dimensions may be those of the timelines, which must
 * live as long. It is made by one thread. */
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

typedef struct cm_report_line {
    const cm_str_t *dims; /* data NULL: absent; by column */
    /* By measure; with a comparison 3 each: of the span, of the one before, the change. */
    const cm_figure_t *figures;
} cm_report_line_t;

typedef struct cm_report {
    const cm_question_t *question; /* borrowed */
    size_t dim_count;              /* with the step */
    size_t figure_count;
    cm_report_line_t *lines;
    size_t count;
    cm_report_line_t total;
    size_t groups; /* before offset and limit; a step is not a group */
    bool more;     /* there are groups behind the limit */
    cm_span_t span;
    cm_str_t *notes; /* sentences without a full stop at the end */
    size_t note_count;
    cm_arena_t arena;
    cm_groups_t *kept[4]; /* whose strings the lines use */
} cm_report_t;

/* What notes depend on. */
typedef struct cm_report_facts {
    bool daily_ids; /* user ids live for one UTC day */
} cm_report_facts_t;

/* Asks and makes rows. CM_EUSAGE when steps make too many rows, and the errors of cm_ask(). The
 * caller frees it with cm_report_free(), also after an error. */
int cm_report_make(const cm_ask_options_t *options, const cm_report_facts_t *facts,
                   const cm_question_t *question, cm_report_t *report, cm_err_t *err);

void cm_report_free(cm_report_t *report);

/* ---- as text ---- */

/* The headings and rows as CSV (RFC 4180, "\n"); absent is empty. `safe`: no spreadsheet takes a
 * text for a formula. */
void cm_report_add_csv(cm_buf_t *text, const cm_report_t *report, bool safe);

/* The rows as a JSON array of objects, and the total as an object; absent is null. */
void cm_report_add_json_rows(cm_buf_t *text, const cm_report_t *report);
void cm_report_add_json_total(cm_buf_t *text, const cm_report_t *report);

#endif
