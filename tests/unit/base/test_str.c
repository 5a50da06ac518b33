/* Strings, numbers as text, UTF-8, JSON and CSV quoting. */
#include "base/str.h"

#include "support.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

static void utf8_well_formed(void **state)
{
    static const char *const good[] = {"",
                                       "plain",
                                       "\x7F",
                                       "\xC2\x80",
                                       "\xDF\xBF",
                                       "\xE0\xA0\x80",
                                       "\xED\x9F\xBF",
                                       "\xEE\x80\x80",
                                       "\xEF\xBF\xBF",
                                       "\xF0\x90\x80\x80",
                                       "\xF4\x8F\xBF\xBF",
                                       "12345678\xC3\xA4",
                                       "1234567\xC3\xA4 and eight more bytes"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(cm_utf8_valid(good[i], strlen(good[i])));
    assert_true(cm_utf8_valid("a\0b", 3));
    assert_true(cm_utf8_valid(NULL, 0));
}

static void utf8_malformed(void **state)
{
    static const char *const bad[] = {"\x80", /* a continuation alone */
                                      "\xBF",
                                      "\xC0\x80",
                                      "\xC1\xBF", /* overlong, two bytes */
                                      "\xE0\x80\x80",
                                      "\xE0\x9F\xBF", /* overlong, three */
                                      "\xF0\x80\x80\x80",
                                      "\xF0\x8F\xBF\xBF", /* overlong, four */
                                      "\xED\xA0\x80",
                                      "\xED\xBF\xBF", /* surrogates */
                                      "\xF4\x90\x80\x80",
                                      "\xF5\x80\x80\x80", /* beyond U+10FFFF */
                                      "\xF8\x88\x80\x80\x80",
                                      "\xFE",
                                      "\xFF",
                                      "\xC3",
                                      "\xE2\x82",
                                      "\xF0\x9F\x98", /* truncated */
                                      "\xC3"
                                      "a",
                                      "\xE2\x82"
                                      "a",
                                      "\xF0\x9F\x98"
                                      "a",
                                      "12345678\xC3",
                                      "1234567\xE2\x82",
                                      "12345678abc\xFF"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(cm_utf8_valid(bad[i], strlen(bad[i])));
    /* The sequence is complete only with a byte after the given end. */
    assert_false(cm_utf8_valid("\xE2\x82\xAC", 2));
}

/* All code points are valid when encoded, and each sequence of two bytes is valid or invalid. */
static void utf8_exhaustive(void **state)
{
    size_t valid = 0;

    (void)state;
    for (unsigned a = 0; a < 256; a++) {
        for (unsigned b = 0; b < 256; b++) {
            char pair[2] = {(char)a, (char)b};
            valid += cm_utf8_valid(pair, 2);
        }
    }
    assert_int_equal(valid, 128 * 128 + 30 * 64);
    valid = 0;
    for (unsigned a = 0xE0; a < 0xF0; a++) {
        for (unsigned b = 0; b < 256; b++) {
            for (unsigned c = 0; c < 256; c++) {
                char three[3] = {(char)a, (char)b, (char)c};
                valid += cm_utf8_valid(three, 3);
            }
        }
    }
    assert_int_equal(valid, 0x10000 - 0x800 - 0x800); /* U+0800..U+FFFF without surrogates */
}

/* A byte that is not ASCII is found at each position in texts of all lengths that have code of
 * their own. The memory ends where the text ends, so that a sanitizer finds a read beyond it. */
static void utf8_every_place(void **state)
{
    (void)state;
    for (size_t len = 1; len <= 40; len++) {
        char *text = malloc(len);
        memset(text, 'a', len);
        assert_true(cm_utf8_valid(text, len));
        for (size_t at = 0; at < len; at++) {
            text[at] = '\x80';
            assert_false(cm_utf8_valid(text, len));
            text[at] = '\xC3';
            assert_false(cm_utf8_valid(text, len));
            if (at + 1 < len) {
                text[at + 1] = '\xA4';
                assert_true(cm_utf8_valid(text, len));
                text[at + 1] = 'a';
            }
            text[at] = 'a';
        }
        free(text);
    }
}

static void utf8_heads(void **state)
{
    (void)state;
    assert_int_equal(cm_utf8_head(CM_STR("abc"), 5), 3);
    assert_int_equal(cm_utf8_head(CM_STR("abc"), 3), 3);
    assert_int_equal(cm_utf8_head(CM_STR("abc"), 2), 2);
    assert_int_equal(cm_utf8_head(CM_STR("a\xC3\xB6"), 3), 3);
    assert_int_equal(cm_utf8_head(CM_STR("a\xC3\xB6"), 2), 1);
    assert_int_equal(cm_utf8_head(CM_STR("a\xF0\x9F\x98\x80z"), 5), 5);
    assert_int_equal(cm_utf8_head(CM_STR("a\xF0\x9F\x98\x80z"), 4), 1);
    assert_int_equal(cm_utf8_head(CM_STR("\xF0\x9F\x98\x80"), 3), 0);
    assert_int_equal(cm_utf8_head(CM_STR(""), 0), 0);
}

static void integers(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},
                {"-0", 0},
                {"007", 7},
                {"-1", -1},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN},
                {"1700000000000", INT64_C(1700000000000)}};
    static const char *const bad[] = {"",
                                      "-",
                                      "+1",
                                      " 1",
                                      "1 ",
                                      "1.",
                                      "1e3",
                                      "--1",
                                      "0x1",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999"};
    cm_buf_t buf = CM_BUF_INIT;
    int64_t value;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(cm_str_to_i64(cm_str(good[i].text), &value));
        assert_int_equal(value, good[i].value);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        value = 42;
        assert_false(cm_str_to_i64(cm_str(bad[i]), &value));
        assert_int_equal(value, 42);
    }
    cm_buf_add_i64(&buf, INT64_MIN);
    cm_buf_add_char(&buf, ' ');
    cm_buf_add_i64(&buf, 0);
    cm_buf_add_char(&buf, ' ');
    cm_buf_add_i64(&buf, INT64_MAX);
    assert_string_equal(buf.data, "-9223372036854775808 0 9223372036854775807");
    cm_buf_free(&buf);
}

static void comparing(void **state)
{
    (void)state;
    assert_true(cm_str_compare(CM_STR("a"), CM_STR("b")) < 0);
    assert_true(cm_str_compare(CM_STR("b"), CM_STR("a")) > 0);
    assert_true(cm_str_compare(CM_STR("a"), CM_STR("aa")) < 0);
    assert_true(cm_str_compare(CM_STR("aa"), CM_STR("a")) > 0);
    assert_true(cm_str_compare(CM_STR("\xC3\xA4"), CM_STR("z")) > 0); /* bytes are unsigned */
    assert_true(cm_str_compare(CM_STR("a\0b"), CM_STR("a\0c")) < 0);
    assert_int_equal(cm_str_compare((cm_str_t){NULL, 0}, CM_STR("")), 0);
    assert_true(cm_str_equal((cm_str_t){NULL, 0}, CM_STR("")));
    assert_false(cm_str_equal(CM_STR("a"), CM_STR("A")));
    assert_true(cm_str_equal_nocase(CM_STR("aZ[1"), CM_STR("Az[1")));
    assert_false(cm_str_equal_nocase(CM_STR("@"), CM_STR("`"))); /* the bytes next to the letters */
    assert_false(cm_str_equal_nocase(CM_STR("a"), CM_STR("ab")));
    assert_string_equal(cm_str_trim(CM_STR("x")).data, "x");
    cm_str_t trimmed = cm_str_trim(CM_STR(" \t\r\n\v\f a b \n"));
    assert_true(cm_str_equal(trimmed, CM_STR("a b")));
    assert_int_equal(cm_str_trim(CM_STR("  ")).len, 0);
    assert_int_equal(cm_str_trim((cm_str_t){NULL, 0}).len, 0);
    assert_null(cm_str(NULL).data);
    assert_int_equal(cm_str(NULL).len, 0);
}

static void assert_double_back(double value)
{
    cm_buf_t buf = CM_BUF_INIT;
    cm_buf_add_double(&buf, value);
    double back = strtod(buf.data, NULL);
    assert_memory_equal(&back, &value, sizeof value);
    cm_buf_free(&buf);
}

static void doubles(void **state)
{
    static const struct {
        double value;
        const char *text;
    } shortest[] = {{0, "0.0"},
                    {1, "1.0"},
                    {-1.5, "-1.5"},
                    {0.1, "0.1"},
                    {1.0 / 3, "0.3333333333333333"},
                    {2.0 / 3, "0.6666666666666666"},
                    {1e300, "1e+300"},
                    {5e-324, "5e-324"},
                    {1800, "1800.0"},
                    {123456789012345, "123456789012345.0"}};
    uint64_t random = 1;

    (void)state;
    for (size_t i = 0; i < sizeof shortest / sizeof shortest[0]; i++) {
        cm_buf_t buf = CM_BUF_INIT;
        cm_buf_add_double(&buf, shortest[i].value);
        assert_string_equal(buf.data, shortest[i].text);
        cm_buf_free(&buf);
    }
    assert_double_back(DBL_MAX);
    assert_double_back(DBL_MIN);
    assert_double_back(nextafter(DBL_MIN, 0));
    assert_double_back(-0.0);
    for (int i = 0; i < 20000; i++) {
        /* Averages as in answers, and random bits. */
        uint64_t sum = test_random(&random) >> (test_random(&random) % 60 + 4);
        assert_double_back((double)sum / (double)(test_random(&random) % 100000 + 1));
        uint64_t bits = test_random(&random);
        double any;
        memcpy(&any, &bits, sizeof any);
        if (isfinite(any))
            assert_double_back(any);
    }
}

static void json_quoting(void **state)
{
    cm_buf_t buf = CM_BUF_INIT;

    (void)state;
    cm_buf_add_json(&buf, CM_STR("a\"b\\c/\n\r\t\b\f\x01\x1F\0\x7F\xC3\xA4"));
    assert_string_equal(buf.data, "\"a\\\"b\\\\c/\\n\\r\\t\\u0008\\u000c\\u0001\\u001f\\u0000\x7F"
                                  "\xC3\xA4\"");
    cm_buf_clear(&buf);
    cm_buf_add_json(&buf, (cm_str_t){NULL, 0});
    assert_string_equal(buf.data, "\"\"");
    cm_buf_free(&buf);
}

static void csv_quoting(void **state)
{
    static const struct {
        const char *text, *csv;
    } cases[] = {{"", ""},
                 {"plain text", "plain text"},
                 {"a,b", "\"a,b\""},
                 {"say \"hi\"", "\"say \"\"hi\"\"\""},
                 {"a\nb", "\"a\nb\""},
                 {"a\rb", "\"a\rb\""},
                 {"\"", "\"\"\"\""},
                 {"; \t'", "; \t'"}};
    cm_buf_t buf = CM_BUF_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cm_buf_clear(&buf);
        cm_buf_add_csv(&buf, cm_str(cases[i].text));
        assert_string_equal(buf.data ? buf.data : "", cases[i].csv);
    }
    cm_buf_clear(&buf);
    cm_buf_add_csv(&buf, CM_STR("a\0b")); /* a NUL needs no quotes */
    assert_int_equal(buf.len, 3);
    assert_memory_equal(buf.data, "a\0b", 4);
    cm_buf_free(&buf);
}

/* Strings that a spreadsheet would read as formulas. */
static void safe_csv(void **state)
{
    static const struct {
        const char *text, *csv;
    } cases[] = {{"", ""},
                 {"plain", "plain"},
                 {"a=b", "a=b"},
                 {"'", "'"},
                 {" =1", " =1"},
                 {"=1+1", "'=1+1"},
                 {"+1", "'+1"},
                 {"-1", "'-1"},
                 {"@sum", "'@sum"},
                 {"\tx", "'\tx"},
                 {"\rx", "\"'\rx\""},
                 {"\nx", "\"'\nx\""},
                 {"=a,b", "\"'=a,b\""},
                 {"=\"", "\"'=\"\"\""},
                 {"-", "'-"}};
    cm_buf_t buf = CM_BUF_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cm_buf_clear(&buf);
        cm_buf_add_safe_csv(&buf, cm_str(cases[i].text));
        assert_string_equal(buf.data ? buf.data : "", cases[i].csv);
    }
    cm_buf_clear(&buf);
    cm_buf_add_safe_csv(&buf, CM_STR("\0=")); /* a NUL does not begin a formula */
    assert_int_equal(buf.len, 2);
    cm_buf_free(&buf);
}

static void buffers(void **state)
{
    char expected[3001];
    cm_buf_t buf = CM_BUF_INIT;

    (void)state;
    memset(expected, 'x', 3000);
    expected[3000] = '\0';
    for (int len = 0; len < 300;
         len++) { /* each length for which the reserved memory may be just too small */
        cm_buf_free(&buf);
        cm_buf_add_text(&buf, "head");
        cm_buf_printf(&buf, "%.*s|%d", len, expected, len);
        assert_int_equal(buf.len, strlen(buf.data));
        assert_int_equal(buf.len, 4 + len + 1 + (len < 10 ? 1 : len < 100 ? 2 : 3));
        assert_memory_equal(buf.data + 4, expected, (size_t)len);
    }
    cm_buf_clear(&buf);
    assert_string_equal(buf.data, "");
    cm_buf_printf(&buf, "%s", "");
    assert_int_equal(buf.len, 0);
    cm_buf_printf(&buf, "%s", expected);
    assert_string_equal(buf.data, expected);
    cm_buf_free(&buf);
    assert_null(buf.data);
    assert_int_equal(buf.cap, 0);
    cm_buf_clear(&buf); /* an empty buffer: nothing to do */
    cm_buf_add(&buf, NULL, 0);
    assert_string_equal(buf.data, "");
    cm_buf_free(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(utf8_well_formed), cmocka_unit_test(utf8_malformed),
        cmocka_unit_test(utf8_exhaustive),  cmocka_unit_test(utf8_every_place),
        cmocka_unit_test(utf8_heads),       cmocka_unit_test(integers),
        cmocka_unit_test(comparing),        cmocka_unit_test(doubles),
        cmocka_unit_test(json_quoting),     cmocka_unit_test(csv_quoting),
        cmocka_unit_test(safe_csv),         cmocka_unit_test(buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
