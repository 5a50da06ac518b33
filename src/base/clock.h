/* Time: milliseconds since the Unix epoch, UTC, and its RFC 3339 text. For any thread.
 *
 * A clock is a parameter, so that tests can stop it; NULL means the real one. */
#ifndef CM_BASE_CLOCK_H
#define CM_BASE_CLOCK_H

#include "base/str.h"

#include <pthread.h>

typedef struct cm_clock {
    int64_t (*now_ms)(void *self); /* wall clock, ms since the epoch */
    void *self;
} cm_clock_t;

/* Wall clock in ms since the epoch; `clock` may be NULL. */
int64_t cm_clock_now_ms(const cm_clock_t *clock);

/* The same in microseconds; whole milliseconds when a clock is given. */
int64_t cm_clock_now_us(const cm_clock_t *clock);

/* Monotonic nanoseconds, only for measuring and pacing. */
int64_t cm_clock_ticks_ns(void);

enum {
    CM_TIME_TEXT = 32,
    CM_HOUR_MS = 3600 * 1000,
    CM_DAY_MS = 24 * 3600 * 1000,
};

/* Exclusive upper bound of a timestamp: 2100-01-01T00:00:00Z in ms. */
#define CM_TIME_END INT64_C(4102444800000)

/* A condition whose timed waits use CLOCK_MONOTONIC, so that setting the clock does not prolong
 * them. */
void cm_clock_cond_init(pthread_cond_t *cond);

/* The time in `ms` milliseconds, for such a wait. */
struct timespec cm_clock_until(int64_t ms);

/* Writes "2015-05-17T10:05:03Z", with ".123" before the Z if the milliseconds are not 0. Returns
 * `text`, which has CM_TIME_TEXT bytes. */
char *cm_time_format(int64_t ms, char *text);

/* Parses RFC 3339, such as `2015-05-17T10:05:03.25+02:00`. The T may be a space or lower case;
 * fractions are cut to milliseconds; second 60 is the next second. False for anything else,
 * including dates that do not exist. */
bool cm_time_parse(cm_str_t text, int64_t *ms);

/* The same for a time without a zone, `2015-05-17T10:05:03.25`: a local time, converted as if it
 * were UTC. */
bool cm_time_parse_local(cm_str_t text, int64_t *ms);

/* Days since 1970-01-01 of a proleptic Gregorian date, month 1..12. */
int64_t cm_time_days(int year, int month, int day);

/* The date of a day since 1970-01-01, the reverse of cm_time_days(). */
void cm_time_date(int64_t days, int *year, int *month, int *day);

/* Sleeps `ms` milliseconds; returns early when a signal arrives. */
void cm_sleep_ms(int64_t ms);

#endif
