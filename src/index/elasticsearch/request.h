/* Requests of the index to its server. For this folder only. The answer belongs to the client. One
 * thread, that of the client. */
#ifndef CM_INDEX_ELASTICSEARCH_REQUEST_H
#define CM_INDEX_ELASTICSEARCH_REQUEST_H

#include "index/elasticsearch/layout.h"

/* What every request needs, and its answer, which lives until the next one. */
typedef struct cm_index_request {
    cm_elastic_t *client;
    const cm_elastic_settings_t *settings; /* NULL: none is known */
    bool waits;                            /* for a server that does not answer, */
    const cm_waiter_t *waiter;             /* as long as this allows it */
    cm_err_t *err;
    cm_elastic_reply_t reply;
} cm_index_request_t;

enum { CM_REQUEST_SUCCESS = 0, CM_REQUEST_MISSING = 404, CM_REQUEST_REFUSED = 400 };

/* Sends a request; fails with "`doing`: ..." when the status is neither a success nor `allowed`. */
int cm_index_request(cm_index_request_t *request, int allowed, const char *doing,
                     const char *method, cm_str_t body, const char *path, ...)
    __attribute__((format(printf, 6, 7)));

/* cm_index_elasticsearch_find() with this request's way of waiting. */
int cm_index_request_find(cm_index_request_t *request, cm_index_elasticsearch_indices_t *indices);

/* Walks all hits of a search, as they are now (a scroll); `body` has the `size` of a page.
 * CM_EINPUT when the index does not exist. */
int cm_index_request_scroll(cm_index_request_t *request, const char *doing, const char *index,
                            cm_str_t body, cm_document_fn take, void *context);

#endif
