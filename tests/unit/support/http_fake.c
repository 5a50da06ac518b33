#include "http_fake.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <signal.h>
#include <sys/socket.h>
#include <zlib.h>

/* ---- bytes ---- */

static ssize_t fake_read(http_fake_conn_t *c, char *data, size_t cap)
{
    return c->ssl != NULL ? SSL_read(c->ssl, data, (int)cap) : recv(c->fd, data, cap, 0);
}

static void fake_write(http_fake_conn_t *c, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = c->ssl != NULL ? SSL_write(c->ssl, data, (int)len)
                                   : send(c->fd, data, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        data += n;
        len -= (size_t)n;
    }
}

/* Appends `text` compressed, or with `inflates` the contrary. */
static void fake_gzip(cm_buf_t *out, const char *text, size_t len, bool inflates)
{
    z_stream stream = {0};
    int rc = Z_OK;

    if (inflates)
        inflateInit2(&stream, 15 + 16);
    else
        deflateInit2(&stream, 1, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    stream.next_in = (Bytef *)(uintptr_t)text;
    stream.avail_in = (uInt)len;
    while (rc == Z_OK) {
        cm_buf_reserve(out, 65536);
        stream.next_out = (Bytef *)out->data + out->len;
        stream.avail_out = 65536;
        rc = inflates ? inflate(&stream, Z_NO_FLUSH) : deflate(&stream, Z_FINISH);
        out->len += 65536 - stream.avail_out;
    }
    assert_int_equal(Z_STREAM_END, rc);
    out->data[out->len] = '\0';
    if (inflates)
        inflateEnd(&stream);
    else
        deflateEnd(&stream);
}

/* ---- answers ---- */

/* Items that say that each document of the body was taken: the first lines stand for them. */
static void fake_take_all(cm_buf_t *out, const cm_buf_t *body)
{
    const char *at = body->data, *comma = "";

    cm_buf_add_text(out, "{\"items\":[");
    while (at != NULL && *at != '\0') {
        bool removes = strncmp(at, "{\"delete\"", 9) == 0;
        if (!removes && strncmp(at, "{\"index\"", 8) != 0)
            break;
        cm_buf_printf(out, "%s{\"%s\":{\"status\":%d}}", comma, removes ? "delete" : "index",
                      removes ? 200 : 201);
        comma = ",";
        for (int lines = removes ? 1 : 2; lines > 0 && at != NULL; lines--)
            at = (at = strchr(at, '\n')) != NULL ? at + 1 : NULL;
    }
    cm_buf_add_text(out, "]}");
}

/* Sends the answer; false: the connection is to be closed. */
static bool fake_answer(http_fake_conn_t *c, const http_fake_reply_t *reply,
                        const http_fake_request_t *request)
{
    cm_buf_t body = CM_BUF_INIT, text = CM_BUF_INIT;
    const int status = reply->status != 0 ? reply->status : 200;
    const bool head = strncmp(request->head, "HEAD ", 5) == 0;

    if (reply->fault == CLOSE)
        return false;
    if (reply->fault == GARBAGE) {
        fake_write(c, "\x16\x03 no HTTP at all\r\n\r\n", 20);
        return false;
    }
    if (reply->body != NULL && reply->gzip)
        fake_gzip(&body, reply->body, strlen(reply->body), false);
    else if (reply->body != NULL)
        cm_buf_add_text(&body, reply->body);
    else if (reply->status == 0)
        fake_take_all(&body, &request->body);
    cm_buf_printf(&text, "HTTP/1.1 %d Whatever\r\n%s%scontent-length: %zu\r\n\r\n", status,
                  reply->headers != NULL ? reply->headers : "",
                  reply->gzip ? "content-encoding: gzip\r\n" : "", body.len);
    if (!head)
        cm_buf_add(&text, body.data, body.len);
    fake_write(c, text.data, reply->fault == CUT ? text.len - body.len / 2 - 1 : text.len);
    cm_buf_free(&body);
    cm_buf_free(&text);
    return reply->fault == NO_FAULT;
}

static void fake_hold(http_fake_t *fake, int together, int64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    ms += until.tv_nsec / 1000000;
    until.tv_sec += ms / 1000;
    until.tv_nsec = ms % 1000 * 1000000;
    while (!fake->ending && (together == 0 || fake->most_open < together) &&
           pthread_cond_timedwait(&fake->changed, &fake->lock, &until) == 0)
        ;
}

/* ---- requests ---- */

static bool fake_serve(http_fake_conn_t *c, http_fake_request_t request)
{
    http_fake_t *fake = c->fake;

    pthread_mutex_lock(&fake->lock);
    assert_true(fake->count < FAKE_REQUESTS);
    http_fake_request_t *kept = &fake->requests[fake->count++];
    *kept = request;
    kept->conn = c->number;
    kept->at_ns = cm_clock_ticks_ns();
    http_fake_reply_t reply = {0};
    cm_buf_t body = CM_BUF_INIT;
    if (fake->next < fake->script_count) {
        reply = fake->script[fake->next++];
    } else if (fake->answer != NULL) {
        reply.status = fake->answer(fake->context, kept, &body);
        reply.body = body.data;
    }
    fake->open++;
    fake->most_open = fake->open > fake->most_open ? fake->open : fake->most_open;
    pthread_cond_broadcast(&fake->changed);
    if (reply.together > 0)
        fake_hold(fake, reply.together, FAKE_WAIT_MS);
    if (reply.delay_ms > 0)
        fake_hold(fake, 0, reply.delay_ms);
    fake->open--;
    bool goes_on = !fake->ending;
    pthread_mutex_unlock(&fake->lock);
    goes_on = goes_on && fake_answer(c, &reply, &request);
    cm_buf_free(&body);
    return goes_on;
}

/* Reads head and body of a request. */
static bool fake_receive(http_fake_conn_t *c, cm_buf_t *in, http_fake_request_t *request)
{
    const char *end = NULL, *length;
    size_t body_len = 0, head_len = 0;

    for (;;) {
        if (head_len == 0 && in->len > 0 && (end = strstr(in->data, "\r\n\r\n")) != NULL) {
            head_len = (size_t)(end + 4 - in->data);
            length = strcasestr(in->data, "\r\ncontent-length: ");
            body_len = length != NULL && length < end ? strtoul(length + 18, NULL, 10) : 0;
        }
        if (head_len > 0 && in->len >= head_len + body_len)
            break;
        cm_buf_reserve(in, 65536);
        ssize_t n = fake_read(c, in->data + in->len, 65536);
        if (n <= 0)
            return false;
        in->len += (size_t)n;
        in->data[in->len] = '\0';
    }
    *request = (http_fake_request_t){.head = strndup(in->data, head_len), .wire_bytes = body_len};
    cm_buf_reserve(&request->body, 1);
    if (strcasestr(request->head, "\r\ncontent-encoding: gzip\r\n") != NULL)
        fake_gzip(&request->body, in->data + head_len, body_len, true);
    else
        cm_buf_add(&request->body, in->data + head_len, body_len);
    in->len -= head_len + body_len;
    memmove(in->data, in->data + head_len + body_len, in->len + 1);
    return true;
}

static void *fake_run_conn(void *context)
{
    http_fake_conn_t *c = context;
    cm_buf_t in = CM_BUF_INIT;
    http_fake_request_t request;
    bool goes_on = true;

    if (c->fake->tls != NULL) {
        c->ssl = SSL_new(c->fake->tls);
        SSL_set_fd(c->ssl, c->fd);
        goes_on = SSL_accept(c->ssl) == 1;
    }
    while (goes_on && fake_receive(c, &in, &request))
        goes_on = fake_serve(c, request);
    SSL_free(c->ssl);
    ERR_clear_error();
    shutdown(c->fd, SHUT_RDWR);
    cm_buf_free(&in);
    return NULL;
}

static void *fake_run(void *context)
{
    http_fake_t *fake = context;
    int fd;

    while ((fd = accept(fake->listener, NULL, NULL)) >= 0) {
        pthread_mutex_lock(&fake->lock);
        assert_true(fake->conn_count < FAKE_CONNS);
        http_fake_conn_t *c = &fake->conns[fake->conn_count];
        *c = (http_fake_conn_t){.fake = fake, .fd = fd, .number = fake->conn_count++};
        pthread_create(&c->thread, NULL, fake_run_conn, c);
        pthread_mutex_unlock(&fake->lock);
    }
    return NULL;
}

/* ---- for the tests ---- */

void http_fake_open(http_fake_t *fake, SSL_CTX *tls)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;

    memset(fake, 0, sizeof *fake);
    fake->tls = tls;
    signal(SIGPIPE, SIG_IGN);
    pthread_mutex_init(&fake->lock, NULL);
    pthread_cond_init(&fake->changed, NULL);
    fake->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(0, bind(fake->listener, (struct sockaddr *)&address, len));
    assert_int_equal(0, listen(fake->listener, 16));
    getsockname(fake->listener, (struct sockaddr *)&address, &len);
    fake->port = ntohs(address.sin_port);
    snprintf(fake->url, sizeof fake->url, "%s://127.0.0.1:%d", tls != NULL ? "https" : "http",
             fake->port);
    assert_int_equal(0, pthread_create(&fake->thread, NULL, fake_run, fake));
}

void http_fake_script(http_fake_t *fake, http_fake_reply_t reply)
{
    pthread_mutex_lock(&fake->lock);
    assert_true(fake->script_count < FAKE_SCRIPT);
    fake->script[fake->script_count++] = reply;
    pthread_mutex_unlock(&fake->lock);
}

void http_fake_answer_by(http_fake_t *fake, http_fake_answer_fn answer, void *context)
{
    pthread_mutex_lock(&fake->lock);
    fake->answer = answer;
    fake->context = context;
    pthread_mutex_unlock(&fake->lock);
}

void http_fake_close(http_fake_t *fake)
{
    pthread_mutex_lock(&fake->lock);
    fake->ending = true;
    pthread_cond_broadcast(&fake->changed);
    pthread_mutex_unlock(&fake->lock);
    shutdown(fake->listener, SHUT_RDWR);
    pthread_join(fake->thread, NULL);
    for (int i = 0; i < fake->conn_count; i++) {
        shutdown(fake->conns[i].fd, SHUT_RDWR);
        pthread_join(fake->conns[i].thread, NULL);
        close(fake->conns[i].fd);
    }
    close(fake->listener);
    for (int i = 0; i < fake->count; i++) {
        free(fake->requests[i].head);
        cm_buf_free(&fake->requests[i].body);
    }
    pthread_mutex_destroy(&fake->lock);
    pthread_cond_destroy(&fake->changed);
    SSL_CTX_free(fake->tls);
}

void http_fake_stop(http_fake_t *fake)
{
    shutdown(fake->listener, SHUT_RDWR);
}

const char *http_fake_head(const http_fake_t *fake, int request)
{
    assert_true(request < fake->count);
    return fake->requests[request].head;
}

const char *http_fake_body(const http_fake_t *fake, int request)
{
    assert_true(request < fake->count);
    return fake->requests[request].body.data;
}

int64_t http_fake_ms_between(const http_fake_t *fake, int first, int second)
{
    assert_true(first < fake->count && second < fake->count);
    return (fake->requests[second].at_ns - fake->requests[first].at_ns) / 1000000;
}
