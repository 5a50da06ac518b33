/* Copies of batches: a batch that its node has not answered for some time is also sent to another
 * replica of its rows, and the first good answer counts.
 *
 * So a frozen node, or one that collects garbage, does not delay rows that the other nodes would
 * accept. The DataStax drivers call this speculative execution: only for idempotent statements,
 * after a constant delay, with a limit. A node that has sent nothing since it got the batch is
 * `silent`: it is probed, and other nodes are asked first until it sends something.
 *
 * It must not increase an overload: there are few copies at the same time, the delay adapts to the
 * time that batches take, no copy is sent for some time after a node has reported overload, and a
 * batch has one copy at a time. */
#include "cql/writer.h"

#include "cql/route.h"

#include <stdlib.h>

enum {
    SLOW = 3,             /* times the usual latency */
    OVERLOAD_MS = 2000,   /* no copies for this time after an overload */
    AGAIN_MS = 50,        /* when there are as many copies as are allowed, or no memory */
    COPIES_OF_BATCHES = 4 /* one copy for this many batches of max_batches */
};

static int max_copies(const cm_cql_writer_t *w)
{
    int count = w->o.max_batches / COPIES_OF_BATCHES;
    return count > 0 ? count : 1;
}

static int64_t delay(const cm_cql_writer_t *w)
{
    int64_t usual = (int64_t)(w->latency_ms * SLOW), least = w->o.speculative_ms;
    int64_t most = w->o.timeout_ms > 0 ? w->o.timeout_ms / 2 : INT32_MAX;
    int64_t ms = usual > least ? usual : least;

    return ms < most ? ms : most;
}

static void arm(cm_cql_batch_t *batch, int64_t after_ms)
{
    cm_cql_t *s = batch->writer->session;
    cm_cql_timer_set(&s->loop.wheel, &batch->timer, s->loop.now + after_ms);
}

void cm_cql_copy_arm(cm_cql_batch_t *batch)
{
    if (batch->writer->o.speculative_ms > 0)
        arm(batch, delay(batch->writer));
}

/* False when there is no memory. */
static bool send_copy(cm_cql_batch_t *batch)
{
    cm_cql_writer_t *w = batch->writer;
    const cm_cql_call_t *call = batch->call;
    cm_cql_call_t *copy = cm_cql_batch_call(batch);

    if (copy == NULL)
        return false;
    if (!cm_cql_append(&copy->body, (cm_str_t){call->body.data, call->body.len})) {
        cm_cql_call_free(copy);
        return false;
    }
    copy->opcode = call->opcode;
    copy->values_at = call->values_at;
    copy->rows = call->rows;
    copy->timestamp_us = call->timestamp_us;
    copy->token = call->token;
    copy->has_token = call->has_token;
    copy->avoid = cm_cql_node_of(call->conn);
    batch->copy = copy;
    w->copies++;
    w->stats.copies++;
    cm_cql_call_submit(copy);
    return true;
}

void cm_cql_copy_send(cm_cql_batch_t *batch)
{
    cm_cql_writer_t *w = batch->writer;
    cm_cql_call_t *call = batch->call;
    cm_cql_t *s = w->session;
    bool overloaded = w->last_overload != 0 && s->loop.now - w->last_overload < OVERLOAD_MS;

    if (batch->copy != NULL)
        return;
    if (call->conn == NULL || overloaded) { /* it is at no node */
        arm(batch, delay(w));
        return;
    }
    cm_cql_node_t *node = cm_cql_node_of(call->conn);
    call->avoid = node;
    bool somewhere = cm_cql_route_copy(s, call) != NULL;
    if (somewhere && node != NULL && call->conn->heard <= call->sent) {
        cm_cql_node_silent(node);
        cm_cql_conn_probe(call->conn);
    }
    bool sent = somewhere && w->copies < max_copies(w) && send_copy(batch);
    if (!sent)
        arm(batch, somewhere ? AGAIN_MS : delay(w));
}

static void drop(cm_cql_writer_t *w, cm_cql_call_t *call)
{
    cm_cql_call_drop(call);
    w->copies--;
}

void cm_cql_copy_goes_on(cm_cql_batch_t *batch, cm_cql_call_t *failed)
{
    if (failed == batch->call)
        batch->call = batch->copy;
    batch->copy = NULL;
    drop(batch->writer, failed);
    cm_cql_copy_arm(batch);
}

void cm_cql_copy_end(cm_cql_batch_t *batch)
{
    if (batch->copy != NULL)
        drop(batch->writer, batch->copy);
    batch->copy = NULL;
    cm_cql_call_detach(batch->call);
}

void cm_cql_copy_note(cm_cql_writer_t *w, const cm_cql_call_t *call, int64_t now)
{
    enum { SMOOTH = 8 };
    w->latency_ms += ((double)(now - call->sent) - w->latency_ms) / SMOOTH;
}
