/* A writer: collects rows into batches, one for each node, and records which rows are done. */
#include "cql/writer.h"

#include "cql/route.h"

#include <stdlib.h>
#include <time.h>

enum {
    BATCH_ROWS = 50,
    BATCH_BYTES = 24 * 1024,
    MAX_BATCH_ROWS = 65535, /* a [short] counts them */
    LINGER_MS = 5,
    SPECULATIVE_MS = 500,
    ANSWER_MS = 1000, /* a node that needs less time is not the cause of a delay */
    MAX_ROWS = 65536,
    MAX_BATCHES = 128, /* more would only wait in the server */
    MAX_SINGLE_ROWS = 1024,
};

static void fill(int *value, int otherwise)
{
    if (*value == 0)
        *value = otherwise;
}

static int fill_options(cm_cql_writer_t *w, const cm_cql_writer_options_t *options, cm_err_t *err)
{
    cm_cql_writer_options_t *o = &w->o;
    const cm_cql_options_t *session = &w->session->loop.o;

    if (options != NULL)
        *o = *options;
    fill(&o->batch_rows, BATCH_ROWS);
    fill(&o->linger_ms, LINGER_MS);
    fill(&o->speculative_ms, SPECULATIVE_MS);
    fill(&o->max_rows, MAX_ROWS);
    fill(&o->max_batches, o->batch_rows == 1 ? MAX_SINGLE_ROWS : MAX_BATCHES);
    fill(&o->timeout_ms, session->request_timeout_ms);
    fill(&o->retry_min_ms, session->retry_min_ms);
    fill(&o->retry_max_ms, session->retry_max_ms);
    if (o->batch_bytes == 0)
        o->batch_bytes = BATCH_BYTES;
    if (o->batch_rows < 1 || o->batch_rows > MAX_BATCH_ROWS || o->max_rows < 1 ||
        o->max_rows > 1 << 26 || o->max_batches < 1 || o->linger_ms < 0 ||
        o->retry_min_ms > o->retry_max_ms)
        return cm_fail(err, CM_EUSAGE,
                       "cql: a writer of batches of %d rows, %d batches and %d rows at most, %d ms "
                       "linger, retries after %d to %d ms is not possible",
                       o->batch_rows, o->max_batches, o->max_rows, o->linger_ms, o->retry_min_ms,
                       o->retry_max_ms);
    return 0;
}

int cm_cql_writer_open(cm_cql_t *session, cm_cql_prepared_t *prepared,
                       const cm_cql_writer_options_t *options, cm_cql_writer_t **writer,
                       cm_err_t *err)
{
    if (!prepared->ready)
        return cm_fail(err, CM_EUSAGE, "cql: the writer's statement is not prepared yet");
    cm_cql_writer_t *w = calloc(1, sizeof *w);
    if (w == NULL)
        return cm_cql_fail_memory(err);
    w->session = session;
    w->prepared = prepared;
    int rc = fill_options(w, options, err);
    if (rc < 0) {
        free(w);
        return rc;
    }
    w->released = w->o.held ? 0 : UINT64_MAX;
    for (w->ring = 64; w->ring < (uint64_t)w->o.max_rows;)
        w->ring *= 2;
    w->done = calloc(w->ring / 64, sizeof *w->done);
    if (w->done == NULL) {
        free(w);
        return cm_cql_fail_memory(err);
    }
    *writer = w;
    return 0;
}

void cm_cql_writer_release(cm_cql_writer_t *w, uint64_t rows)
{
    if (rows <= w->released)
        return;
    w->released = rows;
    if (!w->session->running)
        w->session->loop.now = cm_cql_now(&w->session->loop);
    cm_cql_batch_send_waiting(w);
}

void cm_cql_writer_flush(cm_cql_writer_t *w)
{
    if (!w->session->running)
        w->session->loop.now = cm_cql_now(&w->session->loop);
    for (int i = 0; i < w->open_count; i++) {
        cm_cql_batch_t *batch = w->open[i];
        w->open[i] = NULL;
        if (batch != NULL)
            cm_cql_batch_send(batch);
    }
}

/* The topology has changed: its nodes have other numbers. False when there is no memory. */
static bool regroup(cm_cql_writer_t *w)
{
    int count = w->session->nodes.count + 1;

    cm_cql_writer_flush(w);
    cm_cql_batch_t **open = realloc(w->open, (size_t)count * sizeof(cm_cql_batch_t *));
    if (open == NULL)
        return false;
    w->open = open;
    for (int i = 0; i < count; i++)
        w->open[i] = NULL;
    w->open_count = count;
    w->generation = w->session->generation;
    return true;
}

/* Microseconds of the wall clock that never repeat. */
static int64_t next_timestamp(cm_cql_writer_t *w)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    int64_t us = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    if (us <= w->last_timestamp_us)
        us = w->last_timestamp_us + 1;
    w->last_timestamp_us = us;
    return us;
}

/* A batch with room for `size` bytes. NULL when there is no memory. */
static cm_cql_batch_t *begin_batch(cm_cql_writer_t *w, int group, size_t size)
{
    cm_cql_t *s = w->session;
    cm_cql_batch_t *batch = cm_cql_batch_new(w);

    if (batch == NULL)
        return NULL;
    if (!cm_buf_try_reserve(&batch->call->body, size)) {
        cm_cql_batch_free(batch);
        return NULL;
    }
    batch->group = group;
    w->open[group] = batch;
    if (w->o.timestamps)
        batch->call->timestamp_us = next_timestamp(w);
    if (!s->running)
        s->loop.now = cm_cql_now(&s->loop);
    if (w->o.batch_rows > 1)
        cm_cql_timer_set(&s->loop.wheel, &batch->timer, s->loop.now + w->o.linger_ms);
    return batch;
}

static size_t row_size(const cm_cql_value_t *values, int count)
{
    size_t size = 6;
    for (int i = 0; i < count; i++)
        size += 4 + (values[i].len > 0 ? (size_t)values[i].len : 0);
    return size;
}

/* False, and nothing is added, when there is no memory. */
static bool add_row(cm_cql_batch_t *batch, const cm_cql_value_t *values, int count, size_t size)
{
    cm_buf_t *body = &batch->call->body;
    uint32_t len = (uint32_t)size - 4;

    if (!cm_buf_try_reserve(body, size))
        return false;
    memcpy(body->data + body->len, &len, 4);
    body->len += 4;
    if (!cm_cql_add_values(body, values, count)) { /* not possible: the room is reserved */
        body->len -= 4;
        return false;
    }
    batch->numbers[batch->rows++] = batch->writer->added++;
    return true;
}

int cm_cql_writer_add(cm_cql_writer_t *w, const cm_cql_value_t *values, int count, cm_err_t *err)
{
    cm_cql_t *s = w->session;
    int64_t token = 0;

    if (count != w->prepared->bound.count)
        return cm_fail(err, CM_EUSAGE, "cql: %d values for a row of %d", count,
                       w->prepared->bound.count);
    if (w->added - w->durable >= (uint64_t)w->o.max_rows)
        return cm_fail(err, CM_EBUSY, "cql: %d rows wait to be written, which is the limit",
                       w->o.max_rows);
    if ((w->generation != s->generation || w->open_count == 0) && !regroup(w))
        return cm_cql_fail_memory(err);
    bool has_token = cm_cql_values_token(w->prepared, values, &token);
    int node = has_token ? cm_cql_primary(s, w->prepared, token) : -1;
    int group = node >= 0 ? node : w->open_count - 1;
    size_t size = row_size(values, count);
    cm_cql_batch_t *batch = w->open[group];
    if (batch != NULL && batch->call->body.len + size > w->o.batch_bytes) {
        w->open[group] = NULL;
        cm_cql_batch_send(batch);
        batch = NULL;
    }
    if (batch == NULL) {
        batch = begin_batch(w, group, size);
        if (batch == NULL)
            return cm_cql_fail_memory(err);
        batch->call->token = token;
        batch->call->has_token = has_token;
    }
    if (!add_row(batch, values, count, size))
        return cm_cql_fail_memory(err);
    if (batch->rows >= w->o.batch_rows) {
        w->open[group] = NULL;
        cm_cql_batch_send(batch);
    }
    return 0;
}

uint64_t cm_cql_writer_added(const cm_cql_writer_t *w)
{
    return w->added;
}

uint64_t cm_cql_writer_durable(const cm_cql_writer_t *w)
{
    return w->durable;
}

void cm_cql_writer_stats(const cm_cql_writer_t *w, cm_cql_writer_stats_t *stats)
{
    *stats = w->stats;
    stats->window = (int)w->window;
}

/* ---- what delays it ---- */

static bool has_row(const cm_cql_batch_t *batch, uint64_t row)
{
    for (int i = 0; i < batch->rows; i++) {
        if (batch->numbers[i] == row)
            return true;
    }
    return false;
}

static bool is_at_node(const cm_cql_batch_t *batch)
{
    return batch->place == CM_CQL_BATCH_FLYING && batch->call->conn != NULL;
}

/* The batch of the first row that is not done; while that one only waits for its turn, the one that
 * has been at a node for the longest time. */
static const cm_cql_batch_t *first_open(const cm_cql_writer_t *w)
{
    const cm_cql_batch_t *first = NULL, *oldest = NULL;

    for (const cm_cql_batch_t *batch = w->all; batch != NULL; batch = batch->next) {
        if (has_row(batch, w->durable))
            first = batch;
        if (is_at_node(batch) && (oldest == NULL || batch->call->sent < oldest->call->sent))
            oldest = batch;
    }
    if (first == NULL || is_at_node(first) || first->error != NULL)
        return first;
    return oldest;
}

bool cm_cql_writer_stall(const cm_cql_writer_t *w, cm_cql_error_t *why)
{
    const cm_cql_batch_t *batch = first_open(w);

    if (batch == NULL)
        return false;
    int64_t waited = is_at_node(batch) ? cm_cql_now(&w->session->loop) - batch->call->sent : 0;
    if (batch->error != NULL && waited < ANSWER_MS) {
        *why = *batch->error;
        return true;
    }
    if (!is_at_node(batch))
        return false;
    cm_cql_set_error(why, CM_CQL_TIMEOUT, "no answer for %.1f s", (double)waited / 1e3);
    memcpy(why->node, batch->call->conn->name, sizeof why->node);
    return true;
}

int cm_cql_writer_drain(cm_cql_writer_t *w, int timeout_ms, cm_err_t *err)
{
    cm_cql_t *s = w->session;
    int64_t deadline = cm_cql_now(&s->loop) + timeout_ms;

    cm_cql_writer_flush(w);
    for (bool ran = false; w->durable < w->added; ran = true) {
        int64_t left = timeout_ms >= 0 ? deadline - cm_cql_now(&s->loop) : INT32_MAX;
        if (left < 0 || (left == 0 && ran))
            return cm_fail(err, CM_EIO, "cql: %llu rows are not written within %d ms%s%s%s%s",
                           (unsigned long long)(w->added - w->durable), timeout_ms,
                           w->stats.last_error.code ? "; " : "", w->stats.last_error.node,
                           w->stats.last_error.node[0] ? ": " : "", w->stats.last_error.text);
        int rc = cm_cql_run(s, (int)left, err);
        if (rc < 0)
            return rc;
        cm_cql_writer_flush(w); /* callbacks may have added rows */
    }
    return 0;
}

void cm_cql_writer_close(cm_cql_writer_t *w)
{
    if (w == NULL)
        return;
    while (w->all != NULL)
        cm_cql_batch_free(w->all);
    while (w->free_batches != NULL) {
        cm_cql_batch_t *batch = w->free_batches;
        w->free_batches = batch->next_waiting;
        free(batch->numbers);
        free(batch);
    }
    free(w->open);
    free(w->done);
    free(w);
}
