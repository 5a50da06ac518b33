/* The handshake: OPTIONS, STARTUP, log-in (v4 4.1.1 to 4.1.3, v5 2.3).
 *
 * OPTIONS goes first, to find out whether the node can compress. A node that does not know protocol
 * 5 answers with an error, in a version that it knows: then the session continues with 4. */
#include "cql/conn.h"
#include "cql/wire.h"

/* NULL, and the connection is broken, when there is no memory. */
static cm_buf_t *begin(cm_cql_conn_t *conn, int opcode, size_t size)
{
    cm_buf_t *buf = cm_cql_encoder_begin(&conn->encoder, 0, opcode, size);

    if (buf == NULL)
        cm_cql_conn_break(conn, CM_CQL_MEMORY, "out of memory during the handshake");
    return buf;
}

static void end(cm_cql_conn_t *conn)
{
    cm_cql_encoder_end(&conn->encoder);
    cm_cql_conn_dirty(conn);
}

static void start_tls(cm_cql_conn_t *conn)
{
    const cm_cql_tls_t *o = &conn->loop->o.tls;
    const char *host = o->host_name != NULL ? o->host_name : conn->tls_name;
    cm_err_t err;

    conn->state = CM_CQL_CONN_TLS;
    int rc = cm_cql_tls_new(conn->loop->tls, host, &conn->tls, &err);
    if (rc < 0) {
        cm_cql_conn_break(conn, rc == CM_ENOMEM ? CM_CQL_MEMORY : CM_CQL_TLS, "%s", err.text);
        return;
    }
    if (cm_cql_tls_handshake(conn->tls, &err) < 0) /* writes the first message */
        cm_cql_conn_break(conn, CM_CQL_TLS, "%s", err.text);
    cm_cql_conn_dirty(conn);
}

void cm_cql_handshake_begin(cm_cql_conn_t *conn)
{
    if (conn->loop->tls != NULL && conn->tls == NULL) {
        start_tls(conn);
        return;
    }
    conn->state = CM_CQL_CONN_OPTIONS;
    if (begin(conn, CM_CQL_OP_OPTIONS, 0) != NULL)
        end(conn);
}

static void send_startup(cm_cql_conn_t *conn, cm_str_t supported)
{
    const cm_cql_loop_t *loop = conn->loop;
    const struct {
        const char *key, *value;
    } entries[] = {
        {"CQL_VERSION", "3.0.0"},
        {"DRIVER_NAME", loop->o.application},
        {"DRIVER_VERSION", loop->o.application_version},
        {"COMPRESSION", "lz4"},
    };

    conn->lz4 = loop->o.compression == CM_CQL_LZ4 &&
                cm_cql_supported(supported, CM_STR("COMPRESSION"), CM_STR("lz4"));
    if (loop->o.compression == CM_CQL_LZ4 && !conn->lz4)
        cm_cql_log(loop, CM_LOG_WARN, "the node does not offer LZ4", "node=%s", conn->name);
    conn->state = CM_CQL_CONN_STARTUP;
    int count = conn->lz4 ? 4 : 3;
    size_t size = 2;
    for (int i = 0; i < count; i++)
        size += 4 + strlen(entries[i].key) + strlen(entries[i].value);
    cm_buf_t *buf = begin(conn, CM_CQL_OP_STARTUP, size);
    if (buf == NULL)
        return;
    cm_cql_add_u16(buf, count);
    for (int i = 0; i < count; i++) {
        cm_cql_add_string(buf, cm_str(entries[i].key));
        cm_cql_add_string(buf, cm_str(entries[i].value));
    }
    end(conn);
    if (conn->version < 5) /* "messages can be compressed (including the response to STARTUP)" */
        conn->encoder.lz4 = conn->decoder.lz4 = conn->lz4;
}

/* STARTUP was answered: from here on a connection of v5 uses segments (v5 2.3.1). */
static void started(cm_cql_conn_t *conn)
{
    if (conn->version < 5)
        return;
    conn->encoder.segments = conn->decoder.segments = true;
    conn->encoder.lz4 = conn->decoder.lz4 = conn->lz4;
}

/* SASL PLAIN (RFC 4616): no authorisation identity, user, password. */
static void log_in(cm_cql_conn_t *conn, cm_str_t body)
{
    const cm_cql_options_t *o = &conn->loop->o;
    cm_cql_reader_t r = cm_cql_reader(body);
    cm_str_t authenticator = cm_cql_read_string(&r);

    if (o->username == NULL) {
        cm_cql_conn_fail(conn, CM_CQL_AUTH,
                         "the node demands a log-in (%.*s); give a user name and a password",
                         cm_utf8_head(authenticator, 100), authenticator.data);
        return;
    }
    started(conn);
    conn->state = CM_CQL_CONN_AUTH;
    size_t user = strlen(o->username), password = strlen(o->password);
    cm_buf_t *buf = begin(conn, CM_CQL_OP_AUTH_RESPONSE, 4 + user + password + 2);
    if (buf == NULL)
        return;
    cm_cql_add_i32(buf, (int32_t)(user + password + 2));
    cm_cql_add_u8(buf, 0);
    cm_buf_add(buf, o->username, user);
    cm_cql_add_u8(buf, 0);
    cm_buf_add(buf, o->password, password);
    end(conn);
}

static bool falls_back(cm_cql_conn_t *conn)
{
    cm_cql_loop_t *loop = conn->loop;

    if (loop->o.version != 0 || conn->version <= 4)
        return false;
    loop->version = 4;
    return true;
}

static void refused(cm_cql_conn_t *conn, const cm_cql_frame_t *frame)
{
    cm_cql_loop_t *loop = conn->loop;
    cm_cql_parsed_t *parsed = &loop->parsed;
    cm_err_t err;

    int rc = cm_cql_parse(frame, parsed, &err);
    if (rc < 0) {
        cm_cql_conn_fail(conn, rc == CM_ENOMEM ? CM_CQL_MEMORY : CM_CQL_PROTOCOL, "%s", err.text);
        return;
    }
    memcpy(parsed->error.node, conn->name, sizeof parsed->error.node);
    if (parsed->error.server_code == CM_CQL_PROTOCOL_ERROR && conn->state != CM_CQL_CONN_AUTH &&
        !falls_back(conn))
        parsed->error.code = CM_CQL_INVALID;
    cm_cql_conn_close(conn, &parsed->error);
}

void cm_cql_handshake_message(cm_cql_conn_t *conn, const cm_cql_frame_t *frame)
{
    int state = conn->state, opcode = frame->opcode;

    if (opcode == CM_CQL_OP_ERROR) {
        refused(conn, frame);
    } else if (state == CM_CQL_CONN_OPTIONS && opcode == CM_CQL_OP_SUPPORTED) {
        send_startup(conn, frame->body);
    } else if (state == CM_CQL_CONN_STARTUP && opcode == CM_CQL_OP_READY) {
        started(conn);
        cm_cql_conn_ready(conn);
    } else if (state == CM_CQL_CONN_STARTUP && opcode == CM_CQL_OP_AUTHENTICATE) {
        log_in(conn, frame->body);
    } else if (state == CM_CQL_CONN_AUTH && opcode == CM_CQL_OP_AUTH_SUCCESS) {
        cm_cql_conn_ready(conn);
    } else if (state == CM_CQL_CONN_AUTH && opcode == CM_CQL_OP_AUTH_CHALLENGE) {
        cm_cql_conn_fail(conn, CM_CQL_AUTH, "the node wants a log-in method other than SASL PLAIN");
    } else {
        cm_cql_conn_fail(conn, CM_CQL_PROTOCOL, "a message of kind 0x%02x during the handshake",
                         (unsigned)opcode);
    }
}
