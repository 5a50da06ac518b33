/* The loop that every command with a source shares: source -> sink, committed in groups.
 *
 * An event is acknowledged, to its source as well, only when it is durable: by a commit, or where
 * the sink says so between commits. A stop or a failing source still commits what came before. */
#ifndef CM_PIPELINE_PIPELINE_H
#define CM_PIPELINE_PIPELINE_H

#include "base/progress.h"
#include "pipeline/env.h"
#include "sink/sink.h"
#include "source/source.h"

typedef struct cm_pipeline {
    cm_pipeline_env_t env;
    cm_source_t *source;
    cm_sink_t *sink;
    int64_t commit_ms;       /* at most that long between commits; 0: only at the end */
    size_t commit_events;    /* and at most that many events; 0: only at the end */
    bool skips_empty;        /* the sink is not given batches without events */
    cm_progress_t *progress; /* NULL: none */
    /* Called when a commit has succeeded, before the source is told; NULL: not. */
    void (*on_commit)(void *context);
    void *commit_context;
    cm_account_t account; /* of what is durable */
    cm_account_t failed;  /* of what the sink has taken back, or does not know of any more */
    /* the loop's own */
    cm_batch_t batch;
    cm_account_t uncommitted;
    cm_account_t *accounts; /* of the batches that are not durable, where the sink tells */
    size_t account_count, account_cap;
    uint64_t put, durable; /* batches */
    uint64_t lost;         /* batches that the source has given and the sink does not have */
    int64_t committed_ns;
} cm_pipeline_t;

void cm_pipeline_start(cm_pipeline_t *pipeline, const cm_pipeline_env_t *env, cm_source_t *source,
                       cm_sink_t *sink);

/* One batch: 1 there may be more, 0 the source has ended, negative CM_E*. Commits when due. */
int cm_pipeline_step(cm_pipeline_t *pipeline, cm_err_t *err);

/* Commits what is put, and acknowledges it. */
int cm_pipeline_commit(cm_pipeline_t *pipeline, cm_err_t *err);

/* The sink has taken back what was not committed. */
void cm_pipeline_lose(cm_pipeline_t *pipeline);

/* Everything that was read, whatever became of it. */
cm_account_t cm_pipeline_all(const cm_pipeline_t *pipeline);

/* All of the source, or until the pipeline is told to stop; commits in the end whatever happens. */
int cm_pipeline_run(cm_pipeline_t *pipeline, cm_err_t *err);

void cm_pipeline_free(cm_pipeline_t *pipeline);

#endif
