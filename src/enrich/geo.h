/* Country, region and city of an address, from a database in the MaxMind DB format: a file that the
 * user names, or the database that is built into the program, which has only countries.
 *
 * A cm_geo_t is shared by all threads. At most once a second it checks whether the file has
 * changed, and then opens it again. A cm_geo_reader_t belongs to one thread. It uses its database
 * until its next look-up; a database is closed when no reader uses it any more. When a new file
 * cannot be used, that is logged and the old database stays in use.
 *
 * Addresses are neither stored nor logged. */
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
    cm_str_t region;  /* the largest subdivision, in English: "Bavaria" */
    cm_str_t city;
    cm_str_t iso_code; /* of the country: "DE" */
} cm_geo_place_t;

#define CM_GEO_PLACE_NONE ((cm_geo_place_t){CM_STR(""), CM_STR(""), CM_STR(""), CM_STR("")})

/* Opens the file; NULL is the built-in database. `log` is borrowed. CM_EINPUT when the file cannot
 * be read or is not such a database. */
int cm_geo_open(const char *path, const cm_log_t *log, cm_geo_t **geo, cm_err_t *err);

/* To be called after its readers are freed. NULL is allowed. */
void cm_geo_close(cm_geo_t *geo);

cm_geo_reader_t *cm_geo_reader_new(cm_geo_t *geo);
void cm_geo_reader_free(cm_geo_reader_t *reader);

/* Finds the place of the address, which has any form that base/address.h reads; of a list, the
 * first public address is used. Returns 1; or 0 and an empty place when the database does not have
 * it, the address is private (10.0.0.0/8, fc00::/7 and similar), or the text is not an address.
 * CM_EINPUT and an empty place when that part of the database is broken. The strings live until the
 * next call with this reader. */
int cm_geo_find(cm_geo_reader_t *reader, cm_str_t address, cm_geo_place_t *place, cm_err_t *err);

/* Checks at once whether the file has changed. Any thread. */
void cm_geo_refresh(cm_geo_t *geo);

#endif
