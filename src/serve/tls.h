/* The certificate that the server shows, which can be renewed while it runs: connections that exist
 * go on with the one they have.
 *
 * new() and renew() are for one thread at a time; handshakes are the business of the server's
 * loops, each of which is told once which certificate is its own. */
#ifndef CM_SERVE_TLS_H
#define CM_SERVE_TLS_H

#include "base/err.h"

#include <stdbool.h>

typedef struct cm_tls cm_tls_t;

/* TLS 1.2 at least, ciphers that authenticate what they encrypt, and keys that nobody can find out
 * later: for MHD_OPTION_HTTPS_PRIORITIES. */
extern const char cm_tls_priorities[];

/* From PEM texts: a certificate, its chain behind it, and its key. CM_EUSAGE. */
int cm_tls_new(const char *cert, const char *key, cm_tls_t **tls, cm_err_t *err);

/* From now on this one is shown. CM_EUSAGE: as it was. */
int cm_tls_renew(cm_tls_t *tls, const char *cert, const char *key, cm_err_t *err);

/* After the last handshake. NULL is allowed. */
void cm_tls_free(cm_tls_t *tls);

/* What the calling thread answers goes over TLS with this certificate; NULL: without TLS. */
void cm_tls_enter(cm_tls_t *tls);

/* Whether it is so. */
bool cm_tls_here(void);

/* For MHD_OPTION_HTTPS_CERT_CALLBACK: a gnutls_certificate_retrieve_function2. */
void *cm_tls_callback(void);

#endif
