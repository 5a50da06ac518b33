#include "index/embedded.h"

#include <stdio.h>
#include <stdlib.h>

#define NUMBER_COLUMNS                                                                             \
    "clicks, unique_user_count, time_spent_sum, time_spent_count, time_on_page_sum, "              \
    "time_on_page_count, entrances, exits"

/* `url` and `country` are NULL where a rollup has them all, window_start for the window `all`. */
#define TABLE(name)                                                                                \
    "CREATE TABLE IF NOT EXISTS " name " (\n"                                                      \
    "    url TEXT,\n"                                                                              \
    "    country TEXT,\n"                                                                          \
    "    window TEXT NOT NULL,\n"                                                                  \
    "    window_start INTEGER,\n"                                                                  \
    "    clicks INTEGER NOT NULL,\n"                                                               \
    "    unique_user_count INTEGER NOT NULL,\n"                                                    \
    "    average_time_spent REAL AS (CASE WHEN time_spent_count <> 0 THEN "                        \
    "CAST(time_spent_sum AS REAL) / time_spent_count END),\n"                                      \
    "    time_spent_sum INTEGER NOT NULL,\n"                                                       \
    "    time_spent_count INTEGER NOT NULL,\n"                                                     \
    "    average_time_on_page REAL AS (CASE WHEN time_on_page_count <> 0 THEN "                    \
    "CAST(time_on_page_sum AS REAL) / time_on_page_count END),\n"                                  \
    "    time_on_page_sum INTEGER NOT NULL,\n"                                                     \
    "    time_on_page_count INTEGER NOT NULL,\n"                                                   \
    "    entrances INTEGER NOT NULL,\n"                                                            \
    "    exits INTEGER NOT NULL,\n"                                                                \
    "    updated_at INTEGER NOT NULL);\n"

#define INDEX(name)                                                                                \
    "CREATE UNIQUE INDEX IF NOT EXISTS " name "_key ON " name                                      \
    " (window, ifnull(window_start, 0), ifnull(url, ''), ifnull(country, ''));\n"

#define INSERT(name)                                                                               \
    "INSERT INTO " name " (url, country, window, window_start, " NUMBER_COLUMNS ", updated_at) "   \
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "

#define UPSERT(name)                                                                               \
    INSERT(name)                                                                                   \
    "ON CONFLICT (window, ifnull(window_start, 0), ifnull(url, ''), ifnull(country, '')) "         \
    "DO UPDATE SET clicks = clicks + excluded.clicks, "                                            \
    "unique_user_count = unique_user_count + excluded.unique_user_count, "                         \
    "time_spent_sum = time_spent_sum + excluded.time_spent_sum, "                                  \
    "time_spent_count = time_spent_count + excluded.time_spent_count, "                            \
    "time_on_page_sum = time_on_page_sum + excluded.time_on_page_sum, "                            \
    "time_on_page_count = time_on_page_count + excluded.time_on_page_count, "                      \
    "entrances = entrances + excluded.entrances, exits = exits + excluded.exits, "                 \
    "updated_at = excluded.updated_at"

static const char schema[] = TABLE("answer") TABLE("rollup") INDEX("answer")
    INDEX("rollup") "CREATE TABLE IF NOT EXISTS covered (\n"
                    "    window TEXT PRIMARY KEY,\n"
                    "    upto INTEGER NOT NULL,\n"
                    "    events INTEGER NOT NULL,\n"
                    "    cells INTEGER NOT NULL,\n"
                    "    session_timeout INTEGER NOT NULL,\n"
                    "    updated_at INTEGER NOT NULL) WITHOUT ROWID;\n";

int cm_embedded_index_prepare(const cm_database_t *database, cm_err_t *err)
{
    return cm_database_exec(database, schema, "making the tables of answers", err);
}

int cm_embedded_index_covered(const cm_database_t *database, cm_window_t window,
                              cm_covered_t *covered, cm_err_t *err)
{
    sqlite3_stmt *select;

    *covered = (cm_covered_t){0};
    int rc = cm_database_prepare(
        database, "SELECT upto, events, session_timeout, cells FROM covered WHERE window = ?",
        &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_text(select, 1, cm_window_names[window], -1, SQLITE_STATIC);
    int step = sqlite3_step(select);
    if (step == SQLITE_ROW) {
        covered->upto = sqlite3_column_int64(select, 0);
        covered->events = sqlite3_column_int64(select, 1);
        covered->session_timeout = sqlite3_column_int64(select, 2);
        covered->cells = sqlite3_column_int64(select, 3);
    } else if (step != SQLITE_DONE) {
        rc = cm_database_fail(database, "reading the answers", err);
    }
    sqlite3_finalize(select);
    return rc;
}

/* ---- writing ---- */

/* A changed cell with its texts; sorted by key, because neighbours share pages of the index. */
typedef struct change {
    const cm_cell_t *cell;
    cm_str_t url, country;
} change_t;

static int by_key(const void *a, const void *b)
{
    const change_t *x = a, *y = b;
    if (x->cell->key.window != y->cell->key.window)
        return x->cell->key.window < y->cell->key.window ? -1 : 1;
    int order = cm_str_compare(x->url, y->url);
    return order ? order : cm_str_compare(x->country, y->country);
}

static int name_of(cm_reader_t *reader, cm_field_t field, uint32_t id, cm_str_t *text,
                   cm_err_t *err)
{
    *text = (cm_str_t){NULL, 0};
    return id == CM_CELL_ALL ? 0 : cm_reader_name(reader, field, id, text, err);
}

static int collect_changes(const cm_cells_t *cells, cm_reader_t *reader, change_t **changes,
                           size_t *count, cm_err_t *err)
{
    int rc = 0;

    *count = 0;
    *changes = malloc((cells->count ? cells->count : 1) * sizeof **changes);
    if (*changes == NULL)
        return cm_fail_memory(err);
    for (uint32_t i = 0; rc == 0 && i < cells->count; i++) {
        const cm_cell_t *cell = &cells->list[i];
        if (cm_numbers_zero(&cell->numbers))
            continue;
        change_t *change = &(*changes)[(*count)++];
        *change = (change_t){.cell = cell};
        rc = name_of(reader, CM_URL, cell->key.url, &change->url, err);
        if (rc == 0)
            rc = name_of(reader, CM_COUNTRY, cell->key.country, &change->country, err);
    }
    qsort(*changes, *count, sizeof **changes, by_key);
    return rc;
}

static void bind_text(sqlite3_stmt *statement, int at, cm_str_t text)
{
    if (text.data == NULL)
        sqlite3_bind_null(statement, at);
    else
        sqlite3_bind_text(statement, at, text.data, (int)text.len, SQLITE_STATIC);
}

/* `added` grows when the row is new: only an insert sets the last rowid. */
static int write_change(const cm_database_t *database, sqlite3_stmt *upsert, const change_t *change,
                        int64_t now, int64_t *added, cm_err_t *err)
{
    const cm_numbers_t *n = &change->cell->numbers;
    const int64_t numbers[] = {n->clicks,           n->users,         n->time_spent_sum,
                               n->time_spent_count, n->page_time_sum, n->page_time_count,
                               n->entrances,        n->exits,         now};
    cm_window_t window = cm_cell_window_kind(change->cell->key.window);

    bind_text(upsert, 1, change->url);
    bind_text(upsert, 2, change->country);
    sqlite3_bind_text(upsert, 3, cm_window_names[window], -1, SQLITE_STATIC);
    if (window == CM_WINDOW_ALL)
        sqlite3_bind_null(upsert, 4);
    else
        sqlite3_bind_int64(upsert, 4, cm_cell_window_start(change->cell->key.window));
    for (int i = 0; i < (int)(sizeof numbers / sizeof numbers[0]); i++)
        sqlite3_bind_int64(upsert, 5 + i, numbers[i]);
    sqlite3_set_last_insert_rowid(database->db, 0);
    int rc = cm_database_step(database, upsert, "writing answers", err);
    *added += sqlite3_last_insert_rowid(database->db) != 0;
    return rc;
}

/* One transaction's work. */
typedef struct writing {
    const cm_database_t *database;
    const change_t *changes;
    size_t count;
    int64_t now;
    const atomic_bool *stop;
    int64_t added[CM_WINDOW_COUNT]; /* new cells per window */
} writing_t;

static int check_stop(const writing_t *writing, cm_err_t *err)
{
    if (writing->stop == NULL || !atomic_load(writing->stop))
        return 0;
    return cm_fail(err, CM_ESTOP, "stopped");
}

/* `fresh`: none of the rows is there yet. */
static int write_changes(writing_t *writing, bool fresh, cm_err_t *err)
{
    const cm_database_t *database = writing->database;
    int64_t rollups = 0;
    sqlite3_stmt *answer = NULL, *rollup = NULL;

    int rc =
        cm_database_prepare(database, fresh ? INSERT("answer") : UPSERT("answer"), &answer, err);
    if (rc == 0)
        rc = cm_database_prepare(database, fresh ? INSERT("rollup") : UPSERT("rollup"), &rollup,
                                 err);
    for (size_t i = 0; rc == 0 && i < writing->count; i++) {
        const change_t *change = &writing->changes[i];
        bool cell = change->url.data != NULL && change->country.data != NULL;
        cm_window_t window = cm_cell_window_kind(change->cell->key.window);
        rc = write_change(database, cell ? answer : rollup, change, writing->now,
                          cell ? &writing->added[window] : &rollups, err);
        if (rc == 0 && i % 4096 == 0)
            rc = check_stop(writing, err);
    }
    sqlite3_finalize(answer);
    sqlite3_finalize(rollup);
    return rc;
}

static int write_covered(const cm_database_t *database, const cm_mill_result_t *result,
                         cm_window_t window, int64_t added, int64_t session_timeout, int64_t now,
                         cm_err_t *err)
{
    char sql[400];

    snprintf(sql, sizeof sql,
             "INSERT INTO covered VALUES ('%s', %lld, %lld, %lld, %lld, %lld) ON CONFLICT (window) "
             "DO UPDATE SET upto = excluded.upto, events = events + excluded.events, "
             "cells = cells + excluded.cells, session_timeout = excluded.session_timeout, "
             "updated_at = excluded.updated_at",
             cm_window_names[window], (long long)result->upto, (long long)result->events,
             (long long)added, (long long)session_timeout, (long long)now);
    return cm_database_exec(database, sql, "writing answers", err);
}

/* Empties the windows of the mask. `alone`: the tables hold nothing else, which SQLite forgets page
 * by page. */
static int empty_windows(const cm_database_t *database, unsigned windows, bool alone, cm_err_t *err)
{
    char sql[200];
    int rc = 0;

    if (alone)
        return cm_database_exec(database,
                                "DELETE FROM answer; DELETE FROM rollup; DELETE FROM covered",
                                "emptying the answers", err);
    for (int window = 0; rc == 0 && window < CM_WINDOW_COUNT; window++) {
        const char *name = cm_window_names[window];
        if (!(windows & 1u << window))
            continue;
        snprintf(sql, sizeof sql,
                 "DELETE FROM answer WHERE window = '%s'; DELETE FROM rollup WHERE window = '%s'; "
                 "DELETE FROM covered WHERE window = '%s'",
                 name, name, name);
        rc = cm_database_exec(database, sql, "emptying the answers", err);
    }
    return rc;
}

/* How many cells the windows outside of the mask have. */
static int count_others(const cm_database_t *database, unsigned windows, int64_t *cells,
                        cm_err_t *err)
{
    int rc = 0;

    *cells = 0;
    for (int window = 0; rc == 0 && window < CM_WINDOW_COUNT; window++) {
        cm_covered_t covered = {0};
        if (!(windows & 1u << window))
            rc = cm_embedded_index_covered(database, (cm_window_t)window, &covered, err);
        *cells += covered.cells;
    }
    return rc;
}

/* Writes all answers of some windows anew. When they are most of what there is, the indexes are
 * made when all rows are in, by sorting: that takes half the time of keeping them up row by row. */
static int replace_answers(writing_t *writing, unsigned windows, cm_err_t *err)
{
    const cm_database_t *database = writing->database;
    int64_t others;

    int rc = count_others(database, windows, &others, err);
    bool sort = others <= (int64_t)writing->count;
    if (rc == 0 && sort)
        rc = cm_database_exec(database, "DROP INDEX answer_key; DROP INDEX rollup_key",
                              "writing answers", err);
    if (rc == 0)
        rc = empty_windows(database, windows, others == 0, err);
    if (rc == 0)
        rc = write_changes(writing, true, err);
    if (rc == 0 && sort)
        rc = cm_database_exec(database, INDEX("answer") INDEX("rollup"), "writing answers", err);
    return rc;
}

int cm_embedded_index_apply(const cm_database_t *database, cm_reader_t *reader,
                            const cm_mill_result_t *result, unsigned windows, bool replace,
                            int64_t session_timeout, int64_t now, const atomic_bool *stop,
                            cm_err_t *err)
{
    writing_t writing = {.database = database, .now = now, .stop = stop};
    change_t *changes = NULL;

    int rc = collect_changes(result->cells, reader, &changes, &writing.count, err);
    writing.changes = changes;
    if (rc == 0)
        rc = cm_database_exec(database, "BEGIN IMMEDIATE", "writing answers", err);
    if (rc < 0) {
        free(changes);
        return rc;
    }
    rc = replace ? replace_answers(&writing, windows, err) : write_changes(&writing, false, err);
    for (int window = 0; rc == 0 && window < CM_WINDOW_COUNT; window++) {
        if (windows & 1u << window)
            rc = write_covered(database, result, (cm_window_t)window, writing.added[window],
                               session_timeout, now, err);
    }
    if (rc == 0)
        rc = cm_database_exec(database, "COMMIT", "writing answers", err);
    if (rc < 0)
        cm_database_exec(database, "ROLLBACK", "writing answers", NULL);
    free(changes);
    return rc;
}

/* ---- reading ---- */

typedef struct embedded_index {
    cm_index_t index; /* first */
    cm_database_t database;
} embedded_index_t;

static bool has_tables(const cm_database_t *database)
{
    int64_t count = 0;
    cm_database_int(database, "SELECT count(*) FROM sqlite_master WHERE name = 'covered'", 0,
                    &count, NULL);
    return count == 1;
}

static void add_order(cm_buf_t *sql, const cm_query_t *query)
{
    bool text = query->sort >= CM_SORT_URL;
    bool down = text == query->reverse;
    const char *column =
        query->sort == CM_SORT_WINDOW ? "window_start" : cm_sort_names[query->sort];

    cm_buf_printf(sql, " ORDER BY %s %s NULLS LAST, url, country, window_start", column,
                  down ? "DESC" : "ASC");
}

static void build_query(cm_buf_t *sql, const cm_query_t *query)
{
    static const char *const rows[CM_DIMENSION_COUNT] = {
        [CM_PER_CELL] = "",
        [CM_PER_URL] = " AND url IS NOT NULL AND country IS NULL",
        [CM_PER_COUNTRY] = " AND url IS NULL AND country IS NOT NULL",
        [CM_PER_NOTHING] = " AND url IS NULL AND country IS NULL"};

    cm_buf_printf(sql,
                  "SELECT url, country, window_start, updated_at, " NUMBER_COLUMNS
                  " FROM %s WHERE window = ?1%s",
                  query->dimension == CM_PER_CELL ? "answer" : "rollup", rows[query->dimension]);
    if (query->window != CM_WINDOW_ALL && query->from > 0)
        cm_buf_add_text(sql, " AND ifnull(window_start, 0) >= ?2");
    if (query->window != CM_WINDOW_ALL && query->to > 0)
        cm_buf_add_text(sql, " AND ifnull(window_start, 0) < ?3");
    if (query->url != NULL)
        cm_buf_add_text(sql, " AND url GLOB ?4");
    if (query->country != NULL)
        cm_buf_add_text(sql, " AND country = ?5");
    add_order(sql, query);
    cm_buf_add_text(sql, " LIMIT ?6 OFFSET ?7");
}

/* SQLite's GLOB has character classes, which a URL's brackets are not meant to be. */
static void glob_pattern(cm_buf_t *pattern, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '[')
            cm_buf_add_text(pattern, "[[]");
        else
            cm_buf_add_char(pattern, *text);
    }
}

static cm_str_t column_text(sqlite3_stmt *select, int at)
{
    return (cm_str_t){(const char *)sqlite3_column_text(select, at),
                      (size_t)sqlite3_column_bytes(select, at)};
}

static void read_answer(sqlite3_stmt *select, const cm_query_t *query, cm_answer_t *answer)
{
    int64_t *numbers[] = {&answer->numbers.clicks,         &answer->numbers.users,
                          &answer->numbers.time_spent_sum, &answer->numbers.time_spent_count,
                          &answer->numbers.page_time_sum,  &answer->numbers.page_time_count,
                          &answer->numbers.entrances,      &answer->numbers.exits};

    answer->dimension = query->dimension;
    answer->window = query->window;
    answer->url = column_text(select, 0);
    answer->country = column_text(select, 1);
    answer->window_start = sqlite3_column_int64(select, 2);
    answer->updated_at = sqlite3_column_int64(select, 3);
    for (int i = 0; i < (int)(sizeof numbers / sizeof numbers[0]); i++)
        *numbers[i] = sqlite3_column_int64(select, 4 + i);
}

static int embedded_query(cm_index_t *index, const cm_query_t *query, cm_answer_fn row,
                          void *context, cm_err_t *err)
{
    embedded_index_t *self = (embedded_index_t *)index;
    cm_buf_t sql = CM_BUF_INIT, pattern = CM_BUF_INIT;
    sqlite3_stmt *select = NULL;
    int step = SQLITE_DONE, rc = 0;

    if (!has_tables(&self->database))
        return 0;
    build_query(&sql, query);
    if ((rc = cm_database_prepare(&self->database, sql.data, &select, err)) < 0)
        goto done;
    sqlite3_bind_text(select, 1, cm_window_names[query->window], -1, SQLITE_STATIC);
    sqlite3_bind_int64(select, 2, query->from);
    sqlite3_bind_int64(select, 3, query->to);
    if (query->url != NULL) {
        glob_pattern(&pattern, query->url);
        sqlite3_bind_text(select, 4, pattern.data ? pattern.data : "", -1, SQLITE_STATIC);
    }
    sqlite3_bind_text(select, 5, query->country, -1, SQLITE_STATIC);
    sqlite3_bind_int64(select, 6, query->limit > 0 ? query->limit : -1);
    sqlite3_bind_int64(select, 7, query->offset);
    while (rc == 0 && (step = sqlite3_step(select)) == SQLITE_ROW) {
        cm_answer_t answer;
        read_answer(select, query, &answer);
        rc = row(context, &answer);
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = cm_database_fail(&self->database, "reading the answers", err);
done:
    sqlite3_finalize(select);
    cm_buf_free(&sql);
    cm_buf_free(&pattern);
    return rc;
}

static int read_covered(const cm_database_t *database, cm_window_t window, cm_freshness_t *out,
                        cm_err_t *err)
{
    sqlite3_stmt *select;

    int rc = cm_database_prepare(
        database, "SELECT upto, events, updated_at, cells FROM covered WHERE window = ?", &select,
        err);
    if (rc < 0)
        return rc;
    sqlite3_bind_text(select, 1, cm_window_names[window], -1, SQLITE_STATIC);
    int step = sqlite3_step(select);
    if (step == SQLITE_ROW) {
        out->present = true;
        out->processed = sqlite3_column_int64(select, 0);
        out->events = sqlite3_column_int64(select, 1);
        out->duplicates = out->processed - out->events;
        out->updated_at = sqlite3_column_int64(select, 2);
        out->cells = sqlite3_column_int64(select, 3);
    } else if (step != SQLITE_DONE) {
        rc = cm_database_fail(database, "reading the answers", err);
    }
    sqlite3_finalize(select);
    return rc;
}

static int embedded_freshness(cm_index_t *index, cm_window_t window, cm_freshness_t *out,
                              cm_err_t *err)
{
    const cm_database_t *database = &((embedded_index_t *)index)->database;
    int rc = 0;

    *out = (cm_freshness_t){0};
    if (has_tables(database))
        rc = read_covered(database, window, out, err);
    /* What is accepted comes last: a commit in between may only make it more than is processed. */
    if (rc == 0)
        rc =
            cm_database_int(database, "SELECT first + count FROM block ORDER BY first DESC LIMIT 1",
                            0, &out->accepted, err);
    if (rc == 0)
        rc = cm_database_int(database, "SELECT count(*) FROM dead", 0, &out->dead, err);
    return rc;
}

static void embedded_close(cm_index_t *index)
{
    embedded_index_t *self = (embedded_index_t *)index;
    cm_database_close(&self->database);
    free(self);
}

int cm_index_open_embedded(const char *data_dir, cm_index_t **index, cm_err_t *err)
{
    static const cm_index_ops_t ops = {embedded_query, embedded_freshness, embedded_close};
    embedded_index_t *self = cm_alloc_zero(1, sizeof *self);

    self->index.ops = &ops;
    int rc = cm_database_open_read(data_dir, &self->database, err);
    if (rc < 0)
        free(self);
    else
        *index = &self->index;
    return rc;
}
