/* The servers that `run` may use: traffic that goes through Kafka's topic, and a store on Cassandra
 * beside the embedded one.
 *
 * With Kafka a thread of its own sends the traffic to the topic (pipeline/feed.h), and the run
 * reads all events from there. With Cassandra each batch goes there and into the embedded store,
 * which the answers follow; an offset counts when both have its event. Otherwise used by the run's
 * thread alone. */
#ifndef CM_CMD_RUN_CLUSTER_H
#define CM_CMD_RUN_CLUSTER_H

#include "cmd/app.h"
#include "pipeline/feed.h"
#include "pipeline/intake.h"
#include "sink/options.h"
#include "store/open.h"

typedef struct cm_cluster_options {
    cm_sink_options_t sink;
    cm_store_options_t store;
} cm_cluster_options_t;

/* For a cm_cluster_options_t: where events go, and the servers. */
extern const cm_option_t cm_cluster_way_rows[];
extern const cm_option_t cm_cluster_server_rows[];

/* Must not move while it is open. */
typedef struct cm_cluster {
    cm_app_t *app;
    const cm_cluster_options_t *options;
    cm_store_settings_t store;
    cm_kafka_ends_t ends; /* of what this run has in the topic: traffic and collected events */
    cm_letters_t letters; /* of what Kafka refuses of it */
    uint64_t retries;     /* failed attempts to reach Cassandra at the start */
    cm_store_t *remote;   /* NULL: none */
    cm_sink_t *tee;
    cm_source_t *traffic; /* what the feed sends; NULL: none */
    cm_feed_t feed;
    cm_intake_t intake;
} cm_cluster_t;

/* Opens what the options ask for, and waits for servers that do not answer, with a line per
 * attempt. `enrich` is how messages are enriched. `*traffic` (NULL: none) is what the run
 * makes; it becomes what the run is to read from: the topic, where there is one. `*sink` becomes
 * where the run is to put events. `pipeline` is the run's, which is started later. CM_ESTOP. */
int cm_cluster_open(cm_cluster_t *cluster, cm_app_t *app, const cm_cluster_options_t *options,
                    const cm_enrich_settings_t *enrich, cm_store_t *embedded,
                    cm_pipeline_t *pipeline, cm_source_t **traffic, cm_sink_t **sink);

/* Appends where events go, for the run's first line: ", through ... and into ...". */
void cm_cluster_describe(const cm_cluster_t *cluster, cm_buf_t *text);

/* Closes everything except what the run reads from. */
void cm_cluster_close(cm_cluster_t *cluster);

#endif
