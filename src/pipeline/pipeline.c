#include "pipeline/pipeline.h"

#include "store/block.h"

#include <stdlib.h>

enum { COMMIT_MS = 1000, ASK_MS = 200 };

void cm_pipeline_start(cm_pipeline_t *pipeline, const cm_pipeline_env_t *env, cm_source_t *source,
                       cm_sink_t *sink)
{
    *pipeline = (cm_pipeline_t){.env = *env,
                                .source = source,
                                .sink = sink,
                                .commit_ms = COMMIT_MS,
                                .commit_events = CM_BLOCK_EVENTS,
                                .batch = CM_BATCH_INIT,
                                .committed_ns = cm_pipeline_ticks_ns(env)};
}

static int acknowledge(cm_pipeline_t *pipeline, cm_err_t *err)
{
    cm_source_t *source = pipeline->source;

    if (source == NULL || source->ops->acknowledge == NULL)
        return 0;
    /* An acknowledgement is for all batches up to a number: one that was lost must not be in it. */
    if (pipeline->lost > 0 && !pipeline->skips_lost)
        return 0;
    return source->ops->acknowledge(source, pipeline->durable + pipeline->lost, err);
}

int cm_pipeline_commit(cm_pipeline_t *pipeline, cm_err_t *err)
{
    int rc = cm_sink_commit(pipeline->sink, err);
    if (rc == 0 && pipeline->uncommitted.read > 0)
        cm_debug(pipeline->env.log, CM_DEBUG_PIPELINE, "committed",
                 "read=%llu accepted=%llu rejected=%llu batches=%llu",
                 (unsigned long long)pipeline->uncommitted.read,
                 (unsigned long long)pipeline->uncommitted.accepted,
                 (unsigned long long)pipeline->uncommitted.rejected,
                 (unsigned long long)(pipeline->put - pipeline->durable));
    if (rc < 0)
        return rc;
    cm_account_add(&pipeline->account, &pipeline->uncommitted);
    pipeline->uncommitted = (cm_account_t){0};
    pipeline->account_count = 0;
    pipeline->committed_ns = cm_pipeline_ticks_ns(&pipeline->env);
    pipeline->durable = pipeline->put;
    if (pipeline->on_commit != NULL)
        pipeline->on_commit(pipeline->commit_context);
    return acknowledge(pipeline, err);
}

/* Asks the sink which batches are durable by now, and acknowledges them. */
static int ask_durable(cm_pipeline_t *pipeline, cm_err_t *err)
{
    uint64_t durable;

    int rc = pipeline->sink->ops->durable(pipeline->sink, &durable, err);
    if (rc < 0 || durable <= pipeline->durable)
        return rc;
    size_t more = (size_t)(durable - pipeline->durable);
    for (size_t i = 0; i < more; i++)
        cm_account_add(&pipeline->account, &pipeline->accounts[i]);
    pipeline->account_count -= more;
    memmove(pipeline->accounts, pipeline->accounts + more,
            pipeline->account_count * sizeof *pipeline->accounts);
    pipeline->uncommitted = (cm_account_t){0};
    for (size_t i = 0; i < pipeline->account_count; i++)
        cm_account_add(&pipeline->uncommitted, &pipeline->accounts[i]);
    pipeline->durable = durable;
    cm_debug(pipeline->env.log, CM_DEBUG_PIPELINE, "durable", "batches=%llu waiting=%llu",
             (unsigned long long)durable, (unsigned long long)(pipeline->put - durable));
    return acknowledge(pipeline, err);
}

/* Counts the batch that was put. */
static void count_batch(cm_pipeline_t *pipeline)
{
    cm_account_add(&pipeline->uncommitted, &pipeline->batch.account);
    pipeline->put++;
    if (pipeline->sink->ops->durable == NULL)
        return;
    if (pipeline->account_count == pipeline->account_cap) {
        pipeline->account_cap = pipeline->account_cap ? pipeline->account_cap * 2 : 64;
        pipeline->accounts =
            cm_realloc(pipeline->accounts, pipeline->account_cap * sizeof *pipeline->accounts);
    }
    pipeline->accounts[pipeline->account_count++] = pipeline->batch.account;
}

/* Commits when that is due, or asks a sink that reports how far it is. */
static int commit_when_due(cm_pipeline_t *pipeline, cm_err_t *err)
{
    int64_t waited_ms = (cm_pipeline_ticks_ns(&pipeline->env) - pipeline->committed_ns) / 1000000;

    if (pipeline->sink->ops->durable != NULL) {
        if (waited_ms < ASK_MS)
            return 0;
        pipeline->committed_ns = cm_pipeline_ticks_ns(&pipeline->env);
        return ask_durable(pipeline, err);
    }
    if ((pipeline->commit_events > 0 &&
         pipeline->uncommitted.accepted >= pipeline->commit_events) ||
        (pipeline->commit_ms > 0 && waited_ms >= pipeline->commit_ms))
        return cm_pipeline_commit(pipeline, err);
    return 0;
}

static void show_progress(cm_pipeline_t *pipeline)
{
    uint64_t done = 0, total = 0;
    uint64_t count = pipeline->account.read + pipeline->uncommitted.read;

    if (pipeline->progress == NULL)
        return;
    if (pipeline->source->ops->progress != NULL)
        pipeline->source->ops->progress(pipeline->source, &done, &total);
    cm_progress_show(pipeline->progress, total > 0 ? (double)done / (double)total : -1, count);
}

void cm_pipeline_lose(cm_pipeline_t *pipeline)
{
    cm_debug(pipeline->env.log, CM_DEBUG_PIPELINE, "not committed and given back",
             "read=%llu batches=%llu", (unsigned long long)pipeline->uncommitted.read,
             (unsigned long long)(pipeline->put - pipeline->durable));
    cm_account_add(&pipeline->failed, &pipeline->uncommitted);
    pipeline->uncommitted = (cm_account_t){0};
    pipeline->account_count = 0;
    pipeline->lost += pipeline->put - pipeline->durable;
    pipeline->put = pipeline->durable;
}

int cm_pipeline_step(cm_pipeline_t *pipeline, cm_err_t *err)
{
    cm_batch_clear(&pipeline->batch);
    int more = cm_source_next(pipeline->source, &pipeline->batch, err);
    if (more < 0)
        return more;
    if (pipeline->fits != NULL)
        cm_store_fit(pipeline->fits, &pipeline->batch);
    int rc = pipeline->skips_empty && pipeline->batch.count == 0
                 ? 0
                 : cm_sink_put(pipeline->sink, &pipeline->batch, err);
    if (rc < 0) {
        cm_pipeline_lose(pipeline);
        cm_account_add(&pipeline->failed, &pipeline->batch.account);
        pipeline->lost++;
        return rc;
    }
    count_batch(pipeline);
    rc = commit_when_due(pipeline, err);
    if (rc < 0 && pipeline->sink->ops->durable == NULL)
        cm_pipeline_lose(pipeline); /* a later commit does not have it */
    show_progress(pipeline);
    return rc < 0 ? rc : more;
}

cm_account_t cm_pipeline_all(const cm_pipeline_t *pipeline)
{
    cm_account_t sum = pipeline->account;

    cm_account_add(&sum, &pipeline->uncommitted);
    cm_account_add(&sum, &pipeline->failed);
    return sum;
}

int cm_pipeline_run(cm_pipeline_t *pipeline, cm_err_t *err)
{
    int rc = 1;
    cm_err_t commit_err;

    while (rc > 0 && !cm_pipeline_stops(&pipeline->env))
        rc = cm_pipeline_step(pipeline, err);
    if (pipeline->progress != NULL)
        cm_progress_end(pipeline->progress);
    /* What came before a failure of the source is valid. */
    int committed = cm_pipeline_commit(pipeline, &commit_err);
    if (committed < 0 && rc >= 0) {
        *err = commit_err;
        return committed;
    }
    return rc < 0 ? rc : 0;
}

void cm_pipeline_free(cm_pipeline_t *pipeline)
{
    cm_batch_free(&pipeline->batch);
    free(pipeline->accounts);
}
