/* The collector in `run`. With the embedded store its events are put by the run's own thread, step
 * by step; where they go to Kafka's topic, from which the run then takes them in like all others, a
 * thread of its own sends them. */
#ifndef CM_CMD_RUN_COLLECT_H
#define CM_CMD_RUN_COLLECT_H

#include "cmd/app.h"
#include "kafka/ends.h"
#include "kafka/options.h"
#include "pipeline/spooling.h"
#include "serve/collecting.h"

/* Must not move while it is open. */
typedef struct cm_run_collect {
    cm_collecting_t collecting;
    cm_spooling_t spooling;
    cm_letters_t *letters; /* that the thread may wait for */
    /* of the thread that sends to Kafka */
    pthread_t thread;
    bool started;
    atomic_bool stop, ended; /* ended: these are its result: */
    int rc;
    cm_err_t err;
} cm_run_collect_t;

/* `kafka`: where events go, and `ends` notes how far they are there, `letters` takes those that
 * it refuses; NULL: the sink that is given to cm_run_collect_step(). */
int cm_run_collect_open(cm_run_collect_t *run, cm_app_t *app, const cm_collect_given_t *given,
                        const cm_kafka_options_t *kafka, cm_kafka_ends_t *ends,
                        cm_letters_t *letters, cm_store_t *store, cm_err_t *err);

/* Waits up to `wait_ms` for events and puts them. 1: there were some, 0: none. With Kafka returns
 * at once, with the thread's failure if there is one. */
int cm_run_collect_step(cm_run_collect_t *run, cm_sink_t *sink, int wait_ms, cm_err_t *err);

/* Takes no more, and stores or sends what is there, for Kafka as cm_spooling_drain(). */
int cm_run_collect_stop(cm_run_collect_t *run, cm_sink_t *sink, cm_err_t *err);

/* Tells those who still wait that their events are not stored: before the server is stopped. */
void cm_run_collect_give_up(cm_run_collect_t *run);

/* After the server. */
void cm_run_collect_close(cm_run_collect_t *run);

#endif
