/* The optional fields: their rules, copies, JSON and CSV, and the row key of other events. */
#include "event/extra.h"

#include "event/choice.h"
#include "event_parser.h"

#include <time.h>

#define NINE "\"user_id\": \"u\", \"timestamp\": 1700000000000, \"url\": \"https://a.example/\""

static event_parser_t *parser;
static cm_arena_t arena; /* of all events of these tests */

static int parse_more(const char *more)
{
    cm_buf_t line = CM_BUF_INIT;

    cm_buf_printf(&line, "{" NINE "%s}", more);
    int rc = event_parser_parse(parser, cm_str(line.data));
    cm_buf_free(&line);
    return rc;
}

/* Parses the nine fields and what follows; fails the test when that is refused. */
static cm_event_t parse(const char *more)
{
    assert_ok(parse_more(more), parser->err);
    assert_int_equal(0, parser->unknown);
    cm_event_keep(&parser->event, &arena);
    return parser->event;
}

static const char *refused(const char *more)
{
    assert_int_equal(CM_EREJECT, parse_more(more));
    return parser->err.text;
}

static const char *text_of(const cm_event_t *event, cm_extra_field_t field)
{
    static char text[4096];

    assert_non_null(event->extra);
    const cm_str_t value = event->extra->text[field];
    snprintf(text, sizeof text, "%.*s", (int)value.len, value.len ? value.data : "");
    return text;
}

static void reads_all_fields(void **state)
{
    (void)state;
    cm_event_t event =
        parse(", \"name\": \"buy\", \"referrer\": \"https://b.example/\", "
              "\"utm_source\": \"s\", \"utm_medium\": \"m\", \"utm_campaign\": \"c\", "
              "\"utm_term\": \"t\", \"utm_content\": \"n\", \"browser_version\": "
              "\"1.2\", \"os_version\": \"11\", \"region\": \"R\", \"language\": "
              "\"de-CH\", \"props\": {\"b\": 1.50, \"a\": \"x\"}");
    static const char *const expected[CM_EXTRA_TEXTS] = {
        "buy",   "https://b.example/",         "s", "m", "c", "t", "n", "1.2", "11", "R",
        "de-CH", "{\"a\": \"x\", \"b\": 1.50}"};

    for (int i = 0; i < CM_EXTRA_TEXTS; i++)
        assert_string_equal(expected[i], text_of(&event, (cm_extra_field_t)i));
    assert_int_equal(-1, event.extra->engaged_ms);
    assert_int_equal(12, cm_event_extra_stated(event.extra));
    assert_false(cm_event_is_view(&event));

    event = parse(", \"name\": \"engagement\", \"engaged_ms\": 15000");
    assert_int_equal(15000, event.extra->engaged_ms);
    event = parse(", \"name\": \"engagement\", \"engaged_ms\": \"0\"");
    assert_int_equal(0, event.extra->engaged_ms);
}

static void absent_is_absent(void **state)
{
    (void)state;
    assert_null(parse("").extra);
    assert_null(parse(", \"name\": null, \"referrer\": \"\", \"props\": {}, \"engaged_ms\": null, "
                      "\"utm_term\": \"\"")
                    .extra);
    assert_null(parse(", \"name\": \"pageview\"").extra);
    assert_null(parse(", \"engaged_ms\": \"\", \"props\": null").extra);
    assert_null(parse(", \"engaged_ms\": null, \"props\": \"\"").extra);
    const cm_event_t event = parse(", \"name\": \"pageview\", \"region\": \"R\"");
    assert_true(cm_event_is_view(&event));
    assert_int_equal(1, cm_event_extra_stated(event.extra));
    assert_true(cm_str_equal(CM_STR("pageview"), cm_event_name(&event)));
}

static void broken_rules_name_the_field(void **state)
{
    cm_buf_t more = CM_BUF_INIT;

    (void)state;
    assert_string_equal("name is not a string", refused(", \"name\": 1"));
    assert_string_equal("referrer is not a string", refused(", \"referrer\": {}"));
    assert_string_equal("props is not a JSON object", refused(", \"props\": \"x\""));
    assert_string_equal("props is not a JSON object", refused(", \"props\": []"));
    assert_string_equal("engaged_ms is not an integer of milliseconds",
                        refused(", \"name\": \"engagement\", \"engaged_ms\": 1.5"));
    assert_string_equal("engaged_ms is not an integer of milliseconds",
                        refused(", \"name\": \"engagement\", \"engaged_ms\": true"));
    assert_string_equal(
        "engaged_ms is not an integer of milliseconds",
        refused(", \"name\": \"engagement\", \"engaged_ms\": 99999999999999999999"));
    assert_string_equal("engaged_ms is -1, it must be from 0 to 86400000",
                        refused(", \"name\": \"engagement\", \"engaged_ms\": -1"));
    assert_string_equal("engaged_ms is 86400001, it must be from 0 to 86400000",
                        refused(", \"name\": \"engagement\", \"engaged_ms\": \"86400001\""));
    assert_string_equal("engaged_ms is missing; the name engagement needs it",
                        refused(", \"name\": \"engagement\""));
    assert_string_equal("engaged_ms is only for events with the name engagement",
                        refused(", \"engaged_ms\": 5"));
    assert_string_equal("engaged_ms is only for events with the name engagement",
                        refused(", \"name\": \"buy\", \"engaged_ms\": 5"));
    for (int i = 0; i < CM_EXTRA_PROPS; i++) {
        char expected[100];
        const int limit = (int)cm_extra_limits[i];
        cm_buf_clear(&more);
        cm_buf_printf(&more, ", \"%s\": \"%0*d\"", cm_extra_names[i], limit, 0);
        assert_int_equal(limit, parse(more.data).extra->text[i].len);
        cm_buf_clear(&more);
        cm_buf_printf(&more, ", \"%s\": \"%0*d\"", cm_extra_names[i], limit + 1, 0);
        snprintf(expected, sizeof expected, "%s is %d bytes long, the limit is %d",
                 cm_extra_names[i], limit + 1, limit);
        assert_string_equal(expected, refused(more.data));
    }
    cm_buf_free(&more);
}

/* JSON allows a name twice; the last value counts, whatever kinds the values are of. */
static void the_last_of_equal_fields_counts(void **state)
{
#define ENGAGEMENT ", \"name\": \"engagement\""

    (void)state;
    assert_int_equal(
        1, parse(ENGAGEMENT ", \"engaged_ms\": \"5\", \"engaged_ms\": 1").extra->engaged_ms);
    assert_int_equal(
        5, parse(ENGAGEMENT ", \"engaged_ms\": 1, \"engaged_ms\": \"\\u0035\"").extra->engaged_ms);
    assert_string_equal("engaged_ms is missing; the name engagement needs it",
                        refused(ENGAGEMENT ", \"engaged_ms\": \"7\", \"engaged_ms\": null"));
    assert_string_equal("engaged_ms is not an integer of milliseconds",
                        refused(ENGAGEMENT ", \"engaged_ms\": \"7\", \"engaged_ms\": [7]"));
    const cm_event_t event = parse(", \"props\": {\"a\": 1}, \"\\u0070rops\": {\"b\": 2}");
    assert_string_equal("{\"b\": 2}", text_of(&event, CM_EXTRA_PROPS));
    assert_null(parse(", \"props\": {\"a\": 1}, \"props\": \"\"").extra);
}

/* A pass over the message for each of them would take a minute. */
static void equal_fields_take_little_time(void **state)
{
    cm_buf_t more = CM_BUF_INIT;
    const clock_t began = clock();

    (void)state;
    for (int i = 0; i < 80000; i++)
        cm_buf_add_text(&more, ", \"props\": {}");
    assert_null(parse(more.data).extra);
    cm_buf_add_text(&more, ", \"props\": {\"a\": 1}");
    const cm_event_t event = parse(more.data);
    assert_string_equal("{\"a\": 1}", text_of(&event, CM_EXTRA_PROPS));
    assert_true((clock() - began) / CLOCKS_PER_SEC < 5);
    cm_buf_free(&more);
}

static const char *json_of(const cm_event_t *event)
{
    static char text[8192];
    cm_buf_t buf = CM_BUF_INIT;

    cm_event_add_json(&buf, event);
    snprintf(text, sizeof text, "%s", strstr(buf.data, "\"device\""));
    cm_buf_free(&buf);
    return text;
}

static void json_and_csv_leave_out_what_is_absent(void **state)
{
    const cm_event_csv_t with = {.extra = true};
    cm_buf_t csv = CM_BUF_INIT;

    (void)state;
    cm_event_t event =
        parse(", \"engaged_ms\": 7, \"region\": \"R\\\"\", \"name\": \"engagement\"");
    event.row_key = CM_STR("k");
    assert_string_equal("\"device\": \"Unknown\", \"name\": \"engagement\", \"region\": \"R\\\"\", "
                        "\"engaged_ms\": 7}",
                        json_of(&event));
    cm_event_add_csv_header(&csv, with);
    cm_event_add_csv(&csv, &event, with);
    event = parse(", \"props\": {\"b\": 1, \"a\": \"x\"}");
    event.row_key = CM_STR("k");
    cm_event_add_csv(&csv, &event, with);
    event.extra = NULL;
    cm_event_add_csv(&csv, &event, with);
    cm_event_add_csv(&csv, &event, (cm_event_csv_t){0});
    assert_string_equal(
        "row_key,user_id,timestamp,url,country,city,browser,os,device,name,referrer,utm_source,"
        "utm_medium,utm_campaign,utm_term,utm_content,browser_version,os_version,region,language,"
        "props,engaged_ms\n"
        "k,u,1700000000000,https://a.example/,Unknown,Unknown,Unknown,Unknown,Unknown,engagement,,,"
        ",,,,,,\"R\"\"\",,,7\n"
        "k,u,1700000000000,https://a.example/,Unknown,Unknown,Unknown,Unknown,Unknown,,,,,,,,,,,,"
        "\"{\"\"a\"\": \"\"x\"\", \"\"b\"\": 1}\",\n"
        "k,u,1700000000000,https://a.example/"
        ",Unknown,Unknown,Unknown,Unknown,Unknown,,,,,,,,,,,,,\n"
        "k,u,1700000000000,https://a.example/,Unknown,Unknown,Unknown,Unknown,Unknown\n",
        csv.data);
    cm_buf_free(&csv);
}

/* A reader of CSV ignores blanks around a value without quotes. */
static void csv_has_blanks_in_quotes(void **state)
{
    cm_buf_t csv = CM_BUF_INIT;

    (void)state;
    cm_event_t event = parse(", \"name\": \" a b\", \"utm_term\": \"\\t\", \"region\": \"\\\"\"");
    event.row_key = CM_STR("k");
    for (int safe = 0; safe < 2; safe++)
        cm_event_add_csv(&csv, &event, (cm_event_csv_t){.extra = true, .safe = safe != 0});
    assert_string_equal("k,u,1700000000000,https://a.example/,Unknown,Unknown,Unknown,Unknown,"
                        "Unknown,\" a b\",,,,,\"\t\",,,,\"\"\"\",,,\n"
                        "k,u,1700000000000,https://a.example/,Unknown,Unknown,Unknown,Unknown,"
                        "Unknown,\" a b\",,,,,\"'\t\",,,,\"\"\"\",,,\n",
                        csv.data);
    cm_buf_free(&csv);
}

static const char *key_of(const char *more)
{
    static char key[CM_UUID_TEXT + 1];
    const cm_event_t event = parse(more);

    memcpy(key, cm_event_row_key(&event, key).data, CM_UUID_TEXT);
    return key;
}

/* The expected keys are Python's uuid.uuid5(uuid.NAMESPACE_DNS, name). */
static void derives_row_keys(void **state)
{
    (void)state;
    /* u_1700000000000 */
    assert_string_equal("26b9f086-2e1e-5e99-9b32-8c61c8e33e58", key_of(""));
    assert_string_equal("26b9f086-2e1e-5e99-9b32-8c61c8e33e58",
                        key_of(", \"region\": \"R\", \"props\": {\"a\": 1}"));
    /* u_1700000000000_3:buy18:https://a.example/0: */
    assert_string_equal("b6fbada9-c9bd-55ef-96f3-20c5016c6659", key_of(", \"name\": \"buy\""));
    /* u_1700000000000_3:buy18:https://a.example/18:{"a": 1, "b": "x"} */
    assert_string_equal("fd3e457c-a122-5f68-84c9-56cb320a06c5",
                        key_of(", \"name\": \"buy\", \"props\": {\"b\": \"x\", \"a\": 1}"));
    assert_string_equal("fd3e457c-a122-5f68-84c9-56cb320a06c5",
                        key_of(", \"name\": \"buy\", \"referrer\": \"r\", \"props\": "
                               "{\"a\": 1, \"b\": \"x\"}"));
    /* u_1700000000000_10:engagement18:https://a.example/0: */
    assert_string_equal("a51043cc-edee-5760-b50b-440973a16d6e",
                        key_of(", \"name\": \"engagement\", \"engaged_ms\": 5"));
}

static int compare(const char *a, const char *b)
{
    const cm_event_t left = parse(a), right = parse(b);
    const int order = cm_event_compare(&left, &right);

    assert_int_equal(order, -cm_event_compare(&right, &left));
    return (order > 0) - (order < 0);
}

static void of_copies_the_one_with_more_fields_counts(void **state)
{
    (void)state;
    assert_int_equal(
        0, compare(", \"props\": {\"a\": 1, \"b\": 2}", ", \"props\": {\"b\":2,\"a\":1}"));
    assert_int_equal(1, compare(", \"referrer\": \"r\"", ""));
    assert_int_equal(1,
                     compare(", \"referrer\": \"r\", \"region\": \"x\"", ", \"city\": \"Oslo\""));
    /* The same number: the greater canonical JSON. */
    assert_int_equal(-1,
                     compare(", \"city\": \"Oslo\"", ", \"referrer\": \"r\"")); /* city: O < U */
    assert_int_equal(-1, compare(", \"referrer\": \"a\"", ", \"referrer\": \"b\""));
    assert_int_equal(-1, compare(", \"language\": \"a\"", ", \"referrer\": \"a\""));
    assert_int_equal(-1, compare(", \"name\": \"engagement\", \"engaged_ms\": 10000",
                                 ", \"name\": \"engagement\", \"engaged_ms\": 9000"));
    /* A fifth of the nine against an optional one: the comma is less than the brace. */
    assert_int_equal(1, compare(", \"device\": \"Zero\"", ", \"name\": \"buy\""));
}

static void records_are_edited_as_copies(void **state)
{
    (void)state;
    cm_event_t event = parse(", \"referrer\": \"r\"");
    const cm_event_extra_t *before = event.extra;
    cm_event_extra_t edited = cm_event_extra_of(&event);
    edited.text[CM_EXTRA_REGION] = CM_STR("R");
    event.extra = cm_event_extra_keep(&edited, &arena);
    assert_int_equal(0, before->text[CM_EXTRA_REGION].len);
    assert_string_equal("r", text_of(&event, CM_EXTRA_REFERRER));
    assert_false(cm_event_extra_equal(before, event.extra));
    assert_true(cm_event_extra_equal(NULL, &CM_EVENT_EXTRA_NONE));
    cm_event_t plain = parse("");
    assert_int_equal(-1, cm_event_extra_of(&plain).engaged_ms);
}

static int set_up(void **state)
{
    int rc = event_parser_set_up(state);
    parser = *state;
    return rc;
}

static int tear_down(void **state)
{
    cm_arena_free(&arena);
    return event_parser_tear_down(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_all_fields),
        cmocka_unit_test(absent_is_absent),
        cmocka_unit_test(broken_rules_name_the_field),
        cmocka_unit_test(the_last_of_equal_fields_counts),
        cmocka_unit_test(equal_fields_take_little_time),
        cmocka_unit_test(json_and_csv_leave_out_what_is_absent),
        cmocka_unit_test(csv_has_blanks_in_quotes),
        cmocka_unit_test(derives_row_keys),
        cmocka_unit_test(of_copies_the_one_with_more_fields_counts),
        cmocka_unit_test(records_are_edited_as_copies),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
