/* clickmill process --follow: a Kafka topic into answers. */
#include "cmd/process.h"
#include "cmd/publishing.h"
#include "pipeline/intake.h"
#include "pipeline/upkeep.h"
#include "store/open.h"

enum {
    COMMIT_MS = 200, /* how long an event may wait for its commit */
    EVERY_MS = 1000, /* between two refreshes, unless --every says otherwise */
};

typedef struct follower {
    cm_app_t *app;
    const cm_processing_options_t *options;
    unsigned windows;
    cm_index_settings_t index;
    cm_timestamp_format_t times;
    cm_store_t *store;
    cm_intake_t intake; /* it enriches as `ingest` does, so that both give the same answers */
    cm_pipeline_t pipeline;
    cm_upkeep_t upkeep;
    cm_index_mirror_t *mirror; /* NULL: the embedded index is the only one */
    cm_driver_t driver;
} follower_t;

/* ---- opening ---- */

static void print_start(const follower_t *self)
{
    FILE *messages = self->app->messages;

    fprintf(messages, "following topic %s at %s as group %s into %s", self->intake.kafka.topic,
            self->intake.kafka.brokers, self->intake.kafka.group, self->app->global.data_dir);
    if (self->mirror != NULL)
        fprintf(messages, " and %s's %s", cm_index_engine(&self->index),
                cm_index_place(&self->index));
    fputc('\n', messages);
}

static int open_all(follower_t *self)
{
    const cm_processing_options_t *asked = self->options;
    cm_app_t *app = self->app;
    const cm_pipeline_env_t env = cm_app_env(app);
    cm_index_refresh_options_t refreshing = cm_app_refresh_options(app, self->windows);

    refreshing.threads = (int)asked->threads;
    refreshing.rebuild = asked->rebuild;
    int rc = cm_timestamp_format_open(&asked->times, &self->times, &app->err);
    if (rc == 0)
        rc = cm_intake_init(&self->intake, &env, NULL, &asked->enrich, &app->err);
    if (rc == 0)
        rc = cm_store_open_directory(app->global.data_dir, app->clock, &self->store, &app->err);
    const cm_intake_options_t intake = {.kafka = &asked->kafka,
                                        .times = self->times,
                                        .positions = self->store,
                                        .pipeline = &self->pipeline,
                                        .until_end = asked->until_end};
    if (rc == 0)
        rc = cm_intake_open(&self->intake, &intake, &app->err);
    if (rc == 0)
        rc = cm_publishing_start(app, &self->index, self->store, asked->rebuild, true,
                                 &self->mirror);
    if (rc < 0)
        return rc;
    cm_store_share(self->store, true, &app->log);
    cm_pipeline_start(&self->pipeline, &env, self->intake.topic, &self->store->sink);
    self->pipeline.commit_ms = COMMIT_MS;
    cm_upkeep_open(&self->upkeep, &env, self->store, &refreshing,
                   asked->every > 0 ? asked->every : EVERY_MS);
    self->upkeep.mirror = self->mirror;
    print_start(self);
    return 0;
}

/* ---- while it runs ---- */

static bool due(void *context, int64_t now_ns)
{
    const follower_t *self = context;
    return cm_upkeep_due(&self->upkeep, now_ns);
}

static int refresh(void *context, cm_err_t *err)
{
    follower_t *self = context;
    return cm_upkeep_step(&self->upkeep, err);
}

static void look(void *context)
{
    follower_t *self = context;
    cm_intake_note_waiting(&self->intake, NULL);
}

static uint64_t count(const void *context)
{
    const follower_t *self = context;
    return self->pipeline.account.read + self->pipeline.uncommitted.read;
}

static bool status(void *context, const cm_driver_pace_t *pace, cm_buf_t *line)
{
    follower_t *self = context;

    cm_intake_add_reading(line, self->intake.topic, pace);
    cm_buf_printf(line, ", %llu dead letters, ",
                  (unsigned long long)(self->pipeline.account.rejected +
                                       self->pipeline.uncommitted.rejected));
    cm_buf_add_grouped(line, self->upkeep.answers.cells);
    cm_buf_printf(line, " cells in %.1f ms", self->upkeep.seconds * 1000);
    if (self->mirror != NULL)
        cm_index_mirror_add_status(self->mirror, line);
    cm_intake_add_waiting(&self->intake, line);
    return true;
}

static int loop(follower_t *self)
{
    static const cm_driver_ops_t ops = {
        .due = due, .refresh = refresh, .look = look, .count = count, .status = status};
    cm_err_t *err = &self->app->err;

    cm_driver_start(&self->driver, &self->pipeline, &ops, self);
    int rc = cm_upkeep_whole(&self->upkeep, err); /* what an earlier run has left */
    return rc == 0 ? cm_driver_run(&self->driver, err) : rc;
}

/* ---- the end ---- */

/* Commits what was read, refreshes the answers for the last time and sends them. */
static int finish(follower_t *self)
{
    cm_app_t *app = self->app;
    cm_upkeep_t *upkeep = &self->upkeep;

    cm_pipeline_end_line(&self->pipeline.env);
    int rc = cm_pipeline_commit(&self->pipeline, &app->err);
    if (rc == 0)
        rc = cm_upkeep_whole(upkeep, &app->err);
    if (rc == 0 && self->mirror != NULL)
        rc = cm_index_mirror_finish(self->mirror, true, &app->err);
    upkeep->answers.changed = true; /* "nothing new" would be wrong of the whole run */
    cm_publishing_print_accounts(app, &self->pipeline.account, "clickmill dead list",
                                 &upkeep->answers, upkeep->seconds, self->mirror);
    if (rc == 0 && self->mirror != NULL && self->options->until_end &&
        cm_index_mirror_applied(self->mirror).refused > 0)
        rc = cm_fail(&app->err, CM_EIO, "%s refused documents; `clickmill dead list` says why",
                     cm_index_engine(&self->index));
    return rc == 0 ? cm_accounts_check(&self->pipeline.account, &app->err) : rc;
}

int cm_processing_follow(cm_app_t *app, const cm_processing_options_t *asked, unsigned windows)
{
    follower_t self = {.app = app, .options = asked, .windows = windows};

    self.index = cm_app_index_settings(app, &asked->index);
    int rc = open_all(&self);
    if (rc == 0)
        rc = loop(&self);
    if (rc == 0)
        rc = finish(&self);
    cm_index_mirror_stop(self.mirror);
    cm_source_close(self.intake.topic);
    cm_intake_close(&self.intake);
    cm_timestamp_format_close(&self.times);
    cm_pipeline_free(&self.pipeline);
    cm_store_close(self.store);
    return rc;
}
