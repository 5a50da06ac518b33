/* A scripted Elasticsearch for the tests of its client: a thread on a loopback port that records
 * each request with its exact bytes, and gives the answers of the script; after the end of the
 * script a function answers, or without one, everything went well. A thread each connection, so
 * that it is as parallel as the client. */
#ifndef CM_TESTS_UNIT_HTTP_FAKE_H
#define CM_TESTS_UNIT_HTTP_FAKE_H

#include "base/clock.h"
#include "support.h"

#include <openssl/ssl.h>
#include <pthread.h>

enum { FAKE_REQUESTS = 200, FAKE_SCRIPT = 40, FAKE_CONNS = 40, FAKE_WAIT_MS = 5000 };

typedef enum http_fake_fault {
    NO_FAULT,
    CLOSE,   /* no answer: the connection is closed */
    CUT,     /* half of the answer, then the connection is closed */
    GARBAGE, /* bytes that are not HTTP */
} http_fake_fault_t;

typedef struct http_fake_reply {
    int status;          /* 0: 200, and every document of a bulk is taken */
    const char *body;    /* NULL: none */
    const char *headers; /* further ones, each with its line end; NULL: none */
    http_fake_fault_t fault;
    int delay_ms;
    int together; /* answers when so many requests are there at once */
    bool gzip;
} http_fake_reply_t;

typedef struct http_fake_request {
    char *head; /* request line and headers */
    cm_buf_t body;
    size_t wire_bytes; /* of the body, as it came */
    int conn;
    int64_t at_ns;
} http_fake_request_t;

/* Appends the body of the answer and returns its status. Called by one thread at a time. */
typedef int (*http_fake_answer_fn)(void *context, const http_fake_request_t *request,
                                   cm_buf_t *body);

typedef struct http_fake http_fake_t;

typedef struct http_fake_conn {
    http_fake_t *fake;
    int fd, number;
    SSL *ssl;
    pthread_t thread;
} http_fake_conn_t;

struct http_fake {
    int listener, port;
    char url[40];
    SSL_CTX *tls; /* NULL: none */
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    http_fake_reply_t script[FAKE_SCRIPT];
    int script_count, next;
    http_fake_answer_fn answer; /* after the script; NULL: everything went well */
    void *context;              /* of answer() */
    http_fake_request_t requests[FAKE_REQUESTS];
    int count, open, most_open; /* requests; those not answered yet */
    http_fake_conn_t conns[FAKE_CONNS];
    int conn_count;
    bool ending;
};

/* Opens a port and starts the thread. `tls` may be NULL; http_fake_close() frees it. */
void http_fake_open(http_fake_t *fake, SSL_CTX *tls);

/* Adds an answer to the script. */
void http_fake_script(http_fake_t *fake, http_fake_reply_t reply);

/* From now on `answer` answers what the script does not. */
void http_fake_answer_by(http_fake_t *fake, http_fake_answer_fn answer, void *context);

/* Closes the port until http_fake_close(): the server is not reachable any more. */
void http_fake_stop(http_fake_t *fake);

void http_fake_close(http_fake_t *fake);

/* The head and the body of a request, counted from 0; they live until http_fake_close(). */
const char *http_fake_head(const http_fake_t *fake, int request);
const char *http_fake_body(const http_fake_t *fake, int request);

int64_t http_fake_ms_between(const http_fake_t *fake, int first, int second);

#define assert_contains(text, part)                                                                \
    do {                                                                                           \
        if (strstr((text), (part)) == NULL)                                                        \
            fail_msg("\"%s\" is not in: %s", (part), (text));                                      \
    } while (0)

#endif
