/* Cells: the measures per (url, country, window) while they are being added up.
 *
 * Urls are spread over regions, url & region_mask. One thread adds up a region's cells, from the
 * contributions of all timelines, while the cells are in its cache. A region has the cells of the
 * contract and those of its urls with all countries together. The cells of a country and of the
 * whole site (both with all urls) cannot belong to a region; each thread keeps its own. A user is
 * counted where a contribution says that the user is new (packed.h). All other measures of the
 * wider cells are sums over the contract's cells, made at the end.
 *
 * A table owns its memory and is used by one thread at a time. */
#ifndef CM_MILL_CELLS_H
#define CM_MILL_CELLS_H

#include "mill/chunks.h"
#include "mill/measures.h"
#include "mill/packed.h"

/* Instead of the id of a url or a country: all of them. */
#define CM_CELL_ALL UINT32_MAX

typedef struct cm_cell_key {
    uint32_t url, country; /* ids, or CM_CELL_ALL */
    uint32_t window;       /* cm_cell_window() */
} cm_cell_key_t;

typedef struct cm_cell {
    cm_cell_key_t key;
    uint32_t up; /* index in the list + 1 of the cell of the url with all countries; 0: none yet */
    cm_measures_t measures;
} cm_cell_t;

/* All zero is an empty table. */
typedef struct cm_cells {
    cm_cell_t *list; /* in order of first use */
    uint32_t count, cap;
    uint32_t *slots; /* hash table: index in the list + 1, 0 is free */
    size_t mask;
    uint32_t *direct;   /* index in the list + 1 of the cell of all time, by place (cm_place())
                           within the region; NULL when there would be too many */
    cm_cell_t **sorted; /* made by cm_cells_sort() */
} cm_cells_t;

/* How contributions become cells. */
typedef struct cm_gathering {
    const cm_packed_layout_t *layout;
    const cm_compact_layout_t *compact;
    unsigned windows;
    int64_t session_timeout_s; /* whole seconds */
    unsigned region_shift;     /* logarithm of the number of regions */
    size_t direct;             /* places that a region may have; 0: a direct table does not pay */
} cm_gathering_t;

/* Kind and start of a window in one word: hours since the epoch fit 30 bits for 100,000 years. */
static inline uint32_t cm_cell_window(cm_window_t window, int64_t start_ms)
{
    return (uint32_t)window << 30 | (uint32_t)(start_ms / 3600000);
}

/* The window that an hour belongs to. */
static inline uint32_t cm_cell_window_at(cm_window_t window, uint32_t hour)
{
    uint32_t start = window == CM_WINDOW_ALL   ? 0
                     : window == CM_WINDOW_DAY ? hour - hour % 24
                                               : hour;
    return (uint32_t)window << 30 | start;
}

static inline cm_window_t cm_cell_window_kind(uint32_t window)
{
    return (cm_window_t)(window >> 30);
}

static inline int64_t cm_cell_window_start(uint32_t window)
{
    return (int64_t)(window & 0x3FFFFFFF) * 3600000;
}

/* The index in the list of the cell with this key, which is made when it is new. */
uint32_t cm_cells_find(cm_cells_t *cells, cm_cell_key_t key);

/* The cell with this key, which is made when it is new. Valid until the next cell is made. */
static inline cm_cell_t *cm_cells_get(cm_cells_t *cells, cm_cell_key_t key)
{
    uint32_t found = cm_cells_find(cells, key); /* first, because it may move the list */
    return &cells->list[found];
}

/* Adds the contributions of a closed list to the cells of their region, and counts users in the
 * cells of all urls in `wide`. */
void cm_cells_gather(cm_cells_t *cells, cm_cells_t *wide, const cm_chunk_list_t *list,
                     const cm_gathering_t *gathering);

/* Makes the sums of the wider cells. Call it once, when everything is gathered. */
void cm_cells_roll_up(cm_cells_t *cells, cm_cells_t *wide);

/* Adds all of `more` to `cells`. */
void cm_cells_add(cm_cells_t *cells, const cm_cells_t *more);

/* Fills cells->sorted: in order of url, country, window; CM_CELL_ALL last. */
void cm_cells_sort(cm_cells_t *cells);

void cm_cells_free(cm_cells_t *cells);

/* True when every measure is 0, so that adding it changes nothing. */
bool cm_measures_are_zero(const cm_measures_t *numbers);

#endif
