/* What the nodes of the scripted cluster answer. */
#include "cql_fake.h"

#include <arpa/inet.h>

/* ---- bodies ---- */

void cql_put_text(cm_buf_t *buf, const char *text)
{
    cm_cql_add_string(buf, cm_str(text));
}

void cql_put_cell_text(cm_buf_t *buf, const char *text)
{
    cm_cql_add_bytes(buf, cm_str(text));
}

void cql_put_cell(cm_buf_t *buf, const void *data, size_t len)
{
    cm_cql_add_bytes(buf, (cm_str_t){data, len});
}

void cql_put_metadata(cm_buf_t *buf, const char *columns, const char *paging_state)
{
    char copy[500], *at = copy;
    int count = 1;

    snprintf(copy, sizeof copy, "%s", columns);
    for (const char *c = copy; *c; c++)
        count += *c == ' ';
    cm_cql_add_i32(buf, paging_state ? 3 : 1);
    cm_cql_add_i32(buf, count);
    if (paging_state != NULL)
        cql_put_cell_text(buf, paging_state);
    cql_put_text(buf, "ks");
    cql_put_text(buf, "tab");
    while (count-- > 0) {
        char *colon = strchr(at, ':'), *end;
        *colon = '\0';
        long type = strtol(colon + 1, &end, 16);
        cql_put_text(buf, at);
        cm_cql_add_u16(buf, (int)type);
        if (type == 0x22)
            cm_cql_add_u16(buf, 0x0D);
        if (type == 0x21) {
            cm_cql_add_u16(buf, 0x0D);
            cm_cql_add_u16(buf, 0x0D);
        }
        at = end + 1;
    }
}

static void cql_put_tokens(cm_buf_t *buf, const cql_fake_node_t *node)
{
    cm_buf_t set = CM_BUF_INIT;
    char text[32];

    cm_cql_add_i32(&set, node->token_count);
    for (int i = 0; i < node->token_count; i++) {
        snprintf(text, sizeof text, "%lld", (long long)node->tokens[i]);
        cql_put_cell_text(&set, text);
    }
    cql_put_cell(buf, set.data, set.len);
    cm_buf_free(&set);
}

static void cql_put_node(cm_buf_t *buf, const cql_fake_node_t *node)
{
    char id[16] = {0};

    cql_put_cell_text(buf, node->dc);
    cql_put_cell_text(buf, node->rack);
    id[15] = (char)(node->index + 1);
    cql_put_cell(buf, id, 16);
    cql_put_tokens(buf, node);
    memset(id, 7, 16);
    cql_put_cell(buf, id, 16);
}

/* ---- answering ---- */

cm_buf_t *cql_fake_begin(cql_fake_conn_t *c, int stream, int opcode)
{
    return cm_cql_encoder_begin(&c->encoder, stream, opcode, 0);
}

void cql_fake_end(cql_fake_conn_t *c)
{
    cm_cql_encoder_end(&c->encoder);
    cm_cql_encoder_pack(&c->encoder);
}

void cql_fake_void(cql_fake_conn_t *c, int stream)
{
    cm_cql_add_i32(cql_fake_begin(c, stream, CM_CQL_OP_RESULT), 1);
    cql_fake_end(c);
}

void cql_fake_error(cql_fake_conn_t *c, int stream, int32_t code, const char *text, cm_str_t id)
{
    cm_buf_t *buf = cql_fake_begin(c, stream, CM_CQL_OP_ERROR);

    cm_cql_add_i32(buf, code);
    cql_put_text(buf, text);
    if (code == 0x1000 || code == 0x1100 || code == 0x1200) {
        cm_cql_add_u16(buf, 6); /* LOCAL_QUORUM */
        cm_cql_add_i32(buf, code == 0x1000 ? 2 : 1);
        cm_cql_add_i32(buf, code == 0x1000 ? 1 : 2);
    }
    if (code == 0x1100)
        cql_put_text(buf, "SIMPLE");
    if (code == 0x1200)
        cm_cql_add_u8(buf, 0);
    if (code == 0x2500)
        cm_cql_add_string(buf, id);
    if (code == 0x2400) { /* keyspace and table */
        cql_put_text(buf, "clicks");
        cql_put_text(buf, "events");
    }
    cql_fake_end(c);
}

void cql_answer_startup(cql_fake_conn_t *c, const cm_cql_frame_t *frame)
{
    cql_fake_t *fake = c->node->fake;

    c->lz4 = memmem(frame->body.data, frame->body.len, "COMPRESSION", 11) != NULL;
    if (c->version < 5)
        c->decoder.lz4 = c->encoder.lz4 = c->lz4;
    if (fake->username != NULL)
        cql_put_text(cql_fake_begin(c, frame->stream, CM_CQL_OP_AUTHENTICATE),
                     "PasswordAuthenticator");
    else
        cql_fake_begin(c, frame->stream, CM_CQL_OP_READY);
    cql_fake_end(c);
    if (c->version >= 5) {
        c->decoder.segments = c->encoder.segments = true;
        c->decoder.lz4 = c->encoder.lz4 = c->lz4;
    }
    c->started = true;
}

void cql_answer_auth(cql_fake_conn_t *c, const cm_cql_frame_t *frame)
{
    cql_fake_t *fake = c->node->fake;
    char wanted[100] = {0};
    size_t user = strlen(fake->username), len = user + strlen(fake->password) + 2;

    memcpy(wanted + 1, fake->username, user);
    memcpy(wanted + user + 2, fake->password, len - user - 2);
    if (fake->roles_away > 0) {
        fake->roles_away--;
        cql_fake_error(
            c, frame->stream, 0x0100,
            "Unable to perform authentication: Cannot achieve consistency level LOCAL_ONE",
            CM_STR(""));
    } else if (frame->body.len == len + 4 && memcmp(frame->body.data + 4, wanted, len) == 0) {
        cm_cql_add_i32(cql_fake_begin(c, frame->stream, CM_CQL_OP_AUTH_SUCCESS), -1);
        cql_fake_end(c);
    } else {
        cql_fake_error(c, frame->stream, 0x0100, "Provided username and/or password are incorrect",
                       CM_STR(""));
    }
}

void cql_answer_local(cql_fake_conn_t *c, int stream)
{
    cm_buf_t *buf = cql_fake_begin(c, stream, CM_CQL_OP_RESULT);

    cm_cql_add_i32(buf, 2);
    cql_put_metadata(buf, "data_center:d rack:d host_id:c tokens:22 schema_version:c partitioner:d",
                     NULL);
    cm_cql_add_i32(buf, 1);
    cql_put_node(buf, c->node);
    cql_put_cell_text(buf, "org.apache.cassandra.dht.Murmur3Partitioner");
    cql_fake_end(c);
}

void cql_answer_peers(cql_fake_conn_t *c, int stream, bool v2)
{
    cql_fake_t *fake = c->node->fake;
    int count = 0;

    if (v2 && fake->no_peers_v2) {
        cql_fake_error(c, stream, 0x2200, "unconfigured table peers_v2", CM_STR(""));
        return;
    }
    cm_buf_t *buf = cql_fake_begin(c, stream, CM_CQL_OP_RESULT);
    cm_cql_add_i32(buf, 2);
    cql_put_metadata(
        buf,
        v2 ? "data_center:d rack:d host_id:c tokens:22 schema_version:c "
             "native_address:10 native_port:9"
           : "data_center:d rack:d host_id:c tokens:22 schema_version:c rpc_address:10",
        NULL);
    for (int i = 0; i < fake->count; i++)
        count += fake->nodes[i].present && &fake->nodes[i] != c->node;
    cm_cql_add_i32(buf, count);
    for (int i = 0; i < fake->count; i++) {
        const cql_fake_node_t *node = &fake->nodes[i];
        struct in_addr address;
        uint32_t port = htonl((uint32_t)node->port);
        if (!node->present || node == c->node)
            continue;
        cql_put_node(buf, node);
        inet_pton(AF_INET, node->address, &address);
        cql_put_cell(buf, &address, 4);
        if (v2)
            cql_put_cell(buf, &port, 4);
    }
    cql_fake_end(c);
}

void cql_answer_keyspaces(cql_fake_conn_t *c, int stream)
{
    const cql_fake_t *fake = c->node->fake;
    cm_buf_t *buf = cql_fake_begin(c, stream, CM_CQL_OP_RESULT), map = CM_BUF_INIT;
    int count = 0;

    while (count < 6 && fake->replication[count] != NULL)
        count++;
    cm_cql_add_i32(&map, count / 2);
    for (int i = 0; i < count; i++)
        cql_put_cell_text(&map, fake->replication[i]);
    cm_cql_add_i32(buf, 2);
    cql_put_metadata(buf, "keyspace_name:d replication:21", NULL);
    cm_cql_add_i32(buf, 1);
    cql_put_cell_text(buf, "ks");
    cql_put_cell(buf, map.data, map.len);
    cm_buf_free(&map);
    cql_fake_end(c);
}

void cql_answer_columns(cql_fake_conn_t *c, int stream)
{
    cm_buf_t *buf = cql_fake_begin(c, stream, CM_CQL_OP_RESULT);

    cm_cql_add_i32(buf, 2);
    cql_put_metadata(buf, "column_name:d kind:d position:9", NULL);
    cm_cql_add_i32(buf, 2);
    cql_put_cell_text(buf, "value");
    cql_put_cell_text(buf, "regular");
    cql_put_cell(buf, "\xff\xff\xff\xff", 4);
    cql_put_cell_text(buf, "key");
    cql_put_cell_text(buf, "partition_key");
    cql_put_cell(buf, "\0\0\0\0", 4);
    cql_fake_end(c);
}

void cql_answer_many(cql_fake_conn_t *c, int stream, int from, int until)
{
    cql_fake_t *fake = c->node->fake;
    int end = from + fake->page_rows < until ? from + fake->page_rows : until;
    char state[32], key[32];
    cm_buf_t *buf = cql_fake_begin(c, stream, CM_CQL_OP_RESULT);

    snprintf(state, sizeof state, "%d", end);
    cm_cql_add_i32(buf, 2);
    cql_put_metadata(buf, "key:d value:2", end < until ? state : NULL);
    cm_cql_add_i32(buf, end - from);
    for (int i = from; i < end; i++) {
        uint64_t big = __builtin_bswap64((uint64_t)i);
        snprintf(key, sizeof key, "r%d", i);
        cql_put_cell_text(buf, key);
        cql_put_cell(buf, &big, 8);
    }
    cql_fake_end(c);
}

/* ---- statements ---- */

/* An id is "id-" and the number of the statement's text, the same on all nodes. */
static void statement_id(const char *text, char *id)
{
    unsigned hash = 5381;
    for (const char *at = text; *at; at++)
        hash = hash * 33 + (unsigned char)*at;
    snprintf(id, 20, "id-%08x", hash);
}

static const char *find_prepared(const cql_fake_node_t *node, cm_str_t id)
{
    char own[20];

    for (int i = 0; i < node->prepared_count; i++) {
        statement_id(node->prepared[i], own);
        if (cm_str_equal(cm_str(own), id))
            return node->prepared[i];
    }
    return NULL;
}

bool cql_answer_refused(cql_fake_conn_t *c, int stream, cm_str_t text)
{
    cql_fake_t *fake = c->node->fake;

    if (fake->refuse.count == 0 ||
        memmem(text.data, text.len, fake->refuse.match, strlen(fake->refuse.match)) == NULL)
        return false;
    fake->refuse.count--;
    fake->refuse.done++;
    cql_fake_error(c, stream, fake->refuse.code, fake->refuse.text, CM_STR(""));
    return true;
}

void cql_answer_prepare(cql_fake_conn_t *c, const cm_cql_frame_t *frame)
{
    cql_fake_node_t *node = c->node;
    cm_cql_reader_t r = cm_cql_reader(frame->body);
    cm_str_t text = cm_cql_read_bytes(&r);
    char id[20], *copy = node->prepared[node->prepared_count % FAKE_STATEMENTS];

    if (cql_answer_refused(c, frame->stream, text))
        return;

    snprintf(copy, sizeof node->prepared[0], "%.*s", (int)text.len, text.data);
    statement_id(copy, id);
    node->prepared_count += node->prepared_count < FAKE_STATEMENTS;
    node->prepares++;
    if (node->fake->ready_for_prepare) {
        cql_fake_begin(c, frame->stream, CM_CQL_OP_READY);
        cql_fake_end(c);
        return;
    }
    int marks = 0;
    for (const char *at = copy; *at; at++)
        marks += *at == '?';
    cm_buf_t *buf = cql_fake_begin(c, frame->stream, CM_CQL_OP_RESULT);
    cm_cql_add_i32(buf, 4);
    cql_put_text(buf, id);
    if (c->version >= 5)
        cql_put_text(buf, "metadata-id");
    cm_cql_add_i32(buf, 1);
    cm_cql_add_i32(buf, marks);
    bool scan = strstr(copy, "token(") != NULL;
    cm_cql_add_i32(buf, scan || marks == 0 ? 0 : 1);
    if (!scan && marks > 0)
        cm_cql_add_u16(buf, 0);
    cql_put_text(buf, "ks");
    cql_put_text(buf, "tab");
    for (int i = 0; i < marks; i++) {
        cql_put_text(buf, i == 0 ? "key" : "value");
        cm_cql_add_u16(buf, i == 0 ? 0x0D : 0x02);
    }
    cm_cql_add_i32(buf, 4);
    cm_cql_add_i32(buf, 0);
    cql_fake_end(c);
}

/* A row "r123" was written. False when it is the row that the test wants refused. */
static bool take_row(cql_fake_node_t *node, const cm_str_t *values, int count)
{
    cql_fake_t *fake = node->fake;
    cm_str_t key = values[0];
    int64_t number;

    if (fake->poison != NULL && cm_str_equal(key, cm_str(fake->poison)))
        return false;
    node->rows++;
    if (key.len > 1 && cm_str_to_i64((cm_str_t){key.data + 1, key.len - 1}, &number) &&
        number >= 0 && number < FAKE_ROWS)
        fake->seen[number]++;
    if (fake->wrote != NULL)
        fake->wrote(fake->wrote_context, values, count);
    return true;
}

/* [short] n and n [value]: returns n. */
static int read_values(cm_cql_reader_t *r, cm_str_t values[FAKE_VALUES])
{
    int count = cm_cql_read_u16(r);

    values[0] = (cm_str_t){NULL, 0};
    for (int i = 0; i < count; i++) {
        cm_str_t value = cm_cql_read_bytes(r);
        if (i < FAKE_VALUES)
            values[i] = value;
    }
    return count < FAKE_VALUES ? count : FAKE_VALUES;
}

void cql_answer_execute(cql_fake_conn_t *c, const cm_cql_frame_t *frame)
{
    cm_cql_reader_t r = cm_cql_reader(frame->body);
    cm_str_t id = cm_cql_read_string(&r);
    const char *text = find_prepared(c->node, id);

    if (c->version >= 5)
        cm_cql_read_string(&r);
    if (text == NULL) {
        cql_fake_error(c, frame->stream, 0x2500, "not prepared", id);
        return;
    }
    cm_cql_read_u16(&r);
    int flags = c->version >= 5 ? cm_cql_read_i32(&r) : cm_cql_read_u8(&r);
    int from = 0, until = c->node->fake->many;
    cm_str_t values[FAKE_VALUES] = {CM_STR("")};
    int count = flags & 1 ? read_values(&r, values) : 0;
    cm_str_t first = values[0];
    if (flags & 4)
        cm_cql_read_i32(&r);
    if (strncmp(text, "SELECT", 6) == 0 && c->node->fake->answer != NULL &&
        c->node->fake->answer(c, frame->stream, text, first))
        return;
    if (strstr(text, "token(") != NULL) { /* each range has one row in 2^50 tokens */
        int64_t after = cm_cql_load_i64(first.data), end = cm_cql_load_i64(first.data + 12);
        from = (int)((after >> 50) + 8192) * c->node->fake->many / 16384;
        until = end == INT64_MAX ? until : (int)((end >> 50) + 8192) * c->node->fake->many / 16384;
    }
    if (strncmp(text, "SELECT", 6) == 0) {
        int64_t state = from;
        if (flags & 8)
            cm_str_to_i64(cm_cql_read_bytes(&r), &state);
        cql_answer_many(c, frame->stream, (int)state, until);
    } else if (take_row(c->node, values, count)) {
        cql_fake_void(c, frame->stream);
    } else {
        cql_fake_error(c, frame->stream, 0x2200, "poison", CM_STR(""));
    }
}

void cql_answer_batch(cql_fake_conn_t *c, const cm_cql_frame_t *frame)
{
    cm_cql_reader_t r = cm_cql_reader(frame->body), check;
    int type = cm_cql_read_u8(&r), count = cm_cql_read_u16(&r);
    bool poisoned = false;

    assert_int_equal(1, type);
    check = r;
    for (int pass = 0; pass < 2 && !poisoned; pass++) {
        r = check;
        for (int i = 0; i < count; i++) {
            assert_int_equal(1, cm_cql_read_u8(&r));
            cm_str_t id = cm_cql_read_string(&r), values[FAKE_VALUES];
            int value_count = read_values(&r, values);
            if (pass == 0 && find_prepared(c->node, id) == NULL) {
                cql_fake_error(c, frame->stream, 0x2500, "not prepared", id);
                return;
            }
            const char *poison = c->node->fake->poison;
            if (pass == 0)
                poisoned |= poison != NULL && cm_str_equal(values[0], cm_str(poison));
            else
                take_row(c->node, values, value_count);
        }
    }
    assert_false(r.bad);
    c->node->batches++;
    if (poisoned)
        cql_fake_error(c, frame->stream, 0x2200, "poison in a batch", CM_STR(""));
    else
        cql_fake_void(c, frame->stream);
}
