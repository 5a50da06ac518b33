#include "mill/run.h"
#include "store/block.h"

#include <assert.h>
#include <stdlib.h>

/* ---- scatter ---- */

/* `number` is the user's number in the pass: the low bits are the partition. */
static int add_event(cm_mill_worker_t *worker, uint32_t number, uint64_t time, uint64_t load)
{
    const cm_spread_t *spread = &worker->run->spread;
    cm_packed_event_t *event = cm_chunk_list_add(&worker->lists[number & (spread->count - 1)],
                                                 &worker->slabs, sizeof *event);

    if (event == NULL)
        return cm_fail_memory(&worker->err);
    *event = (cm_packed_event_t){(uint64_t)(number >> spread->shift) << CM_PACKED_TIME_BITS | time,
                                 load};
    return 0;
}

static int scatter_event(cm_mill_worker_t *worker, const cm_columns_t *columns, uint32_t i,
                         uint32_t number)
{
    const cm_packed_layout_t *layout = &worker->run->layout;
    const cm_spread_t *spread = &worker->run->spread;
    uint64_t place = cm_place(columns->ids[CM_URL][i], columns->ids[CM_COUNTRY][i], layout);

    if (!spread->compact.on)
        return add_event(worker, number, (uint64_t)columns->time[i],
                         place << layout->ordinal_bits | (uint64_t)(columns->first + i));
    uint64_t *event = cm_chunk_list_add(&worker->lists[number & (spread->count - 1)],
                                        &worker->slabs, sizeof *event);
    if (event == NULL)
        return cm_fail_memory(&worker->err);
    *event = cm_compact_event(&spread->compact, number >> spread->shift, columns->time[i], place);
    return 0;
}

/* How many of the block's events belong to the run. */
static uint32_t count_in(const cm_mill_run_t *run, const cm_columns_t *columns)
{
    int64_t left = run->end_ordinal - columns->first;
    return left < columns->count ? (uint32_t)left : columns->count;
}

/* Compact times must be within the limits that the blocks state: a time outside would overwrite
 * the bits beside it. */
static int check_times(cm_mill_worker_t *worker, const cm_columns_t *columns)
{
    const cm_compact_layout_t *compact = &worker->run->spread.compact;
    uint64_t beyond = 0;

    if (!compact->on)
        return 0;
    for (uint32_t i = 0; i < columns->count; i++)
        beyond |= (uint64_t)(columns->time[i] - compact->first_time) >> compact->time_bits;
    if (beyond == 0)
        return 0;
    return cm_fail(&worker->err, CM_ECORRUPT,
                   "the block of events from %lld on has times outside of its limits; restore the "
                   "store from a copy",
                   (long long)columns->first);
}

/* Scatters a whole block of all users' events in compact form, in one pass over the block. The
 * values that the loop needs are copied to locals, so that they stay in registers: the compiler
 * must assume that what the loop writes may be any of them. That saves a third of the time. */
static int scatter_compact(cm_mill_worker_t *worker, const cm_columns_t *columns, uint32_t count)
{
    const cm_compact_layout_t compact = worker->run->spread.compact;
    const cm_packed_layout_t layout = worker->run->layout;
    const unsigned shift = worker->run->spread.shift;
    const uint32_t mask = worker->run->spread.count - 1;
    const uint32_t *users = columns->ids[CM_USER], *urls = columns->ids[CM_URL];
    const uint32_t *countries = columns->ids[CM_COUNTRY];
    const int64_t *times = columns->time;
    cm_chunk_list_t *lists = worker->lists;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t *event = cm_chunk_list_add(&lists[users[i] & mask], &worker->slabs, sizeof *event);
        if (event == NULL)
            return cm_fail_memory(&worker->err);
        *event = cm_compact_event(&compact, users[i] >> shift, times[i],
                                  cm_place(urls[i], countries[i], &layout));
    }
    return 0;
}

/* Spreads the events of one block over the partitions. */
static int scatter_block(cm_mill_worker_t *worker, const cm_columns_t *columns)
{
    const cm_mill_run_t *run = worker->run;
    const cm_spread_t spread = run->spread;
    uint32_t count = count_in(run, columns);
    int rc = check_times(worker, columns);

    if (rc == 0 && spread.compact.on && spread.passes == 1 && run->affected == NULL)
        return scatter_compact(worker, columns, count);
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        uint32_t user = columns->ids[CM_USER][i], number = user;
        if (spread.passes > 1) {
            if (user % spread.passes != spread.pass)
                continue;
            number = user / spread.passes;
        }
        if (cm_mill_is_affected(run, user))
            rc = scatter_event(worker, columns, i, number);
    }
    return rc;
}

/* The same for an update that is trimmed, which has one pass only. */
static int scatter_trimmed(cm_mill_worker_t *worker, const cm_columns_t *columns)
{
    const cm_mill_run_t *run = worker->run;
    int rc = 0;

    assert(run->spread.passes == 1);
    if (worker->selected == NULL)
        worker->selected = cm_alloc(CM_BLOCK_EVENTS * sizeof *worker->selected);
    uint32_t count = cm_trimmer_select(worker->trimmer, columns, count_in(run, columns),
                                       run->options->since, worker->selected);
    for (uint32_t k = 0; rc == 0 && k < count; k++) {
        uint32_t i = worker->selected[k];
        rc = scatter_event(worker, columns, i, columns->ids[CM_USER][i]);
    }
    worker->scattered += count;
    worker->overflow = worker->scattered > run->fits / run->worker_count;
    return rc;
}

static int take_neighbour(void *context, uint32_t user, const cm_packed_event_t *event)
{
    return add_event(context, user, event->key, event->load);
}

/* CM_ESTOP when the caller has asked to stop. */
static int check_stop(cm_mill_worker_t *worker)
{
    const atomic_bool *stop = worker->run->options->stop;
    if (stop == NULL || !atomic_load(stop))
        return 0;
    return cm_fail(&worker->err, CM_ESTOP, "stopped");
}

void cm_mill_scatter_phase(cm_mill_worker_t *worker)
{
    const cm_mill_run_t *run = worker->run;
    bool trimmed = worker->trimmer != NULL;
    cm_columns_t columns = {0};

    for (size_t n = worker->block_from; worker->rc == 0 && n < worker->block_to; n++) {
        /* Trimming is quickest from the last block to the first (trim.h). */
        size_t b = trimmed ? worker->block_to - 1 - (n - worker->block_from) : n;
        worker->rc = cm_mill_read(run, worker->reader, &run->blocks[b], &columns, &worker->err);
        if (worker->rc == 0)
            worker->rc =
                trimmed ? scatter_trimmed(worker, &columns) : scatter_block(worker, &columns);
        if (worker->rc == 0)
            worker->rc = check_stop(worker);
        if (worker->overflow)
            break;
    }
    if (worker->rc == 0 && trimmed)
        worker->rc = cm_trimmer_neighbours(worker->trimmer, take_neighbour, worker);
    cm_columns_free(&columns);
}

/* ---- order, kept ---- */

static void mill_partition(cm_mill_worker_t *worker, cm_partition_t *partition)
{
    const cm_mill_options_t *options = worker->run->options;

    if (options->copies == NULL &&
        cm_partition_mill(partition, options->since, &worker->timeline) < 0)
        worker->rc = cm_fail_memory(&worker->err);
}

/* True when the run must be repeated with everything that is known of the events; then it is true
 * for all workers. */
static bool check_repeat(cm_mill_worker_t *worker)
{
    bool repeat = worker->ties.unsure && worker->ties.differ;

    if (repeat)
        atomic_store(&worker->run->repeat, true);
    return repeat;
}

void cm_mill_order_phase(cm_mill_worker_t *worker)
{
    cm_mill_run_t *run = worker->run;
    cm_chunk_list_t *lists[CM_MILL_THREADS_MAX];
    uint32_t p;

    while (worker->rc == 0 && !atomic_load(&run->repeat) &&
           (p = atomic_fetch_add(&run->next, 1)) < run->spread.count) {
        size_t ties = worker->ties.count;
        for (int i = 0; i < run->worker_count; i++)
            lists[i] = &run->workers[i].lists[p];
        worker->partition.number = p;
        worker->rc = cm_partition_build(&worker->partition, lists, run->worker_count,
                                        &worker->slabs, &run->spread, &worker->ties, &worker->err);
        if (worker->rc == 0)
            worker->rc = check_stop(worker);
        if (worker->rc < 0 || check_repeat(worker))
            break;
        if (worker->ties.count == ties) {
            mill_partition(worker, &worker->partition);
        } else {
            run->kept[p] = worker->partition;
            worker->partition = (cm_partition_t){0};
        }
    }
    /* Each worker resolves the ties of the partitions that it has built. */
    if (worker->rc == 0 && !atomic_load(&run->repeat))
        worker->rc = cm_ties_resolve(&worker->ties, worker->reader, &worker->err);
    check_repeat(worker);
}

void cm_mill_kept_phase(cm_mill_worker_t *worker)
{
    cm_mill_run_t *run = worker->run;
    uint32_t p;

    while (worker->rc == 0 && (p = atomic_fetch_add(&run->next, 1)) < run->spread.count) {
        if (run->kept[p].count > 0)
            mill_partition(worker, &run->kept[p]);
        cm_partition_free(&run->kept[p]);
    }
}

/* ---- gather, finish ---- */

void cm_mill_gather_phase(cm_mill_worker_t *worker)
{
    cm_mill_run_t *run = worker->run;
    uint32_t r;

    while ((r = atomic_fetch_add(&run->next, 1)) < run->region_count) {
        for (int i = 0; i < run->worker_count; i++) {
            cm_chunk_list_t *list = &run->workers[i].timeline.lists[r];
            cm_chunk_list_close(list);
            cm_cells_gather(&run->regions[r], &worker->wide, list, &run->gathering);
            cm_chunk_list_release(list, &worker->slabs);
        }
    }
}

void cm_mill_finish_phase(cm_mill_worker_t *worker)
{
    cm_mill_run_t *run = worker->run;
    uint32_t r;

    while ((r = atomic_fetch_add(&run->next, 1)) < run->region_count) {
        cm_cells_roll_up(&run->regions[r], &worker->wide);
        cm_cells_sort(&run->regions[r]);
    }
}
