#include "mill/timelines_inside.h"

/* `values` maps a block's numbers to values; NULL: `add` is added to them. */
#define PUT(name, to_t, from_t)                                                                    \
    static void name(to_t *to, const uint32_t *row_of, uint32_t count, const from_t *numbers,      \
                     const uint32_t *values, uint32_t add)                                         \
    {                                                                                              \
        for (uint32_t i = 0; i < count; i++) {                                                     \
            if (row_of[i] != CM_TIMELINES_NO_ROW)                                                  \
                to[row_of[i]] = (to_t)(values != NULL ? values[numbers[i]] : numbers[i] + add);    \
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

static void put_range(const cm_timelines_values_t *target, const uint32_t *rows, uint32_t count,
                      const void *numbers, uint8_t width, const uint32_t *values, uint32_t add)
{
    void *to = target->values;

    switch (target->width * 8 + width) {
    case 9:
        put_1_1(to, rows, count, numbers, values, add);
        break;
    case 10:
        put_1_2(to, rows, count, numbers, values, add);
        break;
    case 12:
        put_1_4(to, rows, count, numbers, values, add);
        break;
    case 17:
        put_2_1(to, rows, count, numbers, values, add);
        break;
    case 18:
        put_2_2(to, rows, count, numbers, values, add);
        break;
    case 20:
        put_2_4(to, rows, count, numbers, values, add);
        break;
    case 33:
        put_4_1(to, rows, count, numbers, values, add);
        break;
    case 34:
        put_4_2(to, rows, count, numbers, values, add);
        break;
    default:
        put_4_4(to, rows, count, numbers, values, add);
    }
}

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
    for (size_t i = range_at(part, block->first); i < part->range_count; i++) {
        const cm_part_range_t *range = &part->ranges[i];
        const int64_t range_end = range->first + range->count, block_end = cm_block_end(block);
        const int64_t from = range->first > block->first ? range->first : block->first;
        const int64_t to = range_end < block_end ? range_end : block_end;
        if (from >= to)
            return;
        put_range(&part->columns[column], part->row_of + range->position + (from - range->first),
                  (uint32_t)(to - from), (const char *)numbers + (from - block->first) * width,
                  width, values, add);
    }
}
