/* The door of the embedded index. */
#include "index/embedded/changes.h"
#include "index/embedded/checked.h"
#include "index/embedded/receive.h"
#include "index/embedded/search.h"
#include "index/embedded/select.h"

#include "store/embedded/store.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LOOK_EVERY = 10000
}; /* steps of SQLite's machine between checks whether the client still waits */

typedef struct embedded_index {
    cm_index_t index;              /* first */
    const cm_database_t *database; /* `own`, or that of a store */
    cm_database_t own;
    char *data_dir; /* NULL: the database is a store's */
    bool held;      /* all answers are of one moment */
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

/* Opens a frozen database again that another process has written: its changes are only visible
 * after that. */
static int freshen(embedded_index_t *self, cm_err_t *err)
{
    cm_database_t fresh;

    if (self->held || self->data_dir == NULL || cm_database_is_fresh(self->database))
        return 0;
    int rc = cm_database_open_read(self->data_dir, &fresh, err);
    if (rc < 0)
        return rc;
    cm_database_close(&self->own);
    self->own = fresh;
    return cm_index_select_register(self->database, err);
}

/* Which tables of answers exist; "older" also where they are to be read without checks. */
static int look_at_tables(const embedded_index_t *self, cm_check_state_t *state, cm_err_t *err)
{
    int rc = cm_check_state(self->database, state, err);
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

/* Gives the rows to `row`. Sorted rows have all been seen before the first one is given, so that no
 * row of damaged answers is given. */
static int give_rows(embedded_index_t *self, cm_index_select_t *ask, bool checked,
                     sqlite3_stmt *select, cm_answer_fn row, void *context, cm_err_t *err)
{
    const cm_index_query_t *query = ask->query;
    bool check = checked && !(query->unsorted && query->limit > 0);
    int step, rc = 0;

    do {
        step = sqlite3_step(select);
        if (step == SQLITE_INTERRUPT)
            return cm_fail(err, CM_ESTOP, "the client no longer waits for the answers");
        if (step != SQLITE_ROW && step != SQLITE_DONE)
            return cm_check_fail_sqlite(self->database, "reading the answers", err);
        if (check && (step == SQLITE_DONE || !query->unsorted)) {
            rc = cm_index_select_compare(ask, self->database, checked_of(self, query), err);
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

/* Prepares the query and gives its rows; during the search it checks whether the client still
 * waits. */
static int ask_and_give(embedded_index_t *self, cm_index_select_t *ask, bool checked,
                        cm_answer_fn row, void *context, cm_err_t *err)
{
    const cm_index_query_t *query = ask->query;
    sqlite3 *db = self->database->db;
    sqlite3_stmt *select = NULL;

    int rc = cm_database_prepare(self->database, ask->sql.data, &select, err);
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

/* A page: the first rows in an order. */
static int ask_page(embedded_index_t *self, const cm_index_query_t *query, bool fresh,
                    cm_answer_fn row, void *context, cm_err_t *err)
{
    const bool own = self->data_dir != NULL && !self->held;
    const cm_search_options_t options = {.database = self->database,
                                         .data_dir = own ? self->data_dir : NULL,
                                         .query = query,
                                         .check = !fresh,
                                         .checked = checked_of(self, query)};

    return cm_search(&options, row, context, err);
}

/* Runs the query; `checked` in a transaction, so that rows and checksums are of one moment. */
static int run_query(embedded_index_t *self, const cm_index_query_t *query, bool checked,
                     cm_answer_fn row, void *context, cm_err_t *err)
{
    static const char doing[] = "reading the answers";
    const bool begin = checked && sqlite3_get_autocommit(self->database->db);
    bool indexed = false, fresh = false;
    cm_index_select_t ask;

    int rc = begin ? cm_database_exec(self->database, "BEGIN", doing, err) : 0;
    if (rc == 0)
        rc = cm_database_has(self->database, CM_TOTAL_COUNTRY, &indexed, err);
    if (rc == 0 && checked)
        rc = cm_index_select_fresh(query, self->database, checked_of(self, query), &fresh, err);
    const bool page = checked && cm_search_can(query);
    checked &= !fresh;
    cm_index_select_build(&ask, query, checked, indexed);
    if (rc == 0)
        rc = page ? ask_page(self, query, fresh, row, context, err)
                  : ask_and_give(self, &ask, checked, row, context, err);
    if (begin)
        cm_database_exec(self->database, "COMMIT", doing, NULL);
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
    /* Damage that only comes from a write during the query is none. */
    if (rc == 0 || rc == CM_ECORRUPT)
        return cm_database_is_fresh(self->database) ? rc
                                                    : cm_database_check_fresh(self->database, err);
    return rc;
}

static int read_covered(const cm_database_t *database, cm_window_t window, cm_freshness_t *out,
                        cm_err_t *err)
{
    cm_index_coverage_t covered;

    int rc = cm_index_embedded_coverage(database, window, &covered, err);
    out->present = covered.present;
    out->processed = covered.end_ordinal;
    out->events = covered.events;
    out->duplicates = covered.end_ordinal - covered.events;
    out->updated_at = covered.updated_at;
    out->cells = covered.cells;
    out->session_timeout = covered.session_timeout;
    return rc;
}

/* The same with a check against the checksum, both of one moment. */
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

/* A day or an hour counts true visitors. The days of another store's events are only known from
 * what was noted, if it was. */
static int read_daily(const embedded_index_t *self, cm_window_t window, cm_freshness_t *out,
                      cm_err_t *err)
{
    const bool own = out->session_timeout >= 0;
    bool noted, recorded = false, several;

    int rc = cm_index_embedded_visitors(self->database, &noted, &several, err);
    if (rc == 0 && own)
        rc = cm_store_embedded_daily(self->database, &recorded, err);
    out->daily_ids = noted || recorded || self->index.daily;
    if (rc < 0 || !out->daily_ids || window != CM_WINDOW_ALL)
        return rc;
    if (own)
        rc = cm_store_embedded_several_days(self->database, &several, err);
    out->daily_visitors = several || (!own && !noted);
    return rc;
}

static int embedded_freshness(cm_index_t *index, cm_window_t window, cm_freshness_t *out,
                              cm_err_t *err)
{
    embedded_index_t *self = (embedded_index_t *)index;
    const cm_database_t *database = self->database;
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
    /* `accepted` is read last: a commit in between can only make it larger than `processed`. */
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

/* Reads on after an error, and returns the first one. */
static int embedded_kept(cm_index_t *index, unsigned *own, unsigned *others, cm_err_t *err)
{
    const embedded_index_t *self = (const embedded_index_t *)index;
    cm_err_t later;
    int rc = 0;

    for (int window = 0; window < CM_WINDOW_COUNT; window++) {
        cm_index_coverage_t covered;
        const int now = cm_index_embedded_coverage(self->database, (cm_window_t)window, &covered,
                                                   rc == 0 ? err : &later);
        rc = rc == 0 ? now : rc;
        if (covered.present)
            *(covered.session_timeout < 0 ? others : own) |= cm_window_mask((cm_window_t)window);
    }
    return rc;
}

/* The moment is that of the first query. */
static int embedded_hold(cm_index_t *index, cm_err_t *err)
{
    embedded_index_t *self = (embedded_index_t *)index;

    int rc = freshen(self, err);
    self->held = rc == 0;
    return rc < 0 ? rc : cm_database_exec(self->database, "BEGIN", "reading the answers", err);
}

static int embedded_watermark(cm_index_t *index, int64_t *watermark, cm_err_t *err)
{
    const embedded_index_t *self = (const embedded_index_t *)index;
    return cm_index_changes_latest(self->database, watermark, err);
}

static int embedded_count_changes(cm_index_t *index, int64_t since, int64_t until, int64_t *count,
                                  cm_err_t *err)
{
    const embedded_index_t *self = (const embedded_index_t *)index;
    return cm_index_changes_count(self->database, since, until, count, err);
}

static int embedded_changes(cm_index_t *index, const cm_index_changes_t *changes, cm_err_t *err)
{
    const embedded_index_t *self = (const embedded_index_t *)index;
    int rc = 0;

    if (changes->removed != NULL)
        rc = cm_index_changes_tombstones(self->database, changes->since, changes->until,
                                         changes->removed, changes->context, err);
    return rc != 0 ? rc
                   : cm_index_changes_each(self->database, changes->since, changes->until,
                                           changes->changed, changes->context, err);
}

static int embedded_checkpoint(cm_index_t *index, const char *mirror,
                               cm_index_checkpoint_t *checkpoint, cm_err_t *err)
{
    const embedded_index_t *self = (const embedded_index_t *)index;

    int rc = cm_index_changes_prepare(self->database, err);
    return rc < 0 ? rc : cm_index_changes_checkpoint(self->database, mirror, checkpoint, err);
}

static int embedded_set_checkpoint(cm_index_t *index, const char *mirror,
                                   const cm_index_checkpoint_t *checkpoint, cm_err_t *err)
{
    const embedded_index_t *self = (const embedded_index_t *)index;

    return mirror != NULL ? cm_index_changes_set_checkpoint(self->database, mirror, checkpoint, err)
                          : cm_index_changes_forget(self->database, err);
}

static int embedded_apply(cm_index_t *index, cm_index_t *source, const cm_index_apply_t *options,
                          cm_index_checkpoint_t *checkpoint, cm_index_applied_t *applied,
                          cm_err_t *err)
{
    const embedded_index_t *self = (const embedded_index_t *)index;
    return cm_index_embedded_receive(self->database, source, options, checkpoint, applied, err);
}

static int embedded_forget(cm_index_t *index, cm_err_t *err)
{
    const embedded_index_t *self = (const embedded_index_t *)index;
    return cm_index_embedded_forget(self->database, err);
}

static int embedded_probe(cm_index_t *index, bool create, cm_index_facts_t *facts, cm_err_t *err)
{
    const embedded_index_t *self = (const embedded_index_t *)index;
    cm_check_state_t before, now;

    *facts = (cm_index_facts_t){.complete = false};
    snprintf(facts->server, sizeof facts->server, "SQLite %s", sqlite3_libversion());
    int rc = cm_check_state(self->database, &before, err);
    if (rc == 0 && create)
        rc = cm_index_embedded_prepare(self->database, err);
    if (rc == 0)
        rc = cm_check_state(self->database, &now, err);
    if (rc < 0)
        return rc;
    facts->complete = now == CM_CHECK_READY;
    facts->created = facts->complete && before != CM_CHECK_READY;
    snprintf(facts->state, sizeof facts->state, "%s",
             facts->complete ? "the tables of answers are there"
                             : "there are no tables of answers yet");
    return 0;
}

static void embedded_close(cm_index_t *index)
{
    embedded_index_t *self = (embedded_index_t *)index;

    if (self->database == &self->own)
        cm_database_close(&self->own);
    for (int window = 0; window < CM_WINDOW_COUNT; window++) {
        for (int dimension = 0; dimension < CM_DIMENSION_COUNT; dimension++)
            cm_checked_free(&self->checked[window][dimension]);
    }
    free(self->data_dir);
    free(self);
}

static const cm_index_ops_t ops = {.query = embedded_query,
                                   .freshness = embedded_freshness,
                                   .kept = embedded_kept,
                                   .hold = embedded_hold,
                                   .watermark = embedded_watermark,
                                   .count_changes = embedded_count_changes,
                                   .changes = embedded_changes,
                                   .checkpoint = embedded_checkpoint,
                                   .set_checkpoint = embedded_set_checkpoint,
                                   .apply = embedded_apply,
                                   .forget = embedded_forget,
                                   .probe = embedded_probe,
                                   .close = embedded_close};

static int open_on(embedded_index_t *self, const cm_database_t *database, cm_index_t **index,
                   cm_err_t *err)
{
    self->index.ops = &ops;
    self->index.name = database->path;
    self->database = database;
    int rc = cm_index_select_register(database, err);
    if (rc < 0)
        embedded_close(&self->index);
    else
        *index = &self->index;
    return rc;
}

int cm_index_embedded_open(const char *data_dir, cm_index_t **index, cm_err_t *err)
{
    embedded_index_t *self = cm_alloc_zero(1, sizeof *self);

    int rc = cm_database_open_read(data_dir, &self->own, err);
    if (rc < 0) {
        free(self);
        return rc;
    }
    self->data_dir = cm_strdup(data_dir);
    return open_on(self, &self->own, index, err);
}

int cm_index_embedded_open_writer(cm_store_t *store, cm_index_t **index, cm_err_t *err)
{
    return open_on(cm_alloc_zero(1, sizeof(embedded_index_t)), cm_store_embedded_database(store),
                   index, err);
}
