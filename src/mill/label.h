/* Labels of time: the hour, day, week, month, weekday and hour of the day of an instant in a time
 * zone, as numbers that can be compared and as text. Pure functions over a constant zone, for any
 * thread; a cm_labels_t belongs to one thread. */
#ifndef CM_MILL_LABEL_H
#define CM_MILL_LABEL_H

#include "mill/question.h"

/* A label: hours, days or months since 1968-01-01 00:00 local time + 1 (a week: the day of its
 * Monday), the weekday 1 (Monday) to 7, or the hour of the day + 1. 0 is no label. Where local time
 * begins in 1969, or a week in December of it, the label is above 0, too. */
typedef uint32_t cm_label_t;

/* Makes labels of one kind, quickly for instants that are near to each other. */
typedef struct cm_labels {
    cm_facet_t facet;
    const cm_zone_t *zone;
    int64_t from, to; /* seconds [from, to) have the label `label` */
    cm_label_t label;
} cm_labels_t;

cm_labels_t cm_labels(cm_facet_t facet, const cm_zone_t *zone);

/* Finds the label of an instant (seconds since the epoch) and the seconds around it that have it.
 */
void cm_labels_find(cm_labels_t *labels, int64_t second);

static inline cm_label_t cm_label_at(cm_labels_t *labels, int64_t second)
{
    if (second < labels->from || second >= labels->to)
        cm_labels_find(labels, second);
    return labels->label;
}

/* `2026-11-29 14:00:00` (hour), `2026-11-29` (day, week), `2026-11-01` (month), `7`, `14`. */
void cm_label_text(cm_facet_t facet, cm_label_t label, cm_buf_t *text);

/* The label after this one, for steps: the next hour, day, Monday or month. */
cm_label_t cm_label_next(cm_facet_t facet, cm_label_t label);

/* The first instant (seconds) of the label in the zone, for facets that are steps. A label that the
 * clock skipped (an hour, and a day at the date line) begins where the clock went forward, which is
 * where the next one begins: so it has no instant.
 *
 * When clocks go back over midnight (00:01 to 23:01), the label before has instants after the begin
 * of this one. */
int64_t cm_label_begin(cm_facet_t facet, cm_label_t label, const cm_zone_t *zone);

#endif
