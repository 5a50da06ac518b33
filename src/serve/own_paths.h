/* Paths of the operator's choice for the tracker and for events (`collect.script`, `collect.path`),
 * with which a site can pass both through its own server. The standard paths answer, too.
 *
 * Constant once it is made, for any thread. */
#ifndef CM_SERVE_OWN_PATHS_H
#define CM_SERVE_OWN_PATHS_H

#include "base/err.h"
#include "base/str.h"
#include "serve/assets.h"

#define CM_OWN_PATHS_SCRIPT "/clickmill.js"
#define CM_OWN_PATHS_EVENTS "/v1/events"

typedef struct cm_own_paths cm_own_paths_t;

/* NULL: the standard path. The texts are borrowed. CM_EUSAGE: a text is not a path, or the server
 * answers it already. */
int cm_own_paths_new(const char *script, const char *events, cm_own_paths_t **paths, cm_err_t *err);
void cm_own_paths_free(cm_own_paths_t *paths);

/* The standard path that a request path stands for; the same path where it is none of the two. */
const char *cm_own_paths_standard(const cm_own_paths_t *paths, const char *path);

/* The tracker, which sends to the path for events unless its attribute names another; valid as long
 * as the paths. */
const cm_asset_t *cm_own_paths_tracker(const cm_own_paths_t *paths);

/* Appends {"script":...,"events":...}. */
void cm_own_paths_add_json(const cm_own_paths_t *paths, cm_buf_t *json);

#endif
