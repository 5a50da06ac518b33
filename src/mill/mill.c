#include "mill/mill.h"

#include "base/clock.h"
#include "mill/result.h"
#include "mill/run.h"

#include <assert.h>
#include <stdlib.h>

/* Memory that an event needs while it is held: the packed event, and some for chunks that are not
 * full and for ties. */
enum { BYTES_PER_EVENT = 24 };

static void report(const cm_mill_run_t *run, double fraction)
{
    if (run->options->progress != NULL)
        run->options->progress(run->options->progress_context,
                               (run->spread.pass + fraction) / run->spread.passes);
}

/* One pass: a part of the users, from the store to the cells. */
static int run_pass(cm_mill_run_t *run, cm_err_t *err)
{
    int rc = cm_mill_run_phase(run, cm_mill_scatter_phase, err);
    if (rc < 0)
        return rc;
    report(run, 0.5);
    if (cm_mill_has_overflow(run))
        return 0;
    if ((rc = cm_mill_run_phase(run, cm_mill_order_phase, err)) < 0 || atomic_load(&run->repeat))
        return rc;
    report(run, 0.8);
    if ((rc = cm_mill_run_phase(run, cm_mill_kept_phase, err)) < 0)
        return rc;
    rc = cm_mill_run_phase(run, cm_mill_gather_phase, err);
    report(run, 1.0);
    return rc;
}

static void log_spread(const cm_mill_run_t *run)
{
    cm_debug(run->options->log, CM_DEBUG_MILL, "spread",
             "passes=%u partitions=%u regions=%u threads=%d event_bytes=%d", run->spread.passes,
             run->spread.count, run->region_count, run->worker_count,
             run->spread.compact.on ? 8 : 16);
}

static int run_passes(cm_mill_run_t *run, cm_err_t *err)
{
    int rc = cm_mill_choose_spread(run, err);

    if (rc < 0)
        return rc;
    log_spread(run);
    cm_mill_open_lists(run);
    for (uint32_t pass = 0; rc == 0 && pass < run->spread.passes && !run->repeat; pass++) {
        run->spread.pass = pass;
        rc = run_pass(run, err);
    }
    return rc;
}

/* Repeats the passes in two cases. Either trimming has kept more events than fit. Or there are
 * copies at different places: to choose among these, their ordinals are needed, which the compact
 * form does not have; and a copy that is replaced may have been a witness for events that trimming
 * has left out (trim.h). */
static int repeat(cm_mill_run_t *run, cm_err_t *err)
{
    if (!cm_mill_has_overflow(run) && !run->repeat)
        return 0;
    cm_debug(run->options->log, CM_DEBUG_MILL, "repeat without trimming and compact events",
             "reason=%s", run->repeat ? "copies-differ" : "more-events-than-memory");
    cm_mill_close_lists(run);
    cm_mill_forget(run);
    cm_trim_free(run->trim);
    run->trim = NULL;
    run->plain = run->repeat;
    run->repeat = false;
    return run_passes(run, err);
}

static int run_all(cm_mill_run_t *run, cm_err_t *err)
{
    const cm_mill_options_t *options = run->options;
    int64_t memory = options->memory > 0 ? options->memory : INT64_MAX;

    run->fits = memory < BYTES_PER_EVENT ? 1 : memory / BYTES_PER_EVENT;
    int rc = cm_mill_make_workers(run, err);
    if (rc == 0)
        rc = cm_mill_survey(run, err);
    if (rc < 0 || run->end_ordinal <= options->since)
        return rc;
    if (options->since > 0 && (rc = cm_mill_find_affected(run, err)) < 0)
        return rc;
    cm_debug(options->log, CM_DEBUG_MILL, "plan",
             "from=%lld to=%lld blocks=%zu users=%u urls=%u mode=%s fits=%lld",
             (long long)options->since, (long long)run->end_ordinal, run->block_count,
             run->spread.users, run->urls,
             run->trim != NULL         ? "update-trimmed"
             : options->since > 0      ? "update"
             : options->copies != NULL ? "find-copies"
                                       : "everything",
             (long long)run->fits);
    cm_mill_divide_blocks(run);
    cm_mill_choose_regions(run, run->trim != NULL ? 4 * (run->end_ordinal - options->since)
                                                  : run->end_ordinal);
    cm_mill_equip_workers(run);
    if ((rc = run_passes(run, err)) == 0 && (rc = repeat(run, err)) == 0)
        rc = cm_mill_run_phase(run, cm_mill_finish_phase, err);
    return rc;
}

static void take_result(cm_mill_run_t *run, cm_mill_result_t *result)
{
    cm_cells_t *wide = &run->workers[0].wide;

    for (int i = 0; i < run->worker_count; i++) {
        if (i > 0)
            cm_cells_add(wide, &run->workers[i].wide);
        result->events += run->workers[i].timeline.events;
        result->differ |= run->workers[i].ties.differ;
    }
    cm_cells_sort(wide);
    result->end_ordinal =
        run->end_ordinal > run->options->since ? run->end_ordinal : run->options->since;
    cm_result_collect(result, run->regions, run->region_count, wide);
    run->regions = NULL;
}

static void clean_up(cm_mill_run_t *run)
{
    cm_mill_close_lists(run);
    cm_mill_free_workers(run);
    for (uint32_t r = 0; run->regions != NULL && r < run->region_count; r++)
        cm_cells_free(&run->regions[r]);
    free(run->regions);
    free(run->affected);
    cm_trim_free(run->trim);
}

int cm_mill(const cm_mill_options_t *options, cm_mill_result_t *result, cm_err_t *err)
{
    cm_mill_run_t run = {.options = options, .spread = {.passes = 1, .count = 1}};

    assert(options->since >= 0 && options->until >= 0);
    assert((options->windows & ~(unsigned)CM_WINDOWS_EVERY) == 0);
    *result = (cm_mill_result_t){0};
    const int64_t started_ns = cm_clock_ticks_ns();
    int rc = run_all(&run, err);
    if (rc == 0) {
        take_result(&run, result);
        cm_debug(options->log, CM_DEBUG_MILL, "done",
                 "cells=%zu events=%lld copies_differ=%s ms=%lld", result->count,
                 (long long)result->events, result->differ ? "yes" : "no",
                 (long long)((cm_clock_ticks_ns() - started_ns) / 1000000));
    }
    clean_up(&run);
    return rc;
}
