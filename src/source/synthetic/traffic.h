/* Options of synthetic traffic, shared by `produce` and the demonstration of `run`. The table is
 * constant; the caller closes the source that is opened, and uses it in one thread. */
#ifndef CM_SOURCE_SYNTHETIC_TRAFFIC_H
#define CM_SOURCE_SYNTHETIC_TRAFFIC_H

#include "base/clock.h"
#include "base/options.h"
#include "source/synthetic/synthetic.h"

typedef struct cm_traffic_options {
    int64_t count;
    double rate;
    int64_t users, urls, countries, seed;
    double late, repeat;
    const char *start;
    int fields;      /* cm_traffic_fields_t */
    bool views_only; /* not an option: see cm_synthetic_options_t */
} cm_traffic_options_t;

/* In the order of the choices of --fields. */
typedef enum cm_traffic_fields {
    CM_TRAFFIC_FIELDS_AUTO, /* as CM_TRAFFIC_FIELDS_CONTRACT, unless the command chooses */
    CM_TRAFFIC_FIELDS_CONTRACT,
    CM_TRAFFIC_FIELDS_ALL,
} cm_traffic_fields_t;

/* For a cm_traffic_options_t. */
extern const cm_option_t cm_traffic_option_rows[];

/* When events are returned. */
typedef enum cm_traffic_pace {
    CM_TRAFFIC_AT_ONCE, /* as fast as the sink takes them */
    CM_TRAFFIC_PACED,   /* in real time; next() waits for them */
    CM_TRAFFIC_DUE,     /* in real time; next() returns the events that are due */
} cm_traffic_pace_t;

/* Opens the source. With `from_now`, the first event has the current time; otherwise the time is
 * 2026-01-01, so that the same seed gives the same bytes. --start overrides both. `stop` ends a
 * wait for the next event. CM_EUSAGE. */
int cm_traffic_open(const cm_traffic_options_t *options, cm_traffic_pace_t pace, bool from_now,
                    const cm_clock_t *clock, const atomic_bool *stop, cm_source_t **source,
                    cm_err_t *err);

#endif
