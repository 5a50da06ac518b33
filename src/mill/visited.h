/* Where one user has been: a set that is emptied for free.
 *
 * Each entry carries the stamp of the user who made it; a new stamp makes all of them strangers.
 * It grows with the user who has been at most places and is a few KiB for everybody else, so that
 * it stays in the cache. One thread. */
#ifndef CM_MILL_VISITED_H
#define CM_MILL_VISITED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct cm_visited_slot {
    uint64_t key;
    uint32_t window;
    uint32_t stamp;
} cm_visited_slot_t;

/* All zero is an empty set; call cm_visited_begin() before the first cm_visited_add(). */
typedef struct cm_visited {
    cm_visited_slot_t *slots;
    size_t mask;
    uint32_t stamp;
    size_t count; /* of this stamp */
} cm_visited_t;

/* Empties the set. */
void cm_visited_begin(cm_visited_t *visited);

/* Twice the room. */
void cm_visited_grow(cm_visited_t *visited);

/* Puts (key, window) into the set; true when it was not there. */
static inline bool cm_visited_add(cm_visited_t *visited, uint64_t key, uint32_t window)
{
    /* 2^64 / golden ratio: keys are dense, their high bits must come to depend on all of them. */
    uint64_t hash = (key ^ (uint64_t)window << 32) * UINT64_C(0x9E3779B97F4A7C15);
    size_t slot = (hash >> 32) & visited->mask;

    while (visited->slots[slot].stamp == visited->stamp) {
        if (visited->slots[slot].key == key && visited->slots[slot].window == window)
            return false;
        slot = (slot + 1) & visited->mask;
    }
    visited->slots[slot] = (cm_visited_slot_t){key, window, visited->stamp};
    if (++visited->count > visited->mask / 2)
        cm_visited_grow(visited);
    return true;
}

void cm_visited_free(cm_visited_t *visited);

#endif
