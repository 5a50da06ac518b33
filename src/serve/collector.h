/* The collector's part of the HTTP server: POST /v1/events, GET /pixel.gif, GET /readyz, as
 * docs/collect.md describes them.
 *
 * A request is read by one of the server's threads, its events go to the inbox, and its connection
 * rests until the inbox gives the ticket back: only then is it answered. Functions that take a
 * connection are for the server's threads; the others for the thread that makes the collector. */
#ifndef CM_SERVE_COLLECTOR_H
#define CM_SERVE_COLLECTOR_H

#include "serve/loop.h"
#include "serve/refused_requests.h"
#include "serve/sender.h"
#include "source/http/inbox.h"
#include "source/http/posted.h"

#include <microhttpd.h>

/* All is borrowed until the collector is freed. */
typedef struct cm_collector_options {
    cm_inbox_t *inbox; /* its tickets end in cm_collector_done() */
    cm_posted_shared_t *shared;
    const char *sites, *proxies, *hosts; /* see sites.h, proxies.h, ours.h */
    const cm_sender_token_t *tokens;
    size_t token_count;
    size_t max_body;         /* bytes, as sent and unpacked */
    size_t max_coming;       /* of all bodies that are not whole yet */
    int64_t body_timeout_ms; /* from the head of a request to the end of its body */
    cm_rate_limits_t rate;
    int readers; /* threads that read long bodies; 0: 1 */
    bool tls;
    bool demo; /* take the clicks of the demo shop alone */
    bool shop; /* it is there */
    /* Appends what there is to say as members of a JSON object, and says whether events are taken.
     * Called by any of the server's threads. NULL: they are, and there is nothing to say. */
    bool (*ready)(void *context, cm_buf_t *json);
    /* Whether nothing more may be stored, for the store is as large as it may become. Called by
     * any of the server's threads. NULL: it may. */
    bool (*full)(void *context);
    void *ready_context; /* of both */
} cm_collector_options_t;

typedef struct cm_collector cm_collector_t;
typedef struct cm_collector_request cm_collector_request_t;

/* CM_EUSAGE. */
int cm_collector_new(const cm_collector_options_t *options, cm_collector_t **collector,
                     cm_err_t *err);
void cm_collector_free(cm_collector_t *collector);

/* From now on nothing that takes long is read; who waits for that is told to send it again. Before
 * the server is stopped. */
void cm_collector_give_up(cm_collector_t *collector);

/* Before the first request: whether only this machine can connect. */
void cm_collector_listens(cm_collector_t *collector, bool loopback);

/* Forgets what its readers know of visitors that are no longer: the keyed hash of a day. For any
 * thread. */
void cm_collector_forget(cm_collector_t *collector);

/* What was refused, for any thread. */
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

/* At the end of a round of a loop: whoever stores is told that there is something. Later is better
 * than at once, because what comes in a round is then stored as one group. */
void cm_collector_ring(cm_collector_t *collector);

/* A cm_inbox_done_fn. */
void cm_collector_done(void *ticket, bool durable);

#endif
