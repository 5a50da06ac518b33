/* What an intake says of its partitions, and of the server that it waits for. */
#include "support.h"

#include "pipeline/intake.h"

static void says(const cm_source_kafka_lag_t *lags, size_t count, const char *wanted)
{
    cm_source_kafka_lag_t copy[8];
    cm_buf_t line = CM_BUF_INIT;

    memcpy(copy, lags, count * sizeof *lags);
    cm_buf_add_char(&line, '#');
    cm_intake_add_lags(&line, copy, count);
    assert_string_equal(line.data + 1, wanted);
    cm_buf_free(&line);
}

/* An unknown lag is not counted as 0. */
static void lags(void **state)
{
    const cm_source_kafka_lag_t two[] = {{0, 5, 10}, {1, 0, 2000}};
    const cm_source_kafka_lag_t none[] = {{0, 10, 10}, {1, 9, 9}};
    const cm_source_kafka_lag_t some[] = {{0, 10, 10}, {1, 0, -1}, {2, -1, 7}};
    const cm_source_kafka_lag_t unknown[] = {{0, 10, -1}, {1, -1, -1}};
    const cm_source_kafka_lag_t both[] = {{0, 10, 20}, {1, -1, 5}};
    const cm_source_kafka_lag_t many[] = {{0, 0, 1}, {1, 0, 2}, {2, 0, 3}, {3, 0, 4},
                                          {4, 0, 5}, {5, 0, 6}, {6, 0, 7}};

    (void)state;
    says(two, 2, ", 2 partitions, lag 2,005 (1: 2,000, 0: 5)");
    says(none, 2, ", 2 partitions, lag 0");
    says(some, 3, ", 3 partitions, lag 0, unknown of 2");
    says(unknown, 2, ", 2 partitions, lag unknown");
    says(both, 2, ", 2 partitions, lag 10 (0: 10), unknown of 1");
    says(two, 0, ", no partitions, lag unknown");
    says(many, 7, ", 7 partitions, lag 28 (6: 7, 5: 6, 4: 5, 3: 4, 2: 3, 1: 2, ...)");
}

static const char *find_trouble(cm_store_t *store)
{
    (void)store;
    return "connection refused";
}

/* The status names the engine of the store that does not answer. */
static void waiting(void **state)
{
    const cm_store_ops_t ops = {.trouble = find_trouble};
    cm_store_t store = {.ops = &ops};
    const cm_pipeline_env_t env = {.log = NULL};
    cm_buf_t line = CM_BUF_INIT;
    const cm_enrich_settings_t enrich = {.geoip = NULL};
    cm_intake_t intake;
    cm_err_t err;

    (void)state;
    assert_ok(cm_intake_init(&intake, &env, "PostgreSQL", &enrich, &err), err);
    cm_intake_note_waiting(&intake, NULL);
    cm_intake_add_waiting(&intake, &line);
    assert_int_equal(line.len, 0);
    cm_intake_note_waiting(&intake, &store);
    cm_intake_add_waiting(&intake, &line);
    assert_string_equal(line.data, "; waiting for PostgreSQL: connection refused");
    cm_buf_free(&line);
    cm_intake_close(&intake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lags), cmocka_unit_test(waiting)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
