#include "mill/facts.h"

#include "base/slab.h"

#include <stdlib.h>

typedef struct cm_facts_latest {
    uint32_t user; /* whose page view it is; another user: there is none */
    uint32_t row;
} latest_t;

static void *resize(void *memory, uint32_t count)
{
    return cm_realloc(memory, (size_t)count * sizeof(uint32_t));
}

static void make_room(cm_facts_t *facts, const cm_crowd_t *crowd)
{
    if (facts->row_cap <= crowd->rows) {
        facts->row_cap = crowd->rows + crowd->rows / 2 + 1; /* sessions are counted from 1 */
        facts->session = resize(facts->session, facts->row_cap);
        facts->gap = resize(facts->gap, facts->row_cap);
        facts->first = resize(facts->first, facts->row_cap);
        facts->last = resize(facts->last, facts->row_cap);
        facts->views = resize(facts->views, facts->row_cap);
        if (facts->engaged)
            facts->engaged_ms = resize(facts->engaged_ms, facts->row_cap);
    }
    if (facts->user_cap < crowd->users) {
        facts->user_cap = crowd->users + crowd->users / 2;
        facts->first_view = resize(facts->first_view, facts->user_cap);
    }
    if (facts->engaged && facts->latest == NULL)
        facts->latest = cm_alloc_zero(facts->urls, sizeof *facts->latest);
}

/* A user's page view before the row at hand. */
typedef struct previous {
    uint32_t second; /* CM_CROWD_NONE: there is none */
    uint32_t row;    /* CM_FACTS_NONE: it is not among the rows of the crowd */
} previous_t;

/* Finds the sessions of a user, whose rows are [from, to). `before` and `after`: seconds of the
 * page views around them. Returns the user's first page view of all. */
static uint32_t find_sessions(cm_facts_t *facts, const cm_crowd_t *crowd, uint32_t from,
                              uint32_t to, uint32_t before, uint32_t after)
{
    previous_t previous = {before, CM_FACTS_NONE};
    uint32_t session = 0, first_view = CM_FACTS_NONE;

    for (uint32_t row = from; row < to; row++) {
        const uint32_t second = crowd->second[row];
        const bool follows =
            previous.second != CM_CROWD_NONE && second - previous.second <= facts->timeout;

        facts->gap[row] = CM_FACTS_NONE;
        if (crowd->kind[row] != CM_KIND_VIEW) {
            facts->session[row] = follows ? session : 0;
            continue;
        }
        if (previous.row != CM_FACTS_NONE)
            facts->gap[previous.row] = second - previous.second;
        if (previous.second == CM_CROWD_NONE)
            first_view = row;
        if (!follows) {
            session = ++facts->sessions;
            facts->first[session] = row;
            facts->views[session] = 0;
        }
        facts->session[row] = session;
        facts->last[session] = row;
        facts->views[session]++;
        previous = (previous_t){second, row};
    }
    if (previous.row != CM_FACTS_NONE && after != CM_CROWD_NONE)
        facts->gap[previous.row] = after - previous.second;
    return first_view;
}

/* The engaged time of a page view is the greatest that its user and url have until the user's
 * next page view of that url. */
static void find_engaged(cm_facts_t *facts, const cm_crowd_t *crowd, uint32_t from, uint32_t to)
{
    const uint32_t *url = crowd->values[CM_COLUMN_URL];
    const uint32_t *engaged = crowd->values[CM_COLUMN_ENGAGED];

    for (uint32_t row = from; row < to; row++) {
        latest_t *latest = &facts->latest[url[row]];

        facts->engaged_ms[row] = 0;
        if (crowd->kind[row] == CM_KIND_VIEW)
            *latest = (latest_t){facts->user, row};
        else if (crowd->kind[row] == CM_KIND_ENGAGEMENT && latest->user == facts->user &&
                 facts->engaged_ms[latest->row] < engaged[row])
            facts->engaged_ms[latest->row] = engaged[row];
    }
}

void cm_facts_find(cm_facts_t *facts, const cm_crowd_t *crowd)
{
    uint32_t from = 0;

    make_room(facts, crowd);
    facts->sessions = 0;
    for (uint32_t user = 0; user < crowd->users; user++) {
        facts->first_view[user] =
            find_sessions(facts, crowd, from, crowd->end[user],
                          crowd->before != NULL ? crowd->before[user] : CM_CROWD_NONE,
                          crowd->after != NULL ? crowd->after[user] : CM_CROWD_NONE);
        if (facts->engaged) {
            facts->user++;
            find_engaged(facts, crowd, from, crowd->end[user]);
        }
        from = crowd->end[user];
    }
}

void cm_facts_free(cm_facts_t *facts)
{
    free(facts->session);
    free(facts->gap);
    free(facts->engaged_ms);
    free(facts->first);
    free(facts->last);
    free(facts->views);
    free(facts->first_view);
    free(facts->latest);
}
