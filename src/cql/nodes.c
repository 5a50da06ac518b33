#include "cql/nodes.h"

#include <assert.h>
#include <stdlib.h>

static void on_timer(cm_cql_timer_t *timer)
{
    cm_cql_node_maintain(CM_CQL_OWNER(timer, cm_cql_node_t, timer));
}

cm_cql_node_t *cm_cql_node_add(cm_cql_nodes_t *nodes, const cm_cql_address_t *address)
{
    cm_cql_node_t **list =
        cm_cql_grow(nodes->list, (size_t)nodes->count, &nodes->cap, sizeof(cm_cql_node_t *));
    cm_cql_node_t *node = calloc(1, sizeof *node);

    if (list != NULL)
        nodes->list = list;
    if (list == NULL || node == NULL) {
        free(node);
        return NULL;
    }
    node->nodes = nodes;
    node->address = *address;
    node->timer.fire = on_timer;
    cm_cql_address_name(address, node->name);
    cm_cql_address_host(address, node->tls_name);
    node->index = nodes->count;
    nodes->list[nodes->count++] = node;
    return node;
}

cm_cql_node_t *cm_cql_node_by_address(const cm_cql_nodes_t *nodes, const cm_cql_address_t *address)
{
    for (int i = 0; i < nodes->count; i++) {
        if (cm_cql_address_equal(&nodes->list[i]->address, address))
            return nodes->list[i];
    }
    return NULL;
}

static void free_node(cm_cql_node_t *node)
{
    free(node->dc);
    free(node->rack);
    free(node);
}

void cm_cql_nodes_cut(cm_cql_nodes_t *nodes, int count)
{
    while (nodes->count > count) {
        cm_cql_node_t *node = nodes->list[--nodes->count];
        assert(node->count == 0);
        free_node(node);
    }
}

/* How many connections it should have. */
static int target_of(const cm_cql_node_t *node)
{
    const cm_cql_options_t *o = &node->nodes->loop->o;

    if (node->gone || node->nodes->closed)
        return 0;
    if (node->local)
        return o->connections;
    return o->local_only ? 0 : 1;
}

/* ---- what its connections report ---- */

static void on_ready(cm_cql_conn_t *conn)
{
    cm_cql_node_t *node = conn->owner;
    cm_cql_loop_t *loop = node->nodes->loop;

    node->failures = 0;
    node->silent = false;
    loop->last_error = (cm_cql_error_t){0};
    cm_cql_timer_stop(&loop->wheel, &node->timer);
    if (node->ready++ == 0)
        cm_cql_log(loop, CM_LOG_INFO, "node up", "node=%s dc=%s rack=%s", node->name,
                   node->dc ? node->dc : "?", node->rack ? node->rack : "?");
    cm_cql_node_maintain(node);
    node->nodes->changed(node->nodes);
}

/* Sets the time of the next connect: at once where only the protocol's version was wrong. */
static void try_later(cm_cql_node_t *node, bool at_once)
{
    cm_cql_loop_t *loop = node->nodes->loop;
    int64_t wait = at_once ? 0
                           : cm_cql_backoff(loop, node->failures > 0 ? node->failures : 1,
                                            loop->o.reconnect_min_ms, loop->o.reconnect_max_ms);

    cm_cql_timer_set(&loop->wheel, &node->timer, loop->now + wait);
}

static void take_out(cm_cql_node_t *node, const cm_cql_conn_t *conn)
{
    for (int i = 0; i < node->count; i++) {
        if (node->conns[i] != conn)
            continue;
        node->conns[i] = node->conns[--node->count];
        return;
    }
}

static void on_closed(cm_cql_conn_t *conn, bool was_ready, const cm_cql_error_t *error)
{
    cm_cql_node_t *node = conn->owner;
    cm_cql_loop_t *loop = node->nodes->loop;

    take_out(node, conn);
    if (was_ready) {
        loop->stats.disconnects++;
        if (--node->ready == 0)
            cm_cql_log(loop, CM_LOG_WARN, "node down", "node=%s reason=\"%s\"", node->name,
                       error->text);
    } else if (!cm_cql_timer_is_set(&node->timer)) {
        node->failures++; /* counted once for all that were tried at the same time */
    }
    if (target_of(node) > 0 && !cm_cql_timer_is_set(&node->timer))
        try_later(node, conn->version > loop->version);
    node->nodes->changed(node->nodes);
}

static void on_heard(cm_cql_conn_t *conn)
{
    cm_cql_node_t *node = conn->owner;

    if (!node->silent)
        return;
    cm_cql_log(node->nodes->loop, CM_LOG_INFO, "node answers again", "node=%s", node->name);
    node->silent = false;
}

static const cm_cql_conn_events_t conn_events = {
    .use = "requests", .ready = on_ready, .closed = on_closed, .heard = on_heard};

cm_cql_node_t *cm_cql_node_of(const cm_cql_conn_t *conn)
{
    return conn->events == &conn_events ? conn->owner : NULL;
}

/* ---- connecting and leaving ---- */

void cm_cql_node_maintain(cm_cql_node_t *node)
{
    cm_cql_loop_t *loop = node->nodes->loop;
    int target = target_of(node);

    if (cm_cql_timer_is_set(&node->timer))
        return;
    if (target > 1 && node->ready == 0 && node->failures > 0)
        target = 1; /* one is enough to find out whether the node is up */
    while (node->count < target) {
        cm_cql_conn_t *conn = cm_cql_conn_open(loop, &conn_events, node, &node->address,
                                               node->tls_name, loop->o.max_requests);
        if (conn == NULL) {
            node->failures++;
            try_later(node, false);
            return;
        }
        node->conns[node->count++] = conn;
    }
}

void cm_cql_node_silent(cm_cql_node_t *node)
{
    if (node->silent)
        return;
    cm_cql_log(node->nodes->loop, CM_LOG_WARN, "node is silent", "node=%s", node->name);
    node->silent = true;
}

void cm_cql_node_leave(cm_cql_node_t *node)
{
    cm_cql_nodes_t *nodes = node->nodes;

    node->gone = true;
    cm_cql_timer_stop(&nodes->loop->wheel, &node->timer);
    cm_cql_log(nodes->loop, CM_LOG_INFO, "node left", "node=%s", node->name);
    node->next_former = nodes->former;
    nodes->former = node;
    for (int i = node->count - 1; i >= 0; i--) {
        cm_cql_conn_t *conn = node->conns[i];
        conn->draining = true;
        if (conn->state != CM_CQL_CONN_READY || conn->in_flight == 0)
            cm_cql_conn_break(conn, CM_CQL_LOST, "the node has left the cluster");
    }
}

void cm_cql_nodes_sweep(cm_cql_nodes_t *nodes)
{
    for (cm_cql_node_t **at = &nodes->former; *at != NULL;) {
        cm_cql_node_t *node = *at;
        if (node->count > 0) {
            at = &node->next_former;
            continue;
        }
        *at = node->next_former;
        /* Calls may still have it as the node to avoid: they compare the pointer only. */
        free_node(node);
    }
}

/* ---- the list ---- */

int cm_cql_nodes_up(const cm_cql_nodes_t *nodes)
{
    int up = 0;

    for (int i = 0; i < nodes->count; i++)
        up += nodes->list[i]->ready > 0;
    return up;
}

static void close_node(cm_cql_node_t *node, const cm_cql_error_t *error)
{
    while (node->count > 0)
        cm_cql_conn_close(node->conns[0], error);
}

void cm_cql_nodes_close(cm_cql_nodes_t *nodes, const cm_cql_error_t *error)
{
    nodes->closed = true;
    for (int i = 0; i < nodes->count; i++)
        close_node(nodes->list[i], error);
    for (cm_cql_node_t *node = nodes->former; node != NULL; node = node->next_former)
        close_node(node, error);
}

void cm_cql_nodes_free(cm_cql_nodes_t *nodes)
{
    cm_cql_nodes_sweep(nodes);
    cm_cql_nodes_cut(nodes, 0);
    free(nodes->list);
}
