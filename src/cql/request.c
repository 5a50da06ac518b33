/* The user's requests, and those that wait for the answer. */
#include "cql/control.h"
#include "cql/dispatch.h"
#include "cql/prepare.h"
#include "cql/route.h"

#include <stdlib.h>

enum { AGREEMENT_MS = 10000, AGREEMENT_POLL_MS = 200 };

/* NULL when there is no memory. */
static cm_cql_call_t *query_call(cm_cql_t *s, cm_str_t text, const cm_cql_value_t *values,
                                 int count, const cm_cql_request_t *request, cm_cql_done_t done,
                                 void *context)
{
    cm_cql_call_t *call = cm_cql_call_new(s, CM_CQL_OP_QUERY, request);

    if (call == NULL)
        return NULL;
    if (!cm_cql_append(&call->body, text) ||
        (count > 0 && !cm_cql_add_values(&call->body, values, count))) {
        cm_cql_call_free(call);
        return NULL;
    }
    call->values_at = text.len;
    call->done = done;
    call->context = context;
    s->in_flight++;
    return call;
}

int cm_cql_query(cm_cql_t *s, cm_str_t text, const cm_cql_value_t *values, int count,
                 const cm_cql_request_t *request, cm_cql_done_t done, void *context, cm_err_t *err)
{
    int rc = cm_cql_admit(s, err);

    if (rc < 0)
        return rc;
    cm_cql_call_t *call = query_call(s, text, values, count, request, done, context);
    if (call == NULL)
        return cm_cql_fail_memory(err);
    cm_cql_call_submit(call);
    return 0;
}

int cm_cql_execute(cm_cql_t *s, cm_cql_prepared_t *prepared, const cm_cql_value_t *values,
                   int count, const cm_cql_request_t *request, cm_cql_done_t done, void *context,
                   cm_err_t *err)
{
    int rc = cm_cql_admit(s, err);

    if (rc < 0)
        return rc;
    if (!prepared->ready)
        return cm_fail(err, CM_EUSAGE, "cql: the statement is not prepared yet: %.*s",
                       cm_utf8_head((cm_str_t){prepared->text.data, prepared->text.len}, 200),
                       prepared->text.data);
    if (count != prepared->bound.count)
        return cm_fail(err, CM_EUSAGE, "cql: %d values for a statement that binds %d: %.*s", count,
                       prepared->bound.count,
                       cm_utf8_head((cm_str_t){prepared->text.data, prepared->text.len}, 200),
                       prepared->text.data);
    cm_cql_call_t *call = cm_cql_call_new(s, CM_CQL_OP_EXECUTE, request);
    if (call == NULL)
        return cm_cql_fail_memory(err);
    if (count > 0 && !cm_cql_add_values(&call->body, values, count)) {
        cm_cql_call_free(call);
        return cm_cql_fail_memory(err);
    }
    call->prepared = prepared;
    call->has_token = cm_cql_values_token(prepared, values, &call->token);
    call->done = done;
    call->context = context;
    s->in_flight++;
    cm_cql_call_submit(call);
    return 0;
}

/* ---- requests that wait for the answer ---- */

typedef struct waiter {
    cm_cql_done_t done;
    void *context;
    bool ended, schema_changed;
    cm_cql_error_t error;
} waiter_t;

static void on_done(void *context, const cm_cql_error_t *error, const cm_cql_result_t *result)
{
    waiter_t *waiter = context;

    if (error != NULL) {
        waiter->error = *error;
        waiter->ended = true;
        return;
    }
    waiter->schema_changed = result->schema_changed;
    waiter->ended = result->rows == NULL || !result->rows->more;
    if (waiter->done != NULL)
        waiter->done(waiter->context, NULL, result);
}

static void on_page(void *context, const cm_cql_error_t *error, const cm_cql_result_t *result)
{
    on_done(context, error, result);
    ((waiter_t *)context)->ended = true;
}

/* Runs the session until the call has ended, by its own time-out at the latest. When the event loop
 * fails the call is dropped: nothing calls the waiter after the return. */
static int wait_for(cm_cql_t *s, cm_cql_call_t *call, const waiter_t *waiter, cm_err_t *err)
{
    while (!waiter->ended) {
        int rc = cm_cql_run(s, -1, err);
        if (rc >= 0)
            continue;
        if (!waiter->ended) {
            cm_cql_call_drop(call);
            s->in_flight--;
        }
        return rc;
    }
    return cm_cql_error_to_err(&waiter->error, err);
}

static int forbid_in_callback(const cm_cql_t *s, cm_err_t *err)
{
    if (s->running)
        return cm_fail(err, CM_EUSAGE, "cql: a callback must not wait for its session");
    return 0;
}

/* A reading of the topology that has begun before may be older than the change. */
int cm_cql_agree(cm_cql_t *s, cm_err_t *err)
{
    int64_t deadline = cm_cql_now(&s->loop) + AGREEMENT_MS;
    uint64_t wanted = s->loop.stats.refreshes + 1 + s->refreshing;
    bool agreed = false;

    if (forbid_in_callback(s, err) < 0)
        return CM_EUSAGE;
    cm_cql_refresh_at(s, s->loop.now);
    while (!agreed && cm_cql_now(&s->loop) < deadline && s->state == CM_CQL_READY) {
        int rc = cm_cql_run(s, AGREEMENT_POLL_MS, err);
        if (rc < 0)
            return rc;
        if (s->loop.stats.refreshes < wanted)
            continue;
        agreed = s->schema_agreed;
        wanted = s->loop.stats.refreshes + 1;
        cm_cql_refresh_at(s, s->loop.now + AGREEMENT_POLL_MS);
    }
    return 0;
}

/* The statement goes to the node of the control connection: when it changes the schema, that node
 * is the first that has it, and knows whether the others have it. */
int cm_cql_query_wait(cm_cql_t *s, cm_str_t text, const cm_cql_request_t *request,
                      cm_cql_done_t done, void *context, cm_err_t *err)
{
    waiter_t waiter = {.done = done, .context = context};
    bool one_page = request != NULL && request->one_page;
    int rc = forbid_in_callback(s, err);

    if (rc == 0)
        rc = cm_cql_admit(s, err);
    if (rc < 0)
        return rc;
    cm_cql_call_t *call =
        query_call(s, text, NULL, 0, request, one_page ? on_page : on_done, &waiter);
    if (call == NULL)
        return cm_cql_fail_memory(err);
    call->at_control = true;
    cm_cql_call_submit(call);
    rc = wait_for(s, call, &waiter, err);
    if (rc == 0 && waiter.schema_changed)
        rc = cm_cql_agree(s, err);
    return rc;
}

int cm_cql_prepare_wait(cm_cql_t *s, cm_str_t text, cm_cql_prepared_t **prepared, cm_err_t *err)
{
    waiter_t waiter = {0};
    cm_cql_call_t *call;
    int rc = forbid_in_callback(s, err);

    if (rc == 0)
        rc = cm_cql_prepare_new(s, text, prepared, on_done, &waiter, &call, err);
    if (rc < 0)
        return rc;
    cm_cql_call_submit(call);
    return wait_for(s, call, &waiter, err);
}
