/* A time zone of the system's database (tzdata), read without the C library's one, which is a
 * setting of the whole process.
 *
 * A zone is constant once it is opened: any number of threads may use it. */
#ifndef CM_BASE_ZONE_H
#define CM_BASE_ZONE_H

#include "base/err.h"
#include "base/str.h"

typedef struct cm_zone cm_zone_t;

/* Opens a zone by its name in the database, such as "Europe/Berlin" or "UTC". CM_EUSAGE with a
 * sentence about --tz when there is none of that name or it cannot be used. */
int cm_zone_open(const char *name, cm_zone_t **zone, cm_err_t *err);

/* The same from the bytes of a file of the database (TZif, RFC 9636, version 2 or later); false
 * when they are none. */
bool cm_zone_read(cm_str_t bytes, cm_zone_t **zone);

/* NULL is allowed. */
void cm_zone_free(const cm_zone_t *zone);

/* The time of a local clock as milliseconds since the epoch; `local` is what that clock shows,
 * counted as if it were UTC. A time that a clock showed twice is the earlier one; a time that was
 * left out when the clock went forward is as much later (02:30 becomes 03:30). */
int64_t cm_zone_utc(const cm_zone_t *zone, int64_t local);

#endif
