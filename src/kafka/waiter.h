/* A limit for waits on brokers that do not answer: none while the program runs, 5 s after it was
 * asked to stop. For one thread, that of the sink which waits. */
#ifndef CM_KAFKA_WAITER_H
#define CM_KAFKA_WAITER_H

#include "base/waiter.h"

#include <stdatomic.h>

/* Must not be moved after cm_kafka_waiter_start(). */
typedef struct cm_kafka_waiter {
    cm_waiter_t waiter; /* to be given to the sink */
    const atomic_bool *stop;
    int64_t stop_ns; /* when the stop was first seen; 0: not yet */
} cm_kafka_waiter_t;

/* `stop` is borrowed. The waiter ends a wait with CM_EAWAY. */
void cm_kafka_waiter_start(cm_kafka_waiter_t *waiter, const atomic_bool *stop);

#endif
