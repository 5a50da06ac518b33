#include "serve/acceptor.h"

#include "base/clock.h"
#include "base/str.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REST_MS = 100 }; /* when there are no files left, one must be closed first */

struct cm_acceptor {
    int fd, stop_fd;
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
        /* Refuses what is one too many, and closes it. */
        MHD_add_connection(acceptor->daemon, fd, (struct sockaddr *)&address, len);
        return true;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        cm_log(&acceptor->log, CM_LOG_WARN, "a connection has to wait", "reason=\"%s\"",
               strerror(errno));
        cm_sleep_ms(REST_MS);
    }
    return errno == ECONNABORTED || errno == EINTR;
}

static void *accept_all(void *context)
{
    cm_acceptor_t *acceptor = context;
    struct pollfd fds[] = {{.fd = acceptor->stop_fd, .events = POLLIN},
                           {.fd = acceptor->fd, .events = POLLIN}};

    while (fds[0].revents == 0) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        while (fds[1].revents != 0 && accept_one(acceptor))
            ;
    }
    return NULL;
}

static void destroy(cm_acceptor_t *acceptor)
{
    if (acceptor->stop_fd >= 0)
        close(acceptor->stop_fd);
    free(acceptor);
}

int cm_acceptor_start(int fd, struct MHD_Daemon *daemon, const cm_log_t *log, cm_acceptor_t **out,
                      cm_err_t *err)
{
    cm_acceptor_t *acceptor = cm_alloc_zero(1, sizeof *acceptor);

    acceptor->fd = fd;
    acceptor->daemon = daemon;
    acceptor->log = *log;
    acceptor->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (acceptor->stop_fd < 0 ||
        pthread_create(&acceptor->thread, NULL, accept_all, acceptor) != 0) {
        destroy(acceptor);
        return cm_fail(err, CM_EINTERNAL, "cannot start a thread");
    }
    *out = acceptor;
    return 0;
}

void cm_acceptor_stop(cm_acceptor_t *acceptor)
{
    const uint64_t one = 1;

    if (acceptor == NULL)
        return;
    while (write(acceptor->stop_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
    pthread_join(acceptor->thread, NULL);
    destroy(acceptor);
}
