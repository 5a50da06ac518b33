/* Values of a query: exact results. Those of bytes that are not UTF-8 are what browsers make of
 * them (WHATWG Encoding, "UTF-8 decoder"). */
#include "support.h"

#include "enrich/form.h"

#define BAD "\xEF\xBF\xBD" /* U+FFFD */

typedef struct row {
    const char *written, *decoded;
} row_t;

static const row_t rows[] = {
    {"", ""},
    {"news", "news"},
    {"a+b", "a b"},
    {"a%20b", "a b"},
    {"Android%20App", "Android App"},
    {"a%2Bb%2bc", "a+b+c"},
    {"no%2520code", "no%20code"},
    {"caf%C3%A9", "caf\xC3\xA9"},
    {"caf\xC3\xA9+x", "caf\xC3\xA9 x"},
    {"caf\\xC3\\xa9", "caf\xC3\xA9"},
    {"a\\\"b\\\\c", "a\"b\\c"},
    {"a\\b\\xg1\\x", "a\\b\\xg1\\x"},
    {"100%", "100%"},
    {"100%2", "100%2"},
    {"5%%20", "5% "},
    {"%zz%4", "%zz%4"},
    {"%26%3D%23", "&=#"},
    {"%F0%9F%8E%89", "\xF0\x9F\x8E\x89"},
    {"%E9t%E9", BAD "t" BAD},
    {"\xE9t\xE9", BAD "t" BAD},
    {"%E2%82", BAD},
    {"%E2%82x", BAD "x"},
    {"%E2%28%A1", BAD "(" BAD},
    {"%F0%9F%8E", BAD},
    {"%F0%9F%8E%F0%9F%8E%89", BAD "\xF0\x9F\x8E\x89"},
    {"%C0%AF", BAD BAD},
    {"%E0%80%80", BAD BAD BAD},
    {"%E0%A0%80", "\xE0\xA0\x80"},
    {"%ED%A0%80", BAD BAD BAD},
    {"%ED%9F%BF", "\xED\x9F\xBF"},
    {"%F0%8F%BF%BF", BAD BAD BAD BAD},
    {"%F0%90%80%80", "\xF0\x90\x80\x80"},
    {"%F4%90%80%80", BAD BAD BAD BAD},
    {"%F4%8F%BF%BF", "\xF4\x8F\xBF\xBF"},
    {"%F5%80", BAD BAD},
    {"%80%BFx", BAD BAD "x"},
};

static void test_decode(void **state)
{
    cm_arena_t arena = CM_ARENA_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cm_str_t got = cm_form_decode(cm_str(rows[i].written), &arena);
        if (!cm_str_equal(got, cm_str(rows[i].decoded)))
            fail_msg("of \"%s\": \"%.*s\"", rows[i].written, (int)got.len, got.data);
    }
    cm_arena_free(&arena);
}

/* A value in which nothing is escaped takes no memory. */
static void test_plain_values_are_not_copied(void **state)
{
    const cm_str_t plain = CM_STR("spring-sale_caf\xC3\xA9");
    cm_arena_t arena = CM_ARENA_INIT;

    (void)state;
    assert_ptr_equal(cm_form_decode(plain, &arena).data, plain.data);
    assert_null(arena.chunks);
}

static void test_zero_bytes(void **state)
{
    cm_arena_t arena = CM_ARENA_INIT;

    (void)state;
    assert_true(cm_str_equal(cm_form_decode(CM_STR("a%00b"), &arena), CM_STR("a\0b")));
    cm_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode),
        cmocka_unit_test(test_plain_values_are_not_copied),
        cmocka_unit_test(test_zero_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
