/* Cleaning of URLs: exact results. */
#include "support.h"

#include "enrich/url.h"
#include "event/event.h"

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
    {"/\xC3\xA9?utm_source=\xC3\xA9&x=\xC3\xA9", "/%C3%A9?x=%C3%A9", "/%C3%A9"},
    /* one spelling */
    {"/caf%c3%a9", "/caf%C3%A9", "/caf%C3%A9"},
    {"/caf%C3%A9", "/caf%C3%A9", "/caf%C3%A9"},
    {"/caf\xC3\xA9", "/caf%C3%A9", "/caf%C3%A9"},
    {"/caf\\xC3\\xa9", "/caf%C3%A9", "/caf%C3%A9"},
    {"/%7euser/%41%2d%5f%2E", "/~user/A-_.", "/~user/A-_."},
    {"/a%2fb%3f%23%20%26", "/a%2Fb%3F%23%20%26", "/a%2Fb%3F%23%20%26"},
    {"/a?q=%e2%82%ac+1&%71=%3d", "/a?q=%E2%82%AC+1&q=%3D", "/a"},
    {"/100%?a=5%&b=%zz%4", "/100%25?a=5%25&b=%25zz%254", "/100%25"},
    {"/%%34%31", "/%2541", "/%2541"},
    {"/a\\b\\\\c\\\"d\\x41", "/a%5Cb%5Cc%22dA", "/a%5Cb%5Cc%22dA"},
    {"/\xFF", "/%FF", "/%FF"},
    {"/a?%75tm_source=x&%67clid=1&b=2", "/a?b=2", "/a"},
    {"https://b\xC3\xBC"
     "cher.example/%7ea",
     "https://b\xC3\xBC"
     "cher.example/~a",
     "https://b\xC3\xBC"
     "cher.example/~a"},
    {"/go?to=http://h/%7ea", "/go?to=http://h/~a", "/go"},
    /* sessions */
    {"/p;jsessionid=1A2B?x=1", "/p?x=1", "/p"},
    {"/p;JSESSIONID=1A2B.node1/q;sid=2;v=3?x=1", "/p/q;v=3?x=1", "/p/q;v=3"},
    {"/p;cfid=1;cftoken=2", "/p", "/p"},
    {"/;jsessionid=1", "/", "/"},
    {"https://h/;jsessionid=1", "https://h/", "https://h/"},
    {"/p;%6Asessionid=1", "/p", "/p"},
    {"/p;size=42", "/p;size=42", "/p;size=42"},
    {"/p;sidecar=1", "/p;sidecar=1", "/p;sidecar=1"},
    {"/p?x=1&PHPSESSID=abc", "/p?x=1", "/p"},
    {"/p?phpsessid=abc&x=1&ASPSESSIONIDQABC=D", "/p?x=1", "/p"},
    {"/p?CFID=1&CFTOKEN=2&sid=3&sessionid=4", "/p", "/p"},
    {"/p?side=1&session=2&sidx=3", "/p?side=1&session=2&sidx=3", "/p"},
    {"/(S(lit3py55t21z5v55vlm25s55))/page.aspx?x=1", "/page.aspx?x=1", "/page.aspx"},
    {"/app/(X(1)S(abc))/page.aspx", "/app/page.aspx", "/app/page.aspx"},
    {"/(S(abc))", "/", "/"},
    {"/(S(abc)/x", "/(S(abc)/x", "/(S(abc)/x"},
    {"/wiki/Mercury_(planet)", "/wiki/Mercury_(planet)", "/wiki/Mercury_(planet)"},
    {"/wiki/(S)/x", "/wiki/(S)/x", "/wiki/(S)/x"},
    /* a query that went through HTML */
    {"/p?a=1&amp;b=2", "/p?a=1&b=2", "/p"},
    {"/p?a=1&amp;utm_source=x", "/p?a=1", "/p"},
    {"/p?a=1&amp;amp;b=2&AMP;gclid=3", "/p?a=1&b=2", "/p"},
    {"/p?amp;utm_source=x", "/p", "/p"},
    {"/p?amp=1&b=amp;2", "/p?amp=1&b=amp;2", "/p"},
};

static void check(const char *url, const char *wanted, bool drop_query)
{
    cm_arena_t arena = CM_ARENA_INIT;

    cm_str_t got = cm_url_clean(cm_str(url), drop_query, &arena);
    if (!cm_str_equal(got, cm_str(wanted)))
        fail_msg("%s became %.*s and not %s", url, (int)got.len, got.data, wanted);
    /* A clean URL does not change. */
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

/* Campaign parameters: those of the registry of tracking parameters and of Matomo. */
static const char *const campaigns[] = {"utm_source",
                                        "utm_x",
                                        "gclid",
                                        "GBRAID",
                                        "_ga",
                                        "__hssc",
                                        "fbclid",
                                        "dm_i",
                                        "twclid",
                                        "s_cid",
                                        "ymclid",
                                        "gclsrc",
                                        "dclid",
                                        "wbraid",
                                        "yclid",
                                        "utm_id",
                                        "mc_cid",
                                        "mc_eid",
                                        "_bta_tid",
                                        "_bta_c",
                                        "trk_contact",
                                        "trk_msg",
                                        "trk_module",
                                        "trk_sid",
                                        "gdfms",
                                        "gdftrk",
                                        "gdffi",
                                        "_ke",
                                        "_kx",
                                        "redirect_log_mongo_id",
                                        "redirect_mongo_id",
                                        "sb_referer_host",
                                        "mkwid",
                                        "pcrid",
                                        "ef_id",
                                        "s_kwcid",
                                        "msclkid",
                                        "epik",
                                        "pk_campaign",
                                        "pk_kwd",
                                        "pk_keyword",
                                        "piwik_campaign",
                                        "piwik_kwd",
                                        "piwik_keyword",
                                        "mtm_campaign",
                                        "mtm_group",
                                        "mtm_placement",
                                        "matomo_campaign",
                                        "matomo_cid",
                                        "matomo_placement",
                                        "hsa_cam",
                                        "hsa_ver",
                                        "_branch_match_id",
                                        "mkevt",
                                        "mkcid",
                                        "mkrid",
                                        "campid",
                                        "toolid",
                                        "customid",
                                        "igshid",
                                        "si",
                                        "sms_source",
                                        "sms_click",
                                        "sms_uph",
                                        "ttclid",
                                        "_gl",
                                        "gad_source",
                                        "srsltid",
                                        "irclickid",
                                        "sccid",
                                        "ndclid",
                                        "nb_klid",
                                        "rtid",
                                        "vmcid",
                                        "zanpid",
                                        "__s",
                                        "pk_vid",
                                        "fb_xd_fragment",
                                        "fb_comment_id",
                                        "li_fat_id",
                                        "utm_source_platform",
                                        "utm_creative_format",
                                        "utm_marketing_tactic"};

static const char *const others[] = {"",       "u",        "_",    "id",     "q",    "page", "ref",
                                     "source", "campaign", "gcli", "gclid2", "\x5F", "ga",   "s",
                                     "origin", "`ga",      "{x",   "gclid ", " "};

static void knows_campaigns(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof campaigns / sizeof *campaigns; i++)
        assert_true(cm_url_is_campaign(cm_str(campaigns[i])));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(cm_url_is_campaign(cm_str(others[i])));
}

static void knows_sessions(void **state)
{
    static const char *const yes[] = {"PHPSESSID",        "jsessionid", "sessionid",
                                      "ASPSESSIONIDABCD", "sid",        "cfid",
                                      "CFTOKEN",          "osCsid",     "token_auth"};
    static const char *const no[] = {"", "s", "session", "aspsessionid", "side", "id", "cf"};

    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(cm_url_is_session(cm_str(yes[i])));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_false(cm_url_is_session(cm_str(no[i])));
}

/* A URL that would become longer than the contract allows keeps its spelling. */
static void long_urls_keep_their_spelling(void **state)
{
    cm_arena_t arena = CM_ARENA_INIT;
    static char url[CM_URL_MAX];

    (void)state;
    memset(url, '\xC3', sizeof url);
    url[0] = '/';
    assert_ptr_equal(url, cm_url_clean((cm_str_t){url, sizeof url}, false, &arena).data);
    assert_int_equal(1 + 3 * 682, cm_url_clean((cm_str_t){url, 683}, false, &arena).len);
    cm_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cleans_urls),
        cmocka_unit_test(copies_only_what_it_must),
        cmocka_unit_test(knows_campaigns),
        cmocka_unit_test(knows_sessions),
        cmocka_unit_test(long_urls_keep_their_spelling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
