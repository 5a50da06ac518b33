#include "index/embedded/checks.h"

#include <stdio.h>
#include <stdlib.h>

enum { STOP_EVERY = 4096, AHEAD = 8 /* rows between prefetching a cell and reading it */ };

typedef enum act {
    LEAVE, /* it is right */
    INSERT,
    UPDATE,
} act_t;

/* A row of the result, and what is to be done. */
typedef struct entry {
    uint32_t window;       /* cm_cell_window() */
    uint32_t url, country; /* ids in the tables + 1; 0: all */
    uint32_t act;          /* act_t */
    const cm_cell_t *cell;
} entry_t;

/* One table's difference, in the order of its primary key. */
typedef struct difference {
    cm_writing_t *writing;
    const char *table;
    entry_t *entries;
    size_t count;
    cm_index_place_t *gone; /* rows that must not be there */
    size_t gone_count, gone_cap;
} difference_t;

/* ---- the rows of the result ---- */

static int by_place(const void *a, const void *b)
{
    const entry_t *x = a, *y = b;
    if (x->window != y->window)
        return x->window < y->window ? -1 : 1;
    if (x->url != y->url)
        return x->url < y->url ? -1 : 1;
    return (x->country > y->country) - (x->country < y->country);
}

static int collect(difference_t *self, bool totals, cm_err_t *err)
{
    const cm_mill_result_t *result = self->writing->result;
    bool sorted = true;

    for (size_t i = 0; i < result->count; i++)
        self->count += cm_index_cell_is_total(result->cells[i]) == totals;
    self->entries = malloc((self->count + 1) * sizeof *self->entries);
    if (self->entries == NULL)
        return cm_fail_memory(err);
    self->count = 0;
    for (size_t i = 0; i < result->count; i++) {
        const cm_cell_t *cell = result->cells[i];
        if (i + AHEAD < result->count)
            __builtin_prefetch(result->cells[i + AHEAD]);
        if (cm_index_cell_is_total(cell) != totals || cm_measures_are_zero(&cell->measures))
            continue;
        const cm_index_place_t place = cm_index_place_of(self->writing, cell);
        entry_t *entry = &self->entries[self->count++];
        *entry = (entry_t){.window = cell->key.window,
                           .url = (uint32_t)(place.url + 1),
                           .country = (uint32_t)(place.country + 1),
                           .act = INSERT,
                           .cell = cell};
        sorted &= self->count == 1 || by_place(entry - 1, entry) < 0;
        if (!totals)
            self->writing->cells[place.window]++;
    }
    if (!sorted)
        qsort(self->entries, self->count, sizeof *self->entries, by_place);
    return 0;
}

/* ---- the rows of the table ---- */

/* <0: the entry comes before the row. */
static int compare(const difference_t *self, const entry_t *entry, const cm_index_place_t *row)
{
    const cm_index_place_t place = cm_index_place_of(self->writing, entry->cell);
    const int64_t wanted[] = {place.window, place.start, place.url, place.country};
    const int64_t there[] = {row->window, row->start, row->url, row->country};

    for (int i = 0; i < 4; i++) {
        if (wanted[i] != there[i])
            return wanted[i] < there[i] ? -1 : 1;
    }
    return 0;
}

static bool same_numbers(sqlite3_stmt *select, const cm_measures_t *n)
{
    const int64_t numbers[] = {n->clicks,           n->users,         n->time_spent_sum,
                               n->time_spent_count, n->page_time_sum, n->page_time_count,
                               n->entrances,        n->exits};

    for (int i = 0; i < CM_MEASURE_COLUMN_COUNT; i++) {
        if (sqlite3_column_int64(select, 4 + i) != numbers[i])
            return false;
    }
    return true;
}

static void add_gone(difference_t *self, const cm_index_place_t *row)
{
    if (self->gone_count == self->gone_cap) {
        self->gone_cap = self->gone_cap ? self->gone_cap * 2 : 256;
        self->gone = cm_realloc(self->gone, self->gone_cap * sizeof *self->gone);
    }
    self->gone[self->gone_count++] = *row;
}

/* Goes through both in their common order; nothing is written meanwhile. */
static int walk(difference_t *self, sqlite3_stmt *select, cm_err_t *err)
{
    size_t at = 0, rows = 0;
    int step, order, rc = 0;

    while (rc == 0 && (step = sqlite3_step(select)) == SQLITE_ROW) {
        const cm_index_place_t row = {
            .window = sqlite3_column_int64(select, 0),
            .start = sqlite3_column_int64(select, 1),
            .url = sqlite3_column_int64(select, 2),
            .country = sqlite3_column_int64(select, 3),
        };
        for (order = 1; at < self->count; at++) {
            if (at + AHEAD < self->count)
                __builtin_prefetch(self->entries[at + AHEAD].cell);
            if ((order = compare(self, &self->entries[at], &row)) >= 0)
                break;
        }
        if (order == 0) {
            entry_t *entry = &self->entries[at++];
            entry->act = same_numbers(select, &entry->cell->measures) ? LEAVE : UPDATE;
        } else {
            add_gone(self, &row);
        }
        if (++rows % STOP_EVERY == 0)
            rc = cm_writing_check_stop(self->writing, err);
    }
    return rc == 0 && step != SQLITE_DONE
               ? cm_check_fail_sqlite(self->writing->database, "reading the answers", err)
               : rc;
}

static int find(difference_t *self, cm_err_t *err)
{
    cm_buf_t sql = CM_BUF_INIT;
    sqlite3_stmt *select;

    cm_buf_printf(&sql,
                  "SELECT window, start, url, country, " CM_MEASURE_COLUMNS
                  " FROM %s WHERE window IN (-1",
                  self->table);
    for (int window = 0; window < CM_WINDOW_COUNT; window++) {
        if (cm_window_in(self->writing->windows, window))
            cm_buf_printf(&sql, ", %d", window);
    }
    cm_buf_add_text(&sql, ") ORDER BY window, start, url, country");
    int rc = cm_database_prepare(self->writing->database, sql.data, &select, err);
    cm_buf_free(&sql);
    if (rc < 0)
        return rc;
    rc = walk(self, select, err);
    sqlite3_finalize(select);
    return rc;
}

/* ---- writing ---- */

static int write_rows(const difference_t *self, cm_err_t *err)
{
    cm_rows_t rows;
    bool there;

    int rc = cm_rows_open(self->writing, self->table, true, &rows, err);
    for (size_t i = 0; rc == 0 && i < self->gone_count; i++)
        rc = cm_rows_remove(&rows, &self->gone[i], err);
    for (size_t i = 0; rc == 0 && i < self->count; i++) {
        const entry_t *entry = &self->entries[i];
        if (entry->act == INSERT)
            rc = cm_rows_insert(&rows, entry->cell, err);
        else if (entry->act == UPDATE)
            rc = cm_rows_update(&rows, entry->cell, &there, err);
        if (rc == 0 && i % STOP_EVERY == 0)
            rc = cm_writing_check_stop(self->writing, err);
    }
    if (rc == 0)
        rc = cm_rows_flush(&rows, err);
    cm_rows_close(&rows);
    return rc;
}

/* Computes all checksums; only those that differ are written. */
static int write_checks(const difference_t *self, bool totals, cm_err_t *err)
{
    const int first = totals ? CM_PER_URL : CM_PER_CELL, last = totals ? CM_PER_NOTHING : first;
    cm_writing_t *writing = self->writing;
    int rc = 0;

    writing->sets_checks = true;
    if (self->gone_count > 0)
        rc = cm_check_forget(writing->database, writing->windows, first, last, err);
    for (size_t i = 0; rc == 0 && i < self->count; i++)
        rc = cm_check_add(writing, self->entries[i].cell, 1, err);
    return rc;
}

static int write_table(cm_writing_t *writing, const char *table, bool totals, cm_err_t *err)
{
    difference_t self = {.writing = writing, .table = table};

    int rc = collect(&self, totals, err);
    if (rc == 0)
        rc = find(&self, err);
    if (rc == 0)
        rc = write_rows(&self, err);
    if (rc == 0)
        rc = write_checks(&self, totals, err);
    free(self.entries);
    free(self.gone);
    return rc;
}

int cm_difference_write(cm_writing_t *writing, cm_err_t *err)
{
    int rc = write_table(writing, "cell", false, err);
    return rc < 0 ? rc : write_table(writing, "total", true, err);
}
