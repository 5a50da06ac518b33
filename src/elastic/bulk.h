/* Many documents into Elasticsearch: bodies of bounded size, gzip, several connections at once.
 *
 * put() and remove() append to a body; a full one is sent, and they wait only when all connections
 * are busy. They wait for servers that are slow, full (429, 503) or not reachable, as long as the
 * waiter allows it. Of an answer only the failed items are sent again (429, 503 and other 5xx), a
 * body that is too large (413) is halved, and documents that are refused permanently are given to
 * `refused`. Documents of one id are sent in the order in which they were put. One thread. */
#ifndef CM_ELASTIC_BULK_H
#define CM_ELASTIC_BULK_H

#include "elastic/client.h"

typedef struct cm_elastic_bulk cm_elastic_bulk_t;

/* A document that the server will never accept; the strings live until this returns. Negative: the
 * bulk ends with that code. */
typedef int (*cm_elastic_refused_t)(void *context, cm_str_t index, cm_str_t id, cm_str_t document,
                                    cm_str_t reason, cm_err_t *err);

typedef struct cm_elastic_bulk_options {
    const cm_elastic_settings_t *settings;
    const cm_waiter_t *waiter; /* NULL: waits without end */
    cm_elastic_refused_t refused;
    void *context;
} cm_elastic_bulk_options_t;

typedef struct cm_elastic_bulk_counts {
    uint64_t sent;    /* documents written, acknowledged by the server */
    uint64_t removed; /* documents deleted, also those that were not there */
    uint64_t refused;
    uint64_t retries;                   /* attempts of bodies or parts of them after the first */
    uint64_t bodies, bytes, wire_bytes; /* sent; before and after compression */
} cm_elastic_bulk_counts_t;

int cm_elastic_bulk_open(const cm_elastic_bulk_options_t *options, cm_elastic_bulk_t **bulk,
                         cm_err_t *err);

/* Writes the document (one line of JSON) of `index` with that id, or replaces it. When the waiter
 * gives up (its code) or the stop flag is set (CM_ESTOP) the document is not taken, but those
 * before it are kept, and a later call continues. CM_EUSAGE (rights, TLS), CM_EINPUT (the index
 * does not exist) and CM_EIO end the bulk: every later call returns the same. */
int cm_elastic_bulk_put(cm_elastic_bulk_t *bulk, cm_str_t index, cm_str_t id, cm_str_t document,
                        cm_err_t *err);

/* Deletes a document; it is no error when it does not exist. */
int cm_elastic_bulk_remove(cm_elastic_bulk_t *bulk, cm_str_t index, cm_str_t id, cm_err_t *err);

/* Sends the rest and waits until all is acknowledged or refused. */
int cm_elastic_bulk_flush(cm_elastic_bulk_t *bulk, cm_err_t *err);

cm_elastic_bulk_counts_t cm_elastic_bulk_counts(const cm_elastic_bulk_t *bulk);

/* What was not flushed is lost. */
void cm_elastic_bulk_close(cm_elastic_bulk_t *bulk);

#endif
