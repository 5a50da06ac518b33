/* The sink to a Kafka topic, on mock brokers: which events arrive, how long the sink waits, and
 * what it reports when they do not arrive. */
#include "kafka_sink_support.h"
#include "pace.h"

#include "base/clock.h"
#include "kafka/dead.h"
#include "sink/divert.h"
#include "sink/kafka/sink.h"
#include "store/memory.h"

static void events_arrive(void **state)
{
    enum { EVENTS = 3000, PARTITIONS = 4 };
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_buf_t json = CM_BUF_INIT;
    int32_t places[10];
    size_t seen[EVENTS] = {0};
    cm_err_t err;

    (void)state;
    mock_start(&mock, PARTITIONS);
    cm_sink_t *sink = open_sink(&mock, (cm_sink_kafka_options_t){0});
    add_events(&batch, 0, EVENTS);
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    assert_ok(cm_sink_commit(sink, &err), err);
    assert_int_equal(report_of(sink).acknowledged, EVENTS);
    assert_int_equal(report_of(sink).failed + report_of(sink).waiting, 0);
    mock_messages_t got = mock_read(&mock, "t", PARTITIONS);
    assert_int_equal(got.count, EVENTS);
    memset(places, -1, sizeof places);
    for (size_t i = 0; i < got.count; i++) {
        const mock_message_t *one = &got.all[i];
        size_t number = strtoul(strstr(one->value, "https://x/") + 10, NULL, 10);
        int user = one->key[4] - '0';
        seen[number]++;
        cm_buf_clear(&json);
        cm_event_add_json(&json, &batch.events[number]);
        assert_string_equal(one->value, json.data);
        assert_int_equal(strlen(one->key), 5);
        assert_int_equal(user, number % 10);
        /* A user's events are in one partition and in order. */
        assert_true(places[user] < 0 || places[user] == one->partition);
        places[user] = one->partition;
        assert_string_equal(one->headers, "");
    }
    for (size_t i = 0; i < EVENTS; i++)
        assert_int_equal(seen[i], 1);
    /* Java's partitioner: (murmur2(key) & 0x7fffffff) % 4, as kafka-python computes it. */
    assert_int_equal(places[0], 1);
    assert_int_equal(places[1], 2);
    mock_free(&got);
    cm_sink_close(sink);
    cm_buf_free(&json);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

static void dead_letters(void **state)
{
    static const char bytes[] = "\0\xFF{\"a\": \n\x01";
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    cm_sink_t *sink = open_sink(&mock, (cm_sink_kafka_options_t){.dead_only = true});
    cm_batch_reject(&batch, (cm_str_t){bytes, sizeof bytes - 1}, "because", "t[0]@7");
    batch.dead[0].key = CM_STR("who");
    cm_batch_reject(&batch, CM_STR(""), "empty", "access.log:17");
    cm_batch_reject(&batch, CM_STR(""), "null", "t[1]@8");
    batch.dead[2].payload.data = NULL;
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    assert_ok(cm_sink_commit(sink, &err), err);
    assert_int_equal(report_of(sink).dead, 3);
    mock_messages_t got = mock_read(&mock, "t.dead", 1);
    assert_int_equal(got.count, 3);
    assert_string_equal(got.all[0].headers,
                        "reason=because|origin=t[0]@7|time=2026-01-01T00:00:00.123Z|");
    assert_int_equal(got.all[0].value_len, sizeof bytes - 1);
    assert_memory_equal(got.all[0].value, bytes, sizeof bytes - 1);
    assert_string_equal(got.all[0].key, "who");
    assert_string_equal(got.all[1].value, "");
    assert_null(got.all[1].key);
    assert_null(got.all[2].value);
    assert_string_equal(got.all[2].headers,
                        "reason=null|origin=t[1]@8|time=2026-01-01T00:00:00.123Z|");
    mock_free(&got);
    cm_sink_close(sink);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

static int seal(void *context, cm_str_t payload, cm_buf_t *out, cm_err_t *err)
{
    (void)err;
    cm_buf_printf(out, "%s %zu", (const char *)context, payload.len);
    return 0;
}

/* A dead letter from a file that may contain an address is sealed; all others are unchanged. */
static void personal_letters_are_sealed(void **state)
{
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    cm_batch_reject(&batch, CM_STR("8.8.8.8 - john doe"), "bad", "access.log:17");
    batch.dead[0].personal = true;
    cm_batch_reject(&batch, CM_STR("{"), "bad", "a.jsonl:1");
    for (int sealed = 0; sealed < 2; sealed++) {
        cm_sink_t *sink =
            open_sink(&mock, (cm_sink_kafka_options_t){.dead_only = true,
                                                       .seal = sealed ? seal : NULL,
                                                       .seal_context = (void *)"sealed"});
        assert_ok(cm_sink_put(sink, &batch, &err), err);
        assert_ok(cm_sink_commit(sink, &err), err);
        cm_sink_close(sink);
    }
    mock_messages_t got = mock_read(&mock, "t.dead", 1);
    assert_int_equal(got.count, 4);
    assert_string_equal(got.all[0].value, "8.8.8.8 - john doe");
    assert_string_equal(got.all[1].value, "{");
    assert_string_equal(got.all[2].value, "sealed 18");
    assert_string_equal(got.all[3].value, "{");
    mock_free(&got);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

/* The error names a dead letter that the broker refuses, and says what to do. Of several refused
 * ones, it names the largest. */
static void dead_letter_too_large(void **state)
{
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    mock_property(&mock, "linger.ms", "200");
    cm_sink_t *sink = open_sink(&mock, (cm_sink_kafka_options_t){.dead_only = true});
    rd_kafka_mock_push_request_errors(mock.cluster, MOCK_PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    cm_batch_reject(&batch, CM_STR("small"), "because", "t[0]@6");
    cm_batch_reject(&batch, CM_STR("larger"), "because", "t[0]@7");
    cm_batch_reject(&batch, CM_STR("small"), "because", "t[0]@8");
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    assert_int_equal(cm_sink_commit(sink, &err), CM_EIO);
    assert_non_null(strstr(err.text, "the dead letter from t[0]@7 is too large for topic t.dead"));
    assert_non_null(strstr(err.text, "raise max.message.bytes of that topic"));
    assert_non_null(strstr(err.text, "--dead-to store"));
    cm_sink_close(sink);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

static int count_letter(void *context, const cm_kafka_dead_letter_t *letter)
{
    (void)letter;
    ++*(int *)context;
    return 0;
}

/* Dead letters are read. When reading the topic is not allowed, the error comes at once. */
static void dead_letters_are_read(void **state)
{
    mock_t mock;
    cm_err_t err;
    int letters = 0;

    (void)state;
    mock_start(&mock, 1);
    for (int i = 0; i < 3; i++)
        mock_put(&mock, "t.dead", 0, NULL, CM_STR("bad"));
    mock_flush(&mock);
    assert_ok(cm_kafka_dead_each(&mock.settings, NULL, 0, count_letter, &letters, &err), err);
    assert_int_equal(letters, 3);
    for (int i = 0; i < 10; i++)
        rd_kafka_mock_push_request_errors(mock.cluster, MOCK_FETCH, 1,
                                          RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_int_equal(cm_kafka_dead_each(&mock.settings, NULL, 0, count_letter, &letters, &err),
                     CM_EUSAGE);
    assert_non_null(strstr(err.text, "reading the dead letters"));
    assert_non_null(strstr(err.text, "does not allow it"));
    assert_int_equal(letters, 3);
    mock_stop(&mock);
}

/* Events and positions go to one sink, dead letters to the other, and dead letters go first. */
static void diverted(void **state)
{
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_store_t *store = cm_memory_new();
    cm_reader_t *reader;
    const cm_block_ref_t *blocks;
    size_t count;
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    cm_sink_t *dead = open_sink(&mock, (cm_sink_kafka_options_t){.dead_only = true});
    cm_sink_t *both = cm_divert_open(&store->sink, dead);
    assert_null(both->ops->durable); /* the store has none */
    add_events(&batch, 0, 5);
    cm_batch_reject(&batch, CM_STR("bad"), "because", "t[0]@5");
    assert_ok(cm_sink_put(both, &batch, &err), err);
    assert_int_equal(report_of(dead).dead, 1);
    assert_int_equal(report_of(dead).acknowledged, 0);
    assert_ok(cm_sink_commit(both, &err), err);
    assert_ok(cm_store_reader(store, &reader, &err), err);
    assert_ok(cm_reader_blocks(reader, &blocks, &count, &err), err);
    assert_int_equal(count, 1);
    assert_int_equal(blocks[0].count, 5);
    cm_reader_close(reader);
    cm_sink_close(both);
    cm_sink_close(dead);
    cm_sink_close(&store->sink);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

/* Events that are too large for the client, then for the broker: they are counted with the reason,
 * and the others arrive. */
static void too_large(void **state)
{
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    char url[CM_URL_MAX];
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    mock_property(&mock, "message.max.bytes", "1500");
    cm_sink_t *sink = open_sink(&mock, (cm_sink_kafka_options_t){0});
    add_events(&batch, 0, 10);
    memset(url, 'x', sizeof url);
    batch.events[3].url = batch.events[7].url = (cm_str_t){url, sizeof url};
    assert_int_equal(cm_sink_put(sink, &batch, &err), CM_EIO);
    assert_non_null(strstr(err.text, "2 of 10 events were not delivered to topic t"));
    assert_non_null(strstr(err.text, "Message size too large"));
    assert_int_equal(cm_sink_commit(sink, &err), CM_EIO);
    cm_sink_kafka_report_t report = report_of(sink);
    assert_int_equal(report.acknowledged, 8);
    assert_int_equal(report.failed, 2);
    assert_string_equal(report.reason, "Broker: Message size too large");
    mock_messages_t got = mock_read(&mock, "t", 1);
    assert_int_equal(got.count, 8);
    mock_free(&got);
    cm_sink_close(sink);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

/* Temporary errors of brokers are tried again; no message arrives twice. */
static void errors_that_pass(void **state)
{
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    mock_property(&mock, "retry.backoff.ms", "10");
    cm_sink_t *sink = open_sink(&mock, (cm_sink_kafka_options_t){0});
    rd_kafka_mock_push_request_errors(
        mock.cluster, MOCK_PRODUCE, 4, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RD_KAFKA_RESP_ERR__TRANSPORT);
    add_events(&batch, 0, 500);
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    assert_ok(cm_sink_commit(sink, &err), err);
    assert_int_equal(report_of(sink).acknowledged, 500);
    mock_messages_t got = mock_read(&mock, "t", 1);
    assert_int_equal(got.count, 500);
    for (size_t i = 0; i < got.count; i++)
        assert_int_equal(strtoul(strstr(got.all[i].value, "https://x/") + 10, NULL, 10), i);
    mock_free(&got);
    cm_sink_close(sink);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

static void errors_that_stay(void **state)
{
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    cm_sink_t *sink = open_sink(&mock, (cm_sink_kafka_options_t){0});
    rd_kafka_mock_push_request_errors(mock.cluster, MOCK_PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    add_events(&batch, 0, 20);
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    assert_int_equal(cm_sink_commit(sink, &err), CM_EIO);
    assert_non_null(strstr(err.text, "20 of 20 events were not delivered to topic t at "));
    assert_non_null(strstr(err.text, "Broker: Topic authorization failed"));
    assert_int_equal(report_of(sink).acknowledged, 0);
    assert_int_equal(report_of(sink).failed, 20);
    cm_sink_close(sink);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

/* ---- waiting ---- */

typedef struct watch {
    mock_t *mock;
    cm_sink_t *sink;
    int calls, up_after, stop_after; /* 0: never */
    uint64_t most_waiting;
    int complaints;   /* calls with a reason */
    int leave_after;  /* after this many calls; 0: never */
    char reason[300]; /* the last one */
} watch_t;

static int watch_wait(void *context, uint64_t retries, const char *reason)
{
    watch_t *watch = context;

    assert_int_equal(retries, 0);
    watch->calls++;
    watch->complaints += reason != NULL;
    if (reason != NULL)
        snprintf(watch->reason, sizeof watch->reason, "%s", reason);
    if (watch->leave_after > 0 && watch->complaints >= watch->leave_after)
        return CM_EAWAY;
    if (watch->sink != NULL && report_of(watch->sink).waiting > watch->most_waiting)
        watch->most_waiting = report_of(watch->sink).waiting;
    if (watch->calls == watch->up_after)
        rd_kafka_mock_broker_set_up(watch->mock->cluster, -1);
    return watch->stop_after > 0 && watch->calls >= watch->stop_after ? CM_ESTOP : 0;
}

/* A slow broker slows put() down: the queue stays within its limit, and no message is dropped. */
static void back_pressure(void **state)
{
    enum { EVENTS = 6000 };
    mock_t mock;
    watch_t watch = {.mock = &mock};
    const cm_waiter_t waiter = {watch_wait, &watch};
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    (void)state;
    mock_start(&mock, 2);
    mock_property(&mock, "queue.buffering.max.messages", "500");
    rd_kafka_mock_broker_set_rtt(mock.cluster, -1, 20);
    cm_sink_t *sink = open_sink(&mock, (cm_sink_kafka_options_t){.waiter = &waiter});
    watch.sink = sink;
    add_events(&batch, 0, EVENTS);
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    assert_true(watch.calls > 0);
    assert_in_range(watch.most_waiting, 300, 500);
    assert_ok(cm_sink_commit(sink, &err), err);
    assert_int_equal(report_of(sink).acknowledged, EVENTS);
    cm_sink_close(sink);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

/* A queue so small that librdkafka itself refuses messages. */
static void queue_full(void **state)
{
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    mock_property(&mock, "queue.buffering.max.messages", "10");
    cm_sink_t *sink = open_sink(&mock, (cm_sink_kafka_options_t){0});
    add_events(&batch, 0, 400);
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    assert_ok(cm_sink_commit(sink, &err), err);
    assert_int_equal(report_of(sink).acknowledged, 400);
    mock_messages_t got = mock_read(&mock, "t", 1);
    assert_int_equal(got.count, 400);
    mock_free(&got);
    cm_sink_close(sink);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

static void broker_comes_back(void **state)
{
    mock_t mock;
    watch_t watch = {.mock = &mock, .up_after = 5};
    const cm_waiter_t waiter = {watch_wait, &watch};
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    cm_sink_t *sink = open_sink(&mock, (cm_sink_kafka_options_t){.waiter = &waiter});
    rd_kafka_mock_broker_set_down(mock.cluster, -1);
    add_events(&batch, 0, 50);
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    assert_ok(cm_sink_commit(sink, &err), err);
    assert_true(watch.calls >= 5);
    assert_int_equal(report_of(sink).acknowledged, 50);
    cm_sink_close(sink);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

static void broker_stays_away(void **state)
{
    mock_t mock;
    watch_t watch = {.mock = &mock, .stop_after = 3};
    const cm_waiter_t waiter = {watch_wait, &watch};
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    mock_property(&mock, "message.timeout.ms", "700");
    add_events(&batch, 0, 50);
    /* The waiting caller stops. */
    cm_sink_t *sink = open_sink(&mock, (cm_sink_kafka_options_t){.waiter = &waiter});
    rd_kafka_mock_broker_set_down(mock.cluster, -1);
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    assert_int_equal(cm_sink_commit(sink, &err), CM_ESTOP);
    assert_int_equal(report_of(sink).acknowledged, 0);
    assert_int_equal(report_of(sink).waiting, 50);
    cm_sink_close(sink);
    rd_kafka_mock_broker_set_up(mock.cluster, -1);
    /* The messages time out. */
    sink = open_sink(&mock, (cm_sink_kafka_options_t){0});
    rd_kafka_mock_broker_set_down(mock.cluster, -1);
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    assert_int_equal(cm_sink_commit(sink, &err), CM_EIO);
    assert_non_null(strstr(err.text, "50 of 50 events"));
    assert_non_null(strstr(err.text, "Message timed out"));
    cm_sink_close(sink);
    rd_kafka_mock_broker_set_up(mock.cluster, -1);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

/* A broker that hangs with open connections counts as unreachable. A broker that has returned is
 * not reported any more. */
static void broker_hangs(void **state)
{
    mock_t mock;
    watch_t watch = {.mock = &mock, .leave_after = 3};
    const cm_waiter_t waiter = {watch_wait, &watch};
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    add_events(&batch, 0, 50);
    cm_sink_t *sink = open_sink(&mock, (cm_sink_kafka_options_t){.waiter = &waiter});
    rd_kafka_mock_broker_set_rtt(mock.cluster, -1, 30000);
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    test_pace_t pace;
    test_pace_start(&pace);
    assert_int_equal(cm_sink_commit(sink, &err), CM_EAWAY);
    test_pace_took(&pace, 1500, 5000);
    assert_string_equal(watch.reason, "no acknowledgement for 2 s");
    assert_non_null(strstr(err.text, "50 events are not acknowledged"));
    rd_kafka_mock_broker_set_rtt(mock.cluster, -1, 0);
    cm_sink_close(sink);
    /* Down for longer than the time without a report, then up, then slow. */
    watch = (watch_t){.mock = &mock, .up_after = 30};
    sink = open_sink(&mock, (cm_sink_kafka_options_t){.waiter = &waiter});
    rd_kafka_mock_broker_set_down(mock.cluster, -1);
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    assert_ok(cm_sink_commit(sink, &err), err);
    assert_true(watch.complaints > 0);
    watch = (watch_t){.mock = &mock};
    rd_kafka_mock_broker_set_rtt(mock.cluster, -1, 500);
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    assert_ok(cm_sink_commit(sink, &err), err);
    assert_true(watch.calls > 0);
    assert_int_equal(watch.complaints, 0);
    cm_sink_close(sink);
    cm_batch_free(&batch);
    mock_stop(&mock);
    test_pace_end(&pace);
}

/* The messages of a transaction are visible all together, or not at all. */
static void transactions(void **state)
{
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    cm_sink_t *sink = open_sink(&mock, (cm_sink_kafka_options_t){.transaction = "g.dead"});
    add_events(&batch, 0, 3);
    for (int i = 0; i < 2; i++) {
        assert_ok(cm_sink_put(sink, &batch, &err), err);
        assert_ok(cm_sink_commit(sink, &err), err);
        assert_ok(cm_sink_commit(sink, &err), err); /* nothing to commit */
    }
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    cm_sink_close(sink); /* aborts */
    cm_batch_free(&batch);
    mock_stop(&mock);
}

/* ---- opening ---- */

static void refuse(const mock_t *mock, int code, const char *part, const char *other)
{
    const cm_sink_kafka_options_t options = {.settings = &mock->settings};
    cm_sink_t *sink = NULL;
    cm_err_t err;

    assert_int_equal(cm_sink_kafka_open(&options, &sink, &err), code);
    if (strstr(err.text, part) == NULL || strstr(err.text, other) == NULL)
        fail_msg("\"%s\" and \"%s\" are wanted in: %s", part, other, err.text);
    assert_null(sink);
}

static void wrong_settings(void **state)
{
    static const struct {
        const char *name, *text, *part, *other;
    } cases[] = {
        {"no.such.thing", "1", "the test: No such configuration property", "no.such.thing"},
        {"acks", "many", "the test: ", "acks"},
        {"linger.ms", "soon", "the test: ", "queue.buffering.max.ms"},
        {"compression.type", "rar", "the test: ", "compression"},
        {"acks", "1", "kafka.properties: ", "enable.idempotence"},
        {"ssl.ca.location", "/nowhere/ca.pem", "kafka.properties: ", "ssl.ca.location failed"},
        {"sasl.password", "${CM_TEST_NOT_SET}", "the test: the environment variable",
         "CM_TEST_NOT_SET is not set"},
        {"sasl.password", "${", "the test: ${ wants", "}"},
        {"sasl.password", "file:/nowhere/password", "the test: cannot read /nowhere/password",
         "No such file"},
    };
    mock_t mock;

    (void)state;
    mock_start(&mock, 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        mock.properties.count = 0;
        mock_property(&mock, "security.protocol", "plaintext");
        if (strncmp(cases[i].name, "ssl", 3) == 0)
            mock.pairs[0].text = "ssl";
        mock_property(&mock, cases[i].name, cases[i].text);
        refuse(&mock, CM_EUSAGE, cases[i].part, cases[i].other);
    }
    mock_stop(&mock);
}

/* Values from the environment and from files reach librdkafka: its error names the wrong value. */
static void values_from_elsewhere(void **state)
{
    char *directory = test_directory();
    char path[300], value[320];
    mock_t mock;

    (void)state;
    mock_start(&mock, 1);
    setenv("CM_TEST_KIND", "zip", 1);
    mock_property(&mock, "compression.type", "g${CM_TEST_KIND}");
    cm_sink_close(open_sink(&mock, (cm_sink_kafka_options_t){0}));
    setenv("CM_TEST_KIND", "arbage", 1);
    refuse(&mock, CM_EUSAGE, "the test: ", "garbage");
    snprintf(path, sizeof path, "%s/kind", directory);
    snprintf(value, sizeof value, "file:%s", path);
    mock.properties.count = 0;
    mock_property(&mock, "compression.type", value);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("snappy\r\n", file);
    fclose(file);
    cm_sink_close(open_sink(&mock, (cm_sink_kafka_options_t){0}));
    unsetenv("CM_TEST_KIND");
    test_remove(directory);
    mock_stop(&mock);
}

/* The time in which brokers answer also on a busy machine. */
enum { ANSWERS_MS = 1500 };

/* A topic exists although one of its partitions cannot be written to. */
static void no_leader(void **state)
{
    mock_t mock;

    (void)state;
    mock_start(&mock, 3);
    mock.settings.timeout_ms = ANSWERS_MS;
    rd_kafka_mock_partition_set_leader(mock.cluster, "t", 1, -1);
    for (int create = 0; create < 2; create++) {
        mock.settings.create = create;
        refuse(&mock, CM_EAWAY, "partition 1 of topic t has no leader", "127.0.0.1:");
    }
    mock.settings.timeout_ms = 5000;
    rd_kafka_mock_partition_set_leader(mock.cluster, "t", 1, 1);
    cm_sink_close(open_sink(&mock, (cm_sink_kafka_options_t){0}));
    mock_stop(&mock);
}

static void *make_later(void *context)
{
    mock_t *mock = context;

    usleep(300000);
    rd_kafka_mock_topic_create(mock->cluster, "t", 1, 1);
    usleep(200000); /* a broker does not learn all changes at once */
    rd_kafka_mock_topic_create(mock->cluster, "t.dead", 1, 1);
    return NULL;
}

/* A broker that has just returned knows no topic for a moment. The sink waits for this, whether the
 * topic may be created or not. A broker that knows other topics is believed at once. */
static void topics_come_late(void **state)
{
    pthread_t later;
    mock_t mock;

    (void)state;
    mock_start_blank(&mock);
    mock.settings.create = false;
    mock.settings.timeout_ms = ANSWERS_MS;
    int64_t started = cm_clock_ticks_ns();
    refuse(&mock, CM_EINPUT, "topic t is not there at 127.0.0.1:", "kafka.create");
    assert_true(cm_clock_ticks_ns() - started >= ANSWERS_MS * INT64_C(1000000));
    mock.settings.timeout_ms = 60000;
    pthread_create(&later, NULL, make_later, &mock);
    cm_sink_close(open_sink(&mock, (cm_sink_kafka_options_t){0}));
    pthread_join(later, NULL);
    mock_stop(&mock);
}

static void no_broker_or_topic(void **state)
{
    mock_t mock;
    atomic_bool stop = true;

    (void)state;
    mock_start(&mock, 1);
    mock.settings.topic = "missing";
    mock.settings.create = false;
    refuse(&mock, CM_EINPUT, "topic missing is not there at 127.0.0.1:", "kafka.create");
    mock.settings.topic = "t";
    mock.settings.brokers = "127.0.0.1:1";
    mock.settings.timeout_ms = 300;
    refuse(&mock, CM_EAWAY, "no Kafka broker at 127.0.0.1:1 answers within 0.3 s",
           "Connection refused");
    mock.settings.timeout_ms = 60000;
    mock.settings.stop = &stop;
    refuse(&mock, CM_ESTOP, "stopped", "127.0.0.1:1");
    mock_stop(&mock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_arrive),
        cmocka_unit_test(dead_letters),
        cmocka_unit_test(personal_letters_are_sealed),
        cmocka_unit_test(dead_letter_too_large),
        cmocka_unit_test(dead_letters_are_read),
        cmocka_unit_test(diverted),
        cmocka_unit_test(too_large),
        cmocka_unit_test(errors_that_pass),
        cmocka_unit_test(errors_that_stay),
        cmocka_unit_test(back_pressure),
        cmocka_unit_test(queue_full),
        cmocka_unit_test(broker_comes_back),
        cmocka_unit_test(broker_stays_away),
        cmocka_unit_test(broker_hangs),
        cmocka_unit_test(transactions),
        cmocka_unit_test(wrong_settings),
        cmocka_unit_test(values_from_elsewhere),
        cmocka_unit_test(no_leader),
        cmocka_unit_test(topics_come_late),
        cmocka_unit_test(no_broker_or_topic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
