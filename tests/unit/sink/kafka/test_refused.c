/* Events that Kafka refuses, on mock brokers: which of them become dead letters, and what happens
 * to the other events of the batch. */
#include "kafka_sink_support.h"

typedef struct letters {
    cm_buf_t text; /* "URL: reason" a line */
    int calls, count;
    int fail; /* what the next call returns; 0: it accepts them */
} letters_t;

static int take_letters(void *context, const cm_batch_t *batch, cm_err_t *err)
{
    letters_t *letters = context;

    letters->calls++;
    if (letters->fail != 0) {
        int code = letters->fail;
        letters->fail = 0;
        return cm_fail(err, code, "no room for letters");
    }
    assert_int_equal(batch->count, 0);
    for (size_t i = 0; i < batch->dead_count; i++) {
        const cm_dead_t *dead = &batch->dead[i];
        const char *url = memmem(dead->payload.data, dead->payload.len, "https://", 8);
        const char *end = memchr(url, '"', dead->payload.len - (size_t)(url - dead->payload.data));
        assert_int_equal(dead->origin.len, 1);
        assert_int_equal(dead->origin.data[0], 't');
        assert_false(dead->personal);
        cm_buf_printf(&letters->text, "%.*s: %.*s\n", (int)(end - url), url, (int)dead->reason.len,
                      dead->reason.data);
    }
    letters->count += (int)batch->dead_count;
    return 0;
}

/* Checks that the numbered events are in the topic, each once, in this order. */
static void assert_topic(mock_t *mock, const int *numbers, size_t count)
{
    mock_messages_t got = mock_read(mock, "t", 1);

    assert_int_equal(got.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(strtol(strstr(got.all[i].value, "https://x/") + 10, NULL, 10), numbers[i]);
    mock_free(&got);
}

static cm_sink_kafka_options_t taking(letters_t *letters)
{
    return (cm_sink_kafka_options_t){.refused = take_letters, .refused_context = letters};
}

/* Events that librdkafka itself refuses: exactly these become dead letters, and commit() succeeds
 * for the others. */
static void too_large_for_good(void **state)
{
    static const int numbers[] = {0, 1, 2, 4, 5, 6, 8, 9};
    letters_t letters = {.calls = 0};
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    char url[CM_URL_MAX];
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    mock_property(&mock, "message.max.bytes", "1500");
    cm_sink_t *sink = open_sink(&mock, taking(&letters));
    add_events(&batch, 0, 10);
    memset(url, 'x', sizeof url);
    memcpy(url, "https://", 8);
    batch.events[3].url = batch.events[7].url = (cm_str_t){url, sizeof url};
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    assert_int_equal(letters.calls, 0);
    assert_int_equal(report_of(sink).acknowledged + report_of(sink).waiting, 10);
    letters.fail = CM_EBUSY; /* commit() returns its errors, and continues at the next call */
    assert_int_equal(cm_sink_commit(sink, &err), CM_EBUSY);
    assert_string_equal(err.text, "no room for letters");
    assert_int_equal(report_of(sink).waiting, 2);
    assert_ok(cm_sink_commit(sink, &err), err);
    assert_ok(cm_sink_commit(sink, &err), err);
    assert_int_equal(letters.calls, 2);
    assert_int_equal(letters.count, 2);
    assert_non_null(strstr(letters.text.data, "xx: Kafka refuses it for topic t ("));
    assert_non_null(strstr(letters.text.data, " bytes): Broker: Message size too large; raise "
                                              "max.message.bytes of the topic, "));
    cm_sink_kafka_report_t report = report_of(sink);
    assert_int_equal(report.acknowledged, 8);
    assert_int_equal(report.refused, 2);
    assert_int_equal(report.failed + report.waiting, 0);
    assert_topic(&mock, numbers, 8);
    cm_sink_close(sink);
    cm_buf_free(&letters.text);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

/* A batch may be refused although every event in it is valid: smaller batches are accepted. */
static void batch_too_large(void **state)
{
    static const int numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    letters_t letters = {.calls = 0};
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    cm_sink_t *sink = open_sink(&mock, taking(&letters));
    rd_kafka_mock_push_request_errors(mock.cluster, MOCK_PRODUCE, 2,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                                      RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    add_events(&batch, 0, 10);
    assert_ok(cm_sink_put(sink, &batch, &err), err);
    assert_ok(cm_sink_commit(sink, &err), err);
    assert_int_equal(report_of(sink).acknowledged, 10);
    assert_int_equal(letters.calls, 0);
    assert_topic(&mock, numbers, 10);
    cm_sink_close(sink);
    cm_batch_free(&batch);
    mock_stop(&mock);
}

/* The fifth of eight events is refused. The requests are: all, 0-3 (accepted), 4-7, 4-5, 4 alone;
 * then 5, and 6-7. */
static void one_of_a_batch(void **state)
{
    static const rd_kafka_resp_err_t codes[] = {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE,
                                                RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE,
                                                RD_KAFKA_RESP_ERR_INVALID_RECORD};
    static const int numbers[] = {0, 1, 2, 3, 5, 6, 7};
    cm_err_t err;

    (void)state;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        letters_t letters = {.calls = 0};
        cm_batch_t batch = CM_BATCH_INIT;
        mock_t mock;
        char expected[200];

        mock_start(&mock, 1);
        cm_sink_t *sink = open_sink(&mock, taking(&letters));
        rd_kafka_mock_push_request_errors(mock.cluster, MOCK_PRODUCE, 5, codes[i],
                                          RD_KAFKA_RESP_ERR_NO_ERROR, codes[i], codes[i], codes[i]);
        add_events(&batch, 0, 8);
        assert_ok(cm_sink_put(sink, &batch, &err), err);
        assert_ok(cm_sink_commit(sink, &err), err);
        assert_int_equal(letters.calls, 1);
        assert_int_equal(letters.count, 1);
        snprintf(expected, sizeof expected, ": %s", rd_kafka_err2str(codes[i]));
        assert_memory_equal(letters.text.data, "https://x/4: Kafka refuses it for topic t (", 43);
        assert_non_null(strstr(letters.text.data, expected));
        assert_int_equal(report_of(sink).acknowledged, 7);
        assert_int_equal(report_of(sink).refused, 1);
        assert_topic(&mock, numbers, 7);
        cm_sink_close(sink);
        cm_buf_free(&letters.text);
        cm_batch_free(&batch);
        mock_stop(&mock);
    }
}

/* An error that Kafka's operator can correct is not a fault of the event: the event fails, and does
 * not become a dead letter. */
static void refused_for_now(void **state)
{
    static const rd_kafka_resp_err_t codes[] = {
        RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED,
        RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP,
        RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE, RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION};
    letters_t letters = {.calls = 0};
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    add_events(&batch, 0, 3);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        cm_sink_t *sink = open_sink(&mock, taking(&letters));
        rd_kafka_mock_push_request_errors(mock.cluster, MOCK_PRODUCE, 1, codes[i]);
        assert_ok(cm_sink_put(sink, &batch, &err), err);
        assert_int_equal(cm_sink_commit(sink, &err), CM_EIO);
        assert_non_null(strstr(err.text, "3 of 3 events were not delivered to topic t at "));
        assert_int_equal(report_of(sink).failed, 3);
        assert_int_equal(letters.calls, 0);
        cm_sink_close(sink);
    }
    cm_batch_free(&batch);
    mock_stop(&mock);
}

/* When there is no commit for a long time, put() delivers dead letters, so that memory stays
 * bounded. It does not do so when the caller may put the same batches again. */
static void many_letters(void **state)
{
    enum { EVENTS = 10500 };
    mock_t mock;
    cm_batch_t batch = CM_BATCH_INIT;
    cm_err_t err;

    (void)state;
    mock_start(&mock, 1);
    mock_property(&mock, "message.max.bytes", "1000"); /* the least */
    char url[1200];
    memset(url, 'x', sizeof url);
    memcpy(url, "https://", 8);
    add_events(&batch, 0, EVENTS);
    for (size_t i = 0; i < batch.count; i++)
        batch.events[i].url = (cm_str_t){url, sizeof url};
    for (int at_commit = 0; at_commit < 2; at_commit++) {
        letters_t letters = {.calls = 0};
        cm_sink_kafka_options_t options = taking(&letters);
        options.refused_at_commit = at_commit;
        cm_sink_t *sink = open_sink(&mock, options);
        assert_ok(cm_sink_put(sink, &batch, &err), err);
        assert_int_equal(letters.count, at_commit ? 0 : EVENTS);
        assert_ok(cm_sink_commit(sink, &err), err);
        assert_int_equal(letters.count, EVENTS);
        assert_int_equal(letters.calls, 1);
        cm_sink_close(sink);
        cm_buf_free(&letters.text);
    }
    cm_batch_free(&batch);
    mock_stop(&mock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(too_large_for_good), cmocka_unit_test(batch_too_large),
        cmocka_unit_test(one_of_a_batch),     cmocka_unit_test(refused_for_now),
        cmocka_unit_test(many_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
