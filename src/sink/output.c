#include "sink/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { LARGE = 1 << 20 };

int cm_output_open(cm_output_t *output, const char *path, cm_err_t *err)
{
    bool to_stdout = strcmp(path, "-") == 0;
    int fd = to_stdout ? STDOUT_FILENO : open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);

    if (fd < 0)
        return cm_fail(err, CM_EIO, "cannot write %s (%s); choose another file", path,
                       strerror(errno));
    *output =
        (cm_output_t){cm_strdup(to_stdout ? "standard output" : path), fd, !to_stdout, CM_BUF_INIT};
    return 0;
}

static int flush(cm_output_t *output, cm_err_t *err)
{
    size_t done = 0;

    while (done < output->buf.len) {
        ssize_t wrote = write(output->fd, output->buf.data + done, output->buf.len - done);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote < 0 && errno == EPIPE) /* the reader has ended, like `| head` */
            return CM_ESTOP;
        if (wrote < 0)
            return cm_fail(err, CM_EIO, "cannot write %s (%s); %s", output->path, strerror(errno),
                           errno == ENOSPC ? "free some space" : "check where it goes");
        done += (size_t)wrote;
    }
    cm_buf_clear(&output->buf);
    return 0;
}

int cm_output_flush_large(cm_output_t *output, cm_err_t *err)
{
    return output->buf.len >= LARGE ? flush(output, err) : 0;
}

int cm_output_sync(cm_output_t *output, cm_err_t *err)
{
    int rc = flush(output, err);

    /* A pipe or a device cannot be synced: the error is EINVAL. */
    if (rc == 0 && output->own && fdatasync(output->fd) < 0 && errno != EINVAL && errno != EROFS)
        rc = cm_fail(err, CM_EIO, "cannot sync %s (%s); free some space", output->path,
                     strerror(errno));
    return rc;
}

void cm_output_close(cm_output_t *output)
{
    if (output->own)
        close(output->fd);
    cm_buf_free(&output->buf);
    free(output->path);
}
