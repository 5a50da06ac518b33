/* The sites whose pages may send: hosts in all forms in which they can be written. */
#include "serve/sites.h"

#include "support.h"

static bool allows(const char *list, const char *origin)
{
    cm_sites_t *sites;
    cm_err_t err;

    assert_ok(cm_sites_new(list, &sites, &err), err);
    bool allowed = cm_sites_allow(sites, cm_str(origin));
    cm_sites_free(sites);
    return allowed;
}

static void one_host(void **state)
{
    static const char *const lists[] = {"münchen.de",         "MÜNCHEN.DE",
                                        "xn--mnchen-3ya.de",  "XN--MNCHEN-3YA.de.",
                                        "münchen.de.",        "a.example, münchen.de",
                                        "https://münchen.de", "https://MÜNCHEN.de./"};
    static const char *const origins[] = {"https://xn--mnchen-3ya.de", "https://münchen.de",
                                          "https://MÜNCHEN.de", "HTTPS://xn--mnchen-3ya.de.",
                                          "https://mu\xCC\x88nchen.de"}; /* u and two dots */

    (void)state;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        for (size_t j = 0; j < sizeof origins / sizeof *origins; j++) {
            if (!allows(lists[i], origins[j]))
                fail_msg("%s does not let %s in", lists[i], origins[j]);
        }
        assert_false(allows(lists[i], "https://munchen.de"));
        assert_false(allows(lists[i], "https://shop.xn--mnchen-3ya.de"));
    }
}

static void with_ports_and_below(void **state)
{
    (void)state;
    assert_true(allows("münchen.de:8080", "http://xn--mnchen-3ya.de:8080"));
    assert_false(allows("münchen.de:8080", "http://xn--mnchen-3ya.de:81"));
    assert_true(allows("*.münchen.de", "https://shop.xn--mnchen-3ya.de"));
    assert_true(allows("*.MÜNCHEN.de.", "https://größe.münchen.de:81"));
    assert_false(allows("*.münchen.de", "https://xn--mnchen-3ya.de"));
    assert_true(allows("https://münchen.de:8443", "https://xn--mnchen-3ya.de:8443"));
    assert_false(allows("https://münchen.de:8443", "http://xn--mnchen-3ya.de:8443"));
    assert_true(allows("faß.de", "https://xn--fa-hia.de")); /* as in browsers, not fass.de */
    assert_true(allows("例え.jp", "https://xn--r8jz45g.jp"));
    assert_true(allows("Shop.Example.", "https://shop.example:8443"));
    assert_true(allows("[::1]", "http://[::1]:8080"));
    assert_true(allows("*", "null") && !allows("münchen.de", "null") && !allows("", "https://a"));
}

static void no_sites(void **state)
{
    static const char *const bad[] = {"a b", "a/b", ".a", "http://", "*.", "a:0", "ü/x"};
    cm_sites_t *sites;
    cm_err_t err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(CM_EUSAGE, cm_sites_new(bad[i], &sites, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_host),
        cmocka_unit_test(with_ports_and_below),
        cmocka_unit_test(no_sites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
