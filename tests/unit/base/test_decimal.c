/* Exact decimals: what is a number and what is not, text, and averages against exact integers. */
#include "base/decimal.h"
#include "support.h"

#include <math.h>

static cm_decimal_t decimal(const char *text)
{
    cm_decimal_t number;

    if (!cm_decimal_parse(cm_str(text), &number))
        fail_msg("%s is a number", text);
    return number;
}

static void assert_text(const char *expected, cm_decimal_t number)
{
    cm_buf_t text = CM_BUF_INIT;

    cm_decimal_add_text(&text, number);
    assert_string_equal(expected, text.data);
    cm_buf_free(&text);
}

static void numbers(void **state)
{
    static const char *const pairs[][2] = {
        {"0", "0"},
        {"-0", "0"},
        {"-0.000", "0"},
        {"0e99999999999999999999", "0"},
        {"7", "7"},
        {"-12.50", "-12.5"},
        {"0.1", "0.1"},
        {"1.10", "1.1"},
        {"10", "10"},
        {"1e3", "1000"},
        {"1E+3", "1000"},
        {"1.5e-3", "0.0015"},
        {"-1e-9", "-0.000000001"},
        {"1e17", "100000000000000000"},
        {"0.1e18", "100000000000000000"},
        {"0.00000000000000000001e29", "1000000000"},
        {"999999999999999999.999999999", "999999999999999999.999999999"},
        {"-999999999999999999.999999999", "-999999999999999999.999999999"},
        {"999999999999999999999999999e-9", "999999999999999999.999999999"},
        {"1234567890123456789e-1", "123456789012345678.9"},
        /* Zeros at the end are no digits of the number. */
        {"1.50000000000000", "1.5"},
        {"10e-10", "0.000000001"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        assert_text(pairs[i][1], decimal(pairs[i][0]));
}

static void no_numbers(void **state)
{
    static const char *const none[] = {
        "",
        " 1",
        "1 ",
        "+1",
        ".5",
        "5.",
        "01",
        "-",
        "--1",
        "1e",
        "1e+",
        "1,5",
        "0x10",
        "NaN",
        "true",
        "1.e3",
        "1e1.5",
        "1_000",
        "00",
        "-01",
        "1e18",
        "1e-10",
        "0.1234567891",
        "1000000000000000000",
        "1e99999999999999999999",
        "1e-99999999999999999999",

        "999999999999999999.9999999999",
    };
    cm_decimal_t number;

    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        if (cm_decimal_parse(cm_str(none[i]), &number))
            fail_msg("%s is no such number", none[i]);
    }
    assert_false(cm_decimal_parse((cm_str_t){"1\0", 2}, &number));
    assert_true(cm_decimal_parse((cm_str_t){"123", 2}, &number));
    assert_text("12", number);
}

static void order_and_sums(void **state)
{
    cm_decimal_t sum = {0};

    (void)state;
    assert_true(cm_decimal_compare(decimal("9"), decimal("10")) < 0);
    assert_true(cm_decimal_compare(decimal("-9"), decimal("-10")) > 0);
    assert_true(cm_decimal_compare(decimal("1.0"), decimal("1e0")) == 0);
    assert_true(cm_decimal_compare(decimal("0.000000001"), decimal("0")) > 0);
    for (int i = 0; i < 10; i++)
        sum.scaled += decimal("0.1").scaled;
    assert_text("1", sum);
    sum.scaled = decimal("999999999999999999.999999999").scaled * 100000000000;
    assert_text("99999999999999999999999999900", sum);
    sum.scaled = -sum.scaled;
    assert_text("-99999999999999999999999999900", sum);
}

/* ---- averages ---- */

typedef unsigned __int128 wide_t;

/* a * b, which has up to 256 bits, as two halves. */
static void multiply(wide_t a, wide_t b, wide_t *high, wide_t *low)
{
    const wide_t mask = UINT64_MAX;
    const wide_t a0 = a & mask, a1 = a >> 64, b0 = b & mask, b1 = b >> 64;
    const wide_t middle = a1 * b0 + (a0 * b0 >> 64), cross = (middle & mask) + a0 * b1;

    *high = a1 * b1 + (middle >> 64) + (cross >> 64);
    *low = cross << 64 | (a0 * b0 & mask);
}

/* The sign of half / 2 * 2^exponent - size / divisor, for a `half` of at most 55 bits. */
static int compare(wide_t half, int exponent, wide_t size, wide_t divisor)
{
    wide_t left = half, right = size, other = 1, high[2], low[2];

    exponent -= 1;
    /* half * divisor * 2^e against size, the power on the side where it is a whole number. */
    if (exponent >= 0)
        left <<= exponent;
    else if (exponent > -120)
        other <<= -exponent;
    else { /* the quotient is so small that `size` is, too */
        right <<= 40;
        other <<= -exponent - 40;
    }
    multiply(left, divisor, &high[0], &low[0]);
    multiply(right, other, &high[1], &low[1]);
    if (high[0] != high[1])
        return high[0] < high[1] ? -1 : 1;
    return low[0] == low[1] ? 0 : low[0] < low[1] ? -1 : 1;
}

/* The quotient lies between the middles to the doubles above and below; on a middle the double is
 * even. */
static void assert_average(__int128 scaled, int64_t count)
{
    int exponent;
    const double average = cm_decimal_average((cm_decimal_t){scaled}, count);
    const double fraction = frexp(fabs(average), &exponent);
    const uint64_t bits = (uint64_t)ldexp(fraction, 53);
    const wide_t size = scaled < 0 ? -(wide_t)scaled : (wide_t)scaled;
    const wide_t divisor = (wide_t)1000000000 * (wide_t)count;

    exponent -= 53;
    assert_true(bits >= UINT64_C(1) << 52 && bits < UINT64_C(1) << 53);
    assert_true((average < 0) == (scaled < 0));
    const int above = compare(2 * (wide_t)bits + 1, exponent, size, divisor);
    const int below = compare(2 * (wide_t)bits - 1, exponent, size, divisor);
    if (above < 0 || below > 0 || ((above == 0 || below == 0) && bits % 2 != 0))
        fail_msg("%.17g is not the nearest double (count %lld)", average, (long long)count);
}

static void averages(void **state)
{
    uint64_t random = 19;

    (void)state;
    assert_true(cm_decimal_average(decimal("0"), 3) == 0.0);
    assert_true(cm_decimal_average(decimal("1"), 3) == 1.0 / 3);
    assert_true(cm_decimal_average(decimal("-10"), 4) == -2.5);
    assert_true(cm_decimal_average(decimal("0.1"), 1) == 0.1);
    assert_true(cm_decimal_average(decimal("0.3"), 3) == 0.1);
    assert_true(cm_decimal_average(decimal("999999999999999999.999999999"), 1) == 1e18);
    assert_true(cm_decimal_average(decimal("0.000000001"), INT64_MAX) == 0x1.12e0be826d695p-93);
    /* 2^53 + 1 lies in the middle: to the even one below; 2^53 + 3 to the even one above. */
    assert_true(cm_decimal_average(decimal("9007199254740993"), 1) == 9007199254740992.0);
    assert_true(cm_decimal_average(decimal("9007199254740995"), 1) == 9007199254740996.0);
    /* A little beside the middle, at the ninth digit after the point. */
    assert_true(cm_decimal_average(decimal("9007199254740993.000000001"), 1) == 9007199254740994.0);
    assert_true(cm_decimal_average(decimal("9007199254740992.999999999"), 1) == 9007199254740992.0);
    assert_true(cm_decimal_average(decimal("18014398509481986"), 2) == 9007199254740992.0);
    /* The same, at a bit of the quotient far behind those of a double. */
    const __int128 middle = ((__int128)1 << 53 | 1) << 20;
    assert_true(cm_decimal_average((cm_decimal_t){middle * 1000000000}, 1) == 0x1p73);
    assert_true(cm_decimal_average((cm_decimal_t){(middle + 1) * 1000000000}, 1) ==
                0x1.0000000000001p73);
    assert_true(cm_decimal_average((cm_decimal_t){middle * 1000000000 + 1}, 1) ==
                0x1.0000000000001p73);
    for (int round = 0; round < 200000; round++) {
        __int128 scaled = (__int128)((wide_t)test_random(&random) << 64 | test_random(&random));
        scaled >>= test_random(&random) % 127;
        int64_t count = (int64_t)(test_random(&random) >> 1 >> test_random(&random) % 63);
        /* On a middle, or one beside it, of 53 bits. */
        if (round % 4 == 0) {
            count >>= 32;
            wide_t half = (test_random(&random) >> 11 | UINT64_C(1) << 52) * 2 + 1;
            half = half * 1000000000 * (wide_t)(count + (count == 0));
            scaled = half >> 126 ? scaled : (__int128)half + (int)(test_random(&random) % 3) - 1;
        }
        if (scaled != 0)
            assert_average(scaled, count + (count == 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(no_numbers),
        cmocka_unit_test(order_and_sums),
        cmocka_unit_test(averages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
