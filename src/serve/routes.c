#include "serve/routes.h"

#include "serve/api.h"
#include "serve/assets.h"
#include "serve/reply.h"
#include "serve/server_inside.h"
#include "store/embedded/demo.h"

#include <stdlib.h>

enum {
    COLLECTOR = 1 << 0,
    SHOP = 1 << 1,
    ANSWERS = 1 << 2,
    QUESTIONS = 1 << 3,
};

static enum MHD_Result reply_health(const cm_route_call_t *call)
{
    cm_buf_t body = CM_BUF_INIT;

    cm_buf_add_text(&body, "ok\n");
    return cm_reply_data(call->connection, "text/plain; charset=utf-8", &body);
}

/* The directory of the demonstration, for a page that has no clicks to show. */
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

/* What a page has to know of the server that it was loaded from. */
static enum MHD_Result reply_status(const cm_route_call_t *call)
{
    const cm_server_t *server = call->server;
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
    return cm_reply_data(call->connection, "application/json", &body);
}

static cm_api_request_t request_of(const cm_route_call_t *call)
{
    return (cm_api_request_t){.queue = call->server->queue,
                              .query = &call->request->query,
                              .downloads = call->server->downloads,
                              .download = &call->request->download,
                              .loop = call->loop,
                              .head = call->head};
}

static enum MHD_Result reply_api(const cm_route_call_t *call)
{
    const cm_api_request_t request = request_of(call);

    return cm_api_reply(cm_api_find(call->path), call->connection, &request);
}

static enum MHD_Result reply_question(const cm_route_call_t *call)
{
    const cm_api_request_t request = request_of(call);

    return cm_api_reply_question(call->connection, &request);
}

static enum MHD_Result reply_live(const cm_route_call_t *call)
{
    return cm_live_reply(call->server->live, call->connection, call->loop, call->head);
}

/* The links of the shop's page are relative to it. */
static enum MHD_Result reply_shop(const cm_route_call_t *call)
{
    return cm_reply_redirect(call->connection, "/demo/");
}

static enum MHD_Result reply_tracker(const cm_route_call_t *call)
{
    const cm_own_paths_t *paths = cm_collector_paths(call->server->collector);

    return cm_asset_reply(call->connection, cm_own_paths_tracker(paths));
}

/* For the page that shows the lines to be copied. */
static enum MHD_Result reply_paths(const cm_route_call_t *call)
{
    cm_buf_t body = CM_BUF_INIT;

    cm_own_paths_add_json(cm_collector_paths(call->server->collector), &body);
    cm_buf_add_char(&body, '\n');
    return cm_reply_data(call->connection, "application/json", &body);
}

static enum MHD_Result reply_file(const cm_route_call_t *call)
{
    return cm_asset_reply(call->connection, cm_asset_find(call->path));
}

/* The first row that a path fits counts; the last one fits all. The tracker and the events may have
 * a second path: see own_paths.h. */
static const cm_route_t routes[] = {
    {.path = CM_OWN_PATHS_EVENTS, .needs = COLLECTOR, .collector = &cm_collector_events},
    {.path = "/pixel.gif", .needs = COLLECTOR, .collector = &cm_collector_pixel},
    {.path = "/readyz", .needs = COLLECTOR, .collector = &cm_collector_ready},
    {.path = "/healthz", .access = CM_ROUTE_ALL, .reply = reply_health},
    {.path = CM_OWN_PATHS_SCRIPT,
     .access = CM_ROUTE_ALL,
     .needs = COLLECTOR,
     .reply = reply_tracker},
    {.path = "/snippet/paths", .access = CM_ROUTE_ALL, .needs = COLLECTOR, .reply = reply_paths},
    {.path = "/snippet*", .access = CM_ROUTE_ALL, .needs = COLLECTOR, .reply = reply_file},
    {.path = "/demo", .access = CM_ROUTE_OWN_NAMES, .needs = SHOP, .reply = reply_shop},
    {.path = "/demo*", .access = CM_ROUTE_OWN_NAMES, .needs = SHOP, .reply = reply_file},
    {.path = "/api/answers", .needs = ANSWERS, .reply = reply_api},
    {.path = "/api/pages", .needs = ANSWERS, .reply = reply_api},
    {.path = "/api/countries", .needs = ANSWERS, .reply = reply_api},
    {.path = "/api/summary", .needs = ANSWERS, .reply = reply_api},
    {.path = "/api/series", .needs = ANSWERS, .reply = reply_api},
    {.path = "/api/v1/query", .needs = ANSWERS | QUESTIONS, .reply = reply_question},
    {.path = "/api/status", .needs = ANSWERS, .reply = reply_status},
    {.path = "/api/live", .needs = ANSWERS, .reply = reply_live},
    {.path = "*", .needs = ANSWERS, .reply = reply_file},
};

static bool fits(const cm_route_t *route, const char *path)
{
    const size_t len = strlen(route->path) - 1;

    return route->path[len] != '*' ? strcmp(path, route->path) == 0
                                   : strncmp(path, route->path, len) == 0;
}

const cm_route_t *cm_route_find(const char *path)
{
    const cm_route_t *route = routes;

    while (!fits(route, path))
        route++;
    return route;
}

bool cm_route_is_taken(const char *path)
{
    return strcmp(cm_route_find(path)->path, "*") != 0 || cm_asset_find(path) != NULL;
}

bool cm_route_is_there(const cm_server_t *server, const cm_route_t *route, const char *path)
{
    const unsigned has = (server->collector != NULL ? COLLECTOR : 0) | (server->shop ? SHOP : 0) |
                         (server->answers ? ANSWERS : 0) |
                         (server->questions != NULL ? QUESTIONS : 0);

    return (route->needs & ~has) == 0 &&
           (route->reply != reply_file || cm_asset_find(path) != NULL);
}
