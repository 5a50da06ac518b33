/* The JSON API: queries of the index, and questions to the raw events.
 *
 * It has no state of its own; for each answer it borrows an index handle. Used by all threads of
 * the server. docs/api.md describes the requests and the answers. */
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
    cm_downloads_t *downloads; /* of all rows */
    cm_download_t **download;
    cm_loop_t *loop; /* of the connection */
    bool head;       /* the method is HEAD */
} cm_api_request_t;

/* Answers a GET or HEAD of an endpoint. The first call suspends the connection; a second call,
 * after the connection was resumed, replies. */
enum MHD_Result cm_api_reply(const cm_api_endpoint_t *endpoint, struct MHD_Connection *connection,
                             const cm_api_request_t *request);

/* The same for a question to the raw events. */
enum MHD_Result cm_api_reply_question(struct MHD_Connection *connection,
                                      const cm_api_request_t *request);

/* Called after each row was added. A result other than 0 ends the query, which returns it. */
typedef int (*cm_api_row_fn)(void *context, cm_err_t *err);

/* Appends the whole answer, as CSV or JSON. `after` may be NULL; it may take bytes out of the
 * buffer. `index` is NULL when no index exists yet: then the answer has no rows. */
int cm_api_add_rows(cm_index_t *index, const cm_params_t *params, cm_buf_t *body,
                    cm_api_row_fn after, void *context, cm_err_t *err);

/* The same with a handle that is borrowed for the time of the call. */
int cm_api_answer(cm_handle_pool_t *handles, const cm_params_t *params, cm_buf_t *body,
                  cm_err_t *err);

/* How fresh the answers of a window are; all zero when there are none yet. */
int cm_api_freshness(cm_handle_pool_t *handles, cm_window_t window, cm_freshness_t *freshness,
                     cm_err_t *err);

/* Appends the answer of /api/summary without parameters. */
int cm_api_add_summary(cm_handle_pool_t *handles, cm_buf_t *body, cm_err_t *err);

#endif
