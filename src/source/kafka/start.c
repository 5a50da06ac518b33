/* Where the source begins to read its partitions: the position of the store or of the group,
 * compared with the partition's range and with the message before the position. */
#include "base/clock.h"
#include "kafka/ranges.h"
#include "source/kafka/internal.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LOOKUP_MOST_MS = 2000, /* the longest look-up: a stop is not noticed meanwhile */
    LOOKUP_AGAIN_NS = 500 * 1000 * 1000,
};

typedef cm_source_kafka_t self_t;

/* ---- brokers that do not answer ---- */

/* Brokers do not answer now what must be known: 1, and it is tried again later. An error that does
 * not pass by itself is returned. */
static int try_later(self_t *self, rd_kafka_resp_err_t code, const char *doing, cm_err_t *err)
{
    int rc = cm_kafka_fail(&self->client, code, doing, err);
    if (rc != CM_EAWAY && rc != CM_EIO)
        return rc;
    if (self->trouble[0] == '\0')
        cm_log(self->client.settings->log, CM_LOG_WARN, "partitions cannot be read yet",
               "topic=%s reason=\"%s\"", self->client.settings->topic, err->text);
    snprintf(self->trouble, sizeof self->trouble, "%s", err->text);
    self->lookup_ms = self->lookup_ms * 2 < LOOKUP_MOST_MS ? self->lookup_ms * 2 : LOOKUP_MOST_MS;
    self->failed_ns = cm_clock_ticks_ns();
    return 1;
}

static bool may_query(const self_t *self)
{
    return self->trouble[0] == '\0' || cm_clock_ticks_ns() - self->failed_ns >= LOOKUP_AGAIN_NS;
}

static void clear_trouble(self_t *self)
{
    self->trouble[0] = '\0';
    self->lookup_ms = CM_SOURCE_KAFKA_LOOKUP_MS;
}

/* Where a partition without a position is begun. */
static int64_t begin_of(const self_t *self)
{
    return self->at_end ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING;
}

/* ---- what was read ---- */

/* Gets the store's position of a partition, with its proof. */
static int get_stored(self_t *self, const cm_source_kafka_part_t *part, int64_t *position,
                      cm_source_kafka_proof_t *proof, cm_err_t *err)
{
    const cm_source_kafka_owner_t *owner = &self->options.owner;
    int64_t last = 0, hash = 0;

    *position = 0;
    *proof = CM_SOURCE_KAFKA_PROOF_NONE;
    if (owner->position == NULL)
        return 0;
    int rc = owner->position(owner->context, part->name, position, err);
    if (rc == 0)
        rc = owner->position(owner->context, part->last_name, &last, err);
    if (rc == 0)
        rc = owner->position(owner->context, part->hash_name, &hash, err);
    if (rc == 0)
        *proof = (cm_source_kafka_proof_t){last - 1, (uint64_t)hash};
    return rc;
}

/* Finds where reading of the partition goes on, and with which proof. `committed` is the group's
 * offset, negative when there is none. */
static int find_start(self_t *self, cm_source_kafka_part_t *part,
                      const rd_kafka_topic_partition_t *committed, int64_t *start, cm_err_t *err)
{
    int64_t stored;

    int rc = get_stored(self, part, &stored, &part->proof, err);
    if (rc < 0)
        return rc;
    if (committed->offset > stored || (stored == 0 && committed->offset == 0))
        part->proof =
            cm_source_kafka_proof_parse((cm_str_t){committed->metadata, committed->metadata_size});
    *start = stored > committed->offset ? stored : committed->offset;
    if (*start < 0 || (*start == 0 && committed->offset < 0))
        *start = begin_of(self);
    const int64_t begin = cm_source_kafka_proof_begin(&part->proof);
    if (begin >= 0) { /* no message was taken before the position */
        part->passed = *start > 0 ? *start : 0;
        *start = begin;
    }
    if (*start <=
        part->proof.last) /* written by another version of the program: it proves nothing */
        part->proof = CM_SOURCE_KAFKA_PROOF_NONE;
    part->witness = part->proof;
    /* Messages that came after an older witness were not checked: only the witness is fetched. */
    part->unsure = part->witness.last >= 0 && part->witness.last < *start - 1;
    if (part->unsure)
        part->proof = CM_SOURCE_KAFKA_PROOF_NONE;
    part->next = *start >= 0 ? *start : -1;
    part->proving = part->proof.last >= 0;
    part->from = part->proof.last;
    return 0;
}

/* Gets the offsets that the group has committed into the list; -1 and below: none. 1: brokers do
 * not answer now. */
static int get_committed(self_t *self, rd_kafka_topic_partition_list_t *list, cm_err_t *err)
{
    if (self->options.owner.position != NULL && !self->options.or_group)
        return 0;
    rd_kafka_resp_err_t code = rd_kafka_committed(self->client.rk, list, self->lookup_ms);
    for (int i = 0; code == 0 && i < list->cnt; i++)
        code = list->elems[i].err;
    return code == 0 ? 0 : try_later(self, code, "asking for the group's offsets", err);
}

/* ---- what is there ---- */

/* The partition is not the one that was read. The events of the old one stay; the new one is read
 * from its beginning, whatever auto.offset.reset says. */
static int64_t start_recreated(self_t *self, cm_source_kafka_part_t *part,
                               const cm_kafka_range_t *range)
{
    cm_log(self->client.settings->log, CM_LOG_WARN,
           "the topic was created again, and is read from its beginning",
           "partition=%s before=%lld from=%lld to=%lld", part->name, (long long)part->next,
           (long long)range->low, (long long)range->high);
    part->proof = part->witness = CM_SOURCE_KAFKA_PROOF_NONE;
    part->passed = 0;
    part->recreated = part->proving = part->checking = part->unsure = false;
    part->end = range->high;
    return range->low;
}

/* Messages before the partition's beginning were deleted before they were read: this is logged. */
static void note_gone(self_t *self, cm_source_kafka_part_t *part, int64_t start, int64_t low)
{
    cm_log(self->client.settings->log, CM_LOG_ERROR, "messages are gone before they were read",
           "partition=%s from=%lld to=%lld hint=\"the topic keeps messages too short a time\"",
           part->name, (long long)start, (long long)low - 1);
    self->gone += (uint64_t)(low - start);
    cm_source_kafka_parts_touch(&self->parts, part); /* with the position after them */
}

/* How far the partition was read, also when reading begins earlier once more. */
static int64_t position_of(const cm_source_kafka_part_t *part, int64_t start)
{
    return part->passed > start ? part->passed : start;
}

/* The position is after the end of a partition, and there is a proof of what was read. */
static bool is_cut(const cm_source_kafka_part_t *part, int64_t start, int64_t high)
{
    return position_of(part, start) > high &&
           (part->witness.last >= 0 || cm_source_kafka_proof_begin(&part->witness) >= 0);
}

/* Compares the start with the partition's range, and moves it into the range. A position after the
 * end is that of another topic. When no broker answers, the start stays unchecked: 1 with the
 * reason, and librdkafka will report a start that is wrong. */
static int check_start(self_t *self, cm_source_kafka_part_t *part, int64_t *start,
                       const cm_kafka_range_t *range, cm_err_t *err)
{
    const cm_kafka_settings_t *settings = self->client.settings;
    bool fresh = *start < 0; /* it is not known what was read */

    if (range->code != 0)
        return try_later(self, range->code, "asking where a partition begins and ends", err);
    if (part->end < 0)
        part->end = range->high;
    if (part->recreated || is_cut(part, *start, range->high)) {
        *start = start_recreated(self, part, range);
        fresh = true;
    }
    if (*start > range->high)
        return cm_fail(err, CM_EINPUT,
                       "%s[%d] at %s ends at offset %lld, but %lld is where group %s had come to: "
                       "was the topic created again? Choose another --group to read it from its "
                       "beginning",
                       settings->topic, (int)part->partition, settings->brokers,
                       (long long)range->high, (long long)*start, settings->group);
    const int64_t position = position_of(part, *start);
    if (*start >= 0 && position < range->low)
        note_gone(self, part, position, range->low);
    if (*start < range->low)
        *start = *start == RD_KAFKA_OFFSET_END ? range->high : range->low;
    if (fresh || cm_source_kafka_proof_begin(&part->witness) >= 0)
        part->witness = cm_source_kafka_proof_bare(*start);
    part->next = *start;
    part->passed = 0;
    part->ended = part->next >= part->end;
    if (part->proving && part->from < range->low)
        part->from = range->low; /* retention has deleted the message of the proof */
    part->proving = part->proving && part->from < part->next;
    return 0;
}

/* Checks the partitions of the list, and sets the offsets to fetch from. Returns how many could not
 * be checked, or an error. */
static int check_starts(self_t *self, rd_kafka_topic_partition_list_t *list, int64_t *starts,
                        int timeout_ms, cm_err_t *err)
{
    const size_t count = (size_t)list->cnt;
    cm_kafka_range_t *ranges = cm_alloc_zero(count + 1, sizeof *ranges);
    int unchecked = 0, rc = 0;

    for (size_t i = 0; i < count; i++)
        ranges[i].partition = list->elems[i].partition;
    cm_kafka_ranges(&self->client, self->client.settings->topic, ranges, count, timeout_ms);
    for (size_t i = 0; i < count && rc >= 0; i++) {
        cm_source_kafka_part_t *part =
            cm_source_kafka_parts_find(&self->parts, list->elems[i].partition);
        rc = check_start(self, part, &starts[i], &ranges[i], err);
        unchecked += rc > 0;
        part->stale = part->stale && rc != 0;
        list->elems[i].offset = part->proving ? part->from : starts[i];
        cm_debug(self->client.settings->log, CM_DEBUG_KAFKA, "partition starts",
                 "partition=%d offset=%lld proving=%s", list->elems[i].partition,
                 (long long)list->elems[i].offset, part->proving ? "yes" : "no");
    }
    free(ranges);
    return rc < 0 ? rc : unchecked;
}

int cm_source_kafka_find_starts(self_t *self, rd_kafka_topic_partition_list_t *list, cm_err_t *err)
{
    int64_t *starts;

    if (!may_query(self))
        return 1;
    int rc = get_committed(self, list, err);
    if (rc != 0)
        return rc;
    if (cm_kafka_stopped(&self->client))
        return 1;
    starts = cm_alloc_zero((size_t)list->cnt + 1, sizeof *starts);
    for (int i = 0; i < list->cnt && rc == 0; i++) {
        cm_source_kafka_part_t *part = cm_source_kafka_parts_add(
            &self->parts, self->client.settings, list->elems[i].partition);
        rc = find_start(self, part, &list->elems[i], &starts[i], err);
    }
    if (rc == 0 && list->cnt > 0)
        rc = check_starts(self, list, starts, LOOKUP_MOST_MS, err);
    free(starts);
    if (rc < 0)
        return rc;
    clear_trouble(self); /* librdkafka will report those that stay unchecked, if they are wrong */
    cm_source_kafka_settle(self, LOOKUP_MOST_MS);
    return 0;
}

/* ---- partitions that are begun again ---- */

/* Makes librdkafka begin again with the partitions of the list; with all partitions where the
 * protocol has only whole assignments. */
static int begin_again(self_t *self, const rd_kafka_topic_partition_list_t *list, cm_err_t *err)
{
    if (cm_source_kafka_is_cooperative(self)) {
        cm_source_kafka_give_back(self, list);
        return cm_source_kafka_assign(self, list, err);
    }
    rd_kafka_topic_partition_list_t *all =
        cm_source_kafka_parts_list(&self->parts, self->client.settings);
    for (int i = 0; i < all->cnt; i++) {
        int64_t from = cm_source_kafka_part_from(
            cm_source_kafka_parts_find(&self->parts, all->elems[i].partition));
        all->elems[i].offset = from >= 0 ? from : begin_of(self);
    }
    int rc = cm_source_kafka_assign(self, all, err);
    rd_kafka_topic_partition_list_destroy(all);
    return rc;
}

/* Drops the messages of these partitions that keep_alive() has taken: reading may begin again
 * before them. */
static void drop_held(self_t *self, const rd_kafka_topic_partition_list_t *list)
{
    size_t kept = 0;

    for (size_t i = 0; i < self->held_count; i++) {
        rd_kafka_message_t *message = self->held[i];
        bool drop = false;
        for (int k = 0; k < list->cnt; k++)
            drop |= list->elems[k].partition == message->partition;
        if (drop)
            rd_kafka_message_destroy(message);
        else
            self->held[kept++] = message;
    }
    self->held_count = kept;
}

/* Those that are astray into the list, with the offset where each is to go on. */
static size_t list_stale(self_t *self, rd_kafka_topic_partition_list_t *list, int64_t *starts)
{
    for (size_t i = 0; i < self->parts.count; i++) {
        const cm_source_kafka_part_t *part = &self->parts.parts[i];
        if (!part->ours || !part->stale)
            continue;
        starts[list->cnt] = part->next >= 0 ? part->next : begin_of(self);
        rd_kafka_topic_partition_list_add(list, self->client.settings->topic, part->partition);
    }
    return (size_t)list->cnt;
}

int cm_source_kafka_find_again(self_t *self, cm_err_t *err)
{
    rd_kafka_topic_partition_list_t *list, *found;
    int64_t *starts;
    int rc = 0;

    if (!self->stale || self->pending != NULL || !may_query(self))
        return 0;
    list = rd_kafka_topic_partition_list_new(8);
    found = rd_kafka_topic_partition_list_new(8);
    starts = cm_alloc_zero(self->parts.count + 1, sizeof *starts);
    if (list_stale(self, list, starts) > 0)
        rc = check_starts(self, list, starts, self->lookup_ms, err);
    self->stale = rc > 0;
    if (rc == 0)
        clear_trouble(self);
    for (int i = 0; i < list->cnt && rc >= 0; i++) {
        const rd_kafka_topic_partition_t *one = &list->elems[i];
        if (!cm_source_kafka_parts_find(&self->parts, one->partition)->stale)
            rd_kafka_topic_partition_list_add(found, one->topic, one->partition)->offset =
                one->offset;
    }
    if (rc >= 0 && found->cnt > 0) {
        drop_held(self, found);
        rc = begin_again(self, found, err);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_topic_partition_list_destroy(found);
    free(starts);
    return rc < 0 ? rc : 0;
}
