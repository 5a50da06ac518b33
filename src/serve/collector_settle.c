/* The replies to a request of the collector that was read, or whose events are durable. */
#include "serve/collector_inside.h"

#include <assert.h>

enum { FULL_SECONDS = 1 }; /* after which a sender may try again */

enum MHD_Result cm_collector_refuse_lost(cm_collector_request_t *request)
{
    return cm_collector_refuse_later(request, MHD_HTTP_SERVICE_UNAVAILABLE, FULL_SECONDS,
                                     "the events cannot be stored now; send them again");
}

enum MHD_Result cm_collector_refuse_size(cm_collector_request_t *request)
{
    return cm_collector_refuse(request, MHD_HTTP_CONTENT_TOO_LARGE,
                               "the body is larger than collect.max_body allows", NULL, NULL);
}

static enum MHD_Result refuse_urls(cm_collector_request_t *request)
{
    if (request->collector->rules.demo)
        return cm_collector_refuse_for_demo(request, cm_str(request->sender.origin));
    return cm_collector_refuse(request, MHD_HTTP_FORBIDDEN,
                               "the demo shop is not served, so its clicks are not taken", NULL,
                               NULL);
}

/* Replies, unless there are events, which have their reply when they are durable. */
static enum MHD_Result settle_outcome(cm_collector_request_t *request)
{
    enum MHD_Result result = MHD_YES;

    switch (request->outcome) {
    case CM_COLLECTOR_OUTCOME_NO_EVENTS:
        result = request->pixel && request->result.rejected == 0
                     ? cm_collector_reply_pixel(request)
                     : cm_collector_reply_result(request);
        break;
    case CM_COLLECTOR_OUTCOME_TOO_LARGE:
        result = cm_collector_refuse_size(request);
        break;
    case CM_COLLECTOR_OUTCOME_BAD_BODY:
        result = cm_collector_refuse(request, MHD_HTTP_BAD_REQUEST, request->why, NULL, NULL);
        break;
    case CM_COLLECTOR_OUTCOME_RATE:
        result = cm_collector_refuse_rate(request, request->seconds);
        break;
    case CM_COLLECTOR_OUTCOME_WRONG_URL:
        result = refuse_urls(request);
        break;
    case CM_COLLECTOR_OUTCOME_LOST:
        result = cm_collector_refuse_lost(request);
        break;
    case CM_COLLECTOR_OUTCOME_EVENTS:
        break;
    }
    return result;
}

enum MHD_Result cm_collector_settle_at_once(cm_collector_request_t *request)
{
    if (request->outcome == CM_COLLECTOR_OUTCOME_EVENTS ||
        request->outcome == CM_COLLECTOR_OUTCOME_NO_EVENTS)
        cm_collector_store(request);
    const enum MHD_Result result = settle_outcome(request);
    cm_collector_release(request->collector, &request->held);
    return result;
}

enum MHD_Result cm_collector_settle(cm_collector_request_t *request, cm_collector_stage_t stage)
{
    assert(stage != CM_COLLECTOR_STAGE_UPLOAD && stage != CM_COLLECTOR_STAGE_SUSPENDED);
    if (stage == CM_COLLECTOR_STAGE_READ)
        return settle_outcome(request);
    if (stage == CM_COLLECTOR_STAGE_LOST)
        return cm_collector_refuse_lost(request);
    return request->pixel ? cm_collector_reply_pixel(request) : cm_collector_reply_result(request);
}
