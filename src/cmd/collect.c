/* clickmill collect: events from browsers and servers over HTTP. */
#include "cmd/commands.h"
#include "kafka/options.h"
#include "pipeline/driver.h"
#include "pipeline/spooling.h"
#include "serve/collecting.h"
#include "sink/options.h"
#include "store/open.h"

typedef struct collect_options {
    const char *listen;
    cm_sink_options_t sink;
    cm_collect_given_t collect;
} collect_options_t;

static const cm_option_t options[] = {
    {.name = "listen",
     .letter = 'l',
     .type = CM_OPT_TEXT,
     .offset = offsetof(collect_options_t, listen),
     .arg = "ADDRESS:PORT",
     .def = "127.0.0.1:8081",
     .key = "collect.listen",
     .env = "CLICKMILL_COLLECT_LISTEN",
     .help = "address on which events are accepted"},
    {.name = "sink",
     .type = CM_OPT_ROWS,
     .offset = offsetof(collect_options_t, sink),
     .rows = cm_sink_option},
    {.name = "collect",
     .type = CM_OPT_ROWS,
     .offset = offsetof(collect_options_t, collect),
     .rows = cm_collect_option_rows},
    {.name = "servers",
     .type = CM_OPT_ROWS,
     .offset = offsetof(collect_options_t, sink),
     .rows = cm_sink_server_option_rows},
    {.name = NULL},
};

typedef struct collect {
    cm_app_t *app;
    const collect_options_t *options;
    cm_store_t *store;      /* NULL: the sink is Kafka */
    cm_spooling_t spooling; /* in that case */
    cm_letters_t letters;   /* in that case: of what Kafka refuses */
    cm_sink_t *sink;
    cm_collecting_t collecting;
    cm_credentials_t credentials;
    cm_server_t *server;
    uint64_t shown_refused; /* by the last status line */
} collect_t;

static uint64_t count(const void *context)
{
    const collect_t *self = context;
    return cm_collecting_account(&self->collecting).accepted;
}

/* Without a terminal there is no line where nothing has happened. */
static bool status(void *context, const cm_driver_pace_t *pace, cm_buf_t *line)
{
    collect_t *self = context;
    const cm_account_t account = cm_collecting_account(&self->collecting);
    const bool refused = account.refused != self->shown_refused;
    const char *trouble = self->collecting.trouble;

    cm_buf_add_grouped(line, (int64_t)account.accepted);
    cm_buf_add_text(line, " events, ");
    cm_buf_add_grouped(line, (int64_t)((double)pace->lately / pace->seconds + 0.5));
    cm_buf_printf(line, "/s, %llu rejected, %llu skipped", (unsigned long long)account.rejected,
                  (unsigned long long)account.skipped);
    cm_collecting_add_refused(&self->collecting, line);
    if (trouble[0] != '\0')
        cm_buf_printf(line, "; not stored: %s", trouble);
    else if (self->collecting.notice[0] != '\0')
        cm_buf_printf(line, "; %s", self->collecting.notice);
    self->shown_refused = account.refused;
    return self->app->terminal || pace->lately > 0 || refused || trouble[0] != '\0';
}

static int open_sink(collect_t *self)
{
    const collect_options_t *asked = self->options;
    cm_app_t *app = self->app;
    const cm_pipeline_env_t env = cm_app_env(app);
    int rc;

    if (cm_sink_is_topic(&asked->sink)) {
        cm_letters_open(&self->letters, &env, app->global.data_dir, NULL);
        rc = cm_spooling_open(&self->spooling, &env, app->global.data_dir, &asked->sink.kafka,
                              asked->collect.spool, NULL, &self->letters, &app->err);
        if (rc == 0)
            self->sink = cm_spool_sink(self->spooling.spool);
        return rc;
    }
    rc = cm_store_open_directory(app->global.data_dir, app->clock, &self->store, &app->err);
    if (rc < 0)
        return rc;
    self->store->log = &app->log;
    cm_store_share(self->store, false, &app->log);
    self->sink = &self->store->sink;
    return 0;
}

/* A data directory records that ids live for one day; a topic cannot. */
static void note_daily(const collect_t *self)
{
    const cm_app_t *app = self->app;

    if (self->store == NULL && self->options->collect.visitor == CM_VISITOR_DAILY &&
        app->global.visitors != CM_VISITORS_DAILY)
        fprintf(app->messages,
                "ids of visitors live for one UTC day, which a topic does not say: set `visitors: "
                "daily` in the configuration of the programs that compute and show answers\n");
}

static int start(collect_t *self)
{
    const collect_options_t *asked = self->options;
    cm_app_t *app = self->app;
    const cm_pipeline_env_t env = cm_app_env(app);
    cm_server_options_t server = {.listen = asked->listen, .no_answers = true};

    int rc = open_sink(self);
    if (rc == 0)
        rc = cm_credentials_read(&self->credentials, NULL, &asked->collect.tls, &app->err);
    if (rc == 0)
        rc = cm_collecting_open(&self->collecting, &env, app->global.data_dir, &asked->collect,
                                self->store, &app->err);
    if (rc < 0)
        return rc;
    self->collecting.pipeline.sink = self->sink;
    cm_collecting_serve(&self->collecting, &server);
    cm_credentials_fill(&self->credentials, &server);
    rc = cm_server_start(&server, &app->log, &self->server, &app->err);
    if (rc < 0)
        return rc;
    fprintf(app->messages, "taking events on %s://%s\n",
            asked->collect.tls.cert != NULL ? "https" : "http", cm_server_address(self->server));
    note_daily(self);
    return 0;
}

/* ---- the loop ---- */

static int take(void *context, cm_err_t *err)
{
    collect_t *self = context;
    return cm_collecting_step(&self->collecting, CM_COLLECTING_WAIT_MS, err);
}

static bool passes(const void *context, int code)
{
    (void)context;
    return cm_collecting_passes(code);
}

static void look(void *context)
{
    collect_t *self = context;
    char notice[400];

    cm_credentials_renew(&self->credentials, self->server, atomic_load(self->app->hangups),
                         &self->app->log);
    if (cm_spooling_describe(&self->spooling, notice, sizeof notice))
        cm_collecting_notice(&self->collecting, notice);
}

static int loop(collect_t *self)
{
    static const cm_driver_ops_t ops = {
        .take = take, .passes = passes, .look = look, .count = count, .status = status};
    cm_err_t *err = &self->app->err;
    cm_driver_t driver;

    cm_driver_start(&driver, &self->collecting.pipeline, &ops, self);
    driver.rest_ms = CM_COLLECTING_REST_MS;
    int rc = cm_driver_run(&driver, err);
    return rc < 0 ? rc : cm_collecting_finish(&self->collecting, err);
}

/* Sends what is kept, also when there was no room for the events that came last, then prints the
 * account. */
static int end(collect_t *self, int rc)
{
    cm_app_t *app = self->app;
    cm_err_t why;

    if (rc == 0 || cm_collecting_passes(rc)) {
        const int drained = cm_spooling_drain(&self->spooling, self->options->collect.drain, &why);
        if (rc == 0 && drained < 0)
            app->err = why;
        rc = rc == 0 ? drained : rc;
    }
    cm_account_t account = cm_collecting_account(&self->collecting);
    cm_spooling_count(&self->spooling, account.accepted, &account);
    cm_app_print_account(app, &account, app->out);
    if (!app->global.json)
        cm_collecting_print_refused(&self->collecting, app->messages);
    return rc < 0 ? rc : cm_accounts_check(&account, &app->err);
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    collect_t self = {.app = app, .options = given};

    (void)argc;
    (void)argv;
    int rc = start(&self);
    if (rc == 0)
        rc = loop(&self);
    if (self.server != NULL) {
        cm_collecting_give_up(&self.collecting);
        cm_server_stop(self.server);
        cm_pipeline_end_line(&self.collecting.pipeline.env);
        rc = end(&self, rc);
    }
    cm_collecting_close(&self.collecting);
    if (self.store != NULL)
        cm_sink_close(&self.store->sink);
    cm_spooling_close(&self.spooling);
    cm_letters_close(&self.letters);
    cm_credentials_free(&self.credentials);
    return rc;
}

const cm_command_t cm_cmd_collect = {
    .name = "collect",
    .arguments = "",
    .summary = "take events from browsers and servers over HTTP",
    .details =
        "Answers POST /v1/events with 202 when the events are durable: committed to the embedded "
        "store, or with --sink kafka acknowledged by the brokers. While no broker answers, "
        "events are kept below the data directory, and sent later in the same order. Pages use "
        "/clickmill.js or /pixel.gif; /snippet shows how. `clickmill run` has the same "
        "collector.\n"
        "Ctrl-C or SIGTERM stores the received events, answers their requests and prints the "
        "account. With --sink kafka it first sends the kept events and waits for Kafka for the "
        "time of --drain; a second signal ends this wait at once. Events that Kafka refuses "
        "permanently, because they are too large for the topic, become dead letters of DATA. "
        "Events that are still kept at the end are counted as spooled, the exit status is 13, "
        "and the next start with the same data directory sends them. SIGHUP (`kill -HUP`) reads "
        "the certificate again.",
    .options = options,
    .options_size = sizeof(collect_options_t),
    .renews = true,
    .run = run,
};
