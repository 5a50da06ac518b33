#include "sink/tee.h"

#include <stdlib.h>

typedef struct tee {
    cm_sink_t sink; /* first */
    cm_sink_t *first, *second;
} tee_t;

static int tee_put(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err)
{
    tee_t *self = (tee_t *)sink;

    int rc = cm_sink_put(self->first, batch, err);
    return rc < 0 ? rc : cm_sink_put(self->second, batch, err);
}

static int tee_commit(cm_sink_t *sink, cm_err_t *err)
{
    tee_t *self = (tee_t *)sink;

    int rc = cm_sink_commit(self->first, err);
    return rc < 0 ? rc : cm_sink_commit(self->second, err);
}

static void tee_close(cm_sink_t *sink)
{
    free(sink);
}

cm_sink_t *cm_tee_open(cm_sink_t *first, cm_sink_t *second)
{
    static const cm_sink_ops_t ops = {tee_put, tee_commit, tee_close, NULL};
    tee_t *self = cm_alloc_zero(1, sizeof *self);

    self->sink.ops = &ops;
    self->first = first;
    self->second = second;
    return &self->sink;
}
