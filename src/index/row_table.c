#include "index/row_table.h"

#include <stdlib.h>
#include <xxhash.h>

enum { FIRST_SLOTS = 1024 };

static size_t hash_of(uint32_t url, uint32_t country, int64_t window_start)
{
    const uint64_t key[] = {(uint64_t)url << 32 | country, (uint64_t)window_start};
    return (size_t)XXH3_64bits(key, sizeof key);
}

/* The slot of the key, or the free one where it would be. */
static uint32_t *slot_of(const cm_index_row_table_t *table, uint32_t url, uint32_t country,
                         int64_t window_start)
{
    for (size_t at = hash_of(url, country, window_start);; at++) {
        uint32_t *slot = &table->slots[at & table->mask];
        const cm_index_row_t *row = *slot > 0 ? &table->rows[*slot - 1] : NULL;
        if (row == NULL ||
            (row->url == url && row->country == country && row->window_start == window_start))
            return slot;
    }
}

static void grow(cm_index_row_table_t *table)
{
    const size_t slots = table->mask > 0 ? 2 * (table->mask + 1) : FIRST_SLOTS;

    free(table->slots);
    table->slots = cm_alloc_zero(slots, sizeof *table->slots);
    table->mask = slots - 1;
    for (size_t i = 0; i < table->count; i++) {
        const cm_index_row_t *row = &table->rows[i];
        *slot_of(table, row->url, row->country, row->window_start) = (uint32_t)i + 1;
    }
}

void cm_index_row_table_put(cm_index_row_table_t *table, const cm_answer_t *answer)
{
    const uint32_t url = cm_dict_put(&table->urls, answer->url);
    const uint32_t country = cm_dict_put(&table->countries, answer->country);

    if (2 * table->count >= table->mask)
        grow(table);
    uint32_t *slot = slot_of(table, url, country, answer->window_start);
    if (*slot == 0) {
        if (table->count == table->cap) {
            table->cap = table->cap > 0 ? 2 * table->cap : FIRST_SLOTS;
            table->rows = cm_realloc(table->rows, table->cap * sizeof *table->rows);
        }
        *slot = (uint32_t)++table->count;
    }
    table->rows[*slot - 1] = (cm_index_row_t){.url = url,
                                              .country = country,
                                              .window_start = answer->window_start,
                                              .measures = answer->measures};
}

cm_index_row_t *cm_index_row_table_find(cm_index_row_table_t *table, const cm_answer_t *answer)
{
    uint32_t url, country;

    if (table->count == 0 || !cm_dict_find(&table->urls, answer->url, &url) ||
        !cm_dict_find(&table->countries, answer->country, &country))
        return NULL;
    const uint32_t place = *slot_of(table, url, country, answer->window_start);
    return place > 0 ? &table->rows[place - 1] : NULL;
}

cm_answer_t cm_index_row_table_answer(const cm_index_row_table_t *table, const cm_index_row_t *row,
                                      cm_window_t window, cm_dimension_t dimension)
{
    return (cm_answer_t){.dimension = dimension,
                         .window = window,
                         .window_start = row->window_start,
                         .url = cm_dict_string(&table->urls, row->url),
                         .country = cm_dict_string(&table->countries, row->country),
                         .measures = row->measures};
}

void cm_index_row_table_free(cm_index_row_table_t *table)
{
    cm_dict_free(&table->urls);
    cm_dict_free(&table->countries);
    free(table->rows);
    free(table->slots);
    *table = (cm_index_row_table_t){0};
}
