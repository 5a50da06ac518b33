#include "mill/result.h"

#include "base/str.h"

#include <assert.h>
#include <stdlib.h>

/* Puts the cells in order of url, country, window. The region of a url is known, and each region is
 * in order. */
static void merge(cm_mill_result_t *result, const cm_cells_t *regions, uint32_t count,
                  const cm_cells_t *wide)
{
    uint32_t *at = cm_alloc_zero(count + 1, sizeof *at);
    size_t left = 0;

    for (uint32_t r = 0; r < count; r++)
        left += regions[r].count;
    for (uint32_t url = 0; left > 0; url++) {
        uint32_t r = url & (count - 1);
        for (; at[r] < regions[r].count && regions[r].sorted[at[r]]->key.url == url; at[r]++) {
            result->cells[result->count++] = regions[r].sorted[at[r]];
            left--;
        }
    }
    for (uint32_t i = 0; i < wide->count; i++)
        result->cells[result->count++] = wide->sorted[i];
    free(at);
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Lists the different windows in order; the caller frees the list. */
static uint32_t *list_windows(const cm_mill_result_t *result, size_t *count)
{
    uint32_t *windows = cm_alloc((result->count + 1) * sizeof *windows);
    size_t kept = 0;

    *count = 0;
    for (size_t i = 0; i < result->count; i++) {
        uint32_t window = result->cells[i]->key.window;
        if (*count == 0 ||
            windows[*count - 1] != window) /* neighbours often have the same window */
            windows[(*count)++] = window;
    }
    qsort(windows, *count, sizeof *windows, by_number);
    for (size_t i = 0; i < *count; i++) {
        if (kept == 0 || windows[kept - 1] != windows[i])
            windows[kept++] = windows[i];
    }
    *count = kept;
    return windows;
}

static size_t rank_of(const uint32_t *windows, size_t count, uint32_t window)
{
    size_t low = 0, high = count;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (windows[middle] <= window)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Sorts the cells by window with a counting sort, which keeps the order within a window. */
static void order_windows(cm_mill_result_t *result)
{
    size_t count;
    uint32_t *windows = list_windows(result, &count);

    if (count > 1) {
        cm_cell_t **ordered = cm_alloc(result->count * sizeof(cm_cell_t *));
        size_t *starts = cm_alloc_zero(count + 1, sizeof *starts);
        for (size_t i = 0; i < result->count; i++)
            starts[rank_of(windows, count, result->cells[i]->key.window) + 1]++;
        for (size_t w = 0; w < count; w++)
            starts[w + 1] += starts[w];
        for (size_t i = 0; i < result->count; i++)
            ordered[starts[rank_of(windows, count, result->cells[i]->key.window)]++] =
                result->cells[i];
        free(starts);
        free(result->cells);
        result->cells = ordered;
    }
    free(windows);
}

void cm_result_collect(cm_mill_result_t *result, cm_cells_t *regions, uint32_t count,
                       cm_cells_t *wide)
{
    size_t total = wide->count;

    assert(regions == NULL || (count & (count - 1)) == 0);
    if (regions == NULL)
        count = 0;
    for (uint32_t r = 0; r < count; r++)
        total += regions[r].count;
    result->cells = cm_alloc((total + 1) * sizeof(cm_cell_t *));
    result->count = 0;
    merge(result, regions, count, wide);
    order_windows(result);
    result->tables = cm_realloc(regions, (count + 1) * sizeof *regions);
    result->tables[count] = *wide;
    result->table_count = count + 1;
    *wide = (cm_cells_t){0};
}

void cm_mill_result_free(cm_mill_result_t *result)
{
    for (uint32_t i = 0; i < result->table_count; i++)
        cm_cells_free(&result->tables[i]);
    free(result->tables);
    free(result->cells);
    *result = (cm_mill_result_t){0};
}
