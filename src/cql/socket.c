/* Sockets: bytes in and out of a connection, through TLS where it is enabled. */
#include "cql/conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { READ_SIZE = 128 * 1024 };

static const char no_memory[] = "out of memory for what is sent or received";

int cm_cql_socket_connect(cm_cql_conn_t *conn)
{
    int on = 1;

    conn->fd = socket(conn->address.sock.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (conn->fd < 0)
        return errno;
    setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(conn->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    if (connect(conn->fd, (const struct sockaddr *)&conn->address.sock, conn->address.len) < 0 &&
        errno != EINPROGRESS)
        return errno;
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = conn};
    if (epoll_ctl(conn->loop->epoll, EPOLL_CTL_ADD, conn->fd, &event) < 0)
        return errno;
    conn->wants_write = true;
    return 0;
}

/* Tells epoll what to wait for. */
static void watch(cm_cql_conn_t *conn)
{
    bool sealed = conn->sealed_at < conn->sealed.len;
    bool want = conn->state == CM_CQL_CONN_TCP || sealed ||
                (conn->tls == NULL && conn->encoder.at < conn->encoder.out.len);
    struct epoll_event event = {.events = EPOLLIN | (want ? (unsigned)EPOLLOUT : 0),
                                .data.ptr = conn};

    if (want == conn->wants_write || conn->fd < 0)
        return;
    conn->wants_write = want;
    epoll_ctl(conn->loop->epoll, EPOLL_CTL_MOD, conn->fd, &event);
}

/* Sends from `buf`; false when the connection has broken. */
static bool send_buffer(cm_cql_conn_t *conn, cm_buf_t *buf, size_t *at)
{
    while (*at < buf->len) {
        ssize_t sent = send(conn->fd, buf->data + *at, buf->len - *at, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return true;
        if (sent < 0) {
            cm_cql_conn_break(conn, CM_CQL_LOST, "sending failed: %s", strerror(errno));
            return false;
        }
        *at += (size_t)sent;
        conn->loop->stats.bytes_sent += (uint64_t)sent;
    }
    buf->len = *at = 0;
    return true;
}

/* A fault of TLS before the first request is one of the configuration; later it is a lost
 * connection like any other. */
static cm_cql_code_t tls_fault(const cm_cql_conn_t *conn)
{
    return conn->state == CM_CQL_CONN_READY ? CM_CQL_LOST : CM_CQL_TLS;
}

static bool seal(cm_cql_conn_t *conn)
{
    cm_cql_encoder_t *e = &conn->encoder;
    cm_err_t err;

    cm_cql_drop_sent(&conn->sealed, &conn->sealed_at);
    if (e->out.len > e->at && conn->state > CM_CQL_CONN_TLS) {
        if (cm_cql_tls_write(conn->tls, e->out.data + e->at, e->out.len - e->at, &err) < 0) {
            cm_cql_conn_break(conn, tls_fault(conn), "%s", err.text);
            return false;
        }
        e->out.len = e->at = 0;
    }
    if (!cm_cql_tls_drain(conn->tls, &conn->sealed)) {
        cm_cql_conn_break(conn, CM_CQL_MEMORY, "%s", no_memory);
        return false;
    }
    return true;
}

void cm_cql_socket_write(cm_cql_conn_t *conn)
{
    if (conn->fd < 0 || conn->broken || conn->state == CM_CQL_CONN_TCP)
        return;
    if (!cm_cql_encoder_pack(&conn->encoder)) {
        cm_cql_conn_break(conn, CM_CQL_MEMORY, "%s", no_memory);
        return;
    }
    if (conn->tls != NULL) {
        if (!seal(conn) || !send_buffer(conn, &conn->sealed, &conn->sealed_at))
            return;
    } else if (!send_buffer(conn, &conn->encoder.out, &conn->encoder.at)) {
        return;
    }
    watch(conn);
}

/* In which phase the connection ended. */
static const char *when(const cm_cql_conn_t *conn)
{
    if (conn->state == CM_CQL_CONN_TLS)
        return " during the TLS handshake";
    if (conn->state < CM_CQL_CONN_READY)
        return conn->tls != NULL ? " during the handshake"
                                 : " during the handshake; does it expect TLS?";
    return "";
}

/* Bytes of the socket: their number, 0 when there are none, -1 when the connection has failed. */
static int receive(cm_cql_conn_t *conn, char *to, size_t room)
{
    ssize_t got = recv(conn->fd, to, room, 0);

    if (got > 0) {
        conn->loop->stats.bytes_received += (uint64_t)got;
        conn->heard = conn->loop->now;
        if (conn->events->heard != NULL)
            conn->events->heard(conn);
        conn->drained = (size_t)got < room;
        return (int)got;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return 0;
    cm_cql_conn_fail(conn, CM_CQL_LOST, "%s%s",
                     got == 0 ? "the node closed the connection" : strerror(errno), when(conn));
    return -1;
}

/* Continues the TLS handshake; false when it has failed. */
static bool shake(cm_cql_conn_t *conn)
{
    cm_err_t err;
    int rc = cm_cql_tls_handshake(conn->tls, &err);

    if (!cm_cql_tls_drain(conn->tls, &conn->sealed)) {
        cm_cql_conn_fail(conn, CM_CQL_MEMORY, "%s", no_memory);
        return false;
    }
    if (rc == 1)
        conn->state = CM_CQL_CONN_OPTIONS; /* cm_cql_handshake_begin() continues from there */
    if (rc >= 0)
        return true;
    send_buffer(conn, &conn->sealed, &conn->sealed_at); /* the alert */
    cm_cql_conn_fail(conn, CM_CQL_TLS, "%s", err.text);
    return false;
}

static int read_sealed(cm_cql_conn_t *conn)
{
    char sealed[16 * 1024];
    int total = 0, got = receive(conn, sealed, sizeof sealed);
    cm_err_t err;

    if (got <= 0)
        return got;
    if (!cm_cql_tls_feed(conn->tls, sealed, (size_t)got)) {
        cm_cql_conn_fail(conn, CM_CQL_MEMORY, "%s", no_memory);
        return -1;
    }
    if (conn->state == CM_CQL_CONN_TLS) {
        if (!shake(conn))
            return -1;
        if (conn->state == CM_CQL_CONN_OPTIONS)
            cm_cql_handshake_begin(conn);
        cm_cql_socket_write(conn);
        if (conn->state == CM_CQL_CONN_TLS)
            return got;
    }
    do {
        char *room = cm_cql_decoder_room(&conn->decoder, sizeof sealed);
        if (room == NULL) {
            cm_cql_conn_fail(conn, CM_CQL_MEMORY, "%s", no_memory);
            return -1;
        }
        got = cm_cql_tls_read(conn->tls, room, sizeof sealed, &err);
        if (got > 0) {
            cm_cql_decoder_took(&conn->decoder, (size_t)got);
            total += got;
        }
    } while (got > 0);
    if (got < 0) {
        cm_cql_conn_fail(conn, got == CM_ESTOP ? CM_CQL_LOST : tls_fault(conn), "%s", err.text);
        return -1;
    }
    return total > 0 ? total : 1; /* a record may be empty */
}

int cm_cql_socket_read(cm_cql_conn_t *conn)
{
    if (conn->tls != NULL)
        return read_sealed(conn);
    char *room = cm_cql_decoder_room(&conn->decoder, READ_SIZE);
    if (room == NULL) {
        cm_cql_conn_fail(conn, CM_CQL_MEMORY, "%s", no_memory);
        return -1;
    }
    int got = receive(conn, room, READ_SIZE);
    if (got > 0)
        cm_cql_decoder_took(&conn->decoder, (size_t)got);
    return got;
}
