#include "elastic/bulk.h"

#include "base/clock.h"
#include "base/json.h"
#include "elastic/access.h"
#include "elastic/body.h"

#include <stdio.h>
#include <stdlib.h>

enum { ANSWER_MAX = 64 << 20, POLL_MS = 100 };

/* What is asked of an answer: what became of each item, in the order of the request. The server
 * waits 5 instead of 60 s for a shard that is not there, so that we can say why. */
static const char path[] = "/_bulk?timeout=5s&filter_path=errors,items.*.status,"
                           "items.*.error.type,items.*.error.reason,"
                           "items.*.error.caused_by.reason";

/* A connection and the body that it has to send, is sending, or waits to send again. */
typedef struct lane {
    CURL *easy;
    cm_bulk_body_t *body; /* NULL: idle */
    bool sending;
    unsigned attempts;
    int64_t due_ns; /* of the next attempt, when it is not sending */
    cm_buf_t answer;
    char detail[CURL_ERROR_SIZE];
} lane_t;

struct cm_elastic_bulk {
    cm_elastic_bulk_options_t options;
    cm_elastic_access_t access;
    CURLM *multi;
    struct curl_slist *headers;
    lane_t *lanes;
    int lane_count;
    cm_bulk_body_t *filling;
    cm_bulk_body_t *halves; /* of bodies that were too large; before what is filled */
    cm_bulk_body_t *spare;
    cm_json_parser_t *parser;
    cm_elastic_bulk_counts_t counts;
    int64_t asked_ns;          /* the waiter */
    char trouble[CM_ERR_TEXT]; /* why the last attempt failed; empty: it did not */
};

/* ---- bodies ---- */

static cm_bulk_body_t *new_body(cm_elastic_bulk_t *self)
{
    cm_bulk_body_t *body = self->spare;

    if (body == NULL)
        return cm_alloc_zero(1, sizeof *body);
    self->spare = body->next;
    body->next = NULL;
    return body;
}

static void give_body(cm_elastic_bulk_t *self, cm_bulk_body_t *body)
{
    cm_bulk_body_clear(body);
    body->next = self->spare;
    self->spare = body;
}

/* ---- sending ---- */

static size_t take_answer(char *data, size_t size, size_t count, void *context)
{
    lane_t *lane = context;

    if (lane->answer.len + size * count > ANSWER_MAX)
        return 0;
    cm_buf_add(&lane->answer, data, size * count);
    return size * count;
}

static void begin(cm_elastic_bulk_t *self, lane_t *lane)
{
    cm_bulk_body_t *body = lane->body;
    const bool gzip = self->access.settings->gzip;
    cm_buf_t url = CM_BUF_INIT;

    if (gzip && body->packed.len == 0)
        cm_bulk_body_pack(body);
    const cm_buf_t *wire = gzip ? &body->packed : &body->text;
    cm_buf_add_text(&url, cm_elastic_access_host(&self->access));
    cm_buf_add_text(&url, path);
    curl_easy_setopt(lane->easy, CURLOPT_URL, url.data);
    cm_buf_free(&url);
    curl_easy_setopt(lane->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)wire->len);
    curl_easy_setopt(lane->easy, CURLOPT_POSTFIELDS, wire->data);
    cm_buf_clear(&lane->answer);
    lane->detail[0] = '\0';
    lane->sending = true;
    self->counts.retries += lane->attempts > 0;
    lane->attempts++;
    self->counts.bodies++;
    self->counts.bytes += body->text.len;
    self->counts.wire_bytes += wire->len;
    curl_multi_add_handle(self->multi, lane->easy);
}

/* Another attempt with what the lane has, after a while. */
static void again_later(lane_t *lane, int64_t least_ms)
{
    int64_t wait = cm_elastic_wait_ms(lane->attempts);
    lane->due_ns = cm_clock_ticks_ns() + (wait > least_ms ? wait : least_ms) * INT64_C(1000000);
}

static void done_with(cm_elastic_bulk_t *self, lane_t *lane)
{
    give_body(self, lane->body);
    lane->body = NULL;
    lane->attempts = 0;
}

/* ---- answers ---- */

static int refuse(cm_elastic_bulk_t *self, const cm_bulk_body_t *body, const cm_bulk_item_t *item,
                  cm_str_t reason, cm_err_t *err)
{
    cm_buf_t index = CM_BUF_INIT, id = CM_BUF_INIT;
    int rc = 0;

    self->counts.refused++;
    cm_bulk_item_names(body, item, &index, &id);
    if (self->options.refused != NULL)
        rc = self->options.refused(self->options.context, (cm_str_t){index.data, index.len},
                                   (cm_str_t){id.data, id.len}, cm_bulk_item_document(body, item),
                                   reason, err);
    cm_buf_free(&index);
    cm_buf_free(&id);
    return rc;
}

/* Walks the items of an answer beside those of the body. */
typedef struct reading {
    cm_elastic_bulk_t *self;
    const cm_bulk_body_t *body;
    cm_bulk_body_t *again; /* what is to be tried again; NULL: nothing yet */
    size_t at;
    cm_err_t *err;
} reading_t;

static void add_reason(cm_json_t operation, cm_buf_t *reason)
{
    static const char *const parts[] = {"error/type", "error/reason", "error/caused_by/reason"};
    cm_json_t found;
    cm_str_t text;

    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (!cm_json_find(operation, parts[i], &found) || !cm_json_text(found, &text))
            continue;
        if (reason->len > 0)
            cm_buf_add_text(reason, ": ");
        cm_buf_add_str(reason, text);
    }
}

/* What became of one item. `operation` is {"status": ..., "error": ...}. */
static int read_item(void *context, cm_str_t name, cm_json_t operation)
{
    reading_t *reading = context;
    cm_elastic_bulk_t *self = reading->self;
    cm_buf_t reason = CM_BUF_INIT;
    cm_json_t found;
    int64_t status = 0;
    int rc = 0;

    (void)name;
    if (reading->at >= reading->body->count)
        return 0;
    const cm_bulk_item_t *item = &reading->body->items[reading->at++];
    if (cm_json_get(operation, "status", &found))
        cm_json_i64(found, &status);
    if (status >= 200 && status < 300) {
        *(item->removal ? &self->counts.removed : &self->counts.sent) += 1;
        return 0;
    }
    if (item->removal && status == 404 && !cm_json_get(operation, "error", &found)) {
        self->counts.removed++;
        return 0;
    }
    add_reason(operation, &reason);
    if (cm_elastic_passes((int)status) || status >= 500) {
        if (reading->again == NULL)
            reading->again = new_body(self);
        cm_bulk_body_take(reading->again, reading->body, item);
        snprintf(self->trouble, sizeof self->trouble, "%s answers %d: %.400s",
                 cm_elastic_access_host(&self->access), (int)status,
                 reason.data != NULL ? reason.data : "");
    } else {
        rc = refuse(self, reading->body, item, (cm_str_t){reason.data, reason.len}, reading->err);
    }
    cm_buf_free(&reason);
    return rc;
}

static int read_operation(void *context, cm_json_t item)
{
    return cm_json_members(item, read_item, context);
}

static int bad_answer(cm_elastic_bulk_t *self, cm_err_t *err)
{
    return cm_fail(err, CM_EIO, "%s answers a bulk request with something else than Elasticsearch",
                   cm_elastic_access_host(&self->access));
}

static int read_items(cm_elastic_bulk_t *self, lane_t *lane, cm_err_t *err)
{
    reading_t reading = {.self = self, .body = lane->body, .err = err};
    cm_json_t root, found;
    bool errors = true;

    if (!cm_json_parse(self->parser, (cm_str_t){lane->answer.data, lane->answer.len}, &root) ||
        !cm_json_get(root, "errors", &found) || !cm_json_bool(found, &errors))
        return bad_answer(self, err);
    self->trouble[0] = '\0';
    int rc =
        cm_json_get(root, "items", &found) ? cm_json_items(found, read_operation, &reading) : 0;
    if (rc == 0 && reading.at != lane->body->count)
        rc = bad_answer(self, err);
    if (rc < 0 || reading.again == NULL) {
        if (reading.again != NULL)
            give_body(self, reading.again);
        done_with(self, lane);
        return rc;
    }
    give_body(self, lane->body);
    lane->body = reading.again;
    again_later(lane, 0);
    return 0;
}

/* The server takes no body as large as this. */
static int halve(cm_elastic_bulk_t *self, lane_t *lane, cm_err_t *err)
{
    cm_bulk_body_t *whole = lane->body, *halves[2];
    int rc = 0;

    if (whole->count == 1) {
        rc = refuse(self, whole, &whole->items[0],
                    CM_STR("the server takes no request that large (413)"), err);
        done_with(self, lane);
        return rc;
    }
    for (int half = 0; half < 2; half++)
        halves[half] = new_body(self);
    for (size_t i = 0; i < whole->count; i++)
        cm_bulk_body_take(halves[i >= whole->count / 2], whole, &whole->items[i]);
    give_body(self, whole);
    lane->body = halves[0];
    lane->attempts = 0;
    begin(self, lane);
    halves[1]->next = self->halves;
    self->halves = halves[1];
    return 0;
}

/* Of a whole request: it is said, and tried again. */
static void put_off(cm_elastic_bulk_t *self, lane_t *lane, int status)
{
    cm_buf_t why = CM_BUF_INIT;
    curl_off_t after = 0;

    cm_elastic_reason((cm_str_t){lane->answer.data, lane->answer.len}, &why);
    snprintf(self->trouble, sizeof self->trouble, "%s answers %d: %.400s",
             cm_elastic_access_host(&self->access), status, why.data);
    cm_buf_free(&why);
    curl_easy_getinfo(lane->easy, CURLINFO_RETRY_AFTER, &after);
    again_later(lane, (int64_t)(after < 60 ? after : 60) * 1000);
}

static int take_reply(cm_elastic_bulk_t *self, lane_t *lane, cm_err_t *err)
{
    cm_elastic_reply_t reply = {.body = {lane->answer.data, lane->answer.len}};
    long status;

    curl_easy_getinfo(lane->easy, CURLINFO_RESPONSE_CODE, &status);
    reply.status = (int)status;
    if (reply.body.data == NULL)
        reply.body.data = "";
    if (reply.status == 200)
        return read_items(self, lane, err);
    if (reply.status == 413)
        return halve(self, lane, err);
    int rc = cm_elastic_access_refused(&self->access, &reply, err);
    if (rc < 0)
        return rc;
    if (!cm_elastic_passes(reply.status) && reply.status < 500)
        return cm_elastic_fail(self->access.settings, &reply, "bulk indexing", err);
    put_off(self, lane, reply.status);
    return 0;
}

/* No answer came. */
static int take_failure(cm_elastic_bulk_t *self, lane_t *lane, CURLcode code, cm_err_t *err)
{
    cm_err_t why;

    int rc = cm_elastic_access_fail(&self->access, code, lane->detail, &why);
    if (rc != CM_EAWAY) {
        *err = why;
        return rc;
    }
    snprintf(self->trouble, sizeof self->trouble, "%s", why.text);
    cm_elastic_access_next(&self->access);
    again_later(lane, 0);
    return 0;
}

/* ---- the loop ---- */

static int ask_waiter(cm_elastic_bulk_t *self, cm_err_t *err)
{
    const cm_elastic_settings_t *settings = self->access.settings;
    const cm_waiter_t *waiter = self->options.waiter;
    const char *reason = self->trouble[0] != '\0' ? self->trouble : NULL;
    int64_t now = cm_clock_ticks_ns();
    int rc = 0;

    if (settings->stop != NULL && atomic_load(settings->stop))
        return cm_fail(err, CM_ESTOP, "stopped%s%s", reason != NULL ? " while waiting: " : "",
                       reason != NULL ? reason : "");
    if (waiter == NULL || now - self->asked_ns < CM_WAIT_MS * INT64_C(1000000) / 2)
        return 0;
    self->asked_ns = now;
    rc = waiter->wait(waiter->context, self->counts.retries, reason);
    return rc < 0 ? cm_fail(err, rc, "gave up waiting for Elasticsearch%s%s",
                            reason != NULL ? ": " : "", reason != NULL ? reason : "")
                  : 0;
}

static int take_done(cm_elastic_bulk_t *self, cm_err_t *err)
{
    CURLMsg *message;
    lane_t *lane;
    int left, rc = 0;

    while (rc == 0 && (message = curl_multi_info_read(self->multi, &left)) != NULL) {
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&lane);
        curl_multi_remove_handle(self->multi, lane->easy);
        lane->sending = false;
        rc = code == CURLE_OK ? take_reply(self, lane, err) : take_failure(self, lane, code, err);
    }
    return rc;
}

/* Begins what is due: attempts that have waited, and halves. */
static void begin_due(cm_elastic_bulk_t *self)
{
    int64_t now = cm_clock_ticks_ns();

    for (int i = 0; i < self->lane_count; i++) {
        lane_t *lane = &self->lanes[i];
        if (lane->sending)
            continue;
        if (lane->body == NULL && self->halves != NULL) {
            lane->body = self->halves;
            self->halves = lane->body->next;
            lane->body->next = NULL;
            lane->due_ns = now;
        }
        if (lane->body != NULL && lane->due_ns <= now)
            begin(self, lane);
    }
}

/* Sends and receives for a while. */
static int turn(cm_elastic_bulk_t *self, int wait_ms, cm_err_t *err)
{
    int running;

    begin_due(self);
    curl_multi_perform(self->multi, &running);
    int rc = take_done(self, err);
    if (rc == 0 && wait_ms > 0) {
        curl_multi_poll(self->multi, NULL, 0, wait_ms, NULL);
        curl_multi_perform(self->multi, &running);
        rc = take_done(self, err);
    }
    return rc == 0 ? ask_waiter(self, err) : rc;
}

static lane_t *idle_lane(cm_elastic_bulk_t *self)
{
    for (int i = 0; self->halves == NULL && i < self->lane_count; i++) {
        if (self->lanes[i].body == NULL)
            return &self->lanes[i];
    }
    return NULL;
}

static bool busy(const cm_elastic_bulk_t *self)
{
    for (int i = 0; i < self->lane_count; i++) {
        if (self->lanes[i].body != NULL)
            return true;
    }
    return self->halves != NULL;
}

/* Whether a document of that id is on its way, or waits to be sent again: it must not come to the
 * server after a later one. */
static bool on_its_way(const cm_elastic_bulk_t *self, uint64_t id)
{
    for (int i = 0; i < self->lane_count; i++) {
        if (self->lanes[i].body != NULL && cm_bulk_body_has(self->lanes[i].body, id))
            return true;
    }
    for (const cm_bulk_body_t *half = self->halves; half != NULL; half = half->next) {
        if (cm_bulk_body_has(half, id))
            return true;
    }
    return false;
}

/* Gives what was filled to a connection, and waits for one that is free. */
static int send_filling(cm_elastic_bulk_t *self, cm_err_t *err)
{
    lane_t *lane;
    int rc = 0;

    if (self->filling->count == 0)
        return 0;
    while (rc == 0 && (lane = idle_lane(self)) == NULL)
        rc = turn(self, POLL_MS, err);
    if (rc < 0)
        return rc;
    lane->body = self->filling;
    self->filling = new_body(self);
    begin(self, lane);
    return turn(self, 0, err);
}

static int put(cm_elastic_bulk_t *self, cm_str_t index, cm_str_t id, cm_str_t document,
               cm_err_t *err)
{
    const size_t most = self->access.settings->bulk_bytes;
    cm_bulk_body_t *body = self->filling;
    int rc = 0;

    if (body->count > 0 && body->text.len + document.len + index.len + id.len + 64 > most)
        rc = send_filling(self, err);
    while (rc == 0 && on_its_way(self, cm_bulk_id(id)))
        rc = turn(self, POLL_MS, err);
    if (rc == 0)
        cm_bulk_body_add(self->filling, index, id, document);
    return rc;
}

int cm_elastic_bulk_put(cm_elastic_bulk_t *self, cm_str_t index, cm_str_t id, cm_str_t document,
                        cm_err_t *err)
{
    return put(self, index, id, document, err);
}

int cm_elastic_bulk_remove(cm_elastic_bulk_t *self, cm_str_t index, cm_str_t id, cm_err_t *err)
{
    return put(self, index, id, (cm_str_t){"", 0}, err);
}

int cm_elastic_bulk_flush(cm_elastic_bulk_t *self, cm_err_t *err)
{
    int rc = send_filling(self, err);

    while (rc == 0 && busy(self))
        rc = turn(self, POLL_MS, err);
    return rc;
}

cm_elastic_bulk_counts_t cm_elastic_bulk_counts(const cm_elastic_bulk_t *bulk)
{
    return bulk->counts;
}

/* ---- opening and closing ---- */

static void open_lane(cm_elastic_bulk_t *self, lane_t *lane)
{
    lane->easy = cm_elastic_access_handle(&self->access);
    curl_easy_setopt(lane->easy, CURLOPT_HTTPHEADER, self->headers);
    curl_easy_setopt(lane->easy, CURLOPT_WRITEFUNCTION, take_answer);
    curl_easy_setopt(lane->easy, CURLOPT_WRITEDATA, lane);
    curl_easy_setopt(lane->easy, CURLOPT_ERRORBUFFER, lane->detail);
    curl_easy_setopt(lane->easy, CURLOPT_PRIVATE, lane);
    curl_easy_setopt(lane->easy, CURLOPT_POST, 1L);
}

int cm_elastic_bulk_open(const cm_elastic_bulk_options_t *options, cm_elastic_bulk_t **bulk,
                         cm_err_t *err)
{
    cm_elastic_bulk_t *self = cm_alloc_zero(1, sizeof *self);

    self->options = *options;
    int rc = cm_elastic_access_open(options->settings, &self->access, err);
    if (rc < 0) {
        free(self);
        return rc;
    }
    self->multi = curl_multi_init();
    self->headers = curl_slist_append(NULL, "Content-Type: application/x-ndjson");
    if (options->settings->gzip)
        self->headers = curl_slist_append(self->headers, "Content-Encoding: gzip");
    self->headers = cm_elastic_access_headers(&self->access, self->headers);
    self->parser = cm_json_parser_new();
    self->lane_count = options->settings->connections;
    self->lanes = cm_alloc_zero((size_t)self->lane_count, sizeof *self->lanes);
    for (int i = 0; i < self->lane_count; i++)
        open_lane(self, &self->lanes[i]);
    self->filling = new_body(self);
    *bulk = self;
    return 0;
}

static void free_bodies(cm_bulk_body_t *body)
{
    while (body != NULL) {
        cm_bulk_body_t *next = body->next;
        cm_bulk_body_free(body);
        body = next;
    }
}

void cm_elastic_bulk_close(cm_elastic_bulk_t *self)
{
    if (self == NULL)
        return;
    for (int i = 0; i < self->lane_count; i++) {
        lane_t *lane = &self->lanes[i];
        if (lane->sending)
            curl_multi_remove_handle(self->multi, lane->easy);
        curl_easy_cleanup(lane->easy);
        cm_bulk_body_free(lane->body);
        cm_buf_free(&lane->answer);
    }
    free(self->lanes);
    curl_multi_cleanup(self->multi);
    curl_slist_free_all(self->headers);
    free_bodies(self->filling);
    free_bodies(self->halves);
    free_bodies(self->spare);
    cm_json_parser_free(self->parser);
    cm_elastic_access_close(&self->access);
    free(self);
}
