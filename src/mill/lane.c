#include "mill/timelines_inside.h"

#include <assert.h>
#include <stdlib.h>

/* Rows of a crowd, about: few enough that ten columns of them stay in the L2 cache. */
enum { CROWD_ROWS = 4096 };

struct cm_lane {
    const cm_timelines_t *timelines;
    uint32_t columns;
    uint32_t at, to; /* users */
    uint32_t *end;   /* of each user of a crowd */
    size_t end_cap;
    uint32_t *values[CM_COLUMN_COUNT];
    size_t values_cap; /* rows; of all columns */
};

/* The first user whose first row is not before `row`. */
static uint32_t user_at(const cm_timelines_t *timelines, uint32_t row)
{
    uint32_t low = 0, high = timelines->users;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (timelines->first[middle] < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

cm_lane_t *cm_lane_open(cm_timelines_t *timelines, uint32_t columns, unsigned number,
                        unsigned count)
{
    cm_lane_t *lane = cm_alloc_zero(1, sizeof *lane);

    assert(number < count && columns >> CM_COLUMN_COUNT == 0);
    for (int column = 0; column < CM_COLUMN_COUNT; column++)
        assert((columns >> column & 1) == 0 || timelines->columns[column].width > 0);
    lane->timelines = timelines;
    lane->columns = columns;
    lane->at = user_at(timelines, (uint32_t)((uint64_t)timelines->rows * number / count));
    lane->to = user_at(timelines, (uint32_t)((uint64_t)timelines->rows * (number + 1) / count));
    return lane;
}

static int make_room(cm_lane_t *lane, uint32_t users, uint32_t rows, cm_err_t *err)
{
    bool failed = false;

    if (users > lane->end_cap) {
        free(lane->end);
        lane->end_cap = users > CROWD_ROWS ? users : CROWD_ROWS;
        lane->end = malloc(lane->end_cap * sizeof *lane->end);
        failed |= lane->end == NULL;
    }
    if (rows > lane->values_cap) {
        lane->values_cap = rows > CROWD_ROWS ? rows : CROWD_ROWS;
        for (int column = 0; column < CM_COLUMN_COUNT; column++) {
            if (!(lane->columns >> column & 1) || lane->timelines->columns[column].width == 4)
                continue;
            free(lane->values[column]);
            lane->values[column] = malloc(lane->values_cap * sizeof *lane->values[column]);
            failed |= lane->values[column] == NULL;
        }
    }
    if (failed) /* nothing is left that looks as if it were there */
        lane->at = lane->to;
    return failed ? cm_fail_memory(err) : 0;
}

/* The values of some rows, in `to` where the column is narrower. */
static const uint32_t *widen(const cm_timelines_values_t *values, uint32_t first, uint32_t rows,
                             uint32_t *to)
{
    if (values->width == 4)
        return (const uint32_t *)values->values + first;
    if (values->width == 2) {
        const uint16_t *from = (const uint16_t *)values->values + first;
        for (uint32_t i = 0; i < rows; i++)
            to[i] = from[i];
    } else {
        const uint8_t *from = (const uint8_t *)values->values + first;
        for (uint32_t i = 0; i < rows; i++)
            to[i] = from[i];
    }
    return to;
}

/* How many of the next users make a crowd: as many as have CROWD_ROWS rows, but one at least. */
static uint32_t count_users(const cm_lane_t *lane)
{
    const uint32_t *first = lane->timelines->first;
    uint32_t to = lane->at + 1;

    while (to < lane->to && first[to + 1] - first[lane->at] <= CROWD_ROWS)
        to++;
    return to - lane->at;
}

int cm_lane_next(cm_lane_t *lane, cm_crowd_t *crowd, cm_err_t *err)
{
    const cm_timelines_t *timelines = lane->timelines;

    *crowd = (cm_crowd_t){0};
    if (lane->at == lane->to)
        return 0;
    const uint32_t users = count_users(lane), first = timelines->first[lane->at];
    const uint32_t rows = timelines->first[lane->at + users] - first;
    int rc = make_room(lane, users, rows, err);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < users; i++)
        lane->end[i] = timelines->first[lane->at + i + 1] - first;
    for (int column = 0; column < CM_COLUMN_COUNT; column++) {
        if (lane->columns >> column & 1)
            crowd->values[column] =
                widen(&timelines->columns[column], first, rows, lane->values[column]);
    }
    crowd->users = users;
    crowd->user = timelines->user + lane->at;
    crowd->end = lane->end;
    crowd->rows = rows;
    crowd->second = timelines->second + first;
    crowd->ms = timelines->ms + first;
    crowd->kind = timelines->kind + first;
    lane->at += users;
    return 1;
}

void cm_lane_close(cm_lane_t *lane)
{
    if (lane == NULL)
        return;
    for (int column = 0; column < CM_COLUMN_COUNT; column++)
        free(lane->values[column]);
    free(lane->end);
    free(lane);
}
