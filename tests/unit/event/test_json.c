/* Reading an event's JSON: what the contract accepts, what it rejects, and with which message. */
#include "event/json.h"

#include "base/clock.h"
#include "event_parser.h"

#define HEAD "{\"user_id\":\"u\",\"url\":\"/\",\"timestamp\":"

static void assert_time(event_parser_t *parsed, const char *time, int64_t expected)
{
    char text[300];
    snprintf(text, sizeof text, HEAD "%s}", time);
    assert_ok(event_parser_parse(parsed, cm_str(text)), parsed->err);
    assert_int_equal(parsed->event.timestamp, expected);
}

static void assert_rejected(event_parser_t *parsed, const char *text, const char *reason)
{
    assert_int_equal(event_parser_parse(parsed, cm_str(text)), CM_EREJECT);
    assert_int_equal(parsed->err.code, CM_EREJECT);
    assert_int_equal(parsed->unknown, 0);
    if (strncmp(parsed->err.text, reason, strlen(reason)) != 0)
        fail_msg("%s: \"%s\" instead of \"%s\"", text, parsed->err.text, reason);
}

static void whole_event(void **state)
{
    event_parser_t *parsed = *state;
    const cm_event_t *event = &parsed->event;

    assert_ok(event_parser_parse(
                  parsed, CM_STR(" {\"row_key\": \"k1\", \"user_id\": \"jane\", \"timestamp\": "
                                 "1700000000000, \"url\": \"https://x/\\u00e4\\\"\", \"country\":"
                                 " \"Norway\", \"city\": \"Oslo\", \"browser\": \"Firefox\", "
                                 "\"os\": \"Linux\", \"device\": \"Desktop\"} \n")),
              parsed->err);
    assert_true(cm_str_equal(event->row_key, CM_STR("k1")));
    assert_true(cm_str_equal(event->user_id, CM_STR("jane")));
    assert_int_equal(event->timestamp, INT64_C(1700000000000));
    assert_true(cm_str_equal(event->url, CM_STR("https://x/\xC3\xA4\"")));
    assert_true(cm_str_equal(event->country, CM_STR("Norway")));
    assert_true(cm_str_equal(event->city, CM_STR("Oslo")));
    assert_true(cm_str_equal(event->browser, CM_STR("Firefox")));
    assert_true(cm_str_equal(event->os, CM_STR("Linux")));
    assert_true(cm_str_equal(event->device, CM_STR("Desktop")));
    assert_int_equal(parsed->unknown, 0);
}

static void absent_null_empty(void **state)
{
    static const char *const texts[] = {
        HEAD "1}",
        HEAD "1,\"country\":null,\"city\":null,\"browser\":null,\"os\":null,\"device\":null,"
             "\"row_key\":null}",
        HEAD "1,\"country\":\"\",\"city\":\"\",\"browser\":\"\",\"os\":\"\",\"device\":\"\","
             "\"row_key\":\"\"}"};
    event_parser_t *parsed = *state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_ok(event_parser_parse(parsed, cm_str(texts[i])), parsed->err);
        assert_true(cm_str_equal(parsed->event.country, CM_STR("Unknown")));
        assert_true(cm_str_equal(parsed->event.city, CM_STR("Unknown")));
        assert_true(cm_str_equal(parsed->event.browser, CM_STR("Unknown")));
        assert_true(cm_str_equal(parsed->event.os, CM_STR("Unknown")));
        assert_true(cm_str_equal(parsed->event.device, CM_STR("Unknown")));
        assert_int_equal(parsed->event.row_key.len, 0);
    }
    assert_rejected(parsed, "{\"url\":\"/\",\"timestamp\":1}", "user_id is missing or empty");
    assert_rejected(parsed, "{\"user_id\":null,\"url\":\"/\",\"timestamp\":1}",
                    "user_id is missing or empty");
    assert_rejected(parsed, "{\"user_id\":\"u\",\"url\":\"\",\"timestamp\":1}",
                    "url is missing or empty");
    assert_rejected(parsed, "{\"user_id\":\"u\",\"url\":\"/\"}", "timestamp is missing");
    assert_rejected(parsed, "{}", "timestamp is missing");
}

static void times(void **state)
{
    static const char neither[] = "timestamp is neither an integer of milliseconds nor RFC 3339";
    event_parser_t *parsed = *state;

    assert_time(parsed, "1", 1);
    assert_time(parsed, "4102444799999", CM_TIME_END - 1);
    assert_time(parsed, "\"1700000000000\"", INT64_C(1700000000000));
    assert_time(parsed, "\"2015-05-17T10:05:03.25+02:00\"", INT64_C(1431849903250));
    assert_time(parsed, "\"2016-02-29T00:00:00Z\"", INT64_C(1456704000000));
    assert_time(parsed, "\"2016-12-31T23:59:60Z\"", INT64_C(1483228800000));
    assert_rejected(parsed, HEAD "1700000000000.0}", neither);
    assert_rejected(parsed, HEAD "1.7e12}", neither);
    assert_rejected(parsed, HEAD "1e3}", neither);
    assert_rejected(parsed, HEAD "null}", "timestamp is missing");
    assert_rejected(parsed, HEAD "true}", neither);
    assert_rejected(parsed, HEAD "[1]}", neither);
    assert_rejected(parsed, HEAD "{\"ms\":1}}", neither);
    assert_rejected(parsed, HEAD "18446744073709551615}", neither);
    assert_rejected(parsed, HEAD "123456789012345678901234567890}", "not valid JSON");
    assert_rejected(parsed, HEAD "0}", "timestamp 0 is out of range");
    assert_rejected(parsed, HEAD "-1}", "timestamp -1 is out of range");
    assert_rejected(parsed, HEAD "4102444800000}", "timestamp 4102444800000 is out of range");
    assert_rejected(parsed, HEAD "\"2100-01-01T00:00:00Z\"}",
                    "timestamp 4102444800000 is out of range");
    assert_rejected(parsed, HEAD "\"1970-01-01T00:00:00Z\"}", "timestamp 0 is out of range");
    assert_rejected(parsed, HEAD "\"2015-02-29T00:00:00Z\"}",
                    "timestamp \"2015-02-29T00:00:00Z\" is neither");
    assert_rejected(parsed, HEAD "\"1.0\"}", "timestamp \"1.0\" is neither");
    assert_rejected(parsed, HEAD "\"\"}", "timestamp \"\" is neither");
    assert_rejected(parsed, HEAD "\" 1\"}", "timestamp \" 1\" is neither");
    assert_rejected(parsed, HEAD "01}", "not valid JSON");
}

/* An integer that looks like seconds is rejected as milliseconds, by both readers of lines. */
static void seconds(void **state)
{
    static const char sentence[] = "timestamp 1747476303 looks like seconds, and milliseconds are "
                                   "expected (--time-unit s accepts seconds)";
    event_parser_t *parsed = *state;

    assert_time(parsed, "1747476303000",
                INT64_C(1747476303000)); /* learns the shape of these lines */
    assert_time(parsed, "1747476303001", INT64_C(1747476303001));
    assert_rejected(parsed, HEAD "1747476303}", sentence);
    assert_rejected(parsed, HEAD "\"1747476303\"}", sentence);
    assert_rejected(parsed, HEAD "1747476303.5}", "timestamp 1747476303.5 looks like seconds");
    assert_rejected(parsed, HEAD "\"1747476303.5\"}", "timestamp 1747476303.5 looks like seconds");
    assert_rejected(parsed, HEAD "1.747476303e9}", "timestamp 1747476303 looks like seconds");
    assert_rejected(parsed, HEAD "1000000000}", "timestamp 1000000000 looks like seconds");
    assert_rejected(parsed, HEAD "4102444799}", "timestamp 4102444799 looks like seconds");
    assert_time(parsed, "999999999", 999999999);
    assert_time(parsed, "4102444800", INT64_C(4102444800));
    assert_time(parsed, "\"1970-01-21T05:24:36.303Z\"", INT64_C(1747476303));
}

static void units(void **state)
{
    static const struct {
        cm_timestamp_unit_t unit;
        const char *time;
        int64_t ms;
    } good[] = {
        {CM_TIMESTAMP_S, "1747476303", INT64_C(1747476303000)},
        {CM_TIMESTAMP_S, "\"1747476303\"", INT64_C(1747476303000)},
        {CM_TIMESTAMP_S, "1747476303.123", INT64_C(1747476303123)},
        {CM_TIMESTAMP_S, "1747476303.1239", INT64_C(1747476303123)},
        {CM_TIMESTAMP_S, "\"1747476303.5\"", INT64_C(1747476303500)},
        {CM_TIMESTAMP_S, "1.747476303e9", INT64_C(1747476303000)},
        {CM_TIMESTAMP_S, "\"2025-05-17T10:05:03Z\"", INT64_C(1747476303000)},
        {CM_TIMESTAMP_MS, "1747476303", INT64_C(1747476303)},
        {CM_TIMESTAMP_MS, "1747476303000", INT64_C(1747476303000)},
        {CM_TIMESTAMP_MS, "1747476303000.9", INT64_C(1747476303000)},
        {CM_TIMESTAMP_US, "1747476303123456", INT64_C(1747476303123)},
        {CM_TIMESTAMP_NS, "1747476303123456789", INT64_C(1747476303123)},
        {CM_TIMESTAMP_NS, "1.747476303e18", INT64_C(1747476303000)},
    };
    static const struct {
        cm_timestamp_unit_t unit;
        const char *text, *reason;
    } bad[] = {
        {CM_TIMESTAMP_S, HEAD "1747476303000}",
         "timestamp 1747476303000 is out of range: seconds between 1970 and 2100 are expected"},
        {CM_TIMESTAMP_S, HEAD "-1}", "timestamp -1 is out of range: seconds"},
        {CM_TIMESTAMP_S, HEAD "9223372036854775807}",
         "timestamp 9223372036854775807 is out of range"},
        {CM_TIMESTAMP_NS, HEAD "999999}", "timestamp 999999 is out of range: nanoseconds"},
        {CM_TIMESTAMP_S, HEAD "\"x\"}", "timestamp \"x\" is neither"},
        {CM_TIMESTAMP_AUTO, HEAD "1747476303123456}",
         "timestamp 1747476303123456 is out of range: it looks like microseconds, and "
         "milliseconds are expected (--time-unit us accepts them)"},
        {CM_TIMESTAMP_AUTO, HEAD "1747476303123456789}",
         "timestamp 1747476303123456789 is out of range: it looks like nanoseconds, and "
         "milliseconds are expected (--time-unit ns accepts them)"},
    };
    event_parser_t *parsed = *state;

    for (int round = 0; round < 2;
         round++) { /* the second time with a shape that may be learnt by then */
        for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
            cm_event_json_set_timestamps(parsed->json,
                                         &(cm_timestamp_format_t){.unit = good[i].unit});
            assert_time(parsed, good[i].time, good[i].ms);
        }
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        cm_event_json_set_timestamps(parsed->json, &(cm_timestamp_format_t){.unit = bad[i].unit});
        assert_rejected(parsed, bad[i].text, bad[i].reason);
    }
}

/* In fields that are not read, numbers of any size are accepted. */
static void large_numbers(void **state)
{
    static const char *const good[] = {
        HEAD "1,\"x\":123456789012345678901234567890}",
        HEAD "1,\"x\":-123456789012345678901234567890}",
        HEAD "1,\"x\":1e999}",
        HEAD "1,\"x\":-1.5E+400}",
        HEAD "1,\"x\":[1,{\"url\":18446744073709551616}],\"y\":[[99999999999999999999]]}",
        ("{\"x\":123456789012345678901234567890,\"user_id\":\"u\",\"y\":{\"a,\\\"\":1e999},"
         "\"url\":\"/12345678901234567890123\",\"timestamp\":1}"),
    };
    static const int64_t unknown[] = {1, 1, 1, 1, 2, 2};
    static const char *const bad[] = {
        HEAD "1,\"x\":0123456789012345678901234567890}",
        HEAD "1,\"x\":1e999,}",
        HEAD "1,\"x\":1e999,\"country\":1e999}",
        HEAD "1,\"x\":--1e999}",
        "[1e999]",
        "1e999",
    };
    event_parser_t *parsed = *state;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_ok(event_parser_parse(parsed, cm_str(good[i])), parsed->err);
        assert_int_equal(parsed->unknown, unknown[i]);
        assert_int_equal(parsed->event.timestamp, 1);
        assert_true(cm_str_equal(parsed->event.user_id, CM_STR("u")));
    }
    assert_true(cm_str_equal(parsed->event.url, CM_STR("/12345678901234567890123")));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_rejected(parsed, bad[i], "not valid JSON");
}

static void duplicate_keys(void **state)
{
    event_parser_t *parsed = *state;

    assert_ok(event_parser_parse(
                  parsed, CM_STR("{\"user_id\":\"a\",\"url\":\"/1\",\"timestamp\":1,\"country\":"
                                 "\"X\",\"country\":null,\"url\":\"/2\",\"timestamp\":2,"
                                 "\"\\u0075ser_id\":\"b\"}")),
              parsed->err);
    assert_true(
        cm_str_equal(parsed->event.user_id, CM_STR("b"))); /* an escaped name is that name */
    assert_true(cm_str_equal(parsed->event.url, CM_STR("/2")));
    assert_true(cm_str_equal(parsed->event.country, CM_STR("Unknown")));
    assert_int_equal(parsed->event.timestamp, 2);
}

static void unknown_fields(void **state)
{
    event_parser_t *parsed = *state;

    assert_ok(event_parser_parse(
                  parsed, CM_STR(HEAD "1,\"referer\":\"/x\",\"nested\":{\"url\":\"/no\",\"a\":"
                                      "[1,2,{\"b\":null}]},\"\":1.5,\"User_id\":\"case\"}")),
              parsed->err);
    assert_int_equal(parsed->unknown, 4);
    assert_true(cm_str_equal(parsed->event.url, CM_STR("/")));
    assert_true(cm_str_equal(parsed->event.user_id, CM_STR("u")));
    assert_rejected(
        parsed, "{\"strange\":1,\"url\":\"/\",\"timestamp\":1}",
        "user_id is missing or empty"); /* the unknown fields of a rejected event do not count */
}

static void wrong_types(void **state)
{
    static const char *const fields[] = {"row_key", "user_id", "url", "country",
                                         "city",    "browser", "os",  "device"};
    static const char *const values[] = {"1", "true", "[]", "{}", "[\"a\"]", "1.5"};
    event_parser_t *parsed = *state;
    char text[200], reason[40];

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        for (size_t k = 0; k < sizeof values / sizeof values[0]; k++) {
            snprintf(text, sizeof text, HEAD "1,\"%s\":%s}", fields[i], values[k]);
            snprintf(reason, sizeof reason, "%s is not a string", fields[i]);
            assert_rejected(parsed, text, reason);
        }
    }
    assert_rejected(parsed, "[]", "not a JSON object");
    assert_rejected(parsed, "\"text\"", "not a JSON object");
    assert_rejected(parsed, "1", "not a JSON object");
    assert_rejected(parsed, "null", "not a JSON object");
}

static void malformed(void **state)
{
    static const char *const bad[] = {"",
                                      " ",
                                      "{",
                                      "}",
                                      "nul",
                                      HEAD "1",
                                      HEAD "1}}",
                                      HEAD "1} x",
                                      HEAD "1}{}",
                                      HEAD "1},",
                                      HEAD "1,}",
                                      HEAD "1 \"x\":1}",
                                      HEAD "NaN}",
                                      HEAD "1,\"x\":'y'}",
                                      HEAD "1,x:1}",
                                      HEAD "1,\"x\":\"\n\"}",
                                      HEAD "1,\"x\":\"\\q\"}",
                                      HEAD "1,\"x\":\"\\ud800\"}",
                                      HEAD "1,\"x\":\"\xFF\"}",
                                      HEAD "1,\"x\":\"\xC0\x80\"}",
                                      HEAD "1,\"x\":\"\xED\xA0\x80\"}",
                                      HEAD "1,\"x\":\"\xE2\x82\"}",
                                      HEAD "1,\"x\":01}",
                                      HEAD "1,\"x\":1e999,\"y\":1.}",
                                      "{\"user_id\":\"u\",\"url\":1e999,\"timestamp\":1}",
                                      "{\"user_id\":\"u"};
    event_parser_t *parsed = *state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_rejected(parsed, bad[i], "not valid JSON");
    assert_int_equal(event_parser_parse(parsed, CM_STR(HEAD "1}\0")), CM_EREJECT);
    /* The parser still works after all errors. */
    assert_time(parsed, "5", 5);
}

static void nul_and_surrogates(void **state)
{
    event_parser_t *parsed = *state;

    assert_ok(
        event_parser_parse(parsed, CM_STR("{\"user_id\":\"a\\u0000b\",\"url\":\"/\\ud83d\\ude00\","
                                          "\"timestamp\":1}")),
        parsed->err);
    assert_true(cm_str_equal(parsed->event.user_id, CM_STR("a\0b")));
    assert_true(cm_str_equal(parsed->event.url, CM_STR("/\xF0\x9F\x98\x80")));
}

static void deep_nesting(void **state)
{
    event_parser_t *parsed = *state;
    cm_buf_t text = CM_BUF_INIT;

    for (int depth = 100; depth <= 100000; depth *= 1000) {
        cm_buf_clear(&text);
        cm_buf_add_text(&text, HEAD "1,\"x\":");
        for (int i = 0; i < depth; i++)
            cm_buf_add_char(&text, '[');
        for (int i = 0; i < depth; i++)
            cm_buf_add_char(&text, ']');
        cm_buf_add_char(&text, '}');
        assert_int_equal(event_parser_parse(parsed, (cm_str_t){text.data, text.len}),
                         depth == 100 ? 0 : CM_EREJECT);
    }
    cm_buf_free(&text);
}

/* An event's own JSON, cut at each length and with each byte changed: no crash, and only the whole
 * line is the event. */
static void cut_and_changed(void **state)
{
    event_parser_t *parsed = *state;
    cm_event_t event = test_event("jane", 7, "/\xC3\xA4", "Norway", "key");
    cm_buf_t text = CM_BUF_INIT, again = CM_BUF_INIT;
    uint64_t random = 3;

    cm_event_add_json(&text, &event);
    for (size_t len = 0; len < text.len; len++)
        assert_int_equal(event_parser_parse(parsed, (cm_str_t){text.data, len}), CM_EREJECT);
    for (size_t at = 0; at < text.len; at++) {
        char was = text.data[at];
        text.data[at] = (char)test_random(&random);
        int rc = event_parser_parse(parsed, (cm_str_t){text.data, text.len});
        assert_true(rc == 0 || rc == CM_EREJECT);
        if (rc == 0)
            assert_int_equal(cm_event_check(&parsed->event, false, NULL), 0);
        text.data[at] = was;
    }
    assert_ok(event_parser_parse(parsed, (cm_str_t){text.data, text.len}), parsed->err);
    cm_event_add_json(&again, &parsed->event);
    assert_string_equal(again.data, text.data);
    cm_buf_free(&text);
    cm_buf_free(&again);
}

/* Each field at its limit and one byte beyond, by a new parser and by one that knows the shape. */
static void limits(void **state)
{
    static const struct {
        const char *name;
        int max;
    } fields[] = {{"user_id", 256}, {"url", 2048}, {"country", 256}, {"city", 256},
                  {"browser", 256}, {"os", 256},   {"device", 256},  {"row_key", 64}};
    static char a[2049];
    event_parser_t *parsed = *state;
    cm_buf_t line = CM_BUF_INIT;
    char reason[60];

    memset(a, 'a', sizeof a);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const char *rest = i == 0   ? "\"url\":\"/\""
                           : i == 1 ? "\"user_id\":\"u\""
                                    : "\"user_id\":\"u\",\"url\":\"/\"";
        snprintf(reason, sizeof reason, "%s is %d bytes long, the limit is %d", fields[i].name,
                 fields[i].max + 1, fields[i].max);
        for (int round = 0; round < 40; round++) {
            int len = fields[i].max + (round > 20 && round % 2);
            cm_buf_clear(&line);
            cm_buf_printf(&line, "{%s,\"timestamp\":7,\"%s\":\"%.*s\"}", rest, fields[i].name, len,
                          a);
            if (len > fields[i].max)
                assert_rejected(parsed, line.data, reason);
            else
                assert_ok(event_parser_parse(parsed, (cm_str_t){line.data, line.len}), parsed->err);
        }
    }
    cm_buf_free(&line);
}

static cm_bot_kind_t note_visitor(void *context, cm_str_t address, cm_str_t agent,
                                  cm_arena_t *arena, cm_event_t *event)
{
    cm_buf_t *noted = context;

    cm_buf_printf(noted, "[%.*s|%.*s]", (int)address.len, address.len ? address.data : "",
                  (int)agent.len, agent.len ? agent.data : "");
    if (event->country.len == 0)
        event->country = cm_arena_copy(arena, address);
    return cm_str_equal(agent, CM_STR("bot")) ? CM_BOT_SEO : CM_BOT_NONE;
}

/* Missing fields are filled from fields that are not in the contract, if a function for it is set.
 */
static void tells_of_the_visitor(void **state)
{
    event_parser_t *parsed = *state;
    cm_buf_t noted = CM_BUF_INIT;
    static const struct {
        const char *rest, *noted, *country;
        int unknown;
    } rows[] = {
        {"", "", "Unknown", 0},
        {",\"ip\":\"1.2.3.4\"", "[1.2.3.4|]", "1.2.3.4", 0},
        {",\"address\":\"::1\",\"userAgent\":\"x\\\"y\"", "[::1|x\"y]", "::1", 0},
        {",\"user_agent\":\"x\",\"z\":1", "[|x]", "Unknown", 1},
        {",\"ip\":\"1\",\"country\":\"Chile\"", "[1|]", "Chile", 0},
        {",\"ip\":\"1\",\"country\":null", "[1|]", "1", 0},
        {",\"ip\":\"\",\"user_agent\":null", "", "Unknown", 0},
        {",\"ip\":7,\"user_agent\":[\"x\"]", "", "Unknown", 0},
    };

    cm_buf_reserve(&noted, 1);
    for (int with = 1; with >= 0; with--) {
        cm_event_json_set_fill(parsed->json, with ? note_visitor : NULL, &noted);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            char text[300];
            snprintf(text, sizeof text, HEAD "5%s}", rows[i].rest);
            cm_buf_clear(&noted);
            noted.data[0] = '\0';
            assert_ok(event_parser_parse(parsed, cm_str(text)), parsed->err);
            assert_string_equal(with ? rows[i].noted : "", noted.data);
            if (with) {
                assert_true(cm_str_equal(parsed->event.country, cm_str(rows[i].country)));
                assert_int_equal(rows[i].unknown, parsed->unknown);
            }
        }
        assert_int_equal(with ? 0 : 2, parsed->unknown); /* of the last line */
    }
    cm_buf_free(&noted);
}

/* The event of a bot is left out before the rules are checked, and the next one is read. */
static void tells_of_bots(void **state)
{
    event_parser_t *parsed = *state;
    cm_buf_t noted = CM_BUF_INIT;

    cm_event_json_set_fill(parsed->json, note_visitor, &noted);
    assert_int_equal(CM_BOT_SEO,
                     event_parser_parse(parsed, CM_STR(HEAD "5,\"user_agent\":\"bot\"}")));
    assert_int_equal(CM_BOT_SEO, event_parser_parse(parsed, CM_STR("{\"timestamp\":5,\"url\":\"\","
                                                                   "\"user_agent\":\"bot\"}")));
    assert_ok(event_parser_parse(parsed, CM_STR(HEAD "5,\"user_agent\":\"x\"}")), parsed->err);
    cm_event_json_set_fill(parsed->json, NULL, NULL);
    cm_buf_free(&noted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_event),
        cmocka_unit_test(absent_null_empty),
        cmocka_unit_test(times),
        cmocka_unit_test(seconds),
        cmocka_unit_test(units),
        cmocka_unit_test(large_numbers),
        cmocka_unit_test(duplicate_keys),
        cmocka_unit_test(unknown_fields),
        cmocka_unit_test(wrong_types),
        cmocka_unit_test(malformed),
        cmocka_unit_test(nul_and_surrogates),
        cmocka_unit_test(deep_nesting),
        cmocka_unit_test(cut_and_changed),
        cmocka_unit_test(limits),
        cmocka_unit_test(tells_of_the_visitor),
        cmocka_unit_test(tells_of_bots),
    };
    return cmocka_run_group_tests(tests, event_parser_set_up, event_parser_tear_down);
}
