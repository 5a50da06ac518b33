/* Rows: where each event that was put in order stands in its part (timelines_inside.h).
 *
 * Partitions arrive in any order and from several threads; each is given its rows in all periods at
 * once. A cm_timelines_rows_part_t belongs to one thread. */
#ifndef CM_MILL_TIMELINES_ROWS_H
#define CM_MILL_TIMELINES_ROWS_H

#include "mill/timelines_inside.h"

/* The slices of a partition in one period. */
typedef struct cm_timelines_rows_run {
    uint32_t rank; /* of the first slice */
    uint32_t slice, count;
} cm_timelines_rows_run_t;

/* The slices of a period while they are made: partition by partition. */
typedef struct cm_timelines_rows_slices {
    cm_slice_t *list;
    uint32_t count, cap;
    cm_timelines_rows_run_t *runs;
    uint32_t run_count, run_cap;
} cm_timelines_rows_slices_t;

typedef struct cm_timelines_rows {
    cm_timelines_build_t *build;
    const cm_spread_t *spread;
    const cm_packed_layout_t *layout;
    uint32_t *period_of;                /* by span of the calendar */
    uint32_t *row;                      /* by period: where its rows begin */
    cm_timelines_rows_slices_t *slices; /* by period */
    pthread_mutex_t lock;
} cm_timelines_rows_t;

/* What a partition has in one period. */
typedef struct cm_timelines_rows_share {
    uint32_t row, slice; /* the next ones */
    uint32_t rows, slices;
    int64_t first, last; /* ms */
} cm_timelines_rows_share_t;

/* What a partition needs while it is given its rows. */
typedef struct cm_timelines_rows_part {
    struct cm_timelines_rows_piece *pieces; /* its slices */
    size_t count, cap;
    cm_timelines_rows_share_t *shares; /* by period */
} cm_timelines_rows_part_t;

/* Makes the periods and room for their rows. `counts` has how many events there are in each span of
 * the calendar, copies included. What is passed is borrowed. CM_ENOMEM. */
int cm_timelines_rows_begin(cm_timelines_rows_t *rows, cm_timelines_build_t *build,
                            const cm_spread_t *spread, const cm_packed_layout_t *layout,
                            const uint32_t *counts, cm_err_t *err);

/* Gives the events of a partition, which are in order and have no copies, their rows. */
void cm_timelines_rows_emit(cm_timelines_rows_t *rows, cm_timelines_rows_part_t *part,
                            const cm_partition_t *partition);

/* Makes the slices of all periods. CM_ENOMEM. */
int cm_timelines_rows_finish(cm_timelines_rows_t *rows, cm_err_t *err);

void cm_timelines_rows_part_free(cm_timelines_rows_part_t *part);

/* All zero is fine. */
void cm_timelines_rows_free(cm_timelines_rows_t *rows);

#endif
