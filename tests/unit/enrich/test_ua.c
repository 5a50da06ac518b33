/* User agents: all rules compile, the cache, bots, and the automaton leaves no rule out. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "support.h"

#include "enrich/ua.h"
#include "enrich/ua_match.h"
#include "enrich/ua_rules.h"

#include <pcre2.h>
#include <pthread.h>

#define CHROME                                                                                     \
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "            \
    "Chrome/124.0.0.0 Safari/537.36"
#define IPHONE                                                                                     \
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "    \
    "Gecko) Version/17.4 Mobile/15E148 Safari/604.1"

static void assert_text(const char *wanted, cm_str_t got)
{
    if (!cm_str_equal(cm_str(wanted), got))
        fail_msg("%.*s and not %s", (int)got.len, got.data, wanted);
}

static bool same(const cm_ua_t *a, const cm_ua_t *b)
{
    return cm_str_equal(a->browser.family, b->browser.family) &&
           cm_str_equal(a->browser.major, b->browser.major) &&
           cm_str_equal(a->browser.minor, b->browser.minor) &&
           cm_str_equal(a->browser.patch, b->browser.patch) &&
           cm_str_equal(a->browser.version, b->browser.version) &&
           cm_str_equal(a->os.version, b->os.version) && cm_str_equal(a->os.family, b->os.family) &&
           cm_str_equal(a->os.major, b->os.major) && cm_str_equal(a->os.minor, b->os.minor) &&
           cm_str_equal(a->os.patch, b->os.patch) &&
           cm_str_equal(a->os.patch_minor, b->os.patch_minor) &&
           cm_str_equal(a->device.family, b->device.family) &&
           cm_str_equal(a->device.brand, b->device.brand) &&
           cm_str_equal(a->device.model, b->device.model) &&
           cm_str_equal(a->bot.name, b->bot.name) && a->bot.kind == b->bot.kind;
}

static void all_rules_compile(void **state)
{
    int error;
    PCRE2_SIZE offset;

    (void)state;
    for (int i = 0; i < cm_ua_first[CM_UA_KINDS]; i++) {
        for (int utf = 0; utf < 2; utf++) {
            pcre2_code *code =
                pcre2_compile((PCRE2_SPTR)cm_ua_rules[i].pattern, PCRE2_ZERO_TERMINATED,
                              utf ? PCRE2_UTF | PCRE2_MATCH_INVALID_UTF : 0, &error, &offset, NULL);
            if (code == NULL)
                fail_msg("rule %d, at %zu: %s", i, offset, cm_ua_rules[i].pattern);
            pcre2_code_free(code);
        }
    }
}

static void reads_agents(void **state)
{
    cm_ua_rules_t *rules = cm_ua_rules_new();
    cm_ua_parser_t *parser = cm_ua_parser_new(rules);

    (void)state;
    const cm_ua_t *ua = cm_ua_find(parser, cm_str(IPHONE));
    assert_text("Mobile Safari", ua->browser.family);
    assert_text("17", ua->browser.major);
    assert_text("4", ua->browser.minor);
    assert_text("", ua->browser.patch);
    assert_text("17.4", ua->browser.version);
    assert_text("iOS", ua->os.family);
    assert_text("17", ua->os.major);
    assert_text("17.4", ua->os.version);
    assert_text("iPhone", ua->device.family);
    assert_text("Apple", ua->device.brand);
    assert_int_equal(CM_BOT_NONE, ua->bot.kind);
    assert_text("", ua->bot.name);
    ua = cm_ua_find(parser, cm_str(CHROME));
    assert_text("Chrome", ua->browser.family);
    assert_text("124.0.0", ua->browser.version);
    assert_text("Windows", ua->os.family);
    assert_text("10", ua->os.version);
    assert_text("Other", ua->device.family);
    ua = cm_ua_find(parser, CM_STR(""));
    assert_text("Other", ua->browser.family);
    assert_text("", ua->browser.version);
    assert_text("Other", ua->os.family);
    assert_text("", ua->os.major);
    assert_text("", ua->os.version);
    assert_text("Other", ua->device.family);
    assert_int_equal(CM_BOT_NONE, ua->bot.kind);
    assert_text("", ua->bot.name);
    cm_ua_parser_free(parser);
    cm_ua_rules_free(rules);
}

/* The joining of versions: parts without a digit follow without a dot, and nothing is cut. */
static void joins_versions(void **state)
{
    cm_ua_rules_t *rules = cm_ua_rules_new();
    cm_ua_parser_t *parser = cm_ua_parser_new(rules);
    char agent[400] = "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/";

    (void)state;
    const cm_ua_t *ua = cm_ua_find(
        parser, cm_str("Mozilla/5.0 (X11; U; Linux i686; en-US; rv:1.9.2b4) Gecko/20091124 "
                       "Firefox/3.6b4"));
    assert_text("6", ua->browser.minor);
    assert_text("b4", ua->browser.patch);
    assert_text("3.6b4", ua->browser.version);
    ua = cm_ua_find(parser, cm_str("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) "
                                   "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 "
                                   "Safari/605.1.15"));
    assert_text("17.4.1", ua->browser.version);
    assert_text("10.15.7", ua->os.version);
    const size_t len = strlen(agent);
    memset(agent + len, '7', 200);
    memcpy(agent + len + 200, ".1", 3);
    ua = cm_ua_find(parser, cm_str(agent));
    assert_int_equal(200, ua->browser.major.len);
    assert_text("", ua->browser.version);
    cm_ua_parser_free(parser);
    cm_ua_rules_free(rules);
}

static const struct {
    const char *agent, *name;
    cm_bot_kind_t kind;
} bots[] = {
    {"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Googlebot",
     CM_BOT_SEARCH_ENGINE},
    {"curl/8.5.0", "curl", CM_BOT_HTTP_LIBRARY},
    {"Wget/1.21", "Wget", CM_BOT_HTTP_LIBRARY},
    {"python-requests/2.31.0", "python-requests", CM_BOT_HTTP_LIBRARY},
    {"Go-http-client/1.1", "Go-http-client", CM_BOT_HTTP_LIBRARY},
    {"JAVA/17", "Java", CM_BOT_HTTP_LIBRARY}, /* our rules are in any case */
    {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessChrome/120.0.0.0",
     "HeadlessChrome", CM_BOT_BROWSER_AUTOMATION},
    {"UniversalFeedParser/4.2 +http://feedparser.org/", "FeedParser", CM_BOT_FEED_READER},
    {"Mozilla/5.0 zgrab/0.x", "zgrab", CM_BOT_SCANNER},
    {"Mozilla/5.0 (compatible; meta-externalagent/1.1)", "meta-externalagent",
     CM_BOT_AI_CRAWLER}, /* one of its two kinds */
    {"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2)", "GPTBot",
     CM_BOT_AI_CRAWLER},
    {"GoogleHC/1.0", "GoogleHC", CM_BOT_MONITORING},
    {"NodePing", "NodePing", CM_BOT_MONITORING},
    {"Retool/2.0 (docs)", "Retool", CM_BOT_SEO}, /* of the list, in its spelling */
    {"\xC3\xA9 Retool/2.0", "Retool", CM_BOT_SEO},
    /* The one that says more. */
    {"linkdexbot/Nutch-1.0-dev (http://www.linkdex.com/)", "linkdex", CM_BOT_SEO},
    {"W3C-checklink/4.5 [4.160] libwww-perl/5.823", "W3C-checklink", CM_BOT_MONITORING},
    {"HeadlessChrome/87.0 YextBot/Java Safari/537.36", "YextBot", CM_BOT_SEO},
    /* Of no list: the family, if uap-core calls it a spider, or what a usual word is part of.
     */
    {"8bo Crawler Bot", "8bo Crawler Bot", CM_BOT_OTHER},
    {"Mozilla/5.0 (X11; Linux x86_64) Chrome/130.0.0.0 Safari/537.36 Example_Scraper/2",
     "Example_Scraper", CM_BOT_OTHER},
    {"Mozilla/5.0 (Windows NT 10.0) Chrome/130.0.0.0 +https://www.example.com/info", "example.com",
     CM_BOT_OTHER},
    {"Mozilla/5.0 Chrome/130.0.0.0 +http://", "Other", CM_BOT_OTHER},
    {"Node Exporter/0.24.0", "Exporter", CM_BOT_MONITORING},
};

static void knows_bots(void **state)
{
    static const char *const people[] = {
        CHROME,
        IPHONE,
        "",
        "-",
        "Mozilla/5.0",
        "xcurl/8",
        "my curl/8",
        "Lynx/2.8.7rel.2",
        "Retool 2, retool/2.0", /* patterns of the list are case-sensitive */
        "Mozilla/5.0 (Linux; Android 8.0.0; CUBOT_P20) AppleWebKit/537.36",
        "Mozilla/5.0 (Linux; Android 4.2.2; HTC Butterfly s Build/JDQ39) AppleWebKit/537.36",
    };
    cm_ua_rules_t *rules = cm_ua_rules_new();
    cm_ua_parser_t *parser = cm_ua_parser_new(rules);

    (void)state;
    for (size_t i = 0; i < sizeof bots / sizeof *bots; i++) {
        const cm_ua_t *ua = cm_ua_find(parser, cm_str(bots[i].agent));
        assert_text(bots[i].name, ua->bot.name);
        if (ua->bot.kind != bots[i].kind)
            fail_msg("%s: %s", bots[i].agent, cm_bot_kind_name(ua->bot.kind));
    }
    for (size_t i = 0; i < sizeof people / sizeof *people; i++) {
        if (cm_ua_find(parser, cm_str(people[i]))->bot.kind != CM_BOT_NONE)
            fail_msg("a bot: %s", people[i]);
    }
    cm_ua_parser_free(parser);
    cm_ua_rules_free(rules);
}

/* Many more user agents than fit, repeatedly: the cached result is the parsed one. */
static void remembers(void **state)
{
    cm_ua_rules_t *rules = cm_ua_rules_new();
    cm_ua_parser_t *parser = cm_ua_parser_new(rules), *other = cm_ua_parser_new(rules);
    uint64_t seed = 1;
    char agent[128];

    (void)state;
    for (int i = 0; i < 60000; i++) {
        /* Some come often, most of them rarely. */
        unsigned range = test_random(&seed) % 4 == 0 ? 3 * CM_UA_CACHE : 100;
        unsigned n = (unsigned)(test_random(&seed) % range);
        int len = snprintf(agent, sizeof agent, "Tester/%u.%u (iPhone; %.*s)", n, n % 7,
                           (int)(n % 50), "..................................................");
        cm_str_t text = {agent, (size_t)len};
        const cm_ua_t *ua = cm_ua_find(parser, text);
        if (i % 16 == 0 && !same(ua, cm_ua_parse(other, text)))
            fail_msg("%s", agent);
    }
    cm_ua_parser_free(parser);
    cm_ua_parser_free(other);
    cm_ua_rules_free(rules);
}

static void a_hit_is_the_same_object(void **state)
{
    cm_ua_rules_t *rules = cm_ua_rules_new();
    cm_ua_parser_t *parser = cm_ua_parser_new(rules);
    char agent[] = CHROME;

    (void)state;
    const cm_ua_t *first = cm_ua_find(parser, cm_str(CHROME));
    assert_ptr_equal(first, cm_ua_find(parser, cm_str(agent)));
    memset(agent, 'x', sizeof agent - 1); /* the cache keeps no pointer to the caller's text */
    assert_text("Chrome", first->browser.family);
    cm_ua_parser_free(parser);
    cm_ua_rules_free(rules);
}

/* A user agent of any length is parsed once: its first bytes are the key of the cache. */
static void long_agents_are_remembered(void **state)
{
    cm_ua_rules_t *rules = cm_ua_rules_new();
    cm_ua_parser_t *parser = cm_ua_parser_new(rules);
    static char agent[3 * CM_UA_MAX];

    (void)state;
    memset(agent, 'x', sizeof agent);
    memcpy(agent, CHROME " ", sizeof CHROME);
    const size_t lens[] = {CM_UA_CACHE_TEXT + 1, CM_UA_MAX, sizeof agent};
    for (int i = 0; i < 3; i++) {
        const cm_ua_t *first = cm_ua_find(parser, (cm_str_t){agent, lens[i]});
        assert_text("Chrome", first->browser.family);
        cm_ua_find(parser, CM_STR(IPHONE)); /* this would overwrite a result that is not cached */
        assert_ptr_equal(first, cm_ua_find(parser, (cm_str_t){agent, lens[i]}));
        assert_text("Chrome", first->browser.family);
    }
    cm_ua_parser_free(parser);
    cm_ua_rules_free(rules);
}

static void long_agents_and_texts_are_cut(void **state)
{
    cm_ua_rules_t *rules = cm_ua_rules_new();
    cm_ua_parser_t *parser = cm_ua_parser_new(rules);
    static char agent[100000];

    (void)state;
    memset(agent, 'x', sizeof agent);
    memcpy(agent + CM_UA_MAX - 5, CHROME,
           sizeof CHROME - 1); /* begins before the limit, ends after it */
    assert_text("Other", cm_ua_find(parser, (cm_str_t){agent, sizeof agent})->browser.family);
    memcpy(agent, "Podkicker ", 10);
    for (int i = 10; i < 600; i++) /* characters of two bytes, so that byte 256 is within one */
        agent[i] = i % 2 == 0 ? '\xC3' : '\xA9';
    memcpy(agent + 600, "/1.2", 4);
    const cm_ua_t *ua = cm_ua_find(parser, (cm_str_t){agent, 604});
    assert_true(ua->browser.family.len <= 256);
    assert_true(cm_utf8_valid(ua->browser.family.data, ua->browser.family.len));
    cm_ua_parser_free(parser);
    cm_ua_rules_free(rules);
}

static const char *const words[] = {
    "Mozilla/5.0 ",
    "(",
    ")",
    "; ",
    "Android 4.4",
    " Build/",
    "AppleWebKit/537.36 ",
    "Mobile ",
    "Safari/604.1",
    "iPhone",
    "Windows NT 6.1",
    "SM-G900",
    "LG-",
    "HTC_",
    "NOKIA",
    "Lumia 9",
    "BOT",
    "bot/1.0",
    "spider",
    "Opera/9.8 ",
    "Presto",
    "Firefox/12.0",
    "MSIE 9.0",
    "Trident/5",
    "Chrome/33.0.1",
    "Linux",
    "X11",
    "Version/4.0",
    "GT-I9100",
    "; U; ",
    "en-us",
    "sony",
    "Kindle",
    "\xC5\xBFony",
    "No\xE2\x84\xAAia",
    "\xC3\xA9",
    "\xFF",
    "MAC OS X 10_9",
    "CPU OS",
    "Playstation 4",
    "WebTV/",
    "huawei",
    "Googlebot/",
    "Sogou web spider",
    "BUbiNG",
    "http://",
    "Feedly",
    "alcatel one touch ",
    "A101",
    "x",
    " ",
    "/",
    "1",
    "_",
};

/* Words of user agents, joined at random: the result is the same with the automaton and without. */
static void the_automaton_leaves_no_rule_out(void **state)
{
    cm_ua_rules_t *rules = cm_ua_rules_new();
    cm_ua_matcher_t *fast = cm_ua_matcher_new(rules), *slow = cm_ua_matcher_new(rules);
    uint64_t seed = 2;
    cm_ua_t a, b;
    cm_buf_t agent = CM_BUF_INIT;

    (void)state;
    cm_ua_matcher_try_all(slow);
    for (int i = 0; i < 3000; i++) {
        cm_buf_clear(&agent);
        for (uint64_t n = test_random(&seed) % 14 + 1; n > 0; n--)
            cm_buf_add_text(&agent, words[test_random(&seed) % (sizeof words / sizeof *words)]);
        cm_str_t text = {agent.data, agent.len};
        cm_ua_match(fast, text, &a);
        cm_ua_match(slow, text, &b);
        if (!same(&a, &b))
            fail_msg("%s", agent.data);
    }
    cm_buf_free(&agent);
    cm_ua_matcher_free(fast);
    cm_ua_matcher_free(slow);
    cm_ua_rules_free(rules);
}

static void *parse_many(void *rules)
{
    cm_ua_parser_t *parser = cm_ua_parser_new(rules);
    char agent[200];
    intptr_t wrong = 0;

    for (int i = 0; i < 2000; i++) {
        int len = snprintf(agent, sizeof agent, "%s %d", i % 2 ? CHROME : IPHONE, i);
        const cm_ua_t *ua = cm_ua_find(parser, (cm_str_t){agent, (size_t)len});
        wrong += !cm_str_equal(ua->browser.family, cm_str(i % 2 ? "Chrome" : "Mobile Safari"));
    }
    cm_ua_parser_free(parser);
    return (void *)wrong;
}

static void threads_share_the_rules(void **state)
{
    cm_ua_rules_t *rules = cm_ua_rules_new();
    pthread_t threads[4];
    void *wrong;

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(0, pthread_create(&threads[i], NULL, parse_many, rules));
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    cm_ua_rules_free(rules);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_rules_compile),
        cmocka_unit_test(reads_agents),
        cmocka_unit_test(joins_versions),
        cmocka_unit_test(knows_bots),
        cmocka_unit_test(remembers),
        cmocka_unit_test(a_hit_is_the_same_object),
        cmocka_unit_test(long_agents_are_remembered),
        cmocka_unit_test(long_agents_and_texts_are_cut),
        cmocka_unit_test(the_automaton_leaves_no_rule_out),
        cmocka_unit_test(threads_share_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
