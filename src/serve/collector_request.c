/* A request of the collector, from its head through the pieces of its body to its answer. */
#include "serve/collector_inside.h"
#include "serve/head.h"

#include <stdlib.h>

enum { DISCARD = 16 }; /* times max_body: bytes of a body that are read and discarded before 413 */

/* Whether the connection's memory has room for the head of an answer. Without an answer nothing may
 * be stored, because the sender would send it again. libmicrohttpd keeps the request's head, a copy
 * of its cookies and a node for each of its fields in the same memory. */
static bool accept_head(cm_collector_request_t *request, enum MHD_Result *result)
{
    enum { FIELD = 64, ANSWER = 700 };
    struct MHD_Connection *connection = request->connection;
    const char *cookie = cm_sender_header(connection, "Cookie");
    const char *origin = cm_sender_header(connection, "Origin");
    size_t size =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size;
    int fields = MHD_get_connection_values(connection, MHD_HEADER_KIND, NULL, NULL) +
                 MHD_get_connection_values(connection, MHD_COOKIE_KIND, NULL, NULL);

    size += (size_t)fields * FIELD + ANSWER + (cookie != NULL ? strlen(cookie) : 0) +
            (origin != NULL ? strlen(origin) : 0);
    if (size <= request->memory)
        return true;
    request->sender.origin = origin;
    *result = cm_collector_refuse(request, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE,
                                  "the head of the request is too long", NULL, NULL);
    return false;
}

/* The head has arrived. */
static enum MHD_Result begin(cm_collector_request_t *request, const char *method)
{
    enum MHD_Result result = MHD_YES;

    if (!accept_head(request, &result))
        return result;
    if (request->endpoint->begin != NULL)
        return request->endpoint->begin(request, method);
    if (!cm_head_has_body(request->connection))
        return MHD_YES;
    return cm_head_only_reads(method)
               ? cm_collector_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE,
                                     "a request to this path must not have a body", NULL, NULL)
               : request->endpoint->finish(request, method);
}

/* Keeps a piece of the body, if there is room for it. */
static void take_piece(cm_collector_request_t *request, const char *data, size_t len)
{
    cm_body_t *body = &request->held.body;
    const bool last = request->length >= 0 && body->came + len >= (uint64_t)request->length;

    if (request->room == CM_UPLOAD_FITS && request->held.is_uploading)
        request->room =
            cm_uploads_add(request->collector->uploads, &request->held.upload, len, last);
    if (request->room == CM_UPLOAD_FITS) {
        cm_body_add(body, data, len);
    } else {
        cm_body_free(body);
        body->came += len;
    }
}

enum MHD_Result cm_collector_handle(cm_collector_t *collector,
                                    const cm_collector_endpoint_t *endpoint,
                                    struct MHD_Connection *connection, cm_loop_t *loop,
                                    size_t memory, const char *method, const char *upload,
                                    size_t *upload_len, cm_collector_request_t **out)
{
    cm_collector_request_t *request = *out;

    if (request == NULL) {
        request = *out = cm_alloc_zero(1, sizeof *request);
        request->collector = collector;
        request->endpoint = endpoint;
        request->connection = connection;
        request->loop = loop;
        request->memory = memory;
        request->held.body.max = collector->options.max_body;
        request->length = -1;
        return begin(request, method);
    }
    if (*upload_len > 0) {
        take_piece(request, upload, *upload_len);
        *upload_len = 0;
        return request->held.body.came <= request->held.body.max * DISCARD ? MHD_YES : MHD_NO;
    }
    const cm_collector_stage_t stage = atomic_load(&request->stage);
    if (stage == CM_COLLECTOR_STAGE_SUSPENDED) /* another thread will resume it */
        return MHD_YES;
    return stage == CM_COLLECTOR_STAGE_UPLOAD ? endpoint->finish(request, method)
                                              : cm_collector_settle(request, stage);
}

void cm_collector_request_free(cm_collector_request_t *request)
{
    if (request == NULL)
        return;
    cm_collector_release(request->collector, &request->held);
    cm_buf_free(&request->result.errors);
    free(request->why);
    free(request);
}
