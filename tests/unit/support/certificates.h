/* Certificates that tests make with OpenSSL, valid for an hour. */
#ifndef CM_TESTS_UNIT_CERTIFICATES_H
#define CM_TESTS_UNIT_CERTIFICATES_H

#include "support.h"

#include <openssl/evp.h>
#include <openssl/x509.h>

typedef struct pair {
    EVP_PKEY *key;
    X509 *cert;
} pair_t;

/* A certificate that `issuer` (NULL: itself) has signed. */
pair_t make_pair(const char *name, const char *names, const pair_t *issuer, long serial);

/* Writes the certificate and, with `with_key`, the key after it. */
void write_pem(const char *directory, const char *name, const pair_t *pair, bool with_key);

#endif
