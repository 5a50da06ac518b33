#include "source/lines.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include "temp_file.h"

static void open_lines(const char *path, cm_lines_t *lines)
{
    cm_input_t *input;
    cm_err_t err = {0, ""};
    assert_int_equal(0, cm_input_open(path, &input, &err));
    cm_lines_init(lines, input);
}

static void close_lines(cm_lines_t *lines)
{
    cm_input_close(lines->input);
    cm_lines_free(lines);
}

/* The next line, with as many reads as needed; false at the end. */
static bool next_line(cm_lines_t *lines, cm_line_t *line)
{
    cm_err_t err = {0, ""};
    while (!cm_lines_next(lines, line)) {
        if (lines->ended)
            return false;
        assert_true(cm_lines_fill(lines, &err) >= 0);
    }
    return true;
}

static void expect_line(cm_lines_t *lines, const char *text, uint64_t number, uint64_t offset)
{
    cm_line_t line;
    assert_true(next_line(lines, &line));
    assert_int_equal(strlen(text), line.text.len);
    assert_memory_equal(text, line.text.data, line.text.len);
    assert_int_equal(number, line.number);
    assert_int_equal(offset, lines->offset);
    assert_false(line.too_long);
}

static void splits(void **state)
{
    cm_lines_t lines;
    cm_line_t line;

    (void)state;
    open_lines(temp_write("a", "one\r\ntwo\n\n\r\nlast", 16), &lines);
    expect_line(&lines, "one", 1, 5);
    expect_line(&lines, "two", 2, 9);
    expect_line(&lines, "", 3, 10);
    expect_line(&lines, "", 4, 12);
    expect_line(&lines, "last", 5, 16);
    assert_false(next_line(&lines, &line));
    close_lines(&lines);

    open_lines(temp_write("b", "", 0), &lines);
    assert_false(next_line(&lines, &line));
    close_lines(&lines);
}

static void drops_the_byte_order_mark(void **state)
{
    cm_lines_t lines;
    cm_err_t err;

    (void)state;
    open_lines(temp_write("a",
                          "\xef\xbb\xbf"
                          "a\n\xef\xbb\xbf"
                          "b\n",
                          10),
               &lines);
    assert_int_equal(1, cm_lines_fill(&lines, &err));
    cm_lines_skip_mark(&lines);
    expect_line(&lines, "a", 1, 5);
    expect_line(&lines,
                "\xef\xbb\xbf"
                "b",
                2, 10);
    close_lines(&lines);
}

static void knows_blank_lines(void **state)
{
    (void)state;
    assert_true(cm_line_blank(CM_STR("")));
    assert_true(cm_line_blank(CM_STR(" \t\r ")));
    assert_false(cm_line_blank(CM_STR("  x")));
    assert_false(cm_line_blank(CM_STR("x")));
    assert_false(cm_line_blank(CM_STR("\x01")));
}

/* Lines of 0 to 4999 bytes, in total many times the size of the buffer. */
static void keeps_its_place_over_many_buffers(void **state)
{
    enum { LINES = 4000 };
    cm_buf_t text = CM_BUF_INIT;
    cm_lines_t lines;
    cm_line_t line;
    uint64_t offset = 0;

    (void)state;
    for (int i = 0; i < LINES; i++) {
        for (int j = 0; j < i * 37 % 5000; j++)
            cm_buf_add_char(&text, (char)('a' + (i + j) % 26));
        cm_buf_add_char(&text, '\n');
    }
    assert_true(text.len > 3 * CM_LINES_BUFFER);
    open_lines(temp_write("big", text.data, text.len), &lines);
    for (int i = 0; i < LINES; i++) {
        assert_true(next_line(&lines, &line));
        assert_int_equal(i * 37 % 5000, line.text.len);
        assert_memory_equal(text.data + offset, line.text.data, line.text.len);
        offset += line.text.len + 1;
        assert_int_equal(offset, lines.offset);
        assert_int_equal(i + 1, line.number);
    }
    assert_false(next_line(&lines, &line));
    close_lines(&lines);
    cm_buf_free(&text);
}

/* A line of `len` bytes between two short ones. */
static void check_long(size_t len, const char *end, bool too_long)
{
    cm_buf_t text = CM_BUF_INIT;
    cm_lines_t lines;
    cm_line_t line;

    cm_buf_add_text(&text, "before\n");
    for (size_t i = 0; i < len; i++)
        cm_buf_add_char(&text, (char)('a' + i % 26));
    cm_buf_add_text(&text, end);
    cm_buf_add_text(&text, "after\n");
    open_lines(temp_write("long", text.data, text.len), &lines);
    expect_line(&lines, "before", 1, 7);
    assert_true(next_line(&lines, &line));
    assert_int_equal(too_long, line.too_long);
    assert_int_equal(2, line.number);
    assert_int_equal(too_long ? CM_LINE_HEAD : len, line.text.len);
    assert_memory_equal(text.data + 7, line.text.data, line.text.len);
    assert_int_equal(7 + len + strlen(end), lines.offset);
    expect_line(&lines, "after", 3, text.len);
    close_lines(&lines);
    cm_buf_free(&text);
}

static void cuts_lines_over_one_mebibyte(void **state)
{
    (void)state;
    check_long(CM_LINE_MAX, "\n", false);
    check_long(CM_LINE_MAX, "\r\n", false);
    check_long(CM_LINE_MAX + 1, "\n", true);
    check_long(CM_LINE_MAX + 1, "\r\n", true);
    check_long(10 * CM_LINE_MAX, "\n", true);
}

/* A read ends between the CR and LF of a line of the greatest length. */
static void counts_no_line_end(void **state)
{
    size_t first = 640 * 1024 - 1; /* reads: 128 KiB, then 512 KiB each */
    cm_buf_t text = CM_BUF_INIT;
    cm_lines_t lines;
    cm_line_t line;

    (void)state;
    cm_buf_reserve(&text, first + CM_LINE_MAX + 2);
    memset(text.data, 'x', first + CM_LINE_MAX);
    text.data[first - 1] = '\n';
    text.len = first + CM_LINE_MAX;
    cm_buf_add_text(&text, "\r\n");
    open_lines(temp_write("long", text.data, text.len), &lines);
    assert_true(next_line(&lines, &line));
    assert_true(next_line(&lines, &line));
    assert_false(line.too_long);
    assert_int_equal(CM_LINE_MAX, line.text.len);
    assert_false(next_line(&lines, &line));
    close_lines(&lines);
    cm_buf_free(&text);
}

static void a_long_last_line_ends_with_the_file(void **state)
{
    cm_lines_t lines;
    cm_line_t line;
    size_t len = 5 * CM_LINE_MAX;
    char *text = memset(cm_alloc(len), 'x', len);

    (void)state;
    open_lines(temp_write("long", text, len), &lines);
    assert_true(next_line(&lines, &line));
    assert_true(line.too_long);
    assert_int_equal(CM_LINE_HEAD, line.text.len);
    assert_int_equal(len, lines.offset);
    assert_false(next_line(&lines, &line));
    close_lines(&lines);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits),
        cmocka_unit_test(drops_the_byte_order_mark),
        cmocka_unit_test(knows_blank_lines),
        cmocka_unit_test(keeps_its_place_over_many_buffers),
        cmocka_unit_test(cuts_lines_over_one_mebibyte),
        cmocka_unit_test(counts_no_line_end),
        cmocka_unit_test(a_long_last_line_ends_with_the_file),
    };
    return cmocka_run_group_tests(tests, temp_setup, temp_teardown);
}
