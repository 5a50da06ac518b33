#include "mill/timelines_rows.h"

#include <stdlib.h>

enum {
    FIRST_SLICES = 1024,
    AHEAD = 16, /* events for whose rows memory is fetched while others are written */
};

/* A slice of a partition on its way to its place. */
typedef struct cm_timelines_rows_piece {
    uint32_t user; /* number among the partition's users */
    uint32_t count;
    uint32_t first, last; /* seconds of its page views; or CM_CROWD_NONE */
    uint16_t period;
} piece_t;

int cm_timelines_rows_begin(cm_timelines_rows_t *rows, cm_timelines_t *timelines,
                            const cm_spread_t *spread, const cm_packed_layout_t *layout,
                            const uint32_t *weeks, cm_err_t *err)
{
    uint32_t row = 0, count = 0;

    *rows = (cm_timelines_rows_t){
        .timelines = timelines, .spread = spread, .layout = layout, .time_first = INT64_MAX};
    pthread_mutex_init(&rows->lock, NULL);
    for (uint32_t week = 0; week < CM_TIMELINES_WEEKS; week++)
        count += weeks[week] > 0;
    timelines->periods = malloc((count + 1) * sizeof *timelines->periods);
    rows->slices = calloc(count + 1, sizeof *rows->slices);
    if (timelines->periods == NULL || rows->slices == NULL)
        return cm_fail_memory(err);
    for (uint32_t week = 0; week < CM_TIMELINES_WEEKS; week++) {
        if (weeks[week] == 0)
            continue;
        const int64_t from = (int64_t)week * 7 * CM_DAY_MS - 3 * CM_DAY_MS;
        rows->period_of[week] = (uint16_t)timelines->period_count;
        timelines->periods[timelines->period_count++] =
            (cm_period_t){.from = from, .to = from + 7 * CM_DAY_MS, .row = row};
        row += weeks[week];
    }
    return 0;
}

/* ---- one partition ---- */

static void make_room(cm_timelines_rows_part_t *part, uint32_t periods)
{
    if (part->row == NULL) {
        part->row = cm_alloc_zero(4 * (size_t)periods, sizeof *part->row);
        part->rows = part->row + periods;
        part->slices = part->row + 2 * (size_t)periods;
        part->slice = part->row + 3 * (size_t)periods;
    }
    memset(part->rows, 0, periods * sizeof *part->rows);
    memset(part->slices, 0, periods * sizeof *part->slices);
    part->count = 0;
}

static void add_piece(cm_timelines_rows_part_t *part, piece_t piece)
{
    if (part->count == part->cap) {
        part->cap = 2 * part->cap + FIRST_SLICES;
        part->pieces = cm_realloc(part->pieces, part->cap * sizeof *part->pieces);
    }
    part->pieces[part->count++] = piece;
    part->rows[piece.period] += piece.count;
    part->slices[piece.period]++;
}

/* The piece of the events [from, to) of a partition. */
static piece_t make_piece(const cm_timelines_rows_t *rows, const cm_partition_t *partition,
                          size_t from, size_t to)
{
    const cm_packed_event_t *events = partition->events;
    const unsigned ordinal_bits = rows->layout->ordinal_bits;
    piece_t piece = {.count = (uint32_t)(to - from), .first = CM_CROWD_NONE, .last = CM_CROWD_NONE};

    while (from < to && events[from].load >> ordinal_bits != CM_KIND_VIEW)
        from++;
    while (from < to && events[to - 1].load >> ordinal_bits != CM_KIND_VIEW)
        to--;
    if (from < to) {
        piece.first = (uint32_t)(cm_packed_time(&events[from]) / 1000);
        piece.last = (uint32_t)(cm_packed_time(&events[to - 1]) / 1000);
    }
    return piece;
}

/* Finds the slices of a partition, and returns how many users it has. */
static uint32_t find_pieces(const cm_timelines_rows_t *rows, cm_timelines_rows_part_t *part,
                            const cm_partition_t *partition)
{
    const cm_packed_event_t *events = partition->events;
    uint32_t users = 0;

    for (size_t i = 0, end; i < partition->count; i = end) {
        const uint64_t local = cm_packed_user(&events[i]);
        const uint16_t period = rows->period_of[cm_timelines_rows_week(cm_packed_time(&events[i]))];
        const int64_t to = rows->timelines->periods[period].to;
        for (end = i + 1; end < partition->count && cm_packed_user(&events[end]) == local &&
                          cm_packed_time(&events[end]) < to;
             end++)
            ;
        users += i == 0 || cm_packed_user(&events[i - 1]) != local;
        piece_t piece = make_piece(rows, partition, i, end);
        piece.user = users - 1;
        piece.period = period;
        add_piece(part, piece);
    }
    return users;
}

/* Reserves rows, slices and ranks; returns the first rank. */
static uint32_t reserve(cm_timelines_rows_t *rows, cm_timelines_rows_part_t *part, uint32_t users)
{
    cm_timelines_t *timelines = rows->timelines;

    pthread_mutex_lock(&rows->lock);
    const uint32_t rank = timelines->users;
    timelines->users += users;
    for (uint32_t i = 0; i < timelines->period_count; i++) {
        cm_period_t *period = &timelines->periods[i];
        cm_timelines_rows_slices_t *slices = &rows->slices[i];
        part->row[i] = period->row + period->rows;
        part->slice[i] = slices->count;
        period->rows += part->rows[i];
        timelines->rows += part->rows[i];
        slices->count += part->slices[i];
        if (slices->count > slices->cap) {
            slices->cap = 2 * slices->count + FIRST_SLICES;
            slices->list = cm_realloc(slices->list, slices->cap * sizeof *slices->list);
        }
    }
    /* Under the lock, because another thread may move the lists. */
    for (size_t i = 0; i < part->count; i++) {
        const piece_t *piece = &part->pieces[i];
        const uint32_t period = piece->period;
        rows->slices[period].list[part->slice[period]++] = (cm_slice_t){.rank = rank + piece->user,
                                                                        .row = part->row[period],
                                                                        .count = piece->count,
                                                                        .view_before = piece->first,
                                                                        .view_after = piece->last};
        part->row[period] += piece->count;
    }
    pthread_mutex_unlock(&rows->lock);
    for (uint32_t i = 0; i < timelines->period_count; i++)
        part->row[i] -= part->rows[i];
    return rank;
}

/* Writes the rows of one slice, whose events begin at `at` of the partition. Locals, because the
 * compiler must assume that what is written may be any of the members. */
static void write_slice(const cm_timelines_rows_t *rows, const cm_partition_t *partition, size_t at,
                        uint32_t count, uint32_t row)
{
    const unsigned ordinal_bits = rows->layout->ordinal_bits;
    const uint64_t ordinal_mask = rows->layout->ordinal_mask;
    const cm_packed_event_t *events = partition->events + at;
    const size_t left = partition->count - at;
    uint32_t *row_of = rows->timelines->row_of, *second = rows->timelines->second + row;
    uint16_t *ms = rows->timelines->ms + row;
    uint8_t *kind = rows->timelines->kind + row;

    for (uint32_t i = 0; i < count; i++) {
        /* Each ordinal is far from the one before. */
        if (i + AHEAD < left)
            __builtin_prefetch(&row_of[events[i + AHEAD].load & ordinal_mask], 1);
        const cm_packed_event_t event = events[i];
        const uint64_t time = event.key & CM_PACKED_TIME_MASK;
        row_of[event.load & ordinal_mask] = row + i;
        second[i] = (uint32_t)(time / 1000);
        ms[i] = (uint16_t)(time % 1000);
        kind[i] = (uint8_t)(event.load >> ordinal_bits);
    }
}

/* The first page view of a user, from what its first slices are. */
static uint32_t first_view(const cm_timelines_rows_t *rows, uint32_t row, uint32_t count)
{
    const uint8_t *kind = rows->timelines->kind;

    for (uint32_t i = 0; i < count; i++) {
        if (kind[row + i] == CM_KIND_VIEW)
            return row + i;
    }
    return CM_TIMELINES_NO_ROW;
}

void cm_timelines_rows_emit(cm_timelines_rows_t *rows, cm_timelines_rows_part_t *part,
                            const cm_partition_t *partition)
{
    cm_timelines_t *timelines = rows->timelines;
    int64_t first = INT64_MAX, last = 0;
    size_t at = 0;

    make_room(part, timelines->period_count);
    const uint32_t users = find_pieces(rows, part, partition);
    const uint32_t rank = reserve(rows, part, users);
    for (uint32_t i = 0; i < users; i++)
        timelines->first_view[rank + i] = CM_TIMELINES_NO_ROW;
    for (size_t i = 0; i < part->count; at += part->pieces[i++].count) {
        const piece_t *piece = &part->pieces[i];
        const uint32_t row = part->row[piece->period], user = rank + piece->user;
        const cm_packed_event_t *event = &partition->events[at];
        part->row[piece->period] += piece->count;
        write_slice(rows, partition, at, piece->count, row);
        timelines->user[user] =
            cm_spread_user(rows->spread, partition->number, cm_packed_user(event));
        if (timelines->first_view[user] == CM_TIMELINES_NO_ROW)
            timelines->first_view[user] = first_view(rows, row, piece->count);
        if (cm_packed_time(event) < first)
            first = cm_packed_time(event);
        if (cm_packed_time(event + piece->count - 1) > last)
            last = cm_packed_time(event + piece->count - 1);
    }
    pthread_mutex_lock(&rows->lock);
    rows->time_first = first < rows->time_first ? first : rows->time_first;
    rows->time_last = last > rows->time_last ? last : rows->time_last;
    pthread_mutex_unlock(&rows->lock);
}

/* ---- all ---- */

/* What is known of a user on the way through the slices. */
typedef struct latest {
    uint32_t slice; /* the one before; or none */
    uint32_t
        view; /* second of the latest page view, going forward, or of the next one, going back */
} latest_t;

static void forget(latest_t *latest, uint32_t users)
{
    for (uint32_t rank = 0; rank < users; rank++)
        latest[rank] = (latest_t){CM_TIMELINES_NO_SLICE, CM_CROWD_NONE};
}

/* Links the slices of each user, and finds the page views around them. A slice has its own first
 * and last page view until then: first those behind are found, going back, into `behind`. */
static void link_slices(cm_timelines_t *timelines, size_t slices, latest_t *latest,
                        uint32_t *behind)
{
    forget(latest, timelines->users);
    for (size_t at = slices; at-- > 0;) {
        cm_slice_t *slice = &timelines->slices[at];
        latest_t *user = &latest[slice->rank];
        slice->after = user->slice;
        behind[at] = user->view;
        *user = (latest_t){(uint32_t)at,
                           slice->view_before != CM_CROWD_NONE ? slice->view_before : user->view};
    }
    forget(latest, timelines->users);
    for (size_t at = 0; at < slices; at++) {
        cm_slice_t *slice = &timelines->slices[at];
        latest_t *user = &latest[slice->rank];
        const uint32_t last = slice->view_after != CM_CROWD_NONE ? slice->view_after : user->view;
        slice->before = user->slice;
        slice->view_before = user->view;
        slice->view_after = behind[at];
        *user = (latest_t){(uint32_t)at, last};
    }
}

/* Puts the slices of all periods into one list. */
static void join_slices(const cm_timelines_rows_t *rows)
{
    cm_timelines_t *timelines = rows->timelines;
    size_t slices = 0;

    for (uint32_t i = 0; i < timelines->period_count; i++) {
        cm_period_t *period = &timelines->periods[i];
        period->slice = (uint32_t)slices;
        period->slices = rows->slices[i].count;
        if (period->slices > 0)
            memcpy(timelines->slices + slices, rows->slices[i].list,
                   period->slices * sizeof *timelines->slices);
        slices += period->slices;
    }
}

int cm_timelines_rows_finish(cm_timelines_rows_t *rows, cm_err_t *err)
{
    cm_timelines_t *timelines = rows->timelines;
    size_t slices = 0;

    timelines->time_first = rows->time_first;
    timelines->time_last = rows->time_last;
    for (uint32_t i = 0; i < timelines->period_count; i++)
        slices += rows->slices[i].count;
    int rc = cm_timelines_check_memory(timelines, (int64_t)(slices * sizeof(cm_slice_t)), err);
    if (rc < 0)
        return rc;
    timelines->slices = malloc((slices + 1) * sizeof *timelines->slices);
    latest_t *latest = malloc(((size_t)timelines->users + 1) * sizeof *latest);
    uint32_t *behind = malloc((slices + 1) * sizeof *behind);
    if (timelines->slices != NULL && latest != NULL && behind != NULL) {
        join_slices(rows);
        link_slices(timelines, slices, latest, behind);
        atomic_fetch_add(&timelines->size, (int64_t)(slices * sizeof(cm_slice_t)));
    } else {
        rc = cm_fail_memory(err);
    }
    free(latest);
    free(behind);
    return rc;
}

void cm_timelines_rows_part_free(cm_timelines_rows_part_t *part)
{
    free(part->pieces);
    free(part->row);
}

void cm_timelines_rows_free(cm_timelines_rows_t *rows)
{
    if (rows->timelines == NULL)
        return;
    for (uint32_t i = 0; rows->slices != NULL && i < rows->timelines->period_count; i++)
        free(rows->slices[i].list);
    free(rows->slices);
    pthread_mutex_destroy(&rows->lock);
}
