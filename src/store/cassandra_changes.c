#include "store/cassandra_changes.h"

#include "cassandra/settle.h"
#include "store/cassandra_inside.h"

#include <stdlib.h>

enum {
    RUN_MS = 200,
    PAGE_ROWS = 200, /* of the companion: an entry has some 30 KiB */
    IN_FLIGHT = 256, /* rows that are read by their keys */
};

typedef cm_cassandra_store_t self_t;

/* ---- lists ---- */

cm_change_writer_t *cm_changes_add_writer(cm_changes_t *changes, int64_t number)
{
    for (size_t i = 0; i < changes->writer_count; i++) {
        if (changes->writers[i].number == number)
            return &changes->writers[i];
    }
    if (changes->writer_count == changes->writer_cap) {
        changes->writer_cap = changes->writer_cap ? 2 * changes->writer_cap : 16;
        changes->writers =
            cm_realloc(changes->writers, changes->writer_cap * sizeof *changes->writers);
    }
    changes->writers[changes->writer_count] = (cm_change_writer_t){.number = number};
    return &changes->writers[changes->writer_count++];
}

cm_change_entry_t *cm_changes_add_entry(cm_changes_t *changes, const cm_change_entry_t *entry)
{
    if (changes->entry_count == changes->entry_cap) {
        changes->entry_cap = changes->entry_cap ? 2 * changes->entry_cap : 64;
        changes->entries =
            cm_realloc(changes->entries, changes->entry_cap * sizeof *changes->entries);
    }
    cm_change_entry_t *added = &changes->entries[changes->entry_count++];
    *added = *entry;
    changes->rows += entry->keys.len > 0 ? entry->last_us - entry->first_us + 1 : 0;
    added->keys = cm_arena_copy(&changes->texts, entry->keys);
    return added;
}

void cm_changes_free(cm_changes_t *changes)
{
    free(changes->writers);
    free(changes->entries);
    cm_arena_free(&changes->texts);
    *changes = (cm_changes_t){.writers = NULL};
}

/* ---- asking ---- */

typedef struct asked {
    void (*row)(void *context, const cm_str_t *cells);
    void *context;
    bool ended;
    cm_cql_error_t error;
} asked_t;

static void on_page(void *context, const cm_cql_error_t *error, const cm_cql_result_t *result)
{
    asked_t *asked = context;

    if (error != NULL)
        asked->error = *error;
    while (error == NULL && result->rows != NULL && cm_cql_next(result->rows))
        asked->row(asked->context, result->rows->cells);
    asked->ended = error != NULL || result->rows == NULL || !result->rows->more;
}

/* Reads at the consistency level of the writes, so that what was acknowledged is seen. */
static int ask(const self_t *self, const char *text, asked_t *asked, const char *doing,
               cm_err_t *err)
{
    const cm_cql_request_t request = {.idempotent = true, .page_size = PAGE_ROWS};

    int rc = cm_cql_query(self->session, cm_str(text), NULL, 0, &request, on_page, asked, err);
    while (rc >= 0 && !asked->ended)
        rc = cm_cql_run(self->session, RUN_MS, err);
    if (rc < 0)
        return rc;
    if (asked->error.code != CM_CQL_OK)
        return cm_cassandra_fail(self->settings, &asked->error, doing, err);
    return cm_cassandra_stopped(self->settings) ? cm_fail(err, CM_ESTOP, "%s: stopped", doing) : 0;
}

/* ---- the companion ---- */

static void take_writer(void *context, const cm_str_t *cells)
{
    cm_change_writer_t *writer = cm_changes_add_writer(context, cm_cql_get_i64(cells[0]));
    int64_t settled = cm_cql_get_i64(cells[1]);

    writer->there = true;
    if (settled > writer->settled)
        writer->settled = settled;
}

typedef struct reading {
    cm_changes_t *changes;
    cm_change_writer_t writer;
    bool keys, gap;
} reading_t;

static void take_entry(void *context, const cm_str_t *cells)
{
    reading_t *reading = context;
    cm_change_writer_t *writer = &reading->writer;
    const cm_change_entry_t entry = {.writer = writer->number,
                                     .seq = cm_cql_get_i64(cells[0]),
                                     .first_us = cm_cql_get_i64(cells[2]),
                                     .last_us = cm_cql_get_i64(cells[3]),
                                     .keys = reading->keys ? cells[4] : (cm_str_t){"", 0}};
    int64_t settled = cm_cql_get_i64(cells[1]);

    if (settled > writer->settled)
        writer->settled = settled;
    reading->gap |= entry.seq != writer->next;
    if (!reading->gap)
        writer->next++;
    if (reading->keys)
        cm_changes_add_entry(reading->changes, &entry);
}

static bool are_too_many(const cm_changes_t *changes)
{
    return changes->most > 0 && changes->rows > changes->most;
}

static int read_part(const self_t *self, reading_t *reading, cm_err_t *err)
{
    const cm_change_writer_t *writer = &reading->writer;
    asked_t asked = {.row = take_entry, .context = reading};
    cm_buf_t text = CM_BUF_INIT;
    char part[CM_CHANGES_PART];

    cm_changes_part(writer->number, writer->next, part);
    cm_buf_printf(&text, "SELECT seq, done, first_us, last_us%s FROM ",
                  reading->keys ? ", keys" : "");
    cm_changes_add_table(&text, self->settings);
    cm_buf_printf(&text, " WHERE part = '%s' AND seq >= %lld", part, (long long)writer->next);
    reading->gap = false;
    int rc = ask(self, text.data, &asked, "reading what was written", err);
    cm_buf_free(&text);
    return rc;
}

/* All entries of a writer, partition by partition. One that is settled is there, or has come
 * between two pages, else it is lost. */
static int read_writer(const self_t *self, reading_t *reading, cm_err_t *err)
{
    cm_change_writer_t *writer = &reading->writer;
    bool more = true, again = false;
    int rc = 0;

    while (more && rc == 0 && !are_too_many(reading->changes)) {
        const int64_t before = writer->next;
        rc = read_part(self, reading, err);
        more = writer->next > before && writer->next % CM_CHANGES_BUCKET == 0;
        if (writer->settled <= writer->next || rc < 0)
            continue;
        if (again) {
            writer->lost = true;
            if (!reading->keys)
                writer->next = writer->settled;
        }
        more = !again || !reading->keys;
        again = !again;
    }
    return rc;
}

int cm_cassandra_read_changes(cm_store_t *store, bool keys, cm_changes_t *changes, cm_err_t *err)
{
    const self_t *self = (const self_t *)store;
    asked_t asked = {.row = take_writer, .context = changes};
    cm_buf_t text = CM_BUF_INIT;

    cm_buf_add_text(&text, "SELECT seq, done FROM ");
    cm_changes_add_table(&text, self->settings);
    cm_buf_add_text(&text, " WHERE part = '" CM_CHANGES_WRITERS "'");
    int rc = ask(self, text.data, &asked, "reading who writes", err);
    cm_buf_free(&text);
    for (size_t i = 0; i < changes->writer_count && rc == 0 && !are_too_many(changes); i++) {
        reading_t reading = {.changes = changes, .writer = changes->writers[i], .keys = keys};
        if (changes->writers[i].there)
            rc = read_writer(self, &reading, err);
        changes->writers[i] = reading.writer;
        if (!keys && reading.writer.settled < reading.writer.next)
            changes->writers[i].next = reading.writer.settled;
    }
    for (size_t e = 0; e < changes->entry_count; e++) {
        cm_change_entry_t *entry = &changes->entries[e];
        entry->settled = entry->seq < cm_changes_add_writer(changes, entry->writer)->settled;
    }
    return rc;
}

int cm_cassandra_changes_facts(cm_store_t *store, cm_changes_facts_t *facts, cm_err_t *err)
{
    const self_t *self = (const self_t *)store;
    return cm_changes_look(self->settings, self->session, facts, err);
}

/* ---- rows by their keys ---- */

typedef struct fetch fetch_t;

/* One that is in flight. */
typedef struct slot {
    fetch_t *fetch;
    size_t place;
    struct slot *next_free;
} slot_t;

struct fetch {
    cm_cassandra_row_t take;
    void *context;
    slot_t slots[IN_FLIGHT];
    slot_t *free;
    size_t done;
    bool end; /* a row ends by itself */
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
        write_us = cm_cql_get_i64(result->rows->cells[CM_CASSANDRA_COLUMN_COUNT]);
        fetch->end |= result->rows->cells[CM_CASSANDRA_COLUMN_COUNT + 1].len > 0;
        cm_cassandra_event(result->rows->cells, &event);
        is_event = cm_event_check(&event, true, &why) == 0;
    }
    fetch->rc =
        fetch->take(fetch->context, slot->place, is_event ? &event : NULL, write_us, fetch->err);
}

static int prepare(const self_t *self, cm_cql_prepared_t **select, cm_err_t *err)
{
    cm_buf_t text = CM_BUF_INIT;

    cm_buf_printf(&text, "SELECT %s, WRITETIME(user_id), TTL(user_id) FROM ", cm_cassandra_columns);
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
            /* A failure ends it when those that are in flight are answered, which have slots. */
            fetch->rc = cm_cql_execute(self->session, select, &key, 1, &request, on_row, slot, err);
            failed = fetch->rc < 0;
            sent += !failed;
        }
        if (rc >= 0)
            rc = cm_cql_run(self->session, RUN_MS, err);
    }
    return rc < 0 ? rc : 0;
}

int cm_cassandra_read_rows(cm_store_t *store, const cm_str_t *keys, size_t count,
                           cm_cassandra_row_t take, void *context, bool *end, cm_err_t *err)
{
    const self_t *self = (const self_t *)store;
    cm_cql_prepared_t *select;

    int rc = count > 0 ? prepare(self, &select, err) : 0;
    if (rc < 0 || count == 0)
        return rc;
    fetch_t *fetch = cm_alloc_zero(1, sizeof *fetch);
    *fetch = (fetch_t){.take = take, .context = context, .err = err};
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
    free(fetch);
    return rc;
}
