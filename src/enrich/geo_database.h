/* One open database, which geo.c replaces when the file changes. Shared by threads; the last user
 * frees it. */
#ifndef CM_ENRICH_GEO_DATABASE_H
#define CM_ENRICH_GEO_DATABASE_H

#include "base/err.h"

#include <maxminddb.h>
#include <stdatomic.h>

typedef struct cm_geo_database {
    MMDB_s mmdb;
    atomic_int users;
} cm_geo_database_t;

/* Opens a file, or the built-in database when `path` is NULL. It has one user then. CM_EINPUT. */
int cm_geo_database_open(const char *path, cm_geo_database_t **database, cm_err_t *err);

/* Removes a user; frees the database when it was the last. NULL is allowed. */
void cm_geo_database_leave(cm_geo_database_t *database);

#endif
