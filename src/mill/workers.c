#include "mill/run.h"
#include "mill/team.h"

#include <assert.h>
#include <stdlib.h>

int cm_mill_make_workers(cm_mill_run_t *run, cm_err_t *err)
{
    const int threads = cm_team_size(run->options->threads);
    int rc = 0;

    run->workers = cm_alloc_zero((size_t)threads, sizeof *run->workers);
    for (int i = 0; rc == 0 && i < threads; i++) {
        cm_mill_worker_t *worker = &run->workers[run->worker_count++];
        worker->run = run;
        rc = run->options->reader(run->options->context, &worker->reader, err);
    }
    return rc;
}

/* Called by any worker for each event that is a copy of another. */
static void mark_copy(void *context, int64_t ordinal)
{
    cm_mill_run_t *run = context;

    assert(ordinal >= 0 && ordinal < run->end_ordinal);
    cm_bitmap_set_atomic(run->options->copies, (size_t)ordinal);
}

void cm_mill_equip_workers(cm_mill_run_t *run)
{
    const cm_mill_options_t *options = run->options;

    for (int i = 0; i < run->worker_count; i++) {
        cm_mill_worker_t *worker = &run->workers[i];
        worker->timeline = (cm_timeline_t){
            .layout = &run->layout,
            .compact = &run->spread.compact,
            .windows = options->windows,
            .session_timeout_s = options->session_timeout / 1000,
            .lists = cm_alloc_zero(run->region_count, sizeof(cm_chunk_list_t)),
            .region_mask = run->region_count - 1,
            .slabs = &worker->slabs,
            .others = run->others ? cm_place(run->urls, 0, &run->layout) : CM_TIMELINE_NO_PLACE};
        worker->ties = (cm_ties_t){.layout = &run->layout,
                                   .blocks = run->blocks,
                                   .block_count = run->block_count,
                                   .since = options->since,
                                   .copy = options->copies != NULL ? mark_copy : NULL,
                                   .context = run};
    }
}

void cm_mill_open_lists(cm_mill_run_t *run)
{
    for (int i = 0; i < run->worker_count; i++) {
        cm_mill_worker_t *worker = &run->workers[i];
        worker->lists = cm_alloc_zero(run->spread.count, sizeof *worker->lists);
        worker->trimmer = run->trim != NULL ? cm_trimmer_new(run->trim) : NULL;
        worker->ties.unsure = run->trim != NULL || run->spread.compact.on;
    }
    run->kept = cm_alloc_zero(run->spread.count, sizeof *run->kept);
}

void cm_mill_close_lists(cm_mill_run_t *run)
{
    for (uint32_t p = 0; run->kept != NULL && p < run->spread.count; p++)
        cm_partition_free(&run->kept[p]);
    free(run->kept);
    run->kept = NULL;
    for (int i = 0; i < run->worker_count; i++) {
        cm_mill_worker_t *worker = &run->workers[i];
        for (uint32_t p = 0; worker->lists != NULL && p < run->spread.count; p++)
            cm_chunk_list_release(&worker->lists[p], &worker->slabs);
        free(worker->lists);
        cm_trimmer_free(worker->trimmer);
        free(worker->selected);
        worker->lists = NULL;
        worker->trimmer = NULL;
        worker->selected = NULL;
        worker->scattered = 0;
    }
}

void cm_mill_forget(cm_mill_run_t *run)
{
    for (int i = 0; i < run->worker_count; i++) {
        cm_mill_worker_t *worker = &run->workers[i];
        worker->overflow = false;
        worker->ties.count = 0;
        worker->timeline.events = 0;
        for (uint32_t r = 0; r < run->region_count; r++)
            cm_chunk_list_release(&worker->timeline.lists[r], &worker->slabs);
        cm_cells_free(&worker->wide);
    }
    for (uint32_t r = 0; r < run->region_count; r++)
        cm_cells_free(&run->regions[r]);
}

bool cm_mill_has_overflow(const cm_mill_run_t *run)
{
    bool overflow = false;

    for (int i = 0; i < run->worker_count; i++)
        overflow |= run->workers[i].overflow;
    return overflow;
}

/* ---- running a phase ---- */

typedef struct task {
    cm_mill_run_t *run;
    void (*phase)(cm_mill_worker_t *worker);
} task_t;

static void run_task(void *context, int number)
{
    const task_t *task = context;
    task->phase(&task->run->workers[number]);
}

int cm_mill_run_phase(cm_mill_run_t *run, void (*phase)(cm_mill_worker_t *worker), cm_err_t *err)
{
    task_t task = {run, phase};

    atomic_store(&run->next, 0);
    cm_team_run(run->worker_count, run_task, &task);
    for (int i = 0; i < run->worker_count; i++) {
        if (run->workers[i].rc < 0) {
            *err = run->workers[i].err;
            return run->workers[i].rc;
        }
    }
    return 0;
}

void cm_mill_free_workers(cm_mill_run_t *run)
{
    for (int i = 0; i < run->worker_count; i++) {
        cm_mill_worker_t *worker = &run->workers[i];
        free(worker->timeline.lists); /* their chunks are pieces of the slabs */
        cm_visited_free(&worker->timeline.visited);
        cm_partition_free(&worker->partition);
        cm_ties_free(&worker->ties);
        cm_cells_free(&worker->wide);
        cm_reader_close(worker->reader);
    }
    /* Only now: a worker's slabs may hold chunks that another worker has filled. */
    for (int i = 0; i < run->worker_count; i++)
        cm_slabs_free(&run->workers[i].slabs);
    free(run->workers);
}
