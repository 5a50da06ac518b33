/* Optional fields in the embedded store: they are kept by commits, merges and a second opening, and
 * gone after a rollback; a store of format 1 is read as it is and changed by its first writer. */
#include "random_extra.h"
#include "store_support.h"

#include "base/clock.h"
#include "store/block.h"

#include <sys/stat.h>

static const char no_column[] = "ALTER TABLE block DROP COLUMN extra; PRAGMA user_version = 1";

static int64_t number(const char *directory, const char *sql)
{
    cm_database_t database;
    int64_t value = -1;
    cm_err_t err;

    assert_ok(cm_database_open_read(directory, &database, &err), err);
    assert_ok(cm_database_int(&database, sql, -1, &value, &err), err);
    cm_database_close(&database);
    return value;
}

/* An event whose optional fields are random, or has none. */
static cm_event_t make(int64_t at, bool wide, uint64_t *random, cm_arena_t *arena)
{
    cm_event_t event = test_event("ann", 1 + at / 2, at % 3 ? "/a" : "/b", "Chile",
                                  at % 5 == 0 ? "a key of its own" : NULL);

    event.extra = wide ? random_extra(random, arena) : NULL;
    return event;
}

static void assert_contents(const char *directory, const cm_buf_t *expected)
{
    cm_buf_t got = test_contents(directory);

    assert_int_equal(got.len, expected->len);
    assert_memory_equal(got.data, expected->data, got.len);
    cm_buf_free(&got);
}

/* Commits and rollbacks in turn, blocks with and without optional fields, several openings: the
 * store has what was committed, whatever was merged. */
static void kept_by_commits(void **state)
{
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_buf_t expected = CM_BUF_INIT;
    uint64_t random = 31;
    int64_t at = 0;
    cm_err_t err;

    (void)state;
    for (int round = 0; round < 300; round++) {
        const int64_t first = at;
        const bool wide = test_random(&random) % 3 != 0;
        if (round % 50 == 49) {
            cm_sink_close(&store->sink);
            assert_contents(directory, &expected);
            store = test_open(directory);
        }
        cm_batch_clear(&batch);
        for (uint64_t i = test_random(&random) % 20 + 1; i > 0; i--)
            test_add(&batch, make(at++, wide, &random, &batch.arena));
        test_put(store, &batch);
        if (test_random(&random) % 4 == 0) {
            assert_ok(cm_store_embedded_rollback(store, &err), err);
            at = first;
            continue;
        }
        test_commit(store);
        for (size_t i = 0; i < batch.count; i++)
            test_expect(&expected, &batch.events[i], first + (int64_t)i);
    }
    cm_sink_close(&store->sink);
    assert_contents(directory, &expected);
    assert_in_range(test_block_count(directory), 2, 48);
    cm_buf_free(&expected);
    cm_batch_free(&batch);
    test_remove(directory);
}

/* Commits of one event each: those numbered in `wide` have optional fields. Returns what the
 * store must have. */
static cm_buf_t commit_each(cm_store_t *store, int64_t from, int64_t to, const char *wide)
{
    cm_batch_t batch = CM_BATCH_INIT;
    cm_buf_t expected = CM_BUF_INIT;

    for (int64_t at = from; at < to; at++) {
        uint64_t random = 1; /* that event has optional fields */
        cm_batch_clear(&batch);
        const bool some = wide[at % (int64_t)strlen(wide)] == 'x';
        test_add(&batch, make(at, some, &random, &batch.arena));
        assert_int_equal(batch.events[0].extra != NULL, some);
        test_put(store, &batch);
        test_commit(store);
        test_expect(&expected, &batch.events[0], at);
    }
    cm_batch_free(&batch);
    return expected;
}

/* Sixteen blocks become one; it has optional fields exactly when one of them has. */
static void merged(void **state)
{
    static const char *const wides[] = {"-", "x", "x---------------", "---------------x", "-x"};

    (void)state;
    for (size_t i = 0; i < sizeof wides / sizeof wides[0]; i++) {
        char *directory = test_directory();
        cm_store_t *store = test_open(directory);
        cm_buf_t expected = commit_each(store, 0, 16, wides[i]);
        cm_sink_close(&store->sink);
        assert_contents(directory, &expected);
        assert_int_equal(test_block_count(directory), 1);
        assert_int_equal(number(directory, "SELECT count(extra) FROM block"), i > 0);
        assert_int_equal(number(directory, "SELECT keys_derived >> 2 > 0 FROM block"), i > 0);
        cm_buf_free(&expected);
        test_remove(directory);
    }
}

/* A block is full when its optional fields have 64 MiB of strings, and is not merged then. */
static void full_of_strings(void **state)
{
    enum { EVENTS = 40000, EACH = 2048, FULL = 32768 };
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_batch_t batch = CM_BATCH_INIT;

    (void)state;
    for (int i = 0; i < EVENTS; i++) {
        cm_event_extra_t extra = CM_EVENT_EXTRA_NONE;
        char *text = cm_arena_alloc(&batch.arena, EACH);
        memset(text, 'r', EACH);
        snprintf(text, 20, "%d", i);
        extra.text[CM_EXTRA_REFERRER] = (cm_str_t){text, EACH};
        cm_event_t event = test_event("ann", 1 + i, "/", "X", NULL);
        event.extra = cm_event_extra_keep(&extra, &batch.arena);
        test_add(&batch, event);
        if (batch.count == 4096 || i + 1 == EVENTS) {
            test_put(store, &batch);
            cm_batch_clear(&batch);
        }
    }
    test_commit(store);
    assert_int_equal(test_block_count(directory), 2);
    for (int i = 0; i < 16; i++) {
        test_add(&batch, test_event("ann", 1 + i, "/", "X", NULL));
        test_put(store, &batch);
        test_commit(store);
        cm_batch_clear(&batch);
        cm_sink_close(&store->sink);
        store = test_open(directory);
    }
    cm_sink_close(&store->sink);
    assert_int_equal(number(directory, "SELECT count FROM block ORDER BY first"), FULL);
    assert_int_equal(number(directory, "SELECT keys_derived >> 2 FROM block ORDER BY first"),
                     FULL * EACH);
    assert_int_equal(number(directory, "SELECT sum(count) FROM block"), EVENTS + 16);
    assert_in_range(test_block_count(directory), 2, 4);
    cm_batch_free(&batch);
    test_remove(directory);
}

/* A reader that cannot change the directory, and a writer, which does. */
static void format_1(void **state)
{
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_buf_t expected = commit_each(store, 0, 20, "-");

    (void)state;
    cm_sink_close(&store->sink);
    test_sql(directory, no_column);
    assert_int_equal(chmod(directory, 0500), 0);
    assert_contents(directory, &expected);
    assert_int_equal(chmod(directory, 0700), 0);
    assert_contents(directory, &expected);
    assert_int_equal(number(directory, "PRAGMA user_version"), 1);
    store = test_open(directory);
    assert_int_equal(number(directory, "PRAGMA user_version"), 2);
    assert_contents(directory, &expected);
    cm_buf_t more = commit_each(store, 20, 32, "x");
    cm_buf_add(&expected, more.data, more.len);
    cm_sink_close(&store->sink);
    assert_contents(directory, &expected);
    assert_int_equal(test_block_count(directory), 2); /* some of format 1 are merged with others */
    cm_buf_free(&more);
    cm_buf_free(&expected);
    test_remove(directory);
}

/* The events of a block whose optional fields are damaged are not read as page views. */
static void damaged(void **state)
{
    static const struct {
        const char *sql, *words;
    } cases[] = {
        {"UPDATE block SET extra = x'00' WHERE first = 1", "is damaged: it is too short"},
        {"UPDATE block SET extra = zeroblob(length(extra)) WHERE first = 1",
         "is damaged: its checksum does not match its bytes"},
        {"UPDATE block SET extra = hot WHERE first = 1", "is damaged: its format is not known"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *directory = test_directory();
        cm_store_t *store = test_open(directory);
        cm_buf_t dump = CM_BUF_INIT, expected = commit_each(store, 0, 3, "x");
        cm_reader_t *reader;
        cm_err_t err;
        cm_sink_close(&store->sink);
        test_sql(directory, cases[i].sql);
        assert_ok(cm_store_embedded_open_reader(directory, &reader, &err), err);
        assert_int_equal(test_dump(reader, &dump, &err), CM_ECORRUPT);
        assert_non_null(strstr(err.text, "the block of events 1 to 1 in "));
        assert_non_null(strstr(err.text, cases[i].words));
        cm_reader_close(reader);
        cm_buf_free(&dump);
        cm_buf_free(&expected);
        test_remove(directory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept_by_commits), cmocka_unit_test(merged),
        cmocka_unit_test(full_of_strings), cmocka_unit_test(format_1),
        cmocka_unit_test(damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
