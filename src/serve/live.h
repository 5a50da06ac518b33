/* The live stream: Server-Sent Events with the summary, each time the answers change.
 *
 * One thread checks the index for all streams, every CM_LIVE_INTERVAL_MS while there is at least
 * one stream. A stream without a message is suspended and costs no time. The object is made and
 * freed by one thread; any thread may open streams. */
#ifndef CM_SERVE_LIVE_H
#define CM_SERVE_LIVE_H

#include "base/log.h"
#include "serve/handle_pool.h"
#include "serve/loop.h"

#include <microhttpd.h>

enum {
    CM_LIVE_INTERVAL_MS = 250,
    CM_LIVE_BEAT_MS = 15000, /* then a comment is sent, so that a lost client is noticed */
    CM_LIVE_STREAMS = 256,   /* at once; the page polls when it gets none */
};

typedef struct cm_live cm_live_t;

/* Starts the thread; `handles` and `log` must outlive the object. */
int cm_live_start(cm_handle_pool_t *handles, const cm_log_t *log, cm_live_t **live, cm_err_t *err);

/* Answers a request with a stream (`head`: with its headers only), or 503 when there are too many.
 */
enum MHD_Result cm_live_reply(cm_live_t *live, struct MHD_Connection *connection, cm_loop_t *loop,
                              bool head);

/* Ends the thread; every stream ends after the message that it has begun to send, and streams that
 * are opened later end at once. Must be called before MHD_stop_daemon(), which requires that no
 * connection is suspended. */
void cm_live_stop(cm_live_t *live);

/* After MHD_stop_daemon(), when no stream is left. NULL is allowed. */
void cm_live_free(cm_live_t *live);

#endif
