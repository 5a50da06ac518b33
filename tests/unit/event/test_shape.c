/* Lines that fit a learnt shape are read exactly as the full parser reads them. */
#include "event/shape.h"

#include "event_parser.h"

enum { FORMS = 6 };

/* A line of the given kind; some of its values are unusual. */
static void add_line(cm_buf_t *line, int kind, uint64_t *random)
{
    static const char *const forms[FORMS] = {
        "{\"user_id\": \"%s\", \"timestamp\": %s, \"url\": \"%s\", \"country\": \"%s\"}",
        "{\"url\":\"%3$s\",\"timestamp\":%2$s,\"user_id\":\"%1$s\",\"city\":\"%4$s\"}",
        ("{ \"row_key\" : \"%4$s\" ,\t\"timestamp\" : %2$s , "
         "\"url\":\"%3$s\",\"user_id\":\"%1$s\"} "),
        "{\"user_id\":\"%s\",\"timestamp\":%s,\"url\":\"%s\",\"url\":\"%s\"}",
        ("{\"user_id\":\"%s\",\"timestamp\":%s,\"url\":\"%s\",\"referrer\":\"%s\","
         "\"name\":\"%1$s\",\"props\":{\"b\":1.0,\"a\":\"%4$s\"},\"region\":\"\"}"),
        ("{\"user_id\":\"%s\",\"timestamp\":1700000000000,\"url\":\"%3$s\",\"country\":\"%4$s\","
         "\"name\":\"engagement\",\"engaged_ms\":%2$s}")};
    static const char *const texts[] = {"",
                                        "a",
                                        "plain text of some length",
                                        "\xC3\xA4",
                                        "a\\\"b",
                                        "\\u0041",
                                        "\xC3",
                                        "\x01",
                                        "}",
                                        ",\"url\":",
                                        "seventeen bytes..",
                                        "\xF0\x9F\x98\x80 and \xE2\x82\xAC"};
    static const char *const times[] = {"1700000000000",
                                        "1",
                                        "0",
                                        "-5",
                                        "4102444799999",
                                        "4102444800000",
                                        "999999999",
                                        "1000000000",
                                        "1747476303",
                                        "4102444799",
                                        "01",
                                        "1.5",
                                        "1e3",
                                        "\"1700000000000\"",
                                        "9999999999999",
                                        "99999999999999",
                                        "99999999999999999999",
                                        "",
                                        "null"};
    const char *text[3], *time = times[test_random(random) % 4 ? 0 : test_random(random) % 19];

    for (int i = 0; i < 3; i++)
        text[i] =
            texts[test_random(random) % 4 ? 1 + test_random(random) % 3 : test_random(random) % 12];
    cm_buf_clear(line);
    cm_buf_printf(line, forms[kind], text[0], time, text[1], text[2]);
    if (test_random(random) % 8 == 0)
        line->data[test_random(random) % line->len] = (char)test_random(random);
    if (test_random(random) % 20 == 0)
        line->len -= test_random(random) % line->len;
}

/* A parser that has learnt the shape of its lines gives exactly the same as a new one. */
static void used_and_fresh(void **state)
{
    event_parser_t *used = *state, fresh = {0};
    cm_buf_t line = CM_BUF_INIT, a = CM_BUF_INIT, b = CM_BUF_INIT;
    uint64_t random = 17;
    int accepted = 0;

    for (int round = 0; round < 8000; round++) {
        int kind = round / 1000 < FORMS ? round / 1000 : (int)(test_random(&random) % FORMS);
        add_line(&line, kind, &random);
        fresh.json = cm_event_json_new();
        int rc = event_parser_parse(&fresh, (cm_str_t){line.data, line.len});
        assert_int_equal(event_parser_parse(used, (cm_str_t){line.data, line.len}), rc);
        assert_int_equal(used->unknown, fresh.unknown);
        cm_buf_clear(&a);
        cm_buf_clear(&b);
        if (rc == 0) {
            cm_event_add_json(&a, &used->event);
            cm_event_add_json(&b, &fresh.event);
            assert_string_equal(a.data, b.data);
            accepted++;
        } else {
            assert_string_equal(used->err.text, fresh.err.text);
        }
        cm_event_json_free(fresh.json);
    }
    assert_in_range(accepted, 1000, 5000);
    free(fresh.memory);
    cm_arena_free(&fresh.arena);
    cm_buf_free(&line);
    cm_buf_free(&a);
    cm_buf_free(&b);
}

/* JSON's white space is more than spaces: text after a line break within the object is not part of
 * the shape's constant end. */
static void line_breaks_inside(void **state)
{
    static const char *const breaks[] = {"\r", "\n", " \r\n", ""};
    event_parser_t *parsed = *state;
    char text[200];

    for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++) {
        cm_event_json_free(parsed->json);
        parsed->json = cm_event_json_new();
        for (int round = 0; round < 3; round++) {
            snprintf(text, sizeof text,
                     "{\"user_id\":\"u\",\"url\":\"/"
                     "\",\"timestamp\":%d%s,\"country\":\"Chile\",\"x\":1}",
                     5 + round, breaks[i]);
            assert_ok(event_parser_parse(parsed, cm_str(text)), parsed->err);
            assert_int_equal(parsed->event.timestamp, 5 + round);
            assert_true(cm_str_equal(parsed->event.country, CM_STR("Chile")));
            assert_int_equal(parsed->unknown, 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(used_and_fresh),
        cmocka_unit_test(line_breaks_inside),
    };
    return cmocka_run_group_tests(tests, event_parser_set_up, event_parser_tear_down);
}
