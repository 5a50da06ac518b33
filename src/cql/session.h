/* The inside of a session. The files of the client stand in layers; each knows those before it:
 *
 *     memory wire crc murmur3    allocation, bytes, checksums, tokens
 *     error                      names of codes
 *     frame message              the byte stream cut into messages, and their contents
 *     timer tls ring contact     parts that know no connection
 *     loop options               what all connections share: options, time, epoll
 *     call                       a request, and how it is encoded
 *     conn handshake socket      one connection; it reports to its owner by callbacks
 *     nodes                      the nodes and their connections
 *     session topology           the session, and what it knows of the cluster
 *     route dispatch             which connection a call takes; calls on their way
 *     prepare control            prepared statements; the control connection
 *     request scan writer        the requests of the user
 *
 * session.c is the last: it opens and closes the session and runs the loop. tests/style.py checks
 * that no file includes a header of a later layer.
 *
 * While a request is being submitted, nothing is freed and no callback is called: sockets are read,
 * connections are closed, and callbacks are called only from within cm_cql_run() or cm_cql_close().
 * One thread, that of cql.h. */
#ifndef CM_CQL_SESSION_H
#define CM_CQL_SESSION_H

#include "cql/nodes.h"
#include "cql/ring.h"

/* ---- the topology as it is read ---- */

typedef struct cm_cql_draft_node {
    cm_cql_address_t address;
    bool local_row; /* the node that was asked */
    char id[16], schema[16];
    bool has_id;
    char *dc, *rack;            /* they become the node's */
    size_t tokens, token_count; /* in the draft's tokens */
    cm_cql_node_t *node;        /* that it is about, while the draft is applied */
} cm_cql_draft_node_t;

typedef struct cm_cql_draft_keyspace {
    char *name;
    char *map; /* the cell that `replication` borrows from */
    cm_cql_replication_t replication;
} cm_cql_draft_keyspace_t;

typedef struct cm_cql_draft {
    cm_cql_draft_node_t *nodes;
    cm_cql_draft_keyspace_t *keyspaces;
    int64_t *tokens;
    size_t node_count, node_cap, keyspace_count, keyspace_cap, token_count, token_cap;
    bool murmur3;
} cm_cql_draft_t;

/* ---- the session ---- */

struct cm_cql_keyspace {
    cm_cql_keyspace_t *next;
    char *name;
    cm_cql_replicas_t replicas;
};

struct cm_cql {
    cm_cql_loop_t loop;
    cm_cql_nodes_t nodes;
    cm_cql_contacts_t contacts;
    cm_cql_state_t state;
    bool running; /* inside cm_cql_run() or cm_cql_close() */

    char *local_dc;
    cm_cql_ring_t ring;
    cm_cql_keyspace_t *keyspaces;
    bool murmur3;
    uint64_t generation; /* of the topology */
    cm_cql_draft_t draft;

    cm_cql_conn_t *control;
    cm_cql_timer_t control_timer; /* of its next connect, or of the next refresh */
    int control_turn, control_failures;
    bool refreshing, refresh_again, peers_v1, schema_agreed;

    cm_cql_prepared_t *statements;
    cm_cql_list_t queue, resting;
    cm_cql_call_t *free_calls;
    int free_call_count;
    int in_flight; /* the user's */
    int answered;  /* in this round */
};

#endif
