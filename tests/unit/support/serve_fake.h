/* A fake index with canned rows, and a server over it, for the tests of the server. The client is
 * in raw_client.h.
 *
 * The fake belongs to the test; handles of it are opened and used by the server's threads. */
#ifndef CM_TESTS_UNIT_SERVE_FAKE_H
#define CM_TESTS_UNIT_SERVE_FAKE_H

#include "raw_client.h"
#include "serve/server.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct serve_fake {
    const cm_answer_t *rows;
    size_t row_count;
    pthread_mutex_t lock;   /* guards the three below */
    cm_index_query_t asked; /* the last query, with its texts copied: */
    char url[CM_ERR_TEXT], country[CM_ERR_TEXT];
    atomic_llong updated_at; /* 0: not present */
    atomic_int open_rc, query_rc, freshness_rc;
    atomic_int query_ms; /* how long a query takes */
    atomic_int fail_at;  /* rows after which a query fails; 0: it does not */
    atomic_int opened, closed, querying;
    atomic_int queries; /* so far */
} serve_fake_t;

/* 2024-02-29T12:00:00.250Z, and the hours of that day. */
#define NOON       INT64_C(1709208000000)
#define UPDATED_AT (NOON + 250)

/* The security headers of every reply. */
#define SECURITY                                                                                   \
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "           \
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "                    \
    "frame-ancestors 'none'\r\n"                                                                   \
    "Cross-Origin-Resource-Policy: same-origin\r\nReferrer-Policy: no-referrer\r\n"                \
    "X-Content-Type-Options: nosniff\r\n"

extern const cm_answer_t serve_fake_rows[];

/* The server's log in tests: errors only, to nowhere. */
extern const cm_log_t serve_fake_log;

/* With the canned rows, updated at UPDATED_AT. */
serve_fake_t *serve_fake_new(void);

/* A cm_server_open_fn whose context is the fake. */
int serve_fake_open(void *fake, cm_index_t **index, cm_err_t *err);

/* Every handle must have been closed by now. */
void serve_fake_free(serve_fake_t *fake);

/* Starts a server over the fake; without `listen` on any free port of loopback. */
cm_server_t *serve_fake_start(serve_fake_t *fake, cm_server_options_t options);

/* A server over a fake index: the state of a test. */
typedef struct serve_rig {
    serve_fake_t *fake;
    cm_server_t *server; /* NULL after a test has stopped it */
    uint16_t port;
} serve_rig_t;

/* Set-up and teardown of cmocka, with options of the server. */
int serve_rig_open(void **state, cm_server_options_t options);
int serve_rig_close(void **state);

#endif
