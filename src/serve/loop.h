/* A thread that runs one of libmicrohttpd's daemons: it alone handles all connections of the
 * daemon.
 *
 * libmicrohttpd has threads of its own, but it wakes them by a system call for each connection that
 * is resumed; here the thread is woken once for a group of connections. That saves a fifth of the
 * cost of an answer. cm_loop_add() and cm_loop_resume() are for any thread, start and stop for the
 * thread that owns the loop. */
#ifndef CM_SERVE_LOOP_H
#define CM_SERVE_LOOP_H

#include "base/err.h"

#include <microhttpd.h>

typedef struct cm_loop cm_loop_t;

typedef struct cm_loop_hooks {
    /* The thread has started; called by it, as all hooks are. */
    void (*started)(void *context);
    /* The daemon has not accepted a connection, which is closed. */
    void (*refused)(void *context);
    /* A round is over: everything that had arrived was handled. */
    void (*rounded)(void *context);
    void *context;
} cm_loop_hooks_t;

/* Starts the thread. The daemon was started with MHD_USE_EPOLL and without a thread; the loop owns
 * it from now on. CM_EINTERNAL. */
int cm_loop_start(struct MHD_Daemon *daemon, const cm_loop_hooks_t *hooks, cm_loop_t **loop,
                  cm_err_t *err);

/* Passes an accepted socket, which does not block, to the loop. */
void cm_loop_add(cm_loop_t *loop, int fd, const struct sockaddr *address, socklen_t len);

/* Resumes a suspended connection. */
void cm_loop_resume(cm_loop_t *loop, struct MHD_Connection *connection);

/* Ends the thread, then the daemon with all its connections, of which none may be suspended. NULL
 * is allowed. */
void cm_loop_stop(cm_loop_t *loop);

#endif
