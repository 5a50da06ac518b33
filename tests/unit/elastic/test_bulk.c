/* Bulk requests: exact bodies and headers, what is sent again and what is not, what is refused,
 * order, several connections, waits. */
#include "elastic/body.h"
#include "elastic/bulk.h"
#include "http_fake.h"
#include "pace.h"

enum { REFUSALS = 8 };

typedef struct rig {
    http_fake_t fakes[2];
    char hosts[100];
    cm_elastic_settings_t settings;
    cm_elastic_bulk_t *bulk;
    atomic_bool stop;
    int waits, limit;
    int64_t waited_ns, longest_ms;
    char reason[400]; /* the last one that the waiter was told */
    cm_waiter_t waiter;
    char refusals[REFUSALS][400];
    int refused;
    int refused_rc;
    cm_err_t err;
} rig_t;

static int on_refused(void *context, cm_str_t index, cm_str_t id, cm_str_t document,
                      cm_str_t reason, cm_err_t *err)
{
    rig_t *rig = context;

    assert_true(rig->refused < REFUSALS);
    snprintf(rig->refusals[rig->refused++], sizeof rig->refusals[0], "%.*s|%.*s|%.*s|%.*s",
             (int)index.len, index.data, (int)id.len, id.data, (int)document.len, document.data,
             (int)reason.len, reason.data);
    return rig->refused_rc != 0 ? cm_fail(err, rig->refused_rc, "enough") : 0;
}

static int on_wait(void *context, uint64_t retries, const char *reason)
{
    rig_t *rig = context;
    int64_t now = cm_clock_ticks_ns(), ms = (now - rig->waited_ns) / 1000000;

    (void)retries;
    if (rig->waits++ > 0 && ms > rig->longest_ms)
        rig->longest_ms = ms;
    rig->waited_ns = now;
    snprintf(rig->reason, sizeof rig->reason, "%s", reason != NULL ? reason : "");
    return rig->waits > rig->limit ? CM_EAWAY : 0;
}

static void rig_open(rig_t *rig, int hosts, size_t bulk_bytes, int connections)
{
    memset(rig, 0, sizeof *rig);
    rig->limit = 40;
    for (int i = 0; i < hosts; i++)
        http_fake_open(&rig->fakes[i], NULL);
    snprintf(rig->hosts, sizeof rig->hosts, "%s,%s", rig->fakes[0].url, rig->fakes[1].url);
    rig->settings = (cm_elastic_settings_t){.hosts = rig->hosts,
                                            .connections = connections,
                                            .bulk_bytes = bulk_bytes,
                                            .timeout_ms = 20000,
                                            .stop = &rig->stop};
    rig->waiter = (cm_waiter_t){on_wait, rig};
}

static void rig_start(rig_t *rig)
{
    const cm_elastic_bulk_options_t options = {
        .settings = &rig->settings, .waiter = &rig->waiter, .refused = on_refused, .context = rig};

    assert_ok(cm_elastic_bulk_open(&options, &rig->bulk, &rig->err), rig->err);
}

static void rig_close(rig_t *rig)
{
    cm_elastic_bulk_close(rig->bulk);
    for (int i = 0; i < 2; i++) {
        if (rig->fakes[i].port != 0)
            http_fake_close(&rig->fakes[i]);
    }
}

/* Puts {"n":`n`} as "d`n`" into "cells": 48 bytes for one digit. */
#define LINES(n) "{\"index\":{\"_index\":\"cells\",\"_id\":\"d" #n "\"}}\n{\"n\":" #n "}\n"

static int rig_put(rig_t *rig, int n)
{
    char id[20], document[40];

    snprintf(id, sizeof id, "d%d", n);
    snprintf(document, sizeof document, "{\"n\":%d}", n);
    return cm_elastic_bulk_put(rig->bulk, CM_STR("cells"), cm_str(id), cm_str(document), &rig->err);
}

static void rig_put_many(rig_t *rig, int from, int until)
{
    for (int n = from; n <= until; n++)
        assert_ok(rig_put(rig, n), rig->err);
}

static void rig_flush(rig_t *rig)
{
    assert_ok(cm_elastic_bulk_flush(rig->bulk, &rig->err), rig->err);
}

static void check_counts(const rig_t *rig, uint64_t sent, uint64_t removed, uint64_t refused,
                         uint64_t retries, uint64_t bodies)
{
    const cm_elastic_bulk_counts_t counts = cm_elastic_bulk_counts(rig->bulk);

    assert_int_equal(sent, counts.sent);
    assert_int_equal(removed, counts.removed);
    assert_int_equal(refused, counts.refused);
    assert_int_equal(retries, counts.retries);
    assert_int_equal(bodies, counts.bodies);
}

/* Items with these statuses; further ones than `count` are not there. */
static void script_items(http_fake_t *fake, const char *items)
{
    http_fake_script(fake, (http_fake_reply_t){.status = 200, .body = items});
}

#define OK_ITEM "{\"index\":{\"status\":201}}"
#define BUSY_ITEM                                                                                  \
    "{\"index\":{\"status\":429,\"error\":{\"type\":\"es_rejected_execution_exception\","          \
    "\"reason\":\"queue is full\"}}}"

/* ---- bytes ---- */

static void test_exact_bytes(void **state)
{
    char expected[500];
    rig_t rig;

    (void)state;
    rig_open(&rig, 1, 100, 1);
    rig.hosts[strlen(rig.fakes[0].url)] = '\0';
    rig_start(&rig);
    rig_put_many(&rig, 1, 3);
    assert_ok(cm_elastic_bulk_remove(rig.bulk, CM_STR("cells"), CM_STR("a\"b"), &rig.err), rig.err);
    rig_flush(&rig);
    rig_flush(&rig);
    assert_int_equal(2, rig.fakes[0].count);
    assert_string_equal(LINES(1) LINES(2), http_fake_body(&rig.fakes[0], 0));
    assert_string_equal(LINES(3) "{\"delete\":{\"_index\":\"cells\",\"_id\":\"a\\\"b\"}}\n",
                        http_fake_body(&rig.fakes[0], 1));
    snprintf(expected, sizeof expected,
             "POST /_bulk?timeout=5000ms&filter_path=errors HTTP/1.1\r\n"
             "Host: 127.0.0.1:%d\r\nUser-Agent: clickmill/" CM_VERSION "\r\nAccept-Encoding: gzip"
             "\r\nAccept: application/json\r\nContent-Type: application/x-ndjson\r\n"
             "Content-Length: 96\r\n\r\n",
             rig.fakes[0].port);
    assert_string_equal(expected, http_fake_head(&rig.fakes[0], 0));
    assert_int_equal(1, rig.fakes[0].conn_count);
    check_counts(&rig, 3, 1, 0, 0, 2);
    assert_int_equal(96 + 48 + 43, cm_elastic_bulk_counts(rig.bulk).bytes);
    rig_close(&rig);
}

static void test_gzip(void **state)
{
    char part[60];
    rig_t rig;

    (void)state;
    rig_open(&rig, 1, 1 << 20, 2);
    rig.settings.gzip = CM_ELASTIC_GZIP_ON;
    rig_start(&rig);
    for (int turn = 0; turn < 2; turn++) { /* the stream is used again */
        rig_put_many(&rig, 1, 500);
        rig_flush(&rig);
        const http_fake_request_t *request = &rig.fakes[0].requests[turn];
        assert_contains(request->head, "\r\nContent-Type: application/x-ndjson\r\n"
                                       "Content-Encoding: gzip\r\n");
        snprintf(part, sizeof part, "\r\nContent-Length: %zu\r\n", request->wire_bytes);
        assert_contains(request->head, part);
        assert_int_equal(9 * 48 + 90 * 50 + 401 * 52, request->body.len);
        assert_true(request->wire_bytes < request->body.len / 4);
        assert_memory_equal(LINES(1) LINES(2), request->body.data, 96);
    }
    assert_int_equal(rig.fakes[0].requests[0].wire_bytes + rig.fakes[0].requests[1].wire_bytes,
                     cm_elastic_bulk_counts(rig.bulk).wire_bytes);
    rig_close(&rig);
}

/* By default bodies are not compressed within this machine. */
static void test_gzip_by_hosts(void **state)
{
    static const struct {
        const char *hosts;
        cm_elastic_gzip_t gzip;
        bool compresses;
    } cases[] = {
        {"http://127.0.0.1:9200", CM_ELASTIC_GZIP_AUTO, false},
        {"127.8.9.1", CM_ELASTIC_GZIP_AUTO, false},
        {"https://[::1]:9243/path", CM_ELASTIC_GZIP_AUTO, false},
        {"LocalHost:9200", CM_ELASTIC_GZIP_AUTO, false},
        {"http://es.example:9200", CM_ELASTIC_GZIP_AUTO, true},
        {"http://10.0.0.1:9200", CM_ELASTIC_GZIP_AUTO, true},
        {"http://localhost.example", CM_ELASTIC_GZIP_AUTO, true},
        {"http://127.0.0.1:9200,http://10.0.0.1:9200", CM_ELASTIC_GZIP_AUTO, true},
        {"http://127.0.0.1:9200", CM_ELASTIC_GZIP_ON, true},
        {"http://es.example:9200", CM_ELASTIC_GZIP_OFF, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const cm_elastic_settings_t settings = {.hosts = cases[i].hosts, .gzip = cases[i].gzip};
        cm_elastic_access_t access = {0};
        cm_err_t err;
        assert_ok(cm_elastic_access_open(&access, &settings, &err), err);
        assert_int_equal(cases[i].compresses, cm_elastic_access_compresses(&access));
        cm_elastic_access_close(&access);
    }
}

/* A document that is larger than a body goes alone. */
static void test_large_document(void **state)
{
    char large[301] = "{\"n\":\"";
    rig_t rig;

    (void)state;
    memset(large + 6, 'x', 292);
    memcpy(large + 298, "\"}", 2);
    rig_open(&rig, 1, 100, 1);
    rig_start(&rig);
    rig_put_many(&rig, 1, 1);
    assert_ok(
        cm_elastic_bulk_put(rig.bulk, CM_STR("cells"), CM_STR("large"), cm_str(large), &rig.err),
        rig.err);
    rig_put_many(&rig, 2, 2);
    rig_flush(&rig);
    assert_int_equal(3, rig.fakes[0].count);
    assert_string_equal(LINES(1), http_fake_body(&rig.fakes[0], 0));
    assert_int_equal(43 + 301, rig.fakes[0].requests[1].body.len);
    assert_string_equal(LINES(2), http_fake_body(&rig.fakes[0], 2));
    assert_int_equal(CM_EINTERNAL, cm_elastic_bulk_put(rig.bulk, CM_STR("cells"), CM_STR("x"),
                                                       CM_STR("{\n}"), &rig.err));
    rig_close(&rig);
}

/* ---- again ---- */

#define SHORT    "/_bulk?timeout=5000ms&filter_path=errors HTTP/1.1\r\n"
#define DETAILED "/_bulk?timeout=5000ms&filter_path=items.*.status,items.*.error HTTP/1.1\r\n"

/* The server says only whether all went well. What did not is asked for, of the same documents, and
 * from then on at once. */
static void test_short_answers(void **state)
{
    rig_t rig;

    (void)state;
    rig_open(&rig, 1, 1000, 1);
    rig_start(&rig);
    script_items(&rig.fakes[0], "{\"errors\":false}");
    rig_put_many(&rig, 1, 2);
    assert_ok(cm_elastic_bulk_remove(rig.bulk, CM_STR("cells"), CM_STR("d3"), &rig.err), rig.err);
    rig_flush(&rig);
    check_counts(&rig, 2, 1, 0, 0, 1);
    script_items(&rig.fakes[0], "{\"errors\":true}");
    script_items(&rig.fakes[0],
                 "{\"items\":[" OK_ITEM ",{\"index\":{\"status\":400,\"error\":{\"type\":"
                 "\"bad\",\"reason\":\"no\"}}}," BUSY_ITEM "]}");
    rig_put_many(&rig, 1, 3);
    rig_flush(&rig);
    assert_int_equal(4, rig.fakes[0].count);
    assert_contains(http_fake_head(&rig.fakes[0], 0), SHORT);
    assert_contains(http_fake_head(&rig.fakes[0], 1), SHORT);
    assert_contains(http_fake_head(&rig.fakes[0], 2), DETAILED);
    assert_contains(http_fake_head(&rig.fakes[0], 3), DETAILED);
    assert_string_equal(LINES(1) LINES(2) LINES(3), http_fake_body(&rig.fakes[0], 1));
    assert_string_equal(LINES(1) LINES(2) LINES(3), http_fake_body(&rig.fakes[0], 2));
    assert_string_equal(LINES(3), http_fake_body(&rig.fakes[0], 3));
    check_counts(&rig, 4, 1, 1, 1, 4);
    assert_int_equal(1, rig.refused);
    /* A server that repeats only this is an error. */
    script_items(&rig.fakes[0], "{\"errors\":true}");
    rig_put_many(&rig, 1, 1);
    assert_int_equal(CM_EIO, cm_elastic_bulk_flush(rig.bulk, &rig.err));
    assert_contains(rig.err.text, "the answer to a bulk request has no items");
    rig_close(&rig);
}

static void test_only_failed_again(void **state)
{
    rig_t rig;

    (void)state;
    rig_open(&rig, 1, 1000, 1);
    rig_start(&rig);
    script_items(&rig.fakes[0], "{\"items\":[" OK_ITEM "," BUSY_ITEM "," OK_ITEM
                                ",{\"index\":{\"status\":500}},{\"index\":{\"status\":503}}]}");
    script_items(&rig.fakes[0], "{\"items\":[" OK_ITEM "," BUSY_ITEM "," OK_ITEM "]}");
    rig_put_many(&rig, 1, 5);
    test_pace_t pace;
    test_pace_start(&pace);
    rig_flush(&rig);
    assert_int_equal(3, rig.fakes[0].count);
    assert_string_equal(LINES(1) LINES(2) LINES(3) LINES(4) LINES(5),
                        http_fake_body(&rig.fakes[0], 0));
    assert_string_equal(LINES(2) LINES(4) LINES(5), http_fake_body(&rig.fakes[0], 1));
    assert_string_equal(LINES(4), http_fake_body(&rig.fakes[0], 2));
    test_pace_check(&pace, http_fake_ms_between(&rig.fakes[0], 0, 1), 100, 325);
    test_pace_check(&pace, http_fake_ms_between(&rig.fakes[0], 1, 2), 200, 450);
    check_counts(&rig, 5, 0, 0, 2, 3);
    /* Trouble that is over is no reason any more. */
    http_fake_script(&rig.fakes[0], (http_fake_reply_t){.delay_ms = 600});
    rig_put_many(&rig, 6, 6);
    rig_flush(&rig);
    assert_true(rig.waits > 0);
    assert_string_equal("", rig.reason);
    rig_close(&rig);
    test_pace_end(&pace);
}

/* The whole request: unable, then a connection that breaks in the answer, or without one. */
static void test_whole_again(void **state)
{
    rig_t rig;

    (void)state;
    rig_open(&rig, 1, 1000, 1);
    rig.hosts[strlen(rig.fakes[0].url)] = '\0';
    rig_start(&rig);
    http_fake_script(&rig.fakes[0],
                     (http_fake_reply_t){.status = 429, .headers = "Retry-After: 1\r\n"});
    http_fake_script(&rig.fakes[0],
                     (http_fake_reply_t){.status = 500, .body = "{\"error\":\"oh\"}"});
    script_items(&rig.fakes[0], "{\"items\":[" OK_ITEM "," OK_ITEM "]}");
    rig.fakes[0].script[2].fault = CUT;
    rig_put_many(&rig, 1, 2);
    test_pace_t pace;
    test_pace_start(&pace);
    rig_flush(&rig);
    assert_int_equal(4, rig.fakes[0].count);
    for (int i = 0; i < 4; i++)
        assert_string_equal(LINES(1) LINES(2), http_fake_body(&rig.fakes[0], i));
    test_pace_check(&pace, http_fake_ms_between(&rig.fakes[0], 0, 1), 1000, 1450);
    test_pace_check(&pace, http_fake_ms_between(&rig.fakes[0], 1, 2), 200, 450);
    test_pace_check(&pace, http_fake_ms_between(&rig.fakes[0], 2, 3), 400, 700);
    test_pace_check(&pace, rig.longest_ms, 0, CM_WAIT_MS);
    assert_true(rig.waits >= 3);
    check_counts(&rig, 2, 0, 0, 3, 4);
    rig_close(&rig);
    test_pace_end(&pace);
}

static void test_next_host(void **state)
{
    char expected[300];
    rig_t rig;

    (void)state;
    rig_open(&rig, 2, 1000, 1);
    rig_start(&rig);
    http_fake_script(&rig.fakes[0], (http_fake_reply_t){.fault = CLOSE});
    rig_put_many(&rig, 1, 1);
    rig_flush(&rig);
    assert_int_equal(1, rig.fakes[0].count);
    assert_int_equal(1, rig.fakes[1].count);
    assert_string_equal(LINES(1), http_fake_body(&rig.fakes[1], 0));
    check_counts(&rig, 1, 0, 0, 1, 2);

    /* The server is not reachable any more: the waiter gets the reason, and gives up; nothing is
     * lost. */
    for (int i = 0; i < 20; i++) {
        http_fake_script(&rig.fakes[0], (http_fake_reply_t){.fault = CLOSE});
        http_fake_script(&rig.fakes[1], (http_fake_reply_t){.fault = CLOSE});
    }
    rig.waits = 0;
    rig.limit = 3;
    rig_put_many(&rig, 2, 2);
    assert_int_equal(CM_EAWAY, cm_elastic_bulk_flush(rig.bulk, &rig.err));
    assert_contains(rig.reason, ": Empty reply from server");
    snprintf(expected, sizeof expected, "gave up waiting for Elasticsearch at %s", rig.reason);
    assert_string_equal(expected, rig.err.text);
    rig.limit = 1000;
    rig.fakes[0].next = rig.fakes[0].script_count;
    rig.fakes[1].next = rig.fakes[1].script_count;
    rig_flush(&rig);
    assert_int_equal(2, cm_elastic_bulk_counts(rig.bulk).sent);
    rig_close(&rig);
}

/* ---- refused ---- */

static void test_refused(void **state)
{
    rig_t rig;

    (void)state;
    rig_open(&rig, 1, 1000, 1);
    rig_start(&rig);
    script_items(
        &rig.fakes[0],
        "{\"items\":[{\"index\":{\"status\":400,\"error\":{\"type\":\"mapper_parsing_exception\","
        "\"reason\":\"failed to parse field [n]\",\"caused_by\":{\"type\":\"x\",\"reason\":"
        "\"For input string\"}}}}," OK_ITEM ",{\"delete\":{\"status\":404}},"
        "{\"index\":{\"status\":409}}," BUSY_ITEM
        ",{\"delete\":{\"status\":404,\"error\":{\"type\":\"index_not_found_exception\","
        "\"reason\":\"no such index\"}}}]}");
    assert_ok(cm_elastic_bulk_put(rig.bulk, CM_STR("cells"), CM_STR("\"1\""),
                                  CM_STR("{\"n\":\"x\"}"), &rig.err),
              rig.err);
    rig_put_many(&rig, 2, 2);
    assert_ok(cm_elastic_bulk_remove(rig.bulk, CM_STR("cells"), CM_STR("d3"), &rig.err), rig.err);
    rig_put_many(&rig, 4, 5);
    assert_ok(cm_elastic_bulk_remove(rig.bulk, CM_STR("none"), CM_STR("d6"), &rig.err), rig.err);
    rig_flush(&rig);
    assert_int_equal(2, rig.refused);
    assert_string_equal("cells|\"1\"|{\"n\":\"x\"}|mapper_parsing_exception: failed to parse field "
                        "[n] (For input string)",
                        rig.refusals[0]);
    assert_string_equal("cells|d4|{\"n\":4}|status 409", rig.refusals[1]);
    assert_int_equal(2, rig.fakes[0].count);
    assert_string_equal(LINES(5), http_fake_body(&rig.fakes[0], 1));
    check_counts(&rig, 2, 2, 2, 1, 2);
    rig_close(&rig);
}

static void test_refused_ends(void **state)
{
    rig_t rig;

    (void)state;
    rig_open(&rig, 1, 1000, 1);
    rig_start(&rig);
    rig.refused_rc = CM_EIO;
    script_items(&rig.fakes[0], "{\"items\":[{\"index\":{\"status\":400}}]}");
    rig_put_many(&rig, 1, 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(CM_EIO, cm_elastic_bulk_flush(rig.bulk, &rig.err));
        assert_string_equal("enough", rig.err.text);
    }
    assert_int_equal(CM_EIO, rig_put(&rig, 2));
    rig_close(&rig);
}

/* 413 halves, also what comes later; what is too large alone is refused. */
static void test_too_large(void **state)
{
    rig_t rig;

    (void)state;
    rig_open(&rig, 1, 4000, 1);
    rig_start(&rig);
    for (int i = 0; i < 3; i++)
        http_fake_script(&rig.fakes[0], (http_fake_reply_t){.status = 413});
    rig_put_many(&rig, 1, 5);
    test_pace_t pace;
    test_pace_start(&pace);
    rig_flush(&rig);
    /* 240 bytes, 96, 48: then one after the other. */
    assert_int_equal(7, rig.fakes[0].count);
    assert_string_equal(LINES(1) LINES(2) LINES(3) LINES(4) LINES(5),
                        http_fake_body(&rig.fakes[0], 0));
    assert_string_equal(LINES(1) LINES(2), http_fake_body(&rig.fakes[0], 1));
    assert_string_equal(LINES(1), http_fake_body(&rig.fakes[0], 2));
    assert_string_equal(LINES(2), http_fake_body(&rig.fakes[0], 3));
    assert_string_equal(LINES(5), http_fake_body(&rig.fakes[0], 6));
    assert_int_equal(1, rig.refused);
    assert_string_equal("cells|d1|{\"n\":1}|413: 48 bytes are more than the server takes in a "
                        "request",
                        rig.refusals[0]);
    check_counts(&rig, 4, 0, 1, 6, 7);
    test_pace_check(&pace, http_fake_ms_between(&rig.fakes[0], 0, 6), 0, 999);
    /* Later bodies are smaller from the start, but not without end. */
    rig_put_many(&rig, 100, 140);
    rig_flush(&rig);
    assert_int_equal(10, rig.fakes[0].count);
    assert_int_equal(19 * 52, rig.fakes[0].requests[7].body.len);
    rig_close(&rig);
    test_pace_end(&pace);
}

/* ---- errors that end it ---- */

static void check_ends(http_fake_reply_t reply, int code, const char *sentence)
{
    rig_t rig;
    char at[60];

    rig_open(&rig, 1, 1000, 1);
    rig.hosts[strlen(rig.fakes[0].url)] = '\0';
    rig_start(&rig);
    http_fake_script(&rig.fakes[0], reply);
    rig_put_many(&rig, 1, 1);
    assert_int_equal(code, cm_elastic_bulk_flush(rig.bulk, &rig.err));
    assert_contains(rig.err.text, sentence);
    snprintf(at, sizeof at, " at %s ", rig.fakes[0].url);
    assert_contains(rig.err.text, at);
    assert_int_equal(code, cm_elastic_bulk_flush(rig.bulk, &rig.err));
    assert_int_equal(1, rig.fakes[0].count);
    assert_int_equal(0, rig.refused);
    rig_close(&rig);
}

static void test_ends(void **state)
{
    (void)state;
    check_ends((http_fake_reply_t){.status = 401}, CM_EUSAGE, " refuses the credentials ");
    check_ends((http_fake_reply_t){.status = 200,
                                   .body =
                                       "{\"items\":[{\"index\":{\"status\":403,\"error\":{\"type\":"
                                       "\"security_exception\",\"reason\":\"no right\"}}}]}"},
               CM_EUSAGE, " does not allow it (security_exception: no right); ");
    check_ends((http_fake_reply_t){.status = 200,
                                   .body =
                                       "{\"items\":[{\"index\":{\"status\":404,\"error\":{\"type\":"
                                       "\"index_not_found_exception\",\"reason\":\"none\"}}}]}"},
               CM_EINPUT, " has no such thing (index_not_found_exception: none); ");
    check_ends((http_fake_reply_t){.status = 400, .body = "{\"error\":\"oh\"}"}, CM_EIO, "400 oh");
    check_ends((http_fake_reply_t){.status = 302}, CM_EUSAGE, " leads elsewhere ");
    check_ends((http_fake_reply_t){.status = 200, .body = "<html>"}, CM_EIO,
               "(the answer to a bulk request has no items)");
    check_ends((http_fake_reply_t){.status = 200, .body = "{\"items\":[" OK_ITEM "," OK_ITEM "]}"},
               CM_EIO, "(a bulk request of 1 documents has 2 answers)");
    check_ends((http_fake_reply_t){.status = 200, .body = "{\"items\":[{\"index\":{}}]}"}, CM_EIO,
               "(item 0 of a bulk request's answer has no status)");
    check_ends((http_fake_reply_t){.fault = GARBAGE}, CM_EUSAGE, " is not Elasticsearch ");
}

/* ---- order ---- */

/* A document that is put again waits until the older one is settled, retries included. */
static void test_order_of_one_id(void **state)
{
    rig_t rig;

    (void)state;
    rig_open(&rig, 1, 1000, 4);
    rig_start(&rig);
    script_items(&rig.fakes[0], "{\"items\":[" BUSY_ITEM "," OK_ITEM "]}");
    rig_put_many(&rig, 1, 2);
    assert_ok(
        cm_elastic_bulk_put(rig.bulk, CM_STR("cells"), CM_STR("d1"), CM_STR("{\"n\":0}"), &rig.err),
        rig.err);
    assert_int_equal(2, rig.fakes[0].count);
    assert_ok(cm_elastic_bulk_put(rig.bulk, CM_STR("other"), CM_STR("d1"), CM_STR("{}"), &rig.err),
              rig.err);
    assert_int_equal(2, rig.fakes[0].count); /* another index, another document */
    assert_ok(cm_elastic_bulk_remove(rig.bulk, CM_STR("cells"), CM_STR("d1"), &rig.err), rig.err);
    rig_flush(&rig);
    assert_int_equal(4, rig.fakes[0].count);
    assert_string_equal(LINES(1) LINES(2), http_fake_body(&rig.fakes[0], 0));
    assert_string_equal(LINES(1), http_fake_body(&rig.fakes[0], 1));
    assert_string_equal("{\"index\":{\"_index\":\"cells\",\"_id\":\"d1\"}}\n{\"n\":0}\n"
                        "{\"index\":{\"_index\":\"other\",\"_id\":\"d1\"}}\n{}\n",
                        http_fake_body(&rig.fakes[0], 2));
    assert_string_equal("{\"delete\":{\"_index\":\"cells\",\"_id\":\"d1\"}}\n",
                        http_fake_body(&rig.fakes[0], 3));
    rig_close(&rig);
}

/* Distinct hashes, many of one home, that crowd at the end of the table. */
static uint64_t crowded(uint64_t n)
{
    return (n << 32) + 1023 - n % 5;
}

/* The set of ids against a plain list: it grows, and closes gaps, also across its end. */
static void test_ids(void **state)
{
    enum { RANGE = 600 };
    cm_elastic_ids_t ids = {0};
    bool present[RANGE] = {false};
    uint64_t random = 7;

    (void)state;
    assert_false(cm_elastic_ids_has(&ids, 1));
    for (int turn = 0; turn < 20000; turn++) {
        uint64_t n = test_random(&random) % RANGE;
        present[n] = test_random(&random) % 2 == 0;
        if (present[n])
            cm_elastic_ids_add(&ids, crowded(n));
        else
            cm_elastic_ids_remove(&ids, crowded(n));
        if (turn % 500 != 0)
            continue;
        size_t count = 0;
        for (n = 0; n < RANGE; n++) {
            count += present[n];
            assert_int_equal(present[n], cm_elastic_ids_has(&ids, crowded(n)));
        }
        assert_int_equal(count, ids.count);
    }
    cm_elastic_ids_free(&ids);
}

/* ---- connections, waits ---- */

/* The first request is answered only when the second is there. */
static void test_parallel(void **state)
{
    rig_t rig;

    (void)state;
    rig_open(&rig, 1, 100, 2);
    rig.hosts[strlen(rig.fakes[0].url)] = '\0';
    rig_start(&rig);
    for (int i = 0; i < 2; i++)
        http_fake_script(&rig.fakes[0], (http_fake_reply_t){.together = 2});
    for (int i = 0; i < 4; i++)
        http_fake_script(&rig.fakes[0], (http_fake_reply_t){.delay_ms = 30});
    rig_put_many(&rig, 1, 9);
    test_pace_t pace;
    test_pace_start(&pace);
    rig_flush(&rig);
    assert_int_equal(5, rig.fakes[0].count);
    assert_int_equal(2, rig.fakes[0].most_open);
    assert_int_equal(2, rig.fakes[0].conn_count);
    test_pace_check(&pace, http_fake_ms_between(&rig.fakes[0], 0, 1), 0, 999);
    check_counts(&rig, 9, 0, 0, 0, 5);
    rig_close(&rig);
    test_pace_end(&pace);
}

static void *stop_soon(void *context)
{
    cm_sleep_ms(100);
    atomic_store((atomic_bool *)context, true);
    return NULL;
}

/* While a server is slow, and between two attempts. */
static void test_stop(void **state)
{
    pthread_t thread;
    rig_t rig;

    (void)state;
    test_pace_t paces[2];
    for (int turn = 0; turn < 2; turn++) {
        rig_open(&rig, 1, 1000, 1);
        rig_start(&rig);
        http_fake_script(
            &rig.fakes[0],
            turn == 0 ? (http_fake_reply_t){.delay_ms = 5000}
                      : (http_fake_reply_t){.status = 503, .headers = "Retry-After: 30\r\n"});
        rig_put_many(&rig, 1, 1);
        test_pace_start(&paces[turn]);
        pthread_create(&thread, NULL, stop_soon, &rig.stop);
        assert_int_equal(CM_ESTOP, cm_elastic_bulk_flush(rig.bulk, &rig.err));
        test_pace_took(&paces[turn], 50, 600);
        assert_contains(rig.err.text, "stopped while waiting for Elasticsearch at http://");
        pthread_join(thread, NULL);
        rig_close(&rig);
    }
    test_pace_end(&paces[0]);
    test_pace_end(&paces[1]);
}

/* Whatever fails on the way, in the end each document was taken exactly as it was put last. */
static void test_many_faults(void **state)
{
    static const http_fake_reply_t faults[] = {
        {.status = 503}, {.fault = CLOSE}, {.status = 413}, {.status = 429}, {.fault = CLOSE}};
    uint64_t random = 1;
    rig_t rig;

    (void)state;
    rig_open(&rig, 2, 3000, 3);
    rig.settings.gzip = CM_ELASTIC_GZIP_ON;
    rig_start(&rig);
    for (int i = 0; i < 12; i++) {
        http_fake_script(&rig.fakes[i % 2], faults[test_random(&random) % 5]);
        http_fake_script(&rig.fakes[i % 2], (http_fake_reply_t){0});
    }
    rig_put_many(&rig, 1000, 1999);
    rig_flush(&rig);
    assert_int_equal(1000, cm_elastic_bulk_counts(rig.bulk).sent);
    assert_int_equal(0, rig.refused);
    assert_true(cm_elastic_bulk_counts(rig.bulk).retries > 0);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_bytes),     cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_gzip_by_hosts),   cmocka_unit_test(test_short_answers),
        cmocka_unit_test(test_large_document),  cmocka_unit_test(test_only_failed_again),
        cmocka_unit_test(test_whole_again),     cmocka_unit_test(test_next_host),
        cmocka_unit_test(test_refused),         cmocka_unit_test(test_refused_ends),
        cmocka_unit_test(test_too_large),       cmocka_unit_test(test_ends),
        cmocka_unit_test(test_order_of_one_id), cmocka_unit_test(test_ids),
        cmocka_unit_test(test_parallel),        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_many_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
