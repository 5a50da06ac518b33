#include "index/embedded/select.h"

#include "base/clock.h"
#include "index/embedded/visit.h"

/* Where the rows of a dimension are; `seen` is called for each row that is visited. */
typedef struct place {
    const char *from, *rows, *seen;
} place_t;

#define TOTAL(index)                                                                               \
    " FROM total" index " LEFT JOIN page ON page.id = total.url LEFT JOIN country ON "             \
    "country.id = total.country"

static const place_t places[CM_DIMENSION_COUNT] = {
    [CM_PER_CELL] = {CM_FROM("cell"), "", CM_SEEN("cell", "?8")},
    [CM_PER_URL] = {CM_FROM("total"), " AND " CM_ROWS_PER_URL, CM_SEEN("total", "?8")},
    [CM_PER_COUNTRY] = {CM_FROM("total"), " AND " CM_ROWS_PER_COUNTRY, CM_SEEN("total", "?8")},
    [CM_PER_NOTHING] = {CM_FROM("total"), " AND " CM_ROWS_PER_NOTHING, CM_SEEN("total", "?8")}};

/* The same through an index. */
static const char *const indexed_from[CM_DIMENSION_COUNT] = {
    [CM_PER_COUNTRY] = TOTAL(" INDEXED BY " CM_TOTAL_COUNTRY),
    [CM_PER_NOTHING] = TOTAL(" INDEXED BY " CM_TOTAL_SITE)};

/* ---- the text ---- */

/* The window of all time has one start, after which the key continues with urls. An unsorted query,
 * which verify uses, also visits rows with another start, which must not exist. */
static void add_times(cm_buf_t *sql, const cm_index_query_t *query)
{
    cm_buf_add_text(sql, " WHERE window = ?1");
    if (query->window == CM_WINDOW_ALL && !query->unsorted)
        cm_buf_add_text(sql, " AND start = 0");
    if (query->window != CM_WINDOW_ALL && query->from > 0)
        cm_buf_add_text(sql, " AND start >= ?2");
    if (query->window != CM_WINDOW_ALL && query->to > 0)
        cm_buf_add_text(sql, " AND start < ?3");
}

/* Adds the conditions on strings. A row counts as visited whether or not they hold. Each string is
 * matched once, not once per row. */
static void add_texts(cm_buf_t *sql, const cm_index_query_t *query, const char *seen)
{
    const char *table = query->dimension == CM_PER_CELL ? "cell" : "total";

    cm_buf_printf(sql, " AND CASE WHEN %s THEN 1", seen);
    if (query->url != NULL)
        cm_buf_printf(sql, " AND %s.url IN (SELECT id FROM page WHERE %s)", table,
                      cm_pattern_is_plain(query->url) ? "url = ?4" : "answer_matches(?4, url)");
    if (query->country != NULL)
        cm_buf_printf(sql, " AND %s.country IN (SELECT id FROM country WHERE name = ?5)", table);
    cm_buf_add_text(sql, " END");
}

static void add_order(cm_buf_t *sql, const cm_index_query_t *query)
{
    static const char *const columns[CM_SORT_COUNT] = {
        [CM_SORT_AVERAGE_TIME_SPENT] = CM_AVERAGE("time_spent_sum", "time_spent_count"),
        [CM_SORT_AVERAGE_TIME_ON_PAGE] = CM_AVERAGE("time_on_page_sum", "time_on_page_count"),
        [CM_SORT_URL] = "page.url",
        [CM_SORT_COUNTRY] = "country.name",
        [CM_SORT_WINDOW] = "start"};
    const bool text = query->sort >= CM_SORT_URL;
    const bool down = text == query->reverse;
    const char *column = columns[query->sort];

    /* The + keeps SQLite from using the order of the table, in which a limit would end the scan
     * before all rows of a checksum are visited. */
    cm_buf_printf(sql, " ORDER BY +%s %s NULLS LAST, page.url, country.name, start",
                  column != NULL ? column : cm_sort_names[query->sort], down ? "DESC" : "ASC");
}

void cm_index_select_build(cm_index_select_t *ask, const cm_index_query_t *query, bool checked,
                           bool indexed)
{
    const place_t *place = &places[query->dimension];
    const bool by_index =
        indexed && query->window != CM_WINDOW_ALL && indexed_from[query->dimension] != NULL;
    cm_buf_t *sql = &ask->sql;

    *ask = (cm_index_select_t){.query = query};
    if (query->url != NULL && !cm_pattern_is_plain(query->url))
        ask->pattern = cm_pattern_new(query->url);
    cm_buf_printf(sql, "SELECT page.url, country.name, start, updated_at, " CM_MEASURE_COLUMNS "%s",
                  by_index ? indexed_from[query->dimension] : place->from);
    add_times(sql, query);
    cm_buf_add_text(sql, place->rows);
    add_texts(sql, query, checked ? place->seen : "1");
    if (!query->unsorted)
        add_order(sql, query);
    cm_buf_add_text(sql, " LIMIT ?6 OFFSET ?7");
}

/* ---- its use ---- */

/* The first hour that begins at a time after 0, or later. */
static int64_t hour_from(int64_t ms)
{
    return (ms - 1) / CM_HOUR_MS + 1;
}

void cm_index_select_bind(cm_index_select_t *ask, sqlite3_stmt *select)
{
    const cm_index_query_t *query = ask->query;

    sqlite3_bind_int(select, 1, (int)query->window);
    sqlite3_bind_int64(select, 2, hour_from(query->from));
    sqlite3_bind_int64(select, 3, hour_from(query->to));
    if (ask->pattern != NULL)
        sqlite3_bind_pointer(select, 4, ask->pattern, "cm_pattern", NULL);
    else
        sqlite3_bind_text(select, 4, query->url, -1, SQLITE_STATIC);
    sqlite3_bind_text(select, 5, query->country, -1, SQLITE_STATIC);
    sqlite3_bind_int64(select, 6, query->limit > 0 ? query->limit : -1);
    sqlite3_bind_int64(select, 7, query->offset);
    sqlite3_bind_pointer(select, 8, &ask->scan, CM_SCAN_POINTER, NULL);
}

void cm_index_select_span(const cm_index_query_t *query, int64_t *from, int64_t *to)
{
    const bool all = query->window == CM_WINDOW_ALL;

    *from = all || query->from <= 0 ? INT64_MIN : hour_from(query->from);
    *to = all || query->to <= 0 ? INT64_MAX : hour_from(query->to) - 1;
}

int cm_index_select_fresh(const cm_index_query_t *query, const cm_database_t *database,
                          cm_checked_t *checked, bool *fresh, cm_err_t *err)
{
    int64_t from, to;

    cm_index_select_span(query, &from, &to);
    return cm_checked_fresh(checked, database, query->window, query->dimension, from, to, fresh,
                            err);
}

int cm_index_select_compare(cm_index_select_t *ask, const cm_database_t *database,
                            cm_checked_t *checked, cm_err_t *err)
{
    const cm_index_query_t *query = ask->query;
    int64_t from, to;

    cm_index_select_span(query, &from, &to);
    int rc = cm_check_compare(database, &ask->scan, query->window, query->dimension, from, to, err);
    if (rc == 0)
        cm_checked_note(checked, &ask->scan, from, to);
    return rc;
}

void cm_index_select_free(cm_index_select_t *ask)
{
    cm_check_scan_free(&ask->scan);
    cm_buf_free(&ask->sql);
    cm_pattern_free(ask->pattern);
}

/* ---- the connection ---- */

/* answer_matches(pattern, text) */
static void answer_matches(sqlite3_context *context, int count, sqlite3_value **values)
{
    const cm_pattern_t *pattern = sqlite3_value_pointer(values[0], "cm_pattern");
    const char *data = (const char *)sqlite3_value_text(values[1]);
    const cm_str_t text = {data, (size_t)sqlite3_value_bytes(values[1])};

    (void)count;
    sqlite3_result_int(context,
                       pattern != NULL && data != NULL && cm_pattern_matches(pattern, text));
}

int cm_index_select_register(const cm_database_t *database, cm_err_t *err)
{
    int rc = cm_check_register(database, err);

    if (rc == 0)
        rc = cm_visit_register(database, err);
    if (rc == 0 && sqlite3_create_function(database->db, "answer_matches", 2, SQLITE_UTF8, NULL,
                                           answer_matches, NULL, NULL) != SQLITE_OK)
        rc = cm_database_fail(database, "reading the answers", err);
    return rc;
}
