#include "serve/fair_queue.h"

#include "base/clock.h"
#include "base/process.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

enum {
    THREADS_MAX = 8,
    BEGUN_EACH = 4, /* jobs per thread that are begun: each may need much memory */
    NICE =
        CM_LOWER_PRIORITY / 2, /* of the threads: other threads do the short jobs, which go first */
};

/* An address that has jobs, which are done one after the other. */
typedef struct cm_fair_owner {
    uint64_t hash;
    int64_t used_ns; /* the owner with the least gets the next slice */
    bool busy;       /* a thread works on its first job */
    cm_fair_job_t *first, *last;
    struct cm_fair_owner *next;
} cm_fair_owner_t;

struct cm_fair_queue {
    cm_fair_job_fn go;
    cm_fair_drop_fn drop;
    pthread_t threads[THREADS_MAX];
    int thread_count, begun_max;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t added;
    bool stop;
    int begun;
    cm_fair_owner_t *owners;
};

/* ---- owners ---- */

/* A new owner begins with the least time of the others, so that it gets no more slices than they.
 */
static cm_fair_owner_t *owner_of(cm_fair_queue_t *queue, uint64_t hash)
{
    int64_t least = INT64_MAX;
    cm_fair_owner_t **at = &queue->owners;

    for (; *at != NULL; at = &(*at)->next) {
        if ((*at)->hash == hash)
            return *at;
        if ((*at)->used_ns < least)
            least = (*at)->used_ns;
    }
    *at = cm_alloc_zero(1, sizeof **at);
    (*at)->hash = hash;
    (*at)->used_ns = least < INT64_MAX ? least : 0;
    return *at;
}

static void remove_owner(cm_fair_queue_t *queue, cm_fair_owner_t *owner)
{
    cm_fair_owner_t **at = &queue->owners;

    while (*at != owner)
        at = &(*at)->next;
    *at = owner->next;
    free(owner);
}

/* The owner that gets the next slice; NULL when there is no work for a thread. */
static cm_fair_owner_t *next_owner(const cm_fair_queue_t *queue)
{
    const bool full = queue->begun >= queue->begun_max;
    cm_fair_owner_t *next = NULL;

    for (cm_fair_owner_t *owner = queue->owners; owner != NULL; owner = owner->next) {
        if (!owner->busy && owner->first != NULL && (!full || owner->first->begun) &&
            (next == NULL || owner->used_ns < next->used_ns))
            next = owner;
    }
    return next;
}

/* ---- threads ---- */

static void push_first(cm_fair_owner_t *owner, cm_fair_job_t *job)
{
    job->next = owner->first;
    owner->first = job;
    if (owner->last == NULL)
        owner->last = job;
}

static cm_fair_job_t *pop_first(cm_fair_owner_t *owner)
{
    cm_fair_job_t *job = owner->first;

    owner->first = job->next;
    if (owner->first == NULL)
        owner->last = NULL;
    return job;
}

/* The lock is held before and after, and released while the job is done. */
static void run_slice(cm_fair_queue_t *queue, cm_fair_owner_t *owner)
{
    cm_fair_job_t *job = pop_first(owner);

    owner->busy = true;
    queue->begun += !job->begun;
    job->begun = true;
    pthread_mutex_unlock(&queue->lock);
    const int64_t begin_ns = cm_clock_ticks_ns();
    const bool done = queue->go(job, begin_ns + CM_FAIR_SLICE_MS * INT64_C(1000000));
    const int64_t used_ns = cm_clock_ticks_ns() - begin_ns;
    pthread_mutex_lock(&queue->lock);
    assert(owner->busy && queue->begun > 0 && queue->begun <= queue->begun_max);
    owner->busy = false;
    owner->used_ns += used_ns;
    if (done)
        queue->begun--;
    else
        push_first(owner, job);
    if (owner->first == NULL)
        remove_owner(queue, owner);
}

static void *work(void *context)
{
    cm_fair_queue_t *queue = context;

    cm_process_lower_priority(NICE);
    pthread_mutex_lock(&queue->lock);
    while (!queue->stop) {
        cm_fair_owner_t *owner = next_owner(queue);
        if (owner != NULL)
            run_slice(queue, owner);
        else
            pthread_cond_wait(&queue->added, &queue->lock);
    }
    pthread_mutex_unlock(&queue->lock);
    return NULL;
}

int cm_fair_queue_start(int threads, cm_fair_job_fn go, cm_fair_drop_fn drop, cm_fair_queue_t **out,
                        cm_err_t *err)
{
    cm_fair_queue_t *queue = cm_alloc_zero(1, sizeof *queue);
    bool started = true;

    queue->go = go;
    queue->drop = drop;
    queue->begun_max = BEGUN_EACH * threads;
    pthread_mutex_init(&queue->lock, NULL);
    pthread_cond_init(&queue->added, NULL);
    while (started && queue->thread_count < threads && queue->thread_count < THREADS_MAX) {
        started = cm_process_start(&queue->threads[queue->thread_count], work, queue);
        queue->thread_count += started;
    }
    if (started) {
        *out = queue;
        return 0;
    }
    cm_fair_queue_stop(queue);
    cm_fair_queue_free(queue);
    return cm_fail_thread(err);
}

void cm_fair_queue_add(cm_fair_queue_t *queue, cm_fair_job_t *job, uint64_t hash)
{
    *job = (cm_fair_job_t){.next = NULL};
    pthread_mutex_lock(&queue->lock);
    const bool stopped = queue->stop;
    if (!stopped) {
        cm_fair_owner_t *owner = owner_of(queue, hash);
        if (owner->last != NULL)
            owner->last->next = job;
        else
            owner->first = job;
        owner->last = job;
        pthread_cond_signal(&queue->added);
    }
    pthread_mutex_unlock(&queue->lock);
    if (stopped)
        queue->drop(job);
}

void cm_fair_queue_stop(cm_fair_queue_t *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->stop = true;
    pthread_cond_broadcast(&queue->added);
    pthread_mutex_unlock(&queue->lock);
    for (int i = 0; i < queue->thread_count; i++)
        pthread_join(queue->threads[i], NULL);
    queue->thread_count = 0;
    while (queue->owners != NULL) {
        cm_fair_owner_t *owner = queue->owners;
        while (owner->first != NULL)
            queue->drop(pop_first(owner));
        remove_owner(queue, owner);
    }
}

void cm_fair_queue_free(cm_fair_queue_t *queue)
{
    if (queue == NULL)
        return;
    assert(queue->thread_count == 0 && queue->owners == NULL);
    pthread_cond_destroy(&queue->added);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}
