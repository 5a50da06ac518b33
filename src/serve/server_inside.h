/* What the parts of the server share: server.c, which starts and stops it, request.c, which
 * checks and answers requests, and routes.c, the table of paths. One thread starts and stops the
 * server. While its threads run they change only `active`, under the lock; each part guards its
 * own data. */
#ifndef CM_SERVE_SERVER_INSIDE_H
#define CM_SERVE_SERVER_INSIDE_H

#include "serve/acceptor.h"
#include "serve/api_queue.h"
#include "serve/download.h"
#include "serve/handle_pool.h"
#include "serve/idle.h"
#include "serve/listen.h"
#include "serve/live.h"
#include "serve/read_access.h"
#include "serve/routes.h"
#include "serve/server.h"
#include "serve/tls.h"

/* One of libmicrohttpd's daemons, with the loop that runs it. */
typedef struct cm_server_daemon {
    cm_server_t *server;
    size_t memory;   /* bytes of each of its connections */
    cm_loop_t *loop; /* NULL: the daemon is not needed */
} cm_server_daemon_t;

struct cm_server {
    cm_server_daemon_t large[CM_ACCEPTOR_LOOPS], small[CM_ACCEPTOR_LOOPS]; /* see acceptor.h */
    cm_live_t *live;
    cm_downloads_t *downloads;
    cm_questions_t *questions; /* NULL: none are answered */
    cm_api_queue_t *queue;
    cm_log_t log;
    cm_listen_t listen;
    char *data_dir;
    char *demo_of; /* NULL: no demonstration is to be mentioned */
    bool daily;
    char *hosts;               /* further names, between commas */
    bool synthetic;            /* the answers are of synthetic traffic */
    bool shop;                 /* the demo shop is served */
    bool answers;              /* the dashboard and its API are served */
    cm_collector_t *collector; /* NULL: no events are taken; borrowed */
    cm_read_access_t *access;
    cm_tls_t *tls; /* NULL: without */
    cm_idle_t *idle;
    cm_acceptor_t *acceptor;
    cm_handle_pool_t handles;
    pthread_mutex_t lock; /* guards `active` */
    pthread_cond_t no_request;
    int active; /* requests that have begun and whose answers are not yet sent */
};

/* What a request's context points to from the end of its head on. */
typedef struct cm_server_request {
    bool too_long; /* its target */
    bool has_nul;  /* its path has one: the rest would not be looked at */
    const cm_route_t *route;
    bool is_there; /* this server answers the path */
    cm_collector_request_t *collect;
    cm_download_t *download;
    cm_api_query_t *query;
} cm_server_request_t;

/* The callbacks of libmicrohttpd: MHD_OPTION_URI_LOG_CALLBACK, the handler of a
 * cm_server_daemon_t, and MHD_OPTION_NOTIFY_COMPLETED of a cm_server_t. */
void *cm_server_note_target(void *context, const char *target, struct MHD_Connection *connection);
enum MHD_Result cm_server_handle(void *context, struct MHD_Connection *connection, const char *path,
                                 const char *method, const char *version, const char *upload,
                                 size_t *upload_len, void **of_request);
void cm_server_complete(void *context, struct MHD_Connection *connection, void **of_request,
                        enum MHD_RequestTerminationCode how);

#endif
