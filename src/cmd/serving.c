#include "cmd/serving.h"

#include "base/secret.h"
#include "serve/read_access.h"

#include <errno.h>

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

int cm_serving_open(cm_serving_t *serving, cm_app_t *app, const cm_reading_given_t *reading,
                    const cm_tls_given_t *tls, cm_err_t *err)
{
    *serving = (cm_serving_t){.app = app, .tls = *tls};
    int rc = read_tls(tls, &serving->cert, &serving->key, err);
    if (rc < 0 || reading == NULL)
        return rc;
    serving->public = reading->public;
    serving->time_limit = reading->time_limit;
    rc = read_secret(reading->token, "http.read_token", &serving->token, err);
    if (rc == 0)
        rc = read_secret(reading->password, "http.password", &serving->password, err);
    if (rc == 0 && reading->public && (reading->token != NULL || reading->password != NULL))
        rc = cm_fail(err, CM_EUSAGE,
                     "http.public shows the answers to everybody, http.password and "
                     "http.read_token to those who know them; leave one or the other out");
    return rc;
}

void cm_serving_fill(const cm_serving_t *serving, cm_server_options_t *options)
{
    options->tls_cert = serving->cert.data;
    options->tls_key = serving->key.data;
    options->read_token = serving->token.data;
    options->read_password = serving->password.data;
    options->read_public = serving->public;
    options->question_ms = serving->time_limit;
}

void cm_serving_tell(const cm_serving_t *serving, const cm_server_t *server)
{
    if (cm_server_closed(server))
        fprintf(serving->app->messages, "%s\n", cm_read_access_closed);
}

void cm_serving_step(cm_serving_t *serving, cm_server_t *server)
{
    const int hangups = atomic_load(serving->app->hangups);
    const cm_log_t *log = &serving->app->log;
    cm_buf_t cert = CM_BUF_INIT, key = CM_BUF_INIT;
    cm_err_t err;

    if (hangups == serving->hangups)
        return;
    serving->hangups = hangups;
    int rc = read_tls(&serving->tls, &cert, &key, &err);
    const bool same = cm_str_equal((cm_str_t){cert.data, cert.len},
                                   (cm_str_t){serving->cert.data, serving->cert.len}) &&
                      cm_str_equal((cm_str_t){key.data, key.len},
                                   (cm_str_t){serving->key.data, serving->key.len});
    if (rc == 0 && !same)
        rc = cm_server_renew_tls(server, cert.data, key.data, &err);
    if (rc < 0) {
        cm_log(log, CM_LOG_ERROR, "the certificate stays as it was", "reason=\"%s\"", err.text);
    } else if (!same) {
        cm_buf_free(&serving->cert);
        cm_buf_free(&serving->key);
        serving->cert = cert;
        serving->key = key;
        cert = key = CM_BUF_INIT;
        cm_log(log, CM_LOG_INFO, "the certificate is a new one", "file=\"%s\"", serving->tls.cert);
    }
    cm_buf_free(&cert);
    cm_buf_free(&key);
}

void cm_serving_close(cm_serving_t *serving)
{
    cm_buf_free(&serving->token);
    cm_buf_free(&serving->password);
    cm_buf_free(&serving->cert);
    cm_buf_free(&serving->key);
}
