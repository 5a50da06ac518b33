/* Updates that are trimmed: whatever is left out, the change is the difference between the whole
 * and what was there before, cell by cell, in every window. */
#include "mill_reference.h"

#include "mill/mill.h"
#include "store/memory.h"

#include <time.h>

enum { ALL_WINDOWS = (1 << CM_WINDOW_COUNT) - 1 };

static int store_reader(void *context, cm_reader_t **reader, cm_err_t *err)
{
    return cm_store_reader(context, reader, err);
}

static int by_time(const void *a, const void *b)
{
    const ref_event_t *x = a, *y = b;
    return (x->time > y->time) - (x->time < y->time);
}

static void add_tables(cm_cells_t *sum, const cm_mill_result_t *result)
{
    for (uint32_t t = 0; t < result->table_count; t++)
        cm_cells_add(sum, &result->tables[t]);
}

/* The answers at `cut`, and the change from there, are the whole. */
static void assert_cut(cm_mill_options_t options, int64_t cut, int64_t memory,
                       const cm_mill_result_t *whole)
{
    cm_mill_result_t head, tail;
    cm_cells_t sum = {0};
    cm_err_t err;

    options.until = cut;
    assert_ok(cm_mill(&options, &head, &err), err);
    options.until = 0;
    options.since = cut;
    options.memory = memory;
    assert_ok(cm_mill(&options, &tail, &err), err);
    assert_int_equal(head.events + tail.events, whole->events);
    add_tables(&sum, &head);
    add_tables(&sum, &tail);
    assert_int_equal(sum.count, whole->count);
    for (size_t i = 0; i < whole->count; i++) {
        const cm_cell_t *cell = whole->cells[i];
        assert_memory_equal(&cm_cells_get(&sum, cell->key)->numbers, &cell->numbers,
                            sizeof cell->numbers);
    }
    cm_cells_free(&sum);
    cm_mill_result_free(&head);
    cm_mill_result_free(&tail);
}

/* `ordered`: events come by time, as they do in life; else late ones are anywhere. */
static void assert_updates(int users, bool ordered, size_t copies, uint64_t *random)
{
    static const unsigned masks[] = {1, ALL_WINDOWS, 2, 4, 5};
    enum { DISTINCT = 3000 };
    ref_event_t *events = malloc((DISTINCT + copies) * sizeof *events);
    cm_store_t *store = cm_memory_new();
    cm_batch_t batch = CM_BATCH_INIT;
    size_t count = DISTINCT + copies;
    cm_err_t err;

    for (size_t i = 0; i < DISTINCT; i++)
        events[i] = ref_make(users, i, random);
    for (size_t i = DISTINCT; i < count; i++)
        events[i] = events[test_random(random) % i];
    if (ordered)
        qsort(events, count, sizeof *events, by_time);
    ref_shuffle(events + (ordered ? count - 200 : 0), ordered ? 200 : count, random);
    for (size_t at = 0; at < count;) {
        cm_batch_clear(&batch);
        for (size_t i = 0; i < 700 && at < count; i++)
            ref_add(&batch, &events[at++]);
        test_put(store, &batch);
        test_commit(store);
    }
    for (size_t m = 0; m < sizeof masks / sizeof masks[0]; m++) {
        cm_mill_options_t options = {.session_timeout = 1800000,
                                     .windows = masks[m],
                                     .threads = 1 + (int)(m % 3),
                                     .reader = store_reader,
                                     .context = store};
        cm_mill_result_t whole;
        assert_ok(cm_mill(&options, &whole, &err), err);
        assert_cut(options, (int64_t)count - 1, 0, &whole);
        for (int round = 0; round < 6; round++) {
            int64_t cut = (int64_t)(count - 1 - test_random(random) % (count / 8 + 20));
            assert_cut(options, cut, 0, &whole);
            /* So little that trimming overflows, or is not even tried. */
            assert_cut(options, cut, 24 * (int64_t)(test_random(random) % 900), &whole);
        }
        cm_mill_result_free(&whole);
    }
    cm_sink_close(&store->sink);
    cm_batch_free(&batch);
    free(events);
}

static void late_events_anywhere(void **state)
{
    uint64_t random = 41;

    (void)state;
    assert_updates(1, false, 300, &random);
    assert_updates(7, false, 1500, &random);
    assert_updates(REF_USERS, false, 300, &random);
}

static void late_events_at_the_end(void **state)
{
    uint64_t random = 42;

    (void)state;
    assert_updates(2, true, 700, &random);
    assert_updates(REF_USERS, true, 0, &random);
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A user whose old events are all of one millisecond, each with a key of its own, and one more: it
 * finds them in the order opposite to that of the store, which sorting by insertion would take
 * minutes for. */
static void one_millisecond_more(void **state)
{
    enum { OLD = 400000, TIME = 1700000000 };
    cm_store_t *store = cm_memory_new();
    cm_batch_t batch = CM_BATCH_INIT;
    cm_mill_options_t options = {.session_timeout = 1800000,
                                 .windows = 1,
                                 .since = OLD,
                                 .threads = 1,
                                 .reader = store_reader,
                                 .context = store};
    cm_mill_result_t result;
    cm_err_t err;

    (void)state;
    for (int i = 0; i <= OLD; i++) {
        cm_event_t event = test_event("u", TIME, "/", "X", NULL);
        char key[20];
        int len = snprintf(key, sizeof key, "%d", i);
        event.row_key = cm_arena_copy(&batch.arena, (cm_str_t){key, (size_t)len});
        test_add(&batch, event);
        if (batch.count == 10000 || i == OLD) {
            test_put(store, &batch);
            cm_batch_clear(&batch);
        }
    }
    test_commit(store);
    double before = cpu_seconds();
    assert_ok(cm_mill(&options, &result, &err), err);
    assert_true(cpu_seconds() - before < 20);
    assert_int_equal(result.events, 1);
    assert_int_equal(result.cells[0]->numbers.clicks, 1);
    assert_int_equal(result.cells[0]->numbers.users, 0);
    assert_int_equal(result.cells[0]->numbers.time_spent_count, 1);
    cm_mill_result_free(&result);
    cm_sink_close(&store->sink);
    cm_batch_free(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(late_events_anywhere),
        cmocka_unit_test(late_events_at_the_end),
        cmocka_unit_test(one_millisecond_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
