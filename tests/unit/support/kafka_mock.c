#include "kafka_mock.h"

static const cm_log_t mock_log = {.level = CM_LOG_ERROR, .fd = 2};

static void mock_ignore(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    (void)rk;
    (void)code;
    (void)reason;
    (void)opaque;
}

rd_kafka_conf_t *mock_conf(const char *name, const char *value)
{
    char why[200];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set(conf, "log_level", "0", why, sizeof why);
    rd_kafka_conf_set_error_cb(conf, mock_ignore);
    assert_int_equal(rd_kafka_conf_set(conf, name, value, why, sizeof why), RD_KAFKA_CONF_OK);
    return conf;
}

void mock_start_brokers(mock_t *mock, int brokers_wanted)
{
    char why[200];
    rd_kafka_conf_t *conf = mock_conf("linger.ms", "1");

    *mock = (mock_t){.rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why)};
    assert_non_null(mock->rk);
    mock->cluster = rd_kafka_mock_cluster_new(mock->rk, brokers_wanted);
    assert_non_null(mock->cluster);
    const char *brokers = rd_kafka_mock_cluster_bootstraps(mock->cluster);
    assert_int_equal(rd_kafka_brokers_add(mock->rk, brokers), brokers_wanted);
    mock->properties.pairs = mock->pairs;
    mock->settings = (cm_kafka_settings_t){.brokers = brokers,
                                           .properties = &mock->properties,
                                           .topic = "t",
                                           .dead_topic = "t.dead",
                                           .group = "g",
                                           .timeout_ms = 5000,
                                           .create = true,
                                           .partitions = 1,
                                           .replication = 1,
                                           .log = &mock_log};
}

void mock_start_blank(mock_t *mock)
{
    mock_start_brokers(mock, 1);
}

void mock_start(mock_t *mock, int partitions)
{
    mock_start_blank(mock);
    assert_int_equal(rd_kafka_mock_topic_create(mock->cluster, "t", partitions, 1), 0);
    assert_int_equal(rd_kafka_mock_topic_create(mock->cluster, "t.dead", 1, 1), 0);
}

void mock_property(mock_t *mock, const char *name, const char *text)
{
    assert_true(mock->properties.count < MOCK_PROPERTIES);
    mock->pairs[mock->properties.count++] =
        (cm_option_pair_t){name, text, "the test", CM_FROM_COMMAND_LINE};
}

void mock_stop(mock_t *mock)
{
    rd_kafka_flush(mock->rk, 5000);
    rd_kafka_mock_cluster_destroy(mock->cluster);
    rd_kafka_destroy(mock->rk);
}

void mock_put(mock_t *mock, const char *topic, int32_t partition, const char *key, cm_str_t value)
{
    size_t key_len = key != NULL ? strlen(key) : 0;
    rd_kafka_resp_err_t code =
        rd_kafka_producev(mock->rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key, key_len),
                          RD_KAFKA_V_VALUE((void *)value.data, value.len), RD_KAFKA_V_END);

    assert_int_equal(code, 0);
}

void mock_flush(mock_t *mock)
{
    assert_int_equal(rd_kafka_flush(mock->rk, 10000), 0);
}

static char *mock_copy(const void *data, size_t len)
{
    if (data == NULL)
        return NULL;
    char *copy = malloc(len + 1);
    assert_non_null(copy);
    memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

static char *mock_headers(const rd_kafka_message_t *message)
{
    cm_buf_t text = CM_BUF_INIT;
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t len;

    cm_buf_reserve(&text, 1);
    if (rd_kafka_message_headers(message, &headers) == 0) {
        for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &len) == 0; i++)
            cm_buf_printf(&text, "%s=%.*s|", name, (int)len, (const char *)value);
    }
    return text.data;
}

mock_messages_t mock_read(mock_t *mock, const char *topic, int32_t partitions)
{
    rd_kafka_conf_t *conf = mock_conf("bootstrap.servers", mock->settings.brokers);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    mock_messages_t got = {NULL, 0};
    char why[200];
    int ended = 0;

    rd_kafka_conf_set(conf, "group.id", "reader", why, sizeof why);
    rd_kafka_conf_set(conf, "enable.partition.eof", "true", why, sizeof why);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    assert_non_null(rk);
    rd_kafka_poll_set_consumer(rk);
    for (int32_t i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    rd_kafka_assign(rk, list);
    while (ended < partitions) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 10000);
        assert_non_null(message);
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
            ended++;
        } else {
            assert_int_equal(message->err, 0);
            got.all = realloc(got.all, (got.count + 1) * sizeof *got.all);
            got.all[got.count++] = (mock_message_t){message->partition,
                                                    message->offset,
                                                    mock_copy(message->key, message->key_len),
                                                    mock_copy(message->payload, message->len),
                                                    mock_headers(message),
                                                    message->len};
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
    return got;
}

void mock_free(mock_messages_t *messages)
{
    for (size_t i = 0; i < messages->count; i++) {
        free(messages->all[i].key);
        free(messages->all[i].value);
        free(messages->all[i].headers);
    }
    free(messages->all);
}
