/* What the commands with an HTTP server share: who may read the answers, and TLS, whose
 * certificate is read again when the process gets SIGHUP. */
#ifndef CM_CMD_SERVING_H
#define CM_CMD_SERVING_H

#include "cmd/app.h"
#include "serve/server.h"

typedef struct cm_reading_given {
    const char *token, *password;
    bool public;
    int64_t time_limit;
} cm_reading_given_t;

/* The rows of an option table for a cm_reading_given_t that is the member `m` of struct `s`. */
#define CM_READING_ROWS(s, m)                                                                      \
    {.name = "read-token",                                                                         \
     .type = CM_OPT_TEXT,                                                                          \
     .offset = offsetof(s, m.token),                                                               \
     .arg = "TOKEN",                                                                               \
     .secret = CM_SECRET,                                                                          \
     .key = "http.read_token",                                                                     \
     .env = "CLICKMILL_READ_TOKEN",                                                                \
     .help = "programs read the answers with this token (Bearer); ${NAME} and file:PATH are "      \
             "understood"},                                                                        \
        {.name = "password",                                                                       \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.password),                                                        \
         .arg = "PASSWORD",                                                                        \
         .secret = CM_SECRET,                                                                      \
         .key = "http.password",                                                                   \
         .env = "CLICKMILL_PASSWORD",                                                              \
         .help = "browsers show the dashboard with this password (Basic, any user name); ${NAME} " \
                 "and file:PATH are understood"},                                                  \
        {.name = "time-limit",                                                                     \
         .type = CM_OPT_DURATION,                                                                  \
         .offset = offsetof(s, m.time_limit),                                                      \
         .arg = "TIME",                                                                            \
         .def = "10s",                                                                             \
         .min = 100,                                                                               \
         .max = 3600e3,                                                                            \
         .key = "http.time_limit",                                                                 \
         .help = "how long an answer of the API may take, but for downloads"},                     \
    {                                                                                              \
        .name = "public", .type = CM_OPT_FLAG, .offset = offsetof(s, m.public),                    \
        .key = "http.public",                                                                      \
        .help = "show dashboard and answers to everybody who can reach the address; else one "     \
                "that is not loopback wants a password or a token for them"                        \
    }

typedef struct cm_tls_given {
    const char *cert, *key;
} cm_tls_given_t;

/* The rows of an option table for a cm_tls_given_t that is the member `m` of struct `s`. */
#define CM_TLS_ROWS(s, m)                                                                          \
    {.name = "tls-cert",                                                                           \
     .type = CM_OPT_TEXT,                                                                          \
     .offset = offsetof(s, m.cert),                                                                \
     .arg = "FILE",                                                                                \
     .key = "collect.tls.cert",                                                                    \
     .help = "answer over TLS with this certificate (PEM, the chain behind it); SIGHUP reads it "  \
             "again"},                                                                             \
    {                                                                                              \
        .name = "tls-key", .type = CM_OPT_TEXT, .offset = offsetof(s, m.key), .arg = "FILE",       \
        .key = "collect.tls.key", .help = "and this private key (PEM)"                             \
    }

/* What was read for a server: owned. */
typedef struct cm_serving {
    cm_app_t *app;
    cm_tls_given_t tls;
    bool public;
    int64_t time_limit;
    cm_buf_t token, password; /* `data` is NULL where none is given */
    cm_buf_t cert, key;
    int hangups; /* that have been answered */
} cm_serving_t;

/* Reads what the options name. `reading`: NULL where no answers are served. CM_EUSAGE. Must not
 * move afterwards; to be closed also after a failure. */
int cm_serving_open(cm_serving_t *serving, cm_app_t *app, const cm_reading_given_t *reading,
                    const cm_tls_given_t *tls, cm_err_t *err);

/* What the server needs of it, until it was started. */
void cm_serving_fill(const cm_serving_t *serving, cm_server_options_t *options);

/* Says what nobody may read, once the server is there. */
void cm_serving_tell(const cm_serving_t *serving, const cm_server_t *server);

/* To be called now and then: after SIGHUP, gives the server the certificate that is there now. What
 * cannot be used is logged, and the server goes on with the one it has. */
void cm_serving_step(cm_serving_t *serving, cm_server_t *server);

void cm_serving_close(cm_serving_t *serving);

#endif
