#include "source/readahead.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

/* Batches that are read ahead, about 200,000 events: this many are read while a block is packed and
 * written to the disk. With four slots an access log took a third longer. */
enum { SLOTS = 48 };

/* A batch between the two threads, with the result of next() for it. */
typedef struct slot {
    cm_batch_t batch;
    uint64_t done, total; /* progress after it */
    int rc;
    cm_err_t err;
} slot_t;

typedef struct readahead {
    cm_source_t source; /* first */
    cm_source_t *inner;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below except the slots themselves */
    pthread_cond_t changed;
    slot_t slots[SLOTS];
    unsigned filled, taken; /* counts of slots since the start; the slots in between belong to the
                               caller's thread */
    bool closing;
    uint64_t done, total; /* of the batch that was handed out last */
} readahead_t;

/* The next slot to fill; NULL when the caller closes. */
static slot_t *wait_for_room(readahead_t *self)
{
    pthread_mutex_lock(&self->lock);
    while (self->filled - self->taken == SLOTS && !self->closing)
        pthread_cond_wait(&self->changed, &self->lock);
    slot_t *slot = self->closing ? NULL : &self->slots[self->filled % SLOTS];
    pthread_mutex_unlock(&self->lock);
    return slot;
}

static void hand_over(readahead_t *self)
{
    pthread_mutex_lock(&self->lock);
    self->filled++;
    assert(self->filled - self->taken <= SLOTS);
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

static void *read_on(void *argument)
{
    readahead_t *self = argument;
    cm_batch_t batch = CM_BATCH_INIT;
    slot_t *slot;
    int rc = 1;

    while (rc > 0 && (slot = wait_for_room(self)) != NULL) {
        cm_batch_clear(&batch);
        rc = cm_source_next(self->inner, &batch, &slot->err);
        cm_batch_clear(&slot->batch);
        cm_batch_copy(&slot->batch, &batch);
        if (self->inner->ops->progress != NULL)
            self->inner->ops->progress(self->inner, &slot->done, &slot->total);
        slot->rc = rc;
        hand_over(self);
    }
    cm_batch_free(&batch);
    return NULL;
}

static int readahead_next(cm_source_t *source, cm_batch_t *batch, cm_err_t *err)
{
    readahead_t *self = (readahead_t *)source;

    pthread_mutex_lock(&self->lock);
    while (self->filled == self->taken)
        pthread_cond_wait(&self->changed, &self->lock);
    slot_t *slot = &self->slots[self->taken % SLOTS];
    int rc = slot->rc;
    cm_batch_t empty = *batch;
    *batch = slot->batch;
    slot->batch = empty;
    self->done = slot->done;
    self->total = slot->total;
    if (rc < 0)
        *err = slot->err;
    if (rc > 0) /* the last slot stays, for another call after the end */
        self->taken++;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
    return rc;
}

static void readahead_progress(const cm_source_t *source, uint64_t *done, uint64_t *total)
{
    const readahead_t *self = (const readahead_t *)source;
    *done = self->done;
    *total = self->total;
}

static void readahead_close(cm_source_t *source)
{
    readahead_t *self = (readahead_t *)source;

    pthread_mutex_lock(&self->lock);
    self->closing = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
    pthread_join(self->thread, NULL);
    for (int i = 0; i < SLOTS; i++)
        cm_batch_free(&self->slots[i].batch);
    pthread_cond_destroy(&self->changed);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

int cm_readahead_open(cm_source_t *inner, cm_source_t **source, cm_err_t *err)
{
    static const cm_source_ops_t ops = {readahead_next, readahead_progress, readahead_close, NULL};
    readahead_t *self = cm_alloc_zero(1, sizeof *self);

    self->source.ops = &ops;
    self->inner = inner;
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->changed, NULL);
    if (pthread_create(&self->thread, NULL, read_on, self) != 0) {
        pthread_cond_destroy(&self->changed);
        pthread_mutex_destroy(&self->lock);
        free(self);
        return cm_fail_thread(err);
    }
    *source = &self->source;
    return 0;
}
