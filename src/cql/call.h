/* Calls: requests of the user's or of the client itself, and prepared statements.
 *
 * A call is at any moment in exactly one place:
 *
 *     queued     no connection has a free stream for it            session->queue
 *     sent       it waits for its answer                           conn->streams[call->stream]
 *     preparing  the node must prepare its statement first         conn->preparing
 *     resting    it waits to be tried again                        session->resting
 *
 * Here is what a connection needs to know of it; dispatch.h moves it from place to place. Calls
 * belong to the session, which keeps freed ones for the next. One thread. */
#ifndef CM_CQL_CALL_H
#define CM_CQL_CALL_H

#include "cql/loop.h"

typedef struct cm_cql_node cm_cql_node_t;
typedef struct cm_cql_keyspace cm_cql_keyspace_t;

struct cm_cql_prepared {
    cm_cql_prepared_t *next;
    cm_buf_t text;
    cm_buf_t id, metadata_id; /* as the nodes gave them; metadata_id from v5 on */
    cm_cql_columns_t bound;
    int key_count;
    uint16_t keys[CM_CQL_MAX_KEYS];    /* which value is which part of the partition key */
    bool ready;                        /* a node has prepared it */
    const cm_cql_keyspace_t *keyspace; /* valid while `generation` is the session's */
    uint64_t generation;
};

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

/* Is called at the end of a call, with exactly one of `error` and `result`. It owns the call from
 * then on. */
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
    bool has_token, idempotent, one_page;
    bool no_memory;  /* rests because there was no memory to send it */
    bool at_control; /* goes to the node of the control connection where it can */
};

void cm_cql_list_add(cm_cql_list_t *list, cm_cql_call_t *call);
void cm_cql_list_remove(cm_cql_list_t *list, cm_cql_call_t *call);

/* Bytes of the body of the call's message, or a few more. */
size_t cm_cql_call_size(const cm_cql_call_t *call);

/* Appends the body of the call's message (v4 and v5 section 4.1). */
void cm_cql_call_encode(const cm_cql_call_t *call, int version, cm_buf_t *buf);

#endif
