/* The table of all paths that the server answers, those of the collector among them.
 *
 * Constant data of the program; any thread may use it. */
#ifndef CM_SERVE_ROUTES_H
#define CM_SERVE_ROUTES_H

#include "serve/collector.h"
#include "serve/server.h"

/* Which requests a path answers. */
typedef enum cm_route_access {
    CM_ROUTE_READERS,   /* those with read access, sent to one of the server's own names */
    CM_ROUTE_OWN_NAMES, /* those sent to one of the server's own names */
    CM_ROUTE_ALL,       /* all, whatever the Host header says */
} cm_route_access_t;

/* A request that is to be answered. */
typedef struct cm_route_call {
    cm_server_t *server;
    struct MHD_Connection *connection;
    cm_loop_t *loop; /* of the connection */
    struct cm_server_request *request;
    const char *path;
    bool head; /* the method is HEAD */
} cm_route_call_t;

typedef struct cm_route {
    const char *path; /* `*` at its end: all paths that begin so */
    cm_route_access_t access;
    unsigned needs; /* what the server must have, else the path is unknown: bits of routes.c */
    /* One of the two answers. The collector checks access by itself. */
    const cm_collector_endpoint_t *collector;
    enum MHD_Result (*reply)(const cm_route_call_t *call);
} cm_route_t;

/* The route of a request path, also where this server does not answer the path: the access that
 * the route needs is checked before that. */
const cm_route_t *cm_route_find(const char *path);

/* True if a route or a file of the program has the path, whatever this server has. */
bool cm_route_is_taken(const char *path);

/* True if this server answers the path, whose route this is. */
bool cm_route_is_there(const cm_server_t *server, const cm_route_t *route, const char *path);

#endif
