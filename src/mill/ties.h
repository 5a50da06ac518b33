/* Ties: events of one user in the same millisecond. Only their row keys matter.
 *
 * Events with equal row keys are copies of one event; different row keys decide the order. Row keys
 * that are derived from user and time are equal, so they need not be read. Other row keys are read
 * from the store, for all ties together, so that each block is read once. For copies at different
 * places (cm_place()) the strings decide which copy counts (event/choice.h); only then are they
 * read. Used by one thread. */
#ifndef CM_MILL_TIES_H
#define CM_MILL_TIES_H

#include "mill/packed.h"
#include "store/store.h"

/* A run of events with the same user and time, in order of their ordinals. */
typedef struct cm_tie {
    cm_packed_event_t *events;
    size_t count;
    uint32_t user; /* id in the dictionary */
} cm_tie_t;

typedef struct cm_ties {
    const cm_packed_layout_t *layout;
    const cm_block_ref_t *blocks; /* of the store */
    size_t block_count;
    int64_t since; /* ordinal of the first new event */
    /* The packed events are not enough to choose among copies at different places (mill.c). Then
     * only `differ` is found out. */
    bool unsure;
    bool differ; /* copies at different places have been found */
    /* Called for each event that is a copy and does not count. NULL when that is not asked for;
     * then it does not matter which of several copies at one place counts. */
    void (*copy)(void *context, int64_t ordinal);
    void *context;
    /* those whose row keys or strings must be read */
    cm_tie_t *runs;
    size_t count, cap;
} cm_ties_t;

/* Adds a run. When all its row keys are derived and nothing else must be read, it marks the copies
 * at once. Otherwise it keeps the run for cm_ties_resolve(); the events are borrowed until then. */
void cm_ties_add(cm_ties_t *ties, cm_packed_event_t *events, size_t count, uint32_t user);

/* Puts the events of each kept run in order of their row keys and marks copies with
 * CM_PACKED_DROPPED. Of copies that are the same, the first in the store stays; otherwise the one
 * that counts. When a new copy counts and an older one at another place counted before the update,
 * the older one follows it with CM_PACKED_REPLACED. Forgets the runs. */
int cm_ties_resolve(cm_ties_t *ties, cm_reader_t *reader, cm_err_t *err);

void cm_ties_free(cm_ties_t *ties);

#endif
