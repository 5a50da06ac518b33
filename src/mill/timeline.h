/* One user's timeline: the pass that gives all numbers. */
#ifndef CM_MILL_TIMELINE_H
#define CM_MILL_TIMELINE_H

#include "mill/cells.h"

/* An event in the mill's hand: 16 bytes, because the mill's time is the time that memory takes.
 *
 * `key` is the user's number in its partition and the time, so that one comparison orders both.
 * `load` is the cell of all time (url * countries + country) and, in its low bits, the ordinal. How
 * many bits an ordinal takes depends on the store (cm_grain_shape_t); together they fit as long as
 * events times urls times countries are below 2^64. */
typedef struct cm_grain {
    uint64_t key;
    uint64_t load;
} cm_grain_t;

enum { CM_GRAIN_TIME_BITS = 42 }; /* ms until 2109; the contract ends in 2100 */

#define CM_GRAIN_TIME_MASK ((UINT64_C(1) << CM_GRAIN_TIME_BITS) - 1)
#define CM_GRAIN_DROPPED   UINT64_MAX /* load of a copy */

typedef struct cm_grain_shape {
    unsigned ordinal_bits; /* below 64 */
    uint64_t ordinal_mask;
    uint32_t countries; /* ids of countries are below it; at least 1 */
} cm_grain_shape_t;

static inline int64_t cm_grain_time(const cm_grain_t *grain)
{
    return (int64_t)(grain->key & CM_GRAIN_TIME_MASK);
}

static inline uint64_t cm_grain_user(const cm_grain_t *grain)
{
    return grain->key >> CM_GRAIN_TIME_BITS;
}

static inline int64_t cm_grain_ordinal(const cm_grain_t *grain, const cm_grain_shape_t *shape)
{
    return (int64_t)(grain->load & shape->ordinal_mask);
}

static inline uint64_t cm_grain_place(const cm_grain_t *grain, const cm_grain_shape_t *shape)
{
    return grain->load >> shape->ordinal_bits;
}

typedef struct cm_timeline {
    cm_cells_t *cells;
    const cm_grain_shape_t *shape;
    unsigned windows;
    int64_t session_timeout_s; /* whole seconds */
    uint32_t stamp;            /* of the user at hand; grows, so that cells need no clearing */
    int64_t events;            /* distinct events added less those taken away */
    uint32_t country, country_stamp; /* the country in which the user was counted last */
} cm_timeline_t;

/* Adds (sign = 1) or takes away (sign = -1) what the user's events give. `grains` are one user's,
 * in order of (time, row key), without copies. */
void cm_timeline_add(cm_timeline_t *timeline, const cm_grain_t *grains, size_t count, int sign);

#endif
