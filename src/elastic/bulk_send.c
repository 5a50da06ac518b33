#include "base/clock.h"
#include "elastic/bulk_inside.h"

#include <stdio.h>

enum {
    UNAVAILABLE_MS = 5000, /* how long the server may wait for a missing shard */
    SMALLEST = 1024,       /* bytes: 413 makes later bodies no smaller */
};

static const char doing[] = "writing documents";

/* Ends the bulk: every later call returns the same. */
static int end(cm_elastic_bulk_t *bulk, int rc, const cm_err_t *why, cm_err_t *err)
{
    bulk->ended = rc;
    bulk->why = *why;
    bulk->why.code = rc;
    return cm_fail(err, rc, "%s", why->text);
}

/* ---- sending ---- */

static void prepare(cm_elastic_bulk_t *bulk, cm_elastic_body_t *body, cm_str_t payload)
{
    const int64_t half = bulk->access.settings->timeout_ms / 2;
    CURL *easy = body->easy;

    cm_buf_clear(&body->url);
    body->detailed = bulk->detailed;
    cm_buf_printf(&body->url, "%s/_bulk?timeout=%dms&filter_path=%s",
                  bulk->access.hosts[body->host],
                  half < UNAVAILABLE_MS ? (int)half : (int)UNAVAILABLE_MS,
                  body->detailed ? "items.*.status,items.*.error" : "errors");
    cm_buf_clear(&body->answer);
    cm_elastic_access_apply(&bulk->access, easy, &body->answer, body->detail);
    curl_easy_setopt(easy, CURLOPT_URL, body->url.data);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, body);
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER,
                     bulk->has_gzip ? bulk->access.gz : bulk->access.ndjson);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)payload.len);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, payload.data);
}

int cm_elastic_bulk_send(cm_elastic_bulk_t *bulk, cm_elastic_body_t *body, cm_err_t *err)
{
    cm_err_t why;

    body->sent = cm_elastic_body_fitting(body, body->limit);
    const size_t bytes = cm_elastic_body_bytes(body, body->sent);
    cm_str_t payload = {body->text.data, bytes};
    if (bulk->has_gzip) {
        int rc = cm_elastic_body_gzip(&bulk->gzip, payload, &body->wire, &why);
        if (rc < 0)
            return end(bulk, rc, &why, err);
        payload = (cm_str_t){body->wire.data, body->wire.len};
    }
    prepare(bulk, body, payload);
    CURLMcode code = curl_multi_add_handle(bulk->multi, body->easy);
    if (code != CURLM_OK) {
        cm_fail(&why, CM_EINTERNAL, "libcurl: %s", curl_multi_strerror(code));
        return end(bulk, CM_EINTERNAL, &why, err);
    }
    bulk->counts.bodies++;
    bulk->counts.bytes += bytes;
    bulk->counts.wire_bytes += payload.len;
    bulk->counts.retries += body->again;
    body->again = true;
    body->state = CM_BODY_SENDING;
    return 0;
}

/* ---- answers ---- */

static void settle(cm_elastic_bulk_t *bulk, const cm_elastic_doc_t *doc)
{
    cm_elastic_ids_remove(&bulk->ids, doc->hash);
}

static int refuse(cm_elastic_bulk_t *bulk, cm_elastic_body_t *body, size_t doc, const char *reason,
                  cm_err_t *err)
{
    cm_str_t index = {"", 0}, id = {"", 0};

    bulk->counts.refused++;
    settle(bulk, &body->docs[doc]);
    if (bulk->options.refused == NULL)
        return 0;
    cm_elastic_json_action(bulk->actions, cm_elastic_body_action(body, doc), &index, &id);
    return bulk->options.refused(bulk->options.context, index, id,
                                 cm_elastic_body_document(body, doc), cm_str(reason), err);
}

/* The context of a walk over the items of an answer. */
typedef struct walk {
    cm_elastic_bulk_t *bulk;
    cm_elastic_body_t *body;
} walk_t;

static void keep_for_later(const walk_t *walk, size_t doc, int status,
                           const cm_elastic_reason_t *reason)
{
    cm_buf_t text = CM_BUF_INIT;

    if (walk->body->kept == 0) { /* one reason is enough */
        cm_buf_printf(&text, "%s: %d ", walk->bulk->access.hosts[walk->body->host], status);
        cm_elastic_add_reason(&text, reason);
        cm_elastic_wait_failed(&walk->bulk->wait, text.data);
        cm_buf_free(&text);
    }
    cm_elastic_body_keep(walk->body, doc);
}

static int fail_item(cm_elastic_bulk_t *bulk, int status, const cm_elastic_reason_t *reason,
                     cm_err_t *err)
{
    return cm_elastic_fail_item(&bulk->access, status, reason, doing, err);
}

static int on_item(void *context, size_t doc, int status, const cm_elastic_reason_t *reason,
                   cm_err_t *err)
{
    const walk_t *walk = context;
    cm_elastic_bulk_t *bulk = walk->bulk;
    const cm_elastic_doc_t *one = &walk->body->docs[doc];
    cm_buf_t text = CM_BUF_INIT;

    if ((status >= 200 && status < 300) || (one->removes && status == 404)) {
        bulk->counts.sent += !one->removes;
        bulk->counts.removed += one->removes;
        settle(bulk, one);
        return 0;
    }
    if (status == 429 || status >= 500) {
        keep_for_later(walk, doc, status, reason);
        return 0;
    }
    /* A missing right or index is not the fault of a document. */
    if (status == 401 || status == 403 || status == 404)
        return fail_item(bulk, status, reason, err);
    cm_elastic_add_reason(&text, reason);
    if (text.len == 0)
        cm_buf_printf(&text, "status %d", status);
    int rc = refuse(bulk, walk->body, doc, text.data, err);
    cm_buf_free(&text);
    return rc;
}

/* The answer to a body: what is left of it is sent again, at once or later. */
static int go_on(cm_elastic_bulk_t *bulk, cm_elastic_body_t *body, int64_t wait_ms, cm_err_t *err)
{
    bool others_wait = false;

    if (body->count == 0) {
        cm_elastic_body_clear(body);
        bulk->busy--;
        for (size_t i = 0; i < bulk->body_count; i++)
            others_wait = others_wait || bulk->bodies[i].delay_ms > 0;
        if (!others_wait)
            bulk->wait.reason[0] = '\0';
        return 0;
    }
    if (wait_ms == 0)
        return cm_elastic_bulk_send(bulk, body, err);
    body->state = CM_BODY_WAITING;
    body->due_ns = cm_clock_ticks_ns() + wait_ms * INT64_C(1000000);
    return 0;
}

static int wait_longer(cm_elastic_bulk_t *bulk, cm_elastic_body_t *body, cm_err_t *err)
{
    curl_off_t after_s = 0;

    curl_easy_getinfo(body->easy, CURLINFO_RETRY_AFTER, &after_s);
    return go_on(bulk, body, cm_elastic_wait_delay(&bulk->wait, &body->delay_ms, after_s * 1000),
                 err);
}

static int take_all(cm_elastic_bulk_t *bulk, cm_elastic_body_t *body, cm_err_t *err)
{
    for (size_t i = 0; i < body->sent; i++) {
        const cm_elastic_doc_t *doc = &body->docs[i];
        bulk->counts.sent += !doc->removes;
        bulk->counts.removed += doc->removes;
        settle(bulk, doc);
    }
    cm_elastic_body_sort(body);
    cm_elastic_body_end_sort(body, body->sent);
    body->delay_ms = 0;
    return go_on(bulk, body, 0, err);
}

/* The result of each document costs the server time, and mostly all succeed. So it is asked for
 * only after a failure, by sending the same documents once more: to write or delete one again
 * changes nothing. 1: the answer has the results. */
static int take_short(cm_elastic_bulk_t *bulk, cm_elastic_body_t *body, cm_err_t *err)
{
    const cm_str_t answer = {body->answer.data, body->answer.len};
    bool errors = false;

    if (body->detailed || !cm_elastic_json_errors(bulk->json, answer, &errors))
        return 1;
    if (!errors)
        return take_all(bulk, body, err);
    bulk->detailed = true;
    body->again = false; /* does not count as an attempt */
    return cm_elastic_bulk_send(bulk, body, err);
}

static int take_items(cm_elastic_bulk_t *bulk, cm_elastic_body_t *body, cm_err_t *err)
{
    walk_t walk = {bulk, body};
    cm_err_t why = {0};

    cm_elastic_body_sort(body);
    int rc = cm_elastic_json_items(bulk->json, (cm_str_t){body->answer.data, body->answer.len},
                                   body->sent, on_item, &walk, &why);
    if (rc == CM_ECORRUPT) {
        cm_err_t what = why;
        rc = cm_fail(
            &why, CM_EIO,
            "%s: what answers at %s is not Elasticsearch, or not one that is supported (%s); check "
            "elasticsearch.hosts",
            doing, bulk->access.hosts[body->host], what.text);
    }
    if (rc < 0)
        return end(bulk, rc, &why, err);
    const bool failed = body->kept > 0;
    cm_elastic_body_end_sort(body, body->sent);
    if (failed)
        return wait_longer(bulk, body, err);
    body->delay_ms = 0;
    return go_on(bulk, body, 0, err);
}

/* 413: sends half of it at once, and later bodies are no larger; a single document cannot be
 * halved. */
static int make_smaller(cm_elastic_bulk_t *bulk, cm_elastic_body_t *body, cm_err_t *err)
{
    const size_t bytes = cm_elastic_body_bytes(body, body->sent);
    char reason[100];
    cm_err_t why = {0};

    if (body->sent > 1) {
        body->limit = bytes / 2;
        if (body->limit < bulk->limit)
            bulk->limit = body->limit > SMALLEST ? body->limit : SMALLEST;
        return go_on(bulk, body, 0, err);
    }
    snprintf(reason, sizeof reason, "413: %zu bytes are more than the server takes in a request",
             bytes);
    cm_elastic_body_sort(body);
    int rc = refuse(bulk, body, 0, reason, &why);
    if (rc < 0)
        return end(bulk, rc, &why, err);
    cm_elastic_body_end_sort(body, 1);
    return go_on(bulk, body, 0, err);
}

static void next_host(const cm_elastic_bulk_t *bulk, cm_elastic_body_t *body)
{
    body->host = (body->host + 1) % bulk->access.host_count;
}

static int take_reply(cm_elastic_bulk_t *bulk, cm_elastic_body_t *body, cm_err_t *err)
{
    long status = 0;
    cm_err_t why;

    curl_easy_getinfo(body->easy, CURLINFO_RESPONSE_CODE, &status);
    const cm_elastic_reply_t reply = {(int)status, {body->answer.data, body->answer.len}};
    if (status >= 200 && status < 300) {
        int rc = take_short(bulk, body, err);
        return rc <= 0 ? rc : take_items(bulk, body, err);
    }
    if (status == 413)
        return make_smaller(bulk, body, err);
    if (status == 429 || status >= 500) {
        cm_elastic_wait_refused(&bulk->wait, body->host, &reply);
        if (status >= 500)
            next_host(bulk, body);
        return wait_longer(bulk, body, err);
    }
    int rc = cm_elastic_fail_reply(&bulk->access, &reply, doing, &why);
    return end(bulk, rc == CM_EINPUT ? CM_EUSAGE : rc, &why, err);
}

static int take_answer(cm_elastic_bulk_t *bulk, cm_elastic_body_t *body, CURLcode code,
                       cm_err_t *err)
{
    cm_err_t why;

    if (code == CURLE_OK)
        return take_reply(bulk, body, err);
    int rc = cm_elastic_fail_transfer(&bulk->access, body->host, code, body->detail, &why);
    if (rc != CM_EAWAY)
        return end(bulk, rc, &why, err);
    cm_elastic_wait_lost(&bulk->wait, body->host, code, body->detail);
    next_host(bulk, body);
    return wait_longer(bulk, body, err);
}

/* ---- the loop ---- */

/* Sends bodies whose wait is over. Returns the ms until the next wait ends, CM_ELASTIC_POLL_MS at
 * most. */
static int send_due(cm_elastic_bulk_t *bulk, int *next_ms, cm_err_t *err)
{
    int64_t now = cm_clock_ticks_ns();

    *next_ms = CM_ELASTIC_POLL_MS;
    for (size_t i = 0; i < bulk->body_count; i++) {
        cm_elastic_body_t *body = &bulk->bodies[i];
        if (body->state != CM_BODY_WAITING)
            continue;
        int64_t left_ms = (body->due_ns - now + 999999) / 1000000;
        if (left_ms > 0 && left_ms < *next_ms)
            *next_ms = (int)left_ms;
        int rc = left_ms <= 0 ? cm_elastic_bulk_send(bulk, body, err) : 0;
        if (rc < 0)
            return rc;
    }
    return 0;
}

int cm_elastic_bulk_step(cm_elastic_bulk_t *bulk, cm_err_t *err)
{
    CURLMsg *message;
    cm_err_t why;
    int running, left, rc = 0;

    CURLMcode multi_code = curl_multi_perform(bulk->multi, &running);
    if (multi_code != CURLM_OK) {
        cm_fail(&why, CM_EINTERNAL, "libcurl: %s", curl_multi_strerror(multi_code));
        return end(bulk, CM_EINTERNAL, &why, err);
    }
    while (rc == 0 && (message = curl_multi_info_read(bulk->multi, &left)) != NULL) {
        CURLcode code = message->data.result;
        char *context = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &context);
        cm_elastic_body_t *body = (cm_elastic_body_t *)(void *)context;
        curl_multi_remove_handle(bulk->multi, body->easy);
        body->state = CM_BODY_WAITING;
        body->due_ns = INT64_MAX;
        rc = take_answer(bulk, body, code, err);
    }
    return rc;
}

int cm_elastic_bulk_wait(cm_elastic_bulk_t *bulk, size_t busy, cm_err_t *err)
{
    int next_ms;

    for (;;) {
        int rc = send_due(bulk, &next_ms, err);
        if (rc == 0)
            rc = cm_elastic_bulk_step(bulk, err);
        if (rc < 0 || bulk->busy <= busy)
            return rc;
        rc = cm_elastic_wait_check(&bulk->wait, err);
        if (rc < 0)
            return rc;
        curl_multi_poll(bulk->multi, NULL, 0, next_ms, NULL);
    }
}
