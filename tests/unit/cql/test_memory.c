/* Out of memory: sampled allocations of the client fail, and every request still ends, with success
 * or with an error and a sentence; afterwards the session works again.
 *
 * The linker option --wrap (tests/meson.build) redirects the allocations of the program to
 * failing_memory.h. They fail only while the client itself runs: neither the cluster nor cmocka is
 * short of memory. */
#include "certificates.h"
#include "cql_rig.h"
#include "failing_memory.h"

enum { ALL = 200, SOME = 50, IN_A_ROW = 40, MANY = 250, ROWS = 60 };

int __real_cm_cql_run(cm_cql_t *session, int timeout_ms, cm_err_t *err);
int __wrap_cm_cql_run(cm_cql_t *session, int timeout_ms, cm_err_t *err);

int __wrap_cm_cql_run(cm_cql_t *session, int timeout_ms, cm_err_t *err)
{
    failing_memory.inside++;
    int rc = __real_cm_cql_run(session, timeout_ms, err);
    failing_memory.inside--;
    return rc;
}

/* ---- one session ---- */

/* A call's return code: success, or out of memory with a sentence. */
static bool succeeded(int rc, const cm_err_t *err)
{
    failing_memory.inside--;
    if (rc == 0)
        return true;
    assert_int_equal(CM_ENOMEM, rc);
    assert_string_equal("cql: out of memory", err->text);
    return false;
}

/* What a callback got: success, or out of memory with a sentence. */
static bool arrived(const outcome_t *outcome)
{
    if (outcome->error.code == CM_CQL_OK)
        return true;
    if (strstr(outcome->error.text, "out of memory") == NULL)
        fail_msg("%s: %s", cm_cql_code_name(outcome->error.code), outcome->error.text);
    return false;
}

static cm_cql_prepared_t *prepare(rig_t *rig)
{
    for (int i = 0; i < IN_A_ROW + 2; i++) {
        cm_cql_prepared_t *prepared = NULL;
        outcome_t outcome = {0};
        cm_err_t err = {0};
        failing_memory.inside++;
        if (!succeeded(
                cm_cql_prepare(rig->session, cm_str(INSERT), &prepared, on_outcome, &outcome, &err),
                &err))
            continue;
        rig_pass(rig, 3000, 250);
        assert_int_equal(1, outcome.calls);
        if (arrived(&outcome))
            return prepared;
    }
    fail_msg("the statement is never prepared");
    return NULL;
}

static void insert(rig_t *rig, cm_cql_prepared_t *prepared, int number, bool idempotent)
{
    cm_cql_value_t values[] = {cm_cql_text(CM_STR("r1")), cm_cql_i64(number)};
    cm_cql_request_t request = {.idempotent = idempotent};
    outcome_t outcome = {0};
    cm_err_t err = {0};

    failing_memory.inside++;
    if (!succeeded(
            cm_cql_execute(rig->session, prepared, values, 2, &request, on_outcome, &outcome, &err),
            &err))
        return;
    rig_pass(rig, 3000, 250);
    assert_int_equal(1, outcome.calls);
    arrived(&outcome);
}

static void query(rig_t *rig)
{
    cm_cql_request_t request = {.idempotent = true, .page_size = 100};
    outcome_t outcome = {0};
    cm_err_t err = {0};

    failing_memory.inside++;
    if (!succeeded(cm_cql_query(rig->session, CM_STR("SELECT key, value FROM ks.many"), NULL, 0,
                                &request, on_outcome, &outcome, &err),
                   &err))
        return;
    rig_pass(rig, 3000, 250);
    assert_true(outcome.calls > 0);
    if (arrived(&outcome))
        assert_int_equal(MANY, outcome.rows);
}

/* A writer tries every row until it is written. */
static void write_rows(rig_t *rig, cm_cql_prepared_t *prepared)
{
    cm_cql_writer_options_t options = {.batch_rows = 10, .retry_min_ms = 10, .retry_max_ms = 100};
    cm_cql_writer_t *writer = NULL;
    cm_err_t err = {0};
    int tries = 0;

    do
        failing_memory.inside++;
    while (!succeeded(cm_cql_writer_open(rig->session, prepared, &options, &writer, &err), &err) &&
           ++tries < IN_A_ROW + 2);
    assert_non_null(writer);
    for (int i = 0; i < ROWS && tries < 2 * IN_A_ROW;) {
        char key[16];
        snprintf(key, sizeof key, "r%d", 100 + i);
        cm_cql_value_t values[] = {cm_cql_text(cm_str(key)), cm_cql_i64(i)};
        failing_memory.inside++;
        if (succeeded(cm_cql_writer_add(writer, values, 2, &err), &err))
            i++;
        else
            tries++;
    }
    for (int i = 0; i < 200 && cm_cql_writer_durable(writer) < ROWS; i++)
        rig_pass(rig, 100, 50);
    assert_int_equal(ROWS, cm_cql_writer_added(writer));
    assert_int_equal(ROWS, cm_cql_writer_durable(writer));
    for (int i = 0; i < ROWS; i++)
        assert_true(rig->fake.seen[100 + i] >= 1);
    cm_cql_writer_close(writer);
}

typedef struct scanned {
    int64_t rows;
    int ends;
    outcome_t outcome;
} scanned_t;

static int on_page(void *context, cm_cql_rows_t *rows)
{
    ((scanned_t *)context)->rows += rows->row_count;
    return 0;
}

static void on_scanned(void *context, const cm_cql_error_t *error)
{
    scanned_t *scanned = context;

    scanned->ends++;
    if (error != NULL)
        scanned->outcome.error = *error;
}

static void scan(rig_t *rig)
{
    cm_cql_scan_options_t options = {
        .keyspace = "ks", .table = "many", .ranges = 8, .parallel = 3, .page_size = 20};
    scanned_t scanned = {0};
    cm_cql_scan_t *scan = NULL;
    cm_err_t err = {0};

    failing_memory.inside++;
    if (!succeeded(
            cm_cql_scan_open(rig->session, &options, on_page, on_scanned, &scanned, &scan, &err),
            &err))
        return;
    for (int i = 0; i < 40 && scanned.ends == 0; i++)
        rig_pass(rig, 1000, 250);
    assert_int_equal(1, scanned.ends);
    if (arrived(&scanned.outcome))
        assert_int_equal(MANY, scanned.rows);
    cm_cql_scan_close(scan);
}

static void wait_until_ready(rig_t *rig)
{
    for (int i = 0; i < 100 && cm_cql_state(rig->session) != CM_CQL_READY; i++)
        rig_pass(rig, 1000, 250);
    assert_int_equal(CM_CQL_READY, cm_cql_state(rig->session));
}

/* What a session uses: bits of a variant. */
enum { VERSION_5 = 1, LZ4 = 2, TLS = 4 };

static SSL_CTX *server_tls(void)
{
    pair_t pair = make_pair("node", NULL, NULL, 1);
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());

    assert_non_null(tls);
    assert_int_equal(1, SSL_CTX_use_certificate(tls, pair.cert));
    assert_int_equal(1, SSL_CTX_use_PrivateKey(tls, pair.key));
    X509_free(pair.cert);
    EVP_PKEY_free(pair.key);
    return tls;
}

/* Everything that a session does, once. */
static void live(int variant)
{
    rig_t rig;
    cm_err_t err = {0};

    rig_open(&rig, 2);
    rig.fake.many = MANY;
    rig.options.version = variant & VERSION_5 ? 5 : 4;
    rig.options.compression = variant & LZ4 ? CM_CQL_LZ4 : CM_CQL_UNCOMPRESSED;
    if (variant & TLS) {
        rig.fake.tls = server_tls();
        rig.options.tls = (cm_cql_tls_t){.enabled = true, .insecure = true};
    }
    rig.options.username = "user";
    rig.options.password = "secret";
    rig.fake.username = "user";
    rig.fake.password = "secret";
    rig.options.retry_min_ms = 10;
    rig.options.retry_max_ms = 100;
    rig.options.reconnect_max_ms = 500;
    rig.options.request_timeout_ms = 2000;
    failing_memory.inside++;
    if (succeeded(cm_cql_open(&rig.options, &rig.session, &err), &err)) {
        wait_until_ready(&rig);
        cm_cql_prepared_t *prepared = prepare(&rig);
        for (int i = 0; i < 4; i++)
            insert(&rig, prepared, i, i % 2);
        rig.fake.nodes[0].prepared_count = rig.fake.nodes[1].prepared_count = 0;
        insert(&rig, prepared, 4, true);
        query(&rig);
        cm_cql_refresh(rig.session);
        rig_pass(&rig, 2000, 250);
        write_rows(&rig, prepared);
        scan(&rig);
        rig_pass(&rig, 20000, 1000); /* heartbeats */
        wait_until_ready(&rig);
        insert(&rig, prepared, 5, true);
        cm_cql_stats_t stats;
        cm_cql_stats(rig.session, &stats);
        assert_int_equal(0, stats.in_flight);
    }
    rig_close(&rig);
}

/* Fails `in_a_row` allocations from each of `most` places on, or from each where there are fewer.
 */
static void fail_samples(int variant, long in_a_row, long most)
{
    failing_memory.failures = 0;
    failing_memory.count = 0;
    live(variant);
    long all = failing_memory.count;
    assert_true(all > 100);
    print_message("%ld allocations\n", all);
    long samples = all < most ? all : most;
    for (long i = 0; i < samples; i++) {
        failing_memory = (failing_memory_t){.from = all * i / samples, .failures = in_a_row};
        live(variant);
    }
    failing_memory.failures = 0;
}

static void test_one_fails_version_4(void **state)
{
    (void)state;
    fail_samples(0, 1, ALL);
}

static void test_one_fails_version_5(void **state)
{
    (void)state;
    fail_samples(VERSION_5 | LZ4, 1, ALL);
}

static void test_many_fail_version_4(void **state)
{
    (void)state;
    fail_samples(LZ4, IN_A_ROW, SOME);
}

static void test_many_fail_version_5(void **state)
{
    (void)state;
    fail_samples(VERSION_5, IN_A_ROW, SOME);
}

static void test_one_fails_with_tls(void **state)
{
    (void)state;
    fail_samples(VERSION_5 | TLS, 1, SOME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_fails_version_4), cmocka_unit_test(test_one_fails_version_5),
        cmocka_unit_test(test_many_fail_version_4), cmocka_unit_test(test_many_fail_version_5),
        cmocka_unit_test(test_one_fails_with_tls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
