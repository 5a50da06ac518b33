#include "serve/collector.h"

#include "serve/body.h"
#include "serve/reply.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    COOKIE_SECONDS = 13 * 30 * 24 * 3600, /* 13 months: what European authorities advise at most */
    DISCARD = 16,                         /* times max_body that are read to answer 413 */
    KEPT = 8,                             /* readers that are kept */
    FULL_SECONDS = 1,                     /* after which a sender may try again */
};

/* What reads a body: as many as there are threads. */
typedef struct reader {
    cm_poster_t *poster;
    cm_batch_t batch;
} reader_t;

struct cm_collector {
    cm_collector_options_t options;
    cm_sender_rules_t rules;
    cm_refused_t *refused;
    atomic_bool ring;     /* something is in the inbox that nobody was told of */
    atomic_size_t coming; /* bytes of bodies that are not whole yet */
    pthread_mutex_t lock; /* guards: */
    reader_t *kept[KEPT];
    int kept_count;
};

typedef enum stage {
    READING, /* the body comes in */
    RESTING, /* its events wait to be durable */
    DURABLE, /* they are */
    LOST,    /* they are not, and never will be */
} stage_t;

struct cm_collect_request {
    cm_collector_t *collector;
    struct MHD_Connection *connection;
    cm_loop_t *loop; /* of the connection */
    _Atomic(stage_t) stage;
    cm_sender_t sender;
    size_t memory; /* that libmicrohttpd has for its head and that of the answer */
    bool pixel, gzip, lines;
    bool read; /* the body is whole */
    cm_body_t body;
    size_t counted; /* bytes of it in the collector's `coming` */
    bool crowded;   /* there was no room for it */
    cm_posted_result_t result;
};

static const unsigned char gif[] = {
    'G', 'I', 'F', '8', '9', 'a',  1, 0, 1, 0, 0x80, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0x21, 0xf9, 4,
    1,   0,   0,   0,   0,   0x2c, 0, 0, 0, 0, 1,    0, 1, 0, 0, 2, 2,    0x44, 1,    0,    0x3b,
};

/* ---- the collector ---- */

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
    int rc = cm_sites_new(options->sites, &collector->rules.sites, err);
    if (rc == 0)
        rc = cm_proxies_new(options->proxies, &collector->rules.proxies, err);
    if (rc < 0) {
        cm_collector_free(collector);
        return rc;
    }
    if (options->rate_limit > 0)
        collector->rules.rate = cm_rate_new(options->rate_limit);
    *out = collector;
    return 0;
}

static void free_reader(reader_t *reader)
{
    cm_poster_free(reader->poster);
    cm_batch_free(&reader->batch);
    free(reader);
}

void cm_collector_free(cm_collector_t *collector)
{
    if (collector == NULL)
        return;
    for (int i = 0; i < collector->kept_count; i++)
        free_reader(collector->kept[i]);
    cm_refused_free(collector->refused);
    cm_rate_free(collector->rules.rate);
    cm_proxies_free(collector->rules.proxies);
    cm_sites_free(collector->rules.sites);
    pthread_mutex_destroy(&collector->lock);
    free(collector);
}

void cm_collector_forget(cm_collector_t *collector)
{
    pthread_mutex_lock(&collector->lock);
    while (collector->kept_count > 0)
        free_reader(collector->kept[--collector->kept_count]);
    pthread_mutex_unlock(&collector->lock);
}

static reader_t *take_reader(cm_collector_t *collector)
{
    reader_t *reader = NULL;

    pthread_mutex_lock(&collector->lock);
    if (collector->kept_count > 0)
        reader = collector->kept[--collector->kept_count];
    pthread_mutex_unlock(&collector->lock);
    if (reader == NULL) {
        reader = cm_alloc_zero(1, sizeof *reader);
        reader->poster = cm_poster_new(collector->options.shared);
    }
    return reader;
}

static void give_reader(cm_collector_t *collector, reader_t *reader)
{
    if (reader->batch.cap > CM_BATCH_EVENTS)
        cm_batch_free(&reader->batch);
    cm_batch_clear(&reader->batch);
    pthread_mutex_lock(&collector->lock);
    if (collector->kept_count < KEPT) {
        collector->kept[collector->kept_count++] = reader;
        reader = NULL;
    }
    pthread_mutex_unlock(&collector->lock);
    if (reader != NULL)
        free_reader(reader);
}

void cm_collector_listens(cm_collector_t *collector, bool loopback)
{
    collector->rules.loopback = loopback;
}

cm_refused_t *cm_collector_refused(cm_collector_t *collector)
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
static void add_cors(const cm_collect_request_t *request, struct MHD_Response *response)
{
    MHD_add_response_header(response, "Vary", "Origin");
    if (request->sender.origin == NULL)
        return;
    MHD_add_response_header(response, "Access-Control-Allow-Origin", request->sender.origin);
    MHD_add_response_header(response, "Access-Control-Allow-Credentials", "true");
}

static void add_cookie(const cm_collect_request_t *request, struct MHD_Response *response)
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

static enum MHD_Result send_response(cm_collect_request_t *request, unsigned status,
                                     struct MHD_Response *response)
{
    if (response == NULL)
        return MHD_NO;
    add_cors(request, response);
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
static enum MHD_Result refuse(cm_collect_request_t *request, unsigned status, const char *sentence,
                              const char *name, const char *value)
{
    cm_buf_t body = CM_BUF_INIT;

    cm_reply_add_error(&body, sentence);
    struct MHD_Response *response = json_response(&body);
    if (response != NULL && name != NULL)
        MHD_add_response_header(response, name, value);
    return send_response(request, status, response);
}

static enum MHD_Result refuse_later(cm_collect_request_t *request, unsigned status, int seconds,
                                    const char *sentence)
{
    char text[16];

    snprintf(text, sizeof text, "%d", seconds);
    return refuse(request, status, sentence, "Retry-After", text);
}

static enum MHD_Result reply_pixel(cm_collect_request_t *request)
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
static enum MHD_Result reply_result(cm_collect_request_t *request)
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

static enum MHD_Result reply_ready(cm_collect_request_t *request)
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

static void note_refused(cm_collect_request_t *request, cm_refusal_t why, cm_str_t origin)
{
    const cm_collector_t *collector = request->collector;

    cm_refused_note(collector->refused, why, origin,
                    cm_clock_now_ms(collector->options.shared->clock));
}

static enum MHD_Result refuse_for_demo(cm_collect_request_t *request, cm_str_t origin)
{
    note_refused(request, CM_REFUSED_DEMO, origin);
    return refuse(request, MHD_HTTP_FORBIDDEN,
                  "this is a demonstration, which takes the clicks of its shop at /demo/ alone; "
                  "`clickmill run --no-demo` takes events",
                  NULL, NULL);
}

static enum MHD_Result refuse_token(cm_collect_request_t *request, bool given)
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

static enum MHD_Result refuse_site(cm_collect_request_t *request, cm_str_t origin)
{
    char text[200];

    if (request->collector->rules.demo)
        return refuse_for_demo(request, origin);
    note_refused(request, CM_REFUSED_SITE, origin);
    snprintf(text, sizeof text, "pages of %.*s may not send here; collect.sites says who may",
             cm_utf8_head(origin, 100), origin.data);
    return refuse(request, MHD_HTTP_FORBIDDEN, text, NULL, NULL);
}

static bool within_rate(cm_collect_request_t *request, enum MHD_Result *result)
{
    int seconds = cm_sender_wait(&request->collector->rules, request->connection, &request->sender);

    if (seconds > 0)
        note_refused(request, CM_REFUSED_RATE, cm_str(request->sender.origin));
    if (seconds > 0)
        *result = refuse_later(request, MHD_HTTP_TOO_MANY_REQUESTS, seconds,
                               "too many requests from this address");
    return seconds == 0;
}

/* Finds out who sends, and whether he may now; replies where he may not (then `*result` is set). */
static bool admit(cm_collect_request_t *request, enum MHD_Result *result)
{
    cm_sender_t *sender = &request->sender;

    switch (cm_sender_admit(&request->collector->rules, request->connection, sender)) {
    case CM_NO_SITE:
        *result = refuse_site(request, cm_str(sender->origin));
        return false;
    case CM_NO_TOKEN:
        *result = refuse_token(request, false);
        return false;
    case CM_WRONG_TOKEN:
        *result = refuse_token(request, true);
        return false;
    case CM_ADMITTED:
        break;
    }
    return within_rate(request, result);
}

/* ---- a request's events ---- */

static void into_inbox(cm_collect_request_t *request, reader_t *reader, enum MHD_Result *result)
{
    cm_inbox_t *inbox = request->collector->options.inbox;

    if (reader->batch.count == 0) { /* nothing to wait for */
        cm_inbox_put(inbox, &reader->batch, 0, NULL);
        *result = request->pixel ? reply_pixel(request) : reply_result(request);
        return;
    }
    /* First it rests: the inbox may be done with it before put() returns. */
    MHD_suspend_connection(request->connection);
    atomic_store(&request->stage, RESTING);
    cm_inbox_result_t put =
        cm_inbox_put(inbox, &reader->batch, cm_batch_size(&reader->batch), request);
    if (put == CM_INBOX_TAKEN)
        atomic_store_explicit(&request->collector->ring, true, memory_order_relaxed);
    else
        cm_collector_done(request, false);
    *result = MHD_YES;
}

void cm_collector_done(void *ticket, bool durable)
{
    cm_collect_request_t *request = ticket;
    struct MHD_Connection *connection = request->connection;
    cm_loop_t *loop = request->loop;

    atomic_store(&request->stage, durable ? DURABLE : LOST);
    cm_loop_resume(loop, connection); /* and the request may be gone */
}

static enum MHD_Result settle(cm_collect_request_t *request, stage_t stage)
{
    if (stage == LOST)
        return refuse_later(request, MHD_HTTP_SERVICE_UNAVAILABLE, FULL_SECONDS,
                            "too much waits to be stored, or it cannot be stored; send it again");
    return request->pixel ? reply_pixel(request) : reply_result(request);
}

void cm_collector_ring(cm_collector_t *collector)
{
    if (atomic_load_explicit(&collector->ring, memory_order_relaxed) &&
        atomic_exchange(&collector->ring, false))
        cm_inbox_ring(collector->options.inbox);
}

static cm_posted_sender_t sender_of(const cm_collect_request_t *request)
{
    return (cm_posted_sender_t){.page = request->sender.page,
                                .address = cm_str(request->sender.address),
                                .agent =
                                    cm_str(cm_sender_header(request->connection, "User-Agent")),
                                .cookie = cm_str(request->sender.visitor)};
}

static void forget_body(cm_collect_request_t *request)
{
    cm_body_free(&request->body);
    atomic_fetch_sub(&request->collector->coming, request->counted);
    request->counted = 0;
}

/* Whether all events may come from the sender. */
static bool takes_all(const cm_collect_request_t *request, const cm_batch_t *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        if (!cm_sender_takes(&request->collector->rules, &request->sender, batch->events[i].url))
            return false;
    }
    return true;
}

static enum MHD_Result refuse_urls(cm_collect_request_t *request)
{
    if (request->collector->rules.demo)
        return refuse_for_demo(request, cm_str(request->sender.origin));
    return refuse(request, MHD_HTTP_FORBIDDEN,
                  "the demo shop is not open, and its clicks are none of a site's", NULL, NULL);
}

static enum MHD_Result read_body(cm_collect_request_t *request)
{
    const cm_posted_sender_t sender = sender_of(request);
    enum MHD_Result result = MHD_YES;
    cm_body_t *body = &request->body;
    cm_err_t err;

    if (request->crowded)
        return settle(request, LOST);
    int rc = cm_body_end(body, request->gzip, CM_JSON_PADDING, &err);
    if (body->too_large)
        return refuse(request, MHD_HTTP_CONTENT_TOO_LARGE,
                      "the body is larger than collect.max_body allows", NULL, NULL);
    if (rc < 0)
        return refuse(request, MHD_HTTP_BAD_REQUEST, err.text, NULL, NULL);
    reader_t *reader = take_reader(request->collector);
    rc = cm_posted_read(reader->poster, (cm_str_t){body->bytes.data, body->bytes.len},
                        request->lines, &sender, &reader->batch, &request->result, &err);
    if (rc == CM_EREJECT)
        result = refuse(request, MHD_HTTP_BAD_REQUEST, err.text, NULL, NULL);
    else if (rc < 0)
        result = settle(request, LOST);
    else if (!takes_all(request, &reader->batch))
        result = refuse_urls(request);
    else
        into_inbox(request, reader, &result);
    give_reader(request->collector, reader);
    forget_body(request);
    return result;
}

/* ---- POST /v1/events ---- */

static bool type_is(cm_str_t type, const char *name)
{
    return cm_str_equal_nocase(type, cm_str(name));
}

/* Content-Type and Content-Encoding; replies where they are others. */
static bool accept_type(cm_collect_request_t *request, enum MHD_Result *result)
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

static bool accept_length(cm_collect_request_t *request, enum MHD_Result *result)
{
    cm_str_t text = cm_str(cm_sender_header(request->connection, "Content-Length"));
    int64_t length;

    if (!cm_str_to_i64(text, &length) || (uint64_t)length <= request->body.max)
        return true;
    *result = refuse(request, MHD_HTTP_CONTENT_TOO_LARGE,
                     "the body is larger than collect.max_body allows", NULL, NULL);
    return false;
}

static enum MHD_Result reply_preflight(cm_collect_request_t *request)
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
static enum MHD_Result begin_events(cm_collect_request_t *request)
{
    enum MHD_Result result = MHD_YES;

    if (admit(request, &result) && accept_type(request, &result) && accept_length(request, &result))
        cm_sender_visitor(&request->collector->rules, request->connection, &request->sender);
    return result;
}

static enum MHD_Result finish_events(cm_collect_request_t *request, const char *method)
{
    if (strcmp(method, "POST") == 0)
        return read_body(request);
    if (strcmp(method, "OPTIONS") == 0)
        return reply_preflight(request);
    return refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "events are sent with POST", "Allow",
                  "POST, OPTIONS");
}

/* ---- GET /pixel.gif ---- */

static bool wants_privacy(const cm_collect_request_t *request)
{
    return cm_str_equal(cm_str(cm_sender_header(request->connection, "DNT")), CM_STR("1")) ||
           cm_str_equal(cm_str(cm_sender_header(request->connection, "Sec-GPC")), CM_STR("1"));
}

static cm_str_t argument(const cm_collect_request_t *request, const char *name)
{
    return cm_str(MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name));
}

static enum MHD_Result take_pixel(cm_collect_request_t *request, const char *method)
{
    enum MHD_Result result = MHD_YES;
    cm_str_t referrer = cm_str(cm_sender_header(request->connection, "Referer")),
             url = argument(request, "url");
    cm_err_t err;

    request->pixel = request->sender.page = true;
    if (!cm_request_is_question(method))
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
    if (!within_rate(request, &result))
        return result;
    cm_sender_visitor(&request->collector->rules, request->connection, &request->sender);
    const cm_posted_sender_t sender = sender_of(request);
    reader_t *reader = take_reader(request->collector);
    int rc = cm_posted_pixel(reader->poster, url, argument(request, "user_id"), &sender,
                             &reader->batch, &request->result, &err);
    if (rc < 0)
        result = settle(request, LOST);
    else if (request->result.rejected > 0)
        result = reply_result(request);
    else
        into_inbox(request, reader, &result);
    give_reader(request->collector, reader);
    return result;
}

/* ---- the handler ---- */

typedef struct framing {
    int lengths, codings;
    bool chunked;
} framing_t;

static enum MHD_Result look_at_framing(void *context, enum MHD_ValueKind kind, const char *name,
                                       const char *value)
{
    framing_t *framing = context;
    (void)kind;

    if (cm_str_equal_nocase(cm_str(name), CM_STR("Content-Length")))
        framing->lengths++;
    if (cm_str_equal_nocase(cm_str(name), CM_STR("Transfer-Encoding"))) {
        framing->codings++;
        framing->chunked = cm_str_equal_nocase(cm_str_trim(cm_str(value)), CM_STR("chunked"));
    }
    return MHD_YES;
}

/* A body whose end two readers could see at different places is refused, and its connection closed:
 * a proxy in front of us may be the other one (RFC 9112, sections 6.1 and 11.2). */
static bool accept_framing(cm_collect_request_t *request, enum MHD_Result *result)
{
    framing_t framing = {0, 0, false};

    MHD_get_connection_values(request->connection, MHD_HEADER_KIND, look_at_framing, &framing);
    if (framing.lengths + framing.codings > 1) {
        *result = refuse(request, MHD_HTTP_BAD_REQUEST,
                         "a request has one Content-Length or one Transfer-Encoding", NULL, NULL);
    } else if (framing.codings == 1 && !framing.chunked) {
        *result =
            refuse(request, MHD_HTTP_NOT_IMPLEMENTED, "Transfer-Encoding is chunked", NULL, NULL);
    } else {
        return true;
    }
    return false;
}

static enum MHD_Result finish(cm_collect_request_t *request, const char *path, const char *method)
{
    request->read = true;
    if (strcmp(path, "/v1/events") == 0)
        return finish_events(request, method);
    if (strcmp(path, "/pixel.gif") == 0)
        return take_pixel(request, method);
    if (!cm_request_is_question(method))
        return refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "use GET or HEAD", "Allow",
                      "GET, HEAD");
    return reply_ready(request);
}

/* Whether there will be room for the head of an answer, without which nothing may be stored: the
 * sender would send it again. libmicrohttpd keeps the request's head, a copy of its cookies and a
 * node for each of its fields in the same memory. */
static bool accept_head(cm_collect_request_t *request, enum MHD_Result *result)
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

static enum MHD_Result begin(cm_collect_request_t *request, const char *path, const char *method)
{
    const bool events = strcmp(path, "/v1/events") == 0;
    enum MHD_Result result = MHD_YES;

    if (!accept_framing(request, &result) || !accept_head(request, &result))
        return result;
    if (events && strcmp(method, "POST") == 0)
        return begin_events(request);
    if (!cm_request_has_body(request->connection))
        return MHD_YES;
    return events || !cm_request_is_question(method)
               ? finish(request, path, method)
               : refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "such a request has no body", NULL,
                        NULL);
}

/* Keeps a piece of the body, unless all bodies together become too much. */
static void take_piece(cm_collect_request_t *request, const char *data, size_t len)
{
    cm_collector_t *collector = request->collector;
    cm_body_t *body = &request->body;

    request->counted += len;
    if (atomic_fetch_add(&collector->coming, len) + len > collector->options.max_coming) {
        request->crowded = true;
        cm_body_free(body);
    }
    if (request->crowded)
        body->came += len;
    else
        cm_body_add(body, data, len);
}

enum MHD_Result cm_collector_handle(cm_collector_t *collector, struct MHD_Connection *connection,
                                    cm_loop_t *loop, size_t memory, const char *path,
                                    const char *method, const char *upload, size_t *upload_len,
                                    cm_collect_request_t **out)
{
    cm_collect_request_t *request = *out;

    if (request == NULL) {
        request = *out = cm_alloc_zero(1, sizeof *request);
        request->collector = collector;
        request->connection = connection;
        request->loop = loop;
        request->memory = memory;
        request->body.max = collector->options.max_body;
        return begin(request, path, method);
    }
    if (*upload_len > 0) {
        take_piece(request, upload, *upload_len);
        *upload_len = 0;
        return request->body.came <= request->body.max * DISCARD ? MHD_YES : MHD_NO;
    }
    stage_t stage = atomic_load(&request->stage);
    if (stage == RESTING) /* not yet */
        return MHD_YES;
    return stage == READING ? finish(request, path, method) : settle(request, stage);
}

bool cm_collect_request_read(const cm_collect_request_t *request)
{
    return request->read;
}

void cm_collect_request_free(cm_collect_request_t *request)
{
    if (request == NULL)
        return;
    forget_body(request);
    cm_buf_free(&request->result.errors);
    free(request);
}
