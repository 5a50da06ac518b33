#include "serve/idle.h"

#include "base/clock.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

struct cm_idle_connection {
    int fd;
    _Atomic int64_t since_ns; /* since its last answer, or BUSY */
    cm_idle_connection_t *before, *after;
};

enum { BUSY = -1 }; /* its request is being answered */

struct cm_idle {
    int64_t limit_ns;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below; while it is held, no socket is closed */
    pthread_cond_t stopping;
    bool stop;
    cm_idle_connection_t *connections;
};

cm_idle_connection_t *cm_idle_open(cm_idle_t *idle, int fd)
{
    cm_idle_connection_t *connection = cm_alloc_zero(1, sizeof *connection);

    connection->fd = fd;
    connection->since_ns = cm_clock_ticks_ns();
    pthread_mutex_lock(&idle->lock);
    connection->after = idle->connections;
    if (connection->after != NULL)
        connection->after->before = connection;
    idle->connections = connection;
    pthread_mutex_unlock(&idle->lock);
    return connection;
}

void cm_idle_pause(cm_idle_connection_t *connection)
{
    atomic_store_explicit(&connection->since_ns, BUSY, memory_order_relaxed);
}

void cm_idle_restart(cm_idle_connection_t *connection)
{
    atomic_store_explicit(&connection->since_ns, cm_clock_ticks_ns(), memory_order_relaxed);
}

void cm_idle_close(cm_idle_t *idle, cm_idle_connection_t *connection)
{
    pthread_mutex_lock(&idle->lock);
    if (connection->after != NULL)
        connection->after->before = connection->before;
    if (connection->before != NULL)
        connection->before->after = connection->after;
    else
        idle->connections = connection->after;
    pthread_mutex_unlock(&idle->lock);
    free(connection);
}

/* libmicrohttpd then sees the end of the socket and closes it. */
static void *watch(void *context)
{
    cm_idle_t *idle = context;

    pthread_mutex_lock(&idle->lock);
    while (!idle->stop) {
        int64_t now = cm_clock_ticks_ns();
        for (cm_idle_connection_t *connection = idle->connections; connection != NULL;
             connection = connection->after) {
            int64_t since = atomic_load_explicit(&connection->since_ns, memory_order_relaxed);
            if (since != BUSY && now - since > idle->limit_ns)
                shutdown(connection->fd, SHUT_RDWR);
        }
        const struct timespec until = cm_clock_until(1000);
        pthread_cond_timedwait(&idle->stopping, &idle->lock, &until);
    }
    pthread_mutex_unlock(&idle->lock);
    return NULL;
}

int cm_idle_start(int seconds, cm_idle_t **out, cm_err_t *err)
{
    cm_idle_t *idle = cm_alloc_zero(1, sizeof *idle);

    idle->limit_ns = seconds * INT64_C(1000000000);
    pthread_mutex_init(&idle->lock, NULL);
    cm_clock_cond_init(&idle->stopping);
    if (pthread_create(&idle->thread, NULL, watch, idle) != 0) {
        pthread_cond_destroy(&idle->stopping);
        pthread_mutex_destroy(&idle->lock);
        free(idle);
        return cm_fail_thread(err);
    }
    *out = idle;
    return 0;
}

void cm_idle_stop(cm_idle_t *idle)
{
    if (idle == NULL)
        return;
    pthread_mutex_lock(&idle->lock);
    idle->stop = true;
    pthread_cond_signal(&idle->stopping);
    pthread_mutex_unlock(&idle->lock);
    pthread_join(idle->thread, NULL);
    assert(idle->connections == NULL);
    pthread_cond_destroy(&idle->stopping);
    pthread_mutex_destroy(&idle->lock);
    free(idle);
}
