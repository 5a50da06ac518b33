/* The collector in `run`. With the embedded store the run's own thread puts its events, step by
 * step. Where they go to Kafka's topic, from which the run then reads them like all others, a
 * thread of its own sends them. All functions are called by the run's thread. */
#ifndef CM_CMD_RUN_COLLECT_H
#define CM_CMD_RUN_COLLECT_H

#include "pipeline/driver.h"
#include "pipeline/spooling.h"
#include "serve/collecting.h"
#include "sink/options.h"

#include <pthread.h>

/* Where events go; all is borrowed. */
typedef struct cm_run_collect_way {
    cm_store_t *store;               /* the data directory's */
    cm_sink_t *sink;                 /* of the run; */
    const cm_store_t *fits;          /* what it keeps (pipeline.h); or, where it is not NULL: */
    const cm_sink_options_t *server; /* Kafka's topic, through a spool */
    cm_kafka_ends_t *ends;           /* notes what Kafka has acknowledged */
    cm_letters_t *letters;           /* takes what Kafka refuses permanently */
} cm_run_collect_way_t;

/* Must not move while it is open. */
typedef struct cm_run_collect {
    cm_collecting_t collecting;
    cm_spooling_t spooling;
    cm_store_t *store;     /* the data directory's */
    cm_letters_t *letters; /* that the thread may wait for */
    bool daily_recorded;   /* see cm_run_collect_record() */
    /* of the thread that sends to Kafka */
    pthread_t thread;
    bool started;
    atomic_bool stop;  /* tells the thread to stop */
    atomic_bool ended; /* it is about to end; then these are its result: */
    int rc;
    cm_err_t err;
} cm_run_collect_t;

int cm_run_collect_open(cm_run_collect_t *run, const cm_pipeline_env_t *env, const char *data_dir,
                        const cm_collect_given_t *given, const cm_run_collect_way_t *way,
                        cm_err_t *err);

/* Waits up to `wait_ms` for events and puts them. 1: there were some, 0: none. With Kafka it
 * returns at once, with the thread's failure if there is one. */
int cm_run_collect_step(cm_run_collect_t *run, int wait_ms, cm_err_t *err);

/* Records in the data directory that the collector has given ids that live for one day, where its
 * events come back from Kafka: else the collector itself records it. With nothing uncommitted. */
int cm_run_collect_record(cm_run_collect_t *run, cm_err_t *err);

/* Takes no more, and stores or sends what has come, for Kafka as cm_spooling_drain(). */
int cm_run_collect_stop(cm_run_collect_t *run, cm_err_t *err);

/* Tells clients that still wait that their events are not stored: before the server is stopped. */
void cm_run_collect_give_up(cm_run_collect_t *run);

/* After the server was stopped. */
void cm_run_collect_close(cm_run_collect_t *run);

#endif
