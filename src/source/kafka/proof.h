/* The proof that a partition is still that of the topic that was read: a message that was taken
 * from it. The offset of the message (witness.c chooses it) and a hash of its time, key and value
 * are kept with the position. When reading begins again, that message is fetched first and
 * compared. A topic that was deleted and created again has another message there, or none. (Topics
 * have ids, but librdkafka reports them only from 2.3 on, and never with a message.)
 *
 * A partition of which no message was taken has no proof, though its position may have moved: over
 * messages of aborted transactions, which are not handed out. Then the offset where reading began
 * is kept instead of a proof, and the partition is read again from there. In the same topic that
 * hands out nothing twice, in another topic it hands out everything.
 *
 * Pure functions, except for librdkafka's accessors of a message. For any thread. */
#ifndef CM_SOURCE_KAFKA_PROOF_H
#define CM_SOURCE_KAFKA_PROOF_H

#include "base/str.h"

#include <librdkafka/rdkafka.h>

typedef struct cm_source_kafka_proof {
    int64_t last;  /* the message's offset; -1: there is no proof */
    uint64_t hash; /* of 63 bits; without a proof: of a partition of which no message was taken, one
                      more than where reading began; else 0 */
} cm_source_kafka_proof_t;

#define CM_SOURCE_KAFKA_PROOF_NONE ((cm_source_kafka_proof_t){.last = -1})

/* Reading began at `begin`, and no message was taken. */
static inline cm_source_kafka_proof_t cm_source_kafka_proof_bare(int64_t begin)
{
    return (cm_source_kafka_proof_t){-1, (uint64_t)begin + 1};
}

/* That `begin`; -1 when messages were taken, or when it is not known. */
static inline int64_t cm_source_kafka_proof_begin(const cm_source_kafka_proof_t *proof)
{
    return proof->last < 0 ? (int64_t)proof->hash - 1 : -1;
}

/* Makes the proof of a message. */
cm_source_kafka_proof_t cm_source_kafka_proof_of(const rd_kafka_message_t *message);

enum { CM_SOURCE_KAFKA_PROOF_TEXT = 64 };

/* As a text, for the metadata of a committed offset; "" for CM_SOURCE_KAFKA_PROOF_NONE. */
void cm_source_kafka_proof_format(const cm_source_kafka_proof_t *proof,
                                  char text[CM_SOURCE_KAFKA_PROOF_TEXT]);

/* Reads such a text; CM_SOURCE_KAFKA_PROOF_NONE when it is something else. */
cm_source_kafka_proof_t cm_source_kafka_proof_parse(cm_str_t text);

typedef enum cm_source_kafka_proof_verdict {
    CM_SOURCE_KAFKA_PROOF_SAME,  /* the message is that of the proof, and was handed out before */
    CM_SOURCE_KAFKA_PROOF_GO_ON, /* nothing contradicts the position, and the message is to be
                                    handed out */
    CM_SOURCE_KAFKA_PROOF_RECREATED, /* the partition is that of a topic that was created again */
} cm_source_kafka_proof_verdict_t;

/* Judges the first message that comes of a partition that was read up to `next` and is fetched from
 * `from` on: `from` is the proof's own offset, or a later one when messages before it are gone by
 * retention. Between the proof's message and `next` there were none. */
cm_source_kafka_proof_verdict_t cm_source_kafka_proof_judge(const cm_source_kafka_proof_t *proof,
                                                            int64_t from, int64_t next,
                                                            const rd_kafka_message_t *message);

/* The same where the partition ends at `end` and no message came. An end at or before the proof's
 * message may be that of a leader that does not know of all yet: that is
 * CM_SOURCE_KAFKA_PROOF_GO_ON, and to be asked. */
cm_source_kafka_proof_verdict_t
cm_source_kafka_proof_judge_end(const cm_source_kafka_proof_t *proof, int64_t from, int64_t next,
                                int64_t end);

#endif
