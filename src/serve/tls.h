/* The server's TLS certificate, which can be renewed while the server runs: connections that exist
 * keep the old one.
 *
 * new() and renew() are for one thread at a time. Handshakes take place in the threads of the
 * server's loops, each of which is told once which certificate it uses. */
#ifndef CM_SERVE_TLS_H
#define CM_SERVE_TLS_H

#include "base/err.h"

#include <stdbool.h>

typedef struct cm_tls cm_tls_t;

/* At least TLS 1.2, ciphers with authentication, and keys with forward secrecy: for
 * MHD_OPTION_HTTPS_PRIORITIES. */
extern const char cm_tls_priorities[];

/* From PEM texts: a certificate, followed by its chain, and its key. CM_EUSAGE. */
int cm_tls_new(const char *cert, const char *key, cm_tls_t **tls, cm_err_t *err);

/* Uses this certificate from now on. CM_EUSAGE: the old one stays. */
int cm_tls_renew(cm_tls_t *tls, const char *cert, const char *key, cm_err_t *err);

/* After the last handshake. NULL is allowed. */
void cm_tls_free(cm_tls_t *tls);

/* From now on the calling thread answers over TLS with this certificate; NULL: without TLS. */
void cm_tls_enter(cm_tls_t *tls);

/* Whether the calling thread answers over TLS. */
bool cm_tls_here(void);

/* For MHD_OPTION_HTTPS_CERT_CALLBACK: a gnutls_certificate_retrieve_function2. */
void *cm_tls_callback(void);

#endif
