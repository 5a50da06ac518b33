/* Files of the dashboard and of the other pages: their headers, their caching, and gzip. */
#include "serve_fake.h"

#include "serve/assets.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

static int setup(void **context)
{
    return serve_rig_open(context, (cm_server_options_t){.threads = 2});
}

static void test_assets(void **context)
{
    static const char *const types[][2] = {
        {"/", "text/html; charset=utf-8"},
        {"/app.js", "text/javascript; charset=utf-8"},
        {"/style.css", "text/css; charset=utf-8"},
        {"/favicon.svg", "image/svg+xml"},
        {"/uplot/uPlot.js", "text/javascript; charset=utf-8"},
        {"/uplot/uPlot.css", "text/css; charset=utf-8"},
        {"/uplot/LICENSE.txt", "text/plain; charset=utf-8"},
    };
    const serve_rig_t *state = *context;

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        const cm_asset_t *asset = cm_asset_find(types[i][0]);
        assert_non_null(asset);
        cm_buf_t reply = client_ask_for(state->port, "GET", types[i][0], "");
        cm_buf_t head = CM_BUF_INIT;
        cm_buf_printf(&head,
                      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: %s\r\n"
                      "Cache-Control: no-cache\r\nETag: %s\r\nVary: Accept-Encoding\r\n%s"
                      "Content-Length: %zu\r\n\r\n",
                      types[i][1], asset->plain.tag, SECURITY, asset->plain.len);
        assert_int_equal(reply.len, head.len + asset->plain.len);
        assert_memory_equal(reply.data, head.data, head.len);
        assert_memory_equal(reply.data + head.len, asset->plain.data, asset->plain.len);
        cm_buf_free(&head);
        cm_buf_free(&reply);
    }
}

/* The tracker is for pages of other sites, and browsers cache it. */
static void test_public_asset(void **context)
{
    const serve_rig_t *state = *context;
    cm_posted_shared_t shared = {.copies = NULL};
    cm_collector_options_t options = {.shared = &shared, .max_body = 1000, .shop = true};
    cm_collector_t *collector;
    cm_err_t err;

    options.inbox = cm_inbox_new(1000, cm_collector_done);
    assert_int_equal(cm_collector_new(&options, &collector, &err), 0);
    cm_server_t *server =
        serve_fake_start(state->fake, (cm_server_options_t){.collector = collector, .shop = true});
    cm_buf_t reply = client_ask_for(cm_server_port(server), "GET", "/clickmill.js", "");

    assert_int_equal(client_status(&reply), 200);
    assert_non_null(strstr(reply.data, "\r\nCross-Origin-Resource-Policy: cross-origin\r\n"));
    assert_null(strstr(reply.data, "same-origin"));
    assert_non_null(strstr(reply.data, "\r\nCache-Control: public, max-age=3600\r\n"));
    assert_non_null(strstr(reply.data, "\r\nX-Content-Type-Options: nosniff\r\n"));
    cm_buf_free(&reply);
    client_expect(
        cm_server_port(server), "/api/status", 200,
        "{\"synthetic\":false,\"collector\":true,\"shop\":true,\"refused\":{\"requests\":0,"
        "\"origins\":[],\"others\":0},\"demo\":null}\n");
    cm_server_stop(server);
    cm_collector_free(collector);
    cm_source_close(cm_inbox_source(options.inbox));
}

static void expect_coding(uint16_t port, const char *accept, bool gzip)
{
    char header[128];

    snprintf(header, sizeof header, "Accept-Encoding: %s\r\n", accept);
    cm_buf_t reply = client_ask_for(port, "GET", "/app.js", header);
    if ((strstr(reply.data, "\r\nContent-Encoding: gzip\r\n") != NULL) != gzip)
        fail_msg("Accept-Encoding: %s", accept);
    cm_buf_free(&reply);
}

static void test_gzip(void **context)
{
    const serve_rig_t *state = *context;
    const cm_asset_t *asset = cm_asset_find("/uplot/uPlot.js");
    cm_buf_t reply = client_ask_for(state->port, "GET", asset->path, "Accept-Encoding: gzip\r\n");
    unsigned char *plain = cm_alloc(asset->plain.len + 1);
    z_stream stream = {0};

    stream.next_in = (unsigned char *)(uintptr_t)client_body(&reply);
    stream.avail_in = (unsigned)(reply.len - (size_t)(client_body(&reply) - reply.data));
    stream.next_out = plain;
    stream.avail_out = (unsigned)asset->plain.len + 1;
    assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.total_out, asset->plain.len);
    assert_memory_equal(plain, asset->plain.data, asset->plain.len);
    inflateEnd(&stream);
    assert_string_not_equal(asset->plain.tag, asset->gzip.tag);
    assert_non_null(strstr(reply.data, asset->gzip.tag));
    free(plain);
    cm_buf_free(&reply);
    expect_coding(state->port, "gzip, deflate, br", true);
    expect_coding(state->port, "br;q=1.0, GZIP;q=0.5", true);
    expect_coding(state->port, "*", true);
    expect_coding(state->port, "br, gzip;q=0", false);
    expect_coding(state->port, "identity", false);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, serve_rig_close)
    const struct CMUnitTest tests[] = {
        TEST(test_assets),
        TEST(test_public_asset),
        TEST(test_gzip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
