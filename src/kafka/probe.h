/* What Kafka says about itself and about our topics, for who checks a configuration. */
#ifndef CM_KAFKA_PROBE_H
#define CM_KAFKA_PROBE_H

#include "kafka/client.h"

typedef struct cm_kafka_topic_facts {
    bool found;
    int partitions, replication;
    int leaderless; /* partitions that cannot be used at the moment */
} cm_kafka_topic_facts_t;

typedef struct cm_kafka_facts {
    int brokers;
    const char *library; /* our client's version */
    cm_kafka_topic_facts_t topic, dead;
} cm_kafka_facts_t;

/* Reaches Kafka and looks; makes topics that are missing where settings->create says so. Errors as
 * cm_kafka_reach() and cm_kafka_ensure_topic(); a topic that is not there and shall not be made is
 * none. */
int cm_kafka_probe(const cm_kafka_settings_t *settings, cm_kafka_facts_t *facts, cm_err_t *err);

#endif
