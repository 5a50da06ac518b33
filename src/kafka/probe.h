/* What Kafka reports about itself and about the configured topics, to check a configuration.
 *
 * The facts own no memory. One thread. */
#ifndef CM_KAFKA_PROBE_H
#define CM_KAFKA_PROBE_H

#include "kafka/client.h"

typedef struct cm_kafka_topic_facts {
    bool found;
    bool made; /* it was missing, and this probe has made it */
    int partitions, replication;
    int leaderless; /* partitions that have no leader at the moment, and so cannot be used */
} cm_kafka_topic_facts_t;

typedef struct cm_kafka_facts {
    int brokers;         /* 0: no broker has answered */
    const char *library; /* version of librdkafka; a constant */
    cm_kafka_topic_facts_t topic, dead;
} cm_kafka_facts_t;

/* Connects to Kafka and fills in the facts; with `fix` makes topics that are missing. A topic that
 * is missing and not made is no error. On an error the facts are those that were known before it.
 * Errors as cm_kafka_reach() and cm_kafka_ensure_topic(). */
int cm_kafka_probe(const cm_kafka_settings_t *settings, bool fix, cm_kafka_facts_t *facts,
                   cm_err_t *err);

/* Whether a topic can be used: 0, CM_EINPUT (it is missing), or CM_EAWAY (partitions have no
 * leader). */
int cm_kafka_check_topic(const cm_kafka_settings_t *settings, const char *topic,
                         const cm_kafka_topic_facts_t *facts, cm_err_t *err);

#endif
