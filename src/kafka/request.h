/* Requests for metadata and offsets whose wait ends in time, whatever single brokers do.
 *
 * librdkafka sends a request for metadata to the broker that it used last, and chooses at random
 * only among brokers that it used within the same second. A broker that stays silent would get all
 * requests, so after a request that timed out the leaders of the client's topic are all used once.
 * One thread for each client. */
#ifndef CM_KAFKA_REQUEST_H
#define CM_KAFKA_REQUEST_H

#include "kafka/client.h"

/* Gets the metadata of all topics; the caller destroys it. CM_EAWAY after settings->timeout_ms;
 * CM_EUSAGE at once when a broker refuses the credentials or TLS fails; CM_ESTOP. */
int cm_kafka_metadata(cm_kafka_client_t *client, const rd_kafka_metadata_t **metadata,
                      cm_err_t *err);

/* Waits until a broker answers. Errors as cm_kafka_metadata(). */
int cm_kafka_reach(cm_kafka_client_t *client, cm_err_t *err);

/* Gets the metadata of one topic within `timeout_ms`; the caller destroys it. Returns a code of
 * librdkafka. */
rd_kafka_resp_err_t cm_kafka_topic_metadata(const cm_kafka_client_t *client, const char *topic,
                                            const rd_kafka_metadata_t **metadata, int timeout_ms);

/* Asks the leaders of the list's partitions for the offsets at one end, RD_KAFKA_OFFSET_BEGINNING
 * or RD_KAFKA_OFFSET_END, and waits for `ms` at most. Returns the first error, a code of
 * librdkafka. */
rd_kafka_resp_err_t cm_kafka_query_offsets(const cm_kafka_client_t *client,
                                           rd_kafka_topic_partition_list_t *list, int64_t end,
                                           int ms);

#endif
