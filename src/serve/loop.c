#include "serve/loop.h"

#include "base/str.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WAIT_MS = 1000 };

typedef struct newcomer {
    int fd;
    struct sockaddr_storage address;
    socklen_t len;
} newcomer_t;

/* What others have given to the loop. */
typedef struct given {
    newcomer_t *newcomers;
    struct MHD_Connection **resumed;
    size_t newcomer_count, newcomer_cap, resumed_count, resumed_cap;
} given_t;

struct cm_loop {
    struct MHD_Daemon *daemon;
    cm_loop_hooks_t hooks;
    pthread_t thread;
    int wake_fd;
    given_t taken;        /* the thread's own */
    pthread_mutex_t lock; /* guards: */
    given_t given;
    bool stop;
};

static void wake(cm_loop_t *loop)
{
    const uint64_t one = 1;

    while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

/* Only the first thing that is given wakes the thread: it takes all. */
static bool is_empty(const given_t *given)
{
    return given->newcomer_count == 0 && given->resumed_count == 0;
}

void cm_loop_add(cm_loop_t *loop, int fd, const struct sockaddr *address, socklen_t len)
{
    pthread_mutex_lock(&loop->lock);
    given_t *given = &loop->given;
    bool first = is_empty(given);
    if (given->newcomer_count == given->newcomer_cap) {
        given->newcomer_cap = given->newcomer_cap * 2 + 16;
        given->newcomers =
            cm_realloc(given->newcomers, given->newcomer_cap * sizeof *given->newcomers);
    }
    newcomer_t *newcomer = &given->newcomers[given->newcomer_count++];
    newcomer->fd = fd;
    memcpy(&newcomer->address, address, len);
    newcomer->len = len;
    pthread_mutex_unlock(&loop->lock);
    if (first)
        wake(loop);
}

void cm_loop_resume(cm_loop_t *loop, struct MHD_Connection *connection)
{
    pthread_mutex_lock(&loop->lock);
    given_t *given = &loop->given;
    bool first = is_empty(given);
    if (given->resumed_count == given->resumed_cap) {
        given->resumed_cap = given->resumed_cap * 2 + 64;
        given->resumed = cm_realloc(given->resumed, given->resumed_cap * sizeof *given->resumed);
    }
    given->resumed[given->resumed_count++] = connection;
    pthread_mutex_unlock(&loop->lock);
    if (first)
        wake(loop);
}

/* Takes over what was given. True when the thread shall end. */
static bool take_given(cm_loop_t *loop)
{
    uint64_t woken;

    if (read(loop->wake_fd, &woken, sizeof woken) < 0)
        woken = 0; /* somebody has given something all the same, or not */
    pthread_mutex_lock(&loop->lock);
    given_t taken = loop->given;
    loop->given = loop->taken;
    loop->taken = taken;
    bool stop = loop->stop;
    pthread_mutex_unlock(&loop->lock);
    for (size_t i = 0; i < taken.newcomer_count; i++) {
        const newcomer_t *newcomer = &taken.newcomers[i];
        if (MHD_add_connection(loop->daemon, newcomer->fd,
                               (const struct sockaddr *)&newcomer->address,
                               newcomer->len) != MHD_YES)
            loop->hooks.refused(loop->hooks.context);
    }
    for (size_t i = 0; i < taken.resumed_count; i++)
        MHD_resume_connection(taken.resumed[i]);
    loop->taken.newcomer_count = loop->taken.resumed_count = 0;
    return stop;
}

static int wait_ms(cm_loop_t *loop)
{
    MHD_UNSIGNED_LONG_LONG ms;

    if (MHD_get_timeout(loop->daemon, &ms) != MHD_YES || ms > WAIT_MS)
        return WAIT_MS;
    return (int)ms;
}

static void *turn(void *context)
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
            stop = take_given(loop);
        MHD_run(loop->daemon);
        loop->hooks.rounded(loop->hooks.context);
    }
    return NULL;
}

static void destroy(cm_loop_t *loop)
{
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    free(loop->given.newcomers);
    free(loop->given.resumed);
    free(loop->taken.newcomers);
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
    if (loop->wake_fd >= 0 && pthread_create(&loop->thread, NULL, turn, loop) == 0)
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
    /* What was let on in the last round: no daemon may end with a suspended connection. */
    for (size_t i = 0; i < loop->given.resumed_count; i++)
        MHD_resume_connection(loop->given.resumed[i]);
    MHD_stop_daemon(loop->daemon);
    for (size_t i = 0; i < loop->given.newcomer_count; i++)
        close(loop->given.newcomers[i].fd);
    destroy(loop);
}
