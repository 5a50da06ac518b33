#include "mill/tally.h"

#include "mill/hash.h"

#include <stdlib.h>

/* A cell: who was counted last, then the counters of its level. */
enum {
    WORD_USERS,   /* serial numbers of the last user with a page view, and with an event */
    WORD_SESSION, /* that of the last session */
    WORD_EVENTS,
    WORD_CLICKS,
    WORD_USER_COUNT,
    WORD_EVENT_USER_COUNT,
    WORDS_EVENTS, /* that is all for CM_TALLY_EVENTS */
    WORD_VISITS = WORDS_EVENTS,
    WORDS_VISITS,
    WORD_TIME_SPENT_SUM = WORDS_VISITS,
    WORD_TIME_SPENT_COUNT,
    WORD_TIME_ON_PAGE_SUM,
    WORD_TIME_ON_PAGE_COUNT,
    WORD_ENTRANCES,
    WORD_EXITS,
    WORD_BOUNCES,
    WORD_VISIT_DURATION_SUM,
    WORD_ENGAGED_MS_SUM,
    WORD_ENGAGED_COUNT,
    WORD_NEW_USERS,
    WORDS_FACTS,
};

enum { FIRST_CELLS = 64, DIRECT_MAX = 1 << 22, PAIRS_MAX = 1 << 20 };

static const unsigned strides[] = {WORDS_EVENTS, WORDS_VISITS, WORDS_FACTS};

/* Where the counters are. */
static const unsigned words[CM_COUNTER_COUNT] = {
    [CM_COUNTER_CLICKS] = WORD_CLICKS,
    [CM_COUNTER_USERS] = WORD_USER_COUNT,
    [CM_COUNTER_TIME_SPENT_SUM] = WORD_TIME_SPENT_SUM,
    [CM_COUNTER_TIME_SPENT_COUNT] = WORD_TIME_SPENT_COUNT,
    [CM_COUNTER_TIME_ON_PAGE_SUM] = WORD_TIME_ON_PAGE_SUM,
    [CM_COUNTER_TIME_ON_PAGE_COUNT] = WORD_TIME_ON_PAGE_COUNT,
    [CM_COUNTER_ENTRANCES] = WORD_ENTRANCES,
    [CM_COUNTER_EXITS] = WORD_EXITS,
    [CM_COUNTER_EVENTS] = WORD_EVENTS,
    [CM_COUNTER_EVENT_USERS] = WORD_EVENT_USER_COUNT,
    [CM_COUNTER_VISITS] = WORD_VISITS,
    [CM_COUNTER_BOUNCES] = WORD_BOUNCES,
    [CM_COUNTER_VISIT_DURATION_SUM] = WORD_VISIT_DURATION_SUM,
    [CM_COUNTER_ENGAGED_MS_SUM] = WORD_ENGAGED_MS_SUM,
    [CM_COUNTER_ENGAGED_COUNT] = WORD_ENGAGED_COUNT,
    [CM_COUNTER_NEW_USERS] = WORD_NEW_USERS,
};

cm_tally_level_t cm_tally_level(uint32_t counters)
{
    const uint32_t events = 1u << CM_COUNTER_EVENTS | 1u << CM_COUNTER_EVENT_USERS |
                            1u << CM_COUNTER_CLICKS | 1u << CM_COUNTER_USERS;

    if ((counters & ~events) == 0)
        return CM_TALLY_EVENTS;
    return (counters & ~(events | 1u << CM_COUNTER_VISITS)) == 0 ? CM_TALLY_VISITS : CM_TALLY_FACTS;
}

void *cm_tally_room(void *array, uint32_t *size, uint32_t value, size_t item)
{
    uint32_t more = *size != 0 ? *size : FIRST_CELLS;

    while (more <= value)
        more *= 2;
    array = cm_realloc(array, more * item);
    memset((char *)array + *size * item, 0, (more - *size) * item);
    *size = more;
    return array;
}

/* ---- cells ---- */

static uint32_t add_cell(cm_tally_t *tally, const uint32_t *key)
{
    if (tally->count == tally->cap) {
        tally->cap = tally->cap != 0 ? 2 * tally->cap : FIRST_CELLS;
        tally->cells =
            cm_realloc(tally->cells, (size_t)tally->cap * tally->stride * sizeof *tally->cells);
        tally->keys =
            cm_realloc(tally->keys, ((size_t)tally->cap * tally->dims + 1) * sizeof *tally->keys);
        if (tally->props > 0)
            tally->sums =
                cm_realloc(tally->sums, (size_t)tally->cap * tally->props * sizeof *tally->sums);
    }
    const uint32_t cell = tally->count++;
    memset(&tally->cells[(size_t)cell * tally->stride], 0, tally->stride * sizeof *tally->cells);
    for (size_t i = 0; i < tally->dims; i++)
        tally->keys[cell * tally->dims + i] = key[i];
    for (size_t i = 0; i < tally->props; i++)
        tally->sums[cell * tally->props + i] = (cm_sums_t){{0}, 0, 0};
    return cell;
}

/* Where two dimensions have few pairs of values, a table of all of them is quicker than hashing. */
static void prepare_pairs(cm_tally_t *tally, const uint32_t *sizes)
{
    const uint64_t pairs = (uint64_t)sizes[0] * sizes[1];

    if (pairs == 0 || pairs > PAIRS_MAX)
        return;
    tally->pair[0] = sizes[0];
    tally->pair[1] = sizes[1];
    tally->direct_size = (uint32_t)pairs;
    tally->direct = cm_alloc_zero(pairs, sizeof *tally->direct);
}

void cm_tally_init(cm_tally_t *tally, const cm_question_t *question, size_t dims,
                   const uint32_t *sizes)
{
    *tally = (cm_tally_t){
        .level = cm_tally_level(question->counters), .dims = dims, .props = question->prop_count};
    tally->stride = strides[tally->level];
    if (dims == 0)
        add_cell(tally, NULL); /* the total is always there */
    if (dims == 2 && sizes != NULL)
        prepare_pairs(tally, sizes);
}

static uint32_t hash_key(const uint32_t *key, size_t dims)
{
    uint64_t hash = 0;

    for (size_t i = 0; i < dims; i++)
        hash = cm_hash_add(hash, key[i]);
    return (uint32_t)hash;
}

static void grow_slots(cm_tally_t *tally)
{
    uint32_t slots = 4 * FIRST_CELLS;

    while (slots / 4 <= tally->count)
        slots *= 2;
    free(tally->slots);
    tally->slots = cm_alloc_zero(slots, sizeof *tally->slots);
    tally->mask = slots - 1;
    for (uint32_t cell = 0; cell < tally->count; cell++) {
        uint32_t slot = hash_key(&tally->keys[cell * tally->dims], tally->dims) & tally->mask;
        while (tally->slots[slot] != 0)
            slot = (slot + 1) & tally->mask;
        tally->slots[slot] = cell + 1;
    }
}

/* The cell of a key, which is made when it is new. */
static uint32_t find_cell(cm_tally_t *tally, const uint32_t *key)
{
    const size_t dims = tally->dims;

    if (tally->slots == NULL || tally->count > tally->mask / 2)
        grow_slots(tally);
    for (uint32_t slot = hash_key(key, dims) & tally->mask;; slot = (slot + 1) & tally->mask) {
        const uint32_t found = tally->slots[slot];
        if (found == 0) {
            tally->slots[slot] = tally->count + 1;
            return add_cell(tally, key);
        }
        const uint32_t *other = &tally->keys[(found - 1) * dims];
        size_t same = 0;
        while (same < dims && other[same] == key[same])
            same++;
        if (same == dims)
            return found - 1;
    }
}

static inline uint32_t cell_of_value(cm_tally_t *tally, uint32_t value)
{
    if (value >= DIRECT_MAX)
        return find_cell(tally, &value);
    if (value >= tally->direct_size)
        tally->direct =
            cm_tally_room(tally->direct, &tally->direct_size, value, sizeof *tally->direct);
    if (tally->direct[value] == 0)
        tally->direct[value] = 1 + add_cell(tally, &value);
    return tally->direct[value] - 1;
}

static inline uint32_t cell_of_pair(cm_tally_t *tally, const uint32_t key[2])
{
    if (key[0] >= tally->pair[0] || key[1] >= tally->pair[1])
        return find_cell(tally, key);
    uint32_t *cell = &tally->direct[key[0] * tally->pair[1] + key[1]];
    if (*cell == 0)
        *cell = 1 + add_cell(tally, key);
    return *cell - 1;
}

static void find_pairs(cm_tally_t *tally, const cm_tally_rows_t *rows)
{
    for (uint32_t row = 0; row < rows->crowd->rows; row++) {
        const uint32_t key[] = {rows->keys[0][row], rows->keys[1][row]};
        if (rows->selected == NULL || rows->selected[row])
            tally->cell_of[row] = cell_of_pair(tally, key);
    }
}

/* Neighbours often have one key, so that of the row before is compared first. */
static void find_cells(cm_tally_t *tally, const cm_tally_rows_t *rows)
{
    uint32_t key[CM_QUESTION_DIMS_MAX + 1] = {0}, cell = UINT32_MAX;

    for (uint32_t row = 0; row < rows->crowd->rows; row++) {
        uint32_t differ = cell == UINT32_MAX;
        if (rows->selected != NULL && !rows->selected[row])
            continue;
        for (size_t i = 0; i < tally->dims; i++) {
            differ |= key[i] ^ rows->keys[i][row];
            key[i] = rows->keys[i][row];
        }
        if (differ != 0)
            cell = find_cell(tally, key);
        tally->cell_of[row] = cell;
    }
}

static void place_rows(cm_tally_t *tally, const cm_tally_rows_t *rows)
{
    const uint32_t count = rows->crowd->rows;

    if (tally->row_cap < count) {
        tally->row_cap = count + count / 2;
        tally->cell_of = cm_realloc(tally->cell_of, tally->row_cap * sizeof *tally->cell_of);
    }
    if (tally->dims == 2 && tally->direct != NULL) {
        find_pairs(tally, rows);
    } else if (tally->dims > 1) {
        find_cells(tally, rows);
    } else if (tally->dims == 0) {
        memset(tally->cell_of, 0, count * sizeof *tally->cell_of);
    } else {
        for (uint32_t row = 0; row < count; row++) {
            if (rows->selected == NULL || rows->selected[row])
                tally->cell_of[row] = cell_of_value(tally, rows->keys[0][row]);
        }
    }
}

/* ---- counting ---- */

/* The user's serial numbers that total and cells compare with. */
typedef struct walker {
    cm_tally_t *tally;
    const cm_crowd_t *crowd;
    const cm_facts_t *facts;
    uint64_t user;
    bool viewed, acted; /* the user was counted in the total */
    uint32_t session;   /* that was counted last in the total */
} walker_t;

/* What the facts say of a page view. */
static inline void add_facts(const walker_t *walker, uint64_t *cell, uint32_t row,
                             uint32_t first_view)
{
    const cm_facts_t *facts = walker->facts;
    const uint32_t session = facts->session[row], gap = facts->gap[row];

    if (gap != CM_FACTS_NONE) {
        cell[WORD_TIME_SPENT_SUM] += gap;
        cell[WORD_TIME_SPENT_COUNT]++;
        if (gap <= facts->timeout) {
            cell[WORD_TIME_ON_PAGE_SUM] += gap;
            cell[WORD_TIME_ON_PAGE_COUNT]++;
        }
    }
    if (cm_facts_begins(facts, row)) {
        cell[WORD_ENTRANCES]++;
        cell[WORD_BOUNCES] += facts->views[session] == 1;
        cell[WORD_VISIT_DURATION_SUM] +=
            walker->crowd->second[facts->last[session]] - walker->crowd->second[row];
    }
    cell[WORD_EXITS] += cm_facts_ends(facts, row);
    cell[WORD_NEW_USERS] += row == first_view;
    if (facts->engaged && facts->engaged_ms[row] != 0) {
        cell[WORD_ENGAGED_MS_SUM] += facts->engaged_ms[row] - 1;
        cell[WORD_ENGAGED_COUNT]++;
    }
}

/* A word with two serial numbers: that of the page view is the lower half. */
static inline void add_event(walker_t *walker, uint64_t *cell)
{
    cell[WORD_EVENTS]++;
    if (cell[WORD_USERS] >> 32 != walker->user) {
        cell[WORD_USERS] = walker->user << 32 | (uint32_t)cell[WORD_USERS];
        cell[WORD_EVENT_USER_COUNT]++;
    }
    walker->acted = true;
}

static inline void add_view(walker_t *walker, uint64_t *cell)
{
    cell[WORD_CLICKS]++;
    if ((uint32_t)cell[WORD_USERS] != walker->user) {
        cell[WORD_USERS] = (cell[WORD_USERS] >> 32 << 32) | walker->user;
        cell[WORD_USER_COUNT]++;
    }
    walker->viewed = true;
}

static inline void add_visit(walker_t *walker, uint64_t *cell, uint32_t row)
{
    const uint32_t session = walker->tally->session + walker->facts->session[row];

    if (cell[WORD_SESSION] != session) {
        cell[WORD_SESSION] = session;
        cell[WORD_VISITS]++;
    }
    if (walker->session != session) {
        walker->session = session;
        walker->tally->visits++;
    }
}

/* The level and whether all rows are selected are constants in each call, so that the compiler
 * makes a loop for each. */
static inline __attribute__((always_inline)) void
add_user(walker_t *walker, const cm_tally_rows_t *rows, uint32_t from, uint32_t to,
         uint32_t first_view, cm_tally_level_t level, bool all)
{
    cm_tally_t *tally = walker->tally;

    for (uint32_t row = from; row < to; row++) {
        if (!all && !rows->selected[row])
            continue;
        uint64_t *cell = &tally->cells[(size_t)tally->cell_of[row] * tally->stride];
        if (walker->crowd->kind[row] != CM_KIND_ENGAGEMENT)
            add_event(walker, cell);
        if (walker->crowd->kind[row] != CM_KIND_VIEW)
            continue;
        add_view(walker, cell);
        if (level >= CM_TALLY_VISITS)
            add_visit(walker, cell, row);
        if (level >= CM_TALLY_FACTS)
            add_facts(walker, cell, row, first_view);
    }
}

static inline __attribute__((always_inline)) void
add_users(cm_tally_t *tally, const cm_tally_rows_t *rows, cm_tally_level_t level, bool all)
{
    const cm_crowd_t *crowd = rows->crowd;
    walker_t walker = {.tally = tally, .crowd = crowd, .facts = rows->facts};
    uint32_t from = 0;

    for (uint32_t user = 0; user < crowd->users; user++) {
        walker.user = ++tally->user;
        walker.viewed = walker.acted = false;
        add_user(&walker, rows, from, crowd->end[user],
                 level >= CM_TALLY_FACTS ? rows->facts->first_view[user] : 0, level, all);
        tally->users += walker.viewed;
        tally->event_users += walker.acted;
        from = crowd->end[user];
    }
    if (level >= CM_TALLY_VISITS)
        tally->session += rows->facts->sessions;
}

void cm_tally_add(cm_tally_t *tally, const cm_tally_rows_t *rows)
{
    const bool all = rows->selected == NULL;

    place_rows(tally, rows);
    if (tally->level == CM_TALLY_EVENTS)
        all ? add_users(tally, rows, CM_TALLY_EVENTS, true)
            : add_users(tally, rows, CM_TALLY_EVENTS, false);
    else if (tally->level == CM_TALLY_VISITS)
        all ? add_users(tally, rows, CM_TALLY_VISITS, true)
            : add_users(tally, rows, CM_TALLY_VISITS, false);
    else
        all ? add_users(tally, rows, CM_TALLY_FACTS, true)
            : add_users(tally, rows, CM_TALLY_FACTS, false);
}

void cm_tally_add_numbers(cm_tally_t *tally, const cm_tally_rows_t *rows, size_t prop,
                          const uint32_t *values, const cm_tally_number_t *numbers)
{
    for (uint32_t row = 0; row < rows->crowd->rows; row++) {
        if (values[row] == 0 || (rows->selected != NULL && !rows->selected[row]))
            continue;
        cm_sums_t *sums = &tally->sums[tally->cell_of[row] * tally->props + prop];
        const cm_tally_number_t *number = &numbers[values[row]];
        if (number->kind == CM_NUMBER) {
            sums->sum.scaled += number->number.scaled;
            sums->count++;
        } else {
            sums->left_out++;
        }
    }
}

/* ---- results ---- */

/* From now on all cells are found in the hash table. */
static void leave_direct(cm_tally_t *tally)
{
    if (tally->direct == NULL)
        return;
    free(tally->direct);
    free(tally->slots);
    tally->direct = tally->slots = NULL;
    tally->direct_size = 0;
}

void cm_tally_merge(cm_tally_t *tally, const cm_tally_t *more)
{
    leave_direct(tally);
    for (uint32_t cell = 0; cell < more->count; cell++) {
        const uint32_t to = tally->dims == 0 ? 0 : find_cell(tally, &more->keys[cell * more->dims]);
        for (unsigned word = WORD_EVENTS; word < tally->stride; word++)
            tally->cells[(size_t)to * tally->stride + word] +=
                more->cells[(size_t)cell * more->stride + word];
        for (size_t i = 0; i < tally->props; i++) {
            cm_tally_add_sums(&tally->sums[to * tally->props + i],
                              &more->sums[cell * more->props + i]);
        }
    }
    tally->users += more->users;
    tally->event_users += more->event_users;
    tally->visits += more->visits;
}

int64_t cm_tally_size(const cm_tally_t *tally)
{
    const size_t slots = tally->slots != NULL ? (size_t)tally->mask + 1 : 0;

    return (int64_t)(tally->cap *
                         (tally->stride * sizeof *tally->cells + tally->dims * sizeof *tally->keys +
                          tally->props * sizeof *tally->sums) +
                     (slots + tally->direct_size) * sizeof *tally->slots);
}

void cm_tally_counters(const cm_tally_t *tally, uint32_t cell, int64_t *counters)
{
    const uint64_t *from = &tally->cells[(size_t)cell * tally->stride];

    for (int i = 0; i < CM_COUNTER_COUNT; i++)
        counters[i] = words[i] < tally->stride ? (int64_t)from[words[i]] : 0;
}

void cm_tally_free(cm_tally_t *tally)
{
    free(tally->cells);
    free(tally->keys);
    free(tally->sums);
    free(tally->slots);
    free(tally->direct);
    free(tally->cell_of);
}
