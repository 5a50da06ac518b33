#include "serve/idle.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

struct cm_idle_connection {
    int fd;
    _Atomic int64_t since_ns; /* of its last answer; BUSY */
    cm_idle_connection_t *before, *after;
};

enum { BUSY = -1 };

struct cm_idle {
    int64_t limit_ns;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below; a socket is not closed while it is held */
    pthread_cond_t stopping;
    bool stop;
    cm_idle_connection_t *guests;
};

cm_idle_connection_t *cm_idle_open(cm_idle_t *patience, int fd)
{
    cm_idle_connection_t *guest = cm_alloc_zero(1, sizeof *guest);

    guest->fd = fd;
    guest->since_ns = cm_clock_ticks_ns();
    pthread_mutex_lock(&patience->lock);
    guest->after = patience->guests;
    if (guest->after != NULL)
        guest->after->before = guest;
    patience->guests = guest;
    pthread_mutex_unlock(&patience->lock);
    return guest;
}

void cm_idle_pause(cm_idle_connection_t *guest)
{
    atomic_store_explicit(&guest->since_ns, BUSY, memory_order_relaxed);
}

void cm_idle_restart(cm_idle_connection_t *guest)
{
    atomic_store_explicit(&guest->since_ns, cm_clock_ticks_ns(), memory_order_relaxed);
}

void cm_idle_close(cm_idle_t *patience, cm_idle_connection_t *guest)
{
    pthread_mutex_lock(&patience->lock);
    if (guest->after != NULL)
        guest->after->before = guest->before;
    if (guest->before != NULL)
        guest->before->after = guest->after;
    else
        patience->guests = guest->after;
    pthread_mutex_unlock(&patience->lock);
    free(guest);
}

/* Once a second. The server finds the socket at its end and closes it. */
static void *watch(void *context)
{
    cm_idle_t *patience = context;

    pthread_mutex_lock(&patience->lock);
    while (!patience->stop) {
        int64_t now = cm_clock_ticks_ns();
        for (cm_idle_connection_t *guest = patience->guests; guest != NULL; guest = guest->after) {
            int64_t since = atomic_load_explicit(&guest->since_ns, memory_order_relaxed);
            if (since != BUSY && now - since > patience->limit_ns)
                shutdown(guest->fd, SHUT_RDWR);
        }
        const struct timespec until = cm_clock_until(1000);
        pthread_cond_timedwait(&patience->stopping, &patience->lock, &until);
    }
    pthread_mutex_unlock(&patience->lock);
    return NULL;
}

int cm_idle_start(int seconds, cm_idle_t **out, cm_err_t *err)
{
    cm_idle_t *patience = cm_alloc_zero(1, sizeof *patience);

    patience->limit_ns = seconds * INT64_C(1000000000);
    pthread_mutex_init(&patience->lock, NULL);
    cm_clock_cond_init(&patience->stopping);
    if (pthread_create(&patience->thread, NULL, watch, patience) != 0) {
        pthread_cond_destroy(&patience->stopping);
        pthread_mutex_destroy(&patience->lock);
        free(patience);
        return cm_fail_thread(err);
    }
    *out = patience;
    return 0;
}

void cm_idle_stop(cm_idle_t *patience)
{
    if (patience == NULL)
        return;
    pthread_mutex_lock(&patience->lock);
    patience->stop = true;
    pthread_cond_signal(&patience->stopping);
    pthread_mutex_unlock(&patience->lock);
    pthread_join(patience->thread, NULL);
    pthread_cond_destroy(&patience->stopping);
    pthread_mutex_destroy(&patience->lock);
    free(patience);
}
