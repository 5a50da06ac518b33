/* `process`: the parts behind its options. One thread. */
#ifndef CM_CMD_PROCESS_H
#define CM_CMD_PROCESS_H

#include "cmd/app.h"
#include "enrich/options.h"
#include "event/timestamp_options.h"
#include "kafka/options.h"
#include "pipeline/spark/spark.h"
#include "store/options.h"

typedef struct cm_processing_options {
    int64_t every; /* ms; 0: once */
    const char *windows;
    bool rebuild;
    int64_t threads;
    bool follow, until_end;
    cm_store_options_t store;
    cm_index_options_t index;
    cm_kafka_options_t kafka;
    int engine;
    cm_enrich_settings_t enrich; /* of its geoip and bots */
    cm_timestamp_options_t times;
    cm_spark_options_t spark;
} cm_processing_options_t;

enum { CM_PROCESSING_MILL, CM_PROCESSING_SPARK }; /* the choices of --engine */

/* Refreshes the answers once, and prints the account where anything has changed or it is the first
 * time. The store is open, and its lock held, only meanwhile: between two times other commands may
 * write. CM_EBUSY when another process holds it. `windows`: bits of the windows that are kept. */
int cm_processing_once(cm_app_t *app, const cm_processing_options_t *asked, unsigned windows,
                       bool first);

/* Follows Kafka's topic until the app is told to stop, or the topic's end (--until-end).
 *
 * It reads the topic as a consumer group of its own into the embedded store, whose transactions
 * hold the offsets too, so that each message counts exactly once. It refreshes the answers
 * regularly, and beside that an index elsewhere, where one is configured. */
int cm_processing_follow(cm_app_t *app, const cm_processing_options_t *asked, unsigned windows);

#endif
