/* What the files of the Kafka sink share. Only they include this. One thread, in which the
 * callbacks run too. */
#ifndef CM_SINK_KAFKA_INTERNAL_H
#define CM_SINK_KAFKA_INTERNAL_H

#include "sink/kafka/sink.h"

enum { CM_SINK_KAFKA_ORIGIN = 300 };

/* An event that brokers refused, with memory of its own. */
typedef struct cm_sink_refusal {
    char *key, *value; /* the value follows the key in one piece */
    size_t key_len, value_len;
    rd_kafka_resp_err_t code;
} cm_sink_refusal_t;

/* In the order in which they were sent. */
typedef struct cm_sink_refusals {
    cm_sink_refusal_t *all; /* from `first` to `end`; those before `first` were taken out */
    size_t first, end, cap;
    size_t bytes; /* of keys and values */
} cm_sink_refusals_t;

typedef struct cm_sink_kafka {
    cm_sink_t sink; /* first */
    cm_kafka_client_t client;
    cm_sink_kafka_options_t options;
    rd_kafka_topic_t *topic;
    cm_buf_t json;
    uint64_t put, failed; /* events */
    uint64_t dead_put, dead_failed;
    bool in_transaction;
    int room;                         /* messages that librdkafka queues at most */
    char reason[200];                 /* of the first failure */
    char large[CM_SINK_KAFKA_ORIGIN]; /* origin of the largest dead letter that is too large; "":
                                         none */
    size_t large_len;
    int64_t heard_ns; /* when a delivery report last came from a broker, or the queue was empty */
    /* Events that were refused, see refused.c: */
    cm_sink_refusals_t back;  /* refused just now, in a batch with others */
    cm_sink_refusals_t again; /* to be sent once more, in a smaller group */
    cm_sink_refusals_t alone; /* refused in a batch of their own: permanently */
    size_t group;             /* size of the next group; 0: no event was refused yet */
    bool grows;               /* the last group was accepted */
    uint64_t refused;         /* events that options.refused has accepted */
} cm_sink_kafka_t;

/* Lets librdkafka's callbacks run, then asks the waiter whether to go on; returns its answer. */
int cm_sink_kafka_wait(cm_sink_kafka_t *self, int ms);

/* Waits for the delivery reports of everything that was sent. Returns the waiter's answer. */
int cm_sink_kafka_flush(cm_sink_kafka_t *self);

void cm_sink_kafka_note_failure(cm_sink_kafka_t *self, bool dead, rd_kafka_resp_err_t code);

/* The opaque of an event that is sent alone. */
extern const char cm_sink_kafka_alone_mark;

/* A broker, or librdkafka, has refused an event: true when it is kept, to be sent again or to
 * become a dead letter; false: it has failed. `alone`: it had a batch of its own. */
bool cm_sink_kafka_refused(cm_sink_kafka_t *self, cm_str_t key, cm_str_t value,
                           rd_kafka_resp_err_t code, bool alone);

/* Whether so many events are refused that they must be handled before the next commit. */
bool cm_sink_kafka_refused_many(const cm_sink_kafka_t *self);

/* Finds out which of the refused events are refused permanently, and gives them to options.refused.
 * Returns the result of the waiter or of that function; after an error it can be called again and
 * continues. */
int cm_sink_kafka_refused_settle(cm_sink_kafka_t *self, cm_err_t *err);

/* The number of refused events that are neither acknowledged nor dead letters yet. */
uint64_t cm_sink_kafka_refused_open(const cm_sink_kafka_t *self);

void cm_sink_kafka_refused_free(cm_sink_kafka_t *self);

#endif
