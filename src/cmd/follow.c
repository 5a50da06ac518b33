#include "cmd/follow.h"

#include "cmd/ingest.h"
#include "cmd/publishing.h"
#include "enrich/enriching.h"
#include "pipeline/windows.h"
#include "store/open.h"

enum {
    COMMIT_MS = 200, /* how long a click may wait for its commit */
    LINE_MS = 5000,  /* between status lines where there is no terminal */
    TERMINAL_MS = 500,
};

typedef struct follower {
    cm_app_t *app;
    const cm_follow_options_t *options;
    cm_kafka_settings_t settings;
    cm_store_t *store;
    cm_source_t *source;
    cm_timestamp_format_t times;
    cm_enriching_t enriching; /* as `ingest` does, so that both give the same answers */
    cm_pipeline_t pipeline;
    cm_index_mirror_t *mirror; /* NULL: there is only the embedded index */
    cm_index_refreshed_t answers;
    bool rebuild;           /* not done yet */
    int64_t refreshed_ns;   /* when the last refresh began */
    double refresh_seconds; /* of the last one that had something to do */
    uint64_t retries;
    int64_t shown_ns;
    uint64_t shown_read;
} follower_t;

/* ---- what the source asks ---- */

static int store_position(void *context, const char *name, int64_t *position, cm_err_t *err)
{
    follower_t *self = context;
    return cm_store_position(self->store, name, position, err);
}

static int drain(void *context, cm_err_t *err)
{
    follower_t *self = context;
    return cm_pipeline_commit(&self->pipeline, err);
}

/* ---- opening ---- */

static int open_topic(void *context)
{
    follower_t *self = context;
    const cm_source_kafka_options_t options = {.settings = &self->settings,
                                               .owner = {self, store_position, drain},
                                               .until_end = self->options->until_end,
                                               .times = self->times,
                                               .fill = cm_enricher_fill,
                                               .fill_context = self->enriching.enricher};

    return cm_source_kafka_open(&options, &self->source, &self->app->err);
}

static int open_all(follower_t *self)
{
    cm_app_t *app = self->app;
    const cm_pipeline_env_t env = cm_app_env(app);

    int rc = cm_timestamp_format_open(self->options->times, &self->times, &app->err);
    if (rc == 0)
        rc = cm_enriching_open_geoip(&self->enriching, self->options->geoip, &app->log, &app->err);
    if (rc == 0)
        rc = cm_store_open_directory(app->global.data_dir, app->clock, &self->store, &app->err);
    if (rc == 0)
        rc = cm_pipeline_reach(&env, open_topic, self, &self->retries, &app->err);
    if (rc == 0)
        rc = cm_publishing_start(app, &self->options->index, self->store, self->options->rebuild,
                                 true, &self->mirror);
    if (rc < 0)
        return rc;
    cm_store_share(self->store, true, &app->log);
    cm_pipeline_start(&self->pipeline, &env, self->source, &self->store->sink);
    self->pipeline.commit_ms = COMMIT_MS;
    fprintf(app->messages, "following topic %s at %s as group %s into %s%s%s\n",
            self->settings.topic, self->settings.brokers, self->settings.group,
            app->global.data_dir, self->mirror != NULL ? " and Elasticsearch's " : "",
            self->mirror != NULL ? cm_index_place(&self->options->index) : "");
    return 0;
}

/* ---- running ---- */

static int refresh(follower_t *self)
{
    cm_app_t *app = self->app;
    cm_index_refresh_options_t options = cm_app_refresh_options(app, self->options->windows);

    options.threads = self->options->threads;
    options.rebuild = self->rebuild;
    self->refreshed_ns = cm_clock_ticks_ns();
    int rc = cm_index_refresh(self->store, &options, &self->answers, &app->err);
    if (rc < 0)
        return rc;
    self->rebuild = false;
    if (self->answers.changed)
        self->refresh_seconds = (double)(cm_clock_ticks_ns() - self->refreshed_ns) / 1e9;
    if (self->mirror == NULL)
        return 0;
    cm_index_mirror_wake(self->mirror);
    return 0;
}

/* What is due: answers, and what the mirror has left for the store. */
static int keep_up(follower_t *self)
{
    cm_err_t *err = &self->app->err;

    if (cm_clock_ticks_ns() - self->refreshed_ns < self->options->every * INT64_C(1000000))
        return 0;
    int rc = cm_pipeline_commit(&self->pipeline, err);
    if (rc == 0 && self->mirror != NULL)
        rc = cm_index_mirror_collect(self->mirror, err);
    return rc == 0 ? refresh(self) : rc;
}

static void show_status(follower_t *self)
{
    const cm_account_t *done = &self->pipeline.account, *more = &self->pipeline.uncommitted;
    int64_t now = cm_clock_ticks_ns();
    uint64_t read = done->read + more->read;
    cm_buf_t line = CM_BUF_INIT;

    if (now - self->shown_ns < (self->app->terminal ? TERMINAL_MS : LINE_MS) * INT64_C(1000000))
        return;
    cm_ingest_add_reading(&line, self->source, read, read - self->shown_read,
                          (double)(now - self->shown_ns) / 1e9);
    cm_buf_printf(&line, ", %llu dead letters, ",
                  (unsigned long long)(done->rejected + more->rejected));
    cm_buf_add_grouped(&line, self->answers.cells);
    cm_buf_printf(&line, " cells in %.1f ms", self->refresh_seconds * 1000);
    if (self->mirror != NULL)
        cm_index_mirror_add_status(self->mirror, &line);
    const char *trouble = cm_source_kafka_trouble(self->source);
    if (trouble != NULL)
        cm_buf_printf(&line, "; waiting for Kafka: %s", trouble);
    cm_progress_tell(self->app->messages, self->app->terminal, &line);
    cm_buf_free(&line);
    self->shown_ns = now;
    self->shown_read = read;
}

static int loop(follower_t *self)
{
    int rc = refresh(self); /* what an earlier run has left */
    int more = 1;

    while (rc == 0 && more > 0 && !atomic_load(self->app->stop)) {
        more = cm_pipeline_step(&self->pipeline, &self->app->err);
        rc = more < 0 ? more : keep_up(self);
        if (rc == 0)
            show_status(self);
    }
    return rc;
}

/* ---- the end ---- */

/* Commits what is in hand, makes the last answers and sends them. */
static int finish(follower_t *self)
{
    cm_app_t *app = self->app;

    if (app->terminal)
        cm_progress_line(app->messages, (cm_str_t){"", 0});
    int rc = cm_pipeline_commit(&self->pipeline, &app->err);
    if (rc == 0)
        rc = refresh(self);
    if (rc == 0 && self->mirror != NULL)
        rc = cm_index_mirror_finish(self->mirror, true, &app->err);
    self->answers.changed = true; /* nothing new is no news of the whole run */
    cm_publishing_print_accounts(app, &self->pipeline.account, "clickmill dead list",
                                 &self->answers, self->refresh_seconds, self->mirror);
    if (rc == 0 && self->mirror != NULL && self->options->until_end &&
        cm_index_mirror_applied(self->mirror).refused > 0)
        rc = cm_fail(&app->err, CM_EIO,
                     "Elasticsearch refused documents; `clickmill dead list` says why");
    return rc == 0 ? cm_accounts_check(&self->pipeline.account, &app->err) : rc;
}

int cm_follow(cm_app_t *app, const cm_follow_options_t *options)
{
    follower_t self = {.app = app, .options = options, .rebuild = options->rebuild};

    self.settings = cm_kafka_settings_of(options->kafka, &app->log, app->stop);
    int rc = open_all(&self);
    self.shown_ns = cm_clock_ticks_ns();
    if (rc == 0)
        rc = loop(&self);
    if (rc == 0)
        rc = finish(&self);
    cm_index_mirror_stop(self.mirror);
    cm_source_close(self.source);
    cm_enriching_close(&self.enriching);
    cm_timestamp_format_close(&self.times);
    cm_pipeline_free(&self.pipeline);
    if (self.store != NULL)
        cm_sink_close(&self.store->sink);
    return rc;
}
