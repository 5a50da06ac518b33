#include "serve/tls.h"

#include "base/str.h"

#include <gnutls/abstract.h>
#include <pthread.h>
#include <stdlib.h>

enum { CHAIN_MAX = 16 };

/* A certificate. A handshake may still use an old one, and its end is not reported: so all are kept
 * until the server is freed. There is a new one only when the file has changed. */
typedef struct certificate certificate_t;

struct certificate {
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned count;
    gnutls_privkey_t key;
    certificate_t *before;
};

struct cm_tls {
    pthread_mutex_t lock; /* guards: */
    certificate_t *newest;
};

const char cm_tls_priorities[] =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-CIPHER-ALL:+AES-256-GCM:+CHACHA20-POLY1305:"
    "+AES-128-GCM:-MAC-ALL:+AEAD:-KX-ALL:+ECDHE-ECDSA:+ECDHE-RSA";

static _Thread_local cm_tls_t *here;

void cm_tls_enter(cm_tls_t *tls)
{
    here = tls;
}

bool cm_tls_here(void)
{
    return here != NULL;
}

static void free_certificate(certificate_t *certificate)
{
    for (unsigned i = 0; i < certificate->count; i++)
        gnutls_pcert_deinit(&certificate->chain[i]);
    if (certificate->key != NULL)
        gnutls_privkey_deinit(certificate->key);
    free(certificate);
}

static gnutls_datum_t datum_of(const char *text)
{
    /* GnuTLS wants a pointer to non-const even where it only reads. */
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)text, (unsigned)strlen(text)};
}

/* Whether certificate and key belong together. */
static bool fit(const gnutls_datum_t *cert, const gnutls_datum_t *key)
{
    gnutls_certificate_credentials_t both;

    if (gnutls_certificate_allocate_credentials(&both) < 0)
        return false;
    bool fits = gnutls_certificate_set_x509_key_mem(both, cert, key, GNUTLS_X509_FMT_PEM) >= 0;
    gnutls_certificate_free_credentials(both);
    return fits;
}

static certificate_t *load(const gnutls_datum_t *cert, const gnutls_datum_t *key)
{
    certificate_t *certificate = cm_alloc_zero(1, sizeof *certificate);
    unsigned count = CHAIN_MAX;

    if (fit(cert, key) && gnutls_pcert_list_import_x509_raw(certificate->chain, &count, cert,
                                                            GNUTLS_X509_FMT_PEM, 0) >= 0) {
        certificate->count = count;
        if (gnutls_privkey_init(&certificate->key) >= 0 &&
            gnutls_privkey_import_x509_raw(certificate->key, key, GNUTLS_X509_FMT_PEM, NULL, 0) >=
                0)
            return certificate;
    }
    free_certificate(certificate);
    return NULL;
}

int cm_tls_renew(cm_tls_t *tls, const char *cert, const char *key, cm_err_t *err)
{
    const gnutls_datum_t chain = datum_of(cert), secret = datum_of(key);
    certificate_t *certificate = load(&chain, &secret);

    if (certificate == NULL)
        return cm_fail(err, CM_EUSAGE,
                       "TLS does not work with this certificate and key; are they PEM, and do they "
                       "belong together?");
    pthread_mutex_lock(&tls->lock);
    certificate->before = tls->newest;
    tls->newest = certificate;
    pthread_mutex_unlock(&tls->lock);
    return 0;
}

int cm_tls_new(const char *cert, const char *key, cm_tls_t **out, cm_err_t *err)
{
    cm_tls_t *tls = cm_alloc_zero(1, sizeof *tls);

    pthread_mutex_init(&tls->lock, NULL);
    int rc = cm_tls_renew(tls, cert, key, err);
    if (rc < 0)
        cm_tls_free(tls);
    else
        *out = tls;
    return rc;
}

void cm_tls_free(cm_tls_t *tls)
{
    if (tls == NULL)
        return;
    while (tls->newest != NULL) {
        certificate_t *certificate = tls->newest;
        tls->newest = certificate->before;
        free_certificate(certificate);
    }
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

static int show(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
                const gnutls_pk_algorithm_t *algorithms, int algorithm_count,
                gnutls_pcert_st **chain, unsigned *count, gnutls_privkey_t *key)
{
    (void)session;
    (void)authorities;
    (void)authority_count;
    (void)algorithms;
    (void)algorithm_count;

    pthread_mutex_lock(&here->lock);
    certificate_t *certificate = here->newest;
    pthread_mutex_unlock(&here->lock);
    *chain = certificate->chain;
    *count = certificate->count;
    *key = certificate->key;
    return 0;
}

void *cm_tls_callback(void)
{
    static gnutls_certificate_retrieve_function2 *const function = show;

    return (void *)(uintptr_t)function;
}
