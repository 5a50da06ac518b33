/* One opened database: what geo.c exchanges when the file changes. */
#ifndef CM_ENRICH_GEO_DATABASE_H
#define CM_ENRICH_GEO_DATABASE_H

#include "base/err.h"

#include <maxminddb.h>
#include <stdatomic.h>

typedef struct cm_geo_database {
    MMDB_s mmdb;
    atomic_int users; /* the last one to leave frees it */
} cm_geo_database_t;

/* Opens a file, or with NULL the built-in one. It has one user. CM_EINPUT. */
int cm_geo_database_open(const char *path, cm_geo_database_t **database, cm_err_t *err);

/* One user less; NULL is allowed. */
void cm_geo_database_leave(cm_geo_database_t *database);

#endif
