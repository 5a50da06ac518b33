#include "sink/jsonl.h"

#include "sink/output.h"

#include <stdlib.h>

typedef struct jsonl {
    cm_sink_t sink; /* first */
    cm_output_t output;
} jsonl_t;

static int jsonl_put(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err)
{
    jsonl_t *self = (jsonl_t *)sink;

    for (size_t i = 0; i < batch->count; i++) {
        cm_event_add_json(&self->output.buf, &batch->events[i]);
        cm_buf_add_char(&self->output.buf, '\n');
    }
    return cm_output_flush_large(&self->output, err);
}

static int jsonl_commit(cm_sink_t *sink, cm_err_t *err)
{
    return cm_output_sync(&((jsonl_t *)sink)->output, err);
}

static void jsonl_close(cm_sink_t *sink)
{
    jsonl_t *self = (jsonl_t *)sink;
    cm_output_close(&self->output);
    free(self);
}

int cm_jsonl_open(const char *path, cm_sink_t **sink, cm_err_t *err)
{
    static const cm_sink_ops_t ops = {jsonl_put, jsonl_commit, jsonl_close, NULL};
    cm_output_t output;

    int rc = cm_output_open(&output, path, err);
    if (rc < 0)
        return rc;
    jsonl_t *self = cm_alloc_zero(1, sizeof *self);
    self->sink.ops = &ops;
    self->output = output;
    *sink = &self->sink;
    return 0;
}
