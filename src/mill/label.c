#include "mill/label.h"

#include "base/clock.h"

enum {
    HOUR = 3600, /* seconds */
    DAY = 24 * HOUR,
    ORIGIN_YEAR = 1968,
    ORIGIN = -731, /* days since the epoch of 1968-01-01, which was a Monday */
};

cm_labels_t cm_labels(cm_facet_t facet, const cm_zone_t *zone)
{
    /* No second is in the span, so that the first call of cm_label_at() finds a label. */
    return (cm_labels_t){.facet = facet, .zone = zone, .from = INT64_MAX, .to = INT64_MIN};
}

/* Rounds down, also below 0. */
static int64_t divide(int64_t value, int64_t divisor)
{
    return value / divisor - (value % divisor < 0);
}

static int64_t month_day(int64_t month)
{
    return cm_time_days(ORIGIN_YEAR + (int)(month / 12), (int)(month % 12) + 1, 1) - ORIGIN;
}

/* The label of a local time, in seconds since the origin, and the local times that have it. */
static cm_label_t find_local(cm_facet_t facet, int64_t local, int64_t *from, int64_t *to)
{
    const int64_t day = divide(local, DAY), hour = divide(local, HOUR);
    int year, month, of_month;

    *from = day * DAY;
    *to = *from + DAY;
    switch (facet) {
    case CM_FACET_DAY:
        return (cm_label_t)(day + 1);
    case CM_FACET_WEEKDAY:
        return (cm_label_t)(day - divide(day, 7) * 7 + 1);
    case CM_FACET_WEEK:
        *from = divide(day, 7) * 7 * DAY;
        *to = *from + (int64_t)7 * DAY;
        return (cm_label_t)(*from / DAY + 1);
    case CM_FACET_MONTH:
        cm_time_date(day + ORIGIN, &year, &month, &of_month);
        month += (year - ORIGIN_YEAR) * 12 - 1;
        *from = month_day(month) * DAY;
        *to = month_day(month + 1) * DAY;
        return (cm_label_t)(month + 1);
    default:
        *from = hour * HOUR;
        *to = *from + HOUR;
        return (cm_label_t)((facet == CM_FACET_HOUR ? hour : hour - day * 24) + 1);
    }
}

void cm_labels_find(cm_labels_t *labels, int64_t second)
{
    int64_t from, to;
    const int64_t shift =
        cm_zone_offset(labels->zone, second, &labels->from, &labels->to) - (int64_t)ORIGIN * DAY;

    labels->label = find_local(labels->facet, second + shift, &from, &to);
    if (from - shift > labels->from)
        labels->from = from - shift;
    if (to - shift < labels->to)
        labels->to = to - shift;
}

/* The local time, in seconds since the origin, at which a label of a step begins. */
static int64_t begin_local(cm_facet_t facet, cm_label_t label)
{
    const int64_t number = (int64_t)label - 1;

    switch (facet) {
    case CM_FACET_HOUR:
        return number * HOUR;
    case CM_FACET_MONTH:
        return month_day(number) * DAY;
    default:
        return number * DAY;
    }
}

int64_t cm_label_begin(cm_facet_t facet, cm_label_t label, const cm_zone_t *zone)
{
    return cm_zone_first(zone, begin_local(facet, label) + (int64_t)ORIGIN * DAY);
}

cm_label_t cm_label_next(cm_facet_t facet, cm_label_t label)
{
    return label + (facet == CM_FACET_WEEK ? 7 : 1);
}

void cm_label_text(cm_facet_t facet, cm_label_t label, cm_buf_t *text)
{
    int year, month, day;

    if (facet == CM_FACET_WEEKDAY || facet == CM_FACET_HOUR_OF_DAY) {
        cm_buf_add_i64(text, facet == CM_FACET_WEEKDAY ? label : (int64_t)label - 1);
        return;
    }
    const int64_t local = begin_local(facet, label);
    cm_time_date(local / DAY + ORIGIN, &year, &month, &day);
    cm_buf_printf(text, "%04d-%02d-%02d", year, month, day);
    if (facet == CM_FACET_HOUR)
        cm_buf_printf(text, " %02d:00:00", (int)(local % DAY / HOUR));
}
