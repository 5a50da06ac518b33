#include "mill_runs.h"

#include "base/bitmap.h"

ref_event_t *run_make_events(int users, size_t distinct, size_t copies, uint64_t *random)
{
    ref_event_t *events = malloc((distinct + copies) * sizeof *events);
    for (size_t i = 0; i < distinct; i++)
        events[i] = ref_make(users, i, random);
    for (size_t i = 0; i < copies; i++) {
        events[distinct + i] = events[test_random(random) % (distinct + i)];
        /* A copy may state the row key that the other one leaves to be derived. */
        events[distinct + i].derived &= test_random(random) % 2 == 0;
    }
    ref_shuffle(events, distinct + copies, random);
    return events;
}

void run_quick_commits(cm_store_t *store)
{
    cm_err_t err;
    assert_ok(
        cm_database_exec(cm_store_embedded_database(store), "PRAGMA synchronous = OFF", "t", &err),
        err);
}

cm_index_refresh_options_t run_any_options(int64_t timeout, unsigned windows, uint64_t *random)
{
    static const int64_t memories[] = {0, 1, 500, 2000, 10000, 1 << 30};
    return (cm_index_refresh_options_t){.windows = windows,
                                        .session_timeout = timeout,
                                        .memory = memories[test_random(random) % 6],
                                        .threads = 1 + (int)(test_random(random) % 3)};
}

void run_through(const ref_event_t *events, size_t count, int64_t timeout, bool often,
                 uint64_t *random)
{
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_index_refreshed_t refreshed;
    cm_err_t err;

    run_quick_commits(store);
    for (size_t at = 0; at < count;) {
        size_t size = 1 + test_random(random) % (often ? 40 : 200);
        cm_batch_clear(&batch);
        for (; size > 0 && at < count; size--, at++)
            ref_add(&batch, &events[at]);
        test_put(store, &batch);
        if (at < count && test_random(random) % 3 == 0)
            continue;
        test_commit(store);
        if (often && test_random(random) % 2 == 0) {
            unsigned windows = (unsigned)(test_random(random) % (CM_WINDOWS_EVERY + 1));
            cm_index_refresh_options_t options = run_any_options(timeout, windows, random);
            assert_ok(cm_index_refresh(store, &options, &refreshed, &err), err);
        }
    }
    cm_index_refresh_options_t options = run_any_options(timeout, CM_WINDOWS_EVERY, random);
    assert_ok(cm_index_refresh(store, &options, &refreshed, &err), err);
    cm_sink_close(&store->sink);
    ref_answers_t expected = ref_compute(events, count, timeout);
    int64_t cells = ref_assert_index(directory, &expected, CM_WINDOWS_EVERY);
    assert_int_equal(refreshed.accepted, count);
    assert_int_equal(refreshed.events, expected.events);
    assert_int_equal(refreshed.duplicates, (int64_t)count - expected.events);
    assert_int_equal(refreshed.cells, cells);
    free(expected.cells);
    cm_batch_free(&batch);
    test_remove(directory);
}

void run_assert_copies(cm_store_t *store, const ref_event_t *events, size_t count, int threads,
                       int64_t memory)
{
    const cm_mill_options_t options = {
        .reader = cm_store_reader_of, .context = store, .threads = threads, .memory = memory};
    uint8_t *copies = NULL;
    int64_t end_ordinal = -1;
    cm_err_t err;

    assert_ok(cm_mill_copies(&options, &copies, &end_ordinal, &err), err);
    assert_int_equal(end_ordinal, count);
    for (size_t i = 0; i < count; i++) {
        bool copy = false;
        for (size_t k = 0; k < count && !copy; k++)
            copy = k != i && strcmp(events[k].key, events[i].key) == 0 &&
                   events[k].user == events[i].user && events[k].time == events[i].time &&
                   (ref_better(&events[k], &events[i]) ||
                    (k < i && !ref_better(&events[i], &events[k])));
        if (cm_bitmap_get(copies, (size_t)i) != copy)
            fail_msg("event %zu (%s) %s", i, events[i].key, copy ? "is a copy" : "is none");
    }
    free(copies);
}
