/* Letters: events that Kafka refuses permanently become dead letters of the data directory.
 *
 * A command that does not have the directory's store open opens it for each call, or gives the
 * letters to the process that holds it (store/open.h). `run` has the store open, for its main
 * thread: other threads wait until that one has stored their letters. */
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
    cm_sink_t
        *store; /* of the directory, used by the thread that called open; NULL: not open here */
    pthread_t owner;
    pthread_mutex_t turn;    /* held by the thread that waits with a batch */
    pthread_mutex_t lock;    /* guards: */
    pthread_cond_t changed;  /* a batch was stored, or the end has come */
    const cm_batch_t *batch; /* to be stored; NULL: none */
    bool closed;
    int rc; /* of the last one */
    cm_err_t err;
} cm_letters_t;

/* `store`: the sink of the data directory's store, where this thread has it open. */
void cm_letters_open(cm_letters_t *letters, const cm_pipeline_env_t *env, const char *data_dir,
                     cm_sink_t *store);

/* Stores the dead letters of a batch: a function for cm_sink_kafka_options_t, for any thread.
 * Another thread than the store's waits for cm_letters_step(). CM_EBUSY when another process holds
 * the directory and does not share it, or when this process is about to end; the errors of the
 * store. */
int cm_letters_take(void *letters, const cm_batch_t *batch, cm_err_t *err);

/* Stores the batch that another thread waits with. The store has nothing uncommitted, because a
 * failure takes back everything. The failure is returned to the thread that waits. */
void cm_letters_step(cm_letters_t *letters);

/* Whether another thread waits with a batch. */
bool cm_letters_wait(cm_letters_t *letters);

/* Steps until `ended` is set by a thread that may wait with a batch: to be called before that
 * thread is joined. */
void cm_letters_serve(cm_letters_t *letters, const atomic_bool *ended);

/* From now on nothing is stored: a thread that waits gets CM_EBUSY. */
void cm_letters_end(cm_letters_t *letters);

void cm_letters_close(cm_letters_t *letters);

#endif
