#include "mill/visited.h"

#include "base/str.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOTS_MIN = 256 };

void cm_visited_begin(cm_visited_t *visited)
{
    if (visited->slots == NULL) {
        visited->mask = SLOTS_MIN - 1;
        visited->slots = cm_alloc_zero(SLOTS_MIN, sizeof *visited->slots);
    }
    visited->count = 0;
    if (++visited->stamp == 0) { /* all stamps are used: clear the slots and begin again */
        memset(visited->slots, 0, (visited->mask + 1) * sizeof *visited->slots);
        visited->stamp = 1;
    }
}

void cm_visited_grow(cm_visited_t *visited)
{
    cm_visited_slot_t *old = visited->slots;
    size_t slots = visited->mask + 1;

    assert((slots & visited->mask) == 0);
    visited->mask = 2 * slots - 1;
    visited->slots = cm_alloc_zero(2 * slots, sizeof *visited->slots);
    visited->count = 0;
    for (size_t i = 0; i < slots; i++) {
        if (old[i].stamp == visited->stamp)
            cm_visited_add(visited, old[i].key, old[i].window);
    }
    free(old);
}

void cm_visited_free(cm_visited_t *visited)
{
    free(visited->slots);
    *visited = (cm_visited_t){0};
}
