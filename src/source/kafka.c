#include "source/kafka.h"

#include "base/clock.h"
#include "event/json.h"
#include "source/kafka_parts.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    POLL_MS = 100,                     /* next() waits that long for a full batch */
    BATCH_BYTES = 4 * 1024 * 1024,     /* of messages, about, where they are large */
    FIRST_MESSAGES = 64,               /* before their size is known */
    ASK_AGAIN_NS = 2000 * 1000 * 1000, /* between looks whether a broker is back */
    LEAVE_MS = 5000,
    ASK_MS = 200,
    ASK_OTHERS_NS = 500 * 1000 * 1000,
    ASK_OTHERS_MS = 2000,
    LOOKUP_MS = 5000,             /* for a partition's ends, when it is assigned */
    WAKE_BYTES = 8 * 1024 * 1024, /* of messages fetched ahead, below which fetching shall go on */
    WAKE_NS = 10 * 1000 * 1000,
    WAKE_MS = 100,
};

typedef struct kafka_source {
    cm_source_t source; /* first */
    cm_kafka_client_t client;
    cm_kafka_source_options_t options;
    rd_kafka_queue_t *queue;
    rd_kafka_message_t *messages[CM_BATCH_EVENTS];
    rd_kafka_message_t **held; /* taken by keep_alive(), not yet handed out */
    size_t held_count;
    size_t want;    /* messages to ask for */
    size_t average; /* bytes of a message of late */
    cm_json_t *json;
    cm_buf_t texts; /* the messages of the last batch, one behind the other */
    cm_parts_t parts;
    uint64_t batches;
    int64_t left;      /* of options.count */
    int64_t asked_ns;  /* when a broker was last looked for */
    int64_t woken_ns;  /* when fetching was last set going */
    int64_t others_ns; /* when it was last asked how far the rest of the group is */
    bool at_end;       /* auto.offset.reset: where to begin without a position */
    bool joined, paused, closing;
    rd_kafka_topic_partition_list_t *pending; /* a rebalance to be done by the next next() */
    bool pending_assign;
} kafka_source_t;

/* ---- rebalances ---- */

static void give_back(kafka_source_t *self, const rd_kafka_topic_partition_list_t *list)
{
    if (strcmp(rd_kafka_rebalance_protocol(self->client.rk), "COOPERATIVE") == 0) {
        rd_kafka_error_t *error = rd_kafka_incremental_unassign(self->client.rk, list);
        if (error != NULL)
            rd_kafka_error_destroy(error);
    } else {
        rd_kafka_assign(self->client.rk, NULL);
    }
}

/* Notes what is to be done: librdkafka waits until the partitions are assigned or given back, and
 * messages of theirs that are still on their way to us stay valid until then. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                         rd_kafka_topic_partition_list_t *list, void *opaque)
{
    kafka_source_t *self = ((cm_kafka_client_t *)opaque)->owner;

    if (self->closing) { /* all is acknowledged or given up */
        give_back(self, list);
        return;
    }
    if (code != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS &&
        code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        rd_kafka_assign(rk, NULL);
        return;
    }
    if (self->pending != NULL)
        rd_kafka_topic_partition_list_destroy(self->pending);
    self->pending = rd_kafka_topic_partition_list_copy(list);
    self->pending_assign = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
}

/* The offset to begin with, for librdkafka. `committed` is the group's, negative when it has none.
 */
static int find_start(kafka_source_t *self, const cm_part_t *part, int64_t committed,
                      int64_t *start, cm_err_t *err)
{
    const cm_kafka_owner_t *owner = &self->options.owner;
    int64_t stored = 0;

    if (owner->position != NULL) {
        int rc = owner->position(owner->context, part->name, &stored, err);
        if (rc < 0)
            return rc;
    }
    *start = stored > committed ? stored : committed;
    if (*start < 0 || (*start == 0 && committed < 0))
        *start = self->at_end ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING;
    return 0;
}

/* Compares the start with what the partition has. A position behind its end is that of another
 * topic; messages before its beginning are gone, which must not go unsaid. */
static int check_start(kafka_source_t *self, cm_part_t *part, int64_t *start, cm_err_t *err)
{
    const cm_kafka_settings_t *settings = self->client.settings;
    int64_t low, high;

    if (rd_kafka_query_watermark_offsets(self->client.rk, settings->topic, part->partition, &low,
                                         &high, LOOKUP_MS) != 0)
        return 0; /* not now: then what is fetched says where it is */
    part->end = high;
    if (*start > high)
        return cm_fail(err, CM_EINPUT,
                       "%s[%d] at %s ends at offset %lld, but %lld is where group %s had come to: "
                       "was the topic made anew? Choose another --group to read it from its "
                       "beginning",
                       settings->topic, (int)part->partition, settings->brokers, (long long)high,
                       (long long)*start, settings->group);
    if (*start >= 0 && *start < low) {
        cm_log(settings->log, CM_LOG_ERROR, "messages are gone before they were read",
               "partition=%s from=%lld to=%lld hint=\"the topic keeps messages too short a time\"",
               part->name, (long long)*start, (long long)low - 1);
        *start = low;
    }
    part->next = *start >= 0 ? *start : *start == RD_KAFKA_OFFSET_END ? high : low;
    part->ended = part->next >= high;
    return 0;
}

/* The offsets that the group has committed into the list; -1 and below where there is none. */
static int get_committed(kafka_source_t *self, rd_kafka_topic_partition_list_t *list, cm_err_t *err)
{
    if (self->options.owner.position != NULL && !self->options.or_group)
        return 0;
    rd_kafka_resp_err_t code =
        rd_kafka_committed(self->client.rk, list, (int)self->client.settings->timeout_ms);
    return code == 0 ? 0
                     : cm_kafka_fail(&self->client, code, "asking for the group's offsets", err);
}

static int take_partitions(kafka_source_t *self, rd_kafka_topic_partition_list_t *list,
                           cm_err_t *err)
{
    int rc = get_committed(self, list, err);

    for (int i = 0; i < list->cnt && rc == 0; i++) {
        rd_kafka_topic_partition_t *one = &list->elems[i];
        cm_part_t *part = cm_parts_add(&self->parts, self->client.settings, one->partition);
        rc = find_start(self, part, one->offset, &one->offset, err);
        if (rc == 0)
            rc = check_start(self, part, &one->offset, err);
    }
    if (rc < 0)
        return rc;
    if (strcmp(rd_kafka_rebalance_protocol(self->client.rk), "COOPERATIVE") == 0) {
        rd_kafka_error_t *error = rd_kafka_incremental_assign(self->client.rk, list);
        if (error != NULL) {
            rc = cm_fail(err, CM_EINTERNAL, "taking partitions: %s", rd_kafka_error_string(error));
            rd_kafka_error_destroy(error);
        }
    } else if (rd_kafka_assign(self->client.rk, list) != 0) {
        rc = cm_fail(err, CM_EINTERNAL, "taking partitions: %s",
                     rd_kafka_err2str(rd_kafka_last_error()));
    }
    self->joined = true;
    return rc;
}

static void drop_held(kafka_source_t *self)
{
    for (size_t i = 0; i < self->held_count; i++)
        rd_kafka_message_destroy(self->held[i]);
    self->held_count = 0;
}

static int drop_partitions(kafka_source_t *self, const rd_kafka_topic_partition_list_t *list,
                           cm_err_t *err)
{
    const cm_kafka_owner_t *owner = &self->options.owner;

    int rc = owner->drain != NULL ? owner->drain(owner->context, err) : 0;
    if (rc < 0)
        return rc;
    cm_parts_commit(&self->parts, &self->client, false);
    give_back(self, list);
    drop_held(self);
    for (int i = 0; i < list->cnt; i++)
        cm_parts_remove(&self->parts, list->elems[i].partition);
    return 0;
}

static int rebalance(kafka_source_t *self, cm_err_t *err)
{
    rd_kafka_topic_partition_list_t *list = self->pending;

    if (list == NULL)
        return 0;
    self->pending = NULL;
    int rc =
        self->pending_assign ? take_partitions(self, list, err) : drop_partitions(self, list, err);
    cm_log(self->client.settings->log, CM_LOG_INFO, "rebalance", "%s=%d topic=%s",
           self->pending_assign ? "taken" : "given", list->cnt, self->client.settings->topic);
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

/* ---- messages ---- */

static void reject(cm_batch_t *batch, const rd_kafka_message_t *message, cm_str_t text,
                   const char *topic, const char *why)
{
    char origin[300];

    snprintf(origin, sizeof origin, "%s[%d]@%lld", topic, (int)message->partition,
             (long long)message->offset);
    cm_batch_reject(batch, text, why, origin);
    cm_dead_t *dead = &batch->dead[batch->dead_count - 1];
    if (message->payload == NULL) /* a tombstone; not the same as a message of no bytes */
        dead->payload.data = NULL;
    dead->key = (cm_str_t){NULL, 0};
    if (message->key != NULL)
        dead->key = cm_arena_copy(&batch->arena, (cm_str_t){message->key, message->key_len});
}

/* `text` is the message's copy, with padding behind. */
static void take_message(kafka_source_t *self, const rd_kafka_message_t *message, cm_str_t text,
                         cm_batch_t *batch)
{
    cm_part_t *part = cm_parts_find(&self->parts, message->partition);
    cm_err_t why;

    /* From before a rebalance or a seek: whoever has the partition reads it. */
    if (part == NULL || message->offset < part->next)
        return;
    part->next = message->offset + 1;
    part->ended = self->options.until_end && part->end >= 0 && part->next >= part->end;
    cm_parts_touch(&self->parts, part);
    if (text.len == 0)
        reject(batch, message, text, self->client.settings->topic, "the message is empty");
    else if (cm_json_parse_event(self->json, text, &batch->arena, cm_batch_slot(batch),
                                 &batch->account.unknown_fields, &why) == 0)
        cm_batch_accept(batch);
    else
        reject(batch, message, text, self->client.settings->topic, why.text);
    if (self->options.count > 0)
        self->left--;
}

/* What came in a message's place. Most errors pass by themselves. */
static int take_error(kafka_source_t *self, const rd_kafka_message_t *message, cm_err_t *err)
{
    cm_kafka_client_t *client = &self->client;
    const char *text = rd_kafka_message_errstr(message);
    cm_part_t *part;

    switch (message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        part = cm_parts_find(&self->parts, message->partition);
        if (part != NULL) {
            part->ended = true; /* what is before it is handed out, or no message */
            if (message->offset > part->next && part->next >= 0)
                cm_parts_touch(&self->parts, part); /* so that the group learns of it */
            part->next = message->offset > part->next ? message->offset : part->next;
        }
        cm_kafka_answered(client);
        return 0;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
        return cm_kafka_fail(client, message->err, "reading the topic", err);
    case RD_KAFKA_RESP_ERR__FATAL:
        return cm_fail(err, CM_EINTERNAL, "the consumer of topic %s has given up: %s",
                       client->settings->topic, text);
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
        return cm_fail(err, CM_EINPUT,
                       "%s[%d] has no message at the offset to go on from (%s); choose another "
                       "--group to begin anew",
                       client->settings->topic, (int)message->partition, text);
    default:
        cm_log(client->settings->log, CM_LOG_WARN, "the topic cannot be read at the moment",
               "topic=%s reason=\"%s\"", client->settings->topic, text);
        return 0;
    }
}

/* Room for all the messages' bytes at once, so that the events' texts stay where they are. */
static void copy_texts(kafka_source_t *self, rd_kafka_message_t **messages, size_t count)
{
    size_t size = CM_JSON_PADDING;

    for (size_t i = 0; i < count; i++)
        size += messages[i]->err == 0 ? messages[i]->len : 0;
    cm_buf_clear(&self->texts);
    cm_buf_reserve(&self->texts, size);
    for (size_t i = 0; i < count; i++) {
        if (messages[i]->err == 0 && messages[i]->len > 0)
            memcpy(self->texts.data + self->texts.len, messages[i]->payload, messages[i]->len);
        self->texts.len += messages[i]->err == 0 ? messages[i]->len : 0;
    }
    memset(self->texts.data + self->texts.len, 0, CM_JSON_PADDING);
    /* As many as fill a batch by number or by size next time. */
    if (self->texts.len > 0)
        self->average = self->texts.len / count + 1;
    self->want = BATCH_BYTES / self->average;
    self->want = self->want < 1 ? 1 : self->want > CM_BATCH_EVENTS ? CM_BATCH_EVENTS : self->want;
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
            take_message(self, message, (cm_str_t){at, message->len}, batch);
        else if (rc == 0)
            rc = take_error(self, message, err);
        at += message->err == 0 ? message->len : 0;
        rd_kafka_message_destroy(messages[i]);
    }
    self->batches++;
    cm_parts_mark(&self->parts, self->batches, batch);
    return rc;
}

/* ---- the source ---- */

/* librdkafka stops fetching when its queue is full, and before 2.2 it looks no more than once a
 * second whether it is full still: unless something else is to be sent to the broker. So when what
 * was fetched ahead runs low, the partitions' ends are asked for. */
static void keep_fetching(kafka_source_t *self)
{
    int64_t now = cm_clock_ticks_ns();
    size_t ahead = rd_kafka_queue_length(self->queue);

    if (ahead * self->average > WAKE_BYTES || now - self->woken_ns < WAKE_NS ||
        !cm_parts_behind(&self->parts, &self->client, ahead))
        return;
    rd_kafka_topic_partition_list_t *list = cm_parts_list(&self->parts, self->client.settings);
    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = RD_KAFKA_OFFSET_END;
    rd_kafka_offsets_for_times(self->client.rk, list, WAKE_MS);
    rd_kafka_topic_partition_list_destroy(list);
    self->woken_ns = cm_clock_ticks_ns();
}

/* Asks whether somebody answers: a quiet topic would not tell, and librdkafka says that all brokers
 * are down only when it has been connected to every one of them. */
static void look_for_broker(kafka_source_t *self)
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

/* Ours are read; but another consumer that died in the middle of its own leaves them to us only
 * when its session is over. So the group as a whole must have come to the end. */
static bool others_ended(kafka_source_t *self)
{
    int64_t now = cm_clock_ticks_ns();

    if (now - self->others_ns < ASK_OTHERS_NS)
        return false;
    bool ended = cm_parts_others_ended(&self->parts, &self->client, ASK_OTHERS_MS);
    self->others_ns = cm_clock_ticks_ns();
    return ended;
}

static bool is_over(kafka_source_t *self)
{
    if (self->options.count > 0 && self->left <= 0)
        return true;
    return self->options.until_end && self->joined && self->pending == NULL &&
           cm_parts_ended(&self->parts) && others_ended(self);
}

static void resume(kafka_source_t *self)
{
    if (!self->paused)
        return;
    self->paused = false;
    rd_kafka_topic_partition_list_t *list = cm_parts_list(&self->parts, self->client.settings);
    rd_kafka_resume_partitions(self->client.rk, list);
    rd_kafka_topic_partition_list_destroy(list);
}

static int kafka_next(cm_source_t *source, cm_batch_t *batch, cm_err_t *err)
{
    kafka_source_t *self = (kafka_source_t *)source;
    size_t want = self->want;

    resume(self);
    int rc = rebalance(self, err);
    if (rc < 0)
        return rc;
    if (self->held_count > 0) {
        size_t count = self->held_count;
        self->held_count = 0;
        rc = take_messages(self, self->held, count, batch, err);
        return rc < 0 ? rc : 1;
    }
    if (is_over(self)) {
        self->batches++; /* an empty one */
        return 0;
    }
    if (self->options.count > 0 && (int64_t)want > self->left)
        want = (size_t)self->left;
    ssize_t got = rd_kafka_consume_batch_queue(self->queue, POLL_MS, self->messages, want);
    if (got > 0 && (self->client.all_down || self->client.lost))
        cm_kafka_answered(&self->client);
    rc = take_messages(self, self->messages, got > 0 ? (size_t)got : 0, batch, err);
    if (rc < 0)
        return rc;
    look_for_broker(self);
    keep_fetching(self);
    return is_over(self) ? 0 : 1;
}

static int kafka_acknowledge(cm_source_t *source, uint64_t batches, cm_err_t *err)
{
    kafka_source_t *self = (kafka_source_t *)source;

    (void)err;
    cm_parts_acknowledge(&self->parts, batches);
    cm_parts_commit(&self->parts, &self->client, true);
    return 0;
}

void cm_kafka_source_keep_alive(cm_source_t *source)
{
    kafka_source_t *self = (kafka_source_t *)source;

    if (!self->paused) {
        rd_kafka_topic_partition_list_t *list = cm_parts_list(&self->parts, self->client.settings);
        rd_kafka_pause_partitions(self->client.rk, list);
        rd_kafka_topic_partition_list_destroy(list);
        self->paused = true;
    }
    rd_kafka_message_t *message = rd_kafka_consumer_poll(self->client.rk, 0);
    if (message == NULL)
        return;
    self->held = cm_realloc(self->held, (self->held_count + 1) * sizeof *self->held);
    self->held[self->held_count++] = message;
}

const char *cm_kafka_source_trouble(const cm_source_t *source)
{
    const cm_kafka_client_t *client = &((const kafka_source_t *)source)->client;
    return client->all_down ? client->reason : NULL;
}

size_t cm_kafka_source_lags(const cm_source_t *source, cm_kafka_lag_t *lags, size_t max)
{
    const kafka_source_t *self = (const kafka_source_t *)source;
    size_t count = 0;

    for (size_t i = 0; i < self->parts.count; i++) {
        const cm_part_t *part = &self->parts.parts[i];
        if (!part->ours)
            continue;
        if (count < max)
            lags[count] =
                (cm_kafka_lag_t){part->partition, part->next, cm_part_end(part, &self->client)};
        count++;
    }
    return count;
}

/* Leaves the group, so that others have the partitions at once; not for longer than a broker that
 * is away may keep us. */
static void leave_group(kafka_source_t *self)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(self->client.rk);
    const int64_t started = cm_clock_ticks_ns();

    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(self->client.rk, queue);
    if (error != NULL)
        rd_kafka_error_destroy(error);
    while (!rd_kafka_consumer_closed(self->client.rk) &&
           cm_clock_ticks_ns() - started < LEAVE_MS * INT64_C(1000000)) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, POLL_MS);
        if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_REBALANCE)
            give_back(self, rd_kafka_event_topic_partition_list(event));
        rd_kafka_event_destroy(event); /* NULL is no event */
    }
    rd_kafka_queue_destroy(queue);
    if (rd_kafka_consumer_closed(self->client.rk))
        return;
    rd_kafka_destroy_flags(self->client.rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    self->client.rk = NULL;
}

static void kafka_close(cm_source_t *source)
{
    kafka_source_t *self = (kafka_source_t *)source;

    self->closing = true;
    if (self->pending != NULL) { /* librdkafka waits for an answer */
        give_back(self, self->pending);
        rd_kafka_topic_partition_list_destroy(self->pending);
    }
    drop_held(self);
    if (self->client.rk != NULL && self->queue != NULL) {
        if (!self->client.all_down) /* else it would wait long, and in vain */
            cm_parts_commit(&self->parts, &self->client, false);
        rd_kafka_queue_destroy(self->queue);
        leave_group(self);
    }
    cm_kafka_end(&self->client);
    cm_parts_free(&self->parts);
    cm_json_free(self->json);
    cm_buf_free(&self->texts);
    free(self->held);
    free(self);
}

/* ---- open ---- */

/* Where a partition without a position is begun. */
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

/* Memory: 16 MiB of messages at most are fetched ahead. */
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
        {NULL, NULL},
    };
    rd_kafka_conf_t *conf;

    int rc = cm_kafka_conf(settings, house, &conf, err);
    if (rc < 0)
        return rc;
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    self->at_end = begins_at_end(conf);
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

int cm_kafka_source_open(const cm_kafka_source_options_t *options, cm_source_t **source,
                         cm_err_t *err)
{
    static const cm_source_ops_t ops = {kafka_next, NULL, kafka_close, kafka_acknowledge};
    const cm_kafka_settings_t *settings = options->settings;
    kafka_source_t *self = cm_alloc_zero(1, sizeof *self);

    self->source.ops = &ops;
    self->options = *options;
    self->left = options->count;
    self->want = FIRST_MESSAGES;
    self->average = BATCH_BYTES / FIRST_MESSAGES;
    self->json = cm_json_new();
    int rc = self->json != NULL ? start(self, err) : cm_fail_memory(err);
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
