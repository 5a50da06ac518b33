#include "cmd/run_cluster.h"

#include "sink/options.h"
#include "sink/tee.h"
#include "store/open.h"

const cm_option_t cm_cluster_way_rows[] = {
    {.name = "sink",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_cluster_options_t, sink),
     .rows = cm_sink_option},
    {.name = "store",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_cluster_options_t, store),
     .rows = cm_store_option},
    {.name = NULL},
};

const cm_option_t cm_cluster_server_rows[] = {
    {.name = "servers",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_cluster_options_t, sink),
     .rows = cm_sink_reader_option_rows},
    {.name = "cassandra",
     .type = CM_OPT_ROWS,
     .offset = offsetof(cm_cluster_options_t, store),
     .rows = cm_store_server_option_rows},
    {.name = NULL},
};

static int open_remote(void *context)
{
    cm_cluster_t *cluster = context;
    return cm_store_open(&cluster->store, &cluster->remote, &cluster->app->err);
}

/* The embedded store is written last: its positions count when the other one has the events. */
static int open_topic(cm_cluster_t *cluster, const cm_pipeline_env_t *env, cm_store_t *embedded,
                      cm_pipeline_t *pipeline)
{
    const cm_intake_options_t intake = {.kafka = &cluster->options->sink.kafka,
                                        .positions = embedded,
                                        .pipeline = pipeline,
                                        .dead_topic = true};
    const cm_feed_options_t feed = {.kafka = &cluster->options->sink.kafka,
                                    .source = cluster->traffic,
                                    .ends = &cluster->ends,
                                    .letters = &cluster->letters};
    cm_err_t *err = &cluster->app->err;

    int rc = cm_intake_open(&cluster->intake, &intake, err);
    if (rc == 0 && cluster->traffic != NULL)
        rc = cm_feed_open(&cluster->feed, env, &feed, err);
    return rc;
}

int cm_cluster_open(cm_cluster_t *cluster, cm_app_t *app, const cm_cluster_options_t *options,
                    const cm_enrich_settings_t *enrich, cm_store_t *embedded,
                    cm_pipeline_t *pipeline, cm_source_t **traffic, cm_sink_t **sink)
{
    const cm_pipeline_env_t env = cm_app_env(app);
    const bool topic = cm_sink_is_topic(&options->sink);
    const cm_enrich_settings_t unused = {.geoip = NULL}; /* without a topic */

    *cluster = (cm_cluster_t){.app = app, .options = options};
    cluster->store = cm_app_store_settings(app, &options->store);
    cluster->store.waiter = &cluster->intake.store_waiter;
    cm_kafka_ends_init(&cluster->ends);
    cm_letters_open(&cluster->letters, &env, app->global.data_dir, &embedded->sink);
    *sink = &embedded->sink;
    int rc = cm_intake_init(&cluster->intake, &env, cm_store_engine(&cluster->store),
                            topic ? enrich : &unused, &app->err);
    if (rc == 0 && !cm_store_in_data_dir(&cluster->store)) {
        rc = cm_pipeline_reach(&env, open_remote, cluster, &cluster->retries, &app->err);
        if (rc == 0)
            *sink = cluster->tee = cm_tee_open(&cluster->remote->sink, &embedded->sink);
    }
    if (rc < 0 || !topic)
        return rc;
    cluster->traffic = *traffic;
    *traffic = NULL;
    rc = open_topic(cluster, &env, embedded, pipeline);
    *traffic = cluster->intake.topic; /* the run closes it */
    if (rc == 0)
        *sink = cm_intake_sink(&cluster->intake, *sink);
    return rc;
}

void cm_cluster_describe(const cm_cluster_t *cluster, cm_buf_t *text)
{
    if (cluster->intake.topic != NULL)
        cm_buf_printf(text, ", through topic %s at %s", cluster->intake.kafka.topic,
                      cluster->intake.kafka.brokers);
    if (cluster->remote != NULL)
        cm_buf_printf(text, ", into table %s.%s of Cassandra at %s",
                      cluster->store.cassandra.keyspace, cluster->store.cassandra.table,
                      cluster->store.cassandra.hosts);
}

void cm_cluster_close(cm_cluster_t *cluster)
{
    if (cluster->app == NULL) /* was not opened */
        return;
    cm_feed_close(&cluster->feed);
    cm_source_close(cluster->traffic);
    cm_intake_close(&cluster->intake);
    cm_sink_close(cluster->tee);
    cm_kafka_ends_free(&cluster->ends);
    cm_letters_close(&cluster->letters);
    cm_store_close(cluster->remote);
}
