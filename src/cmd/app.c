#include "cmd/app.h"

#include <errno.h>

int cm_app_write(cm_app_t *app, cm_buf_t *buf)
{
    errno = 0;
    bool written = buf->len == 0 || fwrite(buf->data, 1, buf->len, app->out) == buf->len;
    cm_buf_clear(buf);
    if (written && fflush(app->out) == 0)
        return 0;
    if (errno == EPIPE) /* a reader that has seen enough (`| head`) is no failure */
        return CM_ESTOP;
    return cm_fail(&app->err, CM_EIO, "cannot write to standard output (%s); check where it goes",
                   strerror(errno));
}
