/* The token ring: which nodes hold the replicas of a row.
 *
 * It is built again from each topology that is read, and does not change in between. Nodes are
 * numbers: indexes into the caller's list. One thread. */
#ifndef CM_CQL_RING_H
#define CM_CQL_RING_H

#include "cql/memory.h"

typedef struct cm_cql_ring_token {
    int64_t token;
    int node;
} cm_cql_ring_token_t;

typedef struct cm_cql_ring_node {
    cm_str_t dc, rack; /* borrowed */
} cm_cql_ring_node_t;

typedef struct cm_cql_ring {
    cm_cql_ring_token_t *tokens; /* ascending */
    size_t count, cap;
} cm_cql_ring_t;

/* Makes room for `count` tokens in all; false, and the ring is as it was, when there is no memory.
 */
bool cm_cql_ring_reserve(cm_cql_ring_t *ring, size_t count);

/* Adds a token; false, and the ring is as it was, when there is no room and no memory for it. */
bool cm_cql_ring_add(cm_cql_ring_t *ring, int64_t token, int node);
void cm_cql_ring_sort(cm_cql_ring_t *ring);
void cm_cql_ring_free(cm_cql_ring_t *ring);

/* The place of the first token that is not less than `token`; after the last token comes the first.
 * The node there is the first replica with SimpleStrategy. The ring must not be empty. */
size_t cm_cql_ring_find(const cm_cql_ring_t *ring, int64_t token);

/* How a keyspace is replicated. */
typedef enum cm_cql_strategy {
    CM_CQL_STRATEGY_OTHER, /* unknown or local: no replicas are computed */
    CM_CQL_STRATEGY_SIMPLE,
    CM_CQL_STRATEGY_NETWORK,
} cm_cql_strategy_t;

enum { CM_CQL_MAX_DCS = 32 };

typedef struct cm_cql_replication {
    cm_cql_strategy_t strategy;
    int factor; /* of SimpleStrategy */
    int dc_count;
    struct {
        cm_str_t name; /* borrowed */
        int factor;
    } dcs[CM_CQL_MAX_DCS];
} cm_cql_replication_t;

/* Adds one entry of the map `replication` of system_schema.keyspaces, such as "class" and
 * "org.apache.cassandra.locator.SimpleStrategy", or "dc1" and "3". */
void cm_cql_replication_add(cm_cql_replication_t *replication, cm_str_t key, cm_str_t value);

/* The replicas of every place of a ring: `width` numbers for each place, in the order in which
 * Cassandra prefers them (the primary first), filled up with -1. */
typedef struct cm_cql_replicas {
    int *nodes;
    int width;
} cm_cql_replicas_t;

/* Computes them as SimpleStrategy and NetworkTopologyStrategy (racks included) do; width 0 where
 * that cannot be known. False, and width 0, when there is no memory. */
bool cm_cql_replicas_build(const cm_cql_ring_t *ring, const cm_cql_ring_node_t *nodes, int count,
                           const cm_cql_replication_t *replication, cm_cql_replicas_t *replicas);

void cm_cql_replicas_free(cm_cql_replicas_t *replicas);

#endif
