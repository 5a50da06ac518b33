/* Reading all of the table: as batches, or for the mill. */
#include "store/cassandra/internal.h"
#include "store/memory.h"

#include <stdio.h>
#include <stdlib.h>

enum { RUN_MS = 200 };

typedef cm_store_cassandra_t self_t;

typedef struct scan {
    const self_t *self;
    cm_store_page_fn page;
    void *context;
    cm_account_t *account;
    int columns; /* of an event; a row has one more if `end` is requested */
    bool *end;
    cm_batch_t batch;
    cm_err_t *err;
    int rc; /* result of the callback that takes a page */
    bool ended;
    cm_cql_error_t error;
} scan_t;

static void take_row(scan_t *scan, const cm_str_t *cells)
{
    cm_event_t *event = cm_batch_slot(&scan->batch);
    char origin[300];
    cm_err_t why;

    if (cm_store_cassandra_row_read(scan->self->settings, cells, &scan->batch.arena, event, &why) ==
        0) {
        cm_batch_accept(&scan->batch);
        return;
    }
    snprintf(origin, sizeof origin, "%s.%s[%.*s]", scan->self->settings->keyspace,
             scan->self->settings->table, (int)cells[0].len, cells[0].data);
    cm_batch_reject(&scan->batch, cells[0], why.text, origin);
}

static int on_page(void *context, cm_cql_rows_t *rows)
{
    scan_t *scan = context;

    cm_batch_clear(&scan->batch);
    while (rows->column_count == scan->columns + (scan->end != NULL) && cm_cql_next(rows)) {
        take_row(scan, rows->cells);
        if (scan->end != NULL && rows->cells[scan->columns].len > 0)
            *scan->end = true;
    }
    scan->rc = scan->page(scan->context, &scan->batch, scan->err);
    cm_account_add(scan->account, &scan->batch.account);
    return scan->rc;
}

static void on_scanned(void *context, const cm_cql_error_t *error)
{
    scan_t *scan = context;

    if (error != NULL)
        scan->error = *error;
    scan->ended = true;
}

static int run_scan(scan_t *scan, const char *columns, cm_err_t *err)
{
    const self_t *self = scan->self;
    const cm_cql_scan_options_t options = {
        .keyspace = self->settings->keyspace, .table = self->settings->table, .columns = columns};
    cm_cql_scan_t *opened = NULL;

    int rc = cm_cql_scan_open(self->session, &options, on_page, on_scanned, scan, &opened, err);
    cm_cassandra_result(self->session, rc);
    while (rc >= 0 && !scan->ended && !cm_cassandra_stopped(self->settings))
        rc = cm_cassandra_run(self->session, RUN_MS, err);
    cm_cql_scan_close(opened);
    if (rc < 0)
        return rc;
    if (scan->rc < 0)
        return scan->rc;
    if (!scan->ended)
        return cm_fail(err, CM_ESTOP, "stopped before all of the table was read");
    return scan->error.code != CM_CQL_OK
               ? cm_cassandra_fail(self->settings, &scan->error, "reading the table", err)
               : 0;
}

int cm_store_cassandra_scan_ends(cm_store_t *store, cm_store_page_fn page, void *context,
                                 cm_account_t *account, bool *end, cm_err_t *err)
{
    cm_buf_t columns = CM_BUF_INIT;
    const cm_cassandra_settings_t *settings = ((self_t *)store)->settings;
    scan_t scan = {.self = (self_t *)store,
                   .page = page,
                   .context = context,
                   .account = account,
                   .columns = cm_cassandra_column_count(settings),
                   .end = end,
                   .batch = CM_BATCH_INIT,
                   .err = err};

    cm_cassandra_add_columns(&columns, settings);
    cm_buf_add_text(&columns, end != NULL ? ", TTL(user_id)" : "");
    int rc = run_scan(&scan, columns.data, err);
    cm_batch_free(&scan.batch);
    cm_buf_free(&columns);
    return rc;
}

int cm_store_cassandra_scan(cm_store_t *store, cm_store_page_fn page, void *context,
                            cm_account_t *account, cm_err_t *err)
{
    return cm_store_cassandra_scan_ends(store, page, context, account, NULL, err);
}

/* ---- copying into another store ---- */

static int put_page(void *context, const cm_batch_t *batch, cm_err_t *err)
{
    cm_store_t *into = context;
    return cm_sink_put(&into->sink, batch, err);
}

int cm_store_cassandra_load(cm_store_t *store, cm_store_t *into, cm_account_t *account,
                            cm_err_t *err)
{
    int rc = cm_store_cassandra_scan(store, put_page, into, account, err);
    return rc == 0 ? cm_sink_commit(&into->sink, err) : rc;
}

int cm_store_cassandra_load_all(const cm_cassandra_settings_t *settings, cm_store_t *into,
                                cm_account_t *account, cm_err_t *err)
{
    const cm_store_cassandra_options_t options = {.settings = settings, .only_read = true};
    cm_store_t *store;

    int rc = cm_store_cassandra_open(&options, &store, err);
    if (rc < 0)
        return rc;
    rc = cm_store_cassandra_load(store, into, account, err);
    cm_sink_close(&store->sink);
    return rc;
}

/* ---- readers ---- */

/* A reader that passes each call to the reader of the store in memory, and closes that store at its
 * end. */
typedef struct reader {
    cm_reader_t reader; /* first */
    self_t *self;
    cm_reader_t *inner;
} reader_t;

static int reader_blocks(cm_reader_t *reader, const cm_block_ref_t **blocks, size_t *count,
                         cm_err_t *err)
{
    return cm_reader_blocks(((reader_t *)reader)->inner, blocks, count, err);
}

static int reader_read(cm_reader_t *reader, const cm_block_ref_t *block, unsigned parts,
                       cm_columns_t *columns, cm_err_t *err)
{
    return cm_reader_read(((reader_t *)reader)->inner, block, parts, columns, err);
}

static int reader_names(cm_reader_t *reader, cm_field_t field, uint32_t *count, cm_err_t *err)
{
    return cm_reader_string_count(((reader_t *)reader)->inner, field, count, err);
}

static int reader_name(cm_reader_t *reader, cm_field_t field, uint32_t id, cm_str_t *text,
                       cm_err_t *err)
{
    return cm_reader_string(((reader_t *)reader)->inner, field, id, text, err);
}

static void release(self_t *self)
{
    if (self->readers > 0 || self->memory == NULL)
        return;
    cm_sink_close(&self->memory->sink);
    self->memory = NULL;
}

static void reader_close(cm_reader_t *reader)
{
    reader_t *opened = (reader_t *)reader;

    cm_reader_close(opened->inner);
    opened->self->readers--;
    release(opened->self);
    free(opened);
}

int cm_store_cassandra_reader(cm_store_t *store, cm_reader_t **reader, cm_err_t *err)
{
    static const cm_reader_ops_t ops = {reader_blocks, reader_read, reader_names, reader_name,
                                        reader_close};
    self_t *self = (self_t *)store;
    cm_account_t account = {0};
    cm_reader_t *inner;
    int rc = 0;

    if (self->memory == NULL) {
        self->memory = cm_memory_new();
        rc = cm_store_cassandra_load(store, self->memory, &account, err);
    }
    if (rc == 0)
        rc = cm_store_reader(self->memory, &inner, err);
    if (rc < 0) {
        release(self);
        return rc;
    }
    reader_t *opened = cm_alloc_zero(1, sizeof *opened);
    *opened = (reader_t){{&ops}, self, inner};
    self->readers++;
    *reader = &opened->reader;
    return 0;
}
