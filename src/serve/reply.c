#include "serve/reply.h"

#include "serve/tls.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

static void secure(struct MHD_Response *response, const char *loaded_by)
{
    const char *const headers[][2] = {
        {"Content-Security-Policy",
         "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
         "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"},
        {"Cross-Origin-Resource-Policy", loaded_by},
        {"Referrer-Policy", "no-referrer"},
    };

    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        MHD_add_response_header(response, headers[i][0], headers[i][1]);
    cm_reply_secure_least(response);
}

void cm_reply_secure_least(struct MHD_Response *response)
{
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    if (cm_tls_here())
        MHD_add_response_header(response, "Strict-Transport-Security", "max-age=31536000");
}

void cm_reply_secure(struct MHD_Response *response)
{
    secure(response, "same-origin");
}

void cm_reply_secure_public(struct MHD_Response *response)
{
    secure(response, "cross-origin");
}

/* If-None-Match uses the weak comparison (RFC 9110, section 13.1.2): W/ is ignored. */
bool cm_reply_matches(struct MHD_Connection *connection, const char *tag)
{
    const char *list = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "If-None-Match");
    cm_str_t wanted = cm_str(tag), rest = cm_str_trim(cm_str(list)), one;

    if (cm_str_equal(rest, CM_STR("*")))
        return true;
    while (cm_str_next(&rest, &one)) {
        if (one.len > 2 && memcmp(one.data, "W/", 2) == 0)
            one = (cm_str_t){one.data + 2, one.len - 2};
        if (cm_str_equal(one, wanted))
            return true;
    }
    return false;
}

/* A further header of a reply; the name of the last one is NULL. */
typedef struct header {
    const char *name, *value;
} header_t;

static enum MHD_Result queue(struct MHD_Connection *connection, unsigned status, const char *type,
                             struct MHD_Response *response, const header_t *headers)
{
    MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    for (; headers->name != NULL; headers++)
        MHD_add_response_header(response, headers->name, headers->value);
    cm_reply_secure(response);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* Takes the buffer's memory. */
static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *type,
                             cm_buf_t *body, const header_t *headers)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(body->len, body->data, MHD_RESPMEM_MUST_FREE);

    if (response == NULL) {
        cm_buf_free(body);
        return MHD_NO;
    }
    *body = CM_BUF_INIT;
    return queue(connection, status, type, response, headers);
}

/* ---- shared bodies ---- */

struct cm_reply_body {
    atomic_uint holders;
    cm_buf_t text;
};

cm_reply_body_t *cm_reply_body_new(cm_buf_t *text)
{
    cm_reply_body_t *body = cm_alloc_zero(1, sizeof *body);

    atomic_init(&body->holders, 1);
    body->text = *text;
    *text = CM_BUF_INIT;
    return body;
}

cm_reply_body_t *cm_reply_body_hold(cm_reply_body_t *body)
{
    atomic_fetch_add(&body->holders, 1);
    return body;
}

void cm_reply_body_release(cm_reply_body_t *body)
{
    if (body == NULL || atomic_fetch_sub(&body->holders, 1) > 1)
        return;
    cm_buf_free(&body->text);
    free(body);
}

size_t cm_reply_body_length(const cm_reply_body_t *body)
{
    return body->text.len;
}

/* Called by libmicrohttpd when the reply is sent, or its client has left. */
static void release(void *context)
{
    cm_reply_body_release(context);
}

enum MHD_Result cm_reply_shared(struct MHD_Connection *connection, const char *type,
                                const char *tag, cm_reply_body_t *body)
{
    char own[32];
    const header_t headers[] = {{"ETag", tag != NULL ? tag : own}, {NULL, NULL}};

    snprintf(own, sizeof own, "\"%016llx\"",
             tag != NULL ? 0 : (unsigned long long)XXH3_64bits(body->text.data, body->text.len));
    if (cm_reply_matches(connection, headers[0].value))
        return reply(connection, MHD_HTTP_NOT_MODIFIED, type, &(cm_buf_t){0}, headers);
    struct MHD_Response *response = MHD_create_response_from_buffer_with_free_callback_cls(
        body->text.len, body->text.data, release, cm_reply_body_hold(body));
    if (response == NULL) {
        cm_reply_body_release(body);
        return MHD_NO;
    }
    return queue(connection, MHD_HTTP_OK, type, response, headers);
}

enum MHD_Result cm_reply_data(struct MHD_Connection *connection, const char *type, cm_buf_t *body)
{
    cm_reply_body_t *shared = cm_reply_body_new(body);
    const enum MHD_Result result = cm_reply_shared(connection, type, NULL, shared);

    cm_reply_body_release(shared);
    return result;
}

void cm_reply_add_error(cm_buf_t *body, const char *sentence)
{
    cm_buf_add_text(body, "{\"error\":");
    cm_buf_add_json(body, cm_str(sentence));
    cm_buf_add_text(body, "}\n");
}

static enum MHD_Result reply_error(struct MHD_Connection *connection, unsigned status,
                                   const char *sentence, const header_t *headers)
{
    cm_buf_t body = CM_BUF_INIT;

    cm_reply_add_error(&body, sentence);
    return reply(connection, status, "application/json", &body, headers);
}

enum MHD_Result cm_reply_error(struct MHD_Connection *connection, unsigned status,
                               const char *sentence)
{
    return reply_error(connection, status, sentence, &(header_t){NULL, NULL});
}

enum MHD_Result cm_reply_last(struct MHD_Connection *connection, unsigned status,
                              const char *sentence)
{
    return reply_error(connection, status, sentence,
                       (const header_t[]){{"Connection", "close"}, {NULL, NULL}});
}

enum MHD_Result cm_reply_later(struct MHD_Connection *connection, unsigned status,
                               const char *sentence, int seconds)
{
    char text[16];
    const header_t headers[] = {{"Retry-After", text}, {NULL, NULL}};

    snprintf(text, sizeof text, "%d", seconds);
    return reply_error(connection, status, sentence, headers);
}

enum MHD_Result cm_reply_challenge(struct MHD_Connection *connection, const char *sentence,
                                   const char *const challenges[])
{
    header_t headers[CM_REPLY_CHALLENGES + 1] = {{NULL, NULL}};

    for (int i = 0; i < CM_REPLY_CHALLENGES && challenges[i] != NULL; i++)
        headers[i] = (header_t){"WWW-Authenticate", challenges[i]};
    return reply_error(connection, MHD_HTTP_UNAUTHORIZED, sentence, headers);
}

enum MHD_Result cm_reply_method(struct MHD_Connection *connection)
{
    static const header_t allow[] = {{"Allow", "GET, HEAD"}, {NULL, NULL}};

    return reply_error(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "use GET or HEAD", allow);
}

enum MHD_Result cm_reply_redirect(struct MHD_Connection *connection, const char *location)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);

    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, "Location", location);
    cm_reply_secure(response);
    enum MHD_Result result = MHD_queue_response(connection, MHD_HTTP_MOVED_PERMANENTLY, response);
    MHD_destroy_response(response);
    return result;
}
