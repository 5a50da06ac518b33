/* The cells, urls and countries that one user has been to: a set that costs nothing to empty.
 *
 * Each entry has the stamp of the user for whom it was added, and a new stamp makes all older
 * entries invalid. The set only grows when a user has been to many places; for most users it has a
 * few KiB and stays in the cache. Used by one thread. */
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

/* Doubles the number of slots. */
void cm_visited_grow(cm_visited_t *visited);

/* Adds (key, window) to the set; true when it was not there. */
static inline bool cm_visited_add(cm_visited_t *visited, uint64_t key, uint32_t window)
{
    /* 2^64 / golden ratio. Keys are dense, so the product's high bits depend on all their bits. */
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
