/* What the commands with an HTTP server share: who may read the answers, and TLS, whose
 * certificate is read again when the process gets SIGHUP. */
#ifndef CM_CMD_SERVING_H
#define CM_CMD_SERVING_H

#include "cmd/app.h"
#include "serve/options.h"
#include "serve/server.h"

/* What was read for a server: owned. */
typedef struct cm_serving {
    cm_app_t *app;
    cm_tls_given_t tls;
    bool public;
    int64_t time_limit;
    cm_buf_t token, password; /* `data` is NULL where none is given */
    cm_buf_t cert, key;
    int hangups; /* that have been answered */
} cm_serving_t;

/* Reads what the options name. `reading`: NULL where no answers are served. CM_EUSAGE. Must not
 * move afterwards; to be closed also after a failure. */
int cm_serving_open(cm_serving_t *serving, cm_app_t *app, const cm_reading_given_t *reading,
                    const cm_tls_given_t *tls, cm_err_t *err);

/* What the server needs of it, until it was started. */
void cm_serving_fill(const cm_serving_t *serving, cm_server_options_t *options);

/* Says what nobody may read, once the server is there. */
void cm_serving_tell(const cm_serving_t *serving, const cm_server_t *server);

/* To be called now and then: after SIGHUP, gives the server the certificate that is there now. What
 * cannot be used is logged, and the server goes on with the one it has. */
void cm_serving_step(cm_serving_t *serving, cm_server_t *server);

void cm_serving_close(cm_serving_t *serving);

#endif
