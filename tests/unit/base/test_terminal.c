/* Foreign text on a terminal. */
#include "support.h"

#include "base/terminal.h"

static void shows(cm_str_t text, const char *expected)
{
    cm_buf_t buf = CM_BUF_INIT;

    cm_buf_add_text(&buf, "");
    cm_terminal_add(&buf, text);
    assert_string_equal(buf.data, expected);
    cm_buf_free(&buf);
}

static void test_what_steers_is_replaced(void **state)
{
    (void)state;
    shows(CM_STR(""), "");
    shows(CM_STR("https://a/?q=1 ~"), "https://a/?q=1 ~");
    shows(CM_STR("\x1b[31mred\x7f"), "\xEF\xBF\xBD[31mred\xEF\xBF\xBD");
    shows(CM_STR("a\0b\r\n\t"), "a\xEF\xBF\xBD"
                                "b\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    shows(CM_STR("\xC2\x9B"), "\xEF\xBF\xBD");     /* CSI of ISO 6429 in one character */
    shows(CM_STR("\xE2\x80\xAE"), "\xEF\xBF\xBD"); /* right-to-left override */
    shows(CM_STR("\xE2\x80\xA7\xE2\x80\xAF"), "\xE2\x80\xA7\xE2\x80\xAF"); /* their neighbours */
}

static void test_what_is_no_utf8_is_replaced(void **state)
{
    (void)state;
    shows(CM_STR("a\xFFz"), "a\xEF\xBF\xBDz");
    shows(CM_STR("\xE6\x97"), "\xEF\xBF\xBD\xEF\xBF\xBD"); /* cut in the middle */
    shows(CM_STR("\xE6\x97\xA5"), "\xE6\x97\xA5");
    shows(CM_STR("\xF0\x9F\x98\x80"), "\xF0\x9F\x98\x80");
}

static void test_columns(void **state)
{
    (void)state;
    assert_int_equal(cm_terminal_columns(CM_STR("")), 0);
    assert_int_equal(cm_terminal_columns(CM_STR("abc")), 3);
    assert_int_equal(cm_terminal_columns(CM_STR("\xC3\xA9")), 1);
    assert_int_equal(cm_terminal_columns(CM_STR("e\xCC\x81")), 1); /* with a combining accent */
    assert_int_equal(cm_terminal_columns(CM_STR("\xE6\x97\xA5\xE6\x9C\xAC")), 4);
    assert_int_equal(cm_terminal_columns(CM_STR("\xF0\x9F\x98\x80")), 2);
    assert_int_equal(cm_terminal_columns(CM_STR("\xEF\xBF\xBD")), 1);
}

static void pads(cm_str_t text, size_t width, bool right, const char *expected)
{
    cm_buf_t buf = CM_BUF_INIT;

    cm_terminal_add_padded(&buf, text, width, right);
    assert_string_equal(buf.data, expected);
    cm_buf_free(&buf);
}

static void test_columns_are_padded(void **state)
{
    (void)state;
    pads(CM_STR("ab"), 4, false, "ab  ");
    pads(CM_STR("ab"), 4, true, "  ab");
    pads(CM_STR(""), 2, false, "  ");
    pads(CM_STR("abc"), 3, false, "abc");
    pads(CM_STR("abcd"), 3, true, "abcd");
    pads(CM_STR("\xE6\x97\xA5"), 4, false, "\xE6\x97\xA5  "); /* of two columns */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_steers_is_replaced),
        cmocka_unit_test(test_what_is_no_utf8_is_replaced),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_columns_are_padded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
