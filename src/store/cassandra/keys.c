#include "store/cassandra/keys.h"

#include <stdlib.h>

void cm_mirror_keys_collect(cm_mirror_keys_t *keys, const cm_store_changes_t *changes)
{
    for (size_t i = 0; i < changes->entry_count; i++) {
        cm_str_t rest = changes->entries[i].keys, key;
        while (cm_cassandra_changes_next_key(&rest, &key))
            cm_dict_put(&keys->keys, key);
    }
    keys->write_us = cm_alloc_zero(keys->keys.count + 1, sizeof *keys->write_us);
}

void cm_mirror_keys_settle(const cm_mirror_keys_t *keys, cm_store_changes_t *changes)
{
    for (size_t i = 0; i < changes->entry_count; i++) {
        cm_store_change_entry_t *entry = &changes->entries[i];
        cm_str_t rest = entry->keys, key;
        int64_t write_us = entry->first_us;
        bool all = true;
        uint32_t id;
        for (; all && cm_cassandra_changes_next_key(&rest, &key); write_us++)
            all = cm_dict_find(&keys->keys, key, &id) && keys->write_us[id] >= write_us;
        entry->settled |= all;
    }
}

void cm_mirror_keys_free(cm_mirror_keys_t *keys)
{
    cm_dict_free(&keys->keys);
    free(keys->write_us);
    *keys = (cm_mirror_keys_t){.write_us = NULL};
}
