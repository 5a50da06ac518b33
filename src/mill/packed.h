/* What the mill moves about: packed events and contributions, 16 bytes each, or 8 in compact form,
 * because its time is the time that memory takes.
 *
 * A packed event is an event on its way to its user's timeline. A contribution is what one event
 * adds to the answers, as the timeline has found; it is on its way to the cells of its url. Both
 * are plain values and travel in chunk lists (chunks.h). Each is used by one thread at a time. */
#ifndef CM_MILL_PACKED_H
#define CM_MILL_PACKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `key` is the user's number within its partition and, in the low bits, the time in milliseconds,
 * so that one comparison orders both. `load` is the place (cm_place()) and, in the low bits, the
 * ordinal. How many bits an ordinal takes depends on the store (cm_packed_layout_t). */
typedef struct cm_packed_event {
    uint64_t key;
    uint64_t load;
} cm_packed_event_t;

enum { CM_PACKED_TIME_BITS = 42 }; /* ms until 2109; the contract ends in 2100 */

#define CM_PACKED_TIME_MASK ((UINT64_C(1) << CM_PACKED_TIME_BITS) - 1)
#define CM_PACKED_DROPPED   UINT64_MAX /* load of a copy */
/* Time of an event that has counted until now and is replaced by a new copy. The new copy has the
 * same time and stands directly before it. No event of the contract is so late. */
#define CM_PACKED_REPLACED CM_PACKED_TIME_MASK

/* How a load and a place are divided. */
typedef struct cm_packed_layout {
    unsigned ordinal_bits; /* 1 to 63 */
    unsigned country_bits; /* ids of countries are below 1 << country_bits */
    uint64_t ordinal_mask;
} cm_packed_layout_t;

static inline int64_t cm_packed_time(const cm_packed_event_t *event)
{
    return (int64_t)(event->key & CM_PACKED_TIME_MASK);
}

static inline uint64_t cm_packed_user(const cm_packed_event_t *event)
{
    return event->key >> CM_PACKED_TIME_BITS;
}

static inline int64_t cm_packed_ordinal(const cm_packed_event_t *event,
                                        const cm_packed_layout_t *layout)
{
    return (int64_t)(event->load & layout->ordinal_mask);
}

static inline uint64_t cm_packed_place(const cm_packed_event_t *event,
                                       const cm_packed_layout_t *layout)
{
    return event->load >> layout->ordinal_bits;
}

/* A place: the ids of a url and a country in one number. */
static inline uint64_t cm_place(uint32_t url, uint32_t country, const cm_packed_layout_t *layout)
{
    return (uint64_t)url << layout->country_bits | country;
}

static inline uint32_t cm_place_url(uint64_t place, const cm_packed_layout_t *layout)
{
    return (uint32_t)(place >> layout->country_bits);
}

static inline uint32_t cm_place_country(uint64_t place, const cm_packed_layout_t *layout)
{
    return (uint32_t)(place & ((UINT64_C(1) << layout->country_bits) - 1));
}

/* What one event adds to its cells. `what` is the place, shifted by CM_CONTRIBUTION_FLAG_BITS, and
 * the flags below. */
typedef struct cm_contribution {
    uint64_t what;
    uint32_t spent; /* whole seconds to the user's next event; 0 when there is none */
    uint32_t hour;  /* of the event, since the epoch */
} cm_contribution_t;

/* Flags of a contribution. Those called NEW, shifted by cm_contribution_new_shift(), say that the
 * user has not been counted yet in that window's cell, url, country and site. Those of the window
 * of all time and the other three are the lowest, so that the compact form can hold them. */
enum {
    CM_CONTRIBUTION_NEW_CELL = 1,
    CM_CONTRIBUTION_NEW_URL = 2,
    CM_CONTRIBUTION_NEW_COUNTRY = 4,
    CM_CONTRIBUTION_NEW_SITE = 8,
    CM_CONTRIBUTION_NEW = 15,
    CM_CONTRIBUTION_HAS_NEXT = 1 << 4,
    CM_CONTRIBUTION_ENTRANCE = 1 << 5,
    CM_CONTRIBUTION_NEGATIVE = 1 << 6, /* it is taken away, not added */
    CM_CONTRIBUTION_COMPACT_BITS = 7,
    CM_CONTRIBUTION_FLAG_BITS = 15,
};

/* `window` is a cm_window_t. */
static inline unsigned cm_contribution_new_shift(unsigned window)
{
    return window == 0 ? 0 : 3 + 4 * window;
}

/* ---- the compact form ---- */

/* A packed event without its ordinal fits 8 bytes where users, times and places are few enough. No
 * ordinal is needed when everything is new and all row keys are derived. A contribution to the
 * window of all time fits 8 bytes as well. */
typedef struct cm_compact_layout {
    bool on; /* false: events and contributions have 16 bytes */
    unsigned time_bits, place_bits;
    unsigned spent_bits;
    int64_t first_time; /* ms; no event is earlier */
} cm_compact_layout_t;

/* The compact layout for users' numbers and ids of urls up to these, and times from `first` to
 * `last` (ms); off when they do not fit. */
cm_compact_layout_t cm_compact_layout_for(uint64_t users, uint32_t urls, unsigned country_bits,
                                          int64_t first, int64_t last);

/* `time` must be below first_time + (1 << time_bits). */
static inline uint64_t cm_compact_event(const cm_compact_layout_t *compact, uint64_t user,
                                        int64_t time, uint64_t place)
{
    return (user << compact->time_bits | (uint64_t)(time - compact->first_time))
               << compact->place_bits |
           place;
}

static inline uint64_t cm_compact_event_user(const cm_compact_layout_t *compact, uint64_t event)
{
    return event >> (compact->time_bits + compact->place_bits);
}

/* The packed event; its ordinal is 0. */
static inline cm_packed_event_t cm_compact_event_expand(const cm_compact_layout_t *compact,
                                                        uint64_t event,
                                                        const cm_packed_layout_t *layout)
{
    uint64_t time = event >> compact->place_bits & ((UINT64_C(1) << compact->time_bits) - 1);
    uint64_t place = event & ((UINT64_C(1) << compact->place_bits) - 1);

    return (cm_packed_event_t){cm_compact_event_user(compact, event) << CM_PACKED_TIME_BITS |
                                   (time + (uint64_t)compact->first_time),
                               place << layout->ordinal_bits};
}

/* `flags` are below 1 << CM_CONTRIBUTION_COMPACT_BITS. */
static inline uint64_t cm_compact_contribution(const cm_compact_layout_t *compact, uint64_t place,
                                               unsigned flags, uint32_t spent)
{
    return (place << CM_CONTRIBUTION_COMPACT_BITS | flags) << compact->spent_bits | spent;
}

/* The contribution; its hour is 0. */
static inline cm_contribution_t cm_compact_contribution_expand(const cm_compact_layout_t *compact,
                                                               uint64_t contribution)
{
    uint64_t what = contribution >> compact->spent_bits;
    uint64_t flags = what & ((1u << CM_CONTRIBUTION_COMPACT_BITS) - 1);
    uint64_t spent = contribution & ((UINT64_C(1) << compact->spent_bits) - 1);

    return (cm_contribution_t){
        .what = what >> CM_CONTRIBUTION_COMPACT_BITS << CM_CONTRIBUTION_FLAG_BITS | flags,
        .spent = (uint32_t)spent};
}

#endif
