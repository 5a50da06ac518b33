#include "source/kafka/internal.h"

#include "base/clock.h"
#include "kafka/ranges.h"
#include "kafka/request.h"
#include "kafka/topics.h"
#include "source/kafka/envelope.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    POLL_MS = 100,                     /* next() waits this long for a full batch */
    BATCH_BYTES = 4 * 1024 * 1024,     /* of messages in a batch, about */
    FIRST_MESSAGES = 64,               /* in a batch, before their size is known */
    ASK_AGAIN_NS = 2000 * 1000 * 1000, /* between checks whether a broker answers again */
    LEAVE_MS = 1500,
    LEAVE_SOON_MS = 500,
    END_MS = 1000,
    END_SILENT_MS = 3000, /* until librdkafka drops requests without an answer */
    ASK_MS = 200,
    SETTLE_MS = 1500,
    ASK_OTHERS_NS = 500 * 1000 * 1000,
    ASK_OTHERS_MS = 700,
    WAKE_BYTES =
        8 * 1024 * 1024, /* of messages fetched ahead; with less, librdkafka is woken to fetch */
    WAKE_NS = 10 * 1000 * 1000,
    WAKE_MS = 100,
};

typedef cm_source_kafka_t kafka_source_t;

/* ---- messages ---- */

/* The first message of a partition shows whether the partition is the one that was read before.
 * True when the message is to be handed out. */
static bool is_proven(kafka_source_t *self, cm_source_kafka_part_t *part,
                      const rd_kafka_message_t *message)
{
    cm_source_kafka_proof_verdict_t verdict =
        cm_source_kafka_proof_judge(&part->proof, part->from, part->next, message);

    part->proving = false;
    if (verdict == CM_SOURCE_KAFKA_PROOF_RECREATED) {
        cm_source_kafka_part_set_recreated(part);
        self->stale = true;
    }
    return verdict == CM_SOURCE_KAFKA_PROOF_GO_ON;
}

/* `text` is a copy of the message, followed by padding; `place` is the message's place in its
 * batch. */
static void take_message(kafka_source_t *self, const rd_kafka_message_t *message, size_t place,
                         cm_str_t text, cm_batch_t *batch)
{
    cm_source_kafka_part_t *part = cm_source_kafka_parts_find(&self->parts, message->partition);

    /* A message from before a rebalance or a seek: the consumer that has the partition now reads
     * it. */
    if (part == NULL || part->stale || (part->proving && !is_proven(self, part, message)) ||
        message->offset < part->next)
        return;
    if (cm_source_kafka_part_is_bare(
            part)) { /* no message was ever taken: the topic may have been created again */
        cm_source_kafka_part_rewind(part);
        self->stale = true;
        return;
    }
    if (part->taken == 0)
        part->first = place + 1;
    part->taken = place + 1;
    part->next = message->offset + 1;
    part->ended = self->options.until_end && part->end >= 0 && part->next >= part->end;
    cm_source_kafka_parts_touch(&self->parts, part);
    if (message->payload == NULL && self->options.settings->skip_tombstones)
        cm_batch_skip(batch);
    else if (text.len == 0)
        cm_source_kafka_reject(self, batch, message, text,
                               message->payload == NULL ? cm_envelope_tombstone
                                                        : "the message is empty");
    else
        cm_source_kafka_take(self, batch, message, text);
    if (self->options.count > 0)
        self->left--;
}

/* A partition is read up to its end for now. */
static void take_end(kafka_source_t *self, cm_source_kafka_part_t *part, int64_t end)
{
    if (part == NULL || part->stale)
        return;
    if (part->proving) {
        cm_source_kafka_proof_verdict_t verdict =
            cm_source_kafka_proof_judge_end(&part->proof, part->from, part->next, end);
        part->proving = verdict == CM_SOURCE_KAFKA_PROOF_GO_ON;
        if (verdict == CM_SOURCE_KAFKA_PROOF_RECREATED)
            cm_source_kafka_part_set_recreated(part);
        if (verdict != CM_SOURCE_KAFKA_PROOF_SAME) {
            part->stale = self->stale = true;
            return;
        }
    }
    part->ended = true; /* all messages before it were handed out */
    if (end > part->next && part->next >= 0)
        cm_source_kafka_parts_touch(&self->parts,
                                    part); /* so that the position is committed to the group */
    part->next = end > part->next ? end : part->next;
}

/* The topic or one of its partitions does not exist at the moment. When it exists again, it may be
 * a new one. */
static void doubt(kafka_source_t *self, int32_t partition)
{
    for (size_t i = 0; i < self->parts.count; i++) {
        cm_source_kafka_part_t *part = &self->parts.parts[i];
        if (!part->ours || (partition >= 0 && part->partition != partition))
            continue;
        cm_source_kafka_part_doubt(part);
        self->stale |= part->stale;
    }
}

/* Handles an error that came instead of a message. Most errors pass by themselves. */
static int take_error(kafka_source_t *self, const rd_kafka_message_t *message, cm_err_t *err)
{
    cm_kafka_client_t *client = &self->client;
    const char *text = rd_kafka_message_errstr(message);
    cm_source_kafka_part_t *part;

    switch (message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        take_end(self, cm_source_kafka_parts_find(&self->parts, message->partition),
                 message->offset);
        cm_kafka_answered(client);
        return 0;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        return cm_kafka_fail(client, message->err, "reading the topic", err);
    case RD_KAFKA_RESP_ERR__FATAL:
        return cm_fail(err, CM_EINTERNAL, "the consumer of topic %s has failed permanently: %s",
                       client->settings->topic, text);
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET: /* deleted by retention, truncated, or created again
                                                */
        part = cm_source_kafka_parts_find(&self->parts, message->partition);
        cm_log(client->settings->log, CM_LOG_INFO, "an offset is not there",
               "partition=%d text=\"%s\"", (int)message->partition, text);
        if (part != NULL) {
            cm_source_kafka_part_doubt(part);
            part->stale = self->stale = true;
        }
        return 0;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        doubt(self, message->partition);
        cm_log(client->settings->log, CM_LOG_WARN, "the topic is not there at the moment",
               "topic=%s partition=%d reason=\"%s\"", client->settings->topic,
               (int)message->partition, text);
        return 0;
    default:
        cm_log(client->settings->log, CM_LOG_WARN, "the topic cannot be read at the moment",
               "topic=%s reason=\"%s\"", client->settings->topic, text);
        return 0;
    }
}

/* Reserves space for all messages at once, so that the events' strings do not move. */
static void copy_texts(kafka_source_t *self, rd_kafka_message_t **messages, size_t count)
{
    size_t size = CM_EVENT_JSON_PADDING;

    for (size_t i = 0; i < count; i++)
        size += messages[i]->err == 0 ? messages[i]->len : 0;
    cm_buf_clear(&self->texts);
    cm_buf_reserve(&self->texts, size);
    for (size_t i = 0; i < count; i++) {
        if (messages[i]->err == 0 && messages[i]->len > 0)
            memcpy(self->texts.data + self->texts.len, messages[i]->payload, messages[i]->len);
        self->texts.len += messages[i]->err == 0 ? messages[i]->len : 0;
    }
    memset(self->texts.data + self->texts.len, 0, CM_EVENT_JSON_PADDING);
    /* The next batch asks for as many messages as fill it by number or by size. */
    if (self->texts.len > 0)
        self->average = self->texts.len / count + 1;
    self->want = BATCH_BYTES / self->average;
    self->want = self->want < 1 ? 1 : self->want > CM_BATCH_EVENTS ? CM_BATCH_EVENTS : self->want;
}

/* Ends the batch: sets the proofs of its positions, and adds the deleted messages to its account.
 */
static void end_batch(kafka_source_t *self, rd_kafka_message_t **messages, cm_batch_t *batch)
{
    for (size_t i = 0; i < self->parts.touched_count; i++) {
        cm_source_kafka_part_t *part = &self->parts.parts[self->parts.touched[i]];
        if (part->taken == 0)
            continue;
        const cm_source_kafka_proof_t last = cm_source_kafka_proof_of(messages[part->taken - 1]);
        cm_source_kafka_proof_t first = CM_SOURCE_KAFKA_PROOF_NONE;
        if (part->witness.last < 0)
            first = cm_source_kafka_proof_of(messages[part->first - 1]);
        cm_source_kafka_part_prove(part, &first, &last);
    }
    self->batches++;
    cm_source_kafka_parts_mark(&self->parts, self->batches, batch);
    batch->account.gone += self->gone;
    self->gone = 0;
}

static int take_messages(kafka_source_t *self, rd_kafka_message_t **messages, size_t count,
                         cm_batch_t *batch, cm_err_t *err)
{
    const char *at;
    int rc = 0;

    copy_texts(self, messages, count);
    at = self->texts.data;
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_message_t *message = messages[i];
        if (message->err == 0)
            take_message(self, message, i, (cm_str_t){at, message->len}, batch);
        else if (rc == 0)
            rc = take_error(self, message, err);
        at += message->err == 0 ? message->len : 0;
    }
    end_batch(self, messages, batch);
    for (size_t i = 0; i < count; i++)
        rd_kafka_message_destroy(messages[i]);
    return rc;
}

/* ---- the source ---- */

/* librdkafka stops fetching when its queue is full. Before version 2.2 it then checks only once a
 * second whether there is space again, unless another request is sent to the broker. So when few
 * messages are left in the queue, the partitions' ends are requested. */
static void keep_fetching(kafka_source_t *self)
{
    int64_t now = cm_clock_ticks_ns();
    size_t ahead = rd_kafka_queue_length(self->queue);

    if (ahead * self->average > WAKE_BYTES || now - self->woken_ns < WAKE_NS ||
        !cm_source_kafka_parts_behind(&self->parts, &self->client, ahead))
        return;
    rd_kafka_topic_partition_list_t *list =
        cm_source_kafka_parts_list(&self->parts, self->client.settings);
    cm_kafka_query_offsets(&self->client, list, RD_KAFKA_OFFSET_END, WAKE_MS);
    rd_kafka_topic_partition_list_destroy(list);
    self->woken_ns = cm_clock_ticks_ns();
}

/* Checks whether any broker answers: a topic without new messages does not show it, and librdkafka
 * reports that all brokers are down only when it was connected to each of them before. */
static void probe_brokers(kafka_source_t *self)
{
    const rd_kafka_metadata_t *metadata;

    int64_t now = cm_clock_ticks_ns();
    if ((!self->client.all_down && !self->client.lost) || now - self->asked_ns < ASK_AGAIN_NS)
        return;
    if (rd_kafka_metadata(self->client.rk, 0, NULL, &metadata, ASK_MS) == 0) {
        rd_kafka_metadata_destroy(metadata);
        cm_kafka_answered(&self->client);
    } else {
        self->client.all_down = true;
    }
    self->asked_ns = cm_clock_ticks_ns();
}

/* Our partitions are read. When another consumer has died, its partitions are assigned to us only
 * after its session has timed out. So the whole group must have reached the end. */
static bool others_ended(kafka_source_t *self)
{
    int64_t now = cm_clock_ticks_ns();

    if (now - self->others_ns < ASK_OTHERS_NS)
        return false;
    bool ended = cm_source_kafka_parts_others_ended(&self->parts, &self->client, ASK_OTHERS_MS);
    self->others_ns = cm_clock_ticks_ns();
    return ended;
}

/* Before the end is reported, the witnesses are checked: the topic may have been created again. */
static bool is_over(kafka_source_t *self)
{
    const bool counted = self->options.count > 0 && self->left <= 0;

    if (!counted && !(self->options.until_end && self->joined && self->pending == NULL &&
                      cm_source_kafka_parts_ended(&self->parts) && others_ended(self)))
        return false;
    cm_source_kafka_settle(self, SETTLE_MS);
    return counted || cm_source_kafka_parts_ended(&self->parts);
}

static void hold(kafka_source_t *self, rd_kafka_message_t *const *messages, size_t count)
{
    self->held = cm_realloc(self->held, (self->held_count + count + 1) * sizeof *self->held);
    memcpy(self->held + self->held_count, messages, count * sizeof *messages);
    self->held_count += count;
}

/* Hands out the messages whose schemas are known, up to the first one whose schema is not. The
 * others are held: while the registry does not answer, this consumer stays in its group. */
static int take_ready(kafka_source_t *self, rd_kafka_message_t **messages, size_t count,
                      cm_batch_t *batch, cm_err_t *err)
{
    const ssize_t ready = cm_source_kafka_ready(self, messages, count, err);

    self->waits = ready >= 0 && (size_t)ready < count;
    const size_t first = ready > 0 ? (size_t)ready : 0;
    if (first < count)
        hold(self, messages + first, count - first);
    if (self->waits)
        cm_source_kafka_keep_alive(&self->source);
    return ready < 0 ? (int)ready : take_messages(self, messages, first, batch, err);
}

/* The same for the messages that are held. */
static int take_held(kafka_source_t *self, cm_batch_t *batch, cm_err_t *err)
{
    rd_kafka_message_t **held = self->held;
    const size_t count = self->held_count;

    self->held = NULL;
    self->held_count = 0;
    int rc = take_ready(self, held, count, batch, err);
    free(held);
    return rc < 0 ? rc : 1;
}

static int kafka_next(cm_source_t *source, cm_batch_t *batch, cm_err_t *err)
{
    kafka_source_t *self = (kafka_source_t *)source;
    size_t want = self->want;

    if (!self->waits)
        cm_source_kafka_resume(self);
    int rc = cm_source_kafka_rebalance(self, err);
    if (rc == 0)
        rc = cm_source_kafka_find_again(self, err);
    if (rc < 0)
        return rc;
    cm_source_kafka_watch(self);
    if (self->held_count > 0)
        return take_held(self, batch, err);
    self->waits = false;
    if (is_over(self)) {
        end_batch(self, NULL, batch); /* an empty one */
        return 0;
    }
    if (self->options.count > 0 && (int64_t)want > self->left)
        want = (size_t)self->left;
    ssize_t got = rd_kafka_consume_batch_queue(self->queue, POLL_MS, self->messages, want);
    if (got > 0 && (self->client.all_down || self->client.lost))
        cm_kafka_answered(&self->client);
    rc = take_ready(self, self->messages, got > 0 ? (size_t)got : 0, batch, err);
    if (rc < 0)
        return rc;
    probe_brokers(self);
    keep_fetching(self);
    return 1;
}

static int kafka_acknowledge(cm_source_t *source, uint64_t batches, cm_err_t *err)
{
    kafka_source_t *self = (kafka_source_t *)source;

    (void)err;
    cm_source_kafka_parts_acknowledge(&self->parts, batches);
    cm_source_kafka_parts_commit(&self->parts, &self->client, true);
    return 0;
}

void cm_source_kafka_keep_alive(cm_source_t *source)
{
    kafka_source_t *self = (kafka_source_t *)source;

    if (!self->paused) {
        rd_kafka_topic_partition_list_t *list =
            cm_source_kafka_parts_list(&self->parts, self->client.settings);
        rd_kafka_pause_partitions(self->client.rk, list);
        rd_kafka_topic_partition_list_destroy(list);
        self->paused = true;
    }
    rd_kafka_message_t *message = rd_kafka_consumer_poll(self->client.rk, 0);
    if (message == NULL)
        return;
    hold(self, &message, 1);
}

const char *cm_source_kafka_trouble(const cm_source_t *source)
{
    const cm_kafka_client_t *client = &((const kafka_source_t *)source)->client;
    const char *trouble = ((const kafka_source_t *)source)->trouble;

    return trouble[0] != '\0' ? trouble : client->all_down ? client->reason : NULL;
}

const char *cm_source_kafka_registry_trouble(const cm_source_t *source)
{
    const cm_kafka_registry_t *registry = ((const kafka_source_t *)source)->registry;

    return registry != NULL ? cm_kafka_registry_trouble(registry) : NULL;
}

size_t cm_source_kafka_lags(const cm_source_t *source, cm_source_kafka_lag_t *lags, size_t max)
{
    const kafka_source_t *self = (const kafka_source_t *)source;
    size_t count = 0;

    for (size_t i = 0; i < self->parts.count; i++) {
        const cm_source_kafka_part_t *part = &self->parts.parts[i];
        if (!part->ours)
            continue;
        if (count < max)
            lags[count] = (cm_source_kafka_lag_t){part->partition, part->next,
                                                  cm_source_kafka_part_end(part, &self->client)};
        count++;
    }
    return count;
}

bool cm_source_kafka_is_placed(const cm_source_t *source)
{
    return ((const kafka_source_t *)source)->placed;
}

/* Leaves the group, so that other consumers get the partitions at once; waits only a limited time
 * for a broker that does not answer. A consumer without partitions has nothing to hand over, and
 * its wait can be useless: a broker that has restarted does not answer a join before the earlier
 * members have timed out, and until then does not read that this member leaves. */
static void leave_group(kafka_source_t *self, bool silent)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(self->client.rk);
    const int64_t ms =
        silent || !cm_source_kafka_parts_any(&self->parts) ? LEAVE_SOON_MS : LEAVE_MS;
    const int64_t started = cm_clock_ticks_ns();

    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(self->client.rk, queue);
    if (error != NULL)
        rd_kafka_error_destroy(error);
    while (!rd_kafka_consumer_closed(self->client.rk) &&
           cm_clock_ticks_ns() - started < ms * INT64_C(1000000)) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, POLL_MS);
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE)
            cm_source_kafka_give_back(self, rd_kafka_event_topic_partition_list(event));
        rd_kafka_event_destroy(event); /* NULL is no event */
    }
    rd_kafka_queue_destroy(queue);
}

static void kafka_close(cm_source_t *source)
{
    kafka_source_t *self = (kafka_source_t *)source;

    self->closing = true;
    if (self->client.rk != NULL)
        cm_source_kafka_give_up_pending(self);
    cm_source_kafka_drop_held(self);
    bool silent = self->client.all_down; /* then the wait would be long and without success */
    if (self->client.rk != NULL && self->queue != NULL) {
        if (!silent)
            silent = !cm_source_kafka_parts_commit(&self->parts, &self->client, false);
        rd_kafka_queue_destroy(self->queue);
        leave_group(self, silent);
    }
    cm_source_kafka_close_witness(self);
    if (!cm_kafka_end_within(&self->client, silent ? END_SILENT_MS : END_MS))
        return; /* its threads may use `self` until the process ends */
    cm_source_kafka_parts_free(&self->parts);
    cm_event_json_free(self->json);
    cm_event_map_free(self->map);
    cm_kafka_registry_close(self->registry);
    cm_buf_free(&self->texts);
    cm_buf_free(&self->scratch);
    free(self->held);
    free(self);
}

/* ---- open ---- */

/* Where a partition without a position is begun: the user's auto.offset.reset. */
static bool begins_at_end(rd_kafka_conf_t *conf)
{
    rd_kafka_topic_conf_t *topic = rd_kafka_conf_get_default_topic_conf(conf);
    char value[32] = "";
    size_t size = sizeof value;

    return topic != NULL &&
           rd_kafka_topic_conf_get(topic, "auto.offset.reset", value, &size) == RD_KAFKA_CONF_OK &&
           (strcmp(value, "largest") == 0 || strcmp(value, "latest") == 0 ||
            strcmp(value, "end") == 0);
}

/* Memory: at most 16 MiB of messages are fetched ahead. */
static int start(kafka_source_t *self, cm_err_t *err)
{
    const cm_kafka_settings_t *settings = self->options.settings;
    const cm_kafka_property_t house[] = {
        {"group.id", settings->group},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "earliest"},
        {"session.timeout.ms", "10000"},
        {"enable.partition.eof", "true"},
        {"queued.max.messages.kbytes", "16384"},
        {"queued.min.messages", "100000"},
        {"fetch.message.max.bytes", "524288"},
        {"fetch.max.bytes", "4194304"},
        {"fetch.wait.max.ms", "100"},
        {"fetch.error.backoff.ms", "100"},
        /* New partitions are found within this time. Producers keep the default: a broker that has
           just started knows of no topic, which could make them drop messages. */
        {"topic.metadata.refresh.interval.ms", "5000"},
        {NULL, NULL},
    };
    rd_kafka_conf_t *conf;
    char why[200];

    int rc = cm_kafka_conf(settings, house, &conf, err);
    if (rc < 0)
        return rc;
    rd_kafka_conf_set_rebalance_cb(conf, cm_source_kafka_on_rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf, cm_source_kafka_on_commit);
    self->at_end = begins_at_end(conf);
    /* When there is no message at an offset, this source finds where to go on, and logs it. */
    if (rd_kafka_conf_set(conf, "auto.offset.reset", "error", why, sizeof why) !=
        RD_KAFKA_CONF_OK) {
        rd_kafka_conf_destroy(conf);
        return cm_fail(err, CM_EINTERNAL, "kafka: %s", why);
    }
    return cm_kafka_start(&self->client, RD_KAFKA_CONSUMER, conf, settings, self, err);
}

static int subscribe(kafka_source_t *self, cm_err_t *err)
{
    const char *topic = self->client.settings->topic;
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);

    rd_kafka_poll_set_consumer(self->client.rk);
    self->queue = rd_kafka_queue_get_consumer(self->client.rk);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t code = rd_kafka_subscribe(self->client.rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return code == 0 ? 0 : cm_fail(err, CM_EUSAGE, "topic %s: %s", topic, rd_kafka_err2str(code));
}

int cm_source_kafka_open(const cm_source_kafka_options_t *options, cm_source_t **source,
                         cm_err_t *err)
{
    static const cm_source_ops_t ops = {kafka_next, NULL, kafka_close, kafka_acknowledge};
    const cm_kafka_settings_t *settings = options->settings;
    kafka_source_t *self = cm_alloc_zero(1, sizeof *self);

    self->source.ops = &ops;
    self->options = *options;
    self->left = options->count;
    self->want = FIRST_MESSAGES;
    self->lookup_ms = CM_SOURCE_KAFKA_LOOKUP_MS;
    self->average = BATCH_BYTES / FIRST_MESSAGES;
    self->json = cm_event_json_new();
    if (self->json != NULL) {
        cm_event_json_set_fill(self->json, options->fill, options->fill_context);
        cm_event_json_set_timestamps(self->json, &options->times);
    }
    int rc = self->json != NULL ? 0 : cm_fail_memory(err);
    if (rc == 0 && settings->map != NULL)
        rc = cm_event_map_new(settings->map, &self->map, err);
    if (rc == 0)
        cm_event_json_set_map(self->json, self->map);
    if (rc == 0 && settings->registry != NULL)
        rc = cm_kafka_registry_open(settings, &self->registry, err);
    if (rc == 0)
        rc = start(self, err);
    if (rc == 0)
        rc =
            cm_kafka_ensure_topic(&self->client, settings->topic, settings->partitions, false, err);
    if (rc == 0)
        rc = subscribe(self, err);
    if (rc < 0)
        kafka_close(&self->source);
    else
        *source = &self->source;
    return rc;
}
