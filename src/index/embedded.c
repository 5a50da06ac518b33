#include "index/embedded_inside.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>

/* Rows of numbers, one tree in the order in which the mill gives them: a quarter of the bytes and
 * of the time that rows with their texts and an index over these take. `window` is cm_window_t,
 * `start` hours since the epoch, `url` and `country` are ids of the tables below or CM_ALL_IDS. */
#define TABLE(name)                                                                                \
    "CREATE TABLE IF NOT EXISTS " name " (\n"                                                      \
    "    window INTEGER, start INTEGER, url INTEGER, country INTEGER,\n"                           \
    "    clicks INTEGER NOT NULL,\n"                                                               \
    "    unique_user_count INTEGER NOT NULL,\n"                                                    \
    "    time_spent_sum INTEGER NOT NULL,\n"                                                       \
    "    time_spent_count INTEGER NOT NULL,\n"                                                     \
    "    time_on_page_sum INTEGER NOT NULL,\n"                                                     \
    "    time_on_page_count INTEGER NOT NULL,\n"                                                   \
    "    entrances INTEGER NOT NULL,\n"                                                            \
    "    exits INTEGER NOT NULL,\n"                                                                \
    "    updated_at INTEGER NOT NULL,\n"                                                           \
    "    PRIMARY KEY (window, start, url, country)) WITHOUT ROWID;\n"

#define AVERAGE(sum, count) "CASE WHEN " count " <> 0 THEN CAST(" sum " AS REAL) / " count " END"

/* url and country are NULL where a row has them all. */
#define FROM(name)                                                                                 \
    " FROM " name " LEFT JOIN page ON page.id = " name ".url "                                     \
    "LEFT JOIN country ON country.id = " name ".country "

/* The tables as people ask for them. */
#define VIEW(view, name)                                                                           \
    "CREATE VIEW IF NOT EXISTS " view " AS SELECT page.url AS url, country.name AS country, "      \
    "CASE window WHEN 0 THEN 'all' WHEN 1 THEN 'day' ELSE 'hour' END AS window, "                  \
    "CASE WHEN window > 0 THEN start * 3600000 END AS window_start, clicks, "                      \
    "unique_user_count, " AVERAGE(                                                                 \
        "time_spent_sum",                                                                          \
        "time_spent_count") " AS average_time_spent, "                                             \
                            "time_spent_sum, time_spent_count, " AVERAGE(                          \
                                "time_on_page_sum",                                                \
                                "time_on_page_count") " AS average_time_on_page, "                 \
                                                      "time_on_page_sum, time_on_page_count, "     \
                                                      "entrances, exits, updated_at" FROM(         \
                                                          name) ";\n"

#define KEY_WHERE " WHERE window = ? AND start = ? AND url = ? AND country = ?"

#define ROW "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
#define INSERT(name)                                                                               \
    "INSERT INTO " name " (" CM_NUMBER_COLUMNS ", updated_at, window, start, url, country) "       \
    "VALUES " ROW

#define UPDATE(name)                                                                               \
    "UPDATE " name " SET clicks = clicks + ?, unique_user_count = unique_user_count + ?, "         \
    "time_spent_sum = time_spent_sum + ?, time_spent_count = time_spent_count + ?, "               \
    "time_on_page_sum = time_on_page_sum + ?, time_on_page_count = time_on_page_count + ?, "       \
    "entrances = entrances + ?, exits = exits + ?, updated_at = ?" KEY_WHERE

enum {
    AHEAD = 8, /* rows between fetching a cell and writing it */
    /* Rows of one statement: beginning and ending it takes as long as a row. More gain nothing. */
    TOGETHER = 32,
    PARAMETERS = 13, /* of a row */
};

static const char schema[] = TABLE("cell")
    TABLE("total") "CREATE TABLE IF NOT EXISTS page (\n"
                   "    id INTEGER PRIMARY KEY, url TEXT NOT NULL);\n"
                   "CREATE TABLE IF NOT EXISTS country (\n"
                   "    id INTEGER PRIMARY KEY, name TEXT NOT NULL);\n" VIEW("answer", "cell")
                       VIEW("rollup", "total") "CREATE TABLE IF NOT EXISTS covered (\n"
                                               "    window TEXT PRIMARY KEY,\n"
                                               "    upto INTEGER NOT NULL,\n"
                                               "    events INTEGER NOT NULL,\n"
                                               "    cells INTEGER NOT NULL,\n"
                                               "    session_timeout INTEGER NOT NULL,\n"
                                               "    updated_at INTEGER NOT NULL) WITHOUT ROWID;\n";

/* Drops the older form, whole or not at all: `covered` alone would say that nothing is to be done.
 */
static int drop_older(const cm_database_t *database, cm_err_t *err)
{
    static const char doing[] = "making the tables of answers";

    int rc = cm_database_exec(database, "BEGIN IMMEDIATE", doing, err);
    if (rc < 0)
        return rc;
    rc = cm_database_exec(database,
                          "DROP TABLE answer; DROP TABLE IF EXISTS rollup; "
                          "DROP TABLE IF EXISTS covered; COMMIT",
                          doing, err);
    if (rc < 0)
        cm_database_exec(database, "ROLLBACK", doing, NULL);
    return rc;
}

int cm_embedded_index_prepare(const cm_database_t *database, cm_err_t *err)
{
    int64_t older = 0;

    /* Before, answers were tables of texts. They follow from the events and are made again. */
    int rc = cm_database_int(
        database, "SELECT count(*) FROM sqlite_master WHERE name = 'answer' AND type = 'table'", 0,
        &older, err);
    if (rc == 0 && older > 0)
        rc = drop_older(database, err);
    return rc < 0 ? rc : cm_database_exec(database, schema, "making the tables of answers", err);
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

/* One transaction's work. */
typedef struct writing {
    const cm_database_t *database;
    const cm_mill_result_t *result;
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

/* Gives the tables of texts those ids of the field that they have not yet. */
static int write_texts(const writing_t *writing, cm_reader_t *reader, cm_field_t field,
                       const char *next, const char *insert, cm_err_t *err)
{
    const cm_database_t *database = writing->database;
    sqlite3_stmt *statement = NULL;
    uint32_t count;
    int64_t id;

    int rc = cm_reader_names(reader, field, &count, err);
    if (rc == 0)
        rc = cm_database_int(database, next, 0, &id, err);
    if (rc == 0)
        rc = cm_database_prepare(database, insert, &statement, err);
    for (; rc == 0 && id < count; id++) {
        cm_str_t text;
        if ((rc = cm_reader_name(reader, field, (uint32_t)id, &text, err)) < 0)
            break;
        sqlite3_bind_int64(statement, 1, id);
        sqlite3_bind_text(statement, 2, text.data, (int)text.len, SQLITE_STATIC);
        rc = cm_database_step(database, statement, "writing answers", err);
        if (rc == 0 && id % 4096 == 0)
            rc = check_stop(writing, err);
    }
    sqlite3_finalize(statement);
    return rc;
}

int cm_embedded_bind_numbers(sqlite3_stmt *statement, int at, const cm_numbers_t *numbers)
{
    const int64_t list[] = {numbers->clicks,         numbers->users,
                            numbers->time_spent_sum, numbers->time_spent_count,
                            numbers->page_time_sum,  numbers->page_time_count,
                            numbers->entrances,      numbers->exits};

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        sqlite3_bind_int64(statement, at++, list[i]);
    return at;
}

static void bind_id(sqlite3_stmt *statement, int at, uint32_t id)
{
    sqlite3_bind_int64(statement, at, id == CM_CELL_ALL ? CM_ALL_IDS : (int64_t)id);
}

static void bind_row(const writing_t *writing, sqlite3_stmt *statement, int at,
                     const cm_cell_t *cell)
{
    at = cm_embedded_bind_numbers(statement, at, &cell->numbers);
    sqlite3_bind_int64(statement, at++, writing->now);
    sqlite3_bind_int(statement, at++, (int)cm_cell_window_kind(cell->key.window));
    sqlite3_bind_int64(statement, at++, cm_cell_window_start(cell->key.window) / CM_HOUR_MS);
    bind_id(statement, at++, cell->key.url);
    bind_id(statement, at, cell->key.country);
}

static int write_row(const writing_t *writing, sqlite3_stmt *statement, const cm_cell_t *cell,
                     cm_err_t *err)
{
    bind_row(writing, statement, 1, cell);
    return cm_database_step(writing->database, statement, "writing answers", err);
}

/* The statements of one table, and the new rows that are not written yet. */
typedef struct table {
    sqlite3_stmt *insert, *insert_together, *update;
    const cm_cell_t *waiting[TOGETHER];
    int count;
} table_t;

static int open_table(const cm_database_t *database, const char *insert, const char *update,
                      table_t *table, cm_err_t *err)
{
    cm_buf_t together = CM_BUF_INIT;

    *table = (table_t){0};
    cm_buf_add_text(&together, insert);
    for (int i = 1; i < TOGETHER; i++)
        cm_buf_add_text(&together, ", " ROW);
    int rc = cm_database_prepare(database, insert, &table->insert, err);
    if (rc == 0)
        rc = cm_database_prepare(database, together.data, &table->insert_together, err);
    if (rc == 0)
        rc = cm_database_prepare(database, update, &table->update, err);
    cm_buf_free(&together);
    return rc;
}

static void close_table(table_t *table)
{
    sqlite3_finalize(table->insert);
    sqlite3_finalize(table->insert_together);
    sqlite3_finalize(table->update);
}

static int write_waiting(const writing_t *writing, table_t *table, cm_err_t *err)
{
    int rc = 0;

    if (table->count == TOGETHER) {
        for (int i = 0; i < TOGETHER; i++)
            bind_row(writing, table->insert_together, 1 + i * PARAMETERS, table->waiting[i]);
        rc = cm_database_step(writing->database, table->insert_together, "writing answers", err);
    } else {
        for (int i = 0; rc == 0 && i < table->count; i++)
            rc = write_row(writing, table->insert, table->waiting[i], err);
    }
    table->count = 0;
    return rc;
}

/* `fresh`: the row is not there yet. *added says whether it is made. */
static int write_change(const writing_t *writing, table_t *table, const cm_cell_t *cell, bool fresh,
                        bool *added, cm_err_t *err)
{
    int rc = 0;

    *added = fresh;
    if (!fresh) {
        rc = write_row(writing, table->update, cell, err);
        *added = rc == 0 && sqlite3_changes(writing->database->db) == 0;
    }
    if (!*added)
        return rc;
    table->waiting[table->count++] = cell;
    return table->count == TOGETHER ? write_waiting(writing, table, err) : 0;
}

/* `fresh`: none of the rows is there yet. */
static int write_changes(writing_t *writing, bool fresh, cm_err_t *err)
{
    const cm_mill_result_t *result = writing->result;
    table_t cells, totals = {0};

    int rc = open_table(writing->database, INSERT("cell"), UPDATE("cell"), &cells, err);
    if (rc == 0)
        rc = open_table(writing->database, INSERT("total"), UPDATE("total"), &totals, err);
    for (size_t i = 0; rc == 0 && i < result->count; i++) {
        const cm_cell_t *cell = result->cells[i];
        if (i + AHEAD < result->count) /* the order of urls is not that of memory */
            __builtin_prefetch(result->cells[i + AHEAD]);
        bool total = cell->key.url == CM_CELL_ALL || cell->key.country == CM_CELL_ALL, added;
        if (cm_numbers_zero(&cell->numbers))
            continue;
        rc = write_change(writing, total ? &totals : &cells, cell, fresh, &added, err);
        if (added && !total)
            writing->added[cm_cell_window_kind(cell->key.window)]++;
        if (rc == 0 && i % 4096 == 0)
            rc = check_stop(writing, err);
    }
    if (rc == 0 && (rc = write_waiting(writing, &cells, err)) == 0)
        rc = write_waiting(writing, &totals, err);
    close_table(&cells);
    close_table(&totals);
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
                                "DELETE FROM cell; DELETE FROM total; DELETE FROM covered; "
                                "DELETE FROM page; DELETE FROM country",
                                "emptying the answers", err);
    for (int window = 0; rc == 0 && window < CM_WINDOW_COUNT; window++) {
        if (!(windows & 1u << window))
            continue;
        snprintf(sql, sizeof sql,
                 "DELETE FROM cell WHERE window = %d; DELETE FROM total WHERE window = %d; "
                 "DELETE FROM covered WHERE window = '%s'",
                 window, window, cm_window_names[window]);
        rc = cm_database_exec(database, sql, "emptying the answers", err);
    }
    return rc;
}

/* Empties what is to be written anew. */
static int make_way(const cm_database_t *database, unsigned windows, cm_err_t *err)
{
    bool alone = true;
    int rc = 0;

    for (int window = 0; rc == 0 && window < CM_WINDOW_COUNT; window++) {
        cm_covered_t covered = {0};
        if (!(windows & 1u << window))
            rc = cm_embedded_index_covered(database, (cm_window_t)window, &covered, err);
        alone &= covered.cells == 0;
    }
    return rc < 0 ? rc : empty_windows(database, windows, alone, err);
}

/* What answers there are already. */
typedef struct before {
    bool foreign;   /* they are of another store */
    bool published; /* and copied elsewhere */
    int64_t last;   /* updated_at of the latest change */
} before_t;

static int look_before(const cm_database_t *database, before_t *before, cm_err_t *err)
{
    int64_t foreign = 0;

    int rc = cm_database_int(database, "SELECT count(*) FROM covered WHERE session_timeout < 0", 0,
                             &foreign, err);
    if (rc == 0)
        rc =
            cm_database_int(database, "SELECT max(updated_at) FROM covered", 0, &before->last, err);
    if (rc == 0)
        rc = cm_embedded_published(database, &before->published, err);
    before->foreign = foreign > 0;
    return rc;
}

/* Answers of another store have other ids: they go before ours come. When it is theirs that come,
 * windows that are not asked for go, too. */
static int make_room(const writing_t *writing, const before_t *before, unsigned windows,
                     bool replace, bool foreign, cm_err_t *err)
{
    const cm_database_t *database = writing->database;
    const unsigned all = (1u << CM_WINDOW_COUNT) - 1;
    unsigned go = 0;
    int rc = 0;

    if (before->foreign && !foreign)
        go = all;
    else if (foreign && !before->foreign)
        go = all & ~windows;
    if (go != 0 && before->published)
        rc = cm_embedded_retire(database, go, writing->now, err);
    if (rc == 0 && go != 0)
        rc = empty_windows(database, go, go == all, err);
    if (rc == 0 && replace && !foreign && !(before->published && go == 0))
        rc = make_way(database, windows, err);
    return rc;
}

/* Adds the result to what is there, or to nothing. */
static int write_result(writing_t *writing, cm_reader_t *reader, unsigned windows, bool fresh,
                        int64_t session_timeout, cm_err_t *err)
{
    const cm_database_t *database = writing->database;

    int rc = write_texts(writing, reader, CM_URL, "SELECT ifnull(max(id), -1) + 1 FROM page",
                         "INSERT INTO page VALUES (?, ?)", err);
    if (rc == 0)
        rc = write_texts(writing, reader, CM_COUNTRY, "SELECT ifnull(max(id), -1) + 1 FROM country",
                         "INSERT INTO country VALUES (?, ?)", err);
    if (rc == 0)
        rc = write_changes(writing, fresh, err);
    for (int window = 0; rc == 0 && window < CM_WINDOW_COUNT; window++) {
        if (windows & 1u << window)
            rc = write_covered(database, writing->result, (cm_window_t)window,
                               writing->added[window], session_timeout, writing->now, err);
    }
    return rc;
}

int cm_embedded_index_apply(const cm_database_t *database, cm_reader_t *reader,
                            const cm_mill_result_t *result, unsigned windows, bool replace,
                            int64_t session_timeout, int64_t now, const atomic_bool *stop,
                            bool *changed, cm_err_t *err)
{
    writing_t writing = {.database = database, .result = result, .stop = stop};
    const bool foreign = session_timeout < 0;
    before_t before = {0};

    int rc = cm_database_exec(database, "BEGIN IMMEDIATE", "writing answers", err);
    if (rc < 0)
        return rc;
    rc = look_before(database, &before, err);
    writing.now = now > before.last ? now : before.last + 1;
    if (rc == 0)
        rc = make_room(&writing, &before, windows, replace, foreign, err);
    if (rc == 0 && replace && (foreign || (before.published && !before.foreign))) {
        const cm_difference_t difference = {database, reader,          result,     windows,
                                            foreign,  session_timeout, writing.now};
        rc = cm_embedded_write_difference(&difference, changed, err);
    } else if (rc == 0) {
        *changed = true;
        rc = write_result(&writing, reader, windows, replace, session_timeout, err);
    }
    if (rc == 0)
        rc = check_stop(&writing, err);
    if (rc == 0)
        rc = cm_database_exec(database, "COMMIT", "writing answers", err);
    if (rc < 0)
        cm_database_exec(database, "ROLLBACK", "writing answers", NULL);
    return rc;
}

int cm_embedded_published(const cm_database_t *database, bool *published, cm_err_t *err)
{
    int64_t tables = 0;

    int rc = cm_database_int(
        database, "SELECT count(*) FROM sqlite_master WHERE name IN ('published', 'retired')", 0,
        &tables, err);
    *published = tables == 2;
    return rc;
}

/* ---- reading ---- */

void cm_embedded_read_numbers(sqlite3_stmt *row, int at, cm_numbers_t *numbers)
{
    int64_t *list[] = {&numbers->clicks,         &numbers->users,
                       &numbers->time_spent_sum, &numbers->time_spent_count,
                       &numbers->page_time_sum,  &numbers->page_time_count,
                       &numbers->entrances,      &numbers->exits};

    for (int i = 0; i < (int)(sizeof list / sizeof list[0]); i++)
        *list[i] = sqlite3_column_int64(row, at + i);
}

typedef struct embedded_index {
    cm_index_t index; /* first */
    cm_database_t database;
} embedded_index_t;

static bool has_tables(const cm_database_t *database)
{
    int64_t count = 0;
    /* Not the older form, whose answers `process` makes again. */
    cm_database_int(database, "SELECT count(*) FROM sqlite_master WHERE name = 'total'", 0, &count,
                    NULL);
    return count == 1;
}

static void add_order(cm_buf_t *sql, const cm_query_t *query)
{
    static const char *const columns[CM_SORT_COUNT] = {
        [CM_SORT_AVERAGE_TIME_SPENT] = AVERAGE("time_spent_sum", "time_spent_count"),
        [CM_SORT_AVERAGE_TIME_ON_PAGE] = AVERAGE("time_on_page_sum", "time_on_page_count"),
        [CM_SORT_URL] = "page.url",
        [CM_SORT_COUNTRY] = "country.name",
        [CM_SORT_WINDOW] = "start"};
    bool text = query->sort >= CM_SORT_URL;
    bool down = text == query->reverse;
    const char *column = columns[query->sort];

    cm_buf_printf(sql, " ORDER BY %s %s NULLS LAST, page.url, country.name, start",
                  column != NULL ? column : cm_sort_names[query->sort], down ? "DESC" : "ASC");
}

static void build_query(cm_buf_t *sql, const cm_query_t *query)
{
    static const struct {
        const char *from, *rows;
    } parts[CM_DIMENSION_COUNT] = {
        [CM_PER_CELL] = {FROM("cell"), ""},
        [CM_PER_URL] = {FROM("total"), " AND total.url >= 0 AND total.country < 0"},
        [CM_PER_COUNTRY] = {FROM("total"), " AND total.url < 0 AND total.country >= 0"},
        [CM_PER_NOTHING] = {FROM("total"), " AND total.url < 0 AND total.country < 0"}};

    cm_buf_printf(sql,
                  "SELECT page.url, country.name, start, updated_at, " CM_NUMBER_COLUMNS
                  "%s WHERE window = ?1%s",
                  parts[query->dimension].from, parts[query->dimension].rows);
    if (query->window != CM_WINDOW_ALL && query->from > 0)
        cm_buf_add_text(sql, " AND start * 3600000 >= ?2");
    if (query->window != CM_WINDOW_ALL && query->to > 0)
        cm_buf_add_text(sql, " AND start * 3600000 < ?3");
    if (query->url != NULL)
        cm_buf_add_text(sql, " AND page.url GLOB ?4");
    if (query->country != NULL)
        cm_buf_add_text(sql, " AND country.name = ?5");
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
    *answer = (cm_answer_t){.dimension = query->dimension, .window = query->window};
    answer->url = column_text(select, 0);
    answer->country = column_text(select, 1);
    answer->window_start = sqlite3_column_int64(select, 2) * CM_HOUR_MS;
    answer->updated_at = sqlite3_column_int64(select, 3);
    cm_embedded_read_numbers(select, 4, &answer->numbers);
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
    sqlite3_bind_int(select, 1, (int)query->window);
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
