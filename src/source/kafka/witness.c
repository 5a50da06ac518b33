/* Whether partitions are still those that were read. When a topic was created again and is already
 * longer than the part of the old one that was read, librdkafka continues in it without an error;
 * then the newest message proves nothing, because it is one of the new topic. So each partition has
 * a witness: a message that was verified to be in the same log as everything before it. Every few
 * seconds the last message taken is remembered, and THEN the witness is fetched again: when it is
 * still there, both messages are in one log, and the remembered message becomes the next witness.
 * Only the witness is kept with the positions. A separate consumer fetches it, which is in no group
 * and commits nothing. */
#include "base/clock.h"
#include "kafka/ranges.h"
#include "kafka/request.h"
#include "source/kafka/internal.h"

#include <stdlib.h>

enum {
    ROUND_MS = 2000, /* limit of a round; witnesses that did not come are left for the next one */
    RANGE_MS = 500,
    POLL_MS = 20,
    WAKE_MS = 100,
    POLL_MESSAGES = 1000, /* at most, in one call of next() */
    END_MS = 1000,
};

#define EVERY_NS (INT64_C(5000) * 1000 * 1000)

typedef cm_source_kafka_t self_t;

struct cm_source_kafka_witness {
    cm_kafka_client_t client;
    bool running; /* a round is in progress */
    int64_t begun_ns;
};

/* ---- its consumer ---- */

/* Limits that keep answers small: the broker still sends one whole batch of messages, of any size.
 */
static int start(cm_source_kafka_witness_t *witness, const cm_kafka_settings_t *settings,
                 cm_err_t *err)
{
    const cm_kafka_property_t house[] = {
        {"group.id", settings->group},       {"fetch.wait.max.ms", "100"},
        {"fetch.error.backoff.ms", "100"},   {"fetch.message.max.bytes", "65536"},
        {"fetch.max.bytes", "4194304"},      {"queued.min.messages", "1"},
        {"queued.max.messages.kbytes", "1"}, {NULL, NULL}};
    /* These replace the user's properties, which are meant for the consumer in the group. */
    static const cm_kafka_property_t fixed[] = {{"enable.auto.commit", "false"},
                                                {"enable.auto.offset.store", "false"},
                                                {"enable.partition.eof", "true"},
                                                {"auto.offset.reset", "error"}};
    rd_kafka_conf_t *conf;
    char why[200];

    int rc = cm_kafka_conf(settings, house, &conf, err);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        if (rd_kafka_conf_set(conf, fixed[i].name, fixed[i].value, why, sizeof why) == 0)
            continue;
        rd_kafka_conf_destroy(conf);
        return cm_fail(err, CM_EINTERNAL, "kafka: %s", why);
    }
    rc = cm_kafka_start(&witness->client, RD_KAFKA_CONSUMER, conf, settings, witness, err);
    if (rc == 0)
        rd_kafka_poll_set_consumer(witness->client.rk);
    return rc;
}

static bool is_open(self_t *self)
{
    cm_err_t why;

    if (self->witness != NULL)
        return true;
    self->witness = cm_alloc_zero(1, sizeof *self->witness);
    if (start(self->witness, self->client.settings, &why) == 0)
        return true;
    cm_log(self->client.settings->log, CM_LOG_WARN,
           "whether a topic was created again is not checked", "topic=%s reason=\"%s\"",
           self->client.settings->topic, why.text);
    free(self->witness);
    self->witness = NULL;
    return false;
}

void cm_source_kafka_close_witness(self_t *self)
{
    if (self->witness != NULL && cm_kafka_end_within(&self->witness->client, END_MS))
        free(self->witness); /* else its threads may use it until the process ends */
    self->witness = NULL;
}

/* ---- a round ---- */

static bool is_due(const cm_source_kafka_part_t *part)
{
    return part->ours && !part->stale && !part->recreated && !part->proving && part->next >= 0 &&
           part->witness.last >= 0 && (part->unsure || part->proof.last > part->witness.last);
}

static void end_round(self_t *self)
{
    self->witness->running = false;
    for (size_t i = 0; i < self->parts.count; i++)
        self->parts.parts[i].checking = false;
    rd_kafka_assign(self->witness->client.rk, NULL);
}

/* False when there is nothing to check, or no consumer to check it with. */
static bool begin_round(self_t *self)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);

    for (size_t i = 0; i < self->parts.count; i++) {
        cm_source_kafka_part_t *part = &self->parts.parts[i];
        if (!is_due(part))
            continue;
        part->checking = true;
        part->candidate = part->proof.last > part->witness.last ? part->proof : part->witness;
        rd_kafka_topic_partition_list_add(list, self->client.settings->topic, part->partition)
            ->offset = part->witness.last;
    }
    const bool begun = list->cnt > 0 && is_open(self);
    if (begun) {
        self->witness->begun_ns = cm_clock_ticks_ns();
        self->witness->running = rd_kafka_assign(self->witness->client.rk, list) == 0;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return begun && self->witness->running;
}

/* There is no message at the witness's offset: retention has deleted it, and nothing is known; or
 * the partition is shorter. */
static cm_source_kafka_proof_verdict_t judge_range(self_t *self, const cm_source_kafka_part_t *part)
{
    cm_kafka_range_t range = {.partition = part->partition};

    cm_kafka_ranges(&self->client, self->client.settings->topic, &range, 1, RANGE_MS);
    if (range.code != 0 || (range.low <= part->witness.last && part->witness.last < range.high))
        return CM_SOURCE_KAFKA_PROOF_GO_ON;
    if (range.low > part->witness.last)
        return CM_SOURCE_KAFKA_PROOF_SAME;
    return cm_source_kafka_proof_judge_end(&part->witness, part->witness.last, part->next,
                                           range.high);
}

/* Handles a message, or what came instead of it. */
static void take_answer(self_t *self, const rd_kafka_message_t *message)
{
    cm_source_kafka_part_t *part = cm_source_kafka_parts_find(&self->parts, message->partition);
    const bool is_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF;
    const bool is_nothing = message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET;
    cm_source_kafka_proof_verdict_t verdict;

    if (part == NULL || !part->checking || (message->err != 0 && !is_end && !is_nothing) ||
        (message->err == 0 && message->offset < part->witness.last))
        return;
    part->checking = false;
    if (part->stale || part->recreated || part->proving) /* it is already known */
        return;
    if (is_nothing)
        verdict = judge_range(self, part);
    else if (is_end)
        verdict = cm_source_kafka_proof_judge_end(&part->witness, part->witness.last, part->next,
                                                  message->offset);
    else
        verdict =
            cm_source_kafka_proof_judge(&part->witness, part->witness.last, part->next, message);
    if (verdict == CM_SOURCE_KAFKA_PROOF_RECREATED) {
        cm_source_kafka_part_set_recreated(part);
        self->stale = true;
    } else if (verdict == CM_SOURCE_KAFKA_PROOF_SAME) {
        part->unsure = false;
        if (part->candidate.last > part->witness.last)
            cm_source_kafka_parts_touch(&self->parts, part); /* so that it is kept */
        part->witness = part->candidate;
    }
}

static void go_on(self_t *self, int timeout_ms)
{
    bool waiting = false;
    rd_kafka_message_t *message;

    for (int i = 0; i < POLL_MESSAGES; i++) {
        message = rd_kafka_consumer_poll(self->witness->client.rk, i == 0 ? timeout_ms : 0);
        if (message == NULL)
            break;
        take_answer(self, message);
        rd_kafka_message_destroy(message);
    }
    for (size_t i = 0; i < self->parts.count; i++)
        waiting |= self->parts.parts[i].checking;
    if (!waiting || cm_clock_ticks_ns() - self->witness->begun_ns > ROUND_MS * INT64_C(1000000))
        end_round(self);
}

/* Before version 2.2, librdkafka checks only once a second which partitions it has to fetch, unless
 * another request is sent to the broker. */
static void wake(self_t *self)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);

    for (size_t i = 0; i < self->parts.count; i++) {
        const cm_source_kafka_part_t *part = &self->parts.parts[i];
        if (part->checking)
            rd_kafka_topic_partition_list_add(list, self->client.settings->topic, part->partition);
    }
    cm_kafka_query_offsets(&self->witness->client, list, RD_KAFKA_OFFSET_END, WAKE_MS);
    rd_kafka_topic_partition_list_destroy(list);
}

/* ---- when ---- */

void cm_source_kafka_watch(self_t *self)
{
    if (self->witness != NULL && self->witness->running) {
        go_on(self, 0);
        return;
    }
    const int64_t now = cm_clock_ticks_ns();
    if (now - self->watched_ns < EVERY_NS)
        return;
    if (self->watched_ns != 0) /* the first round would have nothing to check */
        begin_round(self);
    self->watched_ns = now;
}

void cm_source_kafka_settle(self_t *self, int timeout_ms)
{
    const int64_t started = cm_clock_ticks_ns();

    while (!cm_kafka_stopped(&self->client) &&
           cm_clock_ticks_ns() - started < timeout_ms * INT64_C(1000000)) {
        if (!(self->witness != NULL && self->witness->running) && !begin_round(self))
            return;
        go_on(self, POLL_MS);
        if (self->witness->running)
            wake(self);
    }
}
