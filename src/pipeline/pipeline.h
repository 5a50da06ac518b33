/* A pipeline: batches go from a source to a sink, and are committed in groups.
 *
 * An event is acknowledged, also to its source, only when it is durable: after a commit, or where
 * the sink reports it between commits. After a stop or a failure of the source, what came before is
 * still committed. Source and sink are borrowed. Used by one thread. */
#ifndef CM_PIPELINE_PIPELINE_H
#define CM_PIPELINE_PIPELINE_H

#include "base/progress.h"
#include "pipeline/env.h"
#include "sink/sink.h"
#include "source/source.h"
#include "store/store.h"

typedef struct cm_pipeline {
    cm_pipeline_env_t env;
    cm_source_t *source;
    cm_sink_t *sink;
    int64_t commit_ms;      /* the longest time between commits; 0: only at the end */
    size_t commit_events;   /* the most events between commits; 0: only at the end */
    bool skips_empty;       /* the sink is not given batches without events */
    bool skips_lost;        /* the source knows which batches were lost: later ones are acknowledged
                               nevertheless; else nothing is after a loss */
    const cm_store_t *fits; /* batches are cut to what this store keeps; NULL: they are not */
    cm_progress_t *progress; /* NULL: none */
    /* Called when a commit has succeeded, before the source is told; NULL: not. */
    void (*on_commit)(void *context);
    void *commit_context;
    cm_account_t account; /* of what is durable */
    cm_account_t failed;  /* of what the sink has taken back, or cannot report any more */
    /* the pipeline's own */
    cm_batch_t batch;
    cm_account_t uncommitted;
    cm_account_t *accounts; /* of the batches that are not durable yet, where the sink reports it */
    size_t account_count, account_cap;
    uint64_t put, durable; /* batches */
    uint64_t lost;         /* batches that the source has given and the sink does not have */
    int64_t committed_ns;
} cm_pipeline_t;

/* Sets the fields above; commits are due after a second or a block of events, unless other values
 * are set afterwards. */
void cm_pipeline_start(cm_pipeline_t *pipeline, const cm_pipeline_env_t *env, cm_source_t *source,
                       cm_sink_t *sink);

/* Moves one batch, and commits when that is due. 1 there may be more, 0 the source has ended,
 * negative CM_E*. */
int cm_pipeline_step(cm_pipeline_t *pipeline, cm_err_t *err);

/* Commits what was put, and acknowledges it. */
int cm_pipeline_commit(cm_pipeline_t *pipeline, cm_err_t *err);

/* To be called when the sink has taken back what was not committed: it is counted as failed. */
void cm_pipeline_lose(cm_pipeline_t *pipeline);

/* The account of everything that was read, durable or not. */
cm_account_t cm_pipeline_all(const cm_pipeline_t *pipeline);

/* Moves the whole source, or until the pipeline is told to stop; commits at the end in any case.
 * Returns 0 or the first failure. */
int cm_pipeline_run(cm_pipeline_t *pipeline, cm_err_t *err);

void cm_pipeline_free(cm_pipeline_t *pipeline);

#endif
