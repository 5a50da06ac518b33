#include "kafka/request.h"

#include "base/clock.h"

enum {
    TRY_MS = 500,      /* for the metadata of one topic, before another broker is asked */
    TRY_ALL_MS = 1000, /* the same for all topics, whose answer may be large */
    USED_LEADERS = 8,  /* partitions whose leaders are used after a time-out, at most */
    NANOS = 1000000,   /* in a millisecond */
};

static int left_ms(int64_t until_ns)
{
    int64_t left = (until_ns - cm_clock_ticks_ns()) / NANOS;
    return left > 0 ? (int)left : 0;
}

rd_kafka_resp_err_t cm_kafka_query_offsets(const cm_kafka_client_t *client,
                                           rd_kafka_topic_partition_list_t *list, int64_t end,
                                           int ms)
{
    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = end;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(client->rk, list, ms > 1 ? ms : 1);
    for (int i = 0; code == 0 && i < list->cnt; i++)
        code = list->elems[i].err;
    return code;
}

/* Sends a request to each leader, whose answer does not matter: then all of them were used within
 * the same second, and librdkafka chooses at random for the next metadata request. */
static void use_leaders(const cm_kafka_client_t *client, const char *topic)
{
    for (int32_t partition = 0; partition < USED_LEADERS; partition++) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
        rd_kafka_topic_partition_list_add(list, topic, partition);
        cm_kafka_query_offsets(client, list, RD_KAFKA_OFFSET_END, 1);
        rd_kafka_topic_partition_list_destroy(list);
    }
}

rd_kafka_resp_err_t cm_kafka_topic_metadata(const cm_kafka_client_t *client, const char *topic,
                                            const rd_kafka_metadata_t **metadata, int timeout_ms)
{
    const int64_t until_ns = cm_clock_ticks_ns() + timeout_ms * INT64_C(1000000);
    rd_kafka_resp_err_t code;

    rd_kafka_topic_t *handle = rd_kafka_topic_new(client->rk, topic, NULL);
    if (handle == NULL)
        return rd_kafka_last_error();
    do {
        int left = left_ms(until_ns);
        int wait = left < TRY_MS ? left : TRY_MS;
        code = rd_kafka_metadata(client->rk, 0, handle, metadata, wait > 1 ? wait : 1);
        if (code == RD_KAFKA_RESP_ERR__TIMED_OUT)
            use_leaders(client, topic);
    } while (code != 0 && left_ms(until_ns) > 0 && !cm_kafka_stopped(client));
    rd_kafka_topic_destroy(handle);
    return code;
}

static int fail_away(const cm_kafka_client_t *client, int64_t ms, cm_err_t *err)
{
    return cm_fail(err, CM_EAWAY,
                   "no Kafka broker at %s answers within %g s%s%s%s; check kafka.brokers and that "
                   "the broker is running",
                   client->settings->brokers, (double)ms / 1e3, client->reason[0] ? " (" : "",
                   client->reason, client->reason[0] ? ")" : "");
}

static bool is_refusal(rd_kafka_resp_err_t code)
{
    return code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL;
}

int cm_kafka_metadata(cm_kafka_client_t *client, const rd_kafka_metadata_t **metadata,
                      cm_err_t *err)
{
    const int64_t limit = client->settings->timeout_ms, started = cm_clock_ticks_ns();
    const char *topic = client->settings->topic;

    for (;;) {
        int64_t left = limit - (cm_clock_ticks_ns() - started) / NANOS;
        int wait = left < TRY_ALL_MS ? (int)left : TRY_ALL_MS;
        rd_kafka_resp_err_t code =
            rd_kafka_metadata(client->rk, 1, NULL, metadata, wait > 1 ? wait : 1);
        rd_kafka_poll(client->rk, 0); /* lets librdkafka call the client's error callback */
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
        if (code == RD_KAFKA_RESP_ERR__TIMED_OUT && topic != NULL)
            use_leaders(client, topic);
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
