#include "store/cassandra/changes.h"

#include "cassandra/settle.h"
#include "store/cassandra/internal.h"

#include <assert.h>
#include <stdlib.h>

enum {
    RUN_MS = 200,
    WRITER_ROWS = 5000, /* rows of the writers' table in one page; they are small */
    PAGE_ROWS = 64,     /* entries in one page; an entry has about 30 KiB */
    WRITERS = 16,       /* writers whose entries are read at the same time */
    IN_FLIGHT = 256,    /* rows that are read by key at the same time */
};

typedef cm_store_cassandra_t self_t;

/* ---- lists ---- */

cm_store_change_writer_t *cm_store_changes_add_writer(cm_store_changes_t *changes, int64_t number)
{
    const uint32_t id =
        cm_dict_put(&changes->numbers, (cm_str_t){(const char *)&number, sizeof number});

    if (id == changes->writer_count) {
        if (changes->writer_count == changes->writer_cap) {
            changes->writer_cap = changes->writer_cap ? 2 * changes->writer_cap : 16;
            changes->writers =
                cm_realloc(changes->writers, changes->writer_cap * sizeof *changes->writers);
        }
        changes->writers[changes->writer_count++] = (cm_store_change_writer_t){.number = number};
    }
    return &changes->writers[id];
}

cm_store_change_entry_t *cm_store_changes_add_entry(cm_store_changes_t *changes,
                                                    const cm_store_change_entry_t *entry)
{
    if (changes->entry_count == changes->entry_cap) {
        changes->entry_cap = changes->entry_cap ? 2 * changes->entry_cap : 64;
        changes->entries =
            cm_realloc(changes->entries, changes->entry_cap * sizeof *changes->entries);
    }
    cm_store_change_entry_t *added = &changes->entries[changes->entry_count++];
    *added = *entry;
    changes->rows += entry->keys.len > 0 ? entry->last_us - entry->first_us + 1 : 0;
    added->keys = cm_arena_copy(&changes->texts, entry->keys);
    return added;
}

void cm_store_changes_free(cm_store_changes_t *changes)
{
    free(changes->writers);
    cm_dict_free(&changes->numbers);
    free(changes->entries);
    cm_arena_free(&changes->texts);
    *changes = (cm_store_changes_t){.writers = NULL};
}

/* ---- the writers ---- */

static void take_writers(void *context, const cm_cql_error_t *error, const cm_cql_result_t *result)
{
    (void)error;
    while (result->rows != NULL && cm_cql_next(result->rows)) {
        const cm_str_t *cells = result->rows->cells;
        cm_store_change_writer_t *writer =
            cm_store_changes_add_writer(context, cm_cql_get_i64(cells[0]));
        const int64_t settled = cm_cql_get_i64(cells[1]);

        writer->there = true;
        if (settled > writer->settled)
            writer->settled = settled;
        /* Earlier editions did not store this number: such a writer is always asked. */
        writer->entries = cells[2].len == 8 ? cm_cql_get_i64(cells[2]) : INT64_MAX;
    }
}

static int read_writers(const self_t *self, cm_store_changes_t *changes, cm_err_t *err)
{
    const cm_cql_request_t request = {.idempotent = true, .page_size = WRITER_ROWS};
    cm_buf_t text = CM_BUF_INIT;

    cm_buf_add_text(&text, "SELECT seq, done, end_seq FROM ");
    cm_cassandra_changes_add_table(&text, self->settings);
    cm_buf_add_text(&text, " WHERE part = '" CM_CASSANDRA_CHANGES_WRITERS "'");
    int rc = cm_cassandra_select(self->settings, self->session, text.data, &request, take_writers,
                                 changes, "reading who writes", err);
    cm_buf_free(&text);
    return rc;
}

/* ---- their entries ---- */

/* One writer whose entries are being read, partition by partition. */
typedef struct writer_scan {
    cm_store_changes_t *changes;
    cm_store_change_writer_t writer;
    int64_t from;     /* the writer's `next` at the time of the request */
    bool busy, ended; /* a request is running; its answer is complete */
    bool gap;         /* an entry is missing before one that exists */
    bool again;       /* no entry has come although one is settled: ask once more */
    cm_cql_error_t error;
} writer_scan_t;

typedef struct reading {
    const self_t *self;
    cm_store_changes_t *changes;
    cm_cql_prepared_t *select;
    size_t next_writer; /* index of the next writer to ask */
    int busy;
    int rc;
    writer_scan_t scans[WRITERS];
} reading_t;

/* No more entries are read then. */
static bool are_too_many(const cm_store_changes_t *changes)
{
    return changes->most > 0 && changes->rows > changes->most;
}

static void take_entry(writer_scan_t *scan, const cm_str_t *cells)
{
    cm_store_change_writer_t *writer = &scan->writer;
    const cm_store_change_entry_t entry = {.writer = writer->number,
                                           .seq = cm_cql_get_i64(cells[0]),
                                           .first_us = cm_cql_get_i64(cells[2]),
                                           .last_us = cm_cql_get_i64(cells[3]),
                                           .keys = cells[4]};
    const int64_t settled = cm_cql_get_i64(cells[1]);

    if (settled > writer->settled)
        writer->settled = settled;
    scan->gap |= entry.seq != writer->next;
    if (!scan->gap)
        writer->next++;
    if (!are_too_many(scan->changes))
        cm_store_changes_add_entry(scan->changes, &entry);
}

static void on_entries(void *context, const cm_cql_error_t *error, const cm_cql_result_t *result)
{
    writer_scan_t *scan = context;

    if (error != NULL)
        scan->error = *error;
    while (error == NULL && result->rows != NULL && cm_cql_next(result->rows))
        take_entry(scan, result->rows->cells);
    scan->ended = error != NULL || result->rows == NULL || !result->rows->more;
}

/* Requests the entries of the writer's current partition. It uses the consistency level of the
 * writes, so that acknowledged entries are seen. */
static void request_entries(reading_t *reading, writer_scan_t *scan, cm_err_t *err)
{
    const cm_cql_request_t request = {.idempotent = true, .page_size = PAGE_ROWS};
    char part[CM_CASSANDRA_CHANGES_PART];

    assert(!scan->busy);
    cm_cassandra_changes_part(scan->writer.number, scan->writer.next, part);
    const cm_cql_value_t values[2] = {cm_cql_text(cm_str(part)), cm_cql_i64(scan->writer.next)};
    scan->from = scan->writer.next;
    scan->ended = scan->gap = false;
    reading->rc = cm_cql_execute(reading->self->session, reading->select, values, 2, &request,
                                 on_entries, scan, err);
    scan->busy = cm_cassandra_result(reading->self->session, reading->rc) == 0;
    reading->busy += scan->busy;
}

/* Whether to ask the writer again. A settled entry exists, or arrived between two pages; otherwise
 * it is lost. */
static bool has_more(writer_scan_t *scan)
{
    cm_store_change_writer_t *writer = &scan->writer;
    const bool moved = writer->next > scan->from;

    if (moved && writer->next % CM_CASSANDRA_CHANGES_BUCKET == 0 && writer->next < writer->entries)
        return true;
    if (writer->settled <= writer->next)
        return false;
    writer->lost = !moved && scan->again;
    scan->again = !moved;
    return !writer->lost;
}

/* Handles a writer's complete answer. */
static void take_answer(reading_t *reading, writer_scan_t *scan, bool go_on, cm_err_t *err)
{
    const self_t *self = reading->self;

    assert(scan->busy && scan->ended && reading->busy > 0);
    scan->busy = false;
    reading->busy--;
    if (scan->error.code != CM_CQL_OK && reading->rc == 0)
        reading->rc =
            cm_cassandra_fail(self->settings, &scan->error, "reading what was written", err);
    if (reading->rc == 0 && has_more(scan) && go_on)
        request_entries(reading, scan, err);
    if (!scan->busy)
        *cm_store_changes_add_writer(reading->changes, scan->writer.number) = scan->writer;
}

/* Asks the next writer that has new entries. */
static void request_next(reading_t *reading, writer_scan_t *scan, cm_err_t *err)
{
    const cm_store_changes_t *changes = reading->changes;

    while (reading->next_writer < changes->writer_count && !scan->busy && reading->rc == 0) {
        const cm_store_change_writer_t *writer = &changes->writers[reading->next_writer++];
        if (!writer->there || writer->next >= writer->entries)
            continue;
        *scan = (writer_scan_t){.changes = reading->changes, .writer = *writer};
        request_entries(reading, scan, err);
    }
}

/* Reads several writers at the same time. After a failure it waits for the running requests. */
static int read_all_entries(reading_t *reading, cm_err_t *err)
{
    const self_t *self = reading->self;
    int rc;

    do {
        const bool go_on = !are_too_many(reading->changes) && !cm_cassandra_stopped(self->settings);
        for (int i = 0; i < WRITERS; i++) {
            writer_scan_t *scan = &reading->scans[i];
            if (scan->busy && scan->ended)
                take_answer(reading, scan, go_on, err);
            if (!scan->busy && go_on)
                request_next(reading, scan, err);
        }
        rc = reading->busy > 0 ? cm_cassandra_run(self->session, RUN_MS, err) : 0;
    } while (rc >= 0 && reading->busy > 0);
    if (rc < 0 || reading->rc < 0)
        return rc < 0 ? rc : reading->rc;
    return cm_cassandra_stopped(self->settings)
               ? cm_fail(err, CM_ESTOP, "reading what was written: stopped")
               : 0;
}

static int read_entries(const self_t *self, cm_store_changes_t *changes, cm_err_t *err)
{
    reading_t *reading = cm_alloc_zero(1, sizeof *reading);
    cm_buf_t text = CM_BUF_INIT;

    reading->self = self;
    reading->changes = changes;
    cm_buf_add_text(&text, "SELECT seq, done, first_us, last_us, keys FROM ");
    cm_cassandra_changes_add_table(&text, self->settings);
    cm_buf_add_text(&text, " WHERE part = ? AND seq >= ?");
    int rc = cm_cassandra_prepare(self->settings, self->session, (cm_str_t){text.data, text.len},
                                  &reading->select, "preparing to read what was written", err);
    if (rc == 0)
        rc = read_all_entries(reading, err);
    cm_buf_free(&text);
    free(reading);
    return rc;
}

int cm_store_cassandra_read_changes(cm_store_t *store, bool keys, cm_store_changes_t *changes,
                                    cm_err_t *err)
{
    const self_t *self = (const self_t *)store;

    int rc = read_writers(self, changes, err);
    if (rc == 0 && keys)
        rc = read_entries(self, changes, err);
    for (size_t i = 0; i < changes->writer_count && !keys; i++)
        changes->writers[i].next = changes->writers[i].settled;
    for (size_t e = 0; e < changes->entry_count; e++) {
        cm_store_change_entry_t *entry = &changes->entries[e];
        entry->settled = entry->seq < cm_store_changes_add_writer(changes, entry->writer)->settled;
    }
    return rc;
}

int cm_store_cassandra_facts(cm_store_t *store, cm_cassandra_changes_facts_t *facts, cm_err_t *err)
{
    const self_t *self = (const self_t *)store;
    return cm_cassandra_changes_probe(self->settings, self->session, facts, err);
}

/* ---- rows by their keys ---- */

typedef struct fetch fetch_t;

/* One request in flight. */
typedef struct slot {
    fetch_t *fetch;
    size_t place;
    struct slot *next_free;
} slot_t;

struct fetch {
    const cm_cassandra_settings_t *settings;
    cm_store_cassandra_row_t take;
    void *context;
    slot_t slots[IN_FLIGHT];
    slot_t *free;
    cm_arena_t arena; /* of the optional fields of one row */
    size_t done;
    bool end; /* a row has a TTL */
    int rc;
    cm_err_t *err;
    cm_cql_error_t error;
};

static void on_row(void *context, const cm_cql_error_t *error, const cm_cql_result_t *result)
{
    slot_t *slot = context;
    fetch_t *fetch = slot->fetch;
    cm_event_t event;
    cm_err_t why;

    slot->next_free = fetch->free;
    fetch->free = slot;
    fetch->done++;
    if (error != NULL) {
        fetch->error = *error;
        return;
    }
    if (fetch->rc < 0)
        return;
    bool is_event = result->rows != NULL && cm_cql_next(result->rows);
    int64_t write_us = 0;
    if (is_event) {
        const cm_str_t *cells = result->rows->cells;
        const int count = cm_cassandra_column_count(fetch->settings);
        write_us = cm_cql_get_i64(cells[count]);
        fetch->end |= cells[count + 1].len > 0;
        cm_arena_reset(&fetch->arena);
        is_event =
            cm_store_cassandra_row_read(fetch->settings, cells, &fetch->arena, &event, &why) == 0;
    }
    fetch->rc =
        fetch->take(fetch->context, slot->place, is_event ? &event : NULL, write_us, fetch->err);
}

static int prepare(const self_t *self, cm_cql_prepared_t **select, cm_err_t *err)
{
    cm_buf_t text = CM_BUF_INIT;

    cm_buf_add_text(&text, "SELECT ");
    cm_cassandra_add_columns(&text, self->settings);
    cm_buf_add_text(&text, ", WRITETIME(user_id), TTL(user_id) FROM ");
    cm_cassandra_add_table(&text, self->settings);
    cm_buf_add_text(&text, " WHERE row_key = ?");
    int rc = cm_cassandra_prepare(self->settings, self->session, (cm_str_t){text.data, text.len},
                                  select, "preparing to read rows", err);
    cm_buf_free(&text);
    return rc;
}

static int fetch_all(const self_t *self, cm_cql_prepared_t *select, fetch_t *fetch,
                     const cm_str_t *keys, size_t count, cm_err_t *err)
{
    const cm_cql_request_t request = {.idempotent = true};
    size_t sent = 0;
    int rc = 0;

    while (rc >= 0 && fetch->done < count) {
        bool failed =
            fetch->error.code != CM_CQL_OK || fetch->rc < 0 || cm_cassandra_stopped(self->settings);
        if (failed && fetch->done == sent)
            break;
        while (!failed && sent < count && fetch->free != NULL) {
            slot_t *slot = fetch->free;
            const cm_cql_value_t key = cm_cql_text(keys[sent]);
            fetch->free = slot->next_free;
            slot->place = sent;
            /* After a failure it ends when the requests in flight are answered, because they use
             * the slots. */
            fetch->rc = cm_cql_execute(self->session, select, &key, 1, &request, on_row, slot, err);
            failed = cm_cassandra_result(self->session, fetch->rc) < 0;
            sent += !failed;
        }
        if (rc >= 0)
            rc = cm_cassandra_run(self->session, RUN_MS, err);
    }
    return rc < 0 ? rc : 0;
}

int cm_store_cassandra_read_rows(cm_store_t *store, const cm_str_t *keys, size_t count,
                                 cm_store_cassandra_row_t take, void *context, bool *end,
                                 cm_err_t *err)
{
    const self_t *self = (const self_t *)store;
    cm_cql_prepared_t *select;

    int rc = count > 0 ? prepare(self, &select, err) : 0;
    if (rc < 0 || count == 0)
        return rc;
    fetch_t *fetch = cm_alloc_zero(1, sizeof *fetch);
    *fetch = (fetch_t){.settings = self->settings, .take = take, .context = context, .err = err};
    for (int i = 0; i < IN_FLIGHT; i++) {
        fetch->slots[i] = (slot_t){.fetch = fetch, .next_free = fetch->free};
        fetch->free = &fetch->slots[i];
    }
    rc = fetch_all(self, select, fetch, keys, count, err);
    if (rc == 0)
        rc = fetch->rc;
    if (rc == 0 && fetch->error.code != CM_CQL_OK)
        rc = cm_cassandra_fail(self->settings, &fetch->error, "reading rows", err);
    if (rc == 0 && fetch->done < count)
        rc = cm_fail(err, CM_ESTOP, "stopped before all rows were read");
    *end |= fetch->end;
    cm_arena_free(&fetch->arena);
    free(fetch);
    return rc;
}
