/* What everything that uses Elasticsearch or OpenSearch shares: where it is, how to get in, and a
 * client that sends one request at a time. Many documents go through elastic/bulk.h.
 *
 * Works with Elasticsearch 7.17 and 8, and OpenSearch 2, and uses nothing that one of them lacks.
 * A client belongs to the caller that opened it; one thread each. */
#ifndef CM_ELASTIC_CLIENT_H
#define CM_ELASTIC_CLIENT_H

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"
#include "base/waiter.h"

#include <stdatomic.h>

/* Whether requests are compressed: AUTO compresses where a server is on another machine. Within one
 * machine compression costs both sides processor time and saves nothing. */
typedef enum cm_elastic_gzip {
    CM_ELASTIC_GZIP_AUTO,
    CM_ELASTIC_GZIP_ON,
    CM_ELASTIC_GZIP_OFF,
} cm_elastic_gzip_t;

/* Borrowed by a client, bulk or index until that is closed. */
typedef struct cm_elastic_settings {
    const char *hosts;    /* "http://host:9200,https://host:9200"; without a scheme: http */
    const char *cloud_id; /* of Elastic Cloud, instead of hosts; NULL: none */
    const char *index;    /* alias of the documents of cells */
    const char *totals;   /* alias of those per url, per country, of the site, and of freshness */
    /* ${NAME} and file:PATH are understood (base/secret.h); NULL: none. */
    const char *username, *password; /* basic authentication */
    const char *api_key;             /* "id:key", or both in base64 as the server gives it */
    const char *ca_file;             /* PEM; NULL: the system's */
    bool insecure;                   /* accepts any certificate */
    int shards, replicas;            /* of a new index; replicas < 0: the server's */
    int connections;                 /* of a bulk */
    size_t bulk_bytes;               /* of a body, before it is compressed */
    cm_elastic_gzip_t gzip;
    int64_t timeout_ms; /* how long a request may take */
    const cm_log_t *log;
    const atomic_bool *stop; /* ends every wait for a server; NULL: none does */
} cm_elastic_settings_t;

typedef struct cm_elastic cm_elastic_t;

/* Reads the settings (secrets, certificates, cloud id); connects with the first request. CM_EUSAGE.
 */
int cm_elastic_open(const cm_elastic_settings_t *settings, cm_elastic_t **client, cm_err_t *err);

void cm_elastic_close(cm_elastic_t *client);

/* An answer; belongs to the client, and lives until its next request. */
typedef struct cm_elastic_reply {
    int status; /* of HTTP */
    cm_str_t body;
} cm_elastic_reply_t;

/* Sends a request once, to the next host when one does not answer: a host that ends the connection
 * may nevertheless have carried it out. 0 with any status, except: CM_EAWAY when no host answers,
 * CM_EUSAGE when TLS fails, the credentials are refused (401, 403), or the peer does not speak
 * HTTP; CM_ESTOP. `body` may be empty; it is sent as application/json. `path` begins with "/". */
int cm_elastic_request(cm_elastic_t *client, const char *method, const char *path, cm_str_t body,
                       cm_elastic_reply_t *reply, cm_err_t *err);

/* The same, repeated with growing waits while no host answers or the answer is 429, 502, 503 or
 * 504, as long as `waiter` allows it: its code when it does not. Without a waiter it ends after
 * settings->timeout_ms in all, with 0 and the last answer where there was one. CM_ESTOP. */
int cm_elastic_request_retrying(cm_elastic_t *client, const char *method, const char *path,
                                cm_str_t body, const cm_waiter_t *waiter, cm_elastic_reply_t *reply,
                                cm_err_t *err);

/* Turns an answer that is not a success into an error with the server's reason, "`doing`: ...", and
 * what to do. Returns err->code: CM_EUSAGE for errors of the configuration, CM_EINPUT for 404,
 * CM_EAWAY for 429 and 5xx that are temporary, else CM_EIO. */
int cm_elastic_fail(const cm_elastic_settings_t *settings, const cm_elastic_reply_t *reply,
                    const char *doing, cm_err_t *err);

/* The host that answered last, "http://127.0.0.1:9200", never with credentials. */
const char *cm_elastic_host(const cm_elastic_t *client);

/* The credentials of the settings: user name and password, or the value of a header
 * `Authorization`; what does not exist is left empty. Never print them. CM_EUSAGE. */
int cm_elastic_credentials(const cm_elastic_settings_t *settings, cm_buf_t *user,
                           cm_buf_t *password, cm_buf_t *authorization, cm_err_t *err);

/* The server's product and version, from GET /. */
typedef struct cm_elastic_about {
    bool opensearch;
    int major, minor;
    char name[64]; /* "Elasticsearch 8.19.21" */
} cm_elastic_about_t;

int cm_elastic_about(cm_elastic_t *client, const cm_waiter_t *waiter, cm_elastic_about_t *about,
                     cm_err_t *err);

#endif
