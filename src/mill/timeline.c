#include "mill/timeline.h"

#include <assert.h>

enum { HOUR_MS = 3600000 };

/* The state of the pass over one user's timeline. */
typedef struct walk {
    cm_timeline_t *timeline;
    bool travels; /* the user has events in several countries */
    uint32_t hour;
    uint32_t windows[CM_WINDOW_COUNT]; /* of the event before this one */
} walk_t;

/* Keys of cm_visited_t; the two low bits distinguish the kinds. */
static inline uint64_t cell_key(uint64_t place)
{
    return place << 2;
}

static inline uint64_t url_key(uint32_t url)
{
    return (uint64_t)url << 2 | 1;
}

static inline uint64_t country_key(uint32_t country)
{
    return (uint64_t)country << 2 | 2;
}

/* Flags of what is new to the user in this window. `entered`: the event before was not in this
 * window. Times only go up, so a window that was left never comes again. A user in one country only
 * has been to a url exactly when it has been to the cell of that url and country. */
static inline unsigned new_in_window(walk_t *walk, uint64_t place, uint32_t window, bool entered)
{
    cm_timeline_t *timeline = walk->timeline;
    cm_visited_t *visited = &timeline->visited;
    unsigned new = entered ? CM_CONTRIBUTION_NEW_SITE : 0;

    if (!walk->travels)
        return new | (entered ? CM_CONTRIBUTION_NEW_COUNTRY : 0) |
               (cm_visited_add(visited, cell_key(place), window)
                    ? CM_CONTRIBUTION_NEW_CELL | CM_CONTRIBUTION_NEW_URL
                    : 0);
    if (cm_visited_add(visited, cell_key(place), window)) {
        new |= CM_CONTRIBUTION_NEW_CELL;
        if (cm_visited_add(visited, url_key(cm_place_url(place, timeline->layout)), window))
            new |= CM_CONTRIBUTION_NEW_URL;
        if (cm_visited_add(visited, country_key(cm_place_country(place, timeline->layout)), window))
            new |= CM_CONTRIBUTION_NEW_COUNTRY;
    }
    return new;
}

/* The same for each wanted window. `first`: the user's first event. */
static inline unsigned new_in_windows(walk_t *walk, uint64_t place, bool first)
{
    unsigned wanted = walk->timeline->windows, new = 0;
    const uint32_t hours = walk->hour;
    const uint32_t at[CM_WINDOW_COUNT] = {[CM_WINDOW_ALL] = cm_cell_window_at(CM_WINDOW_ALL, hours),
                                          [CM_WINDOW_DAY] = cm_cell_window_at(CM_WINDOW_DAY, hours),
                                          [CM_WINDOW_HOUR] =
                                              cm_cell_window_at(CM_WINDOW_HOUR, hours)};

    for (int w = 0; w < CM_WINDOW_COUNT; w++) {
        if (!cm_window_in(wanted, w))
            continue;
        bool entered = first || walk->windows[w] != at[w];
        walk->windows[w] = at[w];
        new |= new_in_window(walk, place, at[w], entered) << cm_contribution_new_shift((unsigned)w);
    }
    return new;
}

static bool travels(const cm_packed_event_t *events, size_t count, const cm_packed_layout_t *layout)
{
    uint64_t differ = 0;

    for (size_t i = 1; i < count; i++)
        differ |= cm_packed_place(&events[0], layout) ^ cm_packed_place(&events[i], layout);
    return cm_place_country(differ, layout) != 0;
}

/* False when there is no memory. */
static inline bool add_contribution(cm_timeline_t *timeline, uint64_t place, unsigned flags,
                                    uint32_t spent, uint32_t hour)
{
    const cm_compact_layout_t *compact = timeline->compact;
    uint32_t url = cm_place_url(place, timeline->layout);
    cm_chunk_list_t *list = &timeline->lists[url & timeline->region_mask];

    if (compact->on) {
        uint64_t *packed = cm_chunk_list_add(list, timeline->slabs, sizeof *packed);
        if (packed != NULL)
            *packed = cm_compact_contribution(compact, place, flags, spent);
        return packed != NULL;
    }
    cm_contribution_t *contribution =
        cm_chunk_list_add(list, timeline->slabs, sizeof *contribution);
    if (contribution != NULL)
        *contribution =
            (cm_contribution_t){place << CM_CONTRIBUTION_FLAG_BITS | flags, spent, hour};
    return contribution != NULL;
}

int cm_timeline_add(cm_timeline_t *timeline, const cm_packed_event_t *events, size_t count,
                    int sign)
{
    const unsigned negative = sign < 0 ? CM_CONTRIBUTION_NEGATIVE : 0;
    walk_t walk = {.timeline = timeline, .travels = travels(events, count, timeline->layout)};
    int64_t timeout = timeline->session_timeout_s;
    int64_t gap_before = INT64_MAX; /* the first event begins a session */
    /* Whole seconds of the clock, not of the difference: 10.9 s to 11.1 s is one second. */
    int64_t second = count > 0 ? cm_packed_time(&events[0]) / 1000 : 0;
    const bool only_all = timeline->windows == cm_window_mask(CM_WINDOW_ALL);

    assert(sign == 1 || sign == -1);
    cm_visited_begin(&timeline->visited);
    timeline->events += sign * (int64_t)count;
    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count;
        int64_t next = last ? second : cm_packed_time(&events[i + 1]) / 1000;
        uint64_t place = cm_packed_place(&events[i], timeline->layout);
        unsigned flags = negative | (last ? 0 : CM_CONTRIBUTION_HAS_NEXT) |
                         (gap_before > timeout ? CM_CONTRIBUTION_ENTRANCE : 0);
        if (only_all) {
            flags |= new_in_window(&walk, place, cm_cell_window_at(CM_WINDOW_ALL, 0), i == 0);
        } else {
            walk.hour = (uint32_t)(cm_packed_time(&events[i]) / HOUR_MS);
            flags |= new_in_windows(&walk, place, i == 0);
        }
        gap_before = next - second;
        if (!add_contribution(timeline, place, flags, (uint32_t)gap_before, walk.hour))
            return CM_ENOMEM;
        second = next;
    }
    return 0;
}
