/* The embedded store: what a commit keeps, what a crash forgets, and in which sentence each thing
 * that can be wrong with a data directory is said. */
#include "store_support.h"

#include "base/clock.h"
#include "store/block.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

/* The optional columns of an event that has none, at the end of its line. */
#define NO_EXTRA ",,,,,,,,,,,,,\n"

static int64_t still(void *self)
{
    return *(int64_t *)self;
}

static int64_t count_of(cm_store_t *store, const char *table)
{
    char sql[100];
    int64_t count = -1;
    cm_err_t err;
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table);
    assert_ok(cm_database_int(cm_store_embedded_database(store), sql, -1, &count, &err), err);
    return count;
}

static int64_t position_of(cm_store_t *store, const char *source)
{
    int64_t position = -7;
    cm_err_t err;
    assert_ok(cm_store_position(store, source, &position, &err), err);
    return position;
}

/* Three kinds of row keys, texts of every length there may be. */
static void three_events(cm_batch_t *batch)
{
    static char url[CM_URL_MAX], text[CM_FIELD_MAX], key[CM_ROW_KEY_MAX];
    memset(url, 'u', sizeof url);
    memset(text, 't', sizeof text);
    memset(key, 'k', sizeof key);
    test_add(batch, test_event("jane_doe", INT64_C(1700000000000), "/", "Norway", NULL));
    cm_event_t event = test_event("j", 1, "/", "Chile", "00112233-4455-6677-8899-aabbccddeeff");
    event.city = CM_STR("Arica");
    test_add(batch, event);
    cm_str_t wide = {text, sizeof text};
    test_add(batch, (cm_event_t){.timestamp = CM_TIME_END - 1,
                                 .user_id = wide,
                                 .url = {url, sizeof url},
                                 .country = wide,
                                 .city = wide,
                                 .browser = wide,
                                 .os = wide,
                                 .device = wide,
                                 .row_key = {key, sizeof key}});
}

static void put_and_reopen(void **state)
{
    char *directory = test_directory();
    char nested[300];
    cm_batch_t batch = CM_BATCH_INIT;
    cm_buf_t expected = CM_BUF_INIT;

    (void)state;
    snprintf(nested, sizeof nested, "%s/not/yet/there/", directory); /* mkdir -p */
    three_events(&batch);
    for (int64_t round = 0; round < 3; round++) {
        cm_store_t *store = test_open(nested);
        assert_int_equal(cm_store_embedded_events(store), round * 3);
        test_put(store, &batch);
        assert_int_equal(cm_store_embedded_pending(store), 3);
        assert_int_equal(cm_store_embedded_events(store), round * 3);
        test_commit(store);
        test_commit(store); /* nothing to do */
        assert_int_equal(cm_store_embedded_pending(store), 0);
        assert_int_equal(cm_store_embedded_events(store), round * 3 + 3);
        cm_sink_close(&store->sink);
        for (int i = 0; i < 3; i++)
            test_expect(&expected, &batch.events[i], round * 3 + i);
        cm_buf_t got = test_contents(nested);
        assert_string_equal(got.data, expected.data);
        cm_buf_free(&got);
    }
    assert_int_equal(test_block_count(nested), 3);
    cm_buf_free(&expected);
    cm_batch_free(&batch);
    test_remove(directory);
}

/* A key that follows from user and time is not stored, and comes out as it was. */
static void derived_keys_cost_nothing(void **state)
{
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_batch_t batch = CM_BATCH_INIT;
    const cm_block_ref_t *blocks;
    cm_reader_t *reader;
    cm_err_t err;
    size_t count;

    (void)state;
    test_add(&batch, test_event("jane_doe", INT64_C(1700000000000), "/", "X",
                                "b1c20bd1-9486-5a96-b0b3-85c52fe6a34f"));
    test_put(store, &batch);
    test_commit(store);
    /* The same in upper case is another key: keys are compared as texts. */
    batch.events[0].row_key = CM_STR("B1C20BD1-9486-5A96-B0B3-85C52FE6A34F");
    test_put(store, &batch);
    test_commit(store);
    assert_ok(cm_store_reader(store, &reader, &err), err);
    assert_ok(cm_reader_blocks(reader, &blocks, &count, &err), err);
    assert_int_equal(count, 2);
    assert_true(blocks[0].all_keys_derived);
    assert_false(blocks[1].all_keys_derived);
    cm_buf_t dump = CM_BUF_INIT;
    assert_ok(test_dump(reader, &dump, &err), err);
    assert_non_null(strstr(dump.data, "0:b1c20bd1-9486-5a96-b0b3-85c52fe6a34f,jane_doe,"));
    assert_non_null(strstr(dump.data, "1:B1C20BD1-9486-5A96-B0B3-85C52FE6A34F,jane_doe,"));
    cm_buf_free(&dump);
    cm_reader_close(reader);
    cm_sink_close(&store->sink);
    cm_batch_free(&batch);
    test_remove(directory);
}

/* Blocks that were built apart are the same as those of put(); a builder may be used again. */
static void built_elsewhere(void **state)
{
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_batch_t batch = CM_BATCH_INIT, rest = CM_BATCH_INIT;
    cm_builder_t builders[2];
    cm_buf_t expected = CM_BUF_INIT;
    cm_err_t err;

    (void)state;
    builders[0] = builders[1] = CM_BUILDER_INIT;
    three_events(&batch);
    for (int64_t round = 0; round < 4; round++) {
        cm_builder_t *builder = &builders[round % 2];
        cm_builder_clear(builder);
        for (int i = 0; i < 3; i++) {
            cm_event_t event = batch.events[(round + i) % 3];
            event.city = round < 2 ? event.url : event.user_id;
            event.city.len = event.city.len > CM_FIELD_MAX ? CM_FIELD_MAX : event.city.len;
            test_expect(&expected, &event, round * 4 + i);
            cm_builder_add(builder, &event, 1);
        }
        assert_ok(cm_store_resolve(store, builder, &err), err);
        cm_builder_encode(builder);
        assert_false(builder->all_keys_derived);
        test_mark(&rest, "s", round + 1);
        assert_ok(cm_store_append(store, builder, &rest, &err), err);
        assert_int_equal(cm_store_embedded_pending(store), 3);
        test_commit(store);
        batch.count = 1;
        test_put(store, &batch);
        test_commit(store);
        batch.count = 3;
        test_expect(&expected, &batch.events[0], round * 4 + 3);
    }
    assert_int_equal(position_of(store, "s"), 4);
    cm_sink_close(&store->sink);
    cm_buf_t got = test_contents(directory);
    assert_string_equal(got.data, expected.data);
    cm_buf_free(&got);
    cm_buf_free(&expected);
    cm_builder_free(&builders[0]);
    cm_builder_free(&builders[1]);
    cm_batch_free(&batch);
    cm_batch_free(&rest);
    test_remove(directory);
}

static void uncommitted_is_lost(void **state)
{
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_batch_t batch = CM_BATCH_INIT;

    (void)state;
    three_events(&batch);
    test_mark(&batch, "log", 10);
    cm_batch_reject(&batch, CM_STR("bad"), "because", "log:1");
    test_put(store, &batch);
    test_commit(store);
    test_mark(&batch, "log", 20);
    for (size_t i = 0; i < batch.count; i++)
        batch.events[i].city = CM_STR("a text that only the lost events have");
    test_put(store, &batch);
    cm_sink_close(&store->sink);
    store = test_open(directory);
    assert_int_equal(cm_store_embedded_events(store), 3);
    assert_int_equal(position_of(store, "log"), 10);
    assert_int_equal(count_of(store, "dead"), 1);
    assert_int_equal(count_of(store, "dictionary WHERE field = 3"), 1);
    cm_sink_close(&store->sink);
    cm_batch_free(&batch);
    test_remove(directory);
}

static void positions(void **state)
{
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_batch_t batch = CM_BATCH_INIT;

    (void)state;
    assert_int_equal(position_of(store, "a"), 0);
    test_mark(&batch, "a'; DROP TABLE source; --", INT64_MAX);
    test_put(store, &batch);
    assert_int_equal(cm_store_embedded_pending(store), 0);
    test_commit(store); /* a position alone is worth a commit */
    test_mark(&batch, "b", 5);
    test_put(store, &batch);
    test_mark(&batch, "b", 6);
    cm_batch_mark(&batch, CM_STR("kafka:g/t[0]"), 1); /* several in one commit */
    cm_batch_mark(&batch, CM_STR("kafka:g/t[1]"), 2);
    test_put(store, &batch);
    test_commit(store);
    cm_sink_close(&store->sink);
    store = test_open(directory);
    assert_int_equal(position_of(store, "a'; DROP TABLE source; --"), INT64_MAX);
    assert_int_equal(position_of(store, "b"), 6);
    assert_int_equal(position_of(store, "kafka:g/t[0]"), 1);
    assert_int_equal(position_of(store, "kafka:g/t[1]"), 2);
    test_mark(&batch, "b", -1); /* complete: forgotten */
    test_put(store, &batch);
    test_commit(store);
    assert_int_equal(position_of(store, "b"), 0);
    assert_int_equal(count_of(store, "source"), 3);
    test_mark(&batch, "", 9);
    test_put(store, &batch);
    test_commit(store);
    assert_int_equal(count_of(store, "source"), 3);
    cm_sink_close(&store->sink);
    cm_batch_free(&batch);
    test_remove(directory);
}

static void dead_letters(void **state)
{
    char *directory = test_directory();
    int64_t now = 1234567;
    const cm_clock_t clock = {still, &now};
    cm_store_t *store;
    cm_batch_t batch = CM_BATCH_INIT;
    sqlite3_stmt *select;
    cm_err_t err;

    (void)state;
    assert_ok(cm_store_embedded_open(directory, &clock, &store, &err), err);
    cm_batch_reject(&batch, CM_STR("by\0tes \xFF"), "not valid", "log:7");
    cm_batch_reject(&batch, (cm_str_t){NULL, 0}, "", "");
    test_put(store, &batch);
    test_commit(store);
    assert_ok(cm_database_prepare(cm_store_embedded_database(store),
                                  "SELECT id, time, origin, reason, payload FROM dead ORDER BY id",
                                  &select, &err),
              err);
    assert_int_equal(sqlite3_step(select), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int64(select, 0), 1);
    assert_int_equal(sqlite3_column_int64(select, 1), 1234567);
    assert_string_equal((const char *)sqlite3_column_text(select, 2), "log:7");
    assert_string_equal((const char *)sqlite3_column_text(select, 3), "not valid");
    assert_int_equal(sqlite3_column_bytes(select, 4), 8);
    assert_memory_equal(sqlite3_column_blob(select, 4), "by\0tes \xFF", 8);
    assert_int_equal(sqlite3_step(select), SQLITE_ROW);
    assert_int_equal(sqlite3_column_bytes(select, 4), 0);
    assert_int_equal(sqlite3_step(select), SQLITE_DONE);
    sqlite3_finalize(select);

    /* Forgetting one belongs to the transaction of what replaces it. */
    assert_ok(cm_store_forget_letter(store, 1, &err), err);
    assert_ok(cm_store_embedded_rollback(store, &err), err);
    assert_int_equal(count_of(store, "dead"), 2);
    assert_ok(cm_store_forget_letter(store, 1, &err), err);
    test_commit(store);
    assert_int_equal(count_of(store, "dead"), 1);
    cm_batch_clear(&batch);
    cm_batch_reject(&batch, CM_STR("x"), "y", "z");
    test_put(store, &batch);
    test_commit(store);
    assert_int_equal(count_of(store, "dead WHERE id = 3"), 1); /* an id is never used again */
    cm_sink_close(&store->sink);
    cm_batch_free(&batch);
    test_remove(directory);
}

/* For the writer and for a process beside it. */
static void sites(void **state)
{
    char *directory = test_directory();
    cm_store_t *store = test_open(directory), *beside;
    cm_buf_t hosts = CM_BUF_INIT;
    cm_err_t err;

    (void)state;
    assert_ok(cm_store_sites(store, &hosts, &err), err);
    assert_int_equal(hosts.len, 0);
    assert_ok(cm_store_add_site(store, "www.shop.example", &err), err);
    assert_ok(cm_store_add_site(store, "a.example", &err), err);
    assert_ok(cm_store_add_site(store, "a.example", &err), err);
    assert_ok(cm_store_sites(store, &hosts, &err), err);
    assert_string_equal(hosts.data, "a.example,www.shop.example");
    cm_buf_clear(&hosts);
    assert_ok(cm_store_embedded_open_read(directory, &beside, &err), err);
    assert_ok(cm_store_sites(beside, &hosts, &err), err);
    assert_string_equal(hosts.data, "a.example,www.shop.example");
    cm_store_close(beside);
    cm_store_close(store);
    cm_buf_free(&hosts);
    test_remove(directory);
}

static void secret_is_stable(void **state)
{
    char *directory = test_directory(), *other = test_directory();
    uint8_t first[32] = {0}, again[32] = {0}, elsewhere[32] = {0};
    static const uint8_t zeros[32];
    cm_err_t err;

    (void)state;
    cm_store_t *store = test_open(directory);
    assert_ok(cm_store_secret(store, first, &err), err);
    cm_sink_close(&store->sink);
    store = test_open(directory);
    assert_ok(cm_store_secret(store, again, &err), err);
    cm_sink_close(&store->sink);
    store = test_open(other);
    assert_ok(cm_store_secret(store, elsewhere, &err), err);
    cm_sink_close(&store->sink);
    assert_memory_equal(first, again, 32);
    assert_memory_not_equal(first, zeros, 32);
    assert_memory_not_equal(first, elsewhere, 32);
    test_remove(directory);
    test_remove(other);
}

static void rollback(void **state)
{
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    (void)state;
    assert_ok(cm_store_embedded_rollback(store, &err), err); /* nothing to take back */
    test_add(&batch, test_event("kept", 1, "/kept", "X", "key 1"));
    test_put(store, &batch);
    test_commit(store);
    batch.events[0] = test_event("gone", 2, "/gone", "Y", "key 2");
    test_mark(&batch, "s", 3);
    test_put(store, &batch);
    assert_ok(cm_store_embedded_rollback(store, &err), err);
    assert_int_equal(cm_store_embedded_pending(store), 0);
    test_commit(store);
    batch.position_count = 0;
    batch.events[0] = test_event("next", 3, "/next", "X", "key 3");
    test_put(store, &batch);
    test_commit(store);
    assert_int_equal(cm_store_embedded_events(store), 2);
    assert_int_equal(position_of(store, "s"), 0);
    assert_int_equal(count_of(store, "dictionary WHERE field = 1 AND first + count = 2"), 1);
    cm_sink_close(&store->sink);
    cm_buf_t got = test_contents(directory);
    assert_string_equal(got.data,
                        "0:key 1,kept,1,/kept,X,Unknown,Unknown,Unknown,Unknown" NO_EXTRA
                        "1:key 3,next,3,/next,X,Unknown,Unknown,Unknown,Unknown" NO_EXTRA);
    cm_buf_free(&got);
    cm_batch_free(&batch);
    test_remove(directory);
}

/* SQLite rolls back by itself when the disk is full; what follows must not leave a hole. */
static void full_disk(void **state)
{
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_database_t *database = cm_store_embedded_database(store);
    int64_t pages, ignored;
    uint64_t random = 4;
    char key[40], sql[60];
    cm_err_t err = {0};
    int rc = 0;

    (void)state;
    test_add(&batch, test_event("u", 1, "/", "X", NULL));
    test_put(store, &batch);
    test_commit(store);
    assert_ok(cm_database_int(database, "PRAGMA page_count", 0, &pages, &err), err);
    snprintf(sql, sizeof sql, "PRAGMA max_page_count = %lld", (long long)pages + 2);
    assert_ok(cm_database_int(database, sql, 0, &ignored, &err), err);
    cm_batch_clear(&batch);
    for (int i = 0; i < 4096; i++) {
        int len = snprintf(key, sizeof key, "%016llx%016llx", (long long)test_random(&random),
                           (long long)test_random(&random));
        cm_event_t event = test_event("u", 2 + i, "/", "X", NULL);
        event.row_key = cm_arena_copy(&batch.arena, (cm_str_t){key, (size_t)len});
        test_add(&batch, event);
        cm_batch_reject(&batch, CM_STR("bad"), "because", "log:1");
    }
    test_mark(&batch, "s", 3);
    for (int i = 0; rc == 0 && i < 100; i++) {
        rc = cm_sink_put(&store->sink, &batch, &err);
        if (rc == 0)
            rc = cm_sink_commit(&store->sink, &err);
    }
    assert_int_equal(rc, CM_EIO);
    assert_non_null(strstr(err.text, "no space left for "));
    assert_int_equal(cm_store_embedded_pending(store), 0);
    assert_int_equal(cm_store_embedded_events(store), 1);
    test_commit(store); /* as a pipeline does on its way out */
    assert_ok(cm_database_int(database, "PRAGMA max_page_count = 1000000", 0, &ignored, &err), err);
    test_put(store, &batch);
    test_commit(store);
    assert_int_equal(cm_store_embedded_events(store), 1 + 4096);
    assert_int_equal(count_of(store, "dead"), 4096);
    cm_sink_close(&store->sink);
    store = test_open(directory);
    assert_int_equal(cm_store_embedded_events(store), 1 + 4096);
    assert_int_equal(position_of(store, "s"), 3);
    cm_sink_close(&store->sink);
    cm_batch_free(&batch);
    test_remove(directory);
}

/* In another process, because that is the case that matters. */
static void second_writer(void **state)
{
    char *directory = test_directory();
    cm_store_t *store = test_open(directory), *second;
    char expected[100];
    cm_reader_t *reader;
    cm_err_t err;
    int status;

    (void)state;
    snprintf(expected, sizeof expected, "is in use by process %ld; stop it", (long)getpid());
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        int rc = cm_store_embedded_open(directory, NULL, &second, &err);
        _exit(rc != CM_EBUSY ? 1 : strstr(err.text, expected) == NULL ? 2 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(cm_store_embedded_open(directory, NULL, &second, &err), CM_EBUSY);
    assert_non_null(strstr(err.text, expected));
    assert_non_null(strstr(err.text, directory));
    assert_ok(cm_store_embedded_open_reader(directory, &reader, &err),
              err); /* readers are welcome */
    cm_reader_close(reader);
    cm_sink_close(&store->sink);
    store = test_open(directory); /* and the lock goes with its holder */
    cm_sink_close(&store->sink);
    test_remove(directory);
}

static void assert_no_open(const char *directory, int code, const char *words)
{
    cm_store_t *store;
    cm_reader_t *reader;
    cm_err_t err;

    assert_int_equal(cm_store_embedded_open(directory, NULL, &store, &err), code);
    if (strstr(err.text, words) == NULL || strstr(err.text, directory) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    assert_int_equal(cm_store_embedded_open_reader(directory, &reader, &err), code);
    if (strstr(err.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
}

static void wrong_databases(void **state)
{
    char *directory = test_directory();
    char path[300], bytes[200] = "SQLite format 2";
    cm_reader_t *reader;
    cm_err_t err;

    (void)state;
    assert_int_equal(cm_store_embedded_open_reader(directory, &reader, &err), CM_EINPUT);
    assert_non_null(strstr(err.text, "there are no events in "));

    snprintf(path, sizeof path, "%s/clickmill.db", directory);
    test_sql(directory, "CREATE TABLE recipe (name TEXT)");
    assert_no_open(directory, CM_ECORRUPT, "is a database of some other program");
    int fd = open(path, O_RDONLY);
    assert_int_equal(pread(fd, bytes, sizeof bytes, 0), sizeof bytes);
    assert_int_equal(bytes[18], 1); /* not a byte was changed: not even to WAL mode */
    close(fd);
    unlink(path);

    memset(bytes, 'x', sizeof bytes);
    fd = open(path, O_WRONLY | O_CREAT, 0666);
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    close(fd);
    assert_no_open(directory, CM_ECORRUPT, "is damaged or not a Clickmill database");
    unlink(path);

    cm_store_t *store = test_open(directory);
    cm_sink_close(&store->sink);
    test_sql(directory, "PRAGMA user_version = 3");
    assert_no_open(directory, CM_EVERSION, "was written by a newer Clickmill (format 3, ");
    test_remove(directory);
}

static void wrong_directories(void **state)
{
    char *directory = test_directory();
    char path[300];
    cm_store_t *store;
    cm_err_t err;

    (void)state;
    assert_int_equal(cm_store_embedded_open("", NULL, &store, &err), CM_EUSAGE);
    snprintf(path, sizeof path, "%s/file", directory);
    close(open(path, O_WRONLY | O_CREAT, 0666));
    assert_int_equal(cm_store_embedded_open(path, NULL, &store, &err), CM_EIO);
    assert_non_null(strstr(err.text, path));
    assert_non_null(strstr(err.text, "--data"));
    snprintf(path, sizeof path, "%s/file/below", directory);
    assert_int_equal(cm_store_embedded_open(path, NULL, &store, &err), CM_EIO);
    assert_non_null(strstr(err.text, path));
    test_remove(directory);
}

/* A store with two blocks, 0..2 and 3..5. */
static char *two_blocks(void)
{
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_batch_t batch = CM_BATCH_INIT;

    three_events(&batch);
    test_put(store, &batch);
    test_commit(store);
    test_put(store, &batch);
    test_commit(store);
    cm_sink_close(&store->sink);
    cm_batch_free(&batch);
    return directory;
}

/* Damages a store of two blocks by SQL; the dump must fail in these words. */
static void assert_damage(const char *sql, const char *words)
{
    char *directory = two_blocks();
    cm_reader_t *reader;
    cm_buf_t dump = CM_BUF_INIT;
    cm_err_t err = {0};

    test_sql(directory, sql);
    int rc = cm_store_embedded_open_reader(directory, &reader, &err);
    if (rc == 0) {
        rc = test_dump(reader, &dump, &err);
        cm_reader_close(reader);
    }
    assert_int_equal(rc, CM_ECORRUPT);
    if (strstr(err.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    assert_non_null(strstr(err.text, directory));
    assert_non_null(strstr(err.text, "restore the file from a copy"));
    cm_buf_free(&dump);
    test_remove(directory);
}

static void damaged_rows(void **state)
{
    static const char *const parts[] = {"hot", "cold", "keys"};
    char sql[200];

    (void)state;
    for (int i = 0; i < 3; i++) {
        snprintf(sql, sizeof sql,
                 "UPDATE block SET %s = CAST(substr(%s, 1, 12) || x'55' || substr(%s, 14) AS BLOB) "
                 "WHERE first = 3",
                 parts[i], parts[i], parts[i]);
        assert_damage(sql, "the block of events 3 to 5 in ");
        snprintf(sql, sizeof sql, "UPDATE block SET %s = x'' WHERE first = 0", parts[i]);
        assert_damage(sql, "the block of events 0 to 2 in ");
    }
    assert_damage("DELETE FROM block WHERE first = 0", "event 0 is missing in ");
    assert_damage("UPDATE block SET first = 4 WHERE first = 3", "event 3 is missing in ");
    assert_damage("UPDATE block SET count = 0 WHERE first = 3", "event 3 is missing in ");
    assert_damage("UPDATE block SET count = -3 WHERE first = 3", "event 3 is missing in ");
    assert_damage("UPDATE block SET count = 4294967299 WHERE first = 3", "event 3 is missing in ");
    assert_damage("UPDATE block SET count = 2000000000 WHERE first = 3", "event 3 is missing in ");
    assert_damage("UPDATE block SET count = 2 WHERE first = 3", "the block of events 3 to 4 in ");
    assert_damage("UPDATE dictionary SET texts = x'00' WHERE field = 1",
                  "text 0 of dictionary 1 in ");
    assert_damage("UPDATE dictionary SET count = 1 WHERE field = 0",
                  "the block of events 0 to 2 in ");
    assert_damage("UPDATE dictionary SET count = 100 WHERE field = 0",
                  "text 0 of dictionary 0 in ");
    assert_damage("UPDATE dictionary SET first = -1 WHERE field = 0",
                  "the block of events 0 to 2 in ");
    assert_damage("UPDATE dictionary SET first = -1, count = 4 WHERE field = 0",
                  "text 0 of dictionary 0 in ");
    assert_damage("UPDATE dictionary SET first = 1 WHERE field = 0", "text 0 of dictionary 0 in ");
    assert_damage("DELETE FROM dictionary WHERE field = 2", "the block of events 0 to 2 in ");
}

/* The writer looks at the blocks when it opens and at the dictionaries before it adds to them; it
 * says the same when it is asked again. */
static void damaged_for_the_writer(void **state)
{
    static const struct {
        const char *sql, *words;
    } cases[] = {
        {"UPDATE dictionary SET texts = x'00' WHERE field = 1", "texts 0 of dictionary 1 in "},
        {"UPDATE dictionary SET count = 7 WHERE field = 1", "texts 0 of dictionary 1 in "},
        {"UPDATE dictionary SET first = 7 WHERE field = 1", "dictionary text 0 is missing in "},
        {"UPDATE dictionary SET field = 99 WHERE field = 1", "texts 0 of dictionary 99 in "},
        {"UPDATE block SET count = 0 WHERE first = 3", "event 3 is missing in "},
        {"DELETE FROM block WHERE first = 0", "event 0 is missing in "}};
    cm_batch_t batch = CM_BATCH_INIT;
    cm_store_t *store;
    cm_err_t err;

    (void)state;
    three_events(&batch);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *directory = two_blocks();
        test_sql(directory, cases[i].sql);
        for (int again = 0; again < 2; again++) {
            store = NULL;
            int rc = cm_store_embedded_open(directory, NULL, &store, &err);
            for (int k = 0; store != NULL && k < 2; k++) {
                assert_ok(cm_sink_put(&store->sink, &batch, &err), err);
                rc = cm_sink_commit(&store->sink, &err);
                assert_int_equal(cm_store_embedded_pending(store), 0);
                assert_int_equal(cm_store_embedded_events(store), 6);
            }
            assert_int_equal(rc, CM_ECORRUPT);
            if (strstr(err.text, cases[i].words) == NULL)
                fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].words);
            if (store != NULL)
                cm_sink_close(&store->sink);
        }
        test_remove(directory);
    }
    cm_batch_free(&batch);
}

/* A reader keeps seeing what was there when it was opened. */
static void snapshot(void **state)
{
    char *directory = test_directory();
    cm_store_t *store = test_open(directory);
    cm_batch_t batch = CM_BATCH_INIT;
    cm_buf_t before = CM_BUF_INIT, after = CM_BUF_INIT;
    cm_reader_t *reader;
    cm_err_t err;

    (void)state;
    three_events(&batch);
    test_put(store, &batch);
    test_commit(store);
    assert_ok(cm_store_reader(store, &reader, &err), err);
    assert_ok(test_dump(reader, &before, &err), err);
    for (int i = 0; i < 40; i++) { /* merges come along */
        test_put(store, &batch);
        test_commit(store);
    }
    assert_ok(test_dump(reader, &after, &err), err);
    assert_string_equal(before.data, after.data);
    cm_str_t text;
    assert_int_equal(cm_reader_string(reader, CM_USER, 3, &text, &err), CM_EINTERNAL);
    cm_reader_close(reader);
    cm_sink_close(&store->sink);
    cm_buf_free(&before);
    cm_buf_free(&after);
    cm_batch_free(&batch);
    test_remove(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(put_and_reopen),   cmocka_unit_test(derived_keys_cost_nothing),
        cmocka_unit_test(built_elsewhere),  cmocka_unit_test(uncommitted_is_lost),
        cmocka_unit_test(positions),        cmocka_unit_test(dead_letters),
        cmocka_unit_test(secret_is_stable), cmocka_unit_test(rollback),
        cmocka_unit_test(full_disk),        cmocka_unit_test(second_writer),
        cmocka_unit_test(wrong_databases),  cmocka_unit_test(wrong_directories),
        cmocka_unit_test(damaged_rows),     cmocka_unit_test(damaged_for_the_writer),
        cmocka_unit_test(snapshot),         cmocka_unit_test(sites),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
