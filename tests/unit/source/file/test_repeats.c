#include "source/file/repeats.h"
#include "source/visitor.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static void counts_within_a_second(void **state)
{
    cm_repeats_t repeats = CM_REPEATS_INIT;

    (void)state;
    assert_int_equal(0, cm_repeats_count(&repeats, 7, 100));
    assert_int_equal(1, cm_repeats_count(&repeats, 7, 100));
    assert_int_equal(0, cm_repeats_count(&repeats, 8, 100));
    assert_int_equal(0, cm_repeats_count(&repeats, 7, 101));
    assert_int_equal(2, cm_repeats_count(&repeats, 7, 100));
    assert_int_equal(0, cm_repeats_count(&repeats, 0, 0));
    assert_int_equal(1, cm_repeats_count(&repeats, 0, 0));
    cm_repeats_free(&repeats);
}

/* An hour of 100 lines a second, each twice with half an hour between: no line is forgotten. */
static void remembers_an_hour(void **state)
{
    cm_repeats_t repeats = CM_REPEATS_INIT;

    (void)state;
    for (uint32_t second = 0; second < 3600; second++) {
        for (uint64_t i = 0; i < 100; i++) {
            assert_int_equal(0, cm_repeats_count(&repeats, mix(second * 100 + i), second));
            if (second >= 1800)
                assert_int_equal(
                    1, cm_repeats_count(&repeats, mix((second - 1800) * 100 + i), second - 1800));
        }
    }
    assert_int_equal(360000, repeats.used);
    cm_repeats_free(&repeats);
}

static void forgets_what_is_older(void **state)
{
    cm_repeats_t repeats = CM_REPEATS_INIT;

    (void)state;
    for (uint32_t second = 0; second < 1000000; second++) {
        assert_int_equal(0, cm_repeats_count(&repeats, mix(second), second));
        assert_int_equal(1, cm_repeats_count(&repeats, mix(second), second));
    }
    /* One entry a second for an hour: 3,601 in a table of 8,192. */
    assert_int_equal(8192, repeats.size);
    cm_repeats_free(&repeats);
}

static void is_bounded_on_a_busy_site(void **state)
{
    cm_repeats_t repeats = CM_REPEATS_INIT;

    (void)state;
    for (uint32_t second = 0; second < 60; second++) {
        for (uint64_t i = 0; i < 100000; i++)
            assert_int_equal(0, cm_repeats_count(&repeats, mix(second * 100000 + i), second));
        assert_int_equal(1, cm_repeats_count(&repeats, mix(second * 100000), second));
    }
    assert_int_equal(CM_REPEATS_MAX, repeats.size);
    cm_repeats_free(&repeats);
}

/* Compared with Python's hmac of the same bytes. */
static void visitors_are_keyed_hashes(void **state)
{
    uint8_t key[CM_VISITOR_KEY];
    cm_visitor_t visitor;
    char text[CM_VISITOR_TEXT];

    (void)state;
    for (uint8_t i = 0; i < sizeof key; i++)
        key[i] = i;
    cm_visitor_init(&visitor, key);
    for (int i = 0; i < 2; i++) {
        cm_visitor_id(&visitor, CM_STR("192.0.2.1"), CM_STR("Mozilla/5.0"), text);
        assert_memory_equal("fc80d6a07ad15c8e1d16d150177ff9e9", text, sizeof text);
        cm_visitor_id(&visitor, CM_STR("192.0.2.1"), CM_STR(""), text);
        assert_memory_equal("8046bb6e262b7a71531f1e559c15e65e", text, sizeof text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_within_a_second),    cmocka_unit_test(remembers_an_hour),
        cmocka_unit_test(forgets_what_is_older),     cmocka_unit_test(is_bounded_on_a_busy_site),
        cmocka_unit_test(visitors_are_keyed_hashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
