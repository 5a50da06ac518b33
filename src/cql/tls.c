#include "cql/tls.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

struct cm_cql_tls_context {
    SSL_CTX *ssl;
    bool insecure;
};

struct cm_cql_tls_stream {
    SSL *ssl;
    BIO *in, *out; /* they belong to `ssl` */
};

/* The reason of the last failure in OpenSSL; clears its error queue. */
static const char *reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *text = code != 0 ? ERR_reason_error_string(code) : NULL;

    ERR_clear_error();
    return text != NULL ? text : "no reason given";
}

static int load_own(SSL_CTX *ssl, const cm_cql_tls_t *o, cm_err_t *err)
{
    const char *key = o->key_file != NULL ? o->key_file : o->cert_file;

    if (o->cert_file == NULL && o->key_file != NULL)
        return cm_fail(err, CM_EUSAGE, "TLS: there is a key, %s, but no certificate", o->key_file);
    if (o->cert_file == NULL)
        return 0;
    if (SSL_CTX_use_certificate_chain_file(ssl, o->cert_file) != 1)
        return cm_fail(err, CM_EUSAGE, "TLS: %s cannot be used as the client's certificate: %s",
                       o->cert_file, reason());
    if (SSL_CTX_use_PrivateKey_file(ssl, key, SSL_FILETYPE_PEM) != 1 ||
        SSL_CTX_check_private_key(ssl) != 1)
        return cm_fail(err, CM_EUSAGE, "TLS: %s cannot be used as the key of %s: %s", key,
                       o->cert_file, reason());
    return 0;
}

static int load_trusted(SSL_CTX *ssl, const cm_cql_tls_t *o, cm_err_t *err)
{
    if (o->ca_file != NULL && SSL_CTX_load_verify_locations(ssl, o->ca_file, NULL) != 1)
        return cm_fail(err, CM_EUSAGE, "TLS: %s cannot be used as trusted certificates: %s",
                       o->ca_file, reason());
    if (o->ca_file == NULL && SSL_CTX_set_default_verify_paths(ssl) != 1)
        return cm_fail(err, CM_EUSAGE, "TLS: the system has no trusted certificates: %s", reason());
    return 0;
}

int cm_cql_tls_context_new(const cm_cql_tls_t *o, cm_cql_tls_context_t **context, cm_err_t *err)
{
    cm_cql_tls_context_t *made = calloc(1, sizeof *made);
    int rc;

    if (made == NULL)
        return cm_cql_fail_memory(err);
    made->insecure = o->insecure;
    made->ssl = SSL_CTX_new(TLS_client_method());
    if (made->ssl == NULL) {
        rc = cm_fail(err, CM_EINTERNAL, "TLS: OpenSSL cannot be initialised: %s", reason());
        goto fail;
    }
    SSL_CTX_set_min_proto_version(made->ssl, TLS1_2_VERSION);
    SSL_CTX_set_mode(made->ssl, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_verify(made->ssl, o->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    rc = o->insecure ? 0 : load_trusted(made->ssl, o, err);
    if (rc == 0)
        rc = load_own(made->ssl, o, err);
    if (rc < 0)
        goto fail;
    *context = made;
    return 0;
fail:
    cm_cql_tls_context_free(made);
    return rc;
}

void cm_cql_tls_context_free(cm_cql_tls_context_t *context)
{
    if (context == NULL)
        return;
    SSL_CTX_free(context->ssl);
    free(context);
}

/* The name or address that the certificate must have; names are also sent in advance (SNI). */
static int set_host(SSL *ssl, const char *host, bool insecure)
{
    unsigned char address[16];
    bool numeric =
        inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
    int ok = 1;

    if (!numeric)
        ok = (int)SSL_set_tlsext_host_name(ssl, host);
    if (ok != 1 || insecure)
        return ok;
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
    if (numeric)
        return X509_VERIFY_PARAM_set1_ip_asc(param, host);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, host, 0);
}

int cm_cql_tls_new(cm_cql_tls_context_t *context, const char *host, cm_cql_tls_stream_t **tls,
                   cm_err_t *err)
{
    cm_cql_tls_stream_t *made = calloc(1, sizeof *made);
    if (made == NULL)
        return cm_cql_fail_memory(err);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

    made->ssl = SSL_new(context->ssl);
    if (in == NULL || out == NULL || made->ssl == NULL) {
        BIO_free(in);
        BIO_free(out);
        cm_cql_tls_free(made);
        return cm_cql_fail_memory(err);
    }
    BIO_set_mem_eof_return(in, -1);
    BIO_set_mem_eof_return(out, -1);
    SSL_set_bio(made->ssl, in, out);
    made->in = in;
    made->out = out;
    SSL_set_connect_state(made->ssl);
    if (set_host(made->ssl, host, context->insecure) != 1) {
        cm_cql_tls_free(made);
        return cm_fail(err, CM_EUSAGE, "TLS: %s is not a host name: %s", host, reason());
    }
    *tls = made;
    return 0;
}

void cm_cql_tls_free(cm_cql_tls_stream_t *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    free(tls);
}

bool cm_cql_tls_feed(cm_cql_tls_stream_t *tls, const void *data, size_t len)
{
    return BIO_write(tls->in, data, (int)len) == (int)len; /* a memory BIO has no limit */
}

int cm_cql_tls_handshake(cm_cql_tls_stream_t *tls, cm_err_t *err)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(tls->ssl);
    if (rc == 1)
        return 1;
    int why = SSL_get_error(tls->ssl, rc);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return 0;
    long verdict = SSL_get_verify_result(tls->ssl);
    if (verdict != X509_V_OK && SSL_get_verify_mode(tls->ssl) != SSL_VERIFY_NONE) {
        ERR_clear_error();
        return cm_fail(err, CM_EUSAGE, "the node's certificate is not trusted: %s",
                       X509_verify_cert_error_string(verdict));
    }
    return cm_fail(err, CM_EUSAGE, "the TLS handshake failed: %s", reason());
}

int cm_cql_tls_read(cm_cql_tls_stream_t *tls, char *to, size_t room, cm_err_t *err)
{
    ERR_clear_error();
    int got = SSL_read(tls->ssl, to, room < INT32_MAX ? (int)room : INT32_MAX);
    if (got > 0)
        return got;
    int why = SSL_get_error(tls->ssl, got);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
        return 0;
    if (why == SSL_ERROR_ZERO_RETURN)
        return cm_fail(err, CM_ESTOP, "the node ended the TLS connection");
    return cm_fail(err, CM_EUSAGE, "the node broke the TLS connection: %s", reason());
}

int cm_cql_tls_write(cm_cql_tls_stream_t *tls, const char *data, size_t len, cm_err_t *err)
{
    while (len > 0) {
        ERR_clear_error();
        int part = len < (1 << 30) ? (int)len : 1 << 30;
        int sent = SSL_write(tls->ssl, data, part);
        if (sent <= 0)
            return cm_fail(err, CM_EUSAGE, "TLS cannot encrypt: %s", reason());
        data += sent;
        len -= (size_t)sent;
    }
    return 0;
}

bool cm_cql_tls_drain(cm_cql_tls_stream_t *tls, cm_buf_t *out)
{
    size_t waiting = BIO_ctrl_pending(tls->out);

    if (waiting == 0)
        return true;
    if (!cm_buf_try_reserve(out, waiting))
        return false;
    int got = BIO_read(tls->out, out->data + out->len, (int)waiting);
    if (got > 0)
        out->len += (size_t)got;
    return true;
}
