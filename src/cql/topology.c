#include "cql/topology.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- gathering ---- */

void cm_cql_draft_clear(cm_cql_draft_t *draft)
{
    for (size_t i = 0; i < draft->node_count; i++) {
        free(draft->nodes[i].dc);
        free(draft->nodes[i].rack);
    }
    for (size_t i = 0; i < draft->keyspace_count; i++) {
        free(draft->keyspaces[i].name);
        free(draft->keyspaces[i].map);
    }
    free(draft->nodes);
    free(draft->keyspaces);
    free(draft->tokens);
    *draft = (cm_cql_draft_t){0};
}

/* The cell of a column by its name; null where there is no such column. */
static cm_str_t cell(const cm_cql_rows_t *rows, const char *name)
{
    for (int i = 0; i < rows->column_count; i++) {
        if (cm_str_equal(rows->columns[i].name, cm_str(name)))
            return rows->cells[i];
    }
    return (cm_str_t){NULL, 0};
}

static bool add_tokens(cm_cql_draft_t *draft, cm_cql_draft_node_t *node, cm_str_t set)
{
    cm_cql_elements_t elements = cm_cql_elements(set);
    cm_str_t text;
    int64_t token;

    node->tokens = draft->token_count;
    while (cm_cql_elements_next(&elements, &text)) {
        if (!cm_str_to_i64(text, &token))
            continue; /* of another partitioner */
        int64_t *tokens =
            cm_cql_grow(draft->tokens, draft->token_count, &draft->token_cap, sizeof *tokens);
        if (tokens == NULL)
            return false;
        draft->tokens = tokens;
        draft->tokens[draft->token_count++] = token;
    }
    node->token_count = draft->token_count - node->tokens;
    return true;
}

/* A node from the row that the cursor is on; NULL when there is no memory. */
static cm_cql_draft_node_t *add_node(cm_cql_draft_t *draft, const cm_cql_rows_t *rows)
{
    cm_cql_draft_node_t *nodes =
        cm_cql_grow(draft->nodes, draft->node_count, &draft->node_cap, sizeof *nodes);
    cm_str_t id = cell(rows, "host_id"), schema = cell(rows, "schema_version");

    if (nodes == NULL)
        return NULL;
    draft->nodes = nodes;
    cm_cql_draft_node_t *node = &draft->nodes[draft->node_count++];
    memset(node, 0, sizeof *node);
    node->has_id = id.len == 16;
    if (node->has_id)
        memcpy(node->id, id.data, 16);
    if (schema.len == 16)
        memcpy(node->schema, schema.data, 16);
    node->dc = cm_cql_copy(cell(rows, "data_center"));
    node->rack = cm_cql_copy(cell(rows, "rack"));
    if (node->dc == NULL || node->rack == NULL || !add_tokens(draft, node, cell(rows, "tokens")))
        return NULL;
    return node;
}

bool cm_cql_draft_local(cm_cql_t *s, const cm_cql_result_t *result)
{
    cm_str_t murmur3 = CM_STR("Murmur3Partitioner");

    if (result->rows == NULL || !cm_cql_next(result->rows))
        return true;
    cm_str_t partitioner = cell(result->rows, "partitioner");
    s->draft.murmur3 =
        partitioner.len >= murmur3.len &&
        memcmp(partitioner.data + partitioner.len - murmur3.len, murmur3.data, murmur3.len) == 0;
    cm_cql_draft_node_t *node = add_node(&s->draft, result->rows);
    if (node == NULL)
        return false;
    node->local_row = true;
    node->address = s->control->address;
    return true;
}

static bool is_any(cm_str_t address)
{
    for (size_t i = 0; i < address.len; i++) {
        if (address.data[i] != 0)
            return false;
    }
    return true;
}

bool cm_cql_draft_peers(cm_cql_t *s, const cm_cql_result_t *result)
{
    cm_cql_rows_t *rows = result->rows;
    cm_cql_address_t address;

    while (rows != NULL && cm_cql_next(rows)) {
        cm_str_t where = cell(rows, s->peers_v1 ? "rpc_address" : "native_address");
        int port = cm_cql_get_i32(cell(rows, "native_port"));
        if (is_any(where)) /* it listens on all addresses: the one that the nodes use is taken */
            where = cell(rows, "peer");
        if (!cm_cql_address_from(where, port > 0 && port < 65536 ? port : s->loop.o.port,
                                 &address) ||
            cell(rows, "data_center").data == NULL || cell(rows, "host_id").len != 16)
            continue; /* half a row: a node that has only begun to join */
        cm_cql_draft_node_t *node = add_node(&s->draft, rows);
        if (node == NULL)
            return false;
        node->address = address;
    }
    return true;
}

static bool add_keyspace(cm_cql_draft_t *draft, const cm_cql_rows_t *rows)
{
    cm_cql_draft_keyspace_t *keyspaces = cm_cql_grow(draft->keyspaces, draft->keyspace_count,
                                                     &draft->keyspace_cap, sizeof *keyspaces);
    cm_str_t map = cell(rows, "replication"), key, value;

    if (keyspaces == NULL)
        return false;
    draft->keyspaces = keyspaces;
    cm_cql_draft_keyspace_t *keyspace = &draft->keyspaces[draft->keyspace_count++];
    memset(keyspace, 0, sizeof *keyspace);
    keyspace->name = cm_cql_copy(cell(rows, "keyspace_name"));
    keyspace->map = cm_cql_copy(map);
    if (keyspace->name == NULL || keyspace->map == NULL)
        return false;
    cm_cql_elements_t elements = cm_cql_elements((cm_str_t){keyspace->map, map.len});
    elements.left = elements.left < INT32_MAX / 2 ? elements.left * 2 : 0;
    while (cm_cql_elements_next(&elements, &key) && cm_cql_elements_next(&elements, &value))
        cm_cql_replication_add(&keyspace->replication, key, value);
    return true;
}

bool cm_cql_draft_keyspaces(cm_cql_t *s, const cm_cql_result_t *result)
{
    cm_cql_rows_t *rows = result->rows;

    while (rows != NULL && cm_cql_next(rows)) {
        if (!add_keyspace(&s->draft, rows))
            return false;
    }
    return true;
}

/* ---- applying: what needs memory comes first ---- */

static cm_cql_node_t *find_node(const cm_cql_t *s, const cm_cql_draft_node_t *draft)
{
    for (int i = 0; i < s->nodes.count && draft->has_id; i++) {
        if (s->nodes.list[i]->has_id && memcmp(s->nodes.list[i]->id, draft->id, 16) == 0)
            return s->nodes.list[i];
    }
    cm_cql_node_t *node = cm_cql_node_by_address(&s->nodes, &draft->address);
    return node != NULL && node->has_id && draft->has_id ? NULL : node;
}

static void set_id(cm_cql_node_t *node, const cm_cql_draft_node_t *draft)
{
    memcpy(node->id, draft->id, 16);
    node->has_id = draft->has_id;
}

/* Finds the node of every row, and adds those that are new. */
static bool find_nodes(cm_cql_t *s)
{
    int known = s->nodes.count;

    for (size_t i = 0; i < s->draft.node_count; i++) {
        cm_cql_draft_node_t *draft = &s->draft.nodes[i];
        draft->node = find_node(s, draft);
        if (draft->node != NULL)
            continue;
        draft->node = cm_cql_node_add(&s->nodes, &draft->address);
        if (draft->node == NULL) {
            cm_cql_nodes_cut(&s->nodes, known);
            return false;
        }
        set_id(draft->node, draft);
    }
    return true;
}

/* The local data centre: that of the options, else that of the node that was asked first. */
static bool choose_local_dc(cm_cql_t *s)
{
    for (size_t i = 0; i < s->draft.node_count && s->local_dc == NULL; i++) {
        const cm_cql_draft_node_t *node = &s->draft.nodes[i];
        const char *dc = s->loop.o.local_dc != NULL ? s->loop.o.local_dc
                         : node->local_row          ? node->dc
                                                    : "";
        if (dc[0] == '\0')
            continue;
        s->local_dc = cm_cql_copy(cm_str(dc));
        if (s->local_dc == NULL)
            return false;
    }
    return true;
}

static bool is_in(const char *dc, const char *local_dc)
{
    return local_dc != NULL && strcmp(dc, local_dc) == 0;
}

static void warn_of_local_dc(const cm_cql_t *s)
{
    bool found = s->local_dc == NULL;

    for (size_t i = 0; i < s->draft.node_count; i++)
        found |= is_in(s->draft.nodes[i].dc, s->local_dc);
    if (!found)
        cm_cql_log(&s->loop, CM_LOG_WARN, "no node is in the local data centre", "dc=%s",
                   s->local_dc);
}

/* ---- applying: nodes ---- */

/* Its certificate has the new address, unless the node is known by a name. */
static void move_node(cm_cql_node_t *node, const cm_cql_address_t *address)
{
    char before[CM_CQL_NAME];

    cm_cql_address_host(&node->address, before);
    if (strcmp(node->tls_name, before) == 0)
        cm_cql_address_host(address, node->tls_name);
    node->address = *address;
    cm_cql_address_name(&node->address, node->name);
}

/* Exchanges two texts: the node gets the new one, the draft frees the old one. */
static void swap(char **a, char **b)
{
    char *other = *a;
    *a = *b;
    *b = other;
}

/* A node keeps its address while that works, whatever address the other nodes know. */
static void apply_node(cm_cql_t *s, cm_cql_draft_node_t *draft)
{
    cm_cql_node_t *node = draft->node;

    if (node->ready == 0 && !cm_cql_address_equal(&node->address, &draft->address))
        move_node(node, &draft->address);
    if (draft->local_row && node->ready == 0) /* it has just answered: no need to wait */
        cm_cql_timer_stop(&s->loop.wheel, &node->timer);
    if (draft->local_row)
        memcpy(node->tls_name, s->control->tls_name, sizeof node->tls_name);
    set_id(node, draft);
    node->seen = true;
    swap(&node->dc, &draft->dc);
    swap(&node->rack, &draft->rack);
}

/* Removes the nodes that are gone, and gives the others their numbers. */
static void renumber(cm_cql_t *s)
{
    int kept = 0;

    for (int i = 0; i < s->nodes.count; i++) {
        cm_cql_node_t *node = s->nodes.list[i];
        if (!node->seen) {
            cm_cql_node_leave(node);
            continue;
        }
        node->index = kept;
        node->local = s->local_dc == NULL || is_in(node->dc, s->local_dc);
        s->nodes.list[kept++] = node;
    }
    s->nodes.count = kept;
}

static void apply_nodes(cm_cql_t *s)
{
    for (int i = 0; i < s->nodes.count; i++)
        s->nodes.list[i]->seen = false;
    for (size_t i = 0; i < s->draft.node_count; i++)
        apply_node(s, &s->draft.nodes[i]);
    renumber(s);
    s->ring.count = 0;
    for (size_t i = 0; i < s->draft.node_count; i++) {
        const cm_cql_draft_node_t *draft = &s->draft.nodes[i];
        for (size_t j = 0; j < draft->token_count; j++) {
            bool added =
                cm_cql_ring_add(&s->ring, s->draft.tokens[draft->tokens + j], draft->node->index);
            assert(added); /* the room is reserved */
            (void)added;
        }
    }
    cm_cql_ring_sort(&s->ring);
}

/* ---- applying: keyspaces ---- */

static void free_keyspaces(cm_cql_t *s)
{
    while (s->keyspaces != NULL) {
        cm_cql_keyspace_t *keyspace = s->keyspaces;
        s->keyspaces = keyspace->next;
        cm_cql_replicas_free(&keyspace->replicas);
        free(keyspace->name);
        free(keyspace);
    }
}

static bool apply_keyspace(cm_cql_t *s, cm_cql_draft_keyspace_t *draft,
                           const cm_cql_ring_node_t *places)
{
    cm_cql_keyspace_t *keyspace = calloc(1, sizeof *keyspace);

    if (keyspace == NULL)
        return false;
    swap(&keyspace->name, &draft->name);
    keyspace->next = s->keyspaces;
    s->keyspaces = keyspace;
    return cm_cql_replicas_build(&s->ring, places, s->nodes.count, &draft->replication,
                                 &keyspace->replicas);
}

/* When there is no memory no replicas are known: requests go to any node. */
static bool apply_keyspaces(cm_cql_t *s)
{
    cm_cql_ring_node_t *places = calloc((size_t)s->nodes.count + 1, sizeof(cm_cql_ring_node_t));
    bool done = places != NULL;

    free_keyspaces(s);
    for (int i = 0; i < s->nodes.count && done; i++)
        places[i] =
            (cm_cql_ring_node_t){cm_str(s->nodes.list[i]->dc), cm_str(s->nodes.list[i]->rack)};
    for (size_t i = 0; i < s->draft.keyspace_count && done; i++)
        done = apply_keyspace(s, &s->draft.keyspaces[i], places);
    free(places);
    if (!done)
        free_keyspaces(s);
    return done;
}

/* ---- applying: the whole ---- */

/* Whether all nodes that can be reached, or may be soon, have the schema of the one that was asked.
 */
static bool agrees(const cm_cql_t *s)
{
    const cm_cql_draft_t *draft = &s->draft;

    for (size_t i = 1; i < draft->node_count; i++) {
        const cm_cql_node_t *node = draft->nodes[i].node;
        if ((node->ready > 0 || node->failures == 0) &&
            memcmp(draft->nodes[i].schema, draft->nodes[0].schema, 16) != 0)
            return false;
    }
    return true;
}

/* False when the session is to keep to its data centre and no node is there. */
static bool check_local_dc(const cm_cql_t *s, cm_cql_error_t *error)
{
    char names[300] = "";
    size_t len = 0;

    if (!s->loop.o.local_only || s->state != CM_CQL_CONNECTING)
        return true;
    for (int i = 0; i < s->nodes.count; i++) {
        const char *dc = s->nodes.list[i]->dc;
        if (s->nodes.list[i]->local)
            return true;
        if (strstr(names, dc) != NULL || len + 2 >= sizeof names)
            continue;
        snprintf(names + len, sizeof names - len, "%s%s", len > 0 ? ", " : "", dc);
        len = strlen(names);
    }
    cm_cql_set_error(error, CM_CQL_INVALID,
                     "there is no data centre %s, which local_dc names; there is %s", s->local_dc,
                     len > 0 ? names : "none");
    return false;
}

cm_cql_code_t cm_cql_draft_apply(cm_cql_t *s, cm_cql_error_t *error)
{
    if (!cm_cql_ring_reserve(&s->ring, s->draft.token_count) || !choose_local_dc(s) ||
        !find_nodes(s))
        return CM_CQL_MEMORY;
    warn_of_local_dc(s);
    apply_nodes(s);
    bool whole = apply_keyspaces(s);
    s->murmur3 = s->draft.murmur3;
    s->schema_agreed = agrees(s);
    s->generation++;
    s->loop.stream_free = true;
    cm_cql_draft_clear(&s->draft);
    if (!check_local_dc(s, error))
        return CM_CQL_INVALID;
    for (int i = 0; i < s->nodes.count; i++)
        cm_cql_node_maintain(s->nodes.list[i]);
    s->nodes.changed(&s->nodes);
    return whole ? CM_CQL_OK : CM_CQL_MEMORY;
}

void cm_cql_topology_free(cm_cql_t *s)
{
    cm_cql_draft_clear(&s->draft);
    free_keyspaces(s);
    cm_cql_ring_free(&s->ring);
    free(s->local_dc);
}
