/* URLs in the forms that pages use, the lookup of names, and empty host names. */
#include "support.h"

#include "base/lookup.h"
#include "serve/authority.h"
#include "source/http/page_url.h"

#include <stdio.h>

static void hosts_of_urls(void **state)
{
    static const char *const cases[][2] = {
        {"https://shop.example/cart", "shop.example"},
        {"https://shop.example:8443?a=b", "shop.example:8443"},
        {"HTTPS://Shop.Example#x", "Shop.Example"},
        {"//shop.example/cart", "shop.example"},
        {"android-app://shop.example", "shop.example"},
        {"https://user:word@evil.example/", "user:word@evil.example"},
        {"https://evil.example\\@shop.example/", "evil.example\\@shop.example"},
        {"https:\\\\evil.example/", "evil.example"},
        {"\\\\evil.example", "evil.example"},
        {"/to?url=https://evil.example/", ""},
        {"cart", ""},
        {"about:blank", ""},
        {"mailto:ann@shop.example", ""},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cm_str_t host = cm_page_url_host(cm_str(cases[i][0]));
        if (!cm_str_equal(host, cm_str(cases[i][1])))
            fail_msg("%s is of %.*s", cases[i][0], (int)host.len, host.data);
    }
}

static void urls_without_a_host(void **state)
{
    static const char *const cases[][2] = {
        {"/cart?a=https://x.example/", "https://shop.example/cart?a=https://x.example/"},
        {"cart", "https://shop.example/cart"},
        {"?page=2", "https://shop.example/?page=2"},
        {"//www.shop.example/a", "https://www.shop.example/a"},
        {"http://other.example/a", "http://other.example/a"},
        {"about:blank", "about:blank"},
        {"2:1", "https://shop.example/2:1"},
    };
    cm_arena_t arena = CM_ARENA_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cm_str_t url =
            cm_page_url_complete(cm_str(cases[i][0]), CM_STR("https://shop.example"), &arena);
        if (!cm_str_equal(url, cm_str(cases[i][1])))
            fail_msg("%s became %.*s", cases[i][0], (int)url.len, url.data);
    }
    assert_true(cm_page_url_relative(CM_STR("/cart")));
    assert_false(cm_page_url_relative(CM_STR("//shop.example")));
    assert_false(cm_page_url_relative(CM_STR("about:blank")));
    cm_arena_free(&arena);
}

static void an_absent_host_has_no_name(void **state)
{
    (void)state;
    assert_int_equal(cm_authority_host(cm_str(NULL)).len, 0);
    assert_string_equal(cm_authority_host(cm_str(NULL)).data, "");
}

static void every_key_is_found(void **state)
{
    cm_lookup_t lookup = {0};
    char key[24];
    size_t at;

    (void)state;
    assert_false(cm_lookup_find(&lookup, CM_STR("0"), &at));
    for (size_t i = 0; i < 5000; i++) {
        int len = snprintf(key, sizeof key, "%zu", i);
        assert_false(cm_lookup_find(&lookup, (cm_str_t){key, (size_t)len}, &at));
        cm_lookup_add(&lookup, (cm_str_t){key, (size_t)len}, i);
    }
    for (size_t i = 0; i < 5000; i++) {
        int len = snprintf(key, sizeof key, "%zu", i);
        assert_true(cm_lookup_find(&lookup, (cm_str_t){key, (size_t)len}, &at));
        assert_int_equal(at, i);
    }
    assert_false(cm_lookup_find(&lookup, CM_STR("5000"), &at));
    assert_false(cm_lookup_find(&lookup, CM_STR(""), &at));
    cm_lookup_free(&lookup);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_of_urls),
        cmocka_unit_test(urls_without_a_host),
        cmocka_unit_test(an_absent_host_has_no_name),
        cmocka_unit_test(every_key_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
