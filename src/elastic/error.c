#include "base/terminal.h"
#include "elastic/access.h"

#include <stdio.h>

enum { WORDS = 240 /* bytes of what a server says that a sentence shows */ };

/* ---- no answer ---- */

/* A connection that broke during the TLS handshake is not the fault of the settings. */
static bool is_tls(CURLcode code, const char *detail)
{
    switch (code) {
    case CURLE_SSL_CONNECT_ERROR:
        return strstr(detail, "SSL_ERROR_SYSCALL") == NULL && strstr(detail, "reset by") == NULL &&
               strstr(detail, "unexpected eof") == NULL;
    case CURLE_RECV_ERROR: /* with TLS 1.3 the server checks the client after the handshake */
    case CURLE_SEND_ERROR:
        return strstr(detail, "SSL routines") != NULL && strstr(detail, " alert ") != NULL;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ENGINE_INITFAILED:
        return true;
    default:
        return false;
    }
}

int cm_elastic_fail_transfer(const cm_elastic_access_t *access, size_t host, CURLcode code,
                             const char *detail, cm_err_t *err)
{
    const char *at = access->hosts[host], *why = detail[0] ? detail : curl_easy_strerror(code);

    if (is_tls(code, detail))
        return cm_fail(err, CM_EUSAGE,
                       "no TLS connection to Elasticsearch at %s (%s); check elasticsearch.ca, and "
                       "elasticsearch.hosts for https:// and the name in the certificate",
                       at, why);
    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        return cm_fail_memory(err);
    case CURLE_UNSUPPORTED_PROTOCOL: /* neither HTTP/1.0 nor later */
    case CURLE_WEIRD_SERVER_REPLY:
        return cm_fail(err, CM_EUSAGE,
                       "what answers at %s is not Elasticsearch (%s); check elasticsearch.hosts",
                       at, why);
    case CURLE_WRITE_ERROR:
        return cm_fail(err, CM_EIO, "the answer of Elasticsearch at %s is too long", at);
    case CURLE_URL_MALFORMAT:
        return cm_fail(err, CM_EINTERNAL, "a request to Elasticsearch at %s has no path", at);
    default:
        return cm_fail(err, CM_EAWAY,
                       "Elasticsearch at %s does not answer (%s); is it running, and has "
                       "elasticsearch.hosts the right http:// or https://?",
                       at, why);
    }
}

/* ---- an answer that is not a success ---- */

bool cm_elastic_is_temporary(int status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}

void cm_elastic_add_reason(cm_buf_t *buf, const cm_elastic_reason_t *reason)
{
    cm_buf_add_str(buf, reason->type);
    if (reason->type.len > 0 && reason->reason.len > 0)
        cm_buf_add_text(buf, ": ");
    cm_buf_add_str(buf, reason->reason);
    if (reason->cause.len > 0)
        cm_buf_printf(buf, " (%.*s)", (int)reason->cause.len, reason->cause.data);
}

/* Appends the beginning of a response, without control characters of terminals. */
static void add_head(cm_buf_t *buf, cm_str_t text)
{
    cm_buf_t safe = CM_BUF_INIT;

    cm_terminal_add(&safe, (cm_str_t){text.data, (size_t)cm_utf8_head(text, WORDS)});
    cm_str_t whole = {safe.data, safe.len};
    cm_buf_add(buf, safe.data, (size_t)cm_utf8_head(whole, WORDS));
    cm_buf_free(&safe);
}

static void add_reason(cm_buf_t *buf, const cm_elastic_reason_t *reason)
{
    cm_buf_t words = CM_BUF_INIT;

    cm_elastic_add_reason(&words, reason);
    add_head(buf, words.len > 0 ? (cm_str_t){words.data, words.len} : CM_STR("no reason given"));
    cm_buf_free(&words);
}

/* Appends the reason and returns the error's type, cut to the size of `type`. */
static void add_words(cm_buf_t *buf, const cm_elastic_reply_t *reply, char *type, size_t size)
{
    cm_elastic_json_t *json = cm_elastic_json_new();
    cm_elastic_reason_t reason = {0};
    cm_str_t body = cm_str_trim(reply->body);
    bool known = json != NULL && cm_elastic_json_reason(json, body, &reason);

    if (known || body.len == 0)
        add_reason(buf, &reason);
    else
        add_head(buf, body);
    snprintf(type, size, "%.*s", (int)reason.type.len, known ? reason.type.data : "");
    cm_elastic_json_free(json);
}

void cm_elastic_add_reply_reason(cm_buf_t *buf, const cm_elastic_reply_t *reply)
{
    char type[80];
    cm_buf_printf(buf, "%d ", reply->status);
    add_words(buf, reply, type, sizeof type);
}

/* The kinds of 400 that are errors of the configuration. */
static bool is_of_usage(const char *type)
{
    static const char *const types[] = {
        "illegal_argument_exception",
        "invalid_alias_name_exception",
        "invalid_index_name_exception",
        "invalid_index_template_exception",
        "mapper_parsing_exception",
        "document_parsing_exception",
        "resource_already_exists_exception",
        "strict_dynamic_mapping_exception",
        "validation_exception",
        "action_request_validation_exception",
    };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(types[i], type) == 0)
            return true;
    }
    return false;
}

/* `at` is where, `what` the reason. */
static int fail_status(int status, const char *type, const char *doing, const char *at,
                       const char *what, cm_err_t *err)
{
    const char *colon = doing[0] != '\0' ? ": " : "";

    if (status == 401)
        return cm_fail(err, CM_EUSAGE,
                       "%s%sElasticsearch at %s refuses the credentials (%s); check "
                       "elasticsearch.username and elasticsearch.password, or "
                       "elasticsearch.api_key",
                       doing, colon, at, what);
    if (status == 403)
        return cm_fail(err, CM_EUSAGE,
                       "%s%sElasticsearch at %s does not allow it (%s); ask its administrator for "
                       "the right, or to remove the block from the index",
                       doing, colon, at, what);
    if (status == 404)
        return cm_fail(err, CM_EINPUT,
                       "%s%sElasticsearch at %s has no such thing (%s); `clickmill doctor` checks "
                       "the index",
                       doing, colon, at, what);
    if (status == 413)
        return cm_fail(err, CM_EUSAGE,
                       "%s%sthe request is too large for Elasticsearch at %s (%s); lower "
                       "elasticsearch.bulk_bytes",
                       doing, colon, at, what);
    if (status >= 300 && status < 400)
        return cm_fail(err, CM_EUSAGE,
                       "%s%swhat answers at %s leads elsewhere (status %d); name the servers "
                       "themselves in elasticsearch.hosts, with https:// where they have TLS",
                       doing, colon, at, status);
    if (cm_elastic_is_temporary(status))
        return cm_fail(err, CM_EAWAY,
                       "%s%sElasticsearch at %s is not able to at the moment (%d %s)", doing, colon,
                       at, status, what);
    return cm_fail(err, status < 500 && is_of_usage(type) ? CM_EUSAGE : CM_EIO,
                   "%s%sElasticsearch at %s says: %d %s; `clickmill doctor` checks the index",
                   doing, colon, at, status, what);
}

static int fail_reply(const cm_elastic_reply_t *reply, const char *doing, const char *at,
                      cm_err_t *err)
{
    cm_buf_t words = CM_BUF_INIT;
    char type[80];

    add_words(&words, reply, type, sizeof type);
    int rc = fail_status(reply->status, type, doing, at, words.data, err);
    cm_buf_free(&words);
    return rc;
}

int cm_elastic_fail(const cm_elastic_settings_t *settings, const cm_elastic_reply_t *reply,
                    const char *doing, cm_err_t *err)
{
    const char *at = settings->cloud_id != NULL ? "Elastic Cloud" : settings->hosts;
    return fail_reply(reply, doing, at, err);
}

int cm_elastic_fail_reply(const cm_elastic_access_t *access, const cm_elastic_reply_t *reply,
                          const char *doing, cm_err_t *err)
{
    return fail_reply(reply, doing, access->shown, err);
}

int cm_elastic_fail_item(const cm_elastic_access_t *access, int status,
                         const cm_elastic_reason_t *reason, const char *doing, cm_err_t *err)
{
    cm_buf_t words = CM_BUF_INIT;
    char type[80];

    add_reason(&words, reason);
    snprintf(type, sizeof type, "%.*s", (int)reason->type.len, reason->type.data);
    int rc = fail_status(status, type, doing, access->shown, words.data, err);
    cm_buf_free(&words);
    return rc;
}

int cm_elastic_check_allowed(const cm_elastic_access_t *access, const cm_elastic_reply_t *reply,
                             cm_err_t *err)
{
    return reply->status == 401 || reply->status == 403 ? fail_reply(reply, "", access->shown, err)
                                                        : 0;
}
