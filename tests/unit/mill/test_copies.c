/* Copies of an event that differ: exactly one of them counts, with all its fields. It is the same
 * one in any order of arrival, in any store, in one run or in many updates. */
#include "mill_runs.h"

#include "index/store_query.h"
#include "store/memory.h"

enum { SHARED = 10000, EVENTS = 5 * SHARED / 2 };

/* 10 thousand row keys, derived ones and others, each of two to four events of one user and time.
 * Most of these events differ in some field. */
static ref_event_t *shared_keys(int users, uint64_t *random)
{
    ref_event_t *events = malloc(EVENTS * sizeof *events);

    for (size_t i = 0; i < EVENTS; i++) {
        if (i < SHARED) {
            events[i] = ref_make(users, i, random);
            /* Each derived key has another time, so that no two are equal. */
            events[i].time = ref_day * CM_DAY_MS + (int64_t)i * 17 + 1;
            if (events[i].derived)
                ref_derive(&events[i]);
        } else {
            events[i] = events[i < 2 * SHARED ? i - SHARED : test_random(random) % SHARED];
        }
        if (test_random(random) % 8 != 0)
            ref_vary(&events[i], random);
        if (i >= SHARED) /* some state the row key that the first leaves to be derived */
            events[i].derived &= test_random(random) % 2 == 0;
    }
    return events;
}

static cm_buf_t csv_of(const ref_answers_t *answers)
{
    cm_buf_t csv = CM_BUF_INIT;
    int64_t cells = 0;

    cm_buf_add(&csv, "", 0);
    ref_csv(answers, CM_WINDOW_ALL, CM_PER_CELL, &csv, &cells);
    return csv;
}

static int by_text(const void *a, const void *b)
{
    return cm_str_compare(*(const cm_str_t *)a, *(const cm_str_t *)b);
}

/* The lines in order: the answers of a query of the store come in another order. */
static cm_buf_t sorted_lines(const cm_buf_t *text)
{
    cm_str_t lines[200];
    cm_buf_t sorted = CM_BUF_INIT;
    size_t count = 0;

    for (const char *at = text->data, *end; (end = strchr(at, '\n')) != NULL; at = end + 1)
        lines[count++] = (cm_str_t){at, (size_t)(end + 1 - at)};
    qsort(lines, count, sizeof *lines, by_text);
    for (size_t i = 0; i < count; i++)
        cm_buf_add_str(&sorted, lines[i]);
    return sorted;
}

/* The store in memory, which does not keep the strings themselves. */
static void assert_in_memory(const ref_event_t *events, int threads, int64_t memory,
                             const ref_answers_t *expected)
{
    const cm_index_store_query_t options = {
        .session_timeout = 1800000, .memory = memory, .threads = threads};
    cm_store_t *store = cm_memory_new();
    cm_batch_t batch = CM_BATCH_INIT;
    cm_buf_t got = CM_BUF_INIT, wanted = csv_of(expected);
    cm_err_t err;

    for (size_t at = 0; at < EVENTS; at += EVENTS / 5) {
        cm_batch_clear(&batch);
        for (size_t i = 0; i < EVENTS / 5; i++)
            ref_add(&batch, &events[at + i]);
        test_put(store, &batch);
        test_commit(store);
    }
    cm_buf_add(&got, "", 0);
    assert_ok(cm_index_query_store(store, &options, ref_take_csv, &got, &err), err);
    cm_buf_t x = sorted_lines(&got), y = sorted_lines(&wanted);
    assert_string_equal(x.data, y.data);
    cm_buf_free(&x);
    cm_buf_free(&y);
    cm_buf_free(&got);
    cm_buf_free(&wanted);
    cm_sink_close(&store->sink);
    cm_batch_free(&batch);
}

static void shared_keys_in_memory(void **state)
{
    uint64_t random = 5;

    (void)state;
    for (int round = 0; round < 4; round++) {
        ref_event_t *events = shared_keys(round % 2 ? REF_USERS : 3, &random);
        /* All keys derived: events are in compact form and have no ordinals. */
        for (size_t i = 0; round >= 2 && i < EVENTS; i++) {
            ref_event_t varied = events[i];
            ref_derive(&varied);
            memcpy(events[i].key, varied.key, sizeof varied.key);
            events[i].derived = true;
        }
        ref_answers_t expected = ref_compute(events, EVENTS, 1800000);
        for (int order = 0; order < 3; order++) {
            ref_shuffle(events, EVENTS, &random);
            assert_in_memory(events, 1 + order, order == 2 ? 60000 : 0, &expected);
        }
        free(expected.cells);
        free(events);
    }
}

/* The embedded store: several orders of arrival, a refresh after each part of the events. */
static void shared_keys_bit_by_bit(void **state)
{
    enum { PARTS = 10 };
    uint64_t random = 6;
    ref_event_t *events = shared_keys(REF_USERS, &random);

    (void)state;
    for (int order = 0; order < 3; order++) {
        char *directory = test_directory();
        cm_store_t *store = test_open(directory);
        cm_batch_t batch = CM_BATCH_INIT;
        cm_index_refreshed_t refreshed;
        cm_err_t err;
        run_quick_commits(store);
        /* The last part is small, so that its update can be trimmed. */
        ref_shuffle(events, EVENTS, &random);
        for (size_t at = 0, size; at < EVENTS; at += size) {
            size = at < EVENTS - EVENTS / PARTS ? EVENTS / PARTS : 100;
            cm_batch_clear(&batch);
            for (size_t i = 0; i < size; i++)
                ref_add(&batch, &events[at + i]);
            test_put(store, &batch);
            test_commit(store);
            if (at > 0 && at < EVENTS - 300 && test_random(&random) % 4 != 0)
                continue;
            cm_index_refresh_options_t options =
                run_any_options(1800000, CM_WINDOWS_EVERY, &random);
            assert_ok(cm_index_refresh(store, &options, &refreshed, &err), err);
            ref_answers_t expected = ref_compute(events, at + size, 1800000);
            assert_int_equal(refreshed.events, expected.events);
            ref_assert_index(directory, &expected, CM_WINDOWS_EVERY);
            free(expected.cells);
        }
        cm_sink_close(&store->sink);
        cm_batch_free(&batch);
        test_remove(directory);
    }
    free(events);
}

/* Small stores with few users, times and places, so that all combinations occur. */
static void any_order_any_batches(void **state)
{
    uint64_t random = 2025;

    (void)state;
    for (int round = 0; round < 40; round++) {
        int users = 1 + (int)(test_random(&random) % 6);
        size_t distinct = 1 + test_random(&random) % 250, copies = test_random(&random) % 300;
        ref_event_t *events = run_make_events(users, distinct, copies, &random);
        for (size_t i = 0; i < distinct + copies; i++) {
            if (test_random(&random) % 4 == 0)
                ref_vary(&events[i], &random);
        }
        run_through(events, distinct + copies, 1800000, round % 4 != 0, &random);
        free(events);
    }
}

static void the_better_is_exported(void **state)
{
    uint64_t random = 33;

    (void)state;
    for (int round = 0; round < 6; round++) {
        size_t distinct = 1 + test_random(&random) % 300, copies = test_random(&random) % 500;
        ref_event_t *events = run_make_events(1 + round, distinct, copies, &random);
        char *directory = test_directory();
        cm_store_t *store = test_open(directory);
        cm_batch_t batch = CM_BATCH_INIT;
        for (size_t i = 0; i < distinct + copies; i++) {
            if (round >= 4) { /* all derived */
                events[i].derived = true;
                ref_derive(&events[i]);
            }
            if (test_random(&random) % 2 == 0)
                ref_vary(&events[i], &random);
            ref_add(&batch, &events[i]);
            if (i % 64 == 63) {
                test_put(store, &batch);
                test_commit(store);
                cm_batch_clear(&batch);
            }
        }
        test_put(store, &batch);
        test_commit(store);
        run_assert_copies(store, events, distinct + copies, 1, 0);
        run_assert_copies(store, events, distinct + copies, 3, 0);
        run_assert_copies(store, events, distinct + copies, 2, 300);
        cm_sink_close(&store->sink);
        cm_batch_free(&batch);
        free(events);
        test_remove(directory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shared_keys_in_memory),
        cmocka_unit_test(shared_keys_bit_by_bit),
        cmocka_unit_test(any_order_any_batches),
        cmocka_unit_test(the_better_is_exported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
