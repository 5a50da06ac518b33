/* What all connections of a session share: options, time, timers, the epoll, counters.
 *
 * It is a part of the session and knows nothing of nodes or requests. One thread. */
#ifndef CM_CQL_LOOP_H
#define CM_CQL_LOOP_H

#include "cql/cql.h"
#include "cql/message.h"
#include "cql/timer.h"
#include "cql/tls.h"

typedef struct cm_cql_call cm_cql_call_t;
typedef struct cm_cql_conn cm_cql_conn_t;

enum { CM_CQL_MAX_CONNECTIONS = 16 }; /* to a node */

/* The struct that has `pointer` as its `member`. */
#define CM_CQL_OWNER(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* What the connections report about the calls that they have: set by the session. */
typedef struct cm_cql_call_events {
    /* An answer has come. The call has left the connection. */
    void (*answered)(cm_cql_call_t *call, cm_cql_conn_t *conn, const cm_cql_frame_t *frame);
    /* The connection was closed before the answer. The call is still at its place there. */
    void (*lost)(cm_cql_call_t *call, cm_cql_conn_t *conn, const cm_cql_error_t *error);
} cm_cql_call_events_t;

typedef struct cm_cql_loop {
    cm_cql_options_t o; /* with every default filled in; its texts belong to the loop */
    const cm_cql_call_events_t *call_events;
    cm_cql_wheel_t wheel;
    int64_t now; /* ms, of this round */
    uint64_t random;
    int epoll;
    int version; /* of the protocol: to be tried next, or agreed on */
    bool version_known;
    bool stream_free; /* a stream has become free since the queue was last served */
    cm_cql_tls_context_t *tls;
    cm_cql_conn_t *dirty;      /* connections with something to send, or to be closed */
    cm_cql_conn_t *dead;       /* closed ones, to be freed at the end of the round */
    cm_cql_parsed_t parsed;    /* the answer that is being handled */
    cm_cql_error_t last_error; /* why the last connection failed; code CM_CQL_OK: none did */
    cm_cql_stats_t stats;
} cm_cql_loop_t;

/* Fills in the defaults, copies the texts and checks everything. CM_EUSAGE names what is wrong;
 * CM_ENOMEM. cm_cql_options_free() is needed then as well. */
int cm_cql_options_fill(cm_cql_options_t *o, const cm_cql_options_t *given, cm_err_t *err);
void cm_cql_options_free(cm_cql_options_t *o);

/* Milliseconds of the session's clock. */
int64_t cm_cql_now(const cm_cql_loop_t *loop);

/* The wait in ms before attempt number `failures` + 1: doubled from `min_ms` to `max_ms`; the upper
 * half of it is random. */
int64_t cm_cql_backoff(cm_cql_loop_t *loop, int failures, int min_ms, int max_ms);

/* Writes a line to the log, if there is one. */
void cm_cql_log(const cm_cql_loop_t *loop, cm_level_t level, const char *msg, const char *format,
                ...) __attribute__((format(printf, 4, 5)));

/* Fill an error that names no node. */
void cm_cql_set_error(cm_cql_error_t *error, cm_cql_code_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Counts that there was no memory, and fills an error that says so. */
void cm_cql_set_memory_error(cm_cql_loop_t *loop, cm_cql_error_t *error);

#endif
