#include "cmd/run_cluster.h"

#include "sink/divert.h"
#include "sink/kafka/sink.h"
#include "sink/options.h"
#include "sink/tee.h"
#include "source/kafka/source.h"
#include "store/open.h"

#include <stdlib.h>

enum {
    GIVE_UP_MS = 5000, /* a server that is away keeps us no longer when we shall stop */
    PARTITIONS = 1024, /* a consumer has fewer; more are not looked at */
};

/* ---- waiting for servers ---- */

/* Who waits has something in hand that is not sent or stored: to give it up is no success. */
static int keep_waiting(const cm_cluster_t *cluster, int64_t *stop_ns)
{
    int64_t now = cm_clock_ticks_ns();

    if (!atomic_load(cluster->app->stop) && !atomic_load(&cluster->leave))
        return 0;
    if (*stop_ns == 0)
        *stop_ns = now;
    return now - *stop_ns > GIVE_UP_MS * INT64_C(1000000) ? CM_EAWAY : 0;
}

/* On the thread that sends. */
static int wait_to_send(void *context, uint64_t retries, const char *reason)
{
    cm_cluster_t *cluster = context;

    (void)retries;
    (void)reason;
    return keep_waiting(cluster, &cluster->produce_stop_ns);
}

static int wait_for_server(cm_cluster_t *cluster, const char *what, const char *reason)
{
    if (cluster->topic != NULL)
        cm_source_kafka_keep_alive(cluster->topic);
    cluster->waiting_for = reason != NULL ? what : NULL;
    cluster->waiting_reason = reason;
    if (cluster->show != NULL)
        cluster->show(cluster->show_context);
    cluster->waiting_for = NULL;
    return keep_waiting(cluster, &cluster->stop_ns);
}

static int wait_for_store(void *context, uint64_t retries, const char *reason)
{
    (void)retries;
    return wait_for_server(context, "Cassandra", reason);
}

static int wait_for_dead(void *context, uint64_t retries, const char *reason)
{
    (void)retries;
    return wait_for_server(context, "Kafka", reason);
}

/* ---- the thread that sends ---- */

static void *send_traffic(void *context)
{
    cm_cluster_t *cluster = context;

    cluster->rc = cm_pipeline_run(&cluster->sending, &cluster->err);
    if (cluster->rc == CM_ESTOP)
        cluster->rc = 0;
    atomic_store(&cluster->ended, true);
    return NULL;
}

int cm_cluster_check(cm_cluster_t *cluster, cm_err_t *err)
{
    if (!atomic_load(&cluster->ended) || cluster->rc >= 0)
        return 0;
    *err = cluster->err;
    return cluster->rc;
}

static int start_sending(cm_cluster_t *cluster, cm_err_t *err)
{
    cm_pipeline_env_t env = cm_app_env(cluster->app);
    const cm_sink_kafka_options_t options = {.settings = &cluster->kafka,
                                             .patient = true,
                                             .waiter = &cluster->produce_waiter,
                                             .clock = cluster->app->clock,
                                             .refused = cm_letters_take,
                                             .refused_context = &cluster->letters,
                                             .ends = &cluster->ends};

    int rc = cm_sink_kafka_open(&options, &cluster->producer, err);
    if (rc < 0)
        return rc;
    env.stop = &cluster->leave;
    cm_pipeline_start(&cluster->sending, &env, cluster->traffic, cluster->producer);
    cluster->sending.commit_ms = 0; /* its queue empties by itself */
    cluster->sending.commit_events = 0;
    if (pthread_create(&cluster->thread, NULL, send_traffic, cluster) != 0)
        return cm_fail_thread(err);
    cluster->started = true;
    return 0;
}

/* ---- opening ---- */

static int store_position(void *context, const char *name, int64_t *position, cm_err_t *err)
{
    cm_cluster_t *cluster = context;
    return cm_store_position(cluster->embedded, name, position, err);
}

static int drain(void *context, cm_err_t *err)
{
    cm_cluster_t *cluster = context;
    return cm_pipeline_commit(cluster->receiving, err);
}

/* The embedded store's positions count: they are committed last, when Cassandra has its part. */
static int open_topic(cm_cluster_t *cluster, cm_err_t *err)
{
    const cm_source_kafka_options_t options = {.settings = &cluster->kafka,
                                               .owner = {cluster, store_position, drain},
                                               .fill = cm_enricher_fill,
                                               .fill_context = cluster->enriching.enricher};
    const cm_sink_kafka_options_t dead = {.settings = &cluster->kafka,
                                          .dead_only = true,
                                          .patient = true,
                                          .waiter = &cluster->dead_waiter,
                                          .clock = cluster->app->clock};

    int rc = cluster->dead == NULL ? cm_sink_kafka_open(&dead, &cluster->dead, err) : 0;
    if (rc == 0)
        rc = cm_source_kafka_open(&options, &cluster->topic, err);
    return rc;
}

/* All that needs Kafka: called until it is there. */
static int open_kafka(void *context)
{
    cm_cluster_t *cluster = context;
    cm_err_t *err = &cluster->app->err;
    int rc = cluster->topic == NULL ? open_topic(cluster, err) : 0;

    if (rc == 0 && cluster->traffic != NULL)
        rc = start_sending(cluster, err);
    return rc;
}

static int open_remote(void *context)
{
    cm_cluster_t *cluster = context;
    cm_err_t *err = &cluster->app->err;

    int rc = cm_store_open(&cluster->store, &cluster->remote, err);
    if (rc == 0)
        cluster->tee = cm_tee_open(&cluster->remote->sink, &cluster->embedded->sink);
    return rc;
}

int cm_cluster_open(cm_cluster_t *cluster, cm_app_t *app, const cm_cluster_options_t *options,
                    const char *geoip, cm_store_t *embedded, cm_pipeline_t *receiving,
                    cm_source_t **traffic, cm_sink_t **sink)
{
    const cm_pipeline_env_t env = cm_app_env(app);
    int rc = 0;

    *cluster = (cm_cluster_t){
        .app = app, .options = options, .embedded = embedded, .receiving = receiving};
    cluster->kafka = cm_kafka_settings_of(&options->kafka, &app->log, app->stop);
    cluster->store = cm_app_store_settings(app, &options->store);
    cluster->store.waiter = &cluster->store_waiter;
    cluster->produce_waiter = (cm_waiter_t){wait_to_send, cluster};
    cluster->dead_waiter = (cm_waiter_t){wait_for_dead, cluster};
    cluster->store_waiter = (cm_waiter_t){wait_for_store, cluster};
    cm_kafka_ends_init(&cluster->ends);
    cm_letters_open(&cluster->letters, &env, app->global.data_dir, &embedded->sink);
    *sink = &embedded->sink;
    if (options->store.engine == CM_STORE_CASSANDRA) {
        rc = cm_pipeline_reach(&env, open_remote, cluster, &cluster->retries, &app->err);
        *sink = cluster->tee;
    }
    if (rc < 0 || options->sink != CM_SINK_KAFKA)
        return rc;
    cluster->traffic = *traffic;
    *traffic = NULL;
    rc = cm_enriching_open_geoip(&cluster->enriching, geoip, &app->log, &app->err);
    if (rc == 0)
        rc = cm_pipeline_reach(&env, open_kafka, cluster, &cluster->retries, &app->err);
    *traffic = cluster->topic; /* who reads from it closes it */
    if (rc < 0)
        return rc;
    cluster->divert = cm_divert_open(*sink, cluster->dead);
    *sink = cluster->divert;
    return 0;
}

/* ---- while it runs ---- */

void cm_cluster_look(cm_cluster_t *cluster)
{
    const char *kafka = NULL, *store = NULL;

    if (cluster->topic != NULL)
        kafka = cm_source_kafka_trouble(cluster->topic);
    if (cluster->remote != NULL)
        store = cm_store_trouble(cluster->remote);
    cluster->waiting_for = kafka != NULL ? "Kafka" : store != NULL ? "Cassandra" : NULL;
    cluster->waiting_reason = kafka != NULL ? kafka : store;
}

static const cm_source_kafka_lag_t *find_lag(const cm_source_kafka_lag_t *lags, size_t count,
                                             int32_t partition)
{
    for (size_t i = 0; i < count; i++) {
        if (lags[i].partition == partition)
            return &lags[i];
    }
    return NULL;
}

void cm_cluster_read_on(cm_cluster_t *cluster, bool on)
{
    if (cluster->topic != NULL)
        cluster->kafka.stop = on ? cluster->app->hurry : cluster->app->stop;
}

/* Where the next start reads on with a partition of which nothing was read yet: where the store has
 * its position. */
static int64_t find_begin(cm_cluster_t *cluster, int32_t partition, bool *at_least)
{
    char *name = cm_source_kafka_position_name(&cluster->kafka, partition, "");
    int64_t position = 0;
    cm_err_t err;

    if (cm_store_position(cluster->embedded, name, &position, &err) < 0)
        position = 0;
    free(name);
    if (position > 0)
        return position;
    *at_least = true;
    return cm_kafka_ends_begin(&cluster->ends, partition);
}

cm_unread_t cm_cluster_unread(cm_cluster_t *cluster)
{
    cm_source_kafka_lag_t lags[PARTITIONS];
    cm_unread_t unread = {.messages = 0};
    size_t count = 0;
    bool placed;

    if (cluster->topic == NULL)
        return unread;
    count = cm_source_kafka_lags(cluster->topic, lags, PARTITIONS);
    count = count < PARTITIONS ? count : PARTITIONS;
    placed = count > 0 || cm_source_kafka_is_placed(cluster->topic);
    for (size_t i = 0; i < cm_kafka_ends_count(&cluster->ends); i++) {
        const int64_t end = cm_kafka_ends_get(&cluster->ends, (int32_t)i);
        const cm_source_kafka_lag_t *lag = find_lag(lags, count, (int32_t)i);
        if (end == 0)
            continue;
        if (lag == NULL && placed) {
            unread.others = true;
            continue;
        }
        /* Without any partition it has not joined its group yet. */
        const int64_t from = lag != NULL && lag->position >= 0
                                 ? lag->position
                                 : find_begin(cluster, (int32_t)i, &unread.at_least);
        if (end > from)
            unread.messages += end - from;
    }
    return unread;
}

bool cm_cluster_joins(const cm_cluster_t *cluster)
{
    cm_source_kafka_lag_t lag;

    return cluster->waiting_for == NULL && cluster->topic != NULL &&
           !cm_source_kafka_is_placed(cluster->topic) &&
           cm_source_kafka_lags(cluster->topic, &lag, 1) == 0;
}

void cm_cluster_tell_unread(const cm_cluster_t *cluster, const cm_unread_t *unread)
{
    FILE *messages = cluster->app->messages;
    const char *reason = atomic_load(cluster->app->hurry)  ? "a second signal ended that"
                         : cluster->waiting_reason != NULL ? cluster->waiting_reason
                                                           : "it took too long";

    if (unread->messages > 0)
        fprintf(messages,
                "%s%lld messages of topic %s, up to the last that this run sent, could not be read "
                "(%s): the answers are without them, and the next start reads them\n",
                unread->at_least ? "at least " : "", (long long)unread->messages,
                cluster->kafka.topic, reason);
    if (unread->others)
        fprintf(messages,
                "another consumer of group %s has some partitions of topic %s: what this run sent "
                "there is in the answers of that one\n",
                cluster->kafka.group, cluster->kafka.topic);
}

void cm_cluster_describe(const cm_cluster_t *cluster, cm_buf_t *text)
{
    if (cluster->topic != NULL)
        cm_buf_printf(text, ", through topic %s at %s", cluster->kafka.topic,
                      cluster->kafka.brokers);
    if (cluster->remote != NULL)
        cm_buf_printf(text, ", into table %s.%s of Cassandra at %s",
                      cluster->store.cassandra.keyspace, cluster->store.cassandra.table,
                      cluster->store.cassandra.hosts);
}

/* ---- the end ---- */

void cm_cluster_stop(cm_cluster_t *cluster)
{
    atomic_store(&cluster->leave, true);
    if (cluster->started) {
        cm_letters_serve(&cluster->letters, &cluster->ended);
        pthread_join(cluster->thread, NULL);
    }
    cluster->started = false;
}

void cm_cluster_close(cm_cluster_t *cluster)
{
    cm_cluster_stop(cluster);
    cm_pipeline_free(&cluster->sending);
    cm_source_close(cluster->traffic);
    cm_sink_close(cluster->divert);
    cm_sink_close(cluster->tee);
    cm_sink_close(cluster->producer);
    cm_sink_close(cluster->dead);
    if (cluster->app != NULL) { /* was opened */
        cm_kafka_ends_free(&cluster->ends);
        cm_letters_close(&cluster->letters);
    }
    cm_enriching_close(&cluster->enriching);
    if (cluster->remote != NULL)
        cm_sink_close(&cluster->remote->sink);
}
