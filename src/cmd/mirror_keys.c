#include "cmd/mirror_keys.h"

#include <stdlib.h>
#include <xxhash.h>

static uint32_t *slot_of(const cm_mirror_keys_t *keys, cm_str_t key)
{
    size_t at = XXH3_64bits(key.data, key.len) & (keys->slot_count - 1);

    while (keys->slots[at] != 0 && !cm_str_equal(keys->keys[keys->slots[at] - 1].key, key))
        at = (at + 1) & (keys->slot_count - 1);
    return &keys->slots[at];
}

cm_mirror_key_t *cm_mirror_keys_find(const cm_mirror_keys_t *keys, cm_str_t key)
{
    uint32_t place = keys->slot_count > 0 ? *slot_of(keys, key) : 0;
    return place != 0 ? &keys->keys[place - 1] : NULL;
}

static void grow(cm_mirror_keys_t *keys)
{
    keys->cap = keys->cap ? 2 * keys->cap : 1024;
    keys->keys = cm_realloc(keys->keys, keys->cap * sizeof *keys->keys);
    free(keys->slots);
    keys->slot_count = 2 * keys->cap;
    keys->slots = cm_alloc_zero(keys->slot_count, sizeof *keys->slots);
    for (size_t i = 0; i < keys->count; i++)
        *slot_of(keys, keys->keys[i].key) = (uint32_t)i + 1;
}

static void add(cm_mirror_keys_t *keys, cm_str_t key)
{
    if (keys->count == keys->cap)
        grow(keys);
    uint32_t *slot = slot_of(keys, key);
    if (*slot == 0) {
        keys->keys[keys->count++] = (cm_mirror_key_t){.key = key};
        *slot = (uint32_t)keys->count;
    }
}

void cm_mirror_keys_collect(cm_mirror_keys_t *keys, const cm_store_changes_t *changes)
{
    for (size_t i = 0; i < changes->entry_count; i++) {
        const cm_store_change_entry_t *entry = &changes->entries[i];
        cm_str_t rest = entry->keys, key;
        while (cm_cassandra_changes_next_key(&rest, &key))
            add(keys, key);
    }
}

void cm_mirror_keys_settle(const cm_mirror_keys_t *keys, cm_store_changes_t *changes)
{
    for (size_t i = 0; i < changes->entry_count; i++) {
        cm_store_change_entry_t *entry = &changes->entries[i];
        cm_str_t rest = entry->keys, key;
        int64_t write_us = entry->first_us;
        bool all = true;
        for (; all && cm_cassandra_changes_next_key(&rest, &key); write_us++) {
            const cm_mirror_key_t *found = cm_mirror_keys_find(keys, key);
            all = found != NULL && found->write_us >= write_us;
        }
        entry->settled |= all;
    }
}

void cm_mirror_keys_free(cm_mirror_keys_t *keys)
{
    free(keys->keys);
    free(keys->slots);
    *keys = (cm_mirror_keys_t){.keys = NULL};
}
