#include "mill/mill.h"

#include "mill/partition.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    THREADS_MAX = 64,
    PARTITIONS_MAX = 1024,
    PARTITION_GRAINS = 32 * 1024, /* about what a core's L2 cache holds */
    /* Memory an event needs while it is in hand: twice its grain, once in a chunk and once in its
     * partition while one is emptied into the other, and some for ties. */
    BYTES_PER_EVENT = 3 * (int)sizeof(cm_grain_t),
};

typedef struct mill mill_t;

typedef struct worker {
    mill_t *mill;
    cm_reader_t *reader;
    size_t block_from, block_to;
    cm_heap_t *heaps;       /* one a partition */
    cm_timeline_t timeline; /* its cells are the worker's own */
    cm_ties_t ties;
    int rc;
    cm_err_t err;
} worker_t;

struct mill {
    const cm_mill_options_t *options;
    const cm_block_ref_t *blocks;
    size_t block_count;
    int64_t upto;
    uint8_t *affected; /* a bit a user: has new events; NULL: everybody */
    cm_spread_t spread;
    cm_partition_t *partitions;
    worker_t *workers;
    int worker_count;
    atomic_uint next; /* partition to take */
};

/* ---- phases, each run by all workers ---- */

static bool wanted(const mill_t *mill, uint32_t user, int64_t ordinal)
{
    if (ordinal >= mill->upto)
        return false;
    if (user % mill->spread.passes != mill->spread.pass)
        return false;
    return mill->affected == NULL || (mill->affected[user >> 3] >> (user & 7) & 1);
}

/* Reads a range of blocks and spreads the events over the partitions. */
static void scatter_phase(worker_t *worker)
{
    mill_t *mill = worker->mill;
    cm_columns_t columns = {0};

    for (size_t b = worker->block_from; worker->rc == 0 && b < worker->block_to; b++) {
        worker->rc =
            cm_reader_read(worker->reader, &mill->blocks[b], CM_READ_HOT, &columns, &worker->err);
        for (uint32_t i = 0; worker->rc == 0 && i < columns.count; i++) {
            uint32_t user = columns.ids[CM_USER][i];
            if (!wanted(mill, user, columns.first + i))
                continue;
            cm_grain_t grain = {.time = columns.time[i],
                                .ordinal = columns.first + i,
                                .user = user,
                                .url = columns.ids[CM_URL][i],
                                .country = columns.ids[CM_COUNTRY][i]};
            if (cm_heap_add(&worker->heaps[cm_spread_partition(&mill->spread, user)], &grain) < 0)
                worker->rc = cm_fail_memory(&worker->err);
        }
    }
    cm_columns_free(&columns);
}

/* Gathers and orders partitions until none is left. */
static void order_phase(worker_t *worker)
{
    mill_t *mill = worker->mill;
    cm_heap_t *heaps[THREADS_MAX];
    uint32_t p;

    while (worker->rc == 0 && (p = atomic_fetch_add(&mill->next, 1)) < mill->spread.count) {
        for (int i = 0; i < mill->worker_count; i++)
            heaps[i] = &mill->workers[i].heaps[p];
        worker->rc = cm_partition_build(&mill->partitions[p], heaps, mill->worker_count,
                                        &mill->spread, &worker->ties, &worker->err);
    }
    /* Ties read row keys; each worker resolves those of the partitions that it has built. */
    if (worker->rc == 0)
        worker->rc = cm_ties_resolve(&worker->ties, worker->reader, &worker->err);
    cm_ties_free(&worker->ties);
}

static void mark_copy(void *context, int64_t ordinal)
{
    mill_t *mill = context;
    atomic_fetch_or(&mill->options->copies[ordinal >> 3], (unsigned char)(1u << (ordinal & 7)));
}

static void timeline_phase(worker_t *worker)
{
    mill_t *mill = worker->mill;
    uint32_t p;

    while ((p = atomic_fetch_add(&mill->next, 1)) < mill->spread.count) {
        if (mill->options->copies != NULL)
            cm_partition_copies(&mill->partitions[p], mark_copy, mill);
        else
            cm_partition_mill(&mill->partitions[p], mill->options->since, &worker->timeline);
        cm_partition_free(&mill->partitions[p]);
    }
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
    pthread_t threads[THREADS_MAX];
    task_t tasks[THREADS_MAX];
    bool started[THREADS_MAX] = {false};

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

/* Marks the users that have events from `since` on; counts all their events at most. */
static int find_affected(mill_t *mill, cm_err_t *err)
{
    cm_columns_t columns = {0};
    int rc = 0;

    mill->affected = calloc(mill->spread.users / 8 + 1, 1);
    if (mill->affected == NULL)
        return cm_fail_memory(err);
    for (size_t b = 0; rc == 0 && b < mill->block_count; b++) {
        const cm_block_ref_t *block = &mill->blocks[b];
        if (block->first + block->count <= mill->options->since)
            continue;
        rc = cm_reader_read(mill->workers[0].reader, block, CM_READ_HOT, &columns, err);
        for (uint32_t i = 0; rc == 0 && i < columns.count; i++) {
            uint32_t user = columns.ids[CM_USER][i];
            if (block->first + i >= mill->options->since)
                mill->affected[user >> 3] |= (uint8_t)(1u << (user & 7));
        }
    }
    cm_columns_free(&columns);
    return rc;
}

static void choose_spread(mill_t *mill)
{
    int64_t memory = mill->options->memory;
    int64_t fits = memory < BYTES_PER_EVENT ? 1 : memory / BYTES_PER_EVENT;
    int64_t passes = memory > 0 ? (mill->upto + fits - 1) / fits : 1;
    uint32_t count = 1;

    /* A pass has one user at least. */
    passes = passes > mill->spread.users ? mill->spread.users : passes;
    passes = passes < 1 ? 1 : passes;
    while (count < PARTITIONS_MAX && mill->upto / passes / count > PARTITION_GRAINS)
        count *= 2;
    mill->spread.passes = (uint32_t)passes;
    mill->spread.count = count;
}

static int make_workers(mill_t *mill, cm_err_t *err)
{
    int threads = mill->options->threads;
    int rc = 0;

    if (threads <= 0)
        threads = (int)sysconf(_SC_NPROCESSORS_ONLN);
    threads = threads < 1 ? 1 : threads > THREADS_MAX ? THREADS_MAX : threads;
    mill->workers = cm_alloc_zero((size_t)threads, sizeof *mill->workers);
    for (int i = 0; rc == 0 && i < threads; i++) {
        worker_t *worker = &mill->workers[mill->worker_count++];
        worker->mill = mill;
        worker->timeline =
            (cm_timeline_t){.cells = cm_cells_new(),
                            .windows = mill->options->windows,
                            .session_timeout_s = mill->options->session_timeout / 1000};
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
        int64_t end = mill->upto * (i + 1) / mill->worker_count;
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
    if ((rc = run_phase(mill, order_phase, err)) < 0)
        return rc;
    report(mill, 0.8);
    rc = run_phase(mill, timeline_phase, err);
    report(mill, 1.0);
    return rc;
}

static int run(mill_t *mill, cm_err_t *err)
{
    int rc = make_workers(mill, err);
    if (rc < 0)
        return rc;
    cm_reader_t *reader = mill->workers[0].reader;
    if ((rc = cm_reader_blocks(reader, &mill->blocks, &mill->block_count, err)) < 0 ||
        (rc = cm_reader_names(reader, CM_USER, &mill->spread.users, err)) < 0)
        return rc;
    if (mill->block_count > 0) {
        const cm_block_ref_t *last = &mill->blocks[mill->block_count - 1];
        mill->upto = last->first + last->count;
    }
    if (mill->options->until > 0 && mill->upto > mill->options->until)
        mill->upto = mill->options->until;
    if (mill->upto <= mill->options->since)
        return 0;
    if (mill->options->since > 0 && (rc = find_affected(mill, err)) < 0)
        return rc;
    choose_spread(mill);
    share_blocks(mill);
    mill->partitions = cm_alloc_zero(mill->spread.count, sizeof *mill->partitions);
    for (int i = 0; i < mill->worker_count; i++)
        mill->workers[i].heaps = cm_alloc_zero(mill->spread.count, sizeof(cm_heap_t));
    for (uint32_t pass = 0; rc == 0 && pass < mill->spread.passes; pass++) {
        mill->spread.pass = pass;
        rc = run_pass(mill, err);
    }
    return rc;
}

static void take_result(mill_t *mill, cm_mill_result_t *result)
{
    result->cells = mill->workers[0].timeline.cells;
    mill->workers[0].timeline.cells = NULL;
    result->events = mill->workers[0].timeline.events;
    for (int i = 1; i < mill->worker_count; i++) {
        cm_cells_add(result->cells, mill->workers[i].timeline.cells);
        result->events += mill->workers[i].timeline.events;
    }
    result->upto = mill->upto > mill->options->since ? mill->upto : mill->options->since;
}

static void clean_up(mill_t *mill)
{
    for (int i = 0; i < mill->worker_count; i++) {
        worker_t *worker = &mill->workers[i];
        for (uint32_t p = 0; worker->heaps != NULL && p < mill->spread.count; p++)
            cm_heap_free(&worker->heaps[p]);
        free(worker->heaps);
        cm_ties_free(&worker->ties);
        cm_cells_free(worker->timeline.cells);
        cm_reader_close(worker->reader);
    }
    for (uint32_t p = 0; mill->partitions != NULL && p < mill->spread.count; p++)
        cm_partition_free(&mill->partitions[p]);
    free(mill->partitions);
    free(mill->workers);
    free(mill->affected);
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

int cm_mill_copies(const cm_mill_options_t *options, uint8_t **copies, int64_t *upto, cm_err_t *err)
{
    cm_mill_options_t marking = *options;
    const cm_block_ref_t *blocks;
    cm_mill_result_t result;
    cm_reader_t *reader;
    size_t count;

    *copies = NULL;
    *upto = 0;
    int rc = options->reader(options->context, &reader, err);
    if (rc < 0)
        return rc;
    if ((rc = cm_reader_blocks(reader, &blocks, &count, err)) == 0 && count > 0)
        *upto = blocks[count - 1].first + blocks[count - 1].count;
    cm_reader_close(reader);
    if (rc < 0)
        return rc;
    marking.copies = calloc((size_t)*upto / 8 + 1, 1);
    if (marking.copies == NULL)
        return cm_fail_memory(err);
    marking.since = 0;
    marking.until = *upto; /* and 0 would mean the end, where a writer may just have put some */
    if (*upto > 0 && (rc = cm_mill(&marking, &result, err)) == 0)
        cm_cells_free(result.cells);
    if (rc < 0)
        free((void *)marking.copies);
    else
        *copies = (uint8_t *)marking.copies;
    return rc;
}
