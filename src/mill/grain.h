/* What the mill moves about: grains and shares, 16 bytes each, because its time is the time that
 * memory takes; and heaps of them.
 *
 * A grain is an event on its way to its user's timeline, a share is what the timeline found that
 * the event gives, on its way to the cells of its url. A heap is a list of chunks that one thread
 * fills; what is read is given back, so that shares take the memory that grains have left. */
#ifndef CM_MILL_GRAIN_H
#define CM_MILL_GRAIN_H

#include "base/err.h"
#include "base/slab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `key` is the user's number in its partition and the time, so that one comparison orders both.
 * `load` is the place (cm_place_url()) and, in its low bits, the ordinal. How many bits an ordinal
 * takes depends on the store (cm_grain_shape_t). */
typedef struct cm_grain {
    uint64_t key;
    uint64_t load;
} cm_grain_t;

enum { CM_GRAIN_TIME_BITS = 42 }; /* ms until 2109; the contract ends in 2100 */

#define CM_GRAIN_TIME_MASK ((UINT64_C(1) << CM_GRAIN_TIME_BITS) - 1)
#define CM_GRAIN_DROPPED   UINT64_MAX /* load of a copy */

/* How a load and a place are divided. */
typedef struct cm_grain_shape {
    unsigned ordinal_bits; /* below 64 */
    unsigned country_bits; /* ids of countries are below 1 << country_bits */
    uint64_t ordinal_mask;
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

/* A url and a country in one number. */
static inline uint64_t cm_place(uint32_t url, uint32_t country, const cm_grain_shape_t *shape)
{
    return (uint64_t)url << shape->country_bits | country;
}

static inline uint32_t cm_place_url(uint64_t place, const cm_grain_shape_t *shape)
{
    return (uint32_t)(place >> shape->country_bits);
}

static inline uint32_t cm_place_country(uint64_t place, const cm_grain_shape_t *shape)
{
    return (uint32_t)(place & ((UINT64_C(1) << shape->country_bits) - 1));
}

/* What one event gives to its cells. `what` is the place over the flags below. */
typedef struct cm_share {
    uint64_t what;
    uint32_t spent; /* whole seconds to the user's next event; 0 when there is none */
    uint32_t hour;  /* of the event, since the epoch */
} cm_share_t;

/* Flags of a share. The first four, shifted by 4 * window, say that the user has not been counted
 * yet in that window's cell, url, country and site. */
enum {
    CM_SHARE_NEW_CELL = 1,
    CM_SHARE_NEW_URL = 2,
    CM_SHARE_NEW_COUNTRY = 4,
    CM_SHARE_NEW_SITE = 8,
    CM_SHARE_NEW = 15,
    CM_SHARE_WINDOW_BITS = 4,
    CM_SHARE_HAS_NEXT = 1 << 12,
    CM_SHARE_ENTRANCE = 1 << 13,
    CM_SHARE_NEGATIVE = 1 << 14, /* is taken away */
    CM_SHARE_FLAG_BITS = 15,
};

typedef union cm_item {
    cm_grain_t grain;
    cm_share_t share;
} cm_item_t;

enum { CM_CHUNK_ITEMS = (CM_SLAB_PIECE - 16) / (int)sizeof(cm_item_t) };

typedef struct cm_chunk {
    struct cm_chunk *next;
    size_t count; /* of a full one; of the last one cm_heap_t knows better */
    cm_item_t items[CM_CHUNK_ITEMS];
} cm_chunk_t;

/* All zero is an empty heap. */
typedef struct cm_heap {
    cm_item_t *at, *end; /* of the last chunk */
    cm_chunk_t *first, *last;
    size_t chunks;
} cm_heap_t;

/* A further chunk at the end of the heap; CM_ENOMEM. */
int cm_heap_grow(cm_heap_t *heap, cm_slabs_t *slabs);

/* Room for one more item; NULL when there is no memory. */
static inline cm_item_t *cm_heap_add(cm_heap_t *heap, cm_slabs_t *slabs)
{
    if (heap->at == heap->end && cm_heap_grow(heap, slabs) < 0)
        return NULL;
    return heap->at++;
}

/* Writes the last chunk's count; returns the number of items. Needed before chunks are read. */
size_t cm_heap_close(cm_heap_t *heap);

/* Gives the chunks to `slabs` and leaves an empty heap. */
void cm_heap_release(cm_heap_t *heap, cm_slabs_t *slabs);

#endif
