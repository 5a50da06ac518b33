/* Where the partitions of a topic begin and end: their leaders are asked.
 *
 * rd_kafka_query_watermark_offsets() would do it, but before librdkafka 2.3 it waits without end
 * for a leader that is down. cm_kafka_ranges() ends in time, whatever the brokers do: when one
 * leader is silent, only the ranges of its partitions are unknown. One thread. */
#ifndef CM_KAFKA_RANGES_H
#define CM_KAFKA_RANGES_H

#include "kafka/client.h"

typedef struct cm_kafka_range {
    int32_t partition; /* set by the caller */
    int64_t low, high; /* the offset of the first message, and the offset after the last one */
    rd_kafka_resp_err_t code; /* 0: `low` and `high` are known */
} cm_kafka_range_t;

/* Fills in where each of the partitions begins and ends, within `timeout_ms` in all. The
 * settings' `stop` ends it sooner. */
void cm_kafka_ranges(const cm_kafka_client_t *client, const char *topic, cm_kafka_range_t *ranges,
                     size_t count, int timeout_ms);

#endif
