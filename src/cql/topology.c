#include "cql/topology.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- gathering ---- */

void cm_cql_draft_clear(cm_cql_draft_t *draft)
{
    free(draft->nodes);
    free(draft->keyspaces);
    free(draft->tokens);
    cm_arena_free(&draft->texts);
    *draft = (cm_cql_draft_t){.texts = CM_ARENA_INIT};
}

static void *grow(void *list, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return list;
    *cap = *cap ? 2 * *cap : 16;
    return cm_realloc(list, *cap * size);
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

static void add_tokens(cm_cql_draft_t *draft, cm_cql_draft_node_t *node, cm_str_t set)
{
    cm_cql_elements_t elements = cm_cql_elements(set);
    cm_str_t text;
    int64_t token;

    node->tokens = draft->token_count;
    while (cm_cql_elements_next(&elements, &text)) {
        if (!cm_str_to_i64(text, &token))
            continue; /* of another partitioner */
        draft->tokens =
            grow(draft->tokens, draft->token_count, &draft->token_cap, sizeof *draft->tokens);
        draft->tokens[draft->token_count++] = token;
    }
    node->token_count = draft->token_count - node->tokens;
}

/* A node from the row that the cursor is on. */
static cm_cql_draft_node_t *add_node(cm_cql_draft_t *draft, const cm_cql_rows_t *rows)
{
    draft->nodes = grow(draft->nodes, draft->node_count, &draft->node_cap, sizeof *draft->nodes);
    cm_cql_draft_node_t *node = &draft->nodes[draft->node_count++];
    cm_str_t id = cell(rows, "host_id"), schema = cell(rows, "schema_version");

    memset(node, 0, sizeof *node);
    node->has_id = id.len == 16;
    if (node->has_id)
        memcpy(node->id, id.data, 16);
    if (schema.len == 16)
        memcpy(node->schema, schema.data, 16);
    node->dc = cm_arena_copy(&draft->texts, cell(rows, "data_center"));
    node->rack = cm_arena_copy(&draft->texts, cell(rows, "rack"));
    add_tokens(draft, node, cell(rows, "tokens"));
    return node;
}

void cm_cql_draft_local(cm_cql_t *s, const cm_cql_result_t *result)
{
    cm_str_t murmur3 = CM_STR("Murmur3Partitioner");

    if (result->rows == NULL || !cm_cql_next(result->rows))
        return;
    cm_str_t partitioner = cell(result->rows, "partitioner");
    s->draft.murmur3 =
        partitioner.len >= murmur3.len &&
        memcmp(partitioner.data + partitioner.len - murmur3.len, murmur3.data, murmur3.len) == 0;
    cm_cql_draft_node_t *node = add_node(&s->draft, result->rows);
    node->local_row = true;
    node->address = s->control->address;
}

static bool is_any(cm_str_t address)
{
    for (size_t i = 0; i < address.len; i++) {
        if (address.data[i] != 0)
            return false;
    }
    return true;
}

void cm_cql_draft_peers(cm_cql_t *s, const cm_cql_result_t *result)
{
    cm_cql_rows_t *rows = result->rows;
    cm_cql_address_t address;

    while (rows != NULL && cm_cql_next(rows)) {
        cm_str_t where = cell(rows, s->peers_v1 ? "rpc_address" : "native_address");
        int port = cm_cql_get_i32(cell(rows, "native_port"));
        if (is_any(where)) /* listens on all: the address the nodes use among themselves */
            where = cell(rows, "peer");
        if (!cm_cql_address_from(where, port > 0 && port < 65536 ? port : s->loop.o.port,
                                 &address) ||
            cell(rows, "data_center").data == NULL || cell(rows, "host_id").len != 16)
            continue; /* half a row: a node that is only just joining */
        add_node(&s->draft, rows)->address = address;
    }
}

void cm_cql_draft_keyspaces(cm_cql_t *s, const cm_cql_result_t *result)
{
    cm_cql_draft_t *draft = &s->draft;
    cm_cql_rows_t *rows = result->rows;

    while (rows != NULL && cm_cql_next(rows)) {
        cm_cql_elements_t map = cm_cql_elements(cell(rows, "replication"));
        cm_str_t key, value;
        draft->keyspaces = grow(draft->keyspaces, draft->keyspace_count, &draft->keyspace_cap,
                                sizeof *draft->keyspaces);
        cm_cql_draft_keyspace_t *keyspace = &draft->keyspaces[draft->keyspace_count++];
        memset(keyspace, 0, sizeof *keyspace);
        keyspace->name = cm_arena_copy(&draft->texts, cell(rows, "keyspace_name"));
        map.left = map.left < INT32_MAX / 2 ? map.left * 2 : 0;
        while (cm_cql_elements_next(&map, &key) && cm_cql_elements_next(&map, &value))
            cm_cql_replication_add(&keyspace->replication, cm_arena_copy(&draft->texts, key),
                                   cm_arena_copy(&draft->texts, value));
    }
}

/* ---- applying ---- */

static void set_text(char **text, cm_str_t value)
{
    if (*text != NULL && cm_str_equal(cm_str(*text), value))
        return;
    free(*text);
    *text = cm_alloc(value.len + 1);
    if (value.len > 0)
        memcpy(*text, value.data, value.len);
    (*text)[value.len] = '\0';
}

static cm_cql_node_t *find_node(const cm_cql_t *s, const cm_cql_draft_node_t *draft)
{
    for (int i = 0; i < s->nodes.count && draft->has_id; i++) {
        if (s->nodes.list[i]->has_id && memcmp(s->nodes.list[i]->id, draft->id, 16) == 0)
            return s->nodes.list[i];
    }
    cm_cql_node_t *node = cm_cql_node_by_address(&s->nodes, &draft->address);
    return node != NULL && node->has_id && draft->has_id ? NULL : node;
}

/* Its certificate has the new address, unless it goes by a name. */
static void move_node(cm_cql_node_t *node, const cm_cql_address_t *address)
{
    char before[CM_CQL_NAME], host[CM_CQL_NAME];

    cm_cql_address_host(&node->address, before);
    cm_cql_address_host(address, host);
    if (strcmp(node->tls_name, before) == 0)
        set_text(&node->tls_name, cm_str(host));
    node->address = *address;
    cm_cql_address_name(&node->address, node->name);
}

/* A node keeps its address while that works, whatever the others think it is. */
static void apply_node(cm_cql_t *s, const cm_cql_draft_node_t *draft)
{
    cm_cql_node_t *node = find_node(s, draft);

    if (node == NULL)
        node = cm_cql_node_add(&s->nodes, &draft->address);
    if (node->ready == 0 && !cm_cql_address_equal(&node->address, &draft->address))
        move_node(node, &draft->address);
    if (draft->local_row && node->ready == 0) /* it has just answered: no need to wait */
        cm_cql_timer_stop(&s->loop.wheel, &node->timer);
    if (draft->local_row)
        set_text(&node->tls_name, cm_str(s->control->tls_name));
    memcpy(node->id, draft->id, 16);
    node->has_id = draft->has_id;
    node->seen = true;
    set_text(&node->dc, draft->dc);
    set_text(&node->rack, draft->rack);
    for (size_t i = 0; i < draft->token_count; i++)
        cm_cql_ring_add(&s->ring, s->draft.tokens[draft->tokens + i], node->index);
}

/* Takes out who is gone, numbers who is left; the ring has their old numbers. */
static void renumber(cm_cql_t *s)
{
    int *fresh = cm_alloc((size_t)(s->nodes.count + 1) * sizeof *fresh), kept = 0;

    for (int i = 0; i < s->nodes.count; i++) {
        cm_cql_node_t *node = s->nodes.list[i];
        fresh[i] = -1;
        if (!node->seen) {
            cm_cql_node_leave(node);
            continue;
        }
        fresh[i] = kept;
        node->index = kept;
        node->local = s->local_dc == NULL || cm_str_equal(cm_str(node->dc), cm_str(s->local_dc));
        s->nodes.list[kept++] = node;
    }
    s->nodes.count = kept;
    for (size_t i = 0; i < s->ring.count; i++)
        s->ring.tokens[i].node = fresh[s->ring.tokens[i].node];
    free(fresh);
}

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

static void apply_keyspaces(cm_cql_t *s)
{
    cm_cql_ring_node_t *places =
        cm_alloc_zero((size_t)s->nodes.count + 1, sizeof(cm_cql_ring_node_t));

    for (int i = 0; i < s->nodes.count; i++)
        places[i] =
            (cm_cql_ring_node_t){cm_str(s->nodes.list[i]->dc), cm_str(s->nodes.list[i]->rack)};
    free_keyspaces(s);
    for (size_t i = 0; i < s->draft.keyspace_count; i++) {
        const cm_cql_draft_keyspace_t *draft = &s->draft.keyspaces[i];
        cm_cql_keyspace_t *keyspace = cm_alloc_zero(1, sizeof *keyspace);
        set_text(&keyspace->name, draft->name);
        cm_cql_replicas_build(&s->ring, places, s->nodes.count, &draft->replication,
                              &keyspace->replicas);
        keyspace->next = s->keyspaces;
        s->keyspaces = keyspace;
    }
    free(places);
}

/* Whether all nodes that can be reached, or may be soon, have the schema of the one that was asked.
 */
static bool agrees(const cm_cql_t *s)
{
    const cm_cql_draft_t *draft = &s->draft;

    for (size_t i = 1; i < draft->node_count; i++) {
        const cm_cql_node_t *node = find_node(s, &draft->nodes[i]);
        if (node != NULL && (node->ready > 0 || node->failures == 0) &&
            memcmp(draft->nodes[i].schema, draft->nodes[0].schema, 16) != 0)
            return false;
    }
    return true;
}

static void choose_local_dc(cm_cql_t *s)
{
    bool found = false;

    if (s->local_dc == NULL && s->loop.o.local_dc != NULL)
        s->local_dc = cm_strdup(s->loop.o.local_dc);
    for (size_t i = 0; i < s->draft.node_count; i++) {
        const cm_cql_draft_node_t *node = &s->draft.nodes[i];
        if (s->local_dc == NULL && node->local_row && node->dc.len > 0)
            set_text(&s->local_dc, node->dc);
        found |= s->local_dc != NULL && cm_str_equal(cm_str(s->local_dc), node->dc);
    }
    if (!found && s->local_dc != NULL)
        cm_cql_say(&s->loop, CM_LOG_WARN, "no node is in the local data centre", "dc=%s",
                   s->local_dc);
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

bool cm_cql_draft_apply(cm_cql_t *s, cm_cql_error_t *error)
{
    choose_local_dc(s);
    for (int i = 0; i < s->nodes.count; i++)
        s->nodes.list[i]->seen = false;
    s->ring.count = 0;
    for (size_t i = 0; i < s->draft.node_count; i++)
        apply_node(s, &s->draft.nodes[i]);
    renumber(s);
    cm_cql_ring_sort(&s->ring);
    apply_keyspaces(s);
    s->murmur3 = s->draft.murmur3;
    s->schema_agreed = agrees(s);
    s->generation++;
    s->loop.stream_free = true;
    cm_cql_draft_clear(&s->draft);
    if (!check_local_dc(s, error))
        return false;
    for (int i = 0; i < s->nodes.count; i++)
        cm_cql_node_maintain(s->nodes.list[i]);
    s->nodes.changed(&s->nodes);
    return true;
}

void cm_cql_topology_free(cm_cql_t *s)
{
    cm_cql_draft_clear(&s->draft);
    free_keyspaces(s);
    cm_cql_ring_free(&s->ring);
    free(s->local_dc);
}
