/* The interface of sources: where events come from.
 *
 * A source fills batches until it has no more events. One thread uses it. Implementations:
 * synthetic/, file/ (JSON, CSV, access logs), http/inbox.h (events of HTTP requests), kafka/;
 * readahead.h reads another source ahead. */
#ifndef CM_SOURCE_SOURCE_H
#define CM_SOURCE_SOURCE_H

#include "event/batch.h"

typedef struct cm_source cm_source_t;

typedef struct cm_source_ops {
    /* Fills the batch, which the caller has cleared. 1: there is a batch, possibly empty; 0: the
     * source has ended, and the batch may hold a last part; negative: CM_E*. A live source returns
     * what it has after at most a second, or earlier when `*stop` becomes true. */
    int (*next)(cm_source_t *source, cm_batch_t *batch, cm_err_t *err);
    /* Progress of a finite source: bytes or events done, and the total, or 0 when it is not known.
     * NULL: the source reports no progress. */
    void (*progress)(const cm_source_t *source, uint64_t *done, uint64_t *total);
    void (*close)(cm_source_t *source);
    /* The first `batches` that next() has returned since the source was opened are durable, so the
     * source may commit them to its broker. NULL: the source does not need this. */
    int (*acknowledge)(cm_source_t *source, uint64_t batches, cm_err_t *err);
} cm_source_ops_t;

/* The first member of every implementation. */
struct cm_source {
    const cm_source_ops_t *ops;
};

static inline int cm_source_next(cm_source_t *source, cm_batch_t *batch, cm_err_t *err)
{
    return source->ops->next(source, batch, err);
}

static inline void cm_source_close(cm_source_t *source)
{
    if (source != NULL)
        source->ops->close(source);
}

#endif
