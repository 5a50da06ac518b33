#include "index/embedded/visit.h"

#include <stdio.h>

#define READING "reading the answers"
#define COLUMNS "start, url, country, updated_at, " CM_MEASURE_COLUMNS
#define POINTER "cm_visit"
/* The rows go to a function, because reading columns of a result takes twice as long. */
#define SPAN_OF(table, rows)                                                                       \
    "SELECT count(*) FROM " table " WHERE window = ?1 AND start BETWEEN ?2 AND ?3" rows            \
    " AND answer_visited(?4, " COLUMNS ")"

int cm_visit_open(cm_visit_t *visit, const cm_database_t *database, const cm_index_query_t *query,
                  const cm_pattern_t *pattern, size_t wanted, bool check, cm_err_t *err)
{
    static const char *const spans[CM_DIMENSION_COUNT] = {
        [CM_PER_CELL] = SPAN_OF("cell", ""),
        [CM_PER_URL] = SPAN_OF("total", " AND " CM_ROWS_PER_URL)};
    static const char one[] = "SELECT updated_at, " CM_MEASURE_COLUMNS " FROM cell WHERE "
                              "window = ?1 AND start = ?2 AND url = ?3 AND country = ?4";
    const char *exact = pattern == NULL ? query->url : NULL;

    *visit = (cm_visit_t){.database = database, .query = query, .check = check};
    cm_best_init(&visit->best, query, wanted);
    int rc = cm_spellings_open(&visit->texts[CM_STRING_PAGE], database, CM_STRING_PAGE, exact,
                               pattern, err);
    if (rc == 0)
        rc = cm_spellings_open(&visit->texts[CM_STRING_COUNTRY], database, CM_STRING_COUNTRY,
                               query->country, NULL, err);
    if (rc == 0)
        rc = cm_database_prepare(database, spans[query->dimension], &visit->select, err);
    if (rc == 0)
        rc = cm_database_prepare(database, one, &visit->one, err);
    return rc;
}

static int fail_sqlite(const cm_visit_t *visit, int code, cm_err_t *err)
{
    if (code == SQLITE_INTERRUPT)
        return cm_fail(err, CM_ESTOP, "the client no longer waits for the answers");
    return cm_check_fail_sqlite(visit->database, READING, err);
}

static int fail_row(const cm_visit_t *visit, cm_err_t *err)
{
    char what[80];

    snprintf(what, sizeof what, "window %s, a row", cm_index_window_names[visit->query->window]);
    return cm_check_fail(visit->database, what, err);
}

/* Looks up the strings of a row. `*wanted`: they pass the filter. */
static int look_up(cm_visit_t *visit, cm_best_row_t *row, bool *wanted, cm_err_t *err)
{
    cm_spellings_t *pages = &visit->texts[CM_STRING_PAGE],
                   *names = &visit->texts[CM_STRING_COUNTRY];
    const cm_spellings_one_t *page = cm_spellings_of(pages, row->url),
                             *name = cm_spellings_of(names, row->country);

    row->page = page->text;
    row->name = name->text;
    *wanted = page->state == CM_SPELLINGS_WANTED && name->state == CM_SPELLINGS_WANTED;
    if (page->state != CM_SPELLINGS_BAD && name->state != CM_SPELLINGS_BAD)
        return 0;
    const int failed = pages->failed != 0 ? pages->failed : names->failed;
    return failed != 0 ? fail_sqlite(visit, failed, err) : fail_row(visit, err);
}

static int take_row(cm_visit_t *visit, cm_best_row_t *row, cm_err_t *err)
{
    bool wanted;

    int rc = look_up(visit, row, &wanted, err);
    if (rc < 0 || !wanted)
        return rc;
    cm_best_evaluate(visit->query, row);
    if (cm_best_may(&visit->best, row->value))
        cm_best_offer(&visit->best, row);
    return 0;
}

/* answer_visited(visit, columns): never true, so that there is no result. */
static void answer_visited(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    cm_visit_t *visit = sqlite3_value_pointer(argv[0], POINTER);
    cm_best_row_t row;

    (void)argc;
    row.start = sqlite3_value_int64(argv[1]);
    row.url = sqlite3_value_int64(argv[2]);
    row.country = sqlite3_value_int64(argv[3]);
    row.updated_at = sqlite3_value_int64(argv[4]);
    for (int i = 0; i < CM_MEASURE_COLUMN_COUNT; i++)
        row.numbers[i] = sqlite3_value_int64(argv[5 + i]);
    if (visit->check)
        cm_check_see(&visit->scan, row.start, row.url, row.country, row.numbers);
    visit->rc = take_row(visit, &row, &visit->err);
    sqlite3_result_int(context, 0);
    if (visit->rc < 0)
        sqlite3_result_error(context, "", 0);
}

int cm_visit_register(const cm_database_t *database, cm_err_t *err)
{
    if (sqlite3_create_function(database->db, "answer_visited", 5 + CM_MEASURE_COLUMN_COUNT,
                                SQLITE_UTF8, NULL, answer_visited, NULL, NULL) != SQLITE_OK)
        return cm_database_fail(database, READING, err);
    return 0;
}

int cm_visit_span(cm_visit_t *visit, cm_visit_span_t span, cm_err_t *err)
{
    sqlite3_stmt *select = visit->select;

    sqlite3_bind_int(select, 1, (int)visit->query->window);
    sqlite3_bind_int64(select, 2, span.from);
    sqlite3_bind_int64(select, 3, span.to);
    sqlite3_bind_pointer(select, 4, visit, POINTER, NULL);
    const int step = sqlite3_step(select);
    int rc = visit->rc;
    if (rc < 0)
        *err = visit->err;
    else if (step != SQLITE_ROW)
        rc = fail_sqlite(visit, step, err);
    sqlite3_reset(select);
    return rc;
}

int cm_visit_row(cm_visit_t *visit, int64_t start, int64_t url, int64_t country, uint64_t sum,
                 cm_err_t *err)
{
    sqlite3_stmt *one = visit->one;
    cm_best_row_t row;
    int rc;

    sqlite3_bind_int(one, 1, (int)visit->query->window);
    sqlite3_bind_int64(one, 2, start);
    sqlite3_bind_int64(one, 3, url);
    sqlite3_bind_int64(one, 4, country);
    const int step = sqlite3_step(one);
    if (step != SQLITE_ROW && step != SQLITE_DONE) {
        rc = fail_sqlite(visit, step, err);
    } else if (step == SQLITE_DONE) {
        rc = fail_row(visit, err);
    } else {
        row = (cm_best_row_t){.start = start,
                              .url = url,
                              .country = country,
                              .updated_at = sqlite3_column_int64(one, 0)};
        for (int i = 0; i < CM_MEASURE_COLUMN_COUNT; i++)
            row.numbers[i] = sqlite3_column_int64(one, 1 + i);
        rc = cm_check_contribution(url, country, row.numbers, 1) == sum ? take_row(visit, &row, err)
                                                                        : fail_row(visit, err);
    }
    sqlite3_reset(one);
    return rc;
}

void cm_visit_close(cm_visit_t *visit)
{
    sqlite3_finalize(visit->select);
    sqlite3_finalize(visit->one);
    for (int kind = 0; kind < CM_STRING_KINDS; kind++)
        cm_spellings_close(&visit->texts[kind]);
    cm_best_free(&visit->best);
    cm_check_scan_free(&visit->scan);
}
