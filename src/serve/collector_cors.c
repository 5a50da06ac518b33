/* What lets a page of another origin send events and read the answer (the Fetch standard, "CORS
 * protocol"). */
#include "serve/collector_inside.h"

/* sendBeacon sends with credentials, whether there are any or not. */
void cm_collector_add_cors(const cm_collector_request_t *request, struct MHD_Response *response)
{
    MHD_add_response_header(response, "Vary", "Origin");
    if (request->sender.origin == NULL)
        return;
    MHD_add_response_header(response, "Access-Control-Allow-Origin", request->sender.origin);
    MHD_add_response_header(response, "Access-Control-Allow-Credentials", "true");
}

enum MHD_Result cm_collector_reply_preflight(cm_collector_request_t *request)
{
    const char *origin = cm_sender_header(request->connection, "Origin");
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);

    if (origin != NULL &&
        !cm_sender_site(&request->collector->rules, request->connection, cm_str(origin))) {
        MHD_destroy_response(response);
        return cm_collector_refuse_site(request, cm_str(origin));
    }
    request->sender.origin = origin;
    MHD_add_response_header(response, "Allow", "POST, OPTIONS");
    if (origin != NULL) {
        MHD_add_response_header(response, "Access-Control-Allow-Methods", "POST");
        MHD_add_response_header(response, "Access-Control-Allow-Headers",
                                "Content-Type, Content-Encoding, Authorization");
        MHD_add_response_header(response, "Access-Control-Max-Age", "86400");
    }
    return cm_collector_send(request, MHD_HTTP_NO_CONTENT, response);
}
