/* Who waits for a server asks its caller now and then whether to go on. */
#ifndef CM_BASE_WAITER_H
#define CM_BASE_WAITER_H

#include <stdint.h>

enum { CM_WAIT_MS = 500 };

/* Given to what waits for a server, so that its caller can stay alive elsewhere meanwhile (a
 * consumer that does not poll loses its partitions) and can say what is going on. */
typedef struct cm_waiter {
    /* Called every CM_WAIT_MS or sooner during the wait. `reason` says why the server is away, NULL
     * while it is only slow; `retries` counts attempts that failed since what waits was opened. 0:
     * go on waiting; negative: whoever waits gives up and returns it. Must not use what waits. */
    int (*wait)(void *context, uint64_t retries, const char *reason);
    void *context;
} cm_waiter_t;

#endif
