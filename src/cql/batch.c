/* Batches on their way: in flight, refused, tried again.
 *
 * The number of batches in flight adapts to the server, as the window of TCP does: it doubles each
 * round trip at first, then grows by one each round trip, and is halved when the server is
 * overloaded or does not answer in time. */
#include "cql/writer.h"

#include <stdlib.h>

enum {
    CUT_EVERY_MS = 500, /* one overload causes many errors */
    STRANGE_TRIES = 5,  /* attempts before an unclear error of the server counts as a refusal */
    FIRST_WINDOW = 32,
};

static void on_timer(cm_cql_timer_t *timer);
static void on_answer(cm_cql_call_t *call, const cm_cql_error_t *error,
                      const cm_cql_result_t *result);

/* ---- making and freeing ---- */

cm_cql_call_t *cm_cql_batch_call(cm_cql_batch_t *batch)
{
    cm_cql_writer_t *w = batch->writer;
    cm_cql_request_t request = {
        .consistency = w->o.consistency, .idempotent = true, .timeout_ms = w->o.timeout_ms};
    cm_cql_call_t *call = cm_cql_call_new(w->session, CM_CQL_OP_BATCH, &request);

    if (call == NULL)
        return NULL;
    call->prepared = w->prepared;
    call->max_retries = 0; /* the writer retries by itself */
    call->finish = on_answer;
    call->context = batch;
    return call;
}

/* A batch that was freed before, else a new one. NULL when there is no memory. */
static cm_cql_batch_t *take_free(cm_cql_writer_t *w)
{
    cm_cql_batch_t *batch = w->free_batches;

    if (batch != NULL) {
        w->free_batches = batch->next_waiting;
        return batch;
    }
    batch = malloc(sizeof *batch);
    if (batch == NULL)
        return NULL;
    batch->numbers = malloc((size_t)w->o.batch_rows * sizeof *batch->numbers);
    if (batch->numbers == NULL) {
        free(batch);
        return NULL;
    }
    return batch;
}

cm_cql_batch_t *cm_cql_batch_new(cm_cql_writer_t *w)
{
    cm_cql_batch_t *batch = take_free(w);

    if (batch == NULL)
        return NULL;
    uint64_t *numbers = batch->numbers;
    *batch = (cm_cql_batch_t){.writer = w,
                              .numbers = numbers,
                              .next = w->all,
                              .timer.fire = on_timer,
                              .place = CM_CQL_BATCH_OPEN};
    batch->call = cm_cql_batch_call(batch);
    if (batch->call == NULL) {
        batch->next_waiting = w->free_batches;
        w->free_batches = batch;
        return NULL;
    }
    if (w->all != NULL)
        w->all->prev = batch;
    w->all = batch;
    return batch;
}

static void leave_waiting(cm_cql_writer_t *w, cm_cql_batch_t *batch)
{
    cm_cql_batch_t **at = &w->first_waiting, *before = NULL;

    while (*at != NULL && *at != batch) {
        before = *at;
        at = &(*at)->next_waiting;
    }
    if (*at == NULL)
        return;
    *at = batch->next_waiting;
    if (w->last_waiting == batch)
        w->last_waiting = before;
    w->stats.waiting--;
}

static void set_place(cm_cql_batch_t *batch, int place)
{
    cm_cql_writer_t *w = batch->writer;

    if (batch->place == CM_CQL_BATCH_WAITING)
        leave_waiting(w, batch);
    w->stats.in_flight -= batch->place == CM_CQL_BATCH_FLYING;
    w->stats.waiting -= batch->place == CM_CQL_BATCH_RESTING;
    w->stats.in_flight += place == CM_CQL_BATCH_FLYING;
    w->stats.waiting += place == CM_CQL_BATCH_WAITING || place == CM_CQL_BATCH_RESTING;
    batch->place = place;
}

void cm_cql_batch_free(cm_cql_batch_t *batch)
{
    cm_cql_writer_t *w = batch->writer;

    set_place(batch, CM_CQL_BATCH_OPEN);
    cm_cql_timer_stop(&w->session->loop.wheel, &batch->timer);
    cm_cql_copy_end(batch);
    cm_cql_call_free(batch->call);
    free(batch->error);
    if (batch->prev != NULL)
        batch->prev->next = batch->next;
    else
        w->all = batch->next;
    if (batch->next != NULL)
        batch->next->prev = batch->prev;
    batch->next_waiting = w->free_batches;
    w->free_batches = batch;
}

/* ---- sending ---- */

static void fly(cm_cql_batch_t *batch)
{
    cm_cql_writer_t *w = batch->writer;
    cm_cql_call_t *call = batch->call;

    set_place(batch, CM_CQL_BATCH_FLYING);
    w->stats.batches++;
    w->stats.retries += batch->attempts > 0;
    call->attempts = 0;
    call->reprepared = 0;
    call->rows = batch->rows;
    call->opcode = batch->rows == 1 ? CM_CQL_OP_EXECUTE : CM_CQL_OP_BATCH;
    call->values_at = batch->rows == 1 ? 4 : 0; /* after the row's length */
    cm_cql_copy_arm(batch);
    cm_cql_call_submit(call);
}

/* Whether all of its rows may be sent. The numbers of the rows ascend. */
static bool is_released(const cm_cql_batch_t *batch)
{
    return batch->numbers[batch->rows - 1] < batch->writer->released;
}

void cm_cql_batch_send_waiting(cm_cql_writer_t *w)
{
    while (w->first_waiting != NULL && w->stats.in_flight < (int)w->window &&
           is_released(w->first_waiting))
        fly(w->first_waiting);
}

void cm_cql_batch_send(cm_cql_batch_t *batch)
{
    cm_cql_writer_t *w = batch->writer;

    cm_cql_timer_stop(&w->session->loop.wheel, &batch->timer);
    if (w->window < 1)
        w->window = w->threshold =
            w->o.max_batches < FIRST_WINDOW ? w->o.max_batches : FIRST_WINDOW;
    set_place(batch, CM_CQL_BATCH_WAITING);
    batch->next_waiting = NULL;
    if (w->last_waiting != NULL)
        w->last_waiting->next_waiting = batch;
    else
        w->first_waiting = batch;
    w->last_waiting = batch;
    cm_cql_batch_send_waiting(w);
}

static void on_timer(cm_cql_timer_t *timer)
{
    cm_cql_batch_t *batch = CM_CQL_OWNER(timer, cm_cql_batch_t, timer);

    if (batch->place == CM_CQL_BATCH_FLYING) {
        cm_cql_copy_send(batch);
        return;
    }
    if (batch->place == CM_CQL_BATCH_OPEN)
        batch->writer->open[batch->group] = NULL;
    cm_cql_batch_send(batch);
}

/* ---- answers ---- */

/* Marks rows as done, and moves `durable` forward over all rows that are done. */
static void mark_done(cm_cql_batch_t *batch)
{
    cm_cql_writer_t *w = batch->writer;
    uint64_t mask = w->ring - 1;

    for (int i = 0; i < batch->rows; i++) {
        uint64_t at = batch->numbers[i] & mask;
        w->done[at / 64] |= UINT64_C(1) << (at % 64);
    }
    while (w->durable < w->added) {
        uint64_t at = w->durable & mask, *word = &w->done[at / 64];
        if (!(*word >> (at % 64) & 1))
            break;
        *word &= ~(UINT64_C(1) << (at % 64));
        w->durable++;
    }
}

static void tell_durable(cm_cql_writer_t *w, uint64_t before)
{
    if (w->durable > before && w->o.durable != NULL)
        w->o.durable(w->o.context, w->durable);
}

static void grow_window(cm_cql_writer_t *w)
{
    if (w->window < w->o.max_batches)
        w->window += w->last_cut == 0 || w->window < w->threshold ? 1 : 1 / w->window;
}

static void cut_window(cm_cql_writer_t *w, const cm_cql_error_t *error)
{
    int64_t now = w->session->loop.now;
    bool overload = error->code == CM_CQL_TIMEOUT ||
                    (error->code == CM_CQL_SERVER && (error->server_code == CM_CQL_OVERLOADED ||
                                                      error->server_code == CM_CQL_WRITE_TIMEOUT));

    if (overload && error->code == CM_CQL_SERVER)
        w->last_overload = now != 0 ? now : 1;
    if (!overload || (w->last_cut != 0 && now - w->last_cut < CUT_EVERY_MS))
        return;
    w->last_cut = now != 0 ? now : 1;
    w->window = w->window > 2 ? w->window / 2 : 1;
    w->threshold = w->window;
}

static void rest(cm_cql_batch_t *batch)
{
    cm_cql_writer_t *w = batch->writer;
    cm_cql_t *s = w->session;

    set_place(batch, CM_CQL_BATCH_RESTING);
    cm_cql_timer_set(&s->loop.wheel, &batch->timer,
                     s->loop.now + cm_cql_backoff(&s->loop, batch->attempts, w->o.retry_min_ms,
                                                  w->o.retry_max_ms));
}

/* Moves the second half of the rows into a batch of their own: so a row that is refused is found,
 * and a batch that is too large gets smaller. When there is no memory it is tried again whole. */
static void split(cm_cql_batch_t *batch)
{
    cm_cql_batch_t *other = cm_cql_batch_new(batch->writer);
    cm_buf_t *body = &batch->call->body;
    int keep = batch->rows / 2;
    size_t at = 0;

    for (int i = 0; i < keep; i++) {
        uint32_t len;
        memcpy(&len, body->data + at, 4);
        at += 4 + len;
    }
    if (other == NULL ||
        !cm_cql_append(&other->call->body, (cm_str_t){body->data + at, body->len - at})) {
        if (other != NULL)
            cm_cql_batch_free(other);
        batch->writer->session->loop.stats.no_memory++;
        rest(batch);
        return;
    }
    body->len = at;
    other->rows = batch->rows - keep;
    batch->rows = keep;
    memcpy(other->numbers, batch->numbers + keep, (size_t)other->rows * sizeof *other->numbers);
    other->call->token = batch->call->token;
    other->call->has_token = batch->call->has_token;
    other->call->timestamp_us = batch->call->timestamp_us;
    batch->attempts = 0;
    cm_cql_batch_send(other);
    cm_cql_batch_send(batch);
}

/* Errors that may mean a bug or a full disk as well as a row that the server cannot take. */
static bool is_strange(const cm_cql_error_t *error)
{
    return error->code == CM_CQL_SERVER && (error->server_code == CM_CQL_SERVER_ERROR ||
                                            error->server_code == CM_CQL_WRITE_FAILURE);
}

static void fail_batch(cm_cql_batch_t *batch, const cm_cql_error_t *error)
{
    cm_cql_writer_t *w = batch->writer;
    bool refused = !cm_cql_error_is_passing(error) ||
                   (is_strange(error) && batch->attempts % STRANGE_TRIES == 0);

    if (refused && batch->rows > 1) {
        split(batch);
        return;
    }
    if (refused && w->o.refused != NULL && w->o.refused(w->o.context, batch->numbers[0], error)) {
        uint64_t before = w->durable;
        w->stats.refused++;
        mark_done(batch);
        cm_cql_batch_free(batch);
        tell_durable(w, before);
        return;
    }
    rest(batch);
}

/* Keeps why the attempt failed, for cm_cql_writer_stall(). */
static void note_error(cm_cql_batch_t *batch, const cm_cql_error_t *error)
{
    batch->writer->session->loop.stats.failures++;
    batch->writer->stats.last_error = *error;
    if (batch->error == NULL)
        batch->error = malloc(sizeof *batch->error);
    if (batch->error != NULL)
        *batch->error = *error;
}

static void take_success(cm_cql_batch_t *batch, const cm_cql_call_t *call)
{
    cm_cql_writer_t *w = batch->writer;
    uint64_t before = w->durable;

    w->session->loop.stats.requests++;
    w->stats.last_error.code = CM_CQL_OK;
    w->stats.rescued += call == batch->copy;
    cm_cql_copy_note(w, call, w->session->loop.now);
    grow_window(w);
    mark_done(batch);
    cm_cql_batch_free(batch);
    cm_cql_batch_send_waiting(w);
    tell_durable(w, before);
}

static void on_answer(cm_cql_call_t *call, const cm_cql_error_t *error,
                      const cm_cql_result_t *result)
{
    cm_cql_batch_t *batch = call->context;
    cm_cql_writer_t *w = batch->writer;

    (void)result;
    w->session->answered++;
    if (error == NULL) {
        set_place(batch, CM_CQL_BATCH_OPEN);
        take_success(batch, call);
        return;
    }
    note_error(batch, error);
    if (error->code == CM_CQL_CANCELLED) {
        cm_cql_batch_free(batch); /* the session is being closed */
        return;
    }
    cut_window(w, error);
    if (batch->copy != NULL && cm_cql_error_is_passing(error)) {
        cm_cql_copy_goes_on(batch, call);
        return;
    }
    cm_cql_copy_end(batch);
    set_place(batch, CM_CQL_BATCH_OPEN);
    batch->attempts++;
    fail_batch(batch, error);
    cm_cql_batch_send_waiting(w);
}
