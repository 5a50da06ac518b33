/* What the files of the Kafka sink share. Nobody else includes this. */
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
    cm_sink_refusal_t *all; /* those before `first` are gone */
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
    int room;                         /* messages that librdkafka keeps at most */
    char reason[200];                 /* of the first failure */
    char large[CM_SINK_KAFKA_ORIGIN]; /* origin of the largest dead letter that is too large; "":
                                         none */
    size_t large_len;
    int64_t heard_ns; /* when brokers last said what became of a message, or there was none */
    /* Events that were refused, see refused.c: */
    cm_sink_refusals_t back;  /* just now, together with others */
    cm_sink_refusals_t again; /* to be sent once more, in a smaller group */
    cm_sink_refusals_t alone; /* each of them alone: for good */
    size_t group;             /* events that go together next; 0: none was refused yet */
    bool grows;               /* the last group was taken */
    uint64_t refused;         /* events that options.refused has taken over */
} cm_sink_kafka_t;

/* Lets librdkafka's callbacks run and asks whether to go on waiting: its answer. */
int cm_sink_kafka_wait(cm_sink_kafka_t *self, int ms);

/* Waits until brokers have said what becomes of all that was sent. The waiter's answer. */
int cm_sink_kafka_flush(cm_sink_kafka_t *self);

void cm_sink_kafka_note_failure(cm_sink_kafka_t *self, bool dead, rd_kafka_resp_err_t code);

/* The opaque of an event that is sent alone. */
extern const char cm_sink_kafka_alone_mark;

/* A broker, or librdkafka, has refused an event: true when it is kept here, to be tried again or to
 * become a dead letter; false: it has failed. `alone`: there was no other in its batch. */
bool cm_sink_kafka_refused(cm_sink_kafka_t *self, cm_str_t key, cm_str_t value,
                           rd_kafka_resp_err_t code, bool alone);

/* Whether there are so many that they shall not wait for a commit. */
bool cm_sink_kafka_refused_many(const cm_sink_kafka_t *self);

/* Finds out which of the refused events are refused for good, and gives them to options.refused.
 * Returns what the waiter or that function returns; then it can be called again and goes on. */
int cm_sink_kafka_refused_settle(cm_sink_kafka_t *self, cm_err_t *err);

/* Events of which it is not known yet what becomes of them. */
uint64_t cm_sink_kafka_refused_open(const cm_sink_kafka_t *self);

void cm_sink_kafka_refused_free(cm_sink_kafka_t *self);

#endif
