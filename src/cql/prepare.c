#include "cql/prepare.h"

#include "cql/dispatch.h"

#include <stdlib.h>

enum { MAX_REPREPARES = 4 }; /* of one call in a row */

static cm_cql_prepared_t *find_statement(const cm_cql_t *s, cm_str_t text)
{
    for (cm_cql_prepared_t *p = s->statements; p != NULL; p = p->next) {
        if (cm_str_equal((cm_str_t){p->text.data, p->text.len}, text))
            return p;
    }
    return NULL;
}

cm_cql_prepared_t *cm_cql_statement(cm_cql_t *s, cm_str_t text)
{
    cm_cql_prepared_t *p = find_statement(s, text);

    if (p != NULL)
        return p;
    p = calloc(1, sizeof *p);
    if (p == NULL || !cm_cql_append(&p->text, text)) {
        free(p);
        return NULL;
    }
    p->next = s->statements;
    s->statements = p;
    return p;
}

void cm_cql_prepared_free_all(cm_cql_t *s)
{
    while (s->statements != NULL) {
        cm_cql_prepared_t *p = s->statements;
        s->statements = p->next;
        cm_buf_free(&p->text);
        cm_buf_free(&p->id);
        cm_buf_free(&p->metadata_id);
        cm_cql_columns_free(&p->bound);
        free(p);
    }
}

bool cm_cql_prepared_update(cm_cql_prepared_t *p, cm_cql_loop_t *loop, cm_cql_error_t *error)
{
    const cm_cql_parsed_t *parsed = &loop->parsed;
    const cm_cql_prepared_body_t *body = &parsed->prepared;

    if (parsed->kind != CM_CQL_KIND_PREPARED) {
        cm_cql_set_error(error, CM_CQL_PROTOCOL, "PREPARE was answered with something else");
        return false;
    }
    if (!cm_buf_try_reserve(&p->id, body->id.len) ||
        !cm_buf_try_reserve(&p->metadata_id, body->metadata_id.len) ||
        !cm_cql_columns_copy(&p->bound, &parsed->bound)) {
        cm_cql_set_memory_error(loop, error);
        return false;
    }
    cm_buf_clear(&p->id);
    cm_buf_add_str(&p->id, body->id);
    cm_buf_clear(&p->metadata_id);
    cm_buf_add_str(&p->metadata_id, body->metadata_id);
    p->key_count = body->key_count;
    memcpy(p->keys, body->keys, sizeof p->keys);
    p->generation = 0;
    p->ready = true;
    return true;
}

cm_cql_call_t *cm_cql_prepare_call(cm_cql_t *s, cm_cql_prepared_t *p)
{
    cm_cql_request_t request = {.idempotent = true};
    cm_cql_call_t *call = cm_cql_call_new(s, CM_CQL_OP_PREPARE, &request);

    if (call == NULL)
        return NULL;
    if (!cm_cql_append(&call->body, (cm_str_t){p->text.data, p->text.len})) {
        cm_cql_call_free(call);
        return NULL;
    }
    call->prepared = p;
    return call;
}

/* ---- for the user ---- */

static void finish_prepare(cm_cql_call_t *call, const cm_cql_error_t *error,
                           const cm_cql_result_t *result)
{
    cm_cql_t *s = call->session;
    cm_cql_done_t done = call->done;
    void *context = call->context;
    cm_cql_error_t problem;

    if (result != NULL && !cm_cql_prepared_update(call->prepared, &s->loop, &problem)) {
        error = &problem;
        result = NULL;
    }
    s->in_flight--;
    s->answered++;
    s->loop.stats.requests += error == NULL;
    s->loop.stats.failures += error != NULL;
    cm_cql_call_free(call);
    if (done != NULL)
        done(context, error, result);
}

int cm_cql_prepare_new(cm_cql_t *s, cm_str_t text, cm_cql_prepared_t **prepared, cm_cql_done_t done,
                       void *context, cm_cql_call_t **call, cm_err_t *err)
{
    int rc = cm_cql_admit(s, err);
    if (rc < 0)
        return rc;
    cm_cql_prepared_t *p = cm_cql_statement(s, text);
    *call = p != NULL ? cm_cql_prepare_call(s, p) : NULL;
    if (*call == NULL)
        return cm_cql_fail_memory(err);
    (*call)->finish = finish_prepare;
    (*call)->done = done;
    (*call)->context = context;
    s->in_flight++;
    *prepared = p;
    return 0;
}

int cm_cql_prepare(cm_cql_t *s, cm_str_t text, cm_cql_prepared_t **prepared, cm_cql_done_t done,
                   void *context, cm_err_t *err)
{
    cm_cql_call_t *call;
    int rc = cm_cql_prepare_new(s, text, prepared, done, context, &call, err);

    if (rc == 0)
        cm_cql_call_submit(call);
    return rc;
}

int cm_cql_prepared_values(const cm_cql_prepared_t *prepared)
{
    return prepared->ready ? prepared->bound.count : -1;
}

/* ---- again, on a node that does not know it ---- */

/* The first call that waits on this connection for this statement. */
static cm_cql_call_t *next_waiting(const cm_cql_conn_t *conn, const cm_cql_prepared_t *p)
{
    for (cm_cql_call_t *call = conn->preparing.first; call != NULL; call = call->link.next) {
        if (call->prepared == p)
            return call;
    }
    return NULL;
}

static void finish_reprepare(cm_cql_call_t *call, const cm_cql_error_t *error,
                             const cm_cql_result_t *result)
{
    cm_cql_t *s = call->session;
    cm_cql_conn_t *conn = call->pinned;
    cm_cql_prepared_t *p = call->prepared;
    cm_cql_call_t *waiting;
    cm_cql_error_t copy;

    if (error != NULL)
        copy = *error;
    cm_cql_call_free(call);
    if (result != NULL && cm_cql_prepared_update(p, &s->loop, &copy)) {
        s->loop.stats.reprepares++;
        while ((waiting = next_waiting(conn, p)) != NULL) {
            cm_cql_call_detach(waiting);
            waiting->avoid = NULL;
            cm_cql_call_submit(waiting);
        }
        return;
    }
    if (conn->state != CM_CQL_CONN_CLOSED) { /* else closing the connection ends them */
        while ((waiting = next_waiting(conn, p)) != NULL)
            cm_cql_call_failed(waiting, &copy);
    }
}

void cm_cql_unprepared(cm_cql_call_t *call, cm_cql_conn_t *conn)
{
    cm_cql_t *s = call->session;
    cm_cql_prepared_t *p = call->prepared;
    cm_cql_error_t error;

    if (++call->reprepared > MAX_REPREPARES) {
        cm_cql_call_failed(call, &s->loop.parsed.error);
        return;
    }
    call->avoid = NULL;
    if (!cm_str_equal(s->loop.parsed.unprepared_id, (cm_str_t){p->id.data, p->id.len})) {
        cm_cql_call_submit(call); /* it has another id now */
        return;
    }
    bool asked = next_waiting(conn, p) != NULL;
    cm_cql_call_t *again = asked ? NULL : cm_cql_prepare_call(s, p);
    if (!asked && again == NULL) {
        cm_cql_set_memory_error(&s->loop, &error);
        cm_cql_call_failed(call, &error);
        return;
    }
    call->place = CM_CQL_PREPARING;
    call->conn = conn;
    cm_cql_list_add(&conn->preparing, call);
    if (call->timeout_ms > 0)
        cm_cql_timer_set(&s->loop.wheel, &call->timer, s->loop.now + call->timeout_ms);
    if (asked)
        return;
    again->max_retries = 0;
    again->pinned = conn;
    again->finish = finish_reprepare;
    cm_cql_call_submit(again);
}
