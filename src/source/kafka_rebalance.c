#include "base/clock.h"
#include "source/kafka_inside.h"

#include <stdio.h>

enum {
    LOOKUP_MOST_MS = 4000, /* for a look-up: nobody sees meanwhile that we shall stop */
    LOOKUP_AGAIN_NS = 500 * 1000 * 1000,
};

typedef cm_kafka_source_t self_t;

/* ---- rebalances ---- */

static bool is_cooperative(const self_t *self)
{
    return strcmp(rd_kafka_rebalance_protocol(self->client.rk), "COOPERATIVE") == 0;
}

void cm_kafka_source_give_back(const self_t *self, const rd_kafka_topic_partition_list_t *list)
{
    if (is_cooperative(self)) {
        rd_kafka_error_t *error = rd_kafka_incremental_unassign(self->client.rk, list);
        if (error != NULL)
            rd_kafka_error_destroy(error);
    } else {
        rd_kafka_assign(self->client.rk, NULL);
    }
}

/* Notes what is to be done: librdkafka waits until the partitions are assigned or given back, and
 * messages of theirs that are still on their way to us stay valid until then. */
void cm_kafka_source_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                                  rd_kafka_topic_partition_list_t *list, void *opaque)
{
    self_t *self = ((cm_kafka_client_t *)opaque)->owner;

    if (self->closing) { /* all is acknowledged or given up */
        cm_kafka_source_give_back(self, list);
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

void cm_kafka_source_on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                               rd_kafka_topic_partition_list_t *list, void *opaque)
{
    self_t *self = ((cm_kafka_client_t *)opaque)->owner;

    (void)rk;
    cm_parts_committed(&self->parts, &self->client, code, list);
}

/* Has librdkafka fetch these from the list's offsets: they are new to it. */
static int assign(self_t *self, const rd_kafka_topic_partition_list_t *list, cm_err_t *err)
{
    rd_kafka_error_t *error = NULL;

    if (is_cooperative(self))
        error = rd_kafka_incremental_assign(self->client.rk, list);
    else if (rd_kafka_assign(self->client.rk, list) != 0)
        return cm_fail(err, CM_EINTERNAL, "taking partitions: %s",
                       rd_kafka_err2str(rd_kafka_last_error()));
    if (error == NULL)
        return 0;
    int rc = cm_fail(err, CM_EINTERNAL, "taking partitions: %s", rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return rc;
}

void cm_kafka_source_resume(self_t *self)
{
    if (!self->paused)
        return;
    self->paused = false;
    rd_kafka_topic_partition_list_t *list = cm_parts_list(&self->parts, self->client.settings);
    rd_kafka_resume_partitions(self->client.rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    cm_parts_seek(&self->parts, &self->client);
}

/* ---- where to begin ---- */

/* Brokers do not tell now what is to be known: 1, and it is tried again. What does not pass by
 * itself is an error. */
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
    self->looked_ns = cm_clock_ticks_ns();
    return 1;
}

static bool may_look(const self_t *self)
{
    return self->trouble[0] == '\0' || cm_clock_ticks_ns() - self->looked_ns >= LOOKUP_AGAIN_NS;
}

static void no_trouble(self_t *self)
{
    self->trouble[0] = '\0';
    self->lookup_ms = CM_KAFKA_LOOKUP_MS;
}

/* Where a partition without a position is begun. */
static int64_t begin_of(const self_t *self)
{
    return self->at_end ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING;
}

/* The offset to begin with, for librdkafka. `committed` is the group's, negative when it has none.
 */
static int find_start(self_t *self, const cm_part_t *part, int64_t committed, int64_t *start,
                      cm_err_t *err)
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
        *start = begin_of(self);
    return 0;
}

/* Compares the start with what the partition has. A position behind its end is that of another
 * topic; messages before its beginning are gone, which must not go unsaid. Where no broker tells
 * within `timeout_ms` it stays unchecked: 1 with the reason, and librdkafka will complain of a
 * start that is wrong. */
static int check_start(self_t *self, cm_part_t *part, int64_t *start, int timeout_ms, cm_err_t *err)
{
    const cm_kafka_settings_t *settings = self->client.settings;
    int64_t low, high;

    part->next = *start >= 0 ? *start : -1;
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(
        self->client.rk, settings->topic, part->partition, &low, &high, timeout_ms);
    if (code != 0)
        return try_later(self, code, "asking where a partition begins and ends", err);
    if (part->end < 0)
        part->end = high;
    if (*start > high)
        return cm_fail(err, CM_EINPUT,
                       "%s[%d] at %s ends at offset %lld, but %lld is where group %s had come to: "
                       "was the topic made anew? Choose another --group to read it from its "
                       "beginning",
                       settings->topic, (int)part->partition, settings->brokers, (long long)high,
                       (long long)*start, settings->group);
    if (*start >= 0 && *start < low)
        cm_log(settings->log, CM_LOG_ERROR, "messages are gone before they were read",
               "partition=%s from=%lld to=%lld hint=\"the topic keeps messages too short a time\"",
               part->name, (long long)*start, (long long)low - 1);
    if (*start < low)
        *start = *start == RD_KAFKA_OFFSET_END ? high : low;
    part->next = *start;
    part->ended = part->next >= part->end;
    return 0;
}

/* The offsets that the group has committed into the list; -1 and below where there is none. 1: not
 * now. */
static int get_committed(self_t *self, rd_kafka_topic_partition_list_t *list, cm_err_t *err)
{
    if (self->options.owner.position != NULL && !self->options.or_group)
        return 0;
    if (!may_look(self))
        return 1;
    rd_kafka_resp_err_t code = rd_kafka_committed(self->client.rk, list, self->lookup_ms);
    for (int i = 0; code == 0 && i < list->cnt; i++)
        code = list->elems[i].err;
    return code == 0 ? 0 : try_later(self, code, "asking for the group's offsets", err);
}

/* What can be known of the partitions, for no longer than one look-up may take: a partition that
 * stays unchecked does not hold up the others. */
static int find_starts(self_t *self, rd_kafka_topic_partition_list_t *list, cm_err_t *err)
{
    const int64_t until_ns = cm_clock_ticks_ns() + LOOKUP_MOST_MS * INT64_C(1000000);
    int rc = 0;

    for (int i = 0; i < list->cnt && rc >= 0; i++) {
        rd_kafka_topic_partition_t *one = &list->elems[i];
        cm_part_t *part = cm_parts_add(&self->parts, self->client.settings, one->partition);
        rc = find_start(self, part, one->offset, &one->offset, err);
        int64_t left_ms = (until_ns - cm_clock_ticks_ns()) / 1000000;
        if (rc == 0)
            rc = check_start(self, part, &one->offset, left_ms > 1 ? (int)left_ms : 1, err);
    }
    return rc < 0 ? rc : 0;
}

/* 1: not now. */
static int take_partitions(self_t *self, rd_kafka_topic_partition_list_t *list, cm_err_t *err)
{
    int rc = get_committed(self, list, err);
    if (rc == 0)
        rc = find_starts(self, list, err);
    if (rc != 0)
        return rc;
    no_trouble(self);
    rc = assign(self, list, err);
    if (rc < 0)
        return rc;
    self->joined = true;
    rd_kafka_resume_partitions(self->client.rk, list); /* whatever they were when they went */
    if (is_cooperative(self))                          /* librdkafka had paused the others */
        cm_parts_seek(&self->parts, &self->client);
    return 0;
}

void cm_kafka_source_drop_held(self_t *self)
{
    for (size_t i = 0; i < self->held_count; i++)
        rd_kafka_message_destroy(self->held[i]);
    self->held_count = 0;
}

static int drop_partitions(self_t *self, const rd_kafka_topic_partition_list_t *list, cm_err_t *err)
{
    const cm_kafka_owner_t *owner = &self->options.owner;

    int rc = owner->drain != NULL ? owner->drain(owner->context, err) : 0;
    if (rc < 0)
        return rc;
    /* The store was slow, perhaps. A partition that goes while it is paused would be so still when
     * it comes back. */
    cm_kafka_source_resume(self);
    cm_parts_commit(&self->parts, &self->client, false);
    cm_kafka_source_give_back(self, list);
    cm_kafka_source_drop_held(self);
    for (int i = 0; i < list->cnt; i++)
        cm_parts_remove(&self->parts, list->elems[i].partition);
    if (is_cooperative(self)) /* librdkafka had paused the others, and what was held is dropped */
        cm_parts_seek(&self->parts, &self->client);
    return 0;
}

int cm_kafka_source_rebalance(self_t *self, cm_err_t *err)
{
    rd_kafka_topic_partition_list_t *list = self->pending;
    const bool taken = self->pending_assign;

    if (list == NULL)
        return 0;
    self->pending = NULL; /* the owner's drain keeps us alive, which may bring the next one */
    int rc = taken ? take_partitions(self, list, err) : drop_partitions(self, list, err);
    if (rc != 0 && self->pending == NULL) { /* it is still to be done, or to be given up */
        self->pending = list;
        self->pending_assign = taken;
        return rc < 0 ? rc : 0;
    }
    cm_log(self->client.settings->log, CM_LOG_INFO, "rebalance", "%s=%d topic=%s",
           taken ? "taken" : "given", list->cnt, self->client.settings->topic);
    rd_kafka_topic_partition_list_destroy(list);
    return rc < 0 ? rc : 0;
}

/* To take no partition is an answer; to give all back is none to who wants them taken. */
void cm_kafka_source_give_up_pending(self_t *self)
{
    rd_kafka_topic_partition_list_t *none = rd_kafka_topic_partition_list_new(0);
    cm_err_t why;

    if (self->pending != NULL && self->pending_assign)
        assign(self, none, &why);
    else if (self->pending != NULL)
        cm_kafka_source_give_back(self, self->pending);
    if (self->pending != NULL)
        rd_kafka_topic_partition_list_destroy(self->pending);
    self->pending = NULL;
    rd_kafka_topic_partition_list_destroy(none);
}

/* ---- offsets at which there is nothing ---- */

/* Has librdkafka begin anew with the partitions of the list. Where the protocol knows only whole
 * assignments, with all. */
static int begin_anew(self_t *self, const rd_kafka_topic_partition_list_t *list, cm_err_t *err)
{
    if (is_cooperative(self)) {
        cm_kafka_source_give_back(self, list);
        return assign(self, list, err);
    }
    rd_kafka_topic_partition_list_t *all = cm_parts_list(&self->parts, self->client.settings);
    for (int i = 0; i < all->cnt; i++) {
        int64_t next = cm_parts_find(&self->parts, all->elems[i].partition)->next;
        all->elems[i].offset = next >= 0 ? next : begin_of(self);
    }
    int rc = assign(self, all, err);
    rd_kafka_topic_partition_list_destroy(all);
    return rc;
}

int cm_kafka_source_find_again(self_t *self, cm_err_t *err)
{
    rd_kafka_topic_partition_list_t *list;
    bool astray = false;
    int rc = 0;

    if (!self->astray || self->pending != NULL || !may_look(self))
        return 0;
    list = rd_kafka_topic_partition_list_new(8);
    for (size_t i = 0; i < self->parts.count && rc >= 0; i++) {
        cm_part_t *part = &self->parts.parts[i];
        int64_t start = part->next >= 0 ? part->next : begin_of(self);
        if (!part->ours || !part->astray)
            continue;
        rc = rc == 0 ? check_start(self, part, &start, self->lookup_ms, err) : rc;
        part->astray = rc != 0;
        astray |= part->astray;
        if (rc == 0)
            rd_kafka_topic_partition_list_add(list, self->client.settings->topic, part->partition)
                ->offset = start;
    }
    if (!astray)
        no_trouble(self);
    if (rc >= 0 && list->cnt > 0)
        rc = begin_anew(self, list, err);
    rd_kafka_topic_partition_list_destroy(list);
    self->astray = astray;
    return rc < 0 ? rc : 0;
}
