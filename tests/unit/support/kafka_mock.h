/* A Kafka cluster inside the test: librdkafka's mock brokers, messages put directly into their
 * topics and read back from them. A mock_t must not be moved: its settings point into it. One
 * thread. */
#ifndef CM_TESTS_UNIT_KAFKA_MOCK_H
#define CM_TESTS_UNIT_KAFKA_MOCK_H

#include "support.h"

#include "kafka/client.h"

#include <librdkafka/rdkafka_mock.h>

/* ApiKeys of requests, for errors that are put into their answers. */
enum { MOCK_PRODUCE = 0, MOCK_FETCH = 1, MOCK_LIST_OFFSETS = 2, MOCK_OFFSET_FETCH = 9 };

enum { MOCK_PROPERTIES = 8 };

typedef struct mock {
    rd_kafka_t *rk; /* hosts the cluster, and produces */
    rd_kafka_mock_cluster_t *cluster;
    cm_option_pair_t pairs[MOCK_PROPERTIES];
    cm_option_map_t properties;
    cm_kafka_settings_t settings;
} mock_t;

/* The configuration of a client of the test itself, which logs nothing, with one property. */
rd_kafka_conf_t *mock_conf(const char *name, const char *value);

/* Starts a cluster of this many brokers without topics. */
void mock_start_brokers(mock_t *mock, int brokers_wanted);

/* Starts a cluster of one broker without topics. */
void mock_start_blank(mock_t *mock);

/* Starts one broker with the topics "t", of this many partitions, and "t.dead", of one. */
void mock_start(mock_t *mock, int partitions);

/* Adds a property of librdkafka to the settings. `name` and `text` are borrowed. */
void mock_property(mock_t *mock, const char *name, const char *text);

void mock_stop(mock_t *mock);

/* Puts a message into a partition; NULL is a null key or value. */
void mock_put(mock_t *mock, const char *topic, int32_t partition, const char *key, cm_str_t value);

void mock_flush(mock_t *mock);

/* A message as stored in its topic. */
typedef struct mock_message {
    int32_t partition;
    int64_t offset;
    char *key, *value, *headers; /* "reason=...|origin=...|"; key and value NULL where null */
    size_t value_len;
} mock_message_t;

typedef struct mock_messages {
    mock_message_t *all;
    size_t count;
} mock_messages_t;

/* Reads all messages of the topic's partitions [0, partitions); mock_free() frees them. */
mock_messages_t mock_read(mock_t *mock, const char *topic, int32_t partitions);

void mock_free(mock_messages_t *messages);

#endif
