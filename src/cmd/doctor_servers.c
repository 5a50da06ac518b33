/* What `doctor` checks on servers. */
#include "cassandra/check.h"
#include "cmd/doctor.h"
#include "kafka/probe.h"
#include "kafka/registry.h"

/* ---- Kafka ---- */

static void check_topic(cm_doctor_t *doctor, const cm_kafka_settings_t *settings, const char *name,
                        const cm_kafka_topic_facts_t *facts)
{
    cm_err_t err;

    int rc = cm_kafka_check_topic(settings, name, facts, &err);
    if (rc == CM_EINPUT && settings->create)
        cm_doctor_report(doctor, CM_DOCTOR_NOTE, "kafka", "%s", err.text);
    else if (rc < 0)
        cm_doctor_report_error(doctor, "kafka", rc, err.text);
    else
        cm_doctor_report(doctor, facts->made ? CM_DOCTOR_FIXED : CM_DOCTOR_RIGHT, "kafka",
                         "topic %s has %d partition%s, %d cop%s", name, facts->partitions,
                         facts->partitions == 1 ? "" : "s", facts->replication,
                         facts->replication == 1 ? "y" : "ies");
}

void cm_doctor_check_topics(cm_doctor_t *doctor)
{
    const cm_kafka_settings_t settings =
        cm_kafka_settings_of(&doctor->asked->sink.kafka, &doctor->app->log, doctor->app->stop);
    cm_kafka_facts_t facts;
    cm_err_t err;

    int rc = settings.registry != NULL ? cm_kafka_registry_check(&settings, &err) : 0;
    if (rc < 0)
        cm_doctor_report_error(doctor, "registry", rc, err.text);
    else if (settings.registry != NULL)
        cm_doctor_report(doctor, CM_DOCTOR_RIGHT, "registry", "the schema registry at %s answers",
                         settings.registry);
    rc = cm_kafka_probe(&settings, doctor->asked->fix, &facts, &err);
    if (facts.brokers > 0)
        cm_doctor_report(doctor, CM_DOCTOR_RIGHT, "kafka",
                         "%s answers: %d broker%s; librdkafka here is %s", settings.brokers,
                         facts.brokers, facts.brokers == 1 ? "" : "s", facts.library);
    if (rc < 0) {
        cm_doctor_report_error(doctor, "kafka", rc, err.text);
        return;
    }
    check_topic(doctor, &settings, settings.topic, &facts.topic);
    check_topic(doctor, &settings, settings.dead_topic, &facts.dead);
}

/* ---- Cassandra ---- */

static void report_cassandra(cm_doctor_t *doctor, const cm_cassandra_settings_t *settings,
                             const cm_cassandra_report_t *report)
{
    const cm_cassandra_facts_t *facts = &report->facts;

    cm_doctor_report(
        doctor, CM_DOCTOR_RIGHT, "cassandra",
        "%s answers: version %s, cluster %s, %d node%s in %d data centre%s, protocol v%d, %s",
        settings->hosts, facts->version, facts->cluster, facts->nodes, facts->nodes == 1 ? "" : "s",
        facts->dc_count, facts->dc_count == 1 ? "" : "s", facts->protocol,
        !settings->tls.enabled       ? "without TLS"
        : settings->tls.insecure     ? "TLS that trusts any certificate"
        : settings->username != NULL ? "TLS and a password"
                                     : "TLS");
    if (report->table != CM_CASSANDRA_UNUSABLE)
        cm_doctor_report(
            doctor, report->table == CM_CASSANDRA_MADE ? CM_DOCTOR_FIXED : CM_DOCTOR_RIGHT,
            "cassandra", "table %s.%s is the contract's%s; its keyspace has %s", settings->keyspace,
            settings->table, settings->extended ? ", with the columns of the optional fields" : "",
            facts->replication);
    if (report->companion != CM_CASSANDRA_UNUSABLE)
        cm_doctor_report(
            doctor, report->companion == CM_CASSANDRA_MADE ? CM_DOCTOR_FIXED : CM_DOCTOR_RIGHT,
            "cassandra", "table %s.%s_changes notes what is written (cassandra.only_writer)",
            settings->keyspace, settings->table);
}

void cm_doctor_check_store(cm_doctor_t *doctor)
{
    cm_store_settings_t store = cm_app_store_settings(doctor->app, &doctor->asked->store);
    cm_cassandra_report_t report;
    cm_err_t err;

    store.cassandra.log = NULL; /* a finding says what is wrong; the log would repeat it */
    int rc = cm_cassandra_check(&store.cassandra, doctor->asked->fix, &report, &err);
    if (report.reached)
        report_cassandra(doctor, &store.cassandra, &report);
    if (rc == CM_EINPUT && store.cassandra.create)
        cm_doctor_report(doctor, CM_DOCTOR_NOTE, "cassandra", "%s", err.text);
    else if (rc < 0)
        cm_doctor_report_error(doctor, "cassandra", rc, err.text);
}

/* ---- Elasticsearch ---- */

void cm_doctor_check_index(cm_doctor_t *doctor)
{
    const cm_index_settings_t settings = cm_app_index_settings(doctor->app, &doctor->asked->index);
    cm_index_facts_t facts = {.server = ""};
    cm_index_t *index = NULL;
    cm_err_t err;

    int rc = cm_index_open_server(&settings, &index, &err);
    if (rc == 0)
        rc = cm_index_probe(index, doctor->asked->fix, &facts, &err);
    if (facts.server[0] != '\0')
        cm_doctor_report(doctor, CM_DOCTOR_RIGHT, "elasticsearch", "%s", facts.server);
    if (rc < 0)
        cm_doctor_report_error(doctor, "elasticsearch", rc, err.text);
    else
        cm_doctor_report(doctor,
                         facts.created    ? CM_DOCTOR_FIXED
                         : facts.complete ? CM_DOCTOR_RIGHT
                                          : CM_DOCTOR_NOTE,
                         "elasticsearch", "%s", facts.state);
    cm_index_close(index);
}
