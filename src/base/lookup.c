#include "base/lookup.h"

#include <stdlib.h>
#include <xxhash.h>

enum { FIRST_CAP = 16 };

/* The key's slot, or the free slot where it belongs. There is always a free one. */
static cm_lookup_slot_t *slot_of(const cm_lookup_t *lookup, cm_str_t key)
{
    size_t at = XXH3_64bits(key.data, key.len) & (lookup->cap - 1);

    while (lookup->slots[at].key != NULL &&
           !cm_str_equal((cm_str_t){lookup->slots[at].key, lookup->slots[at].len}, key))
        at = (at + 1) & (lookup->cap - 1);
    return &lookup->slots[at];
}

bool cm_lookup_find(const cm_lookup_t *lookup, cm_str_t key, size_t *at)
{
    if (lookup->cap == 0)
        return false;
    const cm_lookup_slot_t *slot = slot_of(lookup, key);
    if (slot->key != NULL)
        *at = slot->at;
    return slot->key != NULL;
}

static void grow(cm_lookup_t *lookup)
{
    cm_lookup_t larger = {.cap = lookup->cap > 0 ? 2 * lookup->cap : FIRST_CAP,
                          .count = lookup->count};

    larger.slots = cm_alloc_zero(larger.cap, sizeof *larger.slots);
    for (size_t i = 0; i < lookup->cap; i++) {
        const cm_lookup_slot_t *slot = &lookup->slots[i];
        if (slot->key != NULL)
            *slot_of(&larger, (cm_str_t){slot->key, slot->len}) = *slot;
    }
    free(lookup->slots);
    *lookup = larger;
}

void cm_lookup_add(cm_lookup_t *lookup, cm_str_t key, size_t at)
{
    if (2 * (lookup->count + 1) > lookup->cap)
        grow(lookup);
    cm_lookup_slot_t *slot = slot_of(lookup, key);
    slot->key = cm_alloc(key.len + 1);
    if (key.len > 0)
        memcpy(slot->key, key.data, key.len);
    slot->key[key.len] = '\0';
    slot->len = key.len;
    slot->at = at;
    lookup->count++;
}

void cm_lookup_free(cm_lookup_t *lookup)
{
    for (size_t i = 0; i < lookup->cap; i++)
        free(lookup->slots[i].key);
    free(lookup->slots);
    *lookup = (cm_lookup_t){0};
}
