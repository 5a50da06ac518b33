#include "store/builder.h"

#include "event/choice.h"

#include <assert.h>
#include <stdlib.h>

static void add_key(cm_builder_t *builder, const cm_event_t *event, cm_key_t *key)
{
    uint8_t derived[16];

    key->kind = CM_KEY_DERIVED;
    if (event->row_key.len == 0)
        return;
    if (cm_uuid_parse(event->row_key, key->uuid)) {
        key->kind = CM_KEY_UUID;
        if (builder->answers_only && (builder->frugal == NULL || !atomic_load(builder->frugal)))
            return;
        /* A key that follows from the event is not stored: it would be 16 bytes that do not
         * compress. */
        cm_event_derive_key(event, derived);
        if (memcmp(derived, key->uuid, sizeof derived) == 0)
            key->kind = CM_KEY_DERIVED;
    } else {
        key->kind = CM_KEY_TEXT;
        key->text = cm_arena_copy(&builder->columns.key_strings, event->row_key);
    }
}

static const size_t string_at[CM_FIELD_COUNT] = {
    [CM_USER] = offsetof(cm_event_t, user_id),    [CM_URL] = offsetof(cm_event_t, url),
    [CM_COUNTRY] = offsetof(cm_event_t, country), [CM_CITY] = offsetof(cm_event_t, city),
    [CM_BROWSER] = offsetof(cm_event_t, browser), [CM_OS] = offsetof(cm_event_t, os),
    [CM_DEVICE] = offsetof(cm_event_t, device)};

static inline cm_str_t string_of(const cm_event_t *event, int field)
{
    return *(const cm_str_t *)((const char *)event + string_at[field]);
}

/* There are nearly as many users as events. A dictionary of the block would take in most of them,
 * and each would be looked up again in the store's dictionary. So the users' strings are kept, and
 * only the store's dictionary gets them. */
static void add_users(cm_builder_t *builder, const cm_event_t *events, uint32_t count)
{
    uint32_t row = builder->columns.count;

    if (builder->users == NULL) {
        builder->users = cm_alloc(CM_BLOCK_EVENTS * sizeof *builder->users);
        builder->user_hashes = cm_alloc(CM_BLOCK_EVENTS * sizeof *builder->user_hashes);
    }
    for (uint32_t i = 0; i < count; i++) {
        builder->user_hashes[row + i] = cm_dict_hash(events[i].user_id);
        builder->users[row + i] = cm_arena_copy(&builder->user_strings, events[i].user_id);
    }
}

/* For fields with many different strings. */
static void add_strings(cm_dict_t *dict, const cm_event_t *events, uint32_t count, int field,
                        uint32_t *ids)
{
    uint32_t hashes[CM_BUILDER_GROUP];
    cm_str_t strings[CM_BUILDER_GROUP];

    for (uint32_t i = 0; i < count; i++) {
        strings[i] = string_of(&events[i], field);
        hashes[i] = cm_dict_hash(strings[i]);
    }
    cm_dict_put_many(dict, strings, hashes, count, ids);
}

/* Of the cold strings, answers only need this: it decides which of several copies of an event
 * counts (event/choice.h). */
static void add_stated(cm_builder_t *builder, const cm_event_t *events, uint32_t count)
{
    uint32_t row = builder->columns.count;

    if (builder->stated == NULL)
        builder->stated = cm_alloc(CM_BLOCK_EVENTS * sizeof *builder->stated);
    for (uint32_t i = 0; i < count; i++)
        builder->stated[row + i] = (uint8_t)cm_event_stated_cold(&events[i]);
}

static void add_extras(cm_wide_t *wide, const cm_event_t *events, uint32_t count)
{
    const cm_event_extra_t *extras[CM_BUILDER_GROUP];

    for (uint32_t i = 0; i < count; i++)
        extras[i] = events[i].extra;
    cm_wide_add(wide, extras, count);
}

/* Adds at most CM_BUILDER_GROUP events. */
static void add_group(cm_builder_t *builder, const cm_event_t *events, uint32_t count)
{
    cm_columns_t *columns = &builder->columns;
    uint32_t row = columns->count;
    int fields = builder->answers_only ? CM_CITY : CM_FIELD_COUNT;

    add_users(builder, events, count);
    add_strings(&builder->dicts[CM_URL], events, count, CM_URL, columns->ids[CM_URL] + row);
    for (int field = CM_COUNTRY; field < fields; field++) {
        for (uint32_t i = 0; i < count; i++)
            columns->ids[field][row + i] =
                cm_dict_put_often(&builder->dicts[field], string_of(&events[i], field));
    }
    if (builder->answers_only)
        add_stated(builder, events, count);
    add_extras(&columns->wide, events, count);
    for (uint32_t i = 0; i < count; i++) {
        columns->time[row + i] = events[i].timestamp;
        add_key(builder, &events[i], &columns->keys[row + i]);
    }
    columns->count += count;
}

uint32_t cm_builder_room(const cm_builder_t *builder)
{
    const uint32_t count = builder->columns.count;

    return cm_block_size(count, builder->columns.wide.bytes) < CM_BLOCK_EVENTS
               ? CM_BLOCK_EVENTS - count
               : 0;
}

void cm_builder_add(cm_builder_t *builder, const cm_event_t *events, uint32_t count)
{
    assert(count <= CM_BLOCK_EVENTS - builder->columns.count);
    cm_columns_reserve(&builder->columns, builder->columns.count + count);
    for (uint32_t i = 0; i < count; i += CM_BUILDER_GROUP)
        add_group(builder, events + i, count - i < CM_BUILDER_GROUP ? count - i : CM_BUILDER_GROUP);
}

/* Finds the store's ids of the block's own strings of a field, in order. */
static void resolve_strings(const cm_dict_t *own, cm_dict_t *store, uint32_t *global)
{
    cm_str_t strings[CM_BUILDER_GROUP];
    uint32_t hashes[CM_BUILDER_GROUP];

    for (uint32_t from = 0, count; from < own->count; from += count) {
        count = own->count - from < CM_BUILDER_GROUP ? own->count - from : CM_BUILDER_GROUP;
        for (uint32_t i = 0; i < count; i++) {
            strings[i] = cm_dict_string(own, from + i);
            hashes[i] = own->entries[from + i].hash;
        }
        cm_dict_put_many(store, strings, hashes, count, global + from);
    }
}

void cm_builder_add_columns(cm_builder_t *builder, const cm_columns_t *from)
{
    cm_columns_t *to = &builder->columns;
    const uint32_t at = to->count;

    cm_columns_reserve(to, at + from->count);
    memcpy(to->time + at, from->time, from->count * sizeof *to->time);
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        memcpy(to->ids[field] + at, from->ids[field], from->count * sizeof *to->ids[field]);
    for (uint32_t i = 0; i < from->count; i++) {
        cm_key_t key = from->keys[i];
        if (key.kind == CM_KEY_TEXT)
            key.text = cm_arena_copy(&to->key_strings, key.text);
        to->keys[at + i] = key;
    }
    cm_wide_append(&to->wide, &from->wide, from->count);
    to->count += from->count;
}

size_t cm_builder_fill(cm_builder_t *builder, const cm_batch_t *batch, size_t from)
{
    const size_t room = cm_builder_room(builder), left = batch->count - from;
    const size_t count = left < room ? left : room;

    cm_builder_add(builder, batch->events + from, (uint32_t)count);
    return count;
}

void cm_builder_resolve(cm_builder_t *builder, cm_dict_t store_dicts[CM_FIELD_COUNT])
{
    cm_dict_put_many(&store_dicts[CM_USER], builder->users, builder->user_hashes,
                     builder->columns.count, builder->columns.ids[CM_USER]);
    for (int field = CM_USER + 1; field < CM_FIELD_COUNT; field++) {
        const cm_dict_t *own = &builder->dicts[field];
        uint32_t *ids = builder->columns.ids[field];
        if (own->count == 0)
            continue;
        if (builder->global_cap[field] < own->count) {
            builder->global_cap[field] = own->cap;
            builder->global[field] =
                cm_realloc(builder->global[field], own->cap * sizeof *builder->global[field]);
        }
        uint32_t *global = builder->global[field];
        resolve_strings(own, &store_dicts[field], global);
        for (uint32_t i = 0; i < builder->columns.count; i++)
            ids[i] = global[ids[i]];
    }
}

void cm_builder_encode(cm_builder_t *builder)
{
    static const unsigned parts[CM_BUILDER_PARTS] = {CM_READ_HOT, CM_READ_COLD, CM_READ_KEYS,
                                                     CM_READ_EXTRA};
    const cm_columns_t *columns = &builder->columns;

    builder->all_keys_derived = true;
    builder->has_others = false;
    builder->time_min = INT64_MAX;
    builder->time_max = INT64_MIN;
    for (uint32_t i = 0; i < columns->count; i++) {
        int64_t time = columns->time[i];
        builder->all_keys_derived &= columns->keys[i].kind == CM_KEY_DERIVED;
        builder->has_others |= !cm_wide_is_view(&columns->wide, i);
        builder->time_min = time < builder->time_min ? time : builder->time_min;
        builder->time_max = time > builder->time_max ? time : builder->time_max;
    }
    for (int part = 0; part < CM_BUILDER_PARTS; part++) {
        cm_buf_clear(&builder->parts[part]);
        if (parts[part] == CM_READ_EXTRA && !columns->wide.any)
            continue;
        if (columns->count > 0 && (!builder->answers_only || parts[part] != CM_READ_COLD))
            cm_block_encode(columns, parts[part], !builder->answers_only, &builder->parts[part]);
    }
}

void cm_builder_clear(cm_builder_t *builder)
{
    builder->columns.count = 0;
    cm_wide_clear(&builder->columns.wide);
    cm_arena_reset(&builder->columns.key_strings);
    cm_arena_reset(&builder->user_strings);
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        cm_dict_clear(&builder->dicts[field]);
}

void cm_builder_free(cm_builder_t *builder)
{
    cm_columns_free(&builder->columns);
    cm_arena_free(&builder->user_strings);
    free(builder->users);
    free(builder->user_hashes);
    free(builder->stated);
    for (int field = 0; field < CM_FIELD_COUNT; field++) {
        cm_dict_free(&builder->dicts[field]);
        free(builder->global[field]);
    }
    for (int part = 0; part < CM_BUILDER_PARTS; part++)
        cm_buf_free(&builder->parts[part]);
}
