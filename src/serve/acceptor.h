/* Accepts connections and deals them out to libmicrohttpd's threads in turn. Left to themselves,
 * the first thread that wakes up takes all that come at once, and the others have nothing to do. */
#ifndef CM_SERVE_ACCEPTOR_H
#define CM_SERVE_ACCEPTOR_H

#include "base/err.h"
#include "base/log.h"

#include <microhttpd.h>

typedef struct cm_acceptor cm_acceptor_t;

/* Starts a thread that accepts on the (non-blocking) socket; it stays the caller's. CM_EINTERNAL.
 */
int cm_acceptor_start(int fd, struct MHD_Daemon *daemon, const cm_log_t *log,
                      cm_acceptor_t **acceptor, cm_err_t *err);

/* Ends the thread: nobody comes any more. NULL is allowed. */
void cm_acceptor_stop(cm_acceptor_t *acceptor);

#endif
