/* Connections: from the first SYN to the last answer. */
#include "cql/session.h"
#include "cql/wire.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    CONTROL_STREAMS = 64,
    READS_A_ROUND = 8,      /* of one connection, so that others get their turn */
    SEND_FROM = 128 * 1024, /* bytes written are not left to wait for the end of the round */
};

/* Stands in a stream whose call has given up: its answer may still come. */
static cm_cql_call_t orphan_mark;
#define ORPHAN (&orphan_mark)

/* ---- making and freeing ---- */

static void on_timer(cm_cql_timer_t *timer);

static void make_streams(cm_cql_conn_t *conn, int count)
{
    conn->streams = cm_alloc_zero((size_t)count, sizeof(cm_cql_call_t *));
    conn->free_streams = cm_alloc((size_t)count * sizeof *conn->free_streams);
    conn->free_count = count;
    for (int i = 0; i < count; i++)
        conn->free_streams[i] = (uint16_t)(count - 1 - i);
}

static int stream_count(const cm_cql_conn_t *conn)
{
    return conn->node != NULL ? conn->session->o.max_requests : CONTROL_STREAMS;
}

cm_cql_conn_t *cm_cql_conn_open(cm_cql_t *s, cm_cql_node_t *node, const cm_cql_address_t *address,
                                const char *tls_name)
{
    cm_cql_conn_t *conn = cm_alloc_zero(1, sizeof *conn);

    conn->session = s;
    conn->node = node;
    conn->address = *address;
    conn->tls_name = cm_strdup(tls_name);
    conn->fd = -1;
    conn->heard = s->now;
    conn->timer.fire = on_timer;
    conn->version = conn->encoder.version = s->version;
    conn->decoder.max_frame = s->o.max_frame;
    make_streams(conn, stream_count(conn));
    cm_cql_address_name(address, conn->name);
    cm_cql_timer_set(&s->wheel, &conn->timer, s->now + s->o.connect_timeout_ms);
    int rc = cm_cql_socket_connect(conn);
    if (rc != 0)
        cm_cql_conn_break(conn, CM_CQL_LOST, "cannot connect: %s", strerror(rc));
    return conn;
}

void cm_cql_conn_free(cm_cql_conn_t *conn)
{
    cm_cql_decoder_free(&conn->decoder);
    cm_cql_encoder_free(&conn->encoder);
    cm_cql_tls_free(conn->tls);
    cm_buf_free(&conn->sealed);
    free(conn->tls_name);
    free(conn->streams);
    free(conn->free_streams);
    free(conn);
}

/* ---- the end of a connection ---- */

void cm_cql_conn_dirty(cm_cql_conn_t *conn)
{
    if (conn->dirty)
        return;
    conn->dirty = true;
    conn->next_dirty = conn->session->dirty;
    conn->session->dirty = conn;
}

static void fail_calls(cm_cql_conn_t *conn, const cm_cql_error_t *error)
{
    int count = stream_count(conn);

    for (int i = 0; i < count; i++) {
        cm_cql_call_t *call = conn->streams[i];
        if (call == NULL || call == ORPHAN)
            continue;
        call->avoid = conn->node;
        cm_cql_call_failed(call, error);
    }
    while (conn->preparing.first != NULL) {
        conn->preparing.first->avoid = conn->node;
        cm_cql_call_failed(conn->preparing.first, error);
    }
}

void cm_cql_conn_close(cm_cql_conn_t *conn, const cm_cql_error_t *error)
{
    cm_cql_t *s = conn->session;
    cm_cql_error_t copy = *error; /* it may be the connection's own */
    bool was_ready = conn->state == CM_CQL_CONN_READY;

    if (conn->state == CM_CQL_CONN_CLOSED)
        return;
    conn->state = CM_CQL_CONN_CLOSED;
    cm_cql_timer_stop(&s->wheel, &conn->timer);
    if (conn->fd >= 0)
        close(conn->fd); /* epoll forgets it by itself */
    conn->fd = -1;
    conn->next_dead = s->dead;
    s->dead = conn;
    if (!conn->draining) {
        s->last_error = copy;
        cm_cql_say(s, CM_LOG_WARN, was_ready ? "connection lost" : "cannot connect",
                   "node=%s code=%s reason=\"%s\"", conn->name, cm_cql_code_name(copy.code),
                   copy.text);
    }
    if (conn->node != NULL)
        cm_cql_node_conn_closed(conn->node, conn, was_ready, &copy);
    else
        cm_cql_control_lost(s, &copy);
    fail_calls(conn, &copy);
}

static void fill_error(cm_cql_conn_t *conn, cm_cql_error_t *error, cm_cql_code_t code,
                       const char *format, va_list args)
{
    *error = (cm_cql_error_t){
        .code = code, .server_code = -1, .consistency = -1, .received = -1, .required = -1};
    memcpy(error->node, conn->name, sizeof error->node);
    vsnprintf(error->text, sizeof error->text, format, args);
}

void cm_cql_conn_fail(cm_cql_conn_t *conn, cm_cql_code_t code, const char *format, ...)
{
    cm_cql_error_t error;
    va_list args;

    va_start(args, format);
    fill_error(conn, &error, code, format, args);
    va_end(args);
    cm_cql_conn_close(conn, &error);
}

void cm_cql_conn_break(cm_cql_conn_t *conn, cm_cql_code_t code, const char *format, ...)
{
    va_list args;

    if (conn->broken)
        return;
    conn->broken = true;
    va_start(args, format);
    fill_error(conn, &conn->error, code, format, args);
    va_end(args);
    cm_cql_conn_dirty(conn);
}

void cm_cql_conn_flush(cm_cql_conn_t *conn)
{
    if (conn->state != CM_CQL_CONN_CLOSED)
        cm_cql_socket_write(conn);
}

/* ---- sending ---- */

static cm_cql_parameters_t parameters(const cm_cql_call_t *call)
{
    return (cm_cql_parameters_t){
        .consistency = call->consistency,
        .serial = call->serial,
        .page_size = call->page_size,
        .paging_state = {call->paging_state.data, call->paging_state.len},
        .timestamp_us = call->timestamp_us,
        .values = {call->body.data + call->values_at, call->body.len - call->values_at},
    };
}

/* The rows of a batch: each a u32 length and its values. */
static void add_rows(cm_buf_t *buf, const cm_cql_call_t *call)
{
    const cm_cql_prepared_t *prepared = call->prepared;
    const char *at = call->body.data, *end = at + call->body.len;

    cm_cql_add_u8(buf, 1); /* unlogged */
    cm_cql_add_u16(buf, call->rows);
    cm_buf_reserve(buf, call->body.len + (size_t)call->rows * (prepared->id.len + 3));
    while (at < end) {
        uint32_t len;
        memcpy(&len, at, 4);
        cm_cql_add_u8(buf, 1); /* by the id of a prepared statement */
        cm_cql_add_string(buf, (cm_str_t){prepared->id.data, prepared->id.len});
        cm_buf_add(buf, at + 4, len);
        at += 4 + len;
    }
}

/* The body of each kind of request (v4 and v5 section 4.1). */
static void add_body(cm_buf_t *buf, int version, const cm_cql_call_t *call)
{
    const cm_cql_prepared_t *prepared = call->prepared;
    cm_cql_parameters_t p = parameters(call);

    switch (call->opcode) {
    case CM_CQL_OP_QUERY:
        cm_cql_add_bytes(buf, (cm_str_t){call->body.data, call->values_at});
        cm_cql_add_parameters(buf, version, &p);
        break;
    case CM_CQL_OP_EXECUTE:
        cm_cql_add_string(buf, (cm_str_t){prepared->id.data, prepared->id.len});
        if (version >= 5)
            cm_cql_add_string(buf,
                              (cm_str_t){prepared->metadata_id.data, prepared->metadata_id.len});
        cm_cql_add_parameters(buf, version, &p);
        break;
    case CM_CQL_OP_BATCH:
        add_rows(buf, call);
        cm_cql_add_batch_parameters(buf, version, &p);
        break;
    case CM_CQL_OP_PREPARE:
        cm_cql_add_bytes(buf, (cm_str_t){call->body.data, call->body.len});
        if (version >= 5)
            cm_cql_add_i32(buf, 0);
        break;
    default:
        cm_buf_add(buf, call->body.data, call->body.len);
    }
}

void cm_cql_conn_send(cm_cql_conn_t *conn, cm_cql_call_t *call)
{
    call->stream = conn->free_streams[--conn->free_count];
    conn->streams[call->stream] = call;
    conn->in_flight++;
    call->conn = conn;
    call->place = CM_CQL_SENT;
    call->sent = conn->session->now;
    add_body(cm_cql_encoder_begin(&conn->encoder, call->stream, call->opcode), conn->version, call);
    cm_cql_encoder_end(&conn->encoder);
    cm_cql_conn_dirty(conn);
    if (cm_cql_encoder_pending(&conn->encoder) >= SEND_FROM && !conn->wants_write)
        cm_cql_conn_flush(conn);
}

void cm_cql_conn_forget(cm_cql_conn_t *conn, cm_cql_call_t *call)
{
    conn->in_flight--;
    conn->streams[call->stream] = NULL;
    if (conn->state == CM_CQL_CONN_CLOSED)
        return;
    conn->streams[call->stream] = ORPHAN;
    if (++conn->orphans > stream_count(conn) / 2)
        cm_cql_conn_break(conn, CM_CQL_LOST, "%d requests were never answered", conn->orphans);
}

/* ---- receiving ---- */

static void answer(cm_cql_conn_t *conn, const cm_cql_frame_t *frame)
{
    cm_cql_call_t *call = NULL;

    if (frame->stream >= 0 && frame->stream < stream_count(conn))
        call = conn->streams[frame->stream];
    if (call == NULL) {
        cm_cql_conn_fail(conn, CM_CQL_PROTOCOL, "an answer to a request that was not sent: %d",
                         frame->stream);
        return;
    }
    conn->streams[frame->stream] = NULL;
    conn->free_streams[conn->free_count++] = (uint16_t)frame->stream;
    conn->session->queue_ready = true;
    if (call == ORPHAN) {
        conn->orphans--;
        return;
    }
    conn->in_flight--;
    cm_cql_call_answer(call, conn, frame);
}

static void message(cm_cql_conn_t *conn, const cm_cql_frame_t *frame)
{
    if (!frame->response) {
        cm_cql_conn_fail(conn, CM_CQL_PROTOCOL, "the node sends requests instead of answers");
    } else if (conn->state < CM_CQL_CONN_READY) {
        cm_cql_handshake_message(conn, frame);
    } else if (frame->version != conn->version) {
        cm_cql_conn_fail(conn, CM_CQL_PROTOCOL, "a message of version %d on a connection of %d",
                         frame->version, conn->version);
    } else if (frame->stream < 0 && frame->opcode == CM_CQL_OP_EVENT) {
        if (conn->node == NULL)
            cm_cql_control_event(conn->session, frame->body);
    } else {
        answer(conn, frame);
    }
}

static void decode(cm_cql_conn_t *conn)
{
    cm_cql_frame_t frame;
    cm_err_t err;

    while (conn->state != CM_CQL_CONN_CLOSED) {
        int rc = cm_cql_decoder_next(&conn->decoder, &frame, &err);
        if (rc == 0)
            return;
        if (rc > 0)
            message(conn, &frame);
        else
            cm_cql_conn_fail(conn, CM_CQL_PROTOCOL, "%s", err.text);
    }
}

static void connected(cm_cql_conn_t *conn)
{
    int problem = 0;
    socklen_t len = sizeof problem;

    if (getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &problem, &len) < 0)
        problem = errno;
    if (problem != 0) {
        cm_cql_conn_fail(conn, CM_CQL_LOST, "cannot connect: %s", strerror(problem));
        return;
    }
    cm_cql_handshake_begin(conn);
    cm_cql_conn_flush(conn);
}

void cm_cql_conn_event(cm_cql_conn_t *conn, unsigned events)
{
    if (conn->state == CM_CQL_CONN_TCP && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
        connected(conn);
    else if (events & EPOLLOUT)
        cm_cql_conn_flush(conn);
    if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP)))
        return;
    for (int i = 0; i < READS_A_ROUND && conn->state != CM_CQL_CONN_CLOSED; i++) {
        if (conn->state == CM_CQL_CONN_TCP || cm_cql_socket_read(conn) <= 0)
            break;
        decode(conn);
        if (conn->drained)
            break; /* epoll tells when there is more; asking costs as much as reading */
    }
    if (conn->draining && conn->in_flight == 0 && conn->state == CM_CQL_CONN_READY)
        cm_cql_conn_fail(conn, CM_CQL_LOST, "the node has left the cluster");
}

/* ---- signs of life ---- */

static void finish_probe(cm_cql_call_t *call, const cm_cql_error_t *error,
                         const cm_cql_result_t *result)
{
    (void)error;
    (void)result;
    cm_cql_call_free(call);
}

void cm_cql_conn_probe(cm_cql_conn_t *conn)
{
    cm_cql_t *s = conn->session;

    if (conn->state != CM_CQL_CONN_READY || conn->probed != 0)
        return;
    conn->probed = s->now;
    cm_cql_timer_set(&s->wheel, &conn->timer, s->now + s->o.heartbeat_timeout_ms);
    if (conn->free_count == 0)
        return; /* the answers to come are signs enough */
    cm_cql_call_t *call = cm_cql_call_new(s, CM_CQL_OP_OPTIONS, NULL);
    call->internal = true;
    call->pinned = conn;
    call->max_retries = 0;
    call->timeout_ms = -1;
    call->finish = finish_probe;
    cm_cql_call_submit(call);
}

static void on_timer(cm_cql_timer_t *timer)
{
    cm_cql_conn_t *conn = CM_CQL_OWNER(timer, cm_cql_conn_t, timer);
    cm_cql_t *s = conn->session;

    if (conn->state != CM_CQL_CONN_READY) {
        cm_cql_conn_fail(conn, CM_CQL_LOST, "%s within %d ms",
                         conn->state == CM_CQL_CONN_TCP   ? "no TCP connection"
                         : conn->state == CM_CQL_CONN_TLS ? "no TLS connection"
                                                          : "no answer to the handshake",
                         s->o.connect_timeout_ms);
        return;
    }
    if (conn->probed != 0 && conn->heard < conn->probed) {
        cm_cql_conn_fail(conn, CM_CQL_LOST, "no sign of life for %lld ms",
                         (long long)(s->now - conn->heard));
        return;
    }
    conn->probed = 0;
    if (s->now - conn->heard >= s->o.heartbeat_ms)
        cm_cql_conn_probe(conn);
    else
        cm_cql_timer_set(&s->wheel, timer, conn->heard + s->o.heartbeat_ms);
}

void cm_cql_conn_ready(cm_cql_conn_t *conn)
{
    cm_cql_t *s = conn->session;

    conn->state = CM_CQL_CONN_READY;
    s->version_known = true;
    s->stats.connects++;
    s->queue_ready = true;
    cm_cql_timer_set(&s->wheel, &conn->timer, s->now + s->o.heartbeat_ms);
    cm_cql_say(s, CM_LOG_DEBUG, "connected", "node=%s version=%d compression=%s tls=%s use=%s",
               conn->name, conn->version, conn->lz4 ? "lz4" : "none", conn->tls ? "yes" : "no",
               conn->node ? "requests" : "control");
    if (conn->node != NULL)
        cm_cql_node_conn_ready(conn->node);
    else
        cm_cql_control_ready(s);
}
