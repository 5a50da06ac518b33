/* Puts events in order with the mill's parts: they are spread over partitions by user
 * (partition.h), and each partition is sorted; ties.h finds copies. The place of a packed event is
 * its kind. */
#include "mill/timelines_rows.h"

#include <assert.h>
#include <stdlib.h>

enum {
    /* Users of a partition: a packed event has room for twice as many. */
    USERS_MAX = 1 << (64 - CM_PACKED_TIME_BITS - 1),
    MORE_USERS = 16, /* of a partition, for which there is room at least */
    KIND_BITS = 2,
    EVENT_BYTES = 24, /* a packed event, and some for chunks that are not full */
    /* Memory of a tied event while its row key and its strings are read. Many copies are resolved
     * in several goes, each of which reads blocks again. */
    TIED_BYTES = 200,
    TIED_MAX = 4 * 1024 * 1024,
    TIED_MIN = 64 * 1024,
    /* With so many tied events, copies that are the same are found by their prints. That reads all
     * columns once; to resolve ties reads the columns of their blocks twice. */
    PRINT_MIN = 16 * 1024,
    PRINT_BYTES = 8,
};

typedef struct sorter sorter_t;

typedef struct worker {
    sorter_t *sorter;
    cm_reader_t *reader;
    size_t block_from, block_to; /* the worker scatters these blocks */
    cm_chunk_list_t *lists;      /* events, one list per partition */
    cm_slabs_t slabs;
    cm_partition_t partition; /* the one being ordered */
    uint32_t kept;            /* the first of the partitions whose ties are not resolved + 1 */
    cm_ties_t ties;
    size_t tied;                   /* events of these ties */
    cm_timelines_rows_part_t rows; /* scratch of cm_timelines_rows_emit() */
    uint32_t *counts;              /* events by span of the calendar */
    int rc;
    cm_err_t err;
} worker_t;

struct sorter {
    cm_timelines_build_t *build;
    int threads;
    cm_packed_layout_t layout;
    cm_spread_t spread;
    size_t tied_max;      /* how many tied events a worker keeps */
    cm_partition_t *kept; /* by partition: those whose ties are not resolved yet */
    uint32_t *next_kept;  /* by partition: the next one that its worker keeps + 1 */
    worker_t workers[CM_TEAM_MAX];
    atomic_uint next;  /* the partition that a worker takes next */
    bool may_print;    /* there is memory for prints */
    uint64_t *prints;  /* by position; NULL: not yet */
    atomic_bool print; /* they are wanted: the workers pause */
    cm_timelines_rows_t rows;
};

/* ---- scatter ---- */

/* The kinds of a block's events by the number of their names; the caller frees them. */
static uint8_t *kinds_of(const cm_wide_t *wide)
{
    const cm_dict_t *names = &wide->strings[CM_EXTRA_NAME];
    uint8_t *kinds = cm_alloc(names->count + 1);

    kinds[0] = CM_KIND_VIEW;
    for (uint32_t id = 0; id < names->count; id++)
        kinds[id + 1] = cm_str_equal(cm_dict_string(names, id), CM_STR("engagement"))
                            ? CM_KIND_ENGAGEMENT
                            : CM_KIND_OTHER;
    return kinds;
}

/* Counts the events of one block in each span, and leaves out those that are in none. Of all users,
 * in the first pass. */
static void count_block(worker_t *worker, const cm_columns_t *columns, uint32_t count)
{
    const cm_calendar_t *calendar = worker->sorter->build->calendar;
    uint32_t *row_of = worker->sorter->build->part->row_of + columns->first;

    for (uint32_t i = 0; i < count; i++) {
        const uint32_t span = cm_calendar_find(calendar, columns->time[i]);
        row_of[i] = span == CM_CALENDAR_NONE ? CM_TIMELINES_NO_ROW : 0;
        if (span != CM_CALENDAR_NONE)
            worker->counts[span]++;
    }
}

/* Spreads the events of one block over the partitions. */
static int scatter_block(worker_t *worker, const cm_columns_t *columns, uint32_t count,
                         const uint8_t *kinds)
{
    const cm_spread_t spread = worker->sorter->spread;
    const unsigned ordinal_bits = worker->sorter->layout.ordinal_bits;
    const uint32_t *users = columns->ids[CM_USER], *names = columns->wide.ids[CM_EXTRA_NAME];
    cm_chunk_list_t *lists = worker->lists;
    uint32_t *row_of = worker->sorter->build->part->row_of + columns->first;

    if (spread.pass == 0)
        count_block(worker, columns, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = users[i];
        if (row_of[i] == CM_TIMELINES_NO_ROW)
            continue;
        if (spread.passes > 1) {
            if (number % spread.passes != spread.pass)
                continue;
            number /= spread.passes;
        }
        const uint64_t kind = kinds != NULL ? kinds[names[i]] : CM_KIND_VIEW;
        cm_packed_event_t *event =
            cm_chunk_list_add(&lists[number & (spread.count - 1)], &worker->slabs, sizeof *event);
        if (event == NULL)
            return cm_fail_memory(&worker->err);
        event->key =
            (uint64_t)(number >> spread.shift) << CM_PACKED_TIME_BITS | (uint64_t)columns->time[i];
        event->load = kind << ordinal_bits | (uint64_t)(columns->first + i);
    }
    return 0;
}

static int scatter_one(worker_t *worker, const cm_block_ref_t *block, cm_columns_t *columns)
{
    const unsigned parts = block->has_others ? CM_READ_HOT | CM_READ_EXTRA : CM_READ_HOT;

    const cm_timelines_build_t *build = worker->sorter->build;

    int rc = cm_timelines_check_stop(build->timelines, &worker->err);
    if (rc == 0)
        rc = cm_reader_read(worker->reader, block, parts, columns, &worker->err);
    if (rc < 0)
        return rc;
    uint8_t *kinds = columns->wide.any ? kinds_of(&columns->wide) : NULL;
    rc = scatter_block(worker, columns, cm_timelines_count_in(build->part->events, block), kinds);
    free(kinds);
    return rc;
}

static void scatter(void *context, int number)
{
    sorter_t *sorter = context;
    worker_t *worker = &sorter->workers[number];
    cm_columns_t columns = {.only = CM_ONLY_FIELDS << CM_USER | CM_ONLY_TIME |
                                    CM_ONLY_EXTRAS << CM_EXTRA_NAME};

    for (size_t b = worker->block_from; worker->rc == 0 && b < worker->block_to; b++)
        worker->rc = scatter_one(worker, &sorter->build->blocks[b], &columns);
    cm_columns_free(&columns);
}

/* ---- order ---- */

/* Puts page views before the other events of the same millisecond; both keep their order. */
static void views_first(cm_packed_event_t *events, size_t count, unsigned ordinal_bits)
{
    cm_packed_event_t *others = NULL;
    size_t views = 0, other_count = 0;

    for (size_t i = 0; i < count; i++) {
        if (events[i].load >> ordinal_bits == CM_KIND_VIEW) {
            events[views++] = events[i];
            continue;
        }
        if (others == NULL)
            others = cm_alloc((count - i) * sizeof *others);
        others[other_count++] = events[i];
    }
    if (other_count > 0)
        memcpy(events + views, others, other_count * sizeof *others);
    free(others);
}

/* Removes the copies, and puts ties, which are in order of their row keys, in their last order. */
static void settle(cm_partition_t *partition, unsigned ordinal_bits)
{
    cm_packed_event_t *events = partition->events;
    size_t count = 0;

    for (size_t i = 0; i < partition->count; i++) {
        if (events[i].load != CM_PACKED_DROPPED)
            events[count++] = events[i];
    }
    partition->count = count;
    for (size_t from = 0, end; from < count; from = end) {
        for (end = from + 1; end < count && events[end].key == events[from].key; end++)
            ;
        if (end - from > 1)
            views_first(events + from, end - from, ordinal_bits);
    }
}

/* Gives the partition, whose ties are resolved, its rows. */
static void emit(worker_t *worker, const cm_partition_t *partition)
{
    cm_timelines_rows_emit(&worker->sorter->rows, &worker->rows, partition);
}

/* Called for each event that is a copy and does not count; by any worker, but each event is of one
 * partition. */
static void leave_out(void *context, int64_t position)
{
    cm_part_t *part = context;
    part->row_of[position] = CM_TIMELINES_NO_ROW;
}

/* Resolves the worker's ties and emits the partitions that it has kept for them. */
static void resolve(worker_t *worker)
{
    sorter_t *sorter = worker->sorter;

    worker->rc = cm_ties_resolve(&worker->ties, worker->reader, &worker->err);
    while (worker->kept > 0) {
        cm_partition_t *partition = &sorter->kept[worker->kept - 1];
        worker->kept = sorter->next_kept[worker->kept - 1];
        if (worker->rc == 0) {
            settle(partition, sorter->layout.ordinal_bits);
            emit(worker, partition);
        }
        cm_partition_free(partition);
    }
    worker->tied = 0;
}

/* A tied event, while the same ones are found. */
typedef struct printed {
    cm_packed_event_t event;
    uint64_t print;
    size_t place; /* within the run */
} printed_t;

static int by_place(const void *a, const void *b)
{
    const printed_t *x = a, *y = b;
    return (x->place > y->place) - (x->place < y->place);
}

static int by_print(const void *a, const void *b)
{
    const printed_t *x = a, *y = b;
    return x->print != y->print ? (x->print < y->print ? -1 : 1) : by_place(a, b);
}

/* Leaves out the events of a run that are the same as an earlier one: they go to its end. Returns
 * how many events are left. */
static size_t leave_out_same(const sorter_t *sorter, cm_packed_event_t *events, size_t count)
{
    printed_t few[8], *all = count <= 8 ? few : cm_alloc(count * sizeof *all);
    size_t left = 0;

    for (size_t i = 0; i < count; i++)
        all[i] = (printed_t){events[i],
                             sorter->prints[cm_packed_ordinal(&events[i], &sorter->layout)], i};
    qsort(all, count, sizeof *all, by_print);
    for (size_t i = 0; i < count; i++) {
        if (left == 0 || all[i].print != all[left - 1].print)
            all[left++] = all[i];
        else
            leave_out(sorter->build->part, cm_packed_ordinal(&all[i].event, &sorter->layout));
    }
    qsort(all, left, sizeof *all, by_place);
    for (size_t i = 0; i < count; i++) {
        if (i < left)
            events[i] = all[i].event;
        else
            events[i].load = CM_PACKED_DROPPED;
    }
    if (all != few)
        free(all);
    return left;
}

/* Leaves out copies that are the same as others, of the worker's ties from `from` on. */
static void trim_ties(worker_t *worker, size_t from)
{
    cm_ties_t *ties = &worker->ties;
    size_t kept = from;

    for (size_t i = from; i < ties->count; i++) {
        cm_tie_t tie = ties->runs[i];
        tie.count = leave_out_same(worker->sorter, tie.events, tie.count);
        if (tie.count > 1)
            ties->runs[kept++] = tie;
    }
    ties->count = kept;
}

/* Keeps the partition that has just been built, because it has ties. */
static void keep(worker_t *worker, size_t ties_before)
{
    sorter_t *sorter = worker->sorter;
    const uint32_t number = worker->partition.number;

    for (size_t i = ties_before; i < worker->ties.count; i++)
        worker->tied += worker->ties.runs[i].count;
    sorter->kept[number] = worker->partition;
    sorter->next_kept[number] = worker->kept;
    worker->kept = number + 1;
    worker->partition = (cm_partition_t){0};
}

/* Goes on with the partition that has just been built. */
static void pass_on(worker_t *worker, size_t ties_before)
{
    sorter_t *sorter = worker->sorter;
    const bool tied = worker->ties.count > ties_before;

    if (tied && sorter->prints != NULL)
        trim_ties(worker, ties_before);
    if (worker->ties.count > ties_before) {
        keep(worker, ties_before);
    } else {
        if (tied)
            settle(&worker->partition, sorter->layout.ordinal_bits);
        emit(worker, &worker->partition);
    }
    if (worker->tied > PRINT_MIN && sorter->may_print && sorter->prints == NULL)
        atomic_store(&sorter->print, true);
    else if (worker->tied > sorter->tied_max)
        resolve(worker);
}

static void order_one(worker_t *worker, uint32_t number)
{
    sorter_t *sorter = worker->sorter;
    const int threads = sorter->threads;
    cm_chunk_list_t *lists[CM_TEAM_MAX];
    const size_t ties = worker->ties.count;

    for (int i = 0; i < threads; i++)
        lists[i] = &sorter->workers[i].lists[number];
    worker->partition.number = number;
    worker->rc = cm_partition_build(&worker->partition, lists, threads, &worker->slabs,
                                    &sorter->spread, &worker->ties, &worker->err);
    if (worker->rc == 0)
        worker->rc = cm_timelines_check_stop(sorter->build->timelines, &worker->err);
    if (worker->rc == 0)
        pass_on(worker, ties);
}

static void order(void *context, int number)
{
    sorter_t *sorter = context;
    worker_t *worker = &sorter->workers[number];
    uint32_t next;

    while (worker->rc == 0 && !atomic_load(&sorter->print) &&
           (next = atomic_fetch_add(&sorter->next, 1)) < sorter->spread.count)
        order_one(worker, next);
}

/* Resolves the ties that are left. */
static void finish_ties(void *context, int number)
{
    worker_t *worker = &((sorter_t *)context)->workers[number];

    if (worker->sorter->prints != NULL)
        trim_ties(worker, 0);
    resolve(worker);
}

/* ---- the whole ---- */

/* Chooses passes and partitions, and leaves room for more users. */
void cm_timelines_spread(cm_timelines_t *timelines, int64_t memory)
{
    const int64_t events = timelines->end, fits = memory / EVENT_BYTES + 1;
    const uint32_t users = timelines->strings[CM_USER];
    const int64_t passes = memory > 0 ? (events + fits - 1) / fits : 1;
    const cm_spread_t spread = cm_spread_choose(users, USERS_MAX, events, passes);

    timelines->shared->spread = spread;
    const uint32_t most = (users / spread.passes >> spread.shift) + 1;
    timelines->shared->locals = most + most / 4 + MORE_USERS;
}

static int prepare(sorter_t *sorter, int64_t memory, cm_err_t *err)
{
    cm_timelines_build_t *build = sorter->build;
    cm_part_t *part = build->part;
    unsigned bits = 1;

    while (part->events >> bits != 0)
        bits++;
    sorter->layout = (cm_packed_layout_t){
        .ordinal_bits = bits, .country_bits = KIND_BITS, .ordinal_mask = (UINT64_C(1) << bits) - 1};
    sorter->spread = build->timelines->shared->spread;
    sorter->spread.users = build->timelines->strings[CM_USER];
    int64_t tied = memory > 0 ? memory / TIED_BYTES : TIED_MAX;
    tied = tied > TIED_MAX ? TIED_MAX : tied < TIED_MIN ? TIED_MIN : tied;
    sorter->may_print = memory <= 0 || part->events <= memory / PRINT_BYTES / 2;
    sorter->tied_max = (size_t)(tied / sorter->threads);
    sorter->kept = cm_alloc_zero(sorter->spread.count, sizeof *sorter->kept);
    sorter->next_kept = cm_alloc_zero(sorter->spread.count, sizeof *sorter->next_kept);
    part->row_of = malloc(((size_t)part->events + 1) * sizeof *part->row_of);
    atomic_fetch_add(&part->size, (int64_t)part->events * (int64_t)sizeof *part->row_of);
    return part->row_of == NULL ? cm_fail_memory(err) : 0;
}

/* Gives each worker consecutive blocks with about the same number of events, and its lists. */
static void equip(sorter_t *sorter)
{
    const cm_timelines_build_t *build = sorter->build;
    size_t block = 0;

    for (int i = 0; i < sorter->threads; i++) {
        worker_t *worker = &sorter->workers[i];
        const int64_t end = (int64_t)build->part->events * (i + 1) / sorter->threads;
        *worker = (worker_t){
            .sorter = sorter,
            .reader = build->readers[i],
            .block_from = block,
            .lists = cm_alloc_zero(sorter->spread.count, sizeof *worker->lists),
            .ties = {.layout = &sorter->layout,
                     .blocks = build->blocks,
                     .block_count = build->block_count,
                     .copy = leave_out,
                     .context = build->part},
            .counts = cm_alloc_zero((size_t)build->calendar->count + 1, sizeof *worker->counts),
        };
        while (block < build->block_count && build->blocks[block].first < end)
            block++;
        worker->block_to = block;
    }
}

static int run(sorter_t *sorter, void (*work)(void *context, int number), cm_err_t *err)
{
    const int threads = sorter->threads;

    cm_team_run(threads, work, sorter);
    for (int i = 0; i < threads; i++) {
        if (sorter->workers[i].rc < 0) {
            *err = sorter->workers[i].err;
            return sorter->workers[i].rc;
        }
    }
    return 0;
}

static void clean_up(sorter_t *sorter)
{
    const int threads = sorter->threads;

    for (uint32_t p = 0; p < sorter->spread.count; p++)
        cm_partition_free(&sorter->kept[p]);
    for (int i = 0; i < threads; i++) {
        cm_timelines_rows_part_free(&sorter->workers[i].rows);
        free(sorter->workers[i].counts);
        free(sorter->workers[i].lists); /* their chunks are pieces of the slabs */
        cm_partition_free(&sorter->workers[i].partition);
        cm_ties_free(&sorter->workers[i].ties);
    }
    /* Only now: a worker's slabs may hold chunks that another worker has filled. */
    for (int i = 0; i < threads; i++)
        cm_slabs_free(&sorter->workers[i].slabs);
    free(sorter->kept);
    free(sorter->next_kept);
    free(sorter->prints);
}

/* Adds up how many events there are in each span, and makes room for their rows. */
static int begin_rows(sorter_t *sorter, cm_err_t *err)
{
    uint32_t *counts = sorter->workers[0].counts;

    for (int i = 1; i < sorter->threads; i++) {
        for (uint32_t span = 0; span < sorter->build->calendar->count; span++)
            counts[span] += sorter->workers[i].counts[span];
    }
    return cm_timelines_rows_begin(&sorter->rows, sorter->build, &sorter->spread, &sorter->layout,
                                   counts, err);
}

/* Orders all partitions of a pass. When there are many ties, it pauses for the prints. */
static int order_pass(sorter_t *sorter, cm_err_t *err)
{
    atomic_store(&sorter->next, 0);
    int rc = run(sorter, order, err);
    if (rc == 0 && atomic_load(&sorter->print)) {
        rc = cm_timelines_print(sorter->build, &sorter->prints, err);
        atomic_store(&sorter->print, false);
        if (rc == 0)
            rc = run(sorter, order, err);
    }
    return rc == 0 ? run(sorter, finish_ties, err) : rc;
}

int cm_timelines_order(cm_timelines_build_t *build, int64_t memory, cm_err_t *err)
{
    sorter_t *sorter = cm_alloc_zero(1, sizeof *sorter);

    sorter->build = build;
    sorter->threads = build->timelines->threads;
    int rc = prepare(sorter, memory, err);
    if (rc == 0)
        equip(sorter);
    for (uint32_t pass = 0; rc == 0 && pass < sorter->spread.passes; pass++) {
        sorter->spread.pass = pass;
        rc = run(sorter, scatter, err);
        if (rc == 0 && pass == 0)
            rc = begin_rows(sorter, err);
        if (rc == 0)
            rc = order_pass(sorter, err);
    }
    if (rc == 0)
        rc = cm_timelines_rows_finish(&sorter->rows, err);
    cm_timelines_rows_free(&sorter->rows);
    clean_up(sorter);
    free(sorter);
    return rc;
}
