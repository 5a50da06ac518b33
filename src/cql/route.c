#include "cql/route.h"

enum { KEY_MAX = 1024 };

static const cm_cql_keyspace_t *find_keyspace(const cm_cql_t *s, cm_str_t name)
{
    for (const cm_cql_keyspace_t *k = s->keyspaces; k != NULL; k = k->next) {
        if (cm_str_equal(cm_str(k->name), name))
            return k;
    }
    return NULL;
}

static const cm_cql_keyspace_t *keyspace_of(cm_cql_t *s, cm_cql_prepared_t *prepared)
{
    if (prepared->generation != s->generation) {
        prepared->keyspace = find_keyspace(s, prepared->bound.keyspace);
        prepared->generation = s->generation;
    }
    return prepared->keyspace;
}

static cm_str_t bytes_of(const cm_cql_value_t *value)
{
    return (cm_str_t){value->data != NULL ? value->data : value->fixed, (size_t)value->len};
}

/* A key of several columns is each part with its length before it and a zero after it
 * (org.apache.cassandra.db.marshal.CompositeType). */
bool cm_cql_values_token(const cm_cql_prepared_t *prepared, const cm_cql_value_t *values,
                         int64_t *token)
{
    char small[KEY_MAX];
    size_t len = 0;

    if (prepared->key_count == 0)
        return false;
    if (prepared->key_count == 1) {
        const cm_cql_value_t *value = &values[prepared->keys[0]];
        if (value->len < 0)
            return false;
        *token = cm_cql_token(bytes_of(value).data, (size_t)value->len);
        return true;
    }
    for (int i = 0; i < prepared->key_count; i++) {
        const cm_cql_value_t *value = &values[prepared->keys[i]];
        if (value->len < 0 || len + (size_t)value->len + 3 > sizeof small)
            return false; /* longer keys go to any node */
        small[len++] = (char)(value->len >> 8);
        small[len++] = (char)value->len;
        memcpy(small + len, bytes_of(value).data, (size_t)value->len);
        len += (size_t)value->len;
        small[len++] = 0;
    }
    *token = cm_cql_token(small, len);
    return true;
}

static const int *replicas_of(cm_cql_t *s, cm_cql_prepared_t *prepared, int64_t token, int *count)
{
    const cm_cql_keyspace_t *keyspace = keyspace_of(s, prepared);

    *count = 0;
    if (!s->murmur3 || keyspace == NULL || keyspace->replicas.width == 0)
        return NULL;
    *count = keyspace->replicas.width;
    return keyspace->replicas.nodes +
           cm_cql_ring_find(&s->ring, token) * (size_t)keyspace->replicas.width;
}

/* How much a node is preferred: 2 when it takes requests, 1 when it is silent, 0 when it is down.
 */
static int preference(const cm_cql_node_t *node)
{
    return node->ready == 0 ? 0 : node->silent ? 1 : 2;
}

int cm_cql_primary(cm_cql_t *s, cm_cql_prepared_t *prepared, int64_t token)
{
    int count, best = -1;
    const int *replicas = replicas_of(s, prepared, token, &count);

    for (int i = 0; i < count && replicas[i] >= 0; i++) {
        const cm_cql_node_t *node = s->nodes.list[replicas[i]];
        if (node->local && (best < 0 || preference(node) > preference(s->nodes.list[best])))
            best = replicas[i];
    }
    return best;
}

static cm_cql_conn_t *best_of(const cm_cql_node_t *node)
{
    cm_cql_conn_t *best = NULL;

    for (int i = 0; i < node->count; i++) {
        cm_cql_conn_t *conn = node->conns[i];
        if (cm_cql_conn_usable(conn) && (best == NULL || conn->in_flight < best->in_flight))
            best = conn;
    }
    return best;
}

/* Which nodes may be chosen. */
typedef struct choice {
    bool local, silent;
    const cm_cql_node_t *avoid;
} choice_t;

static cm_cql_conn_t *take(const cm_cql_node_t *node, const choice_t *choice)
{
    bool may =
        node->local == choice->local && node->silent == choice->silent && node != choice->avoid;
    return may ? best_of(node) : NULL;
}

/* The next node, in turn, of those that may be chosen. */
static cm_cql_conn_t *any_node(cm_cql_t *s, const choice_t *choice)
{
    for (int i = 0; i < s->nodes.count; i++) {
        const cm_cql_node_t *node = s->nodes.list[(s->nodes.turn + i) % s->nodes.count];
        cm_cql_conn_t *conn = take(node, choice);
        if (conn != NULL) {
            s->nodes.turn = (node->index + 1) % s->nodes.count;
            return conn;
        }
    }
    return NULL;
}

/* The first replica of its row that may be chosen. */
static cm_cql_conn_t *replica(cm_cql_t *s, const cm_cql_call_t *call, const choice_t *choice,
                              int *count)
{
    const int *replicas =
        call->has_token ? replicas_of(s, call->prepared, call->token, count) : NULL;

    for (int i = 0; i < *count && replicas[i] >= 0; i++) {
        cm_cql_conn_t *conn = take(s->nodes.list[replicas[i]], choice);
        if (conn != NULL)
            return conn;
    }
    return NULL;
}

/* In the local data centre: replicas before others, silent nodes last. */
static cm_cql_conn_t *route(cm_cql_t *s, const cm_cql_call_t *call, const cm_cql_node_t *avoid)
{
    cm_cql_conn_t *conn = NULL;

    if (call->at_control && s->control != NULL) {
        const cm_cql_node_t *node = cm_cql_node_by_address(&s->nodes, &s->control->address);
        if (node != NULL && node != avoid && (conn = best_of(node)) != NULL)
            return conn;
    }
    for (int silent = 0; silent < 2 && conn == NULL; silent++) {
        const choice_t choice = {.local = true, .silent = silent != 0, .avoid = avoid};
        int count = 0;
        conn = replica(s, call, &choice, &count);
        if (conn == NULL)
            conn = any_node(s, &choice);
    }
    return conn;
}

/* In another data centre. */
static cm_cql_conn_t *route_away(cm_cql_t *s, const cm_cql_node_t *avoid)
{
    choice_t choice = {.avoid = avoid};
    cm_cql_conn_t *conn = any_node(s, &choice);

    choice.silent = true;
    return conn != NULL ? conn : any_node(s, &choice);
}

cm_cql_conn_t *cm_cql_route_copy(cm_cql_t *s, const cm_cql_call_t *call)
{
    const choice_t choice = {.local = true, .avoid = call->avoid};
    int count = 0;
    cm_cql_conn_t *conn = replica(s, call, &choice, &count);

    return conn != NULL || count > 0 ? conn : any_node(s, &choice);
}

cm_cql_conn_t *cm_cql_route(cm_cql_t *s, const cm_cql_call_t *call)
{
    cm_cql_conn_t *pinned = call->pinned;

    if (pinned != NULL) /* even one that takes no other calls any more */
        return pinned->state == CM_CQL_CONN_READY && pinned->free_count > 0 ? pinned : NULL;
    cm_cql_conn_t *conn = route(s, call, call->avoid);
    if (conn == NULL && call->avoid != NULL)
        conn = route(s, call, NULL);
    /* Another data centre may not yet have rows that were acknowledged here: one failure is no
     * reason to go there. */
    if (conn == NULL && !s->loop.o.local_only)
        conn = route_away(s, call->avoid);
    if (conn == NULL && !s->loop.o.local_only && call->avoid != NULL)
        conn = route_away(s, NULL);
    return conn;
}
