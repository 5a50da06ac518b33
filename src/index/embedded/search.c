#include "index/embedded/search.h"

#include "base/clock.h"
#include "base/process.h"
#include "index/embedded/peaks.h"
#include "index/embedded/select.h"
#include "index/embedded/visit.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define READING "reading the answers"

enum {
    THREADS_MAX = 4,
    PIECE_ROWS = 1 << 15, /* that a thread takes at a time, about */
    LOOK_EVERY = 10000,   /* steps of SQLite's machine between checks whether the client waits */
};

/* What one moment of the store has of the rows that are searched. */
typedef struct moment {
    cm_check_group_t *groups; /* by start */
    size_t count, cap;
    int64_t rows;
    int64_t updated_at; /* of the window's answers: `updated_at` of rows is in no checksum */
} moment_t;

typedef struct work {
    const cm_search_options_t *options;
    cm_pattern_t *pattern;
    size_t wanted;
    int64_t from, to;
    moment_t moment;
    cm_peaks_t peaks;
    int64_t floor; /* rows with fewer clicks are not of the page */
    bool partly;   /* days are left out, which their peaks stand for */
    cm_visit_span_t *pieces;
    size_t piece_count;
    atomic_size_t next;
    atomic_bool ended;
} work_t;

typedef struct lane {
    work_t *work;
    cm_visit_t visit;
    cm_database_t own; /* of another thread than the caller's */
    pthread_t thread;
    bool started, opened;
    int rc;
    cm_err_t err;
} lane_t;

bool cm_search_can(const cm_index_query_t *query)
{
    return !query->unsorted && query->limit > 0 &&
           (query->dimension == CM_PER_CELL || query->dimension == CM_PER_URL) &&
           query->offset <= CM_SEARCH_ROWS_MAX &&
           query->limit <= CM_SEARCH_ROWS_MAX - query->offset;
}

/* ---- the moment ---- */

static void add_group(moment_t *moment, sqlite3_stmt *select, cm_dimension_t dimension)
{
    if (moment->count == moment->cap) {
        moment->cap = moment->cap ? moment->cap * 2 : 64;
        moment->groups = cm_realloc(moment->groups, moment->cap * sizeof *moment->groups);
    }
    cm_check_group_t *group = &moment->groups[moment->count++];
    *group = (cm_check_group_t){.dimension = dimension,
                                .start = sqlite3_column_int64(select, 0),
                                .rows = sqlite3_column_int64(select, 1),
                                .sum = (uint64_t)sqlite3_column_int64(select, 2)};
    moment->rows += group->rows > 0 && group->rows < INT32_MAX ? group->rows : 0;
}

static int read_moment(const work_t *work, const cm_database_t *database, moment_t *moment,
                       cm_err_t *err)
{
    const cm_index_query_t *query = work->options->query;
    cm_index_coverage_t covered;
    sqlite3_stmt *select;
    int step;

    *moment = (moment_t){0};
    int rc = cm_index_embedded_coverage(database, query->window, &covered, err);
    if (rc == CM_ECORRUPT)
        rc = cm_check_fail_sqlite(database, READING, err);
    if (rc == 0)
        rc = cm_database_prepare(database,
                                 "SELECT start, rows, sum FROM checksum WHERE window = ?1 AND "
                                 "dimension = ?2 AND start BETWEEN ?3 AND ?4 ORDER BY start",
                                 &select, err);
    if (rc < 0)
        return rc;
    moment->updated_at = covered.updated_at;
    sqlite3_bind_int(select, 1, (int)query->window);
    sqlite3_bind_int(select, 2, (int)query->dimension);
    sqlite3_bind_int64(select, 3, work->from);
    sqlite3_bind_int64(select, 4, work->to);
    while ((step = sqlite3_step(select)) == SQLITE_ROW)
        add_group(moment, select, query->dimension);
    if (step != SQLITE_DONE)
        rc = cm_check_fail_sqlite(database, READING, err);
    sqlite3_finalize(select);
    return rc;
}

static bool is_same(const moment_t *a, const moment_t *b)
{
    if (a->updated_at != b->updated_at || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const cm_check_group_t *x = &a->groups[i], *y = &b->groups[i];
        if (x->start != y->start || x->rows != y->rows || x->sum != y->sum)
            return false;
    }
    return true;
}

/* ---- what is visited ---- */

static void add_piece(work_t *work, int64_t from, int64_t to)
{
    work->pieces[work->piece_count++] = (cm_visit_span_t){from, to};
}

/* All starts of the query, also those that no checksum has, which must have no rows. */
static void cut_all(work_t *work)
{
    const moment_t *moment = &work->moment;
    int64_t from = work->from, rows = 0;

    if (work->options->query->window == CM_WINDOW_ALL) {
        add_piece(work, 0, 0);
        return;
    }
    for (size_t i = 0; i < moment->count; i++) {
        rows += moment->groups[i].rows;
        if (rows < PIECE_ROWS)
            continue;
        add_piece(work, from, moment->groups[i].start);
        from = moment->groups[i].start + 1;
        rows = 0;
    }
    add_piece(work, from, work->to);
}

/* Only the days that may have rows of the page which their peaks lack. */
static void cut_days(work_t *work)
{
    const moment_t *moment = &work->moment;
    int64_t last = INT64_MIN;

    for (size_t i = 0; i < moment->count; i++) {
        const int64_t day = cm_peaks_day(moment->groups[i].start);
        if (day == last)
            continue;
        last = day;
        if (cm_peaks_stand_for(&work->peaks, day, work->floor))
            continue;
        const int64_t from = day * CM_PEAKS_HOURS, to = from + CM_PEAKS_HOURS - 1;
        add_piece(work, from > work->from ? from : work->from, to < work->to ? to : work->to);
    }
}

/* Whether the rows with most clicks are asked for, of many. */
static bool asks_for_peaks(const work_t *work)
{
    const cm_index_query_t *query = work->options->query;

    return query->window == CM_WINDOW_HOUR && query->dimension == CM_PER_CELL &&
           query->sort == CM_SORT_CLICKS && !query->reverse && query->url == NULL &&
           query->country == NULL && work->moment.rows >= CM_PEAKS_ROWS;
}

static int make_plan(work_t *work, cm_err_t *err)
{
    const moment_t *moment = &work->moment;
    int rc = 0;

    work->pieces = cm_alloc((moment->count + 1) * sizeof *work->pieces);
    if (asks_for_peaks(work))
        rc = cm_peaks_read(&work->peaks, work->options->database, moment->groups, moment->count,
                           err);
    if (rc < 0)
        return rc;
    work->partly = cm_peaks_floor(&work->peaks, work->wanted, &work->floor);
    if (work->partly)
        cut_days(work);
    else
        cut_all(work);
    return 0;
}

/* Offers the peaks of the days that are left out. */
static int visit_peaks(const work_t *work, cm_visit_t *visit, cm_err_t *err)
{
    const cm_peaks_t *peaks = &work->peaks;
    int rc = 0;

    for (size_t i = 0; rc == 0 && work->partly && i < peaks->count; i++) {
        const cm_peak_t *peak = &peaks->all[i];
        if (peak->clicks >= work->floor &&
            cm_peaks_stand_for(peaks, cm_peaks_day(peak->start), work->floor))
            rc = cm_visit_row(visit, peak->start, peak->url, peak->country, peak->sum, err);
    }
    return rc;
}

/* ---- lanes ---- */

static void take_pieces(lane_t *lane)
{
    work_t *work = lane->work;

    while (lane->rc == 0 && !atomic_load(&work->ended)) {
        const size_t number = atomic_fetch_add(&work->next, 1);
        if (number >= work->piece_count)
            return;
        lane->rc = cm_visit_span(&lane->visit, work->pieces[number], &lane->err);
    }
    if (lane->rc < 0)
        atomic_store(&work->ended, true);
}

static int open_visit(lane_t *lane, const cm_database_t *database, cm_err_t *err)
{
    const work_t *work = lane->work;

    lane->opened = true;
    return cm_visit_open(&lane->visit, database, work->options->query, work->pattern, work->wanted,
                         work->options->check, err);
}

/* Whether the lane's own connection shows what the caller's does. */
static bool sees_the_same(lane_t *lane)
{
    const work_t *work = lane->work;
    moment_t moment = {0};
    cm_err_t ignored;

    bool same =
        !lane->own.frozen && cm_database_exec(&lane->own, "BEGIN", READING, &ignored) == 0 &&
        read_moment(work, &lane->own, &moment, &ignored) == 0 && is_same(&moment, &work->moment) &&
        cm_visit_register(&lane->own, &ignored) == 0 && open_visit(lane, &lane->own, &ignored) == 0;
    free(moment.groups);
    return same;
}

/* A lane that cannot begin leaves the work to the others. */
static void *run_lane(void *context)
{
    lane_t *lane = context;
    cm_err_t ignored;

    if (cm_database_open_read(lane->work->options->data_dir, &lane->own, &ignored) < 0)
        return NULL;
    if (sees_the_same(lane))
        take_pieces(lane);
    return NULL;
}

static int count_lanes(const work_t *work)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    const size_t most = work->options->data_dir == NULL ? 1 : work->piece_count / 2;
    const int count = processors < THREADS_MAX ? (int)processors : THREADS_MAX;

    return most < 2 || count < 2 ? 1 : most < (size_t)count ? (int)most : count;
}

static int look_at_asker(void *context)
{
    const cm_index_query_t *query = context;

    return query->gives_up(query->gives_up_context);
}

/* The caller's lane is the first one; it alone asks whether the client still waits. */
static void run_first(lane_t *lane)
{
    const cm_search_options_t *options = lane->work->options;
    sqlite3 *db = options->database->db;

    if (options->query->gives_up != NULL)
        sqlite3_progress_handler(db, LOOK_EVERY, look_at_asker, (void *)(uintptr_t)options->query);
    lane->rc = open_visit(lane, options->database, &lane->err);
    if (lane->rc == 0)
        lane->rc = visit_peaks(lane->work, &lane->visit, &lane->err);
    take_pieces(lane);
    sqlite3_progress_handler(db, 0, NULL, NULL);
}

static int run_lanes(work_t *work, lane_t *lanes, int count, cm_err_t *err)
{
    for (int i = 0; i < count; i++)
        lanes[i].work = work;
    for (int i = 1; i < count; i++)
        lanes[i].started = cm_process_start(&lanes[i].thread, run_lane, &lanes[i]);
    run_first(&lanes[0]);
    for (int i = 1; i < count; i++) {
        if (lanes[i].started)
            pthread_join(lanes[i].thread, NULL);
    }
    for (int i = 0; i < count; i++) {
        if (lanes[i].rc < 0) {
            *err = lanes[i].err;
            return lanes[i].rc;
        }
    }
    return 0;
}

static void close_lanes(lane_t *lanes, int count)
{
    for (int i = 0; i < count; i++) {
        if (lanes[i].opened)
            cm_visit_close(&lanes[i].visit);
        if (lanes[i].own.db != NULL)
            cm_database_close(&lanes[i].own);
    }
}

/* ---- together ---- */

static void put_group(cm_check_scan_t *scan, const cm_check_group_t *group)
{
    if (scan->count == scan->cap) {
        scan->cap = scan->cap ? scan->cap * 2 : 64;
        scan->groups = cm_realloc(scan->groups, scan->cap * sizeof *scan->groups);
    }
    scan->groups[scan->count++] = *group;
}

/* Compares what all lanes have visited with the checksums. Days that are left out count as they
 * are: their rows of the page have been checked one by one. */
static int check(const work_t *work, lane_t *lanes, int count, cm_err_t *err)
{
    const cm_search_options_t *options = work->options;
    const cm_index_query_t *query = options->query;
    cm_check_scan_t *scan = &lanes[0].visit.scan;

    if (!options->check)
        return 0;
    for (int i = 1; i < count; i++) {
        for (size_t g = 0; g < lanes[i].visit.scan.count; g++)
            put_group(scan, &lanes[i].visit.scan.groups[g]);
    }
    for (size_t g = 0; work->partly && g < work->moment.count; g++) {
        const cm_check_group_t *group = &work->moment.groups[g];
        if (cm_peaks_stand_for(&work->peaks, cm_peaks_day(group->start), work->floor))
            put_group(scan, group);
    }
    int rc = cm_check_compare(options->database, scan, query->window, query->dimension, work->from,
                              work->to, err);
    if (rc == 0 && !work->partly)
        cm_checked_note(options->checked, scan, work->from, work->to);
    return rc;
}

static cm_answer_t answer_of(const cm_index_query_t *query, const cm_best_row_t *row)
{
    cm_answer_t answer = {.dimension = query->dimension,
                          .window = query->window,
                          .window_start = row->start * CM_HOUR_MS,
                          .url = row->page,
                          .country = row->name,
                          .updated_at = row->updated_at};

    memcpy(&answer.measures, row->numbers, sizeof row->numbers);
    return answer;
}

static int give(const work_t *work, lane_t *lanes, int count, cm_answer_fn row, void *context)
{
    const cm_index_query_t *query = work->options->query;
    cm_best_t *best = &lanes[0].visit.best;
    int rc = 0;

    for (int i = 1; i < count; i++) {
        for (size_t r = 0; r < lanes[i].visit.best.count; r++)
            cm_best_offer(best, lanes[i].visit.best.rows[r]);
    }
    cm_best_sort(best);
    for (size_t r = (size_t)query->offset; rc == 0 && r < best->count; r++) {
        const cm_answer_t answer = answer_of(query, best->rows[r]);
        rc = row(context, &answer);
    }
    return rc;
}

int cm_search(const cm_search_options_t *options, cm_answer_fn row, void *context, cm_err_t *err)
{
    const cm_index_query_t *query = options->query;
    work_t work = {.options = options, .wanted = (size_t)(query->offset + query->limit)};
    lane_t lanes[THREADS_MAX] = {{0}};

    if (query->url != NULL && !cm_pattern_is_plain(query->url))
        work.pattern = cm_pattern_new(query->url);
    cm_index_select_span(query, &work.from, &work.to);
    int rc = read_moment(&work, options->database, &work.moment, err);
    if (rc == 0)
        rc = make_plan(&work, err);
    const int count = rc == 0 ? count_lanes(&work) : 0;
    if (rc == 0)
        rc = run_lanes(&work, lanes, count, err);
    if (rc == 0)
        rc = check(&work, lanes, count, err);
    if (rc == 0)
        rc = give(&work, lanes, count, row, context);
    close_lanes(lanes, count);
    cm_peaks_free(&work.peaks);
    free(work.pieces);
    free(work.moment.groups);
    cm_pattern_free(work.pattern);
    return rc;
}
