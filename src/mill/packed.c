#include "mill/packed.h"

#include <assert.h>

static unsigned bits_of(uint64_t value)
{
    return value == 0 ? 0 : 64 - (unsigned)__builtin_clzll(value);
}

cm_compact_layout_t cm_compact_layout_for(uint64_t users, uint32_t urls, unsigned country_bits,
                                          int64_t first, int64_t last)
{
    const unsigned user_bits = bits_of(users), place_bits = bits_of(urls) + country_bits;
    const unsigned time_bits = bits_of((uint64_t)(last - first));
    const unsigned spent_bits = bits_of((uint64_t)(last / 1000 - first / 1000));

    assert(first <= last);
    return (cm_compact_layout_t){
        .on = user_bits + time_bits + place_bits <= 64 && time_bits + place_bits < 64 &&
              place_bits + CM_CONTRIBUTION_COMPACT_BITS + spent_bits <= 64 &&
              time_bits <= CM_PACKED_TIME_BITS,
        .time_bits = time_bits,
        .place_bits = place_bits,
        .spent_bits = spent_bits,
        .first_time = first};
}
