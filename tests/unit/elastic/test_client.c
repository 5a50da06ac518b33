/* The client of Elasticsearch: where it goes, how it gets in, what it says when it cannot; exact
 * requests to a scripted server. */
#include "certificates.h"
#include "elastic/access.h"
#include "http_fake.h"
#include "pace.h"

static cm_elastic_settings_t settings_of(const char *hosts)
{
    return (cm_elastic_settings_t){
        .hosts = hosts, .index = "cells", .totals = "totals", .timeout_ms = 4000};
}

static cm_elastic_t *open_client(const cm_elastic_settings_t *settings)
{
    cm_elastic_t *client = NULL;
    cm_err_t err = {0};

    assert_ok(cm_elastic_open(settings, &client, &err), err);
    return client;
}

static void check_refused(const cm_elastic_settings_t *settings, const char *sentence)
{
    cm_elastic_t *client = NULL;
    cm_err_t err = {0};

    assert_int_equal(CM_EUSAGE, cm_elastic_open(settings, &client, &err));
    assert_string_equal(sentence, err.text);
    assert_null(client);
}

/* ---- addresses ---- */

static void check_host(const char *hosts, const char *first, size_t count)
{
    cm_elastic_settings_t settings = settings_of(hosts);
    cm_elastic_access_t access;
    cm_err_t err = {0};

    assert_ok(cm_elastic_access_open(&access, &settings, &err), err);
    assert_int_equal(count, access.host_count);
    assert_string_equal(first, access.hosts[0]);
    cm_elastic_access_close(&access);
}

static void test_hosts(void **state)
{
    cm_elastic_settings_t settings = settings_of("");

    (void)state;
    check_host("es", "http://es:9200", 1);
    check_host("es:19200", "http://es:19200", 1);
    check_host("https://es.example", "https://es.example", 1);
    check_host(" http://a:1/, https://b:2/path/ ,", "http://a:1", 2);
    check_host("https://b:2/path/", "https://b:2/path", 1);
    check_host("[::1]:9201", "http://[::1]:9201", 1);
    check_refused(&settings, "elasticsearch.hosts is empty; write http://host:9200");
    settings.hosts = "http://a,http://me:secret@b";
    check_refused(&settings, "elasticsearch.hosts: address 2 has a user in it; give "
                             "elasticsearch.username and elasticsearch.password instead");
    settings.hosts = "ftp://a";
    check_refused(&settings,
                  "elasticsearch.hosts: address 1 begins with neither http:// nor https://");
    settings.hosts = "http://a:port";
    check_refused(&settings, "elasticsearch.hosts: address 1 is not a URL (Port number was not a "
                             "decimal number between 0 and 65535); write http://host:9200");
    settings.hosts = "http://a/?x";
    check_refused(&settings, "elasticsearch.hosts: address 1 has a question mark in it; write "
                             "http://host:9200");
}

static void check_cloud_id(const char *cloud_id, const char *host)
{
    cm_elastic_settings_t settings = {.cloud_id = cloud_id, .timeout_ms = 1000};
    cm_elastic_t *client = open_client(&settings);

    assert_string_equal(host, cm_elastic_host(client));
    cm_elastic_close(client);
}

static void test_cloud_id(void **state)
{
    static const char *const wrong[] = {
        "name:",
        "name:bm8gZG9sbGFy",             /* no dollar */
        "name:JGFiYw==",                 /* $abc */
        "name:ZXUuZXhhbXBsZSQ=",         /* eu.example$ */
        "name:ZXUuZXhhbXBsZTo5OTk5OSRh", /* eu.example:99999$a */
        "name:ZXUuZXhhbXBsZS9wYXRoJGE=", /* eu.example/path$a */
        "name:no base64",
    };

    (void)state;
    /* eu-central-1.aws.cloud.es.io$abc123$def456 */
    check_cloud_id("My deployment:ZXUtY2VudHJhbC0xLmF3cy5jbG91ZC5lcy5pbyRhYmMxMjMkZGVmNDU2",
                   "https://abc123.eu-central-1.aws.cloud.es.io:443");
    /* eu.example:9243$abc$ */
    check_cloud_id("x:ZXUuZXhhbXBsZTo5MjQzJGFiYyQ=", "https://abc.eu.example:9243");
    /* eu.example$abc:9244$def; a name with a colon */
    check_cloud_id("a:b:ZXUuZXhhbXBsZSRhYmM6OTI0NCRkZWY=", "https://abc.eu.example:9244");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cm_elastic_settings_t settings = {.cloud_id = wrong[i], .timeout_ms = 1000};
        check_refused(&settings, "elasticsearch.cloud_id is not valid; copy all of it from the "
                                 "page of the deployment in Elastic Cloud, with the name and the "
                                 "colon");
    }
}

/* ---- requests ---- */

static void test_requests(void **state)
{
    http_fake_t fake;
    cm_elastic_reply_t reply;
    cm_err_t err = {0};
    char expected[400];

    (void)state;
    http_fake_open(&fake, NULL);
    cm_elastic_settings_t settings = settings_of(fake.url);
    cm_elastic_t *client = open_client(&settings);
    http_fake_script(&fake, (http_fake_reply_t){.status = 200, .body = "{\"a\":1}", .gzip = true});
    http_fake_script(&fake, (http_fake_reply_t){.status = 404, .body = "{}"});
    http_fake_script(&fake, (http_fake_reply_t){.status = 201});
    http_fake_script(&fake, (http_fake_reply_t){.status = 200, .body = "not sent"});
    assert_ok(cm_elastic_request(client, "GET", "/", CM_STR(""), &reply, &err), err);
    assert_int_equal(200, reply.status);
    assert_true(cm_str_equal(CM_STR("{\"a\":1}"), reply.body));
    assert_ok(cm_elastic_request(client, "DELETE", "/x", CM_STR(""), &reply, &err), err);
    assert_int_equal(404, reply.status);
    assert_ok(cm_elastic_request(client, "POST", "/x/_refresh", CM_STR(""), &reply, &err), err);
    assert_int_equal(201, reply.status);
    assert_int_equal(0, reply.body.len);
    assert_ok(cm_elastic_request(client, "HEAD", "/x", CM_STR(""), &reply, &err), err);
    assert_int_equal(0, reply.body.len);
    assert_ok(cm_elastic_request(client, "GET", "/x/_search", CM_STR("{}"), &reply, &err), err);

    snprintf(expected, sizeof expected,
             "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: clickmill/" CM_VERSION
             "\r\nAccept-Encoding: gzip\r\nAccept: application/json\r\n\r\n",
             fake.port);
    assert_string_equal(expected, http_fake_head(&fake, 0));
    snprintf(expected, sizeof expected,
             "POST /x/_refresh HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUser-Agent: clickmill/" CM_VERSION
             "\r\nAccept-Encoding: gzip\r\nAccept: application/json\r\nContent-Type: "
             "application/json\r\nContent-Length: 0\r\n\r\n",
             fake.port);
    assert_string_equal(expected, http_fake_head(&fake, 2));
    assert_contains(http_fake_head(&fake, 1), "DELETE /x HTTP/1.1\r\n");
    assert_contains(http_fake_head(&fake, 3), "HEAD /x HTTP/1.1\r\n");
    assert_contains(http_fake_head(&fake, 4), "GET /x/_search HTTP/1.1\r\n");
    assert_string_equal("{}", http_fake_body(&fake, 4));
    assert_int_equal(1, fake.conn_count); /* kept alive */
    cm_elastic_close(client);
    http_fake_close(&fake);
}

static void test_credentials(void **state)
{
    http_fake_t fake;
    cm_elastic_reply_t reply;
    cm_err_t err = {0};

    (void)state;
    http_fake_open(&fake, NULL);
    cm_elastic_settings_t all[3] = {settings_of(fake.url), settings_of(fake.url),
                                    settings_of(fake.url)};
    setenv("CM_TEST_PASSWORD", "pass:word", 1);
    all[0].username = "me";
    all[0].password = "${CM_TEST_PASSWORD}";
    all[1].api_key = "id:key";
    all[2].api_key = "aWQ6a2V5";
    for (int i = 0; i < 3; i++) {
        cm_elastic_t *client = open_client(&all[i]);
        assert_ok(cm_elastic_request(client, "GET", "/", CM_STR(""), &reply, &err), err);
        cm_elastic_close(client);
    }
    assert_contains(http_fake_head(&fake, 0), "\r\nAuthorization: Basic bWU6cGFzczp3b3Jk\r\n");
    assert_contains(http_fake_head(&fake, 1), "\r\nAuthorization: ApiKey aWQ6a2V5\r\n");
    assert_contains(http_fake_head(&fake, 2), "\r\nAuthorization: ApiKey aWQ6a2V5\r\n");

    all[0].api_key = "x";
    check_refused(&all[0], "elasticsearch.api_key replaces elasticsearch.username and "
                           "elasticsearch.password; give one or the other");
    all[0].api_key = all[0].username = NULL;
    check_refused(&all[0], "elasticsearch.username and elasticsearch.password belong together; "
                           "give both or none");
    all[1].api_key = "a\nHost: b";
    check_refused(&all[1],
                  "elasticsearch.api_key holds a control character; is it the right file?");
    all[1].api_key = "${CM_TEST_NOT_SET}";
    check_refused(&all[1], "elasticsearch.api_key: the environment variable CM_TEST_NOT_SET is "
                           "not set");
    all[1].api_key = "";
    check_refused(&all[1], "elasticsearch.api_key is empty; give it or leave it out");
    all[2].ca_file = "/nonexistent.pem";
    check_refused(&all[2], "elasticsearch.ca: cannot read /nonexistent.pem: No such file or "
                           "directory");
    http_fake_close(&fake);
}

/* Answers 401 and 403 end it, with a sentence that has no secret in it. */
static void test_not_allowed(void **state)
{
    http_fake_t fake;
    cm_elastic_reply_t reply;
    cm_err_t err = {0};
    char expected[400];

    (void)state;
    http_fake_open(&fake, NULL);
    cm_elastic_settings_t settings = settings_of(fake.url);
    settings.username = "me";
    settings.password = "secret";
    cm_elastic_t *client = open_client(&settings);
    http_fake_script(&fake,
                     (http_fake_reply_t){.status = 401,
                                         .body = "{\"error\":{\"type\":\"security_exception\","
                                                 "\"reason\":\"unable to authenticate\"}}"});
    http_fake_script(&fake, (http_fake_reply_t){.status = 403, .body = "nginx"});
    assert_int_equal(
        CM_EUSAGE, cm_elastic_request_retrying(client, "GET", "/", CM_STR(""), NULL, &reply, &err));
    snprintf(expected, sizeof expected,
             "Elasticsearch at %s refuses the credentials (security_exception: unable to "
             "authenticate); check elasticsearch.username and elasticsearch.password, or "
             "elasticsearch.api_key",
             fake.url);
    assert_string_equal(expected, err.text);
    assert_int_equal(
        CM_EUSAGE, cm_elastic_request_retrying(client, "GET", "/", CM_STR(""), NULL, &reply, &err));
    snprintf(
        expected, sizeof expected,
        "Elasticsearch at %s does not allow it (nginx); ask its administrator for the right, or "
        "to remove the block from the index",
        fake.url);
    assert_string_equal(expected, err.text);
    cm_elastic_close(client);
    http_fake_close(&fake);
}

static void test_no_redirects(void **state)
{
    http_fake_t fake;
    cm_elastic_reply_t reply;
    cm_err_t err = {0};

    (void)state;
    http_fake_open(&fake, NULL);
    cm_elastic_settings_t settings = settings_of(fake.url);
    cm_elastic_t *client = open_client(&settings);
    http_fake_script(
        &fake, (http_fake_reply_t){.status = 301, .headers = "Location: file:///etc/passwd\r\n"});
    assert_ok(cm_elastic_request(client, "GET", "/", CM_STR(""), &reply, &err), err);
    assert_int_equal(301, reply.status);
    assert_int_equal(CM_EUSAGE, cm_elastic_fail(&settings, &reply, "reading", &err));
    assert_contains(err.text, "leads elsewhere (status 301)");
    assert_int_equal(1, fake.count);
    cm_elastic_close(client);
    http_fake_close(&fake);
}

/* ---- away ---- */

static void test_failover(void **state)
{
    http_fake_t fakes[2];
    cm_elastic_reply_t reply;
    cm_err_t err = {0};
    char hosts[100];

    (void)state;
    for (int i = 0; i < 2; i++)
        http_fake_open(&fakes[i], NULL);
    snprintf(hosts, sizeof hosts, "%s,%s", fakes[0].url, fakes[1].url);
    cm_elastic_settings_t settings = settings_of(hosts);
    cm_elastic_t *client = open_client(&settings);
    http_fake_script(&fakes[0], (http_fake_reply_t){.fault = CLOSE});
    assert_ok(cm_elastic_request(client, "GET", "/a", CM_STR(""), &reply, &err), err);
    assert_ok(cm_elastic_request(client, "GET", "/b", CM_STR(""), &reply, &err), err);
    assert_string_equal(fakes[1].url, cm_elastic_host(client));
    assert_int_equal(1, fakes[0].count);
    assert_int_equal(2, fakes[1].count);
    assert_contains(http_fake_head(&fakes[1], 0), "GET /a ");
    /* Half an answer is none; the first one answers again. */
    http_fake_script(&fakes[1],
                     (http_fake_reply_t){.status = 200, .body = "{\"long\":1}", .fault = CUT});
    assert_ok(cm_elastic_request(client, "GET", "/c", CM_STR(""), &reply, &err), err);
    assert_string_equal(fakes[0].url, cm_elastic_host(client));
    /* libcurl tries once more by itself where a connection that was kept has been closed. */
    for (int i = 0; i < 3; i++)
        http_fake_script(&fakes[i / 2], (http_fake_reply_t){.fault = CLOSE});
    assert_int_equal(CM_EAWAY, cm_elastic_request(client, "GET", "/", CM_STR(""), &reply, &err));
    assert_contains(err.text, fakes[1].url);
    assert_contains(err.text, " does not answer (Empty reply from server); is it running, and has "
                              "elasticsearch.hosts the right http:// or https://?");
    http_fake_script(&fakes[0], (http_fake_reply_t){.fault = GARBAGE});
    assert_int_equal(CM_EUSAGE, cm_elastic_request(client, "GET", "/", CM_STR(""), &reply, &err));
    assert_contains(err.text, "is not Elasticsearch (Received HTTP/0.9 when not allowed); check "
                              "elasticsearch.hosts");
    cm_elastic_close(client);
    for (int i = 0; i < 2; i++)
        http_fake_close(&fakes[i]);
}

/* Again after 429, 502, 503 and 504, each wait longer, and as long as Retry-After wants. */
static void test_ask_again(void **state)
{
    static const int statuses[] = {429, 502, 503, 504};
    http_fake_t fake;
    cm_elastic_reply_t reply;
    cm_err_t err = {0};

    (void)state;
    http_fake_open(&fake, NULL);
    cm_elastic_settings_t settings = settings_of(fake.url);
    cm_elastic_t *client = open_client(&settings);
    for (int i = 0; i < 3; i++)
        http_fake_script(&fake, (http_fake_reply_t){.status = statuses[i]});
    http_fake_script(&fake, (http_fake_reply_t){.status = 504, .headers = "Retry-After: 1\r\n"});
    test_pace_t pace;
    test_pace_start(&pace);
    assert_ok(cm_elastic_request_retrying(client, "PUT", "/x", CM_STR("{}"), NULL, &reply, &err),
              err);
    assert_int_equal(200, reply.status);
    assert_int_equal(5, fake.count);
    static const int least[] = {100, 200, 400, 1000}, most[] = {125, 250, 500, 1250};
    for (int i = 0; i < 4; i++) {
        assert_string_equal("{}", http_fake_body(&fake, i));
        test_pace_check(&pace, http_fake_ms_between(&fake, i, i + 1), least[i], most[i] + 200);
    }
    /* The time is over: the last answer is what came of it. */
    settings.timeout_ms = 300;
    for (int i = 0; i < 3; i++)
        http_fake_script(&fake, (http_fake_reply_t){.status = 503});
    assert_ok(cm_elastic_request_retrying(client, "GET", "/", CM_STR(""), NULL, &reply, &err), err);
    assert_int_equal(503, reply.status);
    assert_int_equal(CM_EAWAY, cm_elastic_fail(&settings, &reply, "reading", &err));
    cm_elastic_close(client);
    http_fake_close(&fake);
    test_pace_end(&pace);
}

/* ---- waiting ---- */

typedef struct asked {
    int calls, with_reason, limit;
    char reason[300];
    uint64_t retries;
    int64_t last_ns, longest_ms;
} asked_t;

static int on_wait(void *context, uint64_t retries, const char *reason)
{
    asked_t *asked = context;
    int64_t now = cm_clock_ticks_ns(), ms = (now - asked->last_ns) / 1000000;

    if (asked->calls > 0 && ms > asked->longest_ms)
        asked->longest_ms = ms;
    asked->last_ns = now;
    asked->calls++;
    asked->with_reason += reason != NULL;
    asked->retries = retries;
    snprintf(asked->reason, sizeof asked->reason, "%s", reason != NULL ? reason : "");
    return asked->calls > asked->limit ? CM_EBUSY : 0;
}

static void test_waiter(void **state)
{
    http_fake_t fake;
    cm_elastic_reply_t reply;
    cm_err_t err = {0};
    asked_t asked = {.limit = 4};
    const cm_waiter_t waiter = {on_wait, &asked};
    char expected[200];

    (void)state;
    http_fake_open(&fake, NULL);
    cm_elastic_settings_t settings = settings_of(fake.url);
    cm_elastic_t *client = open_client(&settings);
    /* Slow, then unable: the waiter hears of the difference. */
    http_fake_script(&fake, (http_fake_reply_t){.status = 200, .delay_ms = 700});
    assert_ok(cm_elastic_request_retrying(client, "GET", "/", CM_STR(""), &waiter, &reply, &err),
              err);
    assert_in_range(asked.calls, 1, 3);
    assert_int_equal(0, asked.with_reason);
    asked = (asked_t){.limit = 4};
    for (int i = 0; i < 10; i++)
        http_fake_script(&fake,
                         (http_fake_reply_t){.status = 503,
                                             .body = "{\"error\":{\"type\":\"master_exception\","
                                                     "\"reason\":\"no master\"}}"});
    test_pace_t pace;
    test_pace_start(&pace);
    assert_int_equal(CM_EBUSY, cm_elastic_request_retrying(client, "GET", "/", CM_STR(""), &waiter,
                                                           &reply, &err));
    assert_int_equal(5, asked.calls);
    assert_true(asked.with_reason >= 4 && asked.retries >= 2);
    test_pace_check(&pace, asked.longest_ms, 0, CM_WAIT_MS);
    snprintf(expected, sizeof expected, "%s: 503 master_exception: no master", fake.url);
    assert_string_equal(expected, asked.reason);
    snprintf(expected, sizeof expected,
             "gave up waiting for Elasticsearch at %s: 503 master_exception: no master", fake.url);
    assert_string_equal(expected, err.text);
    cm_elastic_close(client);
    http_fake_close(&fake);
    test_pace_end(&pace);
}

static void *stop_soon(void *context)
{
    cm_sleep_ms(100);
    atomic_store((atomic_bool *)context, true);
    return NULL;
}

static void test_stop(void **state)
{
    http_fake_t fake;
    cm_elastic_reply_t reply;
    cm_err_t err = {0};
    atomic_bool stop = false;
    pthread_t thread;

    (void)state;
    http_fake_open(&fake, NULL);
    cm_elastic_settings_t settings = settings_of(fake.url);
    settings.stop = &stop;
    cm_elastic_t *client = open_client(&settings);
    http_fake_script(&fake, (http_fake_reply_t){.status = 200, .delay_ms = 3000});
    test_pace_t pace;
    test_pace_start(&pace);
    pthread_create(&thread, NULL, stop_soon, &stop);
    assert_int_equal(
        CM_ESTOP, cm_elastic_request_retrying(client, "GET", "/", CM_STR(""), NULL, &reply, &err));
    test_pace_took(&pace, 50, 600);
    pthread_join(thread, NULL);
    cm_elastic_close(client);
    http_fake_close(&fake);
    test_pace_end(&pace);
}

static void test_timeout(void **state)
{
    http_fake_t fake;
    cm_elastic_reply_t reply;
    cm_err_t err = {0};

    (void)state;
    http_fake_open(&fake, NULL);
    cm_elastic_settings_t settings = settings_of(fake.url);
    settings.timeout_ms = 200;
    cm_elastic_t *client = open_client(&settings);
    http_fake_script(&fake, (http_fake_reply_t){.status = 200, .delay_ms = 3000});
    test_pace_t pace;
    test_pace_start(&pace);
    assert_int_equal(CM_EAWAY, cm_elastic_request(client, "GET", "/", CM_STR(""), &reply, &err));
    test_pace_took(&pace, 150, 900);
    const char *after = strstr(err.text, "timed out after ");
    assert_non_null(after);
    test_pace_check(&pace, strtol(after + strlen("timed out after "), NULL, 10), 200, 209);
    cm_elastic_close(client);
    http_fake_close(&fake);
    test_pace_end(&pace);
}

/* ---- what answers mean ---- */

static void check_fail(int status, const char *body, int code, const char *sentence)
{
    cm_elastic_settings_t settings = settings_of("http://es:9200");
    cm_elastic_reply_t reply = {status, cm_str(body)};
    cm_err_t err = {0};

    assert_int_equal(code, cm_elastic_fail(&settings, &reply, "reading", &err));
    assert_string_equal(sentence, err.text);
}

static void test_fail(void **state)
{
    (void)state;
    check_fail(404,
               "{\"error\":{\"type\":\"index_not_found_exception\",\"reason\":\"no such "
               "index [x]\",\"root_cause\":[{\"reason\":\"no such index [x]\"}]}}",
               CM_EINPUT,
               "reading: Elasticsearch at http://es:9200 has no such thing "
               "(index_not_found_exception: no such index [x]); `clickmill doctor` checks the "
               "index");
    check_fail(400,
               "{\"error\":{\"type\":\"illegal_argument_exception\",\"reason\":\"mapper [a] "
               "cannot be changed\"}}",
               CM_EUSAGE,
               "reading: Elasticsearch at http://es:9200 says: 400 illegal_argument_exception: "
               "mapper [a] cannot be changed; `clickmill doctor` checks the index");
    check_fail(400, "{\"error\":\"no handler found\"}", CM_EIO,
               "reading: Elasticsearch at http://es:9200 says: 400 no handler found; `clickmill "
               "doctor` checks the index");
    check_fail(503,
               "{\"error\":{\"type\":\"search_phase_execution_exception\",\"reason\":\"all "
               "shards failed\",\"root_cause\":[{\"reason\":\"shard is missing\"}]}}",
               CM_EAWAY,
               "reading: Elasticsearch at http://es:9200 is not able to at the moment (503 "
               "search_phase_execution_exception: all shards failed (shard is missing))");
    check_fail(413, "", CM_EUSAGE,
               "reading: the request is too large for Elasticsearch at http://es:9200 (no reason "
               "given); lower elasticsearch.bulk_bytes");
    check_fail(404, "{\"ok\":false,\"message\":\"Unknown resource.\"}", CM_EINPUT,
               "reading: Elasticsearch at http://es:9200 has no such thing (Unknown resource.); "
               "`clickmill doctor` checks the index");
    check_fail(500, "<html>\x1b[31m", CM_EIO,
               "reading: Elasticsearch at http://es:9200 says: 500 <html>\xEF\xBF\xBD[31m; "
               "`clickmill doctor` checks the index");
}

static void check_about(const char *body, bool opensearch, int major, int minor, const char *name)
{
    http_fake_t fake;
    cm_elastic_about_t about;
    cm_err_t err = {0};

    http_fake_open(&fake, NULL);
    cm_elastic_settings_t settings = settings_of(fake.url);
    cm_elastic_t *client = open_client(&settings);
    http_fake_script(&fake, (http_fake_reply_t){.status = 200, .body = body});
    int rc = cm_elastic_about(client, NULL, &about, &err);
    if (name == NULL) {
        assert_int_equal(CM_EUSAGE, rc);
        assert_contains(err.text, "is not Elasticsearch (its answer has no version)");
    } else {
        assert_ok(rc, err);
        assert_int_equal(opensearch, about.opensearch);
        assert_int_equal(major, about.major);
        assert_int_equal(minor, about.minor);
        assert_string_equal(name, about.name);
    }
    cm_elastic_close(client);
    http_fake_close(&fake);
}

static void test_about(void **state)
{
    (void)state;
    check_about("{\"version\":{\"number\":\"8.19.21\"}}", false, 8, 19, "Elasticsearch 8.19.21");
    check_about("{\"version\":{\"distribution\":\"opensearch\",\"number\":\"2.19.6\"}}", true, 2,
                19, "OpenSearch 2.19.6");
    check_about("{\"version\":\"8\"}", false, 0, 0, NULL);
    check_about("<html>", false, 0, 0, NULL);
}

/* ---- TLS ---- */

static char *directory;
static pair_t ca, other_ca, node, foreign;

static int make_certificates(void **state)
{
    (void)state;
    directory = test_directory();
    ca = make_pair("Test CA", NULL, NULL, 1);
    other_ca = make_pair("Other CA", NULL, NULL, 2);
    node = make_pair("node", "IP:127.0.0.1", &ca, 3);
    foreign = make_pair("foreign", "DNS:elsewhere.example", &ca, 4);
    write_pem(directory, "ca.pem", &ca, false);
    write_pem(directory, "other.pem", &other_ca, false);
    return 0;
}

static int drop_certificates(void **state)
{
    pair_t *all[] = {&ca, &other_ca, &node, &foreign};

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        EVP_PKEY_free(all[i]->key);
        X509_free(all[i]->cert);
    }
    test_remove(directory);
    return 0;
}

/* Asks a server with the certificate; `reason` NULL: that goes well. It is the beginning of what
 * libcurl says, whose releases end it in different words; the sentence around it is ours. */
static void check_tls(const pair_t *own, const char *ca_name, bool insecure, const char *reason)
{
    static const char advice[] =
        "); check elasticsearch.ca, and elasticsearch.hosts for https:// and "
        "the name in the certificate";
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    char path[300], begin[500];
    cm_elastic_reply_t reply;
    cm_err_t err = {0};
    http_fake_t fake;

    SSL_CTX_use_certificate(tls, own->cert);
    SSL_CTX_use_PrivateKey(tls, own->key);
    http_fake_open(&fake, tls);
    snprintf(path, sizeof path, "%s/%s", directory, ca_name);
    cm_elastic_settings_t settings = settings_of(fake.url);
    settings.ca_file = insecure ? NULL : path;
    settings.insecure = insecure;
    cm_elastic_t *client = open_client(&settings);
    int rc = cm_elastic_request_retrying(client, "GET", "/", CM_STR(""), NULL, &reply, &err);
    if (reason == NULL) {
        assert_ok(rc, err);
        assert_int_equal(1, fake.count);
    } else {
        assert_int_equal(CM_EUSAGE, rc);
        snprintf(begin, sizeof begin, "no TLS connection to Elasticsearch at %s (%s", fake.url,
                 reason);
        size_t len = strlen(err.text), end = strlen(advice);
        if (strncmp(err.text, begin, strlen(begin)) != 0 || len < strlen(begin) + end)
            fail_msg("%s does not begin with %s", err.text, begin);
        assert_string_equal(advice, err.text + len - end);
        assert_int_equal(0, fake.count);
    }
    cm_elastic_close(client);
    http_fake_close(&fake);
}

static void test_tls(void **state)
{
    (void)state;
    check_tls(&node, "ca.pem", false, NULL);
    check_tls(&node, "other.pem", false,
              "SSL certificate problem: unable to get local issuer certificate");
    check_tls(&foreign, "ca.pem", false,
              "SSL: no alternative certificate subject name matches target ");
    check_tls(&foreign, "", true, NULL);
}

/* https:// to a server without TLS, and http:// to one with it. */
static void test_wrong_scheme(void **state)
{
    http_fake_t fake;
    char hosts[60];
    cm_elastic_reply_t reply;
    cm_err_t err = {0};

    (void)state;
    http_fake_open(&fake, NULL);
    snprintf(hosts, sizeof hosts, "https://127.0.0.1:%d", fake.port);
    cm_elastic_settings_t settings = settings_of(hosts);
    settings.timeout_ms = 500; /* the fake waits for the end of a head */
    cm_elastic_t *client = open_client(&settings);
    int rc = cm_elastic_request(client, "GET", "/", CM_STR(""), &reply, &err);
    assert_int_equal(CM_EAWAY, rc);
    assert_contains(err.text, "has elasticsearch.hosts the right http:// or https://?");
    cm_elastic_close(client);
    http_fake_close(&fake);

    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate(tls, node.cert);
    SSL_CTX_use_PrivateKey(tls, node.key);
    http_fake_open(&fake, tls);
    snprintf(hosts, sizeof hosts, "http://127.0.0.1:%d", fake.port);
    client = open_client(&settings);
    rc = cm_elastic_request(client, "GET", "/", CM_STR(""), &reply, &err);
    assert_true(rc == CM_EAWAY || rc == CM_EUSAGE);
    assert_contains(err.text, "elasticsearch.hosts");
    cm_elastic_close(client);
    http_fake_close(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts),        cmocka_unit_test(test_cloud_id),
        cmocka_unit_test(test_requests),     cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_not_allowed),  cmocka_unit_test(test_no_redirects),
        cmocka_unit_test(test_failover),     cmocka_unit_test(test_ask_again),
        cmocka_unit_test(test_waiter),       cmocka_unit_test(test_stop),
        cmocka_unit_test(test_timeout),      cmocka_unit_test(test_fail),
        cmocka_unit_test(test_about),        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_wrong_scheme),
    };
    return cmocka_run_group_tests(tests, make_certificates, drop_certificates);
}
