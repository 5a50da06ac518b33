/* Writes a result of the mill as answers, in one transaction. */
#include "index/embedded/changes.h"
#include "index/embedded/checks.h"
#include "index/embedded/peaks.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

enum { STOP_EVERY = 4096, AHEAD = 8 /* rows between fetching a cell and writing it */ };

/* ---- in bulk ---- */

/* `fresh`: the row does not exist yet. `*more`: the change of the number of rows. */
static int write_change(cm_rows_t *rows, const cm_cell_t *cell, bool fresh, int *more,
                        cm_err_t *err)
{
    bool there = false, gone = false;
    int rc = fresh ? 0 : cm_rows_update(rows, cell, &there, err);

    *more = rc == 0 && !there;
    if (*more == 1)
        return cm_rows_insert(rows, cell, err);
    if (rc == 0 && cell->measures.clicks < 0)
        rc = cm_rows_remove_empty(rows, cell, &gone, err);
    *more = gone ? -1 : 0;
    return rc;
}

/* Adds the changes to the rows; `fresh`: none of the rows exists yet. */
static int write_changes(cm_writing_t *writing, bool fresh, cm_err_t *err)
{
    const cm_mill_result_t *result = writing->result;
    cm_rows_t cells, totals = {0};

    int rc = cm_rows_open(writing, "cell", false, &cells, err);
    if (rc == 0)
        rc = cm_rows_open(writing, "total", false, &totals, err);
    for (size_t i = 0; rc == 0 && i < result->count; i++) {
        const cm_cell_t *cell = result->cells[i];
        if (i + AHEAD < result->count) /* the order of urls is not the order in memory */
            __builtin_prefetch(result->cells[i + AHEAD]);
        bool total = cm_index_cell_is_total(cell);
        int more;
        if (cm_measures_are_zero(&cell->measures))
            continue;
        rc = write_change(total ? &totals : &cells, cell, fresh, &more, err);
        if (!total)
            writing->cells[cm_cell_window_kind(cell->key.window)] += more;
        if (rc == 0)
            rc = cm_check_add(writing, cell, more, err);
        if (rc == 0 && i % STOP_EVERY == 0)
            rc = cm_writing_check_stop(writing, err);
    }
    if (rc == 0 && (rc = cm_rows_flush(&cells, err)) == 0)
        rc = cm_rows_flush(&totals, err);
    cm_rows_close(&cells);
    cm_rows_close(&totals);
    return rc;
}

/* Empties the windows of the mask. `alone`: the tables hold nothing else, which SQLite forgets page
 * by page. */
static int empty_windows(const cm_database_t *database, unsigned windows, bool alone, cm_err_t *err)
{
    char sql[200];
    int rc = 0;

    if (alone)
        return cm_database_exec(database,
                                "DELETE FROM cell; DELETE FROM total; DELETE FROM covered; "
                                "DELETE FROM page; DELETE FROM country; DELETE FROM checksum",
                                "emptying the answers", err);
    for (int window = 0; rc == 0 && window < CM_WINDOW_COUNT; window++) {
        if (!cm_window_in(windows, window))
            continue;
        snprintf(sql, sizeof sql,
                 "DELETE FROM cell WHERE window = %d; DELETE FROM total WHERE window = %d; "
                 "DELETE FROM covered WHERE window = '%s'",
                 window, window, cm_index_window_names[window]);
        rc = cm_database_exec(database, sql, "emptying the answers", err);
    }
    return rc < 0 ? rc : cm_check_forget(database, windows, 0, CM_CHECK_COVERAGE, err);
}

/* Empties what is to be written again. Answers of another store have other ids: all are removed. */
static int make_way(cm_writing_t *writing, cm_err_t *err)
{
    int64_t foreign = 0;
    bool alone = true;

    int rc =
        cm_database_int(writing->database, "SELECT count(*) FROM covered WHERE session_timeout < 0",
                        0, &foreign, err);
    for (int window = 0; rc == 0 && window < CM_WINDOW_COUNT; window++) {
        cm_index_coverage_t covered = {0};
        if (!cm_window_in(writing->windows, window))
            rc = cm_index_embedded_coverage(writing->database, (cm_window_t)window, &covered, err);
        alone &= covered.cells == 0;
    }
    writing->emptied = alone || foreign > 0;
    return rc < 0 ? rc : empty_windows(writing->database, writing->windows, writing->emptied, err);
}

static int write_in_bulk(cm_writing_t *writing, bool replace, cm_err_t *err)
{
    int rc = replace ? make_way(writing, err) : 0;
    if (rc == 0)
        rc = cm_strings_add(writing, err);
    return rc < 0 ? rc : write_changes(writing, replace, err);
}

/* ---- by difference ---- */

/* The tables hold either answers of the file's events or those of another store: windows of the
 * other kind that are not written now are removed. */
static int part_from_others(cm_writing_t *writing, bool foreign, cm_err_t *err)
{
    char sql[100];
    int rc = 0;

    for (int window = 0; rc == 0 && window < CM_WINDOW_COUNT; window++) {
        cm_index_coverage_t covered;
        if (cm_window_in(writing->windows, window))
            continue;
        rc = cm_index_embedded_coverage(writing->database, (cm_window_t)window, &covered, err);
        if (rc < 0 || covered.session_timeout == 0 || (covered.session_timeout < 0) == foreign)
            continue;
        snprintf(sql, sizeof sql, "gone.window = %d", window);
        rc = cm_rows_remove_where(writing, "cell", sql, err);
        if (rc == 0)
            rc = cm_rows_remove_where(writing, "total", sql, err);
        snprintf(sql, sizeof sql, "DELETE FROM covered WHERE window = '%s'",
                 cm_index_window_names[window]);
        if (rc == 0)
            rc = cm_database_exec(writing->database, sql, "writing answers", err);
        if (rc == 0)
            rc = cm_check_forget(writing->database, cm_window_mask(window), 0, CM_CHECK_COVERAGE,
                                 err);
    }
    return rc;
}

static int write_difference(cm_writing_t *writing, bool foreign, cm_err_t *err)
{
    int64_t others =
        0; /* windows of another store, while answers of the file's events are written */

    int rc =
        cm_database_int(writing->database, "SELECT count(*) FROM covered WHERE session_timeout < 0",
                        0, &others, err);
    if (rc == 0)
        rc = part_from_others(writing, foreign, err);
    if (rc == 0 && foreign)
        rc = cm_strings_match(writing, err);
    if (rc == 0 && !foreign) {
        rc = others > 0 ? cm_strings_renumber(writing, err) : cm_strings_repair(writing, err);
        if (rc == 0)
            rc = cm_strings_add(writing, err);
    }
    if (rc == 0)
        rc = cm_difference_write(writing, err);
    return rc == 0 && foreign && writing->removed ? cm_strings_prune(writing, err) : rc;
}

/* ---- the transaction ---- */

/* Begins, with a time of this change that is later than that of every earlier one. */
static int begin(cm_writing_t *writing, cm_err_t *err)
{
    int64_t last = 0, tables = 0, retired = 0;

    int rc = cm_database_exec(writing->database, "BEGIN IMMEDIATE", "writing answers", err);
    if (rc == 0)
        rc = cm_database_int(writing->database, "SELECT max(updated_at) FROM covered", 0, &last,
                             err);
    if (rc == 0)
        rc = cm_database_int(writing->database,
                             "SELECT count(*) FROM sqlite_master WHERE name = 'published'", 0,
                             &tables, err);
    if (rc == 0 && tables > 0)
        rc = cm_database_int(writing->database, "SELECT count(*) FROM retired", 0, &retired, err);
    writing->now = writing->now > last ? writing->now : last + 1;
    writing->publishes = tables > 0;
    writing->retired = retired > 0;
    return rc;
}

/* `whole`: the counts replace those that are there, else they are added. */
static int write_covered(const cm_writing_t *writing, cm_window_t window, bool whole,
                         int64_t session_timeout, cm_err_t *err)
{
    const cm_mill_result_t *result = writing->result;
    const bool changed = writing->changed[window] || writing->removed;
    const char *plus_events = whole ? "" : "events + ", *plus_cells = whole ? "" : "cells + ";
    cm_index_coverage_t before;
    char sql[500];

    int rc = cm_index_embedded_coverage(writing->database, window, &before, err);
    if (rc < 0)
        return rc;
    if (whole && !changed && before.end_ordinal == result->end_ordinal &&
        before.events == result->events && before.session_timeout == session_timeout &&
        before.cells == writing->cells[window])
        return 0;
    snprintf(sql, sizeof sql,
             "INSERT INTO covered VALUES ('%s', %lld, %lld, %lld, %lld, %lld) ON CONFLICT (window) "
             "DO UPDATE SET upto = excluded.upto, events = %sexcluded.events, cells = "
             "%sexcluded.cells, session_timeout = excluded.session_timeout, updated_at = "
             "%supdated_at",
             cm_index_window_names[window], (long long)result->end_ordinal,
             (long long)result->events, (long long)writing->cells[window],
             (long long)session_timeout, (long long)writing->now, plus_events, plus_cells,
             changed ? "excluded." : "");
    rc = cm_database_exec(writing->database, sql, "writing answers", err);
    return rc < 0 ? rc : cm_check_seal_coverage(writing->database, window, err);
}

int cm_index_embedded_apply(const cm_database_t *database, cm_reader_t *reader,
                            const cm_mill_result_t *result,
                            const cm_index_embedded_apply_t *options, bool *changed, cm_err_t *err)
{
    const bool foreign = options->session_timeout < 0, replace = options->replace || foreign;
    cm_writing_t writing = {.database = database,
                            .reader = reader,
                            .result = result,
                            .windows = options->windows,
                            .now = options->now,
                            .stop = options->stop};

    int rc = begin(&writing, err);
    if (rc == 0)
        rc = foreign || (replace && writing.publishes) ? write_difference(&writing, foreign, err)
                                                       : write_in_bulk(&writing, replace, err);
    if (rc == 0)
        rc = cm_check_flush(&writing, err);
    if (rc == 0)
        rc = cm_peaks_write(&writing, replace, err);
    *changed = writing.removed;
    if (options->emptied != NULL)
        *options->emptied = writing.emptied;
    for (int window = 0; rc == 0 && window < CM_WINDOW_COUNT; window++) {
        *changed |= writing.changed[window];
        if (cm_window_in(options->windows, window))
            rc = write_covered(&writing, (cm_window_t)window, replace, options->session_timeout,
                               err);
        if (rc == 0 && cm_window_in(options->windows, window))
            rc =
                cm_index_embedded_note_copies(database, (cm_window_t)window,
                                              result->differ || (!replace && options->differ), err);
    }
    if (rc == 0 && foreign && cm_window_in(options->windows, CM_WINDOW_ALL))
        rc = cm_index_embedded_note_visitors(database, options->daily, options->several, err);
    if (rc == 0)
        rc = cm_database_exec(database, "COMMIT", "writing answers", err);
    if (rc < 0)
        cm_database_exec(database, "ROLLBACK", "writing answers", NULL);
    sqlite3_finalize(writing.add_checks);
    for (int kind = 0; kind < CM_STRING_KINDS; kind++)
        free(writing.ids[kind]);
    return rc;
}
