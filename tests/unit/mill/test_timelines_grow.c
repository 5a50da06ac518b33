/* Timelines that have grown, in any steps, are those that are opened in full: all rows with all
 * columns, and all answers. Older ones stay as they were. */
#include "mill_runs.h"
#include "store_support.h"

#include "ask_support.h"
#include "mill/timelines_inside.h"

enum { ALL = (1 << CM_COLUMN_COUNT) - 1, KEPT = 4, PAST = 4096 };

static const int64_t monday = 1767571200000; /* 2026-01-05 */
static const int64_t day = 86400000;

typedef struct world {
    char *directory;
    cm_store_t *store;
    cm_attribution_rules_t *rules;
    cm_arena_t arena;
    uint64_t random;
    int64_t now;          /* ms; events are before it */
    int users, campaigns; /* how many different ones there may be */
    uint64_t late;        /* one of so many events is late, one ahead of time */
    cm_event_t past[PAST];
    size_t count;
    /* How often it has grown, been opened in full, and blocks were merged; the most parts and
     * periods below a week; how often there were fewer of these than before. */
    int grown, full, merged;
    uint32_t parts, small;
    int joined;
} world_t;

static void set_up(world_t *world, uint64_t seed)
{
    cm_err_t err;

    memset(world, 0, sizeof *world);
    world->directory = test_directory();
    world->store = test_open(world->directory);
    world->random = seed;
    world->now = monday;
    world->users = 5;
    world->campaigns = 3;
    run_quick_commits(world->store);
    assert_ok(cm_attribution_rules_new(NULL, NULL, &world->rules, &err), err);
}

static void tear_down(world_t *world)
{
    cm_attribution_rules_free(world->rules);
    cm_store_close(world->store);
    test_remove(world->directory);
    cm_arena_free(&world->arena);
}

static uint64_t draw(world_t *world, uint64_t below)
{
    return test_random(&world->random) % below;
}

/* ---- events ---- */

static int64_t draw_time(world_t *world)
{
    switch (draw(world, world->late)) {
    case 0: /* weeks late */
        return world->now - (int64_t)draw(world, (uint64_t)(40 * day));
    case 1: /* ahead of time */
        return world->now + (int64_t)draw(world, (uint64_t)(9 * day));
    default:
        return world->now - (int64_t)draw(world, 1200000);
    }
}

static cm_str_t number(world_t *world, const char *prefix, uint64_t value)
{
    char text[40];
    const int len = snprintf(text, sizeof text, "%s%d", prefix, (int)value);

    return cm_arena_copy(&world->arena, (cm_str_t){text, (size_t)len});
}

static cm_event_t make_event(world_t *world, int64_t time)
{
    static const char *const names[] = {"", "", "", "engagement", "buy"};
    static const char *const referrers[] = {"", "https://www.google.com/", "https://t.co/x",
                                            "https://s.example/b"};
    cm_event_extra_t extra = CM_EVENT_EXTRA_NONE;
    cm_event_t event = test_event(NULL, time, "/", "Chile", NULL);

    event.user_id = number(world, "u", draw(world, (uint64_t)world->users));
    event.url = number(world, "https://s.example/", draw(world, 3 + (uint64_t)world->users / 4));
    event.city = number(world, "city", draw(world, 4));
    if (draw(world, 2) == 0)
        event.row_key = number(world, "key", draw(world, 1000000));
    extra.text[CM_EXTRA_NAME] = cm_str(names[draw(world, 5)]);
    extra.text[CM_EXTRA_REFERRER] = cm_str(referrers[draw(world, 4)]);
    if (draw(world, 2) == 0)
        extra.text[CM_EXTRA_UTM_CAMPAIGN] =
            number(world, "campaign", draw(world, (uint64_t)world->campaigns));
    if (cm_str_equal(extra.text[CM_EXTRA_NAME], CM_STR("engagement")))
        extra.engaged_ms = (int32_t)draw(world, 100000);
    event.extra = draw(world, 4) == 0 ? NULL : cm_event_extra_keep(&extra, &world->arena);
    return event;
}

/* A new event, or a copy of an older one, which may differ in its fields. */
static cm_event_t draw_event(world_t *world)
{
    if (world->count > 0 && draw(world, 6) == 0) {
        const size_t reach = draw(world, world->late) == 0 ? PAST : 30;
        const size_t back = draw(world, world->count < reach ? world->count : reach);
        cm_event_t event = world->past[(world->count - 1 - back) % PAST];
        if (event.row_key.len > 0 && draw(world, 2) == 0)
            event.city = number(world, "other", draw(world, 5));
        return event;
    }
    return make_event(world, draw_time(world));
}

/* Puts and commits some events. */
static void put_events(world_t *world, size_t count)
{
    cm_batch_t batch = CM_BATCH_INIT;

    for (size_t i = 0; i < count; i++) {
        const cm_event_t event = draw_event(world);
        world->past[world->count++ % PAST] = event;
        test_add(&batch, event);
    }
    test_put(world->store, &batch);
    test_commit(world->store);
    cm_batch_free(&batch);
}

/* Some weeks of events. */
static void add_history(world_t *world, size_t count)
{
    world->users = 120;
    for (int i = 0; i < 60; i++) {
        put_events(world, count / 60);
        world->now += (int64_t)draw(world, (uint64_t)day);
    }
}

static void add_events(world_t *world, size_t count)
{
    put_events(world, count);
    world->now += (int64_t)draw(world, 20) == 0 ? (int64_t)draw(world, (uint64_t)(4 * day))
                                                : (int64_t)draw(world, 1800000);
}

/* ---- what timelines give ---- */

typedef struct line {
    cm_str_t user;
    cm_buf_t text;
} line_t;

static int by_user(const void *a, const void *b)
{
    return cm_str_compare(((const line_t *)a)->user, ((const line_t *)b)->user);
}

static void add_row(cm_buf_t *out, const cm_timelines_t *timelines, const cm_crowd_t *crowd,
                    uint32_t row)
{
    cm_buf_printf(out, "%lld %d", (long long)crowd->second[row] * 1000 + crowd->ms[row],
                  crowd->kind[row]);
    for (int column = 0; column < CM_COLUMN_ENGAGED; column++) {
        const uint32_t value = crowd->values[column][row];
        cm_buf_add_char(out, '|');
        assert_true(value < cm_timelines_value_count(timelines, (cm_timelines_column_t)column));
        if (value > 0)
            cm_buf_add_str(out,
                           cm_timelines_string(timelines, (cm_timelines_column_t)column, value));
    }
    cm_buf_printf(out, "|%u\n", crowd->values[CM_COLUMN_ENGAGED][row]);
}

static void add_crowd(line_t *lines, size_t *count, cm_timelines_t *timelines,
                      const cm_crowd_t *crowd)
{
    uint32_t row = 0;
    cm_err_t err;

    for (uint32_t i = 0; i < crowd->users; i++) {
        line_t *line = &lines[(*count)++];
        *line = (line_t){.text = CM_BUF_INIT};
        assert_ok(cm_timelines_user(timelines, crowd->user[i], &line->user, &err), err);
        cm_buf_add_str(&line->text, line->user);
        cm_buf_add_char(&line->text, '\n');
        for (; row < crowd->end[i]; row++)
            add_row(&line->text, timelines, crowd, row);
    }
}

/* All rows, with the users in order of their strings. */
static cm_buf_t dump(cm_timelines_t *timelines, unsigned lanes)
{
    enum { USERS = 20000 };
    const cm_lane_view_t view = {.columns = ALL, .from = INT64_MIN, .to = INT64_MAX, .times = true};
    line_t *lines = malloc(USERS * sizeof *lines);
    cm_buf_t all = CM_BUF_INIT;
    size_t count = 0;
    cm_crowd_t crowd;
    cm_err_t err;
    int rc = 0;

    cm_buf_add_text(&all, "");
    assert_ok(cm_timelines_need_all(timelines, ALL, &err), err);
    for (unsigned number_of = 0; number_of < lanes; number_of++) {
        cm_lane_t *lane = cm_lane_open(timelines, &view, number_of, lanes);
        while ((rc = cm_lane_next(lane, &crowd, &err)) == 1)
            add_crowd(lines, &count, timelines, &crowd);
        assert_ok(rc, err);
        cm_lane_close(lane);
    }
    qsort(lines, count, sizeof *lines, by_user);
    for (size_t i = 0; i < count; i++) {
        cm_buf_add(&all, lines[i].text.data, lines[i].text.len);
        cm_buf_free(&lines[i].text);
    }
    free(lines);
    return all;
}

static cm_buf_t answer(const world_t *world, cm_timelines_t *timelines,
                       const cm_question_t *question, cm_span_t span)
{
    const cm_ask_options_t options = {
        .timelines = timelines, .rules = world->rules, .session_timeout = 1800000, .threads = 2};
    cm_asked_t asked = {.question = question, .span = span};
    cm_err_t err;

    assert_ok(cm_ask(&options, &asked, 1, &err), err);
    cm_buf_t lines = test_groups(asked.groups);
    cm_groups_free(asked.groups);
    return lines;
}

static cm_span_t draw_span(world_t *world)
{
    const int64_t from = world->now - (int64_t)draw(world, (uint64_t)(20 * day));
    cm_span_t span = {from, from + (int64_t)draw(world, (uint64_t)(20 * day))};

    if (draw(world, 4) == 0)
        span.from = INT64_MIN;
    if (draw(world, 4) == 0)
        span.to = INT64_MAX;
    return span;
}

static void assert_same_answers(world_t *world, cm_timelines_t *grown, cm_timelines_t *full)
{
    static const char *const all_by[] = {
        "",    "url",  "source,channel", "entry_page",  "exit_page", "first_source",
        "day", "city", "name",           "utm_campaign"};
    static const char *const where[] = {NULL, "source = Google", "url ~ *1", "engaged_ms > 5000"};
    static const char *const visit[] = {NULL, NULL, "name = buy", "exit_page ~ *2"};

    for (size_t by = 0; by < sizeof all_by / sizeof *all_by; by++) {
        cm_question_t question =
            test_question(all_by[by], where[draw(world, 4)], visit[draw(world, 4)]);
        const cm_span_t span = draw_span(world);
        cm_buf_t got = answer(world, grown, &question, span);
        cm_buf_t wanted = answer(world, full, &question, span);
        assert_string_equal(got.data, wanted.data);
        cm_buf_free(&got);
        cm_buf_free(&wanted);
        cm_question_free(&question);
    }
}

static void assert_same(world_t *world, cm_timelines_t *grown, cm_timelines_t *full)
{
    cm_buf_t got = dump(grown, 1 + (unsigned)draw(world, 3)), wanted = dump(full, 1);
    int64_t times[4] = {0};

    assert_string_equal(got.data, wanted.data);
    assert_int_equal(cm_timelines_events(grown), cm_timelines_events(full));
    assert_int_equal(cm_timelines_end(grown), cm_timelines_end(full));
    assert_int_equal(cm_timelines_times(grown, &times[0], &times[1]),
                     cm_timelines_times(full, &times[2], &times[3]));
    assert_int_equal(times[0], times[2]);
    assert_int_equal(times[1], times[3]);
    assert_same_answers(world, grown, full);
    cm_buf_free(&got);
    cm_buf_free(&wanted);
}

/* ---- growing ---- */

static uint32_t small_periods(const cm_timelines_t *timelines)
{
    uint32_t small = 0;

    for (uint32_t i = 0; i < timelines->period_count; i++)
        small += timelines->periods[i].to - timelines->periods[i].from < 7 * day;
    return small;
}

static void note(world_t *world, const cm_timelines_t *old, const cm_timelines_t *grown)
{
    const uint32_t small = small_periods(grown);

    if (grown->shared != old->shared) {
        world->full++;
        return;
    }
    world->grown++;
    world->merged += grown->block_count < old->block_count;
    world->parts = grown->part_count > world->parts ? grown->part_count : world->parts;
    world->joined += small < small_periods(old);
    world->small = small > world->small ? small : world->small;
}

static cm_timelines_t *grow(world_t *world, const cm_timelines_t *old, int64_t period_rows)
{
    const cm_timelines_options_t options = {.threads = 1 + (int)draw(world, 3),
                                            .period_rows = period_rows,
                                            .reader = cm_store_reader_of,
                                            .context = world->store};
    cm_timelines_t *timelines;
    cm_err_t err;

    assert_ok(cm_timelines_grow(old, &options, &timelines, &err), err);
    if (old != NULL)
        note(world, old, timelines);
    return timelines;
}

/* The latest timelines, and older ones with what they gave when they were new. */
typedef struct kept {
    cm_timelines_t *timelines;
    cm_buf_t text;
} kept_t;

static void forget(kept_t *kept)
{
    if (kept->timelines == NULL)
        return;
    cm_buf_t now = dump(kept->timelines, 2);
    assert_string_equal(now.data, kept->text.data);
    cm_buf_free(&now);
    cm_buf_free(&kept->text);
    cm_timelines_close(kept->timelines);
    kept->timelines = NULL;
}

/* Some columns are asked for before the growth, the others behind it. */
static void need_some(world_t *world, cm_timelines_t *timelines)
{
    cm_err_t err;

    assert_ok(cm_timelines_need_all(timelines, (uint32_t)draw(world, ALL), &err), err);
}

static void step(world_t *world, const kept_t *latest, kept_t *to, int64_t period_rows)
{
    add_events(world, 1 + draw(world, draw(world, 8) == 0 ? 300 : 30));
    world->users += (int)draw(world, 2);
    world->campaigns += (int)draw(world, 12);
    cm_timelines_t *grown = grow(world, latest->timelines, period_rows);
    cm_timelines_t *full = grow(world, NULL, 0);
    if (draw(world, 3) == 0)
        assert_same(world, grown, full);
    else
        need_some(world, grown);
    forget(to);
    *to = (kept_t){grown, dump(full, 1)};
    cm_timelines_close(full);
}

/* Few late events and small periods: they are divided and joined. Many: it often is opened in full.
 */
static void grow_often(world_t *world, uint64_t late, size_t history, int steps,
                       int64_t period_rows)
{
    kept_t kept[KEPT] = {0};
    size_t latest = 0;

    set_up(world, late + history);
    world->late = late;
    add_history(world, history);
    for (int i = 0; i < steps; i++) {
        const size_t to = (latest + 1 + draw(world, KEPT - 1)) % KEPT;
        step(world, &kept[latest], &kept[to], period_rows);
        latest = to;
    }
    for (size_t i = 0; i < KEPT; i++)
        forget(&kept[i]);
    tear_down(world);
}

static void many_late_events(void **state)
{
    world_t world;

    (void)state;
    grow_often(&world, 40, 0, 50, 2000);
    assert_true(world.grown > 30);
    grow_often(&world, 40, 3000, 50, 200);
    assert_true(world.grown > 20 && world.full > 3 && world.parts > 2);
}

static void periods_are_divided_and_joined(void **state)
{
    world_t world;

    (void)state;
    grow_often(&world, 2000, 3000, 150, 20);
    assert_true(world.grown > 100 && world.full > 0 && world.parts > 10);
    assert_true(world.small > 40 && world.joined > 0 && world.merged > 0);
}

/* Timelines of another store, or of the same up to an ordinal, are no beginning or a shorter one.
 */
static void other_beginnings(void **state)
{
    world_t world, other;
    cm_err_t err;

    (void)state;
    set_up(&world, 1);
    set_up(&other, 2);
    world.late = other.late = 40;
    add_events(&world, 500);
    add_events(&world, 300);
    add_events(&other, 500);
    add_events(&other, 500);
    cm_timelines_t *old = grow(&world, NULL, 0);
    cm_timelines_t *grown = grow(&world, old, 0), *full = grow(&other, NULL, 0);
    assert_same(&world, grown, old); /* nothing is new */
    cm_timelines_close(grown);
    grown = grow(&other, old, 0);
    assert_same(&other, grown, full);
    assert_int_equal(other.full, 1);
    cm_timelines_close(grown);
    cm_timelines_close(full);
    cm_timelines_options_t options = {
        .threads = 2, .until = 420, .reader = cm_store_reader_of, .context = world.store};
    assert_ok(cm_timelines_open(&options, &full, &err), err);
    grown = grow(&world, full, 0);
    assert_int_equal(world.grown, 2);
    assert_same(&world, grown, old);
    cm_timelines_close(grown);
    assert_ok(cm_timelines_grow(old, &options, &grown, &err), err);
    assert_same(&world, grown, full);
    cm_timelines_close(grown);
    cm_timelines_close(full);
    cm_timelines_close(old);
    tear_down(&world);
    tear_down(&other);
}

typedef struct asker {
    const world_t *world;
    cm_timelines_t *timelines;
    cm_buf_t expected; /* of the first question */
    atomic_bool done;
    int answers;
} asker_t;

/* Asks until it is done; each question needs one column more. */
static void *keep_asking(void *context)
{
    static const char *const all_by[] = {"url",    "utm_campaign", "city",
                                         "source", "name",         "browser"};
    asker_t *asker = context;

    while (!atomic_load(&asker->done) || asker->answers < 12) {
        cm_question_t question = test_question(all_by[asker->answers++ % 6], NULL, NULL);
        cm_buf_t got = answer(asker->world, asker->timelines, &question, CM_SPAN_ALL);
        if (asker->answers % 6 == 2)
            assert_string_equal(got.data, asker->expected.data);
        cm_buf_free(&got);
        cm_question_free(&question);
    }
    return NULL;
}

/* Older timelines answer from another thread while the next ones are made and used. */
static void older_ones_answer_meanwhile(void **state)
{
    world_t world;
    cm_timelines_t *latest;
    pthread_t thread;

    (void)state;
    set_up(&world, 3);
    world.late = 100;
    add_history(&world, 3000);
    latest = grow(&world, NULL, 0);
    for (int i = 0; i < 15; i++) {
        cm_question_t question = test_question("utm_campaign", NULL, NULL);
        asker_t asker = {.world = &world, .timelines = latest};
        /* Opened in full, so that the latest ones read their columns in the thread. */
        cm_timelines_t *full = grow(&world, NULL, 0);
        asker.expected = answer(&world, full, &question, CM_SPAN_ALL);
        cm_timelines_close(full);
        assert_int_equal(pthread_create(&thread, NULL, keep_asking, &asker), 0);
        add_events(&world, 40);
        world.campaigns += 40;
        cm_timelines_t *grown = grow(&world, latest, 200);
        full = grow(&world, NULL, 0);
        assert_same(&world, grown, full);
        cm_timelines_close(full);
        atomic_store(&asker.done, true);
        pthread_join(thread, NULL);
        cm_timelines_close(latest);
        latest = grown;
        cm_buf_free(&asker.expected);
        cm_question_free(&question);
    }
    assert_true(world.grown > 5);
    cm_timelines_close(latest);
    tear_down(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_late_events),
        cmocka_unit_test(periods_are_divided_and_joined),
        cmocka_unit_test(other_beginnings),
        cmocka_unit_test(older_ones_answer_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
