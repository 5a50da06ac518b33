#include "serve/server.h"

#include "base/clock.h"
#include "serve/acceptor.h"
#include "serve/api.h"
#include "serve/assets.h"
#include "serve/authority.h"
#include "serve/download.h"
#include "serve/handle_pool.h"
#include "serve/head.h"
#include "serve/idle.h"
#include "serve/listen.h"
#include "serve/live.h"
#include "serve/loop.h"
#include "serve/read_access.h"
#include "serve/reply.h"
#include "serve/tls.h"
#include "store/embedded/demo.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum {
    TARGET_MAX = 8 * 1024, /* bytes of path and query: a 2048-byte URL, percent-encoded */
    ROOMY = 32 * 1024,     /* bytes of a connection, for the head of a request */
    TIGHT = 3584,          /* the same where there are thousands: see acceptor.h */
    TIGHT_FROM = 1024,     /* connections that may be open, from which on there is need */
    LOOPS_MAX = CM_ACCEPTOR_LOOPS,
    LEAVING = 64,    /* connections that are closed, but that a daemon still counts */
    GRACE_MS = 3000, /* for answers in flight when the server stops */
    QUESTION_MS = 10000,
    QUESTION_THREADS = 4, /* at least: some may have a long question */
};

/* What a daemon's connections have. */
typedef struct room {
    cm_server_t *server;
    size_t memory; /* of each */
    cm_loop_t *loop;
} room_t;

struct cm_server {
    room_t roomy[LOOPS_MAX],
        tight[LOOPS_MAX]; /* the latter have no loops when they are not needed */
    cm_live_t *live;
    cm_downloads_t *downloads;
    cm_api_queue_t *questions;
    cm_log_t log;
    cm_listen_t listen;
    char *data_dir;
    char *demo_of; /* NULL: not to be told */
    bool daily;
    char *hosts;               /* further names, between commas */
    bool synthetic;            /* the answers are of synthetic traffic */
    bool shop;                 /* the demo shop is served */
    bool answers;              /* the dashboard and its API are served */
    cm_collector_t *collector; /* NULL: no events are taken; borrowed */
    cm_read_access_t *readers;
    cm_tls_t *tls; /* NULL: without */
    cm_idle_t *patience;
    cm_acceptor_t *acceptor;
    cm_handle_pool_t handles;
    pthread_mutex_t lock; /* guards `active` */
    pthread_cond_t idle;
    int active; /* requests that were begun and whose answers are not yet sent */
};

/* What a request's context points at from the end of its head on. */
typedef struct request {
    bool too_long; /* its target */
    bool odd;      /* its path has a NUL, behind which nobody would look */
    cm_collector_request_t *collect;
    cm_download_t *download;
    cm_api_query_t *question;
} request_t;

/* What it points at before that, so that a request whose head never ends well costs no memory:
 * libmicrohttpd does not say of each of them that it is over. */
static request_t plain_target, long_target = {.too_long = true}, odd_target = {.odd = true};

static bool is_begun(const request_t *request)
{
    return request != &plain_target && request != &long_target && request != &odd_target;
}

static void *note_target(void *context, const char *target, struct MHD_Connection *connection)
{
    const char *nul = strstr(target, "%00");
    (void)context;
    (void)connection;

    if (strlen(target) > TARGET_MAX)
        return &long_target;
    return nul != NULL && nul < target + strcspn(target, "?") ? &odd_target : &plain_target;
}

static cm_idle_connection_t *guest_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void note_connection(void *context, struct MHD_Connection *connection, void **guest,
                            enum MHD_ConnectionNotificationCode code)
{
    cm_server_t *server = context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *guest = cm_idle_open(
            server->patience,
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd);
    else
        cm_idle_close(server->patience, *guest);
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
    cm_log(&server->log, CM_LOG_DEBUG, "http", "reason=\"%s\"", text);
}

/* A web page of a stranger can make its own name resolve to 127.0.0.1 and then read this server
 * through the visitor's browser (DNS rebinding). The Host header still has the stranger's name. A
 * request without one comes from no browser. */
static bool host_allowed(const cm_server_t *server, struct MHD_Connection *connection)
{
    const char *header = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
    cm_str_t name = cm_authority_host(cm_str_trim(cm_str(header)));

    if (!server->listen.loopback || header == NULL || cm_authority_is_local(name))
        return true;
    cm_str_t rest = cm_str(server->hosts), one;
    while (cm_str_next(&rest, &one)) {
        if (one.len > 0 && cm_str_equal_nocase(name, one))
            return true;
    }
    return false;
}

/* A file that goes with collecting; the others go with the answers. */
static bool for_pages(const char *path)
{
    return strcmp(path, "/clickmill.js") == 0 || strncmp(path, "/snippet", 8) == 0;
}

/* What everybody may see, whatever name he knows us by. */
static bool for_strangers(const char *path)
{
    return for_pages(path) || strcmp(path, "/healthz") == 0;
}

/* What shows answers, or more of this server than who sends events has to know. */
static bool for_readers(const char *path)
{
    return !for_strangers(path) && strncmp(path, "/demo", 5) != 0;
}

static bool path_known(const cm_server_t *server, const char *path)
{
    if (strcmp(path, "/healthz") == 0)
        return true;
    if (strncmp(path, "/demo", 5) == 0 && !server->shop)
        return false;
    if (for_pages(path) && server->collector == NULL)
        return false;
    if (strcmp(path, "/demo") == 0)
        return true;
    if (cm_asset_find(path) != NULL)
        return server->answers || for_pages(path);
    return server->answers && (strcmp(path, "/api/live") == 0 || strcmp(path, "/api/status") == 0 ||
                               cm_api_find(path) != NULL);
}

static const char *what_is_here(const cm_server_t *server)
{
    return server->answers ? "there is nothing here; the page is at / and the API at "
                             "/api/answers, /api/pages, /api/countries, /api/summary, "
                             "/api/series, /api/status and /api/live"
                           : "there is nothing here; events go to /v1/events, pages take "
                             "/clickmill.js or /pixel.gif, and /snippet says how";
}

/* Refuses what no endpoint answers. True when it has replied, with `*result`. */
static bool refuse(cm_server_t *server, struct MHD_Connection *connection, const char *path,
                   const char *method, bool too_long, enum MHD_Result *result)
{
    const int reader =
        for_readers(path) ? cm_read_access_check(server->readers, connection) : CM_READ_ALLOWED;

    if (!for_strangers(path) && !host_allowed(server, connection)) {
        *result = cm_reply_error(connection, MHD_HTTP_FORBIDDEN,
                                 "this server answers to the names localhost, 127.0.0.1 and [::1] "
                                 "only, to keep other web sites out; http.hosts adds names");
    } else if (too_long) {
        *result = cm_reply_error(connection, MHD_HTTP_URI_TOO_LONG,
                                 "the request's address is longer than 8192 bytes");
    } else if (!path_known(server, path)) {
        *result = cm_reply_error(connection, MHD_HTTP_NOT_FOUND, what_is_here(server));
    } else if (reader != CM_READ_ALLOWED) {
        *result = cm_read_access_refuse(server->readers, reader, connection);
    } else if (!cm_head_only_reads(method)) {
        *result = cm_reply_method(connection);
    } else if (cm_head_has_body(connection)) {
        *result = cm_reply_error(connection, MHD_HTTP_CONTENT_TOO_LARGE,
                                 "a request to this server has no body");
    } else {
        return false;
    }
    return true;
}

static enum MHD_Result reply_health(struct MHD_Connection *connection)
{
    cm_buf_t body = CM_BUF_INIT;

    cm_buf_add_text(&body, "ok\n");
    return cm_reply_data(connection, "text/plain; charset=utf-8", &body);
}

/* Where the clicks of the demonstration are, for a page that has no clicks to show. */
static void add_demo(const cm_server_t *server, cm_buf_t *body)
{
    const bool there = server->demo_of != NULL && cm_demo_is_there(server->demo_of);
    char *directory = there ? cm_demo_directory(server->demo_of) : NULL;

    cm_buf_add_text(body, ",\"demo\":");
    if (there)
        cm_buf_add_json(body, cm_str(directory));
    else
        cm_buf_add_text(body, "null");
    free(directory);
}

/* What a page has to know of the server that it comes from. */
static enum MHD_Result reply_status(cm_server_t *server, struct MHD_Connection *connection)
{
    cm_buf_t body = CM_BUF_INIT;

    cm_buf_printf(&body, "{\"synthetic\":%s,\"collector\":%s,\"shop\":%s,\"refused\":",
                  server->synthetic ? "true" : "false",
                  server->collector != NULL ? "true" : "false", server->shop ? "true" : "false");
    if (server->collector != NULL)
        cm_refused_add_json(cm_collector_refused(server->collector), &body);
    else
        cm_buf_add_text(&body, "null");
    add_demo(server, &body);
    cm_buf_add_text(&body, "}\n");
    return cm_reply_data(connection, "application/json", &body);
}

static enum MHD_Result route(const room_t *room, struct MHD_Connection *connection,
                             const char *path, const char *method, request_t *request)
{
    cm_server_t *server = room->server;
    const cm_api_endpoint_t *endpoint = cm_api_find(path);
    const bool head = strcmp(method, "HEAD") == 0;

    if (endpoint != NULL)
        return cm_api_reply(endpoint, connection,
                            &(cm_api_request_t){.questions = server->questions,
                                                .question = &request->question,
                                                .downloads = server->downloads,
                                                .download = &request->download,
                                                .loop = room->loop,
                                                .head = head});
    if (strcmp(path, "/api/live") == 0)
        return cm_live_reply(server->live, connection, room->loop, head);
    if (strcmp(path, "/api/status") == 0)
        return reply_status(server, connection);
    if (strcmp(path, "/healthz") == 0)
        return reply_health(connection);
    if (strcmp(path, "/demo") == 0) /* its links are below it */
        return cm_reply_redirect(connection, "/demo/");
    return cm_asset_reply(connection, cm_asset_find(path));
}

/* The head is whole: from now on the request counts as active. */
static request_t *begin_request(cm_server_t *server, const request_t *target)
{
    request_t *request = cm_alloc(sizeof *request);

    *request = *target;
    pthread_mutex_lock(&server->lock);
    server->active++;
    pthread_mutex_unlock(&server->lock);
    return request;
}

/* libmicrohttpd calls this once when the head of a request is there, when it may only be refused
 * (and its connection then ends, because its body stays unread), for each piece of its body, and
 * again when the request is complete, when it may be answered. */
static enum MHD_Result handle(void *context, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *upload,
                              size_t *upload_len, void **of_request)
{
    const room_t *room = context;
    cm_server_t *server = room->server;
    request_t *request = *of_request;
    const bool first = !is_begun(request);
    enum MHD_Result result = MHD_YES;

    if (first)
        *of_request = request = begin_request(server, request);
    if (request->odd)
        path = "";
    const char *fault = first ? cm_head_fault(connection, version) : NULL;
    if (fault != NULL)
        /* Nothing behind such a head is taken for a request. */
        return cm_reply_last(connection, MHD_HTTP_BAD_REQUEST, fault);
    if (server->collector != NULL && !request->too_long && cm_collector_knows(path)) {
        if (!first && *upload_len == 0) /* it is whole, and waits for us */
            cm_idle_pause(guest_of(connection));
        result = cm_collector_handle(server->collector, connection, room->loop, room->memory, path,
                                     method, upload, upload_len, &request->collect);
    } else if (first && !cm_head_has_body(connection)) {
        return MHD_YES;
    } else if (!refuse(server, connection, path, method, request->too_long, &result)) {
        cm_idle_pause(guest_of(connection));
        result = route(room, connection, path, method, request);
    }
    return result;
}

static void complete(void *context, struct MHD_Connection *connection, void **of_request,
                     enum MHD_RequestTerminationCode how)
{
    cm_server_t *server = context;
    request_t *request = *of_request;
    (void)how;

    *of_request = NULL;
    if (request == NULL || !is_begun(request))
        return;
    cm_idle_restart(guest_of(connection));
    cm_collector_request_free(request->collect);
    cm_download_release(request->download);
    cm_api_query_release(request->question);
    free(request);
    pthread_mutex_lock(&server->lock);
    if (--server->active == 0)
        pthread_cond_signal(&server->idle);
    pthread_mutex_unlock(&server->lock);
}

static int open_embedded(void *context, cm_index_t **index, cm_err_t *err)
{
    const cm_server_t *server = context;

    int rc = cm_index_embedded_open(server->data_dir, index, err);
    if (rc == 0)
        (*index)->daily = server->daily;
    return rc;
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
        cm_handle_pool_init(&server->handles, open_embedded, server);
    server->downloads = cm_downloads_new(&server->handles, &server->log);
    pthread_mutex_init(&server->lock, NULL);
    cm_clock_cond_init(&server->idle);
    return server;
}

static void destroy(cm_server_t *server)
{
    cm_live_free(server->live);
    cm_downloads_free(server->downloads);
    cm_api_queue_free(server->questions);
    cm_read_access_free(server->readers);
    cm_tls_free(server->tls);
    cm_idle_stop(server->patience);
    cm_acceptor_free(server->acceptor);
    if (server->listen.fd >= 0)
        close(server->listen.fd);
    cm_handle_pool_free(&server->handles);
    pthread_cond_destroy(&server->idle);
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

static int open_room(cm_server_t *server, room_t *room, int connections, int idle, cm_err_t *err)
{
    const struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, cm_tls_callback()},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)cm_tls_priorities},
        {MHD_OPTION_END, 0, NULL},
    };
    const struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};
    const cm_loop_hooks_t hooks = {note_start, note_refused, note_round, server};

    room->server = server;
    errno = 0;
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_USE_NO_LISTEN_SOCKET |
            (server->tls != NULL ? MHD_USE_TLS : 0),
        0, NULL, NULL, handle, room, MHD_OPTION_EXTERNAL_LOGGER, log_library, server,
        MHD_OPTION_STRICT_FOR_CLIENT, cm_head_strictness(), MHD_OPTION_ARRAY,
        server->tls != NULL ? tls : none, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)(connections + LEAVING), MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)idle,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, room->memory, MHD_OPTION_URI_LOG_CALLBACK, note_target,
        NULL, MHD_OPTION_NOTIFY_CONNECTION, note_connection, server, MHD_OPTION_NOTIFY_COMPLETED,
        complete, server, MHD_OPTION_END);
    return daemon != NULL ? cm_loop_start(daemon, &hooks, &room->loop, err) : fail_start(err);
}

static void stop_loops(cm_server_t *server)
{
    for (int i = 0; i < LOOPS_MAX; i++) {
        cm_loop_stop(server->tight[i].loop);
        cm_loop_stop(server->roomy[i].loop);
    }
}

static int start_loops(cm_server_t *server, const cm_server_options_t *options, cm_err_t *err)
{
    int count = options->threads > 0 ? options->threads : 4;
    int connections = options->max_connections > 0 ? options->max_connections : 512;
    int idle = options->idle_seconds > 0 ? options->idle_seconds : 30;
    bool both = connections > TIGHT_FROM && server->tls == NULL;
    cm_acceptor_options_t acceptor = {
        .fd = server->listen.fd, .most = connections, .seconds = idle, .log = &server->log};

    if (count > LOOPS_MAX)
        count = LOOPS_MAX;
    int rc = cm_idle_start(idle, &server->patience, err);
    for (int i = 0; rc == 0 && i < count; i++) {
        server->roomy[i].memory = ROOMY;
        server->tight[i].memory = TIGHT;
        rc = open_room(server, &server->roomy[i], connections, idle, err);
        if (rc == 0 && both)
            rc = open_room(server, &server->tight[i], connections, idle, err);
        acceptor.roomy[i] = server->roomy[i].loop;
        acceptor.tight[i] = server->tight[i].loop;
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
    const int threads = processors < QUESTION_THREADS           ? QUESTION_THREADS
                        : processors > CM_API_QUEUE_THREADS_MAX ? CM_API_QUEUE_THREADS_MAX
                                                                : (int)processors;

    int rc = cm_api_queue_start(&server->handles, &server->log, threads,
                                options->question_ms > 0 ? options->question_ms : QUESTION_MS,
                                &server->questions, err);
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
    server->readers = cm_read_access_new(options->read_token, options->read_password,
                                         options->read_public || server->listen.loopback);
    if (server->collector != NULL)
        cm_collector_listens(server->collector, server->listen.loopback);
    /* Threads inherit the mask: signals are the business of the thread that starts the server. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    if (server->answers)
        rc = start_answering(server, options, err);
    if (rc == 0)
        rc = start_loops(server, options, err);
    if (rc < 0 && server->live != NULL)
        cm_live_stop(server->live);
    if (rc < 0)
        cm_api_queue_stop(server->questions);
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
    return server->answers && cm_read_access_none(server->readers) ? cm_read_access_closed : NULL;
}

int cm_server_renew_tls(cm_server_t *server, const char *cert, const char *key, cm_err_t *err)
{
    return cm_tls_renew(server->tls, cert, key, err);
}

static void wait_until_idle(cm_server_t *server)
{
    const struct timespec until = cm_clock_until(GRACE_MS);

    pthread_mutex_lock(&server->lock);
    while (server->active > 0 && pthread_cond_timedwait(&server->idle, &server->lock, &until) == 0)
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
    wait_until_idle(server);
    cm_api_queue_stop(server->questions);
    cm_downloads_stop(server->downloads);
    stop_loops(server);
    destroy(server);
}
