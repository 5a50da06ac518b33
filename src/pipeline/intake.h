/* Intake: a Kafka topic as the source of a pipeline, and its dead letters.
 *
 * What `ingest`, `process --follow` and `run` share: it joins the consumer group, keeps the offsets
 * in the transactions of the data directory's store, sends dead letters to their topic, and stays
 * in the group while a server is waited for. Used by the pipeline's thread alone. */
#ifndef CM_PIPELINE_INTAKE_H
#define CM_PIPELINE_INTAKE_H

#include "enrich/options.h"
#include "kafka/options.h"
#include "pipeline/driver.h"
#include "source/kafka/source.h"
#include "store/store.h"

typedef struct cm_intake_options {
    const cm_kafka_options_t *kafka; /* borrowed */
    cm_timestamp_format_t times;     /* how timestamps are read */
    cm_store_t *positions; /* the store whose transactions keep the offsets; NULL: the group does */
    cm_pipeline_t *pipeline; /* is committed before partitions are given back */
    bool dead_topic;         /* dead letters go to their topic, else into the store */
    bool or_group;           /* see cm_source_kafka_options_t, as the next two */
    bool until_end;
    int64_t count;
} cm_intake_options_t;

/* Must not move while it is open. */
typedef struct cm_intake {
    cm_pipeline_env_t env;
    cm_intake_options_t options;
    cm_kafka_settings_t kafka;
    const char *store_engine; /* what sentences call the store that is waited for */
    cm_waiter_t store_waiter; /* for a store on a server: the intake stays in its group meanwhile */
    cm_source_t *topic;       /* NULL: not open; the caller may close it through the pipeline */
    uint64_t retries;         /* failed attempts to reach a server at the start */
    const char *waiting_for, *waiting_reason; /* a server that does not answer; NULL: none */
    cm_driver_t *driver;                      /* shows its status during a wait; NULL: none yet */
    /* the intake's own */
    cm_waiter_t dead_waiter;
    cm_enrich_thread_t enriching;
    cm_sink_t *dead, *divert;
    int64_t stop_ns; /* when a wait first saw that the pipeline is told to stop */
    cm_err_t *err;   /* of the open that is at work */
} cm_intake_t;

/* To be called first: makes the waiter, and what completes messages that have an address or a user
 * agent. `store_engine`: of the store that gets the events (cm_store_engine()), for the sentences
 * of a wait; NULL: that store waits for no server. `enrich`: its database, and what becomes of
 * bots. CM_EINPUT. To be closed also after a failure. */
int cm_intake_init(cm_intake_t *intake, const cm_pipeline_env_t *env, const char *store_engine,
                   const cm_enrich_settings_t *enrich, cm_err_t *err);

/* Opens the topic, and that of the dead letters. Brokers that do not answer are waited for, with a
 * line per attempt. CM_ESTOP, CM_EUSAGE, CM_EINPUT. To be closed also after a failure. */
int cm_intake_open(cm_intake_t *intake, const cm_intake_options_t *options, cm_err_t *err);

/* The sink of the pipeline: `store`, or a sink that sends the dead letters to their topic and the
 * rest to `store`. It belongs to the intake. */
cm_sink_t *cm_intake_sink(cm_intake_t *intake, cm_sink_t *store);

/* Notes which server does not answer: Kafka, the schema registry, or that of `store` (NULL: none).
 */
void cm_intake_note_waiting(cm_intake_t *intake, cm_store_t *store);

/* Appends "; waiting for Kafka: reason", if a server is waited for. */
void cm_intake_add_waiting(const cm_intake_t *intake, cm_buf_t *line);

/* CM_EINPUT when the database of the enrichment failed while it was used. */
int cm_intake_check(const cm_intake_t *intake, cm_err_t *err);

/* Closes everything but the topic, which the pipeline may have closed already. */
void cm_intake_close(cm_intake_t *intake);

/* ---- what is left of the topic ---- */

/* The most partitions of one consumer that are looked at; the lag of more is not counted. */
enum { CM_INTAKE_PARTITIONS = 1024 };

/* Appends ", 6 partitions, lag 1,234 (3: 1,000, 0: 234)", the largest first; of partitions with an
 * unknown lag it says how many there are, never that it is 0. Moves the elements of `lags`. */
void cm_intake_add_lags(cm_buf_t *line, cm_source_kafka_lag_t *lags, size_t count);

/* The same for the partitions that the source has now. */
void cm_intake_add_lag(cm_buf_t *line, const cm_source_t *topic);

/* Appends "5,678 messages, 90/s", and the same. */
void cm_intake_add_reading(cm_buf_t *line, const cm_source_t *topic, const cm_driver_pace_t *pace);

/* Appends the member "partitions" of a JSON object: each one with position, end and lag. */
void cm_intake_add_partitions_json(cm_buf_t *json, const cm_source_t *topic);

#endif
