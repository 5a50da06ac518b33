/* The main property of the mill: the answers are those of the reference, byte by byte. It holds for
 * any order of events, any repetitions, batches of any size, a refresh at any moment, any number of
 * threads and any amount of memory. And exactly the right events are marked as copies. */
#include "mill_runs.h"

static void any_order_any_batches(void **state)
{
    static const int64_t timeouts[] = {1800000, 1800000, 0, 999, 1500, 5000, INT64_C(1) << 50};
    uint64_t random = 2024;

    (void)state;
    for (int round = 0; round < 24; round++) {
        int users = 1 + (int)(test_random(&random) % 6);
        size_t distinct = 1 + test_random(&random) % 250;
        size_t copies = test_random(&random) % 120;
        ref_event_t *events = run_make_events(users, distinct, copies, &random);
        run_through(events, distinct + copies, timeouts[round % 7], round % 3 != 0, &random);
        free(events);
    }
}

/* The same events in another order and with other repetitions give the same answers. All are
 * compared with one reference, which is computed once. */
static void shuffled_and_repeated(void **state)
{
    uint64_t random = 7;
    size_t distinct = 150;
    ref_event_t *events = run_make_events(3, distinct, 0, &random);
    ref_event_t *repeated = malloc(3 * distinct * sizeof *repeated);

    (void)state;
    for (int round = 0; round < 4; round++) {
        size_t count = distinct + test_random(&random) % (2 * distinct);
        for (size_t i = 0; i < count; i++)
            repeated[i] = events[i < distinct ? i : test_random(&random) % distinct];
        ref_shuffle(repeated, count, &random);
        ref_answers_t a = ref_compute(events, distinct, 1800000);
        ref_answers_t b = ref_compute(repeated, count, 1800000);
        assert_memory_equal(a.cells, b.cells, sizeof *a.cells);
        free(a.cells);
        free(b.cells);
        run_through(repeated, count, 1800000, true, &random);
    }
    free(events);
    free(repeated);
}

/* Enough events for several partitions and for several chunks and blocks of each thread. */
static void many_events(void **state)
{
    uint64_t random = 99;
    size_t count = 90000;
    ref_event_t *events = run_make_events(REF_USERS, 75000, 15000, &random);
    ref_answers_t expected = ref_compute(events, count, 1800000);
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_index_refreshed_t refreshed;
    cm_err_t err;

    (void)state;
    run_quick_commits(store);
    for (size_t at = 0; at < count; at += 9000) {
        cm_batch_clear(&batch);
        for (size_t i = 0; i < 9000; i++)
            ref_add(&batch, &events[at + i]);
        test_put(store, &batch);
        test_commit(store);
    }
    for (int threads = 1; threads <= 3; threads++) {
        cm_index_refresh_options_t options = {.windows = CM_WINDOWS_EVERY,
                                              .session_timeout = 1800000,
                                              .threads = threads,
                                              .memory = threads == 3 ? 2000000 : 0,
                                              .rebuild = true};
        assert_ok(cm_index_refresh(store, &options, &refreshed, &err), err);
        assert_int_equal(refreshed.events, expected.events);
        ref_assert_index(directory, &expected, CM_WINDOWS_EVERY);
    }
    cm_sink_close(&store->sink);
    free(expected.cells);
    free(events);
    cm_batch_free(&batch);
    test_remove(directory);
}

/* Partitions without ties are milled at once, those with ties wait: a run with both kinds. Users
 * with an even number have no ties. The ties of the others have derived keys only, or keys of any
 * kind. */
static ref_event_t *half_tied(size_t count, bool all_derived, uint64_t *random)
{
    ref_event_t *events = malloc(count * sizeof *events);

    for (size_t i = 0; i < count; i++) {
        int user = (int)(i % REF_USERS); /* so that the ids are in the same order */
        do {
            events[i] = ref_make(REF_USERS, i, random);
        } while (all_derived && !events[i].derived);
        events[i].user = user;
        if (user % 2 == 0)
            events[i].time = ref_day * CM_DAY_MS + (int64_t)i * 4321;
        if (events[i].derived)
            ref_derive(&events[i]);
    }
    return events;
}

static void with_and_without_ties(void **state)
{
    uint64_t random = 5;
    size_t count = 70020;

    (void)state;
    for (int all_derived = 0; all_derived < 2; all_derived++) {
        ref_event_t *events = half_tied(count, all_derived, &random);
        char *directory = test_directory();
        cm_store_t *store = test_open(directory);
        cm_batch_t batch = CM_BATCH_INIT;
        cm_index_refreshed_t refreshed;
        cm_err_t err;
        for (size_t at = 0; at < count; at += count / 2) {
            cm_batch_clear(&batch);
            for (size_t i = 0; i < count / 2; i++)
                ref_add(&batch, &events[at + i]);
            test_put(store, &batch);
            test_commit(store);
            cm_index_refresh_options_t options = {.windows = CM_WINDOWS_EVERY,
                                                  .session_timeout = 1800000,
                                                  .threads = 2 + all_derived,
                                                  .memory = at > 0 ? 1000000 : 0};
            assert_ok(cm_index_refresh(store, &options, &refreshed, &err), err);
            ref_answers_t expected = ref_compute(events, at + count / 2, 1800000);
            assert_int_equal(refreshed.events, expected.events);
            ref_assert_index(directory, &expected, CM_WINDOWS_EVERY);
            free(expected.cells);
        }
        cm_sink_close(&store->sink);
        cm_batch_free(&batch);
        free(events);
        test_remove(directory);
    }
}

static void exactly_the_copies(void **state)
{
    uint64_t random = 31;

    (void)state;
    for (int round = 0; round < 6; round++) {
        size_t distinct = 1 + test_random(&random) % 300, copies = test_random(&random) % 300;
        ref_event_t *events = run_make_events(1 + round, distinct, copies, &random);
        for (size_t i = 0; round >= 4 && i < distinct + copies;
             i++) { /* all derived, so that no key is read */
            events[i].derived = true;
            ref_derive(&events[i]);
        }
        char *directory = test_directory();
        cm_store_t *store = test_open(directory);
        cm_batch_t batch = CM_BATCH_INIT;
        run_assert_copies(store, events, 0, 1, 0);
        for (size_t i = 0; i < distinct + copies; i++) {
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

/* The order of results: by window, url, country. */
static bool in_order(const cm_cell_key_t *a, const cm_cell_key_t *b)
{
    if (a->window != b->window)
        return a->window < b->window;
    return a->url != b->url ? a->url < b->url : a->country < b->country;
}

/* `until` stops before an event; `since` gives the change that the later events make. */
static void parts_add_up(void **state)
{
    uint64_t random = 77;
    size_t count = 400;
    ref_event_t *events = run_make_events(4, 300, 100, &random);
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    (void)state;
    for (size_t i = 0; i < count; i++)
        ref_add(&batch, &events[i]);
    test_put(store, &batch);
    test_commit(store); /* one block: the cut is inside it */
    for (int64_t cut = 1; cut < (int64_t)count; cut += 57) {
        cm_mill_options_t options = {.session_timeout = 1800000,
                                     .windows = CM_WINDOWS_EVERY,
                                     .until = cut,
                                     .threads = 2,
                                     .reader = cm_store_reader_of,
                                     .context = store};
        cm_mill_result_t head, tail, whole;
        assert_ok(cm_mill(&options, &head, &err), err);
        assert_int_equal(head.end_ordinal, cut);
        options.until = 0;
        options.since = cut;
        assert_ok(cm_mill(&options, &tail, &err), err);
        assert_int_equal(tail.end_ordinal, count);
        options.since = 0;
        assert_ok(cm_mill(&options, &whole, &err), err);
        assert_int_equal(head.events + tail.events, whole.events);
        cm_cells_t sum = {0};
        for (uint32_t t = 0; t < head.table_count; t++)
            cm_cells_add(&sum, &head.tables[t]);
        for (uint32_t t = 0; t < tail.table_count; t++)
            cm_cells_add(&sum, &tail.tables[t]);
        assert_int_equal(sum.count, whole.count);
        for (size_t i = 0; i < whole.count; i++) {
            const cm_cell_t *cell = whole.cells[i];
            assert_memory_equal(&cm_cells_get(&sum, cell->key)->measures, &cell->measures,
                                sizeof cell->measures);
            assert_true(i == 0 || in_order(&whole.cells[i - 1]->key, &cell->key));
        }
        cm_cells_free(&sum);
        cm_mill_result_free(&head);
        cm_mill_result_free(&tail);
        cm_mill_result_free(&whole);
    }
    cm_sink_close(&store->sink);
    cm_batch_free(&batch);
    free(events);
    test_remove(directory);
}

/* A damaged block or a reader that cannot be opened gives an error, no result, and no memory leak.
 */
static void failures(void **state)
{
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_mill_result_t result;
    uint8_t *copies;
    int64_t end_ordinal;
    cm_err_t err;

    (void)state;
    for (int block = 0; block < 3; block++) {
        cm_batch_clear(&batch);
        for (int i = 0; i < 50; i++) /* ties, so that keys are read */
            test_add(&batch, test_event("u", 1, "/", "X", i % 2 ? "key 1" : "key 2"));
        test_put(store, &batch);
        test_commit(store);
    }
    cm_sink_close(&store->sink);
    test_sql(directory, "UPDATE block SET keys = x'00' WHERE first = 100");
    store = test_open(directory);
    for (int threads = 1; threads <= 3; threads++) {
        const cm_mill_options_t options = {.session_timeout = 1,
                                           .windows = CM_WINDOWS_EVERY,
                                           .threads = threads,
                                           .reader = cm_store_reader_of,
                                           .context = store};
        assert_int_equal(cm_mill(&options, &result, &err), CM_ECORRUPT);
        assert_null(result.cells);
        assert_non_null(strstr(err.text, "the block of events 100 to 149 in "));
        assert_int_equal(cm_mill_copies(&options, &copies, &end_ordinal, &err), CM_ECORRUPT);
        assert_null(copies);
    }
    cm_sink_close(&store->sink);
    test_sql(directory, "UPDATE block SET hot = x'00' WHERE first = 50");
    store = test_open(directory);
    const cm_mill_options_t options = {.session_timeout = 1,
                                       .windows = CM_WINDOWS_EVERY,
                                       .threads = 2,
                                       .since = 60,
                                       .reader = cm_store_reader_of,
                                       .context = store};
    assert_int_equal(cm_mill(&options, &result, &err), CM_ECORRUPT);
    assert_non_null(strstr(err.text, "the block of events 50 to 99 in "));
    cm_sink_close(&store->sink);
    cm_batch_free(&batch);
    test_remove(directory);
}

/* A block with times outside of its own limits must not be read in compact form. */
static void limits_that_lie(void **state)
{
    static const char *const lies[] = {"time_max = time_min", "time_min = time_max",
                                       "time_min = 1, time_max = 1"};
    cm_err_t err;

    (void)state;
    for (size_t i = 0; i < sizeof lies / sizeof lies[0]; i++) {
        char *directory = test_directory(), sql[80];
        cm_store_t *store = test_open(directory);
        cm_batch_t batch = CM_BATCH_INIT;
        cm_mill_result_t result;
        test_add(&batch, test_event("u", 1000, "/", "X", NULL));
        test_add(&batch, test_event("u", 900000000, "/a", "X", NULL));
        test_put(store, &batch);
        test_commit(store);
        cm_sink_close(&store->sink);
        snprintf(sql, sizeof sql, "UPDATE block SET %s", lies[i]);
        test_sql(directory, sql);
        store = test_open(directory);
        const cm_mill_options_t options = {.session_timeout = 1,
                                           .windows = 1 << CM_WINDOW_ALL,
                                           .threads = 1,
                                           .reader = cm_store_reader_of,
                                           .context = store};
        assert_int_equal(cm_mill(&options, &result, &err), CM_ECORRUPT);
        assert_non_null(strstr(err.text, "the block of events from 0 on has times outside"));
        cm_sink_close(&store->sink);
        cm_batch_free(&batch);
        test_remove(directory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_any_batches),
        cmocka_unit_test(shuffled_and_repeated),
        cmocka_unit_test(many_events),
        cmocka_unit_test(with_and_without_ties),
        cmocka_unit_test(exactly_the_copies),
        cmocka_unit_test(parts_add_up),
        cmocka_unit_test(failures),
        cmocka_unit_test(limits_that_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
