#include "cassandra/schema.h"
#include "cassandra/settle.h"
#include "store/cassandra/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    RUN_MS = 100,
    ASK_MS = 250, /* time between calls of the waiter; less than CM_WAIT_MS */
    QUIET_MS =
        2000, /* without an acknowledgement: the servers do not answer, and are not only slow */
    ENTRY_ROWS = 900, /* at most this many rows in one entry of the companion */
    REPORT_MS = 1000, /* between reports of acknowledged rows, without other entries */
};

typedef cm_store_cassandra_t self_t;

/* ---- waiting ---- */

static int fail_refused(const self_t *self, cm_err_t *err)
{
    return cm_cassandra_fail(self->settings, &self->refusal, "storing events", err);
}

/* Why no rows are acknowledged; NULL while some are. */
static const char *find_reason(self_t *self, int64_t now)
{
    const cm_cql_error_t *last = cm_cql_last_error(self->session);
    cm_cql_error_t stall;

    if (now - self->progress_ns < QUIET_MS * INT64_C(1000000))
        return NULL;
    /* The session's last error may come from a node that is down although the other nodes suffice.
     */
    if (cm_cql_state(self->session) == CM_CQL_READY &&
        (cm_cql_writer_stall(self->writer, &stall) ||
         (self->log != NULL && cm_store_cassandra_log_stall(self->log, &stall))))
        last = &stall;
    if (last == NULL)
        return "it does not answer";
    snprintf(self->reason, sizeof self->reason, "%s%s%s", last->node, last->node[0] ? ": " : "",
             last->text);
    return self->reason;
}

/* Records the time when rows were acknowledged, or when there were none to acknowledge. */
static void note_progress(self_t *self, int64_t now)
{
    uint64_t durable = cm_cql_writer_durable(self->writer);

    if (durable != self->progress || durable == cm_cql_writer_added(self->writer))
        self->progress_ns = now;
    self->progress = durable;
}

static void begin_wait(self_t *self)
{
    self->asked_ns = cm_clock_ticks_ns();
    note_progress(self, self->asked_ns);
}

/* Runs the client for a moment, and asks whether to continue waiting. */
static int wait_a_little(self_t *self, cm_err_t *err)
{
    const cm_waiter_t *waiter = self->waiter;

    int rc = cm_cassandra_run(self->session, RUN_MS, err);
    if (rc < 0)
        return rc;
    if (self->refusal.code != CM_CQL_OK)
        return fail_refused(self, err);
    int64_t now = cm_clock_ticks_ns();
    note_progress(self, now);
    if (waiter == NULL || now - self->asked_ns < ASK_MS * INT64_C(1000000))
        return 0;
    rc = waiter->wait(waiter->context, cm_store_retries(&self->store), find_reason(self, now));
    self->asked_ns = cm_clock_ticks_ns();
    if (rc >= 0)
        return 0;
    const char *reason = find_reason(self, self->asked_ns);
    return cm_fail(err, rc,
                   "gave up waiting for Cassandra at %s (%s): %llu rows are not acknowledged, they "
                   "may be stored or not",
                   self->settings->hosts, reason != NULL ? reason : "it is slow",
                   (unsigned long long)(cm_cql_writer_added(self->writer) -
                                        cm_cql_writer_durable(self->writer)));
}

/* ---- writing ---- */

/* The servers refuse the row permanently. A full disk or a bug sometimes looks the same, so these
 * are waited for; so is a node that does not know a new table yet. */
static bool on_refused(void *context, uint64_t row, const cm_cql_error_t *error)
{
    self_t *self = context;

    (void)row;
    if (cm_cassandra_is_unsettled(error) && cm_clock_ticks_ns() < self->settling.until_ns)
        return false;
    if (!cm_cql_error_is_passing(error) && self->refusal.code == CM_CQL_OK)
        self->refusal = *error;
    return false;
}

/* The write time of a further row. Rows with equal write times would be merged column by column
 * into a row that was never sent. */
static int64_t next_write_us(self_t *self)
{
    int64_t now = cm_clock_now_us(self->clock);

    self->last_write_us = now > self->last_write_us ? now : self->last_write_us + 1;
    return self->last_write_us;
}

static int put_event(self_t *self, const cm_event_t *event, cm_str_t row_key, int64_t write_us,
                     cm_err_t *err)
{
    cm_cql_value_t values[CM_CASSANDRA_COLUMNS + 1];
    int rc;

    assert(self->settings->extended || event->extra == NULL); /* cm_store_fit() was called */
    int count = cm_store_cassandra_row_values(self->settings, event, row_key, &self->room, values);
    values[count++] = cm_cql_i64(write_us); /* the row keeps it even if it is sent several times */
    while ((rc = cm_cql_writer_add(self->writer, values, count, err)) == CM_EBUSY) {
        if ((rc = wait_a_little(self, err)) < 0)
            return rc;
    }
    return rc < 0 ? cm_cassandra_result(self->session, rc) : 0;
}

/* Records the end of a batch. */
static void end_batch(self_t *self)
{
    if (self->end_count == self->end_cap) {
        self->end_cap = self->end_cap ? self->end_cap * 2 : 64;
        self->ends = cm_realloc(self->ends, self->end_cap * sizeof *self->ends);
    }
    self->ends[self->end_count++] = cm_cql_writer_added(self->writer);
}

static int put_events(self_t *self, const cm_batch_t *batch, cm_err_t *err)
{
    int rc = 0;

    for (size_t i = 0; i < batch->count && rc == 0; i++) {
        if (self->choice.keys[i].data != NULL)
            rc = put_event(self, &batch->events[i], self->choice.keys[i], next_write_us(self), err);
    }
    return rc;
}

/* Adds an entry for `rows` rows of the events from `i` to `end`, and then the rows; their write
 * times are consecutive. */
static int put_part_with_entry(self_t *self, const cm_batch_t *batch, size_t i, size_t end,
                               size_t rows, cm_err_t *err)
{
    int64_t first_us = next_write_us(self), last_us = first_us + (int64_t)rows - 1, at = first_us;
    uint64_t until = cm_cql_writer_added(self->writer) + rows;
    int rc;

    self->last_write_us = last_us;
    while ((rc = cm_store_cassandra_log_add(self->log, self->choice.keys + i, end - i, first_us,
                                            last_us, until, err)) == CM_EBUSY) {
        if ((rc = wait_a_little(self, err)) < 0)
            return rc;
    }
    for (; i < end && rc == 0; i++) {
        if (self->choice.keys[i].data != NULL)
            rc = put_event(self, &batch->events[i], self->choice.keys[i], at++, err);
    }
    assert(rc != 0 || (at == last_us + 1 && cm_cql_writer_added(self->writer) == until));
    return rc;
}

/* Puts a batch: each part has an entry in the companion before it is sent. */
static int put_with_entries(self_t *self, const cm_batch_t *batch, cm_err_t *err)
{
    int rc = 0;

    for (size_t i = 0, end; i < batch->count && rc == 0; i = end) {
        size_t rows = 0;
        for (end = i; end < batch->count && rows < ENTRY_ROWS; end++)
            rows += self->choice.keys[end].data != NULL;
        if (rows > 0)
            rc = put_part_with_entry(self, batch, i, end, rows, err);
    }
    return rc;
}

static int cassandra_put(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err)
{
    self_t *self = (self_t *)sink;

    begin_wait(self);
    cm_choice_make(&self->choice, batch);
    int rc = self->log != NULL ? put_with_entries(self, batch, err) : put_events(self, batch, err);
    if (rc < 0)
        return rc;
    end_batch(self);
    cm_cql_writer_flush(self->writer); /* the next call may come much later */
    rc = cm_cassandra_run(self->session, 0, err);
    return rc < 0 ? rc : self->refusal.code != CM_CQL_OK ? fail_refused(self, err) : 0;
}

static void count_durable(self_t *self)
{
    uint64_t rows = cm_cql_writer_durable(self->writer);
    size_t done = 0;

    while (done < self->end_count && self->ends[done] <= rows)
        done++;
    if (done == 0)
        return;
    assert(done <= self->end_count);
    self->durable += done;
    self->end_count -= done;
    memmove(self->ends, self->ends + done, self->end_count * sizeof *self->ends);
}

/* While nothing is put, no later entry would report that earlier rows are acknowledged. */
static int report_settled(self_t *self, cm_err_t *err)
{
    int64_t now = cm_clock_ticks_ns();

    if (self->log == NULL || now - self->reported_ns < REPORT_MS * INT64_C(1000000))
        return 0;
    self->reported_ns = now;
    int rc = cm_store_cassandra_log_report(self->log, err);
    return rc == CM_EBUSY ? 0 : rc;
}

/* Waits until the companion says that all rows are settled, so that a reader need not read them
 * again. */
static int report_all(self_t *self, cm_err_t *err)
{
    int rc;

    while ((rc = cm_store_cassandra_log_report(self->log, err)) == CM_EBUSY ||
           (rc == 0 && !cm_store_cassandra_log_is_written(self->log))) {
        if ((rc = wait_a_little(self, err)) < 0)
            return rc;
    }
    return rc;
}

static int cassandra_durable(cm_sink_t *sink, uint64_t *batches, cm_err_t *err)
{
    self_t *self = (self_t *)sink;

    int rc = cm_cassandra_run(self->session, 0, err);
    if (rc < 0)
        return rc;
    if (self->refusal.code != CM_CQL_OK)
        return fail_refused(self, err);
    note_progress(self, cm_clock_ticks_ns());
    count_durable(self);
    *batches = self->durable;
    return report_settled(self, err);
}

static int cassandra_commit(cm_sink_t *sink, cm_err_t *err)
{
    self_t *self = (self_t *)sink;
    int rc = 0;

    begin_wait(self);
    cm_cql_writer_flush(self->writer);
    while (rc == 0 && cm_cql_writer_durable(self->writer) < cm_cql_writer_added(self->writer))
        rc = wait_a_little(self, err);
    count_durable(self);
    return rc == 0 && self->log != NULL ? report_all(self, err) : rc;
}

static const char *cassandra_trouble(cm_store_t *store)
{
    self_t *self = (self_t *)store;

    if (self->writer == NULL)
        return NULL;
    return find_reason(self, cm_clock_ticks_ns());
}

static uint64_t cassandra_retries(const cm_store_t *store)
{
    const self_t *self = (const self_t *)store;
    cm_cql_writer_stats_t stats = {0};

    if (self->writer != NULL)
        cm_cql_writer_stats(self->writer, &stats);
    return stats.retries;
}

static void cassandra_close(cm_sink_t *sink)
{
    self_t *self = (self_t *)sink;

    if (self->memory != NULL)
        cm_sink_close(&self->memory->sink);
    cm_store_cassandra_log_close(self->log);
    cm_cql_writer_close(self->writer);
    cm_cql_close(self->session);
    cm_choice_free(&self->choice);
    cm_store_cassandra_row_room_free(&self->room);
    free(self->ends);
    free(self);
}

/* ---- opening ---- */

static int prepare(self_t *self, cm_cql_prepared_t **insert, cm_err_t *err)
{
    const cm_cassandra_settings_t *settings = self->settings;
    cm_buf_t text = CM_BUF_INIT;

    cm_buf_add_text(&text, "INSERT INTO ");
    cm_cassandra_add_table(&text, settings);
    cm_buf_add_text(&text, " (");
    cm_cassandra_add_columns(&text, settings);
    cm_buf_add_text(&text, ") VALUES (?");
    for (int i = 1; i < cm_cassandra_column_count(settings); i++)
        cm_buf_add_text(&text, ", ?");
    cm_buf_add_text(&text, ") USING TIMESTAMP ?");
    if (settings->ttl_s > 0)
        cm_buf_printf(&text, " AND TTL %lld", (long long)settings->ttl_s);
    int rc = cm_cassandra_prepare(settings, self->session, (cm_str_t){text.data, text.len}, insert,
                                  "preparing to store events", err);
    cm_buf_free(&text);
    return rc;
}

static void on_rows_durable(void *context, uint64_t durable)
{
    self_t *self = context;

    if (self->log != NULL)
        cm_store_cassandra_log_done(self->log, durable);
}

static int open_log(self_t *self, cm_err_t *err)
{
    const cm_store_cassandra_log_options_t options = {.settings = self->settings,
                                                      .session = self->session,
                                                      .refused = on_refused,
                                                      .context = self,
                                                      .rows = self->writer};
    return cm_store_cassandra_log_open(&options, &self->log, err);
}

static int open_writer(self_t *self, cm_err_t *err)
{
    const cm_cql_writer_options_t options = {
        .batch_bytes = self->settings->batch_bytes,
        .max_rows = self->settings->in_flight,
        .speculative_ms = self->settings->speculative_ms > 0 ? self->settings->speculative_ms : -1,
        .held = self->settings->only_writer,
        .durable = on_rows_durable,
        .refused = on_refused,
        .context = self};
    cm_cql_prepared_t *insert;

    int rc = cm_cassandra_ensure(self->settings, self->session, err);
    self->settling = cm_cassandra_settling_begin(self->settings);
    if (rc == 0)
        rc = prepare(self, &insert, err);
    if (rc == 0)
        rc = cm_cassandra_result(
            self->session, cm_cql_writer_open(self->session, insert, &options, &self->writer, err));
    return rc == 0 && self->settings->only_writer ? open_log(self, err) : rc;
}

/* A table that is only read must exist: making an empty one would not help. */
static int check_table(self_t *self, cm_err_t *err)
{
    cm_cassandra_facts_t facts;

    int rc = cm_cassandra_probe(self->settings, self->session, &facts, err);
    return rc == 0 ? cm_cassandra_explain_state(self->settings, &facts, err) : rc;
}

int cm_store_cassandra_open(const cm_store_cassandra_options_t *options, cm_store_t **store,
                            cm_err_t *err)
{
    static const cm_sink_ops_t sink_ops = {cassandra_put, cassandra_commit, cassandra_close,
                                           cassandra_durable};
    static const cm_store_ops_t store_ops = {.reader = cm_store_cassandra_reader,
                                             .scan = cm_store_cassandra_scan,
                                             .fit = cm_store_cassandra_fit,
                                             .trouble = cassandra_trouble,
                                             .retries = cassandra_retries};
    self_t *self = cm_alloc_zero(1, sizeof *self);

    self->settings = options->settings;
    self->store = (cm_store_t){
        .sink = {&sink_ops}, .ops = &store_ops, .scans_extra = self->settings->extended};
    self->waiter = options->waiter;
    self->clock = options->clock;
    int rc = cm_cassandra_connect(self->settings, &self->session, err);
    if (rc == 0)
        rc = options->only_read ? check_table(self, err) : open_writer(self, err);
    if (rc < 0)
        cassandra_close(&self->store.sink);
    else
        *store = &self->store;
    return rc;
}
