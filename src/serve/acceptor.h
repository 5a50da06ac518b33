/* Accepts connections and deals them out to the loops in turn.
 *
 * libmicrohttpd gives each connection its memory for as long as it is open. So there may be two
 * kinds of loops: roomy ones, whose requests may have a long head, and tight ones, which take
 * thousands of connections. While few are open all are roomy. After that a connection waits here,
 * without any memory there, until it sends something; when its first request is an ordinary one it
 * comes to a tight loop. */
#ifndef CM_SERVE_ACCEPTOR_H
#define CM_SERVE_ACCEPTOR_H

#include "base/log.h"
#include "serve/loop.h"

enum {
    CM_ACCEPTOR_LOOPS = 16,
    CM_ACCEPTOR_LARGE = 128,       /* connections that are roomy whatever they send */
    CM_ACCEPTOR_SMALL_HEAD = 1024, /* bytes of the head of an ordinary request */
};

typedef struct cm_acceptor cm_acceptor_t;

typedef struct cm_acceptor_options {
    int fd; /* listens, does not block, stays the caller's */
    cm_loop_t *large[CM_ACCEPTOR_LOOPS];
    cm_loop_t *small[CM_ACCEPTOR_LOOPS]; /* NULL: all go to the others */
    int loops;                           /* of either */
    int most;                            /* connections; others wait in the kernel's queue */
    int seconds;                         /* a connection that sends nothing for so long is closed */
    const cm_log_t *log;
} cm_acceptor_options_t;

/* Starts the thread. CM_EINTERNAL. */
int cm_acceptor_start(const cm_acceptor_options_t *options, cm_acceptor_t **acceptor,
                      cm_err_t *err);

/* A loop's connection is closed. For any thread. */
void cm_acceptor_left(cm_acceptor_t *acceptor);

/* Ends the thread: nobody comes any more. */
void cm_acceptor_stop(cm_acceptor_t *acceptor);

/* After the last connection has left. NULL is allowed. */
void cm_acceptor_free(cm_acceptor_t *acceptor);

#endif
