/* The timelines, as the files that make them up share them:
 *
 *   timelines.c           opening, closing, and what is asked of them
 *   timelines_grow.c      which periods must be built again when the store has grown
 *   timelines_calendar.c  periods
 *   timelines_view.c      some blocks of a store as if they were all
 *   timelines_part.c      builds a part and frees it
 *   timelines_order.c     puts the events of a part in order
 *   timelines_rows.c      gives them their rows
 *   timelines_print.c     finds copies that are the same, where there are many
 *   timelines_link.c      links the slices of each user
 *   timelines_column.c    reads columns
 *   timelines_put.c       puts their values to the rows
 *   lane.c                walks
 *
 * Timelines are a list of periods, oldest first. What a user has in one period is a slice. The
 * events themselves are in parts: a part has the events of some periods, which were put in order
 * together; it does not change, and timelines that were grown from one another share it.
 *
 * Within a part an event has a position, by its ordinal among the events of the blocks that the
 * part was read from, and a row. The rows of a period stand together, by user, each user's in
 * order. Users are numbered by their rank, which follows from the id (cm_timelines_rank()), so that
 * it is the same in all parts; the slices of a period are in order of ranks.
 *
 * Any thread may use them: everything except the columns, `size` and the readers is constant once
 * they are open. `lock` is held while a reader is used; that of what is shared while a column is
 * read, and is locked last. */
#ifndef CM_MILL_TIMELINES_INSIDE_H
#define CM_MILL_TIMELINES_INSIDE_H

#include "mill/partition.h"
#include "mill/team.h"
#include "mill/timelines.h"
#include "mill/timelines_calendar.h"
#include "mill/timelines_texts.h"

#include <pthread.h>

#define CM_TIMELINES_NO_ROW UINT32_MAX /* of an event that is in no row */

#define CM_TIMELINES_NO_SLICE UINT32_MAX

/* What one user has in one period: `count` rows from `row` on. */
typedef struct cm_slice {
    uint32_t rank, row, count;
    uint32_t view_first, view_last; /* seconds of its page views; or CM_CROWD_NONE */
} cm_slice_t;

/* What is around a slice; by the slice's number, which counts through all periods. */
typedef struct cm_slice_link {
    uint32_t before,
        after; /* the numbers of the user's slices before and after this one; or none */
    /* Seconds of the user's latest page view before this slice, and of the next one behind it; or
     * CM_CROWD_NONE. */
    uint32_t view_before, view_after;
} cm_slice_link_t;

typedef struct cm_timelines_values {
    uint8_t width; /* bytes of a value: 1, 2 or 4; 0: the column was not read yet */
    void *values;  /* by row */
} cm_timelines_values_t;

/* Consecutive events of the store, and the position of the first. */
typedef struct cm_part_range {
    int64_t first;
    uint32_t count, position;
} cm_part_range_t;

typedef struct cm_part {
    atomic_int references;
    cm_part_range_t *ranges;
    size_t range_count;
    uint32_t events;  /* positions */
    uint32_t *row_of; /* by position */
    uint32_t room;    /* rows; some of them, between periods, are not used */
    uint32_t *second; /* by row */
    uint16_t *ms;
    uint8_t *kind;
    uint32_t rows; /* those that are used */
    cm_slice_t *slices;
    cm_timelines_values_t columns[CM_COLUMN_COUNT];
    _Atomic int64_t size; /* bytes */
} cm_part_t;

/* A span of time in which there are events. */
typedef struct cm_period {
    int64_t from, to;              /* ms */
    int64_t time_first, time_last; /* ms, of the events */
    cm_part_t *part;
    uint32_t rows;
    const cm_slice_t *slices; /* of the part */
    uint32_t slice_count;
    uint32_t number; /* of the first slice */
} cm_period_t;

/* What timelines that were grown from one another share. */
typedef struct cm_timelines_shared {
    atomic_int references;
    pthread_mutex_t lock;
    int64_t end;        /* ordinal that the first of them ends at */
    cm_spread_t spread; /* of users; `users` is not used */
    uint32_t locals;    /* users of a partition, at most */
    /* Guarded by the lock; a text, once it is there, may be read by all. */
    cm_dict_t dicts[CM_COLUMN_COUNT];  /* by value - 1; of optional fields */
    cm_texts_t texts[CM_COLUMN_COUNT]; /* by value */
    _Atomic int64_t size;              /* bytes */
} cm_timelines_shared_t;

struct cm_timelines {
    cm_timelines_options_t options;
    cm_reader_t *readers[CM_TEAM_MAX]; /* one per thread */
    int threads;
    const cm_block_ref_t *blocks; /* of the first reader */
    size_t block_count;           /* those with events before `end` */
    int64_t end;                  /* ordinal */
    uint32_t strings[CM_FIELD_COUNT];
    cm_timelines_shared_t *shared;
    cm_part_t **parts;
    uint32_t part_count;
    cm_period_t *periods;
    uint32_t period_count;
    cm_slice_link_t *links;        /* by the slice's number */
    uint32_t *first_view;          /* by rank: the first slice with a page view; or none */
    uint32_t rows;                 /* events that count */
    int64_t time_first, time_last; /* ms */
    pthread_mutex_t lock;
    uint32_t read;                    /* a mask of the columns that all parts have */
    uint32_t counts[CM_COLUMN_COUNT]; /* values are below it */
    _Atomic int64_t size;             /* bytes, without what is shared */
};

/* A part while it is built. What it points to is borrowed, except the periods. */
typedef struct cm_timelines_build {
    cm_timelines_t *timelines; /* those that it is built for */
    cm_part_t *part;
    cm_reader_t *readers[CM_TEAM_MAX]; /* give the blocks by positions */
    const cm_block_ref_t *blocks;
    size_t block_count;
    const cm_calendar_t *calendar; /* events that are in none of its spans are left out */
    cm_period_t *periods;          /* those of the part, in the calendar's order */
    uint32_t period_count;
} cm_timelines_build_t;

/* How many events of the block are before the end, which is in the block or behind it. */
static inline uint32_t cm_timelines_count_in(int64_t end, const cm_block_ref_t *block)
{
    return end - block->first < block->count ? (uint32_t)(end - block->first) : block->count;
}

/* CM_ESTOP when the caller has asked to stop. */
static inline int cm_timelines_check_stop(const cm_timelines_t *timelines, cm_err_t *err)
{
    const atomic_bool *stop = timelines->options.stop;
    return stop != NULL && atomic_load(stop) ? cm_fail(err, CM_ESTOP, "stopped") : 0;
}

/* CM_ENOMEM when so many bytes more than now are too many. */
int cm_timelines_check_memory(const cm_timelines_t *timelines, int64_t more, cm_err_t *err);

/* How many ranks there are: as many as users that fit, not all are given. */
static inline uint32_t cm_timelines_ranks(const cm_timelines_shared_t *shared)
{
    return shared->spread.passes * shared->spread.count * shared->locals;
}

/* The rank of a user: first by pass, then by partition. `partition` is that of the pass at hand. */
static inline uint32_t cm_timelines_rank(const cm_timelines_shared_t *shared,
                                         const cm_spread_t *spread, uint32_t partition,
                                         uint64_t local)
{
    return (spread->pass * spread->count + partition) * shared->locals + (uint32_t)local;
}

/* The id of the user of a rank. */
static inline uint32_t cm_timelines_user_of(const cm_timelines_shared_t *shared, uint32_t rank)
{
    const uint32_t partition = rank / shared->locals;
    const cm_spread_t spread = {.passes = shared->spread.passes,
                                .pass = partition >> shared->spread.shift,
                                .shift = shared->spread.shift};

    return cm_spread_user(&spread, partition & (shared->spread.count - 1),
                          rank - partition * shared->locals);
}

/* The number, within its period, of the first slice whose rank is not below `rank`. */
static inline uint32_t cm_timelines_slice_at(const cm_period_t *period, uint32_t rank)
{
    uint32_t low = 0, high = period->slice_count;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (period->slices[middle].rank < rank)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- timelines_part.c ---- */

/* Builds a part of all blocks of the timelines, and makes its periods the timelines'. Chooses ranks
 * first. */
int cm_timelines_build_all(cm_timelines_t *timelines, cm_err_t *err);

/* Builds a part of the events in the calendar's spans and appends it to the timelines' parts, and
 * its periods to theirs. */
int cm_timelines_build_some(cm_timelines_t *timelines, const cm_calendar_t *calendar,
                            cm_err_t *err);

/* Gives up one reference. */
void cm_part_release(cm_part_t *part);

/* ---- timelines_view.c ---- */

/* A reader of some blocks of another reader, which has the blocks `blocks` of the store, under the
 * names `views`: their ordinals are positions. All is borrowed. Never NULL. */
cm_reader_t *cm_timelines_view(cm_reader_t *reader, const cm_block_ref_t *views,
                               const cm_block_ref_t *blocks, size_t count);

/* ---- timelines_grow.c ---- */

/* Takes over the periods of older timelines, and builds those again in which there is something
 * new. 1: done; 0: it must be opened in full, and nothing was done. */
int cm_timelines_grow_from(cm_timelines_t *timelines, const cm_timelines_t *old, cm_err_t *err);

/* ---- timelines_order.c ---- */

/* Chooses how users are spread, and so their ranks. */
void cm_timelines_spread(cm_timelines_t *timelines, int64_t memory);

/* Fills in the part from row_of on, and the periods. `memory`: bytes that events may take while
 * they are sorted; 0: no limit. */
int cm_timelines_order(cm_timelines_build_t *build, int64_t memory, cm_err_t *err);

/* ---- timelines_print.c ---- */

/* Computes a print for each position: events of one user and time that have the same print are the
 * same in all fields and in the row key, unless chance has it otherwise (once in 2^64 pairs). The
 * caller frees them. */
int cm_timelines_print(const cm_timelines_build_t *build, uint64_t **prints, cm_err_t *err);

/* ---- timelines_link.c ---- */

/* Fills in the numbers of slices, the links, first_view and what is known of all rows. CM_ENOMEM.
 */
int cm_timelines_link(cm_timelines_t *timelines, cm_err_t *err);

/* ---- timelines_column.c ---- */

/* Reads the columns of the mask that are not there yet; both locks are held. */
int cm_timelines_read(cm_timelines_t *timelines, uint32_t columns, cm_err_t *err);

/* ---- timelines_put.c ---- */

/* Puts the values of a block's events to those of them that are of the part: blocks may have been
 * merged since it was built. `numbers` have `width` bytes each; `values` has the value of each
 * number; NULL: `add` is added to it. */
void cm_part_put(const cm_part_t *part, int column, const cm_block_ref_t *block,
                 const void *numbers, uint8_t width, const uint32_t *values, uint32_t add);

#endif
