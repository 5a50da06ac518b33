/* Events that Kafka refuses for good, on their way to the dead letters of the data directory.
 *
 * A command that does not have the directory's store open opens it for each call, or hands the
 * letters to the process that holds it (store/open.h). `run` has it open, for one thread:
 * the others wait until that one has stored their letters. */
#ifndef CM_PIPELINE_LETTERS_H
#define CM_PIPELINE_LETTERS_H

#include "event/batch.h"
#include "pipeline/env.h"
#include "sink/sink.h"

#include <pthread.h>
#include <stdatomic.h>

/* Must not move while it is open. */
typedef struct cm_letters {
    cm_pipeline_env_t env;
    const char *data_dir; /* NULL: not open */
    cm_sink_t *store; /* the directory's, of the thread that has called open; NULL: not open here */
    pthread_t owner;
    pthread_mutex_t turn;    /* held by the thread that hands letters over */
    pthread_mutex_t lock;    /* guards: */
    pthread_cond_t changed;  /* a batch was stored, or it is over */
    const cm_batch_t *batch; /* to be stored; NULL: none */
    bool closed;
    int rc; /* of the last one */
    cm_err_t err;
} cm_letters_t;

/* `store`: the sink of the data directory's store, where this thread has it open. */
void cm_letters_open(cm_letters_t *letters, const cm_pipeline_env_t *env, const char *data_dir,
                     cm_sink_t *store);

/* Stores a batch's dead letters: for cm_sink_kafka_options_t, on any thread. On another one than
 * that of the store it waits for cm_letters_step(). CM_EBUSY when another process holds the
 * directory and takes nothing, or this one is about to end; the errors of the store. */
int cm_letters_take(void *letters, const cm_batch_t *batch, cm_err_t *err);

/* Stores what another thread waits with. Nothing else may be put into the store and not committed:
 * a failure takes all of it back. It is returned to who waits. */
void cm_letters_step(cm_letters_t *letters);

/* Whether another thread waits. */
bool cm_letters_wait(cm_letters_t *letters);

/* Steps until `ended`, which a thread sets that may wait: before it is joined. */
void cm_letters_serve(cm_letters_t *letters, const atomic_bool *ended);

/* Nothing is stored any more: who waits is told so. */
void cm_letters_end(cm_letters_t *letters);

void cm_letters_close(cm_letters_t *letters);

#endif
