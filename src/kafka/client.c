#include "kafka/client.h"

#include "base/clock.h"
#include "base/secret.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

enum {
    ASK_MS = 1000,      /* between looks at what has gone wrong */
    STOP_MS = 200,      /* between looks whether we shall stop */
    STEP_MS = 50,       /* between looks at a topic */
    LEARNING_MS = 1000, /* without news of a topic, after which a broker knows of all */
};

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

/* Its lines are of interest to who looks closely: what matters to others is said in our words. */
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
    /* A broker that comes back shall be found soon; idle connections that brokers close are no
     * news. */
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

/* Shared by who waits and the thread that ends the client. */
typedef struct ending {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    rd_kafka_t *rk;
    bool done;
} ending_t;

/* A consumer has left its group, or gives that up. */
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

bool cm_kafka_end_within(cm_kafka_client_t *client, int limit_ms)
{
    ending_t *ending;
    struct timespec limit;
    pthread_t thread;
    int rc = 0;

    if (client->rk == NULL)
        return true;
    ending = cm_alloc(sizeof *ending);
    *ending = (ending_t){
        .rk = client->rk, .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    client->rk = NULL;
    rd_kafka_set_log_level(ending->rk, LOG_EMERG); /* what a line needs may go before its threads */
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

static int fail_away(const cm_kafka_client_t *client, int64_t ms, cm_err_t *err)
{
    return cm_fail(err, CM_EAWAY,
                   "no Kafka broker at %s answers within %g s%s%s%s; check kafka.brokers and that "
                   "the broker is running",
                   client->settings->brokers, (double)ms / 1e3, client->reason[0] ? " (" : "",
                   client->reason, client->reason[0] ? ")" : "");
}

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
                       "%s: Kafka at %s does not allow it to this user (%s); ask who runs it for "
                       "the right",
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

static bool is_refusal(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL;
}

int cm_kafka_metadata(cm_kafka_client_t *client, const rd_kafka_metadata_t **metadata,
                      cm_err_t *err)
{
    const int64_t limit = client->settings->timeout_ms, started = cm_clock_ticks_ns();

    for (;;) {
        int64_t left = limit - (cm_clock_ticks_ns() - started) / 1000000;
        int wait = left < ASK_MS ? (int)left : ASK_MS;
        rd_kafka_resp_err_t code =
            rd_kafka_metadata(client->rk, 1, NULL, metadata, wait > 1 ? wait : 1);
        rd_kafka_poll(client->rk, 0); /* brings what on_error() is told */
        if (code == 0) {
            cm_kafka_answered(client);
            return 0;
        }
        if (cm_kafka_stopped(client))
            return cm_fail(err, CM_ESTOP, "stopped while no Kafka broker at %s answered",
                           client->settings->brokers);
        if (is_refusal(client->code))
            return cm_kafka_fail(client, client->code, "connecting", err);
        if (is_refusal(code))
            return cm_kafka_fail(client, code, "connecting", err);
        if (left <= wait)
            return fail_away(client, limit, err);
    }
}

int cm_kafka_reach(cm_kafka_client_t *client, cm_err_t *err)
{
    const rd_kafka_metadata_t *metadata;

    int rc = cm_kafka_metadata(client, &metadata, err);
    if (rc == 0)
        rd_kafka_metadata_destroy(metadata);
    return rc;
}

/* ---- topics ---- */

/* How a broker sees the topic. */
typedef struct {
    bool found;
    int32_t leaderless; /* a partition of it that has no leader; -1: all have one */
    bool blank;         /* it knows of no topic at all: perhaps it has only just come back */
    bool learning;      /* or a moment ago knew of fewer than now: it may not know of all yet */
} sight_t;

static int find_topic(cm_kafka_client_t *client, const char *topic, sight_t *sight, cm_err_t *err)
{
    const rd_kafka_metadata_t *metadata;
    int known = 0;

    *sight = (sight_t){.leaderless = -1};
    int rc = cm_kafka_metadata(client, &metadata, err);
    if (rc < 0)
        return rc;
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *one = &metadata->topics[i];
        if (one->err != 0 && one->err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
            continue;
        known++;
        if (strcmp(one->topic, topic) != 0)
            continue;
        sight->found = one->err != 0 || one->partition_cnt > 0;
        sight->leaderless = one->err != 0 ? 0 : -1;
        for (int p = 0; p < one->partition_cnt && sight->leaderless < 0; p++)
            sight->leaderless = one->partitions[p].leader < 0 ? one->partitions[p].id : -1;
    }
    rd_kafka_metadata_destroy(metadata);
    sight->blank = known == 0;
    if (sight->blank || (client->known >= 0 && known > client->known))
        client->learning_ns = cm_clock_ticks_ns();
    client->known = known;
    sight->learning = client->learning_ns > 0 &&
                      cm_clock_ticks_ns() - client->learning_ns < LEARNING_MS * INT64_C(1000000);
    return 0;
}

static int64_t blank_limit(const cm_kafka_client_t *client)
{
    const int64_t timeout = client->settings->timeout_ms;

    return timeout < CM_KAFKA_BLANK_MS ? timeout : CM_KAFKA_BLANK_MS;
}

/* A broker that has just come back knows of no topic until its controller has told it, and answers
 * as if there were none; then it is told of them, not of all at once. So a topic that is not there
 * is waited for, but not for long: perhaps this is a new cluster. */
static int wait_for_topics(cm_kafka_client_t *client, const char *topic, sight_t *sight,
                           cm_err_t *err)
{
    const int64_t started = cm_clock_ticks_ns(), limit = blank_limit(client);

    int rc = find_topic(client, topic, sight, err);
    while (rc == 0 && !sight->found && (sight->blank || sight->learning) &&
           (cm_clock_ticks_ns() - started) / 1000000 < limit) {
        if (cm_kafka_stopped(client))
            return cm_fail(err, CM_ESTOP, "stopped while no broker at %s knew of a topic",
                           client->settings->brokers);
        cm_sleep_ms(STEP_MS);
        rc = find_topic(client, topic, sight, err);
    }
    return rc;
}

/* Asks for the topic; an answer that it is there already is as good. */
static rd_kafka_resp_err_t ask_for_topic(cm_kafka_client_t *client, rd_kafka_NewTopic_t *topic,
                                         char *why, size_t why_size)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client->rk);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;

    rd_kafka_CreateTopics(client->rk, &topic, 1, NULL, queue);
    rd_kafka_event_t *event = NULL;
    for (int64_t ms = client->settings->timeout_ms;
         event == NULL && ms > 0 && !cm_kafka_stopped(client); ms -= STOP_MS)
        event = rd_kafka_queue_poll(queue, ms < STOP_MS ? (int)ms : STOP_MS);
    snprintf(why, why_size, "%s", rd_kafka_err2str(code));
    if (event != NULL) {
        size_t count = 0;
        const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(event);
        const rd_kafka_topic_result_t **topics =
            result != NULL ? rd_kafka_CreateTopics_result_topics(result, &count) : NULL;
        code = rd_kafka_event_error(event);
        const char *text = rd_kafka_event_error_string(event);
        if (code == 0 && count == 1) {
            code = rd_kafka_topic_result_error(topics[0]);
            text = rd_kafka_topic_result_error_string(topics[0]);
        }
        snprintf(why, why_size, "%s", text != NULL ? text : rd_kafka_err2str(code));
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    return code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS ? 0 : code;
}

/* What brokers answer for a moment, while they come back or another becomes the controller. One
 * that knows of no topic may have too few brokers for the same reason. */
static bool passes(rd_kafka_resp_err_t code, bool blank)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
        return blank;
    case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TRANSPORT:
        return true;
    default:
        return false;
    }
}

static int create_topic(cm_kafka_client_t *client, const char *topic, int partitions, bool large,
                        bool blank, cm_err_t *err)
{
    const int64_t started = cm_clock_ticks_ns(), limit = blank_limit(client);
    char why[300];

    rd_kafka_NewTopic_t *wanted =
        rd_kafka_NewTopic_new(topic, partitions, client->settings->replication, why, sizeof why);
    if (wanted == NULL)
        return cm_fail(err, CM_EUSAGE, "topic %s: %s", topic, why);
    if (large) /* as much as librdkafka sends; the broker's own limit is 1 MiB */
        rd_kafka_NewTopic_set_config(wanted, "max.message.bytes", "1000000000");
    rd_kafka_resp_err_t code = ask_for_topic(client, wanted, why, sizeof why);
    while (passes(code, blank) && !cm_kafka_stopped(client) &&
           (cm_clock_ticks_ns() - started) / 1000000 < limit) {
        cm_sleep_ms(STEP_MS);
        code = ask_for_topic(client, wanted, why, sizeof why);
    }
    rd_kafka_NewTopic_destroy(wanted);
    if (code == 0)
        return 0;
    if (cm_kafka_stopped(client))
        return cm_fail(err, CM_ESTOP, "stopped while Kafka at %s was to make topic %s",
                       client->settings->brokers, topic);
    return cm_fail(
        err, code == RD_KAFKA_RESP_ERR__TIMED_OUT || passes(code, false) ? CM_EAWAY : CM_EUSAGE,
        "topic %s is not there, and Kafka at %s does not make it: %s; make it yourself, "
        "or correct kafka.partitions and kafka.replication",
        topic, client->settings->brokers, why);
}

int cm_kafka_ensure_topic(cm_kafka_client_t *client, const char *topic, int partitions, bool large,
                          cm_err_t *err)
{
    const int64_t started = cm_clock_ticks_ns();
    const char *brokers = client->settings->brokers;
    sight_t sight;

    int rc = client->settings->create ? find_topic(client, topic, &sight, err)
                                      : wait_for_topics(client, topic, &sight, err);
    if (rc < 0)
        return rc;
    if (!sight.found && !client->settings->create)
        return cm_fail(err, CM_EINPUT,
                       "topic %s is not there at %s; make it, or let kafka.create do it", topic,
                       brokers);
    if (!sight.found)
        rc = create_topic(client, topic, partitions, large, sight.blank, err);
    /* Leaders are elected a moment after a topic is made, or a broker has gone. */
    while (rc == 0 && (!sight.found || sight.leaderless >= 0)) {
        if (cm_kafka_stopped(client))
            return cm_fail(err, CM_ESTOP, "stopped while topic %s at %s had no leader", topic,
                           brokers);
        if ((cm_clock_ticks_ns() - started) / 1000000 > client->settings->timeout_ms)
            return cm_fail(err, CM_EAWAY,
                           "partition %d of topic %s has no leader at %s; start the broker that is "
                           "down, or try again",
                           sight.leaderless >= 0 ? (int)sight.leaderless : 0, topic, brokers);
        cm_sleep_ms(STEP_MS);
        rc = find_topic(client, topic, &sight, err);
    }
    return rc;
}
