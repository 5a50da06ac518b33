#include "kafka/probe.h"

#include <stdlib.h>

enum { DEAD_PARTITIONS = 1 };

static void take_topic(const rd_kafka_metadata_t *metadata, const char *name,
                       cm_kafka_topic_facts_t *facts)
{
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *topic = &metadata->topics[i];
        if (strcmp(topic->topic, name) != 0 || topic->err != 0)
            continue;
        facts->found = topic->partition_cnt > 0;
        facts->partitions = topic->partition_cnt;
        for (int p = 0; p < topic->partition_cnt; p++) {
            facts->replication = topic->partitions[p].replica_cnt;
            facts->leaderless += topic->partitions[p].leader < 0;
        }
    }
}

static int look(cm_kafka_client_t *client, cm_kafka_facts_t *facts, cm_err_t *err)
{
    const cm_kafka_settings_t *settings = client->settings;
    const rd_kafka_metadata_t *metadata;

    int rc = cm_kafka_reach(client, err);
    if (rc == 0 && settings->create)
        rc = cm_kafka_ensure_topic(client, settings->topic, settings->partitions, false, err);
    if (rc == 0 && settings->create)
        rc = cm_kafka_ensure_topic(client, settings->dead_topic, DEAD_PARTITIONS, true, err);
    if (rc < 0)
        return rc;
    rc = cm_kafka_metadata(client, &metadata, err);
    if (rc < 0)
        return rc;
    facts->library = rd_kafka_version_str();
    facts->brokers = metadata->broker_cnt;
    take_topic(metadata, settings->topic, &facts->topic);
    take_topic(metadata, settings->dead_topic, &facts->dead);
    rd_kafka_metadata_destroy(metadata);
    return 0;
}

int cm_kafka_probe(const cm_kafka_settings_t *settings, cm_kafka_facts_t *facts, cm_err_t *err)
{
    const cm_kafka_property_t none[] = {{NULL, NULL}};
    cm_kafka_client_t *client = cm_alloc_zero(1, sizeof *client);
    rd_kafka_conf_t *conf;

    *facts = (cm_kafka_facts_t){0};
    int rc = cm_kafka_conf(settings, none, &conf, err);
    if (rc == 0)
        rc = cm_kafka_start(client, RD_KAFKA_PRODUCER, conf, settings, NULL, err);
    if (rc == 0)
        rc = look(client, facts, err);
    if (cm_kafka_end_within(client, CM_KAFKA_END_MS))
        free(client);
    return rc;
}
