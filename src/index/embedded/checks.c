#include "index/embedded/checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#define READING  "reading the answers"
#define CHECKING "writing the checksums of the answers"

/* The largest Mersenne prime below which two sums still add up in an SQLite integer. */
#define PRIME ((UINT64_C(1) << 61) - 1)

/* Any odd numbers below the prime work: a changed bit of a measure changes the sum by one of them
 * times a power of two, which is never a multiple of the prime. */
static const uint64_t factors[1 + CM_MEASURE_COLUMN_COUNT] = {
    UINT64_C(0x1C8C0E0B5A6F3D17), UINT64_C(0x0D6E8FEB86659FD9), UINT64_C(0x1A2B4C8F5D7E9031),
    UINT64_C(0x07F4A7C15B9E3779), UINT64_C(0x13198A2E03707345), UINT64_C(0x04093822299F31D1),
    UINT64_C(0x082EFA98EC4E6C89), UINT64_C(0x152821E638D01377), UINT64_C(0x1E5466CF34E90C6D)};

/* ---- sums ---- */

static uint64_t reduce(unsigned __int128 value)
{
    value = (value & PRIME) + (value >> 61);
    value = (value & PRIME) + (value >> 61);
    return value >= PRIME ? (uint64_t)(value - PRIME) : (uint64_t)value;
}

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* The factor of a row: so measures that are exchanged between two rows are detected, too. */
static uint64_t factor_of(int64_t url, int64_t country)
{
    const uint64_t mixed = mix(mix((uint64_t)url + 1) + (uint64_t)country) & PRIME;
    return mixed % PRIME == 0 ? 1 : mixed;
}

uint64_t cm_check_contribution(int64_t url, int64_t country, const int64_t *numbers, int rows)
{
    unsigned __int128 sum = factors[0] * (unsigned __int128)(rows < 0 ? PRIME - 1 : (uint64_t)rows);

    for (int i = 0; i < CM_MEASURE_COLUMN_COUNT; i++) {
        const uint64_t number = (uint64_t)numbers[i] + (numbers[i] < 0 ? PRIME : 0);
        sum += (unsigned __int128)factors[i + 1] * number;
    }
    return reduce((unsigned __int128)reduce(sum) * factor_of(url, country));
}

static cm_dimension_t dimension_of(int64_t url, int64_t country)
{
    if (url < 0)
        return country < 0 ? CM_PER_NOTHING : CM_PER_COUNTRY;
    return country < 0 ? CM_PER_URL : CM_PER_CELL;
}

int64_t cm_check_string_hash(int64_t id, cm_str_t text)
{
    return (int64_t)(XXH3_64bits_withSeed(text.data, text.len, (uint64_t)id) & UINT32_MAX);
}

/* ---- errors ---- */

int cm_check_fail(const cm_database_t *database, const char *what, cm_err_t *err)
{
    return cm_fail(err, CM_ECORRUPT,
                   "the answers in %s are damaged (%s); `clickmill process --rebuild` makes them "
                   "again from the events",
                   database->path, what);
}

int cm_check_fail_sqlite(const cm_database_t *database, const char *doing, cm_err_t *err)
{
    if ((sqlite3_errcode(database->db) & 0xFF) == SQLITE_CORRUPT)
        return cm_check_fail(database, sqlite3_errmsg(database->db), err);
    return cm_database_fail(database, doing, err);
}

/* ---- tables ---- */

enum { TABLES = 6 };
static const char *const tables[TABLES] = {"cell",    "total",   "page",
                                           "country", "covered", "checksum"};

/* The tables that an entry of the schema names, as bits; two where its parts disagree. */
static unsigned tables_of(const char *name, const char *of, const char *sql)
{
    unsigned bits = 0;

    for (unsigned i = 0; i < TABLES; i++) {
        const size_t len = strlen(tables[i]);
        bool whole = strncmp(sql, "CREATE TABLE ", 13) == 0 &&
                     strncmp(sql + 13, tables[i], len) == 0 && sql[13 + len] == ' ';
        if (strcmp(name, tables[i]) == 0 && strcmp(of, tables[i]) == 0 && whole)
            bits |= 1u << i;
        else if (strcmp(name, tables[i]) == 0 || whole)
            bits |= 1u << TABLES;
    }
    return bits;
}

int cm_check_state(const cm_database_t *database, cm_check_state_t *state, cm_err_t *err)
{
    static const unsigned all = (1u << TABLES) - 1, sums = 1u << (TABLES - 1);
    unsigned there = 0;
    bool hashed = false;
    sqlite3_stmt *select;
    int step;

    *state = CM_CHECK_NO_ANSWERS;
    int rc = cm_database_prepare(
        database, "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'table'", &select,
        err);
    if (rc < 0)
        return rc;
    while ((step = sqlite3_step(select)) == SQLITE_ROW) {
        const char *text[3];
        for (int i = 0; i < 3; i++)
            text[i] = sqlite3_column_text(select, i) != NULL
                          ? (const char *)sqlite3_column_text(select, i)
                          : "";
        const unsigned of = tables_of(text[0], text[1], text[2]);
        there |= of;
        hashed |= of == 1u << 2 && strstr(text[2], " sum ") != NULL;
    }
    if (step != SQLITE_DONE)
        rc = cm_database_fail(database, READING, err);
    sqlite3_finalize(select);
    if (rc < 0 || there == 0)
        return rc;
    if (there == all && hashed)
        *state = CM_CHECK_READY;
    else if (there == (all & ~sums) && !hashed)
        *state = CM_CHECK_OLDER;
    else if (there != 1u << 4) /* of the oldest edition, which has other tables besides it */
        rc = cm_check_fail(database, "a table is missing", err);
    return rc;
}

/* ---- rows that a statement visits ---- */

void cm_check_see(cm_check_scan_t *scan, int64_t start, int64_t url, int64_t country,
                  const int64_t *numbers)
{
    const cm_dimension_t dimension = dimension_of(url, country);
    const uint64_t sum = cm_check_contribution(url, country, numbers, 1);
    cm_check_group_t *last = scan->count > 0 ? &scan->groups[scan->count - 1] : NULL;

    if (last == NULL || last->start != start || last->dimension != dimension) {
        if (scan->count == scan->cap) {
            scan->cap = scan->cap ? scan->cap * 2 : 16;
            scan->groups = cm_realloc(scan->groups, scan->cap * sizeof *scan->groups);
        }
        last = &scan->groups[scan->count++];
        *last = (cm_check_group_t){.dimension = dimension, .start = start};
    }
    last->rows++;
    last->sum = reduce((unsigned __int128)last->sum + sum);
}

/* Whether the string of an id, unless that is "all", exists and is unchanged. */
static bool string_is_whole(sqlite3_context *context, sqlite3_value *id, sqlite3_value *sum,
                            sqlite3_value *value)
{
    const int64_t number = sqlite3_value_int64(id);

    if (number < 0)
        return true;
    const char *data = (const char *)sqlite3_value_text(value);
    if (data == NULL && sqlite3_value_type(value) != SQLITE_NULL)
        sqlite3_result_error_nomem(context);
    if (data == NULL)
        return false;
    return sqlite3_value_int64(sum) ==
           cm_check_string_hash(number, (cm_str_t){data, (size_t)sqlite3_value_bytes(value)});
}

static void answer_seen(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    cm_check_scan_t *scan = sqlite3_value_pointer(argv[0], CM_SCAN_POINTER);
    int64_t numbers[CM_MEASURE_COLUMN_COUNT];

    (void)argc;
    const int64_t url = sqlite3_value_int64(argv[2]), country = sqlite3_value_int64(argv[3]);
    for (int i = 0; i < CM_MEASURE_COLUMN_COUNT; i++)
        numbers[i] = sqlite3_value_int64(argv[8 + i]);
    cm_check_see(scan, sqlite3_value_int64(argv[1]), url, country, numbers);
    sqlite3_result_int(context, 1);
    /* Rows of one url are neighbours. */
    if (url + 1 != scan->url)
        scan->bad_string |= !string_is_whole(context, argv[2], argv[4], argv[5]);
    scan->url = url + 1;
    scan->bad_string |= !string_is_whole(context, argv[3], argv[6], argv[7]);
}

static void answer_text(sqlite3_context *context, int argc, sqlite3_value **argv)
{
    const char *data = (const char *)sqlite3_value_text(argv[1]);
    const cm_str_t text = {data != NULL ? data : "", (size_t)sqlite3_value_bytes(argv[1])};

    (void)argc;
    sqlite3_result_int64(context, cm_check_string_hash(sqlite3_value_int64(argv[0]), text));
}

int cm_check_register(const cm_database_t *database, cm_err_t *err)
{
    sqlite3_stmt *known;

    /* Statements may be running where it exists already. */
    if (sqlite3_prepare_v2(database->db, "SELECT answer_text(0, '')", -1, &known, NULL) ==
        SQLITE_OK) {
        sqlite3_finalize(known);
        return 0;
    }
    if (sqlite3_create_function(database->db, "answer_seen", 8 + CM_MEASURE_COLUMN_COUNT,
                                SQLITE_UTF8, NULL, answer_seen, NULL, NULL) != SQLITE_OK ||
        sqlite3_create_function(database->db, "answer_text", 2, SQLITE_UTF8, NULL, answer_text,
                                NULL, NULL) != SQLITE_OK)
        return cm_database_fail(database, READING, err);
    return 0;
}

void cm_check_scan_free(cm_check_scan_t *scan)
{
    free(scan->groups);
    *scan = (cm_check_scan_t){0};
}

/* ---- comparing ---- */

static int by_start(const void *a, const void *b)
{
    const cm_check_group_t *x = a, *y = b;
    if (x->dimension != y->dimension)
        return x->dimension < y->dimension ? -1 : 1;
    return (x->start > y->start) - (x->start < y->start);
}

/* Merges groups of the same start. */
static void put_together(cm_check_scan_t *scan)
{
    size_t kept = 0;

    if (scan->count > 1)
        qsort(scan->groups, scan->count, sizeof *scan->groups, by_start);
    for (size_t i = 0; i < scan->count; i++) {
        const cm_check_group_t group = scan->groups[i];
        if (kept == 0 || by_start(&scan->groups[kept - 1], &group) != 0) {
            scan->groups[kept++] = group;
            continue;
        }
        scan->groups[kept - 1].rows += group.rows;
        scan->groups[kept - 1].sum =
            reduce((unsigned __int128)scan->groups[kept - 1].sum + group.sum);
    }
    scan->count = kept;
}

static bool same_group(sqlite3_stmt *select, const cm_check_group_t *group)
{
    return sqlite3_column_int64(select, 0) == (int64_t)group->dimension &&
           sqlite3_column_int64(select, 1) == group->start &&
           sqlite3_column_int64(select, 2) == group->rows &&
           sqlite3_column_int64(select, 3) == (int64_t)group->sum;
}

static int compare(const cm_database_t *database, cm_check_scan_t *scan, cm_window_t window,
                   int first, int last, int64_t from, int64_t to, cm_err_t *err)
{
    sqlite3_stmt *select;
    char what[80];
    size_t at = 0;
    int step;

    put_together(scan);
    int rc = cm_database_prepare(
        database,
        "SELECT dimension, start, rows, sum FROM checksum WHERE window = ?1 AND dimension BETWEEN "
        "?2 AND ?3 AND start BETWEEN ?4 AND ?5 ORDER BY dimension, start",
        &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_int(select, 1, (int)window);
    sqlite3_bind_int(select, 2, first);
    sqlite3_bind_int(select, 3, last);
    sqlite3_bind_int64(select, 4, from);
    sqlite3_bind_int64(select, 5, to);
    while ((step = sqlite3_step(select)) == SQLITE_ROW) {
        if (at == scan->count || !same_group(select, &scan->groups[at]))
            break;
        at++;
    }
    snprintf(what, sizeof what, "window %s, checksum", cm_index_window_names[window]);
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        rc = cm_check_fail_sqlite(database, READING, err);
    else if (step == SQLITE_ROW || at < scan->count || scan->bad_string)
        rc = cm_check_fail(database, what, err);
    sqlite3_finalize(select);
    return rc;
}

int cm_check_compare(const cm_database_t *database, cm_check_scan_t *scan, cm_window_t window,
                     cm_dimension_t dimension, int64_t from, int64_t to, cm_err_t *err)
{
    return compare(database, scan, window, (int)dimension, (int)dimension, from, to, err);
}

/* The hash of the row of `covered`; 0 where there is none. */
static int hash_covered(const cm_database_t *database, cm_window_t window, int64_t *hash,
                        cm_err_t *err)
{
    sqlite3_stmt *select;
    int64_t values[5];

    *hash = 0;
    int rc = cm_database_prepare(
        database,
        "SELECT upto, events, cells, session_timeout, updated_at FROM covered WHERE window = ?",
        &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_text(select, 1, cm_index_window_names[window], -1, SQLITE_STATIC);
    const int step = sqlite3_step(select);
    for (int i = 0; i < 5; i++)
        values[i] = step == SQLITE_ROW ? sqlite3_column_int64(select, i) : 0;
    if (step == SQLITE_ROW)
        *hash =
            (int64_t)(XXH3_64bits_withSeed(values, sizeof values, (uint64_t)window) >> 1 | 1u << 8);
    else if (step != SQLITE_DONE)
        rc = cm_check_fail_sqlite(database, READING, err);
    sqlite3_finalize(select);
    return rc;
}

int cm_check_coverage(const cm_database_t *database, cm_window_t window, cm_err_t *err)
{
    int64_t hash, noted;
    char text[120];

    int rc = hash_covered(database, window, &hash, err);
    if (rc < 0)
        return rc;
    snprintf(text, sizeof text, "SELECT sum FROM checksum WHERE window = %d AND dimension = %d",
             (int)window, CM_CHECK_COVERAGE);
    rc = cm_database_int(database, text, 0, &noted, err);
    if (rc < 0 && rc != CM_ECORRUPT)
        return rc;
    if (rc == 0 && noted == hash)
        return 0;
    snprintf(text, sizeof text, "what they cover of window %s", cm_index_window_names[window]);
    return cm_check_fail(database, text, err);
}

/* ---- a start ---- */

int cm_check_start(const cm_database_t *database, cm_check_scan_t *scan, cm_window_t window,
                   cm_dimension_t dimension, int64_t start, cm_err_t *err)
{
#define START_OF(table, rows)                                                                      \
    "SELECT count(*)" CM_FROM(table) "WHERE window = ?1 AND start = ?3 AND " rows                  \
                                     " AND " CM_SEEN(table, "?2")
    static const char *const all[CM_DIMENSION_COUNT] = {
        [CM_PER_CELL] = START_OF("cell", "1"),
        [CM_PER_URL] = START_OF("total", CM_ROWS_PER_URL),
        [CM_PER_COUNTRY] = START_OF("total", CM_ROWS_PER_COUNTRY),
        [CM_PER_NOTHING] = START_OF("total", CM_ROWS_PER_NOTHING)};
    sqlite3_stmt *select;

    int rc = cm_database_prepare(database, all[dimension], &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_int(select, 1, (int)window);
    sqlite3_bind_pointer(select, 2, scan, CM_SCAN_POINTER, NULL);
    sqlite3_bind_int64(select, 3, start);
    if (sqlite3_step(select) != SQLITE_ROW)
        rc = cm_check_fail_sqlite(database, READING, err);
    sqlite3_finalize(select);
    return rc == 0 ? cm_check_compare(database, scan, window, dimension, start, start, err) : rc;
}

/* ---- everything ---- */

/* Checks the rows that a table has of a window. */
static int scan_table(const cm_database_t *database, const char *sql, cm_window_t window,
                      cm_check_scan_t *scan, cm_err_t *err)
{
    sqlite3_stmt *select;

    int rc = cm_database_prepare(database, sql, &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_int(select, 1, (int)window);
    sqlite3_bind_pointer(select, 2, scan, CM_SCAN_POINTER, NULL);
    if (sqlite3_step(select) != SQLITE_ROW)
        rc = cm_check_fail_sqlite(database, READING, err);
    sqlite3_finalize(select);
    return rc;
}

#define ALL_OF(table) "SELECT count(*)" CM_FROM(table) "WHERE window = ?1 AND " CM_SEEN(table, "?2")

static int scan_window(const cm_database_t *database, cm_window_t window, cm_check_scan_t *scan,
                       cm_err_t *err)
{
    int rc = scan_table(database, ALL_OF("cell"), window, scan, err);
    scan->url = 0;
    return rc < 0 ? rc : scan_table(database, ALL_OF("total"), window, scan, err);
}

int cm_check_all(const cm_database_t *database, cm_err_t *err)
{
    int64_t others = 0;
    int rc = 0;

    for (int window = 0; rc == 0 && window < CM_WINDOW_COUNT; window++) {
        cm_check_scan_t scan = {0};
        rc = scan_window(database, (cm_window_t)window, &scan, err);
        if (rc == 0)
            rc = compare(database, &scan, (cm_window_t)window, 0, CM_DIMENSION_COUNT - 1, INT64_MIN,
                         INT64_MAX, err);
        cm_check_scan_free(&scan);
        if (rc == 0)
            rc = cm_check_coverage(database, (cm_window_t)window, err);
    }
    if (rc == 0)
        rc =
            cm_database_int(database,
                            "SELECT (SELECT count(*) FROM cell WHERE window NOT BETWEEN 0 AND 2) + "
                            "(SELECT count(*) FROM total WHERE window NOT BETWEEN 0 AND 2)",
                            0, &others, err);
    return rc == 0 && others > 0 ? cm_check_fail(database, "rows of no window", err) : rc;
}

/* ---- writing ---- */

static int add_group(const cm_database_t *database, cm_window_t window,
                     const cm_check_group_t *group, sqlite3_stmt *insert, cm_err_t *err)
{
    sqlite3_bind_int(insert, 1, (int)window);
    sqlite3_bind_int(insert, 2, (int)group->dimension);
    sqlite3_bind_int64(insert, 3, group->start);
    sqlite3_bind_int64(insert, 4, group->rows);
    sqlite3_bind_int64(insert, 5, (int64_t)group->sum);
    return cm_database_step(database, insert, CHECKING, err);
}

static int prepare_insert(const cm_database_t *database, bool set, sqlite3_stmt **insert,
                          cm_err_t *err)
{
#define INSERT                                                                                     \
    "INSERT INTO checksum (window, dimension, start, rows, sum) VALUES (?1, ?2, ?3, ?4, ?5) "      \
    "ON CONFLICT (window, dimension, start) DO UPDATE SET "
    return cm_database_prepare(
        database,
        set ? INSERT "rows = excluded.rows, sum = excluded.sum WHERE rows <> excluded.rows OR "
                     "sum <> excluded.sum"
            : INSERT "rows = rows + excluded.rows, "
                     "sum = (sum + excluded.sum) % 2305843009213693951", /* PRIME */
        insert, err);
}

static int flush(cm_writing_t *writing, cm_check_waiting_t *waiting, cm_err_t *err)
{
    int rc = 0;

    if (waiting->any && writing->add_checks == NULL)
        rc = prepare_insert(writing->database, writing->sets_checks, &writing->add_checks, err);
    if (rc == 0 && waiting->any)
        rc = add_group(writing->database, waiting->window, &waiting->group, writing->add_checks,
                       err);
    waiting->any = false;
    return rc;
}

int cm_check_add(cm_writing_t *writing, const cm_cell_t *cell, int rows, cm_err_t *err)
{
    const cm_index_place_t place = cm_index_place_of(writing, cell);
    const cm_dimension_t dimension = dimension_of(place.url, place.country);
    cm_check_waiting_t *waiting = &writing->checks[dimension];
    cm_check_group_t *group = &waiting->group;
    int64_t numbers[CM_MEASURE_COLUMN_COUNT];
    int rc = 0;

    if (waiting->any && ((int64_t)waiting->window != place.window || group->start != place.start))
        rc = flush(writing, waiting, err);
    if (!waiting->any) {
        *group = (cm_check_group_t){.dimension = dimension, .start = place.start};
        waiting->window = (cm_window_t)place.window;
        waiting->any = true;
    }
    memcpy(numbers, &cell->measures, sizeof numbers);
    group->rows += rows;
    group->sum = reduce((unsigned __int128)group->sum +
                        cm_check_contribution(place.url, place.country, numbers, rows));
    return rc;
}

int cm_check_flush(cm_writing_t *writing, cm_err_t *err)
{
    char sql[100];
    int rc = 0;

    for (int dimension = 0; rc == 0 && dimension < CM_DIMENSION_COUNT; dimension++)
        rc = flush(writing, &writing->checks[dimension], err);
    if (rc == 0 && writing->removed) {
        /* A sum that differs means damage, which must stay detectable. */
        snprintf(sql, sizeof sql,
                 "DELETE FROM checksum WHERE rows = 0 AND sum = 0 AND dimension < %d",
                 CM_DIMENSION_COUNT);
        rc = cm_database_exec(writing->database, sql, CHECKING, err);
    }
    return rc;
}

int cm_check_forget(const cm_database_t *database, unsigned windows, int first, int last,
                    cm_err_t *err)
{
    char sql[100];
    int rc = 0;

    for (int window = 0; rc == 0 && window < CM_WINDOW_COUNT; window++) {
        snprintf(sql, sizeof sql,
                 "DELETE FROM checksum WHERE window = %d AND dimension BETWEEN %d AND %d", window,
                 first, last);
        if (cm_window_in(windows, window))
            rc = cm_database_exec(database, sql, CHECKING, err);
    }
    return rc;
}

int cm_check_seal_coverage(const cm_database_t *database, cm_window_t window, cm_err_t *err)
{
    char sql[120];
    int64_t hash;

    int rc = hash_covered(database, window, &hash, err);
    if (rc < 0)
        return rc;
    snprintf(sql, sizeof sql, "INSERT OR REPLACE INTO checksum VALUES (%d, %d, 0, 1, %lld)",
             (int)window, CM_CHECK_COVERAGE, (long long)hash);
    return cm_database_exec(database, sql, CHECKING, err);
}

/* ---- an earlier edition's ---- */

static int make_window(const cm_database_t *database, cm_window_t window, sqlite3_stmt *insert,
                       cm_err_t *err)
{
    cm_check_scan_t scan = {0};
    int64_t hash;

    int rc = scan_window(database, window, &scan, err);
    for (size_t i = 0; rc == 0 && i < scan.count; i++)
        rc = add_group(database, window, &scan.groups[i], insert, err);
    cm_check_scan_free(&scan);
    if (rc == 0)
        rc = hash_covered(database, window, &hash, err);
    return rc == 0 && hash != 0 ? cm_check_seal_coverage(database, window, err) : rc;
}

static int make(const cm_database_t *database, cm_err_t *err)
{
    sqlite3_stmt *insert = NULL;

    int rc = cm_database_exec(database,
                              "ALTER TABLE page ADD COLUMN sum INTEGER NOT NULL DEFAULT 0; "
                              "ALTER TABLE country ADD COLUMN sum INTEGER NOT NULL DEFAULT 0; "
                              "UPDATE page SET sum = answer_text(id, url); "
                              "UPDATE country SET sum = answer_text(id, name); " CM_CHECK_TABLE,
                              CHECKING, err);
    if (rc == 0)
        rc = prepare_insert(database, false, &insert, err);
    for (int window = 0; rc == 0 && window < CM_WINDOW_COUNT; window++)
        rc = make_window(database, (cm_window_t)window, insert, err);
    sqlite3_finalize(insert);
    return rc;
}

int cm_check_make(const cm_database_t *database, cm_err_t *err)
{
    int rc = cm_database_exec(database, "BEGIN IMMEDIATE", CHECKING, err);
    if (rc == 0)
        rc = make(database, err);
    if (rc == 0)
        rc = cm_database_exec(database, "COMMIT", CHECKING, err);
    if (rc < 0)
        cm_database_exec(database, "ROLLBACK", CHECKING, NULL);
    return rc;
}
