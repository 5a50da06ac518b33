#include "serve/fair_queue.h"

#include "base/clock.h"
#include "base/process.h"

#include <pthread.h>
#include <stdlib.h>

enum {
    THREADS_MAX = 8,
    BEGUN_EACH = 4,          /* jobs a thread that are begun: each of them may take much memory */
    NICE = CM_STEP_BACK / 2, /* of the threads: short jobs, which others do, come first */
};

/* An address that has jobs; the first one's turn is next. */
typedef struct cm_fair_owner {
    uint64_t hash;
    int64_t used_ns; /* the least has the next turn */
    bool busy;       /* a thread is at its first job */
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

/* A new one begins where the others stand, so that it has no more turns than they. */
static cm_fair_owner_t *owner_of(cm_fair_queue_t *turns, uint64_t hash)
{
    int64_t least = INT64_MAX;
    cm_fair_owner_t **at = &turns->owners;

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

static void remove_owner(cm_fair_queue_t *turns, cm_fair_owner_t *owner)
{
    cm_fair_owner_t **at = &turns->owners;

    while (*at != owner)
        at = &(*at)->next;
    *at = owner->next;
    free(owner);
}

/* Whose turn it is; NULL when no thread is needed. */
static cm_fair_owner_t *next_owner(const cm_fair_queue_t *turns)
{
    const bool full = turns->begun >= turns->begun_max;
    cm_fair_owner_t *next = NULL;

    for (cm_fair_owner_t *owner = turns->owners; owner != NULL; owner = owner->next) {
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

/* Holds the lock before and after, and not while it works. */
static void take_turn(cm_fair_queue_t *turns, cm_fair_owner_t *owner)
{
    cm_fair_job_t *job = pop_first(owner);

    owner->busy = true;
    turns->begun += !job->begun;
    job->begun = true;
    pthread_mutex_unlock(&turns->lock);
    const int64_t begin_ns = cm_clock_ticks_ns();
    const bool done = turns->go(job, begin_ns + CM_FAIR_SLICE_MS * INT64_C(1000000));
    const int64_t used_ns = cm_clock_ticks_ns() - begin_ns;
    pthread_mutex_lock(&turns->lock);
    owner->busy = false;
    owner->used_ns += used_ns;
    if (done)
        turns->begun--;
    else
        push_first(owner, job);
    if (owner->first == NULL)
        remove_owner(turns, owner);
}

static void *work(void *context)
{
    cm_fair_queue_t *turns = context;

    cm_process_step_back(NICE);
    pthread_mutex_lock(&turns->lock);
    while (!turns->stop) {
        cm_fair_owner_t *owner = next_owner(turns);
        if (owner != NULL)
            take_turn(turns, owner);
        else
            pthread_cond_wait(&turns->added, &turns->lock);
    }
    pthread_mutex_unlock(&turns->lock);
    return NULL;
}

int cm_fair_queue_start(int threads, cm_fair_job_fn go, cm_fair_drop_fn drop, cm_fair_queue_t **out,
                        cm_err_t *err)
{
    cm_fair_queue_t *turns = cm_alloc_zero(1, sizeof *turns);
    bool started = true;

    turns->go = go;
    turns->drop = drop;
    turns->begun_max = BEGUN_EACH * threads;
    pthread_mutex_init(&turns->lock, NULL);
    pthread_cond_init(&turns->added, NULL);
    while (started && turns->thread_count < threads && turns->thread_count < THREADS_MAX) {
        started = cm_process_start(&turns->threads[turns->thread_count], work, turns);
        turns->thread_count += started;
    }
    if (started) {
        *out = turns;
        return 0;
    }
    cm_fair_queue_stop(turns);
    cm_fair_queue_free(turns);
    return cm_fail_thread(err);
}

void cm_fair_queue_add(cm_fair_queue_t *turns, cm_fair_job_t *job, uint64_t hash)
{
    *job = (cm_fair_job_t){.next = NULL};
    pthread_mutex_lock(&turns->lock);
    const bool stopped = turns->stop;
    if (!stopped) {
        cm_fair_owner_t *owner = owner_of(turns, hash);
        if (owner->last != NULL)
            owner->last->next = job;
        else
            owner->first = job;
        owner->last = job;
        pthread_cond_signal(&turns->added);
    }
    pthread_mutex_unlock(&turns->lock);
    if (stopped)
        turns->drop(job);
}

void cm_fair_queue_stop(cm_fair_queue_t *turns)
{
    pthread_mutex_lock(&turns->lock);
    turns->stop = true;
    pthread_cond_broadcast(&turns->added);
    pthread_mutex_unlock(&turns->lock);
    for (int i = 0; i < turns->thread_count; i++)
        pthread_join(turns->threads[i], NULL);
    turns->thread_count = 0;
    while (turns->owners != NULL) {
        cm_fair_owner_t *owner = turns->owners;
        while (owner->first != NULL)
            turns->drop(pop_first(owner));
        remove_owner(turns, owner);
    }
}

void cm_fair_queue_free(cm_fair_queue_t *turns)
{
    if (turns == NULL)
        return;
    pthread_cond_destroy(&turns->added);
    pthread_mutex_destroy(&turns->lock);
    free(turns);
}
