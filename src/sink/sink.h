/* The second door: where events go.
 *
 * put() takes a batch, commit() makes everything put so far durable; only then is an event
 * acknowledged. Used by one thread. Implementations: jsonl.h, and the stores (store/store.h), which
 * are sinks that can be read again. */
#ifndef CM_SINK_SINK_H
#define CM_SINK_SINK_H

#include "event/batch.h"

typedef struct cm_sink cm_sink_t;

typedef struct cm_sink_ops {
    /* Takes events, dead letters and the source's position of the batch; copies what it keeps. */
    int (*put)(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err);
    /* Everything put is durable when this returns 0. */
    int (*commit)(cm_sink_t *sink, cm_err_t *err);
    /* Frees the sink; what was not committed is forgotten. */
    void (*close)(cm_sink_t *sink);
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
