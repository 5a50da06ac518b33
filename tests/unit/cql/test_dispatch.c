/* Every fault of a node, with requests that may be sent again and with requests that may not. */
#include "cql_rig.h"

#include <sys/socket.h>

static cm_cql_stats_t stats(const rig_t *rig)
{
    cm_cql_stats_t s;
    cm_cql_stats(rig->session, &s);
    return s;
}

typedef struct case_ {
    const char *name;
    fault_t fault;
    int32_t server_code; /* of the node's answer, and of the error */
    cm_cql_code_t code;  /* of the error */
    bool safe;           /* tried again though the request is not idempotent */
    bool final;          /* not tried again though it is */
    bool breaks;         /* closes the connection */
    const char *text;    /* in the sentence; NULL: any */
} case_t;

static const case_t cases[] = {
    {"cut", CUT, -1, CM_CQL_LOST, false, false, true, "the node closed the connection"},
    {"close", CLOSE, -1, CM_CQL_LOST, false, false, true, "the node closed the connection"},
    {"crc", WRONG_CRC, -1, CM_CQL_PROTOCOL, false, false, true, NULL},
    {"header", WRONG_HEADER, -1, CM_CQL_PROTOCOL, false, false, true, NULL},
    {"garbage", GARBAGE, -1, CM_CQL_PROTOCOL, false, false, true, NULL},
    {"malformed", MALFORMED, -1, CM_CQL_PROTOCOL, false, false, true, "is malformed"},
    {"stream", WRONG_STREAM, -1, CM_CQL_PROTOCOL, false, false, true,
     "an answer to a request that was not sent: 1999"},
    {"silence", SILENCE, -1, CM_CQL_TIMEOUT, false, false, false, "no answer within 2000 ms"},
    {"overloaded", SERVER_SAYS, 0x1001, CM_CQL_SERVER, true, false, false,
     "overloaded (0x1001): the test wants it"},
    {"unavailable", SERVER_SAYS, 0x1000, CM_CQL_SERVER, true, false, false, NULL},
    {"bootstrapping", SERVER_SAYS, 0x1002, CM_CQL_SERVER, true, false, false, NULL},
    {"write_timeout", SERVER_SAYS, 0x1100, CM_CQL_SERVER, false, false, false, NULL},
    {"server_error", SERVER_SAYS, 0x0000, CM_CQL_SERVER, false, false, false, NULL},
    {"invalid", SERVER_SAYS, 0x2200, CM_CQL_SERVER, false, true, false, NULL},
    {"unauthorized", SERVER_SAYS, 0x2100, CM_CQL_SERVER, false, true, false, NULL},
};

static void open_rig(rig_t *rig, int version, bool lz4, int nodes)
{
    rig_open(rig, nodes);
    rig->options.version = version;
    rig->options.compression = lz4 ? CM_CQL_LZ4 : CM_CQL_UNCOMPRESSED;
    rig->options.request_timeout_ms = 2000;
    rig->options.heartbeat_timeout_ms = 60000;
    rig->options.reconnect_max_ms = 500;
    rig_connect(rig);
}

/* The fault happens once: an idempotent request succeeds in the end, another one fails with the
 * error of that fault. */
static void check_once(const case_t *c, int version, bool lz4)
{
    for (int idempotent = 0; idempotent < 2; idempotent++) {
        rig_t rig;
        outcome_t outcome = {0};
        open_rig(&rig, version, lz4, 1);
        cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
        rig.fake.nodes[0].fault = c->fault;
        rig.fake.nodes[0].fault_code = c->server_code;
        rig.fake.nodes[0].fault_count = 1;
        rig_insert(&rig, prepared, 5, idempotent, &outcome);
        rig_pass(&rig, 4000, 50);
        assert_int_equal(1, outcome.calls);
        if ((idempotent || c->safe) && !c->final) {
            if (outcome.error.code != CM_CQL_OK || rig.fake.seen[5] != 1)
                fail_msg("%s: not mended: %s", c->name, outcome.error.text);
            assert_int_equal(1, stats(&rig).retries);
        } else {
            if (outcome.error.code != c->code)
                fail_msg("%s v%d: %s", c->name, version, outcome.error.text);
            assert_int_equal(c->server_code, outcome.error.server_code);
            assert_int_equal(0, rig.fake.seen[5]);
            assert_int_equal(0, stats(&rig).retries);
            assert_string_equal(rig.contact, outcome.error.node);
            if (c->text != NULL && strstr(outcome.error.text, c->text) == NULL)
                fail_msg("%s: %s", c->name, outcome.error.text);
        }
        assert_int_equal(c->breaks, stats(&rig).disconnects);
        assert_int_equal(1, stats(&rig).connections); /* the session works again */
        rig_insert(&rig, prepared, 6, false, &outcome);
        rig_settle(&rig);
        assert_int_equal(2, outcome.calls);
        assert_int_equal(1, rig.fake.seen[6]);
        rig_close(&rig);
    }
}

static void test_faults_version_4(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        check_once(&cases[i], 4, i % 2);
}

static void test_faults_version_5(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_once(&cases[i], 5, false);
        check_once(&cases[i], 5, true);
    }
}

static void test_crc_is_named(void **state)
{
    rig_t rig;
    outcome_t outcome = {0};

    (void)state;
    for (int header = 0; header < 2; header++) {
        open_rig(&rig, 5, false, 1);
        cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
        rig.fake.nodes[0].fault = header ? WRONG_HEADER : WRONG_CRC;
        rig.fake.nodes[0].fault_count = 1;
        rig_insert(&rig, prepared, 1, false, &outcome);
        rig_settle(&rig);
        assert_non_null(strstr(outcome.error.text, header ? "CRC-24" : "CRC-32"));
        rig_close(&rig);
    }
}

static void test_fields_of_errors(void **state)
{
    static const struct {
        int32_t code;
        int received, required;
    } codes[] = {{0x1000, 1, 2}, {0x1100, 1, 2}, {0x1200, 1, 2}};

    (void)state;
    for (int i = 0; i < 3; i++) {
        rig_t rig;
        outcome_t outcome = {0};
        open_rig(&rig, 4 + i % 2, false, 1);
        cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
        rig.fake.nodes[0].fault = SERVER_SAYS;
        rig.fake.nodes[0].fault_code = codes[i].code;
        rig.fake.nodes[0].fault_count = -1;
        rig_insert(&rig, prepared, 1, false, &outcome);
        rig_pass(&rig, 60000, 500);
        assert_int_equal(1, outcome.calls);
        assert_int_equal(codes[i].code, outcome.error.server_code);
        assert_int_equal(CM_CQL_LOCAL_QUORUM, outcome.error.consistency);
        assert_int_equal(codes[i].received, outcome.error.received);
        assert_int_equal(codes[i].required, outcome.error.required);
        rig_close(&rig);
    }
}

/* A fault that stays: the error comes after max_retries attempts, with growing waits. */
static void test_retries_end(void **state)
{
    rig_t rig;
    outcome_t outcome = {0};
    int64_t begin, wait = 0;

    (void)state;
    rig_open(&rig, 1);
    rig.options.max_retries = 4;
    rig.options.retry_min_ms = 100;
    rig.options.retry_max_ms = 400;
    rig_connect(&rig);
    cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
    rig.fake.nodes[0].fault = SERVER_SAYS;
    rig.fake.nodes[0].fault_code = 0x1001;
    rig.fake.nodes[0].fault_count = -1;
    begin = rig.now;
    rig_insert(&rig, prepared, 1, true, &outcome);
    rig_settle(&rig);
    for (int attempt = 1; attempt <= 4; attempt++) {
        int64_t longest = attempt == 1 ? 100 : attempt == 2 ? 200 : 400;
        assert_int_equal(attempt, rig.fake.nodes[0].requests);
        begin = rig.now;
        while (rig.fake.nodes[0].requests == attempt && rig.now - begin < 1000)
            rig_pass(&rig, 1, 1);
        wait = rig.now - begin;
        assert_in_range(wait, longest / 2, longest);
    }
    assert_int_equal(1, outcome.calls);
    assert_int_equal(CM_CQL_OVERLOADED, outcome.error.server_code);
    assert_int_equal(4, stats(&rig).retries);
    assert_int_equal(1, stats(&rig).failures);
    rig_close(&rig);
}

/* With a second node the first retry is sent there: the node that failed is avoided. */
static void test_retry_goes_elsewhere(void **state)
{
    rig_t rig;
    outcome_t outcome = {0};

    (void)state;
    open_rig(&rig, 5, false, 2);
    cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
    rig.fake.nodes[0].fault = SILENCE;
    rig.fake.nodes[0].fault_count = -1;
    for (int i = 0; i < 40; i++)
        rig_insert(&rig, prepared, i, true, &outcome);
    rig_pass(&rig, 2500, 50);
    assert_int_equal(40, outcome.calls);
    assert_int_equal(0, outcome.error.code);
    assert_int_equal(40, rig.fake.nodes[1].rows);
    assert_int_equal(stats(&rig).timeouts, rig.fake.nodes[0].requests);
    rig_close(&rig);
}

/* After one failure no other data centre is asked: it may not have the row yet. */
static void test_retry_stays_at_home(void **state)
{
    rig_t rig;
    outcome_t outcome = {0};

    (void)state;
    rig_open(&rig, 2);
    rig.fake.nodes[1].dc = "dc2";
    rig.options.request_timeout_ms = 2000;
    rig.options.heartbeat_timeout_ms = 60000;
    rig_connect(&rig);
    cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
    rig.fake.nodes[0].fault = SILENCE;
    rig.fake.nodes[0].fault_count = 1;
    rig_insert(&rig, prepared, 5, true, &outcome);
    rig_pass(&rig, 2500, 50);
    assert_int_equal(1, outcome.calls);
    assert_int_equal(0, outcome.error.code);
    assert_int_equal(1, stats(&rig).timeouts);
    assert_int_equal(1, rig.fake.nodes[0].rows);
    assert_int_equal(0, rig.fake.nodes[1].requests);
    rig_close(&rig);
}

/* An error is forgotten when a node has been connected again. */
static void test_last_error_is_forgotten(void **state)
{
    rig_t rig;

    (void)state;
    open_rig(&rig, 5, false, 1);
    assert_null(cm_cql_last_error(rig.session));
    cql_fake_stop(&rig.fake.nodes[0]);
    rig_pass(&rig, 1000, 50);
    assert_int_equal(CM_CQL_LOST, cm_cql_last_error(rig.session)->code);
    cql_fake_start(&rig.fake.nodes[0]);
    rig_pass(&rig, 2000, 50);
    assert_int_equal(CM_CQL_READY, cm_cql_state(rig.session));
    assert_null(cm_cql_last_error(rig.session));
    rig_close(&rig);
}

/* ---- re-prepare ---- */

static void test_reprepares(void **state)
{
    (void)state;
    for (int version = 4; version <= 5; version++) {
        rig_t rig;
        outcome_t outcome = {0};
        open_rig(&rig, version, false, 1);
        cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
        assert_int_equal(1, rig.fake.nodes[0].prepares);
        rig.fake.nodes[0].prepared_count = 0;
        for (int i = 0; i < 100; i++)
            rig_insert(&rig, prepared, i, false, &outcome); /* nothing has happened: it is safe */
        rig_settle(&rig);
        assert_int_equal(100, outcome.calls);
        assert_int_equal(0, outcome.error.code);
        assert_int_equal(2, rig.fake.nodes[0].prepares); /* one for all hundred */
        assert_int_equal(1, stats(&rig).reprepares);
        for (int i = 0; i < 100; i++)
            assert_int_equal(1, rig.fake.seen[i]);
        rig_close(&rig);
    }
}

/* A node that forgets the statement at every request: the call ends with an error instead of
 * preparing it without end. */
static void test_reprepare_ends(void **state)
{
    rig_t rig;
    outcome_t outcome = {0};

    (void)state;
    open_rig(&rig, 5, false, 1);
    cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
    rig.fake.nodes[0].fault = FORGET;
    rig.fake.nodes[0].fault_count = -1;
    rig_insert(&rig, prepared, 1, false, &outcome);
    rig_settle(&rig);
    assert_int_equal(1, outcome.calls);
    assert_int_equal(CM_CQL_UNPREPARED, outcome.error.server_code);
    assert_int_equal(5, rig.fake.nodes[0].requests);
    rig_close(&rig);
}

/* An answer of another kind must not be taken for the previous one. */
static void test_prepare_answered_with_nonsense(void **state)
{
    rig_t rig;
    outcome_t outcome = {0};

    (void)state;
    open_rig(&rig, 5, false, 1);
    cm_cql_prepared_t *prepared = rig_prepare(&rig, INSERT);
    rig.fake.nodes[0].prepared_count = 0;
    rig.fake.ready_for_prepare = true;
    rig_insert(&rig, prepared, 1, false, &outcome);
    rig_settle(&rig);
    assert_int_equal(1, outcome.calls);
    assert_int_equal(CM_CQL_PROTOCOL, outcome.error.code);
    assert_int_equal(2, rig.fake.nodes[0].prepares);
    assert_int_equal(0, stats(&rig).reprepares);
    rig_close(&rig);
}

/* ---- no answer ---- */

/* An idle connection is probed, and closed when the probe is not answered. */
static void test_heartbeat(void **state)
{
    rig_t rig;
    int64_t begin;

    (void)state;
    rig_open(&rig, 1);
    rig.options.heartbeat_ms = 10000;
    rig.options.heartbeat_timeout_ms = 3000;
    rig.options.refresh_ms = 1000000;
    rig_connect(&rig);
    uint64_t sent = stats(&rig).bytes_sent;
    rig_pass(&rig, 9900, 100);
    assert_int_equal(sent, stats(&rig).bytes_sent);
    rig_pass(&rig, 200, 50);
    assert_true(stats(&rig).bytes_sent > sent); /* the probe, which was answered */
    rig_pass(&rig, 20000, 100);
    assert_int_equal(0, stats(&rig).disconnects);
    begin = rig.now;
    while (stats(&rig).disconnects == 0 && rig.now - begin < 60000) { /* the network is cut */
        cm_err_t err;
        rig.now += 100;
        assert_true(cm_cql_run(rig.session, 0, &err) >= 0);
    }
    assert_in_range(rig.now - begin, 3000, 13200);
    assert_non_null(strstr(cm_cql_last_error(rig.session)->text, "nothing was received for "));
    rig_close(&rig);
}

static void test_connect_timeout(void **state)
{
    rig_t rig;
    cm_err_t err;

    (void)state;
    rig_open(&rig, 1);
    rig.options.connect_timeout_ms = 1500;
    assert_ok(cm_cql_open(&rig.options, &rig.session, &err), err);
    for (int i = 0; i < 15; i++) { /* the kernel accepts the connection, the node sends nothing */
        rig.now += i < 14 ? 100 : 101;
        assert_null(cm_cql_last_error(rig.session));
        assert_true(cm_cql_run(rig.session, 0, &err) >= 0);
    }
    assert_non_null(cm_cql_last_error(rig.session));
    assert_string_equal("no answer to the handshake within 1500 ms",
                        cm_cql_last_error(rig.session)->text);
    rig_close(&rig);
}

static void test_tls_hint(void **state)
{
    rig_t rig;
    cm_err_t err;

    (void)state;
    rig_open(&rig, 1);
    assert_ok(cm_cql_open(&rig.options, &rig.session, &err), err);
    assert_true(cm_cql_run(rig.session, 0, &err) >= 0);
    cql_fake_accept(&rig.fake.nodes[0]);
    assert_int_equal(7, send(rig.fake.nodes[0].conns[0].fd, "\x15\x03\x01\x00\x02\x02\x46", 7, 0));
    rig.fake.nodes[0].hangs_up = true;
    for (int i = 0; i < 3; i++)
        assert_true(cm_cql_run(rig.session, 0, &err) >= 0);
    assert_int_equal(CM_CQL_PROTOCOL, cm_cql_last_error(rig.session)->code);
    assert_non_null(strstr(cm_cql_last_error(rig.session)->text, "does the node expect TLS?"));
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_faults_version_4),
        cmocka_unit_test(test_faults_version_5),
        cmocka_unit_test(test_crc_is_named),
        cmocka_unit_test(test_fields_of_errors),
        cmocka_unit_test(test_retries_end),
        cmocka_unit_test(test_retry_goes_elsewhere),
        cmocka_unit_test(test_reprepares),
        cmocka_unit_test(test_reprepare_ends),
        cmocka_unit_test(test_heartbeat),
        cmocka_unit_test(test_connect_timeout),
        cmocka_unit_test(test_tls_hint),
        cmocka_unit_test(test_retry_stays_at_home),
        cmocka_unit_test(test_last_error_is_forgotten),
        cmocka_unit_test(test_prepare_answered_with_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
