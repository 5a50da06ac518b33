#include "serve/collector.h"

#include "serve/body.h"
#include "serve/hosts.h"
#include "serve/proxies.h"
#include "serve/rate.h"
#include "serve/reply.h"
#include "serve/sites.h"

#include <nettle/memops.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define COOKIE "clickmill_visitor"

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
    bool loopback;
    cm_sites_t *sites;
    cm_proxies_t *proxies;
    cm_rate_t *rate;      /* NULL: no limit */
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
    _Atomic(stage_t) stage;
    bool pixel, page, gzip, lines;
    bool read;          /* the body is whole */
    const char *origin; /* that may read the answer; NULL: none */
    char address[CM_ADDRESS_TEXT];
    char visitor[CM_VISITOR_TEXT + 1]; /* of the cookie; "": none is wanted */
    bool new_visitor;                  /* the cookie is to be set */
    cm_body_t body;
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
    pthread_mutex_init(&collector->lock, NULL);
    int rc = cm_sites_new(options->sites, &collector->sites, err);
    if (rc == 0)
        rc = cm_proxies_new(options->proxies, &collector->proxies, err);
    if (rc < 0) {
        cm_collector_free(collector);
        return rc;
    }
    if (options->rate_limit > 0)
        collector->rate = cm_rate_new(options->rate_limit);
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
    cm_rate_free(collector->rate);
    cm_proxies_free(collector->proxies);
    cm_sites_free(collector->sites);
    pthread_mutex_destroy(&collector->lock);
    free(collector);
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
    collector->loopback = loopback;
}

bool cm_collector_knows(const char *path)
{
    return strcmp(path, "/v1/events") == 0 || strcmp(path, "/pixel.gif") == 0 ||
           strcmp(path, "/readyz") == 0;
}

/* ---- replies ---- */

static const char *header(const cm_collect_request_t *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

/* The headers that let a page of another origin read the answer (the Fetch standard, "CORS
 * protocol"). sendBeacon sends with credentials, whether there are any or not. */
static void add_cors(const cm_collect_request_t *request, struct MHD_Response *response)
{
    MHD_add_response_header(response, "Vary", "Origin");
    if (request->origin == NULL)
        return;
    MHD_add_response_header(response, "Access-Control-Allow-Origin", request->origin);
    MHD_add_response_header(response, "Access-Control-Allow-Credentials", "true");
}

/* Whether the browser speaks TLS, with us or with the proxy in front. */
static bool over_tls(const cm_collect_request_t *request)
{
    const cm_collector_t *collector = request->collector;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);

    return collector->options.tls ||
           (cm_str_equal_nocase(cm_str(header(request, "X-Forwarded-Proto")), CM_STR("https")) &&
            cm_proxies_has(collector->proxies, info->client_addr));
}

static void add_cookie(const cm_collect_request_t *request, struct MHD_Response *response)
{
    char text[200];

    if (!request->new_visitor)
        return;
    snprintf(text, sizeof text, COOKIE "=%s; Max-Age=%d; Path=/; HttpOnly; %s", request->visitor,
             COOKIE_SECONDS, over_tls(request) ? "SameSite=None; Secure" : "SameSite=Lax");
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

    cm_buf_add_text(&body, "{\"error\":");
    cm_buf_add_json(&body, cm_str(sentence));
    cm_buf_add_text(&body, "}\n");
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

    cm_buf_printf(&body, "{\"ready\":%s%s", ready ? "true" : "false", said.len > 0 ? "," : "");
    cm_buf_add(&body, said.data, said.len);
    cm_buf_add_text(&body, "}\n");
    cm_buf_free(&said);
    return send_response(request, ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE,
                         json_response(&body));
}

/* ---- who sends ---- */

static bool same_origin(const cm_collect_request_t *request, cm_str_t origin)
{
    const cm_collector_t *collector = request->collector;
    cm_str_t host = cm_str(header(request, "Host"));

    if (origin.len <= host.len || host.len == 0 || origin.data[origin.len - host.len - 1] != '/' ||
        !cm_str_equal_nocase((cm_str_t){origin.data + origin.len - host.len, host.len}, host))
        return false;
    /* A stranger's name that leads to this machine is no name of ours (DNS rebinding). */
    return !collector->loopback || cm_proxies_any(collector->proxies) ||
           cm_host_is_local(cm_host_name(host));
}

static bool site_allowed(const cm_collect_request_t *request, cm_str_t origin)
{
    return cm_sites_allow(request->collector->sites, origin) || same_origin(request, origin);
}

/* True for the bearer token (RFC 6750) of a sender that is known. The time it takes says nothing
 * about how much of it is right. */
static bool token_known(const cm_collector_options_t *options, const char *authorization)
{
    cm_str_t given = cm_str_trim(cm_str(authorization));
    bool known = false;

    if (given.len <= 7 || !cm_str_equal_nocase((cm_str_t){given.data, 7}, CM_STR("Bearer ")))
        return false;
    given = cm_str_trim((cm_str_t){given.data + 7, given.len - 7});
    for (size_t i = 0; i < options->token_count; i++) {
        cm_str_t secret = cm_str(options->tokens[i].secret);
        if (secret.len == given.len && memeql_sec(secret.data, given.data, given.len) != 0)
            known = true;
    }
    return known;
}

static enum MHD_Result refuse_token(cm_collect_request_t *request, bool given)
{
    return refuse(request, MHD_HTTP_UNAUTHORIZED,
                  given ? "the token is not one of collect.tokens"
                        : "a request that comes from no page of collect.sites needs a token: "
                          "Authorization: Bearer TOKEN",
                  "WWW-Authenticate", "Bearer");
}

static enum MHD_Result refuse_site(cm_collect_request_t *request, cm_str_t origin)
{
    char text[200];

    snprintf(text, sizeof text, "pages of %.*s may not send here; collect.sites says who may",
             cm_utf8_head(origin, 100), origin.data);
    return refuse(request, MHD_HTTP_FORBIDDEN, text, NULL, NULL);
}

/* Finds out who sends, and whether he may; replies where he may not (then `*result` is set). */
static bool admit(cm_collect_request_t *request, bool *trusted, enum MHD_Result *result)
{
    const cm_collector_options_t *options = &request->collector->options;
    const char *authorization = header(request, "Authorization");
    const char *origin = header(request, "Origin");

    *trusted = false;
    request->origin = origin; /* the answer it may read, whatever it is */
    if (origin != NULL && !site_allowed(request, cm_str(origin))) {
        *result = refuse_site(request, cm_str(origin));
        return false;
    }
    request->page = origin != NULL;
    if (authorization != NULL) {
        *trusted = token_known(options, authorization);
        if (!*trusted)
            *result = refuse_token(request, true);
        return *trusted;
    }
    if (origin != NULL || (options->token_count == 0 && request->collector->loopback &&
                           !cm_proxies_any(request->collector->proxies)))
        return true;
    *result = refuse_token(request, false);
    return false;
}

/* Appends a value of X-Forwarded-For; several lines are one list (RFC 9110, section 5.3). */
static enum MHD_Result add_forwarded(void *context, enum MHD_ValueKind kind, const char *name,
                                     const char *value)
{
    cm_buf_t *list = context;
    (void)kind;

    if (value == NULL || !cm_str_equal_nocase(cm_str(name), CM_STR("X-Forwarded-For")))
        return MHD_YES;
    if (list->len > 0)
        cm_buf_add_char(list, ',');
    cm_buf_add_text(list, value);
    return MHD_YES;
}

/* Takes the client's address from the connection and the proxies. True when it is this machine's
 * own. */
static bool find_address(cm_collect_request_t *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const cm_proxies_t *proxies = request->collector->proxies;
    cm_buf_t forwarded = CM_BUF_INIT;
    bool loopback;

    if (cm_proxies_any(proxies))
        MHD_get_connection_values(request->connection, MHD_HEADER_KIND, add_forwarded, &forwarded);
    bool direct =
        cm_proxies_client(proxies, info->client_addr, forwarded.data, request->address, &loopback);
    cm_buf_free(&forwarded);
    return direct && loopback;
}

static bool within_rate(cm_collect_request_t *request, bool trusted, enum MHD_Result *result)
{
    cm_rate_t *rate = request->collector->rate;
    bool own = find_address(request);

    if (rate == NULL || trusted || own)
        return true;
    int seconds = cm_rate_take(rate, cm_str(request->address), cm_clock_ticks_ns());
    if (seconds == 0)
        return true;
    *result = refuse_later(request, MHD_HTTP_TOO_MANY_REQUESTS, seconds,
                           "too many requests from this address");
    return false;
}

/* With visitors known by a cookie: the one that came, or a new one. */
static void find_visitor(cm_collect_request_t *request)
{
    static const char digits[] = "0123456789abcdef";
    uint8_t random[CM_VISITOR_TEXT / 2];

    if (request->collector->options.shared->visitor != CM_VISITOR_COOKIE || !request->page)
        return;
    const char *given = MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND, COOKIE);
    if (given != NULL && strlen(given) == CM_VISITOR_TEXT &&
        strspn(given, digits) == CM_VISITOR_TEXT) {
        memcpy(request->visitor, given, CM_VISITOR_TEXT);
        return;
    }
    if (getrandom(random, sizeof random, 0) != sizeof random)
        return;
    for (size_t i = 0; i < sizeof random; i++) {
        request->visitor[2 * i] = digits[random[i] >> 4];
        request->visitor[2 * i + 1] = digits[random[i] & 15];
    }
    request->new_visitor = true;
}

/* ---- a request's events ---- */

static void into_inbox(cm_collect_request_t *request, reader_t *reader, size_t bytes,
                       enum MHD_Result *result)
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
    cm_inbox_result_t put = cm_inbox_put(inbox, &reader->batch, bytes, request);
    if (put != CM_INBOX_TAKEN)
        cm_collector_done(request, false);
    *result = MHD_YES;
}

void cm_collector_done(void *ticket, bool durable)
{
    cm_collect_request_t *request = ticket;
    struct MHD_Connection *connection = request->connection;

    atomic_store(&request->stage, durable ? DURABLE : LOST);
    MHD_resume_connection(connection); /* and the request may be gone */
}

static enum MHD_Result settle(cm_collect_request_t *request, stage_t stage)
{
    if (stage == LOST)
        return refuse_later(request, MHD_HTTP_SERVICE_UNAVAILABLE, FULL_SECONDS,
                            "too much waits to be stored, or it cannot be stored; send it again");
    return request->pixel ? reply_pixel(request) : reply_result(request);
}

static cm_posted_sender_t sender_of(const cm_collect_request_t *request)
{
    return (cm_posted_sender_t){.page = request->page,
                                .address = cm_str(request->address),
                                .agent = cm_str(header(request, "User-Agent")),
                                .cookie = cm_str(request->visitor)};
}

static enum MHD_Result read_body(cm_collect_request_t *request)
{
    const cm_posted_sender_t sender = sender_of(request);
    enum MHD_Result result = MHD_YES;
    cm_body_t *body = &request->body;
    cm_err_t err;

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
    else
        into_inbox(request, reader, body->bytes.len, &result);
    give_reader(request->collector, reader);
    cm_body_free(body);
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
    const char *type = header(request, "Content-Type");
    cm_str_t coding = cm_str_trim(cm_str(header(request, "Content-Encoding")));
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
    cm_str_t text = cm_str(header(request, "Content-Length"));
    int64_t length;

    if (!cm_str_to_i64(text, &length) || (uint64_t)length <= request->body.max)
        return true;
    *result = refuse(request, MHD_HTTP_CONTENT_TOO_LARGE,
                     "the body is larger than collect.max_body allows", NULL, NULL);
    return false;
}

static enum MHD_Result reply_preflight(cm_collect_request_t *request)
{
    const char *origin = header(request, "Origin");
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);

    if (origin != NULL && !site_allowed(request, cm_str(origin))) {
        MHD_destroy_response(response);
        return refuse_site(request, cm_str(origin));
    }
    request->origin = origin;
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
    bool trusted;

    if (admit(request, &trusted, &result) && within_rate(request, trusted, &result) &&
        accept_type(request, &result) && accept_length(request, &result))
        find_visitor(request);
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

static bool is_question(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

static bool wants_privacy(const cm_collect_request_t *request)
{
    return cm_str_equal(cm_str(header(request, "DNT")), CM_STR("1")) ||
           cm_str_equal(cm_str(header(request, "Sec-GPC")), CM_STR("1"));
}

static cm_str_t argument(const cm_collect_request_t *request, const char *name)
{
    return cm_str(MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name));
}

static enum MHD_Result take_pixel(cm_collect_request_t *request, const char *method)
{
    enum MHD_Result result = MHD_YES;
    cm_str_t referrer = cm_str(header(request, "Referer")), url = argument(request, "url");
    cm_err_t err;

    request->pixel = request->page = true;
    if (!is_question(method))
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
    if (!site_allowed(request, origin))
        return refuse_site(request, origin);
    if (!within_rate(request, false, &result))
        return result;
    find_visitor(request);
    const cm_posted_sender_t sender = sender_of(request);
    reader_t *reader = take_reader(request->collector);
    int rc = cm_posted_pixel(reader->poster, url, argument(request, "user_id"), &sender,
                             &reader->batch, &request->result, &err);
    if (rc < 0)
        result = settle(request, LOST);
    else if (request->result.rejected > 0)
        result = reply_result(request);
    else
        into_inbox(request, reader, url.len + sender.agent.len, &result);
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
    if (!is_question(method))
        return refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "use GET or HEAD", "Allow",
                      "GET, HEAD");
    return reply_ready(request);
}

static enum MHD_Result begin(cm_collect_request_t *request, const char *path, const char *method)
{
    const bool events = strcmp(path, "/v1/events") == 0;
    enum MHD_Result result = MHD_YES;

    if (!accept_framing(request, &result))
        return result;
    if (events && strcmp(method, "POST") == 0)
        return begin_events(request);
    if (!cm_request_has_body(request->connection))
        return MHD_YES;
    return events || !is_question(method) ? finish(request, path, method)
                                          : refuse(request, MHD_HTTP_CONTENT_TOO_LARGE,
                                                   "such a request has no body", NULL, NULL);
}

enum MHD_Result cm_collector_handle(cm_collector_t *collector, struct MHD_Connection *connection,
                                    const char *path, const char *method, const char *upload,
                                    size_t *upload_len, cm_collect_request_t **out)
{
    cm_collect_request_t *request = *out;

    if (request == NULL) {
        request = *out = cm_alloc_zero(1, sizeof *request);
        request->collector = collector;
        request->connection = connection;
        request->body.max = collector->options.max_body;
        return begin(request, path, method);
    }
    if (*upload_len > 0) {
        cm_body_t *body = &request->body;
        cm_body_add(body, upload, *upload_len);
        *upload_len = 0;
        return body->came <= body->max * DISCARD ? MHD_YES : MHD_NO;
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
    cm_body_free(&request->body);
    cm_buf_free(&request->result.errors);
    free(request);
}
