/* Updates that are trimmed: the change is the difference between all answers and those from before,
 * cell by cell, in each window, whatever trimming leaves out. */
#include "mill_reference.h"

#include "mill/mill.h"
#include "store/memory.h"

#include <time.h>

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

/* The answers at `cut` and the change from there add up to all answers. */
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
    options.differ = head.differ;
    options.memory = memory;
    assert_ok(cm_mill(&options, &tail, &err), err);
    assert_int_equal(head.events + tail.events, whole->events);
    assert_int_equal(head.differ || tail.differ, whole->differ);
    add_tables(&sum, &head);
    add_tables(&sum, &tail);
    size_t count = sum.count;
    for (size_t i = 0; i < sum.count; i++) /* some become zero where copies differ */
        count -= whole->differ && cm_measures_are_zero(&sum.list[i].measures);
    assert_int_equal(count, whole->count);
    for (size_t i = 0; i < whole->count; i++) {
        const cm_cell_t *cell = whole->cells[i];
        assert_memory_equal(&cm_cells_get(&sum, cell->key)->measures, &cell->measures,
                            sizeof cell->measures);
    }
    cm_cells_free(&sum);
    cm_mill_result_free(&head);
    cm_mill_result_free(&tail);
}

/* `ordered`: events arrive by time, as they usually do; otherwise late ones are anywhere. One in
 * `vary` copies is another event with the same row key; 0: none is. */
static void assert_updates(int users, bool ordered, size_t copies, uint64_t vary, uint64_t *random)
{
    static const unsigned masks[] = {1, CM_WINDOWS_EVERY, 2, 4, 5};
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
    for (size_t i = 0; vary > 0 && i < count; i++) { /* also where derived keys are equal */
        if (i >= DISTINCT ? test_random(random) % vary == 0 : events[i].derived)
            ref_vary(&events[i], random);
    }
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
                                     .reader = cm_store_reader_of,
                                     .context = store};
        cm_mill_result_t whole;
        assert_ok(cm_mill(&options, &whole, &err), err);
        assert_cut(options, (int64_t)count - 1, 0, &whole);
        for (int round = 0; round < 6; round++) {
            int64_t cut = (int64_t)(count - 1 - test_random(random) % (count / 8 + 20));
            assert_cut(options, cut, 0, &whole);
            /* So little memory that trimming overflows, or is not tried. */
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
    assert_updates(1, false, 300, 0, &random);
    assert_updates(7, false, 1500, 0, &random);
    assert_updates(REF_USERS, false, 300, 0, &random);
}

static void late_events_at_the_end(void **state)
{
    uint64_t random = 42;

    (void)state;
    assert_updates(2, true, 700, 0, &random);
    assert_updates(REF_USERS, true, 0, 0, &random);
}

/* A better copy replaces the one that counted: the contribution of the old one disappears, the
 * other visits of its user stay. */
static void copies_that_differ(void **state)
{
    uint64_t random = 43;

    (void)state;
    assert_updates(1, false, 300, 2, &random);
    assert_updates(7, true, 1500, 1, &random);
    assert_updates(REF_USERS, false, 800, 1, &random);
    assert_updates(REF_USERS, true, 3, 1, &random); /* only few, and perhaps none before the cut */
}

typedef struct visit {
    int64_t time;
    const char *url, *key, *city;
} visit_t;

/* The update by the last of the visits of one user among others, in all windows. */
static void assert_last(const visit_t *visits, size_t count)
{
    enum { OTHERS = 40 };
    cm_store_t *store = cm_memory_new();
    cm_batch_t batch = CM_BATCH_INIT;
    const cm_mill_options_t options = {.session_timeout = 1800000,
                                       .windows = CM_WINDOWS_EVERY,
                                       .threads = 1,
                                       .reader = cm_store_reader_of,
                                       .context = store};
    cm_mill_result_t whole;
    cm_err_t err;

    for (int i = 0; i < OTHERS; i++)
        test_add(&batch, test_event("other", 1700000000000 + i, "/other", "X", NULL));
    for (size_t i = 0; i < count; i++) {
        cm_event_t event =
            test_event("u", 1700000000000 + visits[i].time, visits[i].url, "X", visits[i].key);
        event.city = cm_str(visits[i].city != NULL ? visits[i].city : "Unknown");
        test_add(&batch, event);
    }
    test_put(store, &batch);
    test_commit(store);
    assert_ok(cm_mill(&options, &whole, &err), err);
    assert_cut(options, OTHERS + (int64_t)count - 1, 0, &whole);
    cm_mill_result_free(&whole);
    cm_sink_close(&store->sink);
    cm_batch_free(&batch);
}

/* The user was at /a at another time, too; trimming does not keep that event. */
static void what_is_replaced_was_no_witness(void **state)
{
    static const visit_t visits[] = {{1000, "/a", NULL, NULL},
                                     {2000, "/c", NULL, NULL},
                                     {3000, "/a", "k", NULL},
                                     {4000, "/c", NULL, NULL},
                                     {3000, "/b", "k", "Rome"}};
    (void)state;
    assert_last(visits, sizeof visits / sizeof *visits);
}

/* The only visit to /a before is a copy that does not count. The copy that counts is at /b, where
 * no new event is. */
static void what_does_not_count_is_no_witness(void **state)
{
    static const visit_t visits[] = {{1000, "/b", "k", "Rome"}, {1000, "/a", "k", NULL},
                                     {2000, "/c", NULL, NULL},  {8000, "/c", NULL, NULL},
                                     {9000, "/c", NULL, NULL},  {8500, "/a", NULL, NULL}};
    visit_t derived[sizeof visits / sizeof *visits];

    (void)state;
    assert_last(visits, sizeof visits / sizeof *visits);
    memcpy(derived, visits, sizeof visits);
    derived[0].key = derived[1].key = NULL;
    assert_last(derived, sizeof visits / sizeof *visits);
}

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* All old events of a user are in one millisecond, each with a row key of its own, and one event is
 * new. Trimming adds them in the order opposite to the store's; an insertion sort would take
 * minutes. */
static void one_millisecond_more(void **state)
{
    enum { OLD = 400000, TIME = 1700000000 };
    cm_store_t *store = cm_memory_new();
    cm_batch_t batch = CM_BATCH_INIT;
    cm_mill_options_t options = {.session_timeout = 1800000,
                                 .windows = 1,
                                 .since = OLD,
                                 .threads = 1,
                                 .reader = cm_store_reader_of,
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
    assert_int_equal(result.cells[0]->measures.clicks, 1);
    assert_int_equal(result.cells[0]->measures.users, 0);
    assert_int_equal(result.cells[0]->measures.time_spent_count, 1);
    cm_mill_result_free(&result);
    cm_sink_close(&store->sink);
    cm_batch_free(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(late_events_anywhere),
        cmocka_unit_test(late_events_at_the_end),
        cmocka_unit_test(copies_that_differ),
        cmocka_unit_test(what_is_replaced_was_no_witness),
        cmocka_unit_test(what_does_not_count_is_no_witness),
        cmocka_unit_test(one_millisecond_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
