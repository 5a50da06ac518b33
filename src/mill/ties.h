/* Ties: events of one user in the same millisecond, the only ones whose row keys are read.
 *
 * Equal row keys make them one event; different ones decide their order. */
#ifndef CM_MILL_TIES_H
#define CM_MILL_TIES_H

#include "mill/timeline.h"
#include "store/store.h"

/* A run of grains with the same user and time. */
typedef struct cm_tie {
    cm_grain_t *grains;
    size_t count;
} cm_tie_t;

typedef struct cm_ties {
    cm_tie_t *runs;
    size_t count, cap;
} cm_ties_t;

void cm_ties_add(cm_ties_t *ties, cm_grain_t *grains, size_t count);
void cm_ties_free(cm_ties_t *ties);

/* Puts the grains of every run in order of their row keys and marks copies by the complement of
 * their ordinal: of
 * equal ones the first in the store stays. Reads the keys through `reader`, block by block. */
int cm_ties_resolve(cm_ties_t *ties, cm_reader_t *reader, cm_err_t *err);

#endif
