/* Request bodies of browsers and servers: the events that they give, and the errors of the others.
 */
#include "support.h"

#include "source/http/posted.h"

static int64_t now = INT64_C(1772359200000); /* 2026-03-01T10:00:00Z */

static int64_t tell_now(void *self)
{
    (void)self;
    return now;
}

static const cm_clock_t fake_clock = {tell_now, NULL};
static const char chrome[] =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
    "Safari/537.36";

typedef struct state {
    char *directory;
    cm_posted_shared_t shared;
    cm_poster_t *poster;
    cm_batch_t batch;
    cm_posted_result_t result;
    cm_posted_sender_t page, server;
} state_t;

static int set_up(void **context)
{
    state_t *state = calloc(1, sizeof *state);
    cm_err_t err;

    state->directory = test_directory();
    state->shared = (cm_posted_shared_t){
        .enrichment = cm_enrichment_new(&(cm_enrich_options_t){.geoip = "none"}),
        .clock = &fake_clock};
    assert_ok(cm_daily_key_open(state->directory, &state->shared.daily, &err), err);
    state->poster = cm_poster_new(&state->shared);
    state->page =
        (cm_posted_sender_t){.page = true, .address = CM_STR("192.0.2.7"), .agent = cm_str(chrome)};
    *context = state;
    return 0;
}

static int tear_down(void **context)
{
    state_t *state = *context;

    cm_buf_free(&state->result.errors);
    cm_poster_free(state->poster);
    cm_daily_key_close(state->shared.daily);
    cm_enrichment_free(state->shared.enrichment);
    cm_batch_free(&state->batch);
    test_remove(state->directory);
    free(state);
    return 0;
}

static int post(state_t *state, const char *text, bool lines, const cm_posted_sender_t *sender,
                cm_err_t *err)
{
    static char body[8192];

    cm_batch_clear(&state->batch);
    cm_buf_free(&state->result.errors);
    snprintf(body, sizeof body - CM_EVENT_JSON_PADDING, "%s", text);
    return cm_posted_read(state->poster, cm_str(body), lines, sender, &state->batch, &state->result,
                          err);
}

/* A body that is read one event at a time gives the same as a body that is read at once. */
static void assert_same_in_turns(state_t *state, const char *text, bool lines,
                                 const cm_posted_sender_t *sender)
{
    static char body[8192];
    const cm_posted_result_t *once = &state->result;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_posted_result_t result;
    cm_posting_t *posting;
    cm_err_t err;
    int rc, turns = 0;

    snprintf(body, sizeof body - CM_EVENT_JSON_PADDING, "%s", text);
    assert_ok(cm_posting_begin(state->poster, cm_str(body), lines, sender, &batch, &result,
                               &posting, &err),
              err);
    do {
        rc = cm_posting_turn(posting, 0, &err);
        turns++;
    } while (rc > 0);
    assert_ok(rc, err);
    assert_in_range(turns + 1, result.accepted + result.skipped, 8192);
    assert_int_equal(result.accepted, once->accepted);
    assert_int_equal(result.skipped, once->skipped);
    assert_int_equal(result.rejected, once->rejected);
    assert_int_equal(result.errors.len, once->errors.len);
    if (once->errors.len > 0)
        assert_memory_equal(result.errors.data, once->errors.data, once->errors.len);
    assert_int_equal(batch.count, state->batch.count);
    for (size_t i = 0; i < batch.count; i++) {
        assert_true(cm_str_equal(batch.events[i].url, state->batch.events[i].url));
        assert_int_equal(batch.events[i].timestamp, state->batch.events[i].timestamp);
    }
    cm_posting_free(posting);
    cm_buf_free(&result.errors);
    cm_batch_free(&batch);
}

/* The result: "accepted skipped rejected errors". */
static void assert_post(state_t *state, const char *text, bool lines,
                        const cm_posted_sender_t *sender, const char *expected)
{
    char got[2000];
    cm_err_t err;

    assert_ok(post(state, text, lines, sender, &err), err);
    snprintf(got, sizeof got, "%d %d %d %.*s", (int)state->result.accepted,
             (int)state->result.skipped, (int)state->result.rejected, (int)state->result.errors.len,
             state->result.errors.data);
    assert_string_equal(got, expected);
    assert_int_equal(state->batch.count, state->result.accepted);
    assert_same_in_turns(state, text, lines, sender);
}

static void assert_text(cm_str_t got, const char *expected)
{
    assert_int_equal(got.len, strlen(expected));
    assert_memory_equal(got.data, expected, got.len);
}

static void shapes_of_a_body(void **context)
{
    state_t *state = *context;
    const cm_posted_sender_t *page = &state->page;

    assert_post(state, "{\"url\":\"/a\"}", false, page, "1 0 0 ");
    assert_post(state, " {\n\"url\":\n\"/a\"}\n ", false, page, "1 0 0 ");
    assert_post(state, "[{\"url\":\"/a\"} , {\"url\":\"/]}\\\"\"}]", false, page, "2 0 0 ");
    assert_text(state->batch.events[1].url, "/]}\"");
    assert_post(state, "{\"url\":\"/a\"}\n\r\n{\"url\":\"/b\"}\r\n", false, page, "2 0 0 ");
    assert_post(state, "\xEF\xBB\xBF[{\"url\":\"/a\"}]", false, page, "1 0 0 ");
    assert_post(state, "{\"url\":\"/a\"}\nx\n{\"url\":\"/b\"}", true, page,
                "2 0 1 {\"position\":2,\"reason\":\"not valid JSON: a comma, colon, bracket "
                "or brace is missing or unexpected\"}");
}

static void what_is_wrong_is_told(void **context)
{
    state_t *state = *context;
    const cm_posted_sender_t *page = &state->page;
    cm_err_t err;

    assert_post(state, "[{\"url\":\"/a\"},{},3,{\"url\":\"/b\"}]", false, page,
                "2 0 2 {\"position\":2,\"reason\":\"url is missing or empty\"},"
                "{\"position\":3,\"reason\":\"not a JSON object\"}");
    assert_post(state, "[{\"url\":\"/a\"},]", false, page,
                "1 0 1 {\"position\":2,\"reason\":\"an event is missing\"}");
    assert_post(state, "[{\"url\":\"/a\"}", false, page,
                "1 0 1 {\"position\":2,\"reason\":\"the array is not closed\"}");
    assert_post(state, "[{\"url\":\"/a\"}] x", false, page,
                "1 0 1 {\"position\":2,\"reason\":\"there is something after the array\"}");
    assert_post(state, "{\"url\":\"/\",\"timestamp\":0}", false, page,
                "0 0 1 {\"position\":1,\"reason\":\"timestamp 0 is out of range: milliseconds "
                "between 1970 and 2100 are expected\"}");
    assert_int_equal(post(state, "", false, page, &err), CM_EREJECT);
    assert_string_equal(err.text, "the body holds no event");
    assert_int_equal(post(state, "[ ]", false, page, &err), CM_EREJECT);
    assert_int_equal(post(state, " \n\t", true, page, &err), CM_EREJECT);
}

static void only_some_errors_are_listed(void **context)
{
    state_t *state = *context;
    cm_buf_t text = CM_BUF_INIT;
    cm_err_t err;

    for (int i = 0; i < 30; i++)
        cm_buf_add_text(&text, i == 0 ? "[0" : ",0");
    cm_buf_add_text(&text, "]");
    assert_ok(post(state, text.data, false, &state->page, &err), err);
    cm_buf_free(&text);
    assert_int_equal(state->result.rejected, 30);
    cm_buf_add_char(&state->result.errors, '\0');
    assert_non_null(strstr(state->result.errors.data, "\"position\":20,"));
    assert_null(strstr(state->result.errors.data, "\"position\":21,"));
}

static void missing_fields_are_filled(void **context)
{
    state_t *state = *context;

    assert_post(state, "{\"url\":\"https://a.example/x?utm_source=y&q=1#z\"}", false, &state->page,
                "1 0 0 ");
    const cm_event_t *event = &state->batch.events[0];
    assert_text(event->url, "https://a.example/x?q=1");
    assert_text(event->browser, "Chrome");
    assert_text(event->os, "Linux");
    assert_text(event->country, "Unknown");
    assert_int_equal(event->timestamp, now);
    assert_int_equal(event->user_id.len, CM_VISITOR_TEXT);
    assert_int_equal(event->row_key.len, CM_UUID_TEXT);
    assert_int_equal(event->row_key.data[14], '4');
    assert_post(state,
                "{\"url\":\"/\",\"user_id\":\"me\",\"timestamp\":1772359100000,"
                "\"row_key\":\"k\",\"browser\":\"B\",\"city\":\"C\"}",
                false, &state->page, "1 0 0 ");
    event = &state->batch.events[0];
    assert_text(event->user_id, "me");
    assert_text(event->row_key, "k");
    assert_text(event->browser, "B");
    assert_text(event->city, "C");
    assert_int_equal(event->timestamp, INT64_C(1772359100000));
}

static void times_of_pages_and_servers(void **context)
{
    static const struct {
        int64_t off;
        bool believed;
    } cases[] = {{0, true},         {5 * 60000, true},  {5 * 60000 + 1, false},
                 {-86400000, true}, {-86400001, false}, {-5000, true}};
    state_t *state = *context;
    char text[200];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(text, sizeof text, "{\"url\":\"/\",\"user_id\":\"u\",\"timestamp\":%lld}",
                 (long long)(now + cases[i].off));
        assert_post(state, text, false, &state->page, "1 0 0 ");
        assert_int_equal(state->batch.events[0].timestamp,
                         now + (cases[i].believed ? cases[i].off : 0));
        assert_int_equal(state->batch.events[0].row_key.len, cases[i].believed ? 0 : CM_UUID_TEXT);
        assert_post(state, text, false, &state->server, "1 0 0 ");
        assert_int_equal(state->batch.events[0].timestamp, now + cases[i].off);
    }
}

static void servers_say_whose_click_it_was(void **context)
{
    state_t *state = *context;
    cm_posted_sender_t server = {.address = CM_STR("198.51.100.1"), .agent = CM_STR("curl/8.0")};
    char text[500];

    assert_post(state, "{\"url\":\"/\"}", false, &server,
                "0 0 1 {\"position\":1,\"reason\":\"user_id is missing, and so is ip, which could "
                "stand for it\"}");
    assert_post(state, "{\"url\":\"/\",\"user_id\":\"u\"}", false, &server, "1 0 0 ");
    assert_text(state->batch.events[0].browser, "Unknown");
    snprintf(text, sizeof text, "{\"url\":\"/\",\"ip\":\"192.0.2.7\",\"user_agent\":\"%s\"}",
             chrome);
    assert_post(state, text, false, &server, "1 0 0 ");
    char id[CM_VISITOR_TEXT];
    memcpy(id, state->batch.events[0].user_id.data, sizeof id);
    assert_text(state->batch.events[0].browser, "Chrome");
    /* The same visitor sends an event directly. */
    assert_post(state, "{\"url\":\"/\"}", false, &state->page, "1 0 0 ");
    assert_memory_equal(state->batch.events[0].user_id.data, id, sizeof id);
}

static void bots_are_left_out(void **context)
{
    state_t *state = *context;

    state->page.agent = CM_STR("curl/8.0");
    assert_post(state, "[{\"url\":\"/\"},{\"url\":\"/b\"}]", false, &state->page, "0 2 0 ");
    assert_int_equal(state->batch.account.bots[CM_BOT_HTTP_LIBRARY], 2);
    assert_int_equal(state->batch.account.read, 2);
}

static void visitor(state_t *state, const char *url, const char *address, const char *agent,
                    char id[CM_VISITOR_TEXT + 1])
{
    const cm_posted_sender_t sender = {
        .page = true, .address = cm_str(address), .agent = cm_str(agent)};
    char text[200];

    snprintf(text, sizeof text, "{\"url\":\"%s\"}", url);
    assert_post(state, text, false, &sender, "1 0 0 ");
    memcpy(id, state->batch.events[0].user_id.data, CM_VISITOR_TEXT);
    id[CM_VISITOR_TEXT] = '\0';
}

static void daily_visitors(void **context)
{
    state_t *state = *context;
    char first[CM_VISITOR_TEXT + 1], other[CM_VISITOR_TEXT + 1];
    cm_err_t err;

    visitor(state, "https://A.example/x", "192.0.2.1", chrome, first);
    visitor(state, "https://a.EXAMPLE/y?z", "192.0.2.1", chrome, other);
    assert_string_equal(first, other);
    visitor(state, "https://b.example/", "192.0.2.1", chrome, other);
    assert_string_not_equal(first, other);
    visitor(state, "https://a.example/", "192.0.2.2", chrome, other);
    assert_string_not_equal(first, other);
    visitor(state, "https://a.example/", "192.0.2.1", "Mozilla/5.0", other);
    assert_string_not_equal(first, other);
    /* A restart keeps the day's key. */
    cm_poster_free(state->poster);
    cm_daily_key_close(state->shared.daily);
    assert_ok(cm_daily_key_open(state->directory, &state->shared.daily, &err), err);
    state->poster = cm_poster_new(&state->shared);
    visitor(state, "https://a.example/", "192.0.2.1", chrome, other);
    assert_string_equal(first, other);
    /* The next day has another key. */
    now += CM_DAY_MS;
    visitor(state, "https://a.example/", "192.0.2.1", chrome, other);
    assert_string_not_equal(first, other);
    memcpy(first, other, sizeof first);
    /* A clock that goes back past midnight does not restore the old key. */
    now -= CM_DAY_MS;
    visitor(state, "https://a.example/", "192.0.2.1", chrome, other);
    assert_string_equal(first, other);
}

/* The old key is not in the file any more. */
static void the_old_key_is_overwritten(void **context)
{
    state_t *state = *context;
    uint8_t first[CM_VISITOR_KEY], second[CM_VISITOR_KEY], file[200];
    char path[300];
    int64_t day;
    cm_err_t err;

    assert_ok(cm_daily_key_get(state->shared.daily, 20000, first, &day, &err), err);
    assert_ok(cm_daily_key_get(state->shared.daily, 20001, second, &day, &err), err);
    assert_int_equal(day, 20001);
    assert_memory_not_equal(first, second, sizeof first);
    snprintf(path, sizeof path, "%s/visitors.key", state->directory);
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    size_t len = fread(file, 1, sizeof file, stream);
    fclose(stream);
    assert_int_equal(len, 16 + CM_VISITOR_KEY);
    assert_memory_equal(file + 16, second, sizeof second);
    assert_null(memmem(file, len, first, sizeof first));
    /* A day that is years ahead came from a wrong clock. */
    assert_ok(cm_daily_key_get(state->shared.daily, 30000, first, &day, &err), err);
    assert_ok(cm_daily_key_get(state->shared.daily, 20002, second, &day, &err), err);
    assert_int_equal(day, 20002);
}

static void hosts_of_urls(void **context)
{
    (void)context;
    assert_text(cm_posted_host(CM_STR("https://a.example:8443/x?y#z")), "a.example:8443");
    assert_text(cm_posted_host(CM_STR("https://a.example?x")), "a.example");
    assert_text(cm_posted_host(CM_STR("/path")), "");
    assert_text(cm_posted_host(CM_STR("")), "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(shapes_of_a_body),
        TEST(what_is_wrong_is_told),
        TEST(only_some_errors_are_listed),
        TEST(missing_fields_are_filled),
        TEST(times_of_pages_and_servers),
        TEST(servers_say_whose_click_it_was),
        TEST(bots_are_left_out),
        TEST(daily_visitors),
        TEST(the_old_key_is_overwritten),
        cmocka_unit_test(hosts_of_urls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
