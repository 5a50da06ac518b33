/* Members of other names: what a map accepts, and what JSON and the fast reader of shapes make of
 * it. */
#include "event_parser.h"

#include "event/shape.h"

/* A map of "FIELD=MEMBER" pairs; `maps` says how many. */
static int make_map(const char *const *maps, size_t count, cm_event_map_t **map, cm_err_t *err)
{
    cm_option_pair_t pairs[8];
    char names[8][40];

    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(maps[i], '=');
        snprintf(names[i], sizeof names[i], "%.*s", (int)(equals - maps[i]), maps[i]);
        pairs[i] = (cm_option_pair_t){.name = names[i], .text = equals + 1, .where = "--map"};
    }
    return cm_event_map_new(&(cm_option_map_t){pairs, count}, map, err);
}

static const char *const usual[] = {"user_id=userId",     "timestamp=at.ms", "url=page.url",
                                    "props=a.attributes", "name=none",       "referrer=page.from"};

static void use_usual(event_parser_t *parsed, cm_event_map_t **map)
{
    assert_ok(make_map(usual, 6, map, &parsed->err), parsed->err);
    cm_event_json_set_map(parsed->json, *map);
}

static void end(event_parser_t *parsed, cm_event_map_t *map)
{
    cm_event_json_set_map(parsed->json, NULL);
    cm_event_map_free(map);
}

static void assert_extra(const event_parser_t *parsed, cm_extra_field_t field, const char *text)
{
    assert_non_null(parsed->event.extra);
    const cm_str_t got = parsed->event.extra->text[field];
    if (!cm_str_equal(got, cm_str(text)))
        fail_msg("%s is %.*s", cm_extra_names[field], (int)got.len, got.data);
}

static void members(void **state)
{
    event_parser_t *parsed = *state;
    cm_event_map_t *map;

    use_usual(parsed, &map);
    assert_ok(event_parser_parse(
                  parsed, CM_STR("{\"userId\":\"u\",\"at\":{\"ms\":1700000000000,\"zone\":\"x\"},"
                                 "\"page\":{\"url\":\"/a\",\"from\":\"https://g.com/\"},\"a\":{"
                                 "\"attributes\":{\"n\":3.50,\"b\":true}},\"name\":\"Bob\","
                                 "\"url\":\"/other\",\"city\":\"Oslo\"}")),
              parsed->err);
    assert_true(cm_str_equal(parsed->event.user_id, CM_STR("u")));
    assert_int_equal(parsed->event.timestamp, INT64_C(1700000000000));
    assert_true(cm_str_equal(parsed->event.url, CM_STR("/a")));
    assert_true(cm_str_equal(parsed->event.city, CM_STR("Oslo")));
    assert_extra(parsed, CM_EXTRA_REFERRER, "https://g.com/");
    assert_extra(parsed, CM_EXTRA_PROPS, "{\"b\": true, \"n\": 3.50}");
    assert_extra(parsed, CM_EXTRA_NAME, "");
    assert_int_equal(parsed->unknown, 3); /* at.zone, name, url */
    end(parsed, map);
}

/* Each object is read from its own text, not from that of another one with the same name. */
static void equal_parents(void **state)
{
    static const char *const maps[] = {"engaged_ms=page.ms", "props=page.attributes"};
    event_parser_t *parsed = *state;
    cm_event_map_t *map;

    assert_ok(make_map(maps, 2, &map, &parsed->err), parsed->err);
    cm_event_json_set_map(parsed->json, map);
    assert_ok(event_parser_parse(
                  parsed, CM_STR("{\"user_id\":\"u\",\"timestamp\":1700000000000,\"url\":\"/\","
                                 "\"name\":\"engagement\",\"page\":{\"ms\":\"5\"},"
                                 "\"page\":{\"attributes\":{\"n\":1.50}},\"page\":{}}")),
              parsed->err);
    assert_int_equal(parsed->event.extra->engaged_ms, 5);
    assert_extra(parsed, CM_EXTRA_PROPS, "{\"n\": 1.50}");
    end(parsed, map);
}

/* An object that gives props may have a member that gives another field, in each line. */
static void fields_inside_of_fields(void **state)
{
    static const char *const maps[] = {"props=properties", "url=properties.url",
                                       "referrer=properties.referrer"};
    event_parser_t *parsed = *state;
    cm_event_map_t *map;

    assert_ok(make_map(maps, 3, &map, &parsed->err), parsed->err);
    cm_event_json_set_map(parsed->json, map);
    for (int i = 0; i < 3; i++) {
        assert_ok(event_parser_parse(parsed,
                                     CM_STR("{\"user_id\":\"u\",\"timestamp\":1700000000000,"
                                            "\"properties\":{\"url\":\"/\",\"referrer\":\"/r\"}}")),
                  parsed->err);
        assert_true(cm_str_equal(parsed->event.url, CM_STR("/")));
        assert_extra(parsed, CM_EXTRA_REFERRER, "/r");
        assert_extra(parsed, CM_EXTRA_PROPS, "{\"referrer\": \"/r\", \"url\": \"/\"}");
        assert_int_equal(parsed->unknown, 0);
    }
    end(parsed, map);
}

/* A member whose own name has dots is meant as well. */
static void names_with_dots(void **state)
{
    event_parser_t *parsed = *state;
    cm_event_map_t *map;

    use_usual(parsed, &map);
    assert_ok(event_parser_parse(parsed, CM_STR("{\"userId\":\"u\",\"at.ms\":5,\"page.url\":\"/\","
                                                "\"a\":{\"attributes\":null}}")),
              parsed->err);
    assert_int_equal(parsed->event.timestamp, 5);
    assert_null(parsed->event.extra);
    end(parsed, map);
}

static void rejected(void **state)
{
    static const struct {
        const char *text, *reason;
    } all[] = {
        {"{\"userId\":5,\"at\":{\"ms\":1},\"page\":{\"url\":\"/\"}}",
         "user_id is not a string (event.map: userId)"},
        {"{\"userId\":\"u\",\"at\":{\"ms\":true},\"page\":{\"url\":\"/\"}}",
         "timestamp is neither an integer of milliseconds nor RFC 3339 (event.map: at.ms)"},
        {"{\"userId\":\"u\",\"timestamp\":1,\"page\":{\"url\":\"/\"}}",
         "timestamp is missing (event.map: at.ms)"},
        {"{\"user_id\":\"u\",\"at\":{\"ms\":1},\"page\":{\"url\":\"/\"}}",
         "user_id is missing or empty (event.map: userId)"},
        {"{\"userId\":\"u\",\"at\":{\"ms\":1},\"page\":\"/\"}",
         "url is missing or empty (event.map: page.url)"},
    };
    event_parser_t *parsed = *state;
    cm_event_map_t *map;

    use_usual(parsed, &map);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_int_equal(event_parser_parse(parsed, cm_str(all[i].text)), CM_EREJECT);
        assert_string_equal(parsed->err.text, all[i].reason);
    }
    end(parsed, map);
}

/* Numbers of more than 64 bits are no error in what is not read, and are one in what is. */
static void large_numbers(void **state)
{
    event_parser_t *parsed = *state;
    const char *const maps[] = {"timestamp=ms"};
    cm_event_map_t *map;

    assert_ok(make_map(maps, 1, &map, &parsed->err), parsed->err);
    cm_event_json_set_map(parsed->json, map);
    assert_ok(event_parser_parse(parsed, CM_STR("{\"user_id\":\"u\",\"url\":\"/\",\"ms\":7,"
                                                "\"timestamp\":123456789012345678901234567890}")),
              parsed->err);
    assert_int_equal(parsed->event.timestamp, 7);
    assert_int_equal(event_parser_parse(parsed, CM_STR("{\"user_id\":\"u\",\"url\":\"/\",\"ms\":"
                                                       "123456789012345678901234567890}")),
                     CM_EREJECT);
    end(parsed, map);
}

/* A number that is not read may have any size. The number beside it that is the timestamp is never
 * replaced, and so the message can be refused, but not read with another time. */
static void large_numbers_beside_the_time(void **state)
{
    event_parser_t *parsed = *state;
    cm_event_map_t *map;

    use_usual(parsed, &map);
    assert_ok(
        event_parser_parse(
            parsed, CM_STR("{\"userId\":\"u\",\"at\":{\"ms\":1700000000000},\"page\":{\"url\":"
                           "\"/\"},\"other\":99999999999999999999}")),
        parsed->err);
    assert_int_equal(parsed->event.timestamp, INT64_C(1700000000000));
    assert_int_equal(
        CM_EREJECT,
        event_parser_parse(parsed,
                           CM_STR("{\"userId\":\"u\",\"at\":{\"ms\":1700000000000000000},"
                                  "\"page\":{\"url\":\"/\"},\"other\":99999999999999999999}")));
    assert_string_equal(
        "timestamp 1700000000000000000 is out of range: it looks like nanoseconds, and "
        "milliseconds are expected (--time-unit ns accepts them) (event.map: at.ms)",
        parsed->err.text);
    end(parsed, map);
}

/* The shape of a line has the fields that the map says, and none for a line with a member that is
 * not read. */
static void shapes(void **state)
{
    const char *const maps[] = {"user_id=userId", "referrer=url", "url=page", "name=none"};
    static const char line[] = "{\"userId\":\"u\",\"timestamp\":5,\"page\":\"/\",\"url\":\"/r\"}";
    event_parser_t *parsed = *state;
    cm_shape_t shape = {0};
    cm_event_map_t *map;
    cm_event_t event;
    char text[200] = {0};

    assert_ok(make_map(maps, 4, &map, &parsed->err), parsed->err);
    snprintf(text, sizeof text, "%s", line);
    cm_shape_learn(&shape, cm_str(text), map);
    assert_int_equal(shape.count, 4);
    assert_true(cm_shape_read(&shape, cm_str(text), &parsed->arena, &event));
    assert_true(cm_str_equal(event.user_id, CM_STR("u")));
    assert_true(cm_str_equal(event.url, CM_STR("/")));
    assert_true(cm_str_equal(event.extra->text[CM_EXTRA_REFERRER], CM_STR("/r")));
    snprintf(text, sizeof text, "{\"userId\":\"u\",\"timestamp\":5,\"page\":\"/\",\"name\":\"x\"}");
    cm_shape_learn(&shape, cm_str(text), map);
    assert_int_equal(shape.count, 0);
    cm_event_map_free(map);
}

static void wrong_maps(void **state)
{
    static const struct {
        const char *maps[2];
        const char *sentence;
    } all[] = {
        {{"userid=a"}, "--map: userid is not a field of events; docs/contract.md lists them"},
        {{"url= "}, "--map: it must be the name of a member, or none; at most 256 bytes"},
        {{"url=a", "user_id=a"},
         "event.map: a gives both user_id and url; map one of them to another member, or to none"},
        {{"url=user_id"},
         "event.map: user_id gives both user_id and url; map one of them to another member, or to "
         "none"},
    };
    cm_event_map_t *map;
    cm_err_t err;

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const size_t count = all[i].maps[1] != NULL ? 2 : 1;
        assert_int_equal(make_map(all[i].maps, count, &map, &err), CM_EUSAGE);
        assert_string_equal(err.text, all[i].sentence);
        assert_null(map);
    }
    assert_int_equal(make_map(NULL, 0, &map, &err), 0);
    assert_null(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members),
        cmocka_unit_test(equal_parents),
        cmocka_unit_test(fields_inside_of_fields),
        cmocka_unit_test(names_with_dots),
        cmocka_unit_test(rejected),
        cmocka_unit_test(large_numbers),
        cmocka_unit_test(large_numbers_beside_the_time),
        cmocka_unit_test(shapes),
        cmocka_unit_test(wrong_maps),
    };
    return cmocka_run_group_tests(tests, event_parser_set_up, event_parser_tear_down);
}
