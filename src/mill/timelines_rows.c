#include "mill/timelines_rows.h"

#include <stdlib.h>

enum {
    FIRST_SLICES = 1024,
    FIRST_RUNS = 16,
    AHEAD = 16,    /* events for whose rows memory is fetched while others are written */
    ROW_BYTES = 7, /* second, ms and kind */
};

/* A slice of a partition on its way to its place. */
typedef struct cm_timelines_rows_piece {
    uint32_t rank;
    uint32_t count;
    uint32_t first, last; /* seconds of its page views; or CM_CROWD_NONE */
    uint32_t period;
} piece_t;

static int make_rows(cm_part_t *part, uint32_t count, cm_err_t *err)
{
    part->room = count;
    part->second = malloc(((size_t)count + 1) * sizeof *part->second);
    part->ms = malloc(((size_t)count + 1) * sizeof *part->ms);
    part->kind = malloc((size_t)count + 1);
    if (part->second == NULL || part->ms == NULL || part->kind == NULL)
        return cm_fail_memory(err);
    atomic_fetch_add(&part->size, (int64_t)count * ROW_BYTES);
    return 0;
}

int cm_timelines_rows_begin(cm_timelines_rows_t *rows, cm_timelines_build_t *build,
                            const cm_spread_t *spread, const cm_packed_layout_t *layout,
                            const uint32_t *counts, cm_err_t *err)
{
    const cm_calendar_t *calendar = build->calendar;
    uint32_t row = 0, count = 0;

    *rows = (cm_timelines_rows_t){.build = build, .spread = spread, .layout = layout};
    pthread_mutex_init(&rows->lock, NULL);
    for (uint32_t i = 0; i < calendar->count; i++)
        count += counts[i] > 0;
    build->periods = cm_alloc_zero((size_t)count + 1, sizeof *build->periods);
    rows->slices = cm_alloc_zero((size_t)count + 1, sizeof *rows->slices);
    rows->row = cm_alloc(((size_t)count + 1) * sizeof *rows->row);
    rows->period_of = cm_alloc(((size_t)calendar->count + 1) * sizeof *rows->period_of);
    for (uint32_t i = 0; i < calendar->count; i++) {
        if (counts[i] == 0)
            continue;
        rows->period_of[i] = build->period_count;
        rows->row[build->period_count] = row;
        build->periods[build->period_count++] = (cm_period_t){.from = calendar->spans[i].from,
                                                              .to = calendar->spans[i].to,
                                                              .time_first = INT64_MAX,
                                                              .part = build->part};
        row += counts[i];
    }
    return make_rows(build->part, row, err);
}

/* ---- one partition ---- */

static void make_room(cm_timelines_rows_part_t *part, uint32_t periods)
{
    if (part->shares == NULL)
        part->shares = cm_alloc(((size_t)periods + 1) * sizeof *part->shares);
    for (uint32_t i = 0; i < periods; i++)
        part->shares[i] = (cm_timelines_rows_share_t){.first = INT64_MAX};
    part->count = 0;
}

static void add_piece(cm_timelines_rows_part_t *part, piece_t piece)
{
    if (part->count == part->cap) {
        part->cap = 2 * part->cap + FIRST_SLICES;
        part->pieces = cm_realloc(part->pieces, part->cap * sizeof *part->pieces);
    }
    part->pieces[part->count++] = piece;
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

/* Adds a slice with events from `first` to `last`, ms, to what the partition has in its period. */
static void add_share(cm_timelines_rows_share_t *share, uint32_t count, int64_t first, int64_t last)
{
    share->rows += count;
    share->slices++;
    share->first = first < share->first ? first : share->first;
    share->last = last > share->last ? last : share->last;
}

/* Finds the slices of a partition. */
static void find_pieces(const cm_timelines_rows_t *rows, cm_timelines_rows_part_t *part,
                        const cm_partition_t *partition)
{
    const cm_packed_event_t *events = partition->events;
    const cm_timelines_build_t *build = rows->build;

    for (size_t i = 0, end; i < partition->count; i = end) {
        const uint64_t local = cm_packed_user(&events[i]);
        const int64_t first = cm_packed_time(&events[i]);
        const uint32_t period = rows->period_of[cm_calendar_find(build->calendar, first)];
        const int64_t to = build->periods[period].to;
        for (end = i + 1; end < partition->count && cm_packed_user(&events[end]) == local &&
                          cm_packed_time(&events[end]) < to;
             end++)
            ;
        piece_t piece = make_piece(rows, partition, i, end);
        piece.rank =
            cm_timelines_rank(build->timelines->shared, rows->spread, partition->number, local);
        piece.period = period;
        add_piece(part, piece);
        add_share(&part->shares[period], piece.count, first, cm_packed_time(&events[end - 1]));
    }
}

/* Room for as many slices more, which are of one partition. Their ranks are not known yet. */
static void add_run(cm_timelines_rows_slices_t *slices, uint32_t count)
{
    if (slices->run_count == slices->run_cap) {
        slices->run_cap = 2 * slices->run_cap + FIRST_RUNS;
        slices->runs = cm_realloc(slices->runs, slices->run_cap * sizeof *slices->runs);
    }
    slices->runs[slices->run_count++] =
        (cm_timelines_rows_run_t){.slice = slices->count, .count = count};
    slices->count += count;
    if (slices->count > slices->cap) {
        slices->cap = 2 * slices->count + FIRST_SLICES;
        slices->list = cm_realloc(slices->list, slices->cap * sizeof *slices->list);
    }
}

/* Reserves rows and slices in one period. */
static void reserve_in(cm_timelines_rows_t *rows, uint32_t number, cm_timelines_rows_share_t *share)
{
    cm_period_t *period = &rows->build->periods[number];
    cm_timelines_rows_slices_t *slices = &rows->slices[number];

    share->row = rows->row[number] + period->rows;
    share->slice = slices->count;
    period->rows += share->rows;
    rows->build->part->rows += share->rows;
    add_run(slices, share->slices);
    if (share->first < period->time_first)
        period->time_first = share->first;
    if (share->last > period->time_last)
        period->time_last = share->last;
}

/* Reserves rows and slices, and writes the slices. */
static void reserve(cm_timelines_rows_t *rows, cm_timelines_rows_part_t *part)
{
    const uint32_t periods = rows->build->period_count;

    pthread_mutex_lock(&rows->lock);
    for (uint32_t i = 0; i < periods; i++) {
        if (part->shares[i].slices > 0)
            reserve_in(rows, i, &part->shares[i]);
    }
    /* Under the lock, because another thread may move the lists. */
    for (size_t i = 0; i < part->count; i++) {
        const piece_t *piece = &part->pieces[i];
        cm_timelines_rows_share_t *share = &part->shares[piece->period];
        cm_timelines_rows_slices_t *slices = &rows->slices[piece->period];
        if (share->slice == slices->runs[slices->run_count - 1].slice)
            slices->runs[slices->run_count - 1].rank = piece->rank;
        slices->list[share->slice++] = (cm_slice_t){.rank = piece->rank,
                                                    .row = share->row,
                                                    .count = piece->count,
                                                    .view_first = piece->first,
                                                    .view_last = piece->last};
        share->row += piece->count;
    }
    pthread_mutex_unlock(&rows->lock);
    for (uint32_t i = 0; i < periods; i++)
        part->shares[i].row -= part->shares[i].rows;
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
    const cm_part_t *part = rows->build->part;
    uint32_t *row_of = part->row_of, *second = part->second + row;
    uint16_t *ms = part->ms + row;
    uint8_t *kind = part->kind + row;

    for (uint32_t i = 0; i < count; i++) {
        /* Each position is far from the one before. */
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

void cm_timelines_rows_emit(cm_timelines_rows_t *rows, cm_timelines_rows_part_t *part,
                            const cm_partition_t *partition)
{
    size_t at = 0;

    if (partition->count == 0)
        return;
    make_room(part, rows->build->period_count);
    find_pieces(rows, part, partition);
    reserve(rows, part);
    for (size_t i = 0; i < part->count; at += part->pieces[i++].count) {
        const piece_t *piece = &part->pieces[i];
        cm_timelines_rows_share_t *share = &part->shares[piece->period];
        write_slice(rows, partition, at, piece->count, share->row);
        share->row += piece->count;
    }
}

/* ---- all ---- */

static int by_rank(const void *a, const void *b)
{
    const cm_timelines_rows_run_t *x = a, *y = b;
    return (x->rank > y->rank) - (x->rank < y->rank);
}

/* Copies the slices of a period in order of their ranks. */
static void copy_slices(cm_timelines_rows_slices_t *slices, cm_slice_t *to)
{
    if (slices->run_count > 0)
        qsort(slices->runs, slices->run_count, sizeof *slices->runs, by_rank);
    for (uint32_t i = 0; i < slices->run_count; i++) {
        const cm_timelines_rows_run_t *run = &slices->runs[i];
        memcpy(to, slices->list + run->slice, run->count * sizeof *to);
        to += run->count;
    }
}

int cm_timelines_rows_finish(cm_timelines_rows_t *rows, cm_err_t *err)
{
    cm_timelines_build_t *build = rows->build;
    cm_part_t *part = build->part;
    size_t count = 0;

    for (uint32_t i = 0; i < build->period_count; i++)
        count += rows->slices[i].count;
    int rc =
        cm_timelines_check_memory(build->timelines, (int64_t)(count * sizeof *part->slices), err);
    if (rc < 0)
        return rc;
    part->slices = malloc((count + 1) * sizeof *part->slices);
    if (part->slices == NULL)
        return cm_fail_memory(err);
    atomic_fetch_add(&part->size, (int64_t)(count * sizeof *part->slices));
    count = 0;
    for (uint32_t i = 0; i < build->period_count; i++) {
        cm_period_t *period = &build->periods[i];
        copy_slices(&rows->slices[i], part->slices + count);
        period->slices = part->slices + count;
        period->slice_count = rows->slices[i].count;
        count += period->slice_count;
    }
    return 0;
}

void cm_timelines_rows_part_free(cm_timelines_rows_part_t *part)
{
    free(part->pieces);
    free(part->shares);
}

void cm_timelines_rows_free(cm_timelines_rows_t *rows)
{
    if (rows->build == NULL)
        return;
    for (uint32_t i = 0; i < rows->build->period_count; i++) {
        free(rows->slices[i].list);
        free(rows->slices[i].runs);
    }
    free(rows->slices);
    free(rows->row);
    free(rows->period_of);
    pthread_mutex_destroy(&rows->lock);
}
