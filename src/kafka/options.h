/* Options that say where Kafka is and what is done with its topics: arrays of rows
 * (base/options.h) that a command composes. The struct belongs to the command; tables are
 * constant, for any thread. */
#ifndef CM_KAFKA_OPTIONS_H
#define CM_KAFKA_OPTIONS_H

#include "base/options.h"
#include "event/map.h"
#include "kafka/client.h"

typedef struct cm_kafka_options {
    const char *brokers, *topic, *dead_topic, *group;
    cm_option_map_t properties;
    bool create;
    int64_t partitions, replication;
    int64_t timeout;
    int tombstones; /* cm_kafka_tombstones_t; for commands that read the topic, as all below */
    const char *registry, *registry_user, *registry_password, *registry_ca;
    cm_option_map_t map; /* for cm_event_map_new() */
} cm_kafka_options_t;

/* What is done with messages without a value. */
typedef enum cm_kafka_tombstones {
    CM_KAFKA_TOMBSTONES_DEAD, /* they are dead letters */
    CM_KAFKA_TOMBSTONES_SKIP, /* they are skipped, and counted */
} cm_kafka_tombstones_t;

/* Brokers, topics, properties, time-outs: for a cm_kafka_options_t. */
extern const cm_option_t cm_kafka_option_rows[];

/* The consumer group. `process --follow` has a default and a key of its own, so that it and
 * `ingest` each get the whole topic from one configuration. */
extern const cm_option_t cm_kafka_group_option[];
extern const cm_option_t cm_kafka_follow_group_option[];

/* For commands that read the topic. */
extern const cm_option_t cm_kafka_tombstones_option[];

/* The schema registry; and all that says what the values of messages are: it, and which members
 * give fields. */
extern const cm_option_t cm_kafka_registry_options[];
extern const cm_option_t cm_kafka_value_options[];

/* The settings that the options mean; they borrow from all three. */
cm_kafka_settings_t cm_kafka_settings_of(const cm_kafka_options_t *options, const cm_log_t *log,
                                         const atomic_bool *stop);

#endif
