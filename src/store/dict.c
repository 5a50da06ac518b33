#include "store/dict.h"

#include <stdlib.h>

/* Texts are short: a call would take as long as hashing them. */
#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    SLOTS_MIN = 64,
    ENTRIES_MIN = 32,
    TOGETHER = 16, /* texts that wait for memory at the same time; a core has as many misses open */
};

uint32_t cm_dict_hash(cm_str_t text)
{
    return (uint32_t)XXH3_64bits(text.data, text.len);
}

static uint64_t slot_value(uint32_t hash, uint32_t id)
{
    return (uint64_t)hash << 32 | (id + 1);
}

static uint32_t slot_id(uint64_t slot)
{
    return (uint32_t)slot - 1;
}

/* The slot of the text, or the free one where it belongs. */
static uint32_t probe(const cm_dict_t *dict, cm_str_t text, uint32_t hash)
{
    uint32_t slot = hash & dict->mask;
    for (; dict->slots[slot] != 0; slot = (slot + 1) & dict->mask) {
        if (dict->slots[slot] >> 32 != hash)
            continue;
        if (cm_str_equal(cm_dict_text(dict, slot_id(dict->slots[slot])), text))
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
        dict->slots[slot] = slot_value(dict->entries[id].hash, id);
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
    return cm_dict_put_hashed(dict, text, cm_dict_hash(text));
}

uint32_t cm_dict_put_hashed(cm_dict_t *dict, cm_str_t text, uint32_t hash)
{
    make_room(dict);
    uint32_t slot = probe(dict, text, hash);
    if (dict->slots[slot] == 0) {
        cm_str_t copy = cm_arena_copy(&dict->texts, text);
        dict->entries[dict->count] = (cm_dict_entry_t){copy.data, (uint32_t)copy.len, hash};
        dict->slots[slot] = slot_value(hash, dict->count++);
    }
    return slot_id(dict->slots[slot]);
}

void cm_dict_put_many(cm_dict_t *dict, const cm_str_t *texts, const uint32_t *hashes,
                      uint32_t count, uint32_t *ids)
{
    make_room(dict);
    for (uint32_t from = 0, to; from < count; from = to) {
        to = count - from > TOGETHER ? from + TOGETHER : count;
        for (uint32_t i = from; i < to; i++)
            __builtin_prefetch(&dict->slots[hashes[i] & dict->mask]);
        for (uint32_t i = from; i < to; i++) {
            uint64_t slot = dict->slots[hashes[i] & dict->mask];
            if (slot != 0 && slot >> 32 == hashes[i])
                __builtin_prefetch(&dict->entries[slot_id(slot)]);
        }
        for (uint32_t i = from; i < to; i++) {
            uint64_t slot = dict->slots[hashes[i] & dict->mask];
            if (slot != 0 && slot >> 32 == hashes[i])
                __builtin_prefetch(dict->entries[slot_id(slot)].text);
        }
        for (uint32_t i = from; i < to; i++)
            ids[i] = cm_dict_put_hashed(dict, texts[i], hashes[i]);
    }
}

bool cm_dict_find(const cm_dict_t *dict, cm_str_t text, uint32_t *id)
{
    if (dict->slots == NULL)
        return false;
    uint64_t found = dict->slots[probe(dict, text, cm_dict_hash(text))];
    *id = slot_id(found);
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
