/* base/json.h: looking up values in documents of servers. */
#include "base/json.h"

#include "support.h"

static const cm_str_t text = CM_STR(
    "{\"name\":\"a\\u00fc\\\"\",\"count\":-7,\"share\":0.1,\"big\":9223372036854775807,"
    "\"yes\":true,\"none\":null,\"deep\":{\"er\":{\"est\":[1,\"two\",{\"x\":3}]}},\"name\":\"b\"}");

static int count_members(void *context, cm_str_t name, cm_json_t value)
{
    (void)name;
    (void)value;
    return ++*(int *)context == 4 ? 44 : 0;
}

static int sum_items(void *context, cm_json_t item)
{
    int64_t number;
    cm_json_t x;

    if (cm_json_i64(item, &number) || (cm_json_get(item, "x", &x) && cm_json_i64(x, &number)))
        *(int64_t *)context += number;
    return 0;
}

static void test_values(void **state)
{
    cm_json_parser_t *parser = cm_json_parser_new();
    cm_json_t root, found;
    cm_str_t name = {NULL, 0};
    int64_t number;
    double real;
    bool truth;
    (void)state;

    assert_true(cm_json_parse(parser, text, &root));
    assert_true(cm_json_get(root, "name", &found) && cm_json_text(found, &name));
    assert_true(cm_str_equal(name, CM_STR("a\xC3\xBC\"")));
    assert_false(cm_json_i64(found, &number));
    assert_true(cm_json_get(root, "count", &found) && cm_json_i64(found, &number));
    assert_int_equal(number, -7);
    assert_true(cm_json_double(found, &real) && real == -7);
    assert_true(cm_json_get(root, "big", &found) && cm_json_i64(found, &number));
    assert_true(number == INT64_MAX);
    assert_true(cm_json_get(root, "share", &found) && cm_json_double(found, &real));
    assert_true(real == 0.1);
    assert_false(cm_json_i64(found, &number));
    assert_true(cm_json_get(root, "yes", &found) && cm_json_bool(found, &truth) && truth);
    assert_true(cm_json_get(root, "none", &found));
    assert_false(cm_json_text(found, &name) || cm_json_bool(found, &truth));
    assert_false(cm_json_get(root, "other", &found));
    cm_json_parser_free(parser);
}

static void test_walks(void **state)
{
    cm_json_parser_t *parser = cm_json_parser_new();
    cm_json_t root, found;
    int64_t sum = 0;
    int members = 0;
    (void)state;

    assert_true(cm_json_parse(parser, text, &root));
    assert_true(cm_json_find(root, "deep/er/est", &found));
    assert_int_equal(cm_json_items(found, sum_items, &sum), 0);
    assert_int_equal(sum, 4);
    assert_int_equal(cm_json_members(found, count_members, &members), 0);
    assert_int_equal(members, 0);
    assert_false(cm_json_find(root, "deep/er/est/x", &found));
    assert_false(cm_json_find(root, "name/x", &found));
    assert_int_equal(cm_json_members(root, count_members, &members), 44);
    assert_int_equal(members, 4);
    cm_json_parser_free(parser);
}

/* A parser is used again; text that is not JSON is rejected. */
static void test_no_json(void **state)
{
    static const char *const texts[] = {"", "{", "{\"a\":}", "[1,2", "nul", "{\"a\":1}x", "\xFF"};
    cm_json_parser_t *parser = cm_json_parser_new();
    cm_json_t root;
    int64_t number = 0;
    (void)state;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_false(cm_json_parse(parser, cm_str(texts[i]), &root));
    assert_true(cm_json_parse(parser, CM_STR("5"), &root) && cm_json_i64(root, &number));
    assert_int_equal(number, 5);
    cm_json_parser_free(parser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_walks),
        cmocka_unit_test(test_no_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
