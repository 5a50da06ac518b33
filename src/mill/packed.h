/* What the mill moves about: grains and shares, 16 bytes each or packed into 8, because its time is
 * the time that memory takes, fresh memory most of all; and heaps of them.
 *
 * A grain is an event on its way to its user's timeline, a share is what the timeline found that
 * the event gives, on its way to the cells of its url. A heap is a list of chunks that one thread
 * fills; what is read is given back, so that shares take the memory that grains have left. */
#ifndef CM_MILL_PACKED_H
#define CM_MILL_PACKED_H

#include "base/err.h"
#include "base/slab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `key` is the user's number in its partition and the time, so that one comparison orders both.
 * `load` is the place (cm_place_url()) and, in its low bits, the ordinal. How many bits an ordinal
 * takes depends on the store (cm_packed_layout_t). */
typedef struct cm_packed_event {
    uint64_t key;
    uint64_t load;
} cm_packed_event_t;

enum { CM_PACKED_TIME_BITS = 42 }; /* ms until 2109; the contract ends in 2100 */

#define CM_PACKED_TIME_MASK ((UINT64_C(1) << CM_PACKED_TIME_BITS) - 1)
#define CM_PACKED_DROPPED   UINT64_MAX /* load of a copy */
/* Time of a grain whose event has counted until now, and is replaced by the new copy that stands in
 * front of it, at the same time. No event is so late. */
#define CM_PACKED_REPLACED CM_PACKED_TIME_MASK

/* How a load and a place are divided. */
typedef struct cm_packed_layout {
    unsigned ordinal_bits; /* 1 to 63 */
    unsigned country_bits; /* ids of countries are below 1 << country_bits */
    uint64_t ordinal_mask;
} cm_packed_layout_t;

static inline int64_t cm_packed_time(const cm_packed_event_t *grain)
{
    return (int64_t)(grain->key & CM_PACKED_TIME_MASK);
}

static inline uint64_t cm_packed_user(const cm_packed_event_t *grain)
{
    return grain->key >> CM_PACKED_TIME_BITS;
}

static inline int64_t cm_packed_ordinal(const cm_packed_event_t *grain,
                                        const cm_packed_layout_t *shape)
{
    return (int64_t)(grain->load & shape->ordinal_mask);
}

static inline uint64_t cm_packed_place(const cm_packed_event_t *grain,
                                       const cm_packed_layout_t *shape)
{
    return grain->load >> shape->ordinal_bits;
}

/* A url and a country in one number. */
static inline uint64_t cm_place(uint32_t url, uint32_t country, const cm_packed_layout_t *shape)
{
    return (uint64_t)url << shape->country_bits | country;
}

static inline uint32_t cm_place_url(uint64_t place, const cm_packed_layout_t *shape)
{
    return (uint32_t)(place >> shape->country_bits);
}

static inline uint32_t cm_place_country(uint64_t place, const cm_packed_layout_t *shape)
{
    return (uint32_t)(place & ((UINT64_C(1) << shape->country_bits) - 1));
}

/* What one event gives to its cells. `what` is the place over the flags below. */
typedef struct cm_contribution {
    uint64_t what;
    uint32_t spent; /* whole seconds to the user's next event; 0 when there is none */
    uint32_t hour;  /* of the event, since the epoch */
} cm_contribution_t;

/* Flags of a share. Those called NEW, shifted by cm_contribution_new_shift(), say that the user has
 * not been counted yet in that window's cell, url, country and site. Those of all time and the
 * other three are the lowest, so that a packed share can hold them. */
enum {
    CM_CONTRIBUTION_NEW_CELL = 1,
    CM_CONTRIBUTION_NEW_URL = 2,
    CM_CONTRIBUTION_NEW_COUNTRY = 4,
    CM_CONTRIBUTION_NEW_SITE = 8,
    CM_CONTRIBUTION_NEW = 15,
    CM_CONTRIBUTION_HAS_NEXT = 1 << 4,
    CM_CONTRIBUTION_ENTRANCE = 1 << 5,
    CM_CONTRIBUTION_NEGATIVE = 1 << 6, /* is taken away */
    CM_CONTRIBUTION_COMPACT_BITS = 7,
    CM_CONTRIBUTION_FLAG_BITS = 15,
};

static inline unsigned cm_contribution_new_shift(unsigned window)
{
    return window == 0 ? 0 : 3 + 4 * window;
}

/* ---- packing ---- */

/* Grains without an ordinal fit 8 bytes where users, times and places are few enough; nobody asks
 * for an ordinal when everything is new and all row keys are derived. So do shares of all time. */
typedef struct cm_compact_layout {
    bool on;
    unsigned time_bits, place_bits;
    unsigned spent_bits;
    int64_t first_time; /* no event is earlier */
} cm_compact_layout_t;

/* Packing for users' numbers and ids of urls up to these, and times from `first` to `last`; off
 * when they do not fit. */
cm_compact_layout_t cm_compact_layout_for(uint64_t users, uint32_t urls, unsigned country_bits,
                                          int64_t first, int64_t last);

/* `time` must be below first_time + (1 << time_bits). */
static inline uint64_t cm_compact_event(const cm_compact_layout_t *packing, uint64_t user,
                                        int64_t time, uint64_t place)
{
    return (user << packing->time_bits | (uint64_t)(time - packing->first_time))
               << packing->place_bits |
           place;
}

static inline uint64_t cm_compact_event_user(const cm_compact_layout_t *packing, uint64_t packed)
{
    return packed >> (packing->time_bits + packing->place_bits);
}

/* With the ordinal 0. */
static inline cm_packed_event_t cm_compact_event_expand(const cm_compact_layout_t *packing,
                                                        uint64_t packed,
                                                        const cm_packed_layout_t *shape)
{
    uint64_t time = packed >> packing->place_bits & ((UINT64_C(1) << packing->time_bits) - 1);
    uint64_t place = packed & ((UINT64_C(1) << packing->place_bits) - 1);

    return (cm_packed_event_t){cm_compact_event_user(packing, packed) << CM_PACKED_TIME_BITS |
                                   (time + (uint64_t)packing->first_time),
                               place << shape->ordinal_bits};
}

static inline uint64_t cm_compact_contribution(const cm_compact_layout_t *packing, uint64_t place,
                                               unsigned flags, uint32_t spent)
{
    return (place << CM_CONTRIBUTION_COMPACT_BITS | flags) << packing->spent_bits | spent;
}

static inline cm_contribution_t cm_compact_contribution_expand(const cm_compact_layout_t *packing,
                                                               uint64_t packed)
{
    uint64_t what = packed >> packing->spent_bits;
    uint64_t flags = what & ((1u << CM_CONTRIBUTION_COMPACT_BITS) - 1);

    return (cm_contribution_t){
        .what = what >> CM_CONTRIBUTION_COMPACT_BITS << CM_CONTRIBUTION_FLAG_BITS | flags,
        .spent = (uint32_t)(packed & ((UINT64_C(1) << packing->spent_bits) - 1))};
}

/* ---- heaps ---- */

/* Items of 8 or of 16 bytes fill a chunk without a rest. */
enum { CM_CHUNK_BYTES = CM_SLAB_PIECE - 16 };

typedef struct cm_chunk {
    struct cm_chunk *next;
    size_t used; /* bytes of a full one; of the last one cm_chunk_list_t knows better */
    _Alignas(16) unsigned char bytes[CM_CHUNK_BYTES];
} cm_chunk_t;

/* All zero is an empty heap. */
typedef struct cm_chunk_list {
    unsigned char *at, *end; /* of the last chunk */
    cm_chunk_t *first, *last;
    size_t chunks;
} cm_chunk_list_t;

/* A further chunk at the end of the heap; CM_ENOMEM. */
int cm_chunk_list_grow(cm_chunk_list_t *heap, cm_slabs_t *slabs);

/* Room for one more item of `size` bytes, the same for all of a heap; NULL when there is no memory.
 */
static inline void *cm_chunk_list_add(cm_chunk_list_t *heap, cm_slabs_t *slabs, size_t size)
{
    if (heap->at == heap->end && cm_chunk_list_grow(heap, slabs) < 0)
        return NULL;
    void *item = heap->at;
    heap->at += size;
    return item;
}

/* Writes how much of the last chunk is used; returns the bytes of all items. Needed before chunks
 * are read. */
size_t cm_chunk_list_close(cm_chunk_list_t *heap);

/* Gives the chunks to `slabs` and leaves an empty heap. */
void cm_chunk_list_release(cm_chunk_list_t *heap, cm_slabs_t *slabs);

#endif
