/* One run of the mill, as the files that make it up share it:
 *
 *   mill.c     the entry: passes over the users, the repetition, the result
 *   plan.c     decisions made before the passes: layouts, partitions, regions, trimming
 *   workers.c  the workers' memory, and running a phase on all of them
 *   phases.c   what one worker does in each phase
 *
 * A pass has four phases (scatter, order, kept, gather); a last phase makes the sums of all passes.
 * The calling thread owns the run and is its first worker; the others are threads that live for one
 * phase. During a phase a worker writes only to itself and to the partitions or regions that it has
 * taken by `next`, to all workers' lists of these, and to the atomic members. Everything else
 * changes only between phases, on the calling thread. */
#ifndef CM_MILL_RUN_H
#define CM_MILL_RUN_H

#include "base/bitmap.h"
#include "mill/cells.h"
#include "mill/mill.h"
#include "mill/partition.h"
#include "mill/trim.h"

typedef struct cm_mill_run cm_mill_run_t;

typedef struct cm_mill_worker {
    cm_mill_run_t *run;
    cm_reader_t *reader;
    size_t block_from, block_to; /* the worker scatters these blocks */
    cm_chunk_list_t *lists;      /* events, one list per partition */
    int64_t scattered;           /* events that trimming has kept */
    cm_trimmer_t *trimmer;       /* NULL: nothing is trimmed */
    uint32_t *selected;          /* rows of a block that trimming keeps */
    bool overflow;               /* trimming has kept more than fits into memory */
    cm_slabs_t slabs;            /* chunks of this worker's lists */
    cm_partition_t partition;    /* the one being ordered */
    cm_timeline_t timeline;      /* its lists are the worker's: contributions, one per region */
    cm_ties_t ties;
    cm_cells_t wide; /* cells of all urls */
    int rc;
    cm_err_t err;
} cm_mill_worker_t;

struct cm_mill_run {
    const cm_mill_options_t *options;
    const cm_block_ref_t *blocks; /* of the first worker's reader */
    size_t block_count;
    int64_t end_ordinal; /* events before it belong to the run */
    uint32_t urls;       /* ids are below it; it is that of events that are no page views */
    bool others;         /* some events may be no page views */
    uint8_t *affected;   /* bitmap of users that have new events; NULL: all users */
    cm_trim_t *trim;     /* NULL: nothing is trimmed */
    int64_t fits;        /* events that fit into the allowed memory at once */
    cm_packed_layout_t layout;
    cm_gathering_t gathering;
    cm_cells_t *regions;
    uint32_t region_count; /* a power of two */
    cm_spread_t spread;
    cm_partition_t *kept; /* by partition: those whose ties are not resolved yet */
    atomic_bool repeat;   /* copies differ, and the events at hand are not enough to choose */
    bool plain;           /* the repetition: nothing is trimmed or compact */
    cm_mill_worker_t *workers;
    int worker_count;
    atomic_uint next; /* the partition or region that a worker takes next */
};

/* ---- plan.c ---- */

/* Reads from the store its blocks, where it ends and how many strings it has; chooses the layout of
 * packed events. CM_EINTERNAL when the store has more than a packed event can hold. */
int cm_mill_survey(cm_mill_run_t *run, cm_err_t *err);

/* Reads what the run needs of a block: its hot columns, in which events that are no page views have
 * the url run->urls and the country 0. They take part in finding copies and in no answer. */
int cm_mill_read(const cm_mill_run_t *run, cm_reader_t *reader, const cm_block_ref_t *block,
                 cm_columns_t *columns, cm_err_t *err);

/* Marks the users that have events from `since` on, and prepares trimming where it pays. */
int cm_mill_find_affected(cm_mill_run_t *run, cm_err_t *err);

/* Gives each worker consecutive blocks with about the same number of events. */
void cm_mill_divide_blocks(cm_mill_run_t *run);

/* Chooses over how many regions the urls are spread, for so many events. */
void cm_mill_choose_regions(cm_mill_run_t *run, int64_t events);

/* Chooses the number of passes and of partitions in a pass, and whether events are compact. */
int cm_mill_choose_spread(cm_mill_run_t *run, cm_err_t *err);

/* Whether the user's events are part of the run. */
static inline bool cm_mill_is_affected(const cm_mill_run_t *run, uint32_t user)
{
    return run->affected == NULL || cm_bitmap_get(run->affected, user);
}

/* ---- workers.c ---- */

/* As many workers as the options say, each with a reader and nothing else. */
int cm_mill_make_workers(cm_mill_run_t *run, cm_err_t *err);

/* Gives each worker what does not depend on the spread. Once, when the regions are chosen. */
void cm_mill_equip_workers(cm_mill_run_t *run);

/* Gives each worker its empty lists, one per partition, and its trimmer; makes run->kept. */
void cm_mill_open_lists(cm_mill_run_t *run);

/* The opposite. Also after a failure, and when nothing is open. */
void cm_mill_close_lists(cm_mill_run_t *run);

/* Forgets all contributions and cells, for a repetition. */
void cm_mill_forget(cm_mill_run_t *run);

/* Whether trimming has kept too much. */
bool cm_mill_has_overflow(const cm_mill_run_t *run);

/* Runs the phase on all workers, the first of them on this thread; returns the first failure. */
int cm_mill_run_phase(cm_mill_run_t *run, void (*phase)(cm_mill_worker_t *worker), cm_err_t *err);

void cm_mill_free_workers(cm_mill_run_t *run);

/* ---- phases.c: each is run by all workers and sets worker->rc and worker->err ---- */

/* Reads the worker's blocks and spreads their events over the partitions. */
void cm_mill_scatter_phase(cm_mill_worker_t *worker);

/* Takes partitions, orders them, and mills them while they are in the cache; partitions with ties
 * whose row keys must be read go to run->kept. Then resolves the ties of these. */
void cm_mill_order_phase(cm_mill_worker_t *worker);

/* Takes the partitions in run->kept and mills them. */
void cm_mill_kept_phase(cm_mill_worker_t *worker);

/* Takes regions and adds up all workers' contributions to them. */
void cm_mill_gather_phase(cm_mill_worker_t *worker);

/* After all passes: takes regions, makes their sums and sorts their cells. */
void cm_mill_finish_phase(cm_mill_worker_t *worker);

#endif
