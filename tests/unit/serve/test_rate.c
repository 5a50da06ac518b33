/* How much an address may send: requests, events, bytes and wrong tokens. */
#include "support.h"

#include "serve/rate.h"

static void a_burst_and_then_the_rate(void **context)
{
    const int64_t second = 1000000000;
    cm_rate_t *rate = cm_rate_new(&(cm_rate_limits_t){.requests = 5});
    cm_str_t one = CM_STR("192.0.2.1"), other = CM_STR("192.0.2.2");
    int64_t now = 7 * second;

    (void)context;
    for (int i = 0; i < 50; i++)
        assert_int_equal(cm_rate_take(rate, one, now), 0);
    assert_int_equal(cm_rate_take(rate, one, now), 1);
    assert_int_equal(cm_rate_take(rate, other, now), 0);
    now += second / 5; /* one more token is there */
    assert_int_equal(cm_rate_take(rate, one, now), 0);
    assert_int_equal(cm_rate_take(rate, one, now), 1);
    now += 10 * second;
    for (int i = 0; i < 50; i++)
        assert_int_equal(cm_rate_take(rate, one, now), 0);
    assert_int_equal(cm_rate_take(rate, one, now), 1);
    cm_rate_free(rate);
}

static void what_was_brought_is_owed(void **context)
{
    const int64_t second = 1000000000;
    cm_rate_t *rate =
        cm_rate_new(&(cm_rate_limits_t){.requests = 100, .events = 10, .bytes = 1000});
    cm_str_t one = CM_STR("192.0.2.1"), other = CM_STR("192.0.2.2");
    int64_t now = 7 * second;

    (void)context;
    cm_rate_charge(rate, one, 100, 0, now);
    assert_int_equal(cm_rate_debt(rate, one, now), 0);
    assert_int_equal(cm_rate_take(rate, one, now), 0);
    cm_rate_charge(rate, one, 50, 0, now);
    assert_int_equal(cm_rate_debt(rate, one, now), 5);
    assert_int_equal(cm_rate_take(rate, one, now), 5);
    cm_rate_charge(rate, one, 0, 18000, now);
    assert_int_equal(cm_rate_debt(rate, one, now), 8);
    assert_int_equal(cm_rate_take(rate, other, now), 0);
    now += 8 * second;
    assert_int_equal(cm_rate_take(rate, one, now), 0);
    cm_rate_free(rate);
    rate = cm_rate_new(&(cm_rate_limits_t){.requests = 0}); /* without limits */
    cm_rate_charge(rate, one, INT64_C(1) << 40, INT64_C(1) << 50, now);
    for (int i = 0; i < 10000; i++)
        assert_int_equal(cm_rate_take(rate, one, now), 0);
    cm_rate_free(rate);
}

static void wrong_tokens(void **context)
{
    const int64_t second = 1000000000;
    cm_rate_t *rate = cm_rate_new(&(cm_rate_limits_t){.requests = 0});
    cm_str_t one = CM_STR("192.0.2.1"), other = CM_STR("192.0.2.2");
    int64_t now = 7 * second;

    (void)context;
    for (int i = 0; i < CM_RATE_FAILURES; i++) {
        assert_int_equal(cm_rate_locked(rate, one, now), 0);
        cm_rate_fail(rate, one, now);
    }
    assert_int_equal(cm_rate_locked(rate, one, now), 10);
    assert_int_equal(cm_rate_locked(rate, other, now), 0);
    now += 10 * second;
    assert_int_equal(cm_rate_locked(rate, one, now), 0);
    cm_rate_fail(rate, one, now);
    assert_int_equal(cm_rate_locked(rate, one, now), 10);
    cm_rate_free(rate);
}

/* More addresses than the table has entries: no address is refused because of another one. */
static void many_addresses(void **context)
{
    cm_rate_t *rate = cm_rate_new(&(cm_rate_limits_t){.requests = 1});
    char text[24];

    (void)context;
    for (int i = 0; i < 100000; i++) {
        int len = snprintf(text, sizeof text, "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
        assert_int_equal(cm_rate_take(rate, (cm_str_t){text, (size_t)len}, i + 1), 0);
    }
    cm_rate_free(rate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_and_then_the_rate),
        cmocka_unit_test(what_was_brought_is_owed),
        cmocka_unit_test(wrong_tokens),
        cmocka_unit_test(many_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
