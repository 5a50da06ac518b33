#include "serve/loop.h"

#include "base/str.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WAIT_MS = 1000 };

typedef struct accepted {
    int fd;
    struct sockaddr_storage address;
    socklen_t len;
} accepted_t;

/* What other threads have passed to the loop. */
typedef struct passed {
    accepted_t *accepted;
    struct MHD_Connection **resumed;
    size_t accepted_count, accepted_cap, resumed_count, resumed_cap;
} passed_t;

struct cm_loop {
    struct MHD_Daemon *daemon;
    cm_loop_hooks_t hooks;
    pthread_t thread;
    int wake_fd;
    passed_t taken;       /* used by the thread alone */
    pthread_mutex_t lock; /* guards: */
    passed_t passed;
    bool stop;
};

static void wake(cm_loop_t *loop)
{
    const uint64_t one = 1;

    while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* Only the first entry wakes the thread, which then takes all. */
static bool is_empty(const passed_t *passed)
{
    return passed->accepted_count == 0 && passed->resumed_count == 0;
}

void cm_loop_add(cm_loop_t *loop, int fd, const struct sockaddr *address, socklen_t len)
{
    pthread_mutex_lock(&loop->lock);
    passed_t *passed = &loop->passed;
    bool first = is_empty(passed);
    if (passed->accepted_count == passed->accepted_cap) {
        passed->accepted_cap = passed->accepted_cap * 2 + 16;
        passed->accepted =
            cm_realloc(passed->accepted, passed->accepted_cap * sizeof *passed->accepted);
    }
    accepted_t *connection = &passed->accepted[passed->accepted_count++];
    connection->fd = fd;
    memcpy(&connection->address, address, len);
    connection->len = len;
    pthread_mutex_unlock(&loop->lock);
    if (first)
        wake(loop);
}

void cm_loop_resume(cm_loop_t *loop, struct MHD_Connection *connection)
{
    pthread_mutex_lock(&loop->lock);
    passed_t *passed = &loop->passed;
    bool first = is_empty(passed);
    if (passed->resumed_count == passed->resumed_cap) {
        passed->resumed_cap = passed->resumed_cap * 2 + 64;
        passed->resumed =
            cm_realloc(passed->resumed, passed->resumed_cap * sizeof *passed->resumed);
    }
    passed->resumed[passed->resumed_count++] = connection;
    pthread_mutex_unlock(&loop->lock);
    if (first)
        wake(loop);
}

/* Takes what was passed. True when the thread must end. */
static bool take_passed(cm_loop_t *loop)
{
    uint64_t woken;

    if (read(loop->wake_fd, &woken, sizeof woken) < 0)
        woken = 0; /* the entries are taken all the same */
    pthread_mutex_lock(&loop->lock);
    passed_t taken = loop->passed;
    loop->passed = loop->taken;
    loop->taken = taken;
    bool stop = loop->stop;
    pthread_mutex_unlock(&loop->lock);
    for (size_t i = 0; i < taken.accepted_count; i++) {
        const accepted_t *connection = &taken.accepted[i];
        if (MHD_add_connection(loop->daemon, connection->fd,
                               (const struct sockaddr *)&connection->address,
                               connection->len) != MHD_YES)
            loop->hooks.refused(loop->hooks.context);
    }
    for (size_t i = 0; i < taken.resumed_count; i++)
        MHD_resume_connection(taken.resumed[i]);
    loop->taken.accepted_count = loop->taken.resumed_count = 0;
    return stop;
}

static int wait_ms(cm_loop_t *loop)
{
    MHD_UNSIGNED_LONG_LONG ms;

    if (MHD_get_timeout(loop->daemon, &ms) != MHD_YES || ms > WAIT_MS)
        return WAIT_MS;
    return (int)ms;
}

static void *run(void *context)
{
    cm_loop_t *loop = context;
    struct pollfd fds[] = {
        {.fd = MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
         .events = POLLIN},
        {.fd = loop->wake_fd, .events = POLLIN}};
    bool stop = false;

    loop->hooks.started(loop->hooks.context);
    while (!stop) {
        if (poll(fds, 2, wait_ms(loop)) < 0 && errno != EINTR)
            break;
        if (fds[1].revents != 0)
            stop = take_passed(loop);
        MHD_run(loop->daemon);
        loop->hooks.rounded(loop->hooks.context);
    }
    return NULL;
}

static void destroy(cm_loop_t *loop)
{
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    free(loop->passed.accepted);
    free(loop->passed.resumed);
    free(loop->taken.accepted);
    free(loop->taken.resumed);
    pthread_mutex_destroy(&loop->lock);
    free(loop);
}

int cm_loop_start(struct MHD_Daemon *daemon, const cm_loop_hooks_t *hooks, cm_loop_t **out,
                  cm_err_t *err)
{
    cm_loop_t *loop = cm_alloc_zero(1, sizeof *loop);

    loop->daemon = daemon;
    loop->hooks = *hooks;
    pthread_mutex_init(&loop->lock, NULL);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    *out = loop; /* the first connection may be handled before this returns */
    if (loop->wake_fd >= 0 && pthread_create(&loop->thread, NULL, run, loop) == 0)
        return 0;
    MHD_stop_daemon(daemon);
    destroy(loop);
    *out = NULL;
    return cm_fail_thread(err);
}

void cm_loop_stop(cm_loop_t *loop)
{
    if (loop == NULL)
        return;
    pthread_mutex_lock(&loop->lock);
    loop->stop = true;
    pthread_mutex_unlock(&loop->lock);
    wake(loop);
    pthread_join(loop->thread, NULL);
    /* Those that were resumed in the last round: a daemon must not end with a suspended connection.
     */
    for (size_t i = 0; i < loop->passed.resumed_count; i++)
        MHD_resume_connection(loop->passed.resumed[i]);
    MHD_stop_daemon(loop->daemon);
    for (size_t i = 0; i < loop->passed.accepted_count; i++)
        close(loop->passed.accepted[i].fd);
    destroy(loop);
}
