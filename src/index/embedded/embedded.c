#include "index/embedded/checked.h"
#include "index/embedded/select.h"

#include "base/clock.h"
#include "store/embedded/setting.h"
#include "store/embedded/store.h"

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

/* The tables as people ask for them. */
#define VIEW(view, name)                                                                           \
    "CREATE VIEW IF NOT EXISTS " view " AS SELECT page.url AS url, country.name AS country, "      \
    "CASE window WHEN 0 THEN 'all' WHEN 1 THEN 'day' ELSE 'hour' END AS window, "                  \
    "CASE WHEN window > 0 THEN start * 3600000 END AS window_start, clicks, "                      \
    "unique_user_count, " CM_AVERAGE(                                                              \
        "time_spent_sum",                                                                          \
        "time_spent_count") " AS average_time_spent, "                                             \
                            "time_spent_sum, time_spent_count, " CM_AVERAGE(                       \
                                "time_on_page_sum",                                                \
                                "time_on_page_count") " AS average_time_on_page, "                 \
                                                      "time_on_page_sum, time_on_page_count, "     \
                                                      "entrances, exits, updated_at" CM_FROM(      \
                                                          name) ";\n"

/* One kind of rows over all time: a query of these cannot count an event twice. */
#define LISTING(view, columns, rows)                                                               \
    "CREATE VIEW IF NOT EXISTS " view " AS SELECT " columns "clicks, unique_user_count, "          \
    "average_time_spent, time_spent_sum, time_spent_count, average_time_on_page, "                 \
    "time_on_page_sum, time_on_page_count, entrances, exits, updated_at FROM rollup "              \
    "WHERE window = 'all' AND " rows ";\n"

/* clang-format off */
static const char schema[] =
    TABLE("cell")
    TABLE("total")
    "CREATE TABLE IF NOT EXISTS page (\n"
    "    id INTEGER PRIMARY KEY, url TEXT NOT NULL, sum INTEGER NOT NULL);\n"
    "CREATE TABLE IF NOT EXISTS country (\n"
    "    id INTEGER PRIMARY KEY, name TEXT NOT NULL, sum INTEGER NOT NULL);\n"
    VIEW("answer", "cell")
    VIEW("rollup", "total")
    LISTING("pages", "url, ", "country IS NULL AND url IS NOT NULL")
    LISTING("countries", "country, ", "url IS NULL AND country IS NOT NULL")
    LISTING("summary", "", "url IS NULL AND country IS NULL")
    "CREATE TABLE IF NOT EXISTS covered (\n"
    "    window TEXT PRIMARY KEY,\n"
    "    upto INTEGER NOT NULL,\n"
    "    events INTEGER NOT NULL,\n"
    "    cells INTEGER NOT NULL,\n"
    "    session_timeout INTEGER NOT NULL,\n"
    "    updated_at INTEGER NOT NULL) WITHOUT ROWID;\n" CM_CHECK_TABLE CM_SELECT_INDEXES;
/* clang-format on */

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
                          "DROP TABLE IF EXISTS page; DROP TABLE IF EXISTS country; "
                          "DROP TABLE IF EXISTS checksum; DROP TABLE IF EXISTS covered; COMMIT",
                          doing, err);
    if (rc < 0)
        cm_database_exec(database, "ROLLBACK", doing, NULL);
    return rc;
}

/* Makes the tables that are missing, all of them or none: some without the others would be taken
 * for damaged answers. A savepoint takes no lock where nothing is missing. */
static int run_schema(const cm_database_t *database, cm_err_t *err)
{
    static const char doing[] = "making the tables of answers";

    int rc = cm_database_exec(database, "SAVEPOINT schema", doing, err);
    if (rc < 0)
        return rc;
    rc = cm_database_exec(database, schema, doing, err);
    if (rc == 0)
        rc = cm_database_exec(database, "RELEASE schema", doing, err);
    if (rc < 0 && !sqlite3_get_autocommit(database->db))
        cm_database_exec(database, "ROLLBACK TO schema; RELEASE schema", doing, NULL);
    return rc;
}

/* Makes what is missing: all, or the checksums of an earlier edition's answers. */
static int make_tables(const cm_database_t *database, cm_err_t *err)
{
    cm_check_state_t state;

    int rc = cm_check_register(database, err);
    if (rc == 0)
        rc = cm_check_state(database, &state, err);
    if (rc == 0 && state == CM_CHECK_OLDER)
        rc = cm_check_make(database, err);
    return rc < 0 ? rc : run_schema(database, err);
}

/* After a crash all answers are checked before anything is added to them. */
static int check_after_crash(const cm_database_t *database, cm_err_t *err)
{
    char mark[CM_SETTING_TEXT];

    int rc = cm_setting_get(database, CM_SETTING_CRASHED, mark, err);
    if (rc < 0 || mark[0] == '\0')
        return rc;
    rc = cm_check_all(database, err);
    return rc < 0 ? rc : cm_setting_set(database, CM_SETTING_CRASHED, "", err);
}

int cm_index_embedded_prepare(const cm_database_t *database, cm_err_t *err)
{
    int64_t older = 0;

    /* Before, answers were tables of texts. They follow from the events and are made again. */
    int rc = cm_database_int(
        database, "SELECT count(*) FROM sqlite_master WHERE name = 'answer' AND type = 'table'", 0,
        &older, err);
    if (rc == 0 && older > 0)
        rc = drop_older(database, err);
    if (rc == 0)
        rc = make_tables(database, err);
    return rc < 0 ? rc : check_after_crash(database, err);
}

int cm_index_embedded_forget(const cm_database_t *database, cm_err_t *err)
{
    /* What cannot be read cannot be dropped either: only the schema forgets it, and VACUUM gives
     * its pages back. */
    static const char forget[] =
        "DELETE FROM sqlite_master WHERE tbl_name IN ('cell', 'total', 'page', 'country', "
        "'covered', 'checksum', 'retired', 'published', 'answer', 'rollup', 'pages', 'countries', "
        "'summary')";
    static const char doing[] = "forgetting damaged answers";
    int64_t version = 0;
    char sql[60];

    int rc = cm_database_int(database, "PRAGMA schema_version", 0, &version, err);
    if (rc == 0)
        rc = cm_database_exec(database, "PRAGMA writable_schema = ON; BEGIN IMMEDIATE", doing, err);
    if (rc == 0)
        rc = cm_database_exec(database, forget, doing, err);
    snprintf(sql, sizeof sql, "PRAGMA schema_version = %lld; COMMIT", (long long)version + 1);
    if (rc == 0)
        rc = cm_database_exec(database, sql, doing, err);
    if (rc < 0 && !sqlite3_get_autocommit(database->db))
        cm_database_exec(database, "ROLLBACK", doing, NULL);
    cm_database_exec(database, "PRAGMA writable_schema = RESET", doing, NULL);
    if (rc == 0)
        rc = cm_setting_set(database, CM_SETTING_CRASHED, "", err);
    return rc < 0 ? rc : cm_index_embedded_prepare(database, err);
}

/* The names of the setting and of its values. */
static void name_copies(cm_window_t window, char name[CM_SETTING_TEXT])
{
    snprintf(name, CM_SETTING_TEXT, CM_SETTING_COPIES "%s", cm_index_window_names[window]);
}

static const char *const copies_names[] = {
    [CM_COPIES_UNKNOWN] = "", [CM_COPIES_EQUAL] = "equal", [CM_COPIES_DIFFER] = "differ"};

int cm_index_embedded_copies(const cm_database_t *database, cm_window_t window,
                             cm_index_copies_t *copies, cm_err_t *err)
{
    char name[CM_SETTING_TEXT], value[CM_SETTING_TEXT];

    name_copies(window, name);
    *copies = CM_COPIES_UNKNOWN;
    int rc = cm_setting_get(database, name, value, err);
    for (int i = CM_COPIES_EQUAL; rc == 0 && i <= CM_COPIES_DIFFER; i++) {
        if (strcmp(value, copies_names[i]) == 0)
            *copies = (cm_index_copies_t)i;
    }
    return rc;
}

int cm_index_embedded_note_copies(const cm_database_t *database, cm_window_t window, bool differ,
                                  cm_err_t *err)
{
    const cm_index_copies_t copies = differ ? CM_COPIES_DIFFER : CM_COPIES_EQUAL;
    cm_index_copies_t before;
    char name[CM_SETTING_TEXT];

    name_copies(window, name);
    int rc = cm_index_embedded_copies(database, window, &before, err);
    return rc < 0 || before == copies ? rc
                                      : cm_setting_set(database, name, copies_names[copies], err);
}

int cm_index_embedded_coverage(const cm_database_t *database, cm_window_t window,
                               cm_index_coverage_t *covered, cm_err_t *err)
{
    sqlite3_stmt *select;

    *covered = (cm_index_coverage_t){0};
    int rc = cm_database_prepare(
        database, "SELECT upto, events, session_timeout, cells FROM covered WHERE window = ?",
        &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_text(select, 1, cm_index_window_names[window], -1, SQLITE_STATIC);
    int step = sqlite3_step(select);
    if (step == SQLITE_ROW) {
        covered->end_ordinal = sqlite3_column_int64(select, 0);
        covered->events = sqlite3_column_int64(select, 1);
        covered->session_timeout = sqlite3_column_int64(select, 2);
        covered->cells = sqlite3_column_int64(select, 3);
    } else if (step != SQLITE_DONE) {
        rc = cm_check_fail_sqlite(database, "reading the answers", err);
    }
    sqlite3_finalize(select);
    return rc;
}

/* ---- reading ---- */

enum { LOOK_EVERY = 10000 }; /* steps of SQLite's machine between looks whether somebody waits */

typedef struct embedded_index {
    cm_index_t index; /* first */
    cm_database_t database;
    char *data_dir;
    bool held; /* several questions shall be answered of one moment */
    cm_checked_t checked[CM_WINDOW_COUNT][CM_DIMENSION_COUNT];
} embedded_index_t;

static cm_str_t column_text(sqlite3_stmt *select, int at)
{
    return (cm_str_t){(const char *)sqlite3_column_text(select, at),
                      (size_t)sqlite3_column_bytes(select, at)};
}

static void read_answer(sqlite3_stmt *select, const cm_index_query_t *query, cm_answer_t *answer)
{
    int64_t *numbers[] = {&answer->measures.clicks,         &answer->measures.users,
                          &answer->measures.time_spent_sum, &answer->measures.time_spent_count,
                          &answer->measures.page_time_sum,  &answer->measures.page_time_count,
                          &answer->measures.entrances,      &answer->measures.exits};

    *answer = (cm_answer_t){.dimension = query->dimension, .window = query->window};
    answer->url = column_text(select, 0);
    answer->country = column_text(select, 1);
    answer->window_start = sqlite3_column_int64(select, 2) * CM_HOUR_MS;
    answer->updated_at = sqlite3_column_int64(select, 3);
    for (int i = 0; i < (int)(sizeof numbers / sizeof numbers[0]); i++)
        *numbers[i] = sqlite3_column_int64(select, 4 + i);
}

/* Opens a database again that another process has written though we cannot: only then do its
 * changes come to be seen. */
static int freshen(embedded_index_t *self, cm_err_t *err)
{
    cm_database_t fresh;

    if (self->held || cm_database_is_fresh(&self->database))
        return 0;
    int rc = cm_database_open_read(self->data_dir, &fresh, err);
    if (rc < 0)
        return rc;
    cm_database_close(&self->database);
    self->database = fresh;
    return cm_index_select_register(&self->database, err);
}

/* Which answers there are: "older" ones also where they shall be read as they are. */
static int look_at_tables(const embedded_index_t *self, cm_check_state_t *state, cm_err_t *err)
{
    int rc = cm_check_state(&self->database, state, err);
    if (rc == 0 && *state == CM_CHECK_READY && self->index.unchecked)
        *state = CM_CHECK_OLDER;
    return rc;
}

static int look_at_asker(void *context)
{
    const cm_index_query_t *query = context;

    return query->gives_up(query->gives_up_context);
}

static cm_checked_t *checked_of(embedded_index_t *self, const cm_index_query_t *query)
{
    return &self->checked[query->window][query->dimension];
}

/* Gives the rows to `row`. Those that are sorted have all been seen when the first one comes, so
 * that nothing is given of what is damaged. */
static int give_rows(embedded_index_t *self, cm_index_select_t *ask, bool checked,
                     sqlite3_stmt *select, cm_answer_fn row, void *context, cm_err_t *err)
{
    const cm_index_query_t *query = ask->query;
    bool check = checked && !(query->unsorted && query->limit > 0);
    int step, rc = 0;

    do {
        step = sqlite3_step(select);
        if (step == SQLITE_INTERRUPT)
            return cm_fail(err, CM_ESTOP, "nobody waits for the answers any more");
        if (step != SQLITE_ROW && step != SQLITE_DONE)
            return cm_check_fail_sqlite(&self->database, "reading the answers", err);
        if (check && (step == SQLITE_DONE || !query->unsorted)) {
            rc = cm_index_select_compare(ask, &self->database, checked_of(self, query), err);
            check = false;
        }
        if (rc == 0 && step == SQLITE_ROW) {
            cm_answer_t answer;
            read_answer(select, query, &answer);
            rc = row(context, &answer);
        }
    } while (rc == 0 && step == SQLITE_ROW);
    return rc;
}

/* Prepares the question and gives its rows; while it waits for them, it is asked whether anybody
 * waits for it. */
static int ask_and_give(embedded_index_t *self, cm_index_select_t *ask, bool checked,
                        cm_answer_fn row, void *context, cm_err_t *err)
{
    const cm_index_query_t *query = ask->query;
    sqlite3 *db = self->database.db;
    sqlite3_stmt *select = NULL;

    int rc = cm_database_prepare(&self->database, ask->sql.data, &select, err);
    if (rc == 0) {
        cm_index_select_bind(ask, select);
        if (query->gives_up != NULL)
            sqlite3_progress_handler(db, LOOK_EVERY, look_at_asker, (void *)(uintptr_t)query);
        rc = give_rows(self, ask, checked, select, row, context, err);
        sqlite3_progress_handler(db, 0, NULL, NULL);
    }
    sqlite3_finalize(select);
    return rc;
}

/* Runs the query; `checked` in a transaction, so that rows and checksums are of one moment. */
static int run_query(embedded_index_t *self, const cm_index_query_t *query, bool checked,
                     cm_answer_fn row, void *context, cm_err_t *err)
{
    static const char doing[] = "reading the answers";
    const bool begin = checked && sqlite3_get_autocommit(self->database.db);
    bool indexed = false, fresh = false;
    cm_index_select_t ask;

    int rc = begin ? cm_database_exec(&self->database, "BEGIN", doing, err) : 0;
    if (rc == 0)
        rc = cm_database_has(&self->database, CM_TOTAL_COUNTRY, &indexed, err);
    if (rc == 0 && checked)
        rc = cm_index_select_fresh(query, &self->database, checked_of(self, query), &fresh, err);
    checked &= !fresh;
    cm_index_select_build(&ask, query, checked, indexed);
    if (rc == 0)
        rc = ask_and_give(self, &ask, checked, row, context, err);
    if (begin)
        cm_database_exec(&self->database, "COMMIT", doing, NULL);
    cm_index_select_free(&ask);
    return rc;
}

static int embedded_query(cm_index_t *index, const cm_index_query_t *query, cm_answer_fn row,
                          void *context, cm_err_t *err)
{
    embedded_index_t *self = (embedded_index_t *)index;
    cm_check_state_t state;

    int rc = freshen(self, err);
    if (rc == 0)
        rc = look_at_tables(self, &state, err);
    if (rc < 0 || state == CM_CHECK_NO_ANSWERS)
        return rc;
    rc = run_query(self, query, state == CM_CHECK_READY, row, context, err);
    /* What is damaged because somebody wrote it meanwhile is not damaged. */
    if (rc == 0 || rc == CM_ECORRUPT)
        return cm_database_is_fresh(&self->database)
                   ? rc
                   : cm_database_check_fresh(&self->database, err);
    return rc;
}

static int read_covered(const cm_database_t *database, cm_window_t window, cm_freshness_t *out,
                        cm_err_t *err)
{
    sqlite3_stmt *select;

    int rc = cm_database_prepare(
        database,
        "SELECT upto, events, updated_at, cells, session_timeout FROM covered WHERE window = ?",
        &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_text(select, 1, cm_index_window_names[window], -1, SQLITE_STATIC);
    int step = sqlite3_step(select);
    if (step == SQLITE_ROW) {
        out->present = true;
        out->processed = sqlite3_column_int64(select, 0);
        out->events = sqlite3_column_int64(select, 1);
        out->duplicates = out->processed - out->events;
        out->updated_at = sqlite3_column_int64(select, 2);
        out->cells = sqlite3_column_int64(select, 3);
        out->session_timeout = sqlite3_column_int64(select, 4);
    } else if (step != SQLITE_DONE) {
        rc = cm_check_fail_sqlite(database, "reading the answers", err);
    }
    sqlite3_finalize(select);
    return rc;
}

/* The same, checked: both of one moment. */
static int read_covered_checked(const cm_database_t *database, cm_window_t window,
                                cm_freshness_t *out, cm_err_t *err)
{
    const bool begin = sqlite3_get_autocommit(database->db);

    int rc = begin ? cm_database_exec(database, "BEGIN", "reading the answers", err) : 0;
    if (rc == 0)
        rc = cm_check_coverage(database, window, err);
    if (rc == 0)
        rc = read_covered(database, window, out, err);
    if (begin)
        cm_database_exec(database, "COMMIT", "reading the answers", NULL);
    return rc;
}

/* A day or an hour counts true visitors. Of another store's events, how many days they are of is
 * not known here. */
static int read_daily(const embedded_index_t *self, cm_window_t window, cm_freshness_t *out,
                      cm_err_t *err)
{
    if (window != CM_WINDOW_ALL)
        return 0;
    if (out->session_timeout < 0) {
        out->daily_visitors = self->index.daily;
        return 0;
    }
    return cm_store_embedded_counts_days(&self->database, self->index.daily, &out->daily_visitors,
                                         err);
}

static int embedded_freshness(cm_index_t *index, cm_window_t window, cm_freshness_t *out,
                              cm_err_t *err)
{
    embedded_index_t *self = (embedded_index_t *)index;
    const cm_database_t *database = &self->database;
    cm_check_state_t state = CM_CHECK_NO_ANSWERS;
    int rc = freshen(self, err);

    *out = (cm_freshness_t){0};
    if (rc == 0)
        rc = look_at_tables(self, &state, err);
    if (rc == 0 && state == CM_CHECK_READY)
        rc = read_covered_checked(database, window, out, err);
    else if (rc == 0 && state == CM_CHECK_OLDER)
        rc = read_covered(database, window, out, err);
    if (rc == 0)
        rc = read_daily(self, window, out, err);
    /* What is accepted comes last: a commit in between may only make it more than is processed. */
    if (rc == 0)
        rc =
            cm_database_int(database, "SELECT first + count FROM block ORDER BY first DESC LIMIT 1",
                            0, &out->accepted, err);
    if (out->session_timeout < 0) /* of another store: its events are not counted here */
        out->accepted = out->processed;
    if (rc == 0)
        rc = cm_database_int(database, "SELECT count(*) FROM dead", 0, &out->dead, err);
    return rc;
}

/* The first question settles the moment. */
static int embedded_hold(cm_index_t *index, cm_err_t *err)
{
    embedded_index_t *self = (embedded_index_t *)index;

    int rc = freshen(self, err);
    self->held = rc == 0;
    return rc < 0 ? rc : cm_database_exec(&self->database, "BEGIN", "reading the answers", err);
}

static void embedded_close(cm_index_t *index)
{
    embedded_index_t *self = (embedded_index_t *)index;
    cm_database_close(&self->database);
    for (int window = 0; window < CM_WINDOW_COUNT; window++) {
        for (int dimension = 0; dimension < CM_DIMENSION_COUNT; dimension++)
            cm_checked_free(&self->checked[window][dimension]);
    }
    free(self->data_dir);
    free(self);
}

int cm_index_embedded_open(const char *data_dir, cm_index_t **index, cm_err_t *err)
{
    static const cm_index_ops_t ops = {.query = embedded_query,
                                       .freshness = embedded_freshness,
                                       .close = embedded_close,
                                       .hold = embedded_hold};
    embedded_index_t *self = cm_alloc_zero(1, sizeof *self);

    self->index.ops = &ops;
    int rc = cm_database_open_read(data_dir, &self->database, err);
    if (rc == 0 && (rc = cm_index_select_register(&self->database, err)) < 0)
        cm_database_close(&self->database);
    if (rc < 0) {
        free(self);
        return rc;
    }
    self->data_dir = cm_strdup(data_dir);
    *index = &self->index;
    return 0;
}
