#include "kafka/registry_fetch.h"

#include "base/clock.h"
#include "base/secret.h"
#include "base/terminal.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    CONNECT_MS = 5000,
    ANSWER_MOST = 16 << 20, /* bytes; a schema has some kilobytes */
    DELAY_FIRST_MS = 100,
    DELAY_MOST_MS = 5000,
    WORDS = 160, /* bytes of an answer that a sentence shows */
};

/* ---- settings ---- */

static void init_curl(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* Checks one address and adds it without the slashes at its end. Messages do not show it: it may
 * hold a password. */
static int take_url(cm_kafka_fetch_t *fetch, cm_str_t address, cm_err_t *err)
{
    char *text = strndup(address.data, address.len), *user = NULL, *query = NULL;
    CURLU *url = curl_url();

    if (text == NULL || url == NULL)
        cm_out_of_memory();
    const bool web = strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0;
    const bool good = web && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK;
    const bool bare = good && curl_url_get(url, CURLUPART_USER, &user, 0) != CURLUE_OK &&
                      curl_url_get(url, CURLUPART_QUERY, &query, 0) != CURLUE_OK;
    curl_free(user);
    curl_free(query);
    curl_url_cleanup(url);
    for (size_t len = strlen(text); len > 0 && text[len - 1] == '/';)
        text[--len] = '\0';
    fetch->urls = cm_realloc(fetch->urls, (fetch->url_count + 1) * sizeof *fetch->urls);
    fetch->urls[fetch->url_count++] = text;
    if (bare)
        return 0;
    return cm_fail(err, CM_EUSAGE, "kafka.registry: address %zu %s", fetch->url_count,
                   good ? "has a user or a question mark in it; write http://host:8081, and give "
                          "kafka.registry_user and kafka.registry_password"
                        : "is not a URL; write http://host:8081");
}

static int take_credentials(cm_kafka_fetch_t *fetch, cm_err_t *err)
{
    const cm_kafka_settings_t *settings = fetch->settings;

    if ((settings->registry_user != NULL) != (settings->registry_password != NULL))
        return cm_fail(err, CM_EUSAGE,
                       "kafka.registry_user and kafka.registry_password belong together; give both "
                       "or none");
    if (settings->registry_user == NULL)
        return 0;
    int rc = cm_secret_read(settings->registry_user, "kafka.registry_user", &fetch->user, err);
    if (rc == 0)
        rc = cm_secret_read(settings->registry_password, "kafka.registry_password",
                            &fetch->password, err);
    return rc;
}

int cm_kafka_fetch_open(cm_kafka_fetch_t *fetch, const cm_kafka_settings_t *settings, cm_err_t *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    cm_str_t list = cm_str(settings->registry), address;
    int rc = 0;

    pthread_once(&once, init_curl);
    *fetch = (cm_kafka_fetch_t){.settings = settings};
    while (rc == 0 && cm_str_next(&list, &address))
        rc = take_url(fetch, address, err);
    if (rc == 0 && fetch->url_count == 0)
        rc = cm_fail(err, CM_EUSAGE, "kafka.registry is empty; write http://host:8081");
    if (rc == 0)
        rc = take_credentials(fetch, err);
    if (rc == 0 && settings->registry_ca != NULL && euidaccess(settings->registry_ca, R_OK) != 0)
        rc = cm_fail(err, CM_EUSAGE, "kafka.registry_ca: cannot read %s: %s", settings->registry_ca,
                     strerror(errno));
    if (rc < 0)
        return rc;
    fetch->multi = curl_multi_init();
    fetch->easy = curl_easy_init();
    fetch->headers =
        curl_slist_append(NULL, "Accept: application/vnd.schemaregistry.v1+json, application/json");
    return fetch->multi != NULL && fetch->easy != NULL && fetch->headers != NULL
               ? 0
               : cm_fail_memory(err);
}

static void free_secret(cm_buf_t *secret)
{
    if (secret->data != NULL)
        explicit_bzero(secret->data, secret->cap);
    cm_buf_free(secret);
}

void cm_kafka_fetch_close(cm_kafka_fetch_t *fetch)
{
    cm_kafka_fetch_drop(fetch);
    curl_easy_cleanup(fetch->easy);
    curl_multi_cleanup(fetch->multi);
    curl_slist_free_all(fetch->headers);
    for (size_t i = 0; i < fetch->url_count; i++)
        free(fetch->urls[i]);
    free(fetch->urls);
    free_secret(&fetch->user);
    free_secret(&fetch->password);
    cm_buf_free(&fetch->address);
    cm_buf_free(&fetch->answer);
}

/* ---- a request ---- */

static size_t on_answer(char *data, size_t size, size_t count, void *context)
{
    cm_buf_t *answer = context;

    if (answer->len + size * count > ANSWER_MOST)
        return 0; /* ends the request */
    cm_buf_add(answer, data, size * count);
    return size * count;
}

static void start(cm_kafka_fetch_t *fetch, const char *path)
{
    const cm_kafka_settings_t *settings = fetch->settings;
    const long timeout = (long)settings->timeout_ms;
    CURL *easy = fetch->easy;

    cm_buf_clear(&fetch->answer);
    cm_buf_clear(&fetch->address);
    cm_buf_printf(&fetch->address, "%s%s", fetch->urls[fetch->at], path);
    curl_easy_reset(easy);
    fetch->detail[0] = '\0';
    curl_easy_setopt(easy, CURLOPT_URL, fetch->address.data);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->detail);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L); /* credentials go to the given URLs only */
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "clickmill/" CM_VERSION);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->headers);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout < CONNECT_MS ? timeout : CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &fetch->answer);
    if (settings->registry_user != NULL) {
        curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(easy, CURLOPT_USERNAME, fetch->user.data);
        curl_easy_setopt(easy, CURLOPT_PASSWORD, fetch->password.data);
    }
    if (settings->registry_ca != NULL)
        curl_easy_setopt(easy, CURLOPT_CAINFO, settings->registry_ca);
    curl_multi_add_handle(fetch->multi, easy);
    fetch->running = true;
}

void cm_kafka_fetch_drop(cm_kafka_fetch_t *fetch)
{
    if (fetch->running)
        curl_multi_remove_handle(fetch->multi, fetch->easy);
    fetch->running = false;
}

void cm_kafka_fetch_later(cm_kafka_fetch_t *fetch, int64_t ms)
{
    fetch->at = (fetch->at + 1) % fetch->url_count;
    fetch->due_ns = cm_clock_ticks_ns() + ms * INT64_C(1000000);
}

void cm_kafka_fetch_fail(cm_kafka_fetch_t *fetch, const char *reason)
{
    cm_buf_t safe = CM_BUF_INIT;
    int64_t delay_ms = 0;

    cm_buf_add_text(&safe, fetch->urls[fetch->at]);
    cm_buf_add_text(&safe, ": ");
    cm_terminal_add(&safe, cm_str(reason));
    snprintf(fetch->trouble, sizeof fetch->trouble, "%.*s",
             cm_utf8_head((cm_str_t){safe.data, safe.len}, (int)sizeof fetch->trouble - 1),
             safe.data);
    cm_buf_free(&safe);
    if (fetch->failures++ == 0)
        cm_log(fetch->settings->log, CM_LOG_WARN, "the schema registry does not answer",
               "reason=\"%s\"", fetch->trouble);
    /* Each of the servers is tried before there is a wait; then the waits double. */
    if (fetch->failures % fetch->url_count == 0) {
        const size_t rounds = fetch->failures / fetch->url_count;
        delay_ms = rounds > 6 ? DELAY_MOST_MS : DELAY_FIRST_MS << (rounds - 1);
    }
    cm_kafka_fetch_later(fetch, delay_ms < DELAY_MOST_MS ? delay_ms : DELAY_MOST_MS);
}

void cm_kafka_fetch_succeed(cm_kafka_fetch_t *fetch)
{
    if (fetch->failures > 0)
        cm_log(fetch->settings->log, CM_LOG_INFO, "the schema registry answers again", "url=%s",
               fetch->urls[fetch->at]);
    fetch->failures = 0;
    fetch->trouble[0] = '\0';
}

static int fail_transfer(cm_kafka_fetch_t *fetch, CURLcode code, cm_err_t *err)
{
    const char *why = fetch->detail[0] != '\0' ? fetch->detail : curl_easy_strerror(code);

    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        return cm_fail_memory(err);
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return cm_fail(err, CM_EUSAGE,
                       "no TLS connection to the schema registry at %s (%s); check "
                       "kafka.registry_ca, and kafka.registry for the name in the certificate",
                       fetch->urls[fetch->at], why);
    default:
        cm_kafka_fetch_fail(fetch, why);
        return 0;
    }
}

/* 1 when the answer is final, 0 when it asks to try again. */
static int take_answer(cm_kafka_fetch_t *fetch, cm_kafka_fetched_t *answer, cm_err_t *err)
{
    long status = 0;
    char reason[WORDS + 40];

    curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
    *answer = (cm_kafka_fetched_t){(int)status, {fetch->answer.data, fetch->answer.len}};
    if (status == 401 || status == 403)
        return cm_fail(err, CM_EUSAGE,
                       "the schema registry at %s refuses the user (status %ld); check "
                       "kafka.registry_user and kafka.registry_password, and what the user may "
                       "read",
                       fetch->urls[fetch->at], status);
    if (status == 200 || (status >= 400 && status < 500 && status != 408 && status != 429))
        return 1;
    snprintf(reason, sizeof reason, "answers with status %ld: %.*s", status,
             cm_utf8_head(answer->body, WORDS), answer->body.len > 0 ? answer->body.data : "");
    cm_kafka_fetch_fail(fetch, reason);
    return 0;
}

int cm_kafka_fetch(cm_kafka_fetch_t *fetch, const char *path, int wait_ms,
                   cm_kafka_fetched_t *answer, cm_err_t *err)
{
    const int64_t until = cm_clock_ticks_ns() + wait_ms * INT64_C(1000000);
    CURLMsg *message = NULL;
    int running, left;

    while (message == NULL) {
        const int64_t now = cm_clock_ticks_ns(), left_ms = (until - now) / 1000000;
        if (left_ms < 0)
            return 0;
        if (!fetch->running && fetch->due_ns > now) {
            const int64_t due_ms = (fetch->due_ns - now) / 1000000 + 1;
            cm_sleep_ms(due_ms < left_ms ? due_ms : left_ms + 1);
            continue;
        }
        if (!fetch->running)
            start(fetch, path);
        if (curl_multi_perform(fetch->multi, &running) != CURLM_OK)
            return cm_fail(err, CM_EINTERNAL, "libcurl fails");
        message = curl_multi_info_read(fetch->multi, &left);
        if (message == NULL)
            curl_multi_poll(fetch->multi, NULL, 0, (int)left_ms + 1, NULL);
    }
    const CURLcode code = message->data.result;
    cm_kafka_fetch_drop(fetch);
    return code == CURLE_OK ? take_answer(fetch, answer, err) : fail_transfer(fetch, code, err);
}
