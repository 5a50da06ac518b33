/* clickmill ingest: a Kafka topic into the store. */
#include "cmd/commands.h"
#include "pipeline/intake.h"
#include "pipeline/intake_options.h"
#include "sink/options.h"
#include "store/open.h"

typedef struct ingest_options {
    cm_store_options_t store;
    cm_intake_given_t intake;
    cm_sink_options_t source; /* its server alone: the topic that is read */
} ingest_options_t;

static const cm_option_t options[] = {
    {.name = "store",
     .type = CM_OPT_ROWS,
     .offset = offsetof(ingest_options_t, store),
     .rows = cm_store_option},
    {.name = "intake",
     .type = CM_OPT_ROWS,
     .offset = offsetof(ingest_options_t, intake),
     .rows = cm_intake_option_rows},
    {.name = "servers",
     .type = CM_OPT_ROWS,
     .offset = offsetof(ingest_options_t, source),
     .rows = cm_sink_reader_option_rows},
    {.name = "cassandra",
     .type = CM_OPT_ROWS,
     .offset = offsetof(ingest_options_t, store),
     .rows = cm_store_server_option_rows},
    {.name = NULL},
};

enum { COMMIT_MS = 1000 };

typedef struct ingest {
    cm_app_t *app;
    const ingest_options_t *options;
    cm_store_settings_t target;
    cm_timestamp_format_t times;
    cm_store_t *store;
    cm_intake_t intake;
    cm_pipeline_t pipeline;
    cm_driver_t driver;
    int64_t started_ns;
    uint64_t retries; /* failed attempts to reach the store at the start */
} ingest_t;

/* ---- opening ---- */

static int open_store(void *context)
{
    ingest_t *self = context;
    uint8_t secret[CM_STORE_SECRET];
    cm_err_t *err = &self->app->err;

    int rc = cm_store_open(&self->target, &self->store, err);
    if (rc < 0 || !cm_store_is_directory(self->store))
        return rc;
    cm_store_share(self->store, false, &self->app->log);
    /* Made now, so that an import into Kafka that runs at the same time finds it. */
    return cm_store_secret(self->store, secret, err);
}

static int open_all(ingest_t *self)
{
    const ingest_options_t *asked = self->options;
    cm_app_t *app = self->app;
    const cm_pipeline_env_t env = cm_app_env(app);

    self->target.waiter = &self->intake.store_waiter;
    int rc = cm_timestamp_format_open(&asked->intake.times, &self->times, &app->err);
    if (rc == 0)
        rc = cm_intake_init(&self->intake, &env, cm_store_engine(&self->target),
                            &asked->intake.enrich, &app->err);
    if (rc == 0)
        rc = cm_pipeline_reach(&env, open_store, self, &self->retries, &app->err);
    if (rc < 0)
        return rc;
    const cm_intake_options_t intake = {
        .kafka = &asked->source.kafka,
        .times = self->times,
        .positions = cm_store_is_directory(self->store) ? self->store : NULL,
        .pipeline = &self->pipeline,
        .dead_topic = asked->intake.dead_to == CM_INTAKE_DEAD_TO_TOPIC,
        .or_group = asked->intake.resume == CM_INTAKE_RESUME_GROUP,
        .until_end = asked->intake.until_end,
        .count = asked->intake.count};
    rc = cm_intake_open(&self->intake, &intake, &app->err);
    if (rc < 0)
        return rc;
    cm_pipeline_start(&self->pipeline, &env, self->intake.topic,
                      cm_intake_sink(&self->intake, &self->store->sink));
    self->pipeline.commit_ms = COMMIT_MS;
    self->pipeline.fits = self->store;
    return 0;
}

static void close_all(ingest_t *self)
{
    cm_source_close(self->intake.topic);
    cm_intake_close(&self->intake);
    cm_store_close(self->store);
    cm_pipeline_free(&self->pipeline);
    cm_timestamp_format_close(&self->times);
}

/* ---- while it runs ---- */

static void print_start(const ingest_t *self)
{
    cm_buf_t place = CM_BUF_INIT;

    cm_store_describe(&self->target, &place);
    fprintf(self->app->messages, "ingesting topic %s at %s as group %s into %s\n",
            self->intake.kafka.topic, self->intake.kafka.brokers, self->intake.kafka.group,
            place.data);
    cm_buf_free(&place);
}

/* Failed attempts of all kinds. */
static unsigned long long retries_of(const ingest_t *self)
{
    return self->retries + self->intake.retries + cm_store_retries(self->store);
}

static void look(void *context)
{
    ingest_t *self = context;
    cm_intake_note_waiting(&self->intake, self->store);
}

static uint64_t count(const void *context)
{
    const ingest_t *self = context;
    return self->pipeline.account.read + self->pipeline.uncommitted.read;
}

static bool status(void *context, const cm_driver_pace_t *pace, cm_buf_t *line)
{
    ingest_t *self = context;

    cm_intake_add_reading(line, self->intake.topic, pace);
    cm_buf_printf(
        line, ", %llu dead letters, %llu retries",
        (unsigned long long)(self->pipeline.account.rejected + self->pipeline.uncommitted.rejected),
        retries_of(self));
    cm_intake_add_waiting(&self->intake, line);
    return true;
}

static int run_all(ingest_t *self)
{
    static const cm_driver_ops_t ops = {.look = look, .count = count, .status = status};
    cm_err_t *err = &self->app->err;

    cm_driver_start(&self->driver, &self->pipeline, &ops, self);
    self->started_ns = self->driver.shown_ns;
    self->intake.driver = &self->driver;
    print_start(self);
    int rc = cm_driver_run(&self->driver, err);
    return rc < 0 ? rc : cm_pipeline_commit(&self->pipeline, err);
}

/* ---- the account ---- */

static void add_json(cm_buf_t *json, const ingest_t *self, double seconds)
{
    cm_buf_add_char(json, '{');
    cm_accounts_add_json(json, &self->pipeline.account);
    cm_buf_printf(json, ",\"seconds\":%.3f,\"retries\":%llu,\"topic\":", seconds, retries_of(self));
    cm_buf_add_json(json, cm_str(self->intake.kafka.topic));
    cm_buf_add_text(json, ",\"group\":");
    cm_buf_add_json(json, cm_str(self->intake.kafka.group));
    cm_buf_add_char(json, ',');
    cm_intake_add_partitions_json(json, self->intake.topic);
    cm_buf_add_text(json, "}\n");
}

static void print_account(const ingest_t *self)
{
    cm_app_t *app = self->app;
    const double seconds = (double)(cm_clock_ticks_ns() - self->started_ns) / 1e9;
    cm_buf_t text = CM_BUF_INIT;

    cm_pipeline_end_line(&self->pipeline.env);
    if (app->global.json) {
        add_json(&text, self, seconds);
        fputs(text.data, app->out);
    } else {
        cm_app_print_account_as(app, &self->pipeline.account, app->out,
                                self->options->intake.dead_to == CM_INTAKE_DEAD_TO_TOPIC
                                    ? "clickmill dead list --from kafka"
                                    : "clickmill dead list");
        cm_buf_printf(&text, "%.1f s", seconds);
        cm_intake_add_lag(&text, self->intake.topic);
        fprintf(app->messages, "%s, %llu retries\n", text.data, retries_of(self));
    }
    cm_buf_free(&text);
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    ingest_t self = {.app = app, .options = given};

    (void)argc;
    (void)argv;
    self.target = cm_app_store_settings(app, &self.options->store);
    if (self.options->intake.dead_to == CM_INTAKE_DEAD_TO_STORE &&
        !cm_store_in_data_dir(&self.target))
        return cm_fail(&app->err, CM_EUSAGE, "--dead-to store wants --store embedded");
    int rc = open_all(&self);
    if (rc == 0) {
        rc = run_all(&self);
        print_account(&self);
        if (rc == 0)
            rc = cm_intake_check(&self.intake, &app->err);
        if (rc == 0)
            rc = cm_accounts_check(&self.pipeline.account, &app->err);
    }
    close_all(&self);
    return rc;
}

const cm_command_t cm_cmd_ingest = {
    .name = "ingest",
    .arguments = "",
    .summary = "read events from Kafka's topic into the store",
    .details =
        "Several `ingest` processes with the same --group share the topic's partitions. An "
        "offset is committed only when every event up to it is stored, or in the dead letters: "
        "nothing is lost when a process, a broker or the store fails. The embedded store keeps "
        "the offsets in the transactions of its events, so that each message counts exactly "
        "once.\n"
        "A message that breaks a rule goes to the topic of the dead letters, its bytes and key "
        "unchanged, with the headers reason, origin and time.\n"
        "A message may also have the fields ip and user_agent: country, city, browser, os and "
        "device are filled in from them when they are missing; with --bots drop, events of bots "
        "are "
        "left out and counted by kind.\n"
        "The program waits for a broker or a store that does not answer. Ctrl-C or SIGTERM "
        "stores the events that were read, commits and prints the account.\n"
        " clickmill ingest --brokers kafka1:9092,kafka2:9092 --until-end\n"
        " clickmill ingest --store cassandra --cassandra-hosts cassandra1,cassandra2\n"
        " clickmill ingest --kafka-property 'sasl.password=${KAFKA_PASSWORD}'",
    .options = options,
    .options_size = sizeof(ingest_options_t),
    .run = run,
};
