/* What client and bulk share: the settings made ready for libcurl, and what its failures mean.
 *
 * Only the files of elastic/ include this. It holds secrets in plain text: they are sent to the
 * server and to no other place. Belongs to the caller that opened it; one thread. */
#ifndef CM_ELASTIC_ACCESS_H
#define CM_ELASTIC_ACCESS_H

#include "elastic/client.h"
#include "elastic/json.h"

#include <curl/curl.h>

typedef struct cm_elastic_access {
    const cm_elastic_settings_t *settings;
    char **hosts; /* "https://host:9243", a path behind it where given, no slash at the end */
    size_t host_count;
    char *shown;                                  /* the hosts, as sentences name them */
    char *username, *password, *authorization;    /* NULL: none; a whole line of the header */
    struct curl_slist *bare, *json, *ndjson, *gz; /* headers without a body and with each kind */
} cm_elastic_access_t;

int cm_elastic_access_open(cm_elastic_access_t *access, const cm_elastic_settings_t *settings,
                           cm_err_t *err);
void cm_elastic_access_close(cm_elastic_access_t *access);

/* Whether bodies are to be compressed, by the settings and the hosts. */
bool cm_elastic_access_compresses(const cm_elastic_access_t *access);

/* Prepares the handle for a request: all but address, method, headers and body. The response is
 * appended to `answer`; `detail` has CURL_ERROR_SIZE bytes. */
void cm_elastic_access_apply(const cm_elastic_access_t *access, CURL *easy, cm_buf_t *answer,
                             char *detail);

/* The error of a request that got no answer: CM_EAWAY, or CM_EUSAGE where a repetition cannot help.
 */
int cm_elastic_fail_transfer(const cm_elastic_access_t *access, size_t host, CURLcode code,
                             const char *detail, cm_err_t *err);

/* CM_EUSAGE when the answer refuses the credentials (401, 403), else 0. */
int cm_elastic_check_allowed(const cm_elastic_access_t *access, const cm_elastic_reply_t *reply,
                             cm_err_t *err);

/* cm_elastic_fail() with the hosts as they were understood, and the same for an item of a bulk. */
int cm_elastic_fail_reply(const cm_elastic_access_t *access, const cm_elastic_reply_t *reply,
                          const char *doing, cm_err_t *err);
int cm_elastic_fail_item(const cm_elastic_access_t *access, int status,
                         const cm_elastic_reason_t *reason, const char *doing, cm_err_t *err);

/* 429, and the 5xx of a server that is temporarily not reachable: 502, 503, 504. */
bool cm_elastic_is_temporary(int status);

/* Appends the server's reason, or else the beginning of its response. */
void cm_elastic_add_reply_reason(cm_buf_t *buf, const cm_elastic_reply_t *reply);

/* ---- waiting ---- */

typedef struct cm_elastic_wait {
    const cm_elastic_access_t *access;
    const cm_waiter_t *waiter; /* may be NULL */
    uint64_t failures, random;
    int64_t asked_ns;
    bool gave_up;     /* the waiter has ended the wait */
    char reason[300]; /* of the last failure; empty: the server is only slow */
} cm_elastic_wait_t;

enum { CM_ELASTIC_POLL_MS = 50 }; /* between checks of the stop flag */

void cm_elastic_wait_init(cm_elastic_wait_t *wait, const cm_elastic_access_t *access,
                          const cm_waiter_t *waiter);

/* Called every CM_ELASTIC_POLL_MS of a wait: CM_ESTOP, the waiter's code, or 0 to go on. */
int cm_elastic_wait_check(cm_elastic_wait_t *wait, cm_err_t *err);

/* Notes a failed attempt: no answer came, or one that asks to try again later. */
void cm_elastic_wait_lost(cm_elastic_wait_t *wait, size_t host, CURLcode code, const char *detail);
void cm_elastic_wait_refused(cm_elastic_wait_t *wait, size_t host, const cm_elastic_reply_t *reply);
void cm_elastic_wait_failed(cm_elastic_wait_t *wait, const char *reason);

/* How long to wait after a failure: doubles `*delay_ms` (0: the first) for the next one, adds a
 * small random time; not less than `least_ms`, up to a limit. */
int64_t cm_elastic_wait_delay(cm_elastic_wait_t *wait, int64_t *delay_ms, int64_t least_ms);

#endif
