#include "pipeline/intake.h"

#include "sink/divert.h"
#include "sink/kafka/sink.h"

/* After a stop a server that does not answer is waited for no longer than this. */
enum { GIVE_UP_MS = 5000 };

/* ---- waiting for servers ---- */

/* The consumer stays in its group and the status line says why. A wait that is given up leaves
 * something unstored, so it is a failure. */
static int wait_for_server(cm_intake_t *intake, const char *what, const char *reason)
{
    if (intake->topic != NULL)
        cm_source_kafka_keep_alive(intake->topic);
    intake->waiting_for = reason != NULL ? what : NULL;
    intake->waiting_reason = reason;
    if (intake->driver != NULL)
        cm_driver_show(intake->driver);
    intake->waiting_for = NULL;
    return cm_pipeline_give_up(&intake->env, &intake->stop_ns, GIVE_UP_MS) ? CM_EAWAY : 0;
}

static int wait_for_dead(void *context, uint64_t retries, const char *reason)
{
    (void)retries;
    return wait_for_server(context, "Kafka", reason);
}

static int wait_for_store(void *context, uint64_t retries, const char *reason)
{
    cm_intake_t *intake = context;

    (void)retries;
    return wait_for_server(intake, intake->store_engine, reason);
}

int cm_intake_init(cm_intake_t *intake, const cm_pipeline_env_t *env, const char *store_engine,
                   const cm_enrich_settings_t *enrich, cm_err_t *err)
{
    *intake = (cm_intake_t){.env = *env,
                            .store_engine = store_engine,
                            .store_waiter = {wait_for_store, intake},
                            .dead_waiter = {wait_for_dead, intake}};
    return cm_enrich_thread_open_messages(&intake->enriching, enrich, env->log, err);
}

/* ---- opening ---- */

static int position_of(void *context, const char *name, int64_t *position, cm_err_t *err)
{
    const cm_intake_t *intake = context;
    return cm_store_position(intake->options.positions, name, position, err);
}

static int drain(void *context, cm_err_t *err)
{
    const cm_intake_t *intake = context;
    return cm_pipeline_commit(intake->options.pipeline, err);
}

/* All that needs Kafka: called until the brokers answer. */
static int open_kafka(void *context)
{
    cm_intake_t *intake = context;
    const cm_intake_options_t *asked = &intake->options;
    const cm_sink_kafka_options_t dead = {.settings = &intake->kafka,
                                          .dead_only = true,
                                          .patient = true,
                                          .waiter = &intake->dead_waiter,
                                          .clock = intake->env.clock};
    const cm_source_kafka_options_t topic = {
        .settings = &intake->kafka,
        .owner = {intake, asked->positions != NULL ? position_of : NULL, drain},
        .or_group = asked->or_group,
        .until_end = asked->until_end,
        .count = asked->count,
        .times = asked->times,
        .fill = cm_enricher_fill,
        .fill_context = intake->enriching.enricher};
    int rc = 0;

    if (asked->dead_topic && intake->dead == NULL)
        rc = cm_sink_kafka_open(&dead, &intake->dead, intake->err);
    if (rc == 0)
        rc = cm_source_kafka_open(&topic, &intake->topic, intake->err);
    return rc;
}

int cm_intake_open(cm_intake_t *intake, const cm_intake_options_t *options, cm_err_t *err)
{
    intake->options = *options;
    intake->err = err;
    intake->kafka = cm_kafka_settings_of(options->kafka, intake->env.log, intake->env.stop);
    return cm_pipeline_reach(&intake->env, open_kafka, intake, &intake->retries, err);
}

cm_sink_t *cm_intake_sink(cm_intake_t *intake, cm_sink_t *store)
{
    if (intake->dead == NULL)
        return store;
    intake->divert = cm_divert_open(store, intake->dead);
    return intake->divert;
}

/* ---- while it runs ---- */

void cm_intake_note_waiting(cm_intake_t *intake, cm_store_t *store)
{
    const cm_source_t *topic = intake->topic;
    const char *kafka = topic != NULL ? cm_source_kafka_trouble(topic) : NULL;
    const char *registry = topic != NULL ? cm_source_kafka_registry_trouble(topic) : NULL;
    const char *server = store != NULL ? cm_store_trouble(store) : NULL;

    intake->waiting_for = kafka != NULL      ? "Kafka"
                          : registry != NULL ? "the schema registry"
                          : server != NULL   ? intake->store_engine
                                             : NULL;
    intake->waiting_reason = kafka != NULL ? kafka : registry != NULL ? registry : server;
}

void cm_intake_add_waiting(const cm_intake_t *intake, cm_buf_t *line)
{
    if (intake->waiting_for != NULL)
        cm_buf_printf(line, "; waiting for %s: %s", intake->waiting_for, intake->waiting_reason);
}

int cm_intake_check(const cm_intake_t *intake, cm_err_t *err)
{
    return cm_enrichment_check(intake->enriching.enrichment, err);
}

void cm_intake_close(cm_intake_t *intake)
{
    cm_sink_close(intake->divert);
    cm_sink_close(intake->dead);
    cm_enrich_thread_close(&intake->enriching);
}
