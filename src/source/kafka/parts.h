/* The partitions of a topic that a consumer has: how far each was read, how far that is durable,
 * and which offset was committed to Kafka. One thread. */
#ifndef CM_SOURCE_KAFKA_PARTS_H
#define CM_SOURCE_KAFKA_PARTS_H

#include "event/batch.h"
#include "kafka/client.h"
#include "source/kafka/proof.h"

typedef struct cm_source_kafka_part {
    char *name;                  /* "kafka:group/topic[3]"; NULL: never assigned */
    char *last_name, *hash_name; /* the same with "#last" and "#hash": the names of its witness */
    int32_t partition;
    bool ours;
    bool ended;     /* read as far as options.until_end asks */
    bool touched;   /* the current batch has messages of it */
    bool stale;     /* its position is not valid: nothing is taken before it is begun again */
    bool recreated; /* the topic was created again: it is read from its beginning */
    bool proving;   /* its first message must be that of the proof; it is fetched from `from` */
    int64_t from;
    cm_source_kafka_proof_t proof; /* of the last message that was handed out, or read before */
    size_t taken; /* place + 1 of the last message that was taken in the batch; 0: none */
    size_t first; /* the same of the first message */
    cm_source_kafka_proof_t
        witness; /* verified to be in one log with everything before it; this is kept */
    cm_source_kafka_proof_t candidate; /* the next witness, if the present one is still there */
    bool checking;                     /* the witness is being checked */
    bool unsure;                       /* the witness is to be checked although no message came */
    int64_t next;                      /* offset to hand out next; -1: not known */
    int64_t end; /* offset after the last message when it was assigned; -1: not known */
    /* When it is read again: up to here no message was taken; else 0. */
    int64_t passed;
    int64_t durable; /* everything before it is durable; -1: nothing yet */
    cm_source_kafka_proof_t durable_witness;
    int64_t told;      /* offset that was sent in the last commit; -1: none, or it failed */
    int64_t committed; /* offset of the last confirmed commit */
} cm_source_kafka_part_t;

/* A position of a batch that is not durable yet. */
typedef struct cm_source_kafka_part_mark {
    uint64_t batch;
    int32_t partition;
    int64_t next;
    cm_source_kafka_proof_t witness;
} cm_source_kafka_part_mark_t;

typedef struct cm_source_kafka_parts {
    cm_source_kafka_part_t *parts; /* by partition number */
    size_t count;
    int32_t *touched; /* partitions of the current batch */
    size_t touched_count, touched_cap;
    cm_source_kafka_part_mark_t
        *marks; /* in the order of batches; the first `marks_done` are durable */
    size_t mark_count, mark_cap, marks_done;
    int64_t *others; /* by partition number: where the partitions of other consumers ended; -1: not
                        asked yet */
    size_t other_count;
} cm_source_kafka_parts_t;

/* Adds a partition of which nothing was read. Valid until the next call. */
cm_source_kafka_part_t *cm_source_kafka_parts_add(cm_source_kafka_parts_t *parts,
                                                  const cm_kafka_settings_t *settings,
                                                  int32_t partition);

/* Gives a partition up, with its positions that are not durable. */
void cm_source_kafka_parts_remove(cm_source_kafka_parts_t *parts, int32_t partition);

/* NULL when the consumer does not have it. */
static inline cm_source_kafka_part_t *cm_source_kafka_parts_find(cm_source_kafka_parts_t *parts,
                                                                 int32_t partition)
{
    if (partition < 0 || (size_t)partition >= parts->count || !parts->parts[partition].ours)
        return NULL;
    return &parts->parts[partition];
}

/* Notes that the current batch has messages of it, or a new position. */
void cm_source_kafka_parts_touch(cm_source_kafka_parts_t *parts, cm_source_kafka_part_t *part);

/* Ends the batch with this number: adds its positions, and remembers them. */
void cm_source_kafka_parts_mark(cm_source_kafka_parts_t *parts, uint64_t number, cm_batch_t *batch);

/* The batches up to this one are durable. */
void cm_source_kafka_parts_acknowledge(cm_source_kafka_parts_t *parts, uint64_t batches);

/* Commits the durable positions that were not committed to Kafka; those that fail are committed
 * again the next time. Not in the background it waits for the answer, for a limited time: false
 * when none came. */
bool cm_source_kafka_parts_commit(cm_source_kafka_parts_t *parts, cm_kafka_client_t *client,
                                  bool in_background);

/* Takes the result of a commit from librdkafka's offset_commit_cb. */
void cm_source_kafka_parts_committed(cm_source_kafka_parts_t *parts,
                                     const cm_kafka_client_t *client, rd_kafka_resp_err_t code,
                                     const rd_kafka_topic_partition_list_t *list);

/* Makes librdkafka read on at our own positions, where they are known. Its positions are not
 * reliable when partitions were paused, by us or by itself in a rebalance: they count messages that
 * it has taken from its queue, handed out or not, and in some versions the end of a partition as a
 * message. Messages that were fetched ahead are fetched again. */
void cm_source_kafka_parts_seek(const cm_source_kafka_parts_t *parts,
                                const cm_kafka_client_t *client);

/* True when the consumer has any partition. */
bool cm_source_kafka_parts_any(const cm_source_kafka_parts_t *parts);

/* True when all its partitions are read as far as options.until_end asks. */
bool cm_source_kafka_parts_ended(const cm_source_kafka_parts_t *parts);

/* True when the group has committed all partitions of other consumers up to where they ended at the
 * first call; false also when brokers do not answer. Sends at most three requests, and waits at
 * most `timeout_ms` for each. */
bool cm_source_kafka_parts_others_ended(cm_source_kafka_parts_t *parts,
                                        const cm_kafka_client_t *client, int timeout_ms);

/* The offset from which librdkafka has to fetch; -1: not known. */
static inline int64_t cm_source_kafka_part_from(const cm_source_kafka_part_t *part)
{
    return part->proving ? part->from : part->next;
}

/* Whether the position has moved though no message was ever taken. */
bool cm_source_kafka_part_is_bare(const cm_source_kafka_part_t *part);

/* For such a partition: cm_source_kafka_find_again() will read it again from where reading began.
 */
void cm_source_kafka_part_rewind(cm_source_kafka_part_t *part);

/* Marks the partition: cm_source_kafka_find_again() will read it from its beginning, or will check
 * once more whether it is the one that was read. */
void cm_source_kafka_part_set_recreated(cm_source_kafka_part_t *part);
void cm_source_kafka_part_doubt(cm_source_kafka_part_t *part);

/* At the end of a batch: sets the proof by the last message that was taken in it. The first message
 * ever is also the first witness. */
void cm_source_kafka_part_prove(cm_source_kafka_part_t *part, const cm_source_kafka_proof_t *first,
                                const cm_source_kafka_proof_t *last);

/* The end of the partition, as the broker has last reported it; -1: not yet. */
int64_t cm_source_kafka_part_end(const cm_source_kafka_part_t *part,
                                 const cm_kafka_client_t *client);

/* True when the topic has more than `ahead` messages left to read. */
bool cm_source_kafka_parts_behind(const cm_source_kafka_parts_t *parts,
                                  const cm_kafka_client_t *client, size_t ahead);

/* All partitions of this consumer; the caller destroys the list. */
rd_kafka_topic_partition_list_t *cm_source_kafka_parts_list(const cm_source_kafka_parts_t *parts,
                                                            const cm_kafka_settings_t *settings);

void cm_source_kafka_parts_free(cm_source_kafka_parts_t *parts);

#endif
