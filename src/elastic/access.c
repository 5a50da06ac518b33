#include "elastic/access.h"

#include "base/address.h"
#include "base/clock.h"
#include "base/secret.h"

#include <ctype.h>
#include <errno.h>
#include <nettle/base64.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

enum {
    CONNECT_MS = 10000,        /* time limit for a connection, TLS included */
    ANSWER_MAX = 1 << 30,      /* bytes; no expected answer is as long */
    UPLOAD_BYTES = 256 * 1024, /* libcurl's buffer */
    DEFAULT_PORT = 9200,       /* of a host with neither scheme nor port */
};

/* ---- libcurl ---- */

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* Once in a process, before the first handle, by the first thread that opens one. */
static void init_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, init_curl);
}

/* ---- hosts ---- */

static void add_host(cm_elastic_access_t *access, char *host)
{
    access->hosts = cm_realloc(access->hosts, (access->host_count + 1) * sizeof *access->hosts);
    access->hosts[access->host_count++] = host;
}

/* The part of a URL, or NULL; belongs to the caller (curl_free). */
static char *part_of(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    return curl_url_get(url, part, &text, 0) == CURLUE_OK ? text : NULL;
}

/* What is wrong with the parsed address; NULL: nothing. */
static const char *find_fault(CURLU *url)
{
    static const struct {
        CURLUPart part;
        const char *fault;
    } unwanted[] = {
        {CURLUPART_USER, "has a user in it; give elasticsearch.username and "
                         "elasticsearch.password instead"},
        {CURLUPART_PASSWORD, "has a password in it; give elasticsearch.username and "
                             "elasticsearch.password instead"},
        {CURLUPART_QUERY, "has a question mark in it; write http://host:9200"},
        {CURLUPART_FRAGMENT, "has a # in it; write http://host:9200"},
    };
    const char *fault = NULL;

    for (size_t i = 0; i < sizeof unwanted / sizeof *unwanted && fault == NULL; i++) {
        char *text = part_of(url, unwanted[i].part);
        fault = text != NULL ? unwanted[i].fault : NULL;
        curl_free(text);
    }
    char *scheme = part_of(url, CURLUPART_SCHEME);
    if (fault == NULL &&
        (scheme == NULL || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0)))
        fault = "begins with neither http:// nor https://";
    curl_free(scheme);
    return fault;
}

/* Takes one address of the list. Messages give its number and do not show it: it may hold a
 * password. */
static int take_host(cm_elastic_access_t *access, cm_str_t address, cm_err_t *err)
{
    const size_t number = access->host_count + 1;
    bool has_scheme = memmem(address.data, address.len, "://", 3) != NULL;
    cm_buf_t text = CM_BUF_INIT;
    CURLU *url = curl_url();
    char *whole = NULL;
    int rc = 0;

    cm_buf_add_text(&text, has_scheme ? "" : "http://");
    cm_buf_add_str(&text, address);
    CURLUcode code = url == NULL
                         ? CURLUE_OUT_OF_MEMORY
                         : curl_url_set(url, CURLUPART_URL, text.data, CURLU_NON_SUPPORT_SCHEME);
    const char *fault = code == CURLUE_OK ? find_fault(url) : NULL;
    if (code != CURLUE_OK)
        rc = cm_fail(err, CM_EUSAGE,
                     "elasticsearch.hosts: address %zu is not a URL (%s); write http://host:9200",
                     number, curl_url_strerror(code));
    else if (fault != NULL)
        rc = cm_fail(err, CM_EUSAGE, "elasticsearch.hosts: address %zu %s", number, fault);
    if (rc == 0 && !has_scheme) {
        char port[16];
        char *given = part_of(url, CURLUPART_PORT);
        snprintf(port, sizeof port, "%d", DEFAULT_PORT);
        if (given == NULL)
            curl_url_set(url, CURLUPART_PORT, port, 0);
        curl_free(given);
    }
    if (rc == 0 && (whole = part_of(url, CURLUPART_URL)) != NULL) {
        size_t len = strlen(whole);
        while (len > 0 && whole[len - 1] == '/')
            whole[--len] = '\0';
        add_host(access, cm_strdup(whole));
    }
    curl_free(whole);
    curl_url_cleanup(url);
    cm_buf_free(&text);
    return rc;
}

static int take_hosts(cm_elastic_access_t *access, const char *list, cm_err_t *err)
{
    while (list != NULL && *list != '\0') {
        size_t len = strcspn(list, ",");
        cm_str_t address = cm_str_trim((cm_str_t){list, len});
        int rc = address.len > 0 ? take_host(access, address, err) : 0;
        if (rc < 0)
            return rc;
        list += len + (list[len] == ',');
    }
    return access->host_count > 0 ? 0
                                  : cm_fail(err, CM_EUSAGE,
                                            "elasticsearch.hosts is empty; write "
                                            "http://host:9200");
}

static bool is_loopback(const char *host)
{
    cm_address_t address;
    CURLU *url = curl_url();
    char *name = NULL;
    bool loopback = false;

    if (url != NULL && curl_url_set(url, CURLUPART_URL, host, 0) == CURLUE_OK &&
        (name = part_of(url, CURLUPART_HOST)) != NULL)
        loopback = strcasecmp(name, "localhost") == 0 ||
                   (cm_address_parse(cm_str(name), &address) && cm_address_is_loopback(&address));
    curl_free(name);
    curl_url_cleanup(url);
    return loopback;
}

bool cm_elastic_access_compresses(const cm_elastic_access_t *access)
{
    const cm_elastic_gzip_t chosen = access->settings->gzip;

    if (chosen != CM_ELASTIC_GZIP_AUTO)
        return chosen == CM_ELASTIC_GZIP_ON;
    for (size_t i = 0; i < access->host_count; i++) {
        if (!is_loopback(access->hosts[i]))
            return true;
    }
    return false;
}

/* "name[:port]" into name and port; without one `port` stays. */
static bool split_port(cm_str_t *name, int64_t *port)
{
    const char *colon = memchr(name->data, ':', name->len);

    if (colon != NULL) {
        cm_str_t digits = {colon + 1, name->len - (size_t)(colon + 1 - name->data)};
        name->len = (size_t)(colon - name->data);
        if (!cm_str_to_i64(digits, port) || *port < 1 || *port > 65535)
            return false;
    }
    for (size_t i = 0; i < name->len; i++) {
        unsigned char c = (unsigned char)name->data[i];
        if (!isalnum(c) && c != '.' && c != '-' && c != '_')
            return false;
    }
    return name->len > 0;
}

/* Elastic Cloud: "name:" and the base64 of "host[:port]$id of Elasticsearch[:port][$of Kibana]". */
static int take_cloud_id(cm_elastic_access_t *access, const char *cloud_id, cm_err_t *err)
{
    const char *colon = strrchr(cloud_id, ':');
    cm_str_t text = cm_str_trim(cm_str(colon != NULL ? colon + 1 : cloud_id));
    uint8_t *inside = cm_alloc(BASE64_DECODE_LENGTH(text.len) + 1);
    size_t len = BASE64_DECODE_LENGTH(text.len);
    struct base64_decode_ctx decoder;
    int64_t port = 443;
    cm_buf_t host = CM_BUF_INIT;

    base64_decode_init(&decoder);
    bool good = base64_decode_update(&decoder, &len, inside, text.len, text.data) &&
                base64_decode_final(&decoder);
    const char *dollar = good ? memchr(inside, '$', len) : NULL;
    if ((good = dollar != NULL)) {
        const char *end = (const char *)inside + len;
        cm_str_t name = {(const char *)inside, (size_t)(dollar - (const char *)inside)};
        cm_str_t id = {dollar + 1, (size_t)(end - dollar - 1)};
        const char *next = memchr(id.data, '$', id.len);
        id.len = next != NULL ? (size_t)(next - id.data) : id.len;
        good = split_port(&name, &port) && split_port(&id, &port);
        cm_buf_printf(&host, "https://%.*s.%.*s:%d", (int)id.len, id.data, (int)name.len, name.data,
                      (int)port);
    }
    if (good)
        add_host(access, cm_strdup(host.data));
    cm_buf_free(&host);
    free(inside);
    return good ? 0
                : cm_fail(err, CM_EUSAGE,
                          "elasticsearch.cloud_id is not valid; copy all of it from the page of "
                          "the deployment in Elastic Cloud, with the name and the colon");
}

/* ---- credentials ---- */

/* Reads a secret. Control characters, which would end a line of the header, are refused. */
static int read_secret(const char *text, const char *where, char **out, cm_err_t *err)
{
    cm_buf_t value = CM_BUF_INIT;

    int rc = cm_secret_read(text, where, &value, err);
    for (size_t i = 0; rc == 0 && i < value.len; i++) {
        if ((unsigned char)value.data[i] < ' ')
            rc = cm_fail(err, CM_EUSAGE, "%s holds a control character; is it the right file?",
                         where);
    }
    if (rc == 0)
        *out = cm_strdup(value.data);
    if (value.data != NULL)
        explicit_bzero(value.data, value.cap);
    cm_buf_free(&value);
    return rc;
}

/* "id:key" is sent in base64, which is also the form in which the server gives it. */
static int take_api_key(cm_elastic_access_t *access, cm_err_t *err)
{
    static const char head[] = "Authorization: ApiKey ";
    char *key = NULL;

    int rc = read_secret(access->settings->api_key, "elasticsearch.api_key", &key, err);
    if (rc < 0)
        return rc;
    const size_t len = strlen(key);
    char *line = cm_alloc_zero(1, sizeof head + BASE64_ENCODE_RAW_LENGTH(len) + 1);
    memcpy(line, head, sizeof head);
    if (strchr(key, ':') != NULL)
        base64_encode_raw(line + sizeof head - 1, len, (const uint8_t *)key);
    else
        memcpy(line + sizeof head - 1, key, len);
    access->authorization = line;
    explicit_bzero(key, len);
    free(key);
    return len > 0 ? 0
                   : cm_fail(err, CM_EUSAGE,
                             "elasticsearch.api_key is empty; give it or leave it "
                             "out");
}

static int take_credentials(cm_elastic_access_t *access, cm_err_t *err)
{
    const cm_elastic_settings_t *settings = access->settings;

    if (settings->api_key != NULL && (settings->username != NULL || settings->password != NULL))
        return cm_fail(err, CM_EUSAGE,
                       "elasticsearch.api_key replaces elasticsearch.username and "
                       "elasticsearch.password; give one or the other");
    if ((settings->username != NULL) != (settings->password != NULL))
        return cm_fail(err, CM_EUSAGE,
                       "elasticsearch.username and elasticsearch.password belong together; give "
                       "both or none");
    if (settings->api_key != NULL)
        return take_api_key(access, err);
    int rc = 0;
    if (settings->username != NULL)
        rc = read_secret(settings->username, "elasticsearch.username", &access->username, err);
    if (rc == 0 && settings->password != NULL)
        rc = read_secret(settings->password, "elasticsearch.password", &access->password, err);
    return rc;
}

/* ---- headers ---- */

static struct curl_slist *make_headers(const cm_elastic_access_t *access, const char *type,
                                       bool gzip)
{
    struct curl_slist *list = curl_slist_append(NULL, "Accept: application/json");

    /* Waiting for "100 Continue" costs time, and 413 is the only useful answer to it. */
    list = curl_slist_append(list, "Expect:");
    if (type != NULL)
        list = curl_slist_append(list, type);
    if (gzip)
        list = curl_slist_append(list, "Content-Encoding: gzip");
    if (access->authorization != NULL)
        list = curl_slist_append(list, access->authorization);
    return list;
}

static void free_headers(struct curl_slist *list)
{
    for (struct curl_slist *line = list; line != NULL; line = line->next)
        explicit_bzero(line->data, strlen(line->data));
    curl_slist_free_all(list);
}

/* ---- open and close ---- */

static void show_hosts(cm_elastic_access_t *access)
{
    cm_buf_t text = CM_BUF_INIT;

    for (size_t i = 0; i < access->host_count; i++) {
        cm_buf_add_text(&text, i > 0 ? "," : "");
        cm_buf_add_text(&text, access->hosts[i]);
    }
    access->shown = text.data;
}

int cm_elastic_access_open(cm_elastic_access_t *access, const cm_elastic_settings_t *settings,
                           cm_err_t *err)
{
    init_once();
    *access = (cm_elastic_access_t){.settings = settings};
    int rc = settings->cloud_id != NULL ? take_cloud_id(access, settings->cloud_id, err)
                                        : take_hosts(access, settings->hosts, err);
    if (rc == 0)
        rc = take_credentials(access, err);
    if (rc == 0 && settings->ca_file != NULL && euidaccess(settings->ca_file, R_OK) != 0)
        rc = cm_fail(err, CM_EUSAGE, "elasticsearch.ca: cannot read %s: %s", settings->ca_file,
                     strerror(errno));
    if (rc < 0) {
        cm_elastic_access_close(access);
        return rc;
    }
    show_hosts(access);
    access->bare = make_headers(access, NULL, false);
    access->json = make_headers(access, "Content-Type: application/json", false);
    access->ndjson = make_headers(access, "Content-Type: application/x-ndjson", false);
    access->gz = make_headers(access, "Content-Type: application/x-ndjson", true);
    return 0;
}

static void free_secret(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

void cm_elastic_access_close(cm_elastic_access_t *access)
{
    for (size_t i = 0; i < access->host_count; i++)
        free(access->hosts[i]);
    free(access->hosts);
    free(access->shown);
    free_secret(access->username);
    free_secret(access->password);
    free_secret(access->authorization);
    free_headers(access->bare);
    free_headers(access->json);
    free_headers(access->ndjson);
    free_headers(access->gz);
    *access = (cm_elastic_access_t){0};
}

/* ---- requests ---- */

static size_t on_answer(char *data, size_t size, size_t count, void *context)
{
    cm_buf_t *answer = context;

    if (answer->len + size * count > ANSWER_MAX)
        return 0; /* ends the request */
    cm_buf_add(answer, data, size * count);
    return size * count;
}

void cm_elastic_access_apply(const cm_elastic_access_t *access, CURL *easy, cm_buf_t *answer,
                             char *detail)
{
    const cm_elastic_settings_t *settings = access->settings;
    const long timeout = (long)settings->timeout_ms;

    curl_easy_reset(easy);
    detail[0] = '\0';
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, detail);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L); /* a stop does not wait for a name server */
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L); /* credentials go to the given hosts only */
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "clickmill/" CM_VERSION);
    curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BYTES);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout < CONNECT_MS ? timeout : CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
    if (access->username != NULL) {
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(easy, CURLOPT_USERNAME, access->username);
        curl_easy_setopt(easy, CURLOPT_PASSWORD, access->password);
    }
    if (settings->ca_file != NULL)
        curl_easy_setopt(easy, CURLOPT_CAINFO, settings->ca_file);
    if (settings->insecure) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
}

int cm_elastic_credentials(const cm_elastic_settings_t *settings, cm_buf_t *user,
                           cm_buf_t *password, cm_buf_t *authorization, cm_err_t *err)
{
    static const size_t name = sizeof "Authorization: " - 1;
    cm_elastic_access_t access;

    int rc = cm_elastic_access_open(&access, settings, err);
    if (rc < 0)
        return rc;
    if (access.username != NULL)
        cm_buf_add_text(user, access.username);
    if (access.password != NULL)
        cm_buf_add_text(password, access.password);
    if (access.authorization != NULL)
        cm_buf_add_text(authorization, access.authorization + name);
    cm_elastic_access_close(&access);
    return 0;
}
