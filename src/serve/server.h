/* The HTTP server: the dashboard, its JSON API and the live stream, over any index; and the
 * collector.
 *
 * A server owns its threads, its listening socket and the index handles it opens; the options are
 * copied or used only during cm_server_start(), except `log`, `open_index` and its context, and
 * `collector`, which must outlive the server. Start and stop are called by one thread; requests are
 * answered by the server's own threads, which block all signals. The API is described in
 * docs/api.md. */
#ifndef CM_SERVE_SERVER_H
#define CM_SERVE_SERVER_H

#include "base/err.h"
#include "base/log.h"
#include "index/index.h"
#include "serve/collector.h"
#include "serve/questions.h"

typedef struct cm_server cm_server_t;

/* Opens one more handle of the index. CM_EINPUT: there are no answers yet, which is not an error.
 * Called by several of the server's threads at once; each handle is used by one thread at a time.
 */
typedef int (*cm_server_open_fn)(void *context, cm_index_t **index, cm_err_t *err);

typedef struct cm_server_options {
    const char *listen;   /* "127.0.0.1:8080", "[::1]:8080", "localhost:8080"; port 0: any free */
    const char *data_dir; /* its embedded index is served when `open_index` is NULL */
    bool daily;           /* then: the configuration says that user ids live for one UTC day */
    cm_server_open_fn open_index;
    void *open_context;
    /* Further names, separated by commas, that the Host header of a request to a loopback address
     * may have: for a reverse proxy. NULL: none. */
    const char *hosts;
    int threads;               /* loops; 0: 4 */
    int max_connections;       /* open at once; 0: 512 */
    int idle_seconds;          /* until a connection that completes no request is closed; 0: 30 */
    cm_collector_t *collector; /* NULL: no events are taken */
    bool synthetic;            /* the answers are of synthetic traffic; the page says so */
    bool shop;                 /* serve the demo shop; only with a collector */
    const char *demo_of; /* data directory: /api/status names DATA/demo where it exists; NULL: no */
    bool no_answers;     /* serve only the collector and its files */
    const char *tls_cert, *tls_key; /* PEM texts; NULL: no TLS */
    /* Requests with one of these secrets may read the answers. Where none is given: all requests to
     * a loopback address, and to other addresses all only if `read_public`. */
    const char *read_token, *read_password;
    bool read_public;
    int64_t question_ms; /* how long an answer may take; 0: 10 s */
    /* Of /api/v1/query; its texts are borrowed as long as the server lives. NULL: it is not there.
     */
    const cm_questions_settings_t *questions;
} cm_server_options_t;

/* Starts to listen and to answer. CM_EBUSY when the port is in use, CM_EUSAGE when `listen` is not
 * an address of this machine, CM_EIO when the system refuses the socket. */
int cm_server_start(const cm_server_options_t *options, const cm_log_t *log, cm_server_t **server,
                    cm_err_t *err);

/* The port that is listened on. */
uint16_t cm_server_port(const cm_server_t *server);

/* The address and port that are listened on, as in a URL; valid as long as the server. */
const char *cm_server_address(const cm_server_t *server);

/* NULL, or where no client may read the answers: a constant sentence that says what to do about it.
 */
const char *cm_server_closed(const cm_server_t *server);

/* Uses this certificate from the next connection on. The server was started with one. CM_EUSAGE:
 * the old one stays. */
int cm_server_renew_tls(cm_server_t *server, const char *cert, const char *key, cm_err_t *err);

/* Accepts no more connections, ends live streams, finishes the answers in progress (in three
 * seconds at most, for a client that does not read) and frees the server. NULL is allowed. */
void cm_server_stop(cm_server_t *server);

#endif
