/* A session against the fake cluster: handshake, topology, routing, requests, nodes that stop and
 * return.
 */
#include "cql_rig.h"

static cm_cql_stats_t stats(const rig_t *rig)
{
    cm_cql_stats_t s;
    cm_cql_stats(rig->session, &s);
    return s;
}

/* ---- handshake ---- */

static void check_exchange(int version, bool lz4, size_t chunk)
{
    rig_t rig;
    outcome_t outcome = {0}, read = {0};
    cm_err_t err = {0};

    rig_open(&rig, 1);
    rig.options.version = version;
    rig.options.compression = lz4 ? CM_CQL_LZ4 : CM_CQL_UNCOMPRESSED;
    rig.fake.chunk = chunk;
    rig_connect(&rig);
    assert_int_equal(version, stats(&rig).version);
    cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
    assert_int_equal(2, cm_cql_prepared_values(prepared));
    rig_insert(&rig, prepared, 7, false, &outcome);
    rig_settle(&rig);
    assert_int_equal(1, outcome.calls);
    assert_string_equal("", outcome.error.text);
    assert_int_equal(1, rig.fake.seen[7]);
    assert_ok(cm_cql_query(rig.session, CM_STR("SELECT key, value FROM ks.many"), NULL, 0, NULL,
                           on_outcome, &read, &err),
              err);
    rig.fake.page_rows = 1000;
    rig_settle(&rig);
    assert_int_equal(1, read.calls);
    assert_int_equal(1000, read.rows);
    assert_int_equal(999 * 1000 / 2, read.sum);
    for (int i = 0; i < FAKE_CONNS; i++) {
        cql_fake_conn_t *c = &rig.fake.nodes[0].conns[i];
        if (c->fd >= 0)
            assert_int_equal(lz4, c->lz4);
    }
    rig_close(&rig);
}

static void test_versions_and_compression(void **state)
{
    (void)state;
    for (int version = 4; version <= 5; version++) {
        check_exchange(version, false, 0);
        check_exchange(version, true, 0);
    }
}

/* A whole session with one byte in each round of the event loop, and with three. */
static void test_partial_reads(void **state)
{
    (void)state;
    for (int version = 4; version <= 5; version++) {
        check_exchange(version, false, 1);
        check_exchange(version, true, 1);
        check_exchange(version, true, 3);
    }
}

static void test_falls_back_to_version_4(void **state)
{
    rig_t rig;

    (void)state;
    rig_open(&rig, 1);
    rig.fake.max_version = 4;
    rig_connect(&rig);
    assert_int_equal(4, stats(&rig).version);
    rig_close(&rig);

    rig_open(&rig, 1);
    rig.fake.max_version = 4;
    rig.options.version = 5;
    rig_begin(&rig);
    assert_int_equal(CM_CQL_FAILED, cm_cql_state(rig.session));
    assert_int_equal(CM_CQL_INVALID, cm_cql_last_error(rig.session)->code);
    rig_close(&rig);
}

static void test_lz4_not_offered(void **state)
{
    rig_t rig;

    (void)state;
    rig_open(&rig, 1);
    rig.fake.no_lz4 = true;
    rig.options.compression = CM_CQL_LZ4;
    rig_connect(&rig);
    rig_close(&rig);
}

static void test_credentials(void **state)
{
    rig_t rig;
    cm_err_t err = {0};
    outcome_t outcome = {0};

    (void)state;
    for (int version = 4; version <= 5; version++) {
        rig_open(&rig, 1);
        rig.fake.username = "alice";
        rig.fake.password = "secret";
        rig.options.version = version;
        rig.options.username = "alice";
        rig.options.password = "secret";
        rig_connect(&rig);
        rig_close(&rig);

        rig_open(&rig, 1);
        rig.fake.username = "alice";
        rig.fake.password = "secret";
        rig.options.version = version;
        rig.options.username = "alice";
        rig.options.password = "guess";
        rig_begin(&rig);
        assert_int_equal(CM_CQL_FAILED, cm_cql_state(rig.session));
        assert_int_equal(CM_EUSAGE, cm_cql_connect(rig.session, 0, &err));
        assert_non_null(strstr(err.text, "Provided username and/or password are incorrect"));
        assert_int_equal(CM_EUSAGE, cm_cql_query(rig.session, CM_STR("SELECT"), NULL, 0, NULL,
                                                 on_outcome, &outcome, &err));
        assert_int_equal(0, outcome.calls);
        rig_close(&rig);
    }
}

/* When a node cannot read the roles, that is no refusal: it is asked again. */
static void test_roles_are_away(void **state)
{
    rig_t rig;

    (void)state;
    rig_open(&rig, 1);
    rig.fake.username = rig.options.username = "alice";
    rig.fake.password = rig.options.password = "secret";
    rig.fake.roles_away = 2;
    rig_begin(&rig);
    rig_pass(&rig, 5000, 100);
    assert_int_equal(0, rig.fake.roles_away);
    assert_int_equal(CM_CQL_READY, cm_cql_state(rig.session));
    rig_close(&rig);
}

static void test_log_in_demanded(void **state)
{
    rig_t rig;

    (void)state;
    rig_open(&rig, 1);
    rig.fake.username = "alice";
    rig.fake.password = "secret";
    rig_begin(&rig);
    assert_int_equal(CM_CQL_FAILED, cm_cql_state(rig.session));
    assert_int_equal(CM_CQL_AUTH, cm_cql_last_error(rig.session)->code);
    assert_string_equal(
        "the node demands a log-in (PasswordAuthenticator); give a user name and a password",
        cm_cql_last_error(rig.session)->text);
    rig_close(&rig);
}

/* ---- topology and routing ---- */

/* 300 rows: each must be sent to the node that has the next token. */
static void check_routing(rig_t *rig)
{
    outcome_t outcome = {0};
    int expected[FAKE_NODES] = {0};

    cm_cql_prepared_t *prepared = rig_prepare(rig, INSERT);
    for (int i = 0; i < 300; i++) {
        char key[32];
        int len = snprintf(key, sizeof key, "r%d", i), owner = 0;
        int64_t token = cm_cql_token(key, (size_t)len), next = INT64_MAX;
        bool found = false;
        for (int n = 0; n < rig->fake.count; n++) {
            for (int t = 0; t < 4; t++) {
                int64_t at = rig->fake.nodes[n].tokens[t];
                if (at >= token && (!found || at < next)) {
                    next = at;
                    owner = n;
                    found = true;
                }
            }
        }
        expected[owner]++; /* the smallest token is node 0's */
        rig_insert(rig, prepared, i, true, &outcome);
    }
    rig_settle(rig);
    assert_int_equal(300, outcome.calls);
    for (int n = 0; n < rig->fake.count; n++)
        assert_int_equal(expected[n], rig->fake.nodes[n].rows);
}

static void test_token_aware(void **state)
{
    rig_t rig;

    (void)state;
    rig_open(&rig, 3);
    rig_connect(&rig);
    assert_int_equal(3, stats(&rig).nodes);
    assert_int_equal(3, stats(&rig).nodes_up);
    assert_int_equal(3, stats(&rig).connections);
    check_routing(&rig);
    rig_close(&rig);
}

/* Before 4.0 there is only system.peers; the port is that of the options. Here every node has its
 * own port, so the others cannot be reached: the session works with the one that it has. */
static void test_old_peers(void **state)
{
    rig_t rig;

    (void)state;
    rig_open(&rig, 2);
    rig.fake.no_peers_v2 = true;
    rig_connect(&rig);
    assert_int_equal(2, stats(&rig).nodes);
    assert_int_equal(1, stats(&rig).nodes_up);
    rig_close(&rig);
}

static void test_local_data_centre_first(void **state)
{
    rig_t rig;
    outcome_t outcome = {0};

    (void)state;
    rig_open(&rig, 3);
    rig.fake.nodes[1].dc = "dc2";
    rig.fake.replication[1] = "org.apache.cassandra.locator.NetworkTopologyStrategy";
    rig.fake.replication[2] = "dc1";
    rig.fake.replication[4] = "dc2";
    rig.fake.replication[5] = "1";
    rig_connect(&rig);
    cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
    for (int i = 0; i < 100; i++)
        rig_insert(&rig, prepared, i, true, &outcome);
    rig_settle(&rig);
    assert_int_equal(100, outcome.calls);
    assert_int_equal(0, rig.fake.nodes[1].rows);
    assert_true(rig.fake.nodes[0].rows > 20);
    assert_true(rig.fake.nodes[2].rows > 20);
    assert_int_equal(100, rig.fake.nodes[0].rows + rig.fake.nodes[2].rows);

    cql_fake_stop(&rig.fake.nodes[0]); /* all nodes of the local data centre stop */
    cql_fake_stop(&rig.fake.nodes[2]);
    rig_settle(&rig);
    for (int i = 100; i < 110; i++)
        rig_insert(&rig, prepared, i, true, &outcome);
    rig_settle(&rig);
    assert_int_equal(110, outcome.calls);
    assert_int_equal(10, rig.fake.nodes[1].rows);
    rig_close(&rig);
}

static void test_local_only(void **state)
{
    rig_t rig;
    outcome_t outcome = {0};

    (void)state;
    rig_open(&rig, 2);
    rig.fake.nodes[1].dc = "dc2";
    rig.options.local_only = true;
    rig.options.local_dc = "dc1";
    rig.options.request_timeout_ms = 1000;
    rig_connect(&rig);
    cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
    cql_fake_stop(&rig.fake.nodes[0]);
    rig_settle(&rig);
    assert_int_equal(CM_CQL_DOWN, cm_cql_state(rig.session));
    rig_insert(&rig, prepared, 1, true, &outcome);
    rig_pass(&rig, 1100, 50);
    assert_int_equal(1, outcome.calls);
    assert_int_equal(CM_CQL_NO_NODE, outcome.error.code);
    assert_int_equal(0, rig.fake.nodes[1].rows);
    rig_close(&rig);
}

static void test_no_such_data_centre(void **state)
{
    rig_t rig;
    cm_err_t err;

    (void)state;
    rig_open(&rig, 3);
    rig.fake.nodes[1].dc = "dc2";
    rig.options.local_only = true;
    rig.options.local_dc = "mars";
    rig_begin(&rig);
    assert_int_equal(CM_CQL_FAILED, cm_cql_state(rig.session));
    assert_int_equal(CM_CQL_INVALID, cm_cql_last_error(rig.session)->code);
    assert_string_equal("there is no data centre mars, which local_dc names; there is dc1, dc2",
                        cm_cql_last_error(rig.session)->text);
    assert_int_equal(CM_EUSAGE, cm_cql_connect(rig.session, 0, &err));
    rig_close(&rig);
}

/* ---- nodes join, leave, stop and return ---- */

static void test_node_joins(void **state)
{
    rig_t rig;

    (void)state;
    rig_open(&rig, 3);
    rig.fake.nodes[2].present = false;
    rig_connect(&rig);
    assert_int_equal(2, stats(&rig).nodes);
    rig.fake.nodes[2].present = true;
    cql_fake_event(&rig.fake, "TOPOLOGY_CHANGE", "NEW_NODE", &rig.fake.nodes[2]);
    rig_settle(&rig);
    assert_int_equal(1, stats(&rig).events);
    assert_int_equal(2, stats(&rig).nodes); /* the topology is read a second later */
    rig_pass(&rig, 1100, 100);
    assert_int_equal(3, stats(&rig).nodes_up);
    check_routing(&rig);
    rig_close(&rig);
}

static void test_node_leaves(void **state)
{
    rig_t rig;
    outcome_t outcome = {0};

    (void)state;
    rig_open(&rig, 3);
    rig_connect(&rig);
    cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
    rig.fake.nodes[1].present = false;
    rig.fake.nodes[1].fault = SILENCE; /* requests that it got before are not answered yet */
    rig.fake.nodes[1].fault_count = -1;
    for (int i = 0; i < 30; i++)
        rig_insert(&rig, prepared, i, true, &outcome);
    rig_settle(&rig);
    assert_true(outcome.calls < 30);
    int answered = outcome.calls;
    cql_fake_event(&rig.fake, "TOPOLOGY_CHANGE", "REMOVED_NODE", &rig.fake.nodes[1]);
    rig_pass(&rig, 1100, 100);
    assert_int_equal(2, stats(&rig).nodes);
    assert_int_equal(answered, outcome.calls);
    rig.fake.nodes[1].requests = 0;
    for (int i = 30; i < 130; i++)
        rig_insert(&rig, prepared, i, true, &outcome);
    rig_settle(&rig);
    assert_int_equal(answered + 100, outcome.calls);
    assert_int_equal(0, rig.fake.nodes[1].requests); /* it gets no requests any more */
    rig_pass(&rig, 13000, 500);
    assert_int_equal(130, outcome.calls); /* those without an answer were sent elsewhere */
    assert_int_equal(0, outcome.error.code);
    for (int i = 0; i < 130; i++)
        assert_int_equal(1, rig.fake.seen[i]);
    rig_close(&rig);
}

static void test_periodic_refresh(void **state)
{
    rig_t rig;

    (void)state;
    rig_open(&rig, 2);
    rig.fake.nodes[1].present = false;
    rig.options.refresh_ms = 30000;
    rig_connect(&rig);
    assert_int_equal(1, stats(&rig).refreshes);
    rig.fake.nodes[1].present = true;
    rig_pass(&rig, 29000, 1000);
    assert_int_equal(1, stats(&rig).nodes);
    rig_pass(&rig, 2000, 1000);
    assert_int_equal(2, stats(&rig).refreshes);
    assert_int_equal(2, stats(&rig).nodes_up);
    cm_cql_refresh(rig.session);
    rig_settle(&rig);
    assert_int_equal(3, stats(&rig).refreshes);
    rig_close(&rig);
}

/* A node is killed and returns at the same address; it knows no statement any more. */
static void test_node_restarts(void **state)
{
    rig_t rig;
    outcome_t outcome = {0};

    (void)state;
    rig_open(&rig, 2);
    rig.options.reconnect_min_ms = 100;
    rig.options.reconnect_max_ms = 1000;
    rig.options.connections = 3;
    rig_connect(&rig);
    assert_int_equal(6, stats(&rig).connections);
    cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
    for (int i = 0; i < 20; i++)
        rig_insert(&rig, prepared, i, true, &outcome);
    rig_settle(&rig);
    cql_fake_stop(&rig.fake.nodes[1]);
    rig_settle(&rig);
    assert_int_equal(1, stats(&rig).nodes_up);
    for (int i = 20; i < 40; i++)
        rig_insert(&rig, prepared, i, true, &outcome);
    rig_settle(&rig);
    assert_int_equal(40, outcome.calls);
    cql_fake_start(&rig.fake.nodes[1]);
    rig_pass(&rig, 2200, 50);
    assert_int_equal(2, stats(&rig).nodes_up);
    assert_int_equal(6, stats(&rig).connections);
    uint64_t reprepared = stats(&rig).reprepares;
    int before = rig.fake.nodes[1].rows;
    for (int i = 40; i < 80; i++)
        rig_insert(&rig, prepared, i, true, &outcome);
    rig_settle(&rig);
    assert_int_equal(80, outcome.calls);
    assert_int_equal(0, outcome.error.code);
    assert_true(rig.fake.nodes[1].rows > before + 5);
    /* at most once for each connection, for all its requests */
    assert_in_range(stats(&rig).reprepares, reprepared + 1, reprepared + 3);
    rig_close(&rig);
}

/* The node of the control connection stops: another node gets that connection, events included. */
static void test_control_moves(void **state)
{
    rig_t rig;

    (void)state;
    rig_open(&rig, 3);
    rig.fake.nodes[2].present = false;
    rig_connect(&rig);
    rig.fake.nodes[0].present = false;
    cql_fake_stop(&rig.fake.nodes[0]);
    rig_pass(&rig, 3000, 50);
    assert_int_equal(1, stats(&rig).nodes); /* only node 1 reports itself */
    rig.fake.nodes[2].present = true;
    cql_fake_event(&rig.fake, "STATUS_CHANGE", "UP", &rig.fake.nodes[2]);
    rig_pass(&rig, 2000, 50);
    assert_int_equal(2, stats(&rig).nodes_up);
    rig_close(&rig);
}

/* ---- reconnects ---- */

/* The waits between connects to a node that accepts none, by the fake clock: doubled up to the
 * limit, and the upper half of each is random. */
static void test_backoff(void **state)
{
    rig_t rig;
    int64_t last, wait = 100;
    bool varied = false;

    (void)state;
    rig_open(&rig, 1);
    rig.options.reconnect_min_ms = 100;
    rig.options.reconnect_max_ms = 1000;
    rig.fake.nodes[0].hangs_up = true;
    rig_begin(&rig);
    assert_int_equal(1, rig.fake.accepted);
    assert_int_equal(CM_CQL_CONNECTING, cm_cql_state(rig.session));
    assert_int_equal(CM_CQL_LOST, cm_cql_last_error(rig.session)->code);
    last = rig.now;
    for (int count = 2; count < 12; count++) {
        while (rig.fake.accepted < count) {
            assert_true(rig.now - last <= wait);
            rig_pass(&rig, 1, 1);
        }
        assert_int_equal(count, rig.fake.accepted);
        assert_true(rig.now - last >= wait / 2);
        varied |= rig.now - last != wait / 2 && rig.now - last != wait;
        last = rig.now;
        wait = wait * 2 < 1000 ? wait * 2 : 1000;
    }
    assert_true(varied);
    rig.fake.nodes[0].hangs_up = false;
    rig_pass(&rig, 1000, 10);
    assert_int_equal(CM_CQL_READY, cm_cql_state(rig.session));
    rig_close(&rig);
}

static void test_requests_wait_for_a_node(void **state)
{
    rig_t rig;
    outcome_t outcome = {0};

    (void)state;
    rig_open(&rig, 1);
    rig.options.reconnect_max_ms = 1000;
    rig_connect(&rig);
    cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
    cql_fake_stop(&rig.fake.nodes[0]);
    rig_settle(&rig);
    assert_int_equal(CM_CQL_DOWN, cm_cql_state(rig.session));
    rig_insert(&rig, prepared, 3, false, &outcome);
    rig_pass(&rig, 2000, 100);
    assert_int_equal(0, outcome.calls);
    cql_fake_start(&rig.fake.nodes[0]);
    rig_pass(&rig, 2000, 100);
    assert_int_equal(CM_CQL_READY, cm_cql_state(rig.session));
    assert_int_equal(1, outcome.calls);
    assert_int_equal(0, outcome.error.code);
    assert_int_equal(1, rig.fake.seen[3]);
    rig_close(&rig);
}

/* ---- requests ---- */

static void test_paging(void **state)
{
    rig_t rig;
    outcome_t all = {0}, one = {0};
    cm_err_t err = {0};
    cm_cql_request_t paged = {.page_size = 100}, single = {.page_size = 100, .one_page = true};

    (void)state;
    rig_open(&rig, 1);
    rig_connect(&rig);
    assert_ok(cm_cql_query(rig.session, CM_STR("SELECT key, value FROM ks.many"), NULL, 0, &paged,
                           on_outcome, &all, &err),
              err);
    rig_settle(&rig);
    assert_int_equal(10, all.calls);
    assert_int_equal(1000, all.rows);
    assert_int_equal(999 * 1000 / 2, all.sum);
    assert_false(all.more);
    single.paging_state = CM_STR("900");
    assert_ok(cm_cql_query(rig.session, CM_STR("SELECT key, value FROM ks.many"), NULL, 0, &single,
                           on_outcome, &one, &err),
              err);
    rig_settle(&rig);
    assert_int_equal(1, one.calls);
    assert_int_equal(100, one.rows);
    assert_int_equal(0, stats(&rig).in_flight);
    rig_close(&rig);
}

static void test_limits_and_misuse(void **state)
{
    rig_t rig;
    outcome_t outcome = {0};
    cm_err_t err = {0};

    (void)state;
    rig_open(&rig, 1);
    rig.options.max_in_flight = 3;
    rig.options.max_requests = 2;
    rig_connect(&rig);
    cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
    for (int i = 0; i < 3; i++) /* the third waits for a stream */
        rig_insert(&rig, prepared, i, false, &outcome);
    cm_cql_value_t values[] = {cm_cql_text(CM_STR("r4")), cm_cql_i64(4)};
    assert_int_equal(CM_EBUSY, cm_cql_execute(rig.session, prepared, values, 2, NULL, on_outcome,
                                              &outcome, &err));
    rig_settle(&rig);
    assert_int_equal(3, outcome.calls);
    assert_int_equal(CM_EUSAGE, cm_cql_execute(rig.session, prepared, values, 1, NULL, on_outcome,
                                               &outcome, &err));
    assert_string_equal("cql: 1 values for a statement that binds 2: " INSERT, err.text);
    assert_ok(cm_cql_query(rig.session, CM_STR("SELEC"), NULL, 0, NULL, on_outcome, &outcome, &err),
              err);
    rig_settle(&rig);
    assert_int_equal(CM_CQL_SERVER, outcome.error.code);
    assert_int_equal(CM_CQL_SYNTAX_ERROR, outcome.error.server_code);
    assert_string_equal("syntax_error (0x2000): line 1:0 no viable alternative",
                        outcome.error.text);
    assert_string_equal(rig.contact, outcome.error.node);
    rig_close(&rig);
}

/* Thousands of requests at the same time over one connection; the answers come in any order. */
static void test_thousands_in_flight(void **state)
{
    rig_t rig;
    outcome_t outcome = {0};

    (void)state;
    rig_open(&rig, 1);
    rig.options.max_requests = 32000;
    rig_connect(&rig);
    cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
    for (int i = 0; i < 15000; i++)
        rig_insert(&rig, prepared, i, false, &outcome);
    assert_int_equal(15000, stats(&rig).in_flight);
    rig_settle(&rig);
    assert_int_equal(15000, outcome.calls);
    for (int i = 0; i < 15000; i++)
        assert_int_equal(1, rig.fake.seen[i]);
    rig_close(&rig);
}

static void test_close_cancels(void **state)
{
    rig_t rig;
    outcome_t outcome = {0};

    (void)state;
    rig_open(&rig, 1);
    rig_connect(&rig);
    cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
    for (int i = 0; i < 5; i++)
        rig_insert(&rig, prepared, i, true, &outcome);
    cm_cql_close(rig.session);
    assert_int_equal(5, outcome.calls);
    assert_int_equal(CM_CQL_CANCELLED, outcome.error.code);
    cql_fake_shut(&rig.fake);
}

static void run_inside(void *context, const cm_cql_error_t *error, const cm_cql_result_t *result)
{
    rig_t *rig = context;
    cm_err_t err;

    (void)error;
    (void)result;
    assert_int_equal(CM_EUSAGE, cm_cql_run(rig->session, 0, &err));
    assert_int_equal(CM_EUSAGE,
                     cm_cql_query_wait(rig->session, CM_STR("SELECT"), NULL, NULL, NULL, &err));
    assert_string_equal("cql: a callback must not wait for its session", err.text);
    rig->options.seed = 99; /* the callback was called */
}

static void test_no_running_in_callbacks(void **state)
{
    rig_t rig;
    cm_err_t err = {0};

    (void)state;
    rig_open(&rig, 1);
    rig_connect(&rig);
    assert_ok(cm_cql_query(rig.session, CM_STR("INSERT"), NULL, 0, NULL, run_inside, &rig, &err),
              err);
    rig_settle(&rig);
    assert_int_equal(99, rig.options.seed);
    rig_close(&rig);
}

static void test_options_refused(void **state)
{
    static const struct {
        cm_cql_options_t options;
        const char *sentence;
    } cases[] = {
        {{.contact_points = "a:0"}, "cql: contact point a:0 is not HOST or HOST:PORT"},
        {{.contact_points = "[::1"}, "cql: contact point [::1 has no ]"},
        {{.contact_points = " , "}, "cql: no contact point is named; name one as HOST:PORT"},
        {{.version = 3}, "cql: protocol version 3; only 4 and 5 are known"},
        {{.username = "u"}, "cql: a user name needs a password, and a password needs a user name"},
        {{.max_requests = 40000}, "cql: max_requests is 40000; it must be from 1 to 32000"},
        {{.connections = 17}, "cql: connections is 17; it must be from 1 to 16"},
        {{.tls = {.enabled = true, .ca_file = "/nonexistent.pem"}},
         "TLS: /nonexistent.pem cannot be used as trusted certificates: "},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cm_cql_t *session = NULL;
        cm_err_t err = {0};
        assert_int_equal(CM_EUSAGE, cm_cql_open(&cases[i].options, &session, &err));
        assert_memory_equal(cases[i].sentence, err.text, strlen(cases[i].sentence));
        assert_null(session);
    }
}

/* When the event loop fails, the functions that wait return, and no callback gets what was on their
 * stack; other requests are cancelled when the session is closed. */
static void test_loop_fails(void **state)
{
    rig_t rig;
    outcome_t waiting = {0}, other = {0};
    cm_cql_prepared_t *prepared = NULL;
    cm_cql_stats_t stats;
    cm_err_t err = {0};

    (void)state;
    rig_open(&rig, 1);
    rig_connect(&rig);
    assert_ok(cm_cql_query(rig.session, CM_STR("INSERT"), NULL, 0, NULL, on_outcome, &other, &err),
              err);
    close(cm_cql_fd(rig.session));
    assert_int_equal(CM_EINTERNAL, cm_cql_query_wait(rig.session, CM_STR("SELECT"), NULL,
                                                     on_outcome, &waiting, &err));
    assert_string_equal("cql: epoll fails: Bad file descriptor", err.text);
    assert_int_equal(CM_EINTERNAL,
                     cm_cql_prepare_wait(rig.session, CM_STR("INSERT"), &prepared, &err));
    assert_int_equal(CM_EINTERNAL, cm_cql_connect(rig.session, 100, &err));
    cm_cql_stats(rig.session, &stats);
    assert_int_equal(1, stats.in_flight);
    assert_int_equal(0, other.calls);
    rig_close(&rig);
    assert_int_equal(0, waiting.calls);
    assert_int_equal(1, other.calls);
    assert_int_equal(CM_CQL_CANCELLED, other.error.code);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions_and_compression),
        cmocka_unit_test(test_partial_reads),
        cmocka_unit_test(test_falls_back_to_version_4),
        cmocka_unit_test(test_lz4_not_offered),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_log_in_demanded),
        cmocka_unit_test(test_token_aware),
        cmocka_unit_test(test_old_peers),
        cmocka_unit_test(test_local_data_centre_first),
        cmocka_unit_test(test_local_only),
        cmocka_unit_test(test_no_such_data_centre),
        cmocka_unit_test(test_roles_are_away),
        cmocka_unit_test(test_node_joins),
        cmocka_unit_test(test_node_leaves),
        cmocka_unit_test(test_periodic_refresh),
        cmocka_unit_test(test_node_restarts),
        cmocka_unit_test(test_control_moves),
        cmocka_unit_test(test_backoff),
        cmocka_unit_test(test_requests_wait_for_a_node),
        cmocka_unit_test(test_paging),
        cmocka_unit_test(test_limits_and_misuse),
        cmocka_unit_test(test_thousands_in_flight),
        cmocka_unit_test(test_close_cancels),
        cmocka_unit_test(test_no_running_in_callbacks),
        cmocka_unit_test(test_loop_fails),
        cmocka_unit_test(test_options_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
