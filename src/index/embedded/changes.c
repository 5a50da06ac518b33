#include "index/embedded/changes.h"

#include "base/arena.h"
#include "base/clock.h"
#include "index/embedded/checks.h"

#include <stdlib.h>

#define READING "reading what has changed in the answers"
#define WRITING "noting what is published"

enum { PAGE = 2048 /* rows read at once */ };

/* ---- tables ---- */

/* The strings of `retired` are empty where a row has all of them. */
static const char schema[] =
    "CREATE TABLE retired (\n"
    "    window INTEGER, start INTEGER, url TEXT, country TEXT,\n"
    "    updated_at INTEGER NOT NULL,\n"
    "    PRIMARY KEY (window, start, url, country)) WITHOUT ROWID;\n"
    "CREATE TABLE published (\n"
    "    copy TEXT PRIMARY KEY,\n"
    "    epoch TEXT NOT NULL,\n"
    "    upto INTEGER NOT NULL) WITHOUT ROWID;\n"
    "CREATE INDEX cell_updated ON cell (updated_at, window, start, url, country);\n"
    "CREATE INDEX total_updated ON total (updated_at, window, start, url, country);\n"
    /* Before this edition, `updated_at` could go back with the clock. */
    "UPDATE covered SET updated_at = max(updated_at, (SELECT ifnull(max(updated_at), 0) FROM cell),"
    " (SELECT ifnull(max(updated_at), 0) FROM total));\n";

static int has_tables(const cm_database_t *database, bool *there, cm_err_t *err)
{
    int64_t count = 0;
    int rc = cm_database_int(
        database, "SELECT count(*) FROM sqlite_master WHERE name = 'published'", 0, &count, err);
    *there = count > 0;
    return rc;
}

/* Runs statements as one transaction; `sealed`: they change `covered`. */
static int run(const cm_database_t *database, const char *sql, bool sealed, const char *doing,
               cm_err_t *err)
{
    int rc = cm_database_exec(database, "BEGIN IMMEDIATE", doing, err);
    if (rc == 0)
        rc = cm_database_exec(database, sql, doing, err);
    for (int window = 0; rc == 0 && sealed && window < CM_WINDOW_COUNT; window++)
        rc = cm_check_seal_coverage(database, (cm_window_t)window, err);
    if (rc == 0)
        rc = cm_database_exec(database, "COMMIT", doing, err);
    if (rc < 0)
        cm_database_exec(database, "ROLLBACK", doing, NULL);
    return rc;
}

int cm_index_changes_prepare(const cm_database_t *database, cm_err_t *err)
{
    bool there = false;

    int rc = cm_index_embedded_prepare(database, err);
    if (rc == 0)
        rc = has_tables(database, &there, err);
    return rc < 0 || there ? rc : run(database, schema, true, WRITING, err);
}

/* ---- checkpoints ---- */

int cm_index_changes_checkpoint(const cm_database_t *database, const char *copy,
                                cm_index_checkpoint_t *published, cm_err_t *err)
{
    sqlite3_stmt *select;

    *published = (cm_index_checkpoint_t){0};
    int rc = cm_database_prepare(database, "SELECT epoch, upto FROM published WHERE copy = ?",
                                 &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_text(select, 1, copy, -1, SQLITE_STATIC);
    int step = sqlite3_step(select);
    if (step == SQLITE_ROW) {
        const char *epoch = (const char *)sqlite3_column_text(select, 0);
        size_t len = (size_t)sqlite3_column_bytes(select, 0);
        if (len < sizeof published->epoch) { /* else another program wrote it */
            memcpy(published->epoch, epoch, len);
            published->watermark = sqlite3_column_int64(select, 1);
        }
    } else if (step != SQLITE_DONE) {
        rc = cm_database_fail(database, READING, err);
    }
    sqlite3_finalize(select);
    return rc;
}

int cm_index_changes_set_checkpoint(const cm_database_t *database, const char *copy,
                                    const cm_index_checkpoint_t *published, cm_err_t *err)
{
    sqlite3_stmt *insert = NULL;

    int rc = cm_database_exec(database, "BEGIN IMMEDIATE", WRITING, err);
    if (rc == 0)
        rc = cm_database_prepare(database, "INSERT OR REPLACE INTO published VALUES (?, ?, ?)",
                                 &insert, err);
    if (rc == 0) {
        sqlite3_bind_text(insert, 1, copy, -1, SQLITE_STATIC);
        sqlite3_bind_text(insert, 2, published->epoch, -1, SQLITE_STATIC);
        sqlite3_bind_int64(insert, 3, published->watermark);
        rc = cm_database_step(database, insert, WRITING, err);
    }
    sqlite3_finalize(insert);
    if (rc == 0)
        rc = cm_database_exec(database,
                              "DELETE FROM retired WHERE updated_at <= (SELECT min(upto) FROM "
                              "published); COMMIT",
                              WRITING, err);
    if (rc < 0)
        cm_database_exec(database, "ROLLBACK", WRITING, NULL);
    return rc;
}

int cm_index_changes_forget(const cm_database_t *database, cm_err_t *err)
{
    bool there = false;

    int rc = has_tables(database, &there, err);
    return rc < 0 || !there ? rc : run(database, "DELETE FROM published", false, WRITING, err);
}

/* ---- counts ---- */

int cm_index_changes_latest(const cm_database_t *database, int64_t *latest, cm_err_t *err)
{
    return cm_database_int(database, "SELECT max(updated_at) FROM covered", 0, latest, err);
}

int cm_index_changes_count(const cm_database_t *database, int64_t since, int64_t watermark,
                           int64_t *count, cm_err_t *err)
{
    cm_buf_t sql = CM_BUF_INIT;
    const char *where = "WHERE updated_at > %lld AND updated_at <= %lld)";

    cm_buf_add_text(&sql, "SELECT (SELECT count(*) FROM cell ");
    cm_buf_printf(&sql, where, (long long)since, (long long)watermark);
    cm_buf_add_text(&sql, " + (SELECT count(*) FROM total ");
    cm_buf_printf(&sql, where, (long long)since, (long long)watermark);
    int rc = cm_database_int(database, sql.data, 0, count, err);
    cm_buf_free(&sql);
    return rc;
}

/* ---- rows ---- */

/* Where a page ends. */
typedef struct mark {
    int64_t updated_at;
    cm_index_place_t place; /* of a row of answers */
    int64_t window, start;  /* of a tombstone, */
    cm_str_t url, country;  /* with its strings in `texts` */
    cm_buf_t texts;
} mark_t;

/* A page of rows in memory; their strings are in the arena. */
typedef struct page {
    cm_answer_t *rows;
    int count;
    cm_arena_t texts;
    mark_t mark;
} page_t;

/* A table and an order; each page begins after the mark. */
typedef struct reading {
    const char *sql;
    void (*from)(sqlite3_stmt *select, const mark_t *mark);
    void (*take)(sqlite3_stmt *select, page_t *page, cm_answer_t *answer);
} reading_t;

static cm_str_t take_text(sqlite3_stmt *select, int at, page_t *page)
{
    const char *data = (const char *)sqlite3_column_text(select, at);
    const size_t len = (size_t)sqlite3_column_bytes(select, at);
    return len == 0 ? (cm_str_t){NULL, 0} : cm_arena_copy(&page->texts, (cm_str_t){data, len});
}

static void set_window(cm_answer_t *answer, int64_t window, int64_t start)
{
    answer->window = (cm_window_t)window;
    answer->window_start = start * CM_HOUR_MS;
}

static cm_dimension_t dimension_of(bool all_urls, bool all_countries)
{
    if (all_urls)
        return all_countries ? CM_PER_NOTHING : CM_PER_COUNTRY;
    return all_countries ? CM_PER_URL : CM_PER_CELL;
}

/* The + keeps the planner from using the condition that the mark implies: it must search for the
 * mark, not for all rows since. */
#define ROWS(table, columns, marks, watermark)                                                     \
    "SELECT window, start, " table ".url, " table                                                  \
    ".country, updated_at, page.url, country.name, " CM_MEASURE_COLUMNS                            \
    CM_FROM(table) "WHERE +updated_at > ?6 AND " watermark "updated_at <= ?7 AND (" columns        \
                   ") > (" marks ") ORDER BY " columns " LIMIT ?8"
#define PLACE(table) "window, start, " table ".url, " table ".country"
/* By the index. */
#define BY_TIME(table) ROWS(table, "updated_at, " PLACE(table), "?1, ?2, ?3, ?4, ?5", "")
/* In the order of the table, which is faster when most rows are wanted. */
#define BY_PLACE(table) ROWS(table, PLACE(table), "?2, ?3, ?4, ?5", "+")

static void from_place(sqlite3_stmt *select, const mark_t *mark)
{
    sqlite3_bind_int64(select, 1, mark->updated_at);
    sqlite3_bind_int64(select, 2, mark->place.window);
    sqlite3_bind_int64(select, 3, mark->place.start);
    sqlite3_bind_int64(select, 4, mark->place.url);
    sqlite3_bind_int64(select, 5, mark->place.country);
}

static void take_row(sqlite3_stmt *select, page_t *page, cm_answer_t *answer)
{
    cm_measures_t *n = &answer->measures;
    int64_t *numbers[] = {&n->clicks,           &n->users,         &n->time_spent_sum,
                          &n->time_spent_count, &n->page_time_sum, &n->page_time_count,
                          &n->entrances,        &n->exits};
    cm_index_place_t *place = &page->mark.place;

    *place = (cm_index_place_t){sqlite3_column_int64(select, 0), sqlite3_column_int64(select, 1),
                                sqlite3_column_int64(select, 2), sqlite3_column_int64(select, 3)};
    set_window(answer, place->window, place->start);
    answer->dimension = dimension_of(place->url < 0, place->country < 0);
    answer->updated_at = page->mark.updated_at = sqlite3_column_int64(select, 4);
    answer->url = take_text(select, 5, page);
    answer->country = take_text(select, 6, page);
    for (int i = 0; i < CM_MEASURE_COLUMN_COUNT; i++)
        *numbers[i] = sqlite3_column_int64(select, 7 + i);
}

static void from_retired(sqlite3_stmt *select, const mark_t *mark)
{
    sqlite3_bind_int64(select, 1, mark->window);
    sqlite3_bind_int64(select, 2, mark->start);
    sqlite3_bind_text(select, 3, mark->url.len > 0 ? mark->url.data : "", (int)mark->url.len,
                      SQLITE_STATIC);
    sqlite3_bind_text(select, 4, mark->country.len > 0 ? mark->country.data : "",
                      (int)mark->country.len, SQLITE_STATIC);
}

static void take_retired(sqlite3_stmt *select, page_t *page, cm_answer_t *answer)
{
    mark_t *mark = &page->mark;

    mark->window = sqlite3_column_int64(select, 0);
    mark->start = sqlite3_column_int64(select, 1);
    set_window(answer, mark->window, mark->start);
    answer->url = take_text(select, 2, page);
    answer->country = take_text(select, 3, page);
    answer->updated_at = sqlite3_column_int64(select, 4);
    answer->dimension = dimension_of(answer->url.len == 0, answer->country.len == 0);
}

/* Reads the next page and ends the statement. */
static int read_page(const cm_database_t *database, const reading_t *reading, int64_t since,
                     int64_t watermark, page_t *page, cm_err_t *err)
{
    sqlite3_stmt *select;
    int step = SQLITE_DONE;

    int rc = cm_database_prepare(database, reading->sql, &select, err);
    if (rc < 0)
        return rc;
    reading->from(select, &page->mark);
    sqlite3_bind_int64(select, 6, since);
    sqlite3_bind_int64(select, 7, watermark);
    sqlite3_bind_int(select, 8, PAGE);
    cm_arena_reset(&page->texts);
    page->count = 0;
    while (page->count < PAGE && (step = sqlite3_step(select)) == SQLITE_ROW) {
        cm_answer_t *answer = &page->rows[page->count++];
        *answer = (cm_answer_t){0};
        reading->take(select, page, answer);
    }
    if (page->count < PAGE && step != SQLITE_DONE)
        rc = cm_database_fail(database, READING, err);
    sqlite3_finalize(select);
    return rc;
}

/* The next page begins after the last row of this one, whose strings are freed with the page. */
static void set_mark(page_t *page)
{
    const cm_answer_t *last = &page->rows[page->count - 1];
    mark_t *mark = &page->mark;

    cm_buf_clear(&mark->texts);
    cm_buf_add_str(&mark->texts, last->url);
    cm_buf_add_str(&mark->texts, last->country);
    mark->url = (cm_str_t){mark->texts.data, last->url.len};
    mark->country = (cm_str_t){mark->texts.data + last->url.len, last->country.len};
}

static int each(const cm_database_t *database, const reading_t *reading, int64_t since,
                int64_t watermark, cm_answer_fn row, void *context, cm_err_t *err)
{
    page_t page = {.rows = cm_alloc(PAGE * sizeof *page.rows), .mark = {.window = INT64_MIN}};
    int rc;

    page.mark.updated_at = since + 1; /* before all wanted rows */
    page.mark.place.window = INT64_MIN;
    do {
        rc = read_page(database, reading, since, watermark, &page, err);
        for (int i = 0; rc == 0 && i < page.count; i++)
            rc = row(context, &page.rows[i]);
        if (rc == 0 && page.count > 0)
            set_mark(&page);
    } while (rc == 0 && page.count == PAGE);
    free(page.rows);
    cm_arena_free(&page.texts);
    cm_buf_free(&page.mark.texts);
    return rc;
}

int cm_index_changes_each(const cm_database_t *database, int64_t since, int64_t watermark,
                          cm_answer_fn row, void *context, cm_err_t *err)
{
    static const reading_t readings[2][2] = {
        {{BY_PLACE("cell"), from_place, take_row}, {BY_PLACE("total"), from_place, take_row}},
        {{BY_TIME("cell"), from_place, take_row}, {BY_TIME("total"), from_place, take_row}}};
    int rc = 0;

    for (int table = 0; rc == 0 && table < 2; table++)
        rc = each(database, &readings[since > 0][table], since, watermark, row, context, err);
    return rc;
}

int cm_index_changes_tombstones(const cm_database_t *database, int64_t since, int64_t watermark,
                                cm_answer_fn row, void *context, cm_err_t *err)
{
    static const reading_t reading = {
        "SELECT window, start, url, country, updated_at FROM retired WHERE updated_at > ?6 AND "
        "updated_at <= ?7 AND (window, start, url, country) > (?1, ?2, ?3, ?4) "
        "ORDER BY window, start, url, country LIMIT ?8",
        from_retired, take_retired};
    return each(database, &reading, since, watermark, row, context, err);
}
