/* Scans: every row once, in ranges and pages, whatever the nodes do. */
#include "cql_rig.h"

typedef struct reading {
    int64_t rows;
    int ended, pages, stop_after;
    unsigned char seen[FAKE_ROWS];
    cm_cql_error_t error;
} reading_t;

static int on_page(void *context, cm_cql_rows_t *rows)
{
    reading_t *reading = context;

    reading->pages++;
    while (cm_cql_next(rows)) {
        reading->seen[cm_cql_get_i64(rows->cells[1])]++;
        reading->rows++;
    }
    return reading->pages == reading->stop_after;
}

static void on_scanned(void *context, const cm_cql_error_t *error)
{
    reading_t *reading = context;

    reading->ended++;
    if (error != NULL)
        reading->error = *error;
}

static cm_cql_scan_t *begin(rig_t *rig, reading_t *reading, cm_cql_scan_options_t options)
{
    cm_cql_scan_t *scan = NULL;
    cm_err_t err = {0};

    memset(reading, 0, sizeof *reading);
    options.keyspace = options.keyspace ? options.keyspace : "ks";
    options.table = "tab";
    assert_ok(cm_cql_scan_open(rig->session, &options, on_page, on_scanned, reading, &scan, &err),
              err);
    return scan;
}

static void check_complete(const rig_t *rig, const reading_t *reading)
{
    assert_int_equal(1, reading->ended);
    assert_string_equal("", reading->error.text);
    assert_int_equal(rig->fake.many, reading->rows);
    for (int i = 0; i < rig->fake.many; i++)
        assert_int_equal(1, reading->seen[i]);
}

static void test_whole_table(void **state)
{
    (void)state;
    for (int version = 4; version <= 5; version++) {
        rig_t rig;
        static reading_t reading;
        cm_cql_scan_stats_t stats;
        rig_open(&rig, 3);
        rig.options.version = version;
        rig.fake.many = 16000;
        rig_connect(&rig);
        cm_cql_scan_t *scan =
            begin(&rig, &reading, (cm_cql_scan_options_t){.ranges = 64, .page_size = 100});
        rig_settle(&rig);
        check_complete(&rig, &reading);
        cm_cql_scan_stats(scan, &stats);
        assert_int_equal(16000, stats.rows);
        assert_int_equal(stats.ranges, stats.ranges_done);
        assert_in_range(stats.ranges, 64, 64 + 13); /* no range crosses a token of the ring */
        assert_true(stats.pages >= 160);
        for (int i = 0; i < 3; i++) /* a range is read from the node that has it */
            assert_in_range(rig.fake.nodes[i].requests, stats.pages / 3 - 40, stats.pages / 3 + 40);
        cm_cql_scan_close(scan);
        rig_close(&rig);
    }
}

static void test_one_range(void **state)
{
    rig_t rig;
    static reading_t reading;

    (void)state;
    rig_open(&rig, 1);
    rig.fake.nodes[0].token_count = 0; /* no ring is known */
    rig_connect(&rig);
    cm_cql_scan_t *scan = begin(&rig, &reading, (cm_cql_scan_options_t){.ranges = 1});
    rig_settle(&rig);
    check_complete(&rig, &reading);
    assert_int_equal(10, reading.pages);
    cm_cql_scan_close(scan);
    rig_close(&rig);
}

static void test_faults_on_the_way(void **state)
{
    static const fault_t faults[] = {CUT, CLOSE, WRONG_CRC, GARBAGE, SILENCE, MALFORMED, FORGET};

    (void)state;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        rig_t rig;
        static reading_t reading;
        rig_open(&rig, 2);
        rig.options.request_timeout_ms = 1000;
        rig_connect(&rig);
        cm_cql_scan_t *scan =
            begin(&rig, &reading, (cm_cql_scan_options_t){.ranges = 16, .parallel = 4});
        rig.fake.nodes[1].fault = faults[i];
        rig.fake.nodes[1].fault_count = 3;
        rig.fake.nodes[1].skip = 2;
        rig_pass(&rig, 10000, 100);
        check_complete(&rig, &reading);
        cm_cql_scan_close(scan);
        rig_close(&rig);
    }
}

/* No node answers for longer than a request waits for a node. */
static void test_outage(void **state)
{
    rig_t rig;
    static reading_t reading;

    (void)state;
    rig_open(&rig, 1);
    rig.options.request_timeout_ms = 1000;
    rig.options.reconnect_max_ms = 500;
    rig.fake.page_rows = 20;
    rig_connect(&rig);
    rig.fake.nodes[0].fault = CLOSE;
    rig.fake.nodes[0].fault_count = 4;
    rig.fake.nodes[0].skip = 10;
    cm_cql_scan_t *scan =
        begin(&rig, &reading, (cm_cql_scan_options_t){.ranges = 16, .parallel = 4});
    while (rig.fake.nodes[0].fault_count == 4)
        rig_pass(&rig, 10, 10);
    cql_fake_stop(&rig.fake.nodes[0]);
    rig_pass(&rig, 5000, 100);
    assert_int_equal(0, reading.ended);
    cql_fake_start(&rig.fake.nodes[0]);
    rig_pass(&rig, 15000, 100);
    check_complete(&rig, &reading);
    cm_cql_scan_close(scan);
    rig_close(&rig);
}

static void test_error_ends_it(void **state)
{
    rig_t rig;
    static reading_t reading;

    (void)state;
    rig_open(&rig, 1);
    rig_connect(&rig);
    rig.fake.nodes[0].fault = SERVER_SAYS;
    rig.fake.nodes[0].fault_code = 0x2100;
    rig.fake.nodes[0].fault_count = -1;
    rig.fake.nodes[0].skip = 3;
    cm_cql_scan_t *scan = begin(&rig, &reading, (cm_cql_scan_options_t){.parallel = 4});
    rig_settle(&rig);
    assert_int_equal(1, reading.ended);
    assert_int_equal(CM_CQL_UNAUTHORIZED, reading.error.server_code);
    cm_cql_scan_close(scan);
    rig_close(&rig);
}

static void test_stopped(void **state)
{
    rig_t rig;
    static reading_t reading;

    (void)state;
    rig_open(&rig, 1);
    rig_connect(&rig);
    cm_cql_scan_t *scan = begin(&rig, &reading, (cm_cql_scan_options_t){.parallel = 4});
    reading.stop_after = 5;
    rig_settle(&rig);
    assert_int_equal(1, reading.ended);
    assert_int_equal(5, reading.pages);
    assert_int_equal(CM_CQL_CANCELLED, reading.error.code);
    cm_cql_scan_close(scan);

    scan = begin(&rig, &reading, (cm_cql_scan_options_t){.parallel = 4});
    cm_cql_scan_close(scan); /* at once */
    rig_settle(&rig);
    assert_int_equal(0, reading.ended);
    rig_close(&rig);
}

static void test_no_such_scan(void **state)
{
    rig_t rig;
    cm_cql_scan_t *scan;
    cm_err_t err;
    cm_cql_scan_options_t options = {.keyspace = "ks"};

    (void)state;
    rig_open(&rig, 1);
    rig_connect(&rig);
    assert_int_equal(
        CM_EUSAGE, cm_cql_scan_open(rig.session, &options, on_page, on_scanned, NULL, &scan, &err));
    assert_non_null(strstr(err.text, "a scan needs a keyspace, a table"));
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_table),
        cmocka_unit_test(test_one_range),
        cmocka_unit_test(test_faults_on_the_way),
        cmocka_unit_test(test_error_ends_it),
        cmocka_unit_test(test_outage),
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_no_such_scan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
