/* What an intake says of its partitions. */
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(lags)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
