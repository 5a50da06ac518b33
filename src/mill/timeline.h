/* One user's timeline: the pass that finds each event's contribution to the answers. Each thread
 * has a cm_timeline_t of its own. */
#ifndef CM_MILL_TIMELINE_H
#define CM_MILL_TIMELINE_H

#include "mill/cells.h"
#include "mill/chunks.h"
#include "mill/packed.h"
#include "mill/visited.h"

/* The pass writes contributions to a list per region; a region is a part of the urls (cells.h). */
#define CM_TIMELINE_NO_PLACE UINT64_MAX

typedef struct cm_timeline {
    const cm_packed_layout_t *layout;
    const cm_compact_layout_t *compact;
    unsigned windows;
    int64_t session_timeout_s; /* whole seconds */
    cm_chunk_list_t *lists;    /* by url & region_mask */
    uint32_t region_mask;
    cm_slabs_t *slabs; /* for the lists */
    cm_visited_t visited;
    int64_t events; /* distinct events of all kinds added less those taken away */
    /* The place of events that are no page views; CM_TIMELINE_NO_PLACE: there are none. */
    uint64_t others;
} cm_timeline_t;

/* Adds (sign = 1) or takes away (sign = -1) the contributions of a user's page views. `events` are
 * all of one user, in order of (time, row key), without copies and without other events, whose
 * number the caller adds to `events` of the timeline. CM_ENOMEM, without a sentence. */
int cm_timeline_add(cm_timeline_t *timeline, const cm_packed_event_t *events, size_t count,
                    int sign);

#endif
