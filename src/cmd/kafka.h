/* Options that say where Kafka is, shared by all commands that use it. */
#ifndef CM_CMD_KAFKA_H
#define CM_CMD_KAFKA_H

#include "cmd/app.h"
#include "kafka/client.h"
#include "sink/kafka.h"

typedef struct cm_kafka_options {
    const char *brokers, *topic, *dead_topic, *group;
    cm_option_map_t properties;
    bool create;
    int64_t partitions, replication;
    int64_t timeout;
    int tombstones; /* cm_tombstones_t; of those who read */
} cm_kafka_options_t;

/* What becomes of messages without a value. */
typedef enum cm_tombstones {
    CM_TOMBSTONES_DEAD, /* they are dead letters */
    CM_TOMBSTONES_SKIP, /* they are skipped, and counted */
} cm_tombstones_t;

/* Where events go: cm_sink_choice_t. */
typedef enum cm_sink_choice {
    CM_SINK_STORE,
    CM_SINK_KAFKA,
} cm_sink_choice_t;

/* The row of an option table for an int that is the member `m` of struct `s`. */
#define CM_SINK_ROW(s, m)                                                                          \
    {                                                                                              \
        .name = "sink", .type = CM_OPT_CHOICE, .offset = offsetof(s, m), .arg = "SINK",            \
        .def = "store", .choices = "store|kafka", .key = "sink", .help = "where the events go"     \
    }

/* The row for the consumer group: `process --follow` has one of its own, so that it and `ingest`
 * each get all of the topic from one configuration. */
#define CM_GROUP_ROW(s, m, group_key, group_default)                                               \
    {                                                                                              \
        .name = "group", .type = CM_OPT_TEXT, .offset = offsetof(s, m.group), .arg = "GROUP",      \
        .def = group_default, .key = group_key,                                                    \
        .help = "consumer group; those who share it share the topic's partitions"                  \
    }

/* The row for those who read the topic. */
#define CM_TOMBSTONES_ROW(s, m)                                                                    \
    {                                                                                              \
        .name = "tombstones", .type = CM_OPT_CHOICE, .offset = offsetof(s, m.tombstones),          \
        .arg = "WHAT", .def = "dead", .choices = "dead|skip", .key = "kafka.tombstones",           \
        .help = "messages without a value: dead letters, or skipped and counted"                   \
    }

#define CM_KAFKA_ROWS(s, m)                                                                        \
    CM_GROUP_ROW(s, m, "kafka.group", "clickmill"), CM_KAFKA_ROWS_BUT_GROUP(s, m)

/* The rows of an option table for a cm_kafka_options_t that is the member `m` of struct `s`. The
 * keys `bootstrap_servers` and `topic` alone are those of simple producers' configurations. */
#define CM_KAFKA_ROWS_BUT_GROUP(s, m)                                                              \
    {.name = "brokers",                                                                            \
     .type = CM_OPT_TEXT,                                                                          \
     .offset = offsetof(s, m.brokers),                                                             \
     .arg = "HOST:PORT,...",                                                                       \
     .def = "127.0.0.1:9092",                                                                      \
     .key = "kafka.brokers",                                                                       \
     .aliases = "kafka.bootstrap_servers|bootstrap_servers",                                       \
     .env = "CLICKMILL_KAFKA_BROKERS",                                                             \
     .help = "Kafka's brokers, some of them are enough"},                                          \
        {.name = "topic",                                                                          \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.topic),                                                           \
         .arg = "TOPIC",                                                                           \
         .def = "clickstream",                                                                     \
         .key = "kafka.topic",                                                                     \
         .aliases = "topic",                                                                       \
         .help = "topic of the events"},                                                           \
        {.name = "dead-topic",                                                                     \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.dead_topic),                                                      \
         .arg = "TOPIC",                                                                           \
         .def = "clickstream.dead",                                                                \
         .key = "kafka.dead_topic",                                                                \
         .help = "topic of the dead letters"},                                                     \
        {.name = "kafka-property",                                                                 \
         .type = CM_OPT_MAP,                                                                       \
         .offset = offsetof(s, m.properties),                                                      \
         .arg = "NAME=VALUE",                                                                      \
         .secret = CM_SECRET_BY_NAME,                                                              \
         .key = "kafka.properties",                                                                \
         .help = "any property of librdkafka, once each; in a value ${NAME} is an environment "    \
                 "variable, and file:PATH what a file holds"},                                     \
        {.name = "kafka-create",                                                                   \
         .type = CM_OPT_FLAG,                                                                      \
         .offset = offsetof(s, m.create),                                                          \
         .def = "true",                                                                            \
         .key = "kafka.create",                                                                    \
         .help = "make topics that are missing"},                                                  \
        {.name = "partitions",                                                                     \
         .type = CM_OPT_INT,                                                                       \
         .offset = offsetof(s, m.partitions),                                                      \
         .arg = "N",                                                                               \
         .def = "6",                                                                               \
         .min = -1,                                                                                \
         .max = 100000,                                                                            \
         .key = "kafka.partitions",                                                                \
         .help = "partitions of a topic that is made; -1: as the broker is configured"},           \
        {.name = "replication",                                                                    \
         .type = CM_OPT_INT,                                                                       \
         .offset = offsetof(s, m.replication),                                                     \
         .arg = "N",                                                                               \
         .def = "-1",                                                                              \
         .min = -1,                                                                                \
         .max = 100,                                                                               \
         .key = "kafka.replication",                                                               \
         .help = "copies of a topic that is made; -1: as the broker is configured"},               \
    {                                                                                              \
        .name = "kafka-timeout", .type = CM_OPT_DURATION, .offset = offsetof(s, m.timeout),        \
        .arg = "TIME", .def = "15s", .min = 100, .max = 3600e3, .key = "kafka.timeout",            \
        .help = "how long no broker may answer before that is said"                                \
    }

/* Ends the wait for a broker that is away when the program has been asked to stop a while ago. */
typedef struct cm_kafka_patience {
    cm_waiter_t waiter;
    const atomic_bool *stop;
    int64_t stop_ns;
} cm_kafka_patience_t;

/* Must not move afterwards. */
void cm_kafka_patience_start(cm_kafka_patience_t *patience, const cm_app_t *app);

/* The settings that the options mean; they borrow from both. */
cm_kafka_settings_t cm_kafka_settings_of(const cm_app_t *app, const cm_kafka_options_t *options);

/* Prints the account of a run into a Kafka sink, with what became of its messages: sentences, or
 * where --json asks one object. */
void cm_kafka_account_print(cm_app_t *app, const cm_account_t *account, const cm_sink_t *sink);

#endif
