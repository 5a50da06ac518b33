#include "mill/trim.h"

#include "base/bitmap.h"
#include "base/str.h"

#include <assert.h>
#include <stdlib.h>

enum {
    HOUR_MS = 3600000,
    SLOTS_MIN = 1024,
    FILTER_BITS = 16, /* bits of the filter per slot of the table */
    ROWS = 1024,      /* rows that are examined together */
    AHEAD = 12,       /* rows between the prefetch of a watch and its use */
};

/* A new event of the user is in this cell (or url, country, site: CM_CELL_ALL). */
typedef struct presence {
    uint32_t user;
    cm_cell_key_t key;
    uint32_t other; /* the user's next one: index in presences + 1; 0: no more */
} presence_t;

/* A user with new events. */
typedef struct updated {
    uint32_t user;
    uint32_t presences, first; /* how many, and the index of the first + 1 */
    int64_t from, to;          /* times of the first and the last new event */
} updated_t;

struct cm_trim {
    const cm_packed_layout_t *layout;
    unsigned windows;
    uint32_t users;
    uint32_t urls;        /* the url of events that are no page views */
    uint32_t *updated_of; /* by user: index in updated_users + 1; 0: no new events */
    updated_t *updated_users;
    uint32_t updated_count, updated_cap;
    presence_t *presences; /* of the new events */
    uint32_t presence_count, presence_cap;
    uint32_t *slots; /* hash table: index in presences + 1 */
    size_t mask;
    uint8_t *filter; /* a Bloom filter: most presences that are asked for do not exist */
    size_t filter_mask;
};

/* The nearest old event on one side of a user's new events. */
typedef struct near {
    int64_t time; /* 0: none yet */
    uint64_t load;
} near_t;

/* What an updated user's old events are compared with. 64 bytes, so that most old events touch one
 * cache line only. */
typedef struct watch {
    int64_t from, to;
    near_t before, after;
    uint64_t urls;    /* bit url % 64 for each url without a witness, and for some with one */
    uint32_t country; /* the last that has a witness or needs none; CM_CELL_ALL: none */
    uint32_t left;    /* presences without a witness */
} watch_t;

struct cm_trimmer {
    const cm_trim_t *trim;
    watch_t *watches;   /* by updated user, from 1 */
    uint8_t *witnessed; /* by presence */
    /* Old events in the same millisecond as the one that was the nearest at that moment. */
    struct twin {
        uint32_t updated;
        near_t event;
    } * twins;
    size_t twin_count, twin_cap;
};

/* ---- the table of presences ---- */

static uint64_t hash_of(uint32_t user, cm_cell_key_t key)
{
    uint64_t h = ((uint64_t)user << 32 | key.url) * UINT64_C(0x9E3779B97F4A7C15) ^
                 ((uint64_t)key.country << 32 | key.window) * UINT64_C(0xC2B2AE3D27D4EB4F);
    return h ^ h >> 29;
}

static bool same(const presence_t *a, uint32_t user, cm_cell_key_t key)
{
    return a->user == user && a->key.url == key.url && a->key.country == key.country &&
           a->key.window == key.window;
}

/* The slot of the presence, or the free slot where it belongs. */
static size_t probe(const cm_trim_t *trim, uint64_t hash, uint32_t user, cm_cell_key_t key)
{
    size_t slot = (hash >> 16) & trim->mask;
    while (trim->slots[slot] != 0 && !same(&trim->presences[trim->slots[slot] - 1], user, key))
        slot = (slot + 1) & trim->mask;
    return slot;
}

static void set_filter(cm_trim_t *trim, uint64_t hash)
{
    cm_bitmap_set(trim->filter, hash & trim->filter_mask);
}

static void rebuild(cm_trim_t *trim, size_t slots)
{
    free(trim->slots);
    free(trim->filter);
    trim->slots = cm_alloc_zero(slots, sizeof *trim->slots);
    trim->mask = slots - 1;
    trim->filter = cm_alloc_zero(slots * FILTER_BITS / 8, 1);
    trim->filter_mask = slots * FILTER_BITS - 1;
    for (uint32_t i = 0; i < trim->presence_count; i++) {
        const presence_t *presence = &trim->presences[i];
        uint64_t hash = hash_of(presence->user, presence->key);
        trim->slots[probe(trim, hash, presence->user, presence->key)] = i + 1;
        set_filter(trim, hash);
    }
}

static void want(cm_trim_t *trim, uint32_t user, cm_cell_key_t key)
{
    uint64_t hash = hash_of(user, key);
    size_t slot = probe(trim, hash, user, key);

    if (trim->slots[slot] != 0)
        return;
    if (trim->presence_count == trim->presence_cap) {
        trim->presence_cap = trim->presence_cap ? 2 * trim->presence_cap : 256;
        trim->presences = cm_realloc(trim->presences, trim->presence_cap * sizeof *trim->presences);
    }
    updated_t *updated = &trim->updated_users[trim->updated_of[user] - 1];
    trim->presences[trim->presence_count++] = (presence_t){user, key, updated->first};
    updated->first = trim->presence_count;
    updated->presences++;
    trim->slots[slot] = trim->presence_count;
    set_filter(trim, hash);
    if (trim->presence_count > trim->mask / 2)
        rebuild(trim, 2 * (trim->mask + 1));
}

/* Computes watch->urls again, without the urls that have a witness now. */
static void forget_urls(cm_trimmer_t *trimmer, watch_t *watch)
{
    const cm_trim_t *trim = trimmer->trim;
    uint32_t next = trim->updated_users[watch - trimmer->watches - 1].first;

    watch->urls = 0;
    for (; next != 0; next = trim->presences[next - 1].other) {
        if (!trimmer->witnessed[next - 1])
            watch->urls |= UINT64_C(1) << (trim->presences[next - 1].key.url & 63);
    }
}

/* Whether an event with this key becomes a witness: it is the first for a presence that exists.
 * `*wanted`: the presence exists. */
static bool witness(cm_trimmer_t *trimmer, watch_t *watch, uint32_t user, cm_cell_key_t key,
                    bool *wanted)
{
    const cm_trim_t *trim = trimmer->trim;
    uint64_t hash = hash_of(user, key);

    *wanted = cm_bitmap_get(trim->filter, hash & trim->filter_mask);
    if (!*wanted)
        return false;
    uint32_t found = trim->slots[probe(trim, hash, user, key)];
    *wanted = found != 0;
    if (!*wanted || trimmer->witnessed[found - 1])
        return false;
    trimmer->witnessed[found - 1] = 1;
    watch->left--;
    /* Whenever the number left is a power of two: k presences cost k log k in all. */
    if ((watch->left & (watch->left - 1)) == 0)
        forget_urls(trimmer, watch);
    return true;
}

/* ---- the new events ---- */

cm_trim_t *cm_trim_new(uint32_t users, uint32_t urls, unsigned windows,
                       const cm_packed_layout_t *layout)
{
    cm_trim_t *trim = cm_alloc_zero(1, sizeof *trim);

    trim->layout = layout;
    trim->windows = windows;
    trim->users = users;
    trim->urls = urls;
    trim->updated_of = cm_alloc_zero(users + 1, sizeof *trim->updated_of);
    rebuild(trim, SLOTS_MIN);
    return trim;
}

static void learn_time(cm_trim_t *trim, uint32_t user, int64_t time)
{
    if (trim->updated_of[user] == 0) {
        if (trim->updated_count == trim->updated_cap) {
            trim->updated_cap = trim->updated_cap ? 2 * trim->updated_cap : 256;
            trim->updated_users =
                cm_realloc(trim->updated_users, trim->updated_cap * sizeof *trim->updated_users);
        }
        trim->updated_users[trim->updated_count++] =
            (updated_t){.user = user, .from = time, .to = time};
        trim->updated_of[user] = trim->updated_count;
        return;
    }
    updated_t *updated = &trim->updated_users[trim->updated_of[user] - 1];
    updated->from = time < updated->from ? time : updated->from;
    updated->to = time > updated->to ? time : updated->to;
}

void cm_trim_learn(cm_trim_t *trim, const cm_columns_t *columns, uint32_t from)
{
    assert(from <= columns->count);
    for (uint32_t i = from; i < columns->count; i++) {
        uint32_t user = columns->ids[CM_USER][i], url = columns->ids[CM_URL][i];
        uint32_t country = columns->ids[CM_COUNTRY][i];
        uint32_t hour = (uint32_t)(columns->time[i] / HOUR_MS);
        learn_time(trim, user, columns->time[i]);
        if (url == trim->urls)
            continue;
        for (int w = 0; w < CM_WINDOW_COUNT; w++) {
            uint32_t window = cm_cell_window_at((cm_window_t)w, hour);
            if (!cm_window_in(trim->windows, w))
                continue;
            want(trim, user, (cm_cell_key_t){url, country, window});
            want(trim, user, (cm_cell_key_t){url, CM_CELL_ALL, window});
            want(trim, user, (cm_cell_key_t){CM_CELL_ALL, country, window});
            /* For the site in all time any old event is a witness, and a user with old events has
             * a neighbour. */
            if (w != CM_WINDOW_ALL)
                want(trim, user, (cm_cell_key_t){CM_CELL_ALL, CM_CELL_ALL, window});
        }
    }
}

void cm_trim_free(cm_trim_t *trim)
{
    if (trim == NULL)
        return;
    free(trim->updated_of);
    free(trim->updated_users);
    free(trim->presences);
    free(trim->slots);
    free(trim->filter);
    free(trim);
}

/* ---- the old events ---- */

cm_trimmer_t *cm_trimmer_new(const cm_trim_t *trim)
{
    cm_trimmer_t *trimmer = cm_alloc_zero(1, sizeof *trimmer);

    trimmer->trim = trim;
    trimmer->watches = cm_alloc_zero(trim->updated_count + 1, sizeof *trimmer->watches);
    trimmer->witnessed = cm_alloc_zero(trim->presence_count + 1, sizeof *trimmer->witnessed);
    for (uint32_t i = 0; i < trim->updated_count; i++)
        trimmer->watches[i + 1] = (watch_t){.from = trim->updated_users[i].from,
                                            .to = trim->updated_users[i].to,
                                            .country = CM_CELL_ALL,
                                            .left = trim->updated_users[i].presences};
    for (uint32_t i = 0; i < trim->updated_count; i++)
        forget_urls(trimmer, &trimmer->watches[i + 1]);
    return trimmer;
}

/* A witness for the url or, if a new event is at the url, for the cell. */
static bool witness_of_url(cm_trimmer_t *trimmer, watch_t *watch, uint32_t user, cm_cell_key_t key)
{
    bool wanted;

    if (!(watch->urls >> (key.url & 63) & 1))
        return false;
    bool keep =
        witness(trimmer, watch, user, (cm_cell_key_t){key.url, CM_CELL_ALL, key.window}, &wanted);
    if (wanted)
        keep |= witness(trimmer, watch, user, key, &wanted);
    return keep;
}

static bool witness_of_all_time(cm_trimmer_t *trimmer, watch_t *watch, uint32_t user,
                                cm_cell_key_t key)
{
    bool keep = false, wanted;

    if (key.country != watch->country) {
        keep = witness(trimmer, watch, user, (cm_cell_key_t){CM_CELL_ALL, key.country, key.window},
                       &wanted);
        watch->country = key.country; /* it has a witness now, or no new event is in it */
    }
    return witness_of_url(trimmer, watch, user, key) || keep;
}

static bool witness_of_window(cm_trimmer_t *trimmer, watch_t *watch, uint32_t user,
                              cm_cell_key_t key)
{
    bool wanted, unused;
    bool keep = witness(trimmer, watch, user, (cm_cell_key_t){CM_CELL_ALL, CM_CELL_ALL, key.window},
                        &wanted);

    if (!wanted)
        return false;
    keep |= witness(trimmer, watch, user, (cm_cell_key_t){CM_CELL_ALL, key.country, key.window},
                    &unused);
    return witness_of_url(trimmer, watch, user, key) || keep;
}

static bool is_witness(cm_trimmer_t *trimmer, watch_t *watch, const cm_columns_t *columns,
                       uint32_t i)
{
    const unsigned windows = trimmer->trim->windows;
    uint32_t user = columns->ids[CM_USER][i];
    cm_cell_key_t key = {columns->ids[CM_URL][i], columns->ids[CM_COUNTRY][i],
                         cm_cell_window_at(CM_WINDOW_ALL, 0)};
    bool keep = false;

    if (cm_window_in(windows, CM_WINDOW_ALL))
        keep = witness_of_all_time(trimmer, watch, user, key);
    for (int w = CM_WINDOW_DAY; w < CM_WINDOW_COUNT; w++) {
        if (!cm_window_in(windows, w))
            continue;
        key.window = cm_cell_window_at((cm_window_t)w, (uint32_t)(columns->time[i] / HOUR_MS));
        keep |= witness_of_window(trimmer, watch, user, key);
    }
    return keep;
}

static void keep_twin(cm_trimmer_t *trimmer, uint32_t updated, near_t event)
{
    if (trimmer->twin_count == trimmer->twin_cap) {
        trimmer->twin_cap = trimmer->twin_cap ? 2 * trimmer->twin_cap : 64;
        trimmer->twins = cm_realloc(trimmer->twins, trimmer->twin_cap * sizeof *trimmer->twins);
    }
    trimmer->twins[trimmer->twin_count].updated = updated;
    trimmer->twins[trimmer->twin_count++].event = event;
}

/* Whether the old event must be kept. Remembers it when it is a neighbour. */
static bool keeps(cm_trimmer_t *trimmer, watch_t *watch, const cm_columns_t *columns, uint32_t i)
{
    const cm_packed_layout_t *layout = trimmer->trim->layout;
    int64_t time = columns->time[i];

    if (time >= watch->from && time <= watch->to)
        return true;
    /* An event that is no page view may be a copy of a new one, and else has no part in answers. */
    if (columns->ids[CM_URL][i] == trimmer->trim->urls)
        return false;
    if (watch->left > 0 && is_witness(trimmer, watch, columns, i))
        return true;
    near_t *nearest = time < watch->from ? &watch->before : &watch->after;
    bool farther =
        nearest->time != 0 && (time < watch->from ? time < nearest->time : time > nearest->time);
    if (farther)
        return false;
    uint64_t place = cm_place(columns->ids[CM_URL][i], columns->ids[CM_COUNTRY][i], layout);
    near_t event = {time, place << layout->ordinal_bits | (uint64_t)(columns->first + i)};
    if (time == nearest->time)
        keep_twin(trimmer, (uint32_t)(watch - trimmer->watches), event);
    else
        *nearest = event;
    return false;
}

/* Lists the rows of [from, to), the last first, except those that are clearly farther away than the
 * known neighbour and no witness. Without a branch, because the processor could not predict it. */
static uint32_t candidates(const cm_trimmer_t *trimmer, const cm_columns_t *columns, uint32_t from,
                           uint32_t to, uint32_t *list)
{
    const uint32_t *updated_of = trimmer->trim->updated_of;
    const uint32_t *users = columns->ids[CM_USER], *urls = columns->ids[CM_URL];
    const uint32_t *countries = columns->ids[CM_COUNTRY];
    const bool windows = trimmer->trim->windows != cm_window_mask(CM_WINDOW_ALL);
    uint32_t count = 0;

    for (uint32_t i = to; i-- > from;) {
        uint32_t updated = updated_of[users[i]];
        const watch_t *watch = &trimmer->watches[updated];
        __builtin_prefetch(&trimmer->watches[updated_of[users[i < AHEAD ? 0 : i - AHEAD]]]);
        list[count] = i;
        count += (updated != 0) &
                 (windows | (columns->time[i] >= watch->before.time) |
                  ((watch->urls >> (urls[i] & 63) & 1) != 0) | (countries[i] != watch->country));
    }
    return count;
}

uint32_t cm_trimmer_select(cm_trimmer_t *trimmer, const cm_columns_t *columns, uint32_t count,
                           int64_t since, uint32_t *kept)
{
    uint32_t list[ROWS], kept_count = 0;

    assert(count <= columns->count);
    /* ROWS at a time: the watches that they are compared with change with each row that is kept. */
    for (uint32_t to = count, from; to > 0; to = from) {
        from = to > ROWS ? to - ROWS : 0;
        uint32_t found = candidates(trimmer, columns, from, to, list);
        for (uint32_t k = 0; k < found; k++) {
            uint32_t updated = trimmer->trim->updated_of[columns->ids[CM_USER][list[k]]];
            if (columns->first + list[k] >= since ||
                keeps(trimmer, &trimmer->watches[updated], columns, list[k]))
                kept[kept_count++] = list[k];
        }
    }
    return kept_count;
}

static int give(const cm_trimmer_t *trimmer, uint32_t updated, near_t event,
                int (*take)(void *context, uint32_t user, const cm_packed_event_t *packed),
                void *context)
{
    const cm_packed_event_t packed = {(uint64_t)event.time, event.load};
    return event.time == 0 ? 0
                           : take(context, trimmer->trim->updated_users[updated - 1].user, &packed);
}

int cm_trimmer_neighbours(const cm_trimmer_t *trimmer,
                          int (*take)(void *context, uint32_t user,
                                      const cm_packed_event_t *packed),
                          void *context)
{
    int rc = 0;

    for (uint32_t i = 1; rc == 0 && i <= trimmer->trim->updated_count; i++) {
        rc = give(trimmer, i, trimmer->watches[i].before, take, context);
        if (rc == 0)
            rc = give(trimmer, i, trimmer->watches[i].after, take, context);
    }
    for (size_t i = 0; rc == 0 && i < trimmer->twin_count; i++) {
        const watch_t *watch = &trimmer->watches[trimmer->twins[i].updated];
        near_t event = trimmer->twins[i].event;
        if (event.time == watch->before.time || event.time == watch->after.time)
            rc = give(trimmer, trimmer->twins[i].updated, event, take, context);
    }
    return rc;
}

void cm_trimmer_free(cm_trimmer_t *trimmer)
{
    if (trimmer == NULL)
        return;
    free(trimmer->watches);
    free(trimmer->witnessed);
    free(trimmer->twins);
    free(trimmer);
}
