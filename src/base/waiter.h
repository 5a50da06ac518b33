/* A wait for a server, during which the caller is asked whether to go on. It is called in the
 * thread that waits; the context belongs to the caller. */
#ifndef CM_BASE_WAITER_H
#define CM_BASE_WAITER_H

#include <stdint.h>

enum { CM_WAIT_MS = 500 };

/* Given to a part that may have to wait for a server. Its caller can then do other work during the
 * wait (a consumer that does not poll loses its partitions), and can report what is going on. */
typedef struct cm_waiter {
    /* Called every CM_WAIT_MS or sooner during the wait. `reason` says why the server is not
     * reachable; NULL while it is only slow. `retries` counts the attempts that have failed since
     * the waiting part was opened. 0: go on waiting; negative: the waiting part gives up and
     * returns this value. Must not use the waiting part. */
    int (*wait)(void *context, uint64_t retries, const char *reason);
    void *context;
} cm_waiter_t;

#endif
