/* Events that brokers refuse.
 *
 * A broker refuses a batch as a whole: because of one event in it, or because the batch is larger
 * than the topic's max.message.bytes although each of its events is not. Refused events are sent
 * again in groups: half as many after a group that was refused, twice as many after a group that
 * was accepted. Only an event that is refused in a batch of its own is refused permanently. */
#include "sink/kafka/internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FULL_MS = 2, /* between tries while the queue is full */
    MANY = 10000,
    MANY_BYTES = 16 << 20,
};

const char cm_sink_kafka_alone_mark = 0;

/* Errors that are about the event itself, so that sending it again does not help. All others pass
 * by themselves, or are about permissions, topic, cluster or clock, which an administrator
 * corrects: events wait for that, or fail. (Not INVALID_TIMESTAMP: a message is dated when it is
 * sent. Not CORRUPT_MESSAGE: Kafka's protocol calls it retriable.) */
static bool is_permanent(rd_kafka_resp_err_t code)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:    /* above max.message.bytes, or above librdkafka's
                                                     limit */
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE: /* above the size of a segment of the topic */
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:        /* a check in the broker has failed */
        return true;
    default:
        return false;
    }
}

/* ---- lists ---- */

static size_t count_of(const cm_sink_refusals_t *list)
{
    return list->end - list->first;
}

static void append(cm_sink_refusals_t *list, cm_sink_refusal_t one)
{
    if (list->end == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 64;
        list->all = cm_realloc(list->all, list->cap * sizeof *list->all);
    }
    list->all[list->end++] = one;
    list->bytes += one.key_len + one.value_len;
}

/* Takes the first out; the caller frees its key. */
static cm_sink_refusal_t take_first(cm_sink_refusals_t *list)
{
    assert(list->first < list->end);
    const cm_sink_refusal_t one = list->all[list->first++];

    list->bytes -= one.key_len + one.value_len;
    return one;
}

static void clear(cm_sink_refusals_t *list)
{
    while (count_of(list) > 0)
        free(take_first(list).key);
    free(list->all);
    *list = (cm_sink_refusals_t){.all = NULL};
}

/* Moves the events of `front` before all others; `front` is empty then. */
static void prepend(cm_sink_refusals_t *list, cm_sink_refusals_t *front)
{
    cm_sink_refusals_t both = *front;

    while (count_of(list) > 0)
        append(&both, take_first(list));
    free(list->all);
    *list = both;
    *front = (cm_sink_refusals_t){.all = NULL};
}

/* ---- what becomes of them ---- */

bool cm_sink_kafka_refused(cm_sink_kafka_t *self, cm_str_t key, cm_str_t value,
                           rd_kafka_resp_err_t code, bool alone)
{
    cm_sink_refusal_t one = {.key_len = key.len, .value_len = value.len, .code = code};

    if (self->options.refused == NULL || !is_permanent(code))
        return false;
    one.key = cm_alloc(key.len + value.len + 1);
    one.value = one.key + key.len;
    memcpy(one.key, key.data, key.len);
    memcpy(one.value, value.data, value.len);
    append(alone ? &self->alone : &self->back, one);
    return true;
}

/* Sends the first event again; returns the waiter's result. */
static int send_first(cm_sink_kafka_t *self, void *opaque)
{
    const cm_sink_refusal_t one = self->again.all[self->again.first];

    while (rd_kafka_produce(self->topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, one.value,
                            one.value_len, one.key, one.key_len, opaque) < 0) {
        const rd_kafka_resp_err_t code = rd_kafka_last_error();
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            cm_sink_kafka_note_failure(self, false, code);
            break;
        }
        int rc = cm_sink_kafka_wait(self, FULL_MS);
        if (rc < 0)
            return rc;
    }
    free(take_first(&self->again).key);
    return 0;
}

/* Chooses the size of the next group by the result of the last one. */
static void choose_group(cm_sink_kafka_t *self)
{
    const size_t back = count_of(&self->back);

    if (back > 0) {
        const size_t last = self->group > 0 && self->group < back ? self->group : back;
        self->group = last > 1 ? last / 2 : 1;
        prepend(&self->again, &self->back);
    } else if (self->grows) {
        self->group *= 2;
    }
    self->grows = false;
}

/* Sends the refused events until each one is acknowledged, or refused in a batch of its own. */
static int try_again(cm_sink_kafka_t *self)
{
    for (;;) {
        const uint64_t failed = self->failed;
        int rc = cm_sink_kafka_flush(self);
        if (rc < 0)
            return rc;
        choose_group(self);
        if (count_of(&self->again) == 0 || failed < self->failed)
            return 0;
        const size_t dead = count_of(&self->alone);
        void *mark = self->group == 1 ? (void *)&cm_sink_kafka_alone_mark : NULL;
        for (size_t i = 0; i < self->group && count_of(&self->again) > 0; i++) {
            if ((rc = send_first(self, mark)) < 0)
                return rc;
        }
        if ((rc = cm_sink_kafka_flush(self)) < 0)
            return rc;
        self->grows = count_of(&self->back) == 0 && count_of(&self->alone) == dead;
    }
}

static void add_letter(const cm_sink_kafka_t *self, cm_batch_t *letters,
                       const cm_sink_refusal_t *one)
{
    const char *topic = self->client.settings->topic;
    char reason[400];

    snprintf(
        reason, sizeof reason, "Kafka refuses it for topic %s (%zu bytes): %s%s", topic,
        one->key_len + one->value_len, rd_kafka_err2str(one->code),
        one->code == RD_KAFKA_RESP_ERR_INVALID_RECORD
            ? ""
            : "; raise max.message.bytes of the topic, above 1 MB also message.max.bytes below "
              "kafka.properties");
    cm_batch_reject(letters, (cm_str_t){one->value, one->value_len}, reason, topic);
}

int cm_sink_kafka_refused_settle(cm_sink_kafka_t *self, cm_err_t *err)
{
    cm_batch_t letters = CM_BATCH_INIT;

    int rc = try_again(self);
    if (rc < 0)
        return cm_fail(err, rc, "stopped while events that Kafka refused were sent again");
    if (self->failed > 0 || count_of(&self->alone) == 0)
        return 0;
    for (size_t i = self->alone.first; i < self->alone.end; i++)
        add_letter(self, &letters, &self->alone.all[i]);
    rc = self->options.refused(self->options.refused_context, &letters, err);
    cm_batch_free(&letters);
    if (rc < 0)
        return rc;
    self->refused += count_of(&self->alone);
    clear(&self->alone);
    return 0;
}

bool cm_sink_kafka_refused_many(const cm_sink_kafka_t *self)
{
    return !self->options.refused_at_commit &&
           (cm_sink_kafka_refused_open(self) > MANY ||
            self->back.bytes + self->again.bytes + self->alone.bytes > MANY_BYTES);
}

uint64_t cm_sink_kafka_refused_open(const cm_sink_kafka_t *self)
{
    return count_of(&self->back) + count_of(&self->again) + count_of(&self->alone);
}

void cm_sink_kafka_refused_free(cm_sink_kafka_t *self)
{
    clear(&self->back);
    clear(&self->again);
    clear(&self->alone);
}
