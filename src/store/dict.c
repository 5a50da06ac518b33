#include "store/dict.h"

#include <stdlib.h>
#include <xxhash.h>

enum { SLOTS_MIN = 64, ENTRIES_MIN = 32 };

static uint32_t hash_of(cm_str_t text)
{
    return (uint32_t)XXH3_64bits(text.data, text.len);
}

/* The slot of the text, or the free one where it belongs. */
static uint32_t probe(const cm_dict_t *dict, cm_str_t text, uint32_t hash)
{
    uint32_t slot = hash & dict->mask;
    for (; dict->slots[slot] != 0; slot = (slot + 1) & dict->mask) {
        const cm_dict_entry_t *entry = &dict->entries[dict->slots[slot] - 1];
        if (entry->hash == hash && cm_str_equal((cm_str_t){entry->text, entry->len}, text))
            break;
    }
    return slot;
}

static void rebuild_slots(cm_dict_t *dict, uint32_t slots)
{
    free(dict->slots);
    dict->slots = cm_alloc_zero(slots, sizeof *dict->slots);
    dict->mask = slots - 1;
    for (uint32_t id = 0; id < dict->count; id++) {
        uint32_t slot = dict->entries[id].hash & dict->mask;
        while (dict->slots[slot] != 0)
            slot = (slot + 1) & dict->mask;
        dict->slots[slot] = id + 1;
    }
}

static void make_room(cm_dict_t *dict)
{
    if (dict->count == dict->cap) {
        dict->cap = dict->cap ? dict->cap * 2 : ENTRIES_MIN;
        dict->entries = cm_realloc(dict->entries, dict->cap * sizeof *dict->entries);
    }
    if (dict->slots == NULL)
        rebuild_slots(dict, SLOTS_MIN);
    else if (dict->count >= dict->mask / 2)
        rebuild_slots(dict, (dict->mask + 1) * 2);
}

uint32_t cm_dict_put(cm_dict_t *dict, cm_str_t text)
{
    return cm_dict_put_hashed(dict, text, hash_of(text));
}

uint32_t cm_dict_put_hashed(cm_dict_t *dict, cm_str_t text, uint32_t hash)
{
    make_room(dict);
    uint32_t slot = probe(dict, text, hash);
    if (dict->slots[slot] == 0) {
        cm_str_t copy = cm_arena_copy(&dict->texts, text);
        dict->entries[dict->count] = (cm_dict_entry_t){copy.data, (uint32_t)copy.len, hash};
        dict->slots[slot] = ++dict->count;
    }
    return dict->slots[slot] - 1;
}

bool cm_dict_find(const cm_dict_t *dict, cm_str_t text, uint32_t *id)
{
    if (dict->slots == NULL)
        return false;
    uint32_t found = dict->slots[probe(dict, text, hash_of(text))];
    *id = found - 1;
    return found != 0;
}

void cm_dict_truncate(cm_dict_t *dict, uint32_t count)
{
    if (count >= dict->count)
        return;
    dict->count = count;
    rebuild_slots(dict, dict->mask + 1);
}

void cm_dict_clear(cm_dict_t *dict)
{
    dict->count = 0;
    cm_arena_reset(&dict->texts);
    if (dict->slots != NULL)
        memset(dict->slots, 0, ((size_t)dict->mask + 1) * sizeof *dict->slots);
}

void cm_dict_free(cm_dict_t *dict)
{
    free(dict->entries);
    free(dict->slots);
    cm_arena_free(&dict->texts);
    *dict = CM_DICT_INIT;
}
