/* Questions are answered by threads of their own, which step back for those that collect.
 *
 * The connection rests meanwhile. What is asked by several at once is answered once for all of
 * them, from the answers as they are when the last of them has come; and what was asked before and
 * has the same answer still is not computed again. A question that takes too long is given up. Used
 * by all threads of the server. */
#ifndef CM_SERVE_API_QUEUE_H
#define CM_SERVE_API_QUEUE_H

#include "base/log.h"
#include "serve/handle_pool.h"
#include "serve/loop.h"
#include "serve/params.h"

#include <microhttpd.h>

enum {
    CM_API_QUEUE_THREADS_MAX = 8,
    CM_API_QUEUE_WAITING = 256,           /* different ones; the next is refused */
    CM_API_QUEUE_KEPT = 32,               /* answers, */
    CM_API_QUEUE_KEPT_BYTES = 512 * 1024, /* of at most so many bytes, */
    CM_API_QUEUE_KEPT_MS = 10000,         /* for so long */
};

typedef struct cm_api_queue cm_api_queue_t;
typedef struct cm_api_query cm_api_query_t;

/* Starts the threads. `limit_ms`: how long a question may take from its arrival on. `handles` and
 * `log` must outlive it. CM_EINTERNAL. */
int cm_api_queue_start(cm_handle_pool_t *handles, const cm_log_t *log, int threads,
                       int64_t limit_ms, cm_api_queue_t **questions, cm_err_t *err);

/* Gives up what is being answered, ends the threads, and lets all connections on. NULL is allowed.
 */
void cm_api_queue_stop(cm_api_queue_t *questions);

/* After cm_api_queue_stop() and the last cm_api_query_release(). NULL is allowed. */
void cm_api_queue_free(cm_api_queue_t *questions);

/* Asks, and suspends the connection; the loop lets it on when it is known how to reply. The texts
 * of `params` are copied. NULL, with nothing suspended: too many are waiting. */
cm_api_query_t *cm_api_query_start(cm_api_queue_t *questions, const cm_params_t *params,
                                   struct MHD_Connection *connection, cm_loop_t *loop);

/* Replies, when the connection was let on. */
enum MHD_Result cm_api_query_reply(cm_api_query_t *question, struct MHD_Connection *connection);

/* The request has ended. NULL is allowed. */
void cm_api_query_release(cm_api_query_t *question);

#endif
