/* Changed rows: one pass over the mirror finds what it has of their keys. */
#include "store/cassandra/mirror_internal.h"
#include "store/event_at.h"

#include <stdlib.h>
#include <xxhash.h>

enum { NONE = UINT32_MAX };

/* The rows to find. */
typedef struct search {
    cm_mirror_t *mirror;
    const cm_mirror_row_t *rows;
    size_t count;
    uint32_t *by_key; /* hash table of indexes in `rows` */
    int64_t *times;   /* hash set of the rows' timestamps; INT64_MIN: free */
    size_t slots;     /* size of both tables */
    bool any_derived; /* a row key that is derived from another event may be among them */
    bool *same;       /* by index: the mirror has the row unchanged */
    cm_reader_t *reader;
    size_t replaced; /* number of replaced events before */
} search_t;

/* ---- the rows to find ---- */

static bool follows(const cm_mirror_row_t *row)
{
    uint8_t derived[16];
    char text[CM_UUID_TEXT];

    cm_event_derive_key(&row->event, derived);
    cm_uuid_format(derived, text);
    return cm_str_equal(row->key, (cm_str_t){text, CM_UUID_TEXT});
}

static size_t slot_of_time(const search_t *search, int64_t time)
{
    size_t at = XXH3_64bits(&time, sizeof time) & (search->slots - 1);

    while (search->times[at] != INT64_MIN && search->times[at] != time)
        at = (at + 1) & (search->slots - 1);
    return at;
}

static size_t slot_of_key(const search_t *search, cm_str_t key)
{
    size_t at = XXH3_64bits(key.data, key.len) & (search->slots - 1);

    while (search->by_key[at] != NONE && !cm_str_equal(search->rows[search->by_key[at]].key, key))
        at = (at + 1) & (search->slots - 1);
    return at;
}

static void prepare(search_t *search)
{
    uint8_t uuid[16];

    for (search->slots = 64; search->slots < 2 * search->count;)
        search->slots *= 2;
    search->by_key = cm_alloc(search->slots * sizeof *search->by_key);
    search->times = cm_alloc(search->slots * sizeof *search->times);
    search->same = cm_alloc_zero(search->count + 1, sizeof *search->same);
    for (size_t i = 0; i < search->slots; i++) {
        search->by_key[i] = NONE;
        search->times[i] = INT64_MIN;
    }
    for (size_t i = 0; i < search->count; i++) {
        const cm_mirror_row_t *row = &search->rows[i];
        search->by_key[slot_of_key(search, row->key)] = (uint32_t)i;
        if (row->present)
            search->times[slot_of_time(search, row->event.timestamp)] = row->event.timestamp;
        search->any_derived |= cm_uuid_parse(row->key, uuid) && (!row->present || !follows(row));
    }
}

/* ---- the mirror's events ---- */

/* The event's row key as a string. A key that is derived from the event is only computed if it may
 * be one of the rows: that costs as much as all the rest. */
static int key_of(const search_t *search, const cm_columns_t *columns, uint32_t i,
                  char scratch[CM_UUID_TEXT], cm_str_t *key, cm_err_t *err)
{
    cm_store_room_t room;
    cm_event_t event;

    *key = cm_store_row_key_at(columns, i, scratch);
    if (columns->keys[i].kind != CM_KEY_DERIVED)
        return 0;
    if (!search->any_derived && search->times[slot_of_time(search, columns->time[i])] == INT64_MIN)
        return 0;
    int rc = cm_store_event_at(search->reader, columns, i, &event, &room, err);
    if (rc == 0)
        *key = cm_event_row_key(&event, scratch);
    return rc;
}

/* Whether both say the same; their row keys are known to be equal. */
static bool is_same(cm_event_t a, cm_event_t b)
{
    cm_str_t *strings_a[CM_FIELD_COUNT], *strings_b[CM_FIELD_COUNT];
    bool same = a.timestamp == b.timestamp && cm_event_extra_equal(a.extra, b.extra);

    cm_store_event_strings(&a, strings_a);
    cm_store_event_strings(&b, strings_b);
    for (int field = 0; same && field < CM_FIELD_COUNT; field++)
        same = cm_str_equal(*strings_a[field], *strings_b[field]);
    return same;
}

static int is_equal(const search_t *search, const cm_columns_t *columns, uint32_t i,
                    const cm_event_t *event, bool *equal, cm_err_t *err)
{
    cm_store_room_t room;
    cm_event_t stored;

    int rc = cm_store_event_at(search->reader, columns, i, &stored, &room, err);
    *equal = rc == 0 && is_same(stored, *event);
    return rc;
}

static int look_at(search_t *search, const cm_columns_t *columns, uint32_t i, cm_err_t *err)
{
    char scratch[CM_UUID_TEXT];
    bool equal = false;
    cm_str_t key;

    int rc = key_of(search, columns, i, scratch, &key, err);
    if (rc < 0 || key.len == 0)
        return rc;
    uint32_t place = search->by_key[slot_of_key(search, key)];
    if (place == NONE)
        return 0;
    const cm_mirror_row_t *row = &search->rows[place];
    if (row->present && !search->same[place])
        rc = is_equal(search, columns, i, &row->event, &equal, err);
    if (rc == 0 && equal)
        search->same[place] = true;
    else if (rc == 0)
        cm_mirror_replace(search->mirror, columns->first + i);
    return rc;
}

static int look_at_block(search_t *search, const cm_block_ref_t *block, cm_columns_t *columns,
                         cm_err_t *err)
{
    const cm_mirror_t *mirror = search->mirror;
    size_t next = cm_mirror_replaced_before(mirror, block->first);

    int rc = cm_reader_read(search->reader, block, CM_READ_ALL, columns, err);
    for (uint32_t i = 0; i < block->count && rc == 0; i++) {
        if (next < search->replaced && mirror->replaced[next] == block->first + i)
            next++;
        else
            rc = look_at(search, columns, i, err);
    }
    return rc;
}

static int look_at_all(search_t *search, cm_err_t *err)
{
    const cm_block_ref_t *blocks;
    cm_columns_t columns = {0};
    size_t count = 0;

    int rc = cm_mirror_inner_reader(search->mirror, &search->reader, err);
    if (rc < 0)
        return rc;
    rc = cm_reader_blocks(search->reader, &blocks, &count, err);
    search->replaced = search->mirror->replaced_count;
    for (size_t b = 0; b < count && rc == 0; b++) {
        rc = look_at_block(search, &blocks[b], &columns, err);
        cm_mirror_sort_replaced(search->mirror);
        search->replaced = search->mirror->replaced_count;
    }
    cm_columns_free(&columns);
    cm_reader_close(search->reader);
    return rc;
}

/* ---- putting rows ---- */

/* Writes the ordinals of the replaced events, in the open transaction. */
static int write_replaced(cm_mirror_t *mirror, const int64_t *before, size_t before_count,
                          cm_err_t *err)
{
    const cm_database_t *database = cm_mirror_database(mirror);
    sqlite3_stmt *insert;
    size_t old = 0;

    int rc = cm_database_prepare(database, "INSERT OR IGNORE INTO mirror_replaced VALUES (?)",
                                 &insert, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < mirror->replaced_count && rc == 0; i++) {
        if (old < before_count && before[old] == mirror->replaced[i]) {
            old++;
            continue;
        }
        sqlite3_bind_int64(insert, 1, mirror->replaced[i]);
        rc = cm_database_step(database, insert, "writing what was replaced", err);
    }
    sqlite3_finalize(insert);
    return rc;
}

static int put_new(search_t *search, int64_t *changed, cm_err_t *err)
{
    cm_batch_t batch = CM_BATCH_INIT;

    for (size_t i = 0; i < search->count; i++) {
        if (!search->rows[i].present || search->same[i])
            continue;
        *cm_batch_slot(&batch) = search->rows[i].event;
        cm_batch_accept(&batch);
        ++*changed;
    }
    cm_batch_mark(&batch, CM_STR("mirror"), ++search->mirror->run); /* opens the transaction */
    int rc = cm_sink_put(&search->mirror->inner->sink, &batch, err);
    cm_batch_free(&batch);
    return rc;
}

int cm_mirror_put(cm_mirror_t *mirror, const cm_mirror_row_t *rows, size_t count, int64_t *changed,
                  cm_err_t *err)
{
    search_t search = {.mirror = mirror, .rows = rows, .count = count};
    size_t before_count = mirror->replaced_count;
    int64_t *before = cm_alloc((before_count + 1) * sizeof *before);

    if (before_count > 0)
        memcpy(before, mirror->replaced, before_count * sizeof *before);
    *changed = 0;
    prepare(&search);
    int rc = count > 0 ? look_at_all(&search, err) : 0;
    if (rc == 0)
        rc = put_new(&search, changed, err);
    if (rc == 0)
        rc = write_replaced(mirror, before, before_count, err);
    free(before);
    free(search.by_key);
    free(search.times);
    free(search.same);
    return rc;
}
