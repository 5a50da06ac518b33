#include "mill/partition.h"

#include <stdlib.h>

enum { CHUNK_GRAINS = 1000 };

struct cm_chunk {
    cm_chunk_t *next;
    size_t count;
    cm_grain_t grains[CHUNK_GRAINS];
};

int cm_heap_add(cm_heap_t *heap, const cm_grain_t *grain)
{
    if (heap->last == NULL || heap->last->count == CHUNK_GRAINS) {
        cm_chunk_t *chunk = malloc(sizeof *chunk);
        if (chunk == NULL)
            return CM_ENOMEM;
        chunk->next = NULL;
        chunk->count = 0;
        if (heap->last != NULL)
            heap->last->next = chunk;
        else
            heap->first = chunk;
        heap->last = chunk;
    }
    heap->last->grains[heap->last->count++] = *grain;
    heap->count++;
    return 0;
}

void cm_heap_free(cm_heap_t *heap)
{
    for (cm_chunk_t *chunk = heap->first, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    *heap = (cm_heap_t){0};
}

/* The user's number within its partition: dense, so that users can be sorted by counting. */
static size_t local_user(const cm_spread_t *spread, uint32_t user)
{
    return user / spread->passes / spread->count;
}

/* Sorts by user by counting; stable. `starts` gets where each user begins. */
static void scatter(cm_partition_t *partition, cm_heap_t *const *heaps, int heap_count,
                    const cm_spread_t *spread, size_t *starts, size_t users)
{
    for (int i = 0; i < heap_count; i++) {
        for (const cm_chunk_t *chunk = heaps[i]->first; chunk != NULL; chunk = chunk->next) {
            for (size_t k = 0; k < chunk->count; k++)
                starts[local_user(spread, chunk->grains[k].user) + 1]++;
        }
    }
    for (size_t user = 0; user < users; user++)
        starts[user + 1] += starts[user];
    for (int i = 0; i < heap_count; i++) {
        for (const cm_chunk_t *chunk = heaps[i]->first; chunk != NULL; chunk = chunk->next) {
            for (size_t k = 0; k < chunk->count; k++) {
                size_t user = local_user(spread, chunk->grains[k].user);
                partition->grains[starts[user]++] = chunk->grains[k];
            }
        }
        cm_heap_free(heaps[i]);
    }
}

static int by_time(const void *a, const void *b)
{
    const cm_grain_t *x = a, *y = b;
    if (x->time != y->time)
        return x->time < y->time ? -1 : 1;
    return (x->ordinal > y->ordinal) - (x->ordinal < y->ordinal);
}

/* Puts one user's grains in order of time, and notes the ties. */
static void order_user(cm_grain_t *grains, size_t count, cm_ties_t *ties)
{
    bool sorted = true;
    size_t end;

    for (size_t i = 1; i < count && sorted; i++)
        sorted = grains[i - 1].time <= grains[i].time;
    if (!sorted)
        qsort(grains, count, sizeof *grains, by_time);
    for (size_t from = 0; from + 1 < count; from = end) {
        for (end = from + 1; end < count && grains[end].time == grains[from].time; end++)
            ;
        if (end - from > 1)
            cm_ties_add(ties, grains + from, end - from);
    }
}

/* The end of the user's run that begins at `from`. */
static size_t user_end(const cm_partition_t *partition, size_t from)
{
    size_t end = from + 1;
    while (end < partition->count && partition->grains[end].user == partition->grains[from].user)
        end++;
    return end;
}

int cm_partition_build(cm_partition_t *partition, cm_heap_t *const *heaps, int heap_count,
                       const cm_spread_t *spread, cm_ties_t *ties, cm_err_t *err)
{
    size_t users = local_user(spread, spread->users) + 1;

    *partition = (cm_partition_t){0};
    for (int i = 0; i < heap_count; i++)
        partition->count += heaps[i]->count;
    if (partition->count == 0)
        return 0;
    partition->grains = malloc(partition->count * sizeof *partition->grains);
    size_t *starts = calloc(users + 1, sizeof *starts);
    if (partition->grains == NULL || starts == NULL) {
        free(starts);
        cm_partition_free(partition);
        return cm_fail_memory(err);
    }
    scatter(partition, heaps, heap_count, spread, starts, users);
    free(starts);
    for (size_t from = 0, end; from < partition->count; from = end) {
        end = user_end(partition, from);
        order_user(partition->grains + from, end - from, ties);
    }
    return 0;
}

/* Drops the copies; returns how many are left. */
static size_t drop_copies(cm_grain_t *grains, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (grains[i].ordinal >= 0)
            grains[kept++] = grains[i];
    }
    return kept;
}

/* Moves those before `since` to the front, in order; for a timeline that is milled already. */
static size_t keep_before(cm_grain_t *grains, size_t count, int64_t since)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (grains[i].ordinal < since)
            grains[kept++] = grains[i];
    }
    return kept;
}

void cm_partition_mill(cm_partition_t *partition, int64_t since, cm_timeline_t *timeline)
{
    for (size_t from = 0, end; from < partition->count; from = end) {
        cm_grain_t *grains = partition->grains + from;
        end = user_end(partition, from);
        size_t count = drop_copies(grains, end - from);
        cm_timeline_add(timeline, grains, count, 1);
        if (since > 0 && (count = keep_before(grains, count, since)) > 0)
            cm_timeline_add(timeline, grains, count, -1);
    }
}

void cm_partition_copies(const cm_partition_t *partition,
                         void (*copy)(void *context, int64_t ordinal), void *context)
{
    for (size_t i = 0; i < partition->count; i++) {
        if (partition->grains[i].ordinal < 0)
            copy(context, ~partition->grains[i].ordinal);
    }
}

void cm_partition_free(cm_partition_t *partition)
{
    free(partition->grains);
    *partition = (cm_partition_t){0};
}
