/* clickmill run: the whole pipeline on this machine. */
#include "cmd/commands.h"
#include "cmd/run_demo.h"
#include "cmd/run_loop.h"
#include "sink/options.h"
#include "store/open.h"

typedef struct run_options {
    const char *listen;
    int64_t every;
    bool demo;
    cm_index_options_t index;
    cm_traffic_options_t traffic;
    cm_cluster_options_t cluster;
    cm_collect_given_t collect;
    cm_reading_given_t reading;
} run_options_t;

enum { COMMIT_MS = 200 }; /* how long an event may wait for its commit */

static const cm_option_t options[] = {
    {.name = "listen",
     .letter = 'l',
     .type = CM_OPT_TEXT,
     .offset = offsetof(run_options_t, listen),
     .arg = "ADDRESS:PORT",
     .def = "127.0.0.1:8080",
     .key = "http.listen",
     .env = "CLICKMILL_LISTEN",
     .help = "address of the dashboard and the API"},
    {.name = "every",
     .type = CM_OPT_DURATION,
     .offset = offsetof(run_options_t, every),
     .arg = "TIME",
     .def = "1s",
     .min = 100,
     .max = CM_DAY_MS,
     .key = "run.every",
     .help = "how often the answers are refreshed"},
    {.name = "demo",
     .type = CM_OPT_FLAG,
     .offset = offsetof(run_options_t, demo),
     .def = "true",
     .key = "run.demo",
     .help =
         "generate synthetic traffic, in DATA/demo unless it goes to Kafka or another server; off "
         "where --sites or --token is given; --no-demo turns it off"},
    {.name = "traffic",
     .type = CM_OPT_ROWS,
     .offset = offsetof(run_options_t, traffic),
     .rows = cm_traffic_option_rows},
    {.name = "way",
     .type = CM_OPT_ROWS,
     .offset = offsetof(run_options_t, cluster),
     .rows = cm_cluster_way_rows},
    {.name = "index",
     .type = CM_OPT_ROWS,
     .offset = offsetof(run_options_t, index),
     .rows = cm_index_option},
    {.name = "collect",
     .type = CM_OPT_ROWS,
     .offset = offsetof(run_options_t, collect),
     .rows = cm_collect_option_rows},
    {.name = "reading",
     .type = CM_OPT_ROWS,
     .offset = offsetof(run_options_t, reading),
     .rows = cm_reading_option_rows},
    {.name = "servers",
     .type = CM_OPT_ROWS,
     .offset = offsetof(run_options_t, cluster),
     .rows = cm_cluster_server_rows},
    {.name = "elasticsearch",
     .type = CM_OPT_ROWS,
     .offset = offsetof(run_options_t, index),
     .rows = cm_index_server_option_rows},
    {.name = NULL},
};

typedef struct runner {
    cm_run_t run;
    const run_options_t *asked;
    cm_run_demo_t demo;
    cm_collect_given_t collect; /* with the rules of the demonstration */
} runner_t;

/* ---- opening ---- */

/* Opens where events come from and where they go. */
static int open_way(runner_t *runner)
{
    const run_options_t *asked = runner->asked;
    const bool topic = cm_sink_is_topic(&asked->cluster.sink);
    cm_run_t *run = &runner->run;
    cm_app_t *app = run->app;
    const cm_index_settings_t index = cm_app_index_settings(app, &asked->index);
    const cm_pipeline_env_t env = cm_app_env(app);
    cm_source_t *source = NULL;
    cm_sink_t *sink = NULL;

    int rc = cm_store_open_directory(app->global.data_dir, app->clock, &run->store, &app->err);
    if (rc == 0) {
        run->store->log = &app->log;
        cm_store_share(run->store, true, &app->log);
        rc = cm_run_demo_mark(&runner->demo, app);
    }
    const cm_traffic_options_t traffic = cm_run_demo_traffic(&runner->demo, &asked->traffic);
    if (rc == 0 && runner->demo.on)
        rc = cm_traffic_open(&traffic, topic ? CM_TRAFFIC_PACED : CM_TRAFFIC_DUE, true, app->clock,
                             app->stop, &source, &app->err);
    if (rc == 0)
        rc = cm_cluster_open(&run->cluster, app, &asked->cluster, &asked->collect.enrich,
                             run->store, &run->pipeline, &source, &sink);
    cm_pipeline_start(&run->pipeline, &env, source, sink); /* owns the source from now on */
    run->pipeline.commit_ms = COMMIT_MS;
    run->pipeline.fits = run->cluster.remote;
    if (rc < 0)
        return rc;
    const cm_run_collect_way_t way = {.store = run->store,
                                      .sink = sink,
                                      .fits = run->cluster.remote,
                                      .server = topic ? &asked->cluster.sink : NULL,
                                      .ends = &run->cluster.ends,
                                      .letters = &run->cluster.letters};
    rc = cm_run_collect_open(&run->collect, &env, app->global.data_dir, &runner->collect, &way,
                             &app->err);
    return rc < 0 ? rc : cm_publishing_start(app, &index, run->store, false, true, &run->mirror);
}

static void print_start(const runner_t *runner)
{
    const run_options_t *asked = runner->asked;
    const cm_run_t *run = &runner->run;
    FILE *messages = run->app->messages;
    cm_buf_t way = CM_BUF_INIT;

    cm_buf_reserve(&way, 1);
    cm_run_demo_describe(&runner->demo, &way);
    cm_cluster_describe(&run->cluster, &way);
    if (run->mirror != NULL)
        cm_buf_printf(&way, ", answers also in %s's %s", cm_index_mirror_engine(run->mirror),
                      cm_index_mirror_place(run->mirror));
    fprintf(messages, "clickmill %s: data in %s, dashboard and API on %s://%s%s\n", CM_VERSION,
            run->app->global.data_dir, asked->collect.tls.cert != NULL ? "https" : "http",
            cm_server_address(run->server), way.data);
    if (cm_server_closed(run->server) != NULL)
        fprintf(messages, "%s\n", cm_server_closed(run->server));
    cm_buf_free(&way);
}

static int start(runner_t *runner)
{
    const run_options_t *asked = runner->asked;
    cm_run_t *run = &runner->run;
    cm_app_t *app = run->app;
    const cm_questions_settings_t questions = cm_app_questions(app, &asked->reading.questions);
    cm_server_options_t server = {.listen = asked->listen,
                                  .data_dir = app->global.data_dir,
                                  .daily = app->global.visitors == CM_VISITORS_DAILY,
                                  .demo_of = app->global.data_dir,
                                  .questions = &questions};

    int rc =
        cm_credentials_read(&run->credentials, &asked->reading, &asked->collect.tls, &app->err);
    if (rc == 0)
        rc = open_way(runner);
    if (rc == 0)
        rc = cm_run_open_answers(run, asked->every);
    if (rc < 0)
        return rc;
    cm_collecting_serve(&run->collect.collecting, &server);
    cm_credentials_fill(&run->credentials, &server);
    server.synthetic = runner->demo.marked;
    rc = cm_server_start(&server, &app->log, &run->server, &app->err);
    if (rc == 0)
        print_start(runner);
    return rc;
}

static void close_all(runner_t *runner)
{
    cm_run_t *run = &runner->run;

    cm_index_mirror_stop(run->mirror);
    cm_letters_end(&run->cluster.letters);
    cm_run_collect_give_up(&run->collect);
    cm_server_stop(run->server);
    cm_run_collect_close(&run->collect);
    cm_upkeep_close(&run->upkeep);
    cm_source_close(run->pipeline.source);
    cm_pipeline_free(&run->pipeline);
    cm_cluster_close(&run->cluster);
    cm_store_close(run->store);
    cm_run_demo_close(&runner->demo);
    cm_credentials_free(&run->credentials);
}

/* Whether events or answers go to a server, not to the data directory alone. */
static bool uses_servers(const cm_app_t *app, const run_options_t *asked)
{
    const cm_store_settings_t store = cm_app_store_settings(app, &asked->cluster.store);
    const cm_index_settings_t index = cm_app_index_settings(app, &asked->index);

    return cm_sink_is_topic(&asked->cluster.sink) || !cm_store_in_data_dir(&store) ||
           !cm_index_in_data_dir(&index);
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const run_options_t *asked = given;
    runner_t runner = {.run.app = app, .asked = asked, .collect = asked->collect};

    (void)argc;
    (void)argv;
    cm_run_demo_open(&runner.demo, app, asked->demo,
                     cm_options_given(app->values, offsetof(run_options_t, demo)),
                     uses_servers(app, asked), &runner.collect);
    int rc = start(&runner);
    if (rc == 0)
        rc = cm_run_loop(&runner.run);
    if (rc == 0)
        rc = cm_run_finish(&runner.run);
    close_all(&runner);
    return rc;
}

const cm_command_t cm_cmd_run = {
    .name = "run",
    .arguments = "",
    .summary = "run everything on this machine: traffic, store, answers, dashboard",
    .details =
        "Starts the whole pipeline in one process: synthetic demo traffic, the embedded store, "
        "answers refreshed every second, the dashboard and its API, and a demo shop at /demo/, "
        "all in DATA/demo. Ctrl-C drains, commits and prints the account.\n"
        "With --no-demo, or --sites or --token, it uses DATA, and its collector accepts real "
        "events: POST /v1/events, and /clickmill.js for pages.\n"
        "On an address that is not loopback the answers cannot be read, unless http.password, "
        "http.read_token or http.public allows it; events are accepted in any case. SIGHUP "
        "(`kill -HUP`) reads the certificate again.\n"
        "With --sink kafka the traffic goes to the topic, and the events are read from there: at "
        "the end, up to the last event that the run itself has sent. With --store cassandra each "
        "event is written to Cassandra and to the embedded store, from which the answers are "
        "computed, and its offset is committed when both have it. With --index elasticsearch the "
        "index there follows the answers.",
    .options = options,
    .options_size = sizeof(run_options_t),
    .renews = true,
    .run = run,
};
