#include "cql/dispatch.h"

#include "cql/route.h"

#include <assert.h>
#include <stdlib.h>

/* ---- the end ---- */

/* Requests the next page before the callback gets this one, so that the node works meanwhile. False
 * when there is no memory. */
static bool next_page(cm_cql_call_t *call, const cm_cql_result_t *result)
{
    cm_buf_clear(&call->paging_state);
    if (!cm_cql_append(&call->paging_state, result->rows->paging_state))
        return false;
    call->attempts = 0;
    cm_cql_call_submit(call);
    if (call->conn != NULL)
        cm_cql_conn_flush(call->conn);
    return true;
}

/* The end of the user's calls. */
static void finish_user(cm_cql_call_t *call, const cm_cql_error_t *error,
                        const cm_cql_result_t *result)
{
    cm_cql_t *s = call->session;
    cm_cql_done_t done = call->done;
    void *context = call->context;
    bool more = result != NULL && result->rows != NULL && result->rows->more && !call->one_page;
    cm_cql_error_t no_memory;

    if (more && !next_page(call, result)) {
        cm_cql_set_memory_error(&s->loop, &no_memory);
        error = &no_memory;
        result = NULL;
        more = false;
    }
    if (!more) {
        s->in_flight--;
        s->answered++;
        if (error != NULL)
            s->loop.stats.failures++;
        else
            s->loop.stats.requests++;
        cm_cql_call_free(call);
    }
    if (done != NULL)
        done(context, error, result);
}

/* ---- making and freeing ---- */

static void on_timer(cm_cql_timer_t *timer);

static int wire_consistency(const cm_cql_t *s, cm_cql_consistency_t consistency)
{
    return (int)(consistency != CM_CQL_DEFAULT ? consistency : s->loop.o.consistency) - CM_CQL_ANY;
}

/* The paging state has room for that of the request. */
static void fill(cm_cql_call_t *call, cm_cql_t *s, int opcode, const cm_cql_request_t *request)
{
    static const cm_cql_request_t plain = {0};
    cm_buf_t body = call->body, paging_state = call->paging_state;

    if (request == NULL)
        request = &plain;
    cm_buf_clear(&body);
    if (request->paging_state.len > 0)
        cm_buf_add_str(&paging_state, request->paging_state);
    *call = (cm_cql_call_t){.session = s,
                            .opcode = opcode,
                            .body = body,
                            .paging_state = paging_state,
                            .timer.fire = on_timer,
                            .finish = finish_user,
                            .timestamp_us = request->timestamp_us,
                            .page_size = request->page_size,
                            .one_page = request->one_page,
                            .at_control = request->at_control,
                            .idempotent = request->idempotent,
                            .consistency = wire_consistency(s, request->consistency),
                            .serial = -1,
                            .timeout_ms = request->timeout_ms,
                            .max_retries = s->loop.o.max_retries};
    if (request->serial != CM_CQL_DEFAULT)
        call->serial = (int)request->serial - CM_CQL_ANY;
    if (request->timeout_ms == 0)
        call->timeout_ms = s->loop.o.request_timeout_ms;
}

cm_cql_call_t *cm_cql_call_new(cm_cql_t *s, int opcode, const cm_cql_request_t *request)
{
    cm_cql_call_t *call = s->free_calls;

    if (call != NULL) {
        s->free_calls = call->link.next;
        s->free_call_count--;
    } else {
        call = calloc(1, sizeof *call);
        if (call == NULL)
            return NULL;
        call->session = s;
    }
    cm_buf_clear(&call->paging_state);
    if (request != NULL && request->paging_state.len > 0 &&
        !cm_buf_try_reserve(&call->paging_state, request->paging_state.len)) {
        cm_cql_call_free(call);
        return NULL;
    }
    fill(call, s, opcode, request);
    return call;
}

void cm_cql_call_free(cm_cql_call_t *call)
{
    enum { KEEP_BODY = 64 * 1024, KEEP_CALLS = 65536 };
    cm_cql_t *s = call->session;

    assert(call->place == CM_CQL_NOWHERE);
    cm_cql_timer_stop(&s->loop.wheel, &call->timer);
    if (call->body.cap > KEEP_BODY)
        cm_buf_free(&call->body);
    if (s->free_call_count < KEEP_CALLS) {
        call->link.next = s->free_calls;
        s->free_calls = call;
        s->free_call_count++;
        return;
    }
    cm_buf_free(&call->body);
    cm_buf_free(&call->paging_state);
    free(call);
}

void cm_cql_call_detach(cm_cql_call_t *call)
{
    cm_cql_t *s = call->session;

    if (call->place == CM_CQL_QUEUED)
        cm_cql_list_remove(&s->queue, call);
    else if (call->place == CM_CQL_RESTING)
        cm_cql_list_remove(&s->resting, call);
    else if (call->place == CM_CQL_SENT)
        cm_cql_conn_forget(call->conn, call);
    else if (call->place == CM_CQL_PREPARING)
        cm_cql_list_remove(&call->conn->preparing, call);
    cm_cql_timer_stop(&s->loop.wheel, &call->timer);
    call->place = CM_CQL_NOWHERE;
    call->conn = NULL;
    call->no_memory = false;
}

void cm_cql_call_drop(cm_cql_call_t *call)
{
    cm_cql_call_detach(call);
    cm_cql_call_free(call);
}

static void end_call(cm_cql_call_t *call, const cm_cql_error_t *error)
{
    cm_cql_call_detach(call);
    call->finish(call, error, NULL);
}

/* ---- sending ---- */

static void set_deadline(cm_cql_call_t *call)
{
    cm_cql_t *s = call->session;

    if (call->timeout_ms > 0)
        cm_cql_timer_set(&s->loop.wheel, &call->timer, s->loop.now + call->timeout_ms);
    else
        cm_cql_timer_stop(&s->loop.wheel, &call->timer);
}

/* There is no memory to send it: it fails in the next round. */
static void rest_without_memory(cm_cql_call_t *call)
{
    cm_cql_t *s = call->session;

    assert(call->pinned == NULL);
    call->no_memory = true;
    call->place = CM_CQL_RESTING;
    cm_cql_list_add(&s->resting, call);
    cm_cql_timer_set(&s->loop.wheel, &call->timer, s->loop.now);
}

static void end_pinned(cm_cql_call_t *call, bool no_memory)
{
    cm_cql_error_t error;

    if (no_memory)
        cm_cql_set_memory_error(&call->session->loop, &error);
    else
        cm_cql_set_error(&error, CM_CQL_LOST, "the connection takes no more requests");
    memcpy(error.node, call->pinned->name, sizeof error.node);
    end_call(call, &error);
}

void cm_cql_call_submit(cm_cql_call_t *call)
{
    cm_cql_t *s = call->session;
    cm_cql_conn_t *conn = s->queue.count == 0 || call->pinned ? cm_cql_route(s, call) : NULL;

    set_deadline(call);
    if (conn != NULL && cm_cql_conn_send(conn, call))
        return;
    if (call->pinned != NULL) { /* it must not outlive its connection */
        end_pinned(call, conn != NULL);
        return;
    }
    if (conn != NULL) {
        rest_without_memory(call);
        return;
    }
    call->place = CM_CQL_QUEUED;
    cm_cql_list_add(&s->queue, call);
}

void cm_cql_queue_drain(cm_cql_t *s)
{
    s->loop.stream_free = false;
    while (s->queue.first != NULL) {
        cm_cql_call_t *call = s->queue.first;
        cm_cql_conn_t *conn = cm_cql_route(s, call);
        if (conn == NULL)
            return;
        cm_cql_list_remove(&s->queue, call);
        if (!cm_cql_conn_send(conn, call))
            rest_without_memory(call);
    }
}

/* ---- failing ---- */

/* Whether the node itself says that nothing was executed. */
static bool nothing_happened(const cm_cql_error_t *error)
{
    return error->code == CM_CQL_SERVER &&
           (error->server_code == CM_CQL_UNAVAILABLE || error->server_code == CM_CQL_OVERLOADED ||
            error->server_code == CM_CQL_IS_BOOTSTRAPPING);
}

void cm_cql_call_failed(cm_cql_call_t *call, const cm_cql_error_t *error)
{
    cm_cql_t *s = call->session;

    cm_cql_call_detach(call);
    call->attempts++;
    if (s->state != CM_CQL_FAILED && call->attempts <= call->max_retries &&
        cm_cql_error_is_passing(error) && (call->idempotent || nothing_happened(error))) {
        assert(call->pinned == NULL); /* it would outlive its connection */
        s->loop.stats.retries++;
        call->place = CM_CQL_RESTING;
        cm_cql_list_add(&s->resting, call);
        cm_cql_timer_set(&s->loop.wheel, &call->timer,
                         s->loop.now + cm_cql_backoff(&s->loop, call->attempts,
                                                      s->loop.o.retry_min_ms,
                                                      s->loop.o.retry_max_ms));
        return;
    }
    call->finish(call, error, NULL);
}

static void time_out_sent(cm_cql_call_t *call)
{
    cm_cql_t *s = call->session;
    cm_cql_conn_t *conn = call->conn;
    cm_cql_error_t error;

    cm_cql_set_error(&error, CM_CQL_TIMEOUT, "no answer within %d ms", call->timeout_ms);
    memcpy(error.node, conn->name, sizeof error.node);
    s->loop.stats.timeouts++;
    call->avoid = cm_cql_node_of(conn);
    bool silent = conn->heard <= s->loop.now - call->timeout_ms;
    cm_cql_call_failed(call, &error);
    if (silent)
        cm_cql_conn_probe(conn);
}

static void on_timer(cm_cql_timer_t *timer)
{
    cm_cql_call_t *call = CM_CQL_OWNER(timer, cm_cql_call_t, timer);
    cm_cql_t *s = call->session;
    cm_cql_error_t error;

    switch (call->place) {
    case CM_CQL_RESTING:
        if (call->no_memory) {
            cm_cql_set_memory_error(&s->loop, &error);
            cm_cql_call_failed(call, &error);
            break;
        }
        cm_cql_call_detach(call);
        call->reprepared = 0;
        cm_cql_call_submit(call);
        break;
    case CM_CQL_SENT:
    case CM_CQL_PREPARING:
        time_out_sent(call);
        break;
    default:
        cm_cql_set_error(&error, CM_CQL_NO_NODE, "no node took the request within %d ms%s%s%s%s",
                         call->timeout_ms, s->loop.last_error.code ? "; " : "",
                         s->loop.last_error.node, s->loop.last_error.node[0] ? ": " : "",
                         s->loop.last_error.text);
        end_call(call, &error);
    }
}

/* ---- all calls ---- */

int cm_cql_admit(cm_cql_t *s, cm_err_t *err)
{
    if (!s->running)
        s->loop.now = cm_cql_now(&s->loop); /* the session may not have been run for a long time */
    if (s->state == CM_CQL_FAILED)
        return cm_fail(err, CM_EUSAGE, "cql: the session has failed: %s%s%s",
                       s->loop.last_error.node, s->loop.last_error.node[0] ? ": " : "",
                       s->loop.last_error.text);
    if (s->in_flight >= s->loop.o.max_in_flight)
        return cm_fail(err, CM_EBUSY, "cql: %d requests are in flight, which is the limit",
                       s->in_flight);
    return 0;
}

static void end_list(cm_cql_list_t *list, const cm_cql_error_t *error)
{
    while (list->first != NULL)
        end_call(list->first, error);
}

void cm_cql_calls_end(cm_cql_t *s, const cm_cql_error_t *error)
{
    end_list(&s->queue, error);
    end_list(&s->resting, error);
}

void cm_cql_give_up(cm_cql_t *s, const cm_cql_error_t *error)
{
    s->loop.last_error = *error;
    s->state = CM_CQL_FAILED;
    s->nodes.closed = true;
    cm_cql_log(&s->loop, CM_LOG_ERROR, "giving up", "node=%s code=%s reason=\"%s\"", error->node,
               cm_cql_code_name(error->code), error->text);
    cm_cql_calls_end(s, &s->loop.last_error);
}

void cm_cql_calls_free(cm_cql_t *s)
{
    while (s->free_calls != NULL) {
        cm_cql_call_t *call = s->free_calls;
        s->free_calls = call->link.next;
        cm_buf_free(&call->body);
        cm_buf_free(&call->paging_state);
        free(call);
    }
}
