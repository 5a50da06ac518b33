#include "serve/api_queue.h"

#include "base/clock.h"
#include "base/process.h"
#include "serve/api.h"
#include "serve/reply.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { LATER_SECONDS = 1, LATE_SECONDS = 10 };

typedef enum phase {
    WAITING,
    ASKED, /* a thread is at it */
    ANSWERED,
    LATE,
    FAILED,
} phase_t;

/* What is asked, by one or several. */
typedef struct job {
    cm_api_queue_t *questions;
    cm_params_t params;
    char *url, *country;
    int64_t until_ns;
    /* Guarded by the lock; the body is constant once it is there. */
    phase_t phase;
    int references; /* the queue or a thread, each question, and what is kept */
    cm_api_query_t *askers;
    struct job *next; /* in the queue, then of those that threads are at */
    cm_buf_t body;
    cm_freshness_t freshness; /* the body is at least as fresh */
    int64_t answered_ns;
} job_t;

struct cm_api_query {
    job_t *job;
    struct MHD_Connection *connection;
    cm_loop_t *loop;
    bool suspended;
    cm_api_query_t *next, *before;
};

struct cm_api_queue {
    cm_handle_pool_t *handles;
    const cm_log_t *log;
    int64_t limit_ns;
    pthread_t threads[CM_API_QUEUE_THREADS_MAX];
    int thread_count;
    atomic_bool stopping;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t came;
    job_t *first; /* the queue */
    int waiting;
    job_t *asked; /* those that threads are at */
    job_t *kept[CM_API_QUEUE_KEPT];
    unsigned turn; /* whose place is taken next */
};

/* ---- what is asked ---- */

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_params(const cm_params_t *a, const cm_params_t *b)
{
    const cm_index_query_t *x = &a->query, *y = &b->query;

    return a->csv == b->csv && a->safe == b->safe && x->dimension == y->dimension &&
           x->window == y->window && x->from == y->from && x->to == y->to && x->sort == y->sort &&
           x->reverse == y->reverse && x->limit == y->limit && x->offset == y->offset &&
           same_text(x->url, y->url) && same_text(x->country, y->country);
}

static bool same_freshness(const cm_freshness_t *a, const cm_freshness_t *b)
{
    return a->present == b->present && a->accepted == b->accepted && a->processed == b->processed &&
           a->events == b->events && a->cells == b->cells && a->updated_at == b->updated_at &&
           a->dead == b->dead && a->session_timeout == b->session_timeout &&
           a->daily_visitors == b->daily_visitors;
}

/* Asked by SQLite in the midst of a question. */
static bool gives_up(void *context)
{
    const job_t *job = context;

    return atomic_load_explicit(&job->questions->stopping, memory_order_relaxed) ||
           cm_clock_ticks_ns() > job->until_ns;
}

static job_t *new_job(cm_api_queue_t *questions, const cm_params_t *params)
{
    job_t *job = cm_alloc_zero(1, sizeof *job);
    cm_index_query_t *query = &job->params.query;

    job->questions = questions;
    job->params = *params;
    if (query->url != NULL)
        query->url = job->url = cm_strdup(query->url);
    if (query->country != NULL)
        query->country = job->country = cm_strdup(query->country);
    query->gives_up = gives_up;
    query->gives_up_context = job;
    job->until_ns = cm_clock_ticks_ns() + questions->limit_ns;
    job->references = 1;
    return job;
}

/* The lock is held. The last one frees it. */
static void drop(job_t *job)
{
    if (--job->references > 0)
        return;
    cm_buf_free(&job->body);
    free(job->url);
    free(job->country);
    free(job);
}

/* The lock is held. */
static void let_on(job_t *job)
{
    for (cm_api_query_t *at = job->askers; at != NULL; at = at->next) {
        if (at->suspended) {
            at->suspended = false;
            cm_loop_resume(at->loop, at->connection);
        }
    }
}

/* The lock is held. */
static job_t *find(job_t *first, const cm_params_t *params)
{
    while (first != NULL && !same_params(&first->params, params))
        first = first->next;
    return first;
}

/* The lock is held. */
static void unlink_job(job_t **list, const job_t *job)
{
    while (*list != job)
        list = &(*list)->next;
    *list = job->next;
}

/* ---- answering ---- */

/* Takes an answer that was made of the same answers, if there is one. */
static bool recall(job_t *job)
{
    cm_api_queue_t *questions = job->questions;
    bool found = false;

    pthread_mutex_lock(&questions->lock);
    const int64_t oldest = cm_clock_ticks_ns() - CM_API_QUEUE_KEPT_MS * INT64_C(1000000);
    for (int i = 0; i < CM_API_QUEUE_KEPT && !found; i++) {
        const job_t *kept = questions->kept[i];
        found = kept != NULL && kept->answered_ns > oldest &&
                same_params(&kept->params, &job->params) &&
                same_freshness(&kept->freshness, &job->freshness);
        if (found)
            cm_buf_add(&job->body, kept->body.data, kept->body.len);
    }
    pthread_mutex_unlock(&questions->lock);
    return found;
}

/* The lock is held. An older answer to the same makes room first. */
static void keep(job_t *job)
{
    cm_api_queue_t *questions = job->questions;
    job_t **place = NULL;

    if (job->body.len > CM_API_QUEUE_KEPT_BYTES)
        return;
    for (int i = 0; i < CM_API_QUEUE_KEPT && place == NULL; i++) {
        job_t *kept = questions->kept[i];
        if (kept != NULL && same_params(&kept->params, &job->params))
            place = &questions->kept[i];
    }
    if (place == NULL)
        place = &questions->kept[questions->turn++ % CM_API_QUEUE_KEPT];
    if (*place != NULL)
        drop(*place);
    *place = job;
    job->references++;
    job->answered_ns = cm_clock_ticks_ns();
}

static void answer(job_t *job)
{
    cm_api_queue_t *questions = job->questions;
    bool recalled = false;
    cm_err_t err = {.text = ""};
    int rc = gives_up(job) ? CM_ESTOP : 0;

    if (rc == 0)
        rc = cm_api_freshness(questions->handles, job->params.query.window, &job->freshness, &err);
    if (rc == 0)
        recalled = recall(job);
    if (rc == 0 && !recalled)
        rc = cm_api_answer(questions->handles, &job->params, &job->body, &err);
    /* The sentence may name paths of this machine, which are no business of the network. */
    if (rc < 0 && rc != CM_ESTOP)
        cm_log(questions->log, CM_LOG_ERROR, "answers cannot be read", "reason=\"%s\"", err.text);
    pthread_mutex_lock(&questions->lock);
    job->phase = rc == 0 ? ANSWERED : rc == CM_ESTOP ? LATE : FAILED;
    if (rc == 0 && !recalled)
        keep(job);
    let_on(job);
    unlink_job(&questions->asked, job);
    drop(job);
    pthread_cond_signal(&questions->came); /* for who has waited for it */
    pthread_mutex_unlock(&questions->lock);
}

/* The lock is held. What is being answered is not answered twice at once: who has come since shares
 * one answer after it. NULL: there is nothing to do. */
static job_t *take(cm_api_queue_t *questions)
{
    job_t *job = questions->first;

    while (job != NULL && find(questions->asked, &job->params) != NULL)
        job = job->next;
    if (job == NULL)
        return NULL;
    unlink_job(&questions->first, job);
    questions->waiting--;
    job->next = questions->asked;
    questions->asked = job;
    job->phase = ASKED;
    return job;
}

static void *work(void *context)
{
    cm_api_queue_t *questions = context;

    cm_process_step_back(CM_STEP_BACK);
    pthread_mutex_lock(&questions->lock);
    while (!atomic_load(&questions->stopping)) {
        job_t *job = take(questions);
        if (job == NULL) {
            pthread_cond_wait(&questions->came, &questions->lock);
            continue;
        }
        pthread_mutex_unlock(&questions->lock);
        answer(job);
        pthread_mutex_lock(&questions->lock);
    }
    pthread_mutex_unlock(&questions->lock);
    return NULL;
}

/* ---- the request ---- */

/* The lock is held. */
static job_t *queue_job(cm_api_queue_t *questions, const cm_params_t *params)
{
    job_t **last = &questions->first;

    if (questions->waiting >= CM_API_QUEUE_WAITING)
        return NULL;
    while (*last != NULL)
        last = &(*last)->next;
    *last = new_job(questions, params);
    questions->waiting++;
    pthread_cond_signal(&questions->came);
    return *last;
}

cm_api_query_t *cm_api_query_start(cm_api_queue_t *questions, const cm_params_t *params,
                                   struct MHD_Connection *connection, cm_loop_t *loop)
{
    cm_api_query_t *question = NULL;

    pthread_mutex_lock(&questions->lock);
    /* One that is being answered may be of answers that were there before this request has come. */
    job_t *job = find(questions->first, params);
    if (job == NULL && !atomic_load(&questions->stopping))
        job = queue_job(questions, params);
    if (job != NULL) {
        question = cm_alloc_zero(1, sizeof *question);
        *question = (cm_api_query_t){.job = job,
                                     .connection = connection,
                                     .loop = loop,
                                     .suspended = true,
                                     .next = job->askers};
        if (question->next != NULL)
            question->next->before = question;
        job->askers = question;
        job->references++;
        MHD_suspend_connection(connection);
    }
    pthread_mutex_unlock(&questions->lock);
    return question;
}

void cm_api_query_release(cm_api_query_t *question)
{
    if (question == NULL)
        return;
    cm_api_queue_t *questions = question->job->questions;
    pthread_mutex_lock(&questions->lock);
    if (question->next != NULL)
        question->next->before = question->before;
    *(question->before != NULL ? &question->before->next : &question->job->askers) = question->next;
    drop(question->job);
    pthread_mutex_unlock(&questions->lock);
    free(question);
}

enum MHD_Result cm_api_query_reply(cm_api_query_t *question, struct MHD_Connection *connection)
{
    job_t *job = question->job;
    cm_api_queue_t *questions = job->questions;
    cm_buf_t body = CM_BUF_INIT;

    pthread_mutex_lock(&questions->lock);
    const phase_t phase = job->phase;
    if (phase == ANSWERED)
        cm_buf_add(&body, job->body.data, job->body.len);
    pthread_mutex_unlock(&questions->lock);
    if (phase == ANSWERED)
        return cm_reply_data(connection, cm_params_type(&job->params), &body);
    if (atomic_load(&questions->stopping))
        return cm_reply_later(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "the server stops",
                              LATER_SECONDS);
    if (phase == LATE)
        return cm_reply_later(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                              "the answer takes longer than http.time_limit allows; ask for less "
                              "(from, to, a smaller offset), or for all rows as a download "
                              "(limit=0)",
                              LATE_SECONDS);
    return cm_reply_error(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
                          "the answers cannot be read; the server's log says why");
}

/* ---- beginning and end ---- */

int cm_api_queue_start(cm_handle_pool_t *handles, const cm_log_t *log, int threads,
                       int64_t limit_ms, cm_api_queue_t **out, cm_err_t *err)
{
    cm_api_queue_t *questions = cm_alloc_zero(1, sizeof *questions);

    questions->handles = handles;
    questions->log = log;
    questions->limit_ns = limit_ms * 1000000;
    pthread_mutex_init(&questions->lock, NULL);
    pthread_cond_init(&questions->came, NULL);
    while (questions->thread_count < threads &&
           pthread_create(&questions->threads[questions->thread_count], NULL, work, questions) == 0)
        questions->thread_count++;
    if (questions->thread_count == threads) {
        *out = questions;
        return 0;
    }
    cm_api_queue_stop(questions);
    cm_api_queue_free(questions);
    return cm_fail_thread(err);
}

void cm_api_queue_stop(cm_api_queue_t *questions)
{
    if (questions == NULL)
        return;
    pthread_mutex_lock(&questions->lock);
    atomic_store(&questions->stopping, true);
    pthread_cond_broadcast(&questions->came);
    pthread_mutex_unlock(&questions->lock);
    for (int i = 0; i < questions->thread_count; i++)
        pthread_join(questions->threads[i], NULL);
    pthread_mutex_lock(&questions->lock);
    while (questions->first != NULL) {
        job_t *job = questions->first;
        questions->first = job->next;
        let_on(job);
        drop(job);
    }
    for (int i = 0; i < CM_API_QUEUE_KEPT; i++) {
        if (questions->kept[i] != NULL)
            drop(questions->kept[i]);
        questions->kept[i] = NULL;
    }
    pthread_mutex_unlock(&questions->lock);
}

void cm_api_queue_free(cm_api_queue_t *questions)
{
    if (questions == NULL)
        return;
    pthread_cond_destroy(&questions->came);
    pthread_mutex_destroy(&questions->lock);
    free(questions);
}
