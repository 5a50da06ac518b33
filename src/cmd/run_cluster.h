/* The part of `run` that is elsewhere: traffic that takes its way through Kafka's topic, and a
 * store on Cassandra beside the embedded one.
 *
 * With Kafka a thread of its own sends the traffic to the topic, and what the run takes in comes
 * from there. With Cassandra each batch goes there and into the embedded store, which the answers
 * follow from; offsets count when both have it. Otherwise used by the run's thread alone. */
#ifndef CM_CMD_RUN_CLUSTER_H
#define CM_CMD_RUN_CLUSTER_H

#include "cmd/app.h"
#include "enrich/enriching.h"
#include "kafka/ends.h"
#include "kafka/options.h"
#include "pipeline/letters.h"
#include "pipeline/pipeline.h"
#include "sink/options.h"
#include "store/open.h"

#include <pthread.h>

typedef struct cm_cluster_options {
    int sink; /* cm_sink_choice_t */
    cm_store_options_t store;
    cm_kafka_options_t kafka;
} cm_cluster_options_t;

/* Must not move while it is open. */
typedef struct cm_cluster {
    cm_app_t *app;
    const cm_cluster_options_t *options;
    cm_kafka_settings_t kafka;
    cm_store_settings_t store;
    cm_waiter_t produce_waiter, dead_waiter, store_waiter;
    cm_kafka_ends_t ends; /* of what this run has in the topic, traffic and collected */
    cm_letters_t letters; /* of what Kafka refuses of it */
    uint64_t retries;     /* to reach a server in the beginning */
    cm_store_t *embedded, *remote;
    cm_source_t *traffic, *topic; /* NULL: none */
    cm_enriching_t enriching;     /* of messages that say more than the contract asks */
    cm_sink_t *producer, *dead, *tee, *divert;
    cm_pipeline_t *receiving;
    /* of the thread that sends */
    pthread_t thread;
    bool started;
    atomic_bool leave; /* tells it to stop */
    cm_pipeline_t sending;
    atomic_bool ended; /* it is about to; then these are its result: */
    int rc;
    cm_err_t err;
    /* Waiters' own: when they first saw that we shall stop. */
    int64_t stop_ns, produce_stop_ns;
    const char *waiting_for, *waiting_reason; /* a server that is away; NULL: none */
    void (*show)(void *context);              /* called while the run waits; may be NULL */
    void *show_context;
} cm_cluster_t;

/* Opens what the options ask for, and waits for servers that are away, with a line each time;
 * `geoip` is what messages are enriched with. `traffic` (NULL: none) comes in as what is made, and
 * goes out as what the run shall read from: Kafka's topic, where that is its way. `sink` is where
 * it shall put. `receiving` is the run's loop, which is made later. CM_ESTOP. */
int cm_cluster_open(cm_cluster_t *cluster, cm_app_t *app, const cm_cluster_options_t *options,
                    const char *geoip, cm_store_t *embedded, cm_pipeline_t *receiving,
                    cm_source_t **traffic, cm_sink_t **sink);

/* The failure of the thread that sends the traffic, as soon as there is one. */
int cm_cluster_check(cm_cluster_t *cluster, cm_err_t *err);

/* Looks whether a server is away that the run reads from or writes to: `waiting_for`. */
void cm_cluster_look(cm_cluster_t *cluster);

/* While it is on, only the second signal ends waits for Kafka, so that partitions can be taken
 * after the first. To be called behind cm_cluster_stop(), when no other thread uses the settings.
 */
void cm_cluster_read_on(cm_cluster_t *cluster, bool on);

/* What this run has in the topic and has not read from there. */
typedef struct cm_unread {
    int64_t messages; /* from where reading stands up to the last one of this run */
    bool at_least;    /* it is not known where reading begins: at or before this run's first one */
    bool others;      /* another consumer of the group has some of the partitions */
} cm_unread_t;

cm_unread_t cm_cluster_unread(cm_cluster_t *cluster);

/* Whether it still waits for its partitions of the topic, from brokers that answer: its group takes
 * some seconds for that. */
bool cm_cluster_joins(const cm_cluster_t *cluster);

/* Says what of that was not read in the end, if anything. */
void cm_cluster_tell_unread(const cm_cluster_t *cluster, const cm_unread_t *unread);

/* A sentence of where events go, for the run's first line: ", through ... and into ...". */
void cm_cluster_describe(const cm_cluster_t *cluster, cm_buf_t *text);

/* Lets the thread send what it has, and waits for its end. What was put into the store is committed
 * before. */
void cm_cluster_stop(cm_cluster_t *cluster);

/* Closes everything but what the run reads from. */
void cm_cluster_close(cm_cluster_t *cluster);

#endif
