#include "kafka/client.h"

#include "base/clock.h"
#include "base/secret.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

/* Since version 2.5 librdkafka sends its metrics to brokers that ask for them, unless this property
 * is false. Then the end of a client often takes a second: librdkafka waits that long for a signal
 * of its main thread when that was given before the wait began. */
static const char metrics_push[] = "enable.metrics.push";
enum { METRICS_END_MS = 1000 };

/* ---- the user's properties ---- */

static int set_user_property(rd_kafka_conf_t *conf, const cm_option_pair_t *pair, cm_err_t *err)
{
    char why[400];
    cm_buf_t value = CM_BUF_INIT;

    int rc = cm_secret_read(pair->text, pair->where, &value, err);
    if (rc == 0 &&
        rd_kafka_conf_set(conf, pair->name, value.data, why, sizeof why) != RD_KAFKA_CONF_OK)
        rc = cm_fail(err, CM_EUSAGE, "%s: %s", pair->where, why);
    cm_buf_free(&value);
    return rc;
}

/* ---- librdkafka's callbacks ---- */

/* librdkafka's own lines are for debugging: what matters to users is logged in our words. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    const cm_kafka_client_t *client = rd_kafka_opaque(rk);
    const cm_level_t ours = level <= LOG_CRIT ? CM_LOG_ERROR : CM_LOG_INFO;

    if (client == NULL)
        return;
    if (level == LOG_DEBUG)
        cm_debug(client->settings->log, CM_DEBUG_KAFKA, "librdkafka", "facility=%s text=\"%s\"",
                 facility, text);
    else
        cm_log(client->settings->log, ours, "librdkafka", "facility=%s text=\"%s\"", facility,
               text);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    cm_kafka_client_t *client = opaque;

    (void)rk;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) { /* the reason came before */
        client->all_down = true;
        if (client->code != 0)
            return;
    }
    client->lost |= code == RD_KAFKA_RESP_ERR__TRANSPORT;
    client->code = code;
    snprintf(client->reason, sizeof client->reason, "%s", reason);
}

int cm_kafka_conf(const cm_kafka_settings_t *settings, const cm_kafka_property_t *house,
                  rd_kafka_conf_t **conf, cm_err_t *err)
{
    /* A broker that comes back must be found soon. That a broker closes an idle connection is not
     * worth a line. */
    static const cm_kafka_property_t common[] = {{"client.id", "clickmill"},
                                                 {"reconnect.backoff.max.ms", "2000"},
                                                 {"socket.keepalive.enable", "true"},
                                                 {"log.connection.close", "false"},
                                                 {NULL, NULL}};
    const cm_kafka_property_t brokers[] = {{"bootstrap.servers", settings->brokers}, {NULL, NULL}};
    const cm_kafka_property_t *const all[] = {common, brokers, house};
    char why[400];
    int rc = 0;

    *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(*conf, on_log);
    rd_kafka_conf_set_error_cb(*conf, on_error);
    for (size_t i = 0; i < sizeof all / sizeof all[0] && rc == 0; i++) {
        for (const cm_kafka_property_t *p = all[i]; p->name != NULL && rc == 0; p++) {
            if (rd_kafka_conf_set(*conf, p->name, p->value, why, sizeof why) != RD_KAFKA_CONF_OK)
                rc = cm_fail(err, CM_EUSAGE, "kafka: %s", why);
        }
    }
    /* The user may ask for them. Older versions do not have the property, and send no metrics. */
    rd_kafka_conf_set(*conf, metrics_push, "false", why, sizeof why);
    for (size_t i = 0; settings->properties != NULL && i < settings->properties->count && rc == 0;
         i++)
        rc = set_user_property(*conf, &settings->properties->pairs[i], err);
    if (rc < 0)
        rd_kafka_conf_destroy(*conf);
    return rc;
}

int cm_kafka_start(cm_kafka_client_t *client, rd_kafka_type_t type, rd_kafka_conf_t *conf,
                   const cm_kafka_settings_t *settings, void *owner, cm_err_t *err)
{
    char why[400];

    *client = (cm_kafka_client_t){.settings = settings, .owner = owner, .known = -1};
    rd_kafka_conf_set_opaque(conf, client);
    client->rk = rd_kafka_new(type, conf, why, sizeof why);
    if (client->rk != NULL)
        return 0;
    rd_kafka_conf_destroy(conf);
    return cm_fail(err, CM_EUSAGE, "kafka.properties: %s", why);
}

/* Shared by the thread that waits and the thread that ends the client. */
typedef struct ending {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    rd_kafka_t *rk;
    bool done;
} ending_t;

/* The client is destroyed without a call to close a consumer: the consumer has left its group
 * before, or leaves it by its time-out. */
static void *end_client(void *context)
{
    ending_t *ending = context;

    rd_kafka_destroy_flags(ending->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    pthread_mutex_lock(&ending->lock);
    ending->done = true;
    pthread_cond_signal(&ending->changed);
    pthread_mutex_unlock(&ending->lock);
    return NULL;
}

/* True when the user has asked for metrics. */
static bool pushes_metrics(rd_kafka_t *rk)
{
    char value[8];
    size_t size = sizeof value;

    return rd_kafka_conf_get(rd_kafka_conf(rk), metrics_push, value, &size) == RD_KAFKA_CONF_OK &&
           strcmp(value, "true") == 0;
}

bool cm_kafka_end_within(cm_kafka_client_t *client, int limit_ms)
{
    ending_t *ending;
    struct timespec limit;
    pthread_t thread;
    int rc = 0;

    if (client->rk == NULL)
        return true;
    if (pushes_metrics(client->rk))
        limit_ms += METRICS_END_MS;
    ending = cm_alloc(sizeof *ending);
    *ending = (ending_t){
        .rk = client->rk, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    client->rk = NULL;
    rd_kafka_set_log_level(ending->rk,
                           LOG_EMERG); /* a line may use what is freed before the threads end */
    if (pthread_create(&thread, NULL, end_client, ending) != 0) {
        end_client(ending);
        free(ending);
        return true;
    }
    clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += limit_ms / 1000;
    pthread_mutex_lock(&ending->lock);
    while (!ending->done && rc == 0)
        rc = pthread_cond_timedwait(&ending->changed, &ending->lock, &limit);
    bool done = ending->done;
    pthread_mutex_unlock(&ending->lock);
    if (!done) {
        pthread_detach(thread);
        return false;
    }
    pthread_join(thread, NULL);
    free(ending);
    return true;
}

void cm_kafka_answered(cm_kafka_client_t *client)
{
    client->code = 0;
    client->reason[0] = '\0';
    client->all_down = client->lost = false;
}

/* ---- errors ---- */

int cm_kafka_fail(const cm_kafka_client_t *client, rd_kafka_resp_err_t code, const char *doing,
                  cm_err_t *err)
{
    const char *brokers = client->settings->brokers;
    const char *reason = client->code == code ? client->reason : rd_kafka_err2str(code);

    switch (code) {
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
        return cm_fail(err, CM_EUSAGE,
                       "Kafka at %s refuses the credentials (%s); check sasl.mechanism, "
                       "sasl.username and sasl.password below kafka.properties",
                       brokers, reason);
    case RD_KAFKA_RESP_ERR__SSL:
        return cm_fail(err, CM_EUSAGE,
                       "no TLS connection to Kafka at %s (%s); check security.protocol and "
                       "ssl.ca.location below kafka.properties",
                       brokers, reason);
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return cm_fail(err, CM_EUSAGE,
                       "%s: Kafka at %s does not allow it to this user (%s); ask its "
                       "administrator for the permission",
                       doing, brokers, reason);
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__RESOLVE:
        return cm_fail(err, CM_EAWAY, "%s: no Kafka broker at %s answers (%s); is it running?",
                       doing, brokers, client->reason[0] ? client->reason : reason);
    default:
        return cm_fail(err, CM_EIO, "%s: Kafka at %s says: %s", doing, brokers, reason);
    }
}

bool cm_kafka_stopped(const cm_kafka_client_t *client)
{
    return client->settings->stop != NULL && atomic_load(client->settings->stop);
}
