/* What the files of the Kafka source share: messages and the door (source.c), which partitions it
 * has (rebalance.c), where it begins to read them (start.c), and whether they are still those of
 * the same topic (witness.c). Only they include this. One thread, in which librdkafka's callbacks
 * run too. */
#ifndef CM_SOURCE_KAFKA_INTERNAL_H
#define CM_SOURCE_KAFKA_INTERNAL_H

#include "event/json.h"
#include "kafka/registry.h"
#include "source/kafka/parts.h"
#include "source/kafka/source.h"

enum {
    CM_SOURCE_KAFKA_LOOKUP_MS = 1000
}; /* time limit of the first look-up; it doubles after a failure */

typedef struct cm_source_kafka_witness cm_source_kafka_witness_t; /* witness.c */

typedef struct cm_source_kafka {
    cm_source_t source; /* first */
    cm_kafka_client_t client;
    cm_source_kafka_options_t options;
    rd_kafka_queue_t *queue;
    rd_kafka_message_t *messages[CM_BATCH_EVENTS];
    /* Not yet handed out: taken by keep_alive(), or waiting for their schemas. */
    rd_kafka_message_t **held;
    size_t held_count;
    cm_kafka_registry_t *registry; /* NULL: none is configured */
    bool waits;       /* the first of those held has a schema that the registry has not given yet */
    cm_buf_t scratch; /* a decoded value */
    size_t want;      /* messages to ask for */
    size_t average;   /* bytes of a message, by the last batch */
    cm_event_json_t *json;
    cm_event_map_t *map; /* NULL: members give the fields of their own names */
    cm_buf_t texts;      /* the messages of the last batch, one after the other */
    cm_source_kafka_parts_t parts;
    uint64_t batches;
    int64_t left; /* of options.count */
    uint64_t
        gone; /* messages that were deleted before they were read, for the next batch's account */
    int64_t asked_ns;   /* when brokers were last probed */
    int64_t woken_ns;   /* when librdkafka was last woken to fetch */
    int64_t others_ns;  /* when the positions of the rest of the group were last asked for */
    int64_t watched_ns; /* when a round of checking the witnesses was last due */
    cm_source_kafka_witness_t *witness; /* NULL: none was checked yet */
    bool at_end;                        /* auto.offset.reset: where to begin without a position */
    bool joined, paused, closing;
    bool placed; /* the group has assigned partitions to this consumer, perhaps none */
    bool stale;  /* some partitions are, see cm_source_kafka_part_t */
    rd_kafka_topic_partition_list_t *pending; /* a rebalance that the next call of next() does */
    bool pending_assign;
    int lookup_ms;             /* for the next look-up */
    int64_t failed_ns;         /* when a look-up last failed */
    char trouble[CM_ERR_TEXT]; /* why partitions cannot be read yet; "": they can */
} cm_source_kafka_t;

/* librdkafka's callbacks. A rebalance is only noted. */
void cm_source_kafka_on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                                  rd_kafka_topic_partition_list_t *list, void *opaque);
void cm_source_kafka_on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t code,
                               rd_kafka_topic_partition_list_t *list, void *opaque);

/* Does the rebalance that was noted, if there is one. While brokers do not answer what must be
 * known for it, it stays noted, `trouble` says why, and the next call tries again. */
int cm_source_kafka_rebalance(cm_source_kafka_t *self, cm_err_t *err);

/* Finds where to go on with the partitions of the list, which are new, and sets the list's offsets
 * to fetch from. 1: brokers do not answer now. CM_EINPUT when a position is after the end of its
 * partition and there is no proof of what was read. */
int cm_source_kafka_find_starts(cm_source_kafka_t *self, rd_kafka_topic_partition_list_t *list,
                                cm_err_t *err);

/* Goes on with partitions that are stale: after the messages that were deleted, or at the beginning
 * of a topic that was created again, and logs that. Errors as above; tries again as for a
 * rebalance. */
int cm_source_kafka_find_again(cm_source_kafka_t *self, cm_err_t *err);

/* Checks from time to time whether the partitions are still those that were read; does not wait.
 * Partitions that were created again become stale. Touches the partitions whose witness has
 * changed: next() calls it before it ends its batch. */
void cm_source_kafka_watch(cm_source_kafka_t *self);

/* Does the same at once, for everything that was taken, and waits at most this long for answers. */
void cm_source_kafka_settle(cm_source_kafka_t *self, int timeout_ms);

void cm_source_kafka_close_witness(cm_source_kafka_t *self);

/* How many of the messages, from the first on, can be read now, since their schemas are known.
 * CM_EUSAGE when the registry cannot be used. */
ssize_t cm_source_kafka_ready(cm_source_kafka_t *self, rd_kafka_message_t *const *messages,
                              size_t count, cm_err_t *err);

/* Adds the message, which has a value, to the batch: as an event, as a bot's visit that is left
 * out, or as a dead letter. Padding is behind `value`. */
void cm_source_kafka_take(cm_source_kafka_t *self, cm_batch_t *batch,
                          const rd_kafka_message_t *message, cm_str_t value);

/* Adds the message to the batch as a dead letter: `reason`, or that its value is in a format that
 * other programs write. */
void cm_source_kafka_reject(cm_source_kafka_t *self, cm_batch_t *batch,
                            const rd_kafka_message_t *message, cm_str_t value, const char *reason);

/* Ends the pause that keep_alive() has begun. */
void cm_source_kafka_resume(cm_source_kafka_t *self);

/* Before the end: librdkafka needs an answer to a rebalance that was not done. */
void cm_source_kafka_give_up_pending(cm_source_kafka_t *self);

/* Tells librdkafka that these partitions are given back. */
void cm_source_kafka_give_back(const cm_source_kafka_t *self,
                               const rd_kafka_topic_partition_list_t *list);

/* Makes librdkafka fetch these partitions, which are new to it, from the list's offsets. */
int cm_source_kafka_assign(cm_source_kafka_t *self, const rd_kafka_topic_partition_list_t *list,
                           cm_err_t *err);

bool cm_source_kafka_is_cooperative(const cm_source_kafka_t *self);

/* Drops the messages that are held. */
void cm_source_kafka_drop_held(cm_source_kafka_t *self);

#endif
