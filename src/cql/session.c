/* A session: opening, the event loop, closing. */
#include "cql/control.h"
#include "cql/dispatch.h"
#include "cql/prepare.h"
#include "cql/topology.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EVENTS_A_ROUND = 64 };

/* ---- answers ---- */

static void on_answer(cm_cql_call_t *call, cm_cql_conn_t *conn, const cm_cql_frame_t *frame)
{
    cm_cql_t *s = call->session;
    cm_cql_parsed_t *parsed = &s->loop.parsed;
    cm_err_t err;

    cm_cql_timer_stop(&s->loop.wheel, &call->timer);
    call->place = CM_CQL_NOWHERE;
    call->conn = NULL;
    call->avoid = NULL;
    if (call->opcode == CM_CQL_OP_REGISTER && frame->opcode == CM_CQL_OP_READY) {
        static const cm_cql_result_t nothing = {0};
        call->finish(call, NULL, &nothing);
        return;
    }
    int what = cm_cql_parse(frame, parsed, &err);
    if (what < 0) {
        cm_cql_error_t error;
        cm_cql_set_error(&error, what == CM_ENOMEM ? CM_CQL_MEMORY : CM_CQL_PROTOCOL, "%s",
                         err.text);
        s->loop.stats.no_memory += what == CM_ENOMEM;
        memcpy(error.node, conn->name, sizeof error.node);
        call->avoid = cm_cql_node_of(conn);
        cm_cql_call_failed(call, &error);
        if (what != CM_ENOMEM)
            cm_cql_conn_fail(conn, CM_CQL_PROTOCOL, "%s", err.text);
        return;
    }
    if (what == CM_CQL_OP_RESULT) {
        call->reprepared = 0;
        call->finish(call, NULL, &parsed->result);
        return;
    }
    call->avoid = cm_cql_node_of(conn);
    memcpy(parsed->error.node, conn->name, sizeof parsed->error.node);
    if (parsed->error.server_code == CM_CQL_UNPREPARED && call->prepared != NULL)
        cm_cql_unprepared(call, conn);
    else
        cm_cql_call_failed(call, &parsed->error);
}

static void on_lost(cm_cql_call_t *call, cm_cql_conn_t *conn, const cm_cql_error_t *error)
{
    call->avoid = cm_cql_node_of(conn);
    cm_cql_call_failed(call, error);
}

static const cm_cql_call_events_t call_events = {.answered = on_answer, .lost = on_lost};

/* ---- the nodes ---- */

/* The session becomes ready or down. */
static void on_nodes_changed(cm_cql_nodes_t *nodes)
{
    cm_cql_t *s = CM_CQL_OWNER(nodes, cm_cql_t, nodes);
    cm_cql_state_t was = s->state;
    int up = cm_cql_nodes_up(nodes);

    if (was == CM_CQL_FAILED)
        return;
    if (up > 0)
        s->state = CM_CQL_READY;
    else if (was == CM_CQL_READY)
        s->state = CM_CQL_DOWN;
    if (s->state != was)
        cm_cql_log(&s->loop, s->state == CM_CQL_READY ? CM_LOG_INFO : CM_LOG_ERROR,
                   s->state == CM_CQL_READY ? "cluster ready" : "cluster down",
                   "nodes=%d nodes_up=%d version=%d", nodes->count, up, s->loop.version);
}

/* ---- opening ---- */

int cm_cql_open(const cm_cql_options_t *options, cm_cql_t **session, cm_err_t *err)
{
    cm_cql_t *s = calloc(1, sizeof *s);
    if (s == NULL)
        return cm_cql_fail_memory(err);
    cm_cql_options_t *o = &s->loop.o;
    s->loop.epoll = -1;
    s->loop.call_events = &call_events;
    s->nodes.loop = &s->loop;
    s->nodes.changed = on_nodes_changed;
    int rc = cm_cql_options_fill(o, options, err);
    if (rc == 0)
        rc = cm_cql_contacts_parse(&s->contacts, o->contact_points, o->port, err);
    if (rc == 0)
        rc = cm_cql_contacts_resolve(&s->contacts, err);
    if (rc == 0 && o->tls.enabled)
        rc = cm_cql_tls_context_new(&o->tls, &s->loop.tls, err);
    if (rc < 0)
        goto fail;
    s->loop.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (s->loop.epoll < 0) {
        rc = cm_fail(err, CM_EINTERNAL, "cql: cannot create an epoll: %s", strerror(errno));
        goto fail;
    }
    s->loop.now = cm_cql_now(&s->loop);
    s->loop.random = o->seed != 0 ? o->seed : (uint64_t)cm_clock_ticks_ns();
    s->loop.version = o->version != 0 ? o->version : 5;
    cm_cql_wheel_init(&s->loop.wheel, s->loop.now);
    cm_cql_control_start(s);
    *session = s;
    return 0;
fail:
    cm_cql_close(s);
    return rc;
}

/* ---- the loop ---- */

static int time_to_wait(const cm_cql_t *s, int timeout_ms)
{
    int wait = cm_cql_wheel_wait(&s->loop.wheel, s->loop.now);

    if (s->answered > 0)
        return 0;
    if (wait < 0 || (timeout_ms >= 0 && timeout_ms < wait))
        wait = timeout_ms;
    return wait;
}

static int pump(cm_cql_t *s, int timeout_ms, cm_err_t *err)
{
    struct epoll_event events[EVENTS_A_ROUND];

    s->loop.now = cm_cql_now(&s->loop);
    s->answered = 0;
    cm_cql_conns_flush(&s->loop);
    int count = epoll_wait(s->loop.epoll, events, EVENTS_A_ROUND, time_to_wait(s, timeout_ms));
    if (count < 0 && errno != EINTR)
        return cm_fail(err, CM_EINTERNAL, "cql: epoll fails: %s", strerror(errno));
    s->loop.now = cm_cql_now(&s->loop);
    for (int i = 0; i < count; i++)
        cm_cql_conn_event(events[i].data.ptr, events[i].events);
    cm_cql_wheel_advance(&s->loop.wheel, s->loop.now);
    cm_cql_conns_flush(&s->loop);
    if (s->loop.stream_free && s->queue.count > 0) {
        cm_cql_queue_drain(s);
        cm_cql_conns_flush(&s->loop);
    }
    cm_cql_conns_reap(&s->loop);
    cm_cql_nodes_sweep(&s->nodes);
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

int cm_cql_fd(const cm_cql_t *s)
{
    return s->loop.epoll;
}

int cm_cql_wait_ms(const cm_cql_t *s)
{
    if (s->loop.dirty != NULL || (s->loop.stream_free && s->queue.count > 0))
        return 0;
    return cm_cql_wheel_wait(&s->loop.wheel, cm_cql_now(&s->loop));
}

/* ---- state ---- */

cm_cql_state_t cm_cql_state(const cm_cql_t *s)
{
    return s->state;
}

const cm_cql_error_t *cm_cql_last_error(const cm_cql_t *s)
{
    return s->loop.last_error.code != CM_CQL_OK ? &s->loop.last_error : NULL;
}

void cm_cql_stats(const cm_cql_t *s, cm_cql_stats_t *stats)
{
    *stats = s->loop.stats;
    stats->nodes = s->nodes.count;
    stats->in_flight = s->in_flight;
    stats->version = s->loop.version_known ? s->loop.version : 0;
    stats->nodes_up = cm_cql_nodes_up(&s->nodes);
    for (int i = 0; i < s->nodes.count; i++)
        stats->connections += s->nodes.list[i]->ready;
}

void cm_cql_refresh(cm_cql_t *s)
{
    cm_cql_refresh_at(s, s->loop.now);
}

int cm_cql_connect(cm_cql_t *s, int timeout_ms, cm_err_t *err)
{
    int64_t deadline = cm_cql_now(&s->loop) + timeout_ms, left = timeout_ms;

    do {
        int rc = cm_cql_run(s, s->state == CM_CQL_READY ? 0 : (int)left, err);
        if (rc < 0)
            return rc;
        left = deadline - cm_cql_now(&s->loop);
    } while (s->state != CM_CQL_READY && s->state != CM_CQL_FAILED && left > 0);
    if (s->state == CM_CQL_READY)
        return 0;
    if (s->state == CM_CQL_FAILED)
        return cm_cql_error_to_err(&s->loop.last_error, err);
    return cm_fail(err, CM_EIO, "cql: no node of %s is ready within %d ms%s%s%s%s",
                   s->loop.o.contact_points, timeout_ms, s->loop.last_error.code ? "; " : "",
                   s->loop.last_error.node, s->loop.last_error.node[0] ? ": " : "",
                   s->loop.last_error.text);
}

/* ---- the end ---- */

static void close_all(cm_cql_t *s)
{
    cm_cql_error_t cancelled;

    cm_cql_set_error(&cancelled, CM_CQL_CANCELLED, "the session was closed");
    s->state = CM_CQL_FAILED;
    s->loop.o.log = NULL; /* what is closed now is closed on purpose */
    s->loop.last_error = cancelled;
    if (s->control != NULL)
        cm_cql_conn_close(s->control, &cancelled);
    cm_cql_nodes_close(&s->nodes, &cancelled);
    cm_cql_calls_end(s, &cancelled);
    assert(s->in_flight == 0 && s->queue.count == 0 && s->resting.count == 0);
    s->loop.dirty = NULL;
    cm_cql_conns_reap(&s->loop);
}

void cm_cql_close(cm_cql_t *s)
{
    if (s == NULL || s->running)
        return;
    s->running = true;
    close_all(s);
    cm_cql_nodes_free(&s->nodes);
    cm_cql_calls_free(s);
    cm_cql_prepared_free_all(s);
    cm_cql_topology_free(s);
    cm_cql_contacts_free(&s->contacts);
    cm_cql_options_free(&s->loop.o);
    cm_cql_parsed_free(&s->loop.parsed);
    cm_cql_tls_context_free(s->loop.tls);
    if (s->loop.epoll >= 0)
        close(s->loop.epoll);
    free(s);
}
