#include "index/embedded/peaks.h"

#include <stdlib.h>
#include <xxhash.h>

#define READING "reading the answers"
#define WRITING "writing answers"

enum {
    AHEAD = 8, /* rows between fetching a cell and looking at it */
    STOP_EVERY = 4096,
    ROWS_AGAIN = 100000, /* of days whose lists one refresh makes again, about */
};

/* The head of a list, as in the file; peaks follow. */
typedef struct head {
    uint64_t hash;   /* of all that follows */
    uint64_t groups; /* hash of the checksums of the day */
    int64_t others;
} head_t;

static uint64_t hash_of(int64_t day, const void *bytes, size_t size)
{
    return XXH3_64bits_withSeed(bytes, size, (uint64_t)day);
}

/* The hash of the checksums of the day that begins at `*at`, which becomes that of the next one. */
static uint64_t hash_groups(const cm_check_group_t *groups, size_t count, size_t *at)
{
    const int64_t day = cm_peaks_day(groups[*at].start);
    int64_t values[3 * CM_PEAKS_HOURS];
    size_t used = 0;

    for (; *at < count && cm_peaks_day(groups[*at].start) == day; ++*at) {
        if (used == sizeof values / sizeof *values) /* never: starts differ */
            continue;
        values[used++] = groups[*at].start;
        values[used++] = groups[*at].rows;
        values[used++] = (int64_t)groups[*at].sum;
    }
    return hash_of(day, values, used * sizeof *values);
}

/* ---- reading ---- */

/* Adds a list of the file if it is whole and of these checksums. */
static void add_list(cm_peaks_t *peaks, int64_t day, const void *bytes, size_t size,
                     uint64_t groups)
{
    const size_t skip = sizeof(uint64_t);
    head_t head;

    if (bytes == NULL || size < sizeof head || (size - sizeof head) % sizeof(cm_peak_t) != 0)
        return;
    memcpy(&head, bytes, sizeof head);
    const size_t count = (size - sizeof head) / sizeof(cm_peak_t);
    if (count > CM_PEAKS_MOST || head.groups != groups ||
        head.hash != hash_of(day, (const char *)bytes + skip, size - skip))
        return;
    peaks->lists[peaks->list_count++] = (cm_peaks_list_t){day, head.others};
    if (count > 0)
        memcpy(peaks->all + peaks->count, (const char *)bytes + sizeof head, size - sizeof head);
    peaks->count += count;
}

/* Both are by day. */
static int read_lists(cm_peaks_t *peaks, const cm_database_t *database, sqlite3_stmt *select,
                      const cm_check_group_t *groups, size_t count, cm_err_t *err)
{
    size_t at = 0;
    int step;

    while ((step = sqlite3_step(select)) == SQLITE_ROW) {
        const int64_t day = sqlite3_column_int64(select, 0);
        while (at < count && cm_peaks_day(groups[at].start) < day)
            at++;
        if (at < count && cm_peaks_day(groups[at].start) == day) {
            const uint64_t hash = hash_groups(groups, count, &at);
            add_list(peaks, day, sqlite3_column_blob(select, 1),
                     (size_t)sqlite3_column_bytes(select, 1), hash);
        }
    }
    return step == SQLITE_DONE ? 0 : cm_check_fail_sqlite(database, READING, err);
}

static size_t count_days(const cm_check_group_t *groups, size_t count)
{
    size_t days = 0;

    for (size_t i = 0; i < count; i++)
        days += i == 0 || cm_peaks_day(groups[i].start) != cm_peaks_day(groups[i - 1].start);
    return days;
}

int cm_peaks_read(cm_peaks_t *peaks, const cm_database_t *database, const cm_check_group_t *groups,
                  size_t count, cm_err_t *err)
{
    const size_t days = count_days(groups, count);
    bool has = false;
    sqlite3_stmt *select;

    int rc = days > 0 ? cm_database_has(database, "peak", &has, err) : 0;
    if (rc < 0 || !has)
        return rc;
    rc = cm_database_prepare(database,
                             "SELECT day, list FROM peak WHERE day BETWEEN ? AND ? ORDER BY day",
                             &select, err);
    if (rc < 0)
        return rc;
    peaks->lists = cm_alloc(days * sizeof *peaks->lists);
    peaks->all = cm_alloc(days * CM_PEAKS_MOST * sizeof *peaks->all);
    sqlite3_bind_int64(select, 1, cm_peaks_day(groups[0].start));
    sqlite3_bind_int64(select, 2, cm_peaks_day(groups[count - 1].start));
    rc = read_lists(peaks, database, select, groups, count, err);
    sqlite3_finalize(select);
    return rc;
}

static int most_first(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x < y) - (x > y);
}

bool cm_peaks_floor(const cm_peaks_t *peaks, size_t wanted, int64_t *floor)
{
    if (wanted == 0 || wanted > peaks->count)
        return false;
    uint32_t *clicks = cm_alloc(peaks->count * sizeof *clicks);
    for (size_t i = 0; i < peaks->count; i++)
        clicks[i] = peaks->all[i].clicks;
    qsort(clicks, peaks->count, sizeof *clicks, most_first);
    *floor = clicks[wanted - 1];
    free(clicks);
    return true;
}

static int compare_day(const void *key, const void *list)
{
    const int64_t x = *(const int64_t *)key, y = ((const cm_peaks_list_t *)list)->day;

    return (x > y) - (x < y);
}

static const cm_peaks_list_t *find(const cm_peaks_t *peaks, int64_t day)
{
    return peaks->list_count == 0
               ? NULL
               : bsearch(&day, peaks->lists, peaks->list_count, sizeof *peaks->lists, compare_day);
}

bool cm_peaks_stand_for(const cm_peaks_t *peaks, int64_t day, int64_t floor)
{
    const cm_peaks_list_t *list = find(peaks, day);

    return list != NULL && list->others < floor;
}

void cm_peaks_free(cm_peaks_t *peaks)
{
    free(peaks->lists);
    free(peaks->all);
    *peaks = (cm_peaks_t){0};
}

/* ---- the rows with most clicks ---- */

/* One row more than a list has: its clicks are those that others have at most. */
typedef struct top {
    cm_peak_t rows[CM_PEAKS_MOST + 1]; /* a heap with the fewest clicks on top */
    size_t count;
    bool too_large; /* for the numbers of a list: the day has none */
} top_t;

static void sink(top_t *top)
{
    const cm_peak_t row = top->rows[0];
    size_t at = 0;

    for (size_t child = 1; child < top->count; child = 2 * at + 1) {
        if (child + 1 < top->count && top->rows[child + 1].clicks < top->rows[child].clicks)
            child++;
        if (row.clicks <= top->rows[child].clicks)
            break;
        top->rows[at] = top->rows[child];
        at = child;
    }
    top->rows[at] = row;
}

static void rise(top_t *top, size_t at)
{
    const cm_peak_t row = top->rows[at];

    while (at > 0 && row.clicks < top->rows[(at - 1) / 2].clicks) {
        top->rows[at] = top->rows[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    top->rows[at] = row;
}

static void offer(top_t *top, int64_t start, int64_t url, int64_t country, const int64_t *numbers)
{
    const int64_t clicks = numbers[0];
    const bool full = top->count == sizeof top->rows / sizeof *top->rows;

    if (full && clicks <= top->rows[0].clicks)
        return;
    if (clicks < 0 || clicks > UINT32_MAX || start < 0 || start > UINT32_MAX || url < 0 ||
        url > UINT32_MAX || country < 0 || country > UINT32_MAX) {
        top->too_large = true;
        return;
    }
    const cm_peak_t row = {.sum = cm_check_contribution(url, country, numbers, 1),
                           .clicks = (uint32_t)clicks,
                           .url = (uint32_t)url,
                           .country = (uint32_t)country,
                           .start = (uint32_t)start};
    top->rows[full ? 0 : top->count] = row;
    if (full)
        sink(top);
    else
        rise(top, top->count++);
}

/* ---- writing ---- */

/* Lists are made day by day. */
typedef struct making {
    const cm_writing_t *writing;
    const cm_check_group_t *groups;
    size_t count, at; /* the next day's first */
    sqlite3_stmt *insert;
} making_t;

static int put_list(making_t *making, int64_t day, const top_t *top, uint64_t groups, cm_err_t *err)
{
    struct list {
        head_t head;
        cm_peak_t peaks[CM_PEAKS_MOST];
    } list = {.head = {.groups = groups, .others = -1}};
    const size_t skip = sizeof list.head.hash;
    size_t count = 0;

    if (top->count > CM_PEAKS_MOST)
        list.head.others = top->rows[0].clicks;
    for (size_t i = 0; i < top->count; i++) {
        if (top->rows[i].clicks > list.head.others)
            list.peaks[count++] = top->rows[i];
    }
    const size_t size = sizeof list.head + count * sizeof *list.peaks;
    list.head.hash = hash_of(day, (const char *)&list + skip, size - skip);
    sqlite3_bind_int64(making->insert, 1, day);
    sqlite3_bind_blob(making->insert, 2, &list, (int)size, SQLITE_STATIC);
    return cm_database_step(making->writing->database, making->insert, WRITING, err);
}

/* Writes the list of a day of which all rows were offered; days come in order. */
static int end_day(making_t *making, int64_t day, top_t *top, cm_err_t *err)
{
    int rc = 0;

    while (making->at < making->count && cm_peaks_day(making->groups[making->at].start) < day)
        making->at++;
    if (top->count > 0 && !top->too_large && making->at < making->count &&
        cm_peaks_day(making->groups[making->at].start) == day) {
        const uint64_t hash = hash_groups(making->groups, making->count, &making->at);
        rc = put_list(making, day, top, hash, err);
    }
    top->count = 0;
    top->too_large = false;
    return rc;
}

/* The lists of all days from the result. */
static int make_all(making_t *making, cm_err_t *err)
{
    const cm_writing_t *writing = making->writing;
    const cm_mill_result_t *result = writing->result;
    top_t top = {.count = 0};
    int64_t day = 0;

    int rc = cm_database_exec(writing->database, "DELETE FROM peak", WRITING, err);
    for (size_t i = 0; rc == 0 && i < result->count; i++) {
        const cm_cell_t *cell = result->cells[i];
        int64_t numbers[CM_MEASURE_COLUMN_COUNT];
        if (i + AHEAD < result->count)
            __builtin_prefetch(result->cells[i + AHEAD]);
        if (cm_cell_window_kind(cell->key.window) != CM_WINDOW_HOUR ||
            cm_index_cell_is_total(cell) || cm_measures_are_zero(&cell->measures))
            continue;
        const cm_index_place_t place = cm_index_place_of(writing, cell);
        if (cm_peaks_day(place.start) != day)
            rc = end_day(making, day, &top, err);
        day = cm_peaks_day(place.start);
        memcpy(numbers, &cell->measures, sizeof numbers);
        offer(&top, place.start, place.url, place.country, numbers);
        if (rc == 0 && i % STOP_EVERY == 0)
            rc = cm_writing_check_stop(writing, err);
    }
    return rc == 0 ? end_day(making, day, &top, err) : rc;
}

/* Offers the rows of a day in the tables, if they are whole: what is damaged has no list. */
static int read_day(const making_t *making, int64_t day, top_t *top, cm_err_t *err)
{
    const cm_database_t *database = making->writing->database;
    const int64_t from = day * CM_PEAKS_HOURS, to = from + CM_PEAKS_HOURS - 1;
    cm_check_scan_t scan = {0};
    sqlite3_stmt *select;
    int step;

    int rc = cm_database_prepare(database,
                                 "SELECT start, url, country, " CM_MEASURE_COLUMNS
                                 " FROM cell WHERE window = ?1 AND start BETWEEN ?2 AND ?3",
                                 &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_int(select, 1, CM_WINDOW_HOUR);
    sqlite3_bind_int64(select, 2, from);
    sqlite3_bind_int64(select, 3, to);
    while ((step = sqlite3_step(select)) == SQLITE_ROW) {
        int64_t key[3], numbers[CM_MEASURE_COLUMN_COUNT];
        for (int i = 0; i < 3; i++)
            key[i] = sqlite3_column_int64(select, i);
        for (int i = 0; i < CM_MEASURE_COLUMN_COUNT; i++)
            numbers[i] = sqlite3_column_int64(select, 3 + i);
        cm_check_see(&scan, key[0], key[1], key[2], numbers);
        offer(top, key[0], key[1], key[2], numbers);
    }
    if (step != SQLITE_DONE)
        rc = cm_check_fail_sqlite(database, READING, err);
    sqlite3_finalize(select);
    if (rc == 0 &&
        cm_check_compare(database, &scan, CM_WINDOW_HOUR, CM_PER_CELL, from, to, err) < 0)
        top->too_large = true;
    cm_check_scan_free(&scan);
    return rc;
}

/* Some lists that are missing, the oldest first. The last day is left out: it changes most often,
 * and readers visit it quickly. */
static int make_some(making_t *making, cm_err_t *err)
{
    const cm_check_group_t *groups = making->groups;
    const int64_t last = cm_peaks_day(groups[making->count - 1].start);
    cm_peaks_t peaks = {0};
    top_t top = {.count = 0};
    int64_t rows = 0, done = INT64_MIN;

    int rc = cm_peaks_read(&peaks, making->writing->database, groups, making->count, err);
    for (size_t i = 0; rc == 0 && i < making->count && rows < ROWS_AGAIN; i++) {
        const int64_t day = cm_peaks_day(groups[i].start);
        if (day == last || find(&peaks, day) != NULL)
            continue;
        rows += groups[i].rows;
        if (day == done)
            continue;
        done = day;
        rc = read_day(making, day, &top, err);
        if (rc == 0)
            rc = end_day(making, day, &top, err);
    }
    cm_peaks_free(&peaks);
    return rc;
}

/* The checksums of all hours. */
static int read_groups(const cm_database_t *database, cm_check_group_t **groups, size_t *count,
                       int64_t *rows, cm_err_t *err)
{
    sqlite3_stmt *select;
    size_t cap = 0;
    int step;

    int rc = cm_database_prepare(database,
                                 "SELECT start, rows, sum FROM checksum WHERE window = ?1 AND "
                                 "dimension = ?2 ORDER BY start",
                                 &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_int(select, 1, CM_WINDOW_HOUR);
    sqlite3_bind_int(select, 2, CM_PER_CELL);
    while ((step = sqlite3_step(select)) == SQLITE_ROW) {
        if (*count == cap) {
            cap = cap ? cap * 2 : 1024;
            *groups = cm_realloc(*groups, cap * sizeof **groups);
        }
        (*groups)[(*count)++] =
            (cm_check_group_t){.dimension = CM_PER_CELL,
                               .start = sqlite3_column_int64(select, 0),
                               .rows = sqlite3_column_int64(select, 1),
                               .sum = (uint64_t)sqlite3_column_int64(select, 2)};
        *rows += sqlite3_column_int64(select, 1);
    }
    if (step != SQLITE_DONE)
        rc = cm_check_fail_sqlite(database, READING, err);
    sqlite3_finalize(select);
    return rc;
}

int cm_peaks_write(const cm_writing_t *writing, bool whole, cm_err_t *err)
{
    making_t making = {.writing = writing};
    cm_check_group_t *groups = NULL;
    int64_t rows = 0;

    if (!cm_window_in(writing->windows, CM_WINDOW_HOUR) || !writing->changed[CM_WINDOW_HOUR])
        return 0;
    int rc = read_groups(writing->database, &groups, &making.count, &rows, err);
    making.groups = groups;
    if (rc == 0 && rows >= CM_PEAKS_ROWS) {
        rc = cm_database_exec(writing->database,
                              "CREATE TABLE IF NOT EXISTS peak (day INTEGER PRIMARY KEY, "
                              "list BLOB NOT NULL)",
                              WRITING, err);
        if (rc == 0)
            rc = cm_database_prepare(writing->database,
                                     "INSERT OR REPLACE INTO peak VALUES (?1, ?2)", &making.insert,
                                     err);
        if (rc == 0)
            rc = whole ? make_all(&making, err) : make_some(&making, err);
        sqlite3_finalize(making.insert);
    }
    free(groups);
    return rc;
}
