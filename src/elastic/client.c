#include "elastic/client.h"

#include "base/clock.h"
#include "elastic/access.h"

#include <stdio.h>
#include <stdlib.h>

struct cm_elastic {
    cm_elastic_access_t access;
    CURLM *multi; /* for one handle: a wait in it can be ended at any time */
    CURL *easy;
    char detail[CURL_ERROR_SIZE];
    cm_buf_t url, answer;
    size_t host; /* the one that is asked first */
};

int cm_elastic_open(const cm_elastic_settings_t *settings, cm_elastic_t **client, cm_err_t *err)
{
    cm_elastic_t *made = cm_alloc_zero(1, sizeof *made);

    int rc = cm_elastic_access_open(&made->access, settings, err);
    if (rc == 0) {
        made->multi = curl_multi_init();
        made->easy = curl_easy_init();
        if (made->multi == NULL || made->easy == NULL)
            rc = cm_fail_memory(err);
    }
    if (rc < 0)
        cm_elastic_close(made);
    else
        *client = made;
    return rc;
}

void cm_elastic_close(cm_elastic_t *client)
{
    if (client == NULL)
        return;
    curl_easy_cleanup(client->easy);
    curl_multi_cleanup(client->multi);
    cm_elastic_access_close(&client->access);
    cm_buf_free(&client->url);
    cm_buf_free(&client->answer);
    free(client);
}

const char *cm_elastic_host(const cm_elastic_t *client)
{
    return client->access.hosts[client->host];
}

/* ---- one request ---- */

typedef struct question {
    const char *method, *path;
    cm_str_t body;
} question_t;

static void prepare(cm_elastic_t *client, const question_t *question, int64_t timeout_ms)
{
    const cm_elastic_access_t *access = &client->access;
    const bool writes =
        strcmp(question->method, "PUT") == 0 || strcmp(question->method, "POST") == 0;
    const bool with_body = writes || question->body.len > 0;
    CURL *easy = client->easy;

    cm_buf_clear(&client->answer);
    cm_buf_clear(&client->url);
    cm_buf_printf(&client->url, "%s%s", access->hosts[client->host], question->path);
    cm_elastic_access_apply(access, easy, &client->answer, client->detail);
    curl_easy_setopt(easy, CURLOPT_URL, client->url.data);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, with_body ? access->json : access->bare);
    if (with_body) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)question->body.len);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                         question->body.len > 0 ? question->body.data : "");
    }
    if (strcmp(question->method, "HEAD") == 0)
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, question->method);
}

/* Runs the prepared request. 0: it has ended with `*code`; else the waiter or the stop flag has
 * ended it. */
static int run(cm_elastic_t *client, cm_elastic_wait_t *wait, CURLcode *code, cm_err_t *err)
{
    CURLMsg *message;
    int running = 1, left, rc = 0;

    *code = CURLE_FAILED_INIT;
    CURLMcode multi_code = curl_multi_add_handle(client->multi, client->easy);
    while (multi_code == CURLM_OK && rc == 0) {
        multi_code = curl_multi_perform(client->multi, &running);
        if (running == 0)
            break;
        rc = cm_elastic_wait_check(wait, err);
        if (rc == 0 && multi_code == CURLM_OK)
            multi_code = curl_multi_poll(client->multi, NULL, 0, CM_ELASTIC_POLL_MS, NULL);
    }
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        if (message->msg == CURLMSG_DONE)
            *code = message->data.result;
    }
    curl_multi_remove_handle(client->multi, client->easy);
    if (multi_code != CURLM_OK)
        return cm_fail(err, CM_EINTERNAL, "libcurl: %s", curl_multi_strerror(multi_code));
    return rc;
}

/* Asks each host once, beginning with the one that answered last, until one answers. */
static int ask_hosts(cm_elastic_t *client, const question_t *question, int64_t timeout_ms,
                     cm_elastic_wait_t *wait, cm_elastic_reply_t *reply, cm_err_t *err)
{
    int rc = CM_EAWAY;

    for (size_t tries = 0; tries < client->access.host_count && rc == CM_EAWAY; tries++) {
        CURLcode code;
        long status = 0;
        prepare(client, question, timeout_ms);
        rc = run(client, wait, &code, err);
        if (rc < 0)
            return rc;
        if (code != CURLE_OK) {
            rc = cm_elastic_fail_transfer(&client->access, client->host, code, client->detail, err);
            if (rc == CM_EAWAY) {
                cm_elastic_wait_lost(wait, client->host, code, client->detail);
                client->host = (client->host + 1) % client->access.host_count;
            }
            continue;
        }
        curl_easy_getinfo(client->easy, CURLINFO_RESPONSE_CODE, &status);
        *reply = (cm_elastic_reply_t){(int)status, {client->answer.data, client->answer.len}};
        rc = cm_elastic_check_allowed(&client->access, reply, err);
    }
    return rc;
}

int cm_elastic_request(cm_elastic_t *client, const char *method, const char *path, cm_str_t body,
                       cm_elastic_reply_t *reply, cm_err_t *err)
{
    const question_t question = {method, path, body};
    cm_elastic_wait_t wait;

    cm_elastic_wait_init(&wait, &client->access, NULL);
    return ask_hosts(client, &question, client->access.settings->timeout_ms, &wait, reply, err);
}

/* ---- repeated requests ---- */

/* Waits, longer each time, and as long as the answer asks for. */
static int wait_after(cm_elastic_t *client, cm_elastic_wait_t *wait, int64_t *delay_ms,
                      cm_err_t *err)
{
    curl_off_t after_s = 0;

    curl_easy_getinfo(client->easy, CURLINFO_RETRY_AFTER, &after_s);
    int64_t until = cm_clock_ticks_ns() +
                    cm_elastic_wait_delay(wait, delay_ms, after_s * 1000) * INT64_C(1000000);
    for (;;) {
        int64_t left = (until - cm_clock_ticks_ns() + 999999) / 1000000;
        int rc = cm_elastic_wait_check(wait, err);
        if (rc < 0 || left <= 0)
            return rc;
        cm_sleep_ms(left < CM_ELASTIC_POLL_MS ? left : CM_ELASTIC_POLL_MS);
    }
}

int cm_elastic_request_retrying(cm_elastic_t *client, const char *method, const char *path,
                                cm_str_t body, const cm_waiter_t *waiter, cm_elastic_reply_t *reply,
                                cm_err_t *err)
{
    const question_t question = {method, path, body};
    const int64_t limit = client->access.settings->timeout_ms, started = cm_clock_ticks_ns();
    int64_t delay_ms = 0, left = limit;
    cm_elastic_wait_t wait;
    cm_err_t why = {0};

    cm_elastic_wait_init(&wait, &client->access, waiter);
    for (;;) {
        int rc = ask_hosts(client, &question, left, &wait, reply, &why);
        if (wait.gave_up || (rc < 0 && rc != CM_EAWAY))
            return cm_fail(err, rc, "%s", why.text);
        if (rc == 0 && !cm_elastic_is_temporary(reply->status))
            return 0;
        if (waiter == NULL) {
            left = limit - (cm_clock_ticks_ns() - started) / 1000000 - delay_ms;
            if (left <= 0)
                return rc < 0 ? cm_fail(err, rc, "%s", why.text) : 0;
        }
        if (rc == 0)
            cm_elastic_wait_refused(&wait, client->host, reply);
        rc = wait_after(client, &wait, &delay_ms, err);
        if (rc < 0)
            return rc;
    }
}

/* ---- product and version ---- */

int cm_elastic_about(cm_elastic_t *client, const cm_waiter_t *waiter, cm_elastic_about_t *about,
                     cm_err_t *err)
{
    cm_elastic_json_t *json = NULL;
    cm_elastic_reply_t reply;
    cm_str_t number, distribution;

    *about = (cm_elastic_about_t){0};
    int rc = cm_elastic_request_retrying(client, "GET", "/", CM_STR(""), waiter, &reply, err);
    if (rc == 0 && reply.status != 200)
        rc = cm_elastic_fail(client->access.settings, &reply, "asking for the version", err);
    if (rc < 0)
        return rc;
    json = cm_elastic_json_new();
    if (json == NULL)
        return cm_fail_memory(err);
    if (!cm_elastic_json_version(json, reply.body, &number, &distribution)) {
        rc = cm_fail(err, CM_EUSAGE,
                     "what answers at %s is not Elasticsearch (its answer has no version); check "
                     "elasticsearch.hosts",
                     cm_elastic_host(client));
    } else {
        char text[32], *end;
        snprintf(text, sizeof text, "%.*s", (int)number.len, number.data);
        about->opensearch = cm_str_equal(distribution, CM_STR("opensearch"));
        about->major = (int)strtol(text, &end, 10);
        about->minor = *end == '.' ? (int)strtol(end + 1, NULL, 10) : 0;
        snprintf(about->name, sizeof about->name, "%s %s",
                 about->opensearch ? "OpenSearch" : "Elasticsearch", text);
    }
    cm_elastic_json_free(json);
    return rc;
}
