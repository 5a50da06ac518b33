/* `verify`, where the data directory has a copy of Cassandra's table: rows that differ from what
 * the writers have noted were written or deleted by another program. */
#include "store/cassandra/events.h"
#include "store/cassandra/keys.h"
#include "store/cassandra/mirror.h"
#include "store/cassandra/store.h"
#include "store/event_at.h"
#include "store/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

enum { MOST = 100000 /* differing rows that are checked; more are not needed for the report */ };

/* An event of the copy, as two hashes of 64 bits. */
typedef struct known {
    uint64_t key, content; /* key 0: the slot is free */
    bool seen;             /* the table has it */
} known_t;

typedef struct comparing {
    cm_store_t *into;
    known_t *known;
    size_t count, slots;
    cm_str_t *differing; /* row keys of rows that differ from the copy */
    size_t differing_count;
    cm_arena_t strings;
    cm_store_changes_t changes; /* what the copy knows of the writers; then their entries since */
} comparing_t;

static uint64_t hash_of_key(cm_str_t key)
{
    uint64_t hash = XXH3_64bits(key.data, key.len);
    return hash != 0 ? hash : 1;
}

static uint64_t hash_string(uint64_t hash, cm_str_t string)
{
    return XXH3_64bits_withSeed(string.data, string.len, hash + string.len);
}

static uint64_t hash_of_content(cm_event_t event)
{
    cm_str_t *strings[CM_FIELD_COUNT];
    const cm_event_extra_t *extra = event.extra;
    uint64_t hash = XXH3_64bits(&event.timestamp, sizeof event.timestamp);

    cm_store_event_strings(&event, strings);
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        hash = hash_string(hash, *strings[field]);
    for (int field = 0; extra != NULL && field < CM_EXTRA_TEXTS; field++)
        hash = hash_string(hash, extra->text[field]);
    return extra != NULL ? hash + (uint64_t)extra->engaged_ms : hash;
}

static known_t *slot_of(const comparing_t *self, uint64_t key)
{
    size_t at = key & (self->slots - 1);

    while (self->known[at].key != 0 && self->known[at].key != key)
        at = (at + 1) & (self->slots - 1);
    return &self->known[at];
}

static void note_odd(comparing_t *self, cm_str_t key)
{
    if (self->differing_count == MOST)
        return;
    if (self->differing == NULL)
        self->differing = cm_alloc(MOST * sizeof *self->differing);
    self->differing[self->differing_count++] = cm_arena_copy(&self->strings, key);
}

/* ---- the copy ---- */

typedef struct walk {
    comparing_t *self;
    cm_reader_t *reader;
    cm_columns_t columns;
    bool unseen; /* the second walk: only events that the table does not have */
} walk_t;

static int walk_event(walk_t *walk, uint32_t i, cm_err_t *err)
{
    char scratch[CM_UUID_TEXT];
    cm_store_room_t room;
    cm_event_t event;

    int rc = cm_store_event_at(walk->reader, &walk->columns, i, &event, &room, err);
    if (rc < 0)
        return rc;
    const cm_str_t key = cm_event_row_key(&event, scratch);
    known_t *known = slot_of(walk->self, hash_of_key(key));
    if (walk->unseen && !known->seen)
        note_odd(walk->self, key);
    if (!walk->unseen)
        *known = (known_t){hash_of_key(key), hash_of_content(event), false};
    return 0;
}

static int walk_blocks(walk_t *walk, cm_err_t *err)
{
    comparing_t *self = walk->self;
    const cm_block_ref_t *blocks;
    size_t count = 0;

    int rc = cm_reader_blocks(walk->reader, &blocks, &count, err);
    if (rc == 0 && !walk->unseen) {
        for (size_t b = 0; b < count; b++)
            self->count += blocks[b].count;
        for (self->slots = 1024; self->slots < 2 * self->count;)
            self->slots *= 2;
        self->known = cm_alloc_zero(self->slots, sizeof *self->known);
    }
    for (size_t b = 0; b < count && rc == 0; b++) {
        rc = cm_reader_read(walk->reader, &blocks[b], CM_READ_ALL, &walk->columns, err);
        for (uint32_t i = 0; i < blocks[b].count && rc == 0; i++)
            rc = walk_event(walk, i, err);
    }
    return rc;
}

/* ---- the table ---- */

static int take_page(void *context, const cm_batch_t *batch, cm_err_t *err)
{
    comparing_t *self = context;

    for (size_t i = 0; i < batch->count; i++) {
        const cm_event_t *event = &batch->events[i];
        known_t *known = slot_of(self, hash_of_key(event->row_key));
        if (known->key == 0 || known->content != hash_of_content(*event))
            note_odd(self, event->row_key);
        if (known->key != 0)
            known->seen = true;
    }
    return cm_sink_put(&self->into->sink, batch, err);
}

/* Rows that the writers have recorded after the copy was made are not foreign. */
static int count_foreign(comparing_t *self, cm_store_t *store, cm_store_foreign_t *foreign,
                         cm_err_t *err)
{
    cm_mirror_keys_t keys = {.write_us = NULL};
    uint32_t id;

    int rc = cm_store_cassandra_read_changes(store, true, &self->changes, err);
    if (rc == 0)
        cm_mirror_keys_collect(&keys, &self->changes);
    for (size_t i = 0; i < self->differing_count && rc == 0; i++) {
        if (cm_dict_find(&keys.keys, self->differing[i], &id))
            continue;
        if (foreign->count < CM_STORE_FOREIGN_NAMED)
            snprintf(foreign->first[foreign->count], sizeof *foreign->first, "%.*s",
                     cm_utf8_head(self->differing[i], sizeof *foreign->first - 1),
                     self->differing[i].data);
        foreign->count++;
    }
    cm_mirror_keys_free(&keys);
    return rc;
}

/* `process` may update the copy meanwhile. The state of the writers is read first, and the events
 * once, so changes in between have entries, which are read at the end. */
static int compare(comparing_t *self, cm_store_t *store, cm_mirror_t *mirror, cm_account_t *account,
                   cm_store_foreign_t *foreign, cm_err_t *err)
{
    walk_t walk = {.self = self};

    int rc = cm_mirror_changes(mirror, &self->changes, err);
    if (rc == 0)
        rc = cm_store_reader(cm_mirror_store(mirror), &walk.reader, err);
    if (rc == 0)
        rc = walk_blocks(&walk, err);
    if (rc == 0)
        rc = cm_store_scan(store, take_page, self, account, err);
    if (rc == 0)
        rc = cm_sink_commit(&self->into->sink, err);
    walk.unseen = true;
    if (rc == 0)
        rc = walk_blocks(&walk, err);
    cm_columns_free(&walk.columns);
    cm_reader_close(walk.reader);
    return rc == 0 ? count_foreign(self, store, foreign, err) : rc;
}

/* Opens the copy of this table; `*mirror` is NULL when there is none. */
static int open_copy(const cm_store_cassandra_source_t *source, cm_store_t *store,
                     cm_mirror_t **mirror, cm_err_t *err)
{
    cm_cassandra_changes_facts_t facts;
    cm_mirror_state_t state;

    int rc = cm_store_cassandra_facts(store, &facts, err);
    if (rc < 0)
        return rc;
    *mirror = NULL;
    if (!facts.there || cm_mirror_open_read(source->data_dir, mirror, err) < 0)
        return 0;
    rc = cm_mirror_state(*mirror, &state, err);
    if (rc == 0 && strcmp(state.table, facts.table) == 0 &&
        strcmp(state.changes, facts.changes) == 0 && state.extended == source->settings->extended)
        return 0;
    cm_mirror_close(*mirror);
    *mirror = NULL;
    return rc;
}

static int load_and_compare(const cm_store_cassandra_source_t *source, cm_store_t *into,
                            cm_store_foreign_t *foreign, cm_account_t *account, cm_err_t *err)
{
    const cm_store_cassandra_options_t options = {.settings = source->settings, .only_read = true};
    comparing_t self = {.into = into};
    cm_mirror_t *mirror = NULL;
    cm_store_t *store;

    int rc = cm_store_cassandra_open(&options, &store, err);
    if (rc < 0)
        return rc;
    rc = open_copy(source, store, &mirror, err);
    foreign->compared = mirror != NULL;
    if (rc == 0)
        rc = mirror != NULL ? compare(&self, store, mirror, account, foreign, err)
                            : cm_store_cassandra_load(store, into, account, err);
    cm_mirror_close(mirror);
    cm_store_close(store);
    cm_arena_free(&self.strings);
    cm_store_changes_free(&self.changes);
    free(self.known);
    free(self.differing);
    return rc;
}

int cm_store_cassandra_verified(const cm_store_cassandra_source_t *source, cm_store_t **events,
                                cm_store_foreign_t *foreign, cm_err_t *err)
{
    cm_account_t account = {0};

    *foreign = (cm_store_foreign_t){.wanted = source->settings->only_writer};
    *events = cm_memory_new();
    int rc = foreign->wanted
                 ? load_and_compare(source, *events, foreign, &account, err)
                 : cm_store_cassandra_load_all(source->settings, *events, &account, err);
    foreign->rejected = account.rejected;
    if (rc < 0) {
        cm_store_close(*events);
        *events = NULL;
    }
    return rc;
}
