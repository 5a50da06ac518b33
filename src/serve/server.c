#include "serve/server.h"

#include "base/clock.h"
#include "index/open.h"
#include "serve/head.h"
#include "serve/server_inside.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    LARGE = 32 * 1024, /* bytes of a connection, for the head of a request */
    SMALL = 3456,      /* the same where there are thousands of connections: see acceptor.h */
    SMALL_FROM = 1024, /* small buffers are used when more connections than this may be open */
    LOOPS_MAX = CM_ACCEPTOR_LOOPS,
    LEAVING = 64,    /* closed connections that a daemon may still count */
    GRACE_MS = 3000, /* for answers in progress when the server stops */
    QUERY_MS = 10000,
    QUERY_THREADS = 4, /* at least: some threads may have a long query */
};

static void note_connection(void *context, struct MHD_Connection *connection, void **idle,
                            enum MHD_ConnectionNotificationCode code)
{
    cm_server_t *server = context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *idle = cm_idle_open(
            server->idle,
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    else
        cm_idle_close(server->idle, *idle);
    if (code == MHD_CONNECTION_NOTIFY_CLOSED)
        cm_acceptor_left(server->acceptor);
}

static void log_library(void *context, const char *format, va_list args)
{
    cm_server_t *server = context;
    char text[256];

    int len = vsnprintf(text, sizeof text, format, args);
    if (len > 0 && len < (int)sizeof text && text[len - 1] == '\n')
        text[len - 1] = '\0';
    cm_debug(&server->log, CM_DEBUG_SERVE, "http", "reason=\"%s\"", text);
}

static int open_in_data_dir(void *context, cm_index_t **index, cm_err_t *err)
{
    const cm_server_t *server = context;

    const cm_index_settings_t settings =
        cm_index_settings_of_data_dir(server->data_dir, server->daily);

    return cm_index_open(&settings, index, err);
}

static cm_server_t *create(const cm_server_options_t *options, const cm_log_t *log)
{
    cm_server_t *server = cm_alloc_zero(1, sizeof *server);

    server->log = *log;
    server->answers = !options->no_answers;
    server->collector = options->collector;
    server->synthetic = options->synthetic;
    server->shop = options->shop && options->collector != NULL && server->answers;
    server->listen.fd = -1;
    server->demo_of = options->demo_of != NULL ? cm_strdup(options->demo_of) : NULL;
    server->data_dir = cm_strdup(options->data_dir ? options->data_dir : "data");
    server->daily = options->daily;
    server->hosts = cm_strdup(options->hosts != NULL ? options->hosts : "");
    if (options->open_index != NULL)
        cm_handle_pool_init(&server->handles, options->open_index, options->open_context);
    else
        cm_handle_pool_init(&server->handles, open_in_data_dir, server);
    server->downloads = cm_downloads_new(&server->handles, &server->log);
    pthread_mutex_init(&server->lock, NULL);
    cm_clock_cond_init(&server->no_request);
    return server;
}

static void destroy(cm_server_t *server)
{
    assert(server->active == 0);
    cm_live_free(server->live);
    cm_downloads_free(server->downloads);
    cm_api_queue_free(server->queue);
    cm_questions_free(server->questions);
    cm_read_access_free(server->access);
    cm_tls_free(server->tls);
    cm_idle_stop(server->idle);
    cm_acceptor_free(server->acceptor);
    if (server->listen.fd >= 0)
        close(server->listen.fd);
    cm_handle_pool_free(&server->handles);
    pthread_cond_destroy(&server->no_request);
    pthread_mutex_destroy(&server->lock);
    free(server->hosts);
    free(server->data_dir);
    free(server->demo_of);
    free(server);
}

/* ---- loops ---- */

static void note_start(void *context)
{
    cm_tls_enter(((cm_server_t *)context)->tls);
}

static void note_refused(void *context)
{
    cm_acceptor_left(((cm_server_t *)context)->acceptor);
}

static void note_round(void *context)
{
    cm_server_t *server = context;

    if (server->collector != NULL)
        cm_collector_ring(server->collector);
}

static int fail_start(cm_err_t *err)
{
    return cm_fail(err, CM_EINTERNAL, "the HTTP server does not start: %s",
                   errno ? strerror(errno) : "libmicrohttpd gives no reason");
}

static int open_daemon(cm_server_t *server, cm_server_daemon_t *daemon, int connections, int idle,
                       cm_err_t *err)
{
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, cm_tls_callback()},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)cm_tls_priorities},
        {MHD_OPTION_END, 0, NULL},
    };
    const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    const cm_loop_hooks_t hooks = {note_start, note_refused, note_round, server};

    daemon->server = server;
    errno = 0;
    struct MHD_Daemon *http = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_USE_NO_LISTEN_SOCKET |
            (server->tls != NULL ? MHD_USE_TLS : 0),
        0, NULL, NULL, cm_server_handle, daemon, MHD_OPTION_EXTERNAL_LOGGER, log_library, server,
        MHD_OPTION_STRICT_FOR_CLIENT, cm_head_strictness(), MHD_OPTION_ARRAY,
        server->tls != NULL ? tls : none, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)(connections + LEAVING), MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)idle,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, daemon->memory, MHD_OPTION_URI_LOG_CALLBACK,
        cm_server_note_target, NULL, MHD_OPTION_NOTIFY_CONNECTION, note_connection, server,
        MHD_OPTION_NOTIFY_COMPLETED, cm_server_complete, server, MHD_OPTION_END);
    return http != NULL ? cm_loop_start(http, &hooks, &daemon->loop, err) : fail_start(err);
}

static void stop_loops(cm_server_t *server)
{
    for (int i = 0; i < LOOPS_MAX; i++) {
        cm_loop_stop(server->small[i].loop);
        cm_loop_stop(server->large[i].loop);
    }
}

static int start_loops(cm_server_t *server, const cm_server_options_t *options, cm_err_t *err)
{
    int count = options->threads > 0 ? options->threads : 4;
    int connections = options->max_connections > 0 ? options->max_connections : 512;
    int idle = options->idle_seconds > 0 ? options->idle_seconds : 30;
    bool both = connections > SMALL_FROM && server->tls == NULL;
    cm_acceptor_options_t acceptor = {
        .fd = server->listen.fd, .most = connections, .seconds = idle, .log = &server->log};

    if (count > LOOPS_MAX)
        count = LOOPS_MAX;
    int rc = cm_idle_start(idle, &server->idle, err);
    for (int i = 0; rc == 0 && i < count; i++) {
        server->large[i].memory = LARGE;
        server->small[i].memory = SMALL;
        rc = open_daemon(server, &server->large[i], connections, idle, err);
        if (rc == 0 && both)
            rc = open_daemon(server, &server->small[i], connections, idle, err);
        acceptor.large[i] = server->large[i].loop;
        acceptor.small[i] = server->small[i].loop;
        acceptor.loops = i + 1;
    }
    if (rc == 0)
        rc = cm_acceptor_start(&acceptor, &server->acceptor, err);
    if (rc < 0)
        stop_loops(server);
    return rc;
}

static int start_answering(cm_server_t *server, const cm_server_options_t *options, cm_err_t *err)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    const int threads = processors < QUERY_THREADS              ? QUERY_THREADS
                        : processors > CM_API_QUEUE_THREADS_MAX ? CM_API_QUEUE_THREADS_MAX
                                                                : (int)processors;

    if (options->questions != NULL)
        server->questions = cm_questions_new(options->questions, &server->log);
    int rc = cm_api_queue_start(&server->handles, server->questions, &server->log, threads,
                                options->question_ms > 0 ? options->question_ms : QUERY_MS,
                                &server->queue, err);
    return rc < 0 ? rc : cm_live_start(&server->handles, &server->log, &server->live, err);
}

int cm_server_start(const cm_server_options_t *options, const cm_log_t *log, cm_server_t **out,
                    cm_err_t *err)
{
    cm_server_t *server = create(options, log);
    sigset_t all, before;

    int rc = cm_listen_open(options->listen, &server->listen, err);
    if (rc == 0 && options->tls_cert != NULL)
        rc = cm_tls_new(options->tls_cert, options->tls_key, &server->tls, err);
    if (rc < 0)
        goto failed;
    server->access = cm_read_access_new(options->read_token, options->read_password,
                                        options->read_public || server->listen.loopback);
    if (server->collector != NULL)
        cm_collector_listens(server->collector, server->listen.loopback);
    /* Threads inherit the mask: only the thread that starts the server handles signals. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (server->answers)
        rc = start_answering(server, options, err);
    if (rc == 0)
        rc = start_loops(server, options, err);
    if (rc < 0 && server->live != NULL)
        cm_live_stop(server->live);
    if (rc < 0)
        cm_api_queue_stop(server->queue);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc < 0)
        goto failed;
    *out = server;
    return 0;

failed:
    destroy(server);
    return rc;
}

uint16_t cm_server_port(const cm_server_t *server)
{
    return server->listen.port;
}

const char *cm_server_address(const cm_server_t *server)
{
    return server->listen.address;
}

const char *cm_server_closed(const cm_server_t *server)
{
    return server->answers && cm_read_access_none(server->access) ? cm_read_access_closed : NULL;
}

int cm_server_renew_tls(cm_server_t *server, const char *cert, const char *key, cm_err_t *err)
{
    return cm_tls_renew(server->tls, cert, key, err);
}

static void wait_for_requests(cm_server_t *server)
{
    const struct timespec until = cm_clock_until(GRACE_MS);

    pthread_mutex_lock(&server->lock);
    while (server->active > 0 &&
           pthread_cond_timedwait(&server->no_request, &server->lock, &until) == 0)
        ;
    pthread_mutex_unlock(&server->lock);
}

void cm_server_stop(cm_server_t *server)
{
    if (server == NULL)
        return;
    cm_acceptor_stop(server->acceptor);
    if (server->live != NULL)
        cm_live_stop(server->live);
    wait_for_requests(server);
    cm_api_queue_stop(server->queue);
    cm_downloads_stop(server->downloads);
    stop_loops(server);
    destroy(server);
}
