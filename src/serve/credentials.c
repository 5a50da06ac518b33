#include "serve/credentials.h"

#include "base/secret.h"

#include <errno.h>
#include <stdio.h>

static int read_pem(const char *path, const char *what, cm_buf_t *text, cm_err_t *err)
{
    FILE *file = fopen(path, "rbe");
    char part[4096];
    size_t len;

    if (file == NULL)
        return cm_fail(err, CM_EUSAGE, "cannot read the %s %s: %s", what, path, strerror(errno));
    while ((len = fread(part, 1, sizeof part, file)) > 0)
        cm_buf_add(text, part, len);
    fclose(file);
    cm_buf_reserve(text, 1);
    return text->len > 0 ? 0 : cm_fail(err, CM_EUSAGE, "the %s %s is empty", what, path);
}

static int read_tls(const cm_tls_given_t *tls, cm_buf_t *cert, cm_buf_t *key, cm_err_t *err)
{
    if (tls->cert == NULL && tls->key == NULL)
        return 0;
    if (tls->cert == NULL || tls->key == NULL)
        return cm_fail(err, CM_EUSAGE,
                       "TLS needs both a certificate (--tls-cert) and its key "
                       "(--tls-key)");
    int rc = read_pem(tls->cert, "certificate", cert, err);
    return rc < 0 ? rc : read_pem(tls->key, "key", key, err);
}

static int read_secret(const char *text, const char *where, cm_buf_t *secret, cm_err_t *err)
{
    if (text == NULL)
        return 0;
    int rc = cm_secret_read(text, where, secret, err);
    return rc < 0 || secret->len > 0 ? rc : cm_fail(err, CM_EUSAGE, "%s is empty", where);
}

int cm_credentials_read(cm_credentials_t *credentials, const cm_reading_given_t *reading,
                        const cm_tls_given_t *tls, cm_err_t *err)
{
    *credentials = (cm_credentials_t){.tls = *tls};
    int rc = read_tls(tls, &credentials->cert, &credentials->key, err);
    if (rc < 0 || reading == NULL)
        return rc;
    credentials->public = reading->public;
    credentials->time_limit = reading->time_limit;
    rc = read_secret(reading->token, "http.read_token", &credentials->token, err);
    if (rc == 0)
        rc = read_secret(reading->password, "http.password", &credentials->password, err);
    if (rc == 0 && reading->public && (reading->token != NULL || reading->password != NULL))
        rc = cm_fail(err, CM_EUSAGE,
                     "http.public shows the answers to all clients, http.password and "
                     "http.read_token only to clients that know them; leave one or the other out");
    return rc;
}

void cm_credentials_fill(const cm_credentials_t *credentials, cm_server_options_t *options)
{
    options->tls_cert = credentials->cert.data;
    options->tls_key = credentials->key.data;
    options->read_token = credentials->token.data;
    options->read_password = credentials->password.data;
    options->read_public = credentials->public;
    options->question_ms = credentials->time_limit;
}

static bool same(const cm_buf_t *a, const cm_buf_t *b)
{
    return cm_str_equal((cm_str_t){a->data, a->len}, (cm_str_t){b->data, b->len});
}

void cm_credentials_renew(cm_credentials_t *credentials, cm_server_t *server, int hangups,
                          const cm_log_t *log)
{
    cm_buf_t cert = CM_BUF_INIT, key = CM_BUF_INIT;
    cm_err_t err;

    if (hangups == credentials->hangups)
        return;
    credentials->hangups = hangups;
    int rc = read_tls(&credentials->tls, &cert, &key, &err);
    const bool changed = !same(&cert, &credentials->cert) || !same(&key, &credentials->key);
    if (rc == 0 && changed)
        rc = cm_server_renew_tls(server, cert.data, key.data, &err);
    if (rc < 0) {
        cm_log(log, CM_LOG_ERROR, "the certificate is not renewed", "reason=\"%s\"", err.text);
    } else if (changed) {
        cm_buf_free(&credentials->cert);
        cm_buf_free(&credentials->key);
        credentials->cert = cert;
        credentials->key = key;
        cert = key = CM_BUF_INIT;
        cm_log(log, CM_LOG_INFO, "the certificate is renewed", "file=\"%s\"",
               credentials->tls.cert);
    }
    cm_buf_free(&cert);
    cm_buf_free(&key);
}

void cm_credentials_free(cm_credentials_t *credentials)
{
    cm_buf_free(&credentials->token);
    cm_buf_free(&credentials->password);
    cm_buf_free(&credentials->cert);
    cm_buf_free(&credentials->key);
}
