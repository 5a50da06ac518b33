/* The timelines, as the files that make them up share them:
 *
 *   timelines.c         opening, closing, and what is asked of them
 *   timelines_order.c   puts the events in order
 *   timelines_print.c   finds copies that are the same, where there are many
 *   timelines_column.c  reads columns
 *   lane.c              walks
 *
 * An event has an ordinal, its position in the store, and a row, its position in the timelines.
 * Rows are in periods of one week, oldest first; within a period by user, each user's in order: so
 * a question of some days needs only the rows of its periods. What a user has in one period is a
 * slice. Users are numbered in the order of the rows; that number is their rank.
 * Any thread may use them: everything except the columns, `size` and the readers is constant once
 * they are open, and `lock` is held while a reader is used and while a column is read. */
#ifndef CM_MILL_TIMELINES_INSIDE_H
#define CM_MILL_TIMELINES_INSIDE_H

#include "mill/team.h"
#include "mill/timelines.h"

#include <pthread.h>

#define CM_TIMELINES_NO_ROW UINT32_MAX /* of a copy that does not count */

#define CM_TIMELINES_NO_SLICE UINT32_MAX

/* What one user has in one period: `count` rows from `row` on. */
typedef struct cm_slice {
    uint32_t rank, row, count;
    uint32_t before, after; /* the user's slices before and after this one; or none */
    /* Seconds of the user's latest page view before this slice, and of the next one behind it; or
     * CM_CROWD_NONE. */
    uint32_t view_before, view_after;
} cm_slice_t;

/* A week, from Monday 00:00 UTC on, in which there are events. */
typedef struct cm_period {
    int64_t from, to; /* ms */
    uint32_t row, rows;
    uint32_t slice, slices; /* in cm_timelines.slices; in order of ranks */
} cm_period_t;

typedef struct cm_timelines_values {
    uint8_t width;     /* bytes of a value: 1, 2 or 4; 0: the column was not read yet */
    void *values;      /* by row */
    uint32_t count;    /* values are below it */
    cm_str_t *strings; /* by value; of fields with a dictionary in the store */
    cm_dict_t dict;    /* by value - 1; of optional fields */
} cm_timelines_values_t;

struct cm_timelines {
    cm_timelines_options_t options;
    cm_reader_t *readers[CM_TEAM_MAX]; /* one per thread */
    int threads;
    const cm_block_ref_t *blocks; /* of the first reader */
    size_t block_count;           /* those with events before `end` */
    int64_t end;                  /* ordinal */
    uint32_t *row_of;             /* by ordinal */
    uint32_t *second;             /* by row */
    uint16_t *ms;
    uint8_t *kind;
    uint32_t rows;  /* events that count; some rows between periods are not used */
    uint32_t *user; /* ids by rank */
    uint32_t
        *first_view; /* by rank: the row of the first page view of all, or CM_TIMELINES_NO_ROW */
    uint32_t users;
    cm_period_t *periods;
    uint32_t period_count;
    cm_slice_t *slices;
    int64_t time_first, time_last; /* ms */
    pthread_mutex_t lock;
    cm_timelines_values_t columns[CM_COLUMN_COUNT];
    _Atomic int64_t size; /* bytes */
};

/* How many events of the block are before the end. */
static inline uint32_t cm_timelines_count_in(const cm_timelines_t *timelines,
                                             const cm_block_ref_t *block)
{
    int64_t left = timelines->end - block->first;
    return left < block->count ? (uint32_t)left : block->count;
}

/* CM_ESTOP when the caller has asked to stop. */
static inline int cm_timelines_check_stop(const cm_timelines_t *timelines, cm_err_t *err)
{
    const atomic_bool *stop = timelines->options.stop;
    return stop != NULL && atomic_load(stop) ? cm_fail(err, CM_ESTOP, "stopped") : 0;
}

/* CM_ENOMEM when so many bytes more than now are too many. */
int cm_timelines_check_memory(const cm_timelines_t *timelines, int64_t more, cm_err_t *err);

/* ---- timelines_order.c ---- */

/* Fills in everything from row_of to time_last. `memory`: bytes that events may take while they are
 * sorted; 0: no limit. */
int cm_timelines_order(cm_timelines_t *timelines, int64_t memory, cm_err_t *err);

/* ---- timelines_print.c ---- */

/* Computes a print for each ordinal: events of one user and time that have the same print are the
 * same in all fields and in the row key, unless chance has it otherwise (once in 2^64 pairs). The
 * caller frees them. */
int cm_timelines_print(cm_timelines_t *timelines, uint64_t **prints, cm_err_t *err);

/* ---- timelines_column.c ---- */

/* Reads the columns of the mask that are not there yet; the lock is held. */
int cm_timelines_read(cm_timelines_t *timelines, uint32_t columns, cm_err_t *err);

void cm_timelines_values_free(cm_timelines_values_t *values);

#endif
