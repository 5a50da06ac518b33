/* The enrichment of one event, and the built-in database. */
#include "support.h"

#include "enrich/countries.h"
#include "enrich/enricher.h"
#include "enrich/geo.h"
#include "enrich/ua.h"

#define AGENT "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0"

static const cm_log_t quiet = {.level = CM_LOG_ERROR, .fd = 2};

static void assert_text(const char *wanted, cm_str_t got)
{
    if (!cm_str_equal(cm_str(wanted), got))
        fail_msg("%.*s and not %s", (int)got.len, got.data, wanted);
}

static void names_countries(void **state)
{
    int count = 0;

    (void)state;
    for (char a = 'A'; a <= 'Z'; a++) {
        for (char b = 'A'; b <= 'Z'; b++) {
            const char code[2] = {a, b};
            cm_str_t name = cm_country_name((cm_str_t){code, 2});
            count += name.len > 0;
            assert_true(cm_utf8_valid(name.data, name.len));
        }
    }
    assert_int_equal(250, count); /* the 249 of ISO 3166-1, and XK */
    assert_text("Germany", cm_country_name(CM_STR("DE")));
    assert_text("Germany", cm_country_name(CM_STR("de")));
    assert_text("Zimbabwe", cm_country_name(CM_STR("ZW")));
    assert_text("Andorra", cm_country_name(CM_STR("AD")));
    assert_text("", cm_country_name(CM_STR("ZZ")));
    assert_text("", cm_country_name(CM_STR("D")));
    assert_text("", cm_country_name(CM_STR("DEU")));
    assert_text("", cm_country_name(CM_STR("")));
}

static const char *const nowhere[] = {
    "",
    "localhost",
    "10.1.2.3",
    "127.0.0.1",
    "192.168.1.1",
    "172.16.0.1",
    "172.31.255.255",
    "169.254.1.1",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fd00::1",
    "ff02::1",
    "::ffff:10.0.0.1",
    "8.8.8",
    "8.8.8.8.8",
    "8.8.8.8x",
    "08.8.8.8",
    "256.1.1.1",
    "2001:4860::x",
    "example.com",
    "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"};
static const char *const america[] = {"8.8.8.8",
                                      "::ffff:8.8.8.8",
                                      "2001:4860:4860::8888",
                                      "8.8.8.8 ",
                                      "8.8.8.8:40000",
                                      "\"8.8.8.8\"",
                                      "::FFFF:808:808",
                                      "[2001:4860:4860::8888]:443",
                                      "2001:4860:4860:0000:0000:0000:0000:8888",
                                      "10.0.0.1, 8.8.8.8, 1.1.1.1",
                                      "unknown,8.8.8.8"};

static void finds_addresses(void **state)
{
    cm_geo_t *geo = NULL;
    cm_geo_place_t place;
    cm_err_t err;

    (void)state;
    assert_ok(cm_geo_open(NULL, &quiet, &geo, &err), err);
    cm_geo_reader_t *reader = cm_geo_reader_new(geo);
    for (size_t i = 0; i < sizeof nowhere / sizeof *nowhere; i++) {
        if (cm_geo_find(reader, cm_str(nowhere[i]), &place, &err) != 0)
            fail_msg("%s is in %.*s", nowhere[i], (int)place.country.len, place.country.data);
        assert_text("", place.country);
        assert_text("", place.iso_code);
    }
    for (int again = 0; again < 2; again++) {
        for (size_t i = 0; i < sizeof america / sizeof *america; i++) {
            assert_int_equal(1, cm_geo_find(reader, cm_str(america[i]), &place, &err));
            assert_text("United States", place.country);
            assert_text("US", place.iso_code);
            assert_text("", place.city);
        }
    }
    cm_geo_reader_free(reader);
    cm_geo_close(geo);
}

static void says_what_it_cannot_open(void **state)
{
    cm_geo_t *geo = NULL;
    cm_err_t err;

    (void)state;
    assert_int_equal(CM_EINPUT, cm_geo_open("/nowhere/at.mmdb", &quiet, &geo, &err));
    assert_non_null(strstr(err.text, "/nowhere/at.mmdb: No such file"));
    assert_int_equal(CM_EINPUT, cm_geo_open("/dev/null", &quiet, &geo, &err));
    assert_non_null(strstr(err.text, "/dev/null"));
    assert_null(geo);
}

#define REFERRER "https://news.example/a?gclid=1&b=2"

static void assert_extra(const char *wanted, const cm_event_t *event, cm_extra_field_t field)
{
    assert_text(wanted, event->extra != NULL ? event->extra->text[field] : CM_STR(""));
}

/* Enriches an event with these options. */
static cm_bot_kind_t visit(cm_enrich_options_t options, const char *address, const char *agent,
                           cm_event_t *event, cm_arena_t *arena)
{
    const cm_enrich_visit_t seen = {
        .address = cm_str(address), .agent = cm_str(agent), .referrer = cm_str(REFERRER)};
    cm_enrich_cut_t cut = {0};
    cm_err_t err;

    options.log = &quiet;
    cm_enrichment_t *enrichment = cm_enrichment_new(&options);
    assert_ok(cm_enrichment_start(enrichment, &err), err);
    assert_ok(cm_enrichment_start(enrichment, &err), err);
    cm_enricher_t *enricher = cm_enricher_new(enrichment);
    cm_bot_kind_t bot = cm_enricher_visit(enricher, &seen, arena, event, &cut);
    assert_int_equal(0, cm_enrichment_check(enrichment, &err));
    cm_enricher_free(enricher);
    cm_enrichment_free(enrichment);
    return bot;
}

static void fills_what_is_missing(void **state)
{
    cm_arena_t arena = CM_ARENA_INIT;
    cm_event_t event = {.url = CM_STR("/a?gclid=1&b=2#c")};

    (void)state;
    assert_int_equal(CM_BOT_NONE,
                     visit((cm_enrich_options_t){.geoip = NULL}, "8.8.8.8", AGENT, &event, &arena));
    assert_text("/a?b=2", event.url);
    assert_text("United States", event.country);
    assert_text("", event.city);
    assert_text("Firefox", event.browser);
    assert_text("Ubuntu", event.os);
    assert_text("Other", event.device);
    assert_extra("125.0", &event, CM_EXTRA_BROWSER_VERSION);
    assert_extra("", &event, CM_EXTRA_OS_VERSION);
    assert_extra("cpc", &event, CM_EXTRA_UTM_MEDIUM);
    assert_extra("https://news.example/a?b=2", &event, CM_EXTRA_REFERRER);
    event = (cm_event_t){.url = CM_STR("/a?gclid=1#c"),
                         .country = CM_STR("x"),
                         .city = CM_STR("y"),
                         .browser = CM_STR("z")};
    assert_int_equal(CM_BOT_NONE, visit((cm_enrich_options_t){.keep_urls = true}, "8.8.8.8", AGENT,
                                        &event, &arena));
    assert_text("/a?gclid=1#c", event.url);
    assert_text("x", event.country);
    assert_text("y", event.city);
    assert_text("z", event.browser);
    assert_text("Ubuntu", event.os);
    assert_extra("", &event, CM_EXTRA_BROWSER_VERSION);
    assert_extra("", &event, CM_EXTRA_OS_VERSION);
    assert_extra("", &event, CM_EXTRA_UTM_MEDIUM);
    assert_extra(REFERRER, &event, CM_EXTRA_REFERRER);
    event = (cm_event_t){.url = CM_STR("/a?b=1")};
    assert_int_equal(CM_BOT_NONE, visit((cm_enrich_options_t){.geoip = "none", .drop_query = true},
                                        "8.8.8.8", "", &event, &arena));
    assert_text("/a", event.url);
    assert_text("", event.country);
    assert_text("", event.browser);
    assert_extra("", &event, CM_EXTRA_BROWSER_VERSION);
    assert_extra("https://news.example/a", &event, CM_EXTRA_REFERRER);
    cm_arena_free(&arena);
}

/* What the event states stays, and a version that is not of its browser is not filled in. */
static void keeps_what_is_stated(void **state)
{
    static const cm_event_extra_t stated = {
        .text = {[CM_EXTRA_REFERRER] = {"https://own.example/", 20},
                 [CM_EXTRA_BROWSER_VERSION] = {"5", 1},
                 [CM_EXTRA_UTM_MEDIUM] = {"email", 5}},
        .engaged_ms = -1};
    cm_arena_t arena = CM_ARENA_INIT;
    cm_event_t event = {.url = CM_STR("/?gclid=1&utm_source=news"),
                        .browser = CM_STR("Firefox"),
                        .os = CM_STR("Windows"),
                        .extra = &stated};

    (void)state;
    assert_int_equal(CM_BOT_NONE,
                     visit((cm_enrich_options_t){.geoip = "none"}, "h", AGENT, &event, &arena));
    assert_ptr_not_equal(&stated, event.extra);
    assert_extra("5", &event, CM_EXTRA_BROWSER_VERSION);
    assert_extra("", &event, CM_EXTRA_OS_VERSION);
    assert_extra("https://own.example/", &event, CM_EXTRA_REFERRER);
    assert_extra("email", &event, CM_EXTRA_UTM_MEDIUM);
    assert_extra("news", &event, CM_EXTRA_UTM_SOURCE);
    cm_arena_free(&arena);
}

static void leaves_bots_out(void **state)
{
    cm_arena_t arena = CM_ARENA_INIT;
    cm_event_t event = {.url = CM_STR("/")}, person = event;

    (void)state;
    assert_int_equal(CM_BOT_HTTP_LIBRARY,
                     visit((cm_enrich_options_t){.geoip = "none"}, "h", "curl/8", &event, &arena));
    assert_int_equal(CM_BOT_NONE, visit((cm_enrich_options_t){.geoip = "none", .keep_bots = true},
                                        "h", "curl/8", &event, &arena));
    assert_text("curl", event.browser);
    assert_text("{\"bot\": \"curl\", \"bot_kind\": \"http-library\"}",
                event.extra->text[CM_EXTRA_PROPS]);
    assert_int_equal(CM_BOT_NONE, visit((cm_enrich_options_t){.geoip = "none", .keep_bots = true},
                                        "h", AGENT, &person, &arena));
    assert_extra("", &person, CM_EXTRA_PROPS);
    cm_arena_free(&arena);
}

/* The two properties replace those of a sender and leave the others. */
static void kept_bots_have_a_name(void **state)
{
    cm_arena_t arena = CM_ARENA_INIT;
    const cm_event_extra_t extra = {
        .text = {[CM_EXTRA_NAME] = CM_STR("signup"),
                 [CM_EXTRA_PROPS] = CM_STR("{\"a\": 1, \"bot\": true, \"plan\": \"pro\"}")},
        .engaged_ms = -1};
    cm_event_t event = {.url = CM_STR("/"), .extra = &extra};

    (void)state;
    assert_int_equal(CM_BOT_NONE,
                     visit((cm_enrich_options_t){.geoip = "none", .keep_bots = true}, "h",
                           "Mozilla/5.0 (compatible; GPTBot/1.2)", &event, &arena));
    assert_text("{\"a\": 1, \"bot\": \"GPTBot\", \"bot_kind\": \"ai-crawler\", \"plan\": "
                "\"pro\"}",
                event.extra->text[CM_EXTRA_PROPS]);
    assert_text("signup", event.extra->text[CM_EXTRA_NAME]);
    cm_arena_free(&arena);
}

/* A message keeps its URL and what it states; its bots are treated as those of a log. */
static void messages_of_bots(void **state)
{
    (void)state;
    for (int keep = 0; keep < 3; keep++) { /* drop, keep, as they came */
        const cm_enrich_options_t options = {
            .geoip = "none", .keep_bots = keep == 1, .judge_messages = keep < 2, .log = &quiet};
        cm_enrichment_t *enrichment = cm_enrichment_new(&options);
        cm_enricher_t *enricher = cm_enricher_new(enrichment);
        cm_arena_t arena = CM_ARENA_INIT;
        cm_event_t event = {.url = CM_STR("/?gclid=1"),
                            .browser = CM_STR("a"),
                            .os = CM_STR("b"),
                            .device = CM_STR("c")},
                   person = event;
        const cm_str_t agent = CM_STR("curl/8");

        assert_int_equal(keep ? CM_BOT_NONE : CM_BOT_HTTP_LIBRARY,
                         cm_enricher_fill(enricher, CM_STR(""), agent, &arena, &event));
        assert_extra(keep == 1 ? "{\"bot\": \"curl\", \"bot_kind\": \"http-library\"}" : "", &event,
                     CM_EXTRA_PROPS);
        assert_int_equal(CM_BOT_NONE,
                         cm_enricher_fill(enricher, CM_STR(""), cm_str(AGENT), &arena, &person));
        assert_extra("", &person, CM_EXTRA_PROPS);
        assert_text("/?gclid=1", event.url);
        assert_text("a", event.browser);
        cm_arena_free(&arena);
        cm_enricher_free(enricher);
        cm_enrichment_free(enrichment);
    }
}

/* Logs write quotes, backslashes and bytes that are not printable ASCII with a backslash. */
static void reads_what_logs_escape(void **state)
{
    cm_arena_t arena = CM_ARENA_INIT;
    static const char *const agents[] = {"Mozilla/5.0 \\\"x\\\" \\\\ Firefo\\x78/12.0",
                                         "Firefox/12.0 \\", "Firefox/12.0 \\x4",
                                         "Firefox/12.0 \\n"};
    char longest[3 * CM_UA_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof agents / sizeof *agents; i++) {
        cm_event_t event = {.url = CM_STR("/")};
        assert_int_equal(CM_BOT_NONE, visit((cm_enrich_options_t){.geoip = "none"}, "h", agents[i],
                                            &event, &arena));
        assert_text("Firefox", event.browser);
    }
    memset(longest, '\\', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    cm_event_t event = {.url = CM_STR("/")};
    assert_int_equal(CM_BOT_NONE,
                     visit((cm_enrich_options_t){.geoip = "none"}, "h", longest, &event, &arena));
    assert_text("Other", event.browser);
    cm_arena_free(&arena);
}

static void has_a_variant_for_each_meaning(void **state)
{
    const char *seen[8];
    int count = 0;

    (void)state;
    for (int i = 0; i < 8; i++) {
        const cm_enrich_options_t options = {
            .keep_bots = i & 1, .keep_urls = i & 2, .drop_query = i & 4};
        seen[i] = cm_enrich_variant(&options);
        bool fresh = true;
        for (int j = 0; j < i; j++)
            fresh = fresh && strcmp(seen[i], seen[j]) != 0;
        count += fresh;
    }
    assert_int_equal(6, count); /* without queries, whole URLs are as clean ones but fragments go */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_countries),
        cmocka_unit_test(finds_addresses),
        cmocka_unit_test(says_what_it_cannot_open),
        cmocka_unit_test(fills_what_is_missing),
        cmocka_unit_test(keeps_what_is_stated),
        cmocka_unit_test(leaves_bots_out),
        cmocka_unit_test(kept_bots_have_a_name),
        cmocka_unit_test(messages_of_bots),
        cmocka_unit_test(reads_what_logs_escape),
        cmocka_unit_test(has_a_variant_for_each_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
