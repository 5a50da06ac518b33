/* What `ingest` is made of: the loop in ingest.c, what it shows in ingest_status.c. */
#ifndef CM_CMD_INGEST_H
#define CM_CMD_INGEST_H

#include "cmd/app.h"
#include "enrich/enriching.h"
#include "event/timestamp_options.h"
#include "kafka/options.h"
#include "pipeline/pipeline.h"
#include "source/kafka/source.h"
#include "store/open.h"

enum { CM_RESUME_STORE, CM_RESUME_GROUP };
enum { CM_DEAD_TO_TOPIC, CM_DEAD_TO_STORE };

typedef struct cm_ingest_options {
    cm_store_options_t store;
    int64_t count;
    bool until_end;
    int resume, dead_to;
    const char *geoip;
    cm_timestamp_options_t times;
    cm_kafka_options_t kafka;
} cm_ingest_options_t;

typedef struct cm_ingest {
    cm_app_t *app;
    const cm_ingest_options_t *options;
    cm_kafka_settings_t settings;
    cm_store_settings_t store_settings;
    cm_waiter_t dead_waiter, store_waiter;
    cm_enriching_t enriching; /* of messages that say more than the contract asks */
    cm_timestamp_format_t times;
    cm_store_t *store;
    cm_sink_t *dead;   /* topic of the dead letters; NULL: they go into the store */
    cm_sink_t *divert; /* parts the two; NULL where there is nothing to part */
    cm_source_t *source;
    cm_pipeline_t pipeline;
    uint64_t retries;                         /* to reach a server in the beginning */
    const char *waiting_for, *waiting_reason; /* a server that is away; NULL: none */
    int64_t stop_ns;                          /* when a waiter first saw that we shall stop */
    /* of the status line */
    int64_t started_ns, shown_ns;
    uint64_t shown_read;
} cm_ingest_t;

/* Begins the status: from now on rates are counted. */
void cm_ingest_start_status(cm_ingest_t *self);

/* Shows rate, lag, retries and dead letters when it is time to: a line that is written over on a
 * terminal, a line now and then elsewhere. */
void cm_ingest_show_status(cm_ingest_t *self);

/* Appends "5,678 messages, 90/s, 6 partitions, lag 1,234 (3: 1,000, 0: 234)": how many were read in
 * all, how fast those of late in that many seconds, and what is left of the topic. */
void cm_ingest_add_reading(cm_buf_t *line, const cm_source_t *source, uint64_t read,
                           uint64_t lately, double seconds);

/* Appends ", 6 partitions, lag 1,234 (3: 1,000, 0: 234)", the largest first; of partitions whose
 * lag is not known it says that and how many, never that it is 0. Moves the elements of `lags`. */
void cm_ingest_add_lag(cm_buf_t *line, cm_source_kafka_lag_t *lags, size_t count);

/* The account of the run. */
void cm_ingest_print_account(cm_ingest_t *self);

#endif
