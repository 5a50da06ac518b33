/* A client of Kafka ends at once, and in time when it sends metrics to brokers. On a mock broker.
 */
#include "kafka_mock.h"
#include "pace.h"

#include "kafka/request.h"

enum { CLIENTS = 8 };

static void start_client(mock_t *mock, cm_kafka_client_t *client)
{
    const cm_kafka_property_t house[] = {{"group.id", "x"}, {NULL, NULL}};
    rd_kafka_conf_t *conf;
    cm_err_t err;

    assert_ok(cm_kafka_conf(&mock->settings, house, &conf, &err), err);
    assert_ok(cm_kafka_start(client, RD_KAFKA_CONSUMER, conf, &mock->settings, NULL, &err), err);
    assert_ok(cm_kafka_reach(client, &err), err);
}

/* Versions of librdkafka before 2.5 send no metrics. */
static bool knows_metrics(void)
{
    return rd_kafka_version() >= 0x02050000;
}

static void assert_pushes(const cm_kafka_client_t *client, const char *wanted)
{
    char value[8] = "";
    size_t size = sizeof value;
    rd_kafka_conf_res_t res =
        rd_kafka_conf_get(rd_kafka_conf(client->rk), "enable.metrics.push", value, &size);

    assert_int_equal(res, knows_metrics() ? RD_KAFKA_CONF_OK : RD_KAFKA_CONF_UNKNOWN);
    assert_string_equal(value, knows_metrics() ? wanted : "");
}

static void ends_at_once(void **state)
{
    mock_t mock;
    cm_kafka_client_t client;
    test_pace_t pace;

    (void)state;
    mock_start(&mock, 1);
    for (int i = 0; i < CLIENTS; i++) {
        start_client(&mock, &client);
        assert_pushes(&client, "false");
        test_pace_start(&pace);
        assert_true(cm_kafka_end_within(&client, 10000));
        test_pace_took(&pace, 0, 700);
    }
    mock_stop(&mock);
    test_pace_end(&pace);
}

/* The second that librdkafka may wait for its metrics is no reason to give the client up. A version
 * without metrics refuses the property. */
static void ends_with_metrics(void **state)
{
    mock_t mock;
    cm_kafka_client_t client;
    rd_kafka_conf_t *conf;
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    mock_property(&mock, "enable.metrics.push", "true");
    if (!knows_metrics()) {
        const cm_kafka_property_t house[] = {{NULL, NULL}};
        assert_int_equal(cm_kafka_conf(&mock.settings, house, &conf, &err), CM_EUSAGE);
        assert_string_equal(err.text,
                            "the test: No such configuration property: \"enable.metrics.push\"");
    }
    for (int i = 0; knows_metrics() && i < CLIENTS; i++) {
        start_client(&mock, &client);
        assert_pushes(&client, "true");
        assert_true(cm_kafka_end_within(&client, 1000));
    }
    mock_stop(&mock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_at_once),
        cmocka_unit_test(ends_with_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
