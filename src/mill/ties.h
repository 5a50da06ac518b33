/* Ties: events of one user in the same millisecond, the only ones whose row keys matter.
 *
 * Equal row keys make them one event; different ones decide their order. Keys that are derived from
 * user and time are equal without being looked at; others are read from the store, for all ties
 * together, so that each block is read once. Of copies that stand at different places
 * (cm_place()) the texts decide which one counts (event/choice.h): what is needed of them is read
 * then, and only then. Used by one thread. */
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
    /* The events at hand are not enough to choose among copies at different places: that there are
     * any is all that is found out. */
    bool unsure;
    bool differ; /* copies at different places have been found */
    /* Told of every event that is a copy of another; NULL: nobody wants to know. Then it does not
     * matter which of several copies at one place counts. */
    void (*copy)(void *context, int64_t ordinal);
    void *context;
    /* those whose keys or texts must be read */
    cm_tie_t *runs;
    size_t count, cap;
} cm_ties_t;

/* Takes a run: when all its row keys are derived and nothing else need be read, marks the copies at
 * once, else keeps it for cm_ties_resolve(); the events must stay where they are until then. */
void cm_ties_add(cm_ties_t *ties, cm_packed_event_t *events, size_t count, uint32_t user);

/* Puts the events of every kept run in order of their row keys and marks copies with
 * CM_PACKED_DROPPED: of equal ones the first in the store stays, of different ones the one that
 * counts. Where that is a new one in the place of an older one at another place, the older one
 * comes next with CM_PACKED_REPLACED. Forgets the runs. */
int cm_ties_resolve(cm_ties_t *ties, cm_reader_t *reader, cm_err_t *err);

void cm_ties_free(cm_ties_t *ties);

#endif
