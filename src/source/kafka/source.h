/* A source that reads events from a Kafka topic as a member of a consumer group.
 *
 * Every message is an event or a dead letter with the origin "topic[partition]@offset". A batch
 * carries the position of every partition that it has messages of: the offset to go on from, under
 * the name "kafka:GROUP/TOPIC[PARTITION]", and under the same with "#last" and "#hash" its proof
 * (proof.h). Nothing is committed to Kafka before acknowledge() says that it is durable. A
 * rebalance waits until next() is called again, when everything that was handed out has been put:
 * then the owner drains, the durable positions are committed, and only then the partitions are
 * given back. The strings of a batch live until the next call of next(). Used by one thread;
 * librdkafka has threads of its own, and its queue of messages is bounded.
 *
 * Brokers that do not answer are waited for, also when partitions are assigned: next() returns
 * empty batches and cm_source_kafka_trouble() says why. Messages that were deleted before they were
 * read are an error in the log and `gone` in the batch's account, and reading goes on after them.
 * When the topic was created again, this is logged and the partition is read from its beginning;
 * without a proof, a position after the end of a partition is CM_EINPUT from next(). librdkafka
 * decides neither: auto.offset.reset only says where a partition without a position is begun. No
 * call waits for brokers longer than some seconds. */
#ifndef CM_SOURCE_KAFKA_SOURCE_H
#define CM_SOURCE_KAFKA_SOURCE_H

#include "event/json.h"
#include "kafka/client.h"
#include "source/source.h"

/* Callbacks to the owner of the source. Called from within next(). */
typedef struct cm_source_kafka_owner {
    void *context;
    /* Gets the position that the owner's store has of a partition, by its name; 0: none. NULL: the
     * group's committed offsets are used. */
    int (*position)(void *context, const char *name, int64_t *position, cm_err_t *err);
    /* Partitions are about to be given back: makes everything that was handed out durable, and
     * acknowledges it. */
    int (*drain)(void *context, cm_err_t *err);
} cm_source_kafka_owner_t;

typedef struct cm_source_kafka_options {
    const cm_kafka_settings_t *settings; /* with topic and group */
    cm_source_kafka_owner_t owner;
    bool or_group; /* with owner.position: the later of the store's and the group's position */
    /* Ends where the partitions ended when they were assigned, and not before the group has
     * committed the same for the partitions of other consumers. */
    bool until_end;
    int64_t count;               /* messages at most; 0: all */
    cm_timestamp_format_t times; /* how timestamps are read */
    cm_event_json_fill_fn fill;  /* NULL: none */
    void *fill_context;
} cm_source_kafka_options_t;

/* The name of a partition's position in a store: "kafka:group/topic[3]" followed by `what`. The
 * caller frees it. */
char *cm_source_kafka_position_name(const cm_kafka_settings_t *settings, int32_t partition,
                                    const char *what);

/* Joins the group; makes the topic when it is missing and the settings allow that. CM_EAWAY,
 * CM_EUSAGE, CM_EINPUT; CM_ESTOP. */
int cm_source_kafka_open(const cm_source_kafka_options_t *options, cm_source_t **source,
                         cm_err_t *err);

/* To be called every few seconds while next() cannot be called, so that the consumer stays a member
 * of its group. No message is lost by it. */
void cm_source_kafka_keep_alive(cm_source_t *source);

/* Why reading cannot go on: no broker answers, or none knows what is needed; NULL when, as far as
 * is known, it can. Valid until the next call. */
const char *cm_source_kafka_trouble(const cm_source_t *source);

/* The same for the schema registry, without whose answer the next message cannot be read. */
const char *cm_source_kafka_registry_trouble(const cm_source_t *source);

/* A partition that this consumer has. */
typedef struct cm_source_kafka_lag {
    int32_t partition;
    int64_t position; /* offset of the next message to hand out; -1: not known yet */
    int64_t end;      /* offset after the last message, as the broker last reported; -1: not yet */
} cm_source_kafka_lag_t;

/* Fills `lags` with at most `max` of the partitions in order; returns how many there are. */
size_t cm_source_kafka_lags(const cm_source_t *source, cm_source_kafka_lag_t *lags, size_t max);

/* True when the group has assigned partitions to this consumer: perhaps none, when others have all.
 */
bool cm_source_kafka_is_placed(const cm_source_t *source);

#endif
