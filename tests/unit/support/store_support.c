#include "store_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

cm_store_t *test_open(const char *directory)
{
    cm_store_t *store = NULL;
    cm_err_t err;
    assert_ok(cm_store_embedded_open(directory, NULL, &store, &err), err);
    return store;
}

void test_put(cm_store_t *store, const cm_batch_t *batch)
{
    cm_err_t err;
    assert_ok(cm_sink_put(&store->sink, batch, &err), err);
}

void test_commit(cm_store_t *store)
{
    cm_err_t err;
    assert_ok(cm_sink_commit(&store->sink, &err), err);
}

void test_sql(const char *directory, const char *sql)
{
    char path[300];
    char *message = NULL;
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/clickmill.db", directory);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &message) != SQLITE_OK)
        fail_msg("%s: %s", sql, message);
    sqlite3_close(db);
}

int test_dump(cm_reader_t *reader, cm_buf_t *out, cm_err_t *err)
{
    const cm_block_ref_t *blocks;
    cm_columns_t columns = {0};
    size_t count;

    int rc = cm_reader_blocks(reader, &blocks, &count, err);
    for (size_t b = 0; rc == 0 && b < count; b++) {
        rc = cm_reader_read(reader, &blocks[b], CM_READ_ALL, &columns, err);
        for (uint32_t row = 0; rc == 0 && row < columns.count; row++) {
            cm_store_room_t room;
            cm_event_t event;
            rc = cm_store_event_at(reader, &columns, row, &event, &room, err);
            assert_true(columns.keys[row].kind == CM_KEY_DERIVED || !blocks[b].all_keys_derived);
            cm_buf_printf(out, "%lld:", (long long)columns.first + row);
            if (rc == 0)
                cm_event_add_csv(out, &event, (cm_event_csv_t){.extra = true});
        }
    }
    cm_columns_free(&columns);
    return rc;
}

cm_buf_t test_contents(const char *directory)
{
    cm_buf_t out = CM_BUF_INIT;
    cm_reader_t *reader;
    cm_err_t err;

    assert_ok(cm_store_embedded_open_reader(directory, &reader, &err), err);
    assert_ok(test_dump(reader, &out, &err), err);
    cm_reader_close(reader);
    cm_buf_add(&out, NULL, 0);
    return out;
}

void test_expect(cm_buf_t *out, const cm_event_t *event, int64_t ordinal)
{
    cm_buf_printf(out, "%lld:", (long long)ordinal);
    cm_event_add_csv(out, event, (cm_event_csv_t){.extra = true});
}

size_t test_block_count(const char *directory)
{
    const cm_block_ref_t *blocks;
    cm_reader_t *reader;
    cm_err_t err;
    size_t count;

    assert_ok(cm_store_embedded_open_reader(directory, &reader, &err), err);
    assert_ok(cm_reader_blocks(reader, &blocks, &count, &err), err);
    cm_reader_close(reader);
    return count;
}
