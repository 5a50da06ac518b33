/* Timelines against a plain reference: events of all fields, in any order of arrival, with copies
 * that differ, row keys of all kinds and many events in one millisecond. */
#include "mill/timelines.h"

#include "mill_runs.h"
#include "random_extra.h"
#include "store/memory.h"

enum { TEXT_COLUMNS = CM_COLUMN_ENGAGED, LARGEST = 9000 /* events of a user, users */ };

static const int64_t start = 1700000000000;

static const uint32_t all_columns = (1u << CM_COLUMN_COUNT) - 1;

/* The columns that are compared. */
static uint32_t columns = (1u << CM_COLUMN_COUNT) - 1;

typedef struct line {
    cm_event_t event;
    cm_str_t key; /* the row key as text */
} line_t;

/* ---- making events ---- */

static cm_str_t any(const char *const *texts, size_t count, uint64_t *random)
{
    return cm_str(texts[test_random(random) % count]);
}

/* Fields that may differ among copies. */
static void vary(cm_event_t *event, uint64_t *random, cm_arena_t *arena)
{
    static const char *const places[] = {"Unknown", "Rome", "Ro\"me", "Rome!", "\xC3\x84"};
    static const char *const urls[] = {"/", "/a", "/a,b", "/b\"", "/\xC3\xA4"};

    event->url = any(urls, 5, random);
    event->country = any(places, 5, random);
    event->city = any(places, 5, random);
    event->browser = any(places, 3, random);
    event->os = any(places, 2, random);
    event->device = any(places, 2, random);
    event->extra = random_extra(random, arena);
}

static line_t make(int users, int64_t times, uint64_t serial, uint64_t *random, cm_arena_t *arena)
{
    char text[CM_ROW_KEY_MAX + 1], uuid[CM_UUID_TEXT];
    ref_event_t own;
    line_t line = {
        .event = {.timestamp = start + (int64_t)(test_random(random) % (uint64_t)times)}};

    int len = snprintf(text, sizeof text, "user%d", (int)(test_random(random) % (uint64_t)users));
    line.event.user_id = cm_arena_copy(arena, (cm_str_t){text, (size_t)len});
    vary(&line.event, random, arena);
    const uint64_t kind = test_random(random) % 12;
    if (kind < 8) {
        ref_own_key(&own, serial, kind);
        line.event.row_key = cm_arena_copy(arena, cm_str(own.key));
    }
    line.key = cm_arena_copy(arena, cm_event_row_key(&line.event, uuid));
    return line;
}

/* `distinct` events and copies of them. A copy that differs states the row key. */
static line_t *make_lines(int users, int64_t times, size_t distinct, size_t copies,
                          uint64_t *random, cm_arena_t *arena)
{
    const size_t count = distinct + copies;
    line_t *lines = malloc((count + 1) * sizeof *lines);

    for (size_t i = 0; i < count; i++) {
        if (i < distinct) {
            lines[i] = make(users, times, i, random, arena);
            continue;
        }
        lines[i] = lines[test_random(random) % i];
        if (test_random(random) % 3 == 0)
            continue;
        if (test_random(random) % 2 == 0)
            vary(&lines[i].event, random, arena);
        lines[i].event.row_key = lines[i].key;
    }
    for (size_t i = count; i > 1; i--) {
        size_t other = test_random(random) % i;
        line_t swap = lines[i - 1];
        lines[i - 1] = lines[other];
        lines[other] = swap;
    }
    return lines;
}

static void put_lines(cm_store_t *store, const line_t *lines, size_t count, size_t each)
{
    cm_batch_t batch = CM_BATCH_INIT;

    for (size_t i = 0; i < count; i++) {
        test_add(&batch, lines[i].event);
        if ((i + 1) % each != 0 && i + 1 < count)
            continue;
        test_put(store, &batch);
        test_commit(store);
        cm_batch_clear(&batch);
    }
    cm_batch_free(&batch);
}

/* ---- the reference ---- */

static int stated(const cm_event_t *event)
{
    const cm_str_t fields[] = {event->country, event->city, event->browser, event->os,
                               event->device};
    int count = 0;

    for (int i = 0; i < 5; i++)
        count += !cm_str_equal(fields[i], CM_STR("Unknown"));
    for (int field = 0; event->extra != NULL && field < CM_EXTRA_TEXTS; field++)
        count += event->extra->text[field].len > 0;
    return count + (event->extra != NULL && event->extra->engaged_ms >= 0);
}

static int by_json(const cm_event_t *a, const cm_event_t *b)
{
    cm_event_t x = *a, y = *b;
    cm_buf_t text_x = CM_BUF_INIT, text_y = CM_BUF_INIT;

    x.row_key = y.row_key = CM_STR("k");
    cm_event_add_json(&text_x, &x);
    cm_event_add_json(&text_y, &y);
    int order = strcmp(text_x.data, text_y.data);
    cm_buf_free(&text_x);
    cm_buf_free(&text_y);
    return order;
}

static int by_time(const line_t *x, const line_t *y)
{
    int order = cm_str_compare(x->event.user_id, y->event.user_id);
    if (order != 0)
        return order;
    return (x->event.timestamp > y->event.timestamp) - (x->event.timestamp < y->event.timestamp);
}

/* Copies are neighbours, the one that counts is first. */
static int by_copy(const void *a, const void *b)
{
    const line_t *x = a, *y = b;
    int order = by_time(x, y);

    if (order == 0)
        order = cm_str_compare(x->key, y->key);
    if (order == 0)
        order = stated(&y->event) - stated(&x->event);
    return order ? order : by_json(&y->event, &x->event);
}

static int kind_of(const cm_event_t *event)
{
    if (event->extra == NULL || event->extra->text[CM_EXTRA_NAME].len == 0)
        return CM_KIND_VIEW;
    return cm_str_equal(event->extra->text[CM_EXTRA_NAME], CM_STR("engagement"))
               ? CM_KIND_ENGAGEMENT
               : CM_KIND_OTHER;
}

static int by_line(const void *a, const void *b)
{
    const line_t *x = a, *y = b;
    int order = by_time(x, y);

    if (order == 0)
        order = (kind_of(&x->event) != CM_KIND_VIEW) - (kind_of(&y->event) != CM_KIND_VIEW);
    return order ? order : cm_str_compare(x->key, y->key);
}

/* The events that count, in the order of timelines. */
static line_t *expect(const line_t *lines, size_t count, size_t *kept)
{
    line_t *sorted = malloc((count + 1) * sizeof *sorted);

    if (count > 0)
        memcpy(sorted, lines, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, by_copy);
    *kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (*kept == 0 || by_time(&sorted[*kept - 1], &sorted[i]) != 0 ||
            !cm_str_equal(sorted[*kept - 1].key, sorted[i].key))
            sorted[(*kept)++] = sorted[i];
    }
    qsort(sorted, *kept, sizeof *sorted, by_line);
    return sorted;
}

static void add_value(cm_buf_t *out, int column, cm_str_t value)
{
    if ((columns >> column & 1) == 0)
        return;
    cm_buf_add_char(out, '|');
    if (value.len == 0)
        cm_buf_add_str(out, CM_STR("(none)"));
    cm_buf_add_str(out, value);
}

static void add_line(cm_buf_t *out, const cm_event_t *event)
{
    const cm_event_extra_t none = CM_EVENT_EXTRA_NONE;
    const cm_event_extra_t *extra = event->extra != NULL ? event->extra : &none;

    cm_buf_add_str(out, event->user_id);
    cm_buf_printf(out, "|%lld|%d", (long long)event->timestamp, kind_of(event));
    add_value(out, CM_COLUMN_URL, event->url);
    add_value(out, CM_COLUMN_COUNTRY, event->country);
    add_value(out, CM_COLUMN_CITY, event->city);
    add_value(out, CM_COLUMN_BROWSER, event->browser);
    add_value(out, CM_COLUMN_OS, event->os);
    add_value(out, CM_COLUMN_DEVICE, event->device);
    for (int field = 0; field < CM_EXTRA_TEXTS; field++)
        add_value(out, CM_COLUMN_NAME + field,
                  field == CM_EXTRA_NAME && extra->text[field].len == 0 ? CM_STR("pageview")
                                                                        : extra->text[field]);
    cm_buf_printf(out, "|%d\n", columns >> CM_COLUMN_ENGAGED & 1 ? (int)extra->engaged_ms : 0);
}

/* ---- what the timelines give ---- */

typedef struct walked {
    cm_str_t user;
    cm_buf_t text;
} walked_t;

static int by_user(const void *a, const void *b)
{
    return cm_str_compare(((const walked_t *)a)->user, ((const walked_t *)b)->user);
}

static void add_row(cm_buf_t *out, const cm_timelines_t *timelines, const cm_crowd_t *crowd,
                    uint32_t row, cm_str_t user)
{
    cm_buf_add_str(out, user);
    cm_buf_printf(out, "|%lld|%d", (long long)crowd->second[row] * 1000 + crowd->ms[row],
                  crowd->kind[row]);
    for (int column = 0; column < TEXT_COLUMNS; column++) {
        if ((columns >> column & 1) == 0)
            continue;
        const uint32_t value = crowd->values[column][row];
        assert_true(value < cm_timelines_value_count(timelines, (cm_timelines_column_t)column));
        add_value(out, column,
                  value == 0
                      ? (cm_str_t){NULL, 0}
                      : cm_timelines_string(timelines, (cm_timelines_column_t)column, value));
    }
    cm_buf_printf(out, "|%d\n",
                  columns >> CM_COLUMN_ENGAGED & 1 ? (int)crowd->values[CM_COLUMN_ENGAGED][row] - 1
                                                   : 0);
}

static void walk(cm_timelines_t *timelines, unsigned lanes, walked_t *walked, size_t *users)
{
    const cm_lane_view_t view = {
        .columns = columns, .from = INT64_MIN, .to = INT64_MAX, .times = true};
    cm_crowd_t crowd;
    cm_err_t err;
    int rc = 0;

    for (unsigned number = 0; number < lanes; number++) {
        cm_lane_t *lane = cm_lane_open(timelines, &view, number, lanes);
        while ((rc = cm_lane_next(lane, &crowd, &err)) == 1) {
            uint32_t row = 0;
            assert_true(crowd.users == 1 || crowd.rows <= 4096);
            assert_int_equal(crowd.rows, crowd.end[crowd.users - 1]);
            for (uint32_t i = 0; i < crowd.users; i++) {
                walked_t *to = &walked[(*users)++];
                *to = (walked_t){.text = CM_BUF_INIT};
                assert_ok(cm_timelines_user(timelines, crowd.user[i], &to->user, &err), err);
                assert_true(row < crowd.end[i]);
                for (; row < crowd.end[i]; row++)
                    add_row(&to->text, timelines, &crowd, row, to->user);
            }
        }
        assert_ok(rc, err);
        cm_lane_close(lane);
    }
}

static void assert_timelines(cm_timelines_t *timelines, const line_t *expected, size_t count,
                             unsigned lanes)
{
    walked_t *walked = malloc(LARGEST * sizeof *walked);
    cm_buf_t got = CM_BUF_INIT, wanted = CM_BUF_INIT;
    size_t users = 0;
    cm_err_t err;

    cm_buf_add(&got, "", 0);
    cm_buf_add(&wanted, "", 0);
    /* Some one by one, the others together. */
    for (int column = 0; column < CM_COLUMN_COUNT; column += 1 + (int)lanes) {
        if (columns >> column & 1)
            assert_ok(cm_timelines_need(timelines, (cm_timelines_column_t)column, &err), err);
    }
    assert_ok(cm_timelines_need_all(timelines, columns, &err), err);
    walk(timelines, lanes, walked, &users);
    qsort(walked, users, sizeof *walked, by_user);
    for (size_t i = 0; i < users; i++) {
        cm_buf_add(&got, walked[i].text.data, walked[i].text.len);
        cm_buf_free(&walked[i].text);
    }
    for (size_t i = 0; i < count; i++)
        add_line(&wanted, &expected[i].event);
    assert_int_equal(cm_timelines_events(timelines), count);
    assert_int_equal(got.len, wanted.len);
    assert_memory_equal(got.data, wanted.data, wanted.len);
    cm_buf_free(&got);
    cm_buf_free(&wanted);
    free(walked);
}

static void assert_times(const cm_timelines_t *timelines, const line_t *expected, size_t count)
{
    int64_t first, last, from = INT64_MAX, to = 0;

    for (size_t i = 0; i < count; i++) {
        const int64_t time = expected[i].event.timestamp;
        from = time < from ? time : from;
        to = time > to ? time : to;
    }
    assert_int_equal(cm_timelines_times(timelines, &first, &last), count > 0);
    if (count > 0)
        assert_int_equal(first, from);
    if (count > 0)
        assert_int_equal(last, to);
}

static cm_timelines_options_t options_of(cm_store_t *store, int threads)
{
    return (cm_timelines_options_t){
        .threads = threads, .reader = cm_store_reader_of, .context = store};
}

/* Opens the timelines of the first events and compares them. */
static void assert_opened(cm_timelines_options_t options, const line_t *lines, size_t count,
                          unsigned lanes)
{
    cm_timelines_t *timelines;
    size_t kept;
    cm_err_t err;

    if (options.until > 0)
        count = (size_t)options.until;
    line_t *expected = expect(lines, count, &kept);
    assert_ok(cm_timelines_open(&options, &timelines, &err), err);
    assert_int_equal(cm_timelines_end(timelines), count);
    assert_timelines(timelines, expected, kept, lanes);
    assert_times(timelines, expected, kept);
    assert_true(options.memory == 0 || cm_timelines_size(timelines) <= options.memory);
    cm_timelines_close(timelines);
    free(expected);
}

/* ---- tests ---- */

static void any_events(void **state)
{
    uint64_t random = 19;

    (void)state;
    for (int round = 0; round < 40; round++) {
        const int users = 1 + (int)(test_random(&random) % 30);
        const int64_t times = 1 + (int64_t)(test_random(&random) % (round % 2 ? 40 : 100000000));
        const size_t distinct = 1 + test_random(&random) % 700;
        const size_t copies = round % 3 ? test_random(&random) % 500 : 0;
        cm_arena_t arena = CM_ARENA_INIT;
        line_t *lines = make_lines(users, times, distinct, copies, &random, &arena);
        const size_t count = distinct + copies;
        char *directory = test_directory();
        cm_store_t *store = test_open(directory);

        run_quick_commits(store);
        put_lines(store, lines, count, 1 + test_random(&random) % count);
        cm_timelines_options_t options = options_of(store, 1 + round % 4);
        assert_opened(options, lines, count, 1 + (unsigned)round % 5);
        options.until = 1 + (int64_t)(test_random(&random) % count);
        assert_opened(options, lines, count, 2);
        cm_store_close(store);
        test_remove(directory);
        cm_arena_free(&arena);
        free(lines);
    }
}

/* Several partitions; and so little memory that there are several passes, and only narrow columns
 * fit in afterwards. */
static void several_passes(void **state)
{
    enum { EVENTS = 43000 };
    uint64_t random = 5;
    cm_arena_t arena = CM_ARENA_INIT;
    line_t *lines = make_lines(3000, 200000, EVENTS - 3000, 3000, &random, &arena);
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);

    (void)state;
    run_quick_commits(store);
    put_lines(store, lines, EVENTS, 10000);
    cm_timelines_options_t options = options_of(store, 3);
    options.memory = EVENTS * 16 + 3000 * 28; /* 11 and slices are kept: 5 passes are needed */
    columns = 1 << CM_COLUMN_URL | 1 << CM_COLUMN_NAME | 1 << CM_COLUMN_DEVICE;
    assert_opened(options, lines, EVENTS, 3);
    columns = all_columns;
    options.memory = 0;
    assert_opened(options, lines, EVENTS, 1);
    cm_store_close(store);
    test_remove(directory);
    cm_arena_free(&arena);
    free(lines);
}

/* So many copies that those which are the same are found by their prints. */
static void many_copies(void **state)
{
    enum { DISTINCT = 20000, COPIES = 22000 };
    uint64_t random = 7;
    cm_arena_t arena = CM_ARENA_INIT;
    line_t *lines = make_lines(400, 60000, DISTINCT, COPIES, &random, &arena);
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);

    (void)state;
    /* A block without optional fields and without row keys. */
    size_t plain = 0;
    while (lines[plain].event.extra != NULL || lines[plain].event.row_key.len > 0)
        plain++;
    for (size_t i = 0; i < 6000; i++) {
        if (lines[i].event.extra != NULL || lines[i].event.row_key.len > 0)
            lines[i] = lines[plain];
        else
            plain = i;
    }
    run_quick_commits(store);
    put_lines(store, lines, DISTINCT + COPIES, 6000);
    cm_timelines_options_t options = options_of(store, 1);
    assert_opened(options, lines, DISTINCT + COPIES, 1);
    options.threads = 3;
    options.until = 41000;
    assert_opened(options, lines, DISTINCT + COPIES, 1);
    cm_store_close(store);
    test_remove(directory);
    cm_arena_free(&arena);
    free(lines);
}

/* All in one millisecond, and one user with more events than a crowd usually has. */
static void one_user_is_one_crowd(void **state)
{
    enum { EVENTS = LARGEST };
    uint64_t random = 6;
    cm_arena_t arena = CM_ARENA_INIT;
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    line_t *lines = malloc(EVENTS * sizeof *lines);

    (void)state;
    for (size_t i = 0; i < EVENTS; i++) {
        lines[i] = make(3, i % 2 ? 1 : 500, i, &random, &arena);
        if (i % 3 != 0)
            lines[i].event.user_id = CM_STR("user1");
        lines[i].event.row_key = CM_STR("");
        lines[i].key = cm_arena_copy(
            &arena, cm_event_row_key(&lines[i].event, cm_arena_alloc(&arena, CM_UUID_TEXT)));
    }
    put_lines(store, lines, EVENTS, 4000);
    assert_opened(options_of(store, 2), lines, EVENTS, 2);
    cm_store_close(store);
    test_remove(directory);
    cm_arena_free(&arena);
    free(lines);
}

static void nothing(void **state)
{
    cm_store_t *store = cm_memory_new();
    cm_timelines_options_t options = options_of(store, 2);

    (void)state;
    assert_opened(options, NULL, 0, 3);
    cm_store_close(store);
}

static void columns_have_limits(void **state)
{
    enum { EVENTS = 2000 };
    uint64_t random = 8;
    cm_arena_t arena = CM_ARENA_INIT;
    line_t *lines = make_lines(50, 100000, EVENTS, 0, &random, &arena);
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_timelines_t *timelines;
    cm_timelines_options_t options = options_of(store, 1);
    atomic_bool stop = true;
    cm_err_t err;

    (void)state;
    put_lines(store, lines, EVENTS, EVENTS);
    options.memory = EVENTS * 11;
    assert_int_equal(cm_timelines_open(&options, &timelines, &err), CM_ENOMEM);
    assert_null(timelines);
    assert_string_equal(err.text, "2000 events need 1 MB of memory for this question, and 0 MB are "
                                  "allowed; allow more memory");
    /* A slice and its link for each user, 24 ranks in each of 8 passes, a column of bytes, and its
     * strings. */
    options.memory = EVENTS * 12 + 50 * 36 + 8 * 24 * 4 + 300;
    options.stop = &stop;
    assert_int_equal(cm_timelines_open(&options, &timelines, &err), CM_ESTOP);
    stop = false;
    assert_ok(cm_timelines_open(&options, &timelines, &err), err);
    stop = true;
    assert_int_equal(cm_timelines_need(timelines, CM_COLUMN_COUNTRY, &err), CM_ESTOP);
    assert_int_equal(cm_timelines_need(timelines, CM_COLUMN_LANGUAGE, &err), CM_ESTOP);
    stop = false;
    const int64_t size = cm_timelines_size(timelines);
    const int strings = 2 * (int)sizeof(cm_str_t) + (int)strlen("UnknownRome");
    assert_ok(cm_timelines_need(timelines, CM_COLUMN_OS, &err), err);
    assert_int_equal(cm_timelines_value_count(timelines, CM_COLUMN_OS), 3);
    assert_int_equal(cm_timelines_size(timelines), size + EVENTS + strings);
    assert_int_equal(cm_timelines_need(timelines, CM_COLUMN_ENGAGED, &err), CM_ENOMEM);
    assert_int_equal(cm_timelines_need(timelines, CM_COLUMN_CITY, &err), CM_ENOMEM);
    assert_int_equal(cm_timelines_size(timelines), size + EVENTS + strings);
    cm_timelines_close(timelines);
    cm_store_close(store);
    test_remove(directory);
    cm_arena_free(&arena);
    free(lines);
}

/* Damages a part of all blocks; then opens, reads the column, or neither. */
static void assert_corrupt(const char *sql, int opened, cm_timelines_column_t column, int needed)
{
    enum { EVENTS = 500 };
    uint64_t random = 9;
    cm_arena_t arena = CM_ARENA_INIT;
    line_t *lines = make_lines(20, 1000000000, EVENTS, 0, &random, &arena);
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_timelines_t *timelines;
    cm_err_t err;

    put_lines(store, lines, EVENTS, 100);
    cm_store_close(store);
    test_sql(directory, sql);
    store = test_open(directory);
    cm_timelines_options_t options = options_of(store, 2);
    assert_int_equal(cm_timelines_open(&options, &timelines, &err), opened);
    if (opened == 0) {
        assert_int_equal(cm_timelines_need(timelines, column, &err), needed);
        assert_ok(cm_timelines_need(timelines, CM_COLUMN_URL, &err), err);
    }
    cm_timelines_close(timelines);
    cm_store_close(store);
    test_remove(directory);
    cm_arena_free(&arena);
    free(lines);
}

static void damaged_blocks_are_not_read(void **state)
{
    (void)state;
    assert_corrupt("UPDATE block SET hot = zeroblob(length(hot))", CM_ECORRUPT, CM_COLUMN_URL, 0);
    assert_corrupt("UPDATE block SET extra = zeroblob(length(extra))", CM_ECORRUPT, CM_COLUMN_URL,
                   0);
    assert_corrupt("UPDATE block SET cold = zeroblob(length(cold))", 0, CM_COLUMN_DEVICE,
                   CM_ECORRUPT);
    assert_corrupt("UPDATE block SET cold = cold", 0, CM_COLUMN_DEVICE, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_events),
        cmocka_unit_test(several_passes),
        cmocka_unit_test(many_copies),
        cmocka_unit_test(one_user_is_one_crowd),
        cmocka_unit_test(nothing),
        cmocka_unit_test(columns_have_limits),
        cmocka_unit_test(damaged_blocks_are_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
