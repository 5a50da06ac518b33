/* Two writers where the locks should have kept one out, and files that go while they are in use. */
#include "store_support.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SQLITE_SHARED_BYTE = 0x40000002 };

static const char *const endings[] = {"", "-wal", "-shm"};

static cm_store_t *open_with_event(const char *directory)
{
    cm_store_t *store = test_open(directory);
    cm_batch_t batch = CM_BATCH_INIT;

    test_add(&batch, test_event("ann", 1000, "/a", "Chile", NULL));
    test_put(store, &batch);
    test_commit(store);
    cm_batch_free(&batch);
    return store;
}

static int put_and_commit(cm_store_t *store, cm_err_t *err)
{
    cm_batch_t batch = CM_BATCH_INIT;

    test_add(&batch, test_event("bob", 2000, "/b", "Norway", NULL));
    int rc = cm_sink_put(&store->sink, &batch, err);
    if (rc == 0)
        rc = cm_sink_commit(&store->sink, err);
    cm_batch_free(&batch);
    return rc;
}

static void path_in(char path[300], const char *directory, const char *name, const char *ending)
{
    snprintf(path, 300, "%s/%s%s", directory, name, ending);
}

/* Whether this process has SQLite's lock on the database, as others see it. */
static bool holds_sqlite_lock(const char *path)
{
    const pid_t parent = getpid();
    int status;

    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct flock lock = {
            .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = SQLITE_SHARED_BYTE, .l_len = 1};
        int fd = open(path, O_RDWR);
        int rc = fcntl(fd, F_GETLK, &lock);
        _exit(rc == 0 && lock.l_type != F_UNLCK && lock.l_pid == parent ? 1 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WEXITSTATUS(status) == 1;
}

static void lock_file_deleted(void **state)
{
    char *directory = test_directory();
    cm_store_t *store = open_with_event(directory), *second;
    char path[300], lock[300];
    cm_reader_t *reader;
    cm_err_t err;

    (void)state;
    path_in(path, directory, "clickmill.db", "");
    path_in(lock, directory, "lock", "");
    for (int round = 0; round < 2; round++) {
        assert_int_equal(unlink(lock), 0);
        assert_int_equal(cm_store_embedded_open(directory, NULL, &second, &err), CM_EBUSY);
        assert_non_null(strstr(err.text, "which the file `lock` beside it does not name; stop"));
        assert_non_null(strstr(err.text, path));
        /* Neither that nor a reader that goes has cost this process its locks. */
        assert_ok(cm_store_embedded_open_reader(directory, &reader, &err), err);
        cm_reader_close(reader);
        assert_true(holds_sqlite_lock(path));
        assert_ok(put_and_commit(store, &err), err);
    }
    /* Also the reader's locks stay when the writer goes. */
    assert_ok(cm_store_embedded_open_reader(directory, &reader, &err), err);
    cm_sink_close(&store->sink);
    assert_true(holds_sqlite_lock(path));
    store = test_open(directory); /* the lock has gone with its holder */
    assert_int_equal(cm_store_embedded_events(store), 3);
    cm_reader_close(reader);
    cm_sink_close(&store->sink);
    assert_false(holds_sqlite_lock(path));
    test_remove(directory);
}

static void files_go(void **state)
{
    char *directory = test_directory();
    cm_store_t *store = open_with_event(directory);
    char path[300], away[300];
    cm_err_t err;

    (void)state;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        path_in(path, directory, "clickmill.db", endings[i]);
        path_in(away, directory, "away", endings[i]);
        assert_int_equal(rename(path, away), 0);
        assert_int_equal(put_and_commit(store, &err), CM_EIO);
        assert_non_null(strstr(err.text, "was deleted, moved or replaced while it was in use"));
        assert_non_null(strstr(err.text, path));
        assert_int_equal(cm_sink_commit(&store->sink, &err), CM_EIO); /* with nothing to commit */
        int fd = open(path, O_CREAT | O_WRONLY, 0600);
        assert_true(fd >= 0);
        close(fd);
        assert_int_equal(put_and_commit(store, &err), CM_EIO); /* it is another file */
        assert_int_equal(rename(away, path), 0);
        assert_ok(put_and_commit(store, &err), err);
        assert_int_equal(cm_store_embedded_events(store), 2 + (int64_t)i);
    }
    snprintf(away, sizeof away, "%s-away", directory);
    assert_int_equal(rename(directory, away), 0);
    assert_int_equal(put_and_commit(store, &err), CM_EIO);
    assert_int_equal(mkdir(directory, 0700), 0);
    assert_int_equal(put_and_commit(store, &err), CM_EIO);
    assert_int_equal(rename(away, directory), 0); /* over the empty one */
    assert_ok(put_and_commit(store, &err), err);
    assert_int_equal(cm_store_embedded_events(store), 5);
    cm_sink_close(&store->sink);
    test_remove(directory);
}

/* What an older version would write, which knows of no lock but the file beside. */
static void tables_grow(void **state)
{
    static const char *const others[] = {
        "INSERT INTO block SELECT first + count, count, time_min, time_max, keys_derived, hot, "
        "cold, keys, extra FROM block",
        "INSERT INTO dictionary SELECT field, first + count, count, texts FROM dictionary WHERE "
        "field = 6"};
    cm_err_t err;

    (void)state;
    for (int i = 0; i < 2; i++) {
        char *directory = test_directory();
        cm_store_t *store = open_with_event(directory);
        int64_t blocks, segments;

        test_sql(directory, others[i]);
        for (int round = 0; round < 2; round++) {
            assert_int_equal(put_and_commit(store, &err), CM_EBUSY);
            assert_non_null(strstr(err.text, "another process has written to "));
            assert_int_equal(cm_sink_commit(&store->sink, &err), CM_EBUSY); /* of nothing */
        }
        const cm_database_t *database = cm_store_embedded_database(store);
        assert_ok(cm_database_int(database, "SELECT count(*) FROM block", -1, &blocks, &err), err);
        assert_ok(cm_database_int(database, "SELECT count(*) FROM dictionary WHERE field = 6", -1,
                                  &segments, &err),
                  err);
        assert_int_equal(blocks, i == 0 ? 2 : 1);
        assert_int_equal(segments, i == 0 ? 1 : 2);
        cm_sink_close(&store->sink);
        test_remove(directory);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lock_file_deleted),
        cmocka_unit_test(files_go),
        cmocka_unit_test(tables_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
