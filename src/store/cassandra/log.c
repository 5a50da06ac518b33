#include "store/cassandra/log.h"

#include "cassandra/changes.h"
#include "cassandra/settle.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
    VALUES = 8,
    ENTRIES = 1024,   /* at most this many rows of the companion without an acknowledgement */
    NUMBER_S = 86400, /* how long a number is used; entries live longer than this and a copy */
    KEEP = 4096,      /* settled entries are removed from the queue in groups of this size */
};

/* A row of the companion that is not acknowledged, or whose rows of events are not. */
typedef struct entry {
    uint64_t until; /* rows of the writer up to the last row of this entry */
    int64_t seq;    /* -1: the writer's own row */
} entry_t;

struct cm_store_cassandra_log {
    cm_store_cassandra_log_options_t o;
    cm_cql_writer_t *entries;
    int64_t writer, seq;        /* number of this writer, -1: none yet; and of its next entry */
    int64_t settled;            /* entries before this number are settled */
    int64_t reported;           /* value of `settled` in the writer's own row */
    int64_t announced;          /* limit of entries in the same row */
    int64_t since_ns, since_us; /* when it got its number, by both clocks */
    int64_t stamp_us;           /* write time of the companion's last row */
    uint64_t rows;              /* acknowledged rows */
    uint64_t until;             /* `until` of the last entry */
    entry_t *queue;             /* in the order of the writer's rows */
    size_t count, cap;          /* of the queue */
    size_t acked, done;         /* how many entries of the queue are acknowledged, and settled */
    uint64_t first;             /* the entry writer's number of the queue's first entry */
    cm_buf_t keys;
};

/* ---- acknowledgements ---- */

static void settle(cm_store_cassandra_log_t *log)
{
    /* If not seen, entries are not marked as settled: a reader reads the rows until it has seen
     * them. */
    const bool seen = cm_cassandra_changes_are_seen(log->o.settings->consistency);

    while (log->done < log->acked && log->queue[log->done].until <= log->rows) {
        if (seen && log->queue[log->done].seq >= 0)
            log->settled = log->queue[log->done].seq + 1;
        log->done++;
    }
    assert(log->done <= log->acked && log->acked <= log->count);
    assert(log->settled <= log->seq);
    if (log->done < KEEP)
        return;
    memmove(log->queue, log->queue + log->done, (log->count - log->done) * sizeof *log->queue);
    log->first += log->done;
    log->acked -= log->done;
    log->count -= log->done;
    log->done = 0;
}

static void on_durable(void *context, uint64_t durable)
{
    cm_store_cassandra_log_t *log = context;

    while (log->acked < log->count && log->first + log->acked < durable)
        log->acked++;
    if (log->acked > 0)
        cm_cql_writer_release(log->o.rows, log->queue[log->acked - 1].until);
    settle(log);
}

static bool on_refused(void *context, uint64_t row, const cm_cql_error_t *error)
{
    cm_store_cassandra_log_t *log = context;
    return log->o.refused(log->o.context, row, error);
}

void cm_store_cassandra_log_done(cm_store_cassandra_log_t *log, uint64_t rows)
{
    log->rows = rows;
    settle(log);
}

/* ---- writing ---- */

static int write_row(cm_store_cassandra_log_t *log, const cm_cql_value_t values[VALUES],
                     int64_t seq, cm_err_t *err)
{
    int rc = cm_cql_writer_add(log->entries, values, VALUES, err);

    if (cm_cassandra_result(log->o.session, rc) < 0)
        return rc;
    if (log->count == log->cap) {
        log->cap = log->cap ? log->cap * 2 : KEEP;
        log->queue = cm_realloc(log->queue, log->cap * sizeof *log->queue);
    }
    log->queue[log->count++] = (entry_t){.until = log->until, .seq = seq};
    return 0;
}

/* The writer's own row: an upper limit of its entries, and which of them are settled. It is written
 * repeatedly, sometimes several times at once. The write time decides which version stays, not the
 * order in which the nodes get them. */
static int announce(cm_store_cassandra_log_t *log, int64_t entries, cm_err_t *err)
{
    const cm_cql_value_t values[VALUES] = {cm_cql_text(CM_STR(CM_CASSANDRA_CHANGES_WRITERS)),
                                           cm_cql_i64(log->writer),
                                           cm_cql_i64(log->settled),
                                           cm_cql_i64(entries),
                                           cm_cql_null(),
                                           cm_cql_null(),
                                           cm_cql_null(),
                                           cm_cql_i64(log->stamp_us + 1)};

    int rc = write_row(log, values, -1, err);
    if (rc < 0)
        return rc;
    log->stamp_us++;
    log->reported = log->settled;
    log->announced = entries;
    return 0;
}

/* Begins the entries of a new number. The settled entries of the old number are no longer recorded:
 * readers use the write times of the rows. */
static int begin_number(cm_store_cassandra_log_t *log, int64_t now_ns, int64_t now_us,
                        cm_err_t *err)
{
    int64_t number;

    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        return cm_fail(err, CM_EINTERNAL, "no random number can be had: %s", strerror(errno));
    for (size_t i = log->done; i < log->count; i++)
        log->queue[i].seq = -1;
    log->writer = number & INT64_MAX;
    log->seq = log->settled = log->reported = log->announced = 0;
    log->since_ns = now_ns;
    log->since_us = now_us;
    return 0;
}

/* A writer takes a new number after a day. With one number for longer, its first entries would
 * expire while it is still used, and a reader that does not know the number begins with these
 * entries. */
static int choose_number(cm_store_cassandra_log_t *log, int64_t now_us, cm_err_t *err)
{
    const int64_t now_ns = cm_clock_ticks_ns();

    if (log->writer >= 0 && now_ns - log->since_ns < NUMBER_S * INT64_C(1000000000) &&
        now_us - log->since_us < NUMBER_S * INT64_C(1000000))
        return 0;
    return begin_number(log, now_ns, now_us, err);
}

/* The writer's own row is written before each entry, and no row of events is sent before both are
 * acknowledged. So a reader need not ask for entries that are not announced. */
static int write_entry(cm_store_cassandra_log_t *log, int64_t first_us, int64_t last_us,
                       uint64_t until, cm_err_t *err)
{
    char part[CM_CASSANDRA_CHANGES_PART];

    if (log->stamp_us < first_us)
        log->stamp_us = first_us;
    int rc = log->announced <= log->seq ? announce(log, log->seq + 1, err) : 0;
    if (rc < 0)
        return rc;
    cm_cassandra_changes_part(log->writer, log->seq, part);
    const cm_cql_value_t values[VALUES] = {cm_cql_text(cm_str(part)),
                                           cm_cql_i64(log->seq),
                                           cm_cql_i64(log->settled),
                                           cm_cql_null(),
                                           cm_cql_i64(first_us),
                                           cm_cql_i64(last_us),
                                           cm_cql_text((cm_str_t){log->keys.data, log->keys.len}),
                                           cm_cql_i64(log->stamp_us)};
    assert(until >= log->until && log->announced > log->seq);
    const uint64_t before = log->until;
    log->until = until;
    rc = write_row(log, values, log->seq, err);
    if (rc < 0)
        log->until = before;
    else
        log->seq++;
    return rc;
}

int cm_store_cassandra_log_add(cm_store_cassandra_log_t *log, const cm_str_t *keys, size_t count,
                               int64_t first_us, int64_t last_us, uint64_t until, cm_err_t *err)
{
    cm_buf_clear(&log->keys);
    for (size_t i = 0; i < count; i++) {
        if (keys[i].data != NULL)
            cm_cassandra_changes_add_key(&log->keys, keys[i]);
    }
    int rc = choose_number(log, first_us, err);
    return rc == 0 ? write_entry(log, first_us, last_us, until, err) : rc;
}

int cm_store_cassandra_log_report(cm_store_cassandra_log_t *log, cm_err_t *err)
{
    return log->reported < log->settled ? announce(log, log->seq, err) : 0;
}

bool cm_store_cassandra_log_is_written(const cm_store_cassandra_log_t *log)
{
    return cm_cql_writer_durable(log->entries) == cm_cql_writer_added(log->entries);
}

bool cm_store_cassandra_log_stall(const cm_store_cassandra_log_t *log, cm_cql_error_t *why)
{
    return cm_cql_writer_stall(log->entries, why);
}

/* ---- opening ---- */

static int prepare(cm_store_cassandra_log_t *log, cm_cql_prepared_t **insert, cm_err_t *err)
{
    const cm_cassandra_settings_t *settings = log->o.settings;
    cm_buf_t text = CM_BUF_INIT;

    cm_buf_add_text(&text, "INSERT INTO ");
    cm_cassandra_changes_add_table(&text, settings);
    cm_buf_printf(&text,
                  " (part, seq, done, end_seq, first_us, last_us, keys) VALUES (?, ?, ?, ?, ?, ?, "
                  "?) USING TIMESTAMP ? AND TTL %d",
                  CM_CASSANDRA_CHANGES_TTL_S);
    int rc = cm_cassandra_prepare(settings, log->o.session, (cm_str_t){text.data, text.len}, insert,
                                  "preparing to note what is written", err);
    cm_buf_free(&text);
    return rc;
}

int cm_store_cassandra_log_open(const cm_store_cassandra_log_options_t *options,
                                cm_store_cassandra_log_t **log, cm_err_t *err)
{
    cm_store_cassandra_log_t *self = cm_alloc_zero(1, sizeof *self);
    const cm_cql_writer_options_t writer = {
        .batch_rows = 1,
        .max_rows = ENTRIES,
        .speculative_ms =
            options->settings->speculative_ms > 0 ? options->settings->speculative_ms : -1,
        .durable = on_durable,
        .refused = on_refused,
        .context = self};
    cm_cql_prepared_t *insert;

    self->o = *options;
    self->writer = -1;
    int rc = cm_cassandra_changes_ensure(options->settings, options->session,
                                         options->settings->create, NULL, err);
    if (rc == 0)
        rc = prepare(self, &insert, err);
    if (rc == 0)
        rc =
            cm_cassandra_result(options->session, cm_cql_writer_open(options->session, insert,
                                                                     &writer, &self->entries, err));
    if (rc < 0)
        cm_store_cassandra_log_close(self);
    else
        *log = self;
    return rc;
}

void cm_store_cassandra_log_close(cm_store_cassandra_log_t *log)
{
    if (log == NULL)
        return;
    cm_cql_writer_close(log->entries);
    cm_buf_free(&log->keys);
    free(log->queue);
    free(log);
}
