/* Properties: what is taken, what is refused, and the canonical form. */
#include "event/props.h"

#include "support.h"

/* The canonical form of a JSON text, or the message. */
static const char *read_props(const char *json)
{
    static char text[CM_PROPS_SIZE_MAX + 1];
    cm_arena_t arena = CM_ARENA_INIT;
    cm_str_t canonical;
    cm_err_t err;

    if (cm_props_read(cm_str(json), &arena, &canonical, &err) < 0)
        snprintf(text, sizeof text, "%s", err.text);
    else
        snprintf(text, sizeof text, "%.*s", (int)canonical.len,
                 canonical.len ? canonical.data : "");
    cm_arena_free(&arena);
    return text;
}

static void has_one_canonical_form(void **state)
{
    (void)state;
    assert_string_equal("{\"a\": 1, \"b\": \"x\"}", read_props("{\"b\":\"x\",\"a\":1}"));
    assert_string_equal("{\"a\": 1, \"b\": \"x\"}",
                        read_props(" {\n\"a\" : 1 ,\t\"b\" : \"x\" } "));
    assert_string_equal("{\"B\": 1, \"a\": 2, \"\xC3\xA4\": 3}",
                        read_props("{\"\\u00e4\": 3, \"a\": 2, \"B\": 1}"));
    /* Numbers as they were written. */
    assert_string_equal("{\"a\": 10.50, \"b\": 1e3, \"c\": 12345678901234567890, \"d\": -0}",
                        read_props("{\"a\":10.50,\"b\":1e3,\"c\":12345678901234567890,\"d\":-0}"));
    assert_string_equal("{\"a\": true, \"b\": false}", read_props("{\"b\":false,\"a\":true}"));
    assert_string_equal("{\"a\": \"1\", \"b\": \"true\"}",
                        read_props("{\"a\":\"1\",\"b\":\"true\"}"));
    /* Escapes: only those of the canonical JSON. */
    assert_string_equal("{\"a\": \"/\\\"\\\\\\n\\u0001\xF0\x9F\x98\x80\"}",
                        read_props("{\"a\": \"\\/\\\"\\\\\\u000a\\u0001\\ud83d\\ude00\"}"));
    /* A key may have dots. */
    assert_string_equal("{\"order.total\": 1}", read_props("{\"order.total\": 1}"));
}

static void null_and_empty_are_absent(void **state)
{
    (void)state;
    assert_string_equal("", read_props("null"));
    assert_string_equal("", read_props("{}"));
    assert_string_equal("", read_props("{\"a\": null, \"b\": \"\", \"\": null}"));
    assert_string_equal("{\"a\": 0, \"b\": false}",
                        read_props("{\"a\": 0, \"b\": false, \"c\": \"\"}"));
}

static void of_equal_keys_the_last_wins(void **state)
{
    (void)state;
    assert_string_equal("{\"a\": 3, \"b\": 1}",
                        read_props("{\"a\": 1, \"b\": 1, \"a\": 2, \"\\u0061\": 3}"));
    assert_string_equal("{\"b\": 1}", read_props("{\"a\": 1, \"b\": 1, \"a\": null}"));
}

/* An object with `count` keys; each stands twice, and `nulls` more are null. */
static char *many(int count, int nulls)
{
    cm_buf_t buf = CM_BUF_INIT;
    for (int i = count; i > 0; i--)
        cm_buf_printf(&buf, "%s\"k%03d\": 0, \"k%03d\": %d", buf.len ? ", " : "{", i, i, i);
    for (int i = 0; i < nulls; i++)
        cm_buf_printf(&buf, ", \"n%d\": null", i);
    cm_buf_add_char(&buf, '}');
    return buf.data;
}

static void counts_to_32(void **state)
{
    (void)state;
    char *fits = many(32, 100), *one_more = many(33, 0);

    const char *text = read_props(fits);
    assert_int_equal('{', text[0]);
    assert_non_null(strstr(text, "{\"k001\": 1, \"k002\": 2, "));
    assert_non_null(strstr(text, ", \"k031\": 31, \"k032\": 32}"));
    assert_string_equal("props has 33 keys, the limit is 32", read_props(one_more));
    free(fits);
    free(one_more);
}

/* What `--bots keep` adds does not count, so that an exported event can be imported. */
static void those_of_a_bot_come_beyond(void **state)
{
    char *fits = many(32, 0), *one_more = many(33, 0);
    char json[1400];

    (void)state;
    snprintf(json, sizeof json, "{\"bot_kind\": \"seo\", \"bot\": \"x\", %s", fits + 1);
    assert_non_null(
        strstr(read_props(json), "{\"bot\": \"x\", \"bot_kind\": \"seo\", \"k001\": 1"));
    snprintf(json, sizeof json, "{\"bot\": \"x\", %s", one_more + 1);
    assert_string_equal("props has 33 keys, the limit is 32", read_props(json));
    free(fits);
    free(one_more);
}

static void long_keys_and_values_are_refused(void **state)
{
    cm_buf_t umlauts = CM_BUF_INIT;
    char json[1200];

    (void)state;
    snprintf(json, sizeof json, "{\"%064d\": \"%0256d\"}", 1, 1);
    assert_int_equal(64 + 256 + 8, strlen(read_props(json)));
    snprintf(json, sizeof json, "{\"%065d\": 1}", 0);
    assert_non_null(strstr(read_props(json), "... is 65 bytes long, the limit is 64"));
    snprintf(json, sizeof json, "{\"k\": \"%0257d\"}", 0);
    assert_string_equal("props: the value of k is 257 bytes long, the limit is 256",
                        read_props(json));
    /* Bytes of the text, not of its JSON. */
    for (int i = 0; i < 128; i++)
        cm_buf_add_text(&umlauts, "\\u00e4");
    snprintf(json, sizeof json, "{\"k\": \"%s\"}", umlauts.data);
    cm_buf_free(&umlauts);
    assert_int_equal(256 + 9, strlen(read_props(json)));
    /* A null may have any key. */
    snprintf(json, sizeof json, "{\"%065d\": null}", 0);
    assert_string_equal("", read_props(json));
}

static void everything_else_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "[]",
        "1",
        "\"x\"",
        "{",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1} x",
        "{a:1}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":1e}",
        "{\"a\":nul}",
        "{\"a\":tru}",
        "{\"a\":NaN}",
        "{\"a\":\"x}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udc00\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":1 \"b\":2}",
        "{,}",
        "{\"a\":\"\\ud83d\\u0041\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_string_equal("props is not a JSON object", read_props(wrong[i]));
    assert_string_equal("props: the value of cart is an object; props must be flat",
                        read_props("{\"cart\": {\"n\": 1}}"));
    assert_string_equal("props: the value of tags is an array; props must be flat",
                        read_props("{\"tags\": []}"));
    assert_string_equal("props has a key of 0 bytes", read_props("{\"\": 1}"));
}

static void are_listed_and_added_to(void **state)
{
    cm_arena_t arena = CM_ARENA_INIT;
    cm_str_t canonical, rest;
    cm_prop_t prop;
    cm_err_t err;
    const cm_prop_t ours[] = {{CM_STR("bot"), CM_STR("GPTBot"), true},
                              {CM_STR("a"), CM_STR("true"), false}};

    (void)state;
    assert_ok(cm_props_read(CM_STR("{\"c\": 5, \"a\": \"x\\ty\"}"), &arena, &canonical, &err), err);
    rest = canonical;
    assert_true(cm_props_next(&rest, &arena, &prop));
    assert_true(cm_str_equal(CM_STR("a"), prop.key) && prop.is_text);
    assert_true(cm_str_equal(CM_STR("x\ty"), prop.value));
    assert_true(cm_props_next(&rest, &arena, &prop));
    assert_true(cm_str_equal(CM_STR("c"), prop.key) && !prop.is_text);
    assert_true(cm_str_equal(CM_STR("5"), prop.value));
    assert_false(cm_props_next(&rest, &arena, &prop));
    canonical = cm_props_add(canonical, ours, 2, &arena);
    assert_true(cm_str_equal(CM_STR("{\"a\": true, \"bot\": \"GPTBot\", \"c\": 5}"), canonical));
    canonical = cm_props_add((cm_str_t){NULL, 0}, ours, 1, &arena);
    assert_true(cm_str_equal(CM_STR("{\"bot\": \"GPTBot\"}"), canonical));
    cm_arena_free(&arena);
}

static void any_order_of_keys_gives_the_same(void **state)
{
    uint64_t random = 18;
    char *expected = NULL;

    (void)state;
    for (int round = 0; round < 200; round++) {
        int order[32];
        cm_buf_t json = CM_BUF_INIT;
        for (int i = 0; i < 32; i++) {
            int at = (int)(test_random(&random) % (uint64_t)(i + 1));
            order[i] = order[at];
            order[at] = i;
        }
        for (int i = 0; i < 32; i++)
            cm_buf_printf(&json, "%s\"k%d\": \"%d\"", i ? "," : "{", order[i], order[i]);
        cm_buf_add_char(&json, '}');
        if (expected == NULL)
            expected = cm_strdup(read_props(json.data));
        assert_string_equal(expected, read_props(json.data));
        cm_buf_free(&json);
    }
    free(expected);
}

static void goes_through_members(void **state)
{
    static const char *const values[] = {"{\"b\": 2}", "\"}\\\"\"", "[1, {}]", "null", "-1e5"};
    cm_str_t rest = CM_STR(" {\"a\": {\"b\": 2}, \"b\" : \"}\\\"\" , \"\\u0062\": [1, {}], "
                           "\"c\":null,\"\":-1e5 } ");
    cm_str_t value;

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        assert_true(cm_member_next(&rest, &value));
        assert_true(cm_str_equal(cm_str(values[i]), value));
    }
    assert_false(cm_member_next(&rest, &value));
    rest = CM_STR("{}");
    assert_false(cm_member_next(&rest, &value));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_one_canonical_form),
        cmocka_unit_test(null_and_empty_are_absent),
        cmocka_unit_test(of_equal_keys_the_last_wins),
        cmocka_unit_test(counts_to_32),
        cmocka_unit_test(those_of_a_bot_come_beyond),
        cmocka_unit_test(long_keys_and_values_are_refused),
        cmocka_unit_test(everything_else_is_refused),
        cmocka_unit_test(are_listed_and_added_to),
        cmocka_unit_test(any_order_of_keys_gives_the_same),
        cmocka_unit_test(goes_through_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
