#include "mill/cells.h"

#include "base/str.h"

#include <stdlib.h>

enum {
    SLOTS_MIN = 64,
    TALLIES_MAX = 16 * 1024, /* 1 MiB */
    /* Bits of the kinds of contributions that a tally counts. */
    TALLY_HAS_NEXT = 1,
    TALLY_STAYS = 2,
    TALLY_ENTRANCE = 4,
    TALLY_KINDS = 8,
};

static size_t hash_of(cm_cell_key_t key)
{
    /* Three odd constants and a fold. Ids are dense, so any function that spreads them is enough.
     */
    uint64_t h = key.url * UINT64_C(0x9E3779B97F4A7C15) ^
                 key.country * UINT64_C(0xC2B2AE3D27D4EB4F) ^
                 key.window * UINT64_C(0x165667B19E3779F9);
    return (size_t)(h ^ h >> 32);
}

static bool same(cm_cell_key_t a, cm_cell_key_t b)
{
    return a.url == b.url && a.country == b.country && a.window == b.window;
}

static void rebuild_slots(cm_cells_t *cells, size_t slots)
{
    free(cells->slots);
    cells->slots = cm_alloc_zero(slots, sizeof *cells->slots);
    cells->mask = slots - 1;
    for (uint32_t i = 0; i < cells->count; i++) {
        size_t slot = hash_of(cells->list[i].key) & cells->mask;
        while (cells->slots[slot] != 0)
            slot = (slot + 1) & cells->mask;
        cells->slots[slot] = i + 1;
    }
}

uint32_t cm_cells_find(cm_cells_t *cells, cm_cell_key_t key)
{
    if (cells->slots == NULL)
        rebuild_slots(cells, SLOTS_MIN);
    size_t slot = hash_of(key) & cells->mask;

    for (; cells->slots[slot] != 0; slot = (slot + 1) & cells->mask) {
        uint32_t found = cells->slots[slot] - 1;
        if (same(cells->list[found].key, key))
            return found;
    }
    if (cells->count == cells->cap) {
        cells->cap = cells->cap ? cells->cap + cells->cap / 2 : 64;
        cells->list = cm_realloc(cells->list, cells->cap * sizeof *cells->list);
    }
    cells->list[cells->count++] = (cm_cell_t){.key = key};
    cells->slots[slot] = cells->count;
    if (cells->count > cells->mask / 2)
        rebuild_slots(cells, (cells->mask + 1) * 2);
    return cells->count - 1;
}

/* ---- from contributions ---- */

static inline void add_contribution(cm_measures_t *n, const cm_contribution_t *contribution,
                                    int64_t timeout, int sign)
{
    bool has_next = (contribution->what & CM_CONTRIBUTION_HAS_NEXT) != 0;
    bool stays = has_next && contribution->spent <= timeout;

    n->clicks += sign;
    n->time_spent_sum += sign * (int64_t)contribution->spent;
    n->time_spent_count += sign * has_next;
    n->page_time_sum += stays ? sign * (int64_t)contribution->spent : 0;
    n->page_time_count += sign * stays;
    n->entrances += (contribution->what & CM_CONTRIBUTION_ENTRANCE) != 0 ? sign : 0;
    n->exits += sign * !stays;
}

/* The cell of the url with all countries. Valid until the next cell is made. */
static cm_cell_t *get_up(cm_cells_t *cells, uint32_t found)
{
    if (cells->list[found].up == 0) {
        const cm_cell_key_t key = cells->list[found].key;
        uint32_t up = cm_cells_find(cells, (cm_cell_key_t){key.url, CM_CELL_ALL, key.window});
        cells->list[found].up = up + 1;
    }
    return &cells->list[cells->list[found].up - 1];
}

/* Counts a user who is new at least in the cell at `found`. */
static void count_user(cm_cells_t *cells, cm_cells_t *wide, uint32_t found, unsigned new, int sign)
{
    const cm_cell_key_t key = cells->list[found].key;

    if (new &CM_CONTRIBUTION_NEW_CELL)
        cells->list[found].measures.users += sign;
    if (new &CM_CONTRIBUTION_NEW_URL)
        get_up(cells, found)->measures.users += sign;
    if (new &CM_CONTRIBUTION_NEW_COUNTRY)
        cm_cells_get(wide, (cm_cell_key_t){CM_CELL_ALL, key.country, key.window})->measures.users +=
            sign;
    if (new &CM_CONTRIBUTION_NEW_SITE)
        cm_cells_get(wide, (cm_cell_key_t){CM_CELL_ALL, CM_CELL_ALL, key.window})->measures.users +=
            sign;
}

/* The index in the list of the cell of all time. */
static inline uint32_t find_all_time(cm_cells_t *cells, uint64_t place,
                                     const cm_gathering_t *gathering)
{
    const cm_packed_layout_t *layout = gathering->layout;
    uint32_t url = cm_place_url(place, layout), country = cm_place_country(place, layout);
    uint32_t *at = NULL;

    if (cells->direct != NULL) {
        at = &cells->direct[cm_place(url >> gathering->region_shift, country, layout)];
        if (*at != 0)
            return *at - 1;
    }
    uint32_t found =
        cm_cells_find(cells, (cm_cell_key_t){url, country, cm_cell_window_at(CM_WINDOW_ALL, 0)});
    if (at != NULL)
        *at = found + 1;
    return found;
}

static void gather_contribution(cm_cells_t *cells, cm_cells_t *wide,
                                const cm_contribution_t *contribution,
                                const cm_gathering_t *gathering)
{
    uint64_t place = contribution->what >> CM_CONTRIBUTION_FLAG_BITS;
    int sign = contribution->what & CM_CONTRIBUTION_NEGATIVE ? -1 : 1;

    for (int w = 0; w < CM_WINDOW_COUNT; w++) {
        uint32_t found;
        if (!cm_window_in(gathering->windows, w))
            continue;
        if (w == CM_WINDOW_ALL)
            found = find_all_time(cells, place, gathering);
        else
            found = cm_cells_find(
                cells, (cm_cell_key_t){cm_place_url(place, gathering->layout),
                                       cm_place_country(place, gathering->layout),
                                       cm_cell_window_at((cm_window_t)w, contribution->hour)});
        add_contribution(&cells->list[found].measures, contribution, gathering->session_timeout_s,
                         sign);
        unsigned new =
            contribution->what >> cm_contribution_new_shift((unsigned)w) & CM_CONTRIBUTION_NEW;
        if (new != 0)
            count_user(cells, wide, found, new, sign);
    }
}

/* ---- from compact contributions, of all time ---- */

/* A cell in the making, in one cache line. Instead of adding to eight measures it counts the kinds
 * of contributions, without a branch that the processor could not predict. That takes half the
 * time. */
typedef struct tally {
    _Alignas(64) int64_t spent_sum;
    int64_t stay_sum;
    uint32_t kinds[TALLY_KINDS];
    uint32_t users, url_users, country_users, site_users;
} tally_t;

static void add_tally(cm_cells_t *cells, cm_cells_t *wide, cm_cell_key_t key, const tally_t *tally)
{
    uint32_t found = cm_cells_find(cells, key);
    cm_measures_t *n = &cells->list[found].measures;

    n->time_spent_sum += tally->spent_sum;
    n->page_time_sum += tally->stay_sum;
    n->users += tally->users;
    for (unsigned kind = 0; kind < TALLY_KINDS; kind++) {
        int64_t count = tally->kinds[kind];
        n->clicks += count;
        n->time_spent_count += kind & TALLY_HAS_NEXT ? count : 0;
        n->page_time_count += kind & TALLY_STAYS ? count : 0;
        n->exits += kind & TALLY_STAYS ? 0 : count;
        n->entrances += kind & TALLY_ENTRANCE ? count : 0;
    }
    if (tally->url_users > 0)
        get_up(cells, found)->measures.users += tally->url_users;
    if (tally->country_users > 0)
        cm_cells_get(wide, (cm_cell_key_t){CM_CELL_ALL, key.country, key.window})->measures.users +=
            tally->country_users;
    if (tally->site_users > 0)
        cm_cells_get(wide, (cm_cell_key_t){CM_CELL_ALL, CM_CELL_ALL, key.window})->measures.users +=
            tally->site_users;
}

static void tally_chunk(tally_t *tallies, const uint64_t *packed, size_t count,
                        const cm_gathering_t *gathering)
{
    const cm_compact_layout_t compact = *gathering->compact;
    const cm_packed_layout_t layout = *gathering->layout;
    const unsigned region_shift = gathering->region_shift;
    const uint32_t timeout = gathering->session_timeout_s < UINT32_MAX
                                 ? (uint32_t)gathering->session_timeout_s
                                 : UINT32_MAX;

    for (size_t i = 0; i < count; i++) {
        const cm_contribution_t contribution = cm_compact_contribution_expand(&compact, packed[i]);
        uint64_t place = contribution.what >> CM_CONTRIBUTION_FLAG_BITS;
        tally_t *tally = &tallies[cm_place(cm_place_url(place, &layout) >> region_shift,
                                           cm_place_country(place, &layout), &layout)];
        const unsigned flags = (unsigned)contribution.what;
        unsigned has_next = (flags & CM_CONTRIBUTION_HAS_NEXT) != 0;
        unsigned stays = has_next & (contribution.spent <= timeout);
        tally->spent_sum += contribution.spent;
        tally->stay_sum += contribution.spent & (0 - (uint32_t)stays);
        tally->kinds[has_next | stays << 1 | ((flags & CM_CONTRIBUTION_ENTRANCE) != 0) << 2]++;
        tally->users += (flags & CM_CONTRIBUTION_NEW_CELL) != 0;
        tally->url_users += (flags & CM_CONTRIBUTION_NEW_URL) != 0;
        tally->country_users += (flags & CM_CONTRIBUTION_NEW_COUNTRY) != 0;
        tally->site_users += (flags & CM_CONTRIBUTION_NEW_SITE) != 0;
    }
}

static bool tally_used(const tally_t *tally)
{
    uint32_t any = 0;

    for (unsigned kind = 0; kind < TALLY_KINDS; kind++)
        any |= tally->kinds[kind];
    return any != 0;
}

/* Adds the tallies to the cells and empties them. `low` are the low bits of the region's urls,
 * which all have the same. */
static void add_tallies(cm_cells_t *cells, cm_cells_t *wide, tally_t *tallies, uint32_t low,
                        const cm_gathering_t *gathering)
{
    for (size_t i = 0; i < gathering->direct; i++) {
        if (!tally_used(&tallies[i]))
            continue;
        const cm_cell_key_t key = {
            cm_place_url(i, gathering->layout) << gathering->region_shift | low,
            cm_place_country(i, gathering->layout), cm_cell_window_at(CM_WINDOW_ALL, 0)};
        add_tally(cells, wide, key, &tallies[i]);
        tallies[i] = (tally_t){0};
    }
}

/* False when tallies would not pay, or when there is no memory for them. */
static bool gather_compact(cm_cells_t *cells, cm_cells_t *wide, const cm_chunk_list_t *list,
                           const cm_gathering_t *gathering)
{
    const size_t size = gathering->direct * sizeof(tally_t);
    uint64_t counted = 0;

    if (!gathering->compact->on || gathering->direct == 0 || gathering->direct > TALLIES_MAX ||
        list->chunks * CM_CHUNK_BYTES < size)
        return false;
    tally_t *tallies = aligned_alloc(_Alignof(tally_t), size);
    if (tallies == NULL)
        return false;
    memset(tallies, 0, size);
    const uint64_t *first = (const uint64_t *)(const void *)list->first->bytes;
    const uint64_t place = cm_compact_contribution_expand(gathering->compact, *first).what >>
                           CM_CONTRIBUTION_FLAG_BITS;
    const uint32_t low =
        cm_place_url(place, gathering->layout) & ((1u << gathering->region_shift) - 1);
    for (const cm_chunk_t *chunk = list->first; chunk != NULL; chunk = chunk->next) {
        const size_t count = chunk->used / sizeof *first;
        if ((counted += count) > UINT32_MAX) { /* the tallies' counts have 32 bits */
            add_tallies(cells, wide, tallies, low, gathering);
            counted = count;
        }
        tally_chunk(tallies, (const uint64_t *)(const void *)chunk->bytes, count, gathering);
    }
    add_tallies(cells, wide, tallies, low, gathering);
    free(tallies);
    return true;
}

void cm_cells_gather(cm_cells_t *cells, cm_cells_t *wide, const cm_chunk_list_t *list,
                     const cm_gathering_t *gathering)
{
    if (gather_compact(cells, wide, list, gathering))
        return;
    if (list->first != NULL && cells->direct == NULL && gathering->direct > 0)
        cells->direct = cm_alloc_zero(gathering->direct, sizeof *cells->direct);
    for (const cm_chunk_t *chunk = list->first; chunk != NULL; chunk = chunk->next) {
        if (gathering->compact->on) {
            const uint64_t *packed = (const uint64_t *)(const void *)chunk->bytes;
            for (size_t i = 0; i < chunk->used / sizeof *packed; i++) {
                const cm_contribution_t contribution =
                    cm_compact_contribution_expand(gathering->compact, packed[i]);
                gather_contribution(cells, wide, &contribution, gathering);
            }
        } else {
            const cm_contribution_t *contributions =
                (const cm_contribution_t *)(const void *)chunk->bytes;
            for (size_t i = 0; i < chunk->used / sizeof *contributions; i++)
                gather_contribution(cells, wide, &contributions[i], gathering);
        }
    }
}

/* ---- sums ---- */

/* Adds all measures except users. */
static void add_sums(cm_measures_t *to, const cm_measures_t *from)
{
    to->clicks += from->clicks;
    to->time_spent_sum += from->time_spent_sum;
    to->time_spent_count += from->time_spent_count;
    to->page_time_sum += from->page_time_sum;
    to->page_time_count += from->page_time_count;
    to->entrances += from->entrances;
    to->exits += from->exits;
}

void cm_cells_add(cm_cells_t *cells, const cm_cells_t *more)
{
    for (uint32_t i = 0; i < more->count; i++) {
        cm_cell_t *cell = cm_cells_get(cells, more->list[i].key);
        add_sums(&cell->measures, &more->list[i].measures);
        cell->measures.users += more->list[i].measures.users;
    }
}

void cm_cells_roll_up(cm_cells_t *cells, cm_cells_t *wide)
{
    uint32_t count = cells->count; /* cells added below are not the contract's */

    for (uint32_t i = 0; i < count; i++) {
        const cm_cell_t from = cells->list[i];
        const cm_cell_key_t key = from.key;
        if (key.country == CM_CELL_ALL)
            continue;
        uint32_t up = from.up;
        if (up == 0)
            up = cm_cells_find(cells, (cm_cell_key_t){key.url, CM_CELL_ALL, key.window}) + 1;
        add_sums(&cells->list[up - 1].measures, &from.measures);
        add_sums(
            &cm_cells_get(wide, (cm_cell_key_t){CM_CELL_ALL, key.country, key.window})->measures,
            &from.measures);
        add_sums(
            &cm_cells_get(wide, (cm_cell_key_t){CM_CELL_ALL, CM_CELL_ALL, key.window})->measures,
            &from.measures);
    }
}

static int by_key(const void *a, const void *b)
{
    const cm_cell_key_t *x = &(*(cm_cell_t *const *)a)->key, *y = &(*(cm_cell_t *const *)b)->key;

    if (x->url != y->url)
        return x->url < y->url ? -1 : 1;
    if (x->country != y->country)
        return x->country < y->country ? -1 : 1;
    return (x->window > y->window) - (x->window < y->window);
}

void cm_cells_sort(cm_cells_t *cells)
{
    free(cells->sorted);
    cells->sorted = cm_alloc((cells->count + 1) * sizeof(cm_cell_t *));
    for (uint32_t i = 0; i < cells->count; i++)
        cells->sorted[i] = &cells->list[i];
    qsort(cells->sorted, cells->count, sizeof(cm_cell_t *), by_key);
}

void cm_cells_free(cm_cells_t *cells)
{
    free(cells->list);
    free(cells->slots);
    free(cells->direct);
    free(cells->sorted);
    *cells = (cm_cells_t){0};
}

bool cm_measures_are_zero(const cm_measures_t *n)
{
    return (n->clicks | n->users | n->time_spent_sum | n->time_spent_count | n->page_time_sum |
            n->page_time_count | n->entrances | n->exits) == 0;
}
