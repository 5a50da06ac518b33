/* Nodes: the connections that each should have, and when to try again. */
#include "cql/session.h"

#include <stdlib.h>

static void on_timer(cm_cql_timer_t *timer)
{
    cm_cql_node_maintain(CM_CQL_OWNER(timer, cm_cql_node_t, timer));
}

cm_cql_node_t *cm_cql_node_add(cm_cql_t *s, const cm_cql_address_t *address)
{
    cm_cql_node_t *node = cm_alloc_zero(1, sizeof *node);
    char host[CM_CQL_NAME];

    node->session = s;
    node->address = *address;
    node->timer.fire = on_timer;
    cm_cql_address_name(address, node->name);
    cm_cql_address_host(address, host);
    node->tls_name = cm_strdup(host);
    if (s->node_count == s->node_cap) {
        s->node_cap = s->node_cap ? 2 * s->node_cap : 16;
        s->nodes = cm_realloc(s->nodes, (size_t)s->node_cap * sizeof(cm_cql_node_t *));
    }
    node->index = s->node_count;
    s->nodes[s->node_count++] = node;
    return node;
}

cm_cql_node_t *cm_cql_node_by_address(const cm_cql_t *s, const cm_cql_address_t *address)
{
    for (int i = 0; i < s->node_count; i++) {
        if (cm_cql_address_equal(&s->nodes[i]->address, address))
            return s->nodes[i];
    }
    return NULL;
}

void cm_cql_node_free(cm_cql_node_t *node)
{
    free(node->tls_name);
    free(node->dc);
    free(node->rack);
    free(node);
}

int cm_cql_node_target(const cm_cql_node_t *node)
{
    const cm_cql_t *s = node->session;

    if (node->gone || s->state == CM_CQL_FAILED)
        return 0;
    if (node->local)
        return s->o.connections;
    return s->o.local_only ? 0 : 1;
}

void cm_cql_node_maintain(cm_cql_node_t *node)
{
    cm_cql_t *s = node->session;
    int target = cm_cql_node_target(node);

    if (cm_cql_timer_is_set(&node->timer))
        return;
    if (target > 1 && node->ready == 0 && node->failures > 0)
        target = 1; /* one is enough to find out */
    while (node->count < target)
        node->conns[node->count++] = cm_cql_conn_open(s, node, &node->address, node->tls_name);
}

void cm_cql_node_conn_ready(cm_cql_node_t *node)
{
    cm_cql_t *s = node->session;

    node->failures = 0;
    node->silent = false;
    s->last_error.code = CM_CQL_OK;
    cm_cql_timer_stop(&s->wheel, &node->timer);
    if (node->ready++ == 0)
        cm_cql_say(s, CM_LOG_INFO, "node up", "node=%s dc=%s rack=%s", node->name,
                   node->dc ? node->dc : "?", node->rack ? node->rack : "?");
    cm_cql_node_maintain(node);
    cm_cql_state_update(s);
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

void cm_cql_node_conn_closed(cm_cql_node_t *node, cm_cql_conn_t *conn, bool was_ready,
                             const cm_cql_error_t *error)
{
    cm_cql_t *s = node->session;

    take_out(node, conn);
    if (was_ready) {
        s->stats.disconnects++;
        if (--node->ready == 0)
            cm_cql_say(s, CM_LOG_WARN, "node down", "node=%s reason=\"%s\"", node->name,
                       error->text);
    } else if (!cm_cql_timer_is_set(&node->timer)) {
        node->failures++; /* once for all that were tried together */
    }
    if (node->gone || cm_cql_node_target(node) == 0) {
        cm_cql_state_update(s);
        return;
    }
    int64_t wait = conn->version > s->version
                       ? 0
                       : cm_cql_backoff(s, node->failures > 0 ? node->failures : 1,
                                        s->o.reconnect_min_ms, s->o.reconnect_max_ms);
    if (!cm_cql_timer_is_set(&node->timer))
        cm_cql_timer_set(&s->wheel, &node->timer, s->now + wait);
    cm_cql_state_update(s);
}

void cm_cql_node_heard(cm_cql_node_t *node)
{
    cm_cql_say(node->session, CM_LOG_INFO, "node answers again", "node=%s", node->name);
    node->silent = false;
}

void cm_cql_node_silent(cm_cql_node_t *node)
{
    if (node->silent)
        return;
    cm_cql_say(node->session, CM_LOG_WARN, "node is silent", "node=%s", node->name);
    node->silent = true;
}

/* No longer part of the cluster: idle connections are closed, the others when they are idle. */
void cm_cql_node_leave(cm_cql_node_t *node)
{
    cm_cql_t *s = node->session;

    node->gone = true;
    cm_cql_timer_stop(&s->wheel, &node->timer);
    cm_cql_say(s, CM_LOG_INFO, "node left", "node=%s", node->name);
    if (s->former_count == s->former_cap) {
        s->former_cap = s->former_cap ? 2 * s->former_cap : 8;
        s->former = cm_realloc(s->former, (size_t)s->former_cap * sizeof(cm_cql_node_t *));
    }
    s->former[s->former_count++] = node;
    for (int i = node->count - 1; i >= 0; i--) {
        cm_cql_conn_t *conn = node->conns[i];
        conn->draining = true;
        if (conn->state != CM_CQL_CONN_READY || conn->in_flight == 0)
            cm_cql_conn_break(conn, CM_CQL_LOST, "the node has left the cluster");
    }
}

void cm_cql_nodes_sweep(cm_cql_t *s)
{
    for (int i = s->former_count - 1; i >= 0; i--) {
        cm_cql_node_t *node = s->former[i];
        if (node->count > 0)
            continue;
        s->former[i] = s->former[--s->former_count];
        /* calls may remember it as the node to avoid: by address only, never followed */
        cm_cql_node_free(node);
    }
}

void cm_cql_state_update(cm_cql_t *s)
{
    cm_cql_state_t was = s->state;
    int up = 0;

    for (int i = 0; i < s->node_count; i++)
        up += s->nodes[i]->ready > 0;
    if (was == CM_CQL_FAILED)
        return;
    if (up > 0)
        s->state = CM_CQL_READY;
    else if (was == CM_CQL_READY)
        s->state = CM_CQL_DOWN;
    if (s->state != was)
        cm_cql_say(s, s->state == CM_CQL_READY ? CM_LOG_INFO : CM_LOG_ERROR,
                   s->state == CM_CQL_READY ? "cluster ready" : "cluster down",
                   "nodes=%d nodes_up=%d version=%d", s->node_count, up, s->version);
}
