/* The second door: where events go.
 *
 * put() takes a batch, commit() makes everything put so far durable; only then is an event
 * acknowledged. A sink that writes to a server may report progress between commits with durable(),
 * so that reading continues while writes are in flight. Used by one thread. Implementations:
 * jsonl.h, combined.h, kafka/sink.h, and the stores (store/store.h), which are sinks that can be
 * read again; divert.h separates dead letters from events, tee.h writes to two sinks. */
#ifndef CM_SINK_SINK_H
#define CM_SINK_SINK_H

#include "base/waiter.h"
#include "event/batch.h"

typedef struct cm_sink cm_sink_t;

typedef struct cm_sink_ops {
    /* Takes the batch's events, dead letters and positions of the source; copies what it keeps. A
     * sink whose server is slow or does not answer waits here and tries again, as long as its
     * cm_waiter_t allows. */
    int (*put)(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err);
    /* When this returns 0, everything put is durable. */
    int (*commit)(cm_sink_t *sink, cm_err_t *err);
    /* Frees the sink; what was not committed is forgotten. */
    void (*close)(cm_sink_t *sink);
    /* How many of the batches put since the sink was opened are durable, counted from the first
     * one without a gap. Does the I/O that is possible without waiting. NULL: only commit() makes
     * batches durable. */
    int (*durable)(cm_sink_t *sink, uint64_t *batches, cm_err_t *err);
} cm_sink_ops_t;

struct cm_sink {
    const cm_sink_ops_t *ops;
};

static inline int cm_sink_put(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err)
{
    return sink->ops->put(sink, batch, err);
}

static inline int cm_sink_commit(cm_sink_t *sink, cm_err_t *err)
{
    return sink->ops->commit(sink, err);
}

static inline void cm_sink_close(cm_sink_t *sink)
{
    if (sink != NULL)
        sink->ops->close(sink);
}

#endif
