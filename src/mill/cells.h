/* Cells: the numbers per (url, country, window) while they are being added up.
 *
 * A list of cells and two ways to find one: a direct table for the cells of all time, where url and
 * country together are a small number, and a hash table for everything else. Not for several
 * threads; each thread of the mill has its own and they are added together at the end. */
#ifndef CM_MILL_CELLS_H
#define CM_MILL_CELLS_H

#include "mill/numbers.h"

#include <stdbool.h>
#include <stddef.h>

/* In the place of a url or a country: all of them. */
#define CM_CELL_ALL UINT32_MAX

typedef struct cm_cell_key {
    uint32_t url, country; /* ids, or CM_CELL_ALL */
    uint32_t window;       /* cm_cell_window() */
} cm_cell_key_t;

typedef struct cm_cell {
    cm_cell_key_t key;
    uint32_t stamp; /* which user was here last; 0: none */
    cm_numbers_t numbers;
} cm_cell_t;

typedef struct cm_cells {
    cm_cell_t *list; /* in order of first use */
    uint32_t count, cap;
    uint32_t *slots; /* hash table: place in the list + 1, 0 is free */
    size_t mask;
    /* Place in the list + 1 of the cell of all time with url * countries + country, NULL when there
     * would be too many; and the same per url, with the countries together. */
    uint32_t *direct, *direct_url;
    uint32_t countries;
} cm_cells_t;

/* Kind and start of a window in one word: hours since the epoch fit 30 bits for 100,000 years. */
static inline uint32_t cm_cell_window(cm_window_t window, int64_t start_ms)
{
    return (uint32_t)window << 30 | (uint32_t)(start_ms / 3600000);
}

static inline cm_window_t cm_cell_window_kind(uint32_t window)
{
    return (cm_window_t)(window >> 30);
}

static inline int64_t cm_cell_window_start(uint32_t window)
{
    return (int64_t)(window & 0x3FFFFFFF) * 3600000;
}

/* `urls` and `countries` are how many ids there are of each. */
cm_cells_t *cm_cells_new(uint32_t urls, uint32_t countries);

/* The place in the list of the cell with this key, made when it is new. */
uint32_t cm_cells_find(cm_cells_t *cells, cm_cell_key_t key);

/* The cell with this key, made when it is new. Valid until the next cell is made. */
static inline cm_cell_t *cm_cells_get(cm_cells_t *cells, cm_cell_key_t key)
{
    uint32_t found = cm_cells_find(cells, key); /* first: it may move the list */
    return &cells->list[found];
}

/* The cell of all time by url * countries + country. Valid until the next cell is made. */
static inline cm_cell_t *cm_cells_all(cm_cells_t *cells, uint64_t place)
{
    uint32_t *at = cells->direct != NULL ? &cells->direct[place] : NULL;
    if (at != NULL && *at != 0)
        return &cells->list[*at - 1];
    uint32_t found = cm_cells_find(cells, (cm_cell_key_t){(uint32_t)(place / cells->countries),
                                                          (uint32_t)(place % cells->countries),
                                                          cm_cell_window(CM_WINDOW_ALL, 0)});
    if (at != NULL)
        *at = found + 1;
    return &cells->list[found];
}

/* Fetches the cell of all time into the cache, where it will be wanted soon. */
static inline void cm_cells_prefetch(const cm_cells_t *cells, uint64_t place)
{
    if (cells->direct != NULL && cells->direct[place] != 0)
        __builtin_prefetch(&cells->list[cells->direct[place] - 1], 1);
}

/* Adds all of `more` to `cells`. */
void cm_cells_add(cm_cells_t *cells, const cm_cells_t *more);

/* Fills the cells of url, country and site: all their numbers but the users are sums over the
 * contract's cells. */
void cm_cells_roll_up(cm_cells_t *cells);

void cm_cells_free(cm_cells_t *cells);

/* True when every number is 0: nothing changes. */
bool cm_numbers_zero(const cm_numbers_t *numbers);

#endif
