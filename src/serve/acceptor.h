/* Accepts connections and distributes them over the loops, one after the other.
 *
 * libmicrohttpd keeps a buffer for each open connection. So there may be two kinds of loops: those
 * with large buffers, whose requests may have a long head, and those with small buffers, which take
 * thousands of connections. While few connections are open, all go to loops with large buffers.
 * After that a connection waits here, without any buffer, until it sends something; if its first
 * request has an ordinary head, it goes to a loop with small buffers.
 *
 * Threads: start, stop and free are called by the thread that owns the acceptor, left() by any. */
#ifndef CM_SERVE_ACCEPTOR_H
#define CM_SERVE_ACCEPTOR_H

#include "base/log.h"
#include "serve/loop.h"

enum {
    CM_ACCEPTOR_LOOPS = 16,
    CM_ACCEPTOR_LARGE = 128,       /* connections that always get a large buffer */
    CM_ACCEPTOR_SMALL_HEAD = 1024, /* bytes of the head of an ordinary request */
};

typedef struct cm_acceptor cm_acceptor_t;

typedef struct cm_acceptor_options {
    int fd; /* a listening socket that does not block; stays the caller's */
    cm_loop_t *large[CM_ACCEPTOR_LOOPS];
    cm_loop_t *small[CM_ACCEPTOR_LOOPS]; /* NULL: all connections go to the large ones */
    int loops;                           /* of each kind */
    int most;    /* open connections; further ones wait in the kernel's queue */
    int seconds; /* a connection that has sent nothing for so long is closed */
    const cm_log_t *log;
} cm_acceptor_options_t;

/* Starts the thread. CM_EINTERNAL. */
int cm_acceptor_start(const cm_acceptor_options_t *options, cm_acceptor_t **acceptor,
                      cm_err_t *err);

/* Reports that a connection of a loop is closed. For any thread. */
void cm_acceptor_left(cm_acceptor_t *acceptor);

/* Ends the thread: no more connections are accepted. */
void cm_acceptor_stop(cm_acceptor_t *acceptor);

/* Call it when the last connection is closed. NULL is allowed. */
void cm_acceptor_free(cm_acceptor_t *acceptor);

#endif
