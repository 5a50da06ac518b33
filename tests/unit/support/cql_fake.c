/* The nodes of the scripted cluster: their sockets, requests and faults. */
#include "cql_fake.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <signal.h>
#include <sys/socket.h>

static void cql_fake_flush(cql_fake_conn_t *c);

/* ---- requests ---- */

static void answer_query(cql_fake_conn_t *c, const cm_cql_frame_t *frame)
{
    cm_cql_reader_t r = cm_cql_reader(frame->body);
    cm_str_t query = cm_cql_read_bytes(&r);
    char text[400];

    snprintf(text, sizeof text, "%.*s", (int)query.len, query.data);
    if (cql_answer_refused(c, frame->stream, query))
        return;
    if (c->node->fake->answer != NULL && c->node->fake->answer(c, frame->stream, text, CM_STR("")))
        return;
    if (strstr(text, "system.local") != NULL) {
        cql_answer_local(c, frame->stream);
    } else if (strstr(text, "system.peers") != NULL) {
        cql_answer_peers(c, frame->stream, strstr(text, "peers_v2") != NULL);
    } else if (strstr(text, "system_schema.keyspaces") != NULL) {
        cql_answer_keyspaces(c, frame->stream);
    } else if (strstr(text, "system_schema.columns") != NULL) {
        cql_answer_columns(c, frame->stream);
    } else if (strncmp(text, "CREATE", 6) == 0 || strncmp(text, "ALTER", 5) == 0) {
        cm_buf_t *buf = cql_fake_begin(c, frame->stream, CM_CQL_OP_RESULT);
        cm_cql_add_i32(buf, 5);
        cql_put_text(buf, "CREATED");
        cql_put_text(buf, "KEYSPACE");
        cql_put_text(buf, "ks");
        cql_fake_end(c);
    } else if (strncmp(text, "SELECT", 6) == 0) {
        int64_t from = 0;
        cm_cql_read_u16(&r);
        int flags = c->version >= 5 ? cm_cql_read_i32(&r) : cm_cql_read_u8(&r);
        if (flags & 4)
            cm_cql_read_i32(&r);
        if (flags & 8)
            cm_str_to_i64(cm_cql_read_bytes(&r), &from);
        cql_answer_many(c, frame->stream, (int)from, c->node->fake->many);
    } else if (strncmp(text, "INSERT", 6) == 0) {
        c->node->rows++;
        cql_fake_void(c, frame->stream);
    } else {
        cql_fake_error(c, frame->stream, 0x2000, "line 1:0 no viable alternative", CM_STR(""));
    }
}

/* Whether the request is the user's, so that a fault may meet it. */
static bool is_users(const cm_cql_frame_t *frame)
{
    if (frame->opcode == CM_CQL_OP_QUERY)
        return memmem(frame->body.data, frame->body.len, "system", 6) == NULL;
    return frame->opcode == CM_CQL_OP_EXECUTE || frame->opcode == CM_CQL_OP_BATCH;
}

/* Damages the bytes that were written last. */
static void spoil(cql_fake_conn_t *c, size_t from, fault_t fault)
{
    cm_buf_t *out = &c->encoder.out;

    if (fault == WRONG_CRC) /* of v5: in the payload; of v4: in the opcode */
        out->data[c->encoder.segments ? out->len - 5 : from + 4] ^= 0x40;
    if (fault == WRONG_HEADER)
        out->data[c->encoder.segments ? from + 1 : from] ^= 0x40;
    if (fault == CUT)
        out->len = from + (out->len - from) / 2;
}

static void handle(cql_fake_conn_t *c, const cm_cql_frame_t *frame);

/* Answers the request with the fault of the node; the connection may be closed afterwards. */
static void misbehave(cql_fake_conn_t *c, const cm_cql_frame_t *frame)
{
    cql_fake_node_t *node = c->node;
    fault_t fault = node->fault;
    cm_cql_encoder_t *e = &c->encoder;

    if (e->at == e->out.len) /* as the encoder would do later */
        e->at = e->out.len = 0;
    size_t from = e->out.len;

    if (node->fault_count > 0 && --node->fault_count == 0)
        node->fault = NO_FAULT;
    switch (fault) {
    case SILENCE:
        return;
    case SERVER_SAYS:
        cql_fake_error(c, frame->stream, node->fault_code, "the test wants it", CM_STR(""));
        return;
    case DONE_UNHEARD:
        handle(c, frame);
        e->out.len = from;
        cql_fake_close(c);
        return;
    case CLOSE:
        cql_fake_flush(c);
        cql_fake_close(c);
        return;
    case GARBAGE:
        cm_buf_add_text(&c->encoder.out, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
        return;
    case MALFORMED:
        cm_cql_add_i32(cql_fake_begin(c, frame->stream, CM_CQL_OP_RESULT), 2);
        cql_fake_end(c);
        return;
    case WRONG_STREAM:
        cql_fake_void(c, 1999);
        return;
    case FORGET:
        node->prepared_count = 0;
        handle(c, frame);
        return;
    default:
        cql_fake_void(c, frame->stream);
        spoil(c, from, fault);
        if (fault == CUT) {
            cql_fake_flush(c);
            cql_fake_close(c);
        }
    }
}

static void handle(cql_fake_conn_t *c, const cm_cql_frame_t *frame)
{
    switch (frame->opcode) {
    case CM_CQL_OP_OPTIONS: {
        cm_buf_t *buf = cql_fake_begin(c, frame->stream, CM_CQL_OP_SUPPORTED);
        cm_cql_add_u16(buf, 2);
        cql_put_text(buf, "CQL_VERSION");
        cm_cql_add_u16(buf, 1);
        cql_put_text(buf, "3.4.7");
        cql_put_text(buf, "COMPRESSION");
        cm_cql_add_u16(buf, c->node->fake->no_lz4 ? 1 : 2);
        cql_put_text(buf, "snappy");
        if (!c->node->fake->no_lz4)
            cql_put_text(buf, "lz4");
        cql_fake_end(c);
        break;
    }
    case CM_CQL_OP_STARTUP:
        cql_answer_startup(c, frame);
        break;
    case CM_CQL_OP_AUTH_RESPONSE:
        cql_answer_auth(c, frame);
        break;
    case CM_CQL_OP_REGISTER:
        c->registered = 1;
        cql_fake_begin(c, frame->stream, CM_CQL_OP_READY);
        cql_fake_end(c);
        break;
    case CM_CQL_OP_QUERY:
        answer_query(c, frame);
        break;
    case CM_CQL_OP_PREPARE:
        cql_answer_prepare(c, frame);
        break;
    case CM_CQL_OP_EXECUTE:
        cql_answer_execute(c, frame);
        break;
    case CM_CQL_OP_BATCH:
        cql_answer_batch(c, frame);
        break;
    default:
        fail_msg("a request of kind %d", frame->opcode);
    }
}

static void take_frame(cql_fake_conn_t *c, const cm_cql_frame_t *frame)
{
    cql_fake_node_t *node = c->node;

    assert_false(frame->response);
    if (c->version == 0) { /* the first message determines the version */
        c->version = frame->version;
        c->encoder.version = c->version;
    }
    if (frame->version > node->fake->max_version) { /* v4 section 2.1 */
        c->encoder.version = node->fake->max_version;
        cql_fake_error(c, frame->stream, 0x000A, "Invalid or unsupported protocol version (5)",
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

void cql_fake_close(cql_fake_conn_t *c)
{
    if (c->fd < 0)
        return;
    SSL_free(c->ssl);
    close(c->fd);
    cm_cql_decoder_free(&c->decoder);
    cm_cql_encoder_free(&c->encoder);
    *c = (cql_fake_conn_t){.node = c->node, .fd = -1};
}

static ssize_t cql_fake_recv(cql_fake_conn_t *c, char *to, size_t room)
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

static ssize_t cql_fake_send(cql_fake_conn_t *c, const char *data, size_t len)
{
    if (c->ssl == NULL)
        return send(c->fd, data, len, MSG_NOSIGNAL);
    ERR_clear_error();
    return SSL_write(c->ssl, data, (int)len);
}

static void cql_fake_flush(cql_fake_conn_t *c)
{
    cm_cql_encoder_t *e = &c->encoder;
    size_t chunk = c->node->fake->chunk;

    if (c->fd < 0 || e->at == e->out.len)
        return;
    size_t left = e->out.len - e->at;
    ssize_t sent = cql_fake_send(c, e->out.data + e->at, chunk > 0 && chunk < left ? chunk : left);
    if (sent > 0) {
        e->at += (size_t)sent;
        c->node->fake->moved += (int)sent;
    }
}

static void cql_fake_read(cql_fake_conn_t *c)
{
    cm_cql_frame_t frame;
    cm_err_t err;

    if (c->ssl != NULL && !c->shaken) {
        ERR_clear_error();
        int rc = SSL_accept(c->ssl), why = SSL_get_error(c->ssl, rc);
        c->shaken = rc == 1;
        if (rc != 1 && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
            cql_fake_close(c);
        if (!c->shaken)
            return;
        c->node->fake->moved++;
    }
    ssize_t got = cql_fake_recv(c, cm_cql_decoder_room(&c->decoder, 65536), 65536);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        cql_fake_close(c);
        return;
    }
    if (got < 0)
        return;
    cm_cql_decoder_took(&c->decoder, (size_t)got);
    c->node->fake->moved += (int)got;
    while (c->fd >= 0) {
        int rc = cm_cql_decoder_next(&c->decoder, &frame, &err);
        if (rc < 0) { /* plain bytes to a TLS node, or the other way round */
            cql_fake_close(c);
            return;
        }
        if (rc == 0)
            break;
        take_frame(c, &frame);
    }
}

void cql_fake_accept(cql_fake_node_t *node)
{
    int on = 1, fd;

    while (node->alive && (fd = accept4(node->listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        cql_fake_conn_t *c = node->conns;
        node->fake->accepted++;
        node->fake->moved++;
        if (node->hangs_up) {
            close(fd);
            continue;
        }
        while (c->fd >= 0)
            c++;
        assert_true(c < node->conns + FAKE_CONNS);
        *c = (cql_fake_conn_t){.node = node, .fd = fd, .decoder.max_frame = 1 << 28};
        c->encoder.response = true;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (node->fake->tls != NULL) {
            c->ssl = SSL_new(node->fake->tls);
            SSL_set_fd(c->ssl, fd);
        }
    }
}

int cql_fake_pump(cql_fake_t *fake)
{
    fake->moved = 0;
    for (int i = 0; i < fake->count; i++) {
        cql_fake_node_t *node = &fake->nodes[i];
        if (node->frozen)
            continue;
        cql_fake_accept(node);
        for (int j = 0; j < FAKE_CONNS; j++) {
            if (node->conns[j].fd >= 0)
                cql_fake_read(&node->conns[j]);
            if (node->conns[j].fd >= 0)
                cql_fake_flush(&node->conns[j]);
        }
    }
    return fake->moved;
}

void cql_fake_start(cql_fake_node_t *node)
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

void cql_fake_stop(cql_fake_node_t *node)
{
    if (!node->alive)
        return;
    for (int i = 0; i < FAKE_CONNS; i++)
        cql_fake_close(&node->conns[i]);
    close(node->listener);
    node->alive = false;
    node->prepared_count = 0;
}

void cql_fake_open(cql_fake_t *fake, int count)
{
    signal(SIGPIPE, SIG_IGN); /* the server's side of TLS writes by itself */
    *fake = (cql_fake_t){.count = count, .max_version = 5, .page_rows = 100, .many = 1000};
    fake->replication[0] = "class";
    fake->replication[1] = "org.apache.cassandra.locator.SimpleStrategy";
    fake->replication[2] = "replication_factor";
    fake->replication[3] = "1";
    for (int i = 0; i < count; i++) {
        cql_fake_node_t *node = &fake->nodes[i];
        *node =
            (cql_fake_node_t){.fake = fake, .index = i, .present = true, .dc = "dc1", .rack = "r1"};
        snprintf(node->address, sizeof node->address, "127.0.0.%d", i + 1);
        for (int j = 0; j < 4; j++) /* the ring in 4 * count equal parts, in turn */
            node->tokens[j] =
                (int64_t)((uint64_t)INT64_MIN +
                          (uint64_t)(j * count + i + 1) * (UINT64_MAX / (uint64_t)(4 * count)));
        node->token_count = 4;
        for (int j = 0; j < FAKE_CONNS; j++)
            node->conns[j] = (cql_fake_conn_t){.node = node, .fd = -1};
        cql_fake_start(node);
    }
}

void cql_fake_shut(cql_fake_t *fake)
{
    for (int i = 0; i < fake->count; i++)
        cql_fake_stop(&fake->nodes[i]);
    SSL_CTX_free(fake->tls);
}

void cql_fake_event(cql_fake_t *fake, const char *type, const char *change,
                    const cql_fake_node_t *about)
{
    struct in_addr address;

    inet_pton(AF_INET, about->address, &address);
    for (int i = 0; i < fake->count; i++) {
        for (int j = 0; j < FAKE_CONNS; j++) {
            cql_fake_conn_t *c = &fake->nodes[i].conns[j];
            if (c->fd < 0 || !c->registered)
                continue;
            cm_buf_t *buf = cql_fake_begin(c, -1, CM_CQL_OP_EVENT);
            cql_put_text(buf, type);
            cql_put_text(buf, change);
            cm_cql_add_u8(buf, 4);
            cm_buf_add(buf, &address, 4);
            cm_cql_add_i32(buf, about->port);
            cql_fake_end(c);
        }
    }
}
