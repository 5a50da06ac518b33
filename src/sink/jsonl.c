#include "sink/jsonl.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { FLUSH_BYTES = 1 << 20 };

typedef struct jsonl {
    cm_sink_t sink; /* first */
    char *path;
    int fd;
    bool own; /* the descriptor is closed with the sink */
    cm_buf_t buf;
} jsonl_t;

static int flush(jsonl_t *self, cm_err_t *err)
{
    size_t done = 0;
    while (done < self->buf.len) {
        ssize_t wrote = write(self->fd, self->buf.data + done, self->buf.len - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0)
            return cm_fail(err, CM_EIO, "cannot write %s (%s); %s", self->path, strerror(errno),
                           errno == ENOSPC ? "free some space" : "check where it goes");
        done += (size_t)wrote;
    }
    cm_buf_clear(&self->buf);
    return 0;
}

static int jsonl_put(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err)
{
    jsonl_t *self = (jsonl_t *)sink;

    for (size_t i = 0; i < batch->count; i++) {
        cm_event_add_json(&self->buf, &batch->events[i]);
        cm_buf_add_char(&self->buf, '\n');
    }
    return self->buf.len >= FLUSH_BYTES ? flush(self, err) : 0;
}

static int jsonl_commit(cm_sink_t *sink, cm_err_t *err)
{
    jsonl_t *self = (jsonl_t *)sink;
    int rc = flush(self, err);

    /* A pipe or a terminal cannot be synced, and says EINVAL. */
    if (rc == 0 && self->own && fdatasync(self->fd) < 0 && errno != EINVAL && errno != EROFS)
        rc = cm_fail(err, CM_EIO, "cannot sync %s (%s)", self->path, strerror(errno));
    return rc;
}

static void jsonl_close(cm_sink_t *sink)
{
    jsonl_t *self = (jsonl_t *)sink;
    if (self->own)
        close(self->fd);
    cm_buf_free(&self->buf);
    free(self->path);
    free(self);
}

int cm_jsonl_open(const char *path, cm_sink_t **sink, cm_err_t *err)
{
    static const cm_sink_ops_t ops = {jsonl_put, jsonl_commit, jsonl_close};
    bool to_stdout = strcmp(path, "-") == 0;
    int fd = to_stdout ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (fd < 0)
        return cm_fail(err, CM_EIO, "cannot write %s (%s); choose another file", path,
                       strerror(errno));
    jsonl_t *self = cm_alloc_zero(1, sizeof *self);
    self->sink.ops = &ops;
    self->path = cm_strdup(to_stdout ? "stdout" : path);
    self->fd = fd;
    self->own = !to_stdout;
    *sink = &self->sink;
    return 0;
}
