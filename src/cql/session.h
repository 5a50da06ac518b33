/* The inside of a session: shared by the files of the client, not for its users.
 *
 * A session has nodes, a node has connections, a connection has streams, and a call (a request of
 * the user's or of the client itself) is at any moment in exactly one place:
 *
 *     queued     no connection has a free stream for it        session->queue
 *     sent       it waits for its answer                       conn->streams[call->stream]
 *     preparing  the node must prepare its statement first     conn->preparing
 *     resting    it waits to be tried again                    session->resting
 *
 * Nothing is freed and no callback is called while a request is being submitted: sockets are read
 * and written, connections closed, and callbacks called out of cm_cql_run() alone. */
#ifndef CM_CQL_SESSION_H
#define CM_CQL_SESSION_H

#include "base/arena.h"
#include "cql/cql.h"
#include "cql/frame.h"
#include "cql/message.h"
#include "cql/ring.h"
#include "cql/timer.h"
#include "cql/tls.h"

#include <sys/socket.h>

typedef struct cm_cql_call cm_cql_call_t;
typedef struct cm_cql_conn cm_cql_conn_t;
typedef struct cm_cql_node cm_cql_node_t;
typedef struct cm_cql_keyspace cm_cql_keyspace_t;

#define CM_CQL_OWNER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* ---- a call ---- */

typedef struct cm_cql_link {
    cm_cql_call_t *next, *prev;
} cm_cql_link_t;

typedef struct cm_cql_list {
    cm_cql_call_t *first, *last;
    int count;
} cm_cql_list_t;

enum cm_cql_call_place {
    CM_CQL_NOWHERE,
    CM_CQL_QUEUED,
    CM_CQL_SENT,
    CM_CQL_PREPARING,
    CM_CQL_RESTING,
};

/* Takes a call's end: exactly one of `error` and `result`. It owns the call from then on. */
typedef void (*cm_cql_finish_t)(cm_cql_call_t *call, const cm_cql_error_t *error,
                                const cm_cql_result_t *result);

struct cm_cql_call {
    cm_cql_timer_t timer; /* of the attempt, or of the wait before the next */
    cm_cql_link_t link;
    cm_cql_t *session;
    cm_cql_conn_t *conn;        /* where it is sent or preparing */
    cm_cql_conn_t *pinned;      /* the only connection it may use; NULL: any */
    const cm_cql_node_t *avoid; /* where it failed last */
    cm_cql_prepared_t *prepared;
    cm_cql_finish_t finish;
    cm_cql_done_t done; /* the user's, called by the default `finish` */
    void *context;      /* of `done`, or of `finish` */
    cm_buf_t body;      /* EXECUTE: values; QUERY: text, then values; BATCH: rows, each a u32 length
                         * and its values; PREPARE: text; others: the whole body */
    cm_buf_t paging_state;
    size_t values_at; /* of QUERY and EXECUTE: where in the body the values begin */
    int64_t timestamp_us, token;
    int64_t sent; /* ms, when it was given to `conn` */
    int place, opcode, stream, rows, page_size, consistency, serial, timeout_ms;
    int attempts; /* failed ones */
    int max_retries;
    int reprepared; /* in a row */
    bool has_token, idempotent, one_page, internal;
    bool at_control; /* goes to the node of the control connection where it can */
};

/* ---- a prepared statement ---- */

struct cm_cql_prepared {
    cm_cql_prepared_t *next;
    cm_buf_t text;
    cm_buf_t id, metadata_id;
    cm_cql_columns_t bound;
    int key_count;
    uint16_t keys[CM_CQL_MAX_KEYS];
    bool ready;
    const cm_cql_keyspace_t *keyspace; /* valid while `generation` is the session's */
    uint64_t generation;
};

/* ---- nodes ---- */

struct cm_cql_keyspace {
    cm_cql_keyspace_t *next;
    char *name;
    cm_cql_replicas_t replicas;
};

typedef struct cm_cql_address {
    struct sockaddr_storage sock;
    socklen_t len;
} cm_cql_address_t;

enum { CM_CQL_MAX_CONNECTIONS = 16, CM_CQL_NAME = 64 };

struct cm_cql_node {
    cm_cql_timer_t timer; /* of the next connect */
    cm_cql_t *session;
    cm_cql_address_t address;
    char name[CM_CQL_NAME]; /* "address:port" */
    char *tls_name;         /* host that its certificate must bear */
    char *dc, *rack;
    char id[16]; /* host_id */
    bool has_id;
    bool local;   /* of the local data centre */
    bool seen;    /* in the topology that is being applied */
    bool gone;    /* no longer part of the cluster */
    bool silent;  /* has left a request without an answer, or any other sign of life, for a while:
                   * others are asked first until it gives one */
    int failures; /* connects in a row */
    int index;    /* in session->nodes */
    int ready;    /* connections */
    int count;
    cm_cql_conn_t *conns[CM_CQL_MAX_CONNECTIONS];
};

/* ---- a connection ---- */

enum cm_cql_conn_state {
    CM_CQL_CONN_TCP,
    CM_CQL_CONN_TLS,
    CM_CQL_CONN_OPTIONS, /* asked what the node supports */
    CM_CQL_CONN_STARTUP,
    CM_CQL_CONN_AUTH,
    CM_CQL_CONN_READY,
    CM_CQL_CONN_CLOSED,
};

struct cm_cql_conn {
    cm_cql_t *session;
    cm_cql_node_t *node; /* NULL for the control connection */
    cm_cql_address_t address;
    char name[CM_CQL_NAME];
    cm_cql_timer_t timer; /* of the handshake, then of the heartbeat */
    int64_t heard;        /* when bytes came last */
    int64_t probed;       /* when a heartbeat was sent that has no answer; 0: none is */
    int fd, state, version;
    bool lz4;
    bool wants_write; /* epoll watches for room in the socket */
    bool drained;     /* the last read took all there was */
    bool dirty;       /* in session->dirty */
    bool broken;      /* writing failed: to be closed with `error` */
    bool draining;    /* takes no new calls; closed when the last is answered */
    cm_cql_conn_t *next_dirty, *next_dead;
    char *tls_name;
    cm_cql_tls_stream_t *tls;
    cm_buf_t sealed; /* encrypted bytes to send, before sealed_at they are sent */
    size_t sealed_at;
    cm_cql_decoder_t decoder;
    cm_cql_encoder_t encoder;
    cm_cql_call_t **streams; /* by stream id */
    uint16_t *free_streams;
    int free_count, in_flight, orphans; /* orphans: streams whose call has given up */
    cm_cql_list_t preparing;
    cm_cql_error_t error;
};

/* ---- the topology as it is read ---- */

typedef struct cm_cql_draft_node {
    cm_cql_address_t address;
    bool local_row; /* the node that was asked */
    char id[16], schema[16];
    bool has_id;
    cm_str_t dc, rack;          /* in the draft's texts */
    size_t tokens, token_count; /* in the draft's tokens */
} cm_cql_draft_node_t;

typedef struct cm_cql_draft_keyspace {
    cm_str_t name;
    cm_cql_replication_t replication;
} cm_cql_draft_keyspace_t;

typedef struct cm_cql_draft {
    cm_cql_draft_node_t *nodes;
    cm_cql_draft_keyspace_t *keyspaces;
    int64_t *tokens;
    size_t node_count, node_cap, keyspace_count, keyspace_cap, token_count, token_cap;
    bool murmur3;
    cm_arena_t texts;
} cm_cql_draft_t;

/* ---- the session ---- */

typedef struct cm_cql_contact {
    char *name; /* host as given */
    int port;
    cm_cql_address_t *addresses;
    int count;
} cm_cql_contact_t;

struct cm_cql {
    cm_cql_options_t o; /* with every default filled in; its texts are the session's */
    cm_cql_wheel_t wheel;
    int64_t now; /* ms, of this round */
    uint64_t random;
    int epoll;
    int version; /* to be tried next, or agreed on */
    bool version_known;
    cm_cql_state_t state;
    bool running;
    cm_cql_tls_context_t *tls;
    cm_cql_contact_t *contacts;
    int contact_count;

    cm_cql_node_t **nodes;
    int node_count, node_cap, turn;
    cm_cql_node_t **former; /* gone ones whose connections are still draining */
    int former_count, former_cap;
    char *local_dc;
    cm_cql_ring_t ring;
    cm_cql_keyspace_t *keyspaces;
    bool murmur3;
    uint64_t generation; /* of the topology */

    cm_cql_conn_t *control;
    cm_cql_timer_t control_timer; /* of its next connect, or of the next refresh */
    int control_turn, control_failures;
    bool refreshing, refresh_again, peers_v1, schema_agreed;
    cm_cql_draft_t draft;

    cm_cql_prepared_t *statements;
    cm_cql_list_t queue, resting;
    bool queue_ready; /* a stream has become free since the queue was looked at */
    cm_cql_call_t *free_calls;
    int free_call_count;
    int in_flight; /* the user's */
    int answered;  /* in this round */
    cm_cql_conn_t *dirty, *dead;
    cm_cql_parsed_t parsed;
    cm_cql_error_t last_error;
    cm_cql_stats_t stats;
};

/* ---- contact.c, options.c ---- */

int cm_cql_options_fill(cm_cql_t *s, const cm_cql_options_t *options, cm_err_t *err);
void cm_cql_options_free(cm_cql_t *s);
int cm_cql_contacts_parse(cm_cql_t *s, cm_err_t *err);
int cm_cql_contacts_resolve(cm_cql_t *s, cm_err_t *err);
void cm_cql_contacts_free(cm_cql_t *s);

/* "address:port" of a socket address, and only the address. */
void cm_cql_address_name(const cm_cql_address_t *address, char *name);
void cm_cql_address_host(const cm_cql_address_t *address, char *host);
bool cm_cql_address_equal(const cm_cql_address_t *a, const cm_cql_address_t *b);

/* From 4 or 16 bytes; false for another length. */
bool cm_cql_address_from(cm_str_t bytes, int port, cm_cql_address_t *address);

/* ---- session.c ---- */

int64_t cm_cql_now(const cm_cql_t *s);

/* The wait before attempt `failures` (1 for the second attempt): exponential between the bounds, of
 * which the upper half is left to chance. */
int64_t cm_cql_backoff(cm_cql_t *s, int failures, int min_ms, int max_ms);

void cm_cql_say(const cm_cql_t *s, cm_level_t level, const char *msg, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Fills an error without a node. */
void cm_cql_set_error(cm_cql_error_t *error, cm_cql_code_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Runs the session until `*ended`: requests end by their own time-outs. */
int cm_cql_run_until(cm_cql_t *s, const bool *ended, cm_err_t *err);

/* The first connect has met what does not pass: all calls fail, nothing is tried any more. */
void cm_cql_give_up(cm_cql_t *s, const cm_cql_error_t *error);

/* ---- call.c ---- */

void cm_cql_list_add(cm_cql_list_t *list, cm_cql_call_t *call);
void cm_cql_list_remove(cm_cql_list_t *list, cm_cql_call_t *call);

/* A call of the user's with the request's settings; `opcode` and `finish` are set, nothing sent. */
cm_cql_call_t *cm_cql_call_new(cm_cql_t *s, int opcode, const cm_cql_request_t *request);
void cm_cql_call_free(cm_cql_call_t *call);

/* Sends it where it belongs, or queues it. */
void cm_cql_call_submit(cm_cql_call_t *call);

/* Its attempt has failed: tries again later where that is allowed, or finishes it. */
void cm_cql_call_failed(cm_cql_call_t *call, const cm_cql_error_t *error);

/* Ends it with an error, whatever place it is in. */
void cm_cql_call_end(cm_cql_call_t *call, const cm_cql_error_t *error);

/* Takes it out of its place without ending it. */
void cm_cql_call_detach(cm_cql_call_t *call);

/* An answer has come for it. */
void cm_cql_call_answer(cm_cql_call_t *call, cm_cql_conn_t *conn, const cm_cql_frame_t *frame);

/* Sends what is queued as far as there are free streams. */
void cm_cql_queue_drain(cm_cql_t *s);

/* Whether another request of the user's is taken: CM_EBUSY, or CM_EUSAGE when the session has
 * failed.
 */
int cm_cql_admit(cm_cql_t *s, cm_err_t *err);

/* ---- prepare.c ---- */

/* The node does not know the statement of a call: prepares it there and sends the call again. */
void cm_cql_unprepared(cm_cql_call_t *call, cm_cql_conn_t *conn);

/* The session's statement of that text, prepared or not. */
cm_cql_prepared_t *cm_cql_statement(cm_cql_t *s, cm_str_t text);

/* A call that prepares it; `finish` and `context` are the caller's to set. */
cm_cql_call_t *cm_cql_prepare_call(cm_cql_t *s, cm_cql_prepared_t *prepared);

/* Takes over what PREPARE answered. */
void cm_cql_prepared_update(cm_cql_prepared_t *prepared, const cm_cql_parsed_t *parsed);
void cm_cql_prepared_free_all(cm_cql_t *s);

/* ---- route.c ---- */

/* The connection that a call should take now; NULL when none has a free stream. */
cm_cql_conn_t *cm_cql_route(cm_cql_t *s, const cm_cql_call_t *call);

/* The same for a copy of a call that `call->avoid` has not answered: another node that has the row
 * and is not silent; NULL when there is none. */
cm_cql_conn_t *cm_cql_route_copy(cm_cql_t *s, const cm_cql_call_t *call);

/* Replicas of a keyspace by name; NULL when they are not known. */
const cm_cql_keyspace_t *cm_cql_keyspace(const cm_cql_t *s, cm_str_t name);
const cm_cql_keyspace_t *cm_cql_prepared_keyspace(cm_cql_t *s, cm_cql_prepared_t *prepared);

/* The token of bound values; false when the partition key is not bound. */
bool cm_cql_values_token(const cm_cql_prepared_t *prepared, const cm_cql_value_t *values,
                         int64_t *token);

/* The node to which a row should go: its first replica in the local data centre; -1: any. */
int cm_cql_primary(cm_cql_t *s, cm_cql_prepared_t *prepared, int64_t token);

/* ---- conn.c, handshake.c, socket.c ---- */

/* Begins to connect. `node` is NULL for the control connection. */
cm_cql_conn_t *cm_cql_conn_open(cm_cql_t *s, cm_cql_node_t *node, const cm_cql_address_t *address,
                                const char *tls_name);

/* Encodes a call into the connection's buffer; the stream must be free. */
void cm_cql_conn_send(cm_cql_conn_t *conn, cm_cql_call_t *call);

/* Gives a stream back; an orphan's answer has not come yet. */
void cm_cql_conn_forget(cm_cql_conn_t *conn, cm_cql_call_t *call);

void cm_cql_conn_event(cm_cql_conn_t *conn, unsigned events);
void cm_cql_conn_dirty(cm_cql_conn_t *conn);
void cm_cql_conn_flush(cm_cql_conn_t *conn);

/* Closes it: calls that wait on it fail with `error`; it is freed at the end of the round. */
void cm_cql_conn_close(cm_cql_conn_t *conn, const cm_cql_error_t *error);
void cm_cql_conn_free(cm_cql_conn_t *conn);

static inline bool cm_cql_conn_usable(const cm_cql_conn_t *conn)
{
    return conn->state == CM_CQL_CONN_READY && !conn->draining && !conn->broken &&
           conn->free_count > 0;
}

/* Asks for a sign of life. */
void cm_cql_conn_probe(cm_cql_conn_t *conn);

/* The handshake is done. */
void cm_cql_conn_ready(cm_cql_conn_t *conn);

/* TCP is connected. */
void cm_cql_handshake_begin(cm_cql_conn_t *conn);

/* A message came before the connection was ready. */
void cm_cql_handshake_message(cm_cql_conn_t *conn, const cm_cql_frame_t *frame);

/* Closes it with an error about its node. */
void cm_cql_conn_fail(cm_cql_conn_t *conn, cm_cql_code_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Begins to connect to conn->address: 0, or the errno of what is in the way. */
int cm_cql_socket_connect(cm_cql_conn_t *conn);

/* Moves what the socket has into the decoder, TLS taken off. Returns the number of bytes, 0 when
 * there are none now, -1 when the connection has been failed. */
int cm_cql_socket_read(cm_cql_conn_t *conn);

/* Sends what is written as far as the socket takes it. On failure the connection is marked broken.
 */
void cm_cql_socket_write(cm_cql_conn_t *conn);

/* Tells epoll what is waited for. */
void cm_cql_socket_watch(cm_cql_conn_t *conn);

/* Marks it broken: it is closed with this error in this round of the session or the next. */
void cm_cql_conn_break(cm_cql_conn_t *conn, cm_cql_code_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* ---- control.c, topology.c, nodes.c ---- */

void cm_cql_control_start(cm_cql_t *s);
void cm_cql_control_ready(cm_cql_t *s);
void cm_cql_control_lost(cm_cql_t *s, const cm_cql_error_t *error);
void cm_cql_control_event(cm_cql_t *s, cm_str_t body);
void cm_cql_refresh_at(cm_cql_t *s, int64_t at_ms);

void cm_cql_draft_clear(cm_cql_draft_t *draft);
void cm_cql_draft_local(cm_cql_t *s, const cm_cql_result_t *result);
void cm_cql_draft_peers(cm_cql_t *s, const cm_cql_result_t *result);
void cm_cql_draft_keyspaces(cm_cql_t *s, const cm_cql_result_t *result);
void cm_cql_draft_apply(cm_cql_t *s);
void cm_cql_topology_free(cm_cql_t *s);

cm_cql_node_t *cm_cql_node_add(cm_cql_t *s, const cm_cql_address_t *address);
cm_cql_node_t *cm_cql_node_by_address(const cm_cql_t *s, const cm_cql_address_t *address);
void cm_cql_node_maintain(cm_cql_node_t *node);
void cm_cql_node_conn_ready(cm_cql_node_t *node);
void cm_cql_node_conn_closed(cm_cql_node_t *node, cm_cql_conn_t *conn, bool was_ready,
                             const cm_cql_error_t *error);
void cm_cql_node_leave(cm_cql_node_t *node);
void cm_cql_node_free(cm_cql_node_t *node);
void cm_cql_nodes_sweep(cm_cql_t *s);
int cm_cql_node_target(const cm_cql_node_t *node);

/* Bytes have come from it; nothing has come for too long. */
void cm_cql_node_heard(cm_cql_node_t *node);
void cm_cql_node_silent(cm_cql_node_t *node);

/* Ready, down: after the nodes have changed. */
void cm_cql_state_update(cm_cql_t *s);

#endif
