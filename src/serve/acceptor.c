#include "serve/acceptor.h"

#include "base/clock.h"
#include "base/str.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REST_MS = 100 }; /* when there are no files left, one must be closed first */

struct cm_acceptor {
    int fd, wake_fd;
    atomic_bool stop;
    atomic_int open; /* connections */
    int most;
    struct MHD_Daemon *daemon;
    cm_log_t log;
    pthread_t thread;
};

/* False when nobody waits. */
static bool accept_one(cm_acceptor_t *acceptor)
{
    struct sockaddr_storage address;
    socklen_t len = sizeof address;

    int fd = accept4(acceptor->fd, (struct sockaddr *)&address, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        atomic_fetch_add(&acceptor->open, 1);
        if (MHD_add_connection(acceptor->daemon, fd, (struct sockaddr *)&address, len) != MHD_YES)
            atomic_fetch_sub(&acceptor->open, 1); /* it has closed it */
        return true;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        cm_log(&acceptor->log, CM_LOG_WARN, "a connection has to wait", "reason=\"%s\"",
               strerror(errno));
        cm_sleep_ms(REST_MS);
    }
    return errno == ECONNABORTED || errno == EINTR;
}

static bool has_room(cm_acceptor_t *acceptor)
{
    return atomic_load(&acceptor->open) < acceptor->most;
}

static void *accept_all(void *context)
{
    cm_acceptor_t *acceptor = context;
    uint64_t woken;

    while (!atomic_load(&acceptor->stop)) {
        struct pollfd fds[] = {{.fd = acceptor->wake_fd, .events = POLLIN},
                               {.fd = has_room(acceptor) ? acceptor->fd : -1, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        if (fds[0].revents != 0 && read(acceptor->wake_fd, &woken, sizeof woken) < 0)
            continue;
        while (fds[1].revents != 0 && has_room(acceptor) && accept_one(acceptor))
            ;
    }
    return NULL;
}

static void wake(cm_acceptor_t *acceptor)
{
    const uint64_t one = 1;

    while (write(acceptor->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void cm_acceptor_left(cm_acceptor_t *acceptor)
{
    if (atomic_fetch_sub(&acceptor->open, 1) == acceptor->most)
        wake(acceptor);
}

static void destroy(cm_acceptor_t *acceptor)
{
    if (acceptor->wake_fd >= 0)
        close(acceptor->wake_fd);
    free(acceptor);
}

int cm_acceptor_start(int fd, struct MHD_Daemon *daemon, int most, const cm_log_t *log,
                      cm_acceptor_t **out, cm_err_t *err)
{
    cm_acceptor_t *acceptor = cm_alloc_zero(1, sizeof *acceptor);

    acceptor->fd = fd;
    acceptor->daemon = daemon;
    acceptor->most = most;
    acceptor->log = *log;
    acceptor->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    *out = acceptor; /* the first connection may leave before this returns */
    if (acceptor->wake_fd < 0 ||
        pthread_create(&acceptor->thread, NULL, accept_all, acceptor) != 0) {
        destroy(acceptor);
        *out = NULL;
        return cm_fail(err, CM_EINTERNAL, "cannot start a thread");
    }
    return 0;
}

void cm_acceptor_stop(cm_acceptor_t *acceptor)
{
    atomic_store(&acceptor->stop, true);
    wake(acceptor);
    pthread_join(acceptor->thread, NULL);
}

void cm_acceptor_free(cm_acceptor_t *acceptor)
{
    if (acceptor != NULL)
        destroy(acceptor);
}
