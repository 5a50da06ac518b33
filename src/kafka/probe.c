#include "kafka/probe.h"

#include "kafka/request.h"
#include "kafka/topics.h"

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

/* One look at the cluster; makes topics that are missing where settings->create says so. */
static int probe_once(cm_kafka_client_t *client, cm_kafka_facts_t *facts, cm_err_t *err)
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
    *facts = (cm_kafka_facts_t){.brokers = metadata->broker_cnt, .library = rd_kafka_version_str()};
    take_topic(metadata, settings->topic, &facts->topic);
    take_topic(metadata, settings->dead_topic, &facts->dead);
    rd_kafka_metadata_destroy(metadata);
    return 0;
}

static int probe(const cm_kafka_settings_t *given, bool create, cm_kafka_facts_t *facts,
                 cm_err_t *err)
{
    const cm_kafka_property_t none[] = {{NULL, NULL}};
    cm_kafka_client_t *client = cm_alloc_zero(1, sizeof *client);
    cm_kafka_settings_t *settings = cm_alloc(sizeof *settings);
    rd_kafka_conf_t *conf;

    *settings = *given;
    settings->create = create;
    int rc = cm_kafka_conf(settings, none, &conf, err);
    if (rc == 0)
        rc = cm_kafka_start(client, RD_KAFKA_PRODUCER, conf, settings, NULL, err);
    if (rc == 0)
        rc = probe_once(client, facts, err);
    if (cm_kafka_end_within(client, CM_KAFKA_END_MS)) {
        free(client);
        free(settings);
    }
    return rc;
}

int cm_kafka_probe(const cm_kafka_settings_t *settings, bool fix, cm_kafka_facts_t *facts,
                   cm_err_t *err)
{
    *facts = (cm_kafka_facts_t){0};
    int rc = probe(settings, false, facts, err);
    const bool topic = facts->topic.found, dead = facts->dead.found;
    if (rc < 0 || !fix || (topic && dead))
        return rc;
    rc = probe(settings, true, facts, err);
    facts->topic.made = facts->topic.found && !topic;
    facts->dead.made = facts->dead.found && !dead;
    return rc;
}

int cm_kafka_check_topic(const cm_kafka_settings_t *settings, const char *topic,
                         const cm_kafka_topic_facts_t *facts, cm_err_t *err)
{
    if (!facts->found)
        return cm_fail(err, CM_EINPUT, "topic %s is not there; make it with --fix%s", topic,
                       settings->create ? ", or it is made when it is needed first" : "");
    if (facts->leaderless > 0)
        return cm_fail(err, CM_EAWAY,
                       "topic %s: %d of its %d partitions have no leader; are all brokers running?",
                       topic, facts->leaderless, facts->partitions);
    return 0;
}
