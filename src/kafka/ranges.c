#include "kafka/ranges.h"

#include "base/clock.h"
#include "kafka/request.h"

#include <stdlib.h>

enum {
    SETTLED = -2,    /* no request is needed for the partition any more */
    NANOS = 1000000, /* a millisecond */
};

typedef struct asking {
    const cm_kafka_client_t *client;
    const char *topic;
    cm_kafka_range_t *ranges;
    int32_t *leaders; /* by place in `ranges` */
    size_t count;
    int64_t until_ns;
} asking_t;

static int left_ms(int64_t until_ns)
{
    int64_t left = (until_ns - cm_clock_ticks_ns()) / NANOS;
    return left > 0 ? (int)left : 0;
}

/* Notes the leader of each partition, or why there is none to ask. */
static void find_leaders(asking_t *asking)
{
    const rd_kafka_metadata_t *metadata;

    rd_kafka_resp_err_t code = cm_kafka_topic_metadata(asking->client, asking->topic, &metadata,
                                                       left_ms(asking->until_ns));
    const rd_kafka_metadata_topic_t *topic =
        code == 0 && metadata->topic_cnt == 1 ? &metadata->topics[0] : NULL;
    if (topic != NULL && topic->err != 0)
        code = topic->err;
    for (size_t i = 0; i < asking->count; i++) {
        cm_kafka_range_t *range = &asking->ranges[i];
        range->code = code != 0 ? code : RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
        asking->leaders[i] = SETTLED;
        for (int p = 0; code == 0 && topic != NULL && p < topic->partition_cnt; p++) {
            if (topic->partitions[p].id != range->partition)
                continue;
            range->code = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
            asking->leaders[i] =
                topic->partitions[p].leader < 0 ? SETTLED : topic->partitions[p].leader;
        }
    }
    if (topic != NULL)
        rd_kafka_metadata_destroy(metadata);
}

/* Gets both ends of the partitions [from, to) that `leader` leads: one request for all beginnings
 * and one for all ends. An empty partition ends where it begins. */
static rd_kafka_resp_err_t ask_leader(asking_t *asking, int32_t leader, size_t from, size_t to,
                                      int ms)
{
    const int64_t until_ns = cm_clock_ticks_ns() + ms * INT64_C(1000000);
    rd_kafka_topic_partition_list_t *lows = rd_kafka_topic_partition_list_new((int)(to - from));
    rd_kafka_topic_partition_list_t *highs;

    for (size_t i = from; i < to; i++) {
        if (asking->leaders[i] == leader)
            rd_kafka_topic_partition_list_add(lows, asking->topic, asking->ranges[i].partition);
    }
    highs = rd_kafka_topic_partition_list_copy(lows);
    rd_kafka_resp_err_t code =
        cm_kafka_query_offsets(asking->client, lows, RD_KAFKA_OFFSET_BEGINNING, ms);
    if (code == 0)
        code =
            cm_kafka_query_offsets(asking->client, highs, RD_KAFKA_OFFSET_END, left_ms(until_ns));
    int at = 0;
    for (size_t i = from; i < to; i++) {
        if (asking->leaders[i] != leader)
            continue;
        asking->ranges[i].code = code;
        asking->ranges[i].high = highs->elems[at].offset;
        asking->ranges[i].low =
            lows->elems[at].offset >= 0 ? lows->elems[at].offset : asking->ranges[i].high;
        at++;
    }
    rd_kafka_topic_partition_list_destroy(lows);
    rd_kafka_topic_partition_list_destroy(highs);
    return code;
}

/* Counts the leaders that were not asked yet; `first` becomes the place of one of them. */
static int count_leaders(const asking_t *asking, size_t *first)
{
    int count = 0;

    for (size_t i = 0; i < asking->count; i++) {
        size_t before = 0;
        while (before < i && asking->leaders[before] != asking->leaders[i])
            before++;
        if (asking->leaders[i] == SETTLED || before < i)
            continue;
        if (count++ == 0)
            *first = i;
    }
    return count;
}

/* An error of one partition hides the offsets of the leader's other partitions: then each partition
 * is asked for in a request of its own. */
static void ask_alone(asking_t *asking, int32_t leader, int64_t until_ns)
{
    for (size_t i = 0; i < asking->count; i++) {
        if (asking->leaders[i] == leader && left_ms(until_ns) > 0)
            ask_leader(asking, leader, i, i + 1, left_ms(until_ns));
    }
}

void cm_kafka_ranges(const cm_kafka_client_t *client, const char *topic, cm_kafka_range_t *ranges,
                     size_t count, int timeout_ms)
{
    asking_t asking = {.client = client,
                       .topic = topic,
                       .ranges = ranges,
                       .leaders = cm_alloc((count + 1) * sizeof *asking.leaders),
                       .count = count,
                       .until_ns = cm_clock_ticks_ns() + timeout_ms * INT64_C(1000000)};
    size_t first = 0;
    int leaders;

    find_leaders(&asking);
    while ((leaders = count_leaders(&asking, &first)) > 0) {
        /* Each leader gets an equal part of the time, so that a silent one leaves time for others.
         */
        const int32_t leader = asking.leaders[first];
        const int ms = left_ms(asking.until_ns) / leaders;
        const int64_t until_ns = cm_clock_ticks_ns() + ms * INT64_C(1000000);
        rd_kafka_resp_err_t code = cm_kafka_stopped(client)
                                       ? RD_KAFKA_RESP_ERR__TIMED_OUT
                                       : ask_leader(&asking, leader, 0, count, ms);
        if (code != 0 && code != RD_KAFKA_RESP_ERR__TIMED_OUT &&
            code != RD_KAFKA_RESP_ERR__TRANSPORT)
            ask_alone(&asking, leader, until_ns);
        for (size_t i = 0; i < count; i++) {
            if (asking.leaders[i] == leader)
                asking.leaders[i] = SETTLED;
        }
    }
    free(asking.leaders);
}
