#include "sink/kafka/internal.h"

#include "kafka/topics.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    FULL_MS = 2,    /* between tries while the queue is full: it empties within about 100 ms */
    FLUSH_MS = 100, /* between checks for failed messages */
    CHUNK = 128,
    DEAD_PARTITIONS = 1, /* so that a dead letter's number is its offset */
    QUIET_MS = 2000, /* without a report: then the brokers do not answer; before, they are slow */
    STEP_MS = 500,   /* between checks whether to stop, during a step of a transaction */
    AGAIN_MS = 20,   /* before a step is tried again */
    ABORT_MS =
        1000, /* after it, the broker aborts by time-out, or the next producer of this name does */
};

/* ---- what becomes of a message ---- */

/* Marks a dead letter in its delivery report. */
static const char dead_mark;

void cm_sink_kafka_note_failure(cm_sink_kafka_t *self, bool dead, rd_kafka_resp_err_t code)
{
    if (dead)
        self->dead_failed++;
    else
        self->failed++;
    if (self->reason[0] == '\0')
        snprintf(self->reason, sizeof self->reason, "%s", rd_kafka_err2str(code));
}

/* A broker refuses a batch as a whole: its largest message is taken to be the cause. */
static void note_large(cm_sink_kafka_t *self, const rd_kafka_headers_t *headers, size_t len)
{
    const void *origin = "a message";
    size_t size = strlen(origin);

    if (self->large[0] != '\0' && len <= self->large_len)
        return;
    if (headers != NULL)
        rd_kafka_header_get_last(headers, "origin", &origin, &size);
    snprintf(self->large, sizeof self->large, "%.*s", (int)size, (const char *)origin);
    self->large_len = len;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    cm_sink_kafka_t *self = ((cm_kafka_client_t *)opaque)->owner;
    const bool dead = message->_private == &dead_mark;
    rd_kafka_headers_t *headers = NULL;

    (void)rk;
    if (message->err >= 0) { /* an answer, also a refusal; librdkafka's own codes are negative */
        cm_kafka_answered(&self->client);
        self->heard_ns = cm_clock_ticks_ns();
    }
    if (message->err == 0) {
        if (!dead && self->options.ends != NULL)
            cm_kafka_ends_note(self->options.ends, message->partition, message->offset);
        return;
    }
    const cm_str_t key = {message->key, message->key_len}, value = {message->payload, message->len};
    if (!dead && cm_sink_kafka_refused(self, key, value, message->err,
                                       message->_private == &cm_sink_kafka_alone_mark))
        return;
    cm_sink_kafka_note_failure(self, dead, message->err);
    if (dead && message->err == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE) {
        rd_kafka_message_headers(message, &headers);
        note_large(self, headers, message->len);
    }
}

static int fail_large(const cm_sink_kafka_t *self, cm_err_t *err)
{
    const cm_kafka_settings_t *settings = self->client.settings;

    return cm_fail(err, CM_EIO,
                   "the dead letter from %s is too large for topic %s at %s (%zu bytes and its "
                   "headers); raise max.message.bytes of that topic, or %s",
                   self->large, settings->dead_topic, settings->brokers, self->large_len,
                   self->options.dead_only
                       ? "keep dead letters in the embedded store with --dead-to store"
                       : "message.max.bytes below kafka.properties");
}

static int fail_undelivered(const cm_sink_kafka_t *self, cm_err_t *err)
{
    const cm_kafka_settings_t *settings = self->client.settings;
    char text[300];

    if (rd_kafka_fatal_error(self->client.rk, text, sizeof text) != 0)
        return cm_fail(err, CM_EIO, "the producer for Kafka at %s has failed permanently: %s",
                       settings->brokers, text);
    if (self->failed > 0)
        return cm_fail(
            err, CM_EIO,
            "%llu of %llu events were not delivered to topic %s at %s; the first because: "
            "%s",
            (unsigned long long)self->failed, (unsigned long long)self->put, settings->topic,
            settings->brokers, self->reason);
    if (self->large[0] != '\0')
        return fail_large(self, err);
    return cm_fail(err, CM_EIO,
                   "%llu of %llu dead letters were not delivered to topic %s at %s; the first "
                   "because: %s",
                   (unsigned long long)self->dead_failed, (unsigned long long)self->dead_put,
                   settings->dead_topic, settings->brokers, self->reason);
}

static bool has_failed(const cm_sink_kafka_t *self)
{
    return self->failed > 0 || self->dead_failed > 0;
}

/* Why nothing is acknowledged; NULL while messages are. */
static const char *find_reason(const cm_sink_kafka_t *self)
{
    if (cm_clock_ticks_ns() - self->heard_ns < QUIET_MS * INT64_C(1000000))
        return NULL;
    return self->client.reason[0] != '\0' ? self->client.reason : "no acknowledgement for 2 s";
}

static void begin_wait(cm_sink_kafka_t *self)
{
    if (rd_kafka_outq_len(self->client.rk) == 0)
        self->heard_ns = cm_clock_ticks_ns();
}

int cm_sink_kafka_wait(cm_sink_kafka_t *self, int ms)
{
    const cm_waiter_t *waiter = self->options.waiter;

    rd_kafka_poll(self->client.rk, ms);
    if (waiter == NULL)
        return 0;
    return waiter->wait(waiter->context, 0, find_reason(self));
}

static int fail_waiting(const cm_sink_kafka_t *self, int rc, cm_err_t *err)
{
    cm_sink_kafka_report_t report;
    const char *reason = find_reason(self);
    const int waiting = rd_kafka_outq_len(self->client.rk);

    cm_sink_kafka_report(&self->sink, &report);
    return cm_fail(
        err, rc,
        "stopped while no Kafka broker at %s answers (%s): %llu %s are not "
        "acknowledged, they may have arrived or not",
        self->client.settings->brokers, reason != NULL ? reason : "they are slow",
        (unsigned long long)(self->options.dead_only ? (uint64_t)waiting : report.waiting),
        self->options.dead_only ? "dead letters" : "events");
}

/* ---- put ---- */

static int begin(cm_sink_kafka_t *self, cm_err_t *err)
{
    if (self->options.transaction == NULL || self->in_transaction)
        return 0;
    rd_kafka_error_t *error = rd_kafka_begin_transaction(self->client.rk);
    if (error == NULL) {
        self->in_transaction = true;
        return 0;
    }
    int rc = cm_fail(err, CM_EIO, "Kafka does not begin a transaction: %s",
                     rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return rc;
}

/* librdkafka has refused a dead letter: 0 to try again, 1 when it has failed. */
static int take_refusal(cm_sink_kafka_t *self, rd_kafka_resp_err_t code,
                        const rd_kafka_headers_t *headers, size_t len)
{
    if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL)
        return cm_sink_kafka_wait(self, FULL_MS);
    cm_sink_kafka_note_failure(self, true, code);
    if (code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE)
        note_large(self, headers, len);
    return 1;
}

/* librdkafka has refused an event because of the event itself, not because of its batch. */
static void take_event_refusal(cm_sink_kafka_t *self, const rd_kafka_message_t *message)
{
    const cm_str_t key = {message->key, message->key_len}, value = {message->payload, message->len};

    if (!cm_sink_kafka_refused(self, key, value, message->err, true))
        cm_sink_kafka_note_failure(self, false, message->err);
}

/* Gives the chunk's messages to librdkafka; tries again those for which its queue was full. */
static int produce_chunk(cm_sink_kafka_t *self, rd_kafka_message_t *messages, int count)
{
    int rc = 0;

    while (count > 0) {
        int taken = rd_kafka_produce_batch(self->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY,
                                           messages, count);
        if (taken == count)
            return 0;
        int left = 0;
        for (int i = 0; i < count; i++) {
            if (messages[i].err == RD_KAFKA_RESP_ERR__QUEUE_FULL)
                messages[left++] = messages[i];
            else if (messages[i].err != 0)
                take_event_refusal(self, &messages[i]);
        }
        count = left;
        if (count > 0 && (rc = cm_sink_kafka_wait(self, FULL_MS)) < 0)
            return rc;
    }
    return 0;
}

/* The JSON of a chunk is in one buffer. It is filled first, because it may move while it grows. */
static int put_chunk(cm_sink_kafka_t *self, const cm_event_t *events, int count)
{
    rd_kafka_message_t messages[CHUNK];
    size_t ends[CHUNK];
    int rc = 0;

    cm_buf_clear(&self->json);
    for (int i = 0; i < count; i++) {
        cm_event_add_json(&self->json, &events[i]);
        ends[i] = self->json.len;
    }
    memset(messages, 0, (size_t)count * sizeof *messages);
    for (int i = 0; i < count; i++) {
        size_t from = i > 0 ? ends[i - 1] : 0;
        messages[i].payload = self->json.data + from;
        messages[i].len = ends[i] - from;
        messages[i].key = (void *)events[i].user_id.data;
        messages[i].key_len = events[i].user_id.len;
    }
    /* Waits until the whole chunk fits, so that each user's events stay in order. */
    while (rc >= 0 && rd_kafka_outq_len(self->client.rk) > self->room - CHUNK)
        rc = cm_sink_kafka_wait(self, FULL_MS);
    self->put += (uint64_t)count;
    return rc < 0 ? rc : produce_chunk(self, messages, count);
}

int cm_sink_kafka_put_raw(cm_sink_t *sink, const char *topic, cm_str_t key, cm_str_t value,
                          const rd_kafka_headers_t *headers, cm_err_t *err)
{
    cm_sink_kafka_t *self = (cm_sink_kafka_t *)sink;

    int rc = begin(self, err);
    if (rc < 0)
        return rc;
    begin_wait(self);
    self->dead_put++;
    while (rc == 0) {
        rd_kafka_headers_t *copy =
            headers != NULL ? rd_kafka_headers_copy(headers) : rd_kafka_headers_new(0);
        rd_kafka_resp_err_t code = rd_kafka_producev(
            self->client.rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_KEY(key.data, key.len), RD_KAFKA_V_VALUE((void *)value.data, value.len),
            RD_KAFKA_V_HEADERS(copy), RD_KAFKA_V_OPAQUE((void *)&dead_mark), RD_KAFKA_V_END);
        if (code == 0)
            return 0;
        rd_kafka_headers_destroy(copy); /* librdkafka owns it only after a success */
        rc = take_refusal(self, code, headers, value.len);
    }
    return rc < 0 ? fail_waiting(self, rc, err)
                  : 0; /* 1: the failure is counted, and put() reports it */
}

static int put_dead(cm_sink_kafka_t *self, const cm_dead_t *dead, cm_err_t *err)
{
    cm_buf_t sealed = CM_BUF_INIT;
    cm_str_t payload = dead->payload;
    char when[CM_TIME_TEXT];

    if (dead->personal && self->options.seal != NULL) {
        int failed = self->options.seal(self->options.seal_context, payload, &sealed, err);
        if (failed < 0)
            return failed;
        payload = (cm_str_t){sealed.data, sealed.len};
    }
    rd_kafka_headers_t *headers = rd_kafka_headers_new(3);
    cm_time_format(cm_clock_now_ms(self->options.clock), when);
    rd_kafka_header_add(headers, "reason", -1, dead->reason.data, (ssize_t)dead->reason.len);
    rd_kafka_header_add(headers, "origin", -1, dead->origin.data, (ssize_t)dead->origin.len);
    rd_kafka_header_add(headers, "time", -1, when, -1);
    int rc = cm_sink_kafka_put_raw(&self->sink, self->client.settings->dead_topic, dead->key,
                                   payload, headers, err);
    rd_kafka_headers_destroy(headers);
    cm_buf_free(&sealed);
    return rc;
}

static int kafka_put(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err)
{
    cm_sink_kafka_t *self = (cm_sink_kafka_t *)sink;

    int rc = batch->count > 0 || batch->dead_count > 0 ? begin(self, err) : 0;
    if (rc < 0)
        return rc;
    begin_wait(self);
    for (size_t i = 0; i < batch->count && rc == 0; i += CHUNK) {
        rc = put_chunk(self, batch->events + i,
                       batch->count - i < CHUNK ? (int)(batch->count - i) : CHUNK);
        rd_kafka_poll(self->client.rk, 0);
    }
    if (rc < 0)
        return fail_waiting(self, rc, err);
    for (size_t i = 0; i < batch->dead_count && rc == 0; i++)
        rc = put_dead(self, &batch->dead[i], err);
    rd_kafka_poll(self->client.rk, 0);
    if (rc == 0 && cm_sink_kafka_refused_many(self))
        rc = cm_sink_kafka_refused_settle(self, err);
    if (rc == 0 && has_failed(self))
        rc = fail_undelivered(self, err);
    return rc;
}

/* ---- commit ---- */

/* A step of a transaction lasts as long as a broker is silent. It is tried with short time-outs, so
 * that a stop is noticed; librdkafka continues a step that is called again. */
static rd_kafka_error_t *wait_for_step(cm_sink_kafka_t *self,
                                       rd_kafka_error_t *(*step)(rd_kafka_t *rk, int timeout_ms))
{
    const int64_t until_ns =
        cm_clock_ticks_ns() + self->client.settings->timeout_ms * INT64_C(1000000);

    for (;;) {
        int64_t left = (until_ns - cm_clock_ticks_ns()) / 1000000;
        left = left < 1 ? 1 : left;
        rd_kafka_error_t *error = step(self->client.rk, left < STEP_MS ? (int)left : STEP_MS);
        if (error == NULL || !rd_kafka_error_is_retriable(error) ||
            cm_clock_ticks_ns() >= until_ns || cm_kafka_stopped(&self->client))
            return error;
        rd_kafka_error_destroy(error);
        cm_sleep_ms(AGAIN_MS); /* some errors return at once: a coordinator that is still loading */
    }
}

static int end_transaction(cm_sink_kafka_t *self, cm_err_t *err)
{
    rd_kafka_error_t *error = wait_for_step(self, rd_kafka_commit_transaction);

    self->in_transaction = false;
    if (error == NULL)
        return 0;
    int rc = cm_fail(err, CM_EIO,
                     "Kafka does not commit the transaction: %s; none of its messages are visible",
                     rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return rc;
}

int cm_sink_kafka_flush(cm_sink_kafka_t *self)
{
    int rc = 0;

    while (rc == 0 && rd_kafka_flush(self->client.rk, FLUSH_MS) != 0)
        rc = cm_sink_kafka_wait(self, 0);
    return rc;
}

static int kafka_commit(cm_sink_t *sink, cm_err_t *err)
{
    cm_sink_kafka_t *self = (cm_sink_kafka_t *)sink;

    begin_wait(self);
    int rc = cm_sink_kafka_flush(self);
    if (rc < 0)
        return fail_waiting(self, rc, err);
    if (!has_failed(self) && (rc = cm_sink_kafka_refused_settle(self, err)) < 0)
        return rc;
    if (has_failed(self))
        return fail_undelivered(self, err);
    return self->in_transaction ? end_transaction(self, err) : 0;
}

void cm_sink_kafka_report(const cm_sink_t *sink, cm_sink_kafka_report_t *report)
{
    const cm_sink_kafka_t *self = (const cm_sink_kafka_t *)sink;
    uint64_t waiting =
        (uint64_t)rd_kafka_outq_len(self->client.rk) + cm_sink_kafka_refused_open(self);
    uint64_t settled = self->put - self->failed - self->refused;

    *report = (cm_sink_kafka_report_t){.failed = self->failed,
                                       .refused = self->refused,
                                       .waiting = waiting < settled ? waiting : settled,
                                       .dead = self->dead_put - self->dead_failed};
    report->acknowledged = settled - report->waiting;
    snprintf(report->reason, sizeof report->reason, "%s", self->reason);
}

static void kafka_close(cm_sink_t *sink)
{
    cm_sink_kafka_t *self = (cm_sink_kafka_t *)sink;

    if (self->client.rk != NULL && self->in_transaction) {
        rd_kafka_error_t *error = rd_kafka_abort_transaction(self->client.rk, ABORT_MS);
        if (error != NULL)
            rd_kafka_error_destroy(error);
    }
    if (self->client.rk != NULL)
        rd_kafka_purge(self->client.rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    if (self->topic != NULL)
        rd_kafka_topic_destroy(self->topic);
    cm_buf_free(&self->json);
    cm_sink_kafka_refused_free(self);
    if (cm_kafka_end_within(&self->client, CM_KAFKA_END_MS))
        free(self);
}

/* ---- open ---- */

/* The size of librdkafka's queue, which the user may have set. */
static int queue_size(const rd_kafka_conf_t *conf)
{
    char text[32];
    size_t size = sizeof text;
    int64_t value;

    if (rd_kafka_conf_get(conf, "queue.buffering.max.messages", text, &size) != RD_KAFKA_CONF_OK ||
        !cm_str_to_i64(cm_str(text), &value) || value <= 2 * CHUNK)
        return INT32_MAX; /* no limit, or so small that only librdkafka applies it */
    return (int)value;
}

/* Memory: at most 64 MiB of messages wait in librdkafka. An event waits at most 20 ms until its
 * batch is sent; under load batches are full sooner. */
static int start(cm_sink_kafka_t *self, cm_err_t *err)
{
    const cm_sink_kafka_options_t *options = &self->options;
    const cm_kafka_property_t house[] = {
        {"enable.idempotence", "true"},
        {"acks", "all"},
        {"compression.type", "lz4"},
        {"partitioner", "murmur2_random"},
        {"linger.ms", options->dead_only ? "1" : "20"},
        {"queue.buffering.max.kbytes", "65536"},
        {"queue.buffering.max.messages", "100000"},

        {"message.timeout.ms", options->patient               ? "0"
                               : options->transaction != NULL ? "30000"
                                                              : "120000"},
        /* Only the broker's limit applies, not the client's: dead letters are of any size. */
        {"message.max.bytes", options->dead_only ? "1000000000" : "1000000"},
        {options->transaction != NULL ? "transactional.id" : NULL, options->transaction},
        {NULL, NULL},
    };
    rd_kafka_conf_t *conf;

    int rc = cm_kafka_conf(options->settings, house, &conf, err);
    if (rc < 0)
        return rc;
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    self->room = queue_size(conf);
    return cm_kafka_start(&self->client, RD_KAFKA_PRODUCER, conf, options->settings, self, err);
}

static int start_transactions(cm_sink_kafka_t *self, cm_err_t *err)
{
    if (self->options.transaction == NULL)
        return 0;
    rd_kafka_error_t *error = wait_for_step(self, rd_kafka_init_transactions);
    if (error == NULL)
        return 0;
    int rc =
        cm_kafka_fail(&self->client, rd_kafka_error_code(error), "preparing a transaction", err);
    rd_kafka_error_destroy(error);
    return rc;
}

int cm_sink_kafka_open(const cm_sink_kafka_options_t *options, cm_sink_t **sink, cm_err_t *err)
{
    static const cm_sink_ops_t ops = {kafka_put, kafka_commit, kafka_close, NULL};
    const cm_kafka_settings_t *settings = options->settings;
    cm_sink_kafka_t *self = cm_alloc_zero(1, sizeof *self);

    self->sink.ops = &ops;
    self->options = *options;
    int rc = start(self, err);
    if (rc == 0 && !options->dead_only)
        rc =
            cm_kafka_ensure_topic(&self->client, settings->topic, settings->partitions, false, err);
    if (rc == 0)
        rc = cm_kafka_ensure_topic(&self->client, settings->dead_topic, DEAD_PARTITIONS, true, err);
    if (rc == 0)
        rc = start_transactions(self, err);
    if (rc == 0 && !options->dead_only) {
        self->topic = rd_kafka_topic_new(self->client.rk, settings->topic, NULL);
        if (self->topic == NULL)
            rc = cm_fail(err, CM_EUSAGE, "topic %s: %s", settings->topic,
                         rd_kafka_err2str(rd_kafka_last_error()));
    }
    if (rc < 0)
        kafka_close(&self->sink);
    else
        *sink = &self->sink;
    return rc;
}
