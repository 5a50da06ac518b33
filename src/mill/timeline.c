#include "mill/timeline.h"

/* What one event gives to each of its cells. */
typedef struct share {
    int64_t spent, spent_count, page, page_count, entrance, exit;
} share_t;

static void add_to_cell(cm_timeline_t *timeline, cm_cell_key_t key, const share_t *share, int sign)
{
    cm_cell_t *cell = cm_cells_get(timeline->cells, key);
    cm_numbers_t *n = &cell->numbers;

    n->clicks += sign;
    n->time_spent_sum += sign * share->spent;
    n->time_spent_count += sign * share->spent_count;
    n->page_time_sum += sign * share->page;
    n->page_time_count += sign * share->page_count;
    n->entrances += sign * share->entrance;
    n->exits += sign * share->exit;
    if (cell->stamp != timeline->stamp) {
        cell->stamp = timeline->stamp;
        n->users += sign;
    }
}

static void add_event(cm_timeline_t *timeline, const cm_grain_t *grain, const share_t *share,
                      int sign)
{
    static const int64_t length_ms[CM_WINDOW_COUNT] = {
        [CM_WINDOW_DAY] = INT64_C(86400000), [CM_WINDOW_HOUR] = INT64_C(3600000)};

    for (int kind = 0; kind < CM_WINDOW_COUNT; kind++) {
        if (!(timeline->windows & 1u << kind))
            continue;
        int64_t start = kind == CM_WINDOW_ALL ? 0 : grain->time / length_ms[kind] * length_ms[kind];
        uint32_t window = cm_cell_window((cm_window_t)kind, start);
        const cm_cell_key_t keys[CM_DIMENSION_COUNT] = {
            [CM_PER_CELL] = {grain->url, grain->country, window},
            [CM_PER_URL] = {grain->url, CM_CELL_ALL, window},
            [CM_PER_COUNTRY] = {CM_CELL_ALL, grain->country, window},
            [CM_PER_NOTHING] = {CM_CELL_ALL, CM_CELL_ALL, window}};
        for (int i = 0; i < CM_DIMENSION_COUNT; i++)
            add_to_cell(timeline, keys[i], share, sign);
    }
}

void cm_timeline_add(cm_timeline_t *timeline, const cm_grain_t *grains, size_t count, int sign)
{
    int64_t timeout = timeline->session_timeout_s;
    int64_t gap_before = INT64_MAX; /* the first event begins a session */

    timeline->stamp++;
    timeline->events += sign * (int64_t)count;
    for (size_t i = 0; i < count; i++) {
        bool last = i + 1 == count;
        /* Whole seconds of the clock, not of the difference: 10.9 s to 11.1 s is one second. */
        int64_t gap = last ? 0 : grains[i + 1].time / 1000 - grains[i].time / 1000;
        bool stays = !last && gap <= timeout;
        share_t share = {
            .spent = gap,
            .spent_count = !last,
            .page = stays ? gap : 0,
            .page_count = stays,
            .entrance = gap_before > timeout,
            .exit = !stays,
        };
        add_event(timeline, &grains[i], &share, sign);
        gap_before = gap;
    }
}
