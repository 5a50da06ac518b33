/* TLS by OpenSSL, between buffers: it never touches a socket.
 *
 * So the socket code is the same with and without TLS, and the process gets no SIGPIPE, which
 * OpenSSL's own socket functions may raise. A context belongs to a session, a stream to a
 * connection. One thread for each. */
#ifndef CM_CQL_TLS_H
#define CM_CQL_TLS_H

#include "cql/cql.h"
#include "cql/memory.h"

typedef struct cm_cql_tls_context cm_cql_tls_context_t;
typedef struct cm_cql_tls_stream cm_cql_tls_stream_t;

/* Reads certificates and key. CM_EUSAGE names the file that cannot be used and why. */
int cm_cql_tls_context_new(const cm_cql_tls_t *options, cm_cql_tls_context_t **context,
                           cm_err_t *err);
void cm_cql_tls_context_free(cm_cql_tls_context_t *context);

/* Begins a connection to the node called `host`, a name or an address, which its certificate must
 * have unless the context is insecure. CM_EUSAGE, CM_ENOMEM. */
int cm_cql_tls_new(cm_cql_tls_context_t *context, const char *host, cm_cql_tls_stream_t **tls,
                   cm_err_t *err);
void cm_cql_tls_free(cm_cql_tls_stream_t *tls);

/* Takes encrypted bytes from the network. False when there is no memory. */
bool cm_cql_tls_feed(cm_cql_tls_stream_t *tls, const void *data, size_t len);

/* Continues the handshake. Returns 1 when it is done, 0 when it waits for bytes, CM_EUSAGE with a
 * sentence when the other side cannot be trusted or refuses. */
int cm_cql_tls_handshake(cm_cql_tls_stream_t *tls, cm_err_t *err);

/* Decrypted bytes, at most `room`. Returns their number, 0 when there are none, CM_EUSAGE when the
 * other side broke TLS off, CM_ESTOP when it ended TLS properly. */
int cm_cql_tls_read(cm_cql_tls_stream_t *tls, char *to, size_t room, cm_err_t *err);

/* Encrypts bytes, all of them. */
int cm_cql_tls_write(cm_cql_tls_stream_t *tls, const char *data, size_t len, cm_err_t *err);

/* Appends the encrypted bytes for the network to `out`. False when there is no memory. */
bool cm_cql_tls_drain(cm_cql_tls_stream_t *tls, cm_buf_t *out);

#endif
