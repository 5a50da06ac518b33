#include "mill/timelines_inside.h"

#include <assert.h>
#include <stdlib.h>

/* Rows of a crowd, about: few enough that ten columns of them stay in the L2 cache. */
enum { CROWD_ROWS = 4096 };

/* Rows that stand one behind the other. */
typedef struct piece {
    uint32_t row, count;
} piece_t;

/* The slices of one period that the lane has not given yet. */
typedef struct cursor {
    uint32_t at, to;
} cursor_t;

struct cm_lane {
    const cm_timelines_t *timelines;
    cm_lane_view_t view;
    cursor_t *cursors; /* of the periods of the span */
    uint32_t cursor_count;
    uint32_t rank_to; /* ranks are below it */
    /* The crowd at hand: where its rows are, then the rows. */
    piece_t *pieces;
    uint32_t piece_count, piece_cap;
    uint32_t *user, *end, *before, *after;
    uint32_t users, rows, user_cap;
    piece_t *earlier; /* scratch: pieces before the span, the latest first */
    uint32_t earlier_count, earlier_cap;
    uint32_t *second;
    uint16_t *ms;
    uint8_t *kind;
    uint32_t *values[CM_COLUMN_COUNT];
    uint32_t row_cap;
};

/* ---- opening ---- */

/* The first slice of the period whose rank is not below `rank`. */
static uint32_t slice_at(const cm_timelines_t *timelines, const cm_period_t *period, uint32_t rank)
{
    uint32_t low = period->slice, high = period->slice + period->slices;

    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (timelines->slices[middle].rank < rank)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The rank at which the part `number` of `count` begins: by the rows of one period. */
static uint32_t rank_at(const cm_timelines_t *timelines, const cm_period_t *period, unsigned number,
                        unsigned count)
{
    const uint32_t row = period->row + (uint32_t)((uint64_t)period->rows * number / count);
    uint32_t low = period->slice, high = period->slice + period->slices;

    if (number == 0)
        return 0;
    if (number == count)
        return timelines->users;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (timelines->slices[middle].row < row)
            low = middle + 1;
        else
            high = middle;
    }
    return low < period->slice + period->slices ? timelines->slices[low].rank : timelines->users;
}

static bool overlaps(const cm_period_t *period, const cm_lane_view_t *view)
{
    return period->from < view->to && period->to > view->from && period->rows > 0;
}

cm_lane_t *cm_lane_open(cm_timelines_t *timelines, const cm_lane_view_t *view, unsigned number,
                        unsigned count)
{
    cm_lane_t *lane = cm_alloc_zero(1, sizeof *lane);
    const cm_period_t *largest = NULL;

    assert(number < count && view->columns >> CM_COLUMN_COUNT == 0);
    for (int column = 0; column < CM_COLUMN_COUNT; column++)
        assert((view->columns >> column & 1) == 0 || timelines->columns[column].width > 0);
    lane->timelines = timelines;
    lane->view = *view;
    lane->cursors = cm_alloc_zero((size_t)timelines->period_count + 1, sizeof *lane->cursors);
    for (uint32_t i = 0; i < timelines->period_count; i++) {
        const cm_period_t *period = &timelines->periods[i];
        if (overlaps(period, view) && (largest == NULL || period->rows > largest->rows))
            largest = period;
    }
    if (largest == NULL)
        return lane;
    const uint32_t from = rank_at(timelines, largest, number, count);
    lane->rank_to = rank_at(timelines, largest, number + 1, count);
    for (uint32_t i = 0; i < timelines->period_count; i++) {
        const cm_period_t *period = &timelines->periods[i];
        if (overlaps(period, view))
            lane->cursors[lane->cursor_count++] = (cursor_t){
                slice_at(timelines, period, from), slice_at(timelines, period, lane->rank_to)};
    }
    return lane;
}

/* ---- the rows of a crowd ---- */

static void add_piece(cm_lane_t *lane, uint32_t row, uint32_t count)
{
    piece_t *last = lane->piece_count > 0 ? &lane->pieces[lane->piece_count - 1] : NULL;

    lane->rows += count;
    if (last != NULL && last->row + last->count == row) {
        last->count += count;
        return;
    }
    if (lane->piece_count == lane->piece_cap) {
        lane->piece_cap = 2 * lane->piece_cap + 64;
        lane->pieces = cm_realloc(lane->pieces, lane->piece_cap * sizeof *lane->pieces);
    }
    lane->pieces[lane->piece_count++] = (piece_t){row, count};
}

static void add_earlier(cm_lane_t *lane, uint32_t row)
{
    if (lane->earlier_count == lane->earlier_cap) {
        lane->earlier_cap = 2 * lane->earlier_cap + 64;
        lane->earlier = cm_realloc(lane->earlier, lane->earlier_cap * sizeof *lane->earlier);
    }
    lane->earlier[lane->earlier_count++] = (piece_t){row, 1};
}

/* Finds the page views before the slice that belong to its first session, the latest first. Returns
 * the second of the page view before them. */
static uint32_t find_earlier(cm_lane_t *lane, const cm_slice_t *slice)
{
    const cm_timelines_t *timelines = lane->timelines;
    uint32_t next = timelines->second[slice->row];

    while (slice->before != CM_TIMELINES_NO_SLICE) {
        slice = &timelines->slices[slice->before];
        for (uint32_t row = slice->row + slice->count; row-- > slice->row;) {
            if (timelines->kind[row] != CM_KIND_VIEW)
                continue;
            if (next - timelines->second[row] > lane->view.timeout)
                return timelines->second[row];
            next = timelines->second[row];
            add_earlier(lane, row);
        }
    }
    return CM_CROWD_NONE;
}

/* Adds what the user has before its first slice in the span, as far as it is wanted. */
static void add_before(cm_lane_t *lane, const cm_slice_t *slice)
{
    const cm_timelines_t *timelines = lane->timelines;
    const uint32_t first = timelines->first_view[slice->rank];
    uint32_t before = slice->view_before;

    lane->earlier_count = 0;
    if (before != CM_CROWD_NONE) {
        if (timelines->second[slice->row] - before <= lane->view.timeout)
            before = find_earlier(lane, slice);
        if (lane->view.first && before != CM_CROWD_NONE) {
            add_piece(lane, first, 1);
            before = CM_CROWD_NONE;
        }
    }
    while (lane->earlier_count > 0)
        add_piece(lane, lane->earlier[--lane->earlier_count].row, 1);
    lane->before[lane->users] = before;
}

/* Adds the page views behind the slice that belong to the session of the page view at second
 * `last`. Returns the second of the page view behind them. */
static uint32_t add_session(cm_lane_t *lane, const cm_slice_t *slice, uint32_t last)
{
    const cm_timelines_t *timelines = lane->timelines;

    while (slice->after != CM_TIMELINES_NO_SLICE) {
        slice = &timelines->slices[slice->after];
        for (uint32_t row = slice->row; row < slice->row + slice->count; row++) {
            if (timelines->kind[row] != CM_KIND_VIEW)
                continue;
            if (timelines->second[row] - last > lane->view.timeout)
                return timelines->second[row];
            last = timelines->second[row];
            add_piece(lane, row, 1);
        }
    }
    return CM_CROWD_NONE;
}

static void add_all_behind(cm_lane_t *lane, const cm_slice_t *slice)
{
    while (slice->after != CM_TIMELINES_NO_SLICE) {
        slice = &lane->timelines->slices[slice->after];
        add_piece(lane, slice->row, slice->count);
    }
}

/* The second of the latest page view in the slice or before it; CM_CROWD_NONE: there is none. */
static uint32_t latest_view(const cm_timelines_t *timelines, const cm_slice_t *slice)
{
    for (uint32_t row = slice->row + slice->count; row-- > slice->row;) {
        if (timelines->kind[row] == CM_KIND_VIEW)
            return timelines->second[row];
    }
    return slice->view_before;
}

/* Adds what the user has behind its last slice in the span, as far as it is wanted. */
static void add_behind(cm_lane_t *lane, const cm_slice_t *slice)
{
    uint32_t after = slice->view_after;

    if (lane->view.later) {
        add_all_behind(lane, slice);
        after = CM_CROWD_NONE;
    } else if (after != CM_CROWD_NONE) {
        const uint32_t last = latest_view(lane->timelines, slice);
        if (last != CM_CROWD_NONE && after - last <= lane->view.timeout) {
            after = add_session(lane, slice, last);
        } else if (last == CM_CROWD_NONE && lane->view.first) { /* the first one comes later */
            add_piece(lane, lane->timelines->first_view[slice->rank], 1);
            after = CM_CROWD_NONE;
        }
    }
    lane->after[lane->users] = after;
}

/* The next user: the lowest rank that a cursor stands at; UINT32_MAX: none. `*rows`: how many rows
 * it has in the span. */
static uint32_t next_rank(const cm_lane_t *lane, uint32_t *rows)
{
    const cm_slice_t *slices = lane->timelines->slices;
    uint32_t rank = UINT32_MAX;

    *rows = 0;
    for (uint32_t i = 0; i < lane->cursor_count; i++) {
        const cursor_t *cursor = &lane->cursors[i];
        if (cursor->at == cursor->to || slices[cursor->at].rank > rank)
            continue;
        *rows = slices[cursor->at].rank < rank ? 0 : *rows;
        *rows += slices[cursor->at].count;
        rank = slices[cursor->at].rank;
    }
    return rank;
}

static void add_user(cm_lane_t *lane, uint32_t rank)
{
    const cm_slice_t *slices = lane->timelines->slices, *last = NULL;

    for (uint32_t i = 0; i < lane->cursor_count; i++) {
        cursor_t *cursor = &lane->cursors[i];
        if (cursor->at == cursor->to || slices[cursor->at].rank != rank)
            continue;
        const cm_slice_t *slice = &slices[cursor->at++];
        if (last == NULL && lane->view.context)
            add_before(lane, slice);
        add_piece(lane, slice->row, slice->count);
        last = slice;
    }
    if (lane->view.context)
        add_behind(lane, last);
    lane->user[lane->users] = lane->timelines->user[rank];
    lane->end[lane->users++] = lane->rows;
}

/* Finds users for a crowd: as many as have CROWD_ROWS rows in the span, but one at least. */
static void find_users(cm_lane_t *lane)
{
    uint32_t rank, rows;

    lane->users = lane->rows = lane->piece_count = 0;
    while ((rank = next_rank(lane, &rows)) != UINT32_MAX &&
           (lane->users == 0 || lane->rows + rows <= CROWD_ROWS)) {
        if (lane->users == lane->user_cap) {
            lane->user_cap = 2 * lane->user_cap + CROWD_ROWS;
            lane->user = cm_realloc(lane->user, lane->user_cap * sizeof *lane->user);
            lane->end = cm_realloc(lane->end, lane->user_cap * sizeof *lane->end);
            lane->before = cm_realloc(lane->before, lane->user_cap * sizeof *lane->before);
            lane->after = cm_realloc(lane->after, lane->user_cap * sizeof *lane->after);
        }
        add_user(lane, rank);
    }
}

/* ---- giving them ---- */

static int make_room(cm_lane_t *lane, cm_err_t *err)
{
    bool failed = false;

    if (lane->rows <= lane->row_cap)
        return 0;
    lane->row_cap = lane->rows + lane->rows / 2;
    free(lane->second);
    free(lane->ms);
    free(lane->kind);
    lane->second = malloc(lane->row_cap * sizeof *lane->second);
    lane->ms = malloc(lane->row_cap * sizeof *lane->ms);
    lane->kind = malloc(lane->row_cap * sizeof *lane->kind);
    failed = lane->second == NULL || lane->ms == NULL || lane->kind == NULL;
    for (int column = 0; column < CM_COLUMN_COUNT; column++) {
        if (!(lane->view.columns >> column & 1))
            continue;
        free(lane->values[column]);
        lane->values[column] = malloc(lane->row_cap * sizeof *lane->values[column]);
        failed |= lane->values[column] == NULL;
    }
    if (failed) { /* nothing is left that looks as if it were there */
        lane->cursor_count = 0;
        lane->row_cap = 0;
    }
    return failed ? cm_fail_memory(err) : 0;
}

/* Copies some values and makes them as wide as a crowd has them. */
static void widen(const cm_timelines_values_t *values, piece_t piece, uint32_t *to)
{
    if (values->width == 4) {
        memcpy(to, (const uint32_t *)values->values + piece.row, piece.count * sizeof *to);
    } else if (values->width == 2) {
        const uint16_t *from = (const uint16_t *)values->values + piece.row;
        for (uint32_t i = 0; i < piece.count; i++)
            to[i] = from[i];
    } else {
        const uint8_t *from = (const uint8_t *)values->values + piece.row;
        for (uint32_t i = 0; i < piece.count; i++)
            to[i] = from[i];
    }
}

static void copy_column(const cm_lane_t *lane, int column)
{
    uint32_t *to = lane->values[column];

    for (uint32_t i = 0; i < lane->piece_count; i++) {
        widen(&lane->timelines->columns[column], lane->pieces[i], to);
        to += lane->pieces[i].count;
    }
}

static void copy_times(cm_lane_t *lane)
{
    const cm_timelines_t *timelines = lane->timelines;
    uint32_t row = 0;

    for (uint32_t i = 0; i < lane->piece_count; i++) {
        const piece_t piece = lane->pieces[i];
        memcpy(lane->second + row, timelines->second + piece.row,
               piece.count * sizeof *lane->second);
        memcpy(lane->ms + row, timelines->ms + piece.row, piece.count * sizeof *lane->ms);
        memcpy(lane->kind + row, timelines->kind + piece.row, piece.count);
        row += piece.count;
    }
}

int cm_lane_next(cm_lane_t *lane, cm_crowd_t *crowd, cm_err_t *err)
{
    *crowd = (cm_crowd_t){0};
    find_users(lane);
    if (lane->users == 0)
        return 0;
    int rc = make_room(lane, err);
    if (rc < 0)
        return rc;
    copy_times(lane);
    for (int column = 0; column < CM_COLUMN_COUNT; column++) {
        if (!(lane->view.columns >> column & 1))
            continue;
        copy_column(lane, column);
        crowd->values[column] = lane->values[column];
    }
    crowd->users = lane->users;
    crowd->user = lane->user;
    crowd->end = lane->end;
    crowd->before = lane->view.context ? lane->before : NULL;
    crowd->after = lane->view.context ? lane->after : NULL;
    crowd->rows = lane->rows;
    crowd->second = lane->second;
    crowd->ms = lane->ms;
    crowd->kind = lane->kind;
    return 1;
}

void cm_lane_close(cm_lane_t *lane)
{
    if (lane == NULL)
        return;
    for (int column = 0; column < CM_COLUMN_COUNT; column++)
        free(lane->values[column]);
    free(lane->cursors);
    free(lane->pieces);
    free(lane->earlier);
    free(lane->user);
    free(lane->end);
    free(lane->before);
    free(lane->after);
    free(lane->second);
    free(lane->ms);
    free(lane->kind);
    free(lane);
}
