#include "pipeline/letters.h"

#include "store/open.h"

enum { STEP_MS = 5 };

void cm_letters_open(cm_letters_t *letters, const cm_pipeline_env_t *env, const char *data_dir,
                     cm_sink_t *store)
{
    *letters =
        (cm_letters_t){.env = *env, .data_dir = data_dir, .store = store, .owner = pthread_self()};
    pthread_mutex_init(&letters->turn, NULL);
    pthread_mutex_init(&letters->lock, NULL);
    pthread_cond_init(&letters->changed, NULL);
}

static int store_into(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err)
{
    int rc = cm_sink_put(sink, batch, err);
    return rc < 0 ? rc : cm_sink_commit(sink, err);
}

/* Into the directory, or through the process that holds it. */
static int store_outside(const cm_letters_t *letters, const cm_batch_t *batch, cm_err_t *err)
{
    const cm_pipeline_env_t *env = &letters->env;
    cm_store_t *store = NULL;

    int rc =
        cm_store_open_shared(letters->data_dir, env->clock, env->stop, env->messages, &store, err);
    if (rc == 0)
        rc = store_into(&store->sink, batch, err);
    cm_store_close(store);
    return rc;
}

/* Gives the batch to the owner's thread and waits until it is stored. */
static int hand_over(cm_letters_t *letters, const cm_batch_t *batch, cm_err_t *err)
{
    pthread_mutex_lock(&letters->turn);
    pthread_mutex_lock(&letters->lock);
    letters->batch = batch;
    while (letters->batch != NULL && !letters->closed)
        pthread_cond_wait(&letters->changed, &letters->lock);
    const bool stored = letters->batch == NULL;
    letters->batch = NULL;
    int rc = letters->rc;
    if (stored)
        *err = letters->err;
    pthread_mutex_unlock(&letters->lock);
    pthread_mutex_unlock(&letters->turn);
    return stored ? rc : cm_fail(err, CM_EBUSY, "the program is about to end");
}

int cm_letters_take(void *context, const cm_batch_t *batch, cm_err_t *err)
{
    cm_letters_t *letters = context;

    int rc = letters->store == NULL ? store_outside(letters, batch, err)
             : pthread_equal(pthread_self(), letters->owner)
                 ? store_into(letters->store, batch, err)
                 : hand_over(letters, batch, err);
    if (rc == 0 && batch->dead_count > 0)
        cm_log(letters->env.log, CM_LOG_WARN, "Kafka refuses events: they are dead letters now",
               "events=%zu reason=\"%.*s\"", batch->dead_count, (int)batch->dead[0].reason.len,
               batch->dead[0].reason.data);
    return rc;
}

bool cm_letters_wait(cm_letters_t *letters)
{
    pthread_mutex_lock(&letters->lock);
    const bool wait = letters->batch != NULL;
    pthread_mutex_unlock(&letters->lock);
    return wait;
}

void cm_letters_step(cm_letters_t *letters)
{
    pthread_mutex_lock(&letters->lock);
    if (letters->batch != NULL) {
        letters->rc = store_into(letters->store, letters->batch, &letters->err);
        letters->batch = NULL;
        pthread_cond_broadcast(&letters->changed);
    }
    pthread_mutex_unlock(&letters->lock);
}

void cm_letters_serve(cm_letters_t *letters, const atomic_bool *ended)
{
    while (!atomic_load(ended)) {
        cm_letters_step(letters);
        cm_sleep_ms(STEP_MS);
    }
}

void cm_letters_end(cm_letters_t *letters)
{
    if (letters->data_dir == NULL) /* was not opened */
        return;
    pthread_mutex_lock(&letters->lock);
    letters->closed = true;
    pthread_cond_broadcast(&letters->changed);
    pthread_mutex_unlock(&letters->lock);
}

void cm_letters_close(cm_letters_t *letters)
{
    if (letters->data_dir == NULL)
        return;
    pthread_cond_destroy(&letters->changed);
    pthread_mutex_destroy(&letters->lock);
    pthread_mutex_destroy(&letters->turn);
}
