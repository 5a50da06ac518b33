/* Answers of a store in memory are, byte for byte, those of the embedded store: row keys are kept
 * as they come there, and copies are copies all the same. */
#include "load_support.h"
#include "mill_reference.h"

#include "index/embedded/embedded.h"
#include "index/embedded/refresh.h"
#include "index/store_query.h"
#include "store/memory.h"

#include <ctype.h>

static int memory_resolve(void *context, cm_builder_t *builder, cm_err_t *err)
{
    return cm_store_resolve(context, builder, err);
}

static int memory_append(void *context, cm_builder_t *builder, const cm_batch_t *rest,
                         cm_err_t *err)
{
    (void)rest;
    return cm_store_append(context, builder, NULL, err);
}

/* The answers of a store in memory, as `import --to-answers` prints them; closes the store. */
static cm_buf_t answers_of(cm_store_t *store, int64_t memory, int threads)
{
    const cm_index_store_query_t options = {
        .session_timeout = 1800000, .memory = memory, .threads = threads};
    cm_buf_t csv = CM_BUF_INIT;
    cm_err_t err;

    cm_buf_add(&csv, "", 0);
    assert_ok(cm_index_query_store(store, &options, ref_take_csv, &csv, &err), err);
    cm_sink_close(&store->sink);
    return csv;
}

/* The same from the embedded store: put, refreshed and queried. */
static cm_buf_t embedded_answers(const cm_batch_t *batch)
{
    const cm_index_refresh_options_t options = {
        .windows = 1u << CM_WINDOW_ALL, .session_timeout = 1800000, .threads = 2};
    const cm_index_query_t query = {.window = CM_WINDOW_ALL};
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_buf_t csv = CM_BUF_INIT;
    cm_index_refreshed_t refreshed;
    cm_index_t *index;
    cm_err_t err;

    cm_buf_add(&csv, "", 0);
    test_put(store, batch);
    test_commit(store);
    assert_ok(cm_index_refresh(store, &options, &refreshed, &err), err);
    cm_sink_close(&store->sink);
    assert_ok(cm_index_embedded_open(directory, &index, &err), err);
    assert_ok(cm_index_query(index, &query, ref_take_csv, &csv, &err), err);
    cm_index_close(index);
    test_remove(directory);
    return csv;
}

static cm_store_t *put_into_memory(const cm_batch_t *batch, bool blocks_of_one)
{
    cm_store_t *store = cm_memory_new();
    for (size_t i = 0; blocks_of_one && i < batch->count; i++) {
        const cm_batch_t one = {.events = &batch->events[i], .count = 1};
        test_put(store, &one);
        test_commit(store);
    }
    if (!blocks_of_one)
        test_put(store, batch);
    test_commit(store);
    return store;
}

static void add_line(cm_buf_t *text, const cm_event_t *event)
{
    cm_buf_add_text(text, "{\"url\":");
    cm_buf_add_json(text, event->url);
    cm_buf_add_text(text, ",\"user_id\":");
    cm_buf_add_json(text, event->user_id);
    cm_buf_printf(text, ",\"timestamp\":%lld,\"country\":", (long long)event->timestamp);
    cm_buf_add_json(text, event->country);
    if (event->row_key.len > 0) {
        cm_buf_add_text(text, ",\"row_key\":");
        cm_buf_add_json(text, event->row_key);
    }
    cm_event_extra_add_json(text, event->extra);
    cm_buf_add_text(text, "}\n");
}

/* Loads the events as JSON lines, a block for some of them; `frugal` may be NULL. */
static void load_more(cm_store_t *store, const cm_batch_t *batch, size_t region, int threads,
                      atomic_bool *frugal)
{
    const cm_load_target_t target = {.context = store,
                                     .resolve = memory_resolve,
                                     .append = memory_append,
                                     .answers_only = true,
                                     .frugal = frugal};
    char *directory = test_directory();
    cm_buf_t text = CM_BUF_INIT;
    cm_err_t err;

    for (size_t i = 0; i < batch->count; i++)
        add_line(&text, &batch->events[i]);
    char *path = load_write(directory, text.data, text.len);
    const cm_load_options_t options = {.path = path, .region = region, .threads = threads};
    assert_ok(cm_load_jsonl(&options, &target, &err), err);
    cm_buf_free(&text);
    test_remove(directory);
    free(path);
}

static cm_store_t *load_frugally(const cm_batch_t *batch, size_t region, int threads,
                                 atomic_bool *frugal)
{
    cm_store_t *store = cm_memory_new();
    load_more(store, batch, region, threads, frugal);
    return store;
}

static cm_store_t *load_into_memory(const cm_batch_t *batch, size_t region, int threads)
{
    return load_frugally(batch, region, threads, NULL);
}

static void assert_answers(cm_buf_t got, const cm_buf_t *expected, const char *what)
{
    load_assert_bytes(&got, expected->data, expected->len, what);
    cm_buf_free(&got);
}

/* Events with ties of all kinds of keys, and copies, some of which spell out what others leave to
 * be derived. */
static void add_events(cm_batch_t *batch, int users, size_t distinct, size_t copies,
                       uint64_t *random)
{
    ref_event_t *events = malloc((distinct + copies) * sizeof *events);

    for (size_t i = 0; i < distinct; i++)
        events[i] = ref_make(users, i, random);
    for (size_t i = distinct; i < distinct + copies; i++) {
        events[i] = events[test_random(random) % i];
        events[i].derived &= test_random(random) % 2 == 0;
    }
    ref_shuffle(events, distinct + copies, random);
    cm_batch_clear(batch);
    for (size_t i = 0; i < distinct + copies; i++)
        ref_add(batch, &events[i]);
    free(events);
}

static void as_the_embedded_store(void **state)
{
    static const int64_t memories[] = {0, 1, 500, 3000};
    cm_batch_t batch = CM_BATCH_INIT;
    uint64_t random = 5;

    (void)state;
    for (int round = 0; round < 24; round++) {
        int threads = 1 + round % 4;
        int64_t memory = memories[round / 4 % 4];
        add_events(&batch, 1 + round % 5, 1 + test_random(&random) % 300,
                   test_random(&random) % 300, &random);
        cm_buf_t expected = embedded_answers(&batch);
        assert_true(expected.len > 0);
        assert_answers(answers_of(put_into_memory(&batch, false), memory, threads), &expected,
                       "put as one block");
        assert_answers(answers_of(put_into_memory(&batch, true), memory, threads), &expected,
                       "put as a block an event");
        assert_answers(answers_of(load_into_memory(&batch, 0, threads), memory, threads), &expected,
                       "loaded as one block");
        assert_answers(answers_of(load_into_memory(&batch, 300, threads), memory, threads),
                       &expected, "loaded as a block for some events");
        cm_buf_free(&expected);
    }
    cm_batch_free(&batch);
}

/* Row keys of three events of one user and millisecond; how many events they are. */
static void one_key_in_many_forms(void **state)
{
    /* python3 -c 'import uuid; print(uuid.uuid5(uuid.NAMESPACE_DNS, "u_1700000000000"))' */
    static const char *const derived = "26b9f086-2e1e-5e99-9b32-8c61c8e33e58";
    static const struct {
        const char *keys[3];
        const char *answer; /* clicks, users and so on */
    } cases[] = {
        {{NULL, NULL, NULL}, "/,X,1,1,,0,0,,1,1\n"},
        {{"D", NULL, "D"}, "/,X,1,1,,0,0,,1,1\n"},
        {{NULL, "D", NULL}, "/,X,1,1,,0,0,,1,1\n"},
        {{"D", "D", "D"}, "/,X,1,1,,0,0,,1,1\n"},
        {{"U", NULL, "D"}, "/,X,2,1,0.0,0,1,0.0,1,1\n"}, /* upper case is another text */
        {{"U", "k", "D"}, "/,X,3,1,0.0,0,2,0.0,1,1\n"},
        {{"k", "k", NULL}, "/,X,2,1,0.0,0,1,0.0,1,1\n"},
    };
    char upper[CM_UUID_TEXT + 1];

    (void)state;
    for (size_t i = 0; i <= CM_UUID_TEXT; i++)
        upper[i] = (char)toupper(derived[i]);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cm_batch_t batch = CM_BATCH_INIT;
        for (int k = 0; k < 3; k++) {
            const char *key = cases[i].keys[k];
            if (key != NULL && key[0] != 'k')
                key = key[0] == 'D' ? derived : upper;
            test_add(&batch, test_event("u", 1700000000000, "/", "X", key));
        }
        cm_buf_t expected = CM_BUF_INIT;
        cm_buf_add_text(&expected, cases[i].answer);
        assert_answers(embedded_answers(&batch), &expected, "embedded");
        assert_answers(answers_of(put_into_memory(&batch, false), 0, 1), &expected, "one block");
        assert_answers(answers_of(put_into_memory(&batch, true), 0, 2), &expected, "three blocks");
        assert_answers(answers_of(load_into_memory(&batch, 1, 2), 0, 2), &expected, "loaded");
        cm_buf_free(&expected);
        cm_batch_free(&batch);
    }
}

/* Row keys that follow from user and time are dropped once there is no room for them: no answer
 * changes, whatever was kept before. */
static void keys_that_follow_are_dropped(void **state)
{
    cm_batch_t batch = CM_BATCH_INIT;
    uint64_t random = 77;

    (void)state;
    for (int round = 0; round < 12; round++) {
        atomic_bool frugal = true;
        add_events(&batch, 1 + round % 5, 1 + test_random(&random) % 300,
                   test_random(&random) % 300, &random);
        cm_buf_t expected = embedded_answers(&batch);
        assert_answers(answers_of(load_frugally(&batch, 300, 2, &frugal), 0, 2), &expected,
                       "without the keys that follow");
        /* Half of the events before, half of them after. */
        const cm_batch_t before = {.events = batch.events, .count = batch.count / 2};
        const cm_batch_t after = {.events = batch.events + before.count,
                                  .count = batch.count - before.count};
        cm_store_t *store = load_into_memory(&before, 300, 2);
        load_more(store, &after, 300, 2, &frugal);
        assert_answers(answers_of(store, 0, 2), &expected, "with those of the first half");
        cm_buf_free(&expected);
    }
    cm_batch_free(&batch);
}

/* Each event's key spelled out, although it follows: whether a block has to keep them. */
static void frugal_blocks(void **state)
{
    cm_batch_t batch = CM_BATCH_INIT;
    char key[CM_UUID_TEXT + 1] = "";
    uint8_t uuid[16];

    (void)state;
    cm_row_key_derive(CM_STR("u"), 1700000000000, uuid);
    cm_uuid_format(uuid, key);
    test_add(&batch, test_event("u", 1700000000000, "/", "X", key));
    for (int given = 0; given < 2; given++) {
        atomic_bool frugal = given == 1;
        cm_store_t *store = load_frugally(&batch, 0, 1, &frugal);
        const cm_block_ref_t *blocks;
        cm_reader_t *reader;
        size_t count;
        cm_err_t err;
        assert_false(*store->frugal); /* one event is no reason yet */
        assert_ok(cm_store_reader(store, &reader, &err), err);
        assert_ok(cm_reader_blocks(reader, &blocks, &count, &err), err);
        assert_int_equal(count, 1);
        assert_int_equal(blocks[0].all_keys_derived, given);
        cm_reader_close(reader);
        cm_sink_close(&store->sink);
    }
    cm_batch_free(&batch);
}

static void nothing_put(void **state)
{
    const cm_batch_t none = {0};
    cm_store_t *store = cm_memory_new();

    (void)state;
    test_commit(store);
    test_put(store, &none);
    test_commit(store);
    cm_buf_t csv = answers_of(store, 0, 2);
    assert_string_equal(csv.data, "");
    cm_buf_free(&csv);
}

/* A commit with nothing new puts nothing, also when the memory of events before is there. */
static void committed_twice(void **state)
{
    cm_batch_t batch = CM_BATCH_INIT;
    cm_store_t *store = cm_memory_new();
    const cm_block_ref_t *blocks;
    cm_reader_t *reader;
    size_t count;
    cm_err_t err;

    (void)state;
    test_add(&batch, test_event("u", 1, "/", "X", NULL));
    test_put(store, &batch);
    for (int i = 0; i < 3; i++)
        test_commit(store);
    assert_ok(cm_store_reader(store, &reader, &err), err);
    assert_ok(cm_reader_blocks(reader, &blocks, &count, &err), err);
    assert_int_equal(count, 1);
    cm_reader_close(reader);
    cm_buf_t csv = answers_of(store, 0, 1);
    assert_string_equal(csv.data, "/,X,1,1,,0,0,,1,1\n");
    cm_buf_free(&csv);
    cm_batch_free(&batch);
}

static int stop_at_second(void *context, const cm_answer_t *answer)
{
    (void)answer;
    return ++*(int *)context == 2 ? 77 : 0;
}

/* By clicks, then url and country; what the callback returns ends the walk. */
static void order_and_end(void **state)
{
    static const cm_index_store_query_t options = {.session_timeout = 1000, .threads = 1};
    cm_batch_t batch = CM_BATCH_INIT;
    int calls = 0;
    cm_err_t err;

    (void)state;
    test_add(&batch, test_event("u", 1, "/b", "X", NULL));
    test_add(&batch, test_event("v", 2, "/a", "Y", NULL));
    test_add(&batch, test_event("w", 3, "/a", "X", NULL));
    test_add(&batch, test_event("u", 4, "/c", "X", NULL));
    test_add(&batch, test_event("v", 5, "/c", "X", NULL));
    cm_store_t *store = put_into_memory(&batch, false);
    assert_int_equal(cm_index_query_store(store, &options, stop_at_second, &calls, &err), 77);
    assert_int_equal(calls, 2);
    cm_buf_t csv = answers_of(store, 0, 1);
    assert_string_equal(csv.data, "/c,X,2,2,,0,0,,0,2\n"
                                  "/a,X,1,1,,0,0,,1,1\n"
                                  "/a,Y,1,1,0.0,0,1,0.0,1,0\n"
                                  "/b,X,1,1,0.0,0,1,0.0,1,0\n");
    cm_buf_free(&csv);
    cm_batch_free(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_embedded_store), cmocka_unit_test(one_key_in_many_forms),
        cmocka_unit_test(nothing_put),           cmocka_unit_test(committed_twice),
        cmocka_unit_test(order_and_end),         cmocka_unit_test(keys_that_follow_are_dropped),
        cmocka_unit_test(frugal_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
