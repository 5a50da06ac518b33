#include "cmd/pipeline.h"

#include "store/block.h"

enum { COMMIT_MS = 1000 };

void cm_pipeline_start(cm_pipeline_t *pipeline, cm_app_t *app, cm_source_t *source, cm_sink_t *sink)
{
    *pipeline = (cm_pipeline_t){.app = app,
                                .source = source,
                                .sink = sink,
                                .commit_ms = COMMIT_MS,
                                .commit_events = CM_BLOCK_EVENTS,
                                .batch = CM_BATCH_INIT,
                                .committed_ns = cm_clock_ticks_ns()};
}

int cm_pipeline_commit(cm_pipeline_t *pipeline, cm_err_t *err)
{
    int rc = cm_sink_commit(pipeline->sink, err);
    if (rc < 0)
        return rc;
    cm_account_add(&pipeline->account, &pipeline->uncommitted);
    pipeline->uncommitted = (cm_account_t){0};
    pipeline->committed_ns = cm_clock_ticks_ns();
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

int cm_pipeline_step(cm_pipeline_t *pipeline, cm_err_t *err)
{
    cm_batch_clear(&pipeline->batch);
    int more = cm_source_next(pipeline->source, &pipeline->batch, err);
    if (more < 0)
        return more;
    int rc = cm_sink_put(pipeline->sink, &pipeline->batch, err);
    if (rc < 0) {
        pipeline->uncommitted = (cm_account_t){0}; /* the sink has taken it back */
        return rc;
    }
    cm_account_add(&pipeline->uncommitted, &pipeline->batch.account);
    int64_t waited_ns = cm_clock_ticks_ns() - pipeline->committed_ns;
    if (pipeline->uncommitted.accepted >= pipeline->commit_events ||
        waited_ns >= pipeline->commit_ms * 1000000)
        rc = cm_pipeline_commit(pipeline, err);
    show_progress(pipeline);
    return rc < 0 ? rc : more;
}

int cm_pipeline_run(cm_pipeline_t *pipeline, cm_err_t *err)
{
    int rc = 1;
    cm_err_t commit_err;

    while (rc > 0 && !atomic_load(pipeline->app->stop))
        rc = cm_pipeline_step(pipeline, err);
    if (pipeline->progress != NULL)
        cm_progress_end(pipeline->progress);
    /* A source that fails has still delivered what came before. */
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
}

void cm_account_add_json(cm_buf_t *buf, const cm_account_t *account)
{
    cm_buf_printf(buf,
                  "\"read\":%llu,\"accepted\":%llu,\"rejected\":%llu,\"skipped\":%llu,"
                  "\"unknown_fields\":%llu",
                  (unsigned long long)account->read, (unsigned long long)account->accepted,
                  (unsigned long long)account->rejected, (unsigned long long)account->skipped,
                  (unsigned long long)account->unknown_fields);
}

void cm_account_print(cm_app_t *app, const cm_account_t *account, FILE *json)
{
    cm_buf_t line = CM_BUF_INIT;

    if (app->global.json) {
        cm_buf_add_char(&line, '{');
        cm_account_add_json(&line, account);
        fprintf(json, "%s}\n", line.data);
        cm_buf_free(&line);
        return;
    }
    cm_buf_add_text(&line, "read ");
    cm_buf_add_grouped(&line, (int64_t)account->read);
    cm_buf_add_text(&line, " = accepted ");
    cm_buf_add_grouped(&line, (int64_t)account->accepted);
    cm_buf_add_text(&line, " + rejected ");
    cm_buf_add_grouped(&line, (int64_t)account->rejected);
    cm_buf_add_text(&line, " + skipped ");
    cm_buf_add_grouped(&line, (int64_t)account->skipped);
    fprintf(app->messages, "%s\n", line.data);
    if (account->rejected > 0)
        fprintf(app->messages, "rejected messages are kept: `clickmill dead list` shows them\n");
    if (account->unknown_fields > 0)
        fprintf(app->messages, "%llu fields that the contract does not know were ignored\n",
                (unsigned long long)account->unknown_fields);
    cm_buf_free(&line);
}
