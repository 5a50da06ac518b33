/* Country and city of an address, from a database in the MaxMind DB format: that of the user's
 * choice, or the one that is built into the program, which knows countries only.
 *
 * A cm_geo_t is shared by all threads; it looks at most once a second whether the file has changed
 * and then opens it anew. A cm_geo_reader_t belongs to one thread; it goes on with the database
 * that it has until its next look-up, and the last one to leave a database closes it. A new file
 * that cannot be used is logged, and the old one stays.
 *
 * Addresses are neither kept nor logged. */
#ifndef CM_ENRICH_GEO_H
#define CM_ENRICH_GEO_H

#include "base/err.h"
#include "base/log.h"
#include "base/str.h"

typedef struct cm_geo cm_geo_t;
typedef struct cm_geo_reader cm_geo_reader_t;

/* Absent parts are empty. */
typedef struct cm_geo_place {
    cm_str_t country; /* in English, "Germany" */
    cm_str_t city;
    cm_str_t iso_code; /* "DE" */
} cm_geo_place_t;

/* Opens the file; NULL is the built-in database. `log` outlives it. CM_EINPUT when the file cannot
 * be read or is no such database. */
int cm_geo_open(const char *path, const cm_log_t *log, cm_geo_t **geo, cm_err_t *err);

/* After its readers. NULL is allowed. */
void cm_geo_close(cm_geo_t *geo);

cm_geo_reader_t *cm_geo_reader_new(cm_geo_t *geo);
void cm_geo_reader_free(cm_geo_reader_t *reader);

/* Where the address is, in any form that base/address.h reads, or the first public one of a list:
 * 1; 0 and an empty place when the database does not say, the address is private (10.0.0.0/8,
 * fc00::/7 and the like), or the text is none. CM_EINPUT and an empty place
 * when the database is broken there. The texts live until the next call with this reader. */
int cm_geo_find(cm_geo_reader_t *reader, cm_str_t address, cm_geo_place_t *place, cm_err_t *err);

/* Looks now whether the file has changed. */
void cm_geo_refresh(cm_geo_t *geo);

#endif
