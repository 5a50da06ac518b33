#include "pipeline/pipeline.h"

#include "store/block.h"

#include <stdlib.h>

enum { COMMIT_MS = 1000, ASK_MS = 200 };

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

static int acknowledge(cm_pipeline_t *pipeline, cm_err_t *err)
{
    cm_source_t *source = pipeline->source;

    if (source == NULL || source->ops->acknowledge == NULL)
        return 0;
    return source->ops->acknowledge(source, pipeline->durable, err);
}

int cm_pipeline_commit(cm_pipeline_t *pipeline, cm_err_t *err)
{
    int rc = cm_sink_commit(pipeline->sink, err);
    if (rc < 0)
        return rc;
    cm_account_add(&pipeline->account, &pipeline->uncommitted);
    pipeline->uncommitted = (cm_account_t){0};
    pipeline->account_count = 0;
    pipeline->committed_ns = cm_clock_ticks_ns();
    pipeline->durable = pipeline->put;
    return acknowledge(pipeline, err);
}

/* Takes over what the sink says is durable by now. */
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
    return acknowledge(pipeline, err);
}

/* Notes that the batch is put. */
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

/* Commits, or asks how far the sink is, when it is time to. */
static int commit_when_due(cm_pipeline_t *pipeline, cm_err_t *err)
{
    int64_t waited_ms = (cm_clock_ticks_ns() - pipeline->committed_ns) / 1000000;

    if (pipeline->sink->ops->durable != NULL) {
        if (waited_ms < ASK_MS)
            return 0;
        pipeline->committed_ns = cm_clock_ticks_ns();
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

int cm_pipeline_step(cm_pipeline_t *pipeline, cm_err_t *err)
{
    cm_batch_clear(&pipeline->batch);
    int more = cm_source_next(pipeline->source, &pipeline->batch, err);
    if (more < 0)
        return more;
    int rc = cm_sink_put(pipeline->sink, &pipeline->batch, err);
    if (rc < 0) {
        cm_account_add(&pipeline->failed, &pipeline->uncommitted);
        cm_account_add(&pipeline->failed, &pipeline->batch.account);
        pipeline->uncommitted = (cm_account_t){0};
        return rc;
    }
    count_batch(pipeline);
    rc = commit_when_due(pipeline, err);
    show_progress(pipeline);
    return rc < 0 ? rc : more;
}

void cm_pipeline_lose(cm_pipeline_t *pipeline)
{
    cm_account_add(&pipeline->failed, &pipeline->uncommitted);
    pipeline->uncommitted = (cm_account_t){0};
    pipeline->account_count = 0;
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
    free(pipeline->accounts);
}

static bool has_spool(const cm_account_t *account)
{
    return account->collected > 0 || account->resumed > 0 || account->sent > 0 ||
           account->dead > 0 || account->spooled > 0;
}

void cm_account_add_json(cm_buf_t *buf, const cm_account_t *account)
{
    cm_buf_printf(buf,
                  "\"read\":%llu,\"accepted\":%llu,\"rejected\":%llu,\"skipped\":%llu,"
                  "\"unknown_fields\":%llu",
                  (unsigned long long)account->read, (unsigned long long)account->accepted,
                  (unsigned long long)account->rejected, (unsigned long long)account->skipped,
                  (unsigned long long)account->unknown_fields);
    if (account->bots > 0)
        cm_buf_printf(buf, ",\"bots\":%llu", (unsigned long long)account->bots);
    if (account->refused > 0)
        cm_buf_printf(buf, ",\"refused\":%llu", (unsigned long long)account->refused);
    if (account->gone > 0)
        cm_buf_printf(buf, ",\"gone\":%llu", (unsigned long long)account->gone);
    if (has_spool(account))
        cm_buf_printf(buf,
                      ",\"collected\":%llu,\"resumed\":%llu,\"sent\":%llu,\"dead\":%llu,"
                      "\"spooled\":%llu",
                      (unsigned long long)account->collected, (unsigned long long)account->resumed,
                      (unsigned long long)account->sent, (unsigned long long)account->dead,
                      (unsigned long long)account->spooled);
}

int cm_account_check(const cm_account_t *account, cm_err_t *err)
{
    if (account->gone > 0)
        return cm_fail(err, CM_EMISSING,
                       "%llu messages were deleted in Kafka before they were read: the topic keeps "
                       "them too short a time (retention.ms, retention.bytes), or too few read it",
                       (unsigned long long)account->gone);
    if (account->spooled > 0)
        return cm_fail(err, CM_EMISSING,
                       "%llu events are left in the spool; start the same command again when Kafka "
                       "takes them, and it sends them",
                       (unsigned long long)account->spooled);
    return 0;
}

void cm_account_print(cm_app_t *app, const cm_account_t *account, FILE *json)
{
    cm_account_print_as(app, account, json, "clickmill dead list");
}

/* "; gone 12": what stands beside the sum. */
static void add_missing(cm_buf_t *line, const char *what, uint64_t count)
{
    if (count == 0)
        return;
    cm_buf_printf(line, "; %s ", what);
    cm_buf_add_grouped(line, (int64_t)count);
}

/* "; collected 100 + resumed from the spool 100 = sent to Kafka 150 + spooled 50". */
static void add_spool(cm_buf_t *line, const cm_account_t *account)
{
    cm_buf_add_text(line, "; collected ");
    cm_buf_add_grouped(line, (int64_t)account->collected);
    if (account->resumed > 0) {
        cm_buf_add_text(line, " + resumed from the spool ");
        cm_buf_add_grouped(line, (int64_t)account->resumed);
    }
    cm_buf_add_text(line, " = sent to Kafka ");
    cm_buf_add_grouped(line, (int64_t)account->sent);
    if (account->dead > 0) {
        cm_buf_add_text(line, " + dead letters ");
        cm_buf_add_grouped(line, (int64_t)account->dead);
    }
    cm_buf_add_text(line, " + spooled ");
    cm_buf_add_grouped(line, (int64_t)account->spooled);
}

void cm_account_print_as(cm_app_t *app, const cm_account_t *account, FILE *json,
                         const char *dead_list)
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
    if (account->bots > 0) {
        cm_buf_add_text(&line, " (");
        cm_buf_add_grouped(&line, (int64_t)account->bots);
        cm_buf_add_text(&line, account->bots == 1 ? " of them by a bot)" : " of them by bots)");
    }
    add_missing(&line, "gone", account->gone);
    if (has_spool(account))
        add_spool(&line, account);
    fprintf(app->messages, "%s\n", line.data);
    if (account->rejected > account->told)
        fprintf(app->messages, "rejected messages are kept: `%s` shows them\n", dead_list);
    if (account->dead > 0)
        fprintf(app->messages,
                "events that Kafka refuses are kept: `clickmill dead list` shows them\n");
    if (account->unknown_fields > 0)
        fprintf(app->messages, "%llu fields that the contract does not know were ignored\n",
                (unsigned long long)account->unknown_fields);
    cm_buf_free(&line);
}
