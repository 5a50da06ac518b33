/* The JSON API: questions about answers.
 *
 * Stateless but for the index handles, which it borrows for one answer. Used by all threads of the
 * server. docs/api.md describes what it answers. */
#ifndef CM_SERVE_API_H
#define CM_SERVE_API_H

#include "base/log.h"
#include "serve/api_queue.h"
#include "serve/download.h"
#include "serve/handle_pool.h"
#include "serve/params.h"

#include <microhttpd.h>

typedef struct cm_api_endpoint cm_api_endpoint_t;

/* The endpoint of a request path, or NULL. */
const cm_api_endpoint_t *cm_api_find(const char *path);

/* What a request needs for its answer. The query and the download are NULL at first; the caller
 * releases them when the request ends. */
typedef struct cm_api_request {
    cm_api_queue_t *queue;
    cm_api_query_t **query;
    cm_downloads_t *downloads; /* for all rows */
    cm_download_t **download;
    cm_loop_t *loop; /* of the connection */
    bool head;       /* the method is HEAD */
} cm_api_request_t;

/* Answers a GET or HEAD of an endpoint. The connection is suspended meanwhile, and the reply is
 * given by a second call, when it was let on. */
enum MHD_Result cm_api_reply(const cm_api_endpoint_t *endpoint, struct MHD_Connection *connection,
                             const cm_api_request_t *request);

/* Called after each row was added. Non-zero ends the question and is returned by it. */
typedef int (*cm_api_row_fn)(void *context, cm_err_t *err);

/* Appends the whole answer, as CSV or JSON. `after` may be NULL, and may take what stands in the
 * buffer away. `index` is NULL when there is none yet: then there are no rows. */
int cm_api_add_rows(cm_index_t *index, const cm_params_t *params, cm_buf_t *body,
                    cm_api_row_fn after, void *context, cm_err_t *err);

/* The same by a handle that is borrowed meanwhile. */
int cm_api_answer(cm_handle_pool_t *handles, const cm_params_t *params, cm_buf_t *body,
                  cm_err_t *err);

/* How far the answers of a window are; all zero when there are none yet. */
int cm_api_freshness(cm_handle_pool_t *handles, cm_window_t window, cm_freshness_t *freshness,
                     cm_err_t *err);

/* Appends what /api/summary answers without parameters. */
int cm_api_add_summary(cm_handle_pool_t *handles, cm_buf_t *body, cm_err_t *err);

#endif
