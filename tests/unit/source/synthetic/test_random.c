#include "source/synthetic/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* First outputs of the authors' reference code for this state. */
static void is_xoshiro256_starstar(void **state)
{
    static const uint64_t expected[] = {
        UINT64_C(11520),
        UINT64_C(0),
        UINT64_C(1509978240),
        UINT64_C(1215971899390074240),
    };
    cm_random_t random = {{1, 2, 3, 4}};
    (void)state;
    for (int i = 0; i < 4; i++)
        assert_true(cm_random_next(&random) == expected[i]);
}

static void mix_is_splitmix64(void **state)
{
    uint64_t mix = 1234567;
    (void)state;
    assert_true(cm_random_mix(&mix) == UINT64_C(6457827717110365317));
    assert_true(cm_random_mix(&mix) == UINT64_C(3203168211198807973));
}

static void purposes_and_seeds_differ(void **state)
{
    cm_random_t a = cm_random_seeded(1, 1), b = cm_random_seeded(1, 2), c = cm_random_seeded(2, 1);
    (void)state;
    uint64_t first = cm_random_next(&a);
    assert_true(first != cm_random_next(&b));
    assert_true(first != cm_random_next(&c));
}

static void below_is_even(void **state)
{
    cm_random_t random = cm_random_seeded(5, 0);
    unsigned counts[10] = {0};
    (void)state;
    for (int i = 0; i < 1000000; i++)
        counts[cm_random_below(&random, 10)]++;
    for (int i = 0; i < 10; i++)
        assert_in_range(counts[i], 98500, 101500); /* five standard deviations */
}

static void zipf_has_its_shape(void **state)
{
    /* 1000 is not a power of two, so the last octave is cut. */
    enum { N = 1000, DRAWS = 4000000 };
    cm_random_t random = cm_random_seeded(7, 0);
    unsigned *counts = calloc(N, sizeof *counts);
    double harmonic = 0;
    (void)state;

    for (int k = 1; k <= N; k++)
        harmonic += 1.0 / k;
    for (int i = 0; i < DRAWS; i++)
        counts[cm_random_zipf(&random, N)]++; /* ASan finds an index out of range */
    for (int k = 1; k <= N; k++) {
        double expected = DRAWS / (harmonic * k), off = counts[k - 1] - expected;
        /* Six standard deviations of a count. */
        assert_true(off * off < 36 * expected);
    }
    free(counts);
}

static void zipf_of_one_is_zero(void **state)
{
    cm_random_t random = cm_random_seeded(7, 0);
    (void)state;
    for (int i = 0; i < 100; i++)
        assert_int_equal(cm_random_zipf(&random, 1), 0);
}

static void exponential_has_its_quantiles(void **state)
{
    /* -ln(1 - p) times 2^30 for p = 0.1, 0.5, 0.9, 0.99. */
    static const uint64_t quantiles[] = {113130467, 744261118, 2472381908, 4944763816};
    static const unsigned expected[] = {100000, 500000, 900000, 990000};
    cm_random_t random = cm_random_seeded(9, 0);
    unsigned below[4] = {0};
    uint64_t sum = 0;
    (void)state;

    for (int i = 0; i < 1000000; i++) {
        uint64_t value = cm_random_exponential(&random);
        sum += value >> 10;
        for (int q = 0; q < 4; q++)
            below[q] += value < quantiles[q];
    }
    for (int q = 0; q < 4; q++)
        assert_in_range(below[q], expected[q] - 2500, expected[q] + 2500);
    uint64_t mean = (sum << 10) / 1000000;
    assert_in_range(mean, 1073741824 / 1000 * 995, 1073741824 / 1000 * 1005);
}

static void shuffled_visits_everything_once(void **state)
{
    enum { N = 31900 };
    char seen[N] = {0};
    (void)state;
    for (uint32_t k = 0; k < N; k++)
        seen[cm_random_shuffled(k, N, 4000000000u)]++;
    for (int i = 0; i < N; i++)
        assert_int_equal(seen[i], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_xoshiro256_starstar),
        cmocka_unit_test(mix_is_splitmix64),
        cmocka_unit_test(purposes_and_seeds_differ),
        cmocka_unit_test(below_is_even),
        cmocka_unit_test(zipf_has_its_shape),
        cmocka_unit_test(zipf_of_one_is_zero),
        cmocka_unit_test(exponential_has_its_quantiles),
        cmocka_unit_test(shuffled_visits_everything_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
