#include "store/dict.h"

#include <assert.h>
#include <stdlib.h>

/* Strings are short: a function call would take as long as hashing them. */
#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    SLOTS_MIN = 64,
    ENTRIES_MIN = 32,
    TOGETHER = 16, /* strings fetched at once: a core can have as many cache misses open */
};

uint32_t cm_dict_hash(cm_str_t string)
{
    return (uint32_t)XXH3_64bits(string.data, string.len);
}

static uint64_t slot_value(uint32_t hash, uint32_t id)
{
    return (uint64_t)hash << 32 | (id + 1);
}

static uint32_t slot_id(uint64_t slot)
{
    return (uint32_t)slot - 1;
}

/* The slot of the string, or the free slot where it belongs. */
static uint32_t probe(const cm_dict_t *dict, cm_str_t string, uint32_t hash)
{
    uint32_t slot = hash & dict->mask;
    for (; dict->slots[slot] != 0; slot = (slot + 1) & dict->mask) {
        if (dict->slots[slot] >> 32 != hash)
            continue;
        if (cm_str_equal(cm_dict_string(dict, slot_id(dict->slots[slot])), string))
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

static void make_room_for_entry(cm_dict_t *dict)
{
    if (dict->count == dict->cap) {
        dict->cap = dict->cap ? dict->cap * 2 : ENTRIES_MIN;
        dict->entries = cm_realloc(dict->entries, dict->cap * sizeof *dict->entries);
    }
}

static void make_room(cm_dict_t *dict)
{
    make_room_for_entry(dict);
    if (dict->slots == NULL)
        rebuild_slots(dict, SLOTS_MIN);
    else if (dict->count >= dict->mask / 2)
        rebuild_slots(dict, (dict->mask + 1) * 2);
}

uint32_t cm_dict_put(cm_dict_t *dict, cm_str_t string)
{
    return cm_dict_put_hashed(dict, string, cm_dict_hash(string));
}

uint32_t cm_dict_put_hashed(cm_dict_t *dict, cm_str_t string, uint32_t hash)
{
    make_room(dict);
    uint32_t slot = probe(dict, string, hash);
    if (dict->slots[slot] == 0) {
        assert(dict->count < dict->cap);
        cm_str_t copy = cm_arena_copy(&dict->strings, string);
        dict->entries[dict->count] = (cm_dict_entry_t){copy.data, (uint32_t)copy.len, hash};
        dict->slots[slot] = slot_value(hash, dict->count++);
    }
    return slot_id(dict->slots[slot]);
}

void cm_dict_append(cm_dict_t *dict, cm_str_t string)
{
    const cm_str_t copy = cm_arena_copy(&dict->strings, string);

    make_room_for_entry(dict);
    dict->entries[dict->count++] = (cm_dict_entry_t){copy.data, (uint32_t)copy.len, 0};
}

void cm_dict_put_many(cm_dict_t *dict, const cm_str_t *strings, const uint32_t *hashes,
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
        for (uint32_t i = from; i < to; i++) {
            uint64_t slot = dict->slots[hashes[i] & dict->mask];
            if (slot != 0 && slot >> 32 == hashes[i] &&
                cm_str_equal(cm_dict_string(dict, slot_id(slot)), strings[i]))
                ids[i] = slot_id(slot);
            else
                ids[i] = cm_dict_put_hashed(dict, strings[i], hashes[i]);
        }
    }
}

/* A string of at most CM_DICT_SHORT_MAX bytes as three numbers. */
static cm_dict_short_t shorten(cm_str_t string)
{
    uint64_t head = 0, tail = 0;

    if (string.len >= 8) {
        memcpy(&head, string.data, 8);
        memcpy(&tail, string.data + string.len - 8, 8);
    } else if (string.len >= 4) {
        /* The numbers have the size of the copied bytes: a load of a number that was stored in two
         * halves has to wait for both stores. */
        uint32_t first, last;
        memcpy(&first, string.data, 4);
        memcpy(&last, string.data + string.len - 4, 4);
        head = first;
        tail = last;
    } else {
        for (size_t i = 0; i < string.len; i++)
            head = head << 8 | (uint8_t)string.data[i];
    }
    return (cm_dict_short_t){.head = head, .tail = tail, .len = (uint32_t)string.len};
}

uint32_t cm_dict_put_often(cm_dict_t *dict, cm_str_t string)
{
    if (string.len > CM_DICT_SHORT_MAX)
        return cm_dict_put(dict, string);
    if (dict->shorts == NULL)
        dict->shorts = cm_alloc_zero(CM_DICT_SHORTS, sizeof *dict->shorts);
    cm_dict_short_t wanted = shorten(string);
    uint64_t mixed = (wanted.head ^ wanted.tail << 1 ^ wanted.len) * UINT64_C(0x9E3779B97F4A7C15);
    cm_dict_short_t *kept = &dict->shorts[mixed >> 57];
    if (kept->head != wanted.head || kept->tail != wanted.tail || kept->len != wanted.len ||
        kept->id == 0) {
        *kept = wanted;
        kept->id = cm_dict_put(dict, string) + 1;
    }
    return kept->id - 1;
}

bool cm_dict_find(const cm_dict_t *dict, cm_str_t string, uint32_t *id)
{
    if (dict->slots == NULL)
        return false;
    uint64_t found = dict->slots[probe(dict, string, cm_dict_hash(string))];
    *id = slot_id(found);
    return found != 0;
}

static void forget_shorts(cm_dict_t *dict)
{
    if (dict->shorts != NULL)
        memset(dict->shorts, 0, CM_DICT_SHORTS * sizeof *dict->shorts);
}

void cm_dict_truncate(cm_dict_t *dict, uint32_t count)
{
    if (count >= dict->count)
        return;
    dict->count = count;
    rebuild_slots(dict, dict->mask + 1);
    forget_shorts(dict);
}

void cm_dict_clear(cm_dict_t *dict)
{
    dict->count = 0;
    cm_arena_reset(&dict->strings);
    forget_shorts(dict);
    if (dict->slots != NULL)
        memset(dict->slots, 0, ((size_t)dict->mask + 1) * sizeof *dict->slots);
}

void cm_dict_free(cm_dict_t *dict)
{
    free(dict->entries);
    free(dict->slots);
    free(dict->shorts);
    cm_arena_free(&dict->strings);
    *dict = CM_DICT_INIT;
}
