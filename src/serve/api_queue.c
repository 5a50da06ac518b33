#include "serve/api_queue.h"

#include "base/clock.h"
#include "base/process.h"
#include "serve/api.h"
#include "serve/reply.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { LATER_SECONDS = 1, LATE_SECONDS = 10, TIDY_MS = 2000 };

typedef enum phase {
    WAITING,
    RUNNING, /* a thread answers it */
    ANSWERED,
    LATE,
    FAILED,
} phase_t;

/* A query of one or several connections. */
typedef struct job {
    cm_api_queue_t *queue;
    cm_params_t params;
    char *url, *country, *question;
    int64_t until_ns;
    /* Guarded by the lock; the body is constant once it is complete. */
    phase_t phase;
    int references; /* the queue or a thread, each asker, and the kept answers */
    cm_api_query_t *askers;
    struct job *next;         /* in the queue, then in the list of running ones */
    cm_buf_t body;            /* while it is made */
    cm_reply_body_t *answer;  /* ANSWERED */
    cm_freshness_t freshness; /* the body is at least as fresh as this */
    int64_t answered_ns;
    char tag[CM_QUESTIONS_TAG]; /* of a question */
    bool unchanged;             /* all askers have the answer of this tag */
    cm_err_t err; /* FAILED: for the client, where its code is CM_EUSAGE, CM_ENOMEM or CM_EBUSY */
} job_t;

struct cm_api_query {
    job_t *job;
    struct MHD_Connection *connection;
    cm_loop_t *loop;
    bool suspended;
    int socket; /* of the connection, to see whether the client has left */
    cm_api_query_t *next, *before;
};

struct cm_api_queue {
    cm_handle_pool_t *handles;
    cm_questions_t *questions; /* NULL: none are asked */
    const cm_log_t *log;
    int64_t limit_ns;
    pthread_t threads[CM_API_QUEUE_THREADS_MAX];
    int thread_count;
    atomic_bool stopping;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t came;
    job_t *first; /* the queue */
    int waiting;
    job_t *running; /* those that threads answer now */
    job_t *kept[CM_API_QUEUE_KEPT];
    unsigned turn; /* the place of `kept` that is overwritten next */
};

/* ---- jobs ---- */

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_params(const cm_params_t *a, const cm_params_t *b)
{
    const cm_index_query_t *x = &a->query, *y = &b->query;

    if (a->question.data != NULL || b->question.data != NULL)
        return a->question.data != NULL && b->question.data != NULL &&
               cm_str_equal(a->question, b->question);
    return a->csv == b->csv && a->safe == b->safe && x->dimension == y->dimension &&
           x->window == y->window && x->from == y->from && x->to == y->to && x->sort == y->sort &&
           x->reverse == y->reverse && x->limit == y->limit && x->offset == y->offset &&
           same_text(x->url, y->url) && same_text(x->country, y->country);
}

static bool has_left(const cm_api_query_t *asker)
{
    struct pollfd fd = {.fd = asker->socket, .events = POLLRDHUP};

    return asker->suspended && poll(&fd, 1, 0) == 1 &&
           (fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* Nothing waits for the answer: each client has closed its connection. */
static bool all_left(const job_t *job)
{
    cm_api_queue_t *queue = job->queue;
    bool left = true;

    pthread_mutex_lock(&queue->lock);
    for (const cm_api_query_t *at = job->askers; left && at != NULL; at = at->next)
        left = has_left(at);
    pthread_mutex_unlock(&queue->lock);
    return left;
}

/* Called by SQLite during a query. */
static bool gives_up(void *context)
{
    const job_t *job = context;

    return atomic_load_explicit(&job->queue->stopping, memory_order_relaxed) ||
           cm_clock_ticks_ns() > job->until_ns;
}

/* Called during a question. */
static bool gives_up_question(void *context)
{
    return gives_up(context) || all_left(context);
}

static job_t *new_job(cm_api_queue_t *queue, const cm_params_t *params)
{
    job_t *job = cm_alloc_zero(1, sizeof *job);
    cm_index_query_t *query = &job->params.query;

    job->queue = queue;
    job->params = *params;
    if (query->url != NULL)
        query->url = job->url = cm_strdup(query->url);
    if (query->country != NULL)
        query->country = job->country = cm_strdup(query->country);
    query->gives_up = gives_up;
    query->gives_up_context = job;
    job->until_ns = cm_clock_ticks_ns() + queue->limit_ns;
    if (params->question.data != NULL) {
        job->question = cm_alloc(params->question.len + 1);
        memcpy(job->question, params->question.data, params->question.len);
        job->params.question.data = job->question;
        job->until_ns = cm_clock_ticks_ns() + cm_questions_limit_ms(queue->questions) * 1000000;
    }
    job->references = 1;
    return job;
}

/* The lock is held. The last reference frees the job. */
static void drop(job_t *job)
{
    assert(job->references > 0);
    if (--job->references > 0)
        return;
    cm_buf_free(&job->body);
    cm_reply_body_release(job->answer);
    free(job->url);
    free(job->country);
    free(job->question);
    free(job);
}

/* The lock is held. */
static void resume(job_t *job)
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

/* The sentence of a question's failure is for the client. */
static bool is_of_client(const job_t *job, int code)
{
    return code == CM_EUSAGE || code == CM_ENOMEM ||
           (code == CM_EBUSY && job->params.question.data != NULL);
}

/* Takes a kept answer to the same query that was made from the same index, if there is one. */
static bool recall(job_t *job)
{
    cm_api_queue_t *queue = job->queue;
    bool found = false;

    pthread_mutex_lock(&queue->lock);
    const int64_t oldest = cm_clock_ticks_ns() - CM_API_QUEUE_KEPT_MS * INT64_C(1000000);
    for (int i = 0; i < CM_API_QUEUE_KEPT && !found; i++) {
        const job_t *kept = queue->kept[i];
        found = kept != NULL && kept->answered_ns > oldest &&
                same_params(&kept->params, &job->params) && strcmp(kept->tag, job->tag) == 0 &&
                cm_freshness_equal(&kept->freshness, &job->freshness);
        if (found)
            job->answer = cm_reply_body_hold(kept->answer);
    }
    pthread_mutex_unlock(&queue->lock);
    return found;
}

/* The lock is held. An older answer to the same query is replaced first. */
static void keep(job_t *job)
{
    cm_api_queue_t *queue = job->queue;
    job_t **place = NULL;

    if (cm_reply_body_length(job->answer) > CM_API_QUEUE_KEPT_BYTES)
        return;
    for (int i = 0; i < CM_API_QUEUE_KEPT && place == NULL; i++) {
        job_t *kept = queue->kept[i];
        if (kept != NULL && same_params(&kept->params, &job->params))
            place = &queue->kept[i];
    }
    if (place == NULL)
        place = &queue->kept[queue->turn++ % CM_API_QUEUE_KEPT];
    if (*place != NULL)
        drop(*place);
    *place = job;
    job->references++;
    job->answered_ns = cm_clock_ticks_ns();
}

static int answer_query(job_t *job, bool *recalled, cm_err_t *err)
{
    cm_handle_pool_t *handles = job->queue->handles;

    int rc = cm_api_freshness(handles, job->params.query.window, &job->freshness, err);
    if (rc == 0)
        *recalled = recall(job);
    return rc < 0 || *recalled ? rc : cm_api_answer(handles, &job->params, &job->body, err);
}

/* Whether all clients have the answer of this tag. */
static bool is_known(const job_t *job)
{
    bool known = true;

    pthread_mutex_lock(&job->queue->lock);
    for (const cm_api_query_t *at = job->askers; known && at != NULL; at = at->next)
        known = cm_reply_matches(at->connection, job->tag);
    known &= job->askers != NULL;
    pthread_mutex_unlock(&job->queue->lock);
    return known;
}

static int answer_question(job_t *job, bool *recalled, cm_err_t *err)
{
    cm_questions_asking_t *asking = NULL;

    int rc = cm_questions_begin(job->queue->questions, job->params.question, &asking, err);
    if (rc == 0) {
        snprintf(job->tag, sizeof job->tag, "%s", cm_questions_tag(asking));
        job->unchanged = is_known(job);
        *recalled = !job->unchanged && recall(job);
    }
    if (rc == 0 && !job->unchanged && !*recalled)
        rc = cm_questions_answer(asking, gives_up_question, job, &job->body, err);
    cm_questions_end(asking);
    return rc;
}

static void answer(job_t *job)
{
    cm_api_queue_t *queue = job->queue;
    const bool asked = job->params.question.data != NULL;
    bool recalled = false;
    cm_err_t err = {.text = ""};
    int rc = gives_up(job) || (asked && all_left(job)) ? CM_ESTOP : 0;

    if (rc == 0)
        rc = asked ? answer_question(job, &recalled, &err) : answer_query(job, &recalled, &err);
    if (rc == 0 && !recalled)
        job->answer = cm_reply_body_new(&job->body);
    cm_buf_free(&job->body);
    /* Only to the log: the sentence may name paths of this machine. */
    if (rc < 0 && rc != CM_ESTOP && !is_of_client(job, rc))
        cm_log(queue->log, CM_LOG_ERROR, "answers cannot be read", "reason=\"%s\"", err.text);
    else
        cm_debug(queue->log, CM_DEBUG_SERVE,
                 rc < 0           ? "a query is given up"
                 : job->unchanged ? "a query is answered: unchanged"
                 : recalled       ? "a query gets a kept answer"
                                  : "a query is answered",
                 "bytes=%zu", rc == 0 ? cm_reply_body_length(job->answer) : 0);
    pthread_mutex_lock(&queue->lock);
    job->phase = rc == 0 ? ANSWERED : rc == CM_ESTOP ? LATE : FAILED;
    job->err = err;
    job->err.code = rc;
    if (rc == 0 && !recalled && !job->unchanged)
        keep(job);
    resume(job);
    unlink_job(&queue->running, job);
    drop(job);
    pthread_cond_signal(&queue->came); /* for an equal query that had to wait, see take() */
    pthread_mutex_unlock(&queue->lock);
}

/* The lock is held. A question may take long: one thread is left for queries of the index. */
static bool has_to_wait(const job_t *job)
{
    int questions = 0;

    for (const job_t *at = job->queue->running; at != NULL; at = at->next)
        questions += at->question != NULL;
    return job->question != NULL && questions > 0 && questions + 1 >= job->queue->thread_count;
}

/* The lock is held. Equal queries are not answered at the same time: those that arrived after the
 * running one share one answer after it. NULL: there is nothing to do. */
static job_t *take(cm_api_queue_t *queue)
{
    job_t *job = queue->first;

    while (job != NULL && (find(queue->running, &job->params) != NULL || has_to_wait(job)))
        job = job->next;
    if (job == NULL)
        return NULL;
    unlink_job(&queue->first, job);
    queue->waiting--;
    job->next = queue->running;
    queue->running = job;
    job->phase = RUNNING;
    return job;
}

/* The lock is held. Meanwhile timelines that are not used any more are closed. */
static void wait_for_job(cm_api_queue_t *queue)
{
    const struct timespec until = cm_clock_until(TIDY_MS);

    if (queue->questions == NULL) {
        pthread_cond_wait(&queue->came, &queue->lock);
        return;
    }
    if (pthread_cond_timedwait(&queue->came, &queue->lock, &until) != ETIMEDOUT)
        return;
    pthread_mutex_unlock(&queue->lock);
    cm_questions_tidy(queue->questions);
    pthread_mutex_lock(&queue->lock);
}

static void *work(void *context)
{
    cm_api_queue_t *queue = context;

    cm_process_lower_priority(CM_LOWER_PRIORITY);
    pthread_mutex_lock(&queue->lock);
    while (!atomic_load(&queue->stopping)) {
        job_t *job = take(queue);
        if (job == NULL) {
            wait_for_job(queue);
            continue;
        }
        pthread_mutex_unlock(&queue->lock);
        answer(job);
        pthread_mutex_lock(&queue->lock);
    }
    pthread_mutex_unlock(&queue->lock);
    return NULL;
}

/* ---- the request ---- */

/* The lock is held. */
static job_t *queue_job(cm_api_queue_t *queue, const cm_params_t *params)
{
    job_t **last = &queue->first;

    if (queue->waiting >= CM_API_QUEUE_WAITING)
        return NULL;
    while (*last != NULL)
        last = &(*last)->next;
    *last = new_job(queue, params);
    queue->waiting++;
    pthread_cond_signal(&queue->came);
    return *last;
}

static int socket_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    return info != NULL ? (int)info->connect_fd : -1;
}

cm_api_query_t *cm_api_query_start(cm_api_queue_t *queue, const cm_params_t *params,
                                   struct MHD_Connection *connection, cm_loop_t *loop)
{
    cm_api_query_t *query = NULL;

    pthread_mutex_lock(&queue->lock);
    /* A running one may use answers that are older than this request. */
    job_t *job = find(queue->first, params);
    if (job == NULL && !atomic_load(&queue->stopping))
        job = queue_job(queue, params);
    if (job != NULL) {
        query = cm_alloc_zero(1, sizeof *query);
        *query = (cm_api_query_t){.job = job,
                                  .connection = connection,
                                  .loop = loop,
                                  .suspended = true,
                                  .socket = socket_of(connection),
                                  .next = job->askers};
        if (query->next != NULL)
            query->next->before = query;
        job->askers = query;
        job->references++;
        MHD_suspend_connection(connection);
    }
    pthread_mutex_unlock(&queue->lock);
    return query;
}

void cm_api_query_release(cm_api_query_t *query)
{
    if (query == NULL)
        return;
    cm_api_queue_t *queue = query->job->queue;
    pthread_mutex_lock(&queue->lock);
    if (query->next != NULL)
        query->next->before = query->before;
    *(query->before != NULL ? &query->before->next : &query->job->askers) = query->next;
    drop(query->job);
    pthread_mutex_unlock(&queue->lock);
    free(query);
}

static enum MHD_Result reply_late(const job_t *job, struct MHD_Connection *connection)
{
    return cm_reply_later(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
                          job->params.question.data != NULL
                              ? "the answer takes longer than serve.question_time allows; ask for "
                                "a shorter span, or with fewer dimensions"
                              : "the answer takes longer than http.time_limit allows; ask for less "
                                "(from, to, a smaller offset), or for all rows as a download "
                                "(limit=0)",
                          LATE_SECONDS);
}

static enum MHD_Result reply_failed(const job_t *job, struct MHD_Connection *connection)
{
    if (job->params.question.data != NULL && job->err.code == CM_EUSAGE)
        return cm_reply_error(connection, MHD_HTTP_BAD_REQUEST, job->err.text);
    if (job->params.question.data != NULL &&
        (job->err.code == CM_ENOMEM || job->err.code == CM_EBUSY))
        return cm_reply_later(connection, MHD_HTTP_SERVICE_UNAVAILABLE, job->err.text,
                              LATE_SECONDS);
    return cm_reply_error(connection, MHD_HTTP_INTERNAL_SERVER_ERROR,
                          "the answers cannot be read; the server's log says why");
}

enum MHD_Result cm_api_query_reply(cm_api_query_t *query, struct MHD_Connection *connection)
{
    job_t *job = query->job;
    cm_api_queue_t *queue = job->queue;

    pthread_mutex_lock(&queue->lock);
    const phase_t phase = job->phase;
    pthread_mutex_unlock(&queue->lock);
    if (phase == ANSWERED)
        return cm_reply_shared(connection, cm_params_type(&job->params),
                               job->tag[0] != '\0' ? job->tag : NULL, job->answer);
    if (atomic_load(&queue->stopping))
        return cm_reply_later(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "the server stops",
                              LATER_SECONDS);
    return phase == LATE ? reply_late(job, connection) : reply_failed(job, connection);
}

/* ---- beginning and end ---- */

int cm_api_queue_start(cm_handle_pool_t *handles, cm_questions_t *questions, const cm_log_t *log,
                       int threads, int64_t limit_ms, cm_api_queue_t **out, cm_err_t *err)
{
    cm_api_queue_t *queue = cm_alloc_zero(1, sizeof *queue);

    queue->handles = handles;
    queue->questions = questions;
    queue->log = log;
    queue->limit_ns = limit_ms * 1000000;
    pthread_mutex_init(&queue->lock, NULL);
    cm_clock_cond_init(&queue->came);
    while (queue->thread_count < threads &&
           pthread_create(&queue->threads[queue->thread_count], NULL, work, queue) == 0)
        queue->thread_count++;
    if (queue->thread_count == threads) {
        *out = queue;
        return 0;
    }
    cm_api_queue_stop(queue);
    cm_api_queue_free(queue);
    return cm_fail_thread(err);
}

void cm_api_queue_stop(cm_api_queue_t *queue)
{
    if (queue == NULL)
        return;
    pthread_mutex_lock(&queue->lock);
    atomic_store(&queue->stopping, true);
    if (queue->questions != NULL)
        cm_questions_stop(queue->questions);
    pthread_cond_broadcast(&queue->came);
    pthread_mutex_unlock(&queue->lock);
    for (int i = 0; i < queue->thread_count; i++)
        pthread_join(queue->threads[i], NULL);
    pthread_mutex_lock(&queue->lock);
    while (queue->first != NULL) {
        job_t *job = queue->first;
        queue->first = job->next;
        resume(job);
        drop(job);
    }
    for (int i = 0; i < CM_API_QUEUE_KEPT; i++) {
        if (queue->kept[i] != NULL)
            drop(queue->kept[i]);
        queue->kept[i] = NULL;
    }
    pthread_mutex_unlock(&queue->lock);
}

void cm_api_queue_free(cm_api_queue_t *queue)
{
    if (queue == NULL)
        return;
    assert(queue->first == NULL && queue->running == NULL);
    pthread_cond_destroy(&queue->came);
    pthread_mutex_destroy(&queue->lock);
    free(queue);
}
