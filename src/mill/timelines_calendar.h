/* The calendar of timelines: which periods the events of a part fall into.
 *
 * Periods are weeks from Monday 00:00 UTC on, or days, hours or 10 minutes of them. Each unit is a
 * whole number of smaller ones, so two of them are apart or one is within the other. Used by one
 * thread until it is filled, then by any. */
#ifndef CM_MILL_TIMELINES_CALENDAR_H
#define CM_MILL_TIMELINES_CALENDAR_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

enum {
    /* Weeks from Monday, 1969-12-29 on, until the contract's last day in 2099. */
    CM_CALENDAR_WEEKS = 6800,
    CM_CALENDAR_SLOTS = 7 * 24 * 6, /* of a week: the smallest unit, 10 minutes */
    CM_CALENDAR_UNITS = 4,
};

#define CM_CALENDAR_SLOT_MS (INT64_C(10) * 60 * 1000)
#define CM_CALENDAR_WEEK_MS (INT64_C(7) * CM_DAY_MS)
#define CM_CALENDAR_NONE    UINT32_MAX /* the time is in no span */

typedef struct cm_calendar_span {
    int64_t from, to; /* ms */
} cm_calendar_span_t;

/* Spans that do not overlap, and the span of each time. */
typedef struct cm_calendar {
    cm_calendar_span_t *spans;
    uint32_t count, cap;
    uint32_t *weeks;  /* by week: the span; or none; or CM_CALENDAR_DIVIDED and a table */
    uint32_t *tables; /* CM_CALENDAR_SLOTS for each week that is divided: the span, or none */
    uint32_t table_count;
} cm_calendar_t;

#define CM_CALENDAR_DIVIDED UINT32_C(0x80000000)

/* The week of a time of the contract, ms. */
static inline uint32_t cm_calendar_week(int64_t time)
{
    return (uint32_t)((uint64_t)(time + 3 * CM_DAY_MS) / (uint64_t)CM_CALENDAR_WEEK_MS);
}

/* When a week begins, ms. */
static inline int64_t cm_calendar_week_start(uint32_t week)
{
    return (int64_t)week * CM_CALENDAR_WEEK_MS - 3 * CM_DAY_MS;
}

/* The number of the smallest unit within its week. */
static inline uint32_t cm_calendar_slot(uint32_t week, int64_t time)
{
    return (uint32_t)((uint64_t)(time - cm_calendar_week_start(week)) /
                      (uint64_t)CM_CALENDAR_SLOT_MS);
}

/* The number of the span that a time is in; or CM_CALENDAR_NONE. */
static inline uint32_t cm_calendar_find(const cm_calendar_t *calendar, int64_t time)
{
    const uint32_t week = cm_calendar_week(time), found = calendar->weeks[week];

    if (found == CM_CALENDAR_NONE || !(found & CM_CALENDAR_DIVIDED))
        return found;
    return calendar->tables[(size_t)(found & ~CM_CALENDAR_DIVIDED) * CM_CALENDAR_SLOTS +
                            cm_calendar_slot(week, time)];
}

/* The units, the smallest first: 10 minutes, an hour, a day, a week; ms. */
extern const int64_t cm_calendar_units[CM_CALENDAR_UNITS];

/* The span of the unit that a time is in. */
cm_calendar_span_t cm_calendar_unit_at(int unit, int64_t time);

/* A calendar without spans. */
void cm_calendar_init(cm_calendar_t *calendar);

/* Adds a span, which is one of a unit; its number is how many there were before. */
void cm_calendar_add(cm_calendar_t *calendar, cm_calendar_span_t span);

/* All weeks; the number of each is the week's. */
void cm_calendar_add_weeks(cm_calendar_t *calendar);

/* All zero is fine. */
void cm_calendar_free(cm_calendar_t *calendar);

#endif
