#include "kafka/waiter.h"

#include "base/clock.h"
#include "base/err.h"

enum { GIVE_UP_MS = 5000 };

/* A broker that is only slow (`reason` is NULL) is waited for without a limit. */
static int wait_for_broker(void *context, uint64_t retries, const char *reason)
{
    cm_kafka_waiter_t *self = context;
    int64_t now = cm_clock_ticks_ns();

    (void)retries;
    if (reason == NULL || !atomic_load(self->stop)) {
        self->stop_ns = 0;
        return 0;
    }
    if (self->stop_ns == 0)
        self->stop_ns = now;
    return now - self->stop_ns > GIVE_UP_MS * INT64_C(1000000) ? CM_EAWAY : 0;
}

void cm_kafka_waiter_start(cm_kafka_waiter_t *waiter, const atomic_bool *stop)
{
    *waiter = (cm_kafka_waiter_t){.waiter = {wait_for_broker, waiter}, .stop = stop};
}
