#include "cql/ring.h"

#include <stdlib.h>

bool cm_cql_ring_reserve(cm_cql_ring_t *ring, size_t count)
{
    if (count <= ring->cap)
        return true;
    cm_cql_ring_token_t *tokens = realloc(ring->tokens, count * sizeof *tokens);
    if (tokens == NULL)
        return false;
    ring->tokens = tokens;
    ring->cap = count;
    return true;
}

bool cm_cql_ring_add(cm_cql_ring_t *ring, int64_t token, int node)
{
    if (ring->count == ring->cap && !cm_cql_ring_reserve(ring, ring->cap ? 2 * ring->cap : 64))
        return false;
    ring->tokens[ring->count++] = (cm_cql_ring_token_t){token, node};
    return true;
}

static int by_token(const void *a, const void *b)
{
    const cm_cql_ring_token_t *x = a, *y = b;
    if (x->token != y->token)
        return x->token < y->token ? -1 : 1;
    return x->node - y->node;
}

void cm_cql_ring_sort(cm_cql_ring_t *ring)
{
    if (ring->count > 1)
        qsort(ring->tokens, ring->count, sizeof *ring->tokens, by_token);
}

void cm_cql_ring_free(cm_cql_ring_t *ring)
{
    free(ring->tokens);
    *ring = (cm_cql_ring_t){NULL, 0, 0};
}

size_t cm_cql_ring_find(const cm_cql_ring_t *ring, int64_t token)
{
    size_t low = 0, high = ring->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (ring->tokens[middle].token < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low < ring->count ? low : 0;
}

/* A replication factor: "3", and "3/1" where one of three is transient. 0 when it is neither. */
static int read_factor(cm_str_t value)
{
    int64_t factor;
    const char *slash = value.len ? memchr(value.data, '/', value.len) : NULL;

    if (slash != NULL)
        value.len = (size_t)(slash - value.data);
    if (!cm_str_to_i64(value, &factor) || factor < 0 || factor > 1000)
        return 0;
    return (int)factor;
}

static bool ends_with(cm_str_t text, cm_str_t end)
{
    return text.len >= end.len &&
           cm_str_equal((cm_str_t){text.data + text.len - end.len, end.len}, end);
}

void cm_cql_replication_add(cm_cql_replication_t *replication, cm_str_t key, cm_str_t value)
{
    if (cm_str_equal(key, CM_STR("class"))) {
        if (ends_with(value, CM_STR("NetworkTopologyStrategy")))
            replication->strategy = CM_CQL_STRATEGY_NETWORK;
        else if (ends_with(value, CM_STR("SimpleStrategy")))
            replication->strategy = CM_CQL_STRATEGY_SIMPLE;
    } else if (cm_str_equal(key, CM_STR("replication_factor"))) {
        replication->factor = read_factor(value);
    } else if (replication->dc_count < CM_CQL_MAX_DCS) {
        replication->dcs[replication->dc_count].name = key;
        replication->dcs[replication->dc_count++].factor = read_factor(value);
    }
}

static bool contains(const int *nodes, int count, int node)
{
    for (int i = 0; i < count; i++) {
        if (nodes[i] == node)
            return true;
    }
    return false;
}

/* SimpleStrategy: the next distinct nodes around the ring. */
static void fill_simple(const cm_cql_ring_t *ring, size_t place, int width, int *out)
{
    int have = 0;

    for (size_t i = 0; i < ring->count && have < width; i++) {
        int node = ring->tokens[(place + i) % ring->count].node;
        if (!contains(out, have, node))
            out[have++] = node;
    }
}

/* One data centre of NetworkTopologyStrategy. */
typedef struct centre {
    cm_str_t name;
    int factor;             /* replicas that are still to be placed */
    int repeats;            /* replicas that may share a rack with another */
    int seen[64], seen_len; /* nodes of different racks that have one */
} centre_t;

static bool rack_seen(const cm_cql_ring_node_t *nodes, const centre_t *dc, int node)
{
    for (int i = 0; i < dc->seen_len; i++) {
        if (cm_str_equal(nodes[dc->seen[i]].rack, nodes[node].rack))
            return true;
    }
    return false;
}

static int count_racks(const cm_cql_ring_node_t *nodes, int count, cm_str_t dc)
{
    int racks = 0;

    for (int i = 0; i < count; i++) {
        bool first = cm_str_equal(nodes[i].dc, dc);
        for (int j = 0; j < i && first; j++)
            first = !cm_str_equal(nodes[j].dc, dc) || !cm_str_equal(nodes[j].rack, nodes[i].rack);
        racks += first;
    }
    return racks;
}

static int count_nodes(const cm_cql_ring_node_t *nodes, int count, cm_str_t dc)
{
    int found = 0;
    for (int i = 0; i < count; i++)
        found += cm_str_equal(nodes[i].dc, dc);
    return found;
}

/* Whether the next distinct node of a data centre gets a replica: always if its rack has none, else
 * as long as enough are left for the other racks
 * (org.apache.cassandra.locator.NetworkTopologyStrategy.DatacenterEndpoints). */
static bool take_network(const cm_cql_ring_node_t *nodes, centre_t *dc, int node)
{
    if (!rack_seen(nodes, dc, node)) {
        if (dc->seen_len < 64)
            dc->seen[dc->seen_len++] = node;
    } else if (dc->repeats-- <= 0) {
        return false;
    }
    dc->factor--;
    return true;
}

static void fill_network(const cm_cql_ring_t *ring, const cm_cql_ring_node_t *nodes,
                         const centre_t *begin, int dcs, size_t place, int width, int *out)
{
    centre_t all[CM_CQL_MAX_DCS];
    int have = 0;

    memcpy(all, begin, (size_t)dcs * sizeof *all);
    for (size_t i = 0; i < ring->count && have < width; i++) {
        int node = ring->tokens[(place + i) % ring->count].node;
        for (int d = 0; d < dcs; d++) {
            centre_t *dc = &all[d];
            if (dc->factor > 0 && cm_str_equal(nodes[node].dc, dc->name) &&
                !contains(out, have, node) && take_network(nodes, dc, node))
                out[have++] = node;
        }
    }
}

static int plan_network(const cm_cql_ring_node_t *nodes, int count,
                        const cm_cql_replication_t *replication, centre_t *dcs)
{
    int width = 0;

    for (int i = 0; i < replication->dc_count; i++) {
        cm_str_t name = replication->dcs[i].name;
        int have = count_nodes(nodes, count, name), want = replication->dcs[i].factor;
        dcs[i].name = name;
        dcs[i].factor = want < have ? want : have;
        dcs[i].repeats = want - count_racks(nodes, count, name);
        width += dcs[i].factor;
    }
    return width;
}

bool cm_cql_replicas_build(const cm_cql_ring_t *ring, const cm_cql_ring_node_t *nodes, int count,
                           const cm_cql_replication_t *replication, cm_cql_replicas_t *replicas)
{
    centre_t dcs[CM_CQL_MAX_DCS] = {0};
    int width = 0;

    if (replication->strategy == CM_CQL_STRATEGY_SIMPLE)
        width = replication->factor < count ? replication->factor : count;
    else if (replication->strategy == CM_CQL_STRATEGY_NETWORK)
        width = plan_network(nodes, count, replication, dcs);
    if (ring->count == 0)
        width = 0;
    *replicas = (cm_cql_replicas_t){NULL, 0};
    if (width == 0)
        return true;
    replicas->nodes = malloc(ring->count * (size_t)width * sizeof(int));
    if (replicas->nodes == NULL)
        return false;
    replicas->width = width;
    for (size_t place = 0; place < ring->count; place++) {
        int *out = replicas->nodes + place * (size_t)width;
        for (int i = 0; i < width; i++)
            out[i] = -1;
        if (replication->strategy == CM_CQL_STRATEGY_SIMPLE)
            fill_simple(ring, place, width, out);
        else
            fill_network(ring, nodes, dcs, replication->dc_count, place, width, out);
    }
    return true;
}

void cm_cql_replicas_free(cm_cql_replicas_t *replicas)
{
    free(replicas->nodes);
    *replicas = (cm_cql_replicas_t){NULL, 0};
}
