/* The collector's replies. */
#include "serve/collector_inside.h"
#include "serve/reply.h"

#include <stdio.h>

enum {
    COOKIE_SECONDS = 13 * 30 * 24 * 3600, /* 13 months: what European authorities advise at most */
};

void cm_collector_add_cookie(const cm_collector_request_t *request, struct MHD_Response *response)
{
    char text[200];

    if (!request->sender.new_visitor)
        return;
    snprintf(text, sizeof text, CM_SENDER_COOKIE "=%s; Max-Age=%d; Path=/; HttpOnly; %s",
             request->sender.visitor, COOKIE_SECONDS,
             cm_sender_tls(&request->collector->rules, request->connection)
                 ? "SameSite=None; Secure"
                 : "SameSite=Lax");
    MHD_add_response_header(response, "Set-Cookie", text);
}

enum MHD_Result cm_collector_send(cm_collector_request_t *request, unsigned status,
                                  struct MHD_Response *response)
{
    if (response == NULL)
        return MHD_NO;
    cm_collector_add_cors(request, response);
    cm_reply_secure_least(response);
    enum MHD_Result result = MHD_queue_response(request->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

struct MHD_Response *cm_collector_json(cm_buf_t *body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_FREE);

    if (response == NULL)
        cm_buf_free(body);
    else
        MHD_add_response_header(response, "Content-Type", "application/json");
    return response;
}

enum MHD_Result cm_collector_refuse(cm_collector_request_t *request, unsigned status,
                                    const char *sentence, const char *name, const char *value)
{
    cm_buf_t body = CM_BUF_INIT;

    cm_reply_add_error(&body, sentence);
    struct MHD_Response *response = cm_collector_json(&body);
    if (response != NULL && name != NULL)
        MHD_add_response_header(response, name, value);
    return cm_collector_send(request, status, response);
}

enum MHD_Result cm_collector_refuse_later(cm_collector_request_t *request, unsigned status,
                                          int seconds, const char *sentence)
{
    char text[16];

    snprintf(text, sizeof text, "%d", seconds);
    return cm_collector_refuse(request, status, sentence, "Retry-After", text);
}

enum MHD_Result cm_collector_reply_result(cm_collector_request_t *request)
{
    cm_posted_result_t *result = &request->result;
    cm_buf_t body = CM_BUF_INIT;

    cm_buf_printf(&body, "{\"accepted\":%llu,\"skipped\":%llu",
                  (unsigned long long)result->accepted, (unsigned long long)result->skipped);
    if (result->rejected > 0) {
        cm_buf_add_text(&body, ",\"errors\":[");
        cm_buf_add(&body, result->errors.data, result->errors.len);
        cm_buf_add_char(&body, ']');
    }
    if (result->rejected > CM_POSTED_ERRORS)
        cm_buf_printf(&body, ",\"more_errors\":%llu",
                      (unsigned long long)(result->rejected - CM_POSTED_ERRORS));
    cm_buf_add_text(&body, "}\n");
    struct MHD_Response *response = cm_collector_json(&body);
    if (response != NULL)
        cm_collector_add_cookie(request, response);
    return cm_collector_send(
        request, result->rejected > 0 ? MHD_HTTP_BAD_REQUEST : MHD_HTTP_ACCEPTED, response);
}
