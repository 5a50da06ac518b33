/* Accepts connections and deals them out to libmicrohttpd's threads in turn. Left to themselves,
 * the first thread that wakes up takes all that come at once, and the others have nothing to do.
 *
 * libmicrohttpd gives each connection its memory for as long as it is open. So there may be two
 * daemons: a roomy one, whose requests may have a long head, and a tight one, which takes thousands
 * of connections. While few are open all are roomy. After that a connection waits here, without any
 * memory there, until it sends something; when its first request is an ordinary one it comes to the
 * tight daemon. */
#ifndef CM_SERVE_ACCEPTOR_H
#define CM_SERVE_ACCEPTOR_H

#include "base/err.h"
#include "base/log.h"

#include <microhttpd.h>

typedef struct cm_acceptor cm_acceptor_t;

typedef struct cm_acceptor_options {
    int fd;                           /* listens, does not block, stays the caller's */
    struct MHD_Daemon *roomy, *tight; /* tight NULL: all go to the other */
    int most;                         /* connections; others wait in the kernel's queue */
    int seconds;                      /* a connection that sends nothing for so long is closed */
    const cm_log_t *log;
} cm_acceptor_options_t;

enum {
    CM_ACCEPTOR_ROOMY = 128,       /* connections that are roomy whatever they send */
    CM_ACCEPTOR_TIGHT_HEAD = 1024, /* bytes of the head of an ordinary request */
};

/* Starts the thread. CM_EINTERNAL. */
int cm_acceptor_start(const cm_acceptor_options_t *options, cm_acceptor_t **acceptor,
                      cm_err_t *err);

/* A daemon's connection is closed. For any thread. */
void cm_acceptor_left(cm_acceptor_t *acceptor);

/* Ends the thread: nobody comes any more. */
void cm_acceptor_stop(cm_acceptor_t *acceptor);

/* After the last connection has left. NULL is allowed. */
void cm_acceptor_free(cm_acceptor_t *acceptor);

#endif
