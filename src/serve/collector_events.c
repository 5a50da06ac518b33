/* POST /v1/events, and OPTIONS, with which a browser asks whether a page may send. */
#include "serve/collector_inside.h"
#include "serve/head.h"

enum {
    AGAIN_SECONDS = 1
}; /* after which an address with too many unfinished bodies may try again */

static enum MHD_Result read_body(cm_collector_request_t *request)
{
    if (request->held.is_uploading &&
        !cm_uploads_complete(request->collector->uploads, &request->held.upload))
        return MHD_NO; /* it was given up, and has its answer */
    if (request->room == CM_UPLOAD_TOTAL_LIMIT)
        return cm_collector_refuse_lost(request);
    if (request->room == CM_UPLOAD_ADDRESS_LIMIT)
        return cm_collector_refuse_later(request, MHD_HTTP_TOO_MANY_REQUESTS, AGAIN_SECONDS,
                                         "too many unfinished bodies from this address");
    cm_collector_read(request);
    if (atomic_load(&request->stage) !=
        CM_COLLECTOR_STAGE_UPLOAD) /* another thread reads the body */
        return MHD_YES;
    return cm_collector_settle_at_once(request);
}

static bool type_is(cm_str_t type, const char *name)
{
    return cm_str_equal_nocase(type, cm_str(name));
}

/* Reads Content-Type and Content-Encoding. False when it has replied, because they are unknown. */
static bool accept_type(cm_collector_request_t *request, enum MHD_Result *result)
{
    const char *type = cm_sender_header(request->connection, "Content-Type");
    cm_str_t coding =
        cm_str_trim(cm_str(cm_sender_header(request->connection, "Content-Encoding")));
    cm_str_t name = cm_str_trim((cm_str_t){type, type != NULL ? strcspn(type, ";") : 0});

    request->lines = type_is(name, "application/x-ndjson") || type_is(name, "application/jsonl");
    request->gzip = type_is(coding, "gzip") || type_is(coding, "x-gzip");
    if (!request->lines && !type_is(name, "application/json") && !type_is(name, "text/plain")) {
        *result = cm_collector_refuse(
            request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
            "Content-Type must be application/json, application/x-ndjson or text/plain", NULL,
            NULL);
    } else if (!request->gzip && coding.len > 0 && !type_is(coding, "identity")) {
        *result = cm_collector_refuse(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                                      "Content-Encoding must be gzip", NULL, NULL);
    } else {
        return true;
    }
    return false;
}

static bool accept_length(cm_collector_request_t *request, enum MHD_Result *result)
{
    cm_str_t text = cm_str(cm_sender_header(request->connection, "Content-Length"));

    if (!cm_str_to_i64(text, &request->length))
        request->length = -1;
    if (request->length < 0 || (uint64_t)request->length <= request->held.body.max)
        return true;
    *result = cm_collector_refuse_size(request);
    return false;
}

/* Counts the body as an upload from now on. */
static void await_body(cm_collector_request_t *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    if (!cm_head_has_body(request->connection))
        return;
    request->held.is_uploading = true;
    cm_uploads_begin(request->collector->uploads, &request->held.upload,
                     cm_sender_limit_key(&request->sender), info->connect_fd,
                     request->sender.trusted);
}

static enum MHD_Result finish_events(cm_collector_request_t *request, const char *method)
{
    if (strcmp(method, "POST") == 0)
        return read_body(request);
    if (strcmp(method, "OPTIONS") == 0)
        return cm_collector_reply_preflight(request);
    return cm_collector_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "send events with POST",
                               "Allow", "POST, OPTIONS");
}

/* Refuses all that can be refused before the body comes. */
static enum MHD_Result begin_events(cm_collector_request_t *request, const char *method)
{
    enum MHD_Result result = MHD_YES;

    if (strcmp(method, "POST") != 0)
        return cm_head_has_body(request->connection) ? finish_events(request, method) : MHD_YES;
    if (!cm_collector_admit(request, &result) || !accept_type(request, &result) ||
        !accept_length(request, &result))
        return result;
    cm_sender_visitor(&request->collector->rules, request->connection, &request->sender);
    await_body(request);
    return result;
}

const cm_collector_endpoint_t cm_collector_events = {begin_events, finish_events};
