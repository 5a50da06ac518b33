/* The collector's part of the HTTP server: POST /v1/events, GET /pixel.gif, GET /readyz, as
 * docs/collect.md describes them.
 *
 * One of the server's threads reads a request and puts its events into the inbox. The connection is
 * suspended until the inbox returns the request as a ticket; then it is answered. Functions that
 * take a connection are for the server's threads, the others for the thread that made the
 * collector, unless they say otherwise. */
#ifndef CM_SERVE_COLLECTOR_H
#define CM_SERVE_COLLECTOR_H

#include "serve/loop.h"
#include "serve/own_paths.h"
#include "serve/refused_requests.h"
#include "serve/sender.h"
#include "source/http/inbox.h"
#include "source/http/posted.h"

#include <microhttpd.h>

/* Everything is borrowed until the collector is freed. */
typedef struct cm_collector_options {
    cm_inbox_t *inbox; /* its tickets end in cm_collector_done() */
    cm_posted_shared_t *shared;
    const char *sites, *proxies, *hosts; /* see sites.h, proxies.h, own_names.h */
    const char *script, *events;         /* see own_paths.h */
    const cm_sender_token_t *tokens;
    size_t token_count;
    size_t max_body;         /* bytes, as sent and unpacked */
    size_t max_uploads;      /* bytes of all bodies that are not complete yet */
    int64_t body_timeout_ms; /* from the head of a request to the end of its body */
    cm_rate_limits_t rate;
    int body_threads; /* threads that read long bodies; 0: 1 */
    bool tls;
    bool demo; /* take only the clicks of the demo shop */
    bool shop; /* the demo shop is served */
    /* Appends details as members of a JSON object, and says whether events are taken. Called by any
     * of the server's threads. NULL: events are taken, and there are no details. */
    bool (*ready)(void *context, cm_buf_t *json);
    /* Whether the store has reached its largest size, so that no more events may be stored. Called
     * by any of the server's threads. NULL: there is no limit. */
    bool (*full)(void *context);
    void *ready_context; /* of both */
} cm_collector_options_t;

typedef struct cm_collector cm_collector_t;
typedef struct cm_collector_request cm_collector_request_t;

/* CM_EUSAGE: an option is wrong. CM_EINTERNAL: a thread does not start. */
int cm_collector_new(const cm_collector_options_t *options, cm_collector_t **collector,
                     cm_err_t *err);
void cm_collector_free(cm_collector_t *collector);

/* Stops reading long bodies. Clients that wait for that are told to send them again. Called before
 * the server is stopped. */
void cm_collector_give_up(cm_collector_t *collector);

/* Says before the first request whether only this machine can connect. */
void cm_collector_listens(cm_collector_t *collector, bool loopback);

/* Forgets what the parsers know of visitors of a past day, whose key is forgotten too. For any
 * thread. */
void cm_collector_forget(cm_collector_t *collector);

/* The paths of the tracker and of events, for any thread. */
const cm_own_paths_t *cm_collector_paths(const cm_collector_t *collector);

/* The requests that were refused, for any thread. */
cm_refused_requests_t *cm_collector_refused(cm_collector_t *collector);

/* One path of the collector. */
typedef struct cm_collector_endpoint {
    /* Its head has come: refuses what can be refused before the body. NULL: requests to this path
     * have no body. */
    enum MHD_Result (*begin)(cm_collector_request_t *request, const char *method);
    /* The request is whole: replies, or suspends the connection. */
    enum MHD_Result (*finish)(cm_collector_request_t *request, const char *method);
} cm_collector_endpoint_t;

/* POST /v1/events, GET /pixel.gif, GET /readyz. */
extern const cm_collector_endpoint_t cm_collector_events, cm_collector_pixel, cm_collector_ready;

/* What libmicrohttpd's handler calls for a request to an endpoint, with NULL in `*request` for a
 * new one. `loop` is the connection's; `memory` is the number of bytes that it has for the heads of
 * the request and of the answer. The caller frees the request when it is completed. */
enum MHD_Result cm_collector_handle(cm_collector_t *collector,
                                    const cm_collector_endpoint_t *endpoint,
                                    struct MHD_Connection *connection, cm_loop_t *loop,
                                    size_t memory, const char *method, const char *upload,
                                    size_t *upload_len, cm_collector_request_t **request);
void cm_collector_request_free(cm_collector_request_t *request);

/* Called at the end of each round of a loop: wakes the thread that stores events, if there are any.
 * This is better than waking it at once, because the events of a round are then stored as one
 * group.
 */
void cm_collector_ring(cm_collector_t *collector);

/* A cm_inbox_done_fn. */
void cm_collector_done(void *ticket, bool durable);

#endif
