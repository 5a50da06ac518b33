#include "mill/cells.h"

#include "base/str.h"

#include <stdlib.h>

enum {
    SLOTS_MIN = 1024,
    DIRECT_MAX = 4 * 1024 * 1024, /* entries of 4 bytes; beyond it a hash table is no slower */
};

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

static void rebuild_slots(cm_cells_t *cells, size_t slots)
{
    free(cells->slots);
    cells->slots = cm_alloc_zero(slots, sizeof *cells->slots);
    cells->mask = slots - 1;
    for (uint32_t i = 0; i < cells->count; i++) {
        size_t slot = hash_of(cells->list[i].key) & cells->mask;
        while (cells->slots[slot] != 0)
            slot = (slot + 1) & cells->mask;
        cells->slots[slot] = i + 1;
    }
}

cm_cells_t *cm_cells_new(uint32_t urls, uint32_t countries)
{
    cm_cells_t *cells = cm_alloc_zero(1, sizeof *cells);

    rebuild_slots(cells, SLOTS_MIN);
    cells->countries = countries > 0 ? countries : 1;
    if ((uint64_t)urls * countries <= DIRECT_MAX) {
        cells->direct = cm_alloc_zero((size_t)urls * countries, sizeof *cells->direct);
        cells->direct_url = cm_alloc_zero(urls, sizeof *cells->direct_url);
    }
    return cells;
}

uint32_t cm_cells_find(cm_cells_t *cells, cm_cell_key_t key)
{
    size_t slot = hash_of(key) & cells->mask;

    for (; cells->slots[slot] != 0; slot = (slot + 1) & cells->mask) {
        uint32_t found = cells->slots[slot] - 1;
        if (same(cells->list[found].key, key))
            return found;
    }
    if (cells->count == cells->cap) {
        cells->cap = cells->cap ? cells->cap * 2 : 256;
        cells->list = cm_realloc(cells->list, cells->cap * sizeof *cells->list);
    }
    cells->list[cells->count++] = (cm_cell_t){.key = key};
    cells->slots[slot] = cells->count;
    if (cells->count > cells->mask / 2)
        rebuild_slots(cells, (cells->mask + 1) * 2);
    return cells->count - 1;
}

/* Adds everything but the users. */
static void add_sums(cm_numbers_t *to, const cm_numbers_t *from)
{
    to->clicks += from->clicks;
    to->time_spent_sum += from->time_spent_sum;
    to->time_spent_count += from->time_spent_count;
    to->page_time_sum += from->page_time_sum;
    to->page_time_count += from->page_time_count;
    to->entrances += from->entrances;
    to->exits += from->exits;
}

void cm_cells_add(cm_cells_t *cells, const cm_cells_t *more)
{
    for (uint32_t i = 0; i < more->count; i++) {
        cm_cell_t *cell = cm_cells_get(cells, more->list[i].key);
        add_sums(&cell->numbers, &more->list[i].numbers);
        cell->numbers.users += more->list[i].numbers.users;
    }
}

void cm_cells_roll_up(cm_cells_t *cells)
{
    uint32_t count = cells->count; /* what is added below is no cell of the contract */

    for (uint32_t i = 0; i < count; i++) {
        const cm_cell_t from = cells->list[i];
        const cm_cell_key_t into[] = {{from.key.url, CM_CELL_ALL, from.key.window},
                                      {CM_CELL_ALL, from.key.country, from.key.window},
                                      {CM_CELL_ALL, CM_CELL_ALL, from.key.window}};
        if (from.key.url == CM_CELL_ALL || from.key.country == CM_CELL_ALL)
            continue;
        for (size_t k = 0; k < sizeof into / sizeof into[0]; k++)
            add_sums(&cm_cells_get(cells, into[k])->numbers, &from.numbers);
    }
}

void cm_cells_free(cm_cells_t *cells)
{
    if (cells == NULL)
        return;
    free(cells->list);
    free(cells->slots);
    free(cells->direct);
    free(cells->direct_url);
    free(cells);
}

bool cm_numbers_zero(const cm_numbers_t *n)
{
    return (n->clicks | n->users | n->time_spent_sum | n->time_spent_count | n->page_time_sum |
            n->page_time_count | n->entrances | n->exits) == 0;
}
