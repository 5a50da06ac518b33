/* Feed: a thread that sends the events of a source to a Kafka topic.
 *
 * `run` makes its synthetic traffic this way when events go through Kafka. The thread has a
 * pipeline of its own; open, check, stop and close are called by the thread that owns the feed. */
#ifndef CM_PIPELINE_FEED_H
#define CM_PIPELINE_FEED_H

#include "kafka/ends.h"
#include "kafka/options.h"
#include "pipeline/letters.h"
#include "pipeline/pipeline.h"

#include <pthread.h>

/* All are borrowed. */
typedef struct cm_feed_options {
    const cm_kafka_options_t *kafka;
    cm_source_t *source;
    cm_kafka_ends_t *ends; /* notes what Kafka has acknowledged */
    cm_letters_t *letters; /* takes what Kafka refuses permanently */
} cm_feed_options_t;

/* Must not move while it is open. */
typedef struct cm_feed {
    cm_pipeline_env_t env;
    cm_feed_options_t options;
    cm_kafka_settings_t kafka;
    uint64_t retries; /* failed attempts to reach Kafka at the start */
    /* the feed's own */
    cm_waiter_t waiter;
    cm_sink_t *producer;
    cm_pipeline_t pipeline;
    cm_err_t *open_err;
    int64_t stop_ns; /* when a wait first saw that the feed is told to stop */
    pthread_t thread;
    bool started;
    atomic_bool leave; /* tells the thread to stop */
    atomic_bool ended; /* the thread is about to end; then these are its result: */
    int rc;
    cm_err_t err;
} cm_feed_t;

/* Opens the topic, waiting for brokers that do not answer, and starts the thread. CM_ESTOP and the
 * errors of cm_sink_kafka_open(). To be closed also after a failure. */
int cm_feed_open(cm_feed_t *feed, const cm_pipeline_env_t *env, const cm_feed_options_t *options,
                 cm_err_t *err);

/* The failure of the thread, as soon as there is one; else 0. */
int cm_feed_check(const cm_feed_t *feed, cm_err_t *err);

/* Lets the thread send what it has, stores the letters that it waits with, and waits for its end.
 * What was put into the letters' store is committed before. */
void cm_feed_stop(cm_feed_t *feed);

/* Stops it, and closes all but the source. A feed of zeros is allowed. */
void cm_feed_close(cm_feed_t *feed);

#endif
