/* Growth: what must be built again when the store has more events than older timelines.
 *
 * Ordinals of events stay when blocks are merged, so new events are those from the older end on.
 * The periods that they fall into are built again, from all blocks that overlap these, because a
 * copy may count instead of an older one; copies have the same time, so they are in one period.
 *
 * A period that grows and has many rows is divided into smaller ones, so that the next growth costs
 * little: new events mostly are of the last minutes. When there are many small periods, some are
 * joined again, because a lane looks at all periods for each user. */
#include "mill/timelines_inside.h"

#include <stdlib.h>

enum {
    PERIOD_ROWS = 64 * 1024, /* a larger period that grows is divided */
    SMALL_MANY = 48,         /* with so many periods below a week, some are joined */
    SMALL_MAX = 256,         /* with so many none is divided */
    JOIN_ROWS_MAX = 4 * 1024 * 1024,
    GARBAGE_PART = 4, /* when this part of all rows is not used, all are built again */
    WEEK = CM_CALENDAR_UNITS - 1,
};

typedef struct plan {
    cm_timelines_t *timelines;
    const cm_timelines_t *old;
    int64_t period_rows;
    cm_calendar_t known;              /* the old periods, by number */
    uint32_t *fresh;                  /* by old period: its new events */
    bool *gone;                       /* by old period: it is built again */
    bool *outside[CM_CALENDAR_WEEKS]; /* by slot: has new events, and there is no period; or NULL */
    uint32_t small;                   /* periods below a week that there will be */
    cm_calendar_t spans;              /* what is built */
    int64_t rows;                     /* of it, copies included */
} plan_t;

/* ---- whether it is a growth ---- */

/* Whether each block either is an old one or consists of old ones, as far as the old ones reach.
 * Where it is another store by now, or its events have another order, the times differ. */
static bool are_merged(const cm_timelines_t *timelines, const cm_timelines_t *old)
{
    const cm_block_ref_t *from = old->blocks, *end = old->blocks + old->block_count;
    const int64_t old_end = cm_blocks_end(old->blocks, old->block_count);

    for (size_t b = 0; b < timelines->block_count && from < end; b++) {
        const cm_block_ref_t *block = &timelines->blocks[b];
        int64_t first = INT64_MAX, last = 0;
        if (from->first != block->first)
            return false;
        for (; from < end && cm_block_end(from) <= cm_block_end(block); from++) {
            first = from->time_min < first ? from->time_min : first;
            last = from->time_max > last ? from->time_max : last;
        }
        const bool all = cm_block_end(block) <= old_end;
        if (all && (cm_block_end(from - 1) != cm_block_end(block) || first != block->time_min ||
                    last != block->time_max))
            return false;
        if (!all && (first < block->time_min || last > block->time_max))
            return false;
    }
    return from == end;
}

/* Whether the older timelines are a beginning of what the store has now, with as many users as
 * their ranks have room for. */
static bool has_grown(const cm_timelines_t *timelines, const cm_timelines_t *old)
{
    const cm_timelines_shared_t *shared = old->shared;
    const uint32_t users = timelines->strings[CM_USER];

    for (int field = 0; field < CM_FIELD_COUNT; field++) {
        if (timelines->strings[field] < old->strings[field])
            return false;
    }
    return timelines->end >= old->end && timelines->end <= 2 * shared->end + PERIOD_ROWS &&
           (users == 0 ||
            (users - 1) / shared->spread.passes >> shared->spread.shift < shared->locals) &&
           are_merged(timelines, old);
}

/* ---- which periods have new events ---- */

static void note_outside(plan_t *plan, int64_t time)
{
    const uint32_t week = cm_calendar_week(time);

    if (plan->outside[week] == NULL)
        plan->outside[week] = cm_alloc_zero(CM_CALENDAR_SLOTS, sizeof **plan->outside);
    plan->outside[week][cm_calendar_slot(week, time)] = true;
}

static int note_block(plan_t *plan, const cm_block_ref_t *block, cm_columns_t *columns,
                      cm_err_t *err)
{
    cm_timelines_t *timelines = plan->timelines;
    const uint32_t count = cm_timelines_count_in(timelines->end, block);
    const int64_t known = plan->old->end - block->first;

    int rc = cm_timelines_check_stop(timelines, err);
    if (rc == 0)
        rc = cm_reader_read(timelines->readers[0], block, CM_READ_HOT, columns, err);
    for (uint32_t i = known > 0 ? (uint32_t)known : 0; rc == 0 && i < count; i++) {
        const uint32_t period = cm_calendar_find(&plan->known, columns->time[i]);
        if (period == CM_CALENDAR_NONE)
            note_outside(plan, columns->time[i]);
        else
            plan->fresh[period]++;
        plan->rows++;
    }
    return rc;
}

/* Counts the new events of each old period. */
static int find_fresh(plan_t *plan, cm_err_t *err)
{
    const cm_timelines_t *timelines = plan->timelines, *old = plan->old;
    cm_columns_t columns = {.only = CM_ONLY_TIME};
    int rc = 0;

    for (uint32_t i = 0; i < old->period_count; i++)
        cm_calendar_add(&plan->known,
                        (cm_calendar_span_t){old->periods[i].from, old->periods[i].to});
    for (size_t b = timelines->block_count; rc == 0 && b-- > 0;) {
        if (cm_block_end(&timelines->blocks[b]) <= old->end)
            break;
        rc = note_block(plan, &timelines->blocks[b], &columns, err);
    }
    cm_columns_free(&columns);
    return rc;
}

/* ---- what is built ---- */

static int unit_of(const cm_period_t *period)
{
    int unit = 0;

    while (cm_calendar_units[unit] < period->to - period->from)
        unit++;
    return unit;
}

static void add_span(plan_t *plan, cm_calendar_span_t span)
{
    plan->small += span.to - span.from < cm_calendar_units[WEEK];
    cm_calendar_add(&plan->spans, span);
}

/* An old period is built again. */
static void let_go(plan_t *plan, uint32_t number)
{
    plan->gone[number] = true;
    plan->rows += plan->old->periods[number].rows;
    plan->small -= unit_of(&plan->old->periods[number]) < WEEK;
}

/* Builds a period with new events again, as one or divided. */
static void renew(plan_t *plan, uint32_t number)
{
    const cm_period_t *period = &plan->old->periods[number];
    const int unit = unit_of(period);
    int64_t length = period->to - period->from;

    let_go(plan, number);
    if (unit > 0 && (int64_t)period->rows + plan->fresh[number] > plan->period_rows &&
        plan->small < SMALL_MAX)
        length = cm_calendar_units[unit - 1];
    for (int64_t from = period->from; from < period->to; from += length)
        add_span(plan, (cm_calendar_span_t){from, from + length});
}

/* Whether some old period overlaps the span. */
static bool is_known(const plan_t *plan, cm_calendar_span_t span)
{
    const cm_period_t *periods = plan->old->periods;
    uint32_t low = 0, high = plan->old->period_count;

    while (low < high) { /* the first that ends behind its beginning */
        const uint32_t middle = low + (high - low) / 2;
        if (periods[middle].to <= span.from)
            low = middle + 1;
        else
            high = middle;
    }
    return low < plan->old->period_count && periods[low].from < span.to;
}

/* Makes a new period around a time that none has: the largest one that fits. */
static void add_around(plan_t *plan, int64_t time)
{
    int unit = WEEK;

    if (cm_calendar_find(&plan->spans, time) != CM_CALENDAR_NONE)
        return;
    while (is_known(plan, cm_calendar_unit_at(unit, time)))
        unit--;
    add_span(plan, cm_calendar_unit_at(unit, time));
}

static bool is_built(const plan_t *plan, cm_calendar_span_t span)
{
    for (uint32_t i = 0; i < plan->spans.count; i++) {
        if (plan->spans.spans[i].from < span.to && plan->spans.spans[i].to > span.from)
            return true;
    }
    return false;
}

/* Joins the old periods [from, to) to one of a larger unit, if nothing speaks against it. */
static bool join(plan_t *plan, uint32_t from, uint32_t to, cm_calendar_span_t span)
{
    int64_t rows = 0;

    for (uint32_t i = from; i < to; i++)
        rows += plan->old->periods[i].rows;
    /* The newest one is not done yet. */
    if (to - from < 2 || to == plan->old->period_count || rows > JOIN_ROWS_MAX ||
        is_built(plan, span))
        return false;
    for (uint32_t i = from; i < to; i++)
        let_go(plan, i);
    add_span(plan, span);
    return true;
}

/* Joins the oldest small periods that are the parts of a larger unit. */
static void join_some(plan_t *plan)
{
    const cm_period_t *periods = plan->old->periods;

    for (int unit = 1; unit <= WEEK; unit++) {
        for (uint32_t from = 0, to; from < plan->old->period_count; from = to) {
            const cm_calendar_span_t span = cm_calendar_unit_at(unit, periods[from].from);
            for (to = from + 1; to < plan->old->period_count && periods[to].from < span.to; to++)
                ;
            if (unit_of(&periods[from]) < unit && join(plan, from, to, span))
                return;
        }
    }
}

/* How many rows of the part are in periods that stay. */
static int64_t rows_of(const plan_t *plan, const cm_part_t *part)
{
    int64_t rows = 0;

    for (uint32_t i = 0; i < plan->old->period_count; i++) {
        if (!plan->gone[i] && plan->old->periods[i].part == part)
            rows += plan->old->periods[i].rows;
    }
    return rows;
}

/* Builds also what is left of old parts that mostly are not used any more, so that their memory
 * becomes free; as far as it is little. */
static void clear_parts(plan_t *plan)
{
    const cm_timelines_t *old = plan->old;
    int64_t left = plan->period_rows;

    for (uint32_t p = 0; p < old->part_count; p++) {
        const cm_part_t *part = old->parts[p];
        const int64_t rows = rows_of(plan, part);
        if (rows == 0 || rows > part->rows / 2 || rows > left)
            continue;
        left -= rows;
        for (uint32_t i = 0; i < old->period_count; i++) {
            if (plan->gone[i] || old->periods[i].part != part)
                continue;
            let_go(plan, i);
            add_span(plan, (cm_calendar_span_t){old->periods[i].from, old->periods[i].to});
        }
    }
}

static void choose_spans(plan_t *plan)
{
    for (uint32_t i = 0; i < plan->old->period_count; i++)
        plan->small += unit_of(&plan->old->periods[i]) < WEEK;
    for (uint32_t i = 0; i < plan->old->period_count; i++) {
        if (plan->fresh[i] > 0)
            renew(plan, i);
    }
    for (uint32_t week = 0; week < CM_CALENDAR_WEEKS; week++) {
        for (uint32_t slot = 0; plan->outside[week] != NULL && slot < CM_CALENDAR_SLOTS; slot++) {
            if (plan->outside[week][slot])
                add_around(plan, cm_calendar_week_start(week) + slot * CM_CALENDAR_SLOT_MS);
        }
    }
    if (plan->small > SMALL_MANY)
        join_some(plan);
    clear_parts(plan);
}

/* ---- the whole ---- */

/* Whether it is worth while: little is built again, and little is kept that is not used. */
static bool is_cheap(const plan_t *plan)
{
    const cm_timelines_t *old = plan->old;
    int64_t kept = 0, used = 0;

    for (uint32_t i = 0; i < old->part_count; i++) {
        const int64_t rows = rows_of(plan, old->parts[i]);
        used += rows;
        kept += rows > 0 ? old->parts[i]->rows : 0;
    }
    return (plan->rows <= plan->period_rows || plan->rows <= plan->timelines->end / 2) &&
           (kept - used <= plan->period_rows || kept - used <= kept / GARBAGE_PART);
}

/* Takes over what stays. */
static void take_over(const plan_t *plan)
{
    cm_timelines_t *timelines = plan->timelines;
    const cm_timelines_t *old = plan->old;

    timelines->shared = old->shared;
    atomic_fetch_add(&old->shared->references, 1);
    timelines->parts = cm_alloc((old->part_count + 1) * sizeof *timelines->parts);
    timelines->periods = cm_alloc(((size_t)old->period_count + 1) * sizeof *timelines->periods);
    for (uint32_t i = 0; i < old->part_count; i++) {
        if (rows_of(plan, old->parts[i]) == 0)
            continue;
        atomic_fetch_add(&old->parts[i]->references, 1);
        timelines->parts[timelines->part_count++] = old->parts[i];
    }
    for (uint32_t i = 0; i < old->period_count; i++) {
        if (!plan->gone[i])
            timelines->periods[timelines->period_count++] = old->periods[i];
    }
}

static int by_time(const void *a, const void *b)
{
    const cm_period_t *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

static int carry_out(plan_t *plan, cm_err_t *err)
{
    cm_timelines_t *timelines = plan->timelines;
    int rc = find_fresh(plan, err);

    if (rc < 0)
        return rc;
    choose_spans(plan);
    if (!is_cheap(plan))
        return 0;
    take_over(plan);
    if (plan->spans.count > 0)
        rc = cm_timelines_build_some(timelines, &plan->spans, err);
    if (rc < 0)
        return rc;
    qsort(timelines->periods, timelines->period_count, sizeof *timelines->periods, by_time);
    return 1;
}

int cm_timelines_grow_from(cm_timelines_t *timelines, const cm_timelines_t *old, cm_err_t *err)
{
    if (!has_grown(timelines, old))
        return 0;
    plan_t *plan = cm_alloc_zero(1, sizeof *plan);
    plan->timelines = timelines;
    plan->old = old;
    plan->period_rows =
        timelines->options.period_rows > 0 ? timelines->options.period_rows : PERIOD_ROWS;
    cm_calendar_init(&plan->known);
    cm_calendar_init(&plan->spans);
    plan->fresh = cm_alloc_zero((size_t)old->period_count + 1, sizeof *plan->fresh);
    plan->gone = cm_alloc_zero((size_t)old->period_count + 1, sizeof *plan->gone);
    const int rc = carry_out(plan, err);
    for (uint32_t week = 0; week < CM_CALENDAR_WEEKS; week++)
        free(plan->outside[week]);
    cm_calendar_free(&plan->known);
    cm_calendar_free(&plan->spans);
    free(plan->fresh);
    free(plan->gone);
    free(plan);
    return rc;
}
