/* A question of some days reads only the weeks of its span. It has the answer that it has when all
 * weeks are read. */
#include "store_support.h"

#include "ask_support.h"
#include "store/memory.h"

enum { USERS = 40, EVENTS = 4000, ROUNDS = 60, WEEKS = 6 };

static const int64_t monday = 1767571200000; /* 2026-01-05 */
static const int64_t day = 86400000;

typedef struct world {
    cm_store_t *store;
    cm_timelines_t *timelines;
    cm_attribution_rules_t *rules;
    uint64_t random;
} world_t;

static uint64_t draw(world_t *world, uint64_t below)
{
    return test_random(&world->random) % below;
}

/* Half of the times are near to the beginning of a week or of a day, so that sessions cross it. */
static int64_t draw_time(world_t *world)
{
    const int64_t week = monday + (int64_t)draw(world, WEEKS) * 7 * day;

    switch (draw(world, 4)) {
    case 0:
        return week + (int64_t)draw(world, 7200000) - 3600000;
    case 1:
        return week + (int64_t)draw(world, 7) * day + (int64_t)draw(world, 3600000) - 1800000;
    default:
        return week + (int64_t)draw(world, (uint64_t)(7 * day));
    }
}

static void add_event(world_t *world, cm_batch_t *batch)
{
    static const char *const names[] = {"", "", "", "engagement", "buy"};
    static const char *const referrers[] = {"", "https://www.google.com/", "https://t.co/x",
                                            "https://s.example/b"};
    static const char *const urls[] = {"https://s.example/a", "https://s.example/b",
                                       "https://s.example/c?utm_source=mail&utm_medium=email"};
    char user[24];
    cm_event_extra_t extra = CM_EVENT_EXTRA_NONE;

    const int len = snprintf(user, sizeof user, "u%d", (int)draw(world, USERS));
    cm_event_t event = test_event(NULL, draw_time(world), urls[draw(world, 3)], "Chile", NULL);
    event.user_id = cm_arena_copy(&batch->arena, (cm_str_t){user, (size_t)len});
    extra.text[CM_EXTRA_NAME] = cm_str(names[draw(world, 5)]);
    extra.text[CM_EXTRA_REFERRER] = cm_str(referrers[draw(world, 4)]);
    if (cm_str_equal(extra.text[CM_EXTRA_NAME], CM_STR("engagement")))
        extra.engaged_ms = (int32_t)draw(world, 100000);
    event.extra = cm_event_extra_keep(&extra, &batch->arena);
    test_add(batch, event);
}

static int set_up(void **state)
{
    static world_t world;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    world = (world_t){.store = cm_memory_new(), .random = 3};
    for (int i = 0; i < EVENTS; i++)
        add_event(&world, &batch);
    test_put(world.store, &batch);
    test_commit(world.store);
    cm_batch_free(&batch);
    const cm_timelines_options_t options = {
        .threads = 2, .reader = cm_store_reader_of, .context = world.store};
    assert_ok(cm_timelines_open(&options, &world.timelines, &err), err);
    assert_ok(cm_attribution_rules_new(NULL, NULL, &world.rules, &err), err);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    world_t *world = *state;

    cm_timelines_close(world->timelines);
    cm_attribution_rules_free(world->rules);
    cm_store_close(world->store);
    return 0;
}

/* The answer for the span: alone, or beside the same question of all time, for which all weeks are
 * read. */
static cm_buf_t answer(const world_t *world, const cm_question_t *asked, cm_span_t span, bool alone)
{
    const cm_ask_options_t options = {.timelines = world->timelines,
                                      .rules = world->rules,
                                      .session_timeout = 1800000,
                                      .threads = 2};
    cm_asked_t both[] = {{.question = asked, .span = span},
                         {.question = asked, .span = CM_SPAN_ALL}};
    cm_err_t err;

    assert_ok(cm_ask(&options, both, alone ? 1 : 2, &err), err);
    cm_buf_t lines = test_groups(both[0].groups);
    cm_groups_free(both[0].groups);
    cm_groups_free(both[1].groups);
    return lines;
}

static cm_span_t draw_span(world_t *world)
{
    cm_span_t span = {draw_time(world), draw_time(world)};

    if (span.from > span.to)
        span = (cm_span_t){span.to, span.from};
    if (draw(world, 6) == 0)
        span.from = INT64_MIN;
    if (draw(world, 6) == 0)
        span.to = INT64_MAX;
    return span;
}

static void spans_read_only_their_weeks(void **state)
{
    static const char *const all_by[] = {"",           "url",        "source,channel",
                                         "entry_page", "exit_page",  "first_source,first_channel",
                                         "day",        "utm_source", "name",
                                         "referrer"};
    static const char *const where[] = {NULL, "source = Google", "url ~ *b", "engaged_ms > 5000"};
    static const char *const visit[] = {NULL, NULL, "name = buy", "exit_page ~ *a"};
    world_t *world = *state;
    size_t answers = 0;

    for (int round = 0; round < ROUNDS; round++) {
        for (size_t by = 0; by < sizeof all_by / sizeof *all_by; by++) {
            cm_question_t asked =
                test_question(all_by[by], where[draw(world, 4)], visit[draw(world, 4)]);
            const cm_span_t span = draw_span(world);
            cm_buf_t alone = answer(world, &asked, span, true);
            cm_buf_t beside = answer(world, &asked, span, false);
            assert_string_equal(alone.data, beside.data);
            answers += alone.len > 200;
            cm_buf_free(&alone);
            cm_buf_free(&beside);
            cm_question_free(&asked);
        }
    }
    assert_true(answers > ROUNDS);
}

/* ---- giving up ---- */

enum { URLS = 20000, PER_4096_URLS = URLS / 4096 };

typedef struct client {
    int asked, leaves; /* at the question of that number; 0: never */
} client_t;

static bool has_left(void *context)
{
    client_t *client = context;

    return ++client->asked == client->leaves;
}

static int set_up_urls(void **state)
{
    static world_t world;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    world = (world_t){.store = cm_memory_new()};
    for (int i = 0; i < URLS; i++) {
        char url[60];
        const int len = snprintf(url, sizeof url, "https://s%d.example/%d?utm_term=%d", i, i, i);
        cm_event_t event = test_event("ann", monday + i, "", "Chile", NULL);
        event.url = cm_arena_copy(&batch.arena, (cm_str_t){url, (size_t)len});
        test_add(&batch, event);
    }
    test_put(world.store, &batch);
    test_commit(world.store);
    cm_batch_free(&batch);
    const cm_timelines_options_t options = {
        .threads = 1, .reader = cm_store_reader_of, .context = world.store};
    assert_ok(cm_timelines_open(&options, &world.timelines, &err), err);
    assert_ok(cm_attribution_rules_new(NULL, NULL, &world.rules, &err), err);
    *state = &world;
    return 0;
}

/* How often the client is asked for; `rc`: what the question returns. */
static int ask_client(const world_t *world, const char *by, int leaves, int rc)
{
    client_t client = {.leaves = leaves};
    const cm_ask_options_t options = {.timelines = world->timelines,
                                      .rules = world->rules,
                                      .session_timeout = 1800000,
                                      .threads = 1,
                                      .gives_up = has_left,
                                      .context = &client};
    cm_question_t question_of = test_question(by, NULL, NULL);
    cm_asked_t asked = {.question = &question_of, .span = CM_SPAN_ALL};
    cm_err_t err;

    assert_int_equal(cm_ask(&options, &asked, 1, &err), rc);
    cm_groups_free(asked.groups);
    cm_question_free(&question_of);
    return client.asked;
}

/* The work before the walk, which grows with the values of columns, is given up as well. */
static void columns_of_many_values_are_given_up(void **state)
{
    const world_t *world = *state;
    const int total = ask_client(world, "", 0, 0);

    assert_int_equal(ask_client(world, "path", 0, 0), total + PER_4096_URLS);
    assert_int_equal(ask_client(world, "source", 0, 0), total + 2 * PER_4096_URLS);
    for (int leaves = 1; leaves <= 2 * PER_4096_URLS; leaves++)
        assert_int_equal(ask_client(world, "source", leaves, CM_ESTOP), leaves);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(spans_read_only_their_weeks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(columns_of_many_values_are_given_up, set_up_urls,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
