/* What the options of a server name: the token and the password that let a client read the answers,
 * and the TLS certificate with its key, which can be read again while the server runs.
 *
 * The texts are owned by the struct, which must outlive cm_server_start(). For one thread. */
#ifndef CM_SERVE_CREDENTIALS_H
#define CM_SERVE_CREDENTIALS_H

#include "base/log.h"
#include "serve/options.h"
#include "serve/server.h"

typedef struct cm_credentials {
    cm_tls_given_t tls;
    bool public;
    int64_t time_limit;
    cm_buf_t token, password; /* `data` is NULL where there is none */
    cm_buf_t cert, key;
    int hangups; /* signals that have been handled */
} cm_credentials_t;

/* Reads what the options name. `reading`: NULL for a server that serves no answers. CM_EUSAGE.
 * Must be freed also after a failure. */
int cm_credentials_read(cm_credentials_t *credentials, const cm_reading_given_t *reading,
                        const cm_tls_given_t *tls, cm_err_t *err);

/* Fills the server's options; they borrow the texts. */
void cm_credentials_fill(const cm_credentials_t *credentials, cm_server_options_t *options);

/* Called regularly. When `hangups`, the number of SIGHUPs so far, has grown, the certificate is
 * read again and given to the server. An unusable one is logged, and the server keeps the old one.
 */
void cm_credentials_renew(cm_credentials_t *credentials, cm_server_t *server, int hangups,
                          const cm_log_t *log);

void cm_credentials_free(cm_credentials_t *credentials);

#endif
