#include "mill/mill.h"

#include "base/bitmap.h"
#include "mill/partition.h"
#include "mill/result.h"
#include "mill/trim.h"
#include "store/block.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    PARTITIONS_MAX = 4096,
    PARTITION_GRAINS = 32 * 1024, /* 512 KiB: what a core's L2 cache holds */
    REGIONS_MAX = 1024,
    REGION_CELLS = 2048,      /* 160 KiB of cells: stays in the L2 cache beside the shares */
    DIRECT_MAX = 1024 * 1024, /* entries of 4 bytes; beyond it a hash table is no slower */
    /* An update is trimmed when at most every so-manieth event is new, and not too many are: its
     * tables are to stay small. */
    TRIM_SHARE = 8,
    TRIM_MAX = 4 * 1024 * 1024,
    USER_BITS = 64 - CM_PACKED_TIME_BITS,
    /* Memory an event needs while it is in hand: its grain, and some for the chunks that are not
     * full and for ties. */
    BYTES_PER_EVENT = 24,
};

typedef struct mill mill_t;

typedef struct worker {
    mill_t *mill;
    cm_reader_t *reader;
    size_t block_from, block_to;
    cm_chunk_list_t *heaps; /* grains, one a partition */
    int64_t scattered;
    cm_trimmer_t *trimmer; /* NULL: nothing is trimmed */
    uint32_t *selected;    /* of a block */
    bool overflow;         /* so much was kept after trimming that it does not fit */
    cm_slabs_t slabs;
    cm_partition_t partition; /* the one at hand */
    cm_timeline_t timeline;   /* its heaps are the worker's own: shares, one a region */
    cm_ties_t ties;
    cm_cells_t wide; /* cells of all urls */
    int rc;
    cm_err_t err;
} worker_t;

struct mill {
    const cm_mill_options_t *options;
    const cm_block_ref_t *blocks;
    size_t block_count;
    int64_t end_ordinal;
    uint32_t urls;     /* ids are below it */
    uint8_t *affected; /* a bit a user: has new events; NULL: everybody */
    cm_trim_t *trim;   /* NULL: not trimmed */
    int64_t fits;      /* events that may be in hand at once */
    cm_packed_layout_t shape;
    cm_gathering_t gathering;
    cm_cells_t *regions;
    uint32_t region_count; /* a power of two */
    cm_spread_t spread;
    cm_partition_t *kept; /* one a partition: those that wait for their ties */
    atomic_bool again;    /* copies differ, and what is at hand is not enough to choose */
    bool plain;           /* so nothing is trimmed or packed */
    worker_t *workers;
    int worker_count;
    atomic_uint next; /* partition to take */
};

/* ---- phases, each run by all workers ---- */

static bool is_affected(const mill_t *mill, uint32_t user)
{
    return mill->affected == NULL || cm_bitmap_get(mill->affected, user);
}

static int add_grain(worker_t *worker, uint32_t number, uint64_t time, uint64_t load)
{
    const cm_spread_t *spread = &worker->mill->spread;
    cm_packed_event_t *grain = cm_chunk_list_add(&worker->heaps[number & (spread->count - 1)],
                                                 &worker->slabs, sizeof *grain);

    if (grain == NULL)
        return cm_fail_memory(&worker->err);
    *grain = (cm_packed_event_t){(uint64_t)(number >> spread->shift) << CM_PACKED_TIME_BITS | time,
                                 load};
    return 0;
}

static int scatter_event(worker_t *worker, const cm_columns_t *columns, uint32_t i, uint32_t number)
{
    const cm_packed_layout_t *shape = &worker->mill->shape;
    const cm_spread_t *spread = &worker->mill->spread;
    uint64_t place = cm_place(columns->ids[CM_URL][i], columns->ids[CM_COUNTRY][i], shape);

    if (!spread->packing.on)
        return add_grain(worker, number, (uint64_t)columns->time[i],
                         place << shape->ordinal_bits | (uint64_t)(columns->first + i));
    uint64_t *packed = cm_chunk_list_add(&worker->heaps[number & (spread->count - 1)],
                                         &worker->slabs, sizeof *packed);
    if (packed == NULL)
        return cm_fail_memory(&worker->err);
    *packed = cm_compact_event(&spread->packing, number >> spread->shift, columns->time[i], place);
    return 0;
}

/* How many of the block's events belong to the run. */
static uint32_t count_in(const mill_t *mill, const cm_columns_t *columns)
{
    int64_t left = mill->end_ordinal - columns->first;
    return left < columns->count ? (uint32_t)left : columns->count;
}

/* Whether packed times are as the blocks' own limits say: another one would run into its
 * neighbours. */
static int check_times(worker_t *worker, const cm_columns_t *columns)
{
    const cm_compact_layout_t *packing = &worker->mill->spread.packing;
    uint64_t beyond = 0;

    if (!packing->on)
        return 0;
    for (uint32_t i = 0; i < columns->count; i++)
        beyond |= (uint64_t)(columns->time[i] - packing->first_time) >> packing->time_bits;
    if (beyond == 0)
        return 0;
    return cm_fail(&worker->err, CM_ECORRUPT,
                   "the block of events from %lld on has times outside of its limits; restore the "
                   "store from a copy",
                   (long long)columns->first);
}

/* The same for a whole block of packed grains of everybody, in one pass. What the loop needs stays
 * in registers, because what it writes might be any of it for all the compiler knows: a third of
 * the time. */
static int scatter_packed(worker_t *worker, const cm_columns_t *columns, uint32_t count)
{
    const cm_compact_layout_t packing = worker->mill->spread.packing;
    const cm_packed_layout_t shape = worker->mill->shape;
    const unsigned shift = worker->mill->spread.shift;
    const uint32_t mask = worker->mill->spread.count - 1;
    const uint32_t *users = columns->ids[CM_USER], *urls = columns->ids[CM_URL];
    const uint32_t *countries = columns->ids[CM_COUNTRY];
    const int64_t *times = columns->time;
    cm_chunk_list_t *heaps = worker->heaps;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t *packed =
            cm_chunk_list_add(&heaps[users[i] & mask], &worker->slabs, sizeof *packed);
        if (packed == NULL)
            return cm_fail_memory(&worker->err);
        *packed = cm_compact_event(&packing, users[i] >> shift, times[i],
                                   cm_place(urls[i], countries[i], &shape));
    }
    return 0;
}

/* Spreads the events of one block over the partitions. */
static int scatter_block(worker_t *worker, const cm_columns_t *columns)
{
    const mill_t *mill = worker->mill;
    const cm_spread_t spread = mill->spread;
    uint32_t count = count_in(mill, columns);
    int rc = check_times(worker, columns);

    if (rc == 0 && spread.packing.on && spread.passes == 1 && mill->affected == NULL)
        return scatter_packed(worker, columns, count);
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        uint32_t user = columns->ids[CM_USER][i], number = user;
        if (spread.passes > 1) {
            if (user % spread.passes != spread.pass)
                continue;
            number = user / spread.passes;
        }
        if (is_affected(mill, user))
            rc = scatter_event(worker, columns, i, number);
    }
    return rc;
}

/* The same of an update that is trimmed, in one pass. */
static int scatter_trimmed(worker_t *worker, const cm_columns_t *columns)
{
    const mill_t *mill = worker->mill;
    int rc = 0;

    if (worker->selected == NULL)
        worker->selected = cm_alloc(CM_BLOCK_EVENTS * sizeof *worker->selected);
    uint32_t count = cm_trimmer_select(worker->trimmer, columns, count_in(mill, columns),
                                       mill->options->since, worker->selected);
    for (uint32_t k = 0; rc == 0 && k < count; k++) {
        uint32_t i = worker->selected[k];
        rc = scatter_event(worker, columns, i, columns->ids[CM_USER][i]);
    }
    worker->scattered += count;
    worker->overflow = worker->scattered > mill->fits / mill->worker_count;
    return rc;
}

static int take_neighbour(void *context, uint32_t user, const cm_packed_event_t *grain)
{
    return add_grain(context, user, grain->key, grain->load);
}

/* CM_ESTOP when the caller has had enough. */
static int check_stop(worker_t *worker)
{
    const atomic_bool *stop = worker->mill->options->stop;
    if (stop == NULL || !atomic_load(stop))
        return 0;
    return cm_fail(&worker->err, CM_ESTOP, "stopped");
}

static void scatter_phase(worker_t *worker)
{
    const mill_t *mill = worker->mill;
    bool trimmed = worker->trimmer != NULL;
    cm_columns_t columns = {0};

    for (size_t n = worker->block_from; worker->rc == 0 && n < worker->block_to; n++) {
        size_t b = trimmed ? worker->block_to - 1 - (n - worker->block_from) : n;
        worker->rc =
            cm_reader_read(worker->reader, &mill->blocks[b], CM_READ_HOT, &columns, &worker->err);
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

static void mill_partition(worker_t *worker, cm_partition_t *partition)
{
    const cm_mill_options_t *options = worker->mill->options;

    if (options->copies == NULL &&
        cm_partition_mill(partition, options->since, &worker->timeline) < 0)
        worker->rc = cm_fail_memory(&worker->err);
}

/* True, for all workers, when it is to be done again with all that is known of the events. */
static bool look_for_doubt(worker_t *worker)
{
    bool doubt = worker->ties.unsure && worker->ties.differ;

    if (doubt)
        atomic_store(&worker->mill->again, true);
    return doubt;
}

/* Orders partitions until none is left, and mills them while they are in the cache; only those with
 * ties whose row keys must be read are kept for later. */
static void order_phase(worker_t *worker)
{
    mill_t *mill = worker->mill;
    cm_chunk_list_t *heaps[CM_MILL_THREADS_MAX];
    uint32_t p;

    while (worker->rc == 0 && !atomic_load(&mill->again) &&
           (p = atomic_fetch_add(&mill->next, 1)) < mill->spread.count) {
        size_t ties = worker->ties.count;
        for (int i = 0; i < mill->worker_count; i++)
            heaps[i] = &mill->workers[i].heaps[p];
        worker->partition.number = p;
        worker->rc = cm_partition_build(&worker->partition, heaps, mill->worker_count,
                                        &worker->slabs, &mill->spread, &worker->ties, &worker->err);
        if (worker->rc == 0)
            worker->rc = check_stop(worker);
        if (worker->rc < 0 || look_for_doubt(worker))
            break;
        if (worker->ties.count == ties) {
            mill_partition(worker, &worker->partition);
        } else {
            mill->kept[p] = worker->partition;
            worker->partition = (cm_partition_t){0};
        }
    }
    /* Each worker resolves the ties of the partitions that it has built. */
    if (worker->rc == 0 && !atomic_load(&mill->again))
        worker->rc = cm_ties_resolve(&worker->ties, worker->reader, &worker->err);
    look_for_doubt(worker);
}

static void kept_phase(worker_t *worker)
{
    mill_t *mill = worker->mill;
    uint32_t p;

    while (worker->rc == 0 && (p = atomic_fetch_add(&mill->next, 1)) < mill->spread.count) {
        if (mill->kept[p].count > 0)
            mill_partition(worker, &mill->kept[p]);
        cm_partition_free(&mill->kept[p]);
    }
}

/* Adds up the shares of regions until none is left. */
static void gather_phase(worker_t *worker)
{
    mill_t *mill = worker->mill;
    uint32_t r;

    while ((r = atomic_fetch_add(&mill->next, 1)) < mill->region_count) {
        for (int i = 0; i < mill->worker_count; i++) {
            cm_chunk_list_t *heap = &mill->workers[i].timeline.heaps[r];
            cm_chunk_list_close(heap);
            cm_cells_gather(&mill->regions[r], &worker->wide, heap, &mill->gathering);
            cm_chunk_list_release(heap, &worker->slabs);
        }
    }
}

/* When all passes are through: sums and order. */
static void finish_phase(worker_t *worker)
{
    mill_t *mill = worker->mill;
    uint32_t r;

    while ((r = atomic_fetch_add(&mill->next, 1)) < mill->region_count) {
        cm_cells_roll_up(&mill->regions[r], &worker->wide);
        cm_cells_sort(&mill->regions[r]);
    }
}

static void mark_copy(void *context, int64_t ordinal)
{
    mill_t *mill = context;
    cm_bitmap_set_atomic(mill->options->copies, (size_t)ordinal);
}

/* ---- running them ---- */

typedef struct task {
    worker_t *worker;
    void (*phase)(worker_t *worker);
} task_t;

static void *run_task(void *argument)
{
    task_t *task = argument;
    task->phase(task->worker);
    return NULL;
}

/* Runs the phase on all workers, the first on this thread; the first failure is returned. */
static int run_phase(mill_t *mill, void (*phase)(worker_t *worker), cm_err_t *err)
{
    pthread_t threads[CM_MILL_THREADS_MAX];
    task_t tasks[CM_MILL_THREADS_MAX];
    bool started[CM_MILL_THREADS_MAX] = {false};

    atomic_store(&mill->next, 0);
    for (int i = 1; i < mill->worker_count; i++) {
        tasks[i] = (task_t){&mill->workers[i], phase};
        started[i] = pthread_create(&threads[i], NULL, run_task, &tasks[i]) == 0;
    }
    phase(&mill->workers[0]);
    for (int i = 1; i < mill->worker_count; i++) {
        if (started[i])
            pthread_join(threads[i], NULL);
        else /* no thread to be had: its share is done here */
            phase(&mill->workers[i]);
    }
    for (int i = 0; i < mill->worker_count; i++) {
        if (mill->workers[i].rc < 0) {
            *err = mill->workers[i].err;
            return mill->workers[i].rc;
        }
    }
    return 0;
}

static void report(const mill_t *mill, double share)
{
    if (mill->options->progress != NULL)
        mill->options->progress(mill->options->progress_context,
                                (mill->spread.pass + share) / mill->spread.passes);
}

/* ---- preparing ---- */

/* Marks the users that have events from `since` on, and learns what trimming must know. */
static int find_affected(mill_t *mill, cm_err_t *err)
{
    const int64_t since = mill->options->since, fresh = mill->end_ordinal - since;
    cm_columns_t columns = {0};
    int rc = 0;

    mill->affected = calloc(cm_bitmap_bytes(mill->spread.users), 1);
    if (mill->affected == NULL)
        return cm_fail_memory(err);
    if (!mill->options->differ && fresh <= TRIM_MAX && fresh <= mill->end_ordinal / TRIM_SHARE &&
        fresh <= mill->fits)
        mill->trim = cm_trim_new(mill->spread.users, mill->options->windows, &mill->shape);
    for (size_t b = 0; rc == 0 && b < mill->block_count; b++) {
        const cm_block_ref_t *block = &mill->blocks[b];
        if (cm_block_end(block) <= since || block->first >= mill->end_ordinal)
            continue;
        rc = cm_reader_read(mill->workers[0].reader, block, CM_READ_HOT, &columns, err);
        if (rc < 0)
            break;
        uint32_t from = since > block->first ? (uint32_t)(since - block->first) : 0;
        for (uint32_t i = from; i < columns.count; i++) {
            uint32_t user = columns.ids[CM_USER][i];
            cm_bitmap_set(mill->affected, user);
        }
        if (mill->trim != NULL)
            cm_trim_learn(mill->trim, &columns, from);
    }
    cm_columns_free(&columns);
    return rc;
}

/* How many partitions are worth their chunks. Of an update nobody knows beforehand how many events
 * it will find; busy users have several times the average. */
static int64_t expected_events(const mill_t *mill, int64_t wanted)
{
    uint64_t users = 0;

    if (mill->affected == NULL)
        return wanted;
    if (mill->trim != NULL)
        return (mill->end_ordinal - mill->options->since) * 4;
    for (size_t i = 0; i < cm_bitmap_bytes(mill->spread.users); i++)
        users += (unsigned)__builtin_popcount(mill->affected[i]);
    int64_t expected = wanted / mill->spread.users * (int64_t)users * 4;
    return expected < wanted ? expected : wanted;
}

/* How many events are in hand if all is done in one pass. What is trimmed is supposed to fit. */
static int count_wanted(mill_t *mill, int64_t *wanted, cm_err_t *err)
{
    cm_columns_t columns = {0};
    int rc = 0;

    *wanted = mill->trim != NULL ? 0 : mill->end_ordinal;
    if (mill->affected == NULL || *wanted <= mill->fits)
        return 0;
    *wanted = 0;
    for (size_t b = 0; rc == 0 && b < mill->block_count; b++) {
        rc = cm_reader_read(mill->workers[0].reader, &mill->blocks[b], CM_READ_HOT, &columns, err);
        for (uint32_t i = 0; rc == 0 && i < columns.count; i++)
            *wanted += is_affected(mill, columns.ids[CM_USER][i]);
    }
    cm_columns_free(&columns);
    return rc;
}

static int choose_spread(mill_t *mill, cm_err_t *err)
{
    cm_spread_t *spread = &mill->spread;
    int64_t wanted;

    int rc = count_wanted(mill, &wanted, err);
    if (rc < 0)
        return rc;
    int64_t passes = wanted / mill->fits + (wanted % mill->fits != 0);
    /* A pass has one user at least. */
    passes = passes > spread->users ? spread->users : passes;
    spread->passes = (uint32_t)(passes < 1 ? 1 : passes);
    spread->shift = 0;
    int64_t expected = expected_events(mill, wanted);
    while ((1u << spread->shift) < PARTITIONS_MAX &&
           (expected / spread->passes >> spread->shift > PARTITION_GRAINS ||
            spread->users / spread->passes >> spread->shift >= 1u << USER_BITS))
        spread->shift++;
    spread->count = 1u << spread->shift;
    return 0;
}

/* Packs what can be packed. */
static void choose_packing(mill_t *mill)
{
    const cm_mill_options_t *options = mill->options;
    cm_spread_t *spread = &mill->spread;
    int64_t first = INT64_MAX, last = 0;
    bool derived = true;

    for (size_t b = 0; b < mill->block_count; b++) {
        derived &= mill->blocks[b].all_keys_derived;
        first = mill->blocks[b].time_min < first ? mill->blocks[b].time_min : first;
        last = mill->blocks[b].time_max > last ? mill->blocks[b].time_max : last;
    }
    spread->packing = (cm_compact_layout_t){0};
    if (mill->plain || !derived || options->since > 0 || options->copies != NULL || first < 0 ||
        last < first || options->windows != cm_window_mask(CM_WINDOW_ALL))
        return;
    spread->packing = cm_compact_layout_for(spread->users / spread->passes >> spread->shift,
                                            mill->urls, mill->shape.country_bits, first, last);
}

/* How a grain's load and a share are divided. */
static int choose_shape(mill_t *mill, uint32_t urls, uint32_t countries, cm_err_t *err)
{
    unsigned url_bits = 1, country_bits = 0, ordinal_bits = 1;

    while (url_bits < 32 && urls >> url_bits != 0)
        url_bits++;
    while (country_bits < 32 && (countries > 0 ? countries - 1 : 0) >> country_bits != 0)
        country_bits++;
    while ((uint64_t)mill->end_ordinal >> ordinal_bits != 0)
        ordinal_bits++;
    mill->shape = (cm_packed_layout_t){.ordinal_bits = ordinal_bits,
                                       .country_bits = country_bits,
                                       .ordinal_mask = (UINT64_C(1) << ordinal_bits) - 1};
    if (url_bits + country_bits + ordinal_bits > 64 ||
        url_bits + country_bits + CM_CONTRIBUTION_FLAG_BITS > 64)
        return cm_fail(err, CM_EINTERNAL,
                       "%lld events with %u urls and %u countries are more than the mill can hold; "
                       "split the data into several directories",
                       (long long)mill->end_ordinal, urls, countries);
    return 0;
}

/* How many regions the urls are spread over, for so many events. */
static void choose_regions(mill_t *mill, int64_t events)
{
    const uint32_t urls = mill->urls;
    const cm_mill_options_t *options = mill->options;
    uint64_t places = (uint64_t)(urls > 0 ? urls : 1) << mill->shape.country_bits;
    /* At most a cell an event; and windows multiply the cells, how many times nobody knows. */
    uint64_t cells = places < (uint64_t)events ? places : (uint64_t)events;
    unsigned shift = 0;

    if (options->windows != cm_window_mask(CM_WINDOW_ALL))
        cells = (uint64_t)events;
    while (1u << shift < REGIONS_MAX && cells >> shift > REGION_CELLS && urls >> shift > 1)
        shift++;
    mill->region_count = 1u << shift;
    mill->gathering = (cm_gathering_t){
        .shape = &mill->shape,
        .packing = &mill->spread.packing,
        .windows = options->windows,
        .session_timeout_s = options->session_timeout / 1000,
        .region_shift = shift,
        .direct =
            places <= DIRECT_MAX ? (size_t)((urls >> shift) + 1) << mill->shape.country_bits : 0};
    mill->regions = cm_alloc_zero(mill->region_count, sizeof *mill->regions);
}

static int make_workers(mill_t *mill, cm_err_t *err)
{
    int threads = mill->options->threads;
    int rc = 0;

    if (threads <= 0)
        threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    threads = threads < 1 ? 1 : threads > CM_MILL_THREADS_MAX ? CM_MILL_THREADS_MAX : threads;
    mill->workers = cm_alloc_zero((size_t)threads, sizeof *mill->workers);
    for (int i = 0; rc == 0 && i < threads; i++) {
        worker_t *worker = &mill->workers[mill->worker_count++];
        worker->mill = mill;
        rc = mill->options->reader(mill->options->context, &worker->reader, err);
    }
    return rc;
}

/* Gives each worker consecutive blocks, about the same number of events each. */
static void share_blocks(mill_t *mill)
{
    size_t b = 0;
    for (int i = 0; i < mill->worker_count; i++) {
        worker_t *worker = &mill->workers[i];
        int64_t end = mill->end_ordinal * (i + 1) / mill->worker_count;
        worker->block_from = b;
        while (b < mill->block_count && mill->blocks[b].first < end)
            b++;
        worker->block_to = b;
    }
}

/* ---- the whole ---- */

static int run_pass(mill_t *mill, cm_err_t *err)
{
    int rc = run_phase(mill, scatter_phase, err);
    if (rc < 0)
        return rc;
    report(mill, 0.5);
    for (int i = 0; i < mill->worker_count; i++) {
        if (mill->workers[i].overflow)
            return 0;
    }
    if ((rc = run_phase(mill, order_phase, err)) < 0 || atomic_load(&mill->again))
        return rc;
    report(mill, 0.8);
    if ((rc = run_phase(mill, kept_phase, err)) < 0)
        return rc;
    rc = run_phase(mill, gather_phase, err);
    report(mill, 1.0);
    return rc;
}

/* Looks at the store: its blocks, how far it goes, how many texts it has. */
static int survey(mill_t *mill, cm_err_t *err)
{
    uint32_t countries = 0;
    cm_reader_t *reader = mill->workers[0].reader;

    int rc = cm_reader_blocks(reader, &mill->blocks, &mill->block_count, err);
    if (rc == 0)
        rc = cm_reader_string_count(reader, CM_USER, &mill->spread.users, err);
    if (rc == 0)
        rc = cm_reader_string_count(reader, CM_URL, &mill->urls, err);
    if (rc == 0)
        rc = cm_reader_string_count(reader, CM_COUNTRY, &countries, err);
    if (rc == 0)
        mill->end_ordinal = cm_blocks_end(mill->blocks, mill->block_count);
    if (mill->options->until > 0 && mill->end_ordinal > mill->options->until)
        mill->end_ordinal = mill->options->until;
    return rc < 0 ? rc : choose_shape(mill, mill->urls, countries, err);
}

/* Gives each worker what it needs beside its reader. */
static void equip_workers(mill_t *mill)
{
    const cm_mill_options_t *options = mill->options;

    for (int i = 0; i < mill->worker_count; i++) {
        worker_t *worker = &mill->workers[i];
        worker->timeline =
            (cm_timeline_t){.shape = &mill->shape,
                            .packing = &mill->spread.packing,
                            .windows = options->windows,
                            .session_timeout_s = options->session_timeout / 1000,
                            .heaps = cm_alloc_zero(mill->region_count, sizeof(cm_chunk_list_t)),
                            .region_mask = mill->region_count - 1,
                            .slabs = &worker->slabs};
        worker->ties = (cm_ties_t){.shape = &mill->shape,
                                   .blocks = mill->blocks,
                                   .block_count = mill->block_count,
                                   .since = options->since,
                                   .copy = options->copies != NULL ? mark_copy : NULL,
                                   .context = mill};
    }
}

/* What depends on the spread: heaps and kept partitions, empty. */
static int spread_out(mill_t *mill, cm_err_t *err)
{
    int rc = choose_spread(mill, err);
    if (rc < 0)
        return rc;
    choose_packing(mill);
    for (int i = 0; i < mill->worker_count; i++) {
        worker_t *worker = &mill->workers[i];
        worker->heaps = cm_alloc_zero(mill->spread.count, sizeof *worker->heaps);
        worker->trimmer = mill->trim != NULL ? cm_trimmer_new(mill->trim) : NULL;
        worker->ties.unsure = mill->trim != NULL || mill->spread.packing.on;
    }
    mill->kept = cm_alloc_zero(mill->spread.count, sizeof *mill->kept);
    return 0;
}

/* The opposite. */
static void gather_in(mill_t *mill)
{
    for (uint32_t p = 0; mill->kept != NULL && p < mill->spread.count; p++)
        cm_partition_free(&mill->kept[p]);
    free(mill->kept);
    mill->kept = NULL;
    for (int i = 0; i < mill->worker_count; i++) {
        worker_t *worker = &mill->workers[i];
        for (uint32_t p = 0; worker->heaps != NULL && p < mill->spread.count; p++)
            cm_chunk_list_release(&worker->heaps[p], &worker->slabs);
        free(worker->heaps);
        cm_trimmer_free(worker->trimmer);
        free(worker->selected);
        worker->heaps = NULL;
        worker->trimmer = NULL;
        worker->selected = NULL;
        worker->scattered = 0;
    }
}

static int run_passes(mill_t *mill, cm_err_t *err)
{
    int rc = spread_out(mill, err);

    for (uint32_t pass = 0; rc == 0 && pass < mill->spread.passes && !mill->again; pass++) {
        mill->spread.pass = pass;
        rc = run_pass(mill, err);
    }
    return rc;
}

/* Forgets what was found. */
static void forget(mill_t *mill)
{
    for (int i = 0; i < mill->worker_count; i++) {
        worker_t *worker = &mill->workers[i];
        worker->overflow = false;
        worker->ties.count = 0;
        worker->timeline.events = 0;
        for (uint32_t r = 0; r < mill->region_count; r++)
            cm_chunk_list_release(&worker->timeline.heaps[r], &worker->slabs);
        cm_cells_free(&worker->wide);
    }
    for (uint32_t r = 0; r < mill->region_count; r++)
        cm_cells_free(&mill->regions[r]);
}

/* Begins anew when trimming has not helped enough; and when there are copies at different places.
 * To choose among these, their ordinals are needed, which packing has left out. And what one that
 * is replaced has witnessed is not among what trimming has kept (trim.h). */
static int run_again(mill_t *mill, cm_err_t *err)
{
    bool overflow = false;

    for (int i = 0; i < mill->worker_count; i++)
        overflow |= mill->workers[i].overflow;
    if (!overflow && !mill->again)
        return 0;
    gather_in(mill);
    forget(mill);
    cm_trim_free(mill->trim);
    mill->trim = NULL;
    mill->plain = mill->again;
    mill->again = false;
    return run_passes(mill, err);
}

static int run(mill_t *mill, cm_err_t *err)
{
    int64_t memory = mill->options->memory > 0 ? mill->options->memory : INT64_MAX;

    mill->fits = memory < BYTES_PER_EVENT ? 1 : memory / BYTES_PER_EVENT;
    int rc = make_workers(mill, err);
    if (rc == 0)
        rc = survey(mill, err);
    if (rc < 0 || mill->end_ordinal <= mill->options->since)
        return rc;
    if (mill->options->since > 0 && (rc = find_affected(mill, err)) < 0)
        return rc;
    share_blocks(mill);
    choose_regions(mill, mill->trim != NULL ? 4 * (mill->end_ordinal - mill->options->since)
                                            : mill->end_ordinal);
    equip_workers(mill);
    if ((rc = run_passes(mill, err)) == 0 && (rc = run_again(mill, err)) == 0)
        rc = run_phase(mill, finish_phase, err);
    return rc;
}

static void take_result(mill_t *mill, cm_mill_result_t *result)
{
    cm_cells_t *wide = &mill->workers[0].wide;

    for (int i = 0; i < mill->worker_count; i++) {
        if (i > 0)
            cm_cells_add(wide, &mill->workers[i].wide);
        result->events += mill->workers[i].timeline.events;
        result->differ |= mill->workers[i].ties.differ;
    }
    cm_cells_sort(wide);
    result->end_ordinal =
        mill->end_ordinal > mill->options->since ? mill->end_ordinal : mill->options->since;
    cm_result_collect(result, mill->regions, mill->region_count, wide);
    mill->regions = NULL;
}

static void clean_up(mill_t *mill)
{
    gather_in(mill);
    for (int i = 0; i < mill->worker_count; i++) {
        worker_t *worker = &mill->workers[i];
        free(worker->timeline.heaps); /* their chunks are pieces of the slabs */
        cm_visited_free(&worker->timeline.visited);
        cm_partition_free(&worker->partition);
        cm_ties_free(&worker->ties);
        cm_cells_free(&worker->wide);
        cm_reader_close(worker->reader);
    }
    for (int i = 0; i < mill->worker_count; i++)
        cm_slabs_free(&mill->workers[i].slabs);
    for (uint32_t r = 0; mill->regions != NULL && r < mill->region_count; r++)
        cm_cells_free(&mill->regions[r]);
    free(mill->regions);
    free(mill->workers);
    free(mill->affected);
    cm_trim_free(mill->trim);
}

int cm_mill(const cm_mill_options_t *options, cm_mill_result_t *result, cm_err_t *err)
{
    mill_t mill = {.options = options, .spread = {.passes = 1, .count = 1}};

    *result = (cm_mill_result_t){0};
    int rc = run(&mill, err);
    if (rc == 0)
        take_result(&mill, result);
    clean_up(&mill);
    return rc;
}
