/* A scripted Cassandra cluster for the tests of the client: up to FAKE_NODES nodes on loopback
 * sockets, in the test's own thread, pumped by hand, with every fault that a test asks for.
 *
 * It uses the client's own encoder and decoder for the framing; the messages it writes byte by byte
 * after the specification, so that the client's parser is not tested against itself. */
#ifndef CM_TESTS_UNIT_CQL_FAKE_H
#define CM_TESTS_UNIT_CQL_FAKE_H

#include "cql/frame.h"
#include "cql/wire.h"
#include "support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>

enum { FAKE_NODES = 4, FAKE_CONNS = 16, FAKE_STATEMENTS = 8, FAKE_ROWS = 20000 };
enum { FAKE_VALUES = 12 }; /* of a row: those that are looked at */

/* What the next request of a user's (QUERY of no system table, EXECUTE, BATCH) meets. */
typedef enum fault {
    NO_FAULT,
    CUT,          /* half of the answer, then the connection is closed */
    CLOSE,        /* the connection is closed */
    WRONG_CRC,    /* a bit of the answer is another on the wire */
    WRONG_HEADER, /* a bit of its frame header */
    GARBAGE,      /* bytes of something else */
    DONE_UNHEARD, /* it does what is asked, and the connection is closed without an answer */
    SILENCE,      /* no answer */
    MALFORMED,    /* a whole frame with a body that makes no sense */
    WRONG_STREAM, /* an answer to something else */
    SERVER_SAYS,  /* an ERROR with the code fault_code */
    FORGET,       /* the node has been restarted: UNPREPARED */
} fault_t;

typedef struct fake fake_t;
typedef struct fake_node fake_node_t;

typedef struct fake_conn {
    fake_node_t *node;
    int fd, version, registered;
    bool lz4, started;
    SSL *ssl;
    bool shaken;
    cm_cql_decoder_t decoder;
    cm_cql_encoder_t encoder;
} fake_conn_t;

struct fake_node {
    fake_t *fake;
    int index, listener, port;
    char address[16];
    bool present;  /* a member of the cluster: others name it */
    bool alive;    /* listens */
    bool hangs_up; /* closes every connection at once */
    bool frozen;   /* stopped as by SIGSTOP: what is sent to it waits in its sockets */
    const char *dc, *rack;
    int64_t tokens[8];
    int token_count;
    fake_conn_t conns[FAKE_CONNS];
    char prepared[FAKE_STATEMENTS][300];
    int prepared_count;
    fault_t fault;
    int32_t fault_code;
    int fault_count;                       /* how many requests it lasts; -1: for ever */
    int skip;                              /* requests before it begins */
    int requests, rows, batches, prepares; /* served */
};

struct fake {
    fake_node_t nodes[FAKE_NODES];
    int count;
    int max_version; /* of the protocol */
    bool no_peers_v2;
    const char *username, *password; /* NULL: no log-in */
    int roles_away;                  /* log-ins that nobody can judge */
    bool ready_for_prepare;          /* PREPARE is answered with READY, which makes no sense */
    bool no_lz4;
    size_t chunk;                  /* bytes written at once to each connection; 0: all */
    const char *replication[6];    /* of the keyspace ks: keys and values */
    int page_rows;                 /* rows in a page of SELECT ... FROM ks.many */
    int many;                      /* rows there */
    const char *poison;            /* a row with this key is invalid */
    unsigned char seen[FAKE_ROWS]; /* by number of key: how often it was written */
    SSL_CTX *tls;
    /* Is told of every row that is written, with the values of its statement, of the first
     * FAKE_VALUES at least. NULL: nobody is. */
    void (*wrote)(void *context, const cm_str_t *values, int count);
    void *wrote_context;
    /* Answers a query, or a SELECT that is executed with `first` as its first value; false: leaves
     * it to us. NULL: none. */
    bool (*answer)(fake_conn_t *c, int stream, const char *text, cm_str_t first);
    struct {
        const char *match; /* the next `count` statements with these words, as QUERY or PREPARE, */
        int32_t code;      /* are answered with this error */
        const char *text;
        int count, done;
    } refuse;
    int moved; /* bytes in this pump */
    int accepted;
    char last_id_metadata[40];
};

/* ---- bodies ---- */

static inline void put_text(cm_buf_t *buf, const char *text)
{
    cm_cql_add_string(buf, cm_str(text));
}

static inline void put_cell_text(cm_buf_t *buf, const char *text)
{
    cm_cql_add_bytes(buf, cm_str(text));
}

static inline void put_cell(cm_buf_t *buf, const void *data, size_t len)
{
    cm_cql_add_bytes(buf, (cm_str_t){data, len});
}

/* Metadata of rows: "name:type" separated by blanks, type in hexadecimal. */
static inline void put_metadata(cm_buf_t *buf, const char *columns, const char *paging_state)
{
    char copy[500], *at = copy;
    int count = 1;

    snprintf(copy, sizeof copy, "%s", columns);
    for (const char *c = copy; *c; c++)
        count += *c == ' ';
    cm_cql_add_i32(buf, paging_state ? 3 : 1);
    cm_cql_add_i32(buf, count);
    if (paging_state != NULL)
        put_cell_text(buf, paging_state);
    put_text(buf, "ks");
    put_text(buf, "tab");
    while (count-- > 0) {
        char *colon = strchr(at, ':'), *end;
        *colon = '\0';
        long type = strtol(colon + 1, &end, 16);
        put_text(buf, at);
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

static inline void put_tokens(cm_buf_t *buf, const fake_node_t *node)
{
    cm_buf_t set = CM_BUF_INIT;
    char text[32];

    cm_cql_add_i32(&set, node->token_count);
    for (int i = 0; i < node->token_count; i++) {
        snprintf(text, sizeof text, "%lld", (long long)node->tokens[i]);
        put_cell_text(&set, text);
    }
    put_cell(buf, set.data, set.len);
    cm_buf_free(&set);
}

static inline void put_node(cm_buf_t *buf, const fake_node_t *node)
{
    char id[16] = {0};

    put_cell_text(buf, node->dc);
    put_cell_text(buf, node->rack);
    id[15] = (char)(node->index + 1);
    put_cell(buf, id, 16);
    put_tokens(buf, node);
    memset(id, 7, 16);
    put_cell(buf, id, 16);
}

/* ---- answering ---- */

static inline void fake_flush(fake_conn_t *c);

static inline cm_buf_t *fake_begin(fake_conn_t *c, int stream, int opcode)
{
    return cm_cql_encoder_begin(&c->encoder, stream, opcode);
}

static inline void fake_end(fake_conn_t *c)
{
    cm_cql_encoder_end(&c->encoder);
    cm_cql_encoder_pack(&c->encoder);
}

static inline void fake_void(fake_conn_t *c, int stream)
{
    cm_cql_add_i32(fake_begin(c, stream, CM_CQL_OP_RESULT), 1);
    fake_end(c);
}

/* An ERROR with the fields that belong to its code (v4 section 9). */
static inline void fake_error(fake_conn_t *c, int stream, int32_t code, const char *text,
                              cm_str_t id)
{
    cm_buf_t *buf = fake_begin(c, stream, CM_CQL_OP_ERROR);

    cm_cql_add_i32(buf, code);
    put_text(buf, text);
    if (code == 0x1000 || code == 0x1100 || code == 0x1200) {
        cm_cql_add_u16(buf, 6); /* LOCAL_QUORUM */
        cm_cql_add_i32(buf, code == 0x1000 ? 2 : 1);
        cm_cql_add_i32(buf, code == 0x1000 ? 1 : 2);
    }
    if (code == 0x1100)
        put_text(buf, "SIMPLE");
    if (code == 0x1200)
        cm_cql_add_u8(buf, 0);
    if (code == 0x2500)
        cm_cql_add_string(buf, id);
    if (code == 0x2400) { /* keyspace and table */
        put_text(buf, "clicks");
        put_text(buf, "events");
    }
    fake_end(c);
}

static inline void fake_close(fake_conn_t *c)
{
    if (c->fd < 0)
        return;
    SSL_free(c->ssl);
    close(c->fd);
    cm_cql_decoder_free(&c->decoder);
    cm_cql_encoder_free(&c->encoder);
    *c = (fake_conn_t){.node = c->node, .fd = -1};
}

static inline void answer_startup(fake_conn_t *c, const cm_cql_frame_t *frame)
{
    fake_t *fake = c->node->fake;

    c->lz4 = memmem(frame->body.data, frame->body.len, "COMPRESSION", 11) != NULL;
    if (c->version < 5)
        c->decoder.lz4 = c->encoder.lz4 = c->lz4;
    if (fake->username != NULL)
        put_text(fake_begin(c, frame->stream, CM_CQL_OP_AUTHENTICATE), "PasswordAuthenticator");
    else
        fake_begin(c, frame->stream, CM_CQL_OP_READY);
    fake_end(c);
    if (c->version >= 5) {
        c->decoder.segments = c->encoder.segments = true;
        c->decoder.lz4 = c->encoder.lz4 = c->lz4;
    }
    c->started = true;
}

static inline void answer_auth(fake_conn_t *c, const cm_cql_frame_t *frame)
{
    fake_t *fake = c->node->fake;
    char wanted[100] = {0};
    size_t user = strlen(fake->username), len = user + strlen(fake->password) + 2;

    memcpy(wanted + 1, fake->username, user);
    memcpy(wanted + user + 2, fake->password, len - user - 2);
    if (fake->roles_away > 0) {
        fake->roles_away--;
        fake_error(c, frame->stream, 0x0100,
                   "Unable to perform authentication: Cannot achieve consistency level LOCAL_ONE",
                   CM_STR(""));
    } else if (frame->body.len == len + 4 && memcmp(frame->body.data + 4, wanted, len) == 0) {
        cm_cql_add_i32(fake_begin(c, frame->stream, CM_CQL_OP_AUTH_SUCCESS), -1);
        fake_end(c);
    } else {
        fake_error(c, frame->stream, 0x0100, "Provided username and/or password are incorrect",
                   CM_STR(""));
    }
}

static inline void answer_local(fake_conn_t *c, int stream)
{
    cm_buf_t *buf = fake_begin(c, stream, CM_CQL_OP_RESULT);

    cm_cql_add_i32(buf, 2);
    put_metadata(buf, "data_center:d rack:d host_id:c tokens:22 schema_version:c partitioner:d",
                 NULL);
    cm_cql_add_i32(buf, 1);
    put_node(buf, c->node);
    put_cell_text(buf, "org.apache.cassandra.dht.Murmur3Partitioner");
    fake_end(c);
}

static inline void answer_peers(fake_conn_t *c, int stream, bool v2)
{
    fake_t *fake = c->node->fake;
    int count = 0;

    if (v2 && fake->no_peers_v2) {
        fake_error(c, stream, 0x2200, "unconfigured table peers_v2", CM_STR(""));
        return;
    }
    cm_buf_t *buf = fake_begin(c, stream, CM_CQL_OP_RESULT);
    cm_cql_add_i32(buf, 2);
    put_metadata(buf,
                 v2 ? "data_center:d rack:d host_id:c tokens:22 schema_version:c "
                      "native_address:10 native_port:9"
                    : "data_center:d rack:d host_id:c tokens:22 schema_version:c rpc_address:10",
                 NULL);
    for (int i = 0; i < fake->count; i++)
        count += fake->nodes[i].present && &fake->nodes[i] != c->node;
    cm_cql_add_i32(buf, count);
    for (int i = 0; i < fake->count; i++) {
        const fake_node_t *node = &fake->nodes[i];
        struct in_addr address;
        uint32_t port = htonl((uint32_t)node->port);
        if (!node->present || node == c->node)
            continue;
        put_node(buf, node);
        inet_pton(AF_INET, node->address, &address);
        put_cell(buf, &address, 4);
        if (v2)
            put_cell(buf, &port, 4);
    }
    fake_end(c);
}

static inline void answer_keyspaces(fake_conn_t *c, int stream)
{
    const fake_t *fake = c->node->fake;
    cm_buf_t *buf = fake_begin(c, stream, CM_CQL_OP_RESULT), map = CM_BUF_INIT;
    int count = 0;

    while (count < 6 && fake->replication[count] != NULL)
        count++;
    cm_cql_add_i32(&map, count / 2);
    for (int i = 0; i < count; i++)
        put_cell_text(&map, fake->replication[i]);
    cm_cql_add_i32(buf, 2);
    put_metadata(buf, "keyspace_name:d replication:21", NULL);
    cm_cql_add_i32(buf, 1);
    put_cell_text(buf, "ks");
    put_cell(buf, map.data, map.len);
    cm_buf_free(&map);
    fake_end(c);
}

static inline void answer_columns(fake_conn_t *c, int stream)
{
    cm_buf_t *buf = fake_begin(c, stream, CM_CQL_OP_RESULT);

    cm_cql_add_i32(buf, 2);
    put_metadata(buf, "column_name:d kind:d position:9", NULL);
    cm_cql_add_i32(buf, 2);
    put_cell_text(buf, "value");
    put_cell_text(buf, "regular");
    put_cell(buf, "\xff\xff\xff\xff", 4);
    put_cell_text(buf, "key");
    put_cell_text(buf, "partition_key");
    put_cell(buf, "\0\0\0\0", 4);
    fake_end(c);
}

/* Rows of ks.many: their numbers as text and as bigint; `from` to `until`, a page at a time. */
static inline void answer_many(fake_conn_t *c, int stream, int from, int until)
{
    fake_t *fake = c->node->fake;
    int end = from + fake->page_rows < until ? from + fake->page_rows : until;
    char state[32], key[32];
    cm_buf_t *buf = fake_begin(c, stream, CM_CQL_OP_RESULT);

    snprintf(state, sizeof state, "%d", end);
    cm_cql_add_i32(buf, 2);
    put_metadata(buf, "key:d value:2", end < until ? state : NULL);
    cm_cql_add_i32(buf, end - from);
    for (int i = from; i < end; i++) {
        uint64_t big = __builtin_bswap64((uint64_t)i);
        snprintf(key, sizeof key, "r%d", i);
        put_cell_text(buf, key);
        put_cell(buf, &big, 8);
    }
    fake_end(c);
}

/* ---- statements ---- */

/* An id is "id-" and the number of the statement's text, the same on all nodes. */
static inline void statement_id(const char *text, char *id)
{
    unsigned hash = 5381;
    for (const char *at = text; *at; at++)
        hash = hash * 33 + (unsigned char)*at;
    snprintf(id, 20, "id-%08x", hash);
}

static inline const char *find_prepared(const fake_node_t *node, cm_str_t id)
{
    char own[20];

    for (int i = 0; i < node->prepared_count; i++) {
        statement_id(node->prepared[i], own);
        if (cm_str_equal(cm_str(own), id))
            return node->prepared[i];
    }
    return NULL;
}

/* Whether the test wants the statement refused. */
static inline bool refused(fake_conn_t *c, int stream, cm_str_t text)
{
    fake_t *fake = c->node->fake;

    if (fake->refuse.count == 0 ||
        memmem(text.data, text.len, fake->refuse.match, strlen(fake->refuse.match)) == NULL)
        return false;
    fake->refuse.count--;
    fake->refuse.done++;
    fake_error(c, stream, fake->refuse.code, fake->refuse.text, CM_STR(""));
    return true;
}

static inline void answer_prepare(fake_conn_t *c, const cm_cql_frame_t *frame)
{
    fake_node_t *node = c->node;
    cm_cql_reader_t r = cm_cql_reader(frame->body);
    cm_str_t text = cm_cql_read_bytes(&r);
    char id[20], *copy = node->prepared[node->prepared_count % FAKE_STATEMENTS];

    if (refused(c, frame->stream, text))
        return;

    snprintf(copy, sizeof node->prepared[0], "%.*s", (int)text.len, text.data);
    statement_id(copy, id);
    node->prepared_count += node->prepared_count < FAKE_STATEMENTS;
    node->prepares++;
    if (node->fake->ready_for_prepare) {
        fake_begin(c, frame->stream, CM_CQL_OP_READY);
        fake_end(c);
        return;
    }
    int marks = 0;
    for (const char *at = copy; *at; at++)
        marks += *at == '?';
    cm_buf_t *buf = fake_begin(c, frame->stream, CM_CQL_OP_RESULT);
    cm_cql_add_i32(buf, 4);
    put_text(buf, id);
    if (c->version >= 5)
        put_text(buf, "metadata-id");
    cm_cql_add_i32(buf, 1);
    cm_cql_add_i32(buf, marks);
    bool scan = strstr(copy, "token(") != NULL;
    cm_cql_add_i32(buf, scan || marks == 0 ? 0 : 1);
    if (!scan && marks > 0)
        cm_cql_add_u16(buf, 0);
    put_text(buf, "ks");
    put_text(buf, "tab");
    for (int i = 0; i < marks; i++) {
        put_text(buf, i == 0 ? "key" : "value");
        cm_cql_add_u16(buf, i == 0 ? 0x0D : 0x02);
    }
    cm_cql_add_i32(buf, 4);
    cm_cql_add_i32(buf, 0);
    fake_end(c);
}

/* A row "r123" was written. False when it is the poisoned one. */
static inline bool take_row(fake_node_t *node, const cm_str_t *values, int count)
{
    fake_t *fake = node->fake;
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
static inline int read_values(cm_cql_reader_t *r, cm_str_t values[FAKE_VALUES])
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

static inline void answer_execute(fake_conn_t *c, const cm_cql_frame_t *frame)
{
    cm_cql_reader_t r = cm_cql_reader(frame->body);
    cm_str_t id = cm_cql_read_string(&r);
    const char *text = find_prepared(c->node, id);

    if (c->version >= 5)
        cm_cql_read_string(&r);
    if (text == NULL) {
        fake_error(c, frame->stream, 0x2500, "not prepared", id);
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
        answer_many(c, frame->stream, (int)state, until);
    } else if (take_row(c->node, values, count)) {
        fake_void(c, frame->stream);
    } else {
        fake_error(c, frame->stream, 0x2200, "poison", CM_STR(""));
    }
}

static inline void answer_batch(fake_conn_t *c, const cm_cql_frame_t *frame)
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
                fake_error(c, frame->stream, 0x2500, "not prepared", id);
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
        fake_error(c, frame->stream, 0x2200, "poison in a batch", CM_STR(""));
    else
        fake_void(c, frame->stream);
}

#endif
