#include "cql/conn.h"
#include "cql/wire.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    READS_A_ROUND = 8,      /* of one connection, so that the others are served too */
    SEND_FROM = 128 * 1024, /* bytes written that are sent before the end of the round */
};

/* Marks in the list of streams: a call that was dropped, whose answer may still come; a heartbeat.
 */
static cm_cql_call_t orphan, heartbeat;

/* ---- making and freeing ---- */

static void on_timer(cm_cql_timer_t *timer);

static void free_conn(cm_cql_conn_t *conn)
{
    if (conn == NULL)
        return;
    cm_cql_decoder_free(&conn->decoder);
    cm_cql_encoder_free(&conn->encoder);
    cm_cql_tls_free(conn->tls);
    cm_buf_free(&conn->sealed);
    free(conn->streams);
    free(conn->free_streams);
    free(conn);
}

static bool make_streams(cm_cql_conn_t *conn, int count)
{
    conn->stream_count = count;
    conn->streams = calloc((size_t)count, sizeof(cm_cql_call_t *));
    conn->free_streams = malloc((size_t)count * sizeof *conn->free_streams);
    if (conn->streams == NULL || conn->free_streams == NULL)
        return false;
    conn->free_count = count;
    for (int i = 0; i < count; i++)
        conn->free_streams[i] = (uint16_t)(count - 1 - i);
    return true;
}

cm_cql_conn_t *cm_cql_conn_open(cm_cql_loop_t *loop, const cm_cql_conn_events_t *events,
                                void *owner, const cm_cql_address_t *address, const char *tls_name,
                                int stream_count)
{
    cm_cql_conn_t *conn = calloc(1, sizeof *conn);

    if (conn == NULL || !make_streams(conn, stream_count)) {
        cm_cql_set_memory_error(loop, &loop->last_error);
        free_conn(conn);
        return NULL;
    }
    conn->loop = loop;
    conn->events = events;
    conn->owner = owner;
    conn->address = *address;
    snprintf(conn->tls_name, sizeof conn->tls_name, "%s", tls_name);
    conn->fd = -1;
    conn->heard = loop->now;
    conn->timer.fire = on_timer;
    conn->version = conn->encoder.version = loop->version;
    conn->decoder.max_frame = loop->o.max_frame;
    cm_cql_address_name(address, conn->name);
    cm_cql_timer_set(&loop->wheel, &conn->timer, loop->now + loop->o.connect_timeout_ms);
    int rc = cm_cql_socket_connect(conn);
    if (rc != 0)
        cm_cql_conn_break(conn, CM_CQL_LOST, "cannot connect: %s", strerror(rc));
    return conn;
}

/* ---- the end of a connection ---- */

void cm_cql_conn_dirty(cm_cql_conn_t *conn)
{
    if (conn->dirty)
        return;
    conn->dirty = true;
    conn->next_dirty = conn->loop->dirty;
    conn->loop->dirty = conn;
}

static void lose_calls(cm_cql_conn_t *conn, const cm_cql_error_t *error)
{
    const cm_cql_call_events_t *events = conn->loop->call_events;

    for (int i = 0; i < conn->stream_count; i++) {
        cm_cql_call_t *call = conn->streams[i];
        if (call != NULL && call != &orphan && call != &heartbeat)
            events->lost(call, conn, error);
    }
    while (conn->preparing.first != NULL)
        events->lost(conn->preparing.first, conn, error);
}

void cm_cql_conn_close(cm_cql_conn_t *conn, const cm_cql_error_t *error)
{
    cm_cql_loop_t *loop = conn->loop;
    cm_cql_error_t copy = *error; /* it may be conn->error */
    bool was_ready = conn->state == CM_CQL_CONN_READY;

    if (conn->state == CM_CQL_CONN_CLOSED)
        return;
    conn->state = CM_CQL_CONN_CLOSED;
    cm_cql_timer_stop(&loop->wheel, &conn->timer);
    if (conn->fd >= 0)
        close(conn->fd); /* this also removes it from the epoll */
    conn->fd = -1;
    conn->next_dead = loop->dead;
    loop->dead = conn;
    if (!conn->draining) {
        loop->last_error = copy;
        cm_cql_log(loop, CM_LOG_WARN, was_ready ? "connection lost" : "cannot connect",
                   "node=%s code=%s reason=\"%s\"", conn->name, cm_cql_code_name(copy.code),
                   copy.text);
    }
    conn->events->closed(conn, was_ready, &copy);
    lose_calls(conn, &copy);
}

static void fill_error(cm_cql_conn_t *conn, cm_cql_error_t *error, cm_cql_code_t code,
                       const char *format, va_list args)
{
    *error = (cm_cql_error_t){
        .code = code, .server_code = -1, .consistency = -1, .received = -1, .required = -1};
    conn->loop->stats.no_memory += code == CM_CQL_MEMORY;
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

/* Begins a message for a call on a free stream; NULL when there is no memory. */
static cm_buf_t *begin(cm_cql_conn_t *conn, cm_cql_call_t *call, int opcode, size_t size)
{
    int stream = conn->free_streams[conn->free_count - 1];
    cm_buf_t *buf = cm_cql_encoder_begin(&conn->encoder, stream, opcode, size);

    if (buf == NULL)
        return NULL;
    conn->free_count--;
    conn->streams[stream] = call;
    conn->in_flight++;
    return buf;
}

bool cm_cql_conn_send(cm_cql_conn_t *conn, cm_cql_call_t *call)
{
    assert(conn->state == CM_CQL_CONN_READY && conn->free_count > 0);
    int stream = conn->free_streams[conn->free_count - 1];
    cm_buf_t *buf = begin(conn, call, call->opcode, cm_cql_call_size(call));

    if (buf == NULL)
        return false;
    call->stream = stream;
    call->conn = conn;
    call->place = CM_CQL_SENT;
    call->sent = conn->loop->now;
    cm_cql_call_encode(call, conn->version, buf);
    cm_cql_encoder_end(&conn->encoder);
    cm_cql_conn_dirty(conn);
    if (cm_cql_encoder_pending(&conn->encoder) >= SEND_FROM && !conn->wants_write)
        cm_cql_conn_flush(conn);
    return true;
}

void cm_cql_conn_forget(cm_cql_conn_t *conn, cm_cql_call_t *call)
{
    conn->in_flight--;
    conn->streams[call->stream] = NULL;
    if (conn->state == CM_CQL_CONN_CLOSED)
        return;
    conn->streams[call->stream] = &orphan;
    if (++conn->orphans > conn->stream_count / 2)
        cm_cql_conn_break(conn, CM_CQL_LOST, "%d requests were never answered", conn->orphans);
}

/* ---- receiving ---- */

static void answer(cm_cql_conn_t *conn, const cm_cql_frame_t *frame)
{
    cm_cql_call_t *call = NULL;

    if (frame->stream >= 0 && frame->stream < conn->stream_count)
        call = conn->streams[frame->stream];
    if (call == NULL) {
        cm_cql_conn_fail(conn, CM_CQL_PROTOCOL, "an answer to a request that was not sent: %d",
                         frame->stream);
        return;
    }
    conn->streams[frame->stream] = NULL;
    conn->free_streams[conn->free_count++] = (uint16_t)frame->stream;
    conn->loop->stream_free = true;
    if (call == &orphan) {
        conn->orphans--;
        return;
    }
    conn->in_flight--;
    if (call != &heartbeat)
        conn->loop->call_events->answered(call, conn, frame);
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
        if (conn->events->event != NULL)
            conn->events->event(conn, frame->body);
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
            cm_cql_conn_fail(conn, rc == CM_ENOMEM ? CM_CQL_MEMORY : CM_CQL_PROTOCOL, "%s",
                             err.text);
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
            break; /* epoll reports when there is more; another recv() costs as much as one that
                      reads */
    }
    if (conn->draining && conn->in_flight == 0 && conn->state == CM_CQL_CONN_READY)
        cm_cql_conn_fail(conn, CM_CQL_LOST, "the node has left the cluster");
}

/* ---- heartbeats ---- */

void cm_cql_conn_probe(cm_cql_conn_t *conn)
{
    cm_cql_loop_t *loop = conn->loop;

    if (conn->state != CM_CQL_CONN_READY || conn->probed != 0)
        return;
    conn->probed = loop->now;
    cm_cql_timer_set(&loop->wheel, &conn->timer, loop->now + loop->o.heartbeat_timeout_ms);
    if (conn->free_count == 0)
        return; /* any answer in flight will do */
    if (begin(conn, &heartbeat, CM_CQL_OP_OPTIONS, 0) == NULL) {
        cm_cql_conn_break(conn, CM_CQL_MEMORY, "no memory for a heartbeat");
        return;
    }
    cm_cql_encoder_end(&conn->encoder);
    cm_cql_conn_dirty(conn);
}

static void on_timer(cm_cql_timer_t *timer)
{
    cm_cql_conn_t *conn = CM_CQL_OWNER(timer, cm_cql_conn_t, timer);
    cm_cql_loop_t *loop = conn->loop;

    if (conn->state != CM_CQL_CONN_READY) {
        cm_cql_conn_fail(conn, CM_CQL_LOST, "%s within %d ms",
                         conn->state == CM_CQL_CONN_TCP   ? "no TCP connection"
                         : conn->state == CM_CQL_CONN_TLS ? "no TLS connection"
                                                          : "no answer to the handshake",
                         loop->o.connect_timeout_ms);
        return;
    }
    if (conn->probed != 0 && conn->heard < conn->probed) {
        cm_cql_conn_fail(conn, CM_CQL_LOST, "nothing was received for %lld ms",
                         (long long)(loop->now - conn->heard));
        return;
    }
    conn->probed = 0;
    if (loop->now - conn->heard >= loop->o.heartbeat_ms)
        cm_cql_conn_probe(conn);
    else
        cm_cql_timer_set(&loop->wheel, timer, conn->heard + loop->o.heartbeat_ms);
}

void cm_cql_conn_ready(cm_cql_conn_t *conn)
{
    cm_cql_loop_t *loop = conn->loop;

    conn->state = CM_CQL_CONN_READY;
    loop->version_known = true;
    loop->stats.connects++;
    loop->stream_free = true;
    cm_cql_timer_set(&loop->wheel, &conn->timer, loop->now + loop->o.heartbeat_ms);
    cm_cql_log(loop, CM_LOG_DEBUG, "connected", "node=%s version=%d compression=%s tls=%s use=%s",
               conn->name, conn->version, conn->lz4 ? "lz4" : "none", conn->tls ? "yes" : "no",
               conn->events->use);
    conn->events->ready(conn);
}

/* ---- for the event loop ---- */

/* Callbacks may write more in the meantime. */
void cm_cql_conns_flush(cm_cql_loop_t *loop)
{
    while (loop->dirty != NULL) {
        cm_cql_conn_t *conn = loop->dirty;
        loop->dirty = conn->next_dirty;
        conn->dirty = false;
        if (conn->state == CM_CQL_CONN_CLOSED)
            continue;
        if (!conn->broken)
            cm_cql_conn_flush(conn);
        if (conn->broken)
            cm_cql_conn_close(conn, &conn->error);
    }
}

void cm_cql_conns_reap(cm_cql_loop_t *loop)
{
    while (loop->dead != NULL) {
        cm_cql_conn_t *conn = loop->dead;
        loop->dead = conn->next_dead;
        free_conn(conn);
    }
}
