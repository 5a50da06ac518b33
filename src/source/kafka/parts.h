/* The partitions of a topic that a consumer has: how far each was read, how far that is durable,
 * and how far Kafka has been told so. One thread. */
#ifndef CM_SOURCE_KAFKA_PARTS_H
#define CM_SOURCE_KAFKA_PARTS_H

#include "event/batch.h"
#include "kafka/client.h"
#include "source/kafka/proof.h"

typedef struct cm_source_kafka_part {
    char *name;                  /* "kafka:group/topic[3]"; NULL: not had yet */
    char *last_name, *hash_name; /* the same with "#last" and "#hash": where its witness is kept */
    int32_t partition;
    bool ours;
    bool ended;     /* read as far as is asked for */
    bool touched;   /* by the batch in the making */
    bool stale;     /* nothing of it is taken before it is begun again */
    bool recreated; /* it is another partition than was read: from its beginning */
    bool proving;   /* its first message is to be the proof's; it is fetched from: */
    int64_t from;
    cm_source_kafka_proof_t proof; /* of what was handed out, or of what was read before */
    size_t taken; /* place + 1 of the last message in the batch that is taken; 0: none */
    size_t first; /* the same of the first one, when there is one */
    cm_source_kafka_proof_t
        witness; /* verified to stand in one log with all up to it; what is kept */
    cm_source_kafka_proof_t candidate; /* the next witness, when this one is still there */
    bool checking;                     /* that is being looked at */
    bool unsure;                       /* it is to be, although no message came */
    int64_t next;                      /* offset to hand out next; -1: any */
    int64_t end; /* behind the last message when it was assigned; -1: not known */
    /* From where it is read again up to here no message was taken; else 0. */
    int64_t passed;
    int64_t durable; /* everything before it is; -1: nothing yet */
    cm_source_kafka_proof_t durable_witness;
    int64_t told;      /* what Kafka was told last; -1: nothing, or it did not hear */
    int64_t committed; /* what it has confirmed last */
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
    int32_t *touched; /* partitions of the batch in the making */
    size_t touched_count, touched_cap;
    cm_source_kafka_part_mark_t
        *marks; /* in the order of batches; the first `marks_done` are settled */
    size_t mark_count, mark_cap, marks_done;
    int64_t *others; /* by partition number: where those ended that others had; -1: not asked yet */
    size_t other_count;
} cm_source_kafka_parts_t;

/* Takes a partition anew, nothing of it read. Valid until the next call. */
cm_source_kafka_part_t *cm_source_kafka_parts_add(cm_source_kafka_parts_t *parts,
                                                  const cm_kafka_settings_t *settings,
                                                  int32_t partition);

/* Gives a partition up, with what was not durable of it. */
void cm_source_kafka_parts_remove(cm_source_kafka_parts_t *parts, int32_t partition);

/* NULL when we do not have it. */
static inline cm_source_kafka_part_t *cm_source_kafka_parts_find(cm_source_kafka_parts_t *parts,
                                                                 int32_t partition)
{
    if (partition < 0 || (size_t)partition >= parts->count || !parts->parts[partition].ours)
        return NULL;
    return &parts->parts[partition];
}

/* Notes that the batch in the making has messages of it. */
void cm_source_kafka_parts_touch(cm_source_kafka_parts_t *parts, cm_source_kafka_part_t *part);

/* Ends the batch with this number: its positions go into it, and are remembered. */
void cm_source_kafka_parts_mark(cm_source_kafka_parts_t *parts, uint64_t number, cm_batch_t *batch);

/* The batches up to this one are durable. */
void cm_source_kafka_parts_acknowledge(cm_source_kafka_parts_t *parts, uint64_t batches);

/* Tells Kafka what is durable and was not told; what fails is told again the next time. Not in the
 * background it waits for the answer, but no longer than a broker that hangs may keep us: false
 * when none came. */
bool cm_source_kafka_parts_commit(cm_source_kafka_parts_t *parts, cm_kafka_client_t *client,
                                  bool in_background);

/* Takes what became of a commit over: librdkafka's offset_commit_cb has it. */
void cm_source_kafka_parts_committed(cm_source_kafka_parts_t *parts,
                                     const cm_kafka_client_t *client, rd_kafka_resp_err_t code,
                                     const rd_kafka_topic_partition_list_t *list);

/* Has librdkafka read on at our own positions, where they are known. Its own are not to be relied
 * on when partitions were paused, by us or by itself in a rebalance: they count what it has taken
 * out of its queue, handed out or not, and in some versions the end of a partition as a message.
 * What was fetched ahead is fetched again. */
void cm_source_kafka_parts_seek(const cm_source_kafka_parts_t *parts,
                                const cm_kafka_client_t *client);

/* True when we have any. */
bool cm_source_kafka_parts_any(const cm_source_kafka_parts_t *parts);

/* True when all that we have are read as far as is asked for. */
bool cm_source_kafka_parts_ended(const cm_source_kafka_parts_t *parts);

/* True when the group has committed all of the partitions that others have, up to where they ended
 * when this was first asked; false as well when the brokers cannot tell. Asks them, three times
 * at most, and waits for `timeout_ms` each time at most. */
bool cm_source_kafka_parts_others_ended(cm_source_kafka_parts_t *parts,
                                        const cm_kafka_client_t *client, int timeout_ms);

/* Where librdkafka is to fetch from; -1 where that is not known. */
static inline int64_t cm_source_kafka_part_from(const cm_source_kafka_part_t *part)
{
    return part->proving ? part->from : part->next;
}

/* Whether the position has moved though no message was ever taken. */
bool cm_source_kafka_part_is_bare(const cm_source_kafka_part_t *part);

/* Then: has the partition read again from where reading began, by cm_source_kafka_find_again(). */
void cm_source_kafka_part_rewind(cm_source_kafka_part_t *part);

/* Has the partition begun anew from its beginning, or looked at once more whether it is the one
 * that was read: cm_source_kafka_find_again() does it. */
void cm_source_kafka_part_set_recreated(cm_source_kafka_part_t *part);
void cm_source_kafka_part_doubt(cm_source_kafka_part_t *part);

/* At the end of a batch: what the last message that was taken in it proves. The first one ever is
 * also the first witness. */
void cm_source_kafka_part_prove(cm_source_kafka_part_t *part, const cm_source_kafka_proof_t *first,
                                const cm_source_kafka_proof_t *last);

/* How far the broker has last said that the partition goes; -1: not yet. */
int64_t cm_source_kafka_part_end(const cm_source_kafka_part_t *part,
                                 const cm_kafka_client_t *client);

/* True when there is more in the topic than the next `ahead` messages. */
bool cm_source_kafka_parts_behind(const cm_source_kafka_parts_t *parts,
                                  const cm_kafka_client_t *client, size_t ahead);

/* All that we have; the caller destroys it. */
rd_kafka_topic_partition_list_t *cm_source_kafka_parts_list(const cm_source_kafka_parts_t *parts,
                                                            const cm_kafka_settings_t *settings);

void cm_source_kafka_parts_free(cm_source_kafka_parts_t *parts);

#endif
