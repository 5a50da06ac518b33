/* The loop that every command with a source shares: source -> sink, committed in groups.
 *
 * An event is acknowledged only by a commit; a stop or a failing source still commits what came
 * before it. */
#ifndef CM_CMD_PIPELINE_H
#define CM_CMD_PIPELINE_H

#include "base/progress.h"
#include "cmd/app.h"
#include "sink/sink.h"
#include "source/source.h"

typedef struct cm_pipeline {
    cm_app_t *app;
    cm_source_t *source;
    cm_sink_t *sink;
    int64_t commit_ms;       /* at most that long between commits */
    size_t commit_events;    /* and at most that many events */
    cm_progress_t *progress; /* NULL: none */
    cm_account_t account;    /* of what was committed */
    /* the loop's own */
    cm_batch_t batch;
    cm_account_t uncommitted;
    int64_t committed_ns;
} cm_pipeline_t;

void cm_pipeline_start(cm_pipeline_t *pipeline, cm_app_t *app, cm_source_t *source,
                       cm_sink_t *sink);

/* One batch: 1 there may be more, 0 the source has ended, negative CM_E*. Commits when due. */
int cm_pipeline_step(cm_pipeline_t *pipeline, cm_err_t *err);

/* Commits what is put. */
int cm_pipeline_commit(cm_pipeline_t *pipeline, cm_err_t *err);

/* All of the source, or until the app is told to stop; commits in the end whatever happens. */
int cm_pipeline_run(cm_pipeline_t *pipeline, cm_err_t *err);

void cm_pipeline_free(cm_pipeline_t *pipeline);

/* Appends the account's fields as JSON, without braces. */
void cm_account_add_json(cm_buf_t *buf, const cm_account_t *account);

/* Prints `read = accepted + rejected + skipped` as a sentence, or where --json asks as JSON to
 * `json`. */
void cm_account_print(cm_app_t *app, const cm_account_t *account, FILE *json);

#endif
