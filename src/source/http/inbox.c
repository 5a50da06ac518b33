#include "source/http/inbox.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum {
    WAIT_MS = 200,
    LARGE = 4 * CM_BATCH_EVENTS,
};

typedef struct waiting {
    void *ticket;
    uint64_t batch; /* number of the batch that holds its events, from 1 */
    size_t bytes;
} waiting_t;

typedef struct tickets {
    waiting_t *all;
    size_t count, cap;
} tickets_t;

struct cm_inbox {
    cm_source_t source; /* first */
    cm_inbox_done_fn done;
    size_t max_bytes;
    int wait_ms;
    bool deferred;        /* only ring() wakes the source's thread */
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t arrived;
    cm_batch_t filling;
    tickets_t waiting; /* in the order of their batches */
    size_t bytes;      /* of all events that are not durable */
    uint64_t given;    /* batches that next() has returned */
    bool closed;
    tickets_t settled; /* used by the source's thread only: tickets to give back */
};

static void append(tickets_t *tickets, const waiting_t *more, size_t count)
{
    if (tickets->count + count > tickets->cap) {
        tickets->cap = tickets->cap * 2 + count + 64;
        tickets->all = cm_realloc(tickets->all, tickets->cap * sizeof *tickets->all);
    }
    memcpy(tickets->all + tickets->count, more, count * sizeof *more);
    tickets->count += count;
}

static cm_inbox_result_t put(cm_inbox_t *inbox, const cm_batch_t *batch, size_t bytes,
                             size_t max_bytes, void *ticket)
{
    cm_inbox_result_t result = CM_INBOX_TAKEN;

    pthread_mutex_lock(&inbox->lock);
    if (batch->count > 0 && inbox->closed)
        result = CM_INBOX_CLOSED;
    else if (batch->count > 0 && inbox->bytes > 0 && inbox->bytes + bytes > max_bytes)
        result = CM_INBOX_FULL;
    bool first = inbox->filling.count == 0;
    if (result == CM_INBOX_TAKEN)
        cm_batch_copy(&inbox->filling, batch);
    if (result == CM_INBOX_TAKEN && batch->count > 0) {
        append(&inbox->waiting, &(waiting_t){ticket, inbox->given + 1, bytes}, 1);
        inbox->bytes += bytes;
        if (first && !inbox->deferred)
            pthread_cond_signal(&inbox->arrived);
    }
    pthread_mutex_unlock(&inbox->lock);
    return result;
}

cm_inbox_result_t cm_inbox_put(cm_inbox_t *inbox, const cm_batch_t *batch, size_t bytes,
                               void *ticket)
{
    return put(inbox, batch, bytes, inbox->max_bytes, ticket);
}

cm_inbox_result_t cm_inbox_put_many(cm_inbox_t *inbox, const cm_batch_t *batch, size_t bytes,
                                    void *ticket)
{
    return put(inbox, batch, bytes, inbox->max_bytes / 2, ticket);
}

void cm_inbox_defer(cm_inbox_t *inbox)
{
    inbox->deferred = true;
}

void cm_inbox_ring(cm_inbox_t *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    if (inbox->filling.count > 0)
        pthread_cond_signal(&inbox->arrived);
    pthread_mutex_unlock(&inbox->lock);
}

/* ---- the source's side ---- */

static int inbox_next(cm_source_t *source, cm_batch_t *batch, cm_err_t *err)
{
    cm_inbox_t *inbox = (cm_inbox_t *)source;
    const struct timespec until = cm_clock_until(inbox->wait_ms);
    (void)err;

    pthread_mutex_lock(&inbox->lock);
    while (inbox->filling.count == 0 && !inbox->closed &&
           pthread_cond_timedwait(&inbox->arrived, &inbox->lock, &until) == 0)
        ;
    /* The caller's batch is empty: put() will fill its memory next. */
    cm_batch_t full = inbox->filling;
    if (batch->cap > LARGE) /* after a peak: the memory may not be needed again soon */
        cm_batch_free(batch);
    inbox->filling = *batch;
    *batch = full;
    inbox->given++;
    bool ended = inbox->closed && batch->count == 0;
    pthread_mutex_unlock(&inbox->lock);
    return ended ? 0 : 1;
}

/* Gives back the first tickets: those of batches up to `batch`. */
static void settle(cm_inbox_t *inbox, uint64_t batch, bool durable)
{
    size_t count = 0;

    pthread_mutex_lock(&inbox->lock);
    tickets_t *waiting = &inbox->waiting;
    while (count < waiting->count && waiting->all[count].batch <= batch)
        inbox->bytes -= waiting->all[count++].bytes;
    if (count > 0) {
        append(&inbox->settled, waiting->all, count);
        waiting->count -= count;
        memmove(waiting->all, waiting->all + count, waiting->count * sizeof *waiting->all);
    }
    pthread_mutex_unlock(&inbox->lock);
    for (size_t i = 0; i < inbox->settled.count; i++)
        inbox->done(inbox->settled.all[i].ticket, durable);
    inbox->settled.count = 0;
}

static int inbox_acknowledge(cm_source_t *source, uint64_t batches, cm_err_t *err)
{
    (void)err;
    settle((cm_inbox_t *)source, batches, true);
    return 0;
}

void cm_inbox_fail(cm_inbox_t *inbox)
{
    settle(inbox, inbox->closed ? UINT64_MAX : inbox->given, false);
}

void cm_inbox_close(cm_inbox_t *inbox)
{
    pthread_mutex_lock(&inbox->lock);
    inbox->closed = true;
    pthread_cond_signal(&inbox->arrived);
    pthread_mutex_unlock(&inbox->lock);
}

static void inbox_close(cm_source_t *source)
{
    cm_inbox_t *inbox = (cm_inbox_t *)source;

    settle(inbox, UINT64_MAX, false);
    cm_batch_free(&inbox->filling);
    free(inbox->waiting.all);
    free(inbox->settled.all);
    pthread_cond_destroy(&inbox->arrived);
    pthread_mutex_destroy(&inbox->lock);
    free(inbox);
}

cm_inbox_t *cm_inbox_new(size_t max_bytes, cm_inbox_done_fn done)
{
    static const cm_source_ops_t ops = {
        .next = inbox_next, .close = inbox_close, .acknowledge = inbox_acknowledge};
    cm_inbox_t *inbox = cm_alloc_zero(1, sizeof *inbox);

    inbox->source.ops = &ops;
    inbox->done = done;
    inbox->max_bytes = max_bytes;
    inbox->wait_ms = WAIT_MS;
    pthread_mutex_init(&inbox->lock, NULL);
    cm_clock_cond_init(&inbox->arrived);
    return inbox;
}

cm_source_t *cm_inbox_source(cm_inbox_t *inbox)
{
    return &inbox->source;
}

void cm_inbox_set_wait(cm_inbox_t *inbox, int ms)
{
    inbox->wait_ms = ms;
}
