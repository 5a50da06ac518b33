/* What the files of mill/report.h share; not for others. One thread. */
#ifndef CM_MILL_REPORT_INSIDE_H
#define CM_MILL_REPORT_INSIDE_H

#include "mill/label.h"
#include "mill/report.h"

/* Questions that one report asks. */
enum cm_report_asked {
    CM_ASKED_NOW,
    CM_ASKED_BEFORE,
    CM_ASKED_NOW_STEPS,
    CM_ASKED_BEFORE_STEPS,
    CM_ASKED_COUNT,
};

#define CM_REPORT_NO_GROUP UINT32_MAX

/* A group of either span, and the value that it is sorted by. */
typedef struct cm_report_entry {
    uint32_t now, before; /* numbers of groups; CM_REPORT_NO_GROUP: it is not in that span */
    cm_figure_t sort;
} cm_report_entry_t;

/* The groups of one step and one listed group. */
typedef struct cm_report_cell {
    uint32_t now, before;
} cm_report_cell_t;

/* The labels of all steps of a span, in order. */
typedef struct cm_report_steps {
    cm_label_t *labels;
    size_t count;
} cm_report_steps_t;

struct cm_report_rows {
    cm_question_t question;              /* the caller's, with the counters that notes need */
    cm_groups_t *groups[CM_ASKED_COUNT]; /* NULL: not asked */
    cm_report_entry_t *entries;          /* all groups; those that are listed are at the front */
    size_t entry_count;
    cm_report_entry_t *listed; /* within `entries` */
    size_t listed_count;
    cm_report_steps_t steps, steps_before;
    cm_report_cell_t *cells; /* by step, then by listed group */
    cm_arena_t texts;        /* of the last row */
    cm_str_t dims[CM_REPORT_DIMS_MAX];
    cm_figure_t *figures;
};

/* ---- report_figure.c ---- */

/* The value of a measure in a group; one that the span does not have counts 0. */
cm_figure_t cm_report_figure(const cm_measure_t *measure, const cm_group_t *group);

/* (now - before) / before; absent where one of them is, or `before` is 0. */
cm_figure_t cm_report_change(const cm_figure_t *now, const cm_figure_t *before);

/* Below 0 when `a` is less. Both are of one measure, and neither is absent. */
int cm_report_compare(const cm_figure_t *a, const cm_figure_t *b);

/* A group that is not there. */
cm_group_t cm_report_nothing(void);

/* ---- report_order.c ---- */

/* Fills `entries` from the groups of both spans. */
int cm_report_collect(cm_report_rows_t *rows, cm_err_t *err);

/* Puts those that the question lists at the front, in order: `listed`. */
void cm_report_order(cm_report_rows_t *rows);

/* Appends what tells a group from others, for a cm_lookup_t: the values of its dimensions from
 * `first` on. Texts, because numbers of values mean nothing in another answer. */
void cm_report_add_key(cm_buf_t *key, const cm_report_rows_t *rows, const cm_groups_t *groups,
                       const uint32_t *values);

/* The groups and the key of an entry. */
const uint32_t *cm_report_entry_key(const cm_report_rows_t *rows, const cm_report_entry_t *entry,
                                    const cm_groups_t **groups);

/* ---- report_steps.c ---- */

/* Lists the steps of both spans, as far as their ends are known: before the question was asked
 * those that are given. CM_EUSAGE when they make too many rows with `groups` groups. */
int cm_report_list_steps(cm_report_rows_t *rows, size_t groups, cm_err_t *err);

/* Fills `cells`. */
int cm_report_fill_cells(cm_report_rows_t *rows, cm_err_t *err);

/* ---- report_notes.c ---- */

/* Says what the data lack and what a measure cannot count. */
int cm_report_note(cm_report_t *report, cm_timelines_t *timelines, const cm_report_facts_t *facts,
                   cm_err_t *err);

#endif
