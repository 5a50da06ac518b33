/* Questions to the server as the index asks them. Inside the index only. */
#ifndef CM_INDEX_ELASTICSEARCH_TALK_H
#define CM_INDEX_ELASTICSEARCH_TALK_H

#include "index/elasticsearch/layout.h"

/* What every question needs, and its answer, which lives until the next one. */
typedef struct cm_index_request {
    cm_elastic_t *client;
    const cm_elastic_settings_t *settings; /* NULL: none is known */
    bool waits;                            /* waits for a server that is away, */
    const cm_waiter_t *waiter;             /* as long as this lets it */
    cm_err_t *err;
    cm_elastic_reply_t reply;
} cm_index_request_t;

enum { CM_REQUEST_SUCCESS = 0, CM_REQUEST_MISSING = 404, CM_REQUEST_REFUSED = 400 };

/* Asks, and fails with "`doing`: ..." when the status is neither a success nor `allowed`. */
int cm_index_request(cm_index_request_t *request, int allowed, const char *doing,
                     const char *method, cm_str_t body, const char *path, ...)
    __attribute__((format(printf, 6, 7)));

/* What the two aliases lead to: cm_index_elasticsearch_find() that may be impatient. */
int cm_index_request_find(cm_index_request_t *request, cm_index_elasticsearch_indices_t *indices);

/* Walks all hits of a search whose body has its `size`, as they are now, however many. CM_EINPUT
 * when there is no such index. */
int cm_index_request_scroll(cm_index_request_t *request, const char *doing, const char *index,
                            cm_str_t body, cm_document_fn take, void *context);

#endif
