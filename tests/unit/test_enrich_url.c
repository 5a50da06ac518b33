/* Cleaning of URLs: exact texts. */
#include "support.h"

#include "enrich/url.h"

typedef struct row {
    const char *url, *clean, *dropped; /* cleaned; cleaned and without its query */
} row_t;

static const row_t rows[] = {
    {"/", "/", "/"},
    {"/a/b.html", "/a/b.html", "/a/b.html"},
    {"/a?x=1", "/a?x=1", "/a"},
    {"/a?", "/a?", "/a"},
    {"/a#top", "/a", "/a"},
    {"/a#", "/a", "/a"},
    {"/a?x=1#top", "/a?x=1", "/a"},
    {"/a#top?utm_source=x", "/a", "/a"},
    {"/a?utm_source=x", "/a", "/a"},
    {"/a?utm_source=x#top", "/a", "/a"},
    {"/a?utm_source=x&utm_medium=y", "/a", "/a"},
    {"/a?utm_source=x&b=2", "/a?b=2", "/a"},
    {"/a?b=2&utm_source=x", "/a?b=2", "/a"},
    {"/a?b=2&utm_source=x&c=3", "/a?b=2&c=3", "/a"},
    {"/a?b=2&&c=3", "/a?b=2&&c=3", "/a"},
    {"/a?b=2&&utm_id=1&c", "/a?b=2&&c", "/a"},
    {"/a?UTM_Source=x&FBCLID=1", "/a", "/a"},
    {"/a?gclid", "/a", "/a"},
    {"/a?gclid=", "/a", "/a"},
    {"/a?xgclid=1", "/a?xgclid=1", "/a"},
    {"/a?gclidx=1", "/a?gclidx=1", "/a"},
    {"/a?utm_=1", "/a?utm_=1", "/a"},
    {"/a?utm=1", "/a?utm=1", "/a"},
    {"/a?b=utm_source=x", "/a?b=utm_source=x", "/a"},
    {"/a?b=gclid&gclid=b", "/a?b=gclid", "/a"},
    {"/a?b=1?utm_source=2", "/a?b=1?utm_source=2", "/a"},
    {"/a%3Futm_source=x", "/a%3Futm_source=x", "/a%3Futm_source=x"},
    {"/a;utm_source=x", "/a;utm_source=x", "/a;utm_source=x"},
    {"https://h/a?mc_cid=1&mc_eid=2&id=3#x", "https://h/a?id=3", "https://h/a"},
    {"https://h/a?q=a+b%20c&msclkid=9&page=2", "https://h/a?q=a+b%20c&page=2", "https://h/a"},
    {"https://h/?mtm_campaign=a&pk_campaign=b&hsa_acc=1&_hsenc=2&__hstc=3&yclid=4", "https://h/",
     "https://h/"},
    {"?utm_source=x", "?utm_source=x", "?utm_source=x"},
    {"?a=1", "?a=1", "?a=1"},
    {"#top", "#top", "#top"},
    {"/\xC3\xA9?utm_source=\xC3\xA9&x=\xC3\xA9", "/\xC3\xA9?x=\xC3\xA9", "/\xC3\xA9"},
};

static void check(const char *url, const char *wanted, bool drop_query)
{
    cm_arena_t arena = CM_ARENA_INIT;

    cm_str_t got = cm_url_clean(cm_str(url), drop_query, &arena);
    if (!cm_str_equal(got, cm_str(wanted)))
        fail_msg("%s became %.*s and not %s", url, (int)got.len, got.data, wanted);
    /* Clean is clean. */
    got = cm_url_clean(got, drop_query, &arena);
    assert_true(cm_str_equal(got, cm_str(wanted)));
    cm_arena_free(&arena);
}

static void cleans_urls(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        check(rows[i].url, rows[i].clean, false);
        check(rows[i].url, rows[i].dropped, true);
    }
}

static void copies_only_what_it_must(void **state)
{
    cm_arena_t arena = CM_ARENA_INIT;
    static const char plain[] = "/a?x=1#top", campaign[] = "/a?x=1&gclid=2&y=3";

    (void)state;
    assert_ptr_equal(plain, cm_url_clean(cm_str(plain), false, &arena).data);
    assert_null(arena.chunks);
    assert_ptr_not_equal(campaign, cm_url_clean(cm_str(campaign), false, &arena).data);
    assert_ptr_equal(campaign, cm_url_clean(cm_str(campaign), true, &arena).data);
    cm_arena_free(&arena);
}

static void knows_campaigns(void **state)
{
    static const char *const yes[] = {"utm_source", "utm_x", "gclid",  "GBRAID", "_ga",   "__hssc",
                                      "fbclid",     "dm_i",  "twclid", "s_cid",  "ymclid"};
    static const char *const no[] = {"",       "u",        "_",    "id",     "q",    "page", "ref",
                                     "source", "campaign", "gcli", "gclid2", "\x5F", "ga"};

    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(cm_url_is_campaign(cm_str(yes[i])));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_false(cm_url_is_campaign(cm_str(no[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cleans_urls),
        cmocka_unit_test(copies_only_what_it_must),
        cmocka_unit_test(knows_campaigns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
