/* Partitions: the events of a part of the users, gathered from all blocks and put in order.
 *
 * Each scattering thread fills chunks of its own; since the threads take consecutive ranges of
 * blocks, one thread's chunks after the other's are the order of arrival, in which most timelines
 * are sorted already. */
#ifndef CM_MILL_PARTITION_H
#define CM_MILL_PARTITION_H

#include "mill/ties.h"
#include "mill/timeline.h"

/* How users are spread: user % passes is the pass; of user / passes, the low bits are the partition
 * and the rest the number within it. */
typedef struct cm_spread {
    uint32_t passes, pass;
    uint32_t count; /* partitions a pass, a power of two */
    unsigned shift; /* its logarithm */
    uint32_t users; /* ids are below it */
    cm_compact_layout_t compact;
} cm_spread_t;

/* The id of a user from the number within a partition. */
static inline uint32_t cm_spread_user(const cm_spread_t *spread, uint32_t partition, uint64_t local)
{
    return ((uint32_t)(local << spread->shift) | partition) * spread->passes + spread->pass;
}

typedef struct cm_partition {
    uint32_t number;           /* which of the pass */
    cm_packed_event_t *events; /* by user, each user's by time */
    size_t count, cap;
    uint32_t *starts; /* scratch of the sort */
    size_t starts_cap;
} cm_partition_t;

/* Moves the lists (one a thread, in order; their chunks go to `slabs`) into the partition, ordered
 * by user and time. Of events that stand in one millisecond of one user and at one place, and whose
 * row keys are all derived, only the first is kept; other ties are kept by `ties` to be resolved.
 * The partition's memory is reused. */
int cm_partition_build(cm_partition_t *partition, cm_chunk_list_t *const *lists, int list_count,
                       cm_slabs_t *slabs, const cm_spread_t *spread, cm_ties_t *ties,
                       cm_err_t *err);

/* Feeds each user's events to the timeline; those before ordinal `since` are also taken away.
 * CM_ENOMEM, without a sentence. */
int cm_partition_mill(cm_partition_t *partition, int64_t since, cm_timeline_t *timeline);

void cm_partition_free(cm_partition_t *partition);

#endif
