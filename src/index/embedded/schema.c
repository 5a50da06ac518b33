/* The tables of the embedded index, and what is noted of its windows. */
#include "index/embedded/select.h"

#include "base/clock.h"
#include "store/embedded/setting.h"

#include <stdio.h>

/* Rows of measures, one tree in the order in which the mill gives them: this takes a quarter of the
 * bytes and of the time of rows with their strings and an index over these. `window` is
 * cm_window_t, `start` hours since the epoch, `url` and `country` are ids of the tables below or
 * CM_ALL_IDS. */
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

/* The same tables as views for users. */
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

/* One kind of rows over all time: a query of such a view cannot count an event twice. */
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

/* Drops the older form in one transaction: with `covered` alone the answers would count as up to
 * date. */
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

/* Makes what is missing: all tables, or the checksums of an earlier edition's answers. */
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

    /* Earlier editions had tables of strings. They follow from the events and are computed again.
     */
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
    /* Tables that cannot be read cannot be dropped either: they are removed from the schema, and
     * VACUUM frees their pages. */
    static const char forget[] =
        "DELETE FROM sqlite_master WHERE tbl_name IN ('cell', 'total', 'page', 'country', "
        "'covered', 'checksum', 'peak', 'retired', 'published', 'answer', 'rollup', 'pages', "
        "'countries', "
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

int cm_index_embedded_visitors(const cm_database_t *database, bool *daily, bool *several,
                               cm_err_t *err)
{
    char value[CM_SETTING_TEXT];

    int rc = cm_setting_get(database, CM_SETTING_ANSWERS_VISITORS, value, err);
    *several = strcmp(value, "daily") == 0;
    *daily = *several || strcmp(value, "users") == 0;
    return rc;
}

int cm_index_embedded_note_visitors(const cm_database_t *database, bool daily, bool several,
                                    cm_err_t *err)
{
    const char *value = !daily ? "" : several ? "daily" : "users";
    char before[CM_SETTING_TEXT];

    int rc = cm_setting_get(database, CM_SETTING_ANSWERS_VISITORS, before, err);
    return rc < 0 || strcmp(before, value) == 0
               ? rc
               : cm_setting_set(database, CM_SETTING_ANSWERS_VISITORS, value, err);
}

int cm_index_embedded_coverage(const cm_database_t *database, cm_window_t window,
                               cm_index_coverage_t *covered, cm_err_t *err)
{
    sqlite3_stmt *select;

    *covered = (cm_index_coverage_t){0};
    int rc = cm_database_prepare(
        database,
        "SELECT upto, events, session_timeout, cells, updated_at FROM covered WHERE window = ?",
        &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_text(select, 1, cm_index_window_names[window], -1, SQLITE_STATIC);
    int step = sqlite3_step(select);
    if (step == SQLITE_ROW) {
        covered->present = true;
        covered->end_ordinal = sqlite3_column_int64(select, 0);
        covered->events = sqlite3_column_int64(select, 1);
        covered->session_timeout = sqlite3_column_int64(select, 2);
        covered->cells = sqlite3_column_int64(select, 3);
        covered->updated_at = sqlite3_column_int64(select, 4);
    } else if (step != SQLITE_DONE) {
        rc = cm_check_fail_sqlite(database, "reading the answers", err);
    }
    sqlite3_finalize(select);
    return rc;
}
