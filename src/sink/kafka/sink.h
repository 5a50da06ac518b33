/* A sink that sends events to a Kafka topic: key = user_id, value = the contract's JSON. Dead
 * letters go to a topic of their own, bytes and key unchanged unless they are sealed, with the
 * headers `reason`, `origin` and `time` (RFC 3339).
 *
 * Idempotent producer, acks=all, lz4, the partitioner of Java's clients (murmur2). put() hands
 * events to librdkafka, whose queue is bounded: when it is full, put() waits. commit() returns 0
 * when the brokers have acknowledged everything put since the sink was opened, except for events
 * that `refused` has accepted. Other messages that were not delivered are CM_EIO with their count
 * and the first reason; put() returns it as soon as it is known. The sink ignores positions. When
 * no delivery report came for 2 s, the brokers count as not answering, also when they are
 * connected: the waiter is given a reason from then on. Used by one thread; librdkafka has threads
 * of its own. */
#ifndef CM_SINK_KAFKA_SINK_H
#define CM_SINK_KAFKA_SINK_H

#include "base/clock.h"
#include "kafka/client.h"
#include "kafka/ends.h"
#include "sink/sink.h"

typedef struct cm_sink_kafka_options {
    const cm_kafka_settings_t *settings; /* with the topics */
    bool dead_only;                      /* takes dead letters, no events */
    bool patient;                        /* tries a message without end while no broker answers */
    const cm_waiter_t *waiter;           /* NULL: waits as long as it takes */
    const cm_clock_t *clock;             /* dates dead letters; NULL: the real one */
    /* The transactional id: everything between two commits becomes visible as a whole or not at
     * all, and a sink opened with the same id ends what an earlier one has left. NULL: no
     * transactions. */
    const char *transaction;
    /* Appends the form in which a dead letter that may hold a person's address is kept. NULL: such
     * letters are kept as they came, which is allowed when they came from Kafka. */
    int (*seal)(void *context, cm_str_t payload, cm_buf_t *out, cm_err_t *err);
    void *seal_context;
    /* Makes dead letters of events that cannot be delivered by sending them again, such as one that
     * is larger than the topic allows; 0 when they are durable. commit() returns its errors, and
     * may be called again then. A letter is given once: by put() when there are many, else by
     * commit(); with `refused_at_commit` only by the commit() that returns 0. NULL: such events
     * have failed. */
    int (*refused)(void *context, const cm_batch_t *letters, cm_err_t *err);
    void *refused_context;
    bool refused_at_commit;
    cm_kafka_ends_t *ends; /* where offsets of acknowledged events are noted; NULL: nowhere */
} cm_sink_kafka_options_t;

/* What became of the events and dead letters put so far. */
typedef struct cm_sink_kafka_report {
    uint64_t acknowledged, failed, waiting; /* events */
    uint64_t refused;                       /* events that became dead letters */
    uint64_t dead;                          /* dead letters acknowledged */
    char reason[200];                       /* of the first failure */
} cm_sink_kafka_report_t;

/* Connects, and makes sure that the topics are there. CM_EAWAY, CM_EUSAGE, CM_EINPUT; CM_ESTOP. */
int cm_sink_kafka_open(const cm_sink_kafka_options_t *options, cm_sink_t **sink, cm_err_t *err);

/* Puts a message that counts as a dead letter, with headers of the caller; `headers` may be NULL
 * and is copied. */
int cm_sink_kafka_put_raw(cm_sink_t *sink, const char *topic, cm_str_t key, cm_str_t value,
                          const rd_kafka_headers_t *headers, cm_err_t *err);

void cm_sink_kafka_report(const cm_sink_t *sink, cm_sink_kafka_report_t *report);

/* Appends the report as the member "kafka" of a JSON object, or as a sentence on a line. */
void cm_sink_kafka_report_add_json(cm_buf_t *buf, const cm_sink_kafka_report_t *report);
void cm_sink_kafka_report_add_line(cm_buf_t *line, const cm_sink_kafka_report_t *report);

#endif
