/* The HTTP server: the dashboard, its JSON API and the live stream, over any index; and the
 * collector.
 *
 * A server owns its threads, its listening socket and the index handles it opens; the options are
 * copied or used only during cm_server_start(), but for `log`, `open_index` and its context, and
 * `collector`, which must outlive the server. Start and stop are called by one thread; requests are
 * answered by the server's own threads, which block all signals. The API is described in
 * docs/api.md. */
#ifndef CM_SERVE_SERVER_H
#define CM_SERVE_SERVER_H

#include "base/err.h"
#include "base/log.h"
#include "index/index.h"
#include "serve/collector.h"

typedef struct cm_server cm_server_t;

/* Opens one more handle of the index. CM_EINPUT: there are no answers yet, which is no failure.
 * Called by the server's threads, by several at once; each handle is used by one thread at a time.
 */
typedef int (*cm_server_open_fn)(void *context, cm_index_t **index, cm_err_t *err);

typedef struct cm_server_options {
    const char *listen;   /* "127.0.0.1:8080", "[::1]:8080", "localhost:8080"; port 0: any free */
    const char *data_dir; /* whose embedded index is served when `open_index` is NULL */
    bool daily;           /* then: user ids live for one UTC day, says the configuration */
    cm_server_open_fn open_index;
    void *open_context;
    /* Further names, between commas, that a request to a loopback address may carry in `Host`: for
     * a reverse proxy. NULL: none. */
    const char *hosts;
    int threads;               /* that answer; 0: 4 */
    int max_connections;       /* open at once; 0: 512 */
    int idle_seconds;          /* until a connection that completes no request is closed; 0: 30 */
    cm_collector_t *collector; /* NULL: no events are taken */
    bool synthetic;            /* the answers are of synthetic traffic, which the page says */
    bool shop;                 /* serve the demo shop; only with a collector */
    const char
        *demo_of;    /* data directory: /api/status names DATA/demo where there is one; or NULL */
    bool no_answers; /* serve what goes with the collector, and nothing else */
    const char *tls_cert, *tls_key; /* PEM texts; NULL: no TLS */
    /* Who may read the answers: whoever sends one of these, where one is given; else everybody who
     * can reach a loopback address, and on others everybody only if `read_public`. */
    const char *read_token, *read_password;
    bool read_public;
    int64_t question_ms; /* how long an answer may take; 0: 10 s */
} cm_server_options_t;

/* Starts to listen and to answer. CM_EBUSY when the port is in use, CM_EUSAGE when `listen` is not
 * an address of this machine, CM_EIO when the system refuses the socket. */
int cm_server_start(const cm_server_options_t *options, const cm_log_t *log, cm_server_t **server,
                    cm_err_t *err);

/* The port that is listened on. */
uint16_t cm_server_port(const cm_server_t *server);

/* Address and port that are listened on, as they stand in a URL; as long as the server lives. */
const char *cm_server_address(const cm_server_t *server);

/* NULL, or where no client may read the answers: a constant sentence that says what to do about it.
 */
const char *cm_server_closed(const cm_server_t *server);

/* Shows this certificate from the next connection on. The server was started with one. CM_EUSAGE:
 * it goes on with the one it has. */
int cm_server_renew_tls(cm_server_t *server, const char *cert, const char *key, cm_err_t *err);

/* Takes no more connections, ends live streams, finishes the answers in flight (three seconds at
 * most, for a client that does not read) and frees the server. NULL is fine. */
void cm_server_stop(cm_server_t *server);

#endif
