#include "kafka/topics.h"

#include "base/clock.h"
#include "kafka/request.h"

#include <stdio.h>

enum {
    STOP_MS = 200,      /* between checks whether the program is to stop */
    STEP_MS = 50,       /* between two requests about a topic */
    LEARNING_MS = 1000, /* without new topics, after which a broker is taken to know all of them */
};

/* What a broker knows of the topic. */
typedef struct {
    bool found;
    int32_t leaderless; /* a partition of it that has no leader; -1: all have one */
    bool blank;         /* it knows of no topic at all: perhaps it has just started */
    bool learning;      /* a moment ago it knew of fewer: it may not know of all topics yet */
} topic_state_t;

static int find_topic(cm_kafka_client_t *client, const char *topic, topic_state_t *state,
                      cm_err_t *err)
{
    const rd_kafka_metadata_t *metadata;
    int known = 0;

    *state = (topic_state_t){.leaderless = -1};
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
        state->found = one->err != 0 || one->partition_cnt > 0;
        state->leaderless = one->err != 0 ? 0 : -1;
        for (int p = 0; p < one->partition_cnt && state->leaderless < 0; p++)
            state->leaderless = one->partitions[p].leader < 0 ? one->partitions[p].id : -1;
    }
    rd_kafka_metadata_destroy(metadata);
    state->blank = known == 0;
    if (state->blank || (client->known >= 0 && known > client->known))
        client->learning_ns = cm_clock_ticks_ns();
    client->known = known;
    state->learning = client->learning_ns > 0 &&
                      cm_clock_ticks_ns() - client->learning_ns < LEARNING_MS * INT64_C(1000000);
    return 0;
}

static int64_t blank_limit(const cm_kafka_client_t *client)
{
    const int64_t timeout = client->settings->timeout_ms;

    return timeout < CM_KAFKA_BLANK_MS ? timeout : CM_KAFKA_BLANK_MS;
}

/* A broker that has just started knows of no topic until its controller has told it, and answers as
 * if there were none. It then learns of the topics one after the other. So a missing topic is
 * waited for, but not for long: perhaps this is a new cluster. */
static int wait_for_topics(cm_kafka_client_t *client, const char *topic, topic_state_t *state,
                           cm_err_t *err)
{
    const int64_t started = cm_clock_ticks_ns(), limit = blank_limit(client);

    int rc = find_topic(client, topic, state, err);
    while (rc == 0 && !state->found && (state->blank || state->learning) &&
           (cm_clock_ticks_ns() - started) / 1000000 < limit) {
        if (cm_kafka_stopped(client))
            return cm_fail(err, CM_ESTOP, "stopped while no broker at %s knew of a topic",
                           client->settings->brokers);
        cm_sleep_ms(STEP_MS);
        rc = find_topic(client, topic, state, err);
    }
    return rc;
}

/* Asks a broker to make the topic; the answer that it exists already is a success. */
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

/* Errors that pass by themselves: brokers answer so while they start, or while another broker
 * becomes the controller. `blank`: the broker knows of no topic; then it may also know of too few
 * brokers, for the same reason. */
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
    if (large) /* the most that librdkafka sends; the broker's default is 1 MiB */
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
        return cm_fail(err, CM_ESTOP, "stopped while Kafka at %s was asked to make topic %s",
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
    topic_state_t state;

    int rc = client->settings->create ? find_topic(client, topic, &state, err)
                                      : wait_for_topics(client, topic, &state, err);
    if (rc < 0)
        return rc;
    if (!state.found && !client->settings->create)
        return cm_fail(err, CM_EINPUT,
                       "topic %s is not there at %s; make it, or let kafka.create do it", topic,
                       brokers);
    if (!state.found)
        rc = create_topic(client, topic, partitions, large, state.blank, err);
    /* Leaders are elected a moment after a topic was made, or after a broker has left. */
    while (rc == 0 && (!state.found || state.leaderless >= 0)) {
        if (cm_kafka_stopped(client))
            return cm_fail(err, CM_ESTOP, "stopped while topic %s at %s had no leader", topic,
                           brokers);
        if ((cm_clock_ticks_ns() - started) / 1000000 > client->settings->timeout_ms)
            return cm_fail(err, CM_EAWAY,
                           "partition %d of topic %s has no leader at %s; start the broker that is "
                           "down, or try again",
                           state.leaderless >= 0 ? (int)state.leaderless : 0, topic, brokers);
        cm_sleep_ms(STEP_MS);
        rc = find_topic(client, topic, &state, err);
    }
    return rc;
}
