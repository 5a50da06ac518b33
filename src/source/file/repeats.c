#include "source/file/repeats.h"

#include "base/str.h"

#include <stdlib.h>

enum { SIZE_MIN = 1024 };

/* The slot of an entry, or the free slot for it. The second is multiplied before it is mixed in, so
 * that one frequent line does not fill a run of neighbouring slots. */
static cm_repeat_t *find(const cm_repeats_t *repeats, uint64_t hash, uint32_t second)
{
    size_t mask = repeats->size - 1;
    size_t at = (hash ^ ((second * UINT64_C(0x9E3779B97F4A7C15)) >> 32)) & mask;

    for (;; at = (at + 1) & mask) {
        cm_repeat_t *slot = &repeats->slots[at];
        if (slot->count == 0 || (slot->hash == hash && slot->second == second))
            return slot;
    }
}

static bool is_kept(const cm_repeat_t *slot, uint32_t now, uint32_t span)
{
    uint32_t distance = slot->second < now ? now - slot->second : slot->second - now;
    return slot->count > 0 && distance <= span;
}

static size_t count_kept(const cm_repeats_t *repeats, uint32_t now, uint32_t span)
{
    size_t kept = 0;
    for (size_t i = 0; i < repeats->size; i++)
        kept += is_kept(&repeats->slots[i], now, span);
    return kept;
}

/* Moves the entries that are near enough to `now` into a table that is then at most half full. */
static void rebuild(cm_repeats_t *repeats, uint32_t now)
{
    uint32_t span = CM_REPEATS_SPAN;
    size_t kept = count_kept(repeats, now, span), size = SIZE_MIN;

    while (kept > CM_REPEATS_MAX / 2 && span > 0) {
        span /= 2;
        kept = count_kept(repeats, now, span);
    }
    /* With more lines than that in one second the table grows, because a count must be right. */
    while (size < kept * 2)
        size *= 2;
    cm_repeats_t old = *repeats;
    repeats->slots = cm_alloc_zero(size, sizeof *repeats->slots);
    repeats->size = size;
    repeats->used = kept;
    for (size_t i = 0; i < old.size; i++) {
        const cm_repeat_t *slot = &old.slots[i];
        if (is_kept(slot, now, span))
            *find(repeats, slot->hash, slot->second) = *slot;
    }
    free(old.slots);
}

uint32_t cm_repeats_count(cm_repeats_t *repeats, uint64_t hash, uint32_t second)
{
    if (repeats->used >= repeats->size / 4 * 3)
        rebuild(repeats, second);
    cm_repeat_t *slot = find(repeats, hash, second);
    if (slot->count == 0) {
        *slot = (cm_repeat_t){.hash = hash, .second = second};
        repeats->used++;
    }
    return slot->count++;
}

void cm_repeats_free(cm_repeats_t *repeats)
{
    free(repeats->slots);
    *repeats = CM_REPEATS_INIT;
}
