/* Ties: events of one user in the same millisecond, the only ones whose row keys matter.
 *
 * Equal row keys make them one event; different ones decide their order. Keys that are derived from
 * user and time are equal without being looked at; others are read from the store, for all ties
 * together, so that each block is read once. */
#ifndef CM_MILL_TIES_H
#define CM_MILL_TIES_H

#include "mill/grain.h"
#include "store/store.h"

/* A run of grains with the same user and time, in order of their ordinals. */
typedef struct cm_tie {
    cm_grain_t *grains;
    size_t count;
    uint32_t user; /* id in the dictionary */
} cm_tie_t;

typedef struct cm_ties {
    const cm_grain_shape_t *shape;
    const cm_block_ref_t *blocks; /* of the store */
    size_t block_count;
    /* Told of every event that is a copy of another; NULL: nobody wants to know. */
    void (*copy)(void *context, int64_t ordinal);
    void *context;
    /* those whose keys must be read */
    cm_tie_t *runs;
    size_t count, cap;
} cm_ties_t;

/* Takes a run: when all its row keys are derived, marks the copies at once, else keeps it for
 * cm_ties_resolve(); the grains must stay where they are until then. */
void cm_ties_add(cm_ties_t *ties, cm_grain_t *grains, size_t count, uint32_t user);

/* Puts the grains of every kept run in order of their row keys and marks copies with
 * CM_GRAIN_DROPPED: of equal ones the first in the store stays. Forgets the runs. */
int cm_ties_resolve(cm_ties_t *ties, cm_reader_t *reader, cm_err_t *err);

void cm_ties_free(cm_ties_t *ties);

#endif
