/* A session: opening, the event loop, closing. */
#include "cql/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_A_ROUND = 64, LOG_TEXT = 512 };

/* ---- small things ---- */

int64_t cm_cql_now(const cm_cql_t *s)
{
    return s->o.clock != NULL ? cm_clock_now_ms(s->o.clock) : cm_clock_ticks_ns() / 1000000;
}

void cm_cql_say(const cm_cql_t *s, cm_level_t level, const char *msg, const char *format, ...)
{
    char text[LOG_TEXT];
    va_list args;

    if (s->o.log == NULL)
        return;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    cm_log(s->o.log, level, msg, "%s", text);
}

void cm_cql_set_error(cm_cql_error_t *error, cm_cql_code_t code, const char *format, ...)
{
    va_list args;

    *error = (cm_cql_error_t){
        .code = code, .server_code = -1, .consistency = -1, .received = -1, .required = -1};
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
}

/* splitmix64 */
static uint64_t next_random(cm_cql_t *s)
{
    uint64_t z = (s->random += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

int64_t cm_cql_backoff(cm_cql_t *s, int failures, int min_ms, int max_ms)
{
    int64_t wait = max_ms;

    if (failures <= 30 && ((int64_t)min_ms << (failures - 1)) < max_ms)
        wait = (int64_t)min_ms << (failures - 1);
    return wait / 2 + (int64_t)(next_random(s) % (uint64_t)(wait - wait / 2 + 1));
}

int cm_cql_admit(cm_cql_t *s, cm_err_t *err)
{
    if (!s->running)
        s->now = cm_cql_now(s); /* it may be long since the session was run */
    if (s->state == CM_CQL_FAILED)
        return cm_fail(err, CM_EUSAGE, "cql: the session has failed: %s%s%s", s->last_error.node,
                       s->last_error.node[0] ? ": " : "", s->last_error.text);
    if (s->in_flight >= s->o.max_in_flight)
        return cm_fail(err, CM_EBUSY, "cql: %d requests are in flight, which is the limit",
                       s->in_flight);
    return 0;
}

/* ---- opening ---- */

int cm_cql_open(const cm_cql_options_t *options, cm_cql_t **session, cm_err_t *err)
{
    cm_cql_t *s = cm_alloc_zero(1, sizeof *s);

    s->epoll = -1;
    int rc = cm_cql_options_fill(s, options, err);
    if (rc == 0)
        rc = cm_cql_contacts_parse(s, err);
    if (rc == 0)
        rc = cm_cql_contacts_resolve(s, err);
    if (rc == 0 && s->o.tls.enabled)
        rc = cm_cql_tls_context_new(&s->o.tls, &s->tls, err);
    if (rc < 0)
        goto fail;
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->epoll < 0) {
        rc = cm_fail(err, CM_EINTERNAL, "cql: no epoll: %s", strerror(errno));
        goto fail;
    }
    s->now = cm_cql_now(s);
    s->random = s->o.seed != 0 ? s->o.seed : (uint64_t)cm_clock_ticks_ns();
    s->version = s->o.version != 0 ? s->o.version : 5;
    cm_cql_wheel_init(&s->wheel, s->now);
    cm_cql_control_start(s);
    *session = s;
    return 0;
fail:
    cm_cql_close(s);
    return rc;
}

/* ---- the loop ---- */

/* Sends what was written, closes what has broken; callbacks may write more. */
static void flush_dirty(cm_cql_t *s)
{
    while (s->dirty != NULL) {
        cm_cql_conn_t *conn = s->dirty;
        s->dirty = conn->next_dirty;
        conn->dirty = false;
        if (conn->state == CM_CQL_CONN_CLOSED)
            continue;
        if (!conn->broken)
            cm_cql_conn_flush(conn);
        if (conn->broken)
            cm_cql_conn_close(conn, &conn->error);
    }
}

static void reap(cm_cql_t *s)
{
    while (s->dead != NULL) {
        cm_cql_conn_t *conn = s->dead;
        s->dead = conn->next_dead;
        cm_cql_conn_free(conn);
    }
    cm_cql_nodes_sweep(s);
}

static int time_to_wait(const cm_cql_t *s, int timeout_ms)
{
    int wait = cm_cql_wheel_wait(&s->wheel, s->now);

    if (s->answered > 0)
        return 0;
    if (wait < 0 || (timeout_ms >= 0 && timeout_ms < wait))
        wait = timeout_ms;
    return wait;
}

static int pump(cm_cql_t *s, int timeout_ms, cm_err_t *err)
{
    struct epoll_event events[EVENTS_A_ROUND];

    s->now = cm_cql_now(s);
    s->answered = 0;
    flush_dirty(s);
    int count = epoll_wait(s->epoll, events, EVENTS_A_ROUND, time_to_wait(s, timeout_ms));
    if (count < 0 && errno != EINTR)
        return cm_fail(err, CM_EINTERNAL, "cql: epoll fails: %s", strerror(errno));
    s->now = cm_cql_now(s);
    for (int i = 0; i < count; i++)
        cm_cql_conn_event(events[i].data.ptr, events[i].events);
    cm_cql_wheel_advance(&s->wheel, s->now);
    flush_dirty(s);
    if (s->queue_ready && s->queue.count > 0) {
        cm_cql_queue_drain(s);
        flush_dirty(s);
    }
    reap(s);
    return s->answered;
}

int cm_cql_run(cm_cql_t *s, int timeout_ms, cm_err_t *err)
{
    if (s->running)
        return cm_fail(err, CM_EUSAGE, "cql: a callback must not run its session");
    s->running = true;
    int rc = pump(s, timeout_ms, err);
    s->running = false;
    return rc;
}

int cm_cql_run_until(cm_cql_t *s, const bool *ended, cm_err_t *err)
{
    while (!*ended) {
        int rc = cm_cql_run(s, -1, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int cm_cql_fd(const cm_cql_t *s)
{
    return s->epoll;
}

int cm_cql_wait_ms(const cm_cql_t *s)
{
    if (s->dirty != NULL || (s->queue_ready && s->queue.count > 0))
        return 0;
    return cm_cql_wheel_wait(&s->wheel, cm_cql_now(s));
}

/* ---- state ---- */

cm_cql_state_t cm_cql_state(const cm_cql_t *s)
{
    return s->state;
}

const cm_cql_error_t *cm_cql_last_error(const cm_cql_t *s)
{
    return s->last_error.code != CM_CQL_OK ? &s->last_error : NULL;
}

void cm_cql_stats(const cm_cql_t *s, cm_cql_stats_t *stats)
{
    *stats = s->stats;
    stats->nodes = s->node_count;
    stats->in_flight = s->in_flight;
    stats->version = s->version_known ? s->version : 0;
    for (int i = 0; i < s->node_count; i++) {
        stats->nodes_up += s->nodes[i]->ready > 0;
        stats->connections += s->nodes[i]->ready;
    }
}

void cm_cql_refresh(cm_cql_t *s)
{
    cm_cql_refresh_at(s, s->now);
}

int cm_cql_connect(cm_cql_t *s, int timeout_ms, cm_err_t *err)
{
    int64_t deadline = cm_cql_now(s) + timeout_ms, left = timeout_ms;

    do {
        int rc = cm_cql_run(s, s->state == CM_CQL_READY ? 0 : (int)left, err);
        if (rc < 0)
            return rc;
        left = deadline - cm_cql_now(s);
    } while (s->state != CM_CQL_READY && s->state != CM_CQL_FAILED && left > 0);
    if (s->state == CM_CQL_READY)
        return 0;
    if (s->state == CM_CQL_FAILED)
        return cm_cql_error_to_err(&s->last_error, err);
    return cm_fail(err, CM_EIO, "cql: no node of %s is ready within %d ms%s%s%s%s",
                   s->o.contact_points, timeout_ms, s->last_error.code ? "; " : "",
                   s->last_error.node, s->last_error.code ? ": " : "", s->last_error.text);
}

/* ---- the end ---- */

static void end_list(cm_cql_list_t *list, const cm_cql_error_t *error)
{
    while (list->first != NULL)
        cm_cql_call_end(list->first, error);
}

void cm_cql_give_up(cm_cql_t *s, const cm_cql_error_t *error)
{
    s->last_error = *error;
    s->state = CM_CQL_FAILED;
    cm_cql_say(s, CM_LOG_ERROR, "giving up", "node=%s code=%s reason=\"%s\"", error->node,
               cm_cql_code_name(error->code), error->text);
    end_list(&s->queue, &s->last_error);
    end_list(&s->resting, &s->last_error);
}

static void close_all(cm_cql_t *s)
{
    cm_cql_error_t cancelled;

    cm_cql_set_error(&cancelled, CM_CQL_CANCELLED, "the session was closed");
    s->state = CM_CQL_FAILED;
    s->o.log = NULL; /* what goes down now goes down on purpose */
    s->last_error = cancelled;
    if (s->control != NULL)
        cm_cql_conn_close(s->control, &cancelled);
    for (int i = 0; i < s->node_count; i++) {
        while (s->nodes[i]->count > 0)
            cm_cql_conn_close(s->nodes[i]->conns[0], &cancelled);
    }
    for (int i = 0; i < s->former_count; i++) {
        while (s->former[i]->count > 0)
            cm_cql_conn_close(s->former[i]->conns[0], &cancelled);
    }
    end_list(&s->queue, &cancelled);
    end_list(&s->resting, &cancelled);
    s->dirty = NULL;
    reap(s);
}

void cm_cql_close(cm_cql_t *s)
{
    if (s == NULL || s->running)
        return;
    s->running = true;
    close_all(s);
    for (int i = 0; i < s->node_count; i++)
        cm_cql_node_free(s->nodes[i]);
    while (s->free_calls != NULL) {
        cm_cql_call_t *call = s->free_calls;
        s->free_calls = call->link.next;
        cm_buf_free(&call->body);
        cm_buf_free(&call->paging_state);
        free(call);
    }
    cm_cql_prepared_free_all(s);
    cm_cql_topology_free(s);
    cm_cql_contacts_free(s);
    cm_cql_options_free(s);
    cm_cql_parsed_free(&s->parsed);
    cm_cql_tls_context_free(s->tls);
    free(s->nodes);
    free(s->former);
    if (s->epoll >= 0)
        close(s->epoll);
    free(s);
}
