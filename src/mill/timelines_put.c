#include "mill/timelines_inside.h"

/* `values` maps a block's numbers to values; NULL: `add` is added to them. */
typedef void (*put_fn)(void *to, const uint32_t *row_of, uint32_t count, const void *numbers,
                       const uint32_t *values, uint32_t add);

#define PUT(name, to_t, from_t)                                                                    \
    static void name(void *to, const uint32_t *row_of, uint32_t count, const void *numbers,        \
                     const uint32_t *values, uint32_t add)                                         \
    {                                                                                              \
        to_t *rows = to;                                                                           \
        const from_t *from = numbers;                                                              \
                                                                                                   \
        for (uint32_t i = 0; i < count; i++) {                                                     \
            if (row_of[i] != CM_TIMELINES_NO_ROW)                                                  \
                rows[row_of[i]] = (to_t)(values != NULL ? values[from[i]] : from[i] + add);        \
        }                                                                                          \
    }

PUT(put_1_1, uint8_t, uint8_t)
PUT(put_1_2, uint8_t, uint16_t)
PUT(put_1_4, uint8_t, uint32_t)
PUT(put_2_1, uint16_t, uint8_t)
PUT(put_2_2, uint16_t, uint16_t)
PUT(put_2_4, uint16_t, uint32_t)
PUT(put_4_1, uint32_t, uint8_t)
PUT(put_4_2, uint32_t, uint16_t)
PUT(put_4_4, uint32_t, uint32_t)

/* By the bytes of a value of the column, and of a number of the block. */
static const put_fn puts_by_width[5][5] = {
    [1] = {[1] = put_1_1, [2] = put_1_2, [4] = put_1_4},
    [2] = {[1] = put_2_1, [2] = put_2_2, [4] = put_2_4},
    [4] = {[1] = put_4_1, [2] = put_4_2, [4] = put_4_4},
};

/* The first range of the part that ends behind the ordinal. */
static size_t range_at(const cm_part_t *part, int64_t ordinal)
{
    size_t low = 0, high = part->range_count;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (part->ranges[middle].first + part->ranges[middle].count <= ordinal)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void cm_part_put(const cm_part_t *part, int column, const cm_block_ref_t *block,
                 const void *numbers, uint8_t width, const uint32_t *values, uint32_t add)
{
    const cm_timelines_values_t *target = &part->columns[column];
    const put_fn put = puts_by_width[target->width][width];

    for (size_t i = range_at(part, block->first); i < part->range_count; i++) {
        const cm_part_range_t *range = &part->ranges[i];
        const int64_t range_end = range->first + range->count, block_end = cm_block_end(block);
        const int64_t from = range->first > block->first ? range->first : block->first;
        const int64_t to = range_end < block_end ? range_end : block_end;
        if (from >= to)
            return;
        put(target->values, part->row_of + range->position + (from - range->first),
            (uint32_t)(to - from), (const char *)numbers + (from - block->first) * width, values,
            add);
    }
}
