/* A time zone of the system's database (tzdata). It is read without the C library, whose time zone
 * is a setting of the whole process.
 *
 * A zone is constant after it is opened, so any number of threads may use it. */
#ifndef CM_BASE_ZONE_H
#define CM_BASE_ZONE_H

#include "base/err.h"
#include "base/str.h"

typedef struct cm_zone cm_zone_t;

/* Opens a zone by its name in the database, such as "Europe/Berlin" or "UTC". CM_EUSAGE with a
 * message about --tz when there is no such zone or it cannot be used. */
int cm_zone_open(const char *name, cm_zone_t **zone, cm_err_t *err);

/* The same from the bytes of a file of the database (TZif, RFC 9636, version 2 or later); false
 * when they are not such a file. */
bool cm_zone_read(cm_str_t bytes, cm_zone_t **zone);

/* NULL is allowed. */
void cm_zone_free(const cm_zone_t *zone);

/* How many seconds the clock is ahead of UTC at an instant, and the seconds [*from, *to) around the
 * instant in which it is so. INT64_MIN: no change before; INT64_MAX: none after. */
int64_t cm_zone_offset(const cm_zone_t *zone, int64_t second, int64_t *from, int64_t *to);

/* The first instant, in seconds since the epoch, at which the clock shows this local time or a
 * later one; `local` is counted as if it were UTC. So the first instant of a date is that of its
 * midnight, or where the clock skipped midnight, the change of the clock. */
int64_t cm_zone_first(const cm_zone_t *zone, int64_t local);

/* Converts a local time to milliseconds since the epoch; `local` is the local time, counted as if
 * it were UTC. If the clock showed the time twice, the earlier one is meant. A time that was
 * skipped when the clock went forward is moved by the same amount (02:30 becomes 03:30). */
int64_t cm_zone_utc(const cm_zone_t *zone, int64_t local);

#endif
