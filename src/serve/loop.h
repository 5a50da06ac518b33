/* A thread that turns one of libmicrohttpd's daemons: all connections of the daemon are handled by
 * it, and nobody else touches them.
 *
 * libmicrohttpd has threads of its own, but those are woken by a system call for each connection
 * that is let on; here whoever lets a group on wakes the thread once. That is a fifth of what an
 * answer costs. Functions are for any thread, but for start, stop and free. */
#ifndef CM_SERVE_LOOP_H
#define CM_SERVE_LOOP_H

#include "base/err.h"

#include <microhttpd.h>

typedef struct cm_loop cm_loop_t;

typedef struct cm_loop_hooks {
    /* The first that the thread does. */
    void (*started)(void *context);
    /* A connection was not taken by the daemon, and is closed. */
    void (*refused)(void *context);
    /* A round is over: what came in it has been handled. */
    void (*rounded)(void *context);
    void *context;
} cm_loop_hooks_t;

/* Starts the thread; the daemon has MHD_USE_EPOLL and no thread. It is the loop's from now on.
 * CM_EINTERNAL. */
int cm_loop_start(struct MHD_Daemon *daemon, const cm_loop_hooks_t *hooks, cm_loop_t **loop,
                  cm_err_t *err);

/* Gives it a socket that was accepted, and does not block. */
void cm_loop_add(cm_loop_t *loop, int fd, const struct sockaddr *address, socklen_t len);

/* Lets a suspended connection on. */
void cm_loop_resume(cm_loop_t *loop, struct MHD_Connection *connection);

/* Ends the thread, then the daemon with all its connections, of which none may be suspended. NULL
 * is allowed. */
void cm_loop_stop(cm_loop_t *loop);

#endif
