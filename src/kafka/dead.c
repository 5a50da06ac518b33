#include "kafka/dead.h"

#include "base/clock.h"
#include "kafka/ranges.h"
#include "kafka/request.h"
#include "kafka/topics.h"

#include <stdio.h>
#include <stdlib.h>

enum { POLL_MS = 100, PARTITIONS_MAX = 1000, RANGES_MS = 2000 };

/* A walk over the topic or a part of it. */
typedef struct walk {
    cm_kafka_client_t client;
    rd_kafka_topic_partition_list_t *all; /* each partition, with its first offset */
    int64_t ends[PARTITIONS_MAX];         /* the offset after the last message, by place in `all` */
    char (*replayed)[CM_KAFKA_DEAD_LETTER_ID]; /* sorted when all are known */
    size_t replayed_count, replayed_cap;
    int64_t limit, found;
    cm_kafka_dead_letter_fn take;
    void *context;
    cm_err_t *err;
} walk_t;

typedef int (*message_fn)(walk_t *walk, const rd_kafka_message_t *message);

/* ---- reading ---- */

static cm_str_t header_of(const rd_kafka_message_t *message, const char *name)
{
    rd_kafka_headers_t *headers;
    const void *value;
    size_t size;

    if (rd_kafka_message_headers(message, &headers) != 0 ||
        rd_kafka_header_get_last(headers, name, &value, &size) != 0 || value == NULL)
        return CM_STR("");
    return (cm_str_t){value, size};
}

static void name_letter(const rd_kafka_message_t *message, char id[CM_KAFKA_DEAD_LETTER_ID])
{
    snprintf(id, CM_KAFKA_DEAD_LETTER_ID, "%d@%lld", (int)message->partition,
             (long long)message->offset);
}

static size_t find_partition(const walk_t *walk, int32_t partition)
{
    size_t at = 0;
    while (at < (size_t)walk->all->cnt && walk->all->elems[at].partition != partition)
        at++;
    return at;
}

/* Handles an error that came instead of a message. Most errors pass by themselves; any other ends
 * the walk. */
static int take_error(walk_t *walk, rd_kafka_resp_err_t code, rd_kafka_resp_err_t *last)
{
    switch (code) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        return 0;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR__FATAL:
        return cm_kafka_fail(&walk->client, code, "reading the dead letters", walk->err);
    default:
        *last = code; /* the reason, if nothing else comes */
        return 0;
    }
}

/* Reads from the offsets of the list to the ends of its partitions. */
static int read_on(walk_t *walk, const rd_kafka_topic_partition_list_t *from, message_fn take)
{
    bool done[PARTITIONS_MAX] = {false};
    rd_kafka_resp_err_t last = RD_KAFKA_RESP_ERR__TIMED_OUT;
    int left = 0, rc = 0;

    for (int i = 0; i < from->cnt; i++) {
        size_t at = find_partition(walk, from->elems[i].partition);
        done[at] = from->elems[i].offset >= walk->ends[at];
        left += !done[at];
    }
    rd_kafka_assign(walk->client.rk, from);
    int64_t heard = cm_clock_ticks_ns();
    while (left > 0 && rc == 0) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(walk->client.rk, POLL_MS);
        if (cm_kafka_stopped(&walk->client))
            rc = cm_fail(walk->err, CM_ESTOP, "stopped");
        if (message == NULL || message->err != 0) {
            if (rc == 0 &&
                (cm_clock_ticks_ns() - heard) / 1000000 > walk->client.settings->timeout_ms)
                rc = cm_kafka_fail(&walk->client, last, "reading the dead letters", walk->err);
        }
        if (message == NULL)
            continue;
        if (message->err == 0 || message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
            heard = cm_clock_ticks_ns();
        size_t at = find_partition(walk, message->partition);
        if (rc == 0)
            rc = message->err == 0 ? take(walk, message) : take_error(walk, message->err, &last);
        /* The last entry may be the end of a transaction, which is no message. */
        if (at < (size_t)walk->all->cnt && !done[at] &&
            ((message->err == 0 && message->offset + 1 >= walk->ends[at]) ||
             message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)) {
            done[at] = true;
            left--;
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_assign(walk->client.rk, NULL);
    return rc;
}

/* ---- what was replayed ---- */

static int note_replayed(walk_t *walk, const rd_kafka_message_t *message)
{
    cm_str_t id = header_of(message, CM_KAFKA_REPLAYED);

    if (id.len == 0 || id.len >= CM_KAFKA_DEAD_LETTER_ID)
        return 0;
    if (walk->replayed_count == walk->replayed_cap) {
        walk->replayed_cap = walk->replayed_cap ? walk->replayed_cap * 2 : 64;
        walk->replayed = cm_realloc(walk->replayed, walk->replayed_cap * sizeof *walk->replayed);
    }
    char *copy = walk->replayed[walk->replayed_count++];
    memcpy(copy, id.data, id.len);
    copy[id.len] = '\0';
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool was_replayed(const walk_t *walk, const char *id)
{
    return walk->replayed_count > 0 && bsearch(id, walk->replayed, walk->replayed_count,
                                               sizeof *walk->replayed, compare_ids) != NULL;
}

static int hand_out(walk_t *walk, const rd_kafka_message_t *message)
{
    cm_kafka_dead_letter_t letter = {.reason = header_of(message, "reason"),
                                     .origin = header_of(message, "origin"),
                                     .time = header_of(message, "time"),
                                     .key = {message->key, message->key_len},
                                     .payload = {message->payload, message->len}};

    name_letter(message, letter.id);
    if (header_of(message, CM_KAFKA_REPLAYED).len > 0 || was_replayed(walk, letter.id) ||
        (walk->limit > 0 && walk->found == walk->limit))
        return 0;
    walk->found++;
    return walk->take(walk->context, &letter);
}

/* ---- the topic ---- */

/* Lists the partitions that the broker knows of; `blank`: it knows of no topic at all. */
static int list_partitions(walk_t *walk, bool *blank)
{
    const char *topic = walk->client.settings->dead_topic;
    const rd_kafka_metadata_t *metadata;

    int rc = cm_kafka_metadata(&walk->client, &metadata, walk->err);
    if (rc < 0)
        return rc;
    *blank = metadata->topic_cnt == 0;
    for (int t = 0; t < metadata->topic_cnt; t++) {
        const rd_kafka_metadata_topic_t *one = &metadata->topics[t];
        for (int p = 0; strcmp(one->topic, topic) == 0 && p < one->partition_cnt; p++)
            rd_kafka_topic_partition_list_add(walk->all, topic, one->partitions[p].id);
    }
    rd_kafka_metadata_destroy(metadata);
    return 0;
}

/* Finds where the partitions begin and end. A leader that does not answer is asked again until
 * settings->timeout_ms have passed. */
static int find_ends(walk_t *walk)
{
    const int64_t started = cm_clock_ticks_ns();
    const size_t count = (size_t)walk->all->cnt;
    cm_kafka_range_t *ranges = cm_alloc_zero(count, sizeof *ranges);
    rd_kafka_resp_err_t code;

    do {
        code = 0;
        for (size_t i = 0; i < count; i++)
            ranges[i].partition = walk->all->elems[i].partition;
        cm_kafka_ranges(&walk->client, walk->client.settings->dead_topic, ranges, count, RANGES_MS);
        for (size_t i = 0; i < count; i++) {
            code = code == 0 ? ranges[i].code : code;
            walk->all->elems[i].offset = ranges[i].low;
            walk->ends[i] = ranges[i].high;
        }
    } while (code != 0 && !cm_kafka_stopped(&walk->client) &&
             (cm_clock_ticks_ns() - started) / 1000000 < walk->client.settings->timeout_ms);
    free(ranges);
    if (code != 0 && cm_kafka_stopped(&walk->client))
        return cm_fail(walk->err, CM_ESTOP, "stopped");
    return code == 0
               ? 0
               : cm_kafka_fail(&walk->client, code, "looking for the dead letters", walk->err);
}

static int find_partitions(walk_t *walk)
{
    const char *topic = walk->client.settings->dead_topic;
    const int64_t started = cm_clock_ticks_ns();
    bool blank;

    int rc = list_partitions(walk, &blank);
    /* A broker that has just started knows of no topic for a moment. */
    while (rc == 0 && blank && (cm_clock_ticks_ns() - started) / 1000000 < CM_KAFKA_BLANK_MS &&
           !cm_kafka_stopped(&walk->client)) {
        cm_sleep_ms(POLL_MS);
        rc = list_partitions(walk, &blank);
    }
    if (rc < 0)
        return rc;
    if (walk->all->cnt == 0)
        return cm_fail(walk->err, CM_EINPUT,
                       "topic %s is not there at %s: there are no dead letters", topic,
                       walk->client.settings->brokers);
    if (walk->all->cnt > PARTITIONS_MAX)
        return cm_fail(walk->err, CM_EINPUT, "topic %s has more than %d partitions", topic,
                       PARTITIONS_MAX);
    return find_ends(walk);
}

static int start(walk_t *walk, const cm_kafka_settings_t *settings)
{
    const cm_kafka_property_t house[] = {{"group.id", settings->group},
                                         {"enable.auto.commit", "false"},
                                         {"enable.partition.eof", "true"},
                                         {"isolation.level", "read_committed"},
                                         {"fetch.wait.max.ms", "100"},
                                         {"queued.max.messages.kbytes", "16384"},
                                         {NULL, NULL}};
    rd_kafka_conf_t *conf;

    int rc = cm_kafka_conf(settings, house, &conf, walk->err);
    if (rc == 0)
        rc = cm_kafka_start(&walk->client, RD_KAFKA_CONSUMER, conf, settings, walk, walk->err);
    if (rc == 0)
        rc = cm_kafka_reach(&walk->client, walk->err);
    if (rc == 0)
        rd_kafka_poll_set_consumer(walk->client.rk);
    return rc;
}

/* "0@17", or "17" in the first partition. */
static int parse_id(walk_t *walk, const char *id, int32_t *partition, int64_t *offset)
{
    const char *at = strchr(id, '@');
    int64_t number = 0;

    if ((at == NULL || (cm_str_to_i64((cm_str_t){id, (size_t)(at - id)}, &number) && number >= 0 &&
                        number < INT32_MAX)) &&
        cm_str_to_i64(cm_str(at != NULL ? at + 1 : id), offset) && *offset >= 0) {
        *partition = (int32_t)number;
        return 0;
    }
    return cm_fail(walk->err, CM_EUSAGE,
                   "a dead letter in a topic is named like 0@17, not \"%.40s\"; `clickmill dead "
                   "list --from kafka` shows them",
                   id);
}

/* Reads one letter, from its partition at its offset. */
static int read_one(walk_t *walk, const char *id)
{
    rd_kafka_topic_partition_list_t *from = rd_kafka_topic_partition_list_new(1);
    int32_t partition = 0;
    int64_t offset = 0;

    int rc = parse_id(walk, id, &partition, &offset);
    size_t at = rc == 0 ? find_partition(walk, partition) : 0;
    if (rc == 0 && at < (size_t)walk->all->cnt && offset >= walk->all->elems[at].offset &&
        offset < walk->ends[at]) {
        rd_kafka_topic_partition_list_add(from, walk->all->elems[0].topic, partition)->offset =
            offset;
        walk->ends[at] = offset + 1;
        rc = read_on(walk, from, hand_out);
    }
    rd_kafka_topic_partition_list_destroy(from);
    if (rc == 0 && walk->found == 0)
        rc = cm_fail(walk->err, CM_EUSAGE,
                     "there is no dead letter %s in topic %s, or it was replayed; `clickmill dead "
                     "list --from kafka` shows which there are",
                     id, walk->client.settings->dead_topic);
    return rc;
}

int cm_kafka_dead_each(const cm_kafka_settings_t *settings, const char *id, int64_t limit,
                       cm_kafka_dead_letter_fn take, void *context, cm_err_t *err)
{
    walk_t *walk = cm_alloc_zero(1, sizeof *walk);

    walk->all = rd_kafka_topic_partition_list_new(8);
    walk->limit = id != NULL ? 1 : limit;
    walk->take = take;
    walk->context = context;
    walk->err = err;
    int rc = start(walk, settings);
    if (rc == 0)
        rc = find_partitions(walk);
    if (rc == 0)
        rc = read_on(walk, walk->all, note_replayed);
    if (walk->replayed_count > 0)
        qsort(walk->replayed, walk->replayed_count, sizeof *walk->replayed, compare_ids);
    if (rc == 0)
        rc = id != NULL ? read_one(walk, id) : read_on(walk, walk->all, hand_out);
    rd_kafka_topic_partition_list_destroy(walk->all);
    free(walk->replayed);
    if (cm_kafka_end_within(&walk->client, CM_KAFKA_END_MS)) /* it has joined no group */
        free(walk);
    return rc;
}
