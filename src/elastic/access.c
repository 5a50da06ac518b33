#include "elastic/access.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/secret.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { CONNECT_MS = 10000 };

static void start_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- reading the settings ---- */

static void add_host(cm_elastic_access_t *access, cm_str_t host, const char *scheme)
{
    cm_buf_t text = CM_BUF_INIT;

    while (host.len > 0 && host.data[host.len - 1] == '/')
        host.len--;
    cm_buf_add_text(&text, scheme);
    cm_buf_add_str(&text, host);
    access->hosts = cm_realloc(access->hosts, (access->host_count + 1) * sizeof *access->hosts);
    access->hosts[access->host_count++] = text.data;
}

static int read_hosts(cm_elastic_access_t *access, const char *text, cm_err_t *err)
{
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        cm_str_t host = cm_str_trim((cm_str_t){text, len});
        bool scheme = memmem(host.data, host.len, "://", 3) != NULL;
        if (scheme && strncasecmp(host.data, "http://", 7) != 0 &&
            strncasecmp(host.data, "https://", 8) != 0)
            return cm_fail(err, CM_EUSAGE,
                           "elasticsearch.hosts: http:// or https:// is wanted, not \"%.*s\"",
                           (int)host.len, host.data);
        if (memchr(host.data, '@', host.len) != NULL)
            return cm_fail(err, CM_EUSAGE,
                           "elasticsearch.hosts: a user name does not belong into the URL; set "
                           "elasticsearch.username and elasticsearch.password");
        if (host.len > 0)
            add_host(access, host, scheme ? "" : "http://");
        text += len + (text[len] == ',');
    }
    if (access->host_count > 0)
        return 0;
    return cm_fail(err, CM_EUSAGE,
                   "elasticsearch.hosts is empty; give a URL such as "
                   "http://127.0.0.1:9200");
}

/* False when it is no base64. */
static bool from_base64(cm_str_t text, cm_buf_t *out)
{
    cm_buf_t padded = CM_BUF_INIT;

    cm_buf_add_str(&padded, text);
    while (padded.len % 4 != 0)
        cm_buf_add_char(&padded, '=');
    size_t padding = 0;
    while (padding < 2 && padded.len > padding && padded.data[padded.len - 1 - padding] == '=')
        padding++;
    cm_buf_reserve(out, padded.len / 4 * 3 + 1);
    int len = EVP_DecodeBlock((unsigned char *)out->data, (const unsigned char *)padded.data,
                              (int)padded.len);
    cm_buf_free(&padded);
    if (len < (int)padding || text.len == 0)
        return false;
    out->len = (size_t)len - padding;
    out->data[out->len] = '\0';
    return true;
}

/* "name:base64 of host[:port]$id of Elasticsearch[$id of Kibana]", as Elastic Cloud shows it. */
static int read_cloud_id(cm_elastic_access_t *access, const char *text, cm_err_t *err)
{
    const char *colon = strrchr(text, ':');
    cm_buf_t inside = CM_BUF_INIT, host = CM_BUF_INIT;
    const char *id = NULL;

    if (from_base64(cm_str(colon != NULL ? colon + 1 : text), &inside))
        id = strchr(inside.data, '$');
    if (id == NULL || id == inside.data || id[1] == '\0' || id[1] == '$') {
        cm_buf_free(&inside);
        return cm_fail(err, CM_EUSAGE,
                       "elasticsearch.cloud_id is none: copy it from the deployment's page");
    }
    size_t name = strcspn(inside.data, ":$");
    cm_buf_add(&host, id + 1, strcspn(id + 1, "$:"));
    cm_buf_add_char(&host, '.');
    cm_buf_add(&host, inside.data, name);
    if (inside.data[name] == ':')
        cm_buf_add(&host, inside.data + name, (size_t)(id - inside.data) - name);
    else
        cm_buf_add_text(&host, ":443");
    add_host(access, (cm_str_t){host.data, host.len}, "https://");
    cm_buf_free(&inside);
    cm_buf_free(&host);
    return 0;
}

static int read_api_key(cm_elastic_access_t *access, const char *text, cm_err_t *err)
{
    cm_buf_t key = CM_BUF_INIT;

    int rc = cm_secret_read(text, "elasticsearch.api_key", &key, err);
    if (rc == 0) {
        cm_buf_add_text(&access->authorization, "Authorization: ApiKey ");
        if (memchr(key.data, ':', key.len) != NULL) { /* id:key */
            cm_buf_reserve(&access->authorization, key.len * 4 / 3 + 8);
            access->authorization.len += (size_t)EVP_EncodeBlock(
                (unsigned char *)access->authorization.data + access->authorization.len,
                (const unsigned char *)key.data, (int)key.len);
        } else {
            cm_buf_add_str(&access->authorization, (cm_str_t){key.data, key.len});
        }
    }
    cm_buf_free(&key);
    return rc;
}

static int read_credentials(cm_elastic_access_t *access, cm_err_t *err)
{
    const cm_elastic_settings_t *settings = access->settings;
    int rc = 0;

    if (settings->api_key != NULL && settings->username != NULL)
        return cm_fail(err, CM_EUSAGE,
                       "elasticsearch.api_key takes the place of "
                       "elasticsearch.username: set one of them");
    if (settings->api_key != NULL)
        return read_api_key(access, settings->api_key, err);
    if (settings->username != NULL)
        rc = cm_secret_read(settings->username, "elasticsearch.username", &access->user, err);
    if (rc == 0 && settings->password != NULL)
        rc = cm_secret_read(settings->password, "elasticsearch.password", &access->password, err);
    return rc;
}

int cm_elastic_access_open(const cm_elastic_settings_t *settings, cm_elastic_access_t *access,
                           cm_err_t *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    FILE *file;

    pthread_once(&once, start_curl);
    *access = (cm_elastic_access_t){.settings = settings};
    int rc = settings->cloud_id != NULL ? read_cloud_id(access, settings->cloud_id, err)
                                        : read_hosts(access, settings->hosts, err);
    if (rc == 0)
        rc = read_credentials(access, err);
    if (rc == 0 && settings->ca_file != NULL) {
        if ((file = fopen(settings->ca_file, "re")) == NULL)
            rc = cm_fail(err, CM_EUSAGE, "elasticsearch.ca: %s cannot be read", settings->ca_file);
        else
            fclose(file);
    }
    if (rc < 0)
        cm_elastic_access_close(access);
    return rc;
}

void cm_elastic_access_close(cm_elastic_access_t *access)
{
    for (size_t i = 0; i < access->host_count; i++)
        free(access->hosts[i]);
    free(access->hosts);
    cm_buf_free(&access->user);
    cm_buf_free(&access->password);
    cm_buf_free(&access->authorization);
    *access = (cm_elastic_access_t){.settings = NULL};
}

/* ---- requests ---- */

CURL *cm_elastic_access_handle(const cm_elastic_access_t *access)
{
    const cm_elastic_settings_t *settings = access->settings;
    long timeout = (long)settings->timeout_ms;
    CURL *easy = curl_easy_init();

    if (easy == NULL)
        abort(); /* as for want of any memory */
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "clickmill/" CM_VERSION);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout < CONNECT_MS ? timeout : CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    if (access->user.len > 0) {
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
        curl_easy_setopt(easy, CURLOPT_USERNAME, access->user.data);
        curl_easy_setopt(easy, CURLOPT_PASSWORD,
                         access->password.data != NULL ? access->password.data : "");
    }
    if (settings->ca_file != NULL)
        curl_easy_setopt(easy, CURLOPT_CAINFO, settings->ca_file);
    if (settings->insecure) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    return easy;
}

struct curl_slist *cm_elastic_access_headers(const cm_elastic_access_t *access,
                                             struct curl_slist *headers)
{
    if (access->authorization.len > 0)
        headers = curl_slist_append(headers, access->authorization.data);
    return curl_slist_append(headers, "Expect:"); /* or large bodies wait for a 100 Continue */
}

const char *cm_elastic_access_host(const cm_elastic_access_t *access)
{
    return access->hosts[access->host];
}

void cm_elastic_access_next(cm_elastic_access_t *access)
{
    access->host = (access->host + 1) % access->host_count;
}

int cm_elastic_access_fail(const cm_elastic_access_t *access, CURLcode code, const char *detail,
                           cm_err_t *err)
{
    const char *host = cm_elastic_access_host(access);
    const char *why = detail[0] != '\0' ? detail : curl_easy_strerror(code);

    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
        code == CURLE_SSL_ISSUER_ERROR)
        return cm_fail(err, CM_EUSAGE,
                       "%s: TLS: %s; name the right certificates with elasticsearch.ca", host, why);
    /* A node that is being ended breaks a handshake off, too; this is what one without TLS does. */
    if (code == CURLE_SSL_CONNECT_ERROR && strstr(why, "wrong version number") != NULL)
        return cm_fail(err, CM_EUSAGE, "%s speaks no TLS; http:// is wanted in elasticsearch.hosts",
                       host);
    if (code == CURLE_URL_MALFORMAT)
        return cm_fail(err, CM_EUSAGE, "elasticsearch.hosts: %s is no URL", host);
    return cm_fail(err, CM_EAWAY, "Elasticsearch at %s does not answer (%s); is it running?", host,
                   why);
}

int cm_elastic_access_refused(const cm_elastic_access_t *access, const cm_elastic_reply_t *reply,
                              cm_err_t *err)
{
    const cm_elastic_settings_t *settings = access->settings;
    const char *who = settings->api_key != NULL    ? "the API key"
                      : settings->username != NULL ? "user name or password"
                                                   : "a request without user name and password";
    cm_buf_t why = CM_BUF_INIT;

    if (reply->status == 401)
        return cm_fail(err, CM_EUSAGE,
                       "Elasticsearch at %s refuses %s; set elasticsearch.username and "
                       "elasticsearch.password, or elasticsearch.api_key",
                       cm_elastic_access_host(access), who);
    if (reply->status != 403)
        return 0;
    cm_elastic_reason(reply->body, &why);
    /* An index that is closed for writing is forbidden, too, but to everybody. */
    int rc = strstr(why.data, "security_exception") == NULL
                 ? 0
                 : cm_fail(err, CM_EUSAGE, "Elasticsearch at %s: %.*s; give that right to the user",
                           cm_elastic_access_host(access), 300, why.data);
    cm_buf_free(&why);
    return rc;
}

bool cm_elastic_passes(int status)
{
    return status == 408 || status == 429 || status == 502 || status == 503 || status == 504;
}

void cm_elastic_reason(cm_str_t body, cm_buf_t *text)
{
    cm_json_parser_t *parser = cm_json_parser_new();
    cm_str_t type = {NULL, 0}, reason = {NULL, 0};
    cm_json_t root, error, found;

    cm_buf_reserve(text, 1);
    text->data[text->len] = '\0';
    if (cm_json_parse(parser, body, &root) && cm_json_get(root, "error", &error)) {
        if (cm_json_get(error, "type", &found))
            cm_json_text(found, &type);
        if (cm_json_get(error, "reason", &found))
            cm_json_text(found, &reason);
        if (type.len == 0)
            cm_json_text(error, &reason);
        cm_buf_add_str(text, type);
        if (type.len > 0 && reason.len > 0)
            cm_buf_add_text(text, ": ");
        cm_buf_add_str(text, reason);
    } else {
        cm_buf_add(text, body.data, (size_t)cm_utf8_head(body, 200));
    }
    cm_json_parser_free(parser);
}

int64_t cm_elastic_wait_ms(unsigned attempt)
{
    int64_t wait = CM_ELASTIC_FIRST_WAIT_MS;

    for (unsigned i = 1; i < attempt && wait < CM_ELASTIC_MOST_WAIT_MS; i++)
        wait *= 2;
    wait = wait < CM_ELASTIC_MOST_WAIT_MS ? wait : CM_ELASTIC_MOST_WAIT_MS;
    /* Several that were turned away together shall not come back together. */
    return wait + (int64_t)((uint64_t)cm_clock_ticks_ns() / 1000 % (uint64_t)(wait / 4));
}
