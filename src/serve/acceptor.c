#include "serve/acceptor.h"

#include "base/clock.h"
#include "base/str.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    REST_MS = 100, /* when no file descriptor is left, one must be closed first */
    CHECK_MS = 1000,
    SILENT_MS = 1000, /* after which a silent connection may be closed to make room */
    EVENTS = 64,
    PEEK = CM_ACCEPTOR_SMALL_HEAD + 512,
};

/* A connection that has not sent anything yet. The eventfd and the listening socket have one too.
 */
typedef struct arrival {
    int fd;
    struct sockaddr_storage address;
    socklen_t len;
    int64_t since_ns;
    struct arrival *before, *after;
} arrival_t;

struct cm_acceptor {
    cm_acceptor_options_t options;
    cm_log_t log;
    pthread_t thread;
    atomic_bool stop;
    atomic_int open; /* connections, of the loops and below */
    arrival_t wake, listening;
    int epoll;
    unsigned next;     /* the loop that gets the next connection */
    bool listens;      /* the listening socket is watched */
    arrival_t *oldest; /* of those that are not readable yet */
    arrival_t *newest;
};

/* ---- connections that have sent nothing ---- */

static void unlink_arrival(cm_acceptor_t *acceptor, arrival_t *arrival)
{
    if (arrival->before != NULL)
        arrival->before->after = arrival->after;
    else
        acceptor->oldest = arrival->after;
    if (arrival->after != NULL)
        arrival->after->before = arrival->before;
    else
        acceptor->newest = arrival->before;
}

static void close_arrival(cm_acceptor_t *acceptor, arrival_t *arrival)
{
    unlink_arrival(acceptor, arrival);
    close(arrival->fd); /* which also removes it from the epoll set */
    free(arrival);
    cm_acceptor_left(acceptor);
}

static void hand_over(cm_acceptor_t *acceptor, const arrival_t *arrival, cm_loop_t *const *loops)
{
    cm_loop_add(loops[acceptor->next++ % (unsigned)acceptor->options.loops], arrival->fd,
                (const struct sockaddr *)&arrival->address, arrival->len);
}

/* Whether the text begins with a complete head of ordinary size. */
static bool is_ordinary(const char *text, size_t len)
{
    const char *end = memmem(text, len, "\r\n\r\n", 4);

    return end != NULL && end - text <= CM_ACCEPTOR_SMALL_HEAD && len < PEEK;
}

static void examine(cm_acceptor_t *acceptor, arrival_t *arrival)
{
    char text[PEEK];

    ssize_t len = recv(arrival->fd, text, sizeof text, MSG_PEEK | MSG_DONTWAIT);
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len <= 0) {
        close_arrival(acceptor, arrival);
        return;
    }
    epoll_ctl(acceptor->epoll, EPOLL_CTL_DEL, arrival->fd, NULL);
    unlink_arrival(acceptor, arrival);
    hand_over(acceptor, arrival,
              is_ordinary(text, (size_t)len) ? acceptor->options.small : acceptor->options.large);
    free(arrival);
}

static void keep(cm_acceptor_t *acceptor, const arrival_t *arrival)
{
    arrival_t *kept = cm_alloc(sizeof *kept);
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = kept};

    *kept = *arrival;
    kept->since_ns = cm_clock_ticks_ns();
    kept->before = acceptor->newest;
    kept->after = NULL;
    if (kept->before != NULL)
        kept->before->after = kept;
    else
        acceptor->oldest = kept;
    acceptor->newest = kept;
    if (epoll_ctl(acceptor->epoll, EPOLL_CTL_ADD, kept->fd, &event) < 0)
        close_arrival(acceptor, kept);
}

static void close_silent(cm_acceptor_t *acceptor)
{
    int64_t now = cm_clock_ticks_ns(), limit = acceptor->options.seconds * INT64_C(1000000000);

    while (acceptor->oldest != NULL && now - acceptor->oldest->since_ns > limit) {
        cm_debug(&acceptor->log, CM_DEBUG_SERVE, "a silent connection is closed", "open=%d",
                 atomic_load(&acceptor->open));
        close_arrival(acceptor, acceptor->oldest);
    }
}

static bool has_room(const cm_acceptor_t *acceptor)
{
    return atomic_load(&acceptor->open) < acceptor->options.most;
}

/* When there is no room, silent connections are closed to make room for new ones. */
static void make_room(cm_acceptor_t *acceptor)
{
    int64_t now = cm_clock_ticks_ns();

    while (!has_room(acceptor) && acceptor->oldest != NULL &&
           now - acceptor->oldest->since_ns > SILENT_MS * INT64_C(1000000)) {
        cm_debug(&acceptor->log, CM_DEBUG_SERVE, "a silent connection is closed to make room",
                 "open=%d", atomic_load(&acceptor->open));
        close_arrival(acceptor, acceptor->oldest);
    }
}

/* ---- accepting ---- */

/* False when no connection waits. */
static bool accept_one(cm_acceptor_t *acceptor)
{
    arrival_t arrival = {.len = sizeof arrival.address};

    arrival.fd = accept4(acceptor->options.fd, (struct sockaddr *)&arrival.address, &arrival.len,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (arrival.fd >= 0) {
        int before = atomic_fetch_add(&acceptor->open, 1);
        if (acceptor->options.small[0] == NULL || before < CM_ACCEPTOR_LARGE)
            hand_over(acceptor, &arrival, acceptor->options.large);
        else
            keep(acceptor, &arrival);
        return true;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        cm_log(&acceptor->log, CM_LOG_WARN, "a connection has to wait", "reason=\"%s\"",
               strerror(errno));
        cm_sleep_ms(REST_MS);
    }
    return errno == ECONNABORTED || errno == EINTR;
}

/* Watches the socket only while there is room: it stays readable while connections wait. */
static void watch_socket(cm_acceptor_t *acceptor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &acceptor->listening};
    bool wanted = has_room(acceptor);

    if (wanted == acceptor->listens)
        return;
    epoll_ctl(acceptor->epoll, wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, acceptor->options.fd,
              &event);
    acceptor->listens = wanted;
}

static void *accept_all(void *context)
{
    cm_acceptor_t *acceptor = context;
    struct epoll_event events[EVENTS];
    uint64_t woken;

    while (!atomic_load(&acceptor->stop)) {
        watch_socket(acceptor);
        int count = epoll_wait(acceptor->epoll, events, EVENTS, acceptor->oldest ? CHECK_MS : -1);
        for (int i = 0; i < count; i++) {
            arrival_t *arrival = events[i].data.ptr;
            if (arrival == &acceptor->listening) {
                while (has_room(acceptor) && accept_one(acceptor))
                    ;
            } else if (arrival != &acceptor->wake) {
                examine(acceptor, arrival);
            } else if (read(acceptor->wake.fd, &woken, sizeof woken) < 0) {
                continue; /* the eventfd was already read: one wake-up is enough */
            }
        }
        close_silent(acceptor);
        make_room(acceptor);
    }
    while (acceptor->oldest != NULL)
        close_arrival(acceptor, acceptor->oldest);
    return NULL;
}

static void wake(cm_acceptor_t *acceptor)
{
    const uint64_t one = 1;

    while (write(acceptor->wake.fd, &one, sizeof one) < 0 && errno == EINTR)
        ;
}

void cm_acceptor_left(cm_acceptor_t *acceptor)
{
    if (atomic_fetch_sub(&acceptor->open, 1) == acceptor->options.most)
        wake(acceptor);
}

/* ---- start and end ---- */

static bool prepare(cm_acceptor_t *acceptor)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = &acceptor->wake};

    acceptor->epoll = epoll_create1(EPOLL_CLOEXEC);
    acceptor->wake.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return acceptor->epoll >= 0 && acceptor->wake.fd >= 0 &&
           epoll_ctl(acceptor->epoll, EPOLL_CTL_ADD, acceptor->wake.fd, &event) == 0;
}

int cm_acceptor_start(const cm_acceptor_options_t *options, cm_acceptor_t **out, cm_err_t *err)
{
    cm_acceptor_t *acceptor = cm_alloc_zero(1, sizeof *acceptor);

    acceptor->options = *options;
    acceptor->log = *options->log;
    *out = acceptor; /* the first connection may be closed before this returns */
    if (!prepare(acceptor) || pthread_create(&acceptor->thread, NULL, accept_all, acceptor) != 0) {
        cm_acceptor_free(acceptor);
        *out = NULL;
        return cm_fail_thread(err);
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
    if (acceptor == NULL)
        return;
    if (acceptor->epoll >= 0)
        close(acceptor->epoll);
    if (acceptor->wake.fd >= 0)
        close(acceptor->wake.fd);
    free(acceptor);
}
