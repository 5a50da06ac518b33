/* Requests of the schema registry's client: one at a time, sent again until a server answers, to
 * one server of the list after the other. Only the registry's files include this. One thread. */
#ifndef CM_KAFKA_REGISTRY_FETCH_H
#define CM_KAFKA_REGISTRY_FETCH_H

#include "kafka/client.h"

#include <curl/curl.h>

/* Must not be moved while it is open. */
typedef struct cm_kafka_fetch {
    const cm_kafka_settings_t *settings;
    char **urls; /* "http://host:8081", a path behind it where given, no slash at the end */
    size_t url_count, at;
    cm_buf_t user, password;
    CURLM *multi;
    CURL *easy;
    struct curl_slist *headers;
    char detail[CURL_ERROR_SIZE];
    cm_buf_t address, answer;
    bool running;
    size_t failures;   /* since the last answer */
    int64_t due_ns;    /* the next attempt */
    char trouble[300]; /* why there is no answer; "": there was one, or no failure yet */
} cm_kafka_fetch_t;

/* CM_EUSAGE: a URL, a secret or a certificate cannot be used. To be closed also then. */
int cm_kafka_fetch_open(cm_kafka_fetch_t *fetch, const cm_kafka_settings_t *settings,
                        cm_err_t *err);

void cm_kafka_fetch_close(cm_kafka_fetch_t *fetch);

/* An answer; lives until the next call. */
typedef struct cm_kafka_fetched {
    int status;
    cm_str_t body;
} cm_kafka_fetched_t;

/* Asks for a path. 1: there is an answer, which the caller takes by one of the two functions below;
 * 0: not yet, call again with the same path. Waits for at most `wait_ms`. CM_EUSAGE when TLS or the
 * credentials fail. */
int cm_kafka_fetch(cm_kafka_fetch_t *fetch, const char *path, int wait_ms,
                   cm_kafka_fetched_t *answer, cm_err_t *err);

/* The answer is that of a registry: it is no longer in trouble. */
void cm_kafka_fetch_succeed(cm_kafka_fetch_t *fetch);

/* The answer, or that there is none, is a failure: the next call asks another server, after a wait.
 */
void cm_kafka_fetch_fail(cm_kafka_fetch_t *fetch, const char *reason);

/* The next call asks the next server, after this time; that is no failure. */
void cm_kafka_fetch_later(cm_kafka_fetch_t *fetch, int64_t ms);

/* Gives up the request that is under way. */
void cm_kafka_fetch_drop(cm_kafka_fetch_t *fetch);

#endif
