/* The live stream, and a server that stops while clients are connected. */
#include "pace.h"
#include "serve_fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* The summary as one event. */
#define SUMMARY(updated)                                                                           \
    "event: summary\ndata: "                                                                       \
    "{\"window\":\"all\",\"visitors\":\"users\",\"rows\":[{\"clicks\":17,\"unique_user_count\":5," \
    "\"average_time_spent\":10.0,\"time_spent_sum\":100,\"time_spent_count\":10,"                  \
    "\"average_time_on_page\":7.888888888888889,\"entrances\":4,\"exits\":4}],"                    \
    "\"freshness\":{\"present\":true,\"accepted\":20,\"processed\":19,\"events\":17,"              \
    "\"duplicates\":2,\"cells\":3,\"dead\":1,\"updated_at\":\"" updated "\"}}\n\n"
#define ABSENT                                                                                     \
    "event: summary\ndata: "                                                                       \
    "{\"window\":\"all\",\"visitors\":\"users\",\"rows\":[],\"freshness\":{\"present\":false,"     \
    "\"accepted\":0,\"processed\":0,\"events\":0,\"duplicates\":0,\"cells\":0,\"dead\":0,"         \
    "\"updated_at\":null}}\n\n"

static int setup(void **context)
{
    return serve_rig_open(context, (cm_server_options_t){.idle_seconds = 1});
}

/* An HTTP/1.0 stream has no chunks, so that its bytes are those of the events. */
static int listen_live(uint16_t port)
{
    int fd = client_connect(port);

    assert_true(fd >= 0);
    client_send_text(fd, "GET /api/live HTTP/1.0\r\nHost: localhost\r\n\r\n");
    return fd;
}

/* Reads until `text` has arrived, which must be the end. */
static void expect_text(int fd, const char *text)
{
    cm_buf_t heard = CM_BUF_INIT;

    if (!client_receive(fd, &heard, text))
        fail_msg("expected %s\ngot %s", text, heard.len ? heard.data : "nothing");
    assert_string_equal(heard.data + heard.len - strlen(text), text);
    cm_buf_free(&heard);
}

static void expect_silence(int fd, int ms)
{
    char byte;

    cm_sleep_ms(ms);
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
}

static void test_push(void **context)
{
    const serve_rig_t *state = *context;
    cm_buf_t head = CM_BUF_INIT;
    int fd = listen_live(state->port);

    assert_true(client_receive(fd, &head, "\n\n" SUMMARY("2024-02-29T12:00:00.250Z")));
    client_forget_date(&head);
    assert_string_equal(
        head.data,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/event-stream\r\nCache-Control: "
        "no-store\r\n"
        "X-Accel-Buffering: no\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; "
        "style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'\r\n"
        "Cross-Origin-Resource-Policy: same-origin\r\nReferrer-Policy: no-referrer\r\n"
        "X-Content-Type-Options: nosniff\r\n\r\n"
        "retry: 2000\n\n" SUMMARY("2024-02-29T12:00:00.250Z"));
    cm_buf_free(&head);
    /* Longer than the idle timeout: a stream without messages is not idle. */
    expect_silence(fd, 1700);
    state->fake->updated_at = UPDATED_AT + 1000;
    test_pace_t pace;
    test_pace_start(&pace);
    expect_text(fd, SUMMARY("2024-02-29T12:00:01.250Z"));
    test_pace_took(&pace, 0, 1000);
    /* Another client gets the newest message at once, and the first one gets nothing. */
    int second = listen_live(state->port);
    expect_text(second, "retry: 2000\n\n" SUMMARY("2024-02-29T12:00:01.250Z"));
    expect_silence(fd, 400);
    close(second);
    close(fd);
    test_pace_end(&pace);
}

static void test_chunked(void **context)
{
    const serve_rig_t *state = *context;
    cm_buf_t heard = CM_BUF_INIT;
    int fd = client_connect(state->port);

    client_send_text(fd, "GET /api/live HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_true(client_receive(fd, &heard, SUMMARY("2024-02-29T12:00:00.250Z") "\r\n"));
    assert_non_null(strstr(heard.data, "\r\nTransfer-Encoding: chunked\r\n"));
    assert_non_null(strstr(heard.data, "\r\nretry: 2000\n\n\r\n"));
    cm_buf_clear(&heard);
    cm_server_stop(state->server);
    ((serve_rig_t *)*context)->server = NULL;
    assert_true(client_receive(fd, &heard, NULL));
    assert_string_equal(heard.data, "0\r\n\r\n");
    cm_buf_free(&heard);
    close(fd);
}

static void test_before_first_answer(void **context)
{
    const serve_rig_t *state = *context;

    state->fake->open_rc = CM_EINPUT;
    int fd = listen_live(state->port);
    expect_text(fd, "retry: 2000\n\n" ABSENT);
    state->fake->open_rc = 0;
    expect_text(fd, SUMMARY("2024-02-29T12:00:00.250Z"));
    close(fd);
}

/* Nothing stale: a client that connects after a pause gets the current message. */
static void test_after_pause(void **context)
{
    const serve_rig_t *state = *context;
    int fd = listen_live(state->port);

    expect_text(fd, "retry: 2000\n\n" SUMMARY("2024-02-29T12:00:00.250Z"));
    close(fd);
    /* The server notices the lost client when it sends again. */
    state->fake->updated_at = UPDATED_AT + 1;
    cm_sleep_ms(400);
    state->fake->updated_at = UPDATED_AT + 2;
    cm_sleep_ms(600);
    state->fake->updated_at = UPDATED_AT + 750;
    fd = listen_live(state->port);
    expect_text(fd, "retry: 2000\n\n" SUMMARY("2024-02-29T12:00:01Z"));
    close(fd);
}

static void test_index_fails(void **context)
{
    const serve_rig_t *state = *context;
    cm_buf_t rest = CM_BUF_INIT;
    int fd = listen_live(state->port);

    expect_text(fd, "retry: 2000\n\n" SUMMARY("2024-02-29T12:00:00.250Z"));
    state->fake->freshness_rc = CM_ECORRUPT;
    assert_true(client_receive(fd, &rest, NULL));
    assert_int_equal(rest.len, 0);
    close(fd);
    state->fake->freshness_rc = 0;
    fd = listen_live(state->port);
    expect_text(fd, "retry: 2000\n\n" SUMMARY("2024-02-29T12:00:00.250Z"));
    close(fd);
}

static void test_head(void **context)
{
    const serve_rig_t *state = *context;
    cm_buf_t reply = client_ask_for(state->port, "HEAD", "/api/live", "");

    assert_int_equal(client_status(&reply), 200);
    assert_non_null(strstr(reply.data, "\r\nContent-Type: text/event-stream\r\n"));
    assert_string_equal(client_body(&reply), "");
    cm_buf_free(&reply);
}

enum { STREAMS = 256 };

static void test_too_many(void **context)
{
    const serve_rig_t *state = *context;
    int fds[STREAMS];

    for (int i = 0; i < STREAMS; i++)
        fds[i] = listen_live(state->port);
    for (int i = 0; i < STREAMS; i++)
        expect_text(fds[i], "retry: 2000\n\n" SUMMARY("2024-02-29T12:00:00.250Z"));
    client_expect(state->port, "/api/live", 503,
                  "{\"error\":\"too many live streams are open; ask /api/summary instead\"}\n");
    /* Streams without messages cost no time: all of them need a fraction of a second in a second.
     */
    clock_t start = clock();
    cm_sleep_ms(1000);
    assert_in_range((clock() - start) * 1000 / CLOCKS_PER_SEC, 0, 250);
    /* All of them get the new message, while other requests are answered. */
    state->fake->updated_at = UPDATED_AT + 1000;
    for (int i = 0; i < STREAMS; i++)
        expect_text(fds[i], SUMMARY("2024-02-29T12:00:01.250Z"));
    client_expect(state->port, "/healthz", 200, "ok\n");
    for (int i = 0; i < STREAMS; i++)
        close(fds[i]);
}

/* Streams that wait, that were never read, and that are half closed: none delays the server's stop.
 */
static void test_stop_with_streams(void **context)
{
    serve_rig_t *state = *context;
    cm_buf_t rest = CM_BUF_INIT;
    int fds[30];

    for (int i = 0; i < 30; i++)
        fds[i] = listen_live(state->port);
    expect_text(fds[0], "retry: 2000\n\n" SUMMARY("2024-02-29T12:00:00.250Z"));
    for (int i = 10; i < 20; i++)
        shutdown(fds[i], SHUT_WR);
    for (int i = 20; i < 30; i++)
        close(fds[i]);
    test_pace_t pace;
    test_pace_start(&pace);
    cm_server_stop(state->server);
    state->server = NULL;
    test_pace_took(&pace, 0, 1500);
    assert_true(client_receive(fds[0], &rest, NULL));
    assert_int_equal(rest.len, 0);
    assert_int_equal(client_connect(state->port), -1);
    for (int i = 0; i < 20; i++)
        close(fds[i]);
    test_pace_end(&pace);
}

static void *stop_server(void *context)
{
    cm_server_stop(context);
    return NULL;
}

/* An answer in progress is completed when the server is stopped. */
static void test_stop_finishes_answers(void **context)
{
    serve_rig_t *state = *context;
    cm_buf_t reply = CM_BUF_INIT;
    pthread_t stopper;
    int idle = client_connect(state->port), fd = client_connect(state->port);

    state->fake->query_ms = 500;
    client_send_text(fd, "GET /api/summary HTTP/1.1\r\nHost: localhost\r\n\r\n");
    while (state->fake->querying == 0)
        cm_sleep_ms(1);
    test_pace_t pace;
    test_pace_start(&pace);
    pthread_create(&stopper, NULL, stop_server, state->server);
    state->server = NULL;
    assert_true(client_receive(fd, &reply, NULL));
    assert_int_equal(client_status(&reply), 200);
    assert_non_null(strstr(client_body(&reply), "\"clicks\":17"));
    pthread_join(stopper, NULL);
    test_pace_took(&pace, 300, 2000);
    cm_buf_free(&reply);
    close(fd);
    close(idle);
    test_pace_end(&pace);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, serve_rig_close)
    const struct CMUnitTest tests[] = {
        TEST(test_push),
        TEST(test_chunked),
        TEST(test_after_pause),
        TEST(test_before_first_answer),
        TEST(test_index_fails),
        TEST(test_head),
        TEST(test_too_many),
        TEST(test_stop_with_streams),
        TEST(test_stop_finishes_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
