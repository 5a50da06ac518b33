/* clickmill ingest: topic -> store. */
#include "cmd/ingest.h"

#include "cmd/commands.h"
#include "sink/divert.h"
#include "sink/kafka/sink.h"
#include "store/open.h"

#include <stdlib.h>

static const cm_option_t options[] = {
    {.name = "store",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_ingest_options_t, store),
     .rows = cm_store_option},
    {.name = "count",
     .type = CM_OPT_INT,
     .offset = offsetof(cm_ingest_options_t, count),
     .arg = "N",
     .min = 0,
     .max = 1e15,
     .help = "messages at most; 0, the default: without end"},
    {.name = "until-end",
     .type = CM_OPT_FLAG,
     .offset = offsetof(cm_ingest_options_t, until_end),
     .help = "end when the whole group has come to where the topic ended when this began, instead "
             "of waiting for more"},
    {.name = "resume",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(cm_ingest_options_t, resume),
     .arg = "FROM",
     .def = "store",
     .choices = "store|group",
     .key = "ingest.resume",
     .help = "embedded store: go on where it stands, whatever the group has committed, or at the "
             "later of the two, for several data directories that share a topic"},
    {.name = "dead-to",
     .type = CM_OPT_CHOICE,
     .offset = offsetof(cm_ingest_options_t, dead_to),
     .arg = "PLACE",
     .def = "topic",
     .choices = "topic|store",
     .key = "ingest.dead_to",
     .help = "where dead letters go: their topic, or the embedded store"},
    {.name = "times",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_ingest_options_t, times),
     .rows = cm_timestamp_ingest_options},
    {.name = "geoip",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_ingest_options_t, geoip),
     .rows = cm_enrich_geoip_option},
    {.name = "group",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_ingest_options_t, kafka),
     .rows = cm_kafka_group_option},
    {.name = "kafka",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_ingest_options_t, kafka),
     .rows = cm_kafka_option_rows},
    {.name = "tombstones",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_ingest_options_t, kafka),
     .rows = cm_kafka_tombstones_option},
    {.name = "cassandra",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_ingest_options_t, store),
     .rows = cm_store_server_option_rows},
    {.name = NULL},
};

enum {
    COMMIT_MS = 1000,
    GIVE_UP_MS = 5000, /* a server that is away keeps us no longer when we shall stop */
};

/* ---- what source and sinks ask meanwhile ---- */

static int store_position(void *context, const char *name, int64_t *position, cm_err_t *err)
{
    cm_ingest_t *self = context;
    return cm_store_position(self->store, name, position, err);
}

static int drain(void *context, cm_err_t *err)
{
    cm_ingest_t *self = context;
    return cm_pipeline_commit(&self->pipeline, err);
}

/* A server is slow or away: the consumer stays in its group, and whoever looks sees why. Who waits
 * has something in hand that is not stored, so that to give it up is no success. */
static int wait_for_server(cm_ingest_t *self, const char *what, const char *reason)
{
    int64_t now = cm_clock_ticks_ns();

    if (self->source != NULL)
        cm_source_kafka_keep_alive(self->source);
    self->waiting_for = reason != NULL ? what : NULL;
    self->waiting_reason = reason;
    cm_ingest_show_status(self);
    if (!atomic_load(self->app->stop)) {
        self->stop_ns = 0;
        return 0;
    }
    if (self->stop_ns == 0)
        self->stop_ns = now;
    return now - self->stop_ns > GIVE_UP_MS * INT64_C(1000000) ? CM_EAWAY : 0;
}

static int wait_for_dead(void *context, uint64_t retries, const char *reason)
{
    (void)retries;
    return wait_for_server(context, "Kafka", reason);
}

static int wait_for_store(void *context, uint64_t retries, const char *reason)
{
    (void)retries;
    return wait_for_server(context, "Cassandra", reason);
}

/* ---- opening ---- */

static int open_store(void *context)
{
    cm_ingest_t *self = context;
    cm_app_t *app = self->app;
    uint8_t secret[CM_STORE_SECRET];

    int rc = cm_store_open(&self->store_settings, &self->store, &app->err);
    if (rc < 0 || !cm_store_is_directory(self->store))
        return rc;
    cm_store_share(self->store, false, &app->log);
    /* Made now: an import into Kafka beside this process needs it. */
    return cm_store_secret(self->store, secret, &app->err);
}

/* Source and dead letters, with the store between: all that needs Kafka. */
static int open_kafka(void *context)
{
    cm_ingest_t *self = context;
    const cm_ingest_options_t *asked = self->options;
    const cm_sink_kafka_options_t dead = {.settings = &self->settings,
                                          .dead_only = true,
                                          .patient = true,
                                          .waiter = &self->dead_waiter,
                                          .clock = self->app->clock};
    const cm_source_kafka_options_t source = {
        .settings = &self->settings,
        .owner = {self, cm_store_is_directory(self->store) ? store_position : NULL, drain},
        .or_group = asked->resume == CM_RESUME_GROUP,
        .until_end = asked->until_end,
        .count = asked->count,
        .times = self->times,
        .fill = cm_enricher_fill,
        .fill_context = self->enriching.enricher};
    int rc = 0;

    if (asked->dead_to == CM_DEAD_TO_TOPIC && self->dead == NULL)
        rc = cm_sink_kafka_open(&dead, &self->dead, &self->app->err);
    if (rc == 0)
        rc = cm_source_kafka_open(&source, &self->source, &self->app->err);
    return rc;
}

static int open_all(cm_ingest_t *self)
{
    const cm_pipeline_env_t env = cm_app_env(self->app);
    int rc = cm_timestamp_format_open(&self->options->times, &self->times, &self->app->err);
    if (rc == 0)
        rc = cm_enriching_open_geoip(&self->enriching, self->options->geoip, &self->app->log,
                                     &self->app->err);
    if (rc == 0)
        rc = cm_pipeline_reach(&env, open_store, self, &self->retries, &self->app->err);
    if (rc == 0)
        rc = cm_pipeline_reach(&env, open_kafka, self, &self->retries, &self->app->err);
    if (rc < 0)
        return rc;
    if (self->dead != NULL)
        self->divert = cm_divert_open(&self->store->sink, self->dead);
    cm_pipeline_start(&self->pipeline, &env, self->source,
                      self->divert != NULL ? self->divert : &self->store->sink);
    self->pipeline.commit_ms = COMMIT_MS;
    return 0;
}

static void close_all(cm_ingest_t *self)
{
    cm_source_close(self->source);
    cm_sink_close(self->divert);
    cm_sink_close(self->dead);
    if (self->store != NULL)
        cm_sink_close(&self->store->sink);
    cm_pipeline_free(&self->pipeline);
    cm_enriching_close(&self->enriching);
    cm_timestamp_format_close(&self->times);
}

/* ---- running ---- */

static void look_for_trouble(cm_ingest_t *self)
{
    const char *kafka = cm_source_kafka_trouble(self->source), *store = NULL;

    store = cm_store_trouble(self->store);
    self->waiting_for = kafka != NULL ? "Kafka" : store != NULL ? "Cassandra" : NULL;
    self->waiting_reason = kafka != NULL ? kafka : store;
}

static int loop(cm_ingest_t *self)
{
    cm_err_t *err = &self->app->err;
    int rc = 1;

    while (rc > 0 && !atomic_load(self->app->stop)) {
        rc = cm_pipeline_step(&self->pipeline, err);
        look_for_trouble(self);
        cm_ingest_show_status(self);
    }
    return rc < 0 ? rc : cm_pipeline_commit(&self->pipeline, err);
}

static int run(cm_app_t *app, const void *given, int argc, char **argv)
{
    cm_ingest_t self = {.app = app, .options = given};

    (void)argc;
    (void)argv;
    if (self.options->dead_to == CM_DEAD_TO_STORE &&
        self.options->store.engine != CM_STORE_EMBEDDED)
        return cm_fail(&app->err, CM_EUSAGE, "--dead-to store wants --store embedded");
    self.settings = cm_kafka_settings_of(&self.options->kafka, &app->log, app->stop);
    self.store_settings = cm_app_store_settings(app, &self.options->store);
    self.store_settings.waiter = &self.store_waiter;
    self.dead_waiter = (cm_waiter_t){wait_for_dead, &self};
    self.store_waiter = (cm_waiter_t){wait_for_store, &self};
    int rc = open_all(&self);
    if (rc == 0) {
        cm_ingest_start_status(&self);
        rc = loop(&self);
        cm_ingest_print_account(&self);
        if (rc == 0)
            rc = cm_enrichment_check(self.enriching.enrichment, &app->err);
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
        "Several ingests with one --group share the topic's partitions. An offset is committed "
        "only "
        "when every event up to it is stored, or in the dead letters: nothing is lost when a "
        "process, a broker or the store dies. The embedded store keeps the offsets in the "
        "transactions of its events, so that each message counts exactly once.\n"
        "A message that breaks a rule goes to the topic of the dead letters, its bytes and key "
        "unchanged, with the headers reason, origin and time.\n"
        "A message may also have the fields ip and user_agent: of those, country, city, browser, "
        "os "
        "and device are made where they are missing.\n"
        "A broker or a store that is away is waited for. Ctrl-C or SIGTERM stores what is in hand, "
        "commits and prints the account.\n"
        " clickmill ingest --brokers kafka1:9092,kafka2:9092 --until-end\n"
        " clickmill ingest --store cassandra --cassandra-hosts cassandra1,cassandra2\n"
        " clickmill ingest --kafka-property 'sasl.password=${KAFKA_PASSWORD}'",
    .options = options,
    .options_size = sizeof(cm_ingest_options_t),
    .run = run,
};
