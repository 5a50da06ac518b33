/* Campaigns of URLs: exact results. */
#include "support.h"

#include "enrich/campaign.h"

typedef struct row {
    const char *url;
    const char *wanted; /* source|medium|campaign|term|content */
} row_t;

static const row_t rows[] = {
    /* nothing there */
    {"", "||||"},
    {"/a", "||||"},
    {"/a?", "||||"},
    {"/a?id=3&page=2", "||||"},
    {"/a?utm_source", "||||"},
    {"/a?utm_source=", "||||"},
    {"/a?utm_source=+%20", "||||"},
    {"/a?xutm_source=x&utm_sourcex=y&utm_id=1&utm_=2&utm=3", "||||"},
    {"/utm_source=x", "||||"},
    {"/a?b=utm_source=x", "||||"},
    /* each field by each family of names */
    {"/?utm_source=a&utm_medium=b&utm_campaign=c&utm_term=d&utm_content=e", "a|b|c|d|e"},
    {"/?mtm_source=a&mtm_medium=b&mtm_campaign=c&mtm_keyword=d&mtm_content=e", "a|b|c|d|e"},
    {"/?pk_source=a&pk_medium=b&pk_campaign=c&pk_kwd=d&pk_content=e", "a|b|c|d|e"},
    {"/?utm_keyword=d", "|||d|"},
    {"/?utm_kwd=d", "|||d|"},
    {"/?mtm_term=d", "|||d|"},
    {"/?utm_kwd=d&utm_term=e", "|||d|"},
    /* utm_ before mtm_ before pk_, field by field, wherever they stand */
    {"/?pk_source=p&mtm_source=m&utm_source=u&pk_medium=p&mtm_medium=m&pk_campaign=p", "u|m|p||"},
    {"/?utm_source=&mtm_source=+&pk_source=p", "p||||"},
    {"/?pk_kwd=p&mtm_term=m", "|||m|"},
    /* the first that is not empty */
    {"/?utm_source=a&utm_source=b", "a||||"},
    {"/?utm_source=&utm_source=%20&utm_source=b&utm_source=c", "b||||"},
    /* names in any case, and escaped */
    {"/?UTM_Source=News&Utm_MEDIUM=Email", "News|Email|||"},
    {"/?%75tm_source=a&utm%5Fmedium=b", "a|b|||"},
    {"/?\\x75tm_source=a", "a||||"},
    /* separators */
    {"/?id=3&amp;utm_source=a&amp;amp;utm_medium=b", "a|b|||"},
    {"/?&&utm_source=a&&=x&", "a||||"},
    {"/?utm_source=a;utm_medium=b", "a;utm_medium=b||||"},
    /* values: decoded once, trimmed */
    {"/?utm_source=a=b", "a=b||||"},
    {"/?utm_source=+a+b%20%09", "a b||||"},
    {"/?utm_source=caf%C3%A9&utm_medium=caf\\xC3\\xA9", "caf\xC3\xA9|caf\xC3\xA9|||"},
    {"/?utm_source=%E9", "\xEF\xBF\xBD||||"},
    /* ref and source, only where none of the fields is in the URL */
    {"/?ref=producthunt", "producthunt||||"},
    {"/?source=hn", "hn||||"},
    {"/?source=hn&REF=ph", "ph||||"},
    {"/?ref=&source=hn", "hn||||"},
    {"/?ref=&ref=a&ref=b", "a||||"},
    {"/?ref=ph&utm_medium=email", "|email|||"},
    {"/?ref=ph&utm_source=", "||||"},
    {"/?ref=ph&pk_kwd=shoes", "|||shoes|"},
    {"/?ref=ph&gclid=1", "ph|cpc|||"},
    {"/?referrer=ph&resource=x&refs=y", "||||"},
    /* click ids */
    {"/?gclid=Cj0K", "|cpc|||"},
    {"/?gbraid=1", "|cpc|||"},
    {"/?wbraid=1", "|cpc|||"},
    {"/?gad_source=1", "|cpc|||"},
    {"/?msclkid=1", "|cpc|||"},
    {"/?ttclid=1", "|cpc|||"},
    {"/?twclid=1", "|cpc|||"},
    {"/?li_fat_id=1", "|cpc|||"},
    {"/?yclid=1", "|cpc|||"},
    {"/?GCLID=1&utm_source=google", "google|cpc|||"},
    {"/?gclid=1&utm_medium=email", "|email|||"},
    {"/?gclid=1&mtm_medium=display", "|display|||"},
    {"/?gclid=1&utm_medium=", "|cpc|||"},
    {"/?gclid=", "||||"},
    {"/?gclid", "||||"},
    {"/?fbclid=1&igsh=2&srsltid=3&dclid=4", "||||"},
    /* the query alone */
    {"https://shop.example/a?utm_source=a#utm_medium=b", "a||||"},
    {"https://shop.example/a#?utm_source=a", "||||"},
    {"https://shop.example/a#utm_source=a", "||||"},
    /* public reports: plausible/analytics#229, simpleanalytics/roadmap#451, medius/utm_form#8,
     * mozilla/bedrock#8163, umami-software/umami#3264 and #4297, plausible/analytics#4817,
     * at-internet/piano-analytics-js#11, mozilla/fxa#3645, googleanalytics/ga-dev-tools#248 and
     * #510 */
    {"https://edit.photostack.example/?utm_source=Android%20App", "Android App||||"},
    {"/?utm_source=hello%2Bworld&utm_campaign=hello+world", "hello+world||hello world||"},
    {"/?utm_source=no%2520code%2520founders", "no%20code%20founders||||"},
    {"/?UTM_SOURCE=foo", "foo||||"},
    {"/?utm_source=www.mozilla.example&amp;utm_medium=referral&amp;utm_campaign=home",
     "www.mozilla.example|referral|home||"},
    {"/?utm_source=google&utm_medium=cpc&utm_campaign=12345&utm_source_platform=google_ads"
     "&gad_source=1&gclid=UTICj0XQLiA",
     "google|cpc|12345||"},
    {"/?fbclid=IwAR0&utm_source=facebook", "facebook||||"},
    {"/?msclkid=1&ref=bing", "bing|cpc|||"},
    {"/?utm_content=empty+string", "||||empty string"},
    {"/?utm_campaign=fx-monitor-twos%20utm_content%3Dfx-monitor-twos-en",
     "||fx-monitor-twos utm_content=fx-monitor-twos-en||"},
    {"/?%2Ftop-deals.html=&utm_source=youtube", "youtube||||"},
    {"/?a=1?utm_source=x", "||||"},
};

static cm_str_t listed(const cm_campaign_t *campaign, cm_buf_t *buf)
{
    cm_buf_clear(buf);
    for (int i = 0; i < CM_CAMPAIGN_FIELDS; i++) {
        if (i > 0)
            cm_buf_add_char(buf, '|');
        cm_buf_add_str(buf, campaign->fields[i]);
    }
    return (cm_str_t){buf->data, buf->len};
}

static void assert_campaign(const char *url, cm_campaign_t given, const char *wanted, int cut)
{
    cm_arena_t arena = CM_ARENA_INIT;
    cm_buf_t buf = CM_BUF_INIT;

    assert_int_equal(cm_campaign_fill(cm_str(url), &arena, &given), cut);
    cm_str_t got = listed(&given, &buf);
    if (!cm_str_equal(got, cm_str(wanted)))
        fail_msg("of \"%s\": \"%.*s\", not \"%s\"", url, (int)got.len, got.data, wanted);
    cm_buf_free(&buf);
    cm_arena_free(&arena);
}

static void test_urls(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_campaign(rows[i].url, (cm_campaign_t){0}, rows[i].wanted, 0);
}

static void test_given_fields_stay(void **state)
{
    const cm_campaign_t medium = {.fields[CM_CAMPAIGN_MEDIUM] = CM_STR("email")};
    const cm_campaign_t source = {.fields[CM_CAMPAIGN_SOURCE] = CM_STR("mine")};

    (void)state;
    assert_campaign("/?utm_source=a&utm_medium=b&gclid=1", medium, "a|email|||", 0);
    assert_campaign("/?gclid=1&ref=x", medium, "x|email|||", 0);
    assert_campaign("/?utm_source=a&utm_medium=b", source, "mine|b|||", 0);
    assert_campaign("/?ref=a&source=b", source, "mine||||", 0);
    assert_campaign("/?gclid=1", source, "mine|cpc|||", 0);
    assert_campaign("/", source, "mine||||", 0);
}

static void test_only_escapes_take_memory(void **state)
{
    const cm_str_t url = CM_STR("https://h/?id=3&utm_source=news&gclid=1&ref=x");
    cm_campaign_t campaign = {0};
    cm_arena_t arena = CM_ARENA_INIT;

    (void)state;
    cm_campaign_fill(url, &arena, &campaign);
    assert_ptr_equal(campaign.fields[CM_CAMPAIGN_SOURCE].data, url.data + 27);
    assert_null(arena.chunks);
}

/* Values are cut to 256 bytes at a character, after decoding and trimming. */
static void test_long_values_are_cut(void **state)
{
    cm_buf_t url = CM_BUF_INIT, wanted = CM_BUF_INIT;

    (void)state;
    cm_buf_add_text(&url, "/?ref=");
    for (int i = 0; i < 256; i++) {
        cm_buf_add_text(&url, i % 2 == 0 ? "%61" : "b");
        cm_buf_add_char(&wanted, i % 2 == 0 ? 'a' : 'b');
    }
    cm_buf_add_text(&wanted, "||||");
    cm_buf_add_text(&url, "+++");
    assert_campaign(url.data, (cm_campaign_t){0}, wanted.data, 0);
    url.len -= 3;
    cm_buf_add_text(&url, "c");
    assert_campaign(url.data, (cm_campaign_t){0}, wanted.data, 1);

    cm_buf_clear(&url);
    cm_buf_clear(&wanted);
    cm_buf_add_text(&url, "/?utm_source=x");
    cm_buf_add_text(&wanted, "x");
    for (int i = 0; i < 128; i++) {
        cm_buf_add_text(&url, "\xC3\xA9");
        if (i < 127)
            cm_buf_add_text(&wanted, "\xC3\xA9");
    }
    cm_buf_add_text(&wanted, "|");
    cm_buf_add_text(&url, "&utm_medium=");
    for (int i = 0; i < 300; i++) {
        cm_buf_add_char(&url, 'm');
        if (i < 256)
            cm_buf_add_char(&wanted, 'm');
    }
    cm_buf_add_text(&wanted, "|||");
    assert_campaign(url.data, (cm_campaign_t){0}, wanted.data, 2);
    cm_buf_free(&url);
    cm_buf_free(&wanted);
}

/* What cleaning leaves in a URL: then other parameters of the campaign may have been there. */
static void test_a_source_by_ref(void **state)
{
    static const struct {
        const char *url;
        bool by_ref;
    } urls[] = {{"/?ref=ph", true},
                {"/?id=1&source=hn", true},
                {"/?ref=", false},
                {"/?ref=ph&gclid=1", false},
                {"/?ref=ph&utm_term=x", false},
                {"/?utm_source=ph", false},
                {"/?id=1", false}};
    cm_arena_t arena = CM_ARENA_INIT;

    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        cm_campaign_t campaign = {0};
        cm_campaign_fill(cm_str(urls[i].url), &arena, &campaign);
        assert_int_equal(campaign.by_ref, urls[i].by_ref);
    }
    cm_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_given_fields_stay),
        cmocka_unit_test(test_only_escapes_take_memory),
        cmocka_unit_test(test_long_values_are_cut),
        cmocka_unit_test(test_a_source_by_ref),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
