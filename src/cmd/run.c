/* clickmill run: the whole pipeline on this machine. */
#include "cmd/commands.h"
#include "cmd/publishing.h"
#include "cmd/run_cluster.h"
#include "cmd/run_collect.h"
#include "cmd/run_demo.h"
#include "pipeline/pipeline.h"
#include "pipeline/upkeep.h"
#include "serve/server.h"
#include "sink/options.h"
#include "source/synthetic/traffic.h"
#include "store/open.h"

typedef struct run_options {
    const char *listen;
    int64_t every;
    bool demo;
    int index; /* cm_index_choice_t */
    cm_traffic_options_t traffic;
    cm_cluster_options_t cluster;
    cm_elastic_options_t elastic;
    cm_collect_given_t collect;
    cm_reading_given_t reading;
} run_options_t;

enum {
    COMMIT_MS = 200, /* how long a synthetic click may wait for its commit */
    IDLE_MS = 50,
    REST_MS = 500,  /* after a failure that may pass */
    SOON_MS = 250,  /* after the last answers, when somebody has clicked and looks at them */
    LINE_MS = 5000, /* between status lines where there is no terminal */
    TERMINAL_MS = 500,
    OWN_MS = 30000,      /* to read what was sent last, in the end, */
    OWN_QUIET_MS = 5000, /* when none of it comes for so long no longer */
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
     .help = "make synthetic traffic, in DATA/demo unless it goes to Kafka or the like; off where "
             "--sites or --token is given; --no-demo leaves it out"},
    {.name = "traffic",
     .type = CM_OPT_ROWS,
     .offset = offsetof(run_options_t, traffic),
     .rows = cm_traffic_option_rows},
    {.name = "sink",
     .type = CM_OPT_ROWS,
     .offset = offsetof(run_options_t, cluster.sink),
     .rows = cm_sink_option},
    {.name = "store",
     .type = CM_OPT_ROWS,
     .offset = offsetof(run_options_t, cluster.store),
     .rows = cm_store_option},
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
    {.name = "group",
     .type = CM_OPT_ROWS,
     .offset = offsetof(run_options_t, cluster.kafka),
     .rows = cm_kafka_group_option},
    {.name = "kafka",
     .type = CM_OPT_ROWS,
     .offset = offsetof(run_options_t, cluster.kafka),
     .rows = cm_kafka_option_rows},
    {.name = "tombstones",
     .type = CM_OPT_ROWS,
     .offset = offsetof(run_options_t, cluster.kafka),
     .rows = cm_kafka_tombstones_option},
    {.name = "cassandra",
     .type = CM_OPT_ROWS,
     .offset = offsetof(run_options_t, cluster.store),
     .rows = cm_store_server_option_rows},
    {.name = "elasticsearch",
     .type = CM_OPT_ROWS,
     .offset = offsetof(run_options_t, elastic),
     .rows = cm_elastic_option_rows},
    {.name = NULL},
};

/* All that runs. One thread does everything but milling, the HTTP answers, and sending to Kafka. */
typedef struct runner {
    cm_app_t *app;
    const run_options_t *options;
    cm_store_t *store;
    cm_source_t *source; /* NULL: no demo traffic, or it has ended; or Kafka's topic */
    cm_sink_t *sink;
    cm_cluster_t cluster;
    cm_run_demo_t demo;
    cm_collect_given_t collect_given; /* with the rules of the demonstration */
    cm_run_collect_t collect;
    cm_pipeline_t pipeline;
    cm_credentials_t credentials;
    cm_server_t *server;
    cm_index_mirror_t *mirror; /* NULL: there is only the embedded index */
    cm_upkeep_t refresh;
    bool clicked; /* since the last refresh has begun, by somebody real */
    int64_t refreshed_ns, shown_ns;
    uint64_t shown_accepted;
    char trouble[CM_ERR_TEXT]; /* what it cannot go on for; "": it can */
} runner_t;

static int begin_refresh(runner_t *runner, bool whole)
{
    runner->clicked = false;
    return cm_upkeep_begin(&runner->refresh, whole, &runner->app->err);
}

static int end_refresh(runner_t *runner)
{
    int rc = cm_upkeep_end(&runner->refresh, &runner->app->err);
    runner->refreshed_ns = cm_clock_ticks_ns();
    if (rc == 0 && runner->mirror != NULL)
        cm_index_mirror_wake(runner->mirror);
    return rc;
}

/* At the beginning and the end, when there is nothing else to do. */
static int refresh(runner_t *runner)
{
    int rc = cm_upkeep_busy(&runner->refresh) ? end_refresh(runner) : 0;
    if (rc == 0)
        rc = begin_refresh(runner, true);
    return rc == 0 ? end_refresh(runner) : rc;
}

/* Of all that is stored here, and what came over HTTP and was not accepted. What was accepted into
 * the topic is read when it comes from there, here or by another consumer of the group. */
static cm_account_t account_of(const runner_t *runner)
{
    const cm_account_t collected = cm_collecting_account(&runner->collect.collecting);
    cm_account_t account = runner->pipeline.account, here = collected;

    if (runner->collect.spooling.spool != NULL) {
        here.read -= here.accepted;
        here.accepted = here.unknown_fields = 0;
    }
    cm_account_add(&account, &here);
    account.refused = collected.refused;
    cm_spooling_count(&runner->collect.spooling, collected.accepted, &account);
    return account;
}

static void show_status(runner_t *runner, int64_t now_ns)
{
    const cm_account_t account = account_of(runner);
    uint64_t accepted = account.accepted;
    double seconds = (double)(now_ns - runner->shown_ns) / 1e9;
    cm_buf_t line = CM_BUF_INIT;

    cm_buf_add_grouped(&line, runner->refresh.answers.events);
    cm_buf_add_text(&line, " events, ");
    cm_buf_add_grouped(&line,
                       (int64_t)((double)(accepted - runner->shown_accepted) / seconds + 0.5));
    cm_buf_add_text(&line, "/s, ");
    cm_buf_add_grouped(&line, runner->refresh.answers.cells);
    cm_buf_printf(&line, " cells, answers in %.1f ms, %llu rejected",
                  runner->refresh.seconds * 1000, (unsigned long long)account.rejected);
    cm_collecting_add_refused(&runner->collect.collecting, &line);
    cm_buf_printf(&line, "  http://%s", cm_server_address(runner->server));
    if (runner->mirror != NULL)
        cm_index_mirror_add_status(runner->mirror, &line);
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

/* Takes what the source has. */
static int take_events(runner_t *runner)
{
    if (runner->source == NULL)
        return 0;
    int rc = cm_pipeline_step(&runner->pipeline, &runner->app->err);
    if (rc == 0) { /* --count events are made: the pages stay up */
        rc = cm_pipeline_commit(&runner->pipeline, &runner->app->err);
        cm_source_close(runner->source);
        runner->source = runner->pipeline.source = NULL;
    }
    return rc < 0 ? rc : 0;
}

/* Takes what has come over HTTP; where nothing else waits for events, waits a little for it. */
static int take_clicks(runner_t *runner)
{
    const bool full = runner->source != NULL && runner->pipeline.batch.count == CM_BATCH_EVENTS;
    int rc =
        cm_run_collect_step(&runner->collect, runner->sink, full ? 0 : IDLE_MS, &runner->app->err);

    runner->clicked |= rc > 0;
    if (rc == 0 && runner->source == NULL && runner->collect.spooling.spool != NULL)
        cm_sleep_ms(IDLE_MS);
    return rc < 0 ? rc : 0;
}

static bool refresh_due(const runner_t *runner)
{
    const int64_t every = runner->options->every;
    const int64_t wait_ms = runner->clicked && every > SOON_MS ? SOON_MS : every;

    return runner->refresh.more || cm_clock_ticks_ns() - runner->refreshed_ns >= wait_ms * 1000000;
}

static int refresh_when_due(runner_t *runner)
{
    const bool busy = cm_upkeep_busy(&runner->refresh);
    cm_err_t *err = &runner->app->err;

    if (busy ? !cm_upkeep_ready(&runner->refresh) : !refresh_due(runner))
        return 0;
    int rc = cm_pipeline_commit(&runner->pipeline, err);
    if (rc == 0 && busy)
        return end_refresh(runner);
    if (rc == 0 && runner->mirror != NULL)
        rc = cm_index_mirror_collect(runner->mirror, err);
    return rc == 0 ? begin_refresh(runner, false) : rc;
}

/* Stores what Kafka has refused of what other threads sent. */
static int take_letters(runner_t *runner)
{
    if (runner->cluster.topic == NULL || !cm_letters_wait(&runner->cluster.letters))
        return 0;
    int rc = cm_pipeline_commit(&runner->pipeline, &runner->app->err);
    if (rc == 0)
        cm_letters_step(&runner->cluster.letters);
    return rc;
}

static int step(runner_t *runner)
{
    int rc = take_events(runner);
    if (rc == 0)
        rc = take_letters(runner);
    if (rc == 0)
        rc = take_clicks(runner);
    if (rc == 0)
        rc = cm_cluster_check(&runner->cluster, &runner->app->err);
    return rc == 0 ? refresh_when_due(runner) : rc;
}

/* Whether to go on after a failure. Messages of a topic that were read and are not stored would be
 * passed over: they are read again by the next run. */
static bool may_go_on(const runner_t *runner, int rc)
{
    return (rc == CM_EIO || rc == CM_EBUSY) && runner->cluster.topic == NULL &&
           runner->cluster.remote == NULL;
}

/* A disk that is full may have room again: whoever sends events is told so meanwhile, and what was
 * in hand of the traffic made here is lost. */
static void rest(runner_t *runner)
{
    cm_app_t *app = runner->app;

    if (strcmp(runner->trouble, app->err.text) != 0)
        cm_log(&app->log, CM_LOG_ERROR, "the run cannot go on for now", "reason=\"%s\"",
               app->err.text);
    snprintf(runner->trouble, sizeof runner->trouble, "%s", app->err.text);
    cm_pipeline_lose(&runner->pipeline);
    runner->refreshed_ns = cm_clock_ticks_ns();
    cm_sleep_ms(REST_MS);
}

static int loop(runner_t *runner)
{
    int rc = 0;

    while (rc == 0 && !atomic_load(runner->app->stop)) {
        rc = step(runner);
        if (may_go_on(runner, rc)) {
            rest(runner);
            rc = 0;
        } else {
            runner->trouble[0] = '\0';
        }
        cm_cluster_look(&runner->cluster);
        if (rc == 0)
            show_when_due(runner);
        cm_credentials_renew(&runner->credentials, runner->server,
                             atomic_load(runner->app->hangups), &runner->app->log);
    }
    return rc;
}

/* What this run has sent to the topic, and Kafka has acknowledged, belongs to its answers. */
static int read_own(runner_t *runner)
{
    cm_app_t *app = runner->app;
    int64_t now = cm_clock_ticks_ns(), quiet_until = 0, least = INT64_MAX;
    const int64_t until = now + OWN_MS * INT64_C(1000000);
    cm_unread_t left;
    bool guessed = false;
    int rc = 0;

    atomic_store(app->hurries, true);
    cm_cluster_read_on(&runner->cluster, true);
    while ((left = cm_cluster_unread(&runner->cluster)).messages > 0 && runner->source != NULL &&
           now < until && !atomic_load(app->hurry)) {
        if (guessed && !left.at_least) /* there may be more than was known of */
            least = INT64_MAX;
        guessed = left.at_least;
        if (left.messages < least || cm_cluster_joins(&runner->cluster))
            quiet_until = now + OWN_QUIET_MS * INT64_C(1000000);
        least = left.messages < least ? left.messages : least;
        if (now >= quiet_until)
            break;
        rc = take_events(runner);
        if (rc < 0)
            break;
        cm_cluster_look(&runner->cluster);
        show_when_due(runner);
        now = cm_clock_ticks_ns();
    }
    cm_cluster_read_on(&runner->cluster, false);
    atomic_store(app->hurries, false);
    if (rc == 0)
        rc = cm_pipeline_commit(&runner->pipeline, &app->err);
    cm_cluster_tell_unread(&runner->cluster, &left);
    return rc;
}

/* Drains: commits what is in hand and computes the last answers, then says what happened. */
static int finish(runner_t *runner)
{
    cm_app_t *app = runner->app;

    if (app->terminal)
        cm_progress_line(app->messages, (cm_str_t){"", 0});
    int rc = cm_pipeline_commit(&runner->pipeline, &app->err);
    if (rc == 0) {
        cm_cluster_stop(&runner->cluster);
        rc = cm_run_collect_stop(&runner->collect, runner->sink, &app->err);
    }
    if (rc == 0)
        rc = read_own(runner);
    if (rc == 0)
        rc = refresh(runner);
    if (rc == 0) {
        runner->refresh.answers.changed = true; /* nothing new is no news of the whole run */
        if (runner->mirror != NULL)
            rc = cm_index_mirror_finish(runner->mirror, false, &app->err);
        const cm_account_t account = account_of(runner);
        cm_publishing_print_accounts(
            app, &account,
            runner->cluster.topic != NULL ? "clickmill dead list --from kafka"
                                          : "clickmill dead list",
            &runner->refresh.answers, runner->refresh.seconds, runner->mirror);
        cm_collecting_print_refused(&runner->collect.collecting);
        if (rc == 0)
            rc = cm_cluster_check(&runner->cluster, &app->err); /* traffic that was not sent */
        if (rc == 0)
            rc = cm_accounts_check(&account, &app->err);
    }
    return rc;
}

/* Opens where events come from and where they go. */
static int open_way(runner_t *runner)
{
    const run_options_t *asked = runner->options;
    const bool kafka = asked->cluster.sink == CM_SINK_KAFKA;
    cm_app_t *app = runner->app;
    const cm_index_settings_t index = cm_app_index_settings(app, asked->index, &asked->elastic);
    const cm_pipeline_env_t env = cm_app_env(app);

    int rc = cm_store_open_directory(app->global.data_dir, app->clock, &runner->store, &app->err);
    if (rc == 0) {
        cm_store_share(runner->store, true, &app->log);
        rc = cm_run_demo_mark(&runner->demo, app);
    }
    if (rc == 0 && runner->demo.on)
        rc = cm_traffic_open(&asked->traffic, kafka ? CM_TRAFFIC_PACED : CM_TRAFFIC_DUE, true,
                             app->clock, app->stop, &runner->source, &app->err);
    if (rc == 0)
        rc = cm_cluster_open(&runner->cluster, app, &asked->cluster, asked->collect.enrich.geoip,
                             runner->store, &runner->pipeline, &runner->source, &runner->sink);
    if (rc < 0)
        return rc;
    runner->cluster.show = show_waiting;
    runner->cluster.show_context = runner;
    cm_pipeline_start(&runner->pipeline, &env, runner->source, runner->sink);
    runner->pipeline.commit_ms = COMMIT_MS;
    rc = cm_run_collect_open(&runner->collect, app, &runner->collect_given,
                             kafka ? &asked->cluster.kafka : NULL, &runner->cluster.ends,
                             &runner->cluster.letters, runner->store, &app->err);
    if (rc == 0)
        rc = cm_publishing_start(app, &index, runner->store, false, true, &runner->mirror);
    return rc;
}

static void say_hello(const runner_t *runner)
{
    const run_options_t *asked = runner->options;
    cm_buf_t way = CM_BUF_INIT;

    cm_buf_reserve(&way, 1);
    cm_run_demo_describe(&runner->demo, &way);
    cm_cluster_describe(&runner->cluster, &way);
    if (runner->mirror != NULL)
        cm_buf_printf(&way, ", answers also in Elasticsearch's %s",
                      cm_index_mirror_place(runner->mirror));
    fprintf(runner->app->messages, "clickmill %s: data in %s, dashboard and API on %s://%s%s\n",
            CM_VERSION, runner->app->global.data_dir,
            asked->collect.tls.cert != NULL ? "https" : "http", cm_server_address(runner->server),
            way.data);
    cm_buf_free(&way);
}

static int start(runner_t *runner)
{
    cm_app_t *app = runner->app;
    const cm_index_refresh_options_t refreshing = cm_app_refresh_options(app, CM_WINDOWS_EVERY);
    cm_server_options_t server = {.listen = runner->options->listen,
                                  .data_dir = app->global.data_dir,
                                  .daily = app->global.visitors == CM_VISITORS_DAILY};

    int rc = cm_credentials_read(&runner->credentials, &runner->options->reading,
                                 &runner->options->collect.tls, &app->err);
    if (rc == 0)
        rc = open_way(runner);
    cm_upkeep_open(&runner->refresh, runner->store, &refreshing, &app->log);
    if (rc == 0)
        rc = refresh(runner); /* what an earlier run has left */
    if (rc < 0)
        return rc;
    cm_collecting_serve(&runner->collect.collecting, &server);
    cm_credentials_fill(&runner->credentials, &server);
    server.synthetic = runner->demo.marked;
    server.demo_of = runner->app->global.data_dir;
    rc = cm_server_start(&server, &app->log, &runner->server, &app->err);
    if (rc == 0) {
        say_hello(runner);
        if (cm_server_closed(runner->server) != NULL)
            fprintf(app->messages, "%s\n", cm_server_closed(runner->server));
    }
    return rc;
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    const run_options_t *asked = given;
    runner_t runner = {.app = app, .options = asked, .collect_given = asked->collect};
    const bool engines = asked->cluster.sink == CM_SINK_KAFKA ||
                         asked->cluster.store.engine == CM_STORE_CASSANDRA ||
                         asked->index == CM_INDEX_ELASTICSEARCH;

    (void)argc;
    (void)argv;
    cm_run_demo_open(&runner.demo, app, asked->demo,
                     cm_options_given(app->values, offsetof(run_options_t, demo)), engines,
                     &runner.collect_given);
    int rc = start(&runner);
    runner.shown_ns = cm_clock_ticks_ns();
    if (rc == 0)
        rc = loop(&runner);
    if (rc == 0)
        rc = finish(&runner);
    cm_index_mirror_stop(runner.mirror);
    cm_letters_end(&runner.cluster.letters);
    cm_run_collect_give_up(&runner.collect);
    cm_server_stop(runner.server);
    cm_run_collect_close(&runner.collect);
    cm_upkeep_close(&runner.refresh);
    cm_pipeline_free(&runner.pipeline);
    cm_source_close(runner.source);
    cm_cluster_close(&runner.cluster);
    if (runner.store != NULL)
        cm_sink_close(&runner.store->sink);
    cm_run_demo_close(&runner.demo);
    cm_credentials_free(&runner.credentials);
    return rc;
}

const cm_command_t cm_cmd_run = {
    .name = "run",
    .arguments = "",
    .summary = "run everything on this machine: traffic, store, answers, dashboard",
    .details = "Starts the whole pipeline in one process: synthetic demo traffic, the embedded "
               "store, answers refreshed every second, the dashboard and its API, and a demo shop "
               "at /demo/, all in DATA/demo. Ctrl-C drains, commits and prints the account.\n"
               "With --no-demo, or --sites or --token, it works on DATA, and its collector takes "
               "real events: POST /v1/events, and /clickmill.js for pages.\n"
               "On an address that is not loopback nobody may read the answers, unless "
               "http.password, http.read_token or http.public says who may; events are taken all "
               "the same. SIGHUP (`kill -HUP`) reads the certificate again.\n"
               "With --sink kafka the traffic goes to the topic, and what comes from there is "
               "taken in: in the end up to the last event that the run itself has sent. With "
               "--store cassandra each event is written to Cassandra and to the "
               "embedded store, which the answers follow from, and its offset is committed when "
               "both have it. With --index elasticsearch the index there follows the answers.",
    .options = options,
    .options_size = sizeof(run_options_t),
    .renews = true,
    .run = run,
};
