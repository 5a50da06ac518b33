/* One user's timeline: the pass that gives all numbers. */
#ifndef CM_MILL_TIMELINE_H
#define CM_MILL_TIMELINE_H

#include "mill/cells.h"

/* An event in the mill's hand. */
typedef struct cm_grain {
    int64_t time;    /* ms */
    int64_t ordinal; /* place in the store; of a copy of the grain before: its complement, ~place */
    uint32_t user;
    uint32_t url;
    uint32_t country;
    uint32_t spare; /* keeps the size a multiple of 8 */
} cm_grain_t;

typedef struct cm_timeline {
    cm_cells_t *cells;
    unsigned windows;
    int64_t session_timeout_s; /* whole seconds */
    uint32_t stamp;            /* of the next user; grows, so that cells need no clearing */
    int64_t events;            /* distinct events added less those taken away */
} cm_timeline_t;

/* Adds (sign = 1) or takes away (sign = -1) what the user's events give. `grains` are one user's,
 * in order of (time, row key), without copies. */
void cm_timeline_add(cm_timeline_t *timeline, const cm_grain_t *grains, size_t count, int sign);

#endif
