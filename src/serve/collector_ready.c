/* GET /readyz: whether events are taken. */
#include "serve/collector_inside.h"
#include "serve/head.h"

static enum MHD_Result reply_ready(cm_collector_request_t *request)
{
    const cm_collector_options_t *options = &request->collector->options;
    cm_buf_t details = CM_BUF_INIT, body = CM_BUF_INIT;
    bool ready = options->ready == NULL || options->ready(options->ready_context, &details);

    /* Only for clients on this machine: the details name paths and other servers. */
    if (!cm_sender_local(&request->collector->rules, request->connection))
        cm_buf_clear(&details);
    cm_buf_printf(&body, "{\"ready\":%s%s", ready ? "true" : "false", details.len > 0 ? "," : "");
    cm_buf_add(&body, details.data, details.len);
    cm_buf_add_text(&body, "}\n");
    cm_buf_free(&details);
    return cm_collector_send(request, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                             cm_collector_json(&body));
}

static enum MHD_Result finish(cm_collector_request_t *request, const char *method)
{
    if (!cm_head_only_reads(method))
        return cm_collector_refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "use GET or HEAD", "Allow",
                                   "GET, HEAD");
    return reply_ready(request);
}

const cm_collector_endpoint_t cm_collector_ready = {NULL, finish};
