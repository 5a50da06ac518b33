/* Cells: the numbers per (url, country, window) while they are being added up.
 *
 * An open-addressing table, keyed by dictionary ids. Not for several threads; each thread of the
 * mill has its own and they are added together at the end. */
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
    uint32_t stamp; /* which user was here last; 0: a free slot has never seen one */
    cm_numbers_t numbers;
} cm_cell_t;

typedef struct cm_cells {
    cm_cell_t *slots;
    bool *used;
    size_t mask, count;
} cm_cells_t;

/* Kind and start of a window in one word: hours since the epoch fit 22 bits until 2448. */
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

cm_cells_t *cm_cells_new(void);

/* The cell of a key, made when it is new; valid until the next call. */
cm_cell_t *cm_cells_get(cm_cells_t *cells, cm_cell_key_t key);

/* Adds all of `more` to `cells`. */
void cm_cells_add(cm_cells_t *cells, const cm_cells_t *more);

void cm_cells_free(cm_cells_t *cells);

/* True when every number is 0: nothing changes. */
bool cm_numbers_zero(const cm_numbers_t *numbers);

#endif
