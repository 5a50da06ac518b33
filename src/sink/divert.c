#include "sink/divert.h"

#include <stdlib.h>

typedef struct divert {
    cm_sink_t sink; /* first */
    cm_sink_t *events, *dead;
} divert_t;

/* Commits for each batch that has dead letters: they are few, or they fill the batch. */
static int divert_put(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err)
{
    divert_t *self = (divert_t *)sink;
    cm_batch_t events = *batch, dead = *batch;
    int rc = 0;

    if (batch->dead_count > 0) {
        dead.count = dead.position_count = 0;
        rc = cm_sink_put(self->dead, &dead, err);
        if (rc == 0)
            rc = cm_sink_commit(self->dead, err);
    }
    events.dead_count = 0;
    return rc < 0 ? rc : cm_sink_put(self->events, &events, err);
}

static int divert_commit(cm_sink_t *sink, cm_err_t *err)
{
    return cm_sink_commit(((divert_t *)sink)->events, err);
}

static void divert_close(cm_sink_t *sink)
{
    free(sink);
}

static int divert_durable(cm_sink_t *sink, uint64_t *batches, cm_err_t *err)
{
    cm_sink_t *events = ((divert_t *)sink)->events;
    return events->ops->durable(events, batches, err);
}

cm_sink_t *cm_divert_open(cm_sink_t *events, cm_sink_t *dead)
{
    static const cm_sink_ops_t ops = {divert_put, divert_commit, divert_close, NULL};
    static const cm_sink_ops_t ops_durable = {divert_put, divert_commit, divert_close,
                                              divert_durable};
    divert_t *self = cm_alloc_zero(1, sizeof *self);

    self->sink.ops = events->ops->durable != NULL ? &ops_durable : &ops;
    self->events = events;
    self->dead = dead;
    return &self->sink;
}
