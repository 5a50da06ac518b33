#include "mill/timelines_inside.h"

#include <stdlib.h>

/* Bytes of an event: its row, and second, ms and kind of the row. Slices come on top. */
enum { EVENT_BYTES = 4 + 4 + 2 + 1 };

/* So many positions take as much memory as a range. */
enum { GAP = sizeof(cm_part_range_t) / sizeof(uint32_t) };

static void free_values(cm_part_t *part)
{
    for (int column = 0; column < CM_COLUMN_COUNT; column++)
        free(part->columns[column].values);
}

void cm_part_release(cm_part_t *part)
{
    if (part == NULL || atomic_fetch_sub(&part->references, 1) > 1)
        return;
    free_values(part);
    free(part->ranges);
    free(part->row_of);
    free(part->second);
    free(part->ms);
    free(part->kind);
    free(part->slices);
    free(part);
}

/* A part of the events of the blocks, which are some of the timelines'. */
static cm_part_t *make_part(const cm_timelines_t *timelines, const cm_block_ref_t *blocks,
                            size_t count)
{
    cm_part_t *part = cm_alloc_zero(1, sizeof *part);

    atomic_init(&part->references, 1);
    part->ranges = cm_alloc((count + 1) * sizeof *part->ranges);
    for (size_t b = 0; b < count; b++) {
        const uint32_t events = cm_timelines_count_in(timelines->end, &blocks[b]);
        cm_part_range_t *last = &part->ranges[part->range_count];
        if (b > 0 && last[-1].first + last[-1].count == blocks[b].first)
            last[-1].count += events;
        else
            part->ranges[part->range_count++] =
                (cm_part_range_t){blocks[b].first, events, part->events};
        part->events += events;
    }
    return part;
}

/* Puts the events of the part in order, and adds it to the timelines. */
static int fill(cm_timelines_build_t *build, cm_err_t *err)
{
    cm_timelines_t *timelines = build->timelines;
    const int64_t memory = timelines->options.memory;
    const int64_t bytes = (int64_t)build->part->events * EVENT_BYTES;

    int rc = cm_timelines_check_memory(timelines, bytes, err);
    if (rc < 0)
        return rc;
    const int64_t left = memory - cm_timelines_size(timelines) - bytes;
    timelines->parts[timelines->part_count++] = build->part;
    rc = cm_timelines_order(build, left < memory / 4 ? memory / 4 : left, err);
    for (uint32_t i = 0; i < build->period_count; i++) {
        if (build->periods[i].rows > 0)
            timelines->periods[timelines->period_count++] = build->periods[i];
    }
    free(build->periods);
    return rc;
}

/* Room for one part more, and as many periods. */
static void make_room(cm_timelines_t *timelines, uint32_t periods)
{
    timelines->parts =
        cm_realloc(timelines->parts, (timelines->part_count + 1) * sizeof *timelines->parts);
    timelines->periods =
        cm_realloc(timelines->periods,
                   ((size_t)timelines->period_count + periods + 1) * sizeof *timelines->periods);
}

int cm_timelines_build_all(cm_timelines_t *timelines, cm_err_t *err)
{
    cm_calendar_t calendar;
    cm_timelines_build_t build = {.timelines = timelines,
                                  .blocks = timelines->blocks,
                                  .block_count = timelines->block_count,
                                  .calendar = &calendar};
    const int64_t memory = timelines->options.memory;
    const int64_t left = memory - timelines->end * EVENT_BYTES;

    cm_timelines_spread(timelines, left < memory / 4 ? memory / 4 : left);
    cm_calendar_init(&calendar);
    cm_calendar_add_weeks(&calendar);
    memcpy(build.readers, timelines->readers, sizeof build.readers);
    build.part = make_part(timelines, timelines->blocks, timelines->block_count);
    make_room(timelines, calendar.count);
    const int rc = fill(&build, err);
    if (timelines->part_count == 0)
        cm_part_release(build.part);
    cm_calendar_free(&calendar);
    return rc;
}

/* Moves the rows of some positions, [from, to) of the range, to the position `at`. */
static cm_part_range_t move(cm_part_t *part, const cm_part_range_t *range, uint32_t from,
                            uint32_t to, uint32_t at)
{
    memmove(part->row_of + at, part->row_of + range->position + from,
            (to - from) * sizeof *part->row_of);
    return (cm_part_range_t){range->first + from, to - from, at};
}

/* The end of the positions from `from` on, which has a row, between which few have none. */
static uint32_t used_end(const uint32_t *rows, uint32_t from, uint32_t count)
{
    uint32_t end = from + 1;

    for (uint32_t i = end; i < count && i - end < GAP; i++) {
        if (rows[i] != CM_TIMELINES_NO_ROW)
            end = i + 1;
    }
    return end;
}

/* Removes the positions of events that are not of the part: of blocks that only overlap its periods
 * they may be nearly all. */
static void compact(cm_part_t *part)
{
    cm_part_range_t *ranges = NULL;
    const int64_t before = (int64_t)part->events * (int64_t)sizeof *part->row_of;
    size_t count = 0, cap = 0;
    uint32_t events = 0;

    for (size_t i = 0; i < part->range_count; i++) {
        const cm_part_range_t *range = &part->ranges[i];
        const uint32_t *rows = part->row_of + range->position;
        for (uint32_t from = 0, to; from < range->count; from = to) {
            to = from + 1;
            if (rows[from] == CM_TIMELINES_NO_ROW)
                continue;
            to = used_end(rows, from, range->count);
            if (count == cap) {
                cap = 2 * cap + GAP;
                ranges = cm_realloc(ranges, cap * sizeof *ranges);
            }
            ranges[count++] = move(part, range, from, to, events);
            events += to - from;
        }
    }
    free(part->ranges);
    part->ranges = ranges;
    part->range_count = count;
    part->events = events;
    part->row_of = cm_realloc(part->row_of, ((size_t)events + 1) * sizeof *part->row_of);
    atomic_fetch_add(&part->size, (int64_t)(count * sizeof *ranges) +
                                      (int64_t)events * (int64_t)sizeof *part->row_of - before);
}

static int by_time(const void *a, const void *b)
{
    const cm_calendar_span_t *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

/* Whether some of the spans, which are in order, has times from `first` to `last`. */
static bool overlaps(const cm_calendar_span_t *spans, uint32_t count, int64_t first, int64_t last)
{
    uint32_t low = 0, high = count;

    while (low < high) { /* the first that ends behind `first` */
        const uint32_t middle = low + (high - low) / 2;
        if (spans[middle].to <= first)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && spans[low].from <= last;
}

/* Finds the blocks that may have events in the spans. */
static size_t find_blocks(const cm_timelines_t *timelines, const cm_calendar_t *calendar,
                          cm_block_ref_t *found)
{
    cm_calendar_span_t *spans = cm_alloc((calendar->count + 1) * sizeof *spans);
    size_t count = 0;

    memcpy(spans, calendar->spans, calendar->count * sizeof *spans);
    qsort(spans, calendar->count, sizeof *spans, by_time);
    for (size_t b = 0; b < timelines->block_count; b++) {
        const cm_block_ref_t *block = &timelines->blocks[b];
        if (overlaps(spans, calendar->count, block->time_min, block->time_max))
            found[count++] = *block;
    }
    free(spans);
    return count;
}

int cm_timelines_build_some(cm_timelines_t *timelines, const cm_calendar_t *calendar, cm_err_t *err)
{
    cm_block_ref_t *blocks = cm_alloc((timelines->block_count + 1) * sizeof *blocks);
    cm_block_ref_t *views = cm_alloc((timelines->block_count + 1) * sizeof *views);
    const size_t count = find_blocks(timelines, calendar, blocks);
    const uint32_t parts = timelines->part_count;
    cm_timelines_build_t build = {
        .timelines = timelines, .blocks = views, .block_count = count, .calendar = calendar};
    int64_t position = 0;

    for (size_t b = 0; b < count; b++) {
        views[b] = blocks[b];
        views[b].first = position;
        position += blocks[b].count;
    }
    for (int i = 0; i < timelines->threads; i++)
        build.readers[i] = cm_timelines_view(timelines->readers[i], views, blocks, count);
    build.part = make_part(timelines, blocks, count);
    make_room(timelines, calendar->count);
    const int rc = fill(&build, err);
    if (timelines->part_count == parts)
        cm_part_release(build.part);
    else if (rc == 0)
        compact(build.part);
    for (int i = 0; i < timelines->threads; i++)
        cm_reader_close(build.readers[i]);
    free(blocks);
    free(views);
    return rc;
}
