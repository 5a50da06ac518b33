#include "mill/report_inside.h"

#include <stdlib.h>

/* ---- asking ---- */

static bool is_asked(const cm_question_t *question, int which)
{
    const bool before = which == CM_ASKED_BEFORE || which == CM_ASKED_BEFORE_STEPS;
    const bool stepped = which == CM_ASKED_NOW_STEPS || which == CM_ASKED_BEFORE_STEPS;

    return (!before || question->compare != CM_COMPARE_NONE) && (!stepped || question->stepped);
}

static cm_asked_t asked_of(const cm_question_t *question, int which)
{
    const bool before = which == CM_ASKED_BEFORE || which == CM_ASKED_BEFORE_STEPS;

    return (cm_asked_t){.question = question,
                        .span = before ? question->before : question->span,
                        .stepped = which == CM_ASKED_NOW_STEPS || which == CM_ASKED_BEFORE_STEPS};
}

/* All questions share one walk. */
static int ask(const cm_ask_options_t *options, cm_report_t *reports, size_t count, cm_err_t *err)
{
    cm_asked_t *asked = cm_alloc_zero(count * CM_ASKED_COUNT, sizeof *asked);
    size_t all = 0, taken = 0;

    for (size_t r = 0; r < count; r++) {
        for (int which = 0; which < CM_ASKED_COUNT; which++) {
            if (is_asked(&reports[r].rows->question, which))
                asked[all++] = asked_of(&reports[r].rows->question, which);
        }
    }
    int rc = cm_ask(options, asked, all, err);
    for (size_t r = 0; rc == 0 && r < count; r++) {
        for (int which = 0; which < CM_ASKED_COUNT; which++) {
            if (is_asked(&reports[r].rows->question, which))
                reports[r].rows->groups[which] = asked[taken++].groups;
        }
    }
    free(asked);
    return rc;
}

static void init(const cm_question_t *question, cm_report_t *report)
{
    cm_report_rows_t *rows = cm_alloc_zero(1, sizeof *rows);
    const size_t parts = question->compare == CM_COMPARE_NONE ? 1 : 3;

    *report = (cm_report_t){.question = question,
                            .dim_count = question->dim_count + question->stepped,
                            .figure_count = question->measure_count * parts,
                            .span = question->span,
                            .rows = rows};
    rows->question = *question;
    rows->question.counters |= 1U << CM_COUNTER_CLICKS | 1U << CM_COUNTER_EVENTS;
    rows->figures = cm_alloc_zero(report->figure_count + 1, sizeof *rows->figures);
}

static cm_report_line_t total_of(cm_report_t *report);

static int make_rows(cm_report_t *report, cm_err_t *err)
{
    cm_report_rows_t *rows = report->rows;
    const bool stepped = report->question->stepped;

    int rc = cm_report_collect(rows, err);
    if (rc < 0)
        return rc;
    cm_report_order(rows);
    if (stepped)
        rc = cm_report_list_steps(rows, rows->listed_count, err);
    if (rc == 0 && stepped)
        rc = cm_report_fill_cells(rows, err);
    if (rc < 0)
        return rc;
    report->count = rows->listed_count * (stepped ? rows->steps.count : 1);
    report->groups = rows->entry_count;
    report->more = rows->listed + rows->listed_count < rows->entries + rows->entry_count;
    report->total = total_of(report);
    return 0;
}

int cm_report_make_all(const cm_ask_options_t *options, const cm_report_facts_t *facts,
                       const cm_question_t *const *questions, size_t count, cm_report_t *reports,
                       cm_err_t *err)
{
    int rc = 0;

    for (size_t r = 0; r < count; r++)
        init(questions[r], &reports[r]);
    /* Where both ends are known, too many steps are refused before anything is asked. */
    for (size_t r = 0; rc == 0 && r < count; r++)
        rc = questions[r]->stepped ? cm_report_list_steps(reports[r].rows, 1, err) : 0;
    if (rc == 0)
        rc = ask(options, reports, count, err);
    for (size_t r = 0; rc == 0 && r < count; r++) {
        rc = make_rows(&reports[r], err);
        if (rc == 0)
            rc = cm_report_note(&reports[r], options->timelines, facts, err);
    }
    return rc;
}

int cm_report_make(const cm_ask_options_t *options, const cm_report_facts_t *facts,
                   const cm_question_t *question, cm_report_t *report, cm_err_t *err)
{
    return cm_report_make_all(options, facts, &question, 1, report, err);
}

void cm_report_free(cm_report_t *report)
{
    cm_report_rows_t *rows = report->rows;

    for (int a = 0; rows != NULL && a < CM_ASKED_COUNT; a++) {
        if (rows->groups[a] != NULL)
            cm_groups_free(rows->groups[a]);
    }
    if (rows != NULL) {
        free(rows->entries);
        free(rows->steps.labels);
        free(rows->steps_before.labels);
        free(rows->cells);
        free(rows->figures);
        cm_arena_free(&rows->texts);
        free(rows);
    }
    cm_arena_free(&report->arena);
    *report = (cm_report_t){.rows = NULL};
}

/* ---- rows ---- */

const cm_measure_t *cm_report_measure(const cm_report_t *report, size_t figure,
                                      cm_report_part_t *part)
{
    const size_t parts = report->figure_count / report->question->measure_count;

    *part = (cm_report_part_t)(figure % parts);
    return &report->question->measures[figure / parts];
}

static void fill_figures(const cm_report_t *report, const cm_group_t *now, const cm_group_t *before,
                         cm_figure_t *figures)
{
    const cm_question_t *question = report->question;

    for (size_t m = 0; m < question->measure_count; m++) {
        *figures++ = cm_report_figure(&question->measures[m], now);
        if (question->compare == CM_COMPARE_NONE)
            continue;
        *figures = cm_report_figure(&question->measures[m], before);
        figures[1] = cm_report_change(&figures[-1], &figures[0]);
        figures += 2;
    }
}

/* The group of that number in an answer, or nothing. */
static cm_group_t group_of(const cm_report_rows_t *rows, enum cm_report_asked asked,
                           uint32_t number)
{
    return rows->groups[asked] == NULL || number == CM_REPORT_NO_GROUP
               ? cm_report_nothing()
               : cm_groups_at(rows->groups[asked], number);
}

static cm_group_t total_group(const cm_report_rows_t *rows, enum cm_report_asked asked)
{
    return rows->groups[asked] == NULL ? cm_report_nothing() : cm_groups_total(rows->groups[asked]);
}

static cm_report_line_t total_of(cm_report_t *report)
{
    const cm_group_t now = total_group(report->rows, CM_ASKED_NOW);
    const cm_group_t before = total_group(report->rows, CM_ASKED_BEFORE);
    cm_figure_t *figures =
        cm_arena_alloc(&report->arena, (report->figure_count + 1) * sizeof *figures);

    fill_figures(report, &now, &before, figures);
    return (cm_report_line_t){.dims = NULL, .figures = figures};
}

static void fill_dims(cm_report_rows_t *rows, size_t step, const cm_report_entry_t *entry)
{
    const cm_question_t *question = &rows->question;
    const cm_groups_t *groups = NULL;
    cm_str_t *dims = rows->dims;
    cm_buf_t text = CM_BUF_INIT;

    cm_arena_reset(&rows->texts);
    if (question->stepped) {
        cm_label_text(question->step, rows->steps.labels[step], &text);
        *dims++ = cm_arena_copy(&rows->texts, (cm_str_t){text.data, text.len});
        cm_buf_free(&text);
    }
    const uint32_t *key =
        question->dim_count > 0 ? cm_report_entry_key(rows, entry, &groups) : NULL;
    for (size_t d = 0; d < question->dim_count; d++)
        dims[d] = cm_groups_string(groups, d, key[d], &rows->texts);
}

cm_report_line_t cm_report_line(cm_report_t *report, size_t number)
{
    cm_report_rows_t *rows = report->rows;
    const bool stepped = report->question->stepped;
    const size_t step = stepped ? number / rows->listed_count : 0;
    const cm_report_entry_t *entry = &rows->listed[stepped ? number % rows->listed_count : number];
    cm_group_t now, before;

    if (!stepped && report->question->dim_count == 0)
        return (cm_report_line_t){.dims = rows->dims, .figures = report->total.figures};
    if (stepped) {
        now = group_of(rows, CM_ASKED_NOW_STEPS, rows->cells[number].now);
        before = group_of(rows, CM_ASKED_BEFORE_STEPS, rows->cells[number].before);
    } else {
        now = group_of(rows, CM_ASKED_NOW, entry->now);
        before = group_of(rows, CM_ASKED_BEFORE, entry->before);
    }
    fill_dims(rows, step, entry);
    fill_figures(report, &now, &before, rows->figures);
    return (cm_report_line_t){.dims = rows->dims, .figures = rows->figures};
}
