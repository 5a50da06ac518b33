/* The queue of API queries: equal queries are answered once, too many and too slow ones are
 * refused, and requests that need no query do not wait. */
#include "pace.h"
#include "serve_fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CLIENTS = 8 };

/* Sends a GET; the answer is read later. */
static int begin(uint16_t port, const char *target)
{
    cm_buf_t request = CM_BUF_INIT;
    int fd = client_connect(port);

    assert_true(fd >= 0);
    cm_buf_printf(&request, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
                  target);
    client_send(fd, request.data, request.len);
    cm_buf_free(&request);
    return fd;
}

static cm_buf_t end(int fd)
{
    cm_buf_t reply = CM_BUF_INIT;

    assert_true(client_receive(fd, &reply, NULL));
    close(fd);
    return reply;
}

static void expect_end(int fd, int status, const char *words)
{
    cm_buf_t reply = end(fd);

    if (client_status(&reply) != status || strstr(reply.data, words) == NULL)
        fail_msg("expected %d and %s\ngot %s", status, words, reply.data);
    cm_buf_free(&reply);
}

static void wait_for_queries(const serve_fake_t *fake, int count)
{
    for (int i = 0; i < 500 && fake->queries < count; i++)
        cm_sleep_ms(10);
    assert_true(fake->queries >= count);
}

static void test_shared(void **context)
{
    serve_fake_t *fake = serve_fake_new();
    cm_server_t *server = serve_fake_start(fake, (cm_server_options_t){.threads = 2});
    uint16_t port = cm_server_port(server);
    int fds[CLIENTS + 1];
    (void)context;

    /* The running query may be older than the requests that arrive now; these share a second one.
     */
    fake->query_ms = 300;
    fds[0] = begin(port, "/api/summary");
    wait_for_queries(fake, 1);
    for (int i = 1; i <= CLIENTS; i++)
        fds[i] = begin(port, "/api/summary");
    for (int i = 0; i <= CLIENTS; i++)
        expect_end(fds[i], 200, "\"clicks\":17");
    assert_int_equal(fake->queries, 1); /* the second got the kept answer of the first */

    /* The same while the answers change. */
    fake->updated_at = UPDATED_AT + 500;
    fds[0] = begin(port, "/api/summary");
    wait_for_queries(fake, 2);
    fake->updated_at = UPDATED_AT + 750;
    for (int i = 1; i <= CLIENTS; i++)
        fds[i] = begin(port, "/api/summary");
    expect_end(fds[0], 200, "12:00:00.");
    for (int i = 1; i <= CLIENTS; i++)
        expect_end(fds[i], 200, "12:00:01Z");
    assert_int_equal(fake->queries, 3);

    /* While the index does not change, its answers are kept. */
    int before = fake->queries;
    expect_end(begin(port, "/api/summary"), 200, "\"clicks\":17");
    assert_int_equal(fake->queries, before);
    fake->updated_at = UPDATED_AT + 1000;
    expect_end(begin(port, "/api/summary"), 200, "12:00:01.250Z");
    assert_int_equal(fake->queries, before + 1);
    /* Another query is not answered from that. */
    static const char *const others[] = {
        "/api/summary?country=Peru",   "/api/pages",
        "/api/pages?limit=1",          "/api/pages?limit=1&offset=1",
        "/api/pages?limit=1&sort=url", "/api/pages?limit=1&sort=url&reverse=1"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        expect_end(begin(port, others[i]), 200, "rows");
        assert_int_equal(fake->queries, before + 2 + (int)i);
    }
    cm_server_stop(server);
    serve_fake_free(fake);
}

static void test_too_long(void **context)
{
    serve_fake_t *fake = serve_fake_new();
    cm_server_t *server =
        serve_fake_start(fake, (cm_server_options_t){.threads = 1, .question_ms = 200});
    uint16_t port = cm_server_port(server);
    (void)context;

    fake->query_ms = 60000;
    cm_buf_t reply = end(begin(port, "/api/pages"));
    assert_int_equal(client_status(&reply), 503);
    assert_non_null(strstr(reply.data, "\r\nRetry-After: 10\r\n"));
    assert_string_equal(client_body(&reply),
                        "{\"error\":\"the answer takes longer than http.time_limit allows; ask for "
                        "less (from, to, a smaller offset), or for all rows as a download "
                        "(limit=0)\"}\n");
    cm_buf_free(&reply);
    fake->query_ms = 0;
    expect_end(begin(port, "/api/pages"), 200, "\"clicks\":14");
    cm_server_stop(server);
    serve_fake_free(fake);
}

/* The only loop continues while all threads of the queue are busy. */
static void test_others_do_not_wait(void **context)
{
    serve_fake_t *fake = serve_fake_new();
    cm_server_t *server =
        serve_fake_start(fake, (cm_server_options_t){.threads = 1, .question_ms = 3000});
    uint16_t port = cm_server_port(server);
    int fds[2 * CLIENTS];
    char target[64];
    (void)context;

    fake->query_ms = 60000;
    for (int i = 0; i < 2 * CLIENTS; i++) {
        snprintf(target, sizeof target, "/api/pages?limit=%d", i + 1);
        fds[i] = begin(port, target);
    }
    wait_for_queries(fake, 4);
    test_pace_t pace;
    test_pace_start(&pace);
    for (int i = 0; i < 20; i++)
        expect_end(begin(port, "/healthz"), 200, "ok\n");
    test_pace_took(&pace, 0, 1000);
    for (int i = 0; i < 2 * CLIENTS; i++)
        expect_end(fds[i], 503, "Retry-After: 10");
    cm_server_stop(server);
    serve_fake_free(fake);
    test_pace_end(&pace);
}

static void test_too_many(void **context)
{
    enum { MOST = 8 + 256 }; /* as many as there may be threads and waiting queries */
    serve_fake_t *fake = serve_fake_new();
    cm_server_t *server = serve_fake_start(
        fake, (cm_server_options_t){.threads = 1, .question_ms = 2000, .max_connections = 400});
    uint16_t port = cm_server_port(server);
    int fds[MOST + 20], refused = 0;
    char target[64];
    (void)context;

    fake->query_ms = 60000;
    for (int i = 0; i < MOST + 20; i++) {
        snprintf(target, sizeof target, "/api/pages?limit=%d", i + 1);
        fds[i] = begin(port, target);
    }
    for (int i = 0; i < MOST + 20; i++) {
        cm_buf_t reply = end(fds[i]);
        assert_int_equal(client_status(&reply), 503);
        if (strstr(reply.data, "too many queries are waiting; try again later") != NULL) {
            assert_non_null(strstr(reply.data, "\r\nRetry-After: 1\r\n"));
            refused++;
        }
        cm_buf_free(&reply);
    }
    assert_in_range(refused, 20, MOST);
    cm_server_stop(server);
    serve_fake_free(fake);
}

/* A server that stops waits a little for running queries, and refuses the waiting ones. */
static void test_stop(void **context)
{
    serve_fake_t *fake = serve_fake_new();
    cm_server_t *server = serve_fake_start(fake, (cm_server_options_t){.threads = 1});
    int fds[CLIENTS];
    char target[64];
    (void)context;

    fake->query_ms = 60000;
    for (int i = 0; i < CLIENTS; i++) {
        snprintf(target, sizeof target, "/api/pages?limit=%d", i + 1);
        fds[i] = begin(cm_server_port(server), target);
    }
    wait_for_queries(fake, 2);
    cm_server_stop(server);
    for (int i = 0; i < CLIENTS; i++)
        expect_end(fds[i], 503, "the server stops");
    serve_fake_free(fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_others_do_not_wait),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
