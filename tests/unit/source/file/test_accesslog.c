#include "source/file/accesslog.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static char *copy;

/* Parses a line in its own heap block, so that a sanitizer finds reads past its end. */
static int parse_len(cm_str_t line, bool common, cm_access_t *access, cm_err_t *err)
{
    free(copy);
    copy = malloc(line.len ? line.len : 1);
    if (line.len > 0)
        memcpy(copy, line.data, line.len);
    return cm_accesslog_parse((cm_str_t){copy, line.len}, common, access, err);
}

static int parse(const char *line, cm_access_t *access, cm_err_t *err)
{
    return parse_len(cm_str(line), false, access, err);
}

static void expect_str(const char *text, cm_str_t got)
{
    assert_int_equal(strlen(text), got.len);
    assert_memory_equal(text, got.data, got.len);
}

static void parses_combined(void **state)
{
    cm_access_t a;

    (void)state;
    assert_int_equal(0, parse("192.0.2.1 - frank [17/May/2015:10:05:03 +0200] "
                              "\"GET /a?b=\\\"c\\\" HTTP/1.1\" 200 203023 "
                              "\"http://example.com/\" \"Moz \\\\\" extra \"x\"",
                              &a, NULL));
    expect_str("192.0.2.1", a.address);
    expect_str("frank", a.user);
    assert_true(a.time == INT64_C(1431849903000));
    expect_str("GET /a?b=\\\"c\\\" HTTP/1.1", a.request);
    expect_str("GET", a.method);
    expect_str("/a?b=\\\"c\\\"", a.url);
    expect_str("HTTP/1.1", a.protocol);
    assert_int_equal(200, a.status);
    expect_str("http://example.com/", a.referrer);
    expect_str("Moz \\\\", a.agent);
}

static void parses_common(void **state)
{
    static const char combined[] = "::1 - - [29/Feb/2016:23:59:60 -0130] \"GET / HTTP/1.0\" 304 - "
                                   "\"r\" \"a\"";
    cm_access_t a;

    (void)state;
    assert_int_equal(
        0, parse("::1 - - [29/Feb/2016:23:59:60 -0130] \"GET / HTTP/1.0\" 304 -", &a, NULL));
    expect_str("", a.user);
    expect_str("", a.agent);
    assert_int_equal(304, a.status);
    assert_true(a.time == INT64_C(1456795800000)); /* 2016-03-01T01:30:00Z */
    assert_int_equal(0, parse_len(CM_STR(combined), true, &a, NULL));
    expect_str("", a.agent);
    assert_int_equal(0, parse_len(CM_STR(combined), false, &a, NULL));
    expect_str("a", a.agent);
}

static void takes_what_servers_write(void **state)
{
    cm_access_t a;

    (void)state;
    /* A name with a space, an empty name, no request, bytes of TLS, a truncated agent. */
    assert_int_equal(
        0,
        parse("h - \"john doe\" [17/May/2015:10:05:03 +0000] \"-\" 408 - \"-\" \"-\"", &a, NULL));
    expect_str("john doe", a.user);
    expect_str("-", a.request);
    expect_str("", a.method);
    expect_str("", a.referrer);
    expect_str("", a.agent);
    assert_int_equal(
        0, parse("h - \"\" [17/May/2015:10:05:03 +0000] \"\" 400 0 \"-\" \"cut", &a, NULL));
    expect_str("", a.user);
    expect_str("-", a.request);
    expect_str("cut", a.agent);
    assert_int_equal(
        0, parse("h - - [17/May/2015:10:05:03 +0000] \"\\x16\\x03\\x01 GET /\" 400 0", &a, NULL));
    expect_str("\\x16\\x03\\x01 GET /", a.request);
    expect_str("", a.method);
    expect_str("", a.url);
    assert_int_equal(
        0, parse("h - - [17/May/2015:10:05:03 +0000] \"GET /a b HTTP/1.1\" 200 1", &a, NULL));
    expect_str("/a b", a.url);
    assert_int_equal(0, parse("h - - [17/May/2015:10:05:03 +0000] \"GET /old\" 200 1", &a, NULL));
    expect_str("GET", a.method);
    expect_str("/old", a.url);
    expect_str("", a.protocol);
    assert_int_equal(0, parse("h - - [17/May/2015:10:05:03 +0000] \"PUT /old\" 200 1", &a, NULL));
    expect_str("", a.method);
    /* Numbers after a common line, and two blanks before a quoted text. */
    assert_int_equal(
        0,
        parse("h - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.0\" 200 1 1234 0.01", &a, NULL));
    expect_str("", a.agent);
    assert_int_equal(
        0, parse("h - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.0\" 200 1  \"r\"  \"a\"", &a,
                 NULL));
    expect_str("r", a.referrer);
    expect_str("a", a.agent);
}

static void rejects(void **state)
{
#define BEGIN  "not an access log line: it does not begin with address, identity, user and [time]"
#define TIME   "not an access log line: the time is not like [17/May/2015:10:05:03 +0000]"
#define QUOTE  "not an access log line: the request is not a quoted text"
#define STATUS "not an access log line: status and size are not numbers"
    static const struct {
        const char *line, *reason;
    } cases[] = {
        {"", BEGIN},
        {"{\"user_id\":1}", BEGIN},
        {"h - -", BEGIN},
        {"h - - [17/May/2015:10:05:03 +0000", TIME},
        {"h - - [31/Apr/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1", TIME},
        {"h - - [29/Feb/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1", TIME},
        {"h - - [17/Mai/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1", TIME},
        {"h - - [17/May/2015:24:05:03 +0000] \"GET / HTTP/1.1\" 200 1", TIME},
        {"h - - [17/May/2015 10:05:03 +0000] \"GET / HTTP/1.1\" 200 1", TIME},
        {"h - - [17/May/2015:10:05:03 00000] \"GET / HTTP/1.1\" 200 1", TIME},
        {"h - - [17/May/2015:10:05:03 +0000] GET / 200 1", QUOTE},
        {"h - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1", QUOTE},
        {"h - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\\\"", QUOTE},
        {"h - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\\", QUOTE},
        {"h - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 2xx 1", STATUS},
        {"h - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200", STATUS},
        {"h - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 ", STATUS},
        {"h - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1x", STATUS},
        {"h - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1 ref \"a\"",
         "not an access log line: the referrer is not a quoted text"},
        {"h - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1 \"ref\" a",
         "not an access log line: the user agent is not a quoted text"},
    };
    cm_access_t a;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cm_err_t err = {0, ""};
        assert_int_equal(CM_EREJECT, parse(cases[i].line, &a, &err));
        assert_string_equal(cases[i].reason, err.text);
    }
}

/* No prefix of a line makes the parser read past its end, and only some prefixes are lines
 * themselves. */
static void survives_every_cut(void **state)
{
    static const char line[] = "192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 "
                               "12 \"ref\" \"ag\"";
    cm_access_t a;
    int good = 0;

    (void)state;
    for (size_t len = 0; len < sizeof line; len++)
        good += parse_len((cm_str_t){line, len}, false, &a, NULL) == 0;
    /* After each digit of the size and its space, and with the agent truncated or whole. */
    assert_int_equal(3 + 4, good);
}

/* Every day of the calendar is accepted and no other, with the time of its beginning. */
static void knows_the_calendar(void **state)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static const int years[] = {0, 1, 4, 100, 400, 1900, 1970, 1999, 2000, 2015, 2016, 2100, 9999};
    cm_access_t a;
    char line[100];

    (void)state;
    for (size_t y = 0; y < sizeof years / sizeof years[0]; y++) {
        int year = years[y];
        for (int month = 1; month <= 12; month++) {
            /* A day exists when the next month does not begin before it ends. */
            int64_t next = cm_time_days(year + month / 12, month % 12 + 1, 1);
            for (int day = 0; day <= 33; day++) {
                int64_t days = cm_time_days(year, month, day);
                snprintf(line, sizeof line, "h - - [%02d/%.3s/%04d:00:00:00 +0000] \"\" 200 1", day,
                         months + (month - 1) * 3, year);
                assert_int_equal(day >= 1 && days < next ? 0 : CM_EREJECT, parse(line, &a, NULL));
                if (day >= 1 && days < next)
                    assert_int_equal(days * CM_DAY_MS, a.time);
            }
        }
    }
}

/* The separators of the time have fixed positions: with another character it is not a time. */
static void needs_every_separator(void **state)
{
    static const char good[] = "h - - [17/May/2015:10:05:03 +0000] \"-\" 200 1";
    static const size_t places[] = {9, 13, 18, 21, 24, 27, 28, 33};
    char line[sizeof good];
    cm_access_t a;

    (void)state;
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        memcpy(line, good, sizeof good);
        assert_int_equal(0, parse(line, &a, NULL));
        assert_non_null(strchr("/: +]", line[places[i]]));
        line[places[i]] = '.';
        assert_int_equal(CM_EREJECT, parse(line, &a, NULL));
    }
}

/* The position of the first quote that no backslash escapes. */
static size_t quoted_length(const char *text, size_t len)
{
    size_t at = 0;
    while (at < len && text[at] != '"')
        at += text[at] == '\\' ? 2 : 1;
    return at < len ? at : len;
}

/* Agents with any mixture of quotes and backslashes end where a loop over the bytes ends. */
static void finds_the_closing_quote(void **state)
{
    static const char head[] = "h - - [17/May/2015:10:05:03 +0000] \"-\" 200 1 \"r\" \"";
    enum { HEAD = sizeof head - 1, LETTERS = 7 };
    char line[HEAD + LETTERS + 1];
    cm_access_t a;

    (void)state;
    memcpy(line, head, HEAD);
    for (unsigned mixture = 0; mixture < 3 * 3 * 3 * 3 * 3 * 3 * 3; mixture++) {
        char *text = line + HEAD;
        for (unsigned i = 0, rest = mixture; i < LETTERS; i++, rest /= 3)
            text[i] = "a\"\\"[rest % 3];
        for (size_t len = 0; len <= LETTERS; len++) {
            size_t expected = quoted_length(text, len);
            assert_int_equal(0, parse_len((cm_str_t){line, HEAD + len}, false, &a, NULL));
            assert_int_equal(expected, a.agent.len);
            assert_memory_equal(text, a.agent.data, expected);
        }
    }
}

static bool is_page(const char *request, int status)
{
    cm_access_t a;
    char line[256];
    snprintf(line, sizeof line, "h - - [17/May/2015:10:05:03 +0000] \"%s\" %03d 1", request,
             status);
    assert_int_equal(0, parse(line, &a, NULL));
    return cm_accesslog_is_page_view(&a);
}

static void knows_page_views(void **state)
{
    (void)state;
    assert_true(is_page("GET / HTTP/1.1", 200));
    assert_false(is_page("GET / HTTP/1.1", 206));
    assert_true(is_page("GET / HTTP/1.1", 304));
    assert_false(is_page("GET / HTTP/1.1", 301));
    assert_false(is_page("GET / HTTP/1.1", 404));
    assert_false(is_page("GET / HTTP/1.1", 199));
    assert_false(is_page("HEAD / HTTP/1.1", 200));
    assert_false(is_page("POST / HTTP/1.1", 200));
    assert_false(is_page("get / HTTP/1.1", 200));
    assert_false(is_page("-", 200));
    assert_true(is_page("GET /page.html HTTP/1.1", 200));
    assert_true(is_page("GET /paper.pdf HTTP/1.1", 200));
    assert_true(is_page("GET /?file=a.png HTTP/1.1", 200));
    assert_true(is_page("GET /a.css/page HTTP/1.1", 200));
    assert_true(is_page("GET /.js/ HTTP/1.1", 200));
    assert_false(is_page("GET /a.css HTTP/1.1", 200));
    assert_false(is_page("GET /A.PNG?x=/b HTTP/1.1", 200));
    assert_false(is_page("GET /a.min.js;v=1 HTTP/1.1", 200));
    assert_false(is_page("GET /favicon.ico HTTP/1.1", 200));
    assert_false(is_page("GET /app.webmanifest HTTP/1.1", 200));
    assert_true(is_page("GET /old", 200));
    assert_true(is_page("GET /old page", 200));
    assert_false(is_page("HEAD /old", 200));
    assert_false(is_page("GET old", 200));
    assert_false(is_page("GET /cut HTTP", 200));
    assert_false(is_page("GET /cut HTTP/", 200));
}

/* Files for programs: robots.txt and similar files, feeds, sitemaps. */
static void knows_what_is_for_programs(void **state)
{
    static const char *const none[] = {
        "/robots.txt",      "/blog/robots.txt?x=1",
        "/Ads.txt",         "/app-ads.txt",
        "/humans.txt",      "/security.txt",
        "/llms.txt",        "/.well-known/security.txt",
        "/.well-known/x/",  "/feed",
        "/feed/",           "/blog/feed/?x",
        "/news/rss",        "/index.rss",
        "/a.atom",          "/A.RSS",
        "/feed/atom/",      "/feed/rss2",
        "/sitemap.xml",     "/sitemap_index.xml",
        "/sitemap.txt",     "/sitemap-1.xml.gz",
        "/crossdomain.xml", "/index.rdf",
    };
    static const char *const pages[] = {
        "/",     "/notes.txt", "/feeds",      "/feed/today", "/rss-readers", "/my-feed",
        "/atom", "/sitemap",   "/well-known", "/a.tar.gz",   "/?page=feed",  "/robots.txt.html",
        "/xml",  "/data",      "/read",
    };
    char request[100];

    (void)state;
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        snprintf(request, sizeof request, "GET %s HTTP/1.1", none[i]);
        if (is_page(request, 200))
            fail_msg("%s is a page", none[i]);
    }
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++) {
        snprintf(request, sizeof request, "GET %s HTTP/1.1", pages[i]);
        if (!is_page(request, 200))
            fail_msg("%s is no page", pages[i]);
    }
}

static int forget(void **state)
{
    (void)state;
    free(copy);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_combined),          cmocka_unit_test(parses_common),
        cmocka_unit_test(takes_what_servers_write), cmocka_unit_test(rejects),
        cmocka_unit_test(survives_every_cut),       cmocka_unit_test(knows_page_views),
        cmocka_unit_test(knows_the_calendar),       cmocka_unit_test(needs_every_separator),
        cmocka_unit_test(finds_the_closing_quote),  cmocka_unit_test(knows_what_is_for_programs),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}
