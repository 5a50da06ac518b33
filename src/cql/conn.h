/* A connection: from the first SYN to the last answer.
 *
 * It sends calls, each on its own stream. It reports to its owner (a node, or the session for the
 * control connection) by cm_cql_conn_events_t, and about calls by cm_cql_call_events_t; it knows
 * neither the owner nor the session.
 *
 * Sockets are read and connections are closed only from within cm_cql_run() or cm_cql_close(). A
 * connection with bytes to send, or one to be closed, is marked and served at the end of the round,
 * or in the next one; only when many bytes are pending they are sent before. A closed connection is
 * freed at the end of the round. One thread. */
#ifndef CM_CQL_CONN_H
#define CM_CQL_CONN_H

#include "cql/call.h"
#include "cql/contact.h"

/* What a connection reports to its owner. */
typedef struct cm_cql_conn_events {
    const char *use; /* what the connection is for: a word of the log */
    void (*ready)(cm_cql_conn_t *conn);
    /* It was closed. Its calls are lost after this. */
    void (*closed)(cm_cql_conn_t *conn, bool was_ready, const cm_cql_error_t *error);
    /* Bytes have come. NULL: the owner does not ask. */
    void (*heard)(cm_cql_conn_t *conn);
    /* An EVENT has come, with this body. NULL: it is ignored. */
    void (*event)(cm_cql_conn_t *conn, cm_str_t body);
} cm_cql_conn_events_t;

enum cm_cql_conn_state {
    CM_CQL_CONN_TCP,
    CM_CQL_CONN_TLS,
    CM_CQL_CONN_OPTIONS, /* has asked what the node supports */
    CM_CQL_CONN_STARTUP,
    CM_CQL_CONN_AUTH,
    CM_CQL_CONN_READY,
    CM_CQL_CONN_CLOSED,
};

struct cm_cql_conn {
    cm_cql_loop_t *loop;
    const cm_cql_conn_events_t *events;
    void *owner;
    cm_cql_address_t address;
    char name[CM_CQL_NAME]; /* "address:port" */
    cm_cql_timer_t timer;   /* of the handshake, then of the heartbeat */
    int64_t heard;          /* when bytes came last */
    int64_t probed;         /* when a heartbeat was sent that has no answer; 0: none was */
    int fd, state, version;
    bool lz4;
    bool wants_write; /* epoll watches for room in the socket */
    bool drained;     /* the last read took all there was */
    bool dirty;       /* in loop->dirty */
    bool broken;      /* to be closed with `error` */
    bool draining;    /* takes no new calls; closed when the last is answered */
    cm_cql_conn_t *next_dirty, *next_dead;
    char tls_name[CM_CQL_HOST]; /* the name that the certificate must have */
    cm_cql_tls_stream_t *tls;
    cm_buf_t sealed; /* encrypted bytes to send; those before sealed_at are sent */
    size_t sealed_at;
    cm_cql_decoder_t decoder;
    cm_cql_encoder_t encoder;
    cm_cql_call_t **streams; /* by stream id */
    uint16_t *free_streams;
    int stream_count, free_count;
    int in_flight; /* streams that wait for an answer, orphans not counted */
    int orphans;   /* streams whose call has given up */
    cm_cql_list_t preparing;
    cm_cql_error_t error;
};

/* Begins to connect to a node whose certificate must have the name `tls_name`. At most
 * `stream_count` requests are in flight. NULL, and loop->last_error says so, when there is no
 * memory. */
cm_cql_conn_t *cm_cql_conn_open(cm_cql_loop_t *loop, const cm_cql_conn_events_t *events,
                                void *owner, const cm_cql_address_t *address, const char *tls_name,
                                int stream_count);

/* Sends a call; there must be a free stream. False, and nothing is sent, when there is no memory.
 */
bool cm_cql_conn_send(cm_cql_conn_t *conn, cm_cql_call_t *call);

/* Takes a sent call off its stream. The stream stays taken until the answer comes. */
void cm_cql_conn_forget(cm_cql_conn_t *conn, cm_cql_call_t *call);

/* Sends the bytes that are written now, instead of at the end of the round. */
void cm_cql_conn_flush(cm_cql_conn_t *conn);

/* Sends a heartbeat, and closes the connection when nothing comes within heartbeat_timeout_ms. */
void cm_cql_conn_probe(cm_cql_conn_t *conn);

/* Closes it: first the owner gets `closed`, then `lost` is called for every call on it. */
void cm_cql_conn_close(cm_cql_conn_t *conn, const cm_cql_error_t *error);

/* Closes it with an error about its node. */
void cm_cql_conn_fail(cm_cql_conn_t *conn, cm_cql_code_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Marks it broken: it is closed with this error in this round or the next. */
void cm_cql_conn_break(cm_cql_conn_t *conn, cm_cql_code_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Whether it takes another call. */
static inline bool cm_cql_conn_usable(const cm_cql_conn_t *conn)
{
    return conn->state == CM_CQL_CONN_READY && !conn->draining && !conn->broken &&
           conn->free_count > 0;
}

/* ---- for the event loop ---- */

/* Handles the `events` of epoll. */
void cm_cql_conn_event(cm_cql_conn_t *conn, unsigned events);

/* Sends the bytes that are written to all connections, and closes the broken ones. */
void cm_cql_conns_flush(cm_cql_loop_t *loop);

/* Frees the closed ones. */
void cm_cql_conns_reap(cm_cql_loop_t *loop);

/* ---- between conn.c, handshake.c and socket.c ---- */

/* Marks it: it has bytes to send, or is to be closed. */
void cm_cql_conn_dirty(cm_cql_conn_t *conn);

/* The handshake is done. */
void cm_cql_conn_ready(cm_cql_conn_t *conn);

/* TCP is connected, or TLS after it: begins the next part of the handshake. */
void cm_cql_handshake_begin(cm_cql_conn_t *conn);

/* A message came before the connection was ready. */
void cm_cql_handshake_message(cm_cql_conn_t *conn, const cm_cql_frame_t *frame);

/* Begins to connect to conn->address. Returns 0, or the errno of what failed. */
int cm_cql_socket_connect(cm_cql_conn_t *conn);

/* Moves the bytes of the socket into the decoder, decrypted. Returns their number, 0 when there are
 * none now, -1 when the connection has been closed. */
int cm_cql_socket_read(cm_cql_conn_t *conn);

/* Sends the bytes that are written as far as the socket takes them. On failure the connection is
 * marked broken.
 */
void cm_cql_socket_write(cm_cql_conn_t *conn);

#endif
