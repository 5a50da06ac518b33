/* RFC 3339 in both directions, the calendar, arenas, the line of progress. */
#include "base/arena.h"
#include "base/clock.h"
#include "base/progress.h"

#include "support.h"

static void formatting(void **state)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{0, "1970-01-01T00:00:00Z"},
                 {1, "1970-01-01T00:00:00.001Z"},
                 {-1, "1969-12-31T23:59:59.999Z"},
                 {INT64_C(951825600000), "2000-02-29T12:00:00Z"},
                 {CM_TIME_END - 1, "2099-12-31T23:59:59.999Z"},
                 {CM_TIME_END, "2100-01-01T00:00:00Z"},
                 {INT64_C(-62135596800000), "0001-01-01T00:00:00Z"},
                 {INT64_MAX, "292278994-08-17T07:12:55.807Z"},
                 {INT64_MIN, "-292275055-05-16T16:47:04.192Z"}};
    char text[CM_TIME_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(cm_time_format(cases[i].ms, text), cases[i].text);
}

static void parsing(void **state)
{
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {{"1970-01-01T00:00:00Z", 0},
                {"2015-05-17T10:05:03.25+02:00", INT64_C(1431849903250)},
                {"2015-05-17t08:05:03.250999z", INT64_C(1431849903250)},
                {"2015-05-17 08:05:03.25-00:00", INT64_C(1431849903250)},
                {"2016-02-29T23:59:59-11:30", INT64_C(1456831799000)},
                {"2000-02-29T12:00:00Z", INT64_C(951825600000)},
                {"2016-12-31T23:59:60Z", INT64_C(1483228800000)},
                {"2016-12-31T23:59:60.5Z", INT64_C(1483228800500)},
                {"0001-01-01T00:00:00Z", INT64_C(-62135596800000)},
                {"1970-01-01T00:00:00.9999999999999999999999Z", 999},
                {"1970-01-01T00:00:00.1Z", 100},
                {"1970-01-01T23:59:00+23:59", 0},
                {"2100-01-01T00:00:00Z", CM_TIME_END}};
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(cm_time_parse(cm_str(good[i].text), &ms));
        assert_int_equal(ms, good[i].ms);
    }
}

static void no_times(void **state)
{
    static const char *const bad[] = {"",
                                      "2015-05-17",
                                      "2015-05-17T10:05:03", /* no zone */
                                      "2015-05-17T10:05Z",
                                      "2015-5-17T10:05:03Z",
                                      "15-05-17T10:05:03Z",
                                      "2015/05/17T10:05:03Z",
                                      "2015-00-17T10:05:03Z",
                                      "2015-13-17T10:05:03Z",
                                      "2015-05-00T10:05:03Z",
                                      "2015-05-32T10:05:03Z",
                                      "2015-04-31T10:05:03Z",
                                      "2015-02-29T10:05:03Z", /* no leap year */
                                      "1900-02-29T10:05:03Z", /* not a leap year either */
                                      "2015-05-17T24:00:00Z",
                                      "2015-05-17T10:60:03Z",
                                      "2015-05-17T10:05:61Z",
                                      "2015-05-17T10:05:03.Z",
                                      "2015-05-17T10:05:03,5Z",
                                      "2015-05-17T10:05:03+02",
                                      "2015-05-17T10:05:03+0200",
                                      "2015-05-17T10:05:03+24:00",
                                      "2015-05-17T10:05:03+02:60",
                                      "2015-05-17T10:05:03Z ",
                                      " 2015-05-17T10:05:03Z",
                                      "2015-05-17T10:05:03ZZ",
                                      "-015-05-17T10:05:03Z",
                                      "2015-05-17X10:05:03Z"};
    int64_t ms;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ms = 42;
        if (cm_time_parse(cm_str(bad[i]), &ms))
            fail_msg("%s was taken for %lld", bad[i], (long long)ms);
    }
    /* A NUL is not a separator, and bytes after the text are not read. */
    assert_false(cm_time_parse(CM_STR("2015-05-17\0"
                                      "10:05:03Z"),
                               &ms));
    assert_false(cm_time_parse((cm_str_t){"2015-05-17T10:05:03Z", 19}, &ms));
}

/* Each day of four centuries, converted in both directions, one after the other. */
static void calendar(void **state)
{
    char text[CM_TIME_TEXT];
    int64_t day = cm_time_days(1900, 1, 1), ms;

    (void)state;
    assert_int_equal(day, -25567);
    assert_int_equal(cm_time_days(1970, 1, 1), 0);
    assert_int_equal(cm_time_days(2000, 3, 1), 11017);
    for (; day < cm_time_days(2300, 1, 1); day++) {
        cm_time_format(day * CM_DAY_MS, text);
        assert_true(cm_time_parse(cm_str(text), &ms));
        assert_int_equal(ms, day * CM_DAY_MS);
        assert_int_equal(cm_time_days((int)strtol(text, NULL, 10), (int)strtol(text + 5, NULL, 10),
                                      (int)strtol(text + 8, NULL, 10)),
                         day);
    }
}

static int64_t still(void *self)
{
    return *(int64_t *)self;
}

static void clocks(void **state)
{
    int64_t moment = 123;
    const cm_clock_t clock = {still, &moment};

    (void)state;
    assert_int_equal(cm_clock_now_ms(&clock), 123);
    assert_true(cm_clock_now_ms(NULL) > INT64_C(1700000000000));
    int64_t before = cm_clock_ticks_ns();
    cm_sleep_ms(3);
    cm_sleep_ms(0);
    cm_sleep_ms(-5);
    assert_true(cm_clock_ticks_ns() - before >= 3000000);
}

static void arenas(void **state)
{
    cm_arena_t arena = CM_ARENA_INIT;
    cm_str_t copies[2000];

    (void)state;
    cm_arena_reset(&arena);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 2000; i++) {
            char text[200];
            int len = snprintf(text, sizeof text, "%zu:%0*d", i, (int)(i % 150), 7);
            copies[i] = cm_arena_copy(&arena, (cm_str_t){text, (size_t)len});
            char *block = cm_arena_alloc(&arena, i % 37);
            assert_int_equal((uintptr_t)block % 16, 0);
            memset(block, 0xFF, i % 37);
        }
        for (size_t i = 0; i < 2000; i++) {
            char text[200];
            int len = snprintf(text, sizeof text, "%zu:%0*d", i, (int)(i % 150), 7);
            assert_true(cm_str_equal(copies[i], (cm_str_t){text, (size_t)len}));
        }
        cm_arena_reset(&arena);
    }
    char *big = cm_arena_alloc(&arena, 10 << 20);
    memset(big, 1, 10 << 20);
    assert_int_equal(cm_arena_copy(&arena, (cm_str_t){NULL, 0}).len, 0);
    assert_non_null(cm_arena_copy(&arena, (cm_str_t){NULL, 0}).data);
    cm_arena_free(&arena);
    cm_arena_free(&arena);
}

static void grouped_digits(void **state)
{
    static const struct {
        int64_t value;
        const char *text;
    } cases[] = {{0, "0"},
                 {999, "999"},
                 {1000, "1,000"},
                 {-999, "-999"},
                 {-1000, "-1,000"},
                 {-123456, "-123,456"},
                 {1234567, "1,234,567"},
                 {INT64_MIN, "-9,223,372,036,854,775,808"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cm_buf_t buf = CM_BUF_INIT;
        cm_buf_add_grouped(&buf, cases[i].value);
        assert_string_equal(buf.data, cases[i].text);
        cm_buf_free(&buf);
    }
}

/* The output of cm_progress_show() when the start was `seconds` ago. */
static char *shown(bool terminal, double share, uint64_t count, int64_t seconds)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    cm_progress_t progress;

    assert_non_null(stream);
    cm_progress_start(&progress, stream, terminal, "importing", "lines");
    cm_progress_show(&progress, share, count); /* too early: no output */
    progress.started_ns -= seconds * 1000000000;
    progress.shown_ns = progress.started_ns;
    cm_progress_show(&progress, share, count);
    cm_progress_show(&progress, share, count); /* too early again */
    cm_progress_end(&progress);
    cm_progress_end(&progress);
    fclose(stream);
    return text;
}

static void progress_lines(void **state)
{
    (void)state;
    char *text = shown(false, 0.25, 0, 10);
    assert_string_equal(text, "importing  25 %, 30 s left\n");
    free(text);
    text = shown(true, 0.5, 0, 100);
    assert_string_equal(text, "\rimporting [############............]  50 %, 1 min 40 s left\033[K"
                              "\r\033[K");
    free(text);
    text = shown(false, 0.5, 0, 2 * 3600 + 60);
    assert_string_equal(text, "importing  50 %, 2 h 01 min left\n");
    free(text);
    text = shown(false, -1, 10000000, 1000);
    /* Some time passes between the two readings of the clock, so the rate is a little lower. */
    assert_true(strcmp(text, "importing  10,000,000 lines, 9,999/s\n") == 0 ||
                strcmp(text, "importing  10,000,000 lines, 10,000/s\n") == 0);
    free(text);
    text = shown(false, 0.5, 1, 4);
    assert_string_equal(text, "");
    free(text);
    cm_progress_t silent;
    cm_progress_start(&silent, NULL, true, "x", "y");
    silent.shown_ns -= INT64_C(10000000000);
    cm_progress_show(&silent, 0.5, 1);
    cm_progress_end(&silent);
    assert_false(silent.drawn);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formatting),     cmocka_unit_test(parsing),
        cmocka_unit_test(no_times),       cmocka_unit_test(calendar),
        cmocka_unit_test(clocks),         cmocka_unit_test(arenas),
        cmocka_unit_test(grouped_digits), cmocka_unit_test(progress_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
