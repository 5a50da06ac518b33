/* The mill at its limits: events in no order, one user with a tenth of all events, all events in
 * one millisecond, many users in many passes. Results are compared with the reference, or with
 * measures that follow from how the events were made. */
#include "mill_reference.h"

#include "index/store_query.h"
#include "mill/mill.h"
#include "store/memory.h"

enum { TIMEOUT = 1800000 };

static cm_store_t *store_of(const ref_event_t *events, size_t count, size_t block)
{
    cm_store_t *store = cm_memory_new();
    cm_batch_t batch = CM_BATCH_INIT;

    for (size_t at = 0; at < count;) {
        cm_batch_clear(&batch);
        for (size_t i = 0; i < block && at < count; i++)
            ref_add(&batch, &events[at++]);
        test_put(store, &batch);
        test_commit(store);
    }
    cm_batch_free(&batch);
    return store;
}

static int by_line(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The lines sorted by their bytes. */
static cm_buf_t sorted_lines(cm_buf_t *text)
{
    char *lines[REF_URLS * REF_COUNTRIES + 1], *rest = text->data;
    cm_buf_t out = CM_BUF_INIT;
    size_t count = 0;

    for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
        assert_true(count < REF_URLS * REF_COUNTRIES);
        lines[count++] = line;
    }
    qsort(lines, count, sizeof *lines, by_line);
    cm_buf_add(&out, "", 0);
    for (size_t i = 0; i < count; i++) {
        cm_buf_add_text(&out, lines[i]);
        cm_buf_add_char(&out, '\n');
    }
    cm_buf_free(text);
    return out;
}

static void assert_once(cm_store_t *store, const ref_event_t *events, size_t count,
                        const int64_t *memories, int memory_count)
{
    ref_answers_t answers = ref_compute(events, count, TIMEOUT);
    cm_buf_t csv = CM_BUF_INIT;
    int64_t cells = 0;
    cm_err_t err;

    ref_csv(&answers, CM_WINDOW_ALL, CM_PER_CELL, &csv, &cells);
    cm_buf_t expected = sorted_lines(&csv);
    for (int i = 0; i < memory_count * 3; i++) {
        const cm_index_store_query_t options = {
            .session_timeout = TIMEOUT, .memory = memories[i / 3], .threads = 1 + i % 3};
        const cm_mill_options_t mill = {.session_timeout = TIMEOUT,
                                        .windows = 1u << CM_WINDOW_ALL,
                                        .memory = options.memory,
                                        .threads = options.threads,
                                        .reader = cm_store_reader_of,
                                        .context = store};
        cm_mill_result_t result;
        cm_buf_t got = CM_BUF_INIT;
        assert_ok(cm_index_query_store(store, &options, ref_take_csv, &got, &err), err);
        got = sorted_lines(&got);
        assert_string_equal(got.data, expected.data);
        cm_buf_free(&got);
        assert_ok(cm_mill(&mill, &result, &err), err);
        assert_int_equal(result.events, answers.events);
        assert_int_equal(result.end_ordinal, count);
        cm_mill_result_free(&result);
    }
    cm_buf_free(&expected);
    free(answers.cells);
}

/* Events in no order, so that the insertion sort gives up; user 0 has a tenth of them. */
static void shuffled_with_a_busy_user(void **state)
{
    static const int64_t memories[] = {0, 24 * 1000, 24 * 39999, 24 * 40000, 24 * 40001};
    size_t count = 40000;
    ref_event_t *events = malloc(count * sizeof *events);
    uint64_t random = 17;

    (void)state;
    for (size_t i = 0; i < count; i++) {
        events[i] = ref_make(REF_USERS, i, &random);
        if (i % 10 == 0)
            events[i].user = 0;
        if (i % 7 == 3)
            events[i] = events[test_random(&random) % i]; /* a copy */
        if (events[i].derived)
            ref_derive(&events[i]);
    }
    ref_shuffle(events, count, &random);
    cm_store_t *store = store_of(events, count, 3000);
    assert_once(store, events, count, memories, 5);
    cm_sink_close(&store->sink);
    free(events);
}

/* One user with a hundred thousand events in one millisecond: all with one row key, all with
 * different ones, or both; other events are before and after, out of order. */
static void everything_at_once(void **state)
{
    static const int64_t memories[] = {0};
    size_t count = 101000;
    ref_event_t *events = malloc(count * sizeof *events);

    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        uint64_t random = 23;
        for (size_t i = 0; i < count; i++) {
            bool own = kind == 1 || (kind == 2 && i % 2 == 0);
            events[i] = ref_make(1, i, &random);
            if (i % 101 != 100)
                events[i].time = ref_day * CM_DAY_MS + 500;
            events[i].derived = !own;
            if (own)
                ref_own_key(&events[i], kind == 2 ? i / 4 : i, 6 + i / 4 % 2);
            else
                ref_derive(&events[i]);
            if (kind == 2 && own && i % 4 == 2) /* a copy of the event before the last one */
                events[i] = events[i - 2];
        }
        if (kind > 0)
            ref_shuffle(events, count, &random);
        cm_store_t *store = store_of(events, count, 30000);
        assert_once(store, events, count, memories, 1);
        cm_sink_close(&store->sink);
    }
    free(events);
}

/* ---- many users ---- */

/* Two rounds with an event of every user, ten seconds apart, each in another order. */
static cm_store_t *store_of_users(uint32_t users, uint64_t *random)
{
    cm_store_t *store = cm_memory_new();
    cm_batch_t batch = CM_BATCH_INIT;
    uint32_t *order = malloc(users * sizeof *order);
    char name[CM_USER_ID_MAX + 1];

    for (uint32_t i = 0; i < users; i++)
        order[i] = i;
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = users; i > 1; i--) {
            uint32_t other = (uint32_t)(test_random(random) % i), swap = order[i - 1];
            order[i - 1] = order[other];
            order[other] = swap;
        }
        for (uint32_t i = 0; i < users; i++) {
            /* Some user ids are as long as allowed. */
            snprintf(name, sizeof name, "%0*u", order[i] % 50 == 0 ? CM_USER_ID_MAX : 1, order[i]);
            cm_event_t event = test_event(NULL, 1700000010000 - round * 10000, "/", "X", NULL);
            event.user_id = cm_arena_copy(&batch.arena, cm_str(name));
            test_add(&batch, event);
        }
        test_put(store, &batch);
        test_commit(store);
        cm_batch_clear(&batch);
    }
    cm_batch_free(&batch);
    free(order);
    return store;
}

static void assert_numbers(const cm_mill_result_t *result, cm_measures_t expected)
{
    const cm_cell_t *cell = NULL;

    for (size_t i = 0; i < result->count; i++) {
        if (result->cells[i]->key.url == 0 && result->cells[i]->key.country == 0)
            cell = result->cells[i];
    }
    assert_non_null(cell);
    assert_memory_equal(&cell->measures, &expected, sizeof expected);
}

/* Numbers of users around powers of two, in one pass or in many. */
static void many_users_many_passes(void **state)
{
    static const uint32_t counts[] = {1, 2, 31, 32, 33, 4095, 4096, 4097, 65535, 65536, 65537};
    static const int64_t passes[] = {1, 2, 3, 31, 64};
    uint64_t random = 3;
    cm_err_t err;

    (void)state;
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        int64_t users = counts[c];
        cm_store_t *store = store_of_users(counts[c], &random);
        for (int p = 0; p < 5; p++) {
            cm_mill_options_t options = {.session_timeout = TIMEOUT,
                                         .windows = 1u << CM_WINDOW_ALL,
                                         .memory = 24 * (2 * users / passes[p] + 1),
                                         .threads = 1 + p % 3,
                                         .reader = cm_store_reader_of,
                                         .context = store};
            cm_mill_result_t result;
            assert_ok(cm_mill(&options, &result, &err), err);
            assert_int_equal(result.events, 2 * users);
            assert_numbers(&result, (cm_measures_t){.clicks = 2 * users,
                                                    .users = users,
                                                    .time_spent_sum = 10 * users,
                                                    .time_spent_count = users,
                                                    .page_time_sum = 10 * users,
                                                    .page_time_count = users,
                                                    .entrances = users,
                                                    .exits = users});
            cm_mill_result_free(&result);
            /* The second round alone, as a change: no user is new. */
            options.since = users;
            assert_ok(cm_mill(&options, &result, &err), err);
            assert_int_equal(result.events, users);
            assert_numbers(&result, (cm_measures_t){.clicks = users,
                                                    .time_spent_sum = 10 * users,
                                                    .time_spent_count = users,
                                                    .page_time_sum = 10 * users,
                                                    .page_time_count = users});
            cm_mill_result_free(&result);
            /* The last event alone, as a change: one user is affected. */
            options.since = 2 * users - 1;
            assert_ok(cm_mill(&options, &result, &err), err);
            assert_int_equal(result.events, 1);
            assert_numbers(&result, (cm_measures_t){.clicks = 1,
                                                    .time_spent_sum = 10,
                                                    .time_spent_count = 1,
                                                    .page_time_sum = 10,
                                                    .page_time_count = 1});
            cm_mill_result_free(&result);
        }
        cm_sink_close(&store->sink);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shuffled_with_a_busy_user),
        cmocka_unit_test(everything_at_once),
        cmocka_unit_test(many_users_many_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
