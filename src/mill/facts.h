/* Facts of events that follow from their neighbours in the timeline: sessions, gaps, engaged time.
 *
 * They are found for all events of some users at a time, before a question selects any of them, so
 * that a filter changes no neighbour. The definitions are those of docs/contract.md. Facts own
 * their memory, reuse it from crowd to crowd, and belong to one thread. */
#ifndef CM_MILL_FACTS_H
#define CM_MILL_FACTS_H

#include "mill/timelines.h"

#define CM_FACTS_NONE UINT32_MAX /* no gap, no row */

typedef struct cm_facts {
    uint32_t timeout; /* whole seconds; a longer gap ends a session */
    bool engaged;     /* whether `engaged_ms` is wanted; the crowd then has url and engaged */
    uint32_t urls;    /* with it: values of urls are below it */
    /* By row. */
    uint32_t *session;    /* number of its session among those of the crowd, from 1; 0: none */
    uint32_t *gap;        /* of a page view: seconds to the next one; CM_FACTS_NONE */
    uint32_t *engaged_ms; /* of a page view: its engaged time + 1; 0: none */
    /* By session; 0 is not used. */
    uint32_t *first, *last; /* rows of its first and last page view */
    uint32_t *views;        /* page views */
    uint32_t sessions;      /* numbers are up to it */
    /* By user of the crowd. */
    uint32_t *first_view; /* row of the first page view of all; CM_FACTS_NONE */
    uint32_t row_cap, user_cap;
    /* Of the user at hand: by url its latest page view. */
    struct cm_facts_latest *latest;
    uint32_t user; /* serial number, from 1 */
} cm_facts_t;

/* Finds the facts of a crowd. They are valid until the next call. */
void cm_facts_find(cm_facts_t *facts, const cm_crowd_t *crowd);

/* Whether a page view begins its session, or ends it. */
static inline bool cm_facts_begins(const cm_facts_t *facts, uint32_t row)
{
    return facts->first[facts->session[row]] == row;
}

static inline bool cm_facts_ends(const cm_facts_t *facts, uint32_t row)
{
    return facts->last[facts->session[row]] == row;
}

void cm_facts_free(cm_facts_t *facts);

#endif
