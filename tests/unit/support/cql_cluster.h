/* The fake cluster's sockets, faults and pump, and what the tests of a session share: a clock that
 * the test moves, and a loop that runs client and cluster until nothing happens any more. */
#ifndef CM_TESTS_UNIT_CQL_CLUSTER_H
#define CM_TESTS_UNIT_CQL_CLUSTER_H

#include "cql/cql.h"
#include "cql_fake.h"

/* ---- requests ---- */

static inline void answer_query(fake_conn_t *c, const cm_cql_frame_t *frame)
{
    cm_cql_reader_t r = cm_cql_reader(frame->body);
    cm_str_t query = cm_cql_read_bytes(&r);
    char text[400];

    snprintf(text, sizeof text, "%.*s", (int)query.len, query.data);
    if (refused(c, frame->stream, query))
        return;
    if (c->node->fake->answer != NULL && c->node->fake->answer(c, frame->stream, text, CM_STR("")))
        return;
    if (strstr(text, "system.local") != NULL) {
        answer_local(c, frame->stream);
    } else if (strstr(text, "system.peers") != NULL) {
        answer_peers(c, frame->stream, strstr(text, "peers_v2") != NULL);
    } else if (strstr(text, "system_schema.keyspaces") != NULL) {
        answer_keyspaces(c, frame->stream);
    } else if (strstr(text, "system_schema.columns") != NULL) {
        answer_columns(c, frame->stream);
    } else if (strncmp(text, "CREATE", 6) == 0) {
        cm_buf_t *buf = fake_begin(c, frame->stream, CM_CQL_OP_RESULT);
        cm_cql_add_i32(buf, 5);
        put_text(buf, "CREATED");
        put_text(buf, "KEYSPACE");
        put_text(buf, "ks");
        fake_end(c);
    } else if (strncmp(text, "SELECT", 6) == 0) {
        int64_t from = 0;
        cm_cql_read_u16(&r);
        int flags = c->version >= 5 ? cm_cql_read_i32(&r) : cm_cql_read_u8(&r);
        if (flags & 4)
            cm_cql_read_i32(&r);
        if (flags & 8)
            cm_str_to_i64(cm_cql_read_bytes(&r), &from);
        answer_many(c, frame->stream, (int)from, c->node->fake->many);
    } else if (strncmp(text, "INSERT", 6) == 0) {
        c->node->rows++;
        fake_void(c, frame->stream);
    } else {
        fake_error(c, frame->stream, 0x2000, "line 1:0 no viable alternative", CM_STR(""));
    }
}

/* Whether the request is the user's, so that a fault may meet it. */
static inline bool is_users(const cm_cql_frame_t *frame)
{
    if (frame->opcode == CM_CQL_OP_QUERY)
        return memmem(frame->body.data, frame->body.len, "system", 6) == NULL;
    return frame->opcode == CM_CQL_OP_EXECUTE || frame->opcode == CM_CQL_OP_BATCH;
}

/* The bytes that were written last, spoiled. */
static inline void spoil(fake_conn_t *c, size_t from, fault_t fault)
{
    cm_buf_t *out = &c->encoder.out;

    if (fault == WRONG_CRC) /* of v5: in the payload; of v4: in the opcode */
        out->data[c->encoder.segments ? out->len - 5 : from + 4] ^= 0x40;
    if (fault == WRONG_HEADER)
        out->data[c->encoder.segments ? from + 1 : from] ^= 0x40;
    if (fault == CUT)
        out->len = from + (out->len - from) / 2;
}

static inline void handle(fake_conn_t *c, const cm_cql_frame_t *frame);

/* Meets the request with the node's fault; the connection may be gone afterwards. */
static inline void misbehave(fake_conn_t *c, const cm_cql_frame_t *frame)
{
    fake_node_t *node = c->node;
    fault_t fault = node->fault;
    cm_cql_encoder_t *e = &c->encoder;

    if (e->at == e->out.len) /* as the encoder would do it behind our back */
        e->at = e->out.len = 0;
    size_t from = e->out.len;

    if (node->fault_count > 0 && --node->fault_count == 0)
        node->fault = NO_FAULT;
    switch (fault) {
    case SILENCE:
        return;
    case SERVER_SAYS:
        fake_error(c, frame->stream, node->fault_code, "the test wants it", CM_STR(""));
        return;
    case DONE_UNHEARD:
        handle(c, frame);
        e->out.len = from;
        fake_close(c);
        return;
    case CLOSE:
        fake_flush(c);
        fake_close(c);
        return;
    case GARBAGE:
        cm_buf_add_text(&c->encoder.out, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        return;
    case MALFORMED:
        cm_cql_add_i32(fake_begin(c, frame->stream, CM_CQL_OP_RESULT), 2);
        fake_end(c);
        return;
    case WRONG_STREAM:
        fake_void(c, 1999);
        return;
    case FORGET:
        node->prepared_count = 0;
        handle(c, frame);
        return;
    default:
        fake_void(c, frame->stream);
        spoil(c, from, fault);
        if (fault == CUT) {
            fake_flush(c);
            fake_close(c);
        }
    }
}

static inline void handle(fake_conn_t *c, const cm_cql_frame_t *frame)
{
    switch (frame->opcode) {
    case CM_CQL_OP_OPTIONS: {
        cm_buf_t *buf = fake_begin(c, frame->stream, CM_CQL_OP_SUPPORTED);
        cm_cql_add_u16(buf, 2);
        put_text(buf, "CQL_VERSION");
        cm_cql_add_u16(buf, 1);
        put_text(buf, "3.4.7");
        put_text(buf, "COMPRESSION");
        cm_cql_add_u16(buf, c->node->fake->no_lz4 ? 1 : 2);
        put_text(buf, "snappy");
        if (!c->node->fake->no_lz4)
            put_text(buf, "lz4");
        fake_end(c);
        break;
    }
    case CM_CQL_OP_STARTUP:
        answer_startup(c, frame);
        break;
    case CM_CQL_OP_AUTH_RESPONSE:
        answer_auth(c, frame);
        break;
    case CM_CQL_OP_REGISTER:
        c->registered = 1;
        fake_begin(c, frame->stream, CM_CQL_OP_READY);
        fake_end(c);
        break;
    case CM_CQL_OP_QUERY:
        answer_query(c, frame);
        break;
    case CM_CQL_OP_PREPARE:
        answer_prepare(c, frame);
        break;
    case CM_CQL_OP_EXECUTE:
        answer_execute(c, frame);
        break;
    case CM_CQL_OP_BATCH:
        answer_batch(c, frame);
        break;
    default:
        fail_msg("a request of kind %d", frame->opcode);
    }
}

static inline void take_frame(fake_conn_t *c, const cm_cql_frame_t *frame)
{
    fake_node_t *node = c->node;

    assert_false(frame->response);
    if (c->version == 0) { /* the first message settles the version */
        c->version = frame->version;
        c->encoder.version = c->version;
    }
    if (frame->version > node->fake->max_version) { /* v4 section 2.1 */
        c->encoder.version = node->fake->max_version;
        fake_error(c, frame->stream, 0x000A, "Invalid or unsupported protocol version (5)",
                   CM_STR(""));
        return;
    }
    assert_int_equal(c->version, frame->version);
    if (!is_users(frame)) {
        handle(c, frame);
        return;
    }
    node->requests++;
    if (node->fault != NO_FAULT && node->skip > 0)
        node->skip--;
    else if (node->fault != NO_FAULT)
        misbehave(c, frame);
    else
        handle(c, frame);
}

/* ---- sockets ---- */

static inline ssize_t fake_recv(fake_conn_t *c, char *to, size_t room)
{
    if (c->ssl == NULL)
        return recv(c->fd, to, room, 0);
    ERR_clear_error();
    int got = SSL_read(c->ssl, to, (int)room);
    if (got > 0)
        return got;
    errno = EAGAIN;
    int why = SSL_get_error(c->ssl, got);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? -1 : 0;
}

static inline ssize_t fake_send(fake_conn_t *c, const char *data, size_t len)
{
    if (c->ssl == NULL)
        return send(c->fd, data, len, MSG_NOSIGNAL);
    ERR_clear_error();
    return SSL_write(c->ssl, data, (int)len);
}

static inline void fake_flush(fake_conn_t *c)
{
    cm_cql_encoder_t *e = &c->encoder;
    size_t chunk = c->node->fake->chunk;

    if (c->fd < 0 || e->at == e->out.len)
        return;
    size_t left = e->out.len - e->at;
    ssize_t sent = fake_send(c, e->out.data + e->at, chunk > 0 && chunk < left ? chunk : left);
    if (sent > 0) {
        e->at += (size_t)sent;
        c->node->fake->moved += (int)sent;
    }
}

static inline void fake_read(fake_conn_t *c)
{
    cm_cql_frame_t frame;
    cm_err_t err;

    if (c->ssl != NULL && !c->shaken) {
        ERR_clear_error();
        int rc = SSL_accept(c->ssl), why = SSL_get_error(c->ssl, rc);
        c->shaken = rc == 1;
        if (rc != 1 && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            fake_close(c);
        if (!c->shaken)
            return;
        c->node->fake->moved++;
    }
    ssize_t got = fake_recv(c, cm_cql_decoder_room(&c->decoder, 65536), 65536);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        fake_close(c);
        return;
    }
    if (got < 0)
        return;
    cm_cql_decoder_took(&c->decoder, (size_t)got);
    c->node->fake->moved += (int)got;
    while (c->fd >= 0) {
        int rc = cm_cql_decoder_next(&c->decoder, &frame, &err);
        if (rc < 0) { /* plain bytes to a TLS node, or the other way round */
            fake_close(c);
            return;
        }
        if (rc == 0)
            break;
        take_frame(c, &frame);
    }
}

static inline void fake_accept(fake_node_t *node)
{
    int on = 1, fd;

    while (node->alive && (fd = accept4(node->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        fake_conn_t *c = node->conns;
        node->fake->accepted++;
        node->fake->moved++;
        if (node->hangs_up) {
            close(fd);
            continue;
        }
        while (c->fd >= 0)
            c++;
        assert_true(c < node->conns + FAKE_CONNS);
        *c = (fake_conn_t){.node = node, .fd = fd, .decoder.max_frame = 1 << 28};
        c->encoder.response = true;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (node->fake->tls != NULL) {
            c->ssl = SSL_new(node->fake->tls);
            SSL_set_fd(c->ssl, fd);
        }
    }
}

/* Serves whatever there is; returns how much moved. */
static inline int fake_pump(fake_t *fake)
{
    fake->moved = 0;
    for (int i = 0; i < fake->count; i++) {
        fake_node_t *node = &fake->nodes[i];
        if (node->frozen)
            continue;
        fake_accept(node);
        for (int j = 0; j < FAKE_CONNS; j++) {
            if (node->conns[j].fd >= 0)
                fake_read(&node->conns[j]);
            if (node->conns[j].fd >= 0)
                fake_flush(&node->conns[j]);
        }
    }
    return fake->moved;
}

/* Opens a node's port; a node that comes back keeps its port. */
static inline void fake_start(fake_node_t *node)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)node->port)};
    socklen_t len = sizeof at;
    int on = 1;

    inet_pton(AF_INET, node->address, &at.sin_addr);
    node->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(node->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    assert_int_equal(0, bind(node->listener, (struct sockaddr *)&at, sizeof at));
    assert_int_equal(0, listen(node->listener, 64));
    getsockname(node->listener, (struct sockaddr *)&at, &len);
    node->port = ntohs(at.sin_port);
    node->alive = true;
}

/* The node is gone like a process that was killed; it forgets what it had prepared. */
static inline void fake_stop(fake_node_t *node)
{
    if (!node->alive)
        return;
    for (int i = 0; i < FAKE_CONNS; i++)
        fake_close(&node->conns[i]);
    close(node->listener);
    node->alive = false;
    node->prepared_count = 0;
}

static inline void fake_open(fake_t *fake, int count)
{
    signal(SIGPIPE, SIG_IGN); /* the server's side of TLS writes by itself */
    *fake = (fake_t){.count = count, .max_version = 5, .page_rows = 100, .many = 1000};
    fake->replication[0] = "class";
    fake->replication[1] = "org.apache.cassandra.locator.SimpleStrategy";
    fake->replication[2] = "replication_factor";
    fake->replication[3] = "1";
    for (int i = 0; i < count; i++) {
        fake_node_t *node = &fake->nodes[i];
        *node = (fake_node_t){.fake = fake, .index = i, .present = true, .dc = "dc1", .rack = "r1"};
        snprintf(node->address, sizeof node->address, "127.0.0.%d", i + 1);
        for (int j = 0; j < 4; j++) /* the ring in 4 * count equal parts, in turn */
            node->tokens[j] =
                (int64_t)((uint64_t)INT64_MIN +
                          (uint64_t)(j * count + i + 1) * (UINT64_MAX / (uint64_t)(4 * count)));
        node->token_count = 4;
        for (int j = 0; j < FAKE_CONNS; j++)
            node->conns[j] = (fake_conn_t){.node = node, .fd = -1};
        fake_start(node);
    }
}

static inline void fake_shut(fake_t *fake)
{
    for (int i = 0; i < fake->count; i++)
        fake_stop(&fake->nodes[i]);
    SSL_CTX_free(fake->tls);
}

/* An event to every connection that has registered (v4 4.2.6). */
static inline void fake_event(fake_t *fake, const char *type, const char *change,
                              const fake_node_t *about)
{
    struct in_addr address;

    inet_pton(AF_INET, about->address, &address);
    for (int i = 0; i < fake->count; i++) {
        for (int j = 0; j < FAKE_CONNS; j++) {
            fake_conn_t *c = &fake->nodes[i].conns[j];
            if (c->fd < 0 || !c->registered)
                continue;
            cm_buf_t *buf = fake_begin(c, -1, CM_CQL_OP_EVENT);
            put_text(buf, type);
            put_text(buf, change);
            cm_cql_add_u8(buf, 4);
            cm_buf_add(buf, &address, 4);
            cm_cql_add_i32(buf, about->port);
            fake_end(c);
        }
    }
}

/* ---- a session and its clock ---- */

typedef struct rig {
    fake_t fake;
    int64_t now;
    cm_clock_t clock;
    char contact[64];
    cm_cql_options_t options; /* to be changed before rig_connect() */
    cm_cql_t *session;
} rig_t;

static inline int64_t rig_now(void *self)
{
    return *(int64_t *)self;
}

static inline void rig_open(rig_t *rig, int nodes)
{
    memset(rig, 0, sizeof *rig);
    fake_open(&rig->fake, nodes);
    rig->now = 1000000;
    rig->clock = (cm_clock_t){rig_now, &rig->now};
    snprintf(rig->contact, sizeof rig->contact, "127.0.0.1:%d", rig->fake.nodes[0].port);
    rig->options = (cm_cql_options_t){.contact_points = rig->contact,
                                      .port = rig->fake.nodes[0].port,
                                      .clock = &rig->clock,
                                      .seed = 1,
                                      .connections = 1};
}

/* Runs both sides until nothing has happened for a while; the clock stands still. */
static inline void rig_settle(rig_t *rig)
{
    cm_err_t err;

    for (int idle = 0; idle < 4;) {
        int moved = fake_pump(&rig->fake);
        cm_cql_stats_t before, after;
        cm_cql_stats(rig->session, &before);
        int rc = cm_cql_run(rig->session, 0, &err);
        assert_true(rc >= 0);
        cm_cql_stats(rig->session, &after);
        bool quiet = moved == 0 && rc == 0 && before.bytes_sent == after.bytes_sent &&
                     before.bytes_received == after.bytes_received;
        idle = quiet ? idle + 1 : 0;
    }
}

/* Moves the clock by `ms` in steps of `step`, settling after each. */
static inline void rig_pass(rig_t *rig, int64_t ms, int64_t step)
{
    for (int64_t end = rig->now + ms; rig->now < end;) {
        rig->now += step < end - rig->now ? step : end - rig->now;
        rig_settle(rig);
    }
}

static inline void rig_begin(rig_t *rig)
{
    cm_err_t err = {0};
    assert_ok(cm_cql_open(&rig->options, &rig->session, &err), err);
    rig_settle(rig);
}

static inline void rig_connect(rig_t *rig)
{
    rig_begin(rig);
    if (cm_cql_state(rig->session) != CM_CQL_READY)
        fail_msg("not ready: %s", cm_cql_last_error(rig->session)
                                      ? cm_cql_last_error(rig->session)->text
                                      : "no error");
}

static inline void rig_close(rig_t *rig)
{
    cm_cql_close(rig->session);
    fake_shut(&rig->fake);
}

/* What a request came to. */
typedef struct outcome {
    int calls;
    cm_cql_error_t error; /* of the last call */
    int64_t rows, sum;
    bool schema_changed, more;
} outcome_t;

static inline void on_outcome(void *context, const cm_cql_error_t *error,
                              const cm_cql_result_t *result)
{
    outcome_t *outcome = context;

    outcome->calls++;
    assert_true((error == NULL) != (result == NULL));
    if (error != NULL) {
        outcome->error = *error;
        return;
    }
    outcome->schema_changed = result->schema_changed;
    outcome->more = result->rows != NULL && result->rows->more;
    while (result->rows != NULL && cm_cql_next(result->rows)) {
        outcome->rows++;
        outcome->sum += cm_cql_get_i64(result->rows->cells[1]);
    }
}

static inline cm_cql_prepared_t *rig_prepare(rig_t *rig, const char *text)
{
    cm_cql_prepared_t *prepared = NULL;
    outcome_t outcome = {0};
    cm_err_t err = {0};

    assert_ok(cm_cql_prepare(rig->session, cm_str(text), &prepared, on_outcome, &outcome, &err),
              err);
    rig_settle(rig);
    assert_int_equal(1, outcome.calls);
    assert_string_equal("", outcome.error.text);
    return prepared;
}

#define INSERT "INSERT INTO ks.tab (key, value) VALUES (?, ?)"

/* Executes INSERT for the row "r<number>". */
static inline void rig_insert(rig_t *rig, cm_cql_prepared_t *prepared, int number, bool idempotent,
                              outcome_t *outcome)
{
    cm_cql_request_t request = {.idempotent = idempotent};
    char key[32];
    cm_err_t err = {0};

    snprintf(key, sizeof key, "r%d", number);
    cm_cql_value_t values[] = {cm_cql_text(cm_str(key)), cm_cql_i64(number)};
    assert_ok(
        cm_cql_execute(rig->session, prepared, values, 2, &request, on_outcome, outcome, &err),
        err);
}

#endif
