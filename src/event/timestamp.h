/* The timestamp of an event, as messages write it: a number or RFC 3339 text (docs/contract.md). */
#ifndef CM_EVENT_TIMESTAMP_H
#define CM_EVENT_TIMESTAMP_H

#include "base/err.h"
#include "base/str.h"
#include "base/zone.h"

/* What a number counts. */
typedef enum cm_timestamp_unit {
    CM_TIMESTAMP_AUTO, /* milliseconds, but a whole number that looks like seconds is rejected */
    CM_TIMESTAMP_S,
    CM_TIMESTAMP_MS,
    CM_TIMESTAMP_US,
    CM_TIMESTAMP_NS,
} cm_timestamp_unit_t;

/* How timestamps are to be read; all zero is the contract's own way. The zone is borrowed. */
typedef struct cm_timestamp_format {
    cm_timestamp_unit_t unit;
    const cm_zone_t *zone; /* of texts without one; NULL: they are rejected */
} cm_timestamp_format_t;

/* Whole numbers from here to there count seconds, of the years 2001 to 2099: as milliseconds they
 * would all be days of January and February 1970. */
#define CM_SECONDS_FIRST INT64_C(1000000000)
#define CM_SECONDS_LAST  INT64_C(4102444799)

/* CM_EREJECT unless the time, in milliseconds, is in the contract's range. */
int cm_timestamp_check(int64_t ms, cm_err_t *err);

/* The time that a whole number says. 0 or CM_EREJECT; only with a unit other than CM_TIMESTAMP_AUTO
 * it is sure to be in the contract's range. */
int cm_timestamp_take(int64_t number, const cm_timestamp_format_t *times, int64_t *ms,
                      cm_err_t *err);

/* The same for a text: a whole number, with a unit also one with a fraction or an exponent, which
 * is cut to milliseconds, or RFC 3339; with a zone also RFC 3339 without "Z" or offset. */
int cm_timestamp_parse(cm_str_t text, const cm_timestamp_format_t *times, int64_t *ms,
                       cm_err_t *err);

#endif
