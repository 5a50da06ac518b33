/* The parts of URLs: exact results. */
#include "support.h"

#include "enrich/url_parts.h"

typedef struct row {
    const char *url, *host, *path, *query;
} row_t;

static const row_t rows[] = {
    {"https://shop.example/a/b?x=1#top", "shop.example", "/a/b", "x=1"},
    {"https://shop.example", "shop.example", "/", ""},
    {"https://shop.example?x=1", "shop.example", "/", "x=1"},
    {"https://shop.example#top", "shop.example", "/", ""},
    {"HTTP://WWW.Shop.Example:8080/A", "WWW.Shop.Example", "/A", ""},
    {"//shop.example/a", "shop.example", "/a", ""},
    {"https://user:secret@shop.example:443/a", "shop.example", "/a", ""},
    {"https://shop.example@evil.example/a", "evil.example", "/a", ""},
    {"https://evil.example\\@shop.example/a", "evil.example", "\\@shop.example/a", ""},
    {"https://shop.example/a@b", "shop.example", "/a@b", ""},
    {"https://[2001:db8::1]:8080/a", "[2001:db8::1]", "/a", ""},
    {"https://[2001:db8::1", "[2001:db8::1", "/", ""},
    {"android-app://com.google.android.gm/", "com.google.android.gm", "/", ""},
    {"android-app://com.slack", "com.slack", "/", ""},
    {"/cart?x=1", "", "/cart", "x=1"},
    {"/go?to=https://shop.example/", "", "/go", "to=https://shop.example/"},
    {"cart", "", "cart", ""},
    {"?page=2", "", "/", "page=2"},
    {"?a=1?b=2", "", "/", "a=1?b=2"},
    {"?", "", "/", ""},
    {"#top?x=1", "", "/", ""},
    {"/a#/b?x=1", "", "/a", ""},
    {"about:blank", "", "about:blank", ""},
    {"data:text/html,//x", "", "data:text/html,//x", ""},
    {"mailto:a@shop.example", "", "mailto:a@shop.example", ""},
    {"file:///etc/hosts", "", "/etc/hosts", ""},
    {"://shop.example/", "", "://shop.example/", ""},
    {"1x://shop.example/", "", "1x://shop.example/", ""},
    {"a b://shop.example/", "", "a b://shop.example/", ""},
    {"https:/shop.example/", "", "https:/shop.example/", ""},
    {"shop.example/a", "", "shop.example/a", ""},
    {"https://", "", "/", ""},
    {"/", "", "/", ""},
    {"", "", "/", ""},
};

static void assert_text(const char *of, cm_str_t got, const char *wanted)
{
    if (!cm_str_equal(got, cm_str(wanted)))
        fail_msg("of \"%s\": \"%.*s\", not \"%s\"", of, (int)got.len, got.data, wanted);
}

static void test_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_text(rows[i].url, cm_url_host(cm_str(rows[i].url)), rows[i].host);
        assert_text(rows[i].url, cm_url_path(cm_str(rows[i].url)), rows[i].path);
        assert_text(rows[i].url, cm_url_query(cm_str(rows[i].url)), rows[i].query);
    }
}

static void test_www(void **state)
{
    (void)state;
    assert_text("www.", cm_url_without_www(CM_STR("www.shop.example")), "shop.example");
    assert_text("WWW.", cm_url_without_www(CM_STR("WWW.shop.example")), "shop.example");
    assert_text("www2.", cm_url_without_www(CM_STR("www2.shop.example")), "www2.shop.example");
    assert_text("www", cm_url_without_www(CM_STR("www.")), "www.");
    assert_text("www.www.", cm_url_without_www(CM_STR("www.www.example")), "www.example");
    assert_text("none", cm_url_without_www(CM_STR("")), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_www),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
