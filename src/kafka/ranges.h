/* Where the partitions of a topic begin and end, asked of the brokers that lead them.
 *
 * rd_kafka_query_watermark_offsets() would do it, but before librdkafka 2.3 it waits for ever for a
 * leader that is down. The calls here keep to their time, whatever the brokers do: those of one
 * leader that is silent are not known, and those of the others are. One thread. */
#ifndef CM_KAFKA_RANGES_H
#define CM_KAFKA_RANGES_H

#include "kafka/client.h"

typedef struct cm_kafka_range {
    int32_t partition;        /* set by the caller */
    int64_t low, high;        /* the offset of the first message, and the one behind the last */
    rd_kafka_resp_err_t code; /* 0: they are known */
} cm_kafka_range_t;

/* Fills in where each of the partitions begins and ends, within `timeout_ms` in all. Settings'
 * `stop` ends it sooner. */
void cm_kafka_ranges(const cm_kafka_client_t *client, const char *topic, cm_kafka_range_t *ranges,
                     size_t count, int timeout_ms);

#endif
