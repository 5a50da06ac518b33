/* A request from the end of its head to its answer, as libmicrohttpd reports it. */
#include "serve/authority.h"
#include "serve/head.h"
#include "serve/reply.h"
#include "serve/server_inside.h"

#include <stdlib.h>

enum { TARGET_MAX = 8 * 1024 }; /* bytes of path and query: a 2048-byte URL, percent-encoded */

/* What the context points to before the head is whole, so that a request whose head is never
 * completed costs no memory: libmicrohttpd does not report the end of each of them. */
static cm_server_request_t plain_target, long_target = {.too_long = true},
                                         nul_target = {.has_nul = true};

static bool is_begun(const cm_server_request_t *request)
{
    return request != &plain_target && request != &long_target && request != &nul_target;
}

void *cm_server_note_target(void *context, const char *target, struct MHD_Connection *connection)
{
    const char *nul = strstr(target, "%00");
    (void)context;
    (void)connection;

    if (strlen(target) > TARGET_MAX)
        return &long_target;
    return nul != NULL && nul < target + strcspn(target, "?") ? &nul_target : &plain_target;
}

static cm_idle_connection_t *idle_of(struct MHD_Connection *connection)
{
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

/* Another site's page can make its own name resolve to 127.0.0.1 and then read this server through
 * the visitor's browser (DNS rebinding). The Host header still has the name of that site. A request
 * without the header comes from no browser. */
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

static const char *what_is_here(const cm_server_t *server)
{
    return server->answers ? "this path is unknown; the dashboard is at / and the API at "
                             "/api/answers, /api/pages, /api/countries, /api/summary, "
                             "/api/series, /api/status and /api/live"
                           : "this path is unknown; events go to /v1/events, pages load "
                             "/clickmill.js or /pixel.gif, and /snippet explains how";
}

/* Refuses what is not to be answered. True when it has replied, with `*result`. */
static bool refuse(cm_server_t *server, struct MHD_Connection *connection,
                   const cm_server_request_t *request, const char *method, enum MHD_Result *result)
{
    const cm_route_access_t access = request->route->access;
    const int verdict = access == CM_ROUTE_READERS
                            ? cm_read_access_check(server->access, connection)
                            : CM_READ_ALLOWED;

    if (access != CM_ROUTE_ALL && !host_allowed(server, connection)) {
        *result = cm_reply_error(connection, MHD_HTTP_FORBIDDEN,
                                 "this server answers to the names localhost, 127.0.0.1 and [::1] "
                                 "only, to keep other web sites out; http.hosts adds names");
    } else if (request->too_long) {
        *result = cm_reply_error(connection, MHD_HTTP_URI_TOO_LONG,
                                 "the URL of the request is longer than 8192 bytes");
    } else if (!request->is_there) {
        *result = cm_reply_error(connection, MHD_HTTP_NOT_FOUND, what_is_here(server));
    } else if (verdict != CM_READ_ALLOWED) {
        *result = cm_read_access_refuse(server->access, verdict, connection);
    } else if (!cm_head_only_reads(method)) {
        *result = cm_reply_method(connection);
    } else if (cm_head_has_body(connection)) {
        *result = cm_reply_error(connection, MHD_HTTP_CONTENT_TOO_LARGE,
                                 "a request to this path must not have a body");
    } else {
        return false;
    }
    return true;
}

/* The head is whole: from now on the request counts as active. */
static cm_server_request_t *begin_request(cm_server_t *server, const cm_server_request_t *target,
                                          const char *path)
{
    cm_server_request_t *request = cm_alloc(sizeof *request);

    *request = *target;
    if (request->has_nul) /* it may not pass as the path before the NUL */
        path = "";
    if (server->collector != NULL)
        path = cm_own_paths_standard(cm_collector_paths(server->collector), path);
    request->route = cm_route_find(path);
    request->is_there = cm_route_is_there(server, request->route, path);
    pthread_mutex_lock(&server->lock);
    server->active++;
    pthread_mutex_unlock(&server->lock);
    return request;
}

/* Names of our own, because the client's method and path could forge entries. */
static void debug_request(const cm_server_t *server, const cm_server_request_t *request,
                          const char *method)
{
    static const char *const known[] = {"GET", "HEAD", "POST", "OPTIONS", NULL};
    size_t i = 0;

    while (known[i] != NULL && strcmp(known[i], method) != 0)
        i++;
    cm_debug(&server->log, CM_DEBUG_SERVE, "request", "method=%s route=%s",
             known[i] != NULL ? known[i] : "other",
             request->is_there ? request->route->path : "none");
}

/* libmicrohttpd calls this once when the head of a request is there, when it may only be refused
 * (and its connection then ends, because its body stays unread), for each piece of its body, and
 * again when the request is complete, when it may be answered. */
enum MHD_Result cm_server_handle(void *context, struct MHD_Connection *connection, const char *path,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_len, void **of_request)
{
    const cm_server_daemon_t *daemon = context;
    cm_server_t *server = daemon->server;
    cm_server_request_t *request = *of_request;
    const bool first = !is_begun(request);
    enum MHD_Result result = MHD_YES;

    if (first)
        *of_request = request = begin_request(server, request, path);
    if (first)
        debug_request(server, request, method);
    const char *fault = first ? cm_head_fault(connection, version) : NULL;
    if (fault != NULL) {
        cm_debug(&server->log, CM_DEBUG_SERVE, "the head is refused", "reason=\"%s\"", fault);
        /* What follows such a head is not read as a request. */
        return cm_reply_last(connection, MHD_HTTP_BAD_REQUEST, fault);
    }
    const cm_route_t *route = request->route;
    if (request->is_there && route->collector != NULL && !request->too_long) {
        if (!first && *upload_len == 0) /* it is whole, and waits for its answer */
            cm_idle_pause(idle_of(connection));
        return cm_collector_handle(server->collector, route->collector, connection, daemon->loop,
                                   daemon->memory, method, upload, upload_len, &request->collect);
    }
    if (first && !cm_head_has_body(connection))
        return MHD_YES;
    if (refuse(server, connection, request, method, &result))
        return result;
    cm_idle_pause(idle_of(connection));
    return route->reply(&(cm_route_call_t){.server = server,
                                           .connection = connection,
                                           .loop = daemon->loop,
                                           .request = request,
                                           .path = path,
                                           .head = strcmp(method, "HEAD") == 0});
}

void cm_server_complete(void *context, struct MHD_Connection *connection, void **of_request,
                        enum MHD_RequestTerminationCode how)
{
    cm_server_t *server = context;
    cm_server_request_t *request = *of_request;
    (void)how;

    *of_request = NULL;
    if (request == NULL || !is_begun(request))
        return;
    cm_idle_restart(idle_of(connection));
    cm_collector_request_free(request->collect);
    cm_download_release(request->download);
    cm_api_query_release(request->query);
    free(request);
    pthread_mutex_lock(&server->lock);
    if (--server->active == 0)
        pthread_cond_signal(&server->no_request);
    pthread_mutex_unlock(&server->lock);
}
