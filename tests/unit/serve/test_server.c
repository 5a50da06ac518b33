/* The server: its answers, byte by byte, and the requests that it refuses. */
#include "pace.h"
#include "serve_fake.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define FRESH                                                                                      \
    "\"freshness\":{\"present\":true,\"accepted\":20,\"processed\":19,\"events\":17,"              \
    "\"duplicates\":2,\"cells\":3,\"dead\":1,\"updated_at\":\"2024-02-29T12:00:00.250Z\"}}\n"
#define ABSENT                                                                                     \
    "\"visitors\":\"users\",\"rows\":[],\"freshness\":{\"present\":false,\"accepted\":0,"          \
    "\"processed\":0,\"events\":0,"                                                                \
    "\"duplicates\":0,\"cells\":0,\"dead\":0,\"updated_at\":null}}\n"

static int setup(void **context)
{
    return serve_rig_open(context, (cm_server_options_t){.threads = 2});
}

/* The rows of the fake index at these positions, framed as in the API. */
static char *framed(const char *window, const char *end, size_t count, const size_t *rows)
{
    cm_buf_t text = CM_BUF_INIT;

    cm_buf_printf(&text, "{\"window\":\"%s\",\"visitors\":\"users\",\"rows\":[", window);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            cm_buf_add_text(&text, ",\n");
        cm_answer_add_json(&text, &serve_fake_rows[rows[i]]);
    }
    cm_buf_printf(&text, "],%s", end);
    return text.data;
}

static void expect_rows(uint16_t port, const char *target, const char *window, size_t count,
                        const size_t *rows)
{
    char *body = framed(window, FRESH, count, rows);

    client_expect(port, target, 200, body);
    free(body);
}

static void test_whole_reply(void **context)
{
    const serve_rig_t *state = *context;
    cm_buf_t reply = client_ask_for(state->port, "GET", "/healthz", "");

    assert_string_equal(reply.data,
                        "HTTP/1.1 200 OK\r\nConnection: close\r\n"
                        "Content-Type: text/plain; charset=utf-8\r\n"
                        "Cache-Control: no-store\r\nETag: \"54ea8356d941009d\"\r\n" SECURITY
                        "Content-Length: 3\r\n\r\nok\n");
    cm_buf_free(&reply);
}

static void test_endpoints(void **context)
{
    const serve_rig_t *state = *context;
    uint16_t port = state->port;

    expect_rows(port, "/api/answers", "all", 3, (size_t[]){0, 1, 2});
    expect_rows(port, "/api/answers?limit=1&offset=1", "all", 1, (size_t[]){1});
    expect_rows(port, "/api/answers?country=C%C3%B4te+d%27Ivoire", "all", 1, (size_t[]){2});
    expect_rows(port, "/api/answers?url=*%2Fa*", "all", 1, (size_t[]){2});
    expect_rows(port, "/api/answers?window=day", "day", 0, NULL);
    expect_rows(port, "/api/pages", "all", 1, (size_t[]){3});
    expect_rows(port, "/api/pages?country=Peru", "all", 1, (size_t[]){0});
    expect_rows(port, "/api/countries", "all", 1, (size_t[]){4});
    expect_rows(port, "/api/countries?url=https://x.example/", "all", 2, (size_t[]){0, 1});
    expect_rows(port, "/api/summary", "all", 1, (size_t[]){5});
    expect_rows(port, "/api/summary?country=Peru", "all", 1, (size_t[]){4});
    expect_rows(port, "/api/series", "hour", 2, (size_t[]){6, 7});
    expect_rows(port, "/api/series?window=hour&from=2024-02-29T12:00:00Z", "hour", 1,
                (size_t[]){7});
    expect_rows(port, "/api/series?to=2024-02-29T12:00:00Z", "hour", 1, (size_t[]){6});
}

static void test_json_bytes(void **context)
{
    const serve_rig_t *state = *context;

    client_expect(
        state->port, "/api/summary", 200,
        "{\"window\":\"all\",\"visitors\":\"users\",\"rows\":[{\"clicks\":17,\"unique_user_"
        "count\":5,"
        "\"average_time_spent\":10.0,\"time_spent_sum\":100,\"time_spent_count\":10,"
        "\"average_time_on_page\":7.888888888888889,\"entrances\":4,\"exits\":4}]," FRESH);
}

static void test_csv(void **context)
{
    const serve_rig_t *state = *context;
    cm_buf_t reply = client_ask_for(state->port, "GET", "/api/answers?format=csv", "");

    assert_non_null(strstr(reply.data, "\r\nContent-Type: text/csv; charset=utf-8\r\n"));
    assert_string_equal(
        client_body(&reply),
        "url,country,clicks,unique_user_count,average_time_spent,time_spent_sum,time_spent_count,"
        "average_time_on_page,entrances,exits\n"
        "https://x.example/,Peru,9,4,12.857142857142858,90,7,10.166666666666666,3,2\n"
        "https://x.example/,Chad,5,2,3.3333333333333335,10,3,3.3333333333333335,1,1\n"
        "\"https://x.example/a,\"\"b\"\"\",Côte d'Ivoire,3,1,,0,0,,0,1\n");
    cm_buf_free(&reply);
}

/* All parameters of a request arrive at the index, and nothing else does. */
static void test_query(void **context)
{
    const serve_rig_t *state = *context;
    const cm_index_query_t *asked = &state->fake->asked;

    expect_rows(state->port, "/api/answers", "all", 3, (size_t[]){0, 1, 2});
    assert_int_equal(asked->dimension, CM_PER_CELL);
    assert_int_equal(asked->window, CM_WINDOW_ALL);
    assert_int_equal(asked->sort, CM_SORT_CLICKS);
    assert_int_equal(asked->limit, 100);
    assert_int_equal(asked->offset, 0);
    assert_int_equal(asked->from, 0);
    assert_int_equal(asked->to, 0);
    assert_false(asked->reverse);
    assert_null(asked->url);
    assert_null(asked->country);
    expect_rows(state->port,
                "/api/pages?window=day&url=a%2ab%3f&country=%E4%B8%AD&sort=exits&reverse=1&"
                "limit=10000&offset=7&from=2024-02-28T00:00:00Z&to=2024-02-29T01:00:00%2B01:00",
                "day", 0, NULL);
    assert_int_equal(asked->dimension, CM_PER_CELL);
    assert_int_equal(asked->window, CM_WINDOW_DAY);
    assert_int_equal(asked->sort, CM_SORT_EXITS);
    assert_true(asked->reverse);
    assert_int_equal(asked->limit, 10000);
    assert_int_equal(asked->offset, 7);
    assert_int_equal(asked->from, NOON - 36 * CM_HOUR_MS);
    assert_int_equal(asked->to, NOON - 12 * CM_HOUR_MS);
    assert_string_equal(asked->url, "a*b?");
    assert_string_equal(asked->country, "中");
    expect_rows(state->port, "/api/pages?window=hour&from=2024-02-29&to=2024-03-01&country=x",
                "hour", 0, NULL); /* a date is its first instant */
    assert_int_equal(asked->from, NOON - 12 * CM_HOUR_MS);
    assert_int_equal(asked->to, NOON + 12 * CM_HOUR_MS);
    expect_rows(state->port, "/api/series", "hour", 2, (size_t[]){6, 7});
    assert_int_equal(asked->dimension, CM_PER_NOTHING);
    assert_int_equal(asked->sort, CM_SORT_WINDOW);
    assert_int_equal(asked->limit, 10000);
}

#define ERROR(sentence) "{\"error\":\"" sentence "\"}\n"
#define LIMIT           "limit must be a number from 1 to 10000, or 0 for all rows"
#define KNOWN           "window, url, country, sort, reverse, limit, offset, from, to, format or safe"

static void test_bad_parameters(void **context)
{
    static const char *const cases[][2] = {
        {"window=week", "window must be all, day or hour"},
        {"sort=size", "sort must be clicks, unique_user_count, average_time_spent, time_spent_sum, "
                      "time_spent_count, average_time_on_page, entrances, exits, url, country or "
                      "window"},
        {"limit=-1", LIMIT},
        {"limit=10001", LIMIT},
        {"limit=ten", LIMIT},
        {"limit=99999999999999999999", LIMIT},
        {"offset=-1", "offset must be a number from 0 to 100000; limit=0 downloads all rows"},
        {"offset=100001", "offset must be a number from 0 to 100000; limit=0 downloads all rows"},
        {"safe=yes", "safe must be 0 or 1"},
        {"safe=1", "safe needs format=csv"},
        {"reverse=yes", "reverse must be 0 or 1"},
        {"format=xml", "format must be json or csv"},
        {"url=", "url must be a pattern of 1 to 2048 bytes, where * stands for any characters and "
                 "? for one character"},
        {"country=", "country must be a name of 1 to 256 bytes"},
        {"country", "country needs a value: country=..."},
        {"country=%FF", "country must be UTF-8 text without NUL"},
        {"country=a%00b", "country must be UTF-8 text without NUL"},
        {"window=day&from=yesterday", "from must be a time of 1970 to 2099 in RFC 3339, such as "
                                      "2015-05-17T10:00:00Z"},
        {"window=day&to=2101-01-01T00:00:00Z", "to must be a time of 1970 to 2099 in RFC 3339, "
                                               "such as 2015-05-17T10:00:00Z"},
        {"from=2024-02-29T12:00:00Z", "from needs window=day or window=hour"},
        {"to=2024-02-29T12:00:00Z", "to needs window=day or window=hour"},
        {"window=day&from=2024-02-29T12:00:00Z&to=2024-02-29T12:00:00Z",
         "to must be later than from"},
        {"limit=1&limit=2", "limit is given twice"},
        {"windw=day", "unknown parameter \\\"windw\\\"; known are " KNOWN},
        {"%FF=1", "unknown parameter \\\"?\\\"; known are " KNOWN},
    };
    const serve_rig_t *state = *context;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char target[256], body[512];
        snprintf(target, sizeof target, "/api/answers?%s", cases[i][0]);
        snprintf(body, sizeof body, ERROR("%s"), cases[i][1]);
        client_expect(state->port, target, 400, body);
    }
    client_expect(state->port, "/api/series?window=all", 400,
                  ERROR("window must be day or hour for a series"));
}

static void test_refused(void **context)
{
    const serve_rig_t *state = *context;
    cm_buf_t reply = client_ask_for(state->port, "POST", "/api/answers", "Content-Length: 0\r\n");

    assert_string_equal(reply.data, "HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\n"
                                    "Content-Type: application/json\r\nCache-Control: no-store\r\n"
                                    "Allow: GET, HEAD\r\n" SECURITY
                                    "Content-Length: 28\r\n\r\n" ERROR("use GET or HEAD"));
    cm_buf_free(&reply);
    reply = client_ask_for(state->port, "GET", "/api/answers", "Content-Length: 5\r\n");
    assert_int_equal(client_status(&reply), 413);
    assert_string_equal(client_body(&reply), ERROR("a request to this path must not have a body"));
    cm_buf_free(&reply);
    client_expect(
        state->port, "/nothing", 404,
        ERROR(
            "this path is unknown; the dashboard is at / and the API at /api/answers, /api/pages, "
            "/api/countries, /api/summary, /api/series, /api/status and /api/live"));
    client_expect(
        state->port, "/../etc/passwd", 404,
        ERROR(
            "this path is unknown; the dashboard is at / and the API at /api/answers, /api/pages, "
            "/api/countries, /api/summary, /api/series, /api/status and /api/live"));
}

static void test_long_target(void **context)
{
    const serve_rig_t *state = *context;
    char *target = cm_alloc(64 * 1024 + 1);

    memset(target, 'a', 64 * 1024);
    memcpy(target, "/api/pages?url=", 15);
    target[8192] = '\0';
    client_expect(
        state->port, target, 400,
        ERROR("url must be a pattern of 1 to 2048 bytes, where * stands for any characters and "
              "? for one character"));
    target[8192] = 'a';
    target[8193] = '\0';
    client_expect(state->port, target, 414,
                  ERROR("the URL of the request is longer than 8192 bytes"));
    target[8193] = 'a';
    target[64 * 1024] = '\0';
    cm_buf_t reply = client_ask_for(state->port, "GET", target, "");
    assert_int_equal(client_status(&reply), 414);
    cm_buf_free(&reply);
    free(target);
}

static void test_head(void **context)
{
    const serve_rig_t *state = *context;
    static const char *const targets[] = {"/", "/app.js", "/healthz", "/api/answers",
                                          "/api/answers?limit=0"};

    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        cm_buf_t get = client_ask_for(state->port, "GET", targets[i], "");
        cm_buf_t head = client_ask_for(state->port, "HEAD", targets[i], "");
        assert_string_equal(client_body(&head), "");
        assert_int_equal(head.len, client_body(&get) - get.data);
        assert_memory_equal(head.data, get.data, head.len);
        cm_buf_free(&get);
        cm_buf_free(&head);
    }
}

/* The ETag header's value in `tag`. */
static void tag_of(const cm_buf_t *reply, char tag[64])
{
    const char *at = strstr(reply->data, "ETag: ");

    assert_non_null(at);
    at += strlen("ETag: ");
    snprintf(tag, 64, "%.*s", (int)strcspn(at, "\r\n"), at);
    assert_int_not_equal(tag[0], '\0');
}

static void expect_known(uint16_t port, const char *target)
{
    static const char *const formats[] = {"%s", "W/%s", "\"other\", %s", "*"};
    char tag[64], header[128] = "If-None-Match: ";
    cm_buf_t reply = client_ask_for(port, "GET", target, "");

    tag_of(&reply, tag);
    cm_buf_free(&reply);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        int len = 15 + snprintf(header + 15, sizeof header - 15, formats[i], tag);
        snprintf(header + len, sizeof header - (size_t)len, "\r\n");
        reply = client_ask_for(port, "GET", target, header);
        assert_int_equal(client_status(&reply), 304);
        assert_string_equal(client_body(&reply), "");
        assert_non_null(strstr(reply.data, tag));
        cm_buf_free(&reply);
    }
    reply = client_ask_for(port, "GET", target, "If-None-Match: \"other\", \"\"\r\n");
    assert_int_equal(client_status(&reply), 200);
    cm_buf_free(&reply);
}

static void test_not_modified(void **context)
{
    const serve_rig_t *state = *context;

    expect_known(state->port, "/api/answers");
    expect_known(state->port, "/style.css");
}

/* The paths of the collector are unknown without one. */
static void test_without_collector(void **context)
{
    const serve_rig_t *state = *context;
    static const char *const paths[] = {"/clickmill.js", "/snippet", "/snippet/snippet.js",
                                        "/demo",         "/demo/",   "/demo/cart"};

    client_expect(state->port, "/api/status", 200,
                  "{\"synthetic\":false,\"collector\":false,\"shop\":false,\"refused\":null,"
                  "\"demo\":null}\n");
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        cm_buf_t reply = client_ask_for(state->port, "GET", paths[i], "");
        if (client_status(&reply) != 404)
            fail_msg("status %d of %s", client_status(&reply), paths[i]);
        cm_buf_free(&reply);
    }
}

static int status_for_host(uint16_t port, const char *host)
{
    char request[256];

    snprintf(request, sizeof request,
             "GET /api/summary HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host);
    cm_buf_t reply = client_ask(port, request);
    int status = client_status(&reply);
    if (status == 403)
        assert_string_equal(
            client_body(&reply),
            ERROR("this server answers to the names localhost, 127.0.0.1 and "
                  "[::1] only, to keep other web sites out; http.hosts adds names"));
    cm_buf_free(&reply);
    return status;
}

static void test_host(void **context)
{
    const serve_rig_t *state = *context;

    assert_int_equal(status_for_host(state->port, "localhost:8080"), 200);
    assert_int_equal(status_for_host(state->port, "LOCALHOST"), 200);
    assert_int_equal(status_for_host(state->port, "127.0.0.1:8080"), 200);
    assert_int_equal(status_for_host(state->port, "[::1]:8080"), 200);
    assert_int_equal(status_for_host(state->port, "evil.example:8080"), 403);
    assert_int_equal(status_for_host(state->port, "localhost.evil.example"), 403);
    assert_int_equal(status_for_host(state->port, "127.0.0.1.evil.example"), 403);
    assert_int_equal(status_for_host(state->port, ""), 403);
    assert_int_equal(status_for_host(state->port, "clicks.example.org"), 403);
    cm_server_t *proxied =
        serve_fake_start(state->fake, (cm_server_options_t){.hosts = "a, clicks.example.org"});
    assert_int_equal(status_for_host(cm_server_port(proxied), "clicks.example.org"), 200);
    assert_int_equal(status_for_host(cm_server_port(proxied), "evil.example"), 403);
    cm_server_stop(proxied);
    /* On an address of the network the server has names that it cannot know. */
    cm_server_t *open = serve_fake_start(
        state->fake, (cm_server_options_t){.listen = "0.0.0.0:0", .read_public = true});
    assert_int_equal(status_for_host(cm_server_port(open), "any.example"), 200);
    cm_server_stop(open);
}

static void test_no_answers_yet(void **context)
{
    const serve_rig_t *state = *context;

    state->fake->open_rc = CM_EINPUT;
    client_expect(state->port, "/api/answers?window=day", 200, "{\"window\":\"day\"," ABSENT);
    assert_int_equal(state->fake->opened, 0);
    state->fake->open_rc = 0;
    state->fake->updated_at = 0;
    client_expect(state->port, "/api/answers?format=csv", 200,
                  "url,country,clicks,unique_user_count,average_time_spent,time_spent_sum,"
                  "time_spent_count,average_time_on_page,entrances,exits\n");
    state->fake->updated_at = UPDATED_AT;
    expect_rows(state->port, "/api/pages", "all", 1, (size_t[]){3});
}

static void test_index_fails(void **context)
{
    static const char sentence[] = ERROR("the answers cannot be read; the server's log says why");
    const serve_rig_t *state = *context;

    state->fake->open_rc = CM_EVERSION;
    client_expect(state->port, "/api/answers", 500, sentence);
    state->fake->open_rc = 0;
    state->fake->freshness_rc = CM_ECORRUPT;
    client_expect(state->port, "/api/answers", 500, sentence);
    state->fake->freshness_rc = 0;
    state->fake->query_rc = CM_ECORRUPT;
    client_expect(state->port, "/api/answers", 500, sentence);
    state->fake->query_rc = 0;
    assert_int_equal(state->fake->opened, 2);
    assert_int_equal(state->fake->closed, 2);
    expect_rows(state->port, "/api/pages", "all", 1, (size_t[]){3});
    expect_rows(state->port, "/api/pages", "all", 1, (size_t[]){3});
    assert_int_equal(state->fake->opened, 3);
}

static void test_split_request(void **context)
{
    static const char request[] = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
                                  "Connection: close\r\n\r\n";
    const serve_rig_t *state = *context;
    cm_buf_t reply = CM_BUF_INIT;
    int fd = client_connect(state->port);

    for (size_t i = 0; i + 1 < sizeof request; i++) {
        client_send(fd, request + i, 1);
        cm_sleep_ms(1);
    }
    assert_true(client_receive(fd, &reply, NULL));
    assert_int_equal(client_status(&reply), 200);
    assert_string_equal(client_body(&reply), "ok\n");
    cm_buf_free(&reply);
    close(fd);
}

static void test_one_connection(void **context)
{
    const serve_rig_t *state = *context;
    cm_buf_t replies = CM_BUF_INIT;
    int fd = client_connect(state->port);

    /* Two at once, and one more when they are answered. */
    client_send_text(fd, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
                         "GET /api/pages HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(client_receive(fd, &replies, FRESH));
    assert_non_null(strstr(replies.data, "\r\n\r\nok\nHTTP/1.1 200 OK\r\n"));
    cm_buf_clear(&replies);
    client_send_text(fd, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(client_receive(fd, &replies, "\r\n\r\nok\n"));
    cm_buf_free(&replies);
    close(fd);
}

/* Each of them is answered with an error or not at all, and its connection is closed. */
static void test_garbage(void **context)
{
    static const char *const requests[] = {
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nno colon\r\n\r\n",
        "\x16\x03\x01\x02\n",
        "GET / HTTP/9.9\r\n\r\n",
    };
    const serve_rig_t *state = *context;
    cm_server_t *server = serve_fake_start(state->fake, (cm_server_options_t){.idle_seconds = 1});
    uint16_t port = cm_server_port(server);

    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        int fd = client_connect(port);
        client_send_text(fd, requests[i]);
        shutdown(fd, SHUT_WR);
        cm_buf_t reply = CM_BUF_INIT;
        assert_true(client_receive(fd, &reply, NULL));
        assert_int_not_equal(client_status(&reply), 200);
        cm_buf_free(&reply);
        close(fd);
    }
    client_expect(port, "/healthz", 200, "ok\n");
    cm_server_stop(server);
}

enum { CLIENTS = 50, ROUNDS = 10 };

typedef struct client {
    pthread_t thread;
    uint16_t port;
    const char *body;
    int good;
} client_t;

static void *run_client(void *context)
{
    client_t *client = context;

    for (int i = 0; i < ROUNDS; i++) {
        cm_buf_t reply = CM_BUF_INIT;
        int fd = client_connect(client->port);
        client_send_text(
            fd, "GET /api/answers HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        client->good +=
            client_receive(fd, &reply, NULL) && strcmp(client_body(&reply), client->body) == 0;
        cm_buf_free(&reply);
        close(fd);
    }
    return NULL;
}

static void test_many_clients(void **context)
{
    const serve_rig_t *state = *context;
    char *body = framed("all", FRESH, 3, (size_t[]){0, 1, 2});
    client_t clients[CLIENTS];

    state->fake->query_ms = 1;
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (client_t){.port = state->port, .body = body};
        assert_int_equal(pthread_create(&clients[i].thread, NULL, run_client, &clients[i]), 0);
    }
    for (int i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_equal(clients[i].good, ROUNDS);
    }
    assert_in_range(state->fake->opened, 1, 2);
    free(body);
}

static void test_limits(void **context)
{
    const serve_rig_t *state = *context;
    cm_server_t *server = serve_fake_start(
        state->fake, (cm_server_options_t){.threads = 2, .max_connections = 4, .idle_seconds = 1});
    uint16_t port = cm_server_port(server);
    cm_buf_t nothing = CM_BUF_INIT;
    int fds[20];

    /* All connect, because the kernel accepts them; the silent ones are closed to make room. */
    for (int i = 0; i < 20; i++) {
        fds[i] = client_connect(port);
        assert_true(fds[i] >= 0);
    }
    test_pace_t pace;
    test_pace_start(&pace);
    assert_true(client_receive(fds[0], &nothing, NULL));
    test_pace_took(&pace, 300, 5000);
    for (int i = 0; i < 20; i++)
        close(fds[i]);
    client_expect(port, "/healthz", 200, "ok\n");
    cm_buf_free(&nothing);
    cm_server_stop(server);
    test_pace_end(&pace);
}

static void test_port_in_use(void **context)
{
    const serve_rig_t *state = *context;
    char listen[32], sentence[200];
    cm_server_t *second = NULL;
    cm_err_t err;

    snprintf(listen, sizeof listen, "127.0.0.1:%d", state->port);
    snprintf(sentence, sizeof sentence, "port %d of 127.0.0.1 is in use by process %ld (`%.88s",
             state->port, (long)getpid(), program_invocation_name);
    cm_server_options_t options = {
        .listen = listen, .open_index = serve_fake_open, .open_context = state->fake};
    assert_int_equal(cm_server_start(&options, &serve_fake_log, &second, &err), CM_EBUSY);
    assert_memory_equal(err.text, sentence, strlen(sentence));
    assert_non_null(strstr(err.text, "`); stop it, or choose another port with --listen"));
    assert_null(second);
}

/* Without `open_index` the embedded index of the directory is served. */
static void test_embedded(void **context)
{
    cm_server_options_t options = {.listen = "127.0.0.1:0", .data_dir = "/nonexistent/data"};
    cm_server_t *server = NULL;
    cm_err_t err;
    (void)context;

    assert_int_equal(cm_server_start(&options, &serve_fake_log, &server, &err), 0);
    client_expect(cm_server_port(server), "/api/summary", 200, "{\"window\":\"all\"," ABSENT);
    cm_server_stop(server);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, serve_rig_close)
    const struct CMUnitTest tests[] = {
        TEST(test_whole_reply),
        TEST(test_endpoints),
        TEST(test_json_bytes),
        TEST(test_csv),
        TEST(test_query),
        TEST(test_bad_parameters),
        TEST(test_refused),
        TEST(test_long_target),
        TEST(test_head),
        TEST(test_not_modified),
        TEST(test_without_collector),
        TEST(test_host),
        TEST(test_no_answers_yet),
        TEST(test_index_fails),
        TEST(test_split_request),
        TEST(test_one_connection),
        TEST(test_garbage),
        TEST(test_many_clients),
        TEST(test_limits),
        TEST(test_port_in_use),
        cmocka_unit_test(test_embedded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
