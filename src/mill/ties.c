#include "mill/ties.h"

#include "event/choice.h"

#include <assert.h>
#include <stdlib.h>

/* A tied event with its row key. The bytes of a derived key are needed only when it is compared
 * with a key of another kind. */
typedef struct tied {
    cm_packed_event_t packed;
    int64_t ordinal;
    cm_key_t key;
    uint32_t run;
    uint32_t cold; /* index in resolving_t.cold + 1; 0: its ids are not needed */
} tied_t;

/* What decides which copy counts: ids of all strings but the user's, and the optional fields. */
typedef struct cold {
    uint32_t ids[CM_FIELD_COUNT];
    const cm_event_extra_t *extra; /* NULL: none */
} cold_t;

/* All tied events while they are resolved. */
typedef struct resolving {
    const cm_ties_t *ties;
    cm_reader_t *reader;
    tied_t *tied;
    size_t count;
    cold_t *cold;
    cm_arena_t *strings;
} resolving_t;

/* The block that holds an ordinal. */
static const cm_block_ref_t *block_of(const cm_ties_t *ties, int64_t ordinal)
{
    return &ties->blocks[cm_block_place(ties->blocks, ties->block_count, ordinal)];
}

static void drop(const cm_ties_t *ties, cm_packed_event_t *event)
{
    if (ties->copy != NULL)
        ties->copy(ties->context, cm_packed_ordinal(event, ties->layout));
    event->load = CM_PACKED_DROPPED;
}

/* Whether all of them have the same url and country. */
static bool at_one_place(const cm_ties_t *ties, const cm_packed_event_t *events, size_t count)
{
    uint64_t differ = 0;

    for (size_t i = 1; i < count; i++)
        differ |=
            cm_packed_place(&events[0], ties->layout) ^ cm_packed_place(&events[i], ties->layout);
    return differ == 0;
}

void cm_ties_add(cm_ties_t *ties, cm_packed_event_t *events, size_t count, uint32_t user)
{
    bool derived = true, equal = at_one_place(ties, events, count);

    assert(count > 1);
    for (size_t i = 0; i < count && derived; i++) {
        const cm_block_ref_t *block = block_of(ties, cm_packed_ordinal(&events[i], ties->layout));
        derived = block->all_keys_derived && !block->has_others;
    }
    ties->differ |= derived && !equal;
    if (derived && equal && ties->copy == NULL) {
        for (size_t i = 1; i < count; i++)
            drop(ties, &events[i]);
        return;
    }
    if (ties->unsure && ties->differ)
        return;
    if (ties->count == ties->cap) {
        ties->cap = ties->cap ? ties->cap * 2 : 256;
        ties->runs = cm_realloc(ties->runs, ties->cap * sizeof *ties->runs);
    }
    ties->runs[ties->count++] = (cm_tie_t){events, count, user};
}

void cm_ties_free(cm_ties_t *ties)
{
    free(ties->runs);
    ties->runs = NULL;
    ties->count = ties->cap = 0;
}

static int by_ordinal(const void *a, const void *b)
{
    int64_t x = ((const tied_t *)a)->ordinal, y = ((const tied_t *)b)->ordinal;
    return (x > y) - (x < y);
}

static int by_ordinal_of(const void *a, const void *b)
{
    return by_ordinal(*(tied_t *const *)a, *(tied_t *const *)b);
}

static cm_str_t key_text(const cm_key_t *key, char scratch[CM_UUID_TEXT])
{
    if (key->kind == CM_KEY_TEXT)
        return key->text;
    cm_uuid_format(key->uuid, scratch);
    return (cm_str_t){scratch, CM_UUID_TEXT};
}

/* Two derived keys of one user and time are equal; their bytes are not filled in then. */
static int compare_keys(const cm_key_t *a, const cm_key_t *b)
{
    char text_a[CM_UUID_TEXT], text_b[CM_UUID_TEXT];

    if (a->kind == CM_KEY_DERIVED && b->kind == CM_KEY_DERIVED)
        return 0;
    if (a->kind != CM_KEY_TEXT && b->kind != CM_KEY_TEXT)
        return memcmp(a->uuid, b->uuid, sizeof a->uuid); /* lower-case hex keeps the order */
    return cm_str_compare(key_text(a, text_a), key_text(b, text_b));
}

static int by_key(const void *a, const void *b)
{
    int order = compare_keys(&((const tied_t *)a)->key, &((const tied_t *)b)->key);
    return order ? order : by_ordinal(a, b);
}

/* The row key that follows from the fields of an event that is no page view. */
static int derive_other(const resolving_t *all, const cm_columns_t *columns, uint32_t row,
                        cm_key_t *key, cm_err_t *err)
{
    cm_event_extra_t extra;
    cm_event_t event = {.timestamp = columns->time[row]};

    int rc =
        cm_reader_string(all->reader, CM_USER, columns->ids[CM_USER][row], &event.user_id, err);
    if (rc == 0)
        rc = cm_reader_string(all->reader, CM_URL, columns->ids[CM_URL][row], &event.url, err);
    if (rc == 0 && cm_wide_at(&columns->wide, row, &extra)) {
        event.extra = &extra;
        cm_event_derive_key(&event, key->uuid);
        key->kind = CM_KEY_UUID;
    }
    return rc;
}

/* Reads the row keys of all tied events; `order` is the order of ordinals, so that each block is
 * read once. */
static int read_keys_in(const resolving_t *all, tied_t *const *order, cm_err_t *err)
{
    const cm_block_ref_t *loaded = NULL;
    cm_columns_t columns = {0};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < all->count; i++) {
        tied_t *tied = order[i];
        const cm_block_ref_t *block = block_of(all->ties, tied->ordinal);
        const uint32_t row = (uint32_t)(tied->ordinal - block->first);
        tied->key.kind = CM_KEY_DERIVED;
        if (block->all_keys_derived && !block->has_others)
            continue;
        if (block != loaded)
            rc = cm_reader_read(all->reader, block,
                                block->has_others ? CM_READ_HOT | CM_READ_KEYS | CM_READ_EXTRA
                                                  : CM_READ_KEYS,
                                &columns, err);
        loaded = block;
        if (rc < 0)
            break;
        tied->key = columns.keys[row];
        if (tied->key.kind == CM_KEY_TEXT)
            tied->key.text = cm_arena_copy(all->strings, tied->key.text);
        if (tied->key.kind == CM_KEY_DERIVED && !cm_wide_is_view(&columns.wide, row))
            rc = derive_other(all, &columns, row, &tied->key, err);
    }
    cm_columns_free(&columns);
    return rc;
}

static int read_keys(const resolving_t *all, cm_err_t *err)
{
    tied_t **order = malloc((all->count + 1) * sizeof *order);

    if (order == NULL)
        return cm_fail_memory(err);
    for (size_t i = 0; i < all->count; i++)
        order[i] = &all->tied[i];
    qsort(order, all->count, sizeof *order, by_ordinal_of);
    int rc = read_keys_in(all, order, err);
    free(order);
    return rc;
}

/* Fills in the bytes of derived keys in runs that have keys of another kind as well. */
static int derive_mixed(const resolving_t *all, cm_err_t *err)
{
    tied_t *tied = all->tied;
    size_t end;

    for (size_t from = 0; from < all->count; from = end) {
        bool derived = false, own = false;
        for (end = from; end < all->count && tied[end].run == tied[from].run; end++) {
            derived |= tied[end].key.kind == CM_KEY_DERIVED;
            own |= tied[end].key.kind != CM_KEY_DERIVED;
        }
        if (!derived || !own)
            continue;
        cm_str_t user;
        uint8_t uuid[16];
        int rc = cm_reader_string(all->reader, CM_USER, all->ties->runs[tied[from].run].user, &user,
                                  err);
        if (rc < 0)
            return rc;
        cm_row_key_derive(user, cm_packed_time(&tied[from].packed), uuid);
        for (size_t i = from; i < end; i++) {
            if (tied[i].key.kind == CM_KEY_DERIVED)
                memcpy(tied[i].key.uuid, uuid, sizeof uuid);
        }
    }
    return 0;
}

/* Puts the events of each run in order of their row keys, and copies in order of ordinals. */
static void order_runs(const resolving_t *all)
{
    size_t end;

    for (size_t from = 0; from < all->count; from = end) {
        for (end = from; end < all->count && all->tied[end].run == all->tied[from].run; end++)
            ;
        qsort(all->tied + from, end - from, sizeof *all->tied, by_key);
    }
}

/* ---- which copy counts ---- */

/* The end of the copies of the event at `from`. */
static size_t copies_end(const resolving_t *all, size_t from)
{
    const tied_t *tied = all->tied;
    size_t end = from + 1;

    while (end < all->count && tied[end].run == tied[from].run &&
           compare_keys(&tied[from].key, &tied[end].key) == 0)
        end++;
    return end;
}

static uint64_t place_of(const resolving_t *all, size_t at)
{
    return cm_packed_place(&all->tied[at].packed, all->ties->layout);
}

/* Numbers the events whose strings decide which copy counts: copies at different places, and all
 * copies when each copy must be known. Returns how many they are. */
static uint32_t find_contested(const resolving_t *all, bool *differ)
{
    uint32_t count = 0;
    size_t end;

    for (size_t from = 0; from < all->count; from = end) {
        bool equal = true;
        end = copies_end(all, from);
        for (size_t i = from + 1; i < end; i++)
            equal &= place_of(all, i) == place_of(all, from);
        *differ |= !equal;
        for (size_t i = from; i < end; i++)
            all->tied[i].cold = !equal || (all->ties->copy != NULL && end - from > 1) ? ++count : 0;
    }
    return count;
}

static void keep_cold(const resolving_t *all, const cm_columns_t *columns, const tied_t *tied)
{
    const uint32_t row = (uint32_t)(tied->ordinal - columns->first);
    cold_t *cold = &all->cold[tied->cold - 1];
    cm_event_extra_t extra;

    *cold = (cold_t){0};
    for (int field = CM_URL; field < CM_FIELD_COUNT; field++)
        cold->ids[field] = columns->ids[field][row];
    if (cm_wide_at(&columns->wide, row, &extra))
        cold->extra = cm_event_extra_copy(&extra, all->strings);
}

/* Reads the ids of the events in `order`, which is the order of ordinals, so that each block is
 * read once. */
static int read_ids(const resolving_t *all, tied_t *const *order, size_t count, cm_err_t *err)
{
    const cm_block_ref_t *loaded = NULL;
    cm_columns_t columns = {0};
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < count; i++) {
        const cm_block_ref_t *block = block_of(all->ties, order[i]->ordinal);
        if (block != loaded)
            rc = cm_reader_read(all->reader, block, CM_READ_HOT | CM_READ_COLD | CM_READ_EXTRA,
                                &columns, err);
        loaded = block;
        if (rc == 0)
            keep_cold(all, &columns, order[i]);
    }
    cm_columns_free(&columns);
    return rc;
}

static int read_cold(resolving_t *all, uint32_t contested, cm_err_t *err)
{
    tied_t **order = malloc(contested * sizeof *order);
    size_t count = 0;

    all->cold = malloc(contested * sizeof *all->cold);
    if (order == NULL || all->cold == NULL) {
        free(order);
        return cm_fail_memory(err);
    }
    for (size_t i = 0; i < all->count; i++) {
        if (all->tied[i].cold != 0)
            order[count++] = &all->tied[i];
    }
    qsort(order, count, sizeof *order, by_ordinal_of);
    int rc = read_ids(all, order, count, err);
    free(order);
    return rc;
}

/* Reads the fields in which copies of an event may differ. */
static int read_event(const resolving_t *all, size_t at, cm_event_t *event, cm_err_t *err)
{
    const cold_t *cold = &all->cold[all->tied[at].cold - 1];
    cm_str_t *const strings[CM_FIELD_COUNT] = {
        [CM_URL] = &event->url,   [CM_COUNTRY] = &event->country,
        [CM_CITY] = &event->city, [CM_BROWSER] = &event->browser,
        [CM_OS] = &event->os,     [CM_DEVICE] = &event->device};
    int rc = 0;

    *event = (cm_event_t){.extra = cold->extra};
    for (int field = CM_URL; rc == 0 && field < CM_FIELD_COUNT; field++)
        rc =
            cm_reader_string(all->reader, (cm_field_t)field, cold->ids[field], strings[field], err);
    return rc;
}

static bool is_same(const resolving_t *all, size_t a, size_t b)
{
    const tied_t *x = &all->tied[a], *y = &all->tied[b];

    if (x->cold == 0)
        return place_of(all, a) == place_of(all, b);
    const cold_t *cold_x = &all->cold[x->cold - 1], *cold_y = &all->cold[y->cold - 1];
    return memcmp(cold_x->ids, cold_y->ids, sizeof cold_x->ids) == 0 &&
           cm_event_extra_equal(cold_x->extra, cold_y->extra);
}

/* Finds, among the copies [from, end) before the ordinal `until`, the one that counts; `end` when
 * there is none. The copies are in order of ordinals. */
static int find_best(const resolving_t *all, size_t from, size_t end, int64_t until, size_t *best,
                     cm_err_t *err)
{
    cm_event_t event, other;
    bool known = false;
    int rc = 0;

    *best = all->tied[from].ordinal < until ? from : end;
    for (size_t i = from + 1; rc == 0 && i < end && all->tied[i].ordinal < until; i++) {
        if (is_same(all, *best, i))
            continue;
        if (!known && (rc = read_event(all, *best, &event, err)) < 0)
            break;
        known = true;
        if ((rc = read_event(all, i, &other, err)) < 0 || cm_event_compare(&other, &event) <= 0)
            continue;
        *best = i;
        event = other;
    }
    return rc;
}

/* Writes the copies [from, end) to `events`, the one that counts first. */
static int write_copies(const resolving_t *all, size_t from, size_t end, cm_packed_event_t *events,
                        cm_err_t *err)
{
    const cm_ties_t *ties = all->ties;
    size_t best, before = end;

    int rc = find_best(all, from, end, INT64_MAX, &best, err);
    if (rc == 0 && all->tied[best].ordinal >= ties->since)
        rc = find_best(all, from, end, ties->since, &before, err);
    if (rc < 0)
        return rc;
    if (before != end && place_of(all, before) == place_of(all, best)) {
        best = before; /* it contributes the same, and has done so already */
        before = end;
    }
    *events++ = all->tied[best].packed;
    if (before != end) {
        *events = all->tied[before].packed;
        events++->key |= CM_PACKED_REPLACED;
    }
    for (size_t i = from; i < end; i++) {
        if (i == best || i == before)
            continue;
        *events = all->tied[i].packed;
        drop(ties, events++);
    }
    return 0;
}

static int write_back(const resolving_t *all, cm_err_t *err)
{
    size_t end, first = 0; /* of the run */
    int rc = 0;

    for (size_t from = 0; rc == 0 && from < all->count; from = end) {
        end = copies_end(all, from);
        if (from > 0 && all->tied[from].run != all->tied[from - 1].run)
            first = from;
        rc = write_copies(all, from, end,
                          all->ties->runs[all->tied[from].run].events + (from - first), err);
    }
    return rc;
}

/* ---- the whole ---- */

/* All tied events, run by run. */
static int collect(resolving_t *all, cm_err_t *err)
{
    const cm_ties_t *ties = all->ties;
    size_t at = 0;

    for (size_t run = 0; run < ties->count; run++)
        all->count += ties->runs[run].count;
    all->tied = malloc(all->count * sizeof *all->tied);
    if (all->tied == NULL && all->count > 0)
        return cm_fail_memory(err);
    for (size_t run = 0; run < ties->count; run++) {
        const cm_tie_t *tie = &ties->runs[run];
        for (size_t i = 0; i < tie->count; i++)
            all->tied[at++] = (tied_t){.packed = tie->events[i],
                                       .ordinal = cm_packed_ordinal(&tie->events[i], ties->layout),
                                       .run = (uint32_t)run};
    }
    return 0;
}

static int resolve(resolving_t *all, cm_ties_t *ties, cm_err_t *err)
{
    uint32_t contested = 0;

    int rc = read_keys(all, err);
    if (rc == 0)
        rc = derive_mixed(all, err);
    if (rc < 0)
        return rc;
    order_runs(all);
    contested = find_contested(all, &ties->differ);
    if (ties->unsure && ties->differ)
        return 0;
    if (contested > 0)
        rc = read_cold(all, contested, err);
    return rc < 0 ? rc : write_back(all, err);
}

int cm_ties_resolve(cm_ties_t *ties, cm_reader_t *reader, cm_err_t *err)
{
    cm_arena_t strings = CM_ARENA_INIT;
    resolving_t all = {.ties = ties, .reader = reader, .strings = &strings};

    if (ties->count == 0)
        return 0;
    int rc = collect(&all, err);
    if (rc == 0)
        rc = resolve(&all, ties, err);
    free(all.tied);
    free(all.cold);
    cm_arena_free(&strings);
    ties->count = 0;
    return rc;
}
