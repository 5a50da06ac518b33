/* Downloads of all rows: every byte, whatever the size; clients that do not read; errors. */
#include "serve_fake.h"

#include "serve/api.h"
#include "serve/download.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MANY = 30000 };

#define HEADER                                                                                     \
    "url,country,clicks,unique_user_count,average_time_spent,time_spent_sum,time_spent_count,"     \
    "average_time_on_page,entrances,exits\n"

typedef struct state {
    serve_fake_t *fake;
    cm_server_t *server;
    uint16_t port;
    cm_answer_t *rows;
    char (*urls)[240];
} state_t;

/* Many pages, whose rows are about 7 MB of CSV: more than the buffers of sockets. */
static int setup(void **context)
{
    state_t *state = cm_alloc_zero(1, sizeof *state);

    state->rows = cm_alloc_zero(MANY, sizeof *state->rows);
    state->urls = cm_alloc_zero(MANY, sizeof *state->urls);
    for (int i = 0; i < MANY; i++) {
        snprintf(state->urls[i], sizeof state->urls[i], "https://x.example/%05d/%0200d", i, 0);
        state->rows[i] = (cm_answer_t){.dimension = CM_PER_URL,
                                       .window = CM_WINDOW_ALL,
                                       .url = cm_str(state->urls[i]),
                                       .country = CM_STR(""),
                                       .measures = {MANY - i, 1, 0, 0, 0, 0, 0, 0}};
    }
    state->fake = serve_fake_new();
    state->fake->rows = state->rows;
    state->fake->row_count = MANY;
    state->server = serve_fake_start(state->fake, (cm_server_options_t){.threads = 2});
    state->port = cm_server_port(state->server);
    *context = state;
    return 0;
}

static int teardown(void **context)
{
    state_t *state = *context;

    cm_server_stop(state->server);
    serve_fake_free(state->fake);
    free(state->rows);
    free(state->urls);
    free(state);
    return 0;
}

static void add_all(const state_t *state, cm_buf_t *csv)
{
    cm_buf_add_text(csv, HEADER);
    for (int i = 0; i < MANY; i++)
        cm_answer_add_csv(csv, &state->rows[i]);
}

/* Sends an HTTP/1.0 request, whose answer has no chunks. */
static int begin(uint16_t port, const char *method, const char *target)
{
    char request[256];
    int fd = client_connect(port);

    assert_true(fd >= 0);
    snprintf(request, sizeof request, "%s %s HTTP/1.0\r\nHost: localhost\r\n\r\n", method, target);
    client_send_text(fd, request);
    return fd;
}

static void expect_body(int fd, const cm_buf_t *body)
{
    cm_buf_t reply = CM_BUF_INIT;

    assert_true(client_receive(fd, &reply, NULL));
    close(fd);
    assert_int_equal(client_status(&reply), 200);
    assert_int_equal(reply.len - (size_t)(client_body(&reply) - reply.data), body->len);
    assert_memory_equal(client_body(&reply), body->data, body->len);
    cm_buf_free(&reply);
}

static void test_all_rows_as_csv(void **context)
{
    const state_t *state = *context;
    cm_buf_t csv = CM_BUF_INIT;

    add_all(state, &csv);
    assert_true(csv.len > 7000000);
    expect_body(begin(state->port, "GET", "/api/pages?format=csv"), &csv);
    assert_int_equal(state->fake->asked.limit, 0);
    expect_body(begin(state->port, "GET", "/api/pages?format=csv&limit=0"), &csv);
    cm_buf_free(&csv);
}

static void test_all_rows_as_json(void **context)
{
    const state_t *state = *context;
    cm_buf_t json = CM_BUF_INIT;

    cm_buf_add_text(&json, "{\"window\":\"all\",\"visitors\":\"users\",\"rows\":[");
    for (int i = 0; i < MANY; i++) {
        cm_buf_add_text(&json, i > 0 ? ",\n" : "");
        cm_answer_add_json(&json, &state->rows[i]);
    }
    cm_buf_add_text(&json, "],\"freshness\":{\"present\":true,\"accepted\":20,\"processed\":19,"
                           "\"events\":17,\"duplicates\":2,\"cells\":3,\"dead\":1,"
                           "\"updated_at\":\"2024-02-29T12:00:00.250Z\"}}\n");
    expect_body(begin(state->port, "GET", "/api/pages?limit=0"), &json);
    cm_buf_free(&json);
}

/* A short download has a length and an entity tag, as every answer. */
static void test_short_answers(void **context)
{
    const state_t *state = *context;
    cm_buf_t csv = CM_BUF_INIT;

    state->fake->row_count = 2;
    cm_buf_add_text(&csv, HEADER);
    cm_answer_add_csv(&csv, &state->rows[0]);
    cm_answer_add_csv(&csv, &state->rows[1]);
    cm_buf_t reply = client_ask_for(state->port, "GET", "/api/pages?format=csv", "");
    assert_string_equal(client_body(&reply), csv.data);
    assert_non_null(strstr(reply.data, "\r\nETag: \""));
    assert_null(strstr(reply.data, "chunked"));
    cm_buf_free(&reply);
    state->fake->updated_at = 0;
    client_expect(state->port, "/api/pages?format=csv", 200, HEADER);
    state->fake->open_rc = CM_EINPUT;
    client_expect(state->port, "/api/pages?format=csv", 200, HEADER);
    cm_buf_free(&csv);
}

static void test_limits_stay(void **context)
{
    const state_t *state = *context;

    cm_buf_t reply = client_ask_for(state->port, "GET", "/api/pages?format=csv&limit=10000", "");
    assert_int_equal(client_status(&reply), 200);
    assert_non_null(strstr(reply.data, "\r\nContent-Length: "));
    assert_non_null(strstr(reply.data, "https://x.example/09999/"));
    assert_null(strstr(reply.data, "https://x.example/10000/"));
    cm_buf_free(&reply);
}

static void test_head(void **context)
{
    const state_t *state = *context;
    cm_buf_t reply = CM_BUF_INIT;
    int fd = begin(state->port, "HEAD", "/api/pages?format=csv");

    assert_true(client_receive(fd, &reply, NULL));
    assert_int_equal(client_status(&reply), 200);
    assert_string_equal(client_body(&reply), "");
    assert_non_null(strstr(reply.data, "\r\nContent-Type: text/csv; charset=utf-8\r\n"));
    cm_buf_free(&reply);
    close(fd);
}

static void wait_for_handles(const state_t *state)
{
    for (int i = 0; i < 5000 && state->fake->closed < state->fake->opened; i++)
        cm_sleep_ms(1);
    assert_int_equal(state->fake->closed, state->fake->opened);
}

/* A slow client holds no handle, and so no snapshot: but it gets every byte. */
static void test_a_client_that_does_not_read(void **context)
{
    const state_t *state = *context;
    cm_buf_t csv = CM_BUF_INIT;
    int fd = begin(state->port, "GET", "/api/pages?format=csv");

    while (state->fake->opened == 0)
        cm_sleep_ms(1);
    wait_for_handles(state);
    state->fake->row_count = 1; /* a later state of the index is not part of it */
    add_all(state, &csv);
    expect_body(fd, &csv);
    cm_buf_free(&csv);
}

/* A client that never reads is closed like an idle connection, and one that is gone leaves nothing.
 */
static void test_clients_that_go(void **context)
{
    const state_t *state = *context;
    int fds[8];

    for (int i = 0; i < 8; i++)
        fds[i] = begin(state->port, "GET", "/api/pages?format=csv");
    while (state->fake->opened < 8)
        cm_sleep_ms(1);
    for (int i = 0; i < 8; i++)
        close(fds[i]);
    wait_for_handles(state);
    client_expect(state->port, "/healthz", 200, "ok\n");
}

static void test_too_many_files(void **context)
{
    const state_t *state = *context;
    int fds[CM_DOWNLOAD_FILES];

    for (int i = 0; i < CM_DOWNLOAD_FILES; i++) {
        cm_buf_t reply = CM_BUF_INIT;
        fds[i] = begin(state->port, "GET", "/api/pages?format=csv");
        assert_true(client_receive(fds[i], &reply, "\r\n\r\n"));
        assert_int_equal(client_status(&reply), 200);
        cm_buf_free(&reply);
    }
    client_expect(state->port, "/api/pages?format=csv", 503,
                  "{\"error\":\"too many downloads are in progress; try again later\"}\n");
    wait_for_handles(state);
    state->fake->row_count = 1; /* a download without a file is not limited */
    cm_buf_t reply = client_ask_for(state->port, "GET", "/api/pages?format=csv", "");
    assert_int_equal(client_status(&reply), 200);
    cm_buf_free(&reply);
    for (int i = 0; i < CM_DOWNLOAD_FILES; i++)
        close(fds[i]);
}

static void test_failures(void **context)
{
    static const char sentence[] =
        "{\"error\":\"the answers cannot be read; the server's log says why\"}\n";
    const state_t *state = *context;

    state->fake->query_rc = CM_EIO;
    state->fake->row_count = 0;
    client_expect(state->port, "/api/pages?format=csv", 500, sentence);
    state->fake->query_rc = 0;
    state->fake->freshness_rc = CM_ECORRUPT;
    client_expect(state->port, "/api/pages?format=csv", 500, sentence);
    state->fake->freshness_rc = 0;
    state->fake->open_rc = CM_ECORRUPT;
    client_expect(state->port, "/api/pages?format=csv", 500, sentence);
}

/* An error in the middle must not look like the end: the last chunk is not sent. */
static void test_failure_in_the_middle(void **context)
{
    const state_t *state = *context;
    cm_buf_t reply = CM_BUF_INIT;

    state->fake->fail_at = MANY - 1;
    int fd = client_connect(state->port);
    client_send_text(fd, "GET /api/pages?format=csv HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client_receive(fd, &reply, NULL);
    close(fd);
    assert_int_equal(client_status(&reply), 200);
    assert_non_null(strstr(reply.data, "\r\nTransfer-Encoding: chunked\r\n"));
    assert_non_null(strstr(reply.data, "https://x.example/00001/"));
    assert_true(reply.len < 5 || memcmp(reply.data + reply.len - 5, "0\r\n\r\n", 5) != 0);
    cm_buf_free(&reply);
}

static void test_stop_with_downloads(void **context)
{
    state_t *state = *context;
    int unread = begin(state->port, "GET", "/api/pages?format=csv");

    state->fake->query_ms = 200;
    int waiting = begin(state->port, "GET", "/api/pages?format=csv");
    while (state->fake->opened < 2)
        cm_sleep_ms(1);
    int64_t start = cm_clock_ticks_ns();
    cm_server_stop(state->server);
    state->server = NULL;
    assert_true((cm_clock_ticks_ns() - start) / 1000000 < 8000);
    close(unread);
    close(waiting);
}

static void test_rate(void **context)
{
    (void)context;
    assert_false(cm_download_too_slow(0, 0));
    assert_false(cm_download_too_slow(0, 60000));
    assert_true(cm_download_too_slow(0, 60001));
    assert_true(cm_download_too_slow(61439, 60001));
    assert_false(cm_download_too_slow(61440, 60001));
    assert_false(cm_download_too_slow(INT64_C(3) << 30, 3600000));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_all_rows_as_csv),
        TEST(test_all_rows_as_json),
        TEST(test_short_answers),
        TEST(test_limits_stay),
        TEST(test_head),
        TEST(test_a_client_that_does_not_read),
        TEST(test_clients_that_go),
        TEST(test_too_many_files),
        TEST(test_failures),
        TEST(test_failure_in_the_middle),
        TEST(test_stop_with_downloads),
        cmocka_unit_test(test_rate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
