/* Every wait for Kafka ends, whatever the brokers do: one of three brokers, or the only one, is
 * down or accepts connections and never answers. A stop is noticed during the wait. On mock
 * brokers. */
#include "kafka_source_support.h"
#include "pace.h"

#include "kafka/dead.h"
#include "kafka/probe.h"
#include "kafka/ranges.h"
#include "kafka/request.h"
#include "kafka/topics.h"
#include "sink/kafka/sink.h"

#include <pthread.h>

enum { BROKERS = 3, SILENT_MS = 60000 };

/* Three brokers. The first leads partition 0, and so on. The second is the group's coordinator. */
static void start_three(mock_t *mock)
{
    mock_start_brokers(mock, BROKERS);
    assert_int_equal(rd_kafka_mock_topic_create(mock->cluster, "t", PARTITIONS, BROKERS), 0);
    assert_int_equal(rd_kafka_mock_topic_create(mock->cluster, "t.dead", PARTITIONS, BROKERS), 0);
    for (int i = 0; i < PARTITIONS; i++) {
        rd_kafka_mock_partition_set_leader(mock->cluster, "t", i, i + 1);
        rd_kafka_mock_partition_set_leader(mock->cluster, "t.dead", i, i + 1);
    }
    assert_int_equal(rd_kafka_mock_coordinator_set(mock->cluster, "group", "g", 2), 0);
    mock_property(mock, "session.timeout.ms", "3200");
    mock_property(mock, "heartbeat.interval.ms", "100");
}

static void take_down(mock_t *mock)
{
    rd_kafka_mock_broker_set_down(mock->cluster, 1);
}

static void make_silent(mock_t *mock)
{
    rd_kafka_mock_broker_set_rtt(mock->cluster, 1, SILENT_MS);
}

static void heal(mock_t *mock)
{
    rd_kafka_mock_broker_set_up(mock->cluster, -1);
    rd_kafka_mock_broker_set_rtt(mock->cluster, -1, 0);
}

/* Sets a flag after some time, as a signal would. */
typedef struct stopper {
    pthread_t thread;
    atomic_bool stop;
    int after_ms;
} stopper_t;

static void *stop_later(void *context)
{
    stopper_t *stopper = context;

    usleep((useconds_t)stopper->after_ms * 1000);
    atomic_store(&stopper->stop, true);
    return NULL;
}

static void stopper_start(stopper_t *stopper, mock_t *mock, int after_ms)
{
    stopper->after_ms = after_ms;
    atomic_store(&stopper->stop, false);
    mock->settings.stop = &stopper->stop;
    assert_int_equal(pthread_create(&stopper->thread, NULL, stop_later, stopper), 0);
}

static void stopper_end(stopper_t *stopper, mock_t *mock)
{
    pthread_join(stopper->thread, NULL);
    mock->settings.stop = NULL;
}

/* ---- where partitions begin and end ---- */

static void start_client(mock_t *mock, cm_kafka_client_t *client)
{
    const cm_kafka_property_t house[] = {{"group.id", "x"}, {NULL, NULL}};
    rd_kafka_conf_t *conf;
    cm_err_t err;

    assert_ok(cm_kafka_conf(&mock->settings, house, &conf, &err), err);
    assert_ok(cm_kafka_start(client, RD_KAFKA_CONSUMER, conf, &mock->settings, NULL, &err), err);
    assert_ok(cm_kafka_reach(client, &err), err);
}

/* Makes the leader of partition 0 the last used broker: librdkafka asks it before others. */
static void use_first(const cm_kafka_client_t *client)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    usleep(1100000); /* librdkafka compares whole seconds */
    rd_kafka_topic_partition_list_add(list, "t", 0)->offset = RD_KAFKA_OFFSET_END;
    assert_int_equal(rd_kafka_offsets_for_times(client->rk, list, 5000), 0);
    rd_kafka_topic_partition_list_destroy(list);
}

/* The leader of partition 0 does not answer: this is known in time, and so are the other
 * partitions. */
static void ranges_without(void (*hurt)(mock_t *))
{
    enum { MS = 4500 }; /* each leader gets a third of it, which a busy machine needs */
    mock_t mock;
    cm_kafka_client_t client;
    cm_kafka_range_t ranges[PARTITIONS + 1];
    test_pace_t pace;

    start_three(&mock);
    put_events(&mock, 0, 31);
    start_client(&mock, &client);
    for (int broken = 0; broken < 3; broken++) {
        if (broken == 1) {
            use_first(&client);
            hurt(&mock);
        } else {
            heal(&mock);
        }
        for (int i = 0; i <= PARTITIONS; i++)
            ranges[i].partition = i;
        test_pace_start(&pace);
        /* After it returns, connecting may take a moment. */
        do
            cm_kafka_ranges(&client, "t", ranges, PARTITIONS + 1, MS);
        while (broken == 2 && ranges[0].code != 0);
        test_pace_took(&pace, 0, broken == 2 ? 20000 : MS + 500);
        assert_true((ranges[0].code != 0) == (broken == 1));
        for (int i = broken == 1; i < PARTITIONS; i++) {
            assert_int_equal(ranges[i].code, 0);
            assert_int_equal(ranges[i].low, 0);
            assert_int_equal(ranges[i].high, i == 0 ? 11 : 10);
        }
        assert_int_equal(ranges[PARTITIONS].code, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION);
        test_pace_end(&pace);
    }
    assert_true(cm_kafka_end_within(&client, 10000));
    mock_stop(&mock);
}

static void ranges_with_a_broker_down(void **state)
{
    (void)state;
    ranges_without(take_down);
}

static void ranges_with_a_silent_broker(void **state)
{
    (void)state;
    ranges_without(make_silent);
}

/* One partition with an error does not hide the leader's other partitions. */
static void ranges_with_an_error(void **state)
{
    mock_t mock;
    cm_kafka_client_t client;
    cm_kafka_range_t ranges[2] = {{.partition = 0}, {.partition = 1}};

    (void)state;
    mock_start(&mock, 2);
    start_client(&mock, &client);
    rd_kafka_mock_push_request_errors(mock.cluster, MOCK_LIST_OFFSETS, 1,
                                      RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR);
    cm_kafka_ranges(&client, "t", ranges, 2, 2000);
    assert_int_equal(ranges[0].code, 0);
    assert_int_equal(ranges[1].code, 0);
    assert_int_equal(ranges[1].low, 0);
    assert_int_equal(ranges[1].high, 0);
    assert_true(cm_kafka_end_within(&client, 10000));
    mock_stop(&mock);
}

/* ---- metadata of all topics ---- */

/* The last used broker stops answering: other brokers are asked for the metadata too. */
static void metadata_with_a_silent_broker(void **state)
{
    mock_t mock;
    cm_kafka_client_t client;
    const rd_kafka_metadata_t *metadata;
    test_pace_t pace;
    cm_err_t err;

    (void)state;
    start_three(&mock);
    mock.settings.timeout_ms = 15000;
    start_client(&mock, &client);
    use_first(&client);
    make_silent(&mock);
    test_pace_start(&pace);
    assert_ok(cm_kafka_metadata(&client, &metadata, &err), err);
    test_pace_took(&pace, 0, 12000);
    assert_int_equal(metadata->broker_cnt, BROKERS);
    rd_kafka_metadata_destroy(metadata);
    heal(&mock);
    assert_true(cm_kafka_end_within(&client, 10000));
    mock_stop(&mock);
    test_pace_end(&pace);
}

/* ---- the source ---- */

static void next(cm_source_t *source, seen_t *seen, test_pace_t *pace)
{
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    test_pace_start(pace);
    if (cm_source_next(source, &batch, &err) < 0)
        fail_msg("%s", err.text);
    test_pace_took(pace, 0, 4500);
    see(seen, &batch);
    cm_batch_free(&batch);
    test_pace_end(pace);
}

/* Two of three brokers are up: their partitions are read, and no step takes long. When another
 * broker leads the third partition, all messages are read once. */
static void read_without(void (*hurt)(mock_t *))
{
    enum { EVENTS = 300 };
    mock_t mock;
    seen_t seen = seen_new(EVENTS);
    test_pace_t pace;
    bool healed = false;

    start_three(&mock);
    put_events(&mock, 0, EVENTS);
    hurt(&mock);
    cm_source_t *source = open_source(&mock, (cm_source_kafka_options_t){.until_end = true});
    for (int rounds = 0; rounds < 600 && total(&seen) < EVENTS; rounds++) {
        next(source, &seen, &pace);
        if (!healed && total(&seen) == EVENTS * 2 / 3) {
            healed = true;
            heal(&mock);
        }
    }
    assert_true(healed);
    test_pace_start(&pace);
    cm_source_close(source);
    test_pace_took(&pace, 0, 5000);
    test_pace_end(&pace);
    assert_each_once(&seen);
    mock_stop(&mock);
}

static void read_with_a_broker_down(void **state)
{
    (void)state;
    read_without(take_down);
}

static void read_with_a_silent_broker(void **state)
{
    (void)state;
    read_without(make_silent);
}

/* ---- dead letters, topics, transactions ---- */

static int no_letter(void *context, const cm_kafka_dead_letter_t *letter)
{
    (void)context;
    (void)letter;
    return 0;
}

static void dead_without(void (*hurt)(mock_t *))
{
    mock_t mock;
    stopper_t stopper;
    test_pace_t pace;
    cm_err_t err;

    start_three(&mock);
    mock_put(&mock, "t.dead", 0, NULL, CM_STR("{}"));
    mock_flush(&mock);
    hurt(&mock);
    mock.settings.timeout_ms = 2500;
    test_pace_start(&pace);
    assert_int_equal(cm_kafka_dead_each(&mock.settings, NULL, 0, no_letter, NULL, &err), CM_EAWAY);
    test_pace_took(&pace, 2000, 8000);
    assert_non_null(strstr(err.text, "looking for the dead letters: no Kafka broker at "));
    mock.settings.timeout_ms = SILENT_MS;
    test_pace_start(&pace);
    stopper_start(&stopper, &mock, 1000);
    assert_int_equal(cm_kafka_dead_each(&mock.settings, NULL, 0, no_letter, NULL, &err), CM_ESTOP);
    test_pace_took(&pace, 900, 6000);
    stopper_end(&stopper, &mock);
    heal(&mock);
    mock_stop(&mock);
    test_pace_end(&pace);
}

static void dead_letters_with_a_broker_down(void **state)
{
    (void)state;
    dead_without(take_down);
}

static void dead_letters_with_a_silent_broker(void **state)
{
    (void)state;
    dead_without(make_silent);
}

/* The only broker stops answering: a topic is not created, Kafka is not inspected, and a stop ends
 * both. */
static void stopped_while_the_broker_is_silent(void **state)
{
    const cm_sink_kafka_options_t options = {.transaction = "g.dead"};
    cm_sink_kafka_options_t sink_options = options;
    mock_t mock;
    cm_kafka_client_t client;
    cm_kafka_facts_t facts;
    stopper_t stopper;
    test_pace_t pace;
    cm_sink_t *sink;
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    mock.settings.timeout_ms = SILENT_MS;
    start_client(&mock, &client);
    rd_kafka_mock_broker_set_rtt(mock.cluster, -1, SILENT_MS);
    test_pace_start(&pace);
    stopper_start(&stopper, &mock, 500);
    assert_int_equal(cm_kafka_ensure_topic(&client, "new", 1, false, &err), CM_ESTOP);
    stopper_end(&stopper, &mock);
    stopper_start(&stopper, &mock, 500);
    assert_int_equal(cm_kafka_probe(&mock.settings, true, &facts, &err), CM_ESTOP);
    stopper_end(&stopper, &mock);
    sink_options.settings = &mock.settings;
    stopper_start(&stopper, &mock, 500);
    assert_int_equal(cm_sink_kafka_open(&sink_options, &sink, &err), CM_ESTOP);
    stopper_end(&stopper, &mock);
    assert_true(cm_kafka_end_within(&client, 10000));
    test_pace_took(&pace, 1400, 12000);
    rd_kafka_mock_broker_set_rtt(mock.cluster, -1, 0);
    mock_stop(&mock);
    test_pace_end(&pace);
}

/* A transaction is not committed while the broker is silent, and the program does not wait for it
 * after a stop or at the end. */
static void transaction_while_the_broker_is_silent(void **state)
{
    mock_t mock;
    stopper_t stopper;
    test_pace_t pace;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_sink_t *sink;
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    mock.settings.timeout_ms = SILENT_MS;
    const cm_sink_kafka_options_t options = {.settings = &mock.settings, .transaction = "g.dead"};
    assert_ok(cm_sink_kafka_open(&options, &sink, &err), err);
    test_add(&batch, test_event("u", 1, "/", "X", NULL));
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    while (rd_kafka_flush(mock.rk, 100) != 0)
        ;
    usleep(500000); /* the message is delivered, only the commit is missing */
    rd_kafka_mock_broker_set_rtt(mock.cluster, -1, SILENT_MS);
    test_pace_start(&pace);
    stopper_start(&stopper, &mock, 500);
    assert_true(cm_sink_commit(sink, &err) < 0);
    stopper_end(&stopper, &mock);
    test_pace_took(&pace, 400, 4000);
    test_pace_start(&pace);
    cm_sink_close(sink);
    test_pace_took(&pace, 0, 5000);
    rd_kafka_mock_broker_set_rtt(mock.cluster, -1, 0);
    cm_batch_free(&batch);
    mock_stop(&mock);
    test_pace_end(&pace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_with_a_broker_down),
        cmocka_unit_test(ranges_with_a_silent_broker),
        cmocka_unit_test(ranges_with_an_error),
        cmocka_unit_test(metadata_with_a_silent_broker),
        cmocka_unit_test(read_with_a_broker_down),
        cmocka_unit_test(read_with_a_silent_broker),
        cmocka_unit_test(dead_letters_with_a_broker_down),
        cmocka_unit_test(dead_letters_with_a_silent_broker),
        cmocka_unit_test(stopped_while_the_broker_is_silent),
        cmocka_unit_test(transaction_while_the_broker_is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
