/* What the tests of the server share: an index with canned rows, and a client on a raw socket. */
#ifndef CM_TESTS_SERVE_FAKE_H
#define CM_TESTS_SERVE_FAKE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "serve/server.h"

#include <arpa/inet.h>
#include <assert.h>
#include <fnmatch.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* ---- the index ---- */

typedef struct fake {
    const cm_answer_t *rows;
    size_t row_count;
    pthread_mutex_t lock;   /* guards the three below */
    cm_index_query_t asked; /* the last query, its texts copied here: */
    char url[CM_ERR_TEXT], country[CM_ERR_TEXT];
    atomic_llong updated_at; /* 0: not present */
    atomic_int open_rc, query_rc, freshness_rc;
    atomic_int query_ms; /* how long a query takes */
    atomic_int fail_at;  /* rows after which a query fails; 0: it does not */
    atomic_int opened, closed, querying;
    atomic_int queries; /* so far */
} fake_t;

typedef struct fake_index {
    cm_index_t base;
    fake_t *fake;
    atomic_flag busy; /* a handle is used by one thread at a time */
} fake_index_t;

static inline void fake_note(fake_t *fake, const cm_index_query_t *query)
{
    pthread_mutex_lock(&fake->lock);
    fake->asked = *query;
    if (query->url != NULL) {
        snprintf(fake->url, sizeof fake->url, "%s", query->url);
        fake->asked.url = fake->url;
    }
    if (query->country != NULL) {
        snprintf(fake->country, sizeof fake->country, "%s", query->country);
        fake->asked.country = fake->country;
    }
    pthread_mutex_unlock(&fake->lock);
}

/* No texts of the canned rows have a NUL missing: they are literals. */
static inline bool fake_wants(const cm_index_query_t *query, const cm_answer_t *row)
{
    return row->dimension == query->dimension && row->window == query->window &&
           (query->url == NULL || fnmatch(query->url, row->url.data, 0) == 0) &&
           (query->country == NULL || strcmp(query->country, row->country.data) == 0) &&
           row->window_start >= query->from && (query->to == 0 || row->window_start < query->to);
}

static inline int fake_query(cm_index_t *index, const cm_index_query_t *query, cm_answer_fn row,
                             void *context, cm_err_t *err)
{
    fake_index_t *self = (fake_index_t *)index;
    fake_t *fake = self->fake;
    int64_t seen = 0;
    int rc = 0;

    assert(!atomic_flag_test_and_set(&self->busy));
    atomic_fetch_add(&fake->querying, 1);
    atomic_fetch_add(&fake->queries, 1);
    fake_note(fake, query);
    for (int left = fake->query_ms; left > 0 && rc == 0; left -= 10) {
        cm_sleep_ms(left < 10 ? left : 10);
        if (query->gives_up != NULL && query->gives_up(query->gives_up_context))
            rc = cm_fail(err, CM_ESTOP, "nobody waits");
    }
    if (fake->query_rc < 0)
        rc = cm_fail(err, fake->query_rc, "the fake index fails");
    for (size_t i = 0; i < fake->row_count && rc == 0; i++) {
        if (!fake_wants(query, &fake->rows[i]) || seen++ < query->offset)
            continue;
        if (query->limit > 0 && seen > query->offset + query->limit)
            break;
        rc = row(context, &fake->rows[i]);
        if (rc == 0 && fake->fail_at > 0 && seen >= fake->fail_at)
            rc = cm_fail(err, CM_EIO, "the fake index fails");
    }
    atomic_fetch_sub(&fake->querying, 1);
    atomic_flag_clear(&self->busy);
    return rc;
}

static inline int fake_freshness(cm_index_t *index, cm_window_t window, cm_freshness_t *out,
                                 cm_err_t *err)
{
    fake_t *fake = ((fake_index_t *)index)->fake;
    (void)window;

    if (fake->freshness_rc < 0)
        return cm_fail(err, fake->freshness_rc, "the fake index fails");
    *out = (cm_freshness_t){.present = fake->updated_at > 0,
                            .accepted = 20,
                            .processed = 19,
                            .events = 17,
                            .duplicates = 2,
                            .cells = 3,
                            .updated_at = fake->updated_at,
                            .dead = 1};
    return 0;
}

static inline void fake_close(cm_index_t *index)
{
    atomic_fetch_add(&((fake_index_t *)index)->fake->closed, 1);
    free(index);
}

static const cm_index_ops_t fake_ops = {
    .query = fake_query, .freshness = fake_freshness, .close = fake_close};

static inline int fake_open(void *context, cm_index_t **index, cm_err_t *err)
{
    fake_t *fake = context;

    if (fake->open_rc < 0)
        return cm_fail(err, fake->open_rc, "the fake index does not open");
    fake_index_t *opened = cm_alloc_zero(1, sizeof *opened);
    opened->base.ops = &fake_ops;
    opened->fake = fake;
    atomic_fetch_add(&fake->opened, 1);
    *index = &opened->base;
    return 0;
}

/* 2024-02-29T12:00:00.250Z, and the hours of that day. */
#define NOON       INT64_C(1709208000000)
#define UPDATED_AT (NOON + 250)

#define ROW(dim, win, start, u, c, ...)                                                            \
    {                                                                                              \
        .dimension = dim, .window = win, .window_start = start, .url = CM_STR(u),                  \
        .country = CM_STR(c), .measures = {__VA_ARGS__}, .updated_at = UPDATED_AT                  \
    }

static const cm_answer_t fake_rows[] = {
    ROW(CM_PER_CELL, CM_WINDOW_ALL, 0, "https://x.example/", "Peru", 9, 4, 90, 7, 61, 6, 3, 2),
    ROW(CM_PER_CELL, CM_WINDOW_ALL, 0, "https://x.example/", "Chad", 5, 2, 10, 3, 10, 3, 1, 1),
    ROW(CM_PER_CELL, CM_WINDOW_ALL, 0, "https://x.example/a,\"b\"", "Côte d'Ivoire", 3, 1, 0, 0, 0,
        0, 0, 1),
    ROW(CM_PER_URL, CM_WINDOW_ALL, 0, "https://x.example/", "", 14, 5, 100, 10, 71, 9, 4, 3),
    ROW(CM_PER_COUNTRY, CM_WINDOW_ALL, 0, "", "Peru", 9, 4, 90, 7, 61, 6, 3, 2),
    ROW(CM_PER_NOTHING, CM_WINDOW_ALL, 0, "", "", 17, 5, 100, 10, 71, 9, 4, 4),
    ROW(CM_PER_NOTHING, CM_WINDOW_HOUR, NOON - CM_HOUR_MS, "", "", 6, 3, 8, 2, 8, 2, 2, 1),
    ROW(CM_PER_NOTHING, CM_WINDOW_HOUR, NOON, "", "", 11, 5, 92, 8, 63, 7, 2, 3),
};

static inline fake_t *fake_new(void)
{
    fake_t *fake = cm_alloc_zero(1, sizeof *fake);

    fake->rows = fake_rows;
    fake->row_count = sizeof fake_rows / sizeof fake_rows[0];
    fake->updated_at = UPDATED_AT;
    pthread_mutex_init(&fake->lock, NULL);
    return fake;
}

/* Every handle must have been closed by now. */
static inline void fake_free(fake_t *fake)
{
    assert_int_equal(fake->opened, fake->closed);
    pthread_mutex_destroy(&fake->lock);
    free(fake);
}

/* ---- a server over it ---- */

static const cm_log_t quiet = {.level = CM_LOG_ERROR, .fd = -1};

static inline cm_server_t *serve(fake_t *fake, cm_server_options_t options)
{
    cm_server_t *server = NULL;
    cm_err_t err;

    if (options.listen == NULL)
        options.listen = "127.0.0.1:0";
    options.open_index = fake_open;
    options.open_context = fake;
    if (cm_server_start(&options, &quiet, &server, &err) != 0)
        fail_msg("%s", err.text);
    return server;
}

/* ---- the client ---- */

static inline int dial(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval patience = {.tv_sec = 10};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline void say(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        data += sent;
        len -= (size_t)sent;
    }
}

static inline void say_text(int fd, const char *text)
{
    say(fd, text, strlen(text));
}

/* Reads until `end` has come (NULL: until the server closes); what came is appended. False when the
 * server closed, or was silent for ten seconds, before. */
static inline bool hear(int fd, cm_buf_t *heard, const char *end)
{
    char bytes[4096];
    size_t from = heard->len;

    for (;;) {
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got <= 0)
            return got == 0 && end == NULL;
        cm_buf_add(heard, bytes, (size_t)got);
        if (end != NULL && strstr(heard->data + from, end) != NULL)
            return true;
    }
}

/* The Date header is the only part of a reply that a test cannot know. */
static inline void forget_date(cm_buf_t *reply)
{
    char *date = reply->len > 0 ? strstr(reply->data, "Date: ") : NULL;

    if (date == NULL)
        return;
    char *next = strstr(date, "\r\n") + 2;
    memmove(date, next, reply->len - (size_t)(next - reply->data) + 1);
    reply->len -= (size_t)(next - date);
}

/* Sends one request of a few lines and reads to the end; the Date is left out. */
static inline cm_buf_t ask(uint16_t port, const char *request)
{
    cm_buf_t reply = CM_BUF_INIT;
    int fd = dial(port);

    assert_true(fd >= 0);
    say_text(fd, request);
    if (!hear(fd, &reply, NULL))
        fail_msg("no whole reply to: %.200s", request);
    close(fd);
    forget_date(&reply);
    return reply;
}

/* GET (or another method) of a target, with further header lines that end with CRLF. */
static inline cm_buf_t ask_for(uint16_t port, const char *method, const char *target,
                               const char *headers)
{
    cm_buf_t request = CM_BUF_INIT;

    cm_buf_printf(&request, "%s %s HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n%s\r\n",
                  method, target, port, headers);
    cm_buf_t reply = ask(port, request.data);
    cm_buf_free(&request);
    return reply;
}

static inline int status_of(const cm_buf_t *reply)
{
    return reply->len > 12 ? (int)strtol(reply->data + 9, NULL, 10) : 0;
}

static inline const char *body_of(const cm_buf_t *reply)
{
    const char *end = reply->len > 0 ? strstr(reply->data, "\r\n\r\n") : NULL;

    return end ? end + 4 : "";
}

/* Status and body of a GET. */
static inline void expect(uint16_t port, const char *target, int status, const char *body)
{
    cm_buf_t reply = ask_for(port, "GET", target, "");

    if (status_of(&reply) != status || strcmp(body_of(&reply), body) != 0)
        fail_msg("%s\nexpected %d %s\ngot %s", target, status, body, reply.data);
    cm_buf_free(&reply);
}

#endif
