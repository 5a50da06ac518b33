/* What client and bulk share: where the nodes are and how to get in, read once from the settings,
 * and how an answer of libcurl or of the server is judged. */
#ifndef CM_ELASTIC_ACCESS_H
#define CM_ELASTIC_ACCESS_H

#include "elastic/client.h"

#include <curl/curl.h>

enum {
    CM_ELASTIC_FIRST_WAIT_MS = 100, /* before another attempt, then doubled up to: */
    CM_ELASTIC_MOST_WAIT_MS = 10000,
};

typedef struct cm_elastic_access {
    const cm_elastic_settings_t *settings;
    char **hosts; /* "http://host:9200" */
    size_t host_count;
    size_t host;             /* the one to ask next */
    cm_buf_t user, password; /* empty: none */
    cm_buf_t authorization;  /* header of an API key; empty: none */
} cm_elastic_access_t;

/* CM_EUSAGE. */
int cm_elastic_access_open(const cm_elastic_settings_t *settings, cm_elastic_access_t *access,
                           cm_err_t *err);
void cm_elastic_access_close(cm_elastic_access_t *access);

/* A handle with everything set that does not change: credentials, TLS, time limits. */
CURL *cm_elastic_access_handle(const cm_elastic_access_t *access);

/* Adds the headers that do not change to a list. */
struct curl_slist *cm_elastic_access_headers(const cm_elastic_access_t *access,
                                             struct curl_slist *headers);

/* The host to ask next, and the one after it when that one does not answer. */
const char *cm_elastic_access_host(const cm_elastic_access_t *access);
void cm_elastic_access_next(cm_elastic_access_t *access);

/* A request without an answer: CM_EAWAY, or CM_EUSAGE when TLS is to blame. `detail` is libcurl's
 * error buffer. */
int cm_elastic_access_fail(const cm_elastic_access_t *access, CURLcode code, const char *detail,
                           cm_err_t *err);

/* CM_EUSAGE when the answer says that we are not let in; else 0. */
int cm_elastic_access_refused(const cm_elastic_access_t *access, const cm_elastic_reply_t *reply,
                              cm_err_t *err);

/* Whether an answer with this status may pass when it is asked again. */
bool cm_elastic_passes(int status);

/* Appends the server's reason from the body of an answer: "type: reason". */
void cm_elastic_reason(cm_str_t body, cm_buf_t *text);

/* Waits before attempt `attempt` (from 1): ms, with something random in it. */
int64_t cm_elastic_wait_ms(unsigned attempt);

#endif
