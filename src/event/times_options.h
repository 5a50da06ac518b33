/* Options that say how timestamps are read, shared by the commands that read events of others. */
#ifndef CM_EVENT_TIMES_OPTIONS_H
#define CM_EVENT_TIMES_OPTIONS_H

#include "base/options.h"
#include "event/timestamp.h"

typedef struct cm_times_given {
    int unit; /* cm_timestamp_unit_t */
    const char *tz;
} cm_times_given_t;

/* The rows of an option table for a cm_times_given_t that is the member `m` of struct `s`;
 * `section` is where the configuration has them. */
#define CM_TIMES_ROWS(s, m, section)                                                               \
    {.name = "time-unit",                                                                          \
     .type = CM_OPT_CHOICE,                                                                        \
     .offset = offsetof(s, m.unit),                                                                \
     .arg = "UNIT",                                                                                \
     .def = "auto",                                                                                \
     .choices = "auto|s|ms|us|ns",                                                                 \
     .key = section ".time_unit",                                                                  \
     .help = "what timestamps that are numbers count; auto: milliseconds, and what looks like "    \
             "seconds is rejected"},                                                               \
    {                                                                                              \
        .name = "tz", .type = CM_OPT_TEXT, .offset = offsetof(s, m.tz), .arg = "ZONE",             \
        .key = section ".tz",                                                                      \
        .help = "time zone of timestamps that are texts without one, such as Europe/Berlin or "    \
                "UTC; without it they are rejected"                                                \
    }

/* Makes ready what was given; to be closed. CM_EUSAGE when there is no such zone. */
int cm_times_open(const cm_times_given_t *given, cm_timestamp_format_t *times, cm_err_t *err);
void cm_times_close(cm_timestamp_format_t *times);

#endif
