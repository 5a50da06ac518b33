#include "mill/partition.h"

#include "base/str.h"

#include <stdlib.h>

/* Counts each user's grains of a chunk, one place further on. */
static void count_users(const cm_chunk_t *chunk, const cm_compact_layout_t *packing,
                        uint32_t *starts)
{
    if (packing->on) {
        const uint64_t *packed = (const uint64_t *)(const void *)chunk->bytes;
        for (size_t k = 0; k < chunk->used / sizeof *packed; k++)
            starts[cm_compact_event_user(packing, packed[k]) + 1]++;
    } else {
        const cm_packed_event_t *grains = (const cm_packed_event_t *)(const void *)chunk->bytes;
        for (size_t k = 0; k < chunk->used / sizeof *grains; k++)
            starts[cm_packed_user(&grains[k]) + 1]++;
    }
}

static void place_grains(const cm_chunk_t *chunk, const cm_compact_layout_t *packing,
                         const cm_packed_layout_t *shape, uint32_t *starts, cm_packed_event_t *to)
{
    if (packing->on) {
        const uint64_t *packed = (const uint64_t *)(const void *)chunk->bytes;
        for (size_t k = 0; k < chunk->used / sizeof *packed; k++)
            to[starts[cm_compact_event_user(packing, packed[k])]++] =
                cm_compact_event_expand(packing, packed[k], shape);
    } else {
        const cm_packed_event_t *grains = (const cm_packed_event_t *)(const void *)chunk->bytes;
        for (size_t k = 0; k < chunk->used / sizeof *grains; k++)
            to[starts[cm_packed_user(&grains[k])]++] = grains[k];
    }
}

/* Sorts by user by counting; stable. */
static void scatter(cm_partition_t *partition, cm_chunk_list_t *const *heaps, int heap_count,
                    cm_slabs_t *slabs, const cm_compact_layout_t *packing,
                    const cm_packed_layout_t *shape, size_t users)
{
    uint32_t *starts = partition->starts;

    memset(starts, 0, (users + 1) * sizeof *starts);
    for (int i = 0; i < heap_count; i++) {
        for (const cm_chunk_t *chunk = heaps[i]->first; chunk != NULL; chunk = chunk->next)
            count_users(chunk, packing, starts);
    }
    for (size_t user = 0; user < users; user++)
        starts[user + 1] += starts[user];
    for (int i = 0; i < heap_count; i++) {
        for (const cm_chunk_t *chunk = heaps[i]->first; chunk != NULL; chunk = chunk->next)
            place_grains(chunk, packing, shape, starts, partition->grains);
        cm_chunk_list_release(heaps[i], slabs);
    }
}

static int by_key(const void *a, const void *b)
{
    const cm_packed_event_t *x = a, *y = b;
    return (x->key > y->key) - (x->key < y->key);
}

/* Nearly sorted timelines are the rule: moves late events back one by one, as long as that is
 * cheap. False: given up half-way. Stable. */
static bool insertion_sort(cm_packed_event_t *grains, size_t count)
{
    size_t budget = 64 + 8 * count;

    for (size_t i = 1; i < count; i++) {
        cm_packed_event_t grain = grains[i];
        size_t to = i;
        while (to > 0 && grains[to - 1].key > grain.key) {
            grains[to] = grains[to - 1];
            to--;
        }
        grains[to] = grain;
        if (i - to > budget)
            return false;
        budget -= i - to;
    }
    return true;
}

static int by_load(const void *a, const void *b)
{
    const cm_packed_event_t *x = a, *y = b;
    return (x->load > y->load) - (x->load < y->load);
}

/* Turns the load so that the ordinal leads, by the bits of an ordinal; or back, by the rest. */
static void turn_loads(cm_packed_event_t *run, size_t count, unsigned bits)
{
    for (size_t i = 0; i < count; i++)
        run[i].load = run[i].load >> bits | run[i].load << (64 - bits);
}

/* In order of ordinals again within equal keys, which qsort need not keep, and which an update
 * that is trimmed finds the other way round. A run may be all there is. */
static void order_ties(cm_packed_event_t *run, size_t count, const cm_packed_layout_t *shape)
{
    bool ordered = true;

    for (size_t i = 1; i < count; i++)
        ordered &= cm_packed_ordinal(&run[i - 1], shape) <= cm_packed_ordinal(&run[i], shape);
    if (ordered)
        return;
    turn_loads(run, count, shape->ordinal_bits);
    qsort(run, count, sizeof *run, by_load);
    turn_loads(run, count, 64 - shape->ordinal_bits);
}

/* Puts one user's grains in order of time, and sees to the ties. */
static void order_user(cm_packed_event_t *grains, size_t count, uint32_t user, cm_ties_t *ties)
{
    bool tied = false;
    size_t end;

    for (size_t i = 1; i < count; i++) {
        if (grains[i - 1].key > grains[i].key) {
            if (!insertion_sort(grains, count))
                qsort(grains, count, sizeof *grains, by_key);
            break;
        }
    }
    for (size_t i = 1; i < count; i++)
        tied |= grains[i - 1].key == grains[i].key;
    if (!tied)
        return;
    for (size_t from = 0; from + 1 < count; from = end) {
        for (end = from + 1; end < count && grains[end].key == grains[from].key; end++)
            ;
        if (end - from > 1) {
            order_ties(grains + from, end - from, ties->shape);
            cm_ties_add(ties, grains + from, end - from, user);
        }
    }
}

/* The end of the user's run that begins at `from`. */
static size_t user_end(const cm_partition_t *partition, size_t from)
{
    uint64_t user = cm_packed_user(&partition->grains[from]);
    size_t end = from + 1;

    while (end < partition->count && cm_packed_user(&partition->grains[end]) == user)
        end++;
    return end;
}

static int make_room(cm_partition_t *partition, size_t users, cm_err_t *err)
{
    if (partition->cap < partition->count) {
        free(partition->grains);
        partition->cap = partition->count + partition->count / 4;
        partition->grains = malloc(partition->cap * sizeof *partition->grains);
    }
    if (partition->starts_cap < users + 1) {
        free(partition->starts);
        partition->starts_cap = users + 1;
        partition->starts = malloc(partition->starts_cap * sizeof *partition->starts);
    }
    return partition->grains == NULL || partition->starts == NULL ? cm_fail_memory(err) : 0;
}

int cm_partition_build(cm_partition_t *partition, cm_chunk_list_t *const *heaps, int heap_count,
                       cm_slabs_t *slabs, const cm_spread_t *spread, cm_ties_t *ties, cm_err_t *err)
{
    size_t users = (spread->users / spread->passes >> spread->shift) + 1;

    const size_t size = spread->packing.on ? sizeof(uint64_t) : sizeof(cm_packed_event_t);

    partition->count = 0;
    for (int i = 0; i < heap_count; i++)
        partition->count += cm_chunk_list_close(heaps[i]) / size;
    if (partition->count == 0)
        return 0;
    int rc = make_room(partition, users, err);
    if (rc < 0)
        return rc;
    scatter(partition, heaps, heap_count, slabs, &spread->packing, ties->shape, users);
    for (size_t from = 0, end; from < partition->count; from = end) {
        end = user_end(partition, from);
        uint64_t local = cm_packed_user(&partition->grains[from]);
        order_user(partition->grains + from, end - from,
                   cm_spread_user(spread, partition->number, local), ties);
    }
    return 0;
}

/* Drops the copies; returns how many are left. */
static size_t drop_copies(cm_packed_event_t *grains, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (grains[i].load != CM_PACKED_DROPPED)
            grains[kept++] = grains[i];
    }
    return kept;
}

/* Moves those before `since` to the front, in order; for a timeline that is milled already. */
static size_t keep_before(cm_packed_event_t *grains, size_t count, int64_t since,
                          const cm_packed_layout_t *shape)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (cm_packed_ordinal(&grains[i], shape) < since)
            grains[kept++] = grains[i];
    }
    return kept;
}

static bool is_replaced(const cm_packed_event_t *grain)
{
    return (grain->key & CM_PACKED_TIME_MASK) == CM_PACKED_REPLACED;
}

/* An update in which new copies take the place of older ones: what was there before is not a part
 * of what is there now. */
static int mill_replaced(cm_packed_event_t *grains, size_t count, int64_t since,
                         cm_timeline_t *timeline)
{
    cm_packed_event_t *before = malloc(count * sizeof *before);
    size_t now_count = 0, before_count = 0;

    if (before == NULL)
        return CM_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        cm_packed_event_t grain = grains[i];
        bool replaced = is_replaced(&grain);
        if (replaced) /* behind the one that takes its place */
            grain.key = grains[now_count - 1].key;
        else
            grains[now_count++] = grain;
        if (cm_packed_ordinal(&grain, timeline->shape) < since)
            before[before_count++] = grain;
    }
    int rc = cm_timeline_add(timeline, grains, now_count, 1);
    if (rc == 0)
        rc = cm_timeline_add(timeline, before, before_count, -1);
    free(before);
    return rc;
}

/* One user's update: adds what there is now, takes away what there was before. */
static int mill_update(cm_packed_event_t *grains, size_t count, int64_t since,
                       cm_timeline_t *timeline)
{
    bool replaced = false;

    for (size_t i = 0; i < count; i++)
        replaced |= is_replaced(&grains[i]);
    if (replaced)
        return mill_replaced(grains, count, since, timeline);
    int rc = cm_timeline_add(timeline, grains, count, 1);
    if (rc == 0 && (count = keep_before(grains, count, since, timeline->shape)) > 0)
        rc = cm_timeline_add(timeline, grains, count, -1);
    return rc;
}

int cm_partition_mill(cm_partition_t *partition, int64_t since, cm_timeline_t *timeline)
{
    int rc = 0;

    for (size_t from = 0, end; rc == 0 && from < partition->count; from = end) {
        cm_packed_event_t *grains = partition->grains + from;
        end = user_end(partition, from);
        size_t count = drop_copies(grains, end - from);
        rc = since > 0 ? mill_update(grains, count, since, timeline)
                       : cm_timeline_add(timeline, grains, count, 1);
    }
    return rc;
}

void cm_partition_free(cm_partition_t *partition)
{
    free(partition->grains);
    free(partition->starts);
    *partition = (cm_partition_t){0};
}
