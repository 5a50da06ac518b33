/* Links: the slices of each user, one behind the other, and the page views around each.
 *
 * All periods are walked together, some ranks at a time, so that what is known of these users stays
 * in a core's cache. */
#include "mill/timelines_inside.h"

#include <stdlib.h>

enum { RANKS = 2048 };

/* What is known of a user on the way through the slices. */
typedef struct latest {
    uint32_t slice; /* the one before; or none */
    uint32_t
        view; /* second of the latest page view, going forward, or of the next one, going back */
} latest_t;

typedef struct linking {
    cm_timelines_t *timelines;
    uint32_t ranks;
    atomic_uint next; /* rank */
} linking_t;

/* The slices of one period whose ranks are at hand. */
typedef struct window {
    uint32_t from, to;
} window_t;

static void forget(latest_t *latest)
{
    for (uint32_t i = 0; i < RANKS; i++)
        latest[i] = (latest_t){CM_TIMELINES_NO_SLICE, CM_CROWD_NONE};
}

static void link_back(cm_timelines_t *timelines, const window_t *windows, uint32_t rank,
                      latest_t *latest)
{
    forget(latest);
    for (uint32_t i = timelines->period_count; i-- > 0;) {
        const cm_period_t *period = &timelines->periods[i];
        for (uint32_t at = windows[i].from; at < windows[i].to; at++) {
            const cm_slice_t *slice = &period->slices[at];
            cm_slice_link_t *link = &timelines->links[period->number + at];
            latest_t *user = &latest[slice->rank - rank];
            link->after = user->slice;
            link->view_after = user->view;
            user->slice = period->number + at;
            if (slice->view_first != CM_CROWD_NONE)
                user->view = slice->view_first;
        }
    }
}

static void link_forward(cm_timelines_t *timelines, const window_t *windows, uint32_t rank,
                         latest_t *latest)
{
    forget(latest);
    for (uint32_t i = 0; i < timelines->period_count; i++) {
        const cm_period_t *period = &timelines->periods[i];
        for (uint32_t at = windows[i].from; at < windows[i].to; at++) {
            const cm_slice_t *slice = &period->slices[at];
            cm_slice_link_t *link = &timelines->links[period->number + at];
            latest_t *user = &latest[slice->rank - rank];
            link->before = user->slice;
            link->view_before = user->view;
            user->slice = period->number + at;
            if (slice->view_last == CM_CROWD_NONE)
                continue;
            if (user->view == CM_CROWD_NONE)
                timelines->first_view[slice->rank] = period->number + at;
            user->view = slice->view_last;
        }
    }
}

static void link_some(void *context, int number)
{
    linking_t *linking = context;
    cm_timelines_t *timelines = linking->timelines;
    window_t *windows = cm_alloc((timelines->period_count + 1) * sizeof *windows);
    latest_t *latest = cm_alloc(RANKS * sizeof *latest);
    uint32_t rank;

    (void)number;
    while ((rank = atomic_fetch_add(&linking->next, 1)) < (linking->ranks + RANKS - 1) / RANKS) {
        rank *= RANKS;
        const uint32_t end = linking->ranks - rank < RANKS ? linking->ranks : rank + RANKS;
        for (uint32_t i = 0; i < timelines->period_count; i++)
            windows[i] = (window_t){cm_timelines_slice_at(&timelines->periods[i], rank),
                                    cm_timelines_slice_at(&timelines->periods[i], end)};
        for (uint32_t i = rank; i < end; i++)
            timelines->first_view[i] = CM_TIMELINES_NO_SLICE;
        link_back(timelines, windows, rank, latest);
        link_forward(timelines, windows, rank, latest);
    }
    free(windows);
    free(latest);
}

/* Numbers the slices and returns how many there are. */
static size_t sum_up(cm_timelines_t *timelines)
{
    size_t slices = 0;

    timelines->rows = 0;
    timelines->time_first = INT64_MAX;
    timelines->time_last = 0;
    for (uint32_t i = 0; i < timelines->period_count; i++) {
        cm_period_t *period = &timelines->periods[i];
        period->number = (uint32_t)slices;
        slices += period->slice_count;
        timelines->rows += period->rows;
        if (period->time_first < timelines->time_first)
            timelines->time_first = period->time_first;
        if (period->time_last > timelines->time_last)
            timelines->time_last = period->time_last;
    }
    return slices;
}

int cm_timelines_link(cm_timelines_t *timelines, cm_err_t *err)
{
    const size_t slices = sum_up(timelines);
    linking_t linking = {.timelines = timelines, .ranks = cm_timelines_ranks(timelines->shared)};
    const int64_t bytes = (int64_t)(slices * sizeof *timelines->links +
                                    linking.ranks * sizeof *timelines->first_view);

    int rc = cm_timelines_check_memory(timelines, bytes, err);
    if (rc < 0)
        return rc;
    timelines->links = malloc((slices + 1) * sizeof *timelines->links);
    timelines->first_view = malloc(((size_t)linking.ranks + 1) * sizeof *timelines->first_view);
    if (timelines->links == NULL || timelines->first_view == NULL)
        return cm_fail_memory(err);
    atomic_fetch_add(&timelines->size, bytes);
    cm_team_run(timelines->threads, link_some, &linking);
    return 0;
}
