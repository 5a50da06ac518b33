/* Partitions: the events of a part of the users, gathered from all blocks and put in order.
 *
 * Each scattering thread fills chunks of its own; since the threads take consecutive ranges of
 * blocks, one thread's chunks after the other's are the order of arrival, in which most timelines
 * are sorted already. */
#ifndef CM_MILL_PARTITION_H
#define CM_MILL_PARTITION_H

#include "base/err.h"
#include "mill/ties.h"
#include "mill/timeline.h"

typedef struct cm_chunk cm_chunk_t;

/* A list of chunks that one thread fills. */
typedef struct cm_heap {
    cm_chunk_t *first, *last;
    size_t count;
} cm_heap_t;

/* Appends a grain; CM_ENOMEM when there is no memory. */
int cm_heap_add(cm_heap_t *heap, const cm_grain_t *grain);
void cm_heap_free(cm_heap_t *heap);

typedef struct cm_partition {
    cm_grain_t *grains; /* by user, each user's by time; owned */
    size_t count;
} cm_partition_t;

/* How users are spread: user % passes is the pass, the rest modulo `count` the partition. */
typedef struct cm_spread {
    uint32_t passes, pass;
    uint32_t count; /* partitions a pass */
    uint32_t users; /* ids are below it */
} cm_spread_t;

static inline uint32_t cm_spread_partition(const cm_spread_t *spread, uint32_t user)
{
    return user / spread->passes % spread->count;
}

/* Moves the heaps (one a thread, in order; emptied) into the partition, ordered by user and time,
 * and adds every tie to `ties`. */
int cm_partition_build(cm_partition_t *partition, cm_heap_t *const *heaps, int heap_count,
                       const cm_spread_t *spread, cm_ties_t *ties, cm_err_t *err);

/* Calls `copy` with the ordinal of every event that is a copy of another. */
void cm_partition_copies(const cm_partition_t *partition,
                         void (*copy)(void *context, int64_t ordinal), void *context);

/* Feeds each user's events to the timeline; those before ordinal `since` are also taken away. */
void cm_partition_mill(cm_partition_t *partition, int64_t since, cm_timeline_t *timeline);

void cm_partition_free(cm_partition_t *partition);

#endif
