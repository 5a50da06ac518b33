/* Referrers and campaigns of events: exact results, and what is counted as cut. */
#include "support.h"

#include "enrich/arrival.h"

static const cm_arrival_rules_t clean = {.clean = true}, bare = {.clean = true, .drop_query = true},
                                as_sent = {.clean = false};

static void assert_text(const char *wanted, cm_str_t got)
{
    if (!cm_str_equal(cm_str(wanted), got))
        fail_msg("%.*s and not %s", (int)got.len, got.data, wanted);
}

/* What becomes of the referrer of a log. */
static void assert_referrer(const cm_arrival_rules_t *rules, cm_str_t logged, const char *wanted,
                            uint64_t count)
{
    cm_arena_t arena = CM_ARENA_INIT;
    cm_event_extra_t extra = CM_EVENT_EXTRA_NONE;
    cm_enrich_cut_t cut = {0};

    cm_arrival_fill(rules, &(cm_enrich_visit_t){.referrer = logged}, CM_STR("/a"), &arena, &extra,
                    &cut);
    assert_text(wanted, extra.text[CM_EXTRA_REFERRER]);
    assert_int_equal(count, cut.referrers);
    assert_int_equal(0, cut.campaigns);
    cm_arena_free(&arena);
}

/* As servers write the header, which may have any bytes. */
static void takes_the_referrer_of_a_log(void **state)
{
    static const struct {
        const char *logged, *cleaned, *kept;
        uint64_t cut; /* without cleaning, which writes bytes outside ASCII with a percent sign */
    } rows[] = {
        {"", "", "", 0},
        {" ", "", "", 0},
        {"https://www.google.com/", "https://www.google.com/", "https://www.google.com/", 0},
        {" https://a.example/ ", "https://a.example/", "https://a.example/", 0},
        {"https://a.example?ref=https%3A//b.example", "https://a.example?ref=https%3A//b.example",
         "https://a.example?ref=https%3A//b.example", 0},
        {"https://a.example/p?utm_source=x&id=3#part", "https://a.example/p?id=3",
         "https://a.example/p?utm_source=x&id=3#part", 0},
        {"https://a.example/?q=\\x22x\\x22", "https://a.example/?q=%22x%22",
         "https://a.example/?q=\\x22x\\x22", 0},
        {"https://a.example/\\\"x\\\"", "https://a.example/%22x%22", "https://a.example/\\\"x\\\"",
         0},
        {"https://a.example/caf\xC3\xA9", "https://a.example/caf%C3%A9",
         "https://a.example/caf\xC3\xA9", 0},
        {"https://a.example/caf\xE9", "https://a.example/caf%E9", "https://a.example/", 1},
        {"android-app://com.slack/", "android-app://com.slack/", "android-app://com.slack/", 0},
        {"a referrer of a bot", "a referrer of a bot", "a referrer of a bot", 0},
        {"about:blank", "about:blank", "about:blank", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_referrer(&clean, cm_str(rows[i].logged), rows[i].cleaned, 0);
        assert_referrer(&as_sent, cm_str(rows[i].logged), rows[i].kept, rows[i].cut);
    }
    assert_referrer(&bare, CM_STR("https://a.example/p?id=3"), "https://a.example/p", 0);
    assert_referrer(&clean, CM_STR("https://\xE9.example/"), "", 1);
}

static void cuts_long_referrers_to_their_origin(void **state)
{
    static const char *const rows[][2] = {
        {"https://a.example/", "https://a.example/"},
        {"https://a.example?", "https://a.example/"},
        {"http://a.example:8080#", "http://a.example:8080/"},
        {"https://user:secret@a.example/", "https://a.example/"},
        {"https://a.example\\", "https://a.example/"},
        {"android-app://com.slack/", "android-app://com.slack/"},
        {"about:blank", ""},
        {"https:///", ""},
        {"/cart?", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cm_buf_t text = CM_BUF_INIT;
        cm_buf_add_text(&text, rows[i][0]);
        while (text.len < 2048)
            cm_buf_add_char(&text, 'x');
        assert_referrer(&as_sent, (cm_str_t){text.data, text.len}, text.data, 0);
        cm_buf_add_char(&text, 'x');
        assert_referrer(&as_sent, (cm_str_t){text.data, text.len}, rows[i][1], 1);
        cm_buf_free(&text);
    }
}

/* A referrer whose origin is too long as well, and one that cleaning makes short enough. */
static void cuts_only_what_does_not_fit(void **state)
{
    cm_buf_t text = CM_BUF_INIT;

    (void)state;
    cm_buf_add_text(&text, "https://");
    for (int i = 0; i < 2100; i++)
        cm_buf_add_char(&text, 'h');
    assert_referrer(&clean, (cm_str_t){text.data, text.len}, "", 1);
    cm_buf_clear(&text);
    cm_buf_add_text(&text, "https://a.example/p?utm_source=");
    for (int i = 0; i < 2100; i++)
        cm_buf_add_char(&text, 's');
    assert_referrer(&clean, (cm_str_t){text.data, text.len}, "https://a.example/p", 0);
    assert_referrer(&as_sent, (cm_str_t){text.data, text.len}, "https://a.example/", 1);
    cm_buf_free(&text);
}

/* A page's referrer is cut like that of a log; a server states its own, which is checked later. */
static void takes_the_referrer_of_an_event(void **state)
{
    char longest[2100] = "https://a.example/";
    const size_t head = strlen(longest);

    (void)state;
    memset(longest + head, 'x', sizeof longest - head);
    for (int page = 0; page < 2; page++) {
        cm_arena_t arena = CM_ARENA_INIT;
        cm_event_extra_t extra = CM_EVENT_EXTRA_NONE;
        cm_enrich_cut_t cut = {0};
        const cm_enrich_visit_t visit = {.page = page == 1};

        extra.text[CM_EXTRA_REFERRER] = (cm_str_t){longest, sizeof longest};
        cm_arrival_fill(&clean, &visit, CM_STR("/a"), &arena, &extra, &cut);
        assert_int_equal(page == 1 ? head : sizeof longest, extra.text[CM_EXTRA_REFERRER].len);
        assert_int_equal(page, cut.referrers);
        cm_arena_free(&arena);
    }
}

static void takes_the_campaign_before_it_is_cleaned_away(void **state)
{
    cm_arena_t arena = CM_ARENA_INIT;
    const cm_enrich_visit_t visit = {.page = true};
    cm_event_extra_t extra = CM_EVENT_EXTRA_NONE;
    cm_enrich_cut_t cut = {0};
    cm_buf_t url = CM_BUF_INIT;

    (void)state;
    extra.text[CM_EXTRA_UTM_MEDIUM] = CM_STR("given");
    cm_buf_add_text(&url, "/p?utm_source=News+Letter&utm_medium=email&pk_kwd=k&utm_content=");
    for (int i = 0; i < 257; i++)
        cm_buf_add_char(&url, 'c');
    cm_arrival_fill(&as_sent, &visit, (cm_str_t){url.data, url.len}, &arena, &extra, &cut);
    assert_text("", extra.text[CM_EXTRA_UTM_SOURCE]);
    assert_int_equal(0, cut.campaigns);
    cm_arrival_fill(&clean, &visit, (cm_str_t){url.data, url.len}, &arena, &extra, &cut);
    assert_text("News Letter", extra.text[CM_EXTRA_UTM_SOURCE]);
    assert_text("given", extra.text[CM_EXTRA_UTM_MEDIUM]);
    assert_text("", extra.text[CM_EXTRA_UTM_CAMPAIGN]);
    assert_text("k", extra.text[CM_EXTRA_UTM_TERM]);
    assert_int_equal(256, extra.text[CM_EXTRA_UTM_CONTENT].len);
    assert_int_equal(1, cut.campaigns);
    assert_int_equal(0, cut.referrers);
    cm_buf_free(&url);
    cm_arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_the_referrer_of_a_log),
        cmocka_unit_test(cuts_long_referrers_to_their_origin),
        cmocka_unit_test(cuts_only_what_does_not_fit),
        cmocka_unit_test(takes_the_referrer_of_an_event),
        cmocka_unit_test(takes_the_campaign_before_it_is_cleaned_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
