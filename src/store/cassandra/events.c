#include "store/cassandra/events.h"

#include "store/cassandra/keys.h"
#include "store/cassandra/mirror.h"
#include "store/cassandra/store.h"
#include "store/memory.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    OLD_MS_DAYS = 20, /* entries live longer than that, but not without limit */
    CHANGED_PART = 4, /* if more than one in so many rows has changed, reading all is less work */
    FEW = 10000,      /* with fewer events this makes no difference */
    ROW_BYTES = 512,  /* memory for one changed row */
    REPEATS =
        4, /* if each row was written more often than that, reading the entries is not worth it */
};

typedef struct reading {
    const cm_store_cassandra_source_t *source;
    cm_store_t *store;   /* the store of Cassandra */
    cm_mirror_t *mirror; /* NULL: there is none */
    cm_cassandra_changes_facts_t facts;
    cm_mirror_state_t state;
    cm_store_changes_t changes;
    cm_mirror_keys_t keys;
    cm_store_reading_t *read;
    cm_err_t *err;
} reading_t;

static void because(cm_store_reading_t *read, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void because(cm_store_reading_t *read, const char *format, ...)
{
    va_list args;

    if (read->why[0] != '\0')
        return;
    va_start(args, format);
    vsnprintf(read->why, sizeof read->why, format, args);
    va_end(args);
    read->full = true;
}

/* ---- reading all rows ---- */

static int to_memory(const cm_store_cassandra_source_t *source, cm_store_t **events,
                     cm_store_reading_t *read, cm_err_t *err)
{
    cm_account_t account = {0};

    *events = cm_memory_new();
    int rc = cm_store_cassandra_load_all(source->settings, *events, &account, err);
    read->rows = (int64_t)account.read;
    read->rejected = account.rejected;
    if (rc < 0) {
        cm_store_close(*events);
        *events = NULL;
    }
    return rc;
}

static int fill_page(void *context, const cm_batch_t *batch, cm_err_t *err)
{
    return cm_mirror_fill(context, batch, err);
}

static cm_mirror_state_t state_now(const reading_t *self)
{
    cm_mirror_state_t state = {.extended = self->source->settings->extended,
                               .read_ms = cm_clock_now_ms(self->source->clock)};

    memcpy(state.table, self->facts.table, sizeof state.table);
    memcpy(state.changes, self->facts.changes, sizeof state.changes);
    return state;
}

/* The writers' entries are read first: rows that are settled at that time will be in the table. */
static int read_all(reading_t *self)
{
    cm_mirror_state_t state = state_now(self);
    cm_err_t *err = self->err;
    cm_account_t account = {0};
    bool end = false;

    cm_store_changes_free(&self->changes);
    int rc = cm_store_cassandra_read_changes(self->store, false, &self->changes, err);
    if (rc == 0)
        rc = cm_mirror_begin(self->mirror, err);
    if (rc == 0)
        rc =
            cm_store_cassandra_scan_ends(self->store, fill_page, self->mirror, &account, &end, err);
    if (end) { /* the events are complete now, but cannot be kept as a copy */
        self->read->why[0] = '\0';
        because(self->read, "rows end by themselves (they have a TTL), which no entry notes");
        state = (cm_mirror_state_t){.table = ""};
    }
    if (rc == 0)
        rc = cm_mirror_end(self->mirror, &state, &self->changes, err);
    self->read->rows = (int64_t)account.read;
    self->read->rejected = account.rejected;
    return rc;
}

/* ---- reading changed rows ---- */

typedef struct taking {
    cm_mirror_row_t *rows;
    int64_t *write_us;
    cm_arena_t strings;
} taking_t;

static int take_row(void *context, size_t place, const cm_event_t *event, int64_t write_us,
                    cm_err_t *err)
{
    taking_t *taking = context;
    cm_mirror_row_t *row = &taking->rows[place];

    (void)err;
    taking->write_us[place] = write_us;
    if (event == NULL)
        return 0;
    row->present = true;
    row->event = *event;
    row->event.row_key = (cm_str_t){NULL, 0}; /* it is `key`, which is kept already */
    cm_event_keep(&row->event, &taking->strings);
    row->event.row_key = row->key;
    return 0;
}

static int put_changed(reading_t *self)
{
    const cm_mirror_state_t state = state_now(self);
    const size_t count = self->keys.keys.count;
    cm_err_t *err = self->err;
    taking_t taking = {.rows = cm_alloc_zero(count + 1, sizeof *taking.rows),
                       .write_us = self->keys.write_us};
    cm_str_t *keys = cm_alloc((count + 1) * sizeof *keys);
    bool end = false;

    for (size_t i = 0; i < count; i++)
        taking.rows[i].key = keys[i] = cm_dict_string(&self->keys.keys, (uint32_t)i);
    int rc = cm_store_cassandra_read_rows(self->store, keys, count, take_row, &taking, &end, err);
    if (rc == 0 && end)
        rc = read_all(self);
    else if (rc == 0)
        rc = cm_mirror_put(self->mirror, taking.rows, count, &self->read->changed, err);
    if (rc == 0 && !end) {
        cm_mirror_keys_settle(&self->keys, &self->changes);
        rc = cm_mirror_end(self->mirror, &state, &self->changes, err);
    }
    if (!end)
        self->read->rows = (int64_t)count;
    cm_arena_free(&taking.strings);
    free(taking.rows);
    free(keys);
    return rc;
}

/* Whether the copy can be updated. If not, it logs the reason. */
static bool is_usable(reading_t *self, bool rebuild)
{
    const int64_t events = cm_mirror_events(self->mirror);
    const int64_t days = (cm_clock_now_ms(self->source->clock) - self->state.read_ms) / CM_DAY_MS;
    const char *was = self->state.extended ? "set" : "not set";
    cm_store_reading_t *read = self->read;

    if (rebuild)
        because(read, "--rebuild");
    else if (self->state.table[0] == '\0')
        because(read, "the data directory has no copy of it yet");
    else if (strcmp(self->state.table, self->facts.table) != 0)
        because(read, "the table is another one than the copy in the data directory is of");
    else if (self->state.extended != self->source->settings->extended)
        because(read, "cassandra.extended was %s when it was read", was);
    else if (strcmp(self->state.changes, self->facts.changes) != 0)
        because(read, "its companion table was made again");
    else if (days >= OLD_MS_DAYS || days < 0)
        because(read, "it was read %lld days ago, and what was noted lives 30 days",
                (long long)days);
    else if (cm_mirror_replaced(self->mirror) > events + FEW)
        because(read, "most of the copy in the data directory was replaced");
    return read->why[0] == '\0';
}

static int read_changed(reading_t *self)
{
    const int64_t events = cm_mirror_events(self->mirror);
    cm_err_t *err = self->err;

    const int64_t room = self->source->memory / ROW_BYTES;
    const int64_t most = events / CHANGED_PART + FEW < room ? events / CHANGED_PART + FEW : room;

    self->changes.most = REPEATS * most;
    int rc = cm_mirror_changes(self->mirror, &self->changes, err);
    if (rc == 0)
        rc = cm_store_cassandra_read_changes(self->store, true, &self->changes, err);
    if (rc < 0)
        return rc;
    if (self->changes.rows > self->changes.most)
        because(self->read, "more than %lld rows were written since, for %lld events",
                (long long)self->changes.most, (long long)events);
    for (size_t i = 0; i < self->changes.writer_count; i++) {
        if (self->changes.writers[i].lost)
            because(self->read, "entries of its companion table are gone");
    }
    if (self->read->full)
        return read_all(self);
    cm_mirror_keys_collect(&self->keys, &self->changes);
    if (self->keys.keys.count > most) {
        because(self->read, "%u rows have changed, of %lld", self->keys.keys.count,
                (long long)events);
        return read_all(self);
    }
    return put_changed(self);
}

/* ---- choosing ---- */

/* Reports settings with which a copy is impossible. */
static void check_settings(const cm_cassandra_settings_t *settings, cm_store_reading_t *read)
{
    const cm_cql_consistency_t level = settings->consistency;

    if (!settings->only_writer)
        because(read, "cassandra.only_writer is not set");
    else if (settings->ttl_s > 0)
        because(read, "rows end by themselves (cassandra.ttl), which no entry notes");
    else if (!cm_cassandra_changes_are_seen(level))
        because(read, "with cassandra.consistency %s a row may be missed that was written",
                cm_cql_consistency_name(level));
}

static void check_facts(const reading_t *self)
{
    if (self->facts.table_ttl_s > 0)
        because(self->read, "rows end by themselves (default_time_to_live), which no entry notes");
    else if (self->facts.difference[0] != '\0')
        because(self->read,
                "table %s_changes is not the companion of the events: %s; drop it, and `clickmill "
                "doctor --fix` makes it",
                self->source->settings->table, self->facts.difference);
    else if (!self->facts.there)
        because(self->read, "there is no table %s_changes; `clickmill doctor --fix` makes it",
                self->source->settings->table);
}

static int open_and_read(reading_t *self, bool rebuild)
{
    cm_err_t *err = self->err;

    int rc = cm_mirror_open(self->source->data_dir, self->source->clock, &self->mirror, err);
    if (rc == 0)
        rc = cm_mirror_state(self->mirror, &self->state, err);
    if (rc == 0)
        rc = is_usable(self, rebuild) ? read_changed(self) : read_all(self);
    if (rc < 0) {
        cm_mirror_close(self->mirror);
        self->mirror = NULL;
    }
    return rc;
}

/* A damaged copy loses no events: it is made again. */
static int read_mirrored(reading_t *self, bool rebuild)
{
    int rc = open_and_read(self, rebuild);

    if (rc != CM_ECORRUPT)
        return rc;
    *self->read = (cm_store_reading_t){.full = false};
    because(self->read, "the copy in the data directory is damaged");
    rc = cm_mirror_remove(self->source->data_dir, self->err);
    return rc == 0 ? open_and_read(self, rebuild) : rc;
}

static void log_reading(const cm_store_cassandra_source_t *source, const cm_store_reading_t *read)
{
    cm_debug(source->settings->log, CM_DEBUG_CASSANDRA, read->full ? "all rows" : "changed rows",
             "table=%s reason=\"%s\"", source->settings->table, read->why);
}

int cm_store_cassandra_events(const cm_store_cassandra_source_t *source, bool rebuild,
                              cm_store_t **events, cm_store_reading_t *reading, cm_err_t *err)
{
    reading_t self = {.source = source, .read = reading, .err = err};
    const cm_store_cassandra_options_t options = {.settings = source->settings, .only_read = true};

    *reading = (cm_store_reading_t){.full = false};
    check_settings(source->settings, reading);
    if (reading->full) {
        log_reading(source, reading);
        return to_memory(source, events, reading, err);
    }
    int rc = cm_store_cassandra_open(&options, &self.store, err);
    if (rc == 0)
        rc = cm_store_cassandra_facts(self.store, &self.facts, err);
    if (rc == 0)
        check_facts(&self);
    const bool all = reading->full;
    if (rc == 0 && !all)
        rc = read_mirrored(&self, rebuild);
    cm_store_close(self.store);
    cm_store_changes_free(&self.changes);
    cm_mirror_keys_free(&self.keys);
    if (rc == 0)
        log_reading(source, reading);
    if (rc == 0 && all)
        return to_memory(source, events, reading, err);
    if (rc == 0)
        *events = cm_mirror_store(self.mirror);
    return rc;
}
