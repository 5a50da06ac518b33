/* The writer against the fake cluster: nothing is lost and nothing is acknowledged too early,
 * whatever the nodes do. */
#include "cql_rig.h"

typedef struct account {
    rig_t *rig;
    uint64_t durable;
    int refused, asked;
    uint64_t refused_row;
    bool take_over;
    cm_cql_error_t error;
} account_t;

/* Every row before `durable` must have been written, or handed over. */
static void on_durable(void *context, uint64_t durable)
{
    account_t *account = context;

    assert_true(durable > account->durable);
    for (uint64_t row = account->durable; row < durable; row++) {
        if (account->refused > 0 && account->refused_row == row)
            continue;
        if (account->rig->fake.seen[row] == 0)
            fail_msg("row %llu was acknowledged and never written", (unsigned long long)row);
    }
    account->durable = durable;
}

static bool on_refused(void *context, uint64_t row, const cm_cql_error_t *error)
{
    account_t *account = context;

    account->asked++;
    account->error = *error;
    if (!account->take_over)
        return false;
    account->refused++;
    account->refused_row = row;
    return true;
}

static cm_cql_writer_t *open_writer(rig_t *rig, account_t *account, cm_cql_writer_options_t options)
{
    cm_cql_writer_t *writer = NULL;
    cm_err_t err = {0};

    *account = (account_t){.rig = rig, .take_over = account->take_over};
    options.durable = on_durable;
    options.refused = on_refused;
    options.context = account;
    cm_cql_prepared_t *prepared = rig_prepare(rig, INSERT);
    assert_ok(cm_cql_writer_open(rig->session, prepared, &options, &writer, &err), err);
    return writer;
}

static int add(cm_cql_writer_t *writer, int number)
{
    char key[32];
    cm_err_t err;

    snprintf(key, sizeof key, "r%d", number);
    cm_cql_value_t values[] = {cm_cql_text(cm_str(key)), cm_cql_i64(number)};
    return cm_cql_writer_add(writer, values, 2, &err);
}

/* Adds rows until there are `count`; runs both sides while the writer is full. */
static void add_all(rig_t *rig, cm_cql_writer_t *writer, int count)
{
    while (cm_cql_writer_added(writer) < (uint64_t)count) {
        if (add(writer, (int)cm_cql_writer_added(writer)) == 0)
            continue;
        rig_pass(rig, 20, 20);
    }
    cm_cql_writer_flush(writer);
}

static void check_all_written(const rig_t *rig, const cm_cql_writer_t *writer, int count)
{
    assert_int_equal(count, cm_cql_writer_added(writer));
    assert_int_equal(count, cm_cql_writer_durable(writer));
    for (int i = 0; i < count; i++)
        assert_true(rig->fake.seen[i] >= 1);
}

static void test_batches_by_replica(void **state)
{
    rig_t rig;
    account_t account = {0};
    cm_cql_writer_stats_t stats;

    (void)state;
    for (int version = 4; version <= 5; version++) {
        rig_open(&rig, 3);
        rig.options.version = version;
        rig_connect(&rig);
        cm_cql_writer_t *writer =
            open_writer(&rig, &account, (cm_cql_writer_options_t){.batch_rows = 50});
        add_all(&rig, writer, 3000);
        rig_settle(&rig);
        check_all_written(&rig, writer, 3000);
        assert_int_equal(3000, account.durable);
        cm_cql_writer_stats(writer, &stats);
        assert_int_equal(0, stats.retries);
        assert_in_range(stats.batches, 60, 63); /* full ones, except the last one of each node */
        for (int i = 0; i < 3; i++) {
            const cql_fake_node_t *node = &rig.fake.nodes[i];
            for (int n = 0; n < 3000; n++)
                assert_int_equal(1, rig.fake.seen[n]);
            assert_in_range(node->rows, 700, 1300);
            assert_in_range(node->batches, node->rows / 50, node->rows / 50 + 1);
        }
        cm_cql_writer_close(writer);
        rig_close(&rig);
    }
}

/* Every row of a batch belongs to the node that it was sent to. */
static void test_rows_at_their_nodes(void **state)
{
    rig_t rig;
    account_t account = {0};

    (void)state;
    rig_open(&rig, 2);
    rig_connect(&rig);
    cm_cql_writer_t *writer =
        open_writer(&rig, &account, (cm_cql_writer_options_t){.batch_rows = 10});
    cql_fake_stop(&rig.fake.nodes[1]);
    int expected = 0; /* belongs to node 0 while node 1 is there */
    for (int i = 0; i < 500; i++) {
        char key[32];
        int len = snprintf(key, sizeof key, "r%d", i), owner = 0;
        uint64_t best = UINT64_MAX;
        for (int n = 0; n < 8; n++) {
            uint64_t way = (uint64_t)rig.fake.nodes[n % 2].tokens[n / 2] -
                           (uint64_t)cm_cql_token(key, (size_t)len);
            if (way < best) {
                best = way;
                owner = n % 2;
            }
        }
        expected += owner == 0;
    }
    cql_fake_start(&rig.fake.nodes[1]);
    rig_pass(&rig, 2000, 50);
    add_all(&rig, writer, 500);
    rig_settle(&rig);
    check_all_written(&rig, writer, 500);
    assert_int_equal(expected, rig.fake.nodes[0].rows);
    cm_cql_writer_close(writer);
    rig_close(&rig);
}

static void test_single_rows(void **state)
{
    rig_t rig;
    account_t account = {0};

    (void)state;
    rig_open(&rig, 1);
    rig_connect(&rig);
    cm_cql_writer_t *writer =
        open_writer(&rig, &account, (cm_cql_writer_options_t){.batch_rows = 1});
    add_all(&rig, writer, 1000);
    rig_settle(&rig);
    check_all_written(&rig, writer, 1000);
    assert_int_equal(0, rig.fake.nodes[0].batches);
    assert_int_equal(1000, rig.fake.nodes[0].requests);
    cm_cql_writer_close(writer);
    rig_close(&rig);
}

static void test_linger(void **state)
{
    rig_t rig;
    account_t account = {0};

    (void)state;
    rig_open(&rig, 1);
    rig_connect(&rig);
    cm_cql_writer_t *writer =
        open_writer(&rig, &account, (cm_cql_writer_options_t){.linger_ms = 40});
    add(writer, 0);
    add(writer, 1);
    rig_pass(&rig, 38, 19);
    assert_int_equal(0, rig.fake.nodes[0].requests);
    rig_pass(&rig, 4, 2);
    assert_int_equal(1, rig.fake.nodes[0].requests);
    check_all_written(&rig, writer, 2);
    cm_cql_writer_close(writer);
    rig_close(&rig);
}

static void test_bounds(void **state)
{
    rig_t rig;
    account_t account = {0};
    cm_cql_writer_stats_t stats;
    char big[5000];

    (void)state;
    rig_open(&rig, 1);
    rig_connect(&rig);
    cm_cql_writer_t *writer = open_writer(
        &rig, &account,
        (cm_cql_writer_options_t){.max_rows = 64, .batch_bytes = 12000, .batch_rows = 50});
    memset(big, 'x', sizeof big);
    big[0] = 'r';
    for (int i = 0; i < 64; i++) {
        cm_err_t err;
        cm_cql_value_t values[] = {cm_cql_text((cm_str_t){big, sizeof big}), cm_cql_i64(i)};
        assert_int_equal(0, cm_cql_writer_add(writer, values, 2, &err));
    }
    assert_int_equal(CM_EBUSY, add(writer, 64));
    cm_cql_writer_stats(writer, &stats);
    assert_int_equal(31, stats.batches); /* two rows of 5,000 bytes each */
    cm_cql_writer_flush(writer);
    rig.fake.seen[0] = 1; /* these keys are no numbers */
    memset(rig.fake.seen, 1, 64);
    rig_settle(&rig);
    assert_int_equal(64, cm_cql_writer_durable(writer));
    assert_int_equal(32, rig.fake.nodes[0].batches);
    assert_int_equal(0, add(writer, 64));
    cm_cql_writer_close(writer);
    rig_close(&rig);
}

/* ---- faults ---- */

static void check_fault(fault_t fault, int32_t code, int version)
{
    rig_t rig;
    account_t account = {0};
    cm_cql_writer_stats_t stats;

    rig_open(&rig, 2);
    rig.options.version = version;
    rig.options.request_timeout_ms = 500;
    rig.options.reconnect_max_ms = 400;
    rig_connect(&rig);
    cm_cql_writer_t *writer =
        open_writer(&rig, &account, (cm_cql_writer_options_t){.batch_rows = 10, .max_rows = 512});
    for (int round = 0; round < 6; round++) {
        rig.fake.nodes[round % 2].fault = fault;
        rig.fake.nodes[round % 2].fault_code = code;
        rig.fake.nodes[round % 2].fault_count = 3;
        rig.fake.nodes[round % 2].skip = round;
        add_all(&rig, writer, 200 * (round + 1));
        rig_pass(&rig, 5000, 50);
        if (cm_cql_writer_durable(writer) != (uint64_t)(200 * (round + 1)))
            fail_msg("fault %d: %llu rows of %d", fault,
                     (unsigned long long)cm_cql_writer_durable(writer), 200 * (round + 1));
    }
    check_all_written(&rig, writer, 1200);
    assert_int_equal(1200, account.durable);
    assert_int_equal(0, account.asked);
    cm_cql_writer_stats(writer, &stats);
    assert_int_equal(0, stats.in_flight);
    assert_int_equal(0, stats.waiting);
    if (fault != FORGET)
        assert_true(stats.retries >= 3);
    cm_cql_writer_close(writer);
    rig_close(&rig);
}

static void test_survives_every_fault(void **state)
{
    static const struct {
        fault_t fault;
        int32_t code;
    } faults[] = {
        {CUT, 0},
        {CLOSE, 0},
        {WRONG_CRC, 0},
        {WRONG_HEADER, 0},
        {GARBAGE, 0},
        {SILENCE, 0},
        {MALFORMED, 0},
        {WRONG_STREAM, 0},
        {SERVER_SAYS, 0x1000},
        {SERVER_SAYS, 0x1001},
        {SERVER_SAYS, 0x1100},
        {FORGET, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        check_fault(faults[i].fault, faults[i].code, 5);
        check_fault(faults[i].fault, faults[i].code, 4);
    }
}

/* The cluster does not answer for a minute: the writer waits, and continues by itself. */
static void test_outage(void **state)
{
    rig_t rig;
    account_t account = {0};
    cm_err_t err;

    (void)state;
    rig_open(&rig, 1);
    rig.options.request_timeout_ms = 2000;
    rig.options.reconnect_max_ms = 2000;
    rig_connect(&rig);
    cm_cql_writer_t *writer = open_writer(
        &rig, &account,
        (cm_cql_writer_options_t){.batch_rows = 10, .max_rows = 1000, .retry_max_ms = 1000});
    add_all(&rig, writer, 500);
    cql_fake_stop(&rig.fake.nodes[0]);
    rig_settle(&rig);
    while (cm_cql_writer_added(writer) < 800)
        assert_int_equal(0, add(writer, (int)cm_cql_writer_added(writer)));
    rig_pass(&rig, 60000, 250);
    assert_true(cm_cql_writer_durable(writer) < 800);
    assert_int_equal(CM_EIO, cm_cql_writer_drain(writer, 0, &err));
    assert_non_null(strstr(err.text, "rows are not written within 0 ms; "));
    cql_fake_start(&rig.fake.nodes[0]);
    rig_pass(&rig, 6000, 50);
    check_all_written(&rig, writer, 800);
    cm_cql_writer_close(writer);
    rig_close(&rig);
}

/* One row of 300 is refused: the others are written, and that one is handed to the caller. */
static void test_refused_row(void **state)
{
    rig_t rig;
    account_t account = {.take_over = true};

    (void)state;
    rig_open(&rig, 2);
    rig.fake.poison = "r137";
    rig_connect(&rig);
    cm_cql_writer_t *writer =
        open_writer(&rig, &account, (cm_cql_writer_options_t){.batch_rows = 50});
    add_all(&rig, writer, 300);
    rig_settle(&rig);
    assert_int_equal(300, cm_cql_writer_durable(writer));
    assert_int_equal(1, account.refused);
    assert_int_equal(137, account.refused_row);
    assert_int_equal(CM_CQL_INVALID_QUERY, account.error.server_code);
    for (int i = 0; i < 300; i++)
        assert_int_equal(i == 137 ? 0 : 1, rig.fake.seen[i]);
    cm_cql_writer_close(writer);
    rig_close(&rig);
}

/* The caller does not take it over: it is tried again, the rows after it are not acknowledged, and
 * it is written when the server accepts it. */
static void test_refused_row_stays(void **state)
{
    rig_t rig;
    account_t account = {0};

    (void)state;
    rig_open(&rig, 1);
    rig.fake.poison = "r40";
    rig_connect(&rig);
    cm_cql_writer_t *writer =
        open_writer(&rig, &account, (cm_cql_writer_options_t){.batch_rows = 20});
    add_all(&rig, writer, 100);
    rig_pass(&rig, 3000, 50);
    assert_int_equal(40, cm_cql_writer_durable(writer));
    assert_true(account.asked > 3);
    rig.fake.poison = NULL;
    rig_pass(&rig, 6000, 50);
    check_all_written(&rig, writer, 100);
    cm_cql_writer_close(writer);
    rig_close(&rig);
}

/* Overload halves the number of batches in flight. */
static void test_window(void **state)
{
    rig_t rig;
    account_t account = {0};
    cm_cql_writer_stats_t stats;

    (void)state;
    rig_open(&rig, 1);
    rig_connect(&rig);
    cm_cql_writer_t *writer =
        open_writer(&rig, &account, (cm_cql_writer_options_t){.batch_rows = 1, .max_batches = 200});
    add_all(&rig, writer, 1000);
    rig_settle(&rig);
    cm_cql_writer_stats(writer, &stats);
    assert_int_equal(200, stats.window);
    rig.fake.nodes[0].fault = SERVER_SAYS;
    rig.fake.nodes[0].fault_code = 0x1001;
    rig.fake.nodes[0].fault_count = 50;
    add_all(&rig, writer, 1050);
    rig_settle(&rig);
    cm_cql_writer_stats(writer, &stats);
    assert_int_equal(100, stats.window);
    assert_int_equal(50, stats.waiting);
    rig_pass(&rig, 1000, 20);
    check_all_written(&rig, writer, 1050);
    cm_cql_writer_close(writer);
    rig_close(&rig);
}

/* While rows are written, node 1 leaves and node 2 joins: no row is lost. */
static void test_ring_changes(void **state)
{
    rig_t rig;
    account_t account = {0};

    (void)state;
    rig_open(&rig, 3);
    rig.fake.nodes[2].present = false;
    rig.options.request_timeout_ms = 1000;
    rig_connect(&rig);
    cm_cql_writer_t *writer =
        open_writer(&rig, &account, (cm_cql_writer_options_t){.batch_rows = 10, .max_rows = 256});
    add_all(&rig, writer, 1000);
    cql_fake_stop(&rig.fake.nodes[1]);
    rig.fake.nodes[1].present = false;
    rig.fake.nodes[2].present = true;
    cql_fake_event(&rig.fake, "TOPOLOGY_CHANGE", "NEW_NODE", &rig.fake.nodes[2]);
    add_all(&rig, writer, 2000);
    rig_pass(&rig, 3000, 50);
    add_all(&rig, writer, 4000);
    rig_pass(&rig, 3000, 50);
    check_all_written(&rig, writer, 4000);
    assert_true(rig.fake.nodes[2].rows > 500);
    cm_cql_writer_close(writer);
    rig_close(&rig);
}

/* Rows of a writer that is held are sent when they are released, and no others. */
static void test_held(void **state)
{
    rig_t rig;
    account_t account = {0};

    (void)state;
    rig_open(&rig, 2);
    rig_connect(&rig);
    cm_cql_writer_t *writer =
        open_writer(&rig, &account, (cm_cql_writer_options_t){.batch_rows = 10, .held = true});
    for (int i = 0; i < 3; i++) {
        while (cm_cql_writer_added(writer) < (uint64_t)(100 * (i + 1)))
            add(writer, (int)cm_cql_writer_added(writer));
        cm_cql_writer_flush(writer);
    }
    rig_pass(&rig, 1000, 50);
    assert_int_equal(0, rig.fake.nodes[0].requests + rig.fake.nodes[1].requests);
    cm_cql_writer_release(writer, 200);
    rig_pass(&rig, 1000, 50);
    assert_int_equal(200, cm_cql_writer_durable(writer));
    for (int i = 0; i < 300; i++)
        assert_int_equal(i < 200 ? 1 : 0, rig.fake.seen[i]);
    cm_cql_writer_release(writer, 100); /* a smaller number has no effect */
    cm_cql_writer_release(writer, 300);
    rig_settle(&rig);
    check_all_written(&rig, writer, 300);
    cm_cql_writer_close(writer);
    rig_close(&rig);
}

static void test_close_early(void **state)
{
    rig_t rig;
    account_t account = {0};

    (void)state;
    rig_open(&rig, 1);
    rig_connect(&rig);
    cm_cql_writer_t *writer =
        open_writer(&rig, &account, (cm_cql_writer_options_t){.batch_rows = 7});
    for (int i = 0; i < 100; i++)
        add(writer, i);
    cm_cql_writer_close(writer);
    rig_settle(&rig); /* answers that no call waits for */
    assert_int_equal(0, account.durable);
    rig_close(&rig);
}

/* A node forgets its statements again and again, more often than one attempt allows. */
static void test_forgotten_again_and_again(void **state)
{
    rig_t rig;
    account_t account = {0};

    (void)state;
    rig_open(&rig, 1);
    rig_connect(&rig);
    cm_cql_writer_t *writer =
        open_writer(&rig, &account, (cm_cql_writer_options_t){.batch_rows = 50});
    rig.fake.nodes[0].fault = FORGET;
    rig.fake.nodes[0].fault_count = 12;
    add_all(&rig, writer, 30);
    rig_pass(&rig, 20000, 50);
    check_all_written(&rig, writer, 30);
    cm_cql_writer_close(writer);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batches_by_replica),
        cmocka_unit_test(test_rows_at_their_nodes),
        cmocka_unit_test(test_single_rows),
        cmocka_unit_test(test_linger),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_survives_every_fault),
        cmocka_unit_test(test_outage),
        cmocka_unit_test(test_refused_row),
        cmocka_unit_test(test_refused_row_stays),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_ring_changes),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_close_early),
        cmocka_unit_test(test_forgotten_again_and_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
