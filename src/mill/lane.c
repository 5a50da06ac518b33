#include "mill/timelines_inside.h"

#include <assert.h>
#include <stdlib.h>

/* Rows of a crowd, about: few enough that ten columns of them stay in the L2 cache. */
enum { CROWD_ROWS = 4096 };

#define NO_RANK UINT32_MAX /* no user has it */

/* Rows of a part that stand one behind the other. */
typedef struct piece {
    const cm_part_t *part;
    uint32_t row, count;
} piece_t;

/* A place among the periods. */
typedef struct place {
    const cm_period_t *period;
    uint32_t slice; /* within the period */
} place_t;

/* The slices of one period that the lane has not given yet. */
typedef struct cursor {
    const cm_period_t *period;
    uint32_t at, to;
} cursor_t;

struct cm_lane {
    const cm_timelines_t *timelines;
    cm_lane_view_t view;
    cursor_t *cursors; /* of the periods of the span */
    uint32_t *ranks;   /* by cursor: of the slice that it stands at; or NO_RANK at its end */
    uint32_t cursor_count;
    uint32_t *found; /* the cursors that stand at the next user */
    uint32_t found_count;
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

/* The rank at which the part `number` of `count` begins: by the slices of one period. */
static uint32_t rank_at(const cm_timelines_t *timelines, const cm_period_t *period, unsigned number,
                        unsigned count)
{
    const uint32_t slice = (uint32_t)((uint64_t)period->slice_count * number / count);

    if (number == 0)
        return 0;
    if (number == count || slice == period->slice_count)
        return cm_timelines_ranks(timelines->shared);
    return period->slices[slice].rank;
}

static bool overlaps(const cm_period_t *period, const cm_lane_view_t *view)
{
    return period->from < view->to && period->to > view->from;
}

/* Notes the rank of the slice that a cursor stands at. */
static void note_rank(cm_lane_t *lane, uint32_t number)
{
    const cursor_t *cursor = &lane->cursors[number];

    lane->ranks[number] =
        cursor->at < cursor->to ? cursor->period->slices[cursor->at].rank : NO_RANK;
}

cm_lane_t *cm_lane_open(cm_timelines_t *timelines, const cm_lane_view_t *view, unsigned number,
                        unsigned count)
{
    cm_lane_t *lane = cm_alloc_zero(1, sizeof *lane);
    const cm_period_t *largest = NULL;
    const size_t periods = (size_t)timelines->period_count + 1;

    assert(number < count && (view->columns & ~timelines->read) == 0);
    lane->timelines = timelines;
    lane->view = *view;
    lane->cursors = cm_alloc(periods * sizeof *lane->cursors);
    lane->ranks = cm_alloc(periods * sizeof *lane->ranks);
    lane->found = cm_alloc(periods * sizeof *lane->found);
    for (uint32_t i = 0; i < timelines->period_count; i++) {
        const cm_period_t *period = &timelines->periods[i];
        if (overlaps(period, view) && (largest == NULL || period->rows > largest->rows))
            largest = period;
    }
    if (largest == NULL)
        return lane;
    const uint32_t from = rank_at(timelines, largest, number, count);
    const uint32_t to = rank_at(timelines, largest, number + 1, count);
    for (uint32_t i = 0; i < timelines->period_count; i++) {
        const cm_period_t *period = &timelines->periods[i];
        if (!overlaps(period, view))
            continue;
        lane->cursors[lane->cursor_count] = (cursor_t){period, cm_timelines_slice_at(period, from),
                                                       cm_timelines_slice_at(period, to)};
        note_rank(lane, lane->cursor_count++);
    }
    return lane;
}

/* ---- the rows of a crowd ---- */

static void add_piece(cm_lane_t *lane, const cm_part_t *part, uint32_t row, uint32_t count)
{
    piece_t *last = lane->piece_count > 0 ? &lane->pieces[lane->piece_count - 1] : NULL;

    lane->rows += count;
    if (last != NULL && last->part == part && last->row + last->count == row) {
        last->count += count;
        return;
    }
    if (lane->piece_count == lane->piece_cap) {
        lane->piece_cap = 2 * lane->piece_cap + 64;
        lane->pieces = cm_realloc(lane->pieces, lane->piece_cap * sizeof *lane->pieces);
    }
    lane->pieces[lane->piece_count++] = (piece_t){part, row, count};
}

static void add_earlier(cm_lane_t *lane, const cm_part_t *part, uint32_t row)
{
    if (lane->earlier_count == lane->earlier_cap) {
        lane->earlier_cap = 2 * lane->earlier_cap + 64;
        lane->earlier = cm_realloc(lane->earlier, lane->earlier_cap * sizeof *lane->earlier);
    }
    lane->earlier[lane->earlier_count++] = (piece_t){part, row, 1};
}

static const cm_slice_t *slice_of(place_t place)
{
    return &place.period->slices[place.slice];
}

static const cm_slice_link_t *link_of(const cm_timelines_t *timelines, place_t place)
{
    return &timelines->links[place.period->number + place.slice];
}

/* The place of the slice `number`, looking from the period to both sides. */
static place_t place_at(const cm_period_t *period, uint32_t number)
{
    while (number < period->number)
        period--;
    while (number - period->number >= period->slice_count)
        period++;
    return (place_t){period, number - period->number};
}

/* Goes to the user's slice before; false: there is none. */
static bool go_back(const cm_timelines_t *timelines, place_t *place)
{
    const uint32_t to = link_of(timelines, *place)->before;

    if (to != CM_TIMELINES_NO_SLICE)
        *place = place_at(place->period, to);
    return to != CM_TIMELINES_NO_SLICE;
}

static bool go_on(const cm_timelines_t *timelines, place_t *place)
{
    const uint32_t to = link_of(timelines, *place)->after;

    if (to != CM_TIMELINES_NO_SLICE)
        *place = place_at(place->period, to);
    return to != CM_TIMELINES_NO_SLICE;
}

/* Finds the page views before the slice that belong to its first session, the latest first. Returns
 * the second of the page view before them. */
static uint32_t find_earlier(cm_lane_t *lane, place_t place)
{
    uint32_t next = place.period->part->second[slice_of(place)->row];

    while (go_back(lane->timelines, &place)) {
        const cm_part_t *part = place.period->part;
        const cm_slice_t *slice = slice_of(place);
        for (uint32_t row = slice->row + slice->count; row-- > slice->row;) {
            if (part->kind[row] != CM_KIND_VIEW)
                continue;
            if (next - part->second[row] > lane->view.timeout)
                return part->second[row];
            next = part->second[row];
            add_earlier(lane, part, row);
        }
    }
    return CM_CROWD_NONE;
}

/* Adds the first page view of all of the slice's user, which has one. */
static void add_first_view(cm_lane_t *lane, place_t place)
{
    place = place_at(place.period, lane->timelines->first_view[slice_of(place)->rank]);
    const cm_part_t *part = place.period->part;
    uint32_t row = slice_of(place)->row;
    while (part->kind[row] != CM_KIND_VIEW)
        row++;
    add_piece(lane, part, row, 1);
}

/* Adds what the user has before its first slice in the span, as far as it is wanted. */
static void add_before(cm_lane_t *lane, place_t place)
{
    uint32_t before = link_of(lane->timelines, place)->view_before;

    lane->earlier_count = 0;
    if (before != CM_CROWD_NONE) {
        if (place.period->part->second[slice_of(place)->row] - before <= lane->view.timeout)
            before = find_earlier(lane, place);
        if (lane->view.first && before != CM_CROWD_NONE) {
            add_first_view(lane, place);
            before = CM_CROWD_NONE;
        }
    }
    while (lane->earlier_count > 0) {
        const piece_t *earlier = &lane->earlier[--lane->earlier_count];
        add_piece(lane, earlier->part, earlier->row, 1);
    }
    lane->before[lane->users] = before;
}

/* Adds the page views behind the slice that belong to the session of the page view at second
 * `last`. Returns the second of the page view behind them. */
static uint32_t add_session(cm_lane_t *lane, place_t place, uint32_t last)
{
    while (go_on(lane->timelines, &place)) {
        const cm_part_t *part = place.period->part;
        const cm_slice_t *slice = slice_of(place);
        for (uint32_t row = slice->row; row < slice->row + slice->count; row++) {
            if (part->kind[row] != CM_KIND_VIEW)
                continue;
            if (part->second[row] - last > lane->view.timeout)
                return part->second[row];
            last = part->second[row];
            add_piece(lane, part, row, 1);
        }
    }
    return CM_CROWD_NONE;
}

static void add_all_behind(cm_lane_t *lane, place_t place)
{
    while (go_on(lane->timelines, &place))
        add_piece(lane, place.period->part, slice_of(place)->row, slice_of(place)->count);
}

/* The second of the latest page view in the slice or before it; CM_CROWD_NONE: there is none. */
static uint32_t latest_view(const cm_timelines_t *timelines, place_t place)
{
    const uint32_t last = slice_of(place)->view_last;

    return last != CM_CROWD_NONE ? last : link_of(timelines, place)->view_before;
}

/* Adds what the user has behind its last slice in the span, as far as it is wanted. */
static void add_behind(cm_lane_t *lane, place_t place)
{
    uint32_t after = link_of(lane->timelines, place)->view_after;

    if (lane->view.later) {
        add_all_behind(lane, place);
        after = CM_CROWD_NONE;
    } else if (after != CM_CROWD_NONE) {
        const uint32_t last = latest_view(lane->timelines, place);
        if (last != CM_CROWD_NONE && after - last <= lane->view.timeout) {
            after = add_session(lane, place, last);
        } else if (last == CM_CROWD_NONE && lane->view.first) { /* the first one comes later */
            add_first_view(lane, place);
            after = CM_CROWD_NONE;
        }
    }
    lane->after[lane->users] = after;
}

/* Finds the next user: the lowest rank that a cursor stands at; NO_RANK: there is none. Returns how
 * many rows it has in the span. */
static uint32_t find_next(cm_lane_t *lane, uint32_t *rank)
{
    const uint32_t *ranks = lane->ranks;
    uint32_t lowest = NO_RANK, count = 0, rows = 0;

    for (uint32_t i = 0; i < lane->cursor_count; i++)
        lowest = ranks[i] < lowest ? ranks[i] : lowest;
    *rank = lowest;
    if (lowest == NO_RANK)
        return 0;
    for (uint32_t i = 0; i < lane->cursor_count; i++) {
        lane->found[count] = i;
        count += ranks[i] == lowest;
    }
    for (uint32_t i = 0; i < count; i++) {
        const cursor_t *cursor = &lane->cursors[lane->found[i]];
        rows += cursor->period->slices[cursor->at].count;
    }
    lane->found_count = count;
    return rows;
}

static void add_user(cm_lane_t *lane, uint32_t rank)
{
    place_t place = {NULL, 0};

    for (uint32_t i = 0; i < lane->found_count; i++) {
        cursor_t *cursor = &lane->cursors[lane->found[i]];
        place = (place_t){cursor->period, cursor->at++};
        if (i == 0 && lane->view.context)
            add_before(lane, place);
        add_piece(lane, place.period->part, slice_of(place)->row, slice_of(place)->count);
        note_rank(lane, lane->found[i]);
    }
    if (lane->view.context)
        add_behind(lane, place);
    lane->user[lane->users] = cm_timelines_user_of(lane->timelines->shared, rank);
    lane->end[lane->users++] = lane->rows;
}

/* Finds users for a crowd: as many as have CROWD_ROWS rows in the span, but one at least. */
static void find_users(cm_lane_t *lane)
{
    uint32_t rank;

    lane->users = lane->rows = lane->piece_count = 0;
    for (;;) {
        const uint32_t rows = find_next(lane, &rank);
        if (rank == NO_RANK || (lane->users > 0 && lane->rows + rows > CROWD_ROWS))
            return;
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
        widen(&lane->pieces[i].part->columns[column], lane->pieces[i], to);
        to += lane->pieces[i].count;
    }
}

static void copy_times(cm_lane_t *lane)
{
    uint32_t row = 0;

    for (uint32_t i = 0; i < lane->piece_count; i++) {
        const piece_t piece = lane->pieces[i];
        const cm_part_t *part = piece.part;
        if (lane->view.times) {
            memcpy(lane->second + row, part->second + piece.row,
                   piece.count * sizeof *lane->second);
            memcpy(lane->ms + row, part->ms + piece.row, piece.count * sizeof *lane->ms);
        }
        memcpy(lane->kind + row, part->kind + piece.row, piece.count);
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
    crowd->second = lane->view.times ? lane->second : NULL;
    crowd->ms = lane->view.times ? lane->ms : NULL;
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
    free(lane->ranks);
    free(lane->found);
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
