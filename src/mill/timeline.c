#include "mill/timeline.h"

enum { AHEAD = 4 }; /* events between fetching a cell and using it */

/* What one event gives to each of its cells. */
typedef struct share {
    int64_t spent, spent_count, page, page_count, entrance, exit;
} share_t;

static inline void add_share(cm_numbers_t *n, const share_t *share, int sign)
{
    n->clicks += sign;
    n->time_spent_sum += sign * share->spent;
    n->time_spent_count += sign * share->spent_count;
    n->page_time_sum += sign * share->page;
    n->page_time_count += sign * share->page_count;
    n->entrances += sign * share->entrance;
    n->exits += sign * share->exit;
}

/* Counts the user in the cell when this is the first time. */
static inline bool count_user(cm_cell_t *cell, uint32_t stamp, int sign)
{
    if (cell->stamp == stamp)
        return false;
    cell->stamp = stamp;
    cell->numbers.users += sign;
    return true;
}

/* Counts the user for the url, the country and the site of a window; called only when the user is
 * new to the cell, who is otherwise counted there already. Their sums follow from the cells at the
 * end (cm_cells_roll_up). */
static void count_rollups(cm_timeline_t *timeline, uint32_t url, uint32_t country, uint32_t window,
                          int sign)
{
    cm_cells_t *cells = timeline->cells;
    const cm_cell_key_t keys[] = {{url, CM_CELL_ALL, window},
                                  {CM_CELL_ALL, country, window},
                                  {CM_CELL_ALL, CM_CELL_ALL, window}};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        count_user(cm_cells_get(cells, keys[i]), timeline->stamp, sign);
}

/* The same for all time, with short cuts: pages are found directly, and the country, which hardly
 * ever changes within a timeline, is remembered. */
static void count_all_time(cm_timeline_t *timeline, uint32_t url, uint32_t country, int sign)
{
    const uint32_t window = cm_cell_window(CM_WINDOW_ALL, 0);
    cm_cells_t *cells = timeline->cells;
    uint32_t *direct = cells->direct_url != NULL ? &cells->direct_url[url] : NULL;
    uint32_t page = direct != NULL ? *direct : 0;

    if (page == 0)
        page = cm_cells_find(cells, (cm_cell_key_t){url, CM_CELL_ALL, window}) + 1;
    if (direct != NULL)
        *direct = page;
    count_user(&cells->list[page - 1], timeline->stamp, sign);
    if (timeline->country == country && timeline->country_stamp == timeline->stamp)
        return;
    timeline->country = country;
    timeline->country_stamp = timeline->stamp;
    count_rollups(timeline, url, country, window, sign);
}

static inline void add_all_time(cm_timeline_t *timeline, uint64_t place, const share_t *share,
                                int sign)
{
    cm_cell_t *cell = cm_cells_all(timeline->cells, place);

    add_share(&cell->numbers, share, sign);
    if (count_user(cell, timeline->stamp, sign))
        count_all_time(timeline, cell->key.url, cell->key.country, sign);
}

static void add_window(cm_timeline_t *timeline, cm_window_t kind, const cm_grain_t *grain,
                       const share_t *share, int sign)
{
    static const int64_t length_ms[CM_WINDOW_COUNT] = {
        [CM_WINDOW_DAY] = INT64_C(86400000), [CM_WINDOW_HOUR] = INT64_C(3600000)};
    cm_cells_t *cells = timeline->cells;
    uint64_t place = cm_grain_place(grain, timeline->shape);
    int64_t time = cm_grain_time(grain);
    cm_cell_key_t key = {(uint32_t)(place / timeline->shape->countries),
                         (uint32_t)(place % timeline->shape->countries),
                         cm_cell_window(kind, time - time % length_ms[kind])};
    cm_cell_t *cell = cm_cells_get(cells, key);

    add_share(&cell->numbers, share, sign);
    if (count_user(cell, timeline->stamp, sign))
        count_rollups(timeline, key.url, key.country, key.window, sign);
}

void cm_timeline_add(cm_timeline_t *timeline, const cm_grain_t *grains, size_t count, int sign)
{
    int64_t timeout = timeline->session_timeout_s;
    int64_t gap_before = INT64_MAX; /* the first event begins a session */
    /* Whole seconds of the clock, not of the difference: 10.9 s to 11.1 s is one second. */
    int64_t second = count > 0 ? cm_grain_time(&grains[0]) / 1000 : 0;

    timeline->stamp++;
    timeline->events += sign * (int64_t)count;
    for (size_t i = 0; i < count; i++) {
        if (i + AHEAD < count)
            cm_cells_prefetch(timeline->cells, cm_grain_place(&grains[i + AHEAD], timeline->shape));
        bool last = i + 1 == count;
        int64_t next = last ? second : cm_grain_time(&grains[i + 1]) / 1000;
        int64_t gap = next - second;
        bool stays = !last && gap <= timeout;
        share_t share = {
            .spent = gap,
            .spent_count = !last,
            .page = stays ? gap : 0,
            .page_count = stays,
            .entrance = gap_before > timeout,
            .exit = !stays,
        };
        if (timeline->windows & 1u << CM_WINDOW_ALL)
            add_all_time(timeline, cm_grain_place(&grains[i], timeline->shape), &share, sign);
        if (timeline->windows & 1u << CM_WINDOW_DAY)
            add_window(timeline, CM_WINDOW_DAY, &grains[i], &share, sign);
        if (timeline->windows & 1u << CM_WINDOW_HOUR)
            add_window(timeline, CM_WINDOW_HOUR, &grains[i], &share, sign);
        gap_before = gap;
        second = next;
    }
}
