/* Rows: where each event that was put in order stands in the timelines (timelines_inside.h).
 *
 * Partitions arrive in any order and from several threads; each is given its rows in all periods at
 * once, so that users have the same order in every period. A cm_timelines_rows_part_t belongs to
 * one thread. */
#ifndef CM_MILL_TIMELINES_ROWS_H
#define CM_MILL_TIMELINES_ROWS_H

#include "base/clock.h"
#include "mill/partition.h"
#include "mill/timelines_inside.h"

/* Weeks from Monday, 1969-12-29 on, until the contract's last day in 2099. */
enum { CM_TIMELINES_WEEKS = 6800 };

/* The week of a time of the contract, ms. */
static inline uint32_t cm_timelines_rows_week(int64_t time)
{
    return (uint32_t)((uint64_t)(time + 3 * CM_DAY_MS) / (uint64_t)(7 * CM_DAY_MS));
}

/* The slices of a period while they are made. */
typedef struct cm_timelines_rows_slices {
    cm_slice_t *list; /* view_before and view_after are its own first and last page view */
    uint32_t count, cap;
} cm_timelines_rows_slices_t;

typedef struct cm_timelines_rows {
    cm_timelines_t *timelines;
    const cm_spread_t *spread;
    const cm_packed_layout_t *layout;
    uint16_t period_of[CM_TIMELINES_WEEKS]; /* by week */
    cm_timelines_rows_slices_t *slices;     /* by period */
    int64_t time_first, time_last;          /* ms */
    pthread_mutex_t lock;
} cm_timelines_rows_t;

/* What a partition needs while it is given its rows. */
typedef struct cm_timelines_rows_part {
    struct cm_timelines_rows_piece *pieces; /* its slices */
    size_t count, cap;
    uint32_t *row;           /* by period: the next row */
    uint32_t *rows, *slices; /* by period: how many */
    uint32_t *slice;         /* by period: the next slice */
} cm_timelines_rows_part_t;

/* Makes the periods. `weeks` has how many events there are in each week, copies included. What is
 * passed is borrowed. CM_ENOMEM. */
int cm_timelines_rows_begin(cm_timelines_rows_t *rows, cm_timelines_t *timelines,
                            const cm_spread_t *spread, const cm_packed_layout_t *layout,
                            const uint32_t *weeks, cm_err_t *err);

/* Gives the events of a partition, which are in order and have no copies, their rows. */
void cm_timelines_rows_emit(cm_timelines_rows_t *rows, cm_timelines_rows_part_t *part,
                            const cm_partition_t *partition);

/* Makes the slices of all periods. CM_ENOMEM. */
int cm_timelines_rows_finish(cm_timelines_rows_t *rows, cm_err_t *err);

void cm_timelines_rows_part_free(cm_timelines_rows_part_t *part);

/* All zero is fine. */
void cm_timelines_rows_free(cm_timelines_rows_t *rows);

#endif
