/* The JSON API: questions about answers.
 *
 * Stateless but for the index handles, which it borrows for one answer. Used by all threads of the
 * server. docs/api.md describes what it answers. */
#ifndef CM_SERVE_API_H
#define CM_SERVE_API_H

#include "base/log.h"
#include "serve/handles.h"

#include <microhttpd.h>

typedef struct cm_endpoint cm_endpoint_t;

/* The endpoint of a request path, or NULL. */
const cm_endpoint_t *cm_api_find(const char *path);

/* Answers a GET or HEAD of an endpoint. */
enum MHD_Result cm_api_reply(const cm_endpoint_t *endpoint, struct MHD_Connection *connection,
                             cm_handles_t *handles, const cm_log_t *log);

/* When the answers of all time last changed, in ms; 0 when there are none yet. */
int cm_api_updated_at(cm_handles_t *handles, int64_t *updated_at, cm_err_t *err);

/* Appends what /api/summary answers without parameters. */
int cm_api_add_summary(cm_handles_t *handles, cm_buf_t *body, cm_err_t *err);

#endif
