#include "base/clock.h"
#include "serve/collector_inside.h"
#include "serve/head.h"
#include "serve/reply.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    COOKIE_SECONDS = 13 * 30 * 24 * 3600, /* 13 months: what European authorities advise at most */
    DISCARD = 16,                         /* times max_body that are read to answer 413 */
    FULL_SECONDS = 1,                     /* after which a sender may try again */
    SHARES = 4,       /* an address may have one of so many of what all bodies may take */
    BODIES_EACH = 32, /* unfinished bodies of one address */
};

static const unsigned char gif[] = {
    'G', 'I', 'F', '8', '9', 'a',  1, 0, 1, 0, 0x80, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x21, 0xf9, 4,
    1,   0,   0,   0,   0,   0x2c, 0, 0, 0, 0, 1,    0, 1, 0, 0, 2, 2,    0x44, 1,    0,    0x3b,
};

/* ---- the collector ---- */

static int start_threads(cm_collector_t *collector, cm_err_t *err)
{
    const cm_collector_options_t *options = &collector->options;
    const size_t share = options->max_coming / SHARES;
    const cm_uploads_options_t bodies = {
        .max_bytes = options->max_coming,
        .max_each = share > options->max_body ? share : options->max_body,
        .most = BODIES_EACH,
        .timeout_ms = options->body_timeout_ms,
        .tls = options->tls,
    };

    int rc = cm_uploads_start(&bodies, &collector->bodies, err);
    if (rc == 0)
        rc = cm_fair_queue_start(options->readers > 0 ? options->readers : 1, cm_collector_job,
                                 cm_collector_drop, &collector->turns, err);
    return rc;
}

int cm_collector_new(const cm_collector_options_t *options, cm_collector_t **out, cm_err_t *err)
{
    cm_collector_t *collector = cm_alloc_zero(1, sizeof *collector);

    collector->options = *options;
    collector->refused = cm_refused_new(options->sites, options->demo);
    cm_inbox_defer(options->inbox);
    pthread_mutex_init(&collector->lock, NULL);
    collector->rules =
        (cm_sender_rules_t){.tokens = options->tokens,
                            .token_count = options->token_count,
                            .tls = options->tls,
                            .demo = options->demo,
                            .shop = options->shop,
                            .cookies = options->shared->visitor == CM_VISITOR_COOKIE};
    collector->rules.rate = cm_rate_new(&options->rate);
    int rc = cm_sites_new(options->sites, &collector->rules.sites, err);
    if (rc == 0)
        rc = cm_own_names_new(options->hosts, collector->rules.sites, &collector->rules.ours, err);
    if (rc == 0)
        rc = cm_proxies_new(options->proxies, &collector->rules.proxies, err);
    if (rc == 0)
        rc = start_threads(collector, err);
    if (rc < 0) {
        cm_collector_free(collector);
        return rc;
    }
    *out = collector;
    return 0;
}

void cm_collector_free(cm_collector_t *collector)
{
    if (collector == NULL)
        return;
    cm_collector_give_up(collector);
    cm_fair_queue_free(collector->turns);
    cm_uploads_stop(collector->bodies);
    cm_collector_forget(collector);
    cm_refused_free(collector->refused);
    cm_rate_free(collector->rules.rate);
    cm_proxies_free(collector->rules.proxies);
    cm_own_names_free(collector->rules.ours);
    cm_sites_free(collector->rules.sites);
    pthread_mutex_destroy(&collector->lock);
    free(collector);
}

void cm_collector_give_up(cm_collector_t *collector)
{
    if (collector->turns != NULL)
        cm_fair_queue_stop(collector->turns);
}

void cm_collector_listens(cm_collector_t *collector, bool loopback)
{
    collector->rules.loopback = loopback;
}

cm_refused_requests_t *cm_collector_refused(cm_collector_t *collector)
{
    return collector->refused;
}

bool cm_collector_knows(const char *path)
{
    return strcmp(path, "/v1/events") == 0 || strcmp(path, "/pixel.gif") == 0 ||
           strcmp(path, "/readyz") == 0;
}

/* ---- replies ---- */

/* The headers that let a page of another origin read the answer (the Fetch standard, "CORS
 * protocol"). sendBeacon sends with credentials, whether there are any or not. */
static void add_cors(const cm_collector_request_t *request, struct MHD_Response *response)
{
    MHD_add_response_header(response, "Vary", "Origin");
    if (request->sender.origin == NULL)
        return;
    MHD_add_response_header(response, "Access-Control-Allow-Origin", request->sender.origin);
    MHD_add_response_header(response, "Access-Control-Allow-Credentials", "true");
}

static void add_cookie(const cm_collector_request_t *request, struct MHD_Response *response)
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

static enum MHD_Result send_response(cm_collector_request_t *request, unsigned status,
                                     struct MHD_Response *response)
{
    if (response == NULL)
        return MHD_NO;
    add_cors(request, response);
    cm_reply_secure_least(response);
    enum MHD_Result result = MHD_queue_response(request->connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* Takes the buffer's memory. */
static struct MHD_Response *json_response(cm_buf_t *body)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_FREE);

    if (response == NULL)
        cm_buf_free(body);
    else
        MHD_add_response_header(response, "Content-Type", "application/json");
    return response;
}

/* {"error": sentence}; a header's name NULL: none. */
static enum MHD_Result refuse(cm_collector_request_t *request, unsigned status,
                              const char *sentence, const char *name, const char *value)
{
    cm_buf_t body = CM_BUF_INIT;

    cm_reply_add_error(&body, sentence);
    struct MHD_Response *response = json_response(&body);
    if (response != NULL && name != NULL)
        MHD_add_response_header(response, name, value);
    return send_response(request, status, response);
}

static enum MHD_Result refuse_later(cm_collector_request_t *request, unsigned status, int seconds,
                                    const char *sentence)
{
    char text[16];

    snprintf(text, sizeof text, "%d", seconds);
    return refuse(request, status, sentence, "Retry-After", text);
}

static enum MHD_Result reply_pixel(cm_collector_request_t *request)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof gif, (void *)(uintptr_t)gif, MHD_RESPMEM_PERSISTENT);

    if (response != NULL) {
        MHD_add_response_header(response, "Content-Type", "image/gif");
        MHD_add_response_header(response, "Cache-Control", "no-store");
        MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "cross-origin");
        add_cookie(request, response);
    }
    return send_response(request, MHD_HTTP_OK, response);
}

/* What became of the events, which are durable. */
static enum MHD_Result reply_result(cm_collector_request_t *request)
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
    struct MHD_Response *response = json_response(&body);
    if (response != NULL)
        add_cookie(request, response);
    return send_response(request, result->rejected > 0 ? MHD_HTTP_BAD_REQUEST : MHD_HTTP_ACCEPTED,
                         response);
}

static enum MHD_Result reply_ready(cm_collector_request_t *request)
{
    const cm_collector_options_t *options = &request->collector->options;
    cm_buf_t said = CM_BUF_INIT, body = CM_BUF_INIT;
    bool ready = options->ready == NULL || options->ready(options->ready_context, &said);

    /* Where we are and with whom we speak is nobody else's business. */
    if (!cm_sender_local(&request->collector->rules, request->connection))
        cm_buf_clear(&said);
    cm_buf_printf(&body, "{\"ready\":%s%s", ready ? "true" : "false", said.len > 0 ? "," : "");
    cm_buf_add(&body, said.data, said.len);
    cm_buf_add_text(&body, "}\n");
    cm_buf_free(&said);
    return send_response(request, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                         json_response(&body));
}

/* ---- who sends ---- */

static void note_refused(cm_collector_request_t *request, cm_refusal_t why, cm_str_t origin)
{
    const cm_collector_t *collector = request->collector;

    cm_refused_note(collector->refused, why, origin,
                    cm_clock_now_ms(collector->options.shared->clock));
}

static enum MHD_Result refuse_for_demo(cm_collector_request_t *request, cm_str_t origin)
{
    note_refused(request, CM_REFUSED_DEMO, origin);
    return refuse(request, MHD_HTTP_FORBIDDEN,
                  "this is a demonstration, which takes the clicks of its shop at /demo/ alone; "
                  "`clickmill run --no-demo` takes events",
                  NULL, NULL);
}

static enum MHD_Result refuse_token(cm_collector_request_t *request, bool given)
{
    if (request->collector->rules.demo)
        return refuse_for_demo(request, CM_STR(""));
    note_refused(request, CM_REFUSED_TOKEN, CM_STR(""));
    return refuse(request, MHD_HTTP_UNAUTHORIZED,
                  given ? "the token is not one of collect.tokens"
                        : "a request that comes from no page of collect.sites needs a token: "
                          "Authorization: Bearer TOKEN",
                  "WWW-Authenticate", "Bearer");
}

static enum MHD_Result refuse_site(cm_collector_request_t *request, cm_str_t origin)
{
    char text[200];

    if (request->collector->rules.demo)
        return refuse_for_demo(request, origin);
    note_refused(request, CM_REFUSED_SITE, origin);
    snprintf(text, sizeof text, "pages of %.*s may not send here; collect.sites says who may",
             cm_utf8_head(origin, 100), origin.data);
    return refuse(request, MHD_HTTP_FORBIDDEN, text, NULL, NULL);
}

static enum MHD_Result refuse_rate(cm_collector_request_t *request, int seconds)
{
    note_refused(request, CM_REFUSED_RATE, cm_str(request->sender.origin));
    return refuse_later(request, MHD_HTTP_TOO_MANY_REQUESTS, seconds,
                        "too many requests, events or bytes from this address");
}

static bool within_rate(cm_collector_request_t *request, enum MHD_Result *result)
{
    const int seconds = cm_sender_wait(&request->collector->rules, &request->sender);

    if (seconds > 0)
        *result = refuse_rate(request, seconds);
    return seconds == 0;
}

static enum MHD_Result refuse_locked(cm_collector_request_t *request)
{
    const int seconds = cm_rate_locked(request->collector->rules.rate,
                                       cm_sender_limit_key(&request->sender), cm_clock_ticks_ns());

    note_refused(request, CM_REFUSED_TOKEN, CM_STR(""));
    return refuse_later(request, MHD_HTTP_TOO_MANY_REQUESTS, seconds > 0 ? seconds : 1,
                        "too many wrong tokens from this address: none is looked at for a while");
}

/* Where the store has all that it may hold, nothing more is taken. */
static bool has_room(cm_collector_request_t *request, enum MHD_Result *result)
{
    const cm_collector_options_t *options = &request->collector->options;

    if (options->full == NULL || !options->full(options->ready_context))
        return true;
    *result = refuse(request, MHD_HTTP_INSUFFICIENT_STORAGE,
                     "the store is as large as collect.max_store allows", NULL, NULL);
    return false;
}

/* Finds out who sends, and whether he may now; replies where he may not (then `*result` is set). */
static bool admit(cm_collector_request_t *request, enum MHD_Result *result)
{
    cm_sender_t *sender = &request->sender;

    cm_sender_locate(&request->collector->rules, request->connection, sender);
    switch (cm_sender_admit(&request->collector->rules, request->connection, sender)) {
    case CM_SENDER_NO_SITE:
        *result = refuse_site(request, cm_str(sender->origin));
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
    return within_rate(request, result) && has_room(request, result);
}

/* ---- a request's events ---- */

static enum MHD_Result refuse_lost(cm_collector_request_t *request)
{
    return refuse_later(request, MHD_HTTP_SERVICE_UNAVAILABLE, FULL_SECONDS,
                        "too much waits to be stored, or it cannot be stored; send it again");
}

static enum MHD_Result refuse_size(cm_collector_request_t *request)
{
    return refuse(request, MHD_HTTP_CONTENT_TOO_LARGE,
                  "the body is larger than collect.max_body allows", NULL, NULL);
}

static enum MHD_Result refuse_urls(cm_collector_request_t *request)
{
    if (request->collector->rules.demo)
        return refuse_for_demo(request, cm_str(request->sender.origin));
    return refuse(request, MHD_HTTP_FORBIDDEN,
                  "the demo shop is not open, and its clicks are none of a site's", NULL, NULL);
}

/* Replies to what is read, or hands its events over. */
static enum MHD_Result settle_outcome(cm_collector_request_t *request)
{
    enum MHD_Result result = MHD_YES;

    switch (request->outcome) {
    case CM_COLLECTOR_OUTCOME_NO_EVENTS:
        result = request->pixel && request->result.rejected == 0 ? reply_pixel(request)
                                                                 : reply_result(request);
        break;
    case CM_COLLECTOR_OUTCOME_TOO_LARGE:
        result = refuse_size(request);
        break;
    case CM_COLLECTOR_OUTCOME_NO_BODY:
        result = refuse(request, MHD_HTTP_BAD_REQUEST, request->why, NULL, NULL);
        break;
    case CM_COLLECTOR_OUTCOME_OWES:
        result = refuse_rate(request, request->seconds);
        break;
    case CM_COLLECTOR_OUTCOME_FOREIGN:
        result = refuse_urls(request);
        break;
    case CM_COLLECTOR_OUTCOME_LOST:
        result = refuse_lost(request);
        break;
    case CM_COLLECTOR_OUTCOME_EVENTS:
        break;
    }
    return result;
}

/* What was read on this thread. */
static enum MHD_Result settle_at_once(cm_collector_request_t *request)
{
    if (request->outcome == CM_COLLECTOR_OUTCOME_EVENTS ||
        request->outcome == CM_COLLECTOR_OUTCOME_NO_EVENTS)
        cm_collector_store(request);
    const enum MHD_Result result = settle_outcome(request);
    cm_collector_release(request->collector, &request->held);
    return result;
}

static enum MHD_Result settle(cm_collector_request_t *request, cm_collector_stage_t stage)
{
    if (stage == CM_COLLECTOR_STAGE_READ)
        return settle_outcome(request);
    if (stage == CM_COLLECTOR_STAGE_LOST)
        return refuse_lost(request);
    return request->pixel ? reply_pixel(request) : reply_result(request);
}

void cm_collector_ring(cm_collector_t *collector)
{
    if (atomic_load_explicit(&collector->ring, memory_order_relaxed) &&
        atomic_exchange(&collector->ring, false))
        cm_inbox_ring(collector->options.inbox);
}

static enum MHD_Result read_body(cm_collector_request_t *request)
{
    if (request->held.is_coming &&
        !cm_uploads_complete(request->collector->bodies, &request->held.coming))
        return MHD_NO; /* its answer is on its way */
    if (request->room == CM_UPLOAD_TOTAL_LIMIT)
        return refuse_lost(request);
    if (request->room == CM_UPLOAD_ADDRESS_LIMIT)
        return refuse_later(request, MHD_HTTP_TOO_MANY_REQUESTS, FULL_SECONDS,
                            "too many unfinished bodies from this address");
    cm_collector_read(request);
    if (atomic_load(&request->stage) != CM_COLLECTOR_STAGE_COMING) /* another thread reads it */
        return MHD_YES;
    return settle_at_once(request);
}

/* ---- POST /v1/events ---- */

static bool type_is(cm_str_t type, const char *name)
{
    return cm_str_equal_nocase(type, cm_str(name));
}

/* Content-Type and Content-Encoding; replies where they are others. */
static bool accept_type(cm_collector_request_t *request, enum MHD_Result *result)
{
    const char *type = cm_sender_header(request->connection, "Content-Type");
    cm_str_t coding =
        cm_str_trim(cm_str(cm_sender_header(request->connection, "Content-Encoding")));
    cm_str_t name = cm_str_trim((cm_str_t){type, type != NULL ? strcspn(type, ";") : 0});

    request->lines = type_is(name, "application/x-ndjson") || type_is(name, "application/jsonl");
    request->gzip = type_is(coding, "gzip") || type_is(coding, "x-gzip");
    if (!request->lines && !type_is(name, "application/json") && !type_is(name, "text/plain")) {
        *result = refuse(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
                         "Content-Type is application/json, application/x-ndjson or text/plain",
                         NULL, NULL);
    } else if (!request->gzip && coding.len > 0 && !type_is(coding, "identity")) {
        *result = refuse(request, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE, "Content-Encoding is gzip", NULL,
                         NULL);
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
    *result = refuse_size(request);
    return false;
}

/* From here on its body is waited for. */
static void await_body(cm_collector_request_t *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);

    if (!cm_head_has_body(request->connection))
        return;
    request->held.is_coming = true;
    cm_uploads_begin(request->collector->bodies, &request->held.coming,
                     cm_sender_limit_key(&request->sender), info->connect_fd,
                     request->sender.trusted);
}

static enum MHD_Result reply_preflight(cm_collector_request_t *request)
{
    const char *origin = cm_sender_header(request->connection, "Origin");
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);

    if (origin != NULL &&
        !cm_sender_site(&request->collector->rules, request->connection, cm_str(origin))) {
        MHD_destroy_response(response);
        return refuse_site(request, cm_str(origin));
    }
    request->sender.origin = origin;
    MHD_add_response_header(response, "Allow", "POST, OPTIONS");
    if (origin != NULL) {
        MHD_add_response_header(response, "Access-Control-Allow-Methods", "POST");
        MHD_add_response_header(response, "Access-Control-Allow-Headers",
                                "Content-Type, Content-Encoding, Authorization");
        MHD_add_response_header(response, "Access-Control-Max-Age", "86400");
    }
    return send_response(request, MHD_HTTP_NO_CONTENT, response);
}

/* Its head: everything that can be refused before the body comes. */
static enum MHD_Result begin_events(cm_collector_request_t *request)
{
    enum MHD_Result result = MHD_YES;

    if (!admit(request, &result) || !accept_type(request, &result) ||
        !accept_length(request, &result))
        return result;
    cm_sender_visitor(&request->collector->rules, request->connection, &request->sender);
    await_body(request);
    return result;
}

static enum MHD_Result finish_events(cm_collector_request_t *request, const char *method)
{
    if (strcmp(method, "POST") == 0)
        return read_body(request);
    if (strcmp(method, "OPTIONS") == 0)
        return reply_preflight(request);
    return refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "events are sent with POST", "Allow",
                  "POST, OPTIONS");
}

/* ---- GET /pixel.gif ---- */

static bool wants_privacy(const cm_collector_request_t *request)
{
    return cm_str_equal(cm_str(cm_sender_header(request->connection, "DNT")), CM_STR("1")) ||
           cm_str_equal(cm_str(cm_sender_header(request->connection, "Sec-GPC")), CM_STR("1"));
}

static cm_str_t argument(const cm_collector_request_t *request, const char *name)
{
    return cm_str(MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name));
}

static enum MHD_Result take_pixel(cm_collector_request_t *request, const char *method)
{
    enum MHD_Result result = MHD_YES;
    cm_str_t referrer = cm_str(cm_sender_header(request->connection, "Referer")),
             url = argument(request, "url");

    request->pixel = request->sender.page = true;
    if (!cm_head_only_reads(method))
        return refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "an image is asked for with GET",
                      "Allow", "GET, HEAD");
    if (strcmp(method, "HEAD") == 0 || wants_privacy(request))
        return reply_pixel(request);
    cm_str_t origin = cm_sites_origin(referrer.len > 0 ? referrer : url);
    if (url.len == 0)
        url = referrer;
    if (url.len == 0)
        return refuse(request, MHD_HTTP_BAD_REQUEST,
                      "which page? There is neither a Referer nor a parameter url", NULL, NULL);
    /* Without a Referer the page is only what the address says: any page can say it is ours. */
    if (request->collector->rules.demo || /* whose shop has no images of this kind */
        !(referrer.len > 0 ? cm_sender_site(&request->collector->rules, request->connection, origin)
                           : cm_sites_allow(request->collector->rules.sites, origin)))
        return refuse_site(request, origin);
    cm_sender_locate(&request->collector->rules, request->connection, &request->sender);
    if (!within_rate(request, &result) || !has_room(request, &result))
        return result;
    cm_sender_visitor(&request->collector->rules, request->connection, &request->sender);
    cm_collector_read_pixel(request, url, argument(request, "user_id"));
    return settle_at_once(request);
}

/* ---- the handler ---- */

static enum MHD_Result finish(cm_collector_request_t *request, const char *path, const char *method)
{
    if (strcmp(path, "/v1/events") == 0)
        return finish_events(request, method);
    if (strcmp(path, "/pixel.gif") == 0)
        return take_pixel(request, method);
    if (!cm_head_only_reads(method))
        return refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "use GET or HEAD", "Allow",
                      "GET, HEAD");
    return reply_ready(request);
}

/* Whether there will be room for the head of an answer, without which nothing may be stored: the
 * sender would send it again. libmicrohttpd keeps the request's head, a copy of its cookies and a
 * node for each of its fields in the same memory. */
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
    *result = refuse(request, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE,
                     "the head of the request is too long", NULL, NULL);
    return false;
}

static enum MHD_Result begin(cm_collector_request_t *request, const char *path, const char *method)
{
    const bool events = strcmp(path, "/v1/events") == 0;
    enum MHD_Result result = MHD_YES;

    if (!accept_head(request, &result))
        return result;
    if (events && strcmp(method, "POST") == 0)
        return begin_events(request);
    if (!cm_head_has_body(request->connection))
        return MHD_YES;
    return events || !cm_head_only_reads(method) ? finish(request, path, method)
                                                 : refuse(request, MHD_HTTP_CONTENT_TOO_LARGE,
                                                          "such a request has no body", NULL, NULL);
}

/* Keeps a piece of the body, where there is room for it. */
static void take_piece(cm_collector_request_t *request, const char *data, size_t len)
{
    cm_body_t *body = &request->held.body;
    const bool last = request->length >= 0 && body->came + len >= (uint64_t)request->length;

    if (request->room == CM_UPLOAD_FITS && request->held.is_coming)
        request->room =
            cm_uploads_add(request->collector->bodies, &request->held.coming, len, last);
    if (request->room == CM_UPLOAD_FITS) {
        cm_body_add(body, data, len);
    } else {
        cm_body_free(body);
        body->came += len;
    }
}

enum MHD_Result cm_collector_handle(cm_collector_t *collector, struct MHD_Connection *connection,
                                    cm_loop_t *loop, size_t memory, const char *path,
                                    const char *method, const char *upload, size_t *upload_len,
                                    cm_collector_request_t **out)
{
    cm_collector_request_t *request = *out;

    if (request == NULL) {
        request = *out = cm_alloc_zero(1, sizeof *request);
        request->collector = collector;
        request->connection = connection;
        request->loop = loop;
        request->memory = memory;
        request->held.body.max = collector->options.max_body;
        request->length = -1;
        return begin(request, path, method);
    }
    if (*upload_len > 0) {
        take_piece(request, upload, *upload_len);
        *upload_len = 0;
        return request->held.body.came <= request->held.body.max * DISCARD ? MHD_YES : MHD_NO;
    }
    const cm_collector_stage_t stage = atomic_load(&request->stage);
    if (stage == CM_COLLECTOR_STAGE_RESTING) /* not yet */
        return MHD_YES;
    return stage == CM_COLLECTOR_STAGE_COMING ? finish(request, path, method)
                                              : settle(request, stage);
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
