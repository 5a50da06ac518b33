#include "mill/timelines_calendar.h"

#include "base/str.h"

#include <assert.h>
#include <string.h>

enum { FIRST_SPANS = 64 };

const int64_t cm_calendar_units[CM_CALENDAR_UNITS] = {CM_CALENDAR_SLOT_MS, INT64_C(3600) * 1000,
                                                      CM_DAY_MS, CM_CALENDAR_WEEK_MS};

cm_calendar_span_t cm_calendar_unit_at(int unit, int64_t time)
{
    const int64_t length = cm_calendar_units[unit];
    const int64_t from = time - (time + 3 * CM_DAY_MS) % length; /* a Monday is 3 days before 0 */

    return (cm_calendar_span_t){from, from + length};
}

void cm_calendar_init(cm_calendar_t *calendar)
{
    *calendar = (cm_calendar_t){.weeks = cm_alloc(CM_CALENDAR_WEEKS * sizeof *calendar->weeks)};
    for (uint32_t week = 0; week < CM_CALENDAR_WEEKS; week++)
        calendar->weeks[week] = CM_CALENDAR_NONE;
}

static void add_span(cm_calendar_t *calendar, cm_calendar_span_t span)
{
    if (calendar->count == calendar->cap) {
        calendar->cap = 2 * calendar->cap + FIRST_SPANS;
        calendar->spans = cm_realloc(calendar->spans, calendar->cap * sizeof *calendar->spans);
    }
    calendar->spans[calendar->count++] = span;
}

/* The slots of a week that is divided. */
static uint32_t *divide(cm_calendar_t *calendar, uint32_t week)
{
    const size_t slots = CM_CALENDAR_SLOTS;

    if (calendar->weeks[week] == CM_CALENDAR_NONE) {
        calendar->weeks[week] = CM_CALENDAR_DIVIDED | calendar->table_count++;
        calendar->tables =
            cm_realloc(calendar->tables, calendar->table_count * slots * sizeof *calendar->tables);
        for (size_t slot = 0; slot < slots; slot++)
            calendar->tables[(calendar->table_count - 1) * slots + slot] = CM_CALENDAR_NONE;
    }
    assert(calendar->weeks[week] & CM_CALENDAR_DIVIDED);
    return calendar->tables + (calendar->weeks[week] & ~CM_CALENDAR_DIVIDED) * slots;
}

void cm_calendar_add(cm_calendar_t *calendar, cm_calendar_span_t span)
{
    const uint32_t number = calendar->count, week = cm_calendar_week(span.from);

    add_span(calendar, span);
    if (span.to - span.from == CM_CALENDAR_WEEK_MS) {
        assert(calendar->weeks[week] == CM_CALENDAR_NONE);
        calendar->weeks[week] = number;
        return;
    }
    uint32_t *slots = divide(calendar, week);
    const uint32_t first = cm_calendar_slot(week, span.from);
    for (uint32_t i = 0; i < (uint32_t)((span.to - span.from) / CM_CALENDAR_SLOT_MS); i++) {
        assert(slots[first + i] == CM_CALENDAR_NONE);
        slots[first + i] = number;
    }
}

void cm_calendar_add_weeks(cm_calendar_t *calendar)
{
    for (uint32_t week = 0; week < CM_CALENDAR_WEEKS; week++)
        cm_calendar_add(calendar,
                        cm_calendar_unit_at(CM_CALENDAR_UNITS - 1, cm_calendar_week_start(week)));
}

void cm_calendar_free(cm_calendar_t *calendar)
{
    free(calendar->spans);
    free(calendar->weeks);
    free(calendar->tables);
}
