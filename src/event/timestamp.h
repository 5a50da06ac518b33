/* The timestamp of an event as messages have it: a number or RFC 3339 text (docs/contract.md). Pure
 * functions, for any thread. */
#ifndef CM_EVENT_TIMESTAMP_H
#define CM_EVENT_TIMESTAMP_H

#include "base/err.h"
#include "base/str.h"
#include "base/zone.h"

/* The unit of a timestamp that is a number. */
typedef enum cm_timestamp_unit {
    CM_TIMESTAMP_AUTO, /* milliseconds, but an integer that looks like seconds is rejected */
    CM_TIMESTAMP_S,
    CM_TIMESTAMP_MS,
    CM_TIMESTAMP_US,
    CM_TIMESTAMP_NS,
} cm_timestamp_unit_t;

/* How timestamps are read; all zero is as the contract says. The zone is borrowed. */
typedef struct cm_timestamp_format {
    cm_timestamp_unit_t unit;
    const cm_zone_t *zone; /* for times without a zone; NULL: they are rejected */
} cm_timestamp_format_t;

/* Integers from CM_SECONDS_FIRST to CM_SECONDS_LAST look like seconds, of the years 2001 to 2099.
 * As milliseconds all of them would be in January and February 1970. */
#define CM_SECONDS_FIRST INT64_C(1000000000)
#define CM_SECONDS_LAST  INT64_C(4102444799)

/* 0, or CM_EREJECT when the time in milliseconds is not in the contract's range. */
int cm_timestamp_check(int64_t ms, cm_err_t *err);

/* Converts an integer to milliseconds. 0 or CM_EREJECT. With CM_TIMESTAMP_AUTO and CM_TIMESTAMP_MS
 * the range is not checked; call cm_timestamp_check(). */
int cm_timestamp_take(int64_t number, const cm_timestamp_format_t *times, int64_t *ms,
                      cm_err_t *err);

/* The same for text: an integer or RFC 3339. With a unit it may also be a number with a fraction or
 * an exponent, which is cut to milliseconds; with a zone also RFC 3339 without "Z" or offset. */
int cm_timestamp_parse(cm_str_t text, const cm_timestamp_format_t *times, int64_t *ms,
                       cm_err_t *err);

#endif
