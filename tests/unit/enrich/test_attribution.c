/* Sources, channels and internal referrers: exact results. */
#include "support.h"

#include "enrich/attribution.h"

#define PAGE    "https://shop.example/a"
#define IGNORED "paypal.com,*.paypal.com,accounts.google.com,okta.com,*.okta.com"

static cm_attribution_rules_t *rules_of(const char *sites, const char *ignored)
{
    cm_attribution_rules_t *rules;
    cm_err_t err;

    assert_ok(cm_attribution_rules_new(sites, ignored, &rules, &err), err);
    return rules;
}

/* "Google, Organic Search" of a page view; the campaign is the one in the URL. */
static void describe(const cm_attribution_rules_t *rules, const char *url, const char *referrer,
                     char text[400])
{
    cm_attribution_input_t input = {.url = cm_str(url), .referrer = cm_str(referrer)};
    cm_arena_t arena = CM_ARENA_INIT;
    cm_buf_t scratch = CM_BUF_INIT;

    cm_campaign_fill(input.url, &arena, &input.campaign);
    cm_attribution_t found = cm_attribution_find(rules, &input, &scratch);
    snprintf(text, 400, "%.*s, %.*s", (int)found.source.len, found.source.data,
             (int)found.channel.len, found.channel.data);
    cm_buf_free(&scratch);
    cm_arena_free(&arena);
}

typedef struct row {
    const char *url, *referrer, *wanted;
} row_t;

static void assert_rows(const cm_attribution_rules_t *rules, const row_t *rows, size_t count)
{
    char text[400];

    for (size_t i = 0; i < count; i++) {
        describe(rules, rows[i].url, rows[i].referrer, text);
        if (strcmp(text, rows[i].wanted) != 0)
            fail_msg("%s from %s: \"%s\", not \"%s\"", rows[i].url, rows[i].referrer, text,
                     rows[i].wanted);
    }
}

#define ASSERT_ROWS(sites, ignored, rows)                                                          \
    do {                                                                                           \
        cm_attribution_rules_t *made = rules_of(sites, ignored);                                   \
        assert_rows(made, rows, sizeof(rows) / sizeof(rows)[0]);                                   \
        cm_attribution_rules_free(made);                                                           \
    } while (0)

static void test_referrers(void **state)
{
    static const row_t rows[] = {
        {PAGE, "", "Direct, Direct"},
        {PAGE, "about:blank", "Direct, Direct"},
        {PAGE, "-", "Direct, Direct"},
        {PAGE, "https://www.google.de/", "Google, Organic Search"},
        {PAGE, "https://www.facebook.com/", "Facebook, Organic Social"},
        {PAGE, "https://mail.google.com/", "Gmail, Email"},
        {PAGE, "https://chatgpt.com/", "ChatGPT, AI"},
        {PAGE, "https://en.wikipedia.org/", "Wikipedia, Referral"},
        {PAGE, "https://support.google.com/", "Google, Referral"},
        {PAGE, "https://ad.doubleclick.net/", "Doubleclick, Paid Other"},
        {PAGE, "https://www.googleadservices.com/", "Google, Paid Search"},
        {PAGE, "https://WWW.News.example.:443/post", "news.example, Referral"},
        {PAGE, "https://m.news.example/", "m.news.example, Referral"},
        {PAGE,
         "https://b\xC3\xBC"
         "cher.example/",
         "xn--bcher-kva.example, Referral"},
        {PAGE, "//news.example", "news.example, Referral"},
        {"/a", "https://news.example/", "news.example, Referral"},
        {"", "https://news.example/", "news.example, Referral"},
        /* android apps, and redirectors of one source */
        {PAGE, "android-app://com.google.android.googlequicksearchbox/https/www.google.com",
         "Google, Organic Search"},
        {PAGE, "android-app://com.google.android.gm/", "Gmail, Email"},
        {PAGE, "android-app://com.slack/", "com.slack, Referral"},
        {PAGE, "https://www.google.com/url?sa=t&url=https%3A%2F%2Fshop.example%2Fa",
         "Google, Organic Search"},
        {PAGE, "https://lm.facebook.com/", "Facebook, Organic Social"},
        {PAGE, "https://out.reddit.com/", "Reddit, Organic Social"},
        {PAGE, "https://lnkd.in/", "LinkedIn, Organic Social"},
        {PAGE, "https://duckduckgo.com/", "DuckDuckGo, Organic Search"},
    };

    (void)state;
    ASSERT_ROWS(NULL, NULL, rows);
}

static void test_campaigns(void **state)
{
    static const row_t rows[] = {
        /* utm_source comes before the referrer, by the name of the table where it is there */
        {PAGE "?utm_source=news", "https://www.google.com/", "news, Campaign"},
        {PAGE "?utm_source=facebook.com", "https://news.example/", "Facebook, Organic Social"},
        {PAGE "?utm_source=GOOGLE", "", "Google, Organic Search"},
        {PAGE "?utm_source=chatgpt.com", "", "ChatGPT, AI"},
        {PAGE "?utm_source=chatgpt.com&utm_medium=cpc", "", "ChatGPT, AI"},
        {PAGE "?ref=producthunt.com", "", "Product Hunt, Organic Social"},
        /* paid */
        {PAGE "?utm_source=google&utm_medium=cpc", "", "Google, Paid Search"},
        {PAGE "?utm_source=google&utm_medium=PPC", "", "Google, Paid Search"},
        {PAGE "?utm_source=facebook&utm_medium=paid_social", "", "Facebook, Paid Social"},
        {PAGE "?utm_source=facebook&utm_medium=Paid", "", "Facebook, Paid Social"},
        {PAGE "?utm_source=x&utm_medium=cpm", "", "x, Paid Other"},
        {PAGE "?utm_source=x&utm_medium=cpv", "", "x, Paid Other"},
        {PAGE "?utm_source=x&utm_medium=cpa", "", "x, Paid Other"},
        {PAGE "?utm_source=x&utm_medium=display", "", "x, Paid Other"},
        {PAGE "?utm_source=x&utm_medium=retargeting", "", "x, Paid Other"},
        {PAGE "?utm_source=x&utm_medium=unpaid", "", "x, Campaign"},
        {PAGE "?utm_source=x&utm_medium=cpcs", "", "x, Campaign"},
        {PAGE "?utm_source=gmail&utm_medium=cpc", "", "Gmail, Paid Other"},
        {PAGE "?gclid=1", "https://www.google.com/", "Google, Paid Search"},
        {PAGE "?gclid=1", "", "Direct, Paid Other"},
        {PAGE "?ttclid=1", "https://www.tiktok.com/", "TikTok, Paid Social"},
        {PAGE "?fbclid=1", "https://l.facebook.com/", "Facebook, Organic Social"},
        /* mail, search, social */
        {PAGE "?utm_source=x&utm_medium=email", "", "x, Email"},
        {PAGE "?utm_source=x&utm_medium=E-Mail", "", "x, Email"},
        {PAGE "?utm_source=google&utm_medium=newsletter", "", "Google, Email"},
        {PAGE "?utm_source=x&utm_medium=organic", "", "x, Organic Search"},
        {PAGE "?utm_source=facebook&utm_medium=organic", "", "Facebook, Organic Search"},
        {PAGE "?utm_source=x&utm_medium=social", "", "x, Organic Social"},
        {PAGE "?utm_source=x&utm_medium=Social-Media", "", "x, Organic Social"},
        {PAGE "?utm_medium=socia", "", "Direct, Campaign"},
        /* the query of an access log, before the URL is cleaned */
        {"https://shop.example/p?utm_source=news&utm_medium=email&id=3", "-", "news, Email"},
        {"https://shop.example/q", "https://shop.example/p?utm_source=news&utm_medium=email&id=3",
         "Direct, Direct"},
        {"https://shop.example/p?id=3&utm_source=ads", "https://www.google.com/", "ads, Campaign"},
        {"https://shop.example/p?id=3", "https://www.google.com/", "Google, Organic Search"},
        /* any field makes it a campaign */
        {PAGE "?utm_campaign=spring", "", "Direct, Campaign"},
        {PAGE "?utm_campaign=spring", "https://news.example/", "news.example, Campaign"},
        {PAGE "?utm_campaign=spring", "https://www.google.com/", "Google, Organic Search"},
        {PAGE "?utm_term=shoes", "", "Direct, Campaign"},
        {PAGE "?utm_content=top", "", "Direct, Campaign"},
        {PAGE "?utm_medium=referral", "", "Direct, Campaign"},
    };

    (void)state;
    ASSERT_ROWS(NULL, NULL, rows);
}

/* Public reports about other tools. */
static void test_reports(void **state)
{
    static const row_t rows[] = {
        /* plausible/analytics#393: letter case makes two sources of one */
        {PAGE "?utm_source=linkedin", "", "LinkedIn, Organic Social"},
        {PAGE "?utm_source=Linkedin", "", "LinkedIn, Organic Social"},
        {PAGE, "https://www.linkedin.com/", "LinkedIn, Organic Social"},
        /* matomo-org/matomo#13882, ibericode/koko-analytics#24 and #43: scheme, slash and path */
        {PAGE, "http://news.example", "news.example, Referral"},
        {PAGE, "https://news.example/", "news.example, Referral"},
        {PAGE, "https://www.news.example/a?b#c", "news.example, Referral"},
        {PAGE, "https://www.bing.com/search?q=x", "Bing, Organic Search"},
        /* arp242/goatcounter#327: the own host without www. */
        {"https://www.arp242.example/", "https://arp242.example/weblog", "Direct, Direct"},
        /* matomo-org/matomo#10121: a search engine below the own host is not internal */
        {"https://example.com/", "https://search.example.com/", "search.example.com, Referral"},
        /* umami-software/umami#3264: advertisements of Google are Paid Search */
        {PAGE "?utm_source=google&utm_medium=cpc&utm_campaign=1&gad_source=1&gclid=UTICj0XQLiA",
         "https://www.google.com/", "Google, Paid Search"},
        /* umami-software/umami#4297: fbclid stands in every link of Facebook */
        {PAGE "?fbclid=IwAR0", "https://www.facebook.com/", "Facebook, Organic Social"},
        /* immutable/ts-immutable-sdk#2920: a network is paid only where the medium says so */
        {PAGE "?utm_source=facebook&utm_medium=shared", "", "Facebook, Organic Social"},
        {PAGE "?utm_source=meta&utm_medium=paid", "", "Meta, Paid Social"},
        /* rybbit-io/rybbit#1102: only a campaign's name */
        {PAGE "?utm_campaign=custom_campaign", "", "Direct, Campaign"},
        /* pug-sh/pug#94: mail and documents of Google are no search */
        {PAGE, "https://mail.google.com/mail/u/0/", "Gmail, Email"},
        {PAGE, "https://docs.google.com/document/d/1", "docs.google.com, Referral"},
        /* snowplow-referer-parser/referer-parser#131: apps, in any case */
        {PAGE, "android-app://com.Slack", "com.slack, Referral"},
        {PAGE, "android-app://com.linkedin.android/", "LinkedIn, Organic Social"},
        {PAGE, "android-app://com.google.android.googlequicksearchbox/googlequicksearchbox/suggest",
         "Google, Organic Search"},
    };

    (void)state;
    ASSERT_ROWS(NULL, NULL, rows);
}

static void test_internal_and_ignored_referrers(void **state)
{
    static const row_t rows[] = {
        {PAGE, "https://shop.example/login?next=%2Fa", "Direct, Direct"},
        {PAGE, "http://WWW.SHOP.example:8080/", "Direct, Direct"},
        {"https://www.shop.example:443/a", "https://shop.example/", "Direct, Direct"},
        {"//shop.example./a", "https://shop.example/", "Direct, Direct"},
        {PAGE, "https://blog.example/", "Direct, Direct"},
        {PAGE, "https://www.blog.example/", "Direct, Direct"},
        {PAGE, "https://a.b.pages.example/", "Direct, Direct"},
        {PAGE, "https://pages.example/", "pages.example, Referral"},
        {PAGE, "https://apages.example/", "apages.example, Referral"},
        {PAGE, "https://search.shop.example/", "search.shop.example, Referral"},
        {PAGE, "https://shop.example.evil.example/", "shop.example.evil.example, Referral"},
        {"/a", "https://shop.example/", "shop.example, Referral"},
        {PAGE "?utm_source=news", "https://shop.example/", "news, Campaign"},
        /* payment and log-in */
        {PAGE, "https://www.paypal.com/", "Direct, Direct"},
        {PAGE, "https://www.sandbox.paypal.com/checkout", "Direct, Direct"},
        {PAGE, "https://accounts.google.com/", "Direct, Direct"},
        {PAGE, "https://tenant.okta.com/", "Direct, Direct"},
        {PAGE, "https://notpaypal.com/", "notpaypal.com, Referral"},
        {PAGE "?gclid=1", "https://www.paypal.com/", "Direct, Paid Other"},
    };

    (void)state;
    ASSERT_ROWS("http://www.Blog.example:8080/, *.pages.example", IGNORED, rows);
}

static void test_is_internal(void **state)
{
    cm_attribution_rules_t *rules = rules_of("blog.example", "paypal.com");
    cm_buf_t scratch = CM_BUF_INIT;

    (void)state;
    const cm_str_t page = CM_STR(PAGE);
    assert_true(
        cm_attribution_is_internal(rules, page, CM_STR("https://www.shop.example/"), &scratch));
    assert_true(cm_attribution_is_internal(rules, page, CM_STR("https://blog.example"), &scratch));
    assert_false(
        cm_attribution_is_internal(rules, page, CM_STR("https://www.paypal.com/"), &scratch));
    assert_false(cm_attribution_is_internal(rules, page, CM_STR("about:blank"), &scratch));
    assert_false(cm_attribution_is_internal(rules, CM_STR("/a"), CM_STR("/b"), &scratch));
    assert_false(cm_attribution_is_internal(rules, CM_STR(""), CM_STR(""), &scratch));
    cm_buf_free(&scratch);
    cm_attribution_rules_free(rules);
}

static void test_lists(void **state)
{
    static const char *const wrong[] = {
        "shop.example/cart", "https://shop.example/cart", "*",  "*.",       "shop example", "*.*.x",
        "a.example,?",       "user@shop.example",         ".x", "https://", "shop.*"};
    cm_attribution_rules_t *rules;
    cm_err_t err;

    (void)state;
    cm_attribution_rules_free(rules_of("", ""));
    cm_attribution_rules_free(rules_of(" , ,a.example, a.example,*.a.example,[::1]:80,", NULL));
    cm_attribution_rules_free(rules_of("b\xC3\xBC"
                                       "cher.example",
                                       NULL));
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (cm_attribution_rules_new(wrong[i], NULL, &rules, &err) != CM_EUSAGE)
            fail_msg("\"%s\" is taken", wrong[i]);
        assert_null(rules);
        assert_int_equal(cm_attribution_rules_new(NULL, wrong[i], &rules, &err), CM_EUSAGE);
    }
    assert_string_equal(err.text, "ignore_referrers: \"shop.*\" is not a host; give a name "
                                  "(shop.example) or all names below one (*.shop.example)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_referrers),   cmocka_unit_test(test_campaigns),
        cmocka_unit_test(test_reports),     cmocka_unit_test(test_internal_and_ignored_referrers),
        cmocka_unit_test(test_is_internal), cmocka_unit_test(test_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
