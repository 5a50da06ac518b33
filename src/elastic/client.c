#include "elastic/client.h"

#include "base/clock.h"
#include "base/json.h"
#include "elastic/access.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    STEP_MS = 100,
    ANSWER_MAX = 256 << 20, /* a page of a scroll has a few MB */
};

struct cm_elastic {
    cm_elastic_access_t access;
    CURL *easy;
    struct curl_slist *headers;
    cm_buf_t body, url;
    char detail[CURL_ERROR_SIZE];
    const char *host; /* that answered last */
    /* of cm_elastic_ask() */
    const cm_waiter_t *waiter;
    uint64_t retries;
    int64_t asked_ns; /* the waiter */
    int given_up;     /* its code */
};

static size_t take_body(char *data, size_t size, size_t count, void *context)
{
    cm_elastic_t *self = context;

    if (self->body.len + size * count > ANSWER_MAX)
        return 0; /* no answer of Elasticsearch: libcurl fails the request */
    cm_buf_add(&self->body, data, size * count);
    return size * count;
}

static bool stopped(const cm_elastic_t *self)
{
    return self->access.settings->stop != NULL && atomic_load(self->access.settings->stop);
}

/* Asks the waiter when it is time to; what it says, or CM_ESTOP. */
static int ask_waiter(cm_elastic_t *self, const char *reason)
{
    int64_t now = cm_clock_ticks_ns();

    if (stopped(self))
        return CM_ESTOP;
    if (self->waiter == NULL || now - self->asked_ns < CM_WAIT_MS * INT64_C(1000000) / 2)
        return 0;
    self->asked_ns = now;
    return self->waiter->wait(self->waiter->context, self->retries, reason);
}

/* libcurl calls this during a request, several times a second. */
static int look_up(void *context, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    cm_elastic_t *self = context;

    (void)a, (void)b, (void)c, (void)d;
    self->given_up = ask_waiter(self, NULL);
    return self->given_up != 0;
}

int cm_elastic_open(const cm_elastic_settings_t *settings, cm_elastic_t **client, cm_err_t *err)
{
    cm_elastic_t *self = cm_alloc_zero(1, sizeof *self);

    int rc = cm_elastic_access_open(settings, &self->access, err);
    if (rc < 0) {
        free(self);
        return rc;
    }
    self->host = cm_elastic_access_host(&self->access);
    self->easy = cm_elastic_access_handle(&self->access);
    self->headers = cm_elastic_access_headers(
        &self->access, curl_slist_append(NULL, "Content-Type: application/json"));
    curl_easy_setopt(self->easy, CURLOPT_HTTPHEADER, self->headers);
    curl_easy_setopt(self->easy, CURLOPT_ERRORBUFFER, self->detail);
    curl_easy_setopt(self->easy, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(self->easy, CURLOPT_WRITEDATA, self);
    curl_easy_setopt(self->easy, CURLOPT_XFERINFOFUNCTION, look_up);
    curl_easy_setopt(self->easy, CURLOPT_XFERINFODATA, self);
    curl_easy_setopt(self->easy, CURLOPT_NOPROGRESS, 0L);
    *client = self;
    return 0;
}

void cm_elastic_close(cm_elastic_t *self)
{
    if (self == NULL)
        return;
    curl_easy_cleanup(self->easy);
    curl_slist_free_all(self->headers);
    cm_elastic_access_close(&self->access);
    cm_buf_free(&self->body);
    cm_buf_free(&self->url);
    free(self);
}

/* Asks the host whose turn it is. */
static CURLcode perform(cm_elastic_t *self, const char *method, const char *path, cm_str_t body)
{
    cm_buf_clear(&self->url);
    cm_buf_add_text(&self->url, cm_elastic_access_host(&self->access));
    cm_buf_add_text(&self->url, path);
    cm_buf_clear(&self->body);
    self->detail[0] = '\0';
    self->given_up = 0;
    curl_easy_setopt(self->easy, CURLOPT_URL, self->url.data);
    curl_easy_setopt(self->easy, CURLOPT_NOBODY, 0L);
    if (body.len > 0) {
        curl_easy_setopt(self->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body.len);
        curl_easy_setopt(self->easy, CURLOPT_POSTFIELDS, body.data);
    } else {
        curl_easy_setopt(self->easy, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(self->easy, CURLOPT_CUSTOMREQUEST, method);
    return curl_easy_perform(self->easy);
}

int cm_elastic_request(cm_elastic_t *self, const char *method, const char *path, cm_str_t body,
                       cm_elastic_reply_t *reply, cm_err_t *err)
{
    int rc = CM_EAWAY;
    long status;

    for (size_t i = 0; rc == CM_EAWAY && i < self->access.host_count; i++) {
        CURLcode code = perform(self, method, path, body);
        if (code == CURLE_OK) {
            curl_easy_getinfo(self->easy, CURLINFO_RESPONSE_CODE, &status);
            cm_buf_reserve(&self->body, 1);
            self->host = cm_elastic_access_host(&self->access);
            *reply = (cm_elastic_reply_t){(int)status, {self->body.data, self->body.len}};
            return cm_elastic_access_refused(&self->access, reply, err);
        }
        if (self->given_up < 0)
            return cm_fail(err, self->given_up, "stopped while Elasticsearch at %s was asked",
                           cm_elastic_access_host(&self->access));
        rc = cm_elastic_access_fail(&self->access, code, self->detail, err);
        cm_elastic_access_next(&self->access);
    }
    return rc;
}

/* Sleeps, and asks the waiter meanwhile. */
static int sleep_for(cm_elastic_t *self, int64_t ms, const char *reason)
{
    int rc = ask_waiter(self, reason);

    for (; rc == 0 && ms > 0; ms -= STEP_MS) {
        cm_sleep_ms(ms < STEP_MS ? ms : STEP_MS);
        rc = ask_waiter(self, reason);
    }
    return rc;
}

int cm_elastic_ask(cm_elastic_t *self, const char *method, const char *path, cm_str_t body,
                   const cm_waiter_t *waiter, cm_elastic_reply_t *reply, cm_err_t *err)
{
    int64_t started = cm_clock_ticks_ns();
    char reason[CM_ERR_TEXT];
    cm_err_t why;
    int rc;

    self->waiter = waiter;
    for (unsigned attempt = 1;; attempt++) {
        rc = cm_elastic_request(self, method, path, body, reply, err);
        if (rc == 0 && !cm_elastic_passes(reply->status))
            break;
        if (rc < 0 && rc != CM_EAWAY)
            break;
        if (rc == 0) /* the sentence is kept, should this be the last attempt */
            cm_elastic_fail(self->access.settings, reply, self->host, err);
        if (waiter == NULL &&
            cm_clock_ticks_ns() - started > self->access.settings->timeout_ms * INT64_C(1000000)) {
            rc = CM_EAWAY;
            break;
        }
        self->retries++;
        why = *err;
        snprintf(reason, sizeof reason, "%s", why.text);
        if ((rc = sleep_for(self, cm_elastic_wait_ms(attempt), reason)) < 0) {
            rc = cm_fail(err, rc, "gave up waiting: %s", reason);
            break;
        }
    }
    self->waiter = NULL;
    return rc;
}

int cm_elastic_fail(const cm_elastic_settings_t *settings, const cm_elastic_reply_t *reply,
                    const char *doing, cm_err_t *err)
{
    cm_buf_t why = CM_BUF_INIT;
    int code = CM_EIO;
    const char *help = "";

    (void)settings;
    cm_elastic_reason(reply->body, &why);
    if (reply->status == 404) {
        code = CM_EINPUT;
    } else if (cm_elastic_passes(reply->status) || reply->status >= 500) {
        code = CM_EAWAY;
        help = "; try again later";
    } else if (reply->status == 400) {
        code = CM_EUSAGE;
    }
    cm_fail(err, code, "%s: Elasticsearch answers %d: %.*s%s", doing, reply->status,
            cm_utf8_head((cm_str_t){why.data, why.len}, 400), why.data, help);
    cm_buf_free(&why);
    return code;
}

const char *cm_elastic_host(const cm_elastic_t *client)
{
    return client->host;
}

int cm_elastic_credentials(const cm_elastic_settings_t *settings, cm_buf_t *user,
                           cm_buf_t *password, cm_buf_t *authorization, cm_err_t *err)
{
    static const size_t name = sizeof "Authorization: " - 1;
    cm_elastic_access_t access;

    int rc = cm_elastic_access_open(settings, &access, err);
    if (rc < 0)
        return rc;
    cm_buf_add(user, access.user.data, access.user.len);
    cm_buf_add(password, access.password.data, access.password.len);
    if (access.authorization.len > name)
        cm_buf_add_text(authorization, access.authorization.data + name);
    cm_elastic_access_close(&access);
    return 0;
}

int cm_elastic_about(cm_elastic_t *client, const cm_waiter_t *waiter, cm_elastic_about_t *about,
                     cm_err_t *err)
{
    cm_json_parser_t *parser = cm_json_parser_new();
    cm_str_t number = {NULL, 0}, kind = {NULL, 0};
    cm_elastic_reply_t reply;
    cm_json_t root, found;

    int rc = cm_elastic_ask(client, "GET", "/", (cm_str_t){NULL, 0}, waiter, &reply, err);
    if (rc == 0 && reply.status != 200)
        rc = cm_elastic_fail(client->access.settings, &reply, "GET /", err);
    if (rc == 0) {
        if (cm_json_parse(parser, reply.body, &root)) {
            if (cm_json_find(root, "version/number", &found))
                cm_json_text(found, &number);
            if (cm_json_find(root, "version/distribution", &found))
                cm_json_text(found, &kind);
        }
        if (number.len == 0)
            rc = cm_fail(err, CM_EUSAGE, "%s answers, but is no Elasticsearch", client->host);
    }
    if (rc == 0) {
        *about = (cm_elastic_about_t){.opensearch = cm_str_equal(kind, CM_STR("opensearch"))};
        snprintf(about->name, sizeof about->name, "%s %.*s",
                 about->opensearch ? "OpenSearch" : "Elasticsearch", (int)number.len, number.data);
        sscanf(strchr(about->name, ' '), " %d.%d", &about->major, &about->minor);
    }
    cm_json_parser_free(parser);
    return rc;
}
