/* The settings of the Spark job as JSON. */
#include "pipeline/spark/settings.h"
#include "support.h"

static const cm_index_elasticsearch_indices_t indices = {.cells = "cells-000002",
                                                         .totals = "totals-000002"};

/* The smallest job: no TLS, no credentials. */
static void plain(void **state)
{
    const cm_spark_options_t options = {.master = "local[2]"};
    const cm_cassandra_settings_t cassandra = {.hosts = "one,two:9043",
                                               .port = 9042,
                                               .keyspace = "clicks",
                                               .table = "events",
                                               .consistency = CM_CQL_LOCAL_QUORUM};
    const cm_elastic_settings_t elastic = {
        .hosts = "http://a:9200, https://b,", .index = "cells", .totals = "totals"};
    const cm_spark_job_t job = {.options = &options,
                                .cassandra = &cassandra,
                                .elastic = &elastic,
                                .windows = 1u << CM_WINDOW_ALL,
                                .session_timeout_ms = 1800000};
    cm_buf_t json = CM_BUF_INIT;
    cm_err_t err;

    (void)state;
    assert_int_equal(cm_spark_check_settings(&cassandra, &err), 0);
    assert_int_equal(cm_spark_add_settings(&json, &job, &indices, "", &err), 0);
    assert_string_equal(json.data,
                        "{\"input\":{\"cassandra\":{\"keyspace\":\"clicks\",\"table\":\"events\"}},"
                        "\"windows\":[\"all\"],\"session_timeout\":1800,"
                        "\"output\":{\"elasticsearch\":{\"index\":\"cells\",\"totals\":\"totals\","
                        "\"cells_index\":\"cells-000002\",\"totals_index\":\"totals-000002\"}},"
                        "\"options\":{\"spark.cassandra.connection.host\":\"one,two:9043\","
                        "\"spark.cassandra.connection.port\":\"9042\","
                        "\"spark.cassandra.input.consistency.level\":\"LOCAL_QUORUM\","
                        "\"spark.cassandra.connection.timeoutMS\":\"60000\","
                        "\"spark.cassandra.read.timeoutMS\":\"120000\"},"
                        "\"elastic\":{\"hosts\":[\"http://a:9200\",\"https://b\"]},\"ca\":{},"
                        "\"secrets\":{\"options\":{},\"elastic\":{}}}");
    cm_buf_free(&json);
}

/* Everything that can be set. Secrets are only in the part `secrets`. */
static void whole(void **state)
{
    cm_option_pair_t pairs[] = {{.name = "spark.executor.memory", .text = "4g"},
                                {.name = "spark.ssl.keyPassword", .text = "${CM_TEST_SECRET}"}};
    const cm_spark_options_t options = {.properties = {.pairs = pairs, .count = 2}};
    const cm_cassandra_settings_t cassandra = {.hosts = "one",
                                               .port = 9142,
                                               .local_dc = "dc1",
                                               .keyspace = "k",
                                               .table = "t",
                                               .username = "ann",
                                               .password = "${CM_TEST_SECRET}",
                                               .consistency = CM_CQL_ALL,
                                               .tls = {.enabled = true, .ca_file = "/ca.pem"}};
    const cm_elastic_settings_t elastic = {.cloud_id = "mine:ZXUuZXhhbXBsZS5jb20kYWJjJGRlZg==",
                                           .index = "i",
                                           .totals = "s",
                                           .username = "bob",
                                           .password = "\"quoted\"",
                                           .insecure = true};
    const cm_spark_job_t job = {.options = &options,
                                .cassandra = &cassandra,
                                .elastic = &elastic,
                                .windows = 1u << CM_WINDOW_ALL | 1u << CM_WINDOW_HOUR,
                                .session_timeout_ms = 600000,
                                .rebuild = true};
    cm_buf_t json = CM_BUF_INIT;
    cm_err_t err;

    (void)state;
    setenv("CM_TEST_SECRET", "hidden", 1);
    assert_int_equal(cm_spark_add_settings(&json, &job, &indices, "https://cloud:443", &err), 0);
    assert_string_equal(
        json.data,
        "{\"input\":{\"cassandra\":{\"keyspace\":\"k\",\"table\":\"t\"}},"
        "\"windows\":[\"all\",\"hour\"],\"session_timeout\":600,"
        "\"output\":{\"elasticsearch\":{\"index\":\"i\",\"totals\":\"s\","
        "\"cells_index\":\"cells-000002\",\"totals_index\":\"totals-000002\",\"rebuild\":true}},"
        "\"options\":{\"spark.cassandra.connection.host\":\"one\","
        "\"spark.cassandra.connection.port\":\"9142\","
        "\"spark.cassandra.connection.localDC\":\"dc1\","
        "\"spark.cassandra.input.consistency.level\":\"ALL\","
        "\"spark.cassandra.connection.timeoutMS\":\"60000\","
        "\"spark.cassandra.read.timeoutMS\":\"120000\","
        "\"spark.cassandra.connection.ssl.enabled\":\"true\"},"
        "\"elastic\":{\"hosts\":[\"https://cloud:443\"],\"insecure\":true},"
        "\"ca\":{\"cassandra\":\"/ca.pem\"},"
        "\"secrets\":{\"options\":{\"spark.cassandra.auth.username\":\"ann\","
        "\"spark.cassandra.auth.password\":\"hidden\",\"spark.ssl.keyPassword\":\"hidden\"},"
        "\"elastic\":{\"username\":\"bob\",\"password\":\"\\\"quoted\\\"\"}}}");
    cm_buf_free(&json);
    unsetenv("CM_TEST_SECRET");
}

/* What the connectors cannot do is refused. */
static void refused(void **state)
{
    cm_cassandra_settings_t cassandra = {.tls = {.enabled = true, .insecure = true}};
    cm_err_t err;

    (void)state;
    assert_int_equal(cm_spark_check_settings(&cassandra, &err), CM_EUSAGE);
    assert_non_null(strstr(err.text, "--engine spark always checks Cassandra's certificate"));
    cassandra.tls = (cm_cql_tls_t){.enabled = true, .cert_file = "/client.pem"};
    assert_int_equal(cm_spark_check_settings(&cassandra, &err), CM_EUSAGE);
    assert_non_null(strstr(err.text, "spark.cassandra.connection.ssl.keyStore.path=FILE"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain),
        cmocka_unit_test(whole),
        cmocka_unit_test(refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
