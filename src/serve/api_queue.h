/* The queue of API queries: of the index, and of questions to the raw events. Its threads have a
 * lower priority than those that collect events, and so have the threads that they start.
 *
 * A connection is suspended until its query is answered. Equal queries of several connections are
 * answered once, from the answers as they are when the last of the queries has arrived; and an
 * answer that was computed before and is still valid is not computed again. A query that takes too
 * long is given up, and so is a question whose clients have left. Used by all threads of the
 * server. */
#ifndef CM_SERVE_API_QUEUE_H
#define CM_SERVE_API_QUEUE_H

#include "base/log.h"
#include "serve/handle_pool.h"
#include "serve/loop.h"
#include "serve/params.h"
#include "serve/questions.h"

#include <microhttpd.h>

enum {
    CM_API_QUEUE_THREADS_MAX = 8,
    CM_API_QUEUE_WAITING = 256,           /* different queries; the next one is refused */
    CM_API_QUEUE_KEPT = 32,               /* answers that are kept, */
    CM_API_QUEUE_KEPT_BYTES = 512 * 1024, /* each of at most so many bytes, */
    CM_API_QUEUE_KEPT_MS = 10000,         /* for so long */
};

typedef struct cm_api_queue cm_api_queue_t;
typedef struct cm_api_query cm_api_query_t;

/* Starts the threads. `limit_ms`: how long a query may take, counted from its arrival. `handles`,
 * `questions` (NULL: none are asked) and `log` must outlive the queue. CM_EINTERNAL. */
int cm_api_queue_start(cm_handle_pool_t *handles, cm_questions_t *questions, const cm_log_t *log,
                       int threads, int64_t limit_ms, cm_api_queue_t **queue, cm_err_t *err);

/* Gives up the queries in progress, ends the threads, and resumes all connections. NULL is allowed.
 */
void cm_api_queue_stop(cm_api_queue_t *queue);

/* After cm_api_queue_stop() and the last cm_api_query_release(). NULL is allowed. */
void cm_api_queue_free(cm_api_queue_t *queue);

/* Queues a query and suspends the connection; the loop resumes it when the reply is known. The
 * texts of `params` are copied. NULL, with the connection not suspended: too many queries are
 * waiting. */
cm_api_query_t *cm_api_query_start(cm_api_queue_t *queue, const cm_params_t *params,
                                   struct MHD_Connection *connection, cm_loop_t *loop);

/* Replies, after the connection was resumed. */
enum MHD_Result cm_api_query_reply(cm_api_query_t *query, struct MHD_Connection *connection);

/* The request has ended. NULL is allowed. */
void cm_api_query_release(cm_api_query_t *query);

#endif
