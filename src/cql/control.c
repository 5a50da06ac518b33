#include "cql/control.h"

#include "cql/dispatch.h"
#include "cql/topology.h"
#include "cql/wire.h"

enum {
    AFTER_EVENT_MS = 1000, /* "wait a short time before trying to connect" (v4 4.2.6) */
    AGAIN_MS = 100,
    STREAMS = 64,
};

static void on_timer(cm_cql_timer_t *timer);
static void refresh(cm_cql_t *s);
static void on_ready(cm_cql_conn_t *conn);
static void on_closed(cm_cql_conn_t *conn, bool was_ready, const cm_cql_error_t *error);
static void on_event(cm_cql_conn_t *conn, cm_str_t body);

static const cm_cql_conn_events_t conn_events = {
    .use = "control", .ready = on_ready, .closed = on_closed, .event = on_event};

/* ---- connecting ---- */

static int candidate_count(const cm_cql_t *s)
{
    int count = s->nodes.count;
    for (int i = 0; i < s->contacts.count; i++)
        count += s->contacts.list[i].count;
    return count;
}

/* Candidate number `turn`: known nodes first, then every address of every contact point. */
static const cm_cql_address_t *candidate(const cm_cql_t *s, int turn, const char **tls_name)
{
    if (turn < s->nodes.count) {
        *tls_name = s->nodes.list[turn]->tls_name;
        return &s->nodes.list[turn]->address;
    }
    turn -= s->nodes.count;
    for (int i = 0; i < s->contacts.count; i++) {
        *tls_name = s->contacts.list[i].name;
        if (turn < s->contacts.list[i].count)
            return &s->contacts.list[i].addresses[turn];
        turn -= s->contacts.list[i].count;
    }
    return NULL;
}

/* Sets the time of the next connect: without a wait until all candidates have failed. */
static void try_next(cm_cql_t *s)
{
    int count = candidate_count(s);
    int64_t wait = 0;

    if (++s->control_failures >= count)
        wait = cm_cql_backoff(&s->loop, s->control_failures - count + 1, s->loop.o.reconnect_min_ms,
                              s->loop.o.reconnect_max_ms);
    if (s->control_failures % count == 0) {
        cm_err_t ignored; /* names may have new addresses; if not, the old ones are kept */
        cm_cql_contacts_resolve(&s->contacts, &ignored);
    }
    cm_cql_timer_set(&s->loop.wheel, &s->control_timer, s->loop.now + wait);
}

void cm_cql_control_start(cm_cql_t *s)
{
    int count = candidate_count(s);
    const char *tls_name = NULL;

    s->control_timer.fire = on_timer;
    if (count == 0 || s->state == CM_CQL_FAILED || s->control != NULL)
        return;
    const cm_cql_address_t *address = candidate(s, s->control_turn++ % count, &tls_name);
    s->control = cm_cql_conn_open(&s->loop, &conn_events, s, address, tls_name, STREAMS);
    if (s->control == NULL)
        try_next(s);
}

static bool is_final(const cm_cql_t *s, const cm_cql_error_t *error)
{
    return !s->loop.version_known && (error->code == CM_CQL_AUTH || error->code == CM_CQL_TLS ||
                                      error->code == CM_CQL_INVALID);
}

static void on_closed(cm_cql_conn_t *conn, bool was_ready, const cm_cql_error_t *error)
{
    cm_cql_t *s = conn->owner;
    bool other_version = conn->version > s->loop.version;
    int count = candidate_count(s);

    (void)was_ready;
    s->control = NULL;
    s->refreshing = false;
    cm_cql_draft_clear(&s->draft);
    if (s->state == CM_CQL_FAILED)
        return;
    /* A node may not know credentials yet that the other nodes know. */
    bool others = error->code == CM_CQL_AUTH && s->control_failures + 1 < count;
    if (is_final(s, error) && !other_version && !others) {
        cm_cql_give_up(s, error);
        return;
    }
    if (other_version) {
        s->control_turn--; /* the same one again */
        cm_cql_timer_set(&s->loop.wheel, &s->control_timer, s->loop.now);
    } else {
        try_next(s);
    }
}

static void on_timer(cm_cql_timer_t *timer)
{
    cm_cql_t *s = CM_CQL_OWNER(timer, cm_cql_t, control_timer);

    if (s->control == NULL)
        cm_cql_control_start(s);
    else
        refresh(s);
}

/* ---- reading the topology ---- */

static void no_memory(cm_cql_t *s)
{
    cm_cql_conn_break(s->control, CM_CQL_MEMORY, "the topology cannot be read: out of memory");
}

static void ask(cm_cql_t *s, const char *text, cm_cql_finish_t finish)
{
    cm_cql_call_t *call = cm_cql_call_new(s, CM_CQL_OP_QUERY, NULL);

    if (call == NULL || !cm_cql_append(&call->body, cm_str(text))) {
        if (call != NULL)
            cm_cql_call_free(call);
        no_memory(s);
        return;
    }
    call->values_at = call->body.len;
    call->pinned = s->control;
    call->max_retries = 0;
    call->consistency = CM_CQL_ONE - CM_CQL_ANY;
    call->finish = finish;
    cm_cql_call_submit(call);
}

/* Frees the call; true when its answer counts. A failure ends the control connection: another node
 * may have no such problem. */
static bool took(cm_cql_call_t *call, const cm_cql_error_t *error)
{
    cm_cql_t *s = call->session;
    bool current = call->pinned == s->control && s->refreshing;

    cm_cql_call_free(call);
    if (current && error != NULL)
        cm_cql_conn_break(s->control, CM_CQL_LOST, "the topology cannot be read: %s", error->text);
    return current && error == NULL;
}

static void on_keyspaces(cm_cql_call_t *call, const cm_cql_error_t *error,
                         const cm_cql_result_t *result)
{
    cm_cql_t *s = call->session;

    if (error != NULL && error->code == CM_CQL_SERVER && !cm_cql_error_is_passing(error)) {
        cm_cql_log(&s->loop, CM_LOG_WARN, "replication is not known", "reason=\"%s\"", error->text);
        error = NULL; /* then requests go to any node */
        result = NULL;
    }
    if (!took(call, error))
        return;
    cm_cql_error_t problem;
    cm_cql_code_t code = CM_CQL_MEMORY;
    if (result == NULL || cm_cql_draft_keyspaces(s, result))
        code = cm_cql_draft_apply(s, &problem);
    if (code == CM_CQL_MEMORY) {
        no_memory(s);
        return;
    }
    if (code != CM_CQL_OK)
        cm_cql_give_up(s, &problem);
    s->refreshing = false;
    s->control_failures = 0;
    s->loop.stats.refreshes++;
    cm_cql_timer_set(&s->loop.wheel, &s->control_timer,
                     s->loop.now + (s->refresh_again ? AGAIN_MS : s->loop.o.refresh_ms));
    s->refresh_again = false;
}

static void ask_keyspaces(cm_cql_t *s)
{
    ask(s, "SELECT keyspace_name, replication FROM system_schema.keyspaces", on_keyspaces);
}

static void ask_peers(cm_cql_t *s);

static void on_peers(cm_cql_call_t *call, const cm_cql_error_t *error,
                     const cm_cql_result_t *result)
{
    cm_cql_t *s = call->session;

    if (error != NULL && error->code == CM_CQL_SERVER && !cm_cql_error_is_passing(error) &&
        call->pinned == s->control && s->refreshing && !s->peers_v1) {
        s->peers_v1 = true; /* before Cassandra 4.0 there is no peers_v2 */
        cm_cql_call_free(call);
        ask_peers(s);
        return;
    }
    if (!took(call, error))
        return;
    if (cm_cql_draft_peers(s, result))
        ask_keyspaces(s);
    else
        no_memory(s);
}

static void ask_peers(cm_cql_t *s)
{
    ask(s,
        s->peers_v1 ? "SELECT peer, data_center, rack, host_id, tokens, schema_version, "
                      "rpc_address FROM system.peers"
                    : "SELECT peer, data_center, rack, host_id, tokens, schema_version, "
                      "native_address, native_port FROM system.peers_v2",
        on_peers);
}

static void on_local(cm_cql_call_t *call, const cm_cql_error_t *error,
                     const cm_cql_result_t *result)
{
    cm_cql_t *s = call->session;

    if (!took(call, error))
        return;
    if (!cm_cql_draft_local(s, result))
        no_memory(s);
    else if (s->draft.node_count > 0)
        ask_peers(s);
    else
        cm_cql_conn_break(s->control, CM_CQL_PROTOCOL, "system.local has no row");
}

static void refresh(cm_cql_t *s)
{
    if (s->control == NULL || s->control->state != CM_CQL_CONN_READY || s->refreshing)
        return;
    s->refreshing = true;
    cm_cql_draft_clear(&s->draft);
    ask(s,
        "SELECT data_center, rack, host_id, tokens, schema_version, partitioner "
        "FROM system.local WHERE key='local'",
        on_local);
}

void cm_cql_refresh_at(cm_cql_t *s, int64_t at_ms)
{
    if (s->refreshing)
        s->refresh_again = true;
    else if (s->control != NULL && s->control->state == CM_CQL_CONN_READY &&
             (!cm_cql_timer_is_set(&s->control_timer) || s->control_timer.at > at_ms))
        cm_cql_timer_set(&s->loop.wheel, &s->control_timer, at_ms);
}

/* ---- events ---- */

static void on_registered(cm_cql_call_t *call, const cm_cql_error_t *error,
                          const cm_cql_result_t *result)
{
    cm_cql_t *s = call->session;

    (void)result;
    if (error != NULL && error->code == CM_CQL_SERVER)
        cm_cql_log(&s->loop, CM_LOG_WARN, "no events; the topology is read at intervals",
                   "node=%s reason=\"%s\"", error->node, error->text);
    cm_cql_call_free(call);
}

static void on_ready(cm_cql_conn_t *conn)
{
    cm_cql_t *s = conn->owner;
    static const char *const events[] = {"TOPOLOGY_CHANGE", "STATUS_CHANGE", "SCHEMA_CHANGE"};
    cm_cql_call_t *call = cm_cql_call_new(s, CM_CQL_OP_REGISTER, NULL);
    enum { EVENTS_SIZE = 64 };

    if (call == NULL || !cm_buf_try_reserve(&call->body, EVENTS_SIZE)) {
        if (call != NULL)
            cm_cql_call_free(call);
        no_memory(s);
        return;
    }
    cm_cql_add_u16(&call->body, 3);
    for (int i = 0; i < 3; i++)
        cm_cql_add_string(&call->body, cm_str(events[i]));
    call->pinned = conn;
    call->max_retries = 0;
    call->finish = on_registered;
    cm_cql_call_submit(call);
    refresh(s);
}

static void on_status(cm_cql_t *s, const cm_cql_event_t *event)
{
    cm_cql_address_t address;
    bool up = cm_str_equal(event->change, CM_STR("UP"));

    if (!cm_cql_address_from(event->address, event->port, &address))
        return;
    cm_cql_node_t *node = cm_cql_node_by_address(&s->nodes, &address);
    if (node == NULL) {
        cm_cql_refresh_at(s, s->loop.now + AFTER_EVENT_MS);
        return;
    }
    if (!up) { /* another node says so, which may be wrong: the connections are probed */
        for (int i = 0; i < node->count; i++)
            cm_cql_conn_probe(node->conns[i]);
        return;
    }
    if (cm_cql_timer_is_set(&node->timer) && node->timer.at > s->loop.now + AFTER_EVENT_MS)
        cm_cql_timer_set(&s->loop.wheel, &node->timer, s->loop.now + AFTER_EVENT_MS);
    cm_cql_refresh_at(s, s->loop.now + AFTER_EVENT_MS); /* it may have other tokens now */
}

static void on_event(cm_cql_conn_t *conn, cm_str_t body)
{
    cm_cql_t *s = conn->owner;
    cm_cql_event_t event;
    cm_err_t err;

    if (cm_cql_parse_event(body, &event, &err) < 0) {
        cm_cql_conn_fail(conn, CM_CQL_PROTOCOL, "%s", err.text);
        return;
    }
    s->loop.stats.events++;
    cm_cql_log(&s->loop, CM_LOG_DEBUG, "event", "type=%.*s change=%.*s", (int)event.type.len,
               event.type.data, (int)event.change.len, event.change.data);
    if (cm_str_equal(event.type, CM_STR("STATUS_CHANGE")))
        on_status(s, &event);
    else if (cm_str_equal(event.type, CM_STR("TOPOLOGY_CHANGE")) ||
             cm_str_equal(event.target, CM_STR("KEYSPACE")))
        cm_cql_refresh_at(s, s->loop.now + AFTER_EVENT_MS);
}
