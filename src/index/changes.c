#include "index/changes.h"

#include "base/clock.h"
#include "index/embedded_inside.h"

#include <stdio.h>
#include <stdlib.h>

enum { PAGE = 4096 };

int cm_changes_prepare(const cm_database_t *database, cm_err_t *err)
{
    int rc = cm_embedded_index_prepare(database, err);
    if (rc < 0)
        return rc;
    return cm_database_exec(database,
                            "CREATE TABLE IF NOT EXISTS published (copy TEXT PRIMARY KEY,\n"
                            "    epoch TEXT NOT NULL, upto INTEGER NOT NULL) WITHOUT ROWID;\n"
                            "CREATE TABLE IF NOT EXISTS retired (window INTEGER, start INTEGER,\n"
                            "    url TEXT, country TEXT, at INTEGER NOT NULL);\n"
                            "CREATE INDEX IF NOT EXISTS cell_changed ON cell (updated_at);\n"
                            "CREATE INDEX IF NOT EXISTS total_changed ON total (updated_at);\n",
                            "preparing the answers to be copied", err);
}

int cm_changes_published(const cm_database_t *database, const char *copy, cm_published_t *published,
                         cm_err_t *err)
{
    sqlite3_stmt *row;

    *published = (cm_published_t){.upto = 0};
    int rc = cm_database_prepare(database, "SELECT epoch, upto FROM published WHERE copy = ?", &row,
                                 err);
    if (rc < 0)
        return rc;
    sqlite3_bind_text(row, 1, copy, -1, SQLITE_STATIC);
    int step = sqlite3_step(row);
    if (step == SQLITE_ROW) {
        snprintf(published->epoch, sizeof published->epoch, "%s",
                 (const char *)sqlite3_column_text(row, 0));
        published->upto = sqlite3_column_int64(row, 1);
    } else if (step != SQLITE_DONE) {
        rc = cm_database_fail(database, "reading how far a copy is", err);
    }
    sqlite3_finalize(row);
    return rc;
}

int cm_changes_set_published(const cm_database_t *database, const char *copy,
                             const cm_published_t *published, cm_err_t *err)
{
    static const char doing[] = "noting how far a copy is";
    sqlite3_stmt *statement = NULL;

    int rc = cm_database_exec(database, "BEGIN IMMEDIATE", doing, err);
    if (rc < 0)
        return rc;
    rc = cm_database_prepare(database, "INSERT OR REPLACE INTO published VALUES (?, ?, ?)",
                             &statement, err);
    if (rc == 0) {
        sqlite3_bind_text(statement, 1, copy, -1, SQLITE_STATIC);
        sqlite3_bind_text(statement, 2, published->epoch, -1, SQLITE_STATIC);
        sqlite3_bind_int64(statement, 3, published->upto);
        rc = cm_database_step(database, statement, doing, err);
    }
    if (rc == 0)
        rc = cm_database_exec(
            database, "DELETE FROM retired WHERE at <= (SELECT min(upto) FROM published); COMMIT",
            doing, err);
    if (rc < 0)
        cm_database_exec(database, "ROLLBACK", doing, NULL);
    sqlite3_finalize(statement);
    return rc;
}

int cm_changes_forget(const cm_database_t *database, cm_err_t *err)
{
    bool published;

    int rc = cm_embedded_published(database, &published, err);
    return rc == 0 && published ? cm_database_exec(database, "DELETE FROM published",
                                                   "forgetting how far the copies are", err)
                                : rc;
}

int cm_changes_latest(const cm_database_t *database, int64_t *latest, cm_err_t *err)
{
    return cm_database_int(database, "SELECT max(updated_at) FROM covered", 0, latest, err);
}

int cm_changes_count(const cm_database_t *database, int64_t since, int64_t upto, int64_t *count,
                     cm_err_t *err)
{
    char sql[300];

    snprintf(sql, sizeof sql,
             "SELECT (SELECT count(*) FROM cell WHERE updated_at > %lld AND updated_at <= %lld) + "
             "(SELECT count(*) FROM total WHERE updated_at > %lld AND updated_at <= %lld)",
             (long long)since, (long long)upto, (long long)since, (long long)upto);
    return cm_database_int(database, sql, 0, count, err);
}

/* ---- page by page ---- */

/* Where the next page begins: behind this row, in the order of the index over updated_at. */
typedef struct mark {
    int64_t updated_at, window, start, url, country;
} mark_t;

/* Rows that were read; their texts are in the arena. */
typedef struct page {
    cm_answer_t answers[PAGE];
    int count;
    cm_arena_t texts;
    mark_t last;
} page_t;

static cm_str_t copy_text(page_t *page, sqlite3_stmt *row, int at)
{
    return cm_arena_copy(&page->texts, (cm_str_t){(const char *)sqlite3_column_text(row, at),
                                                  (size_t)sqlite3_column_bytes(row, at)});
}

static cm_dimension_t dimension_of(bool url, bool country)
{
    return url ? (country ? CM_PER_CELL : CM_PER_URL) : country ? CM_PER_COUNTRY : CM_PER_NOTHING;
}

static void take_row(page_t *page, sqlite3_stmt *row)
{
    cm_answer_t *answer = &page->answers[page->count++];

    page->last = (mark_t){sqlite3_column_int64(row, 0), sqlite3_column_int64(row, 1),
                          sqlite3_column_int64(row, 2), sqlite3_column_int64(row, 3),
                          sqlite3_column_int64(row, 4)};
    *answer = (cm_answer_t){
        .dimension = dimension_of(page->last.url != CM_ALL_IDS, page->last.country != CM_ALL_IDS),
        .window = (cm_window_t)page->last.window,
        .window_start = page->last.start * CM_HOUR_MS,
        .url = copy_text(page, row, 5),
        .country = copy_text(page, row, 6),
        .updated_at = page->last.updated_at};
    cm_embedded_read_numbers(row, 7, &answer->numbers);
}

static int read_page(const cm_database_t *database, sqlite3_stmt *select, page_t *page,
                     cm_err_t *err)
{
    const mark_t *last = &page->last;
    const int64_t marks[] = {last->updated_at, last->window, last->start, last->url, last->country};
    int step;

    page->count = 0;
    cm_arena_reset(&page->texts);
    for (int i = 0; i < 5; i++)
        sqlite3_bind_int64(select, 1 + i, marks[i]);
    while ((step = sqlite3_step(select)) == SQLITE_ROW)
        take_row(page, select);
    sqlite3_reset(select);
    return step == SQLITE_DONE ? 0 : cm_database_fail(database, "reading the answers", err);
}

static int each_of(const cm_database_t *database, const char *table, int64_t since, int64_t upto,
                   page_t *page, cm_answer_fn take, void *context, cm_err_t *err)
{
    sqlite3_stmt *select;
    char sql[900];

    snprintf(sql, sizeof sql,
             "SELECT updated_at, window, start, %s.url, %s.country, page.url, "
             "country.name, " CM_NUMBER_COLUMNS " FROM %s LEFT JOIN page ON page.id = %s.url "
             "LEFT JOIN country ON country.id = %s.country "
             "WHERE (updated_at, window, start, %s.url, %s.country) > (?1, ?2, ?3, ?4, ?5) "
             "AND updated_at <= ?6 "
             "ORDER BY updated_at, window, start, %s.url, %s.country LIMIT %d",
             table, table, table, table, table, table, table, table, table, PAGE);
    int rc = cm_database_prepare(database, sql, &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_int64(select, 6, upto);
    page->last = (mark_t){since, INT64_MAX, 0, 0, 0};
    do {
        rc = read_page(database, select, page, err);
        for (int i = 0; rc == 0 && i < page->count; i++)
            rc = take(context, &page->answers[i]);
    } while (rc == 0 && page->count == PAGE);
    sqlite3_finalize(select);
    return rc;
}

int cm_changes_each(const cm_database_t *database, int64_t since, int64_t upto, cm_answer_fn row,
                    void *context, cm_err_t *err)
{
    page_t *page = cm_alloc_zero(1, sizeof *page);

    int rc = each_of(database, "cell", since, upto, page, row, context, err);
    if (rc == 0)
        rc = each_of(database, "total", since, upto, page, row, context, err);
    cm_arena_free(&page->texts);
    free(page);
    return rc;
}

/* ---- what vanished ---- */

/* A row that is there has the ids of the texts; all of a kind where a text is NULL. */
#define IS_THERE(table)                                                                            \
    "EXISTS (SELECT 1 FROM " table " AS now WHERE now.window = retired.window AND now.start = "    \
    "retired.start AND now.url = ifnull((SELECT id FROM page WHERE page.url = retired.url), -1) "  \
    "AND now.country = ifnull((SELECT id FROM country WHERE country.name = retired.country), -1))"

int cm_changes_retired(const cm_database_t *database, int64_t since, int64_t upto, cm_answer_fn row,
                       void *context, cm_err_t *err)
{
    sqlite3_stmt *select;
    int step = SQLITE_DONE;
    int64_t some = 0;

    int rc = cm_database_int(database, "SELECT count(*) FROM retired", 0, &some, err);
    if (rc < 0 || some == 0)
        return rc;
    /* Texts that a page or country no longer has would be taken for all of them. */
    rc = cm_database_prepare(
        database,
        "SELECT window, start, url, country FROM retired WHERE at > ?1 AND at <= ?2 AND NOT ("
        "(url IS NULL OR url IN (SELECT url FROM page)) AND "
        "(country IS NULL OR country IN (SELECT name FROM country)) AND (" IS_THERE(
            "cell") " OR " IS_THERE("total") ")) GROUP BY window, start, url, country",
        &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_int64(select, 1, since);
    sqlite3_bind_int64(select, 2, upto);
    while (rc == 0 && (step = sqlite3_step(select)) == SQLITE_ROW) {
        const bool url = sqlite3_column_type(select, 2) != SQLITE_NULL;
        const bool country = sqlite3_column_type(select, 3) != SQLITE_NULL;
        const cm_answer_t answer = {.dimension = dimension_of(url, country),
                                    .window = (cm_window_t)sqlite3_column_int(select, 0),
                                    .window_start = sqlite3_column_int64(select, 1) * CM_HOUR_MS,
                                    .url = {(const char *)sqlite3_column_text(select, 2),
                                            (size_t)sqlite3_column_bytes(select, 2)},
                                    .country = {(const char *)sqlite3_column_text(select, 3),
                                                (size_t)sqlite3_column_bytes(select, 3)}};
        rc = row(context, &answer);
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = cm_database_fail(database, "reading the answers", err);
    sqlite3_finalize(select);
    return rc;
}
