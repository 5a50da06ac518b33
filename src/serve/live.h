/* The live stream: Server-Sent Events that carry the summary whenever the answers change.
 *
 * One thread looks at the index for all streams, every CM_LIVE_INTERVAL_MS while there is at least
 * one; a stream with nothing to say is suspended and costs no time. The object is made and freed
 * by one thread; streams are opened by any. */
#ifndef CM_SERVE_LIVE_H
#define CM_SERVE_LIVE_H

#include "base/log.h"
#include "serve/handle_pool.h"
#include "serve/loop.h"

#include <microhttpd.h>

enum {
    CM_LIVE_INTERVAL_MS = 250,
    CM_LIVE_BEAT_MS = 15000, /* a comment after that long, so that a lost client is noticed */
    CM_LIVE_STREAMS = 256,   /* at once; the page polls when it is refused one */
};

typedef struct cm_live cm_live_t;

/* Starts the thread; `handles` and `log` must outlive the object. */
int cm_live_start(cm_handle_pool_t *handles, const cm_log_t *log, cm_live_t **live, cm_err_t *err);

/* Answers a request with a stream (`head`: with its headers only), or 503 when there are too many.
 */
enum MHD_Result cm_live_reply(cm_live_t *live, struct MHD_Connection *connection, cm_loop_t *loop,
                              bool head);

/* Ends the thread and lets every stream end after what it has begun to say; streams opened later
 * end at once. Must come before MHD_stop_daemon(), which may not meet suspended connections. */
void cm_live_stop(cm_live_t *live);

/* After MHD_stop_daemon(), when no stream is left. NULL is fine. */
void cm_live_free(cm_live_t *live);

#endif
