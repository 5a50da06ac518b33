#include "serve/tls.h"

#include "base/str.h"

#include <gnutls/abstract.h>
#include <pthread.h>
#include <stdlib.h>

enum { CHAIN_MAX = 16 };

/* Handshakes may be using a certificate that has been renewed since, and say nothing when they have
 * ended: it stays until the server goes. There is one more only when its file has changed. */
typedef struct shown shown_t;

struct shown {
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned count;
    gnutls_privkey_t key;
    shown_t *before;
};

struct cm_tls {
    pthread_mutex_t lock; /* guards: */
    shown_t *shown;
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

static void free_shown(shown_t *shown)
{
    for (unsigned i = 0; i < shown->count; i++)
        gnutls_pcert_deinit(&shown->chain[i]);
    if (shown->key != NULL)
        gnutls_privkey_deinit(shown->key);
    free(shown);
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

static shown_t *load(const gnutls_datum_t *cert, const gnutls_datum_t *key)
{
    shown_t *shown = cm_alloc_zero(1, sizeof *shown);
    unsigned count = CHAIN_MAX;

    if (fit(cert, key) && gnutls_pcert_list_import_x509_raw(shown->chain, &count, cert,
                                                            GNUTLS_X509_FMT_PEM, 0) >= 0) {
        shown->count = count;
        if (gnutls_privkey_init(&shown->key) >= 0 &&
            gnutls_privkey_import_x509_raw(shown->key, key, GNUTLS_X509_FMT_PEM, NULL, 0) >= 0)
            return shown;
    }
    free_shown(shown);
    return NULL;
}

int cm_tls_renew(cm_tls_t *tls, const char *cert, const char *key, cm_err_t *err)
{
    const gnutls_datum_t certificate = datum_of(cert), secret = datum_of(key);
    shown_t *shown = load(&certificate, &secret);

    if (shown == NULL)
        return cm_fail(err, CM_EUSAGE,
                       "TLS does not work with this certificate and key; are they PEM, and do they "
                       "belong together?");
    pthread_mutex_lock(&tls->lock);
    shown->before = tls->shown;
    tls->shown = shown;
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
    while (tls->shown != NULL) {
        shown_t *shown = tls->shown;
        tls->shown = shown->before;
        free_shown(shown);
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
    shown_t *shown = here->shown;
    pthread_mutex_unlock(&here->lock);
    *chain = shown->chain;
    *count = shown->count;
    *key = shown->key;
    return 0;
}

void *cm_tls_callback(void)
{
    static gnutls_certificate_retrieve_function2 *const function = show;

    return (void *)(uintptr_t)function;
}
