/* clickmill run: the whole pipeline on this machine. */
#include "cmd/commands.h"
#include "cmd/pipeline.h"
#include "cmd/publishing.h"
#include "cmd/refresh.h"
#include "cmd/run_cluster.h"
#include "cmd/traffic.h"
#include "serve/server.h"

typedef struct run_options {
    const char *listen;
    int64_t every;
    bool demo;
    int index; /* cm_index_choice_t */
    cm_traffic_options_t traffic;
    cm_cluster_options_t cluster;
    cm_elastic_given_t elastic;
} run_options_t;

enum {
    COMMIT_MS = 200, /* how long a click may wait for its commit */
    IDLE_MS = 50,
    LINE_MS = 5000, /* between status lines where there is no terminal */
    TERMINAL_MS = 500,
    WINDOWS = 1 << CM_WINDOW_ALL | 1 << CM_WINDOW_DAY | 1 << CM_WINDOW_HOUR,
};

static const cm_option_t options[] = {
    {.name = "listen",
     .letter = 'l',
     .type = CM_OPT_TEXT,
     .offset = offsetof(run_options_t, listen),
     .arg = "ADDRESS:PORT",
     .def = "127.0.0.1:8080",
     .key = "http.listen",
     .env = "CLICKMILL_LISTEN",
     .help = "where the dashboard and the API answer"},
    {.name = "every",
     .type = CM_OPT_DURATION,
     .offset = offsetof(run_options_t, every),
     .arg = "TIME",
     .def = "1s",
     .min = 100,
     .max = CM_DAY_MS,
     .key = "run.every",
     .help = "how often the answers are brought up to date"},
    {.name = "demo",
     .type = CM_OPT_FLAG,
     .offset = offsetof(run_options_t, demo),
     .def = "true",
     .key = "run.demo",
     .help = "make synthetic traffic; --no-demo leaves it out"},
    CM_TRAFFIC_ROWS(run_options_t, traffic),
    CM_SINK_ROW(run_options_t, cluster.sink),
    CM_STORE_ROW(run_options_t, cluster.store),
    CM_INDEX_ROW(run_options_t, index),
    CM_GEOIP_ROW(run_options_t, cluster.geoip),
    CM_KAFKA_ROWS(run_options_t, cluster.kafka),
    CM_CASSANDRA_ROWS(run_options_t, cluster.cassandra),
    CM_ELASTIC_ROWS(run_options_t, elastic),
    {.name = NULL},
};

/* All that runs. One thread does everything but the HTTP answers, and sending to Kafka. */
typedef struct runner {
    cm_app_t *app;
    const run_options_t *options;
    cm_store_t *store;
    cm_source_t *source; /* NULL: no demo traffic, or it has ended; or Kafka's topic */
    cm_cluster_t cluster;
    cm_pipeline_t pipeline;
    cm_server_t *server;
    cm_publishing_t *publishing; /* NULL: the embedded index is all there is */
    cm_refreshed_t answers;
    double refresh_seconds; /* of the last refresh */
    int64_t refreshed_ns, shown_ns;
    uint64_t shown_accepted;
} runner_t;

static int refresh(runner_t *runner)
{
    cm_refresh_options_t refresh_options;
    int64_t started = cm_clock_ticks_ns();

    cm_refresh_options(runner->app, WINDOWS, &refresh_options);
    int rc = cm_refresh(runner->store, &refresh_options, &runner->answers, &runner->app->err);
    runner->refreshed_ns = cm_clock_ticks_ns();
    if (runner->answers.changed)
        runner->refresh_seconds = (double)(runner->refreshed_ns - started) / 1e9;
    if (rc == 0 && runner->publishing != NULL)
        cm_publishing_wake(runner->publishing);
    return rc;
}

static void show_status(runner_t *runner, int64_t now_ns)
{
    uint64_t accepted = runner->pipeline.account.accepted;
    double seconds = (double)(now_ns - runner->shown_ns) / 1e9;
    cm_buf_t line = CM_BUF_INIT;

    cm_buf_add_grouped(&line, runner->answers.events);
    cm_buf_add_text(&line, " events, ");
    cm_buf_add_grouped(&line,
                       (int64_t)((double)(accepted - runner->shown_accepted) / seconds + 0.5));
    cm_buf_add_text(&line, "/s, ");
    cm_buf_add_grouped(&line, runner->answers.cells);
    cm_buf_printf(&line, " cells, answers in %.1f ms, %llu rejected  http://%s",
                  runner->refresh_seconds * 1000,
                  (unsigned long long)runner->pipeline.account.rejected, runner->options->listen);
    if (runner->publishing != NULL)
        cm_publishing_add_status(runner->publishing, &line);
    if (runner->cluster.waiting_for != NULL)
        cm_buf_printf(&line, "; waiting for %s: %s", runner->cluster.waiting_for,
                      runner->cluster.waiting_reason);
    cm_progress_tell(runner->app->messages, runner->app->terminal, &line);
    cm_buf_free(&line);
    runner->shown_ns = now_ns;
    runner->shown_accepted = accepted;
}

static void show_when_due(runner_t *runner)
{
    int64_t now = cm_clock_ticks_ns();
    int64_t show_ms = runner->app->terminal ? TERMINAL_MS : LINE_MS;

    if (now - runner->shown_ns >= show_ms * 1000000)
        show_status(runner, now);
}

static void show_waiting(void *context)
{
    show_when_due(context);
}

/* Takes what the source has; without one, waits a little. */
static int take_events(runner_t *runner)
{
    if (runner->source == NULL) {
        cm_sleep_ms(IDLE_MS);
        return 0;
    }
    int rc = cm_pipeline_step(&runner->pipeline, &runner->app->err);
    if (rc == 0) { /* --count events are made: the pages stay up */
        rc = cm_pipeline_commit(&runner->pipeline, &runner->app->err);
        cm_source_close(runner->source);
        runner->source = runner->pipeline.source = NULL;
    }
    return rc < 0 ? rc : 0;
}

static int loop(runner_t *runner)
{
    int rc = 0;

    while (rc == 0 && !atomic_load(runner->app->stop)) {
        rc = take_events(runner);
        if (rc == 0)
            rc = cm_cluster_check(&runner->cluster, &runner->app->err);
        int64_t now = cm_clock_ticks_ns();
        if (rc == 0 && now - runner->refreshed_ns >= runner->options->every * 1000000) {
            rc = cm_pipeline_commit(&runner->pipeline, &runner->app->err);
            if (rc == 0 && runner->publishing != NULL)
                rc = cm_publishing_collect(runner->publishing, runner->store, &runner->app->err);
            if (rc == 0)
                rc = refresh(runner);
        }
        if (rc == 0)
            show_when_due(runner);
    }
    return rc;
}

/* Drains: commits what is in hand and computes the last answers, then says what happened. */
static int finish(runner_t *runner)
{
    cm_app_t *app = runner->app;

    if (app->terminal)
        cm_progress_line(app->messages, (cm_str_t){"", 0});
    cm_cluster_stop(&runner->cluster);
    int rc = cm_pipeline_commit(&runner->pipeline, &app->err);
    if (rc == 0)
        rc = refresh(runner);
    if (rc == 0) {
        runner->answers.changed = true; /* nothing new is no news of the whole run */
        if (runner->publishing != NULL)
            rc = cm_publishing_finish(runner->publishing, runner->store, false, &app->err);
        cm_accounts_print(app, &runner->pipeline.account, &runner->answers, runner->refresh_seconds,
                          runner->publishing);
    }
    if (rc == 0) {
        rc = cm_cluster_check(&runner->cluster, &app->err); /* traffic that was not sent */
    }
    return rc;
}

static int start(runner_t *runner)
{
    const run_options_t *asked = runner->options;
    cm_app_t *app = runner->app;
    const cm_server_options_t server = {.listen = asked->listen, .data_dir = app->global.data_dir};
    cm_buf_t way = CM_BUF_INIT;
    cm_sink_t *sink;

    cm_buf_reserve(&way, 1);
    int rc = cm_embedded_open(app->global.data_dir, app->clock, &runner->store, &app->err);
    if (rc == 0 && asked->demo)
        rc = cm_traffic_open(app, &asked->traffic, true, true, &runner->source);
    if (rc == 0)
        rc = cm_cluster_open(&runner->cluster, app, &asked->cluster, runner->store,
                             &runner->pipeline, &runner->source, &sink, &app->err);
    if (rc == 0) {
        runner->cluster.show = show_waiting;
        runner->cluster.show_context = runner;
        cm_cluster_describe(&runner->cluster, &way);
        if (asked->index == CM_INDEX_ELASTICSEARCH)
            cm_buf_printf(&way, ", answers also in Elasticsearch's %s", asked->elastic.index);
        cm_pipeline_start(&runner->pipeline, app, runner->source, sink);
        runner->pipeline.commit_ms = COMMIT_MS;
        if (asked->index == CM_INDEX_ELASTICSEARCH)
            rc = cm_publishing_start(app, &asked->elastic, runner->store, false, true,
                                     &runner->publishing, &app->err);
    }
    if (rc == 0)
        rc = refresh(runner); /* what an earlier run has left */
    if (rc == 0)
        rc = cm_server_start(&server, &app->log, &runner->server, &app->err);
    if (rc == 0)
        fprintf(app->messages, "clickmill %s: data in %s, dashboard and API on http://%s, %s%s\n",
                CM_VERSION, app->global.data_dir, asked->listen,
                asked->demo ? "with synthetic traffic" : "without traffic of its own", way.data);
    cm_buf_free(&way);
    return rc;
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    runner_t runner = {.app = app, .options = given};

    (void)argc;
    (void)argv;
    int rc = start(&runner);
    runner.shown_ns = cm_clock_ticks_ns();
    if (rc == 0)
        rc = loop(&runner);
    if (rc == 0)
        rc = finish(&runner);
    cm_publishing_stop(runner.publishing);
    cm_server_stop(runner.server);
    cm_pipeline_free(&runner.pipeline);
    cm_source_close(runner.source);
    cm_cluster_close(&runner.cluster);
    if (runner.store != NULL)
        cm_sink_close(&runner.store->sink);
    return rc;
}

const cm_command_t cm_command_run = {
    .name = "run",
    .arguments = "",
    .summary = "run everything on this machine: traffic, store, answers, dashboard",
    .details = "Starts the whole pipeline in one process: synthetic demo traffic, the embedded "
               "store, answers refreshed every second, the dashboard and its API. Ctrl-C drains, "
               "commits and prints the account.\n"
               "With --sink kafka the traffic goes to the topic, and what comes from there is "
               "taken in; with --store cassandra each event is written to Cassandra and to the "
               "embedded store, which the answers follow from, and its offset is committed when "
               "both have it. With --index elasticsearch the index there follows the answers.",
    .options = options,
    .options_size = sizeof(run_options_t),
    .run = run,
};
