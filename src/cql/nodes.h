/* The nodes of the cluster: the connections that each should have, and when to try again.
 *
 * The list belongs to the session and reports to it by `changed`. A pointer identifies a node; its
 * number (`index`) changes with the topology. One thread. */
#ifndef CM_CQL_NODES_H
#define CM_CQL_NODES_H

#include "cql/conn.h"

typedef struct cm_cql_nodes cm_cql_nodes_t;

struct cm_cql_node {
    cm_cql_timer_t timer; /* of the next connect */
    cm_cql_nodes_t *nodes;
    cm_cql_node_t *next_former;
    cm_cql_address_t address;
    char name[CM_CQL_NAME];     /* "address:port" */
    char tls_name[CM_CQL_HOST]; /* the name that its certificate must have */
    char *dc, *rack;
    char id[16]; /* host_id */
    bool has_id;
    bool local;   /* of the local data centre */
    bool seen;    /* in the topology that is being applied */
    bool gone;    /* no longer part of the cluster */
    bool silent;  /* has left a request unanswered, and has sent nothing else, for a while: other
                   * nodes are asked first until it sends something */
    int failures; /* connects in a row */
    int index;    /* in nodes->list */
    int ready;    /* connections that take requests */
    int count;    /* connections in `conns` */
    cm_cql_conn_t *conns[CM_CQL_MAX_CONNECTIONS];
};

struct cm_cql_nodes {
    cm_cql_loop_t *loop;
    /* A node went up or down. */
    void (*changed)(cm_cql_nodes_t *nodes);
    cm_cql_node_t **list;
    int count;
    size_t cap;
    int turn;              /* index of the node that is asked next where any will do */
    cm_cql_node_t *former; /* gone ones whose connections are still draining */
    bool closed;           /* nothing connects any more */
};

/* Adds a node, which has no connection yet. NULL, and nothing is added, when there is no memory. */
cm_cql_node_t *cm_cql_node_add(cm_cql_nodes_t *nodes, const cm_cql_address_t *address);

/* Removes the nodes from number `count` on, which must have no connection. */
void cm_cql_nodes_cut(cm_cql_nodes_t *nodes, int count);

/* The node with that address; NULL when there is none. */
cm_cql_node_t *cm_cql_node_by_address(const cm_cql_nodes_t *nodes, const cm_cql_address_t *address);

/* The node of a connection; NULL for the control connection. */
cm_cql_node_t *cm_cql_node_of(const cm_cql_conn_t *conn);

/* Opens the connections that it should have, unless it is waiting to try again. */
void cm_cql_node_maintain(cm_cql_node_t *node);

/* It has sent nothing for too long: other nodes are asked first. */
void cm_cql_node_silent(cm_cql_node_t *node);

/* It is no longer part of the cluster: its idle connections are closed, the others when they become
 * idle, and then it is freed. */
void cm_cql_node_leave(cm_cql_node_t *node);

/* Nodes with a connection that takes requests. */
int cm_cql_nodes_up(const cm_cql_nodes_t *nodes);

/* Frees the former nodes that have no connection left. */
void cm_cql_nodes_sweep(cm_cql_nodes_t *nodes);

/* Closes every connection with `error`. Nothing connects any more. */
void cm_cql_nodes_close(cm_cql_nodes_t *nodes, const cm_cql_error_t *error);
void cm_cql_nodes_free(cm_cql_nodes_t *nodes);

#endif
