/* The fast writers, compared with simple code that does the same. */
#include "base/put.h"

#include "support.h"

/* A number; the byte after it must not change. */
static void expect_number(uint64_t value)
{
    char expected[32], text[CM_PUT_U64 + 3];

    memset(text, '#', sizeof text);
    int len = snprintf(expected, sizeof expected, "%llu", (unsigned long long)value);
    assert_ptr_equal(cm_put_u64(text, value), text + len);
    assert_memory_equal(text, expected, len);
    assert_int_equal(text[len], '#');
    memset(text, '#', sizeof text);
    len = snprintf(expected, sizeof expected, "%lld", (long long)value);
    assert_ptr_equal(cm_put_i64(text, (int64_t)value), text + len);
    assert_memory_equal(text, expected, len);
    assert_int_equal(text[len], '#');
}

static void numbers(void **state)
{
    uint64_t seed = 1;

    (void)state;
    expect_number(0);
    expect_number(UINT64_MAX);
    expect_number(INT64_MAX);
    expect_number((uint64_t)INT64_MIN);
    for (uint64_t power = 1, i = 0; i < 20; i++, power *= 10) {
        expect_number(power - 1);
        expect_number(power);
        expect_number(power + 1);
    }
    for (int i = 0; i < 20000; i++)
        expect_number(test_random(&seed) >> i % 64);
}

static void tables(void **state)
{
    char text[3] = "##", expected[4];

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        snprintf(expected, sizeof expected, "%02u", i);
        assert_ptr_equal(cm_put_2_digits(text, i), text + 2);
        assert_string_equal(text, expected);
    }
    for (unsigned i = 0; i < 256; i++) {
        snprintf(expected, sizeof expected, "%02x", i);
        assert_ptr_equal(cm_put_hex(text, (uint8_t)i), text + 2);
        assert_string_equal(text, expected);
    }
}

static bool must_escape(char c)
{
    return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

/* The bytes that cm_put_json() must write, one after the other. */
static size_t slow_json(const char *from, size_t len, char *to)
{
    static const char short_ones[] = "\"\"\\\\\nn\rr\tt";
    char *at = to;

    for (size_t i = 0; i < len; i++) {
        const char *found = NULL;
        for (size_t k = 0; k < sizeof short_ones - 1; k += 2) {
            if (short_ones[k] == from[i])
                found = short_ones + k + 1;
        }
        if (!must_escape(from[i]))
            *at++ = from[i];
        else if (found != NULL)
            at += snprintf(at, 3, "\\%c", *found);
        else
            at += snprintf(at, 7, "\\u%04x", (unsigned)from[i]);
    }
    return (size_t)(at - to);
}

/* The source is exactly as large as the text, so that a sanitizer finds a read beyond it. */
static void expect_json(const char *from, size_t len)
{
    char text[600], expected[600];
    char *exact = malloc(len ? len : 1);
    bool plain = true;

    assert_true(len * CM_PUT_JSON_TIMES < sizeof text);
    memcpy(exact, from, len);
    for (size_t i = 0; i < len; i++)
        plain = plain && !must_escape(from[i]);
    memset(text, '#', sizeof text);
    assert_int_equal(cm_put_json_plain(text, (cm_str_t){exact, len}), plain);
    assert_int_equal(text[len], '#');
    if (plain)
        assert_memory_equal(text, from, len);
    memset(text, '#', sizeof text);
    size_t expected_len = slow_json(from, len, expected);
    assert_ptr_equal(cm_put_json(text, (cm_str_t){exact, len}), text + expected_len);
    assert_memory_equal(text, expected, expected_len);
    assert_int_equal(text[expected_len], '#');
    free(exact);
}

/* Each byte at each position in texts of all lengths that have code of their own. */
static void every_byte_everywhere(void **state)
{
    char text[50];

    (void)state;
    for (size_t len = 0; len <= sizeof text; len++) {
        memset(text, 'a', sizeof text);
        expect_json(text, len);
        for (size_t at = 0; at < len; at++) {
            for (int byte = 0; byte < 256; byte++) {
                text[at] = (char)byte;
                expect_json(text, len);
            }
            text[at] = 'a';
        }
    }
    assert_ptr_equal(cm_put_json(text, (cm_str_t){NULL, 0}), text);
}

static void random_texts(void **state)
{
    static const char alphabet[] = "a\"\\\n\x1F\x20\x7F\x80\xFF!#[]";
    uint64_t seed = 7;
    char text[90];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        size_t len = test_random(&seed) % sizeof text;
        for (size_t k = 0; k < len; k++)
            text[k] = alphabet[test_random(&seed) % (sizeof alphabet - 1)];
        expect_json(text, len);
    }
}

/* Both versions of the test of 16 bytes give the same result. */
static void both_ways_agree(void **state)
{
    uint64_t seed = 3;
    char block[16];
    int found = 0;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        bool expected = false;
        for (size_t k = 0; k < sizeof block; k++) {
            block[k] = (char)test_random(&seed);
            if (must_escape(block[k]) && test_random(&seed) % 16 != 0)
                block[k] = (char)(0x80 | block[k]);
            expected = expected || must_escape(block[k]);
        }
        assert_int_equal(cm_json_escapes_16_portable(block), expected);
        assert_int_equal(cm_json_escapes_16(block), expected);
        found += expected;
    }
    assert_in_range(found, 1000, 99000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),         cmocka_unit_test(tables),
        cmocka_unit_test(random_texts),    cmocka_unit_test(every_byte_everywhere),
        cmocka_unit_test(both_ways_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
