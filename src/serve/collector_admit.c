/* Whether the sender of a request may send now, and the replies when it may not. */
#include "base/clock.h"
#include "serve/collector_inside.h"

#include <stdio.h>

static void note_refused(cm_collector_request_t *request, cm_refusal_t why, cm_str_t origin)
{
    const cm_collector_t *collector = request->collector;

    cm_refused_note(collector->refused, why, origin,
                    cm_clock_now_ms(collector->options.shared->clock));
}

enum MHD_Result cm_collector_refuse_for_demo(cm_collector_request_t *request, cm_str_t origin)
{
    note_refused(request, CM_REFUSED_DEMO, origin);
    return cm_collector_refuse(
        request, MHD_HTTP_FORBIDDEN,
        "this is a demonstration, which takes only the clicks of its shop at /demo/; "
        "`clickmill run --no-demo` takes events",
        NULL, NULL);
}

static enum MHD_Result refuse_token(cm_collector_request_t *request, bool given)
{
    if (request->collector->rules.demo)
        return cm_collector_refuse_for_demo(request, CM_STR(""));
    note_refused(request, CM_REFUSED_TOKEN, CM_STR(""));
    return cm_collector_refuse(
        request, MHD_HTTP_UNAUTHORIZED,
        given ? "the token is not one of collect.tokens"
              : "a request that does not come from a page of collect.sites needs a token: "
                "Authorization: Bearer TOKEN",
        "WWW-Authenticate", "Bearer");
}

enum MHD_Result cm_collector_refuse_site(cm_collector_request_t *request, cm_str_t origin)
{
    char text[200];

    if (request->collector->rules.demo)
        return cm_collector_refuse_for_demo(request, origin);
    note_refused(request, CM_REFUSED_SITE, origin);
    snprintf(text, sizeof text,
             "pages of %.*s may not send events here; collect.sites lists the sites that may",
             cm_utf8_head(origin, 100), origin.data);
    return cm_collector_refuse(request, MHD_HTTP_FORBIDDEN, text, NULL, NULL);
}

enum MHD_Result cm_collector_refuse_rate(cm_collector_request_t *request, int seconds)
{
    note_refused(request, CM_REFUSED_RATE, cm_str(request->sender.origin));
    return cm_collector_refuse_later(request, MHD_HTTP_TOO_MANY_REQUESTS, seconds,
                                     "too many requests, events or bytes from this address");
}

bool cm_collector_within_rate(cm_collector_request_t *request, enum MHD_Result *result)
{
    const int seconds = cm_sender_wait(&request->collector->rules, &request->sender);

    if (seconds > 0)
        *result = cm_collector_refuse_rate(request, seconds);
    return seconds == 0;
}

static enum MHD_Result refuse_locked(cm_collector_request_t *request)
{
    const int seconds = cm_rate_locked(request->collector->rules.rate,
                                       cm_sender_limit_key(&request->sender), cm_clock_ticks_ns());

    note_refused(request, CM_REFUSED_TOKEN, CM_STR(""));
    return cm_collector_refuse_later(
        request, MHD_HTTP_TOO_MANY_REQUESTS, seconds > 0 ? seconds : 1,
        "too many wrong tokens from this address; no token is checked for a while");
}

bool cm_collector_has_room(cm_collector_request_t *request, enum MHD_Result *result)
{
    const cm_collector_options_t *options = &request->collector->options;

    if (options->full == NULL || !options->full(options->ready_context))
        return true;
    *result = cm_collector_refuse(request, MHD_HTTP_INSUFFICIENT_STORAGE,
                                  "the store has reached collect.max_store", NULL, NULL);
    return false;
}

bool cm_collector_admit(cm_collector_request_t *request, enum MHD_Result *result)
{
    cm_sender_t *sender = &request->sender;

    cm_sender_locate(&request->collector->rules, request->connection, sender);
    switch (cm_sender_admit(&request->collector->rules, request->connection, sender)) {
    case CM_SENDER_NO_SITE:
        *result = cm_collector_refuse_site(request, cm_str(sender->origin));
        return false;
    case CM_SENDER_NO_TOKEN:
        *result = refuse_token(request, false);
        return false;
    case CM_SENDER_WRONG_TOKEN:
        *result = refuse_token(request, true);
        return false;
    case CM_SENDER_LOCKED:
        *result = refuse_locked(request);
        return false;
    case CM_SENDER_ADMITTED:
        break;
    }
    return cm_collector_within_rate(request, result) && cm_collector_has_room(request, result);
}
