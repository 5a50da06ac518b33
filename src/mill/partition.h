/* Partitions: the events of a part of the users, gathered from all blocks and put in order.
 *
 * Each thread scatters events into chunk lists of its own. The threads take consecutive ranges of
 * blocks, so the lists of the first thread, then of the second, and so on, are in order of arrival.
 * In that order most timelines are sorted already. A partition owns its memory and is used by one
 * thread at a time. */
#ifndef CM_MILL_PARTITION_H
#define CM_MILL_PARTITION_H

#include "mill/ties.h"
#include "mill/timeline.h"

/* How users are spread: user % passes is the pass. Of user / passes, the low bits are the partition
 * and the others are the user's number within it. */
typedef struct cm_spread {
    uint32_t passes, pass;
    uint32_t count; /* partitions in a pass, a power of two */
    unsigned shift; /* its logarithm */
    uint32_t users; /* ids are below it */
    cm_compact_layout_t compact;
} cm_spread_t;

/* How `events` of so many users are spread over so many passes, of which each has at least one
 * user: partitions are as large as fits a core's cache, and have fewer than `most` users. */
cm_spread_t cm_spread_choose(uint32_t users, uint32_t most, int64_t events, int64_t passes);

/* The id of a user, from its number within a partition. */
static inline uint32_t cm_spread_user(const cm_spread_t *spread, uint32_t partition, uint64_t local)
{
    return ((uint32_t)(local << spread->shift) | partition) * spread->passes + spread->pass;
}

typedef struct cm_partition {
    uint32_t number;           /* of the partition within the pass */
    cm_packed_event_t *events; /* by user, each user's by time */
    size_t count, cap;
    uint32_t *starts; /* scratch of the sort */
    size_t starts_cap;
} cm_partition_t;

/* Moves the events of the lists (one per thread, in order) into the partition, ordered by user and
 * time; the lists' chunks go to `slabs`. Where events of one user have the same millisecond and
 * place, and all row keys are derived, only the first event is kept. Other ties are added to `ties`
 * and must be resolved before the partition is milled. The partition's memory is reused. */
int cm_partition_build(cm_partition_t *partition, cm_chunk_list_t *const *lists, int list_count,
                       cm_slabs_t *slabs, const cm_spread_t *spread, cm_ties_t *ties,
                       cm_err_t *err);

/* Passes each user's events to the timeline: all are added, and those before ordinal `since` are
 * also taken away. CM_ENOMEM, without a sentence. */
int cm_partition_mill(cm_partition_t *partition, int64_t since, cm_timeline_t *timeline);

void cm_partition_free(cm_partition_t *partition);

#endif
