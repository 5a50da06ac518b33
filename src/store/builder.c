#include "store/builder.h"

#include <stdlib.h>

static void add_key(cm_builder_t *builder, const cm_event_t *event, cm_key_t *key)
{
    uint8_t derived[16];

    key->kind = CM_KEY_DERIVED;
    if (event->row_key.len == 0)
        return;
    if (cm_uuid_parse(event->row_key, key->uuid)) {
        key->kind = CM_KEY_UUID;
        if (builder->answers_only)
            return;
        /* A key that follows from user and time need not be kept: 16 bytes that do not compress. */
        cm_row_key_derive(event->user_id, event->timestamp, derived);
        if (memcmp(derived, key->uuid, sizeof derived) == 0)
            key->kind = CM_KEY_DERIVED;
    } else {
        key->kind = CM_KEY_TEXT;
        key->text = cm_arena_copy(&builder->columns.key_texts, event->row_key);
    }
}

void cm_builder_add(cm_builder_t *builder, const cm_event_t *event)
{
    cm_columns_t *columns = &builder->columns;
    uint32_t row = columns->count;
    const cm_str_t texts[CM_FIELD_COUNT] = {
        [CM_USER] = event->user_id, [CM_URL] = event->url,         [CM_COUNTRY] = event->country,
        [CM_CITY] = event->city,    [CM_BROWSER] = event->browser, [CM_OS] = event->os,
        [CM_DEVICE] = event->device};
    int fields = builder->answers_only ? CM_CITY : CM_FIELD_COUNT;

    cm_columns_reserve(columns, row + 1);
    for (int field = 0; field < fields; field++)
        columns->ids[field][row] = cm_dict_put(&builder->dicts[field], texts[field]);
    columns->time[row] = event->timestamp;
    add_key(builder, event, &columns->keys[row]);
    columns->count++;
}

void cm_builder_resolve(cm_builder_t *builder, cm_dict_t store_dicts[CM_FIELD_COUNT])
{
    for (int field = 0; field < CM_FIELD_COUNT; field++) {
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
        for (uint32_t id = 0; id < own->count; id++)
            global[id] = cm_dict_put_hashed(&store_dicts[field], cm_dict_text(own, id),
                                            own->entries[id].hash);
        for (uint32_t i = 0; i < builder->columns.count; i++)
            ids[i] = global[ids[i]];
    }
}

void cm_builder_encode(cm_builder_t *builder)
{
    static const unsigned parts[3] = {CM_READ_HOT, CM_READ_COLD, CM_READ_KEYS};
    const cm_columns_t *columns = &builder->columns;

    builder->all_keys_derived = true;
    for (uint32_t i = 0; i < columns->count; i++)
        builder->all_keys_derived &= columns->keys[i].kind == CM_KEY_DERIVED;
    for (int part = 0; part < 3; part++) {
        cm_buf_clear(&builder->parts[part]);
        if (columns->count > 0 && (!builder->answers_only || parts[part] != CM_READ_COLD))
            cm_block_encode(columns, parts[part], !builder->answers_only, &builder->parts[part]);
    }
}

void cm_builder_clear(cm_builder_t *builder)
{
    builder->columns.count = 0;
    cm_arena_reset(&builder->columns.key_texts);
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        cm_dict_clear(&builder->dicts[field]);
}

void cm_builder_free(cm_builder_t *builder)
{
    cm_columns_free(&builder->columns);
    for (int field = 0; field < CM_FIELD_COUNT; field++) {
        cm_dict_free(&builder->dicts[field]);
        free(builder->global[field]);
    }
    for (int part = 0; part < 3; part++)
        cm_buf_free(&builder->parts[part]);
}
