/* Merging: however small the commits, there are few blocks, and not one event moves. */
#include "random_extra.h"
#include "store_support.h"

#include "store/block.h"
#include "store/embedded/merge.h"

/* Events that differ in everything; texts in the batch's arena. */
static void add_events(cm_batch_t *batch, uint32_t count, int64_t *next, uint64_t *random)
{
    for (uint32_t i = 0; i < count; i++, (*next)++) {
        char text[40];
        int len = snprintf(text, sizeof text, "user %llu",
                           (unsigned long long)(test_random(random) % 500));
        cm_event_t event =
            test_event(NULL, 1 + (int64_t)(test_random(random) % 1000000), "/", "X", NULL);
        event.user_id = cm_arena_copy(&batch->arena, (cm_str_t){text, (size_t)len});
        len = snprintf(text, sizeof text, "/page/%lld", (long long)*next / 3);
        event.url = cm_arena_copy(&batch->arena, (cm_str_t){text, (size_t)len});
        if (*next % 3 == 1) {
            len = snprintf(text, sizeof text, "key %lld", (long long)*next);
            event.row_key = cm_arena_copy(&batch->arena, (cm_str_t){text, (size_t)len});
        } else if (*next % 3 == 2) {
            char uuid[CM_UUID_TEXT];
            cm_uuid5((cm_str_t){text, (size_t)len}, uuid);
            event.row_key = cm_arena_copy(&batch->arena, (cm_str_t){uuid, CM_UUID_TEXT});
        }
        event.extra = random_extra(random, &batch->arena);
        test_add(batch, event);
    }
}

static size_t segment_count(cm_store_t *store)
{
    int64_t count;
    cm_err_t err;
    assert_ok(cm_database_int(cm_store_embedded_database(store), "SELECT count(*) FROM dictionary",
                              -1, &count, &err),
              err);
    return (size_t)count;
}

/* Commits of the sizes that `size` gives; returns how many blocks are left. */
static size_t commit_all(uint32_t commits, uint32_t (*size)(uint32_t commit), uint32_t reopen_every)
{
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_buf_t expected = CM_BUF_INIT;
    int64_t next = 0;
    uint64_t random = 5;
    cm_err_t err;

    /* What is tested are the merges, not how safe each of thousands of commits is. */
    assert_ok(
        cm_database_exec(cm_store_embedded_database(store), "PRAGMA synchronous = OFF", "t", &err),
        err);
    for (uint32_t commit = 0; commit < commits; commit++) {
        int64_t first = next;
        if (reopen_every > 0 && commit % reopen_every == reopen_every - 1) {
            cm_sink_close(&store->sink);
            store = test_open(directory);
            assert_int_equal(cm_store_embedded_events(store), next);
        }
        cm_batch_clear(&batch);
        add_events(&batch, size(commit), &next, &random);
        for (size_t i = 0; i < batch.count; i++)
            test_expect(&expected, &batch.events[i], first + (int64_t)i);
        test_put(store, &batch);
        test_commit(store);
        assert_int_equal(cm_store_embedded_events(store), next);
    }
    assert_true(segment_count(store) < 7 * 80);
    cm_sink_close(&store->sink);
    cm_buf_t got = test_contents(directory);
    assert_int_equal(got.len, expected.len);
    assert_true(memcmp(got.data, expected.data, got.len) == 0);
    size_t blocks = test_block_count(directory);
    cm_buf_free(&got);
    cm_buf_free(&expected);
    cm_batch_free(&batch);
    test_remove(directory);
    return blocks;
}

static uint32_t one(uint32_t commit)
{
    (void)commit;
    return 1;
}

static uint32_t alternating(uint32_t commit)
{
    return commit % 2 ? 300 : 1;
}

static uint32_t three_sizes(uint32_t commit)
{
    return commit % 50 == 0 ? 700 : commit % 7 == 0 ? 20 : 1 + commit % 3;
}

static void single_events(void **state)
{
    (void)state;
    assert_in_range(commit_all(5000, one, 0), 1, 99);
}

static void alternating_sizes(void **state)
{
    (void)state;
    assert_in_range(commit_all(400, alternating, 0), 1, 99);
}

static void mixed_and_reopened(void **state)
{
    (void)state;
    assert_in_range(commit_all(600, three_sizes, 97), 1, 99);
}

/* Whole blocks stay as they are, and no block grows beyond the limit. */
static void full_blocks(void **state)
{
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_batch_t batch = CM_BATCH_INIT;
    const cm_block_ref_t *blocks;
    cm_reader_t *reader;
    cm_err_t err;
    size_t count;

    (void)state;
    for (uint32_t i = 0; i < CM_BLOCK_EVENTS + 10; i++)
        test_add(&batch, test_event("u", 1 + i, "/", "X", NULL));
    test_put(store, &batch);
    test_commit(store);
    batch.count = 1;
    for (int i = 0; i < 40; i++) {
        test_put(store, &batch);
        test_commit(store);
    }
    assert_ok(cm_store_reader(store, &reader, &err), err);
    assert_ok(cm_reader_blocks(reader, &blocks, &count, &err), err);
    assert_int_equal(blocks[0].first, 0);
    assert_int_equal(blocks[0].count, CM_BLOCK_EVENTS);
    assert_int_equal(blocks[1].first, CM_BLOCK_EVENTS);
    assert_in_range(count, 2, 1 + 2 * 16);
    assert_int_equal(cm_blocks_end(blocks, count), CM_BLOCK_EVENTS + 50);
    cm_reader_close(reader);
    cm_sink_close(&store->sink);
    cm_batch_free(&batch);
    test_remove(directory);
}

/* A merge that meets a damaged block fails in words; the events of its commit are safe. */
static void damaged_piece(void **state)
{
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;
    int rc = 0, commits = 0;

    (void)state;
    test_add(&batch, test_event("u", 1, "/", "X", NULL));
    test_put(store, &batch);
    test_commit(store);
    cm_sink_close(&store->sink);
    test_sql(directory, "UPDATE block SET cold = x'00'");
    store = test_open(directory);
    while (rc == 0 && commits < 20) {
        test_put(store, &batch);
        rc = cm_sink_commit(&store->sink, &err);
        commits++;
    }
    assert_int_equal(rc, CM_ECORRUPT);
    assert_int_equal(commits, 15);
    assert_non_null(strstr(err.text, "the block of events 0 to 0 in "));
    cm_sink_close(&store->sink);
    assert_int_equal(test_block_count(directory), 16);
    cm_batch_free(&batch);
    test_remove(directory);
}

/* ---- which pieces are merged, without a file */

/* Adds pieces of those sizes in turn up to a million; returns how often an event was rewritten on
 * average, and checks that pieces stay few and none is too large. */
static double rewritten(const uint32_t *sizes, size_t count)
{
    cm_pieces_t pieces = {0};
    uint64_t sum = 0, written = 0;

    for (size_t i = 0; sum < 1000000; i++) {
        cm_pieces_add(&pieces, (int64_t)sum, sizes[i % count], sizes[i % count]);
        sum += sizes[i % count];
        for (size_t run; (run = cm_pieces_due(&pieces, CM_BLOCK_EVENTS)) > 0;) {
            cm_pieces_join(&pieces, run);
            assert_in_range(pieces.counts[pieces.count - 1], 2, CM_BLOCK_EVENTS);
            written += pieces.counts[pieces.count - 1];
        }
        assert_in_range(pieces.count, 1, 120);
    }
    cm_pieces_free(&pieces);
    return (double)written / (double)sum;
}

static void each_event_is_rewritten_a_few_times(void **state)
{
    static const uint32_t ones[] = {1}, twenties[] = {20}, mixed[] = {1, 14, 300, 17, 5000, 3};
    static const uint32_t growing[] = {15, 16, 17, 255, 256, 257, 4095, 4096, 65535, 65536, 1};

    (void)state;
    assert_true(rewritten(ones, 1) <= 6);
    assert_true(rewritten(twenties, 1) <= 6);
    assert_true(rewritten(mixed, 6) <= 6);
    assert_true(rewritten(growing, 11) <= 6);
}

/* A second writer, which no lock has kept out, has merged the blocks that are due here. */
static void merged_by_another(void **state)
{
    char *directory = test_directory(), *other = test_directory();
    cm_store_t *store = test_open(directory), *stranger = test_open(other);
    cm_batch_t batch = CM_BATCH_INIT;
    char sql[400];

    (void)state;
    test_add(&batch, test_event("u", 1, "/", "X", NULL));
    for (int i = 0; i < 15; i++) {
        test_put(store, &batch);
        test_commit(store);
        test_put(stranger, &batch);
    }
    test_commit(stranger);
    cm_sink_close(&stranger->sink);
    snprintf(sql, sizeof sql,
             "ATTACH '%s/clickmill.db' AS other; DELETE FROM main.block; "
             "INSERT INTO main.block SELECT * FROM other.block",
             other);
    test_sql(directory, sql);
    for (int i = 0; i < 2; i++) {
        test_put(store, &batch);
        test_commit(store);
    }
    assert_int_equal(cm_store_embedded_events(store), 17);
    cm_sink_close(&store->sink);
    assert_int_equal(test_block_count(directory), 3);
    cm_buf_t got = test_contents(directory);
    assert_non_null(strstr(got.data, "16:"));
    cm_buf_free(&got);
    cm_batch_free(&batch);
    test_remove(directory);
    test_remove(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_events),      cmocka_unit_test(alternating_sizes),
        cmocka_unit_test(mixed_and_reopened), cmocka_unit_test(full_blocks),
        cmocka_unit_test(damaged_piece),      cmocka_unit_test(each_event_is_rewritten_a_few_times),
        cmocka_unit_test(merged_by_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
