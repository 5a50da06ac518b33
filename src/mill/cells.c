#include "mill/cells.h"

#include "base/str.h"

#include <stdlib.h>

enum { SLOTS_MIN = 1024 };

static size_t hash_of(cm_cell_key_t key)
{
    /* Three odd constants and a fold: ids are dense, so anything that spreads them will do. */
    uint64_t h = key.url * UINT64_C(0x9E3779B97F4A7C15) ^
                 key.country * UINT64_C(0xC2B2AE3D27D4EB4F) ^
                 key.window * UINT64_C(0x165667B19E3779F9);
    return (size_t)(h ^ h >> 32);
}

static bool same(cm_cell_key_t a, cm_cell_key_t b)
{
    return a.url == b.url && a.country == b.country && a.window == b.window;
}

static size_t probe(const cm_cells_t *cells, cm_cell_key_t key)
{
    size_t slot = hash_of(key) & cells->mask;
    while (cells->used[slot] && !same(cells->slots[slot].key, key))
        slot = (slot + 1) & cells->mask;
    return slot;
}

static void resize(cm_cells_t *cells, size_t slots)
{
    cm_cells_t old = *cells;

    cells->slots = cm_alloc(slots * sizeof *cells->slots);
    cells->used = cm_alloc_zero(slots, sizeof *cells->used);
    cells->mask = slots - 1;
    for (size_t i = 0; old.slots != NULL && i <= old.mask; i++) {
        if (!old.used[i])
            continue;
        size_t slot = probe(cells, old.slots[i].key);
        cells->slots[slot] = old.slots[i];
        cells->used[slot] = true;
    }
    free(old.slots);
    free(old.used);
}

cm_cells_t *cm_cells_new(void)
{
    cm_cells_t *cells = cm_alloc_zero(1, sizeof *cells);
    resize(cells, SLOTS_MIN);
    return cells;
}

cm_cell_t *cm_cells_get(cm_cells_t *cells, cm_cell_key_t key)
{
    size_t slot = probe(cells, key);

    if (!cells->used[slot]) {
        if (cells->count >= cells->mask / 2) {
            resize(cells, (cells->mask + 1) * 2);
            slot = probe(cells, key);
        }
        cells->used[slot] = true;
        cells->slots[slot] = (cm_cell_t){.key = key};
        cells->count++;
    }
    return &cells->slots[slot];
}

void cm_cells_add(cm_cells_t *cells, const cm_cells_t *more)
{
    for (size_t i = 0; i <= more->mask; i++) {
        if (!more->used[i])
            continue;
        const cm_numbers_t *from = &more->slots[i].numbers;
        cm_numbers_t *to = &cm_cells_get(cells, more->slots[i].key)->numbers;
        to->clicks += from->clicks;
        to->users += from->users;
        to->time_spent_sum += from->time_spent_sum;
        to->time_spent_count += from->time_spent_count;
        to->page_time_sum += from->page_time_sum;
        to->page_time_count += from->page_time_count;
        to->entrances += from->entrances;
        to->exits += from->exits;
    }
}

void cm_cells_free(cm_cells_t *cells)
{
    if (cells == NULL)
        return;
    free(cells->slots);
    free(cells->used);
    free(cells);
}

bool cm_numbers_zero(const cm_numbers_t *n)
{
    return (n->clicks | n->users | n->time_spent_sum | n->time_spent_count | n->page_time_sum |
            n->page_time_count | n->entrances | n->exits) == 0;
}
