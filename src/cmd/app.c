#include "cmd/app.h"

#include <errno.h>

enum {
    AWAY_MS = 1000, /* before the first new try to reach a server; then doubled up to: */
    AWAY_MOST_MS = 30000,
    NAP_MS = 200, /* between looks whether we shall stop */
};

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

int cm_app_reach(cm_app_t *app, int (*open)(void *context), void *context, uint64_t *retries)
{
    int64_t wait = AWAY_MS;
    int rc;

    while ((rc = open(context)) == CM_EAWAY && !atomic_load(app->stop)) {
        fprintf(app->messages, "%s; trying again\n", app->err.text);
        ++*retries;
        /* A signal may come between the look and the sleep, and not wake it. */
        for (int64_t slept = 0; slept < wait && !atomic_load(app->stop); slept += NAP_MS)
            cm_sleep_ms(NAP_MS);
        wait = wait * 2 < AWAY_MOST_MS ? wait * 2 : AWAY_MOST_MS;
    }
    return rc == CM_EAWAY && atomic_load(app->stop) ? CM_ESTOP : rc;
}
