#include "cmd/cassandra.h"

/* In the order of the row's choices. */
static const cm_cql_consistency_t consistencies[] = {
    CM_CQL_ONE, CM_CQL_TWO,          CM_CQL_THREE,     CM_CQL_QUORUM,
    CM_CQL_ALL, CM_CQL_LOCAL_QUORUM, CM_CQL_LOCAL_ONE,
};

cm_cassandra_settings_t cm_cassandra_settings_of(const cm_app_t *app,
                                                 const cm_cassandra_given_t *given)
{
    return (cm_cassandra_settings_t){.hosts = given->hosts,
                                     .port = (int)given->port,
                                     .local_dc = given->local_dc,
                                     .keyspace = given->keyspace,
                                     .table = given->table,
                                     .username = given->username,
                                     .password = given->password,
                                     .consistency = consistencies[given->consistency],
                                     .tls = {.enabled = given->tls,
                                             .ca_file = given->ca,
                                             .cert_file = given->cert,
                                             .key_file = given->key,
                                             .host_name = given->host_name,
                                             .insecure = given->insecure},
                                     .only_writer = given->only_writer,
                                     .create = given->create,
                                     .replication = given->replication,
                                     .ttl_s = given->ttl / 1000,
                                     .connections = (int)given->connections,
                                     .in_flight = (int)given->in_flight,
                                     .batch_bytes = (size_t)given->batch_bytes,
                                     .speculative_ms = (int)given->speculative,
                                     .timeout_ms = given->timeout,
                                     .log = &app->log,
                                     .stop = app->stop};
}

void cm_cassandra_say_left_out(cm_app_t *app, const cm_account_t *account)
{
    if (account->rejected > 0)
        fprintf(app->messages,
                "%llu rows are no events of the contract and were left out; `clickmill export "
                "--store cassandra` names the first\n",
                (unsigned long long)account->rejected);
}

int cm_cassandra_to_memory(cm_app_t *app, const cm_cassandra_given_t *given, cm_store_t *into,
                           cm_account_t *account)
{
    const cm_cassandra_settings_t settings = cm_cassandra_settings_of(app, given);

    int rc = cm_store_cassandra_load_all(&settings, into, account, &app->err);
    if (rc == 0)
        cm_cassandra_say_left_out(app, account);
    return rc;
}
