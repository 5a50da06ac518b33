/* Options of synthetic traffic, shared by `produce` and the demonstration of `run`. */
#ifndef CM_SOURCE_TRAFFIC_H
#define CM_SOURCE_TRAFFIC_H

#include "base/clock.h"
#include "base/options.h"
#include "source/synthetic.h"

typedef struct cm_traffic_options {
    int64_t count;
    double rate;
    int64_t users, urls, countries, seed;
    double late, repeat;
    const char *start;
} cm_traffic_options_t;

/* The rows of an option table for a cm_traffic_options_t that is the member `m` of struct `s`. */
#define CM_TRAFFIC_ROWS(s, m)                                                                      \
    {.name = "count",                                                                              \
     .type = CM_OPT_INT,                                                                           \
     .offset = offsetof(s, m.count),                                                               \
     .arg = "N",                                                                                   \
     .min = 0,                                                                                     \
     .max = 1e15,                                                                                  \
     .key = "produce.count",                                                                       \
     .help = "events to make; 0, the default: without end"},                                       \
        {.name = "rate",                                                                           \
         .type = CM_OPT_REAL,                                                                      \
         .offset = offsetof(s, m.rate),                                                            \
         .arg = "R",                                                                               \
         .def = "1",                                                                               \
         .min = 0.001,                                                                             \
         .max = 1e7,                                                                               \
         .key = "produce.rate",                                                                    \
         .help = "events per second"},                                                             \
        {.name = "users",                                                                          \
         .type = CM_OPT_INT,                                                                       \
         .offset = offsetof(s, m.users),                                                           \
         .arg = "N",                                                                               \
         .def = "20",                                                                              \
         .min = 1,                                                                                 \
         .max = 1e8,                                                                               \
         .key = "produce.users",                                                                   \
         .help = "distinct users at most"},                                                        \
        {.name = "urls",                                                                           \
         .type = CM_OPT_INT,                                                                       \
         .offset = offsetof(s, m.urls),                                                            \
         .arg = "N",                                                                               \
         .def = "10",                                                                              \
         .min = 1,                                                                                 \
         .max = 1e6,                                                                               \
         .key = "produce.urls",                                                                    \
         .help = "distinct pages"},                                                                \
        {.name = "countries",                                                                      \
         .type = CM_OPT_INT,                                                                       \
         .offset = offsetof(s, m.countries),                                                       \
         .arg = "N",                                                                               \
         .def = "20",                                                                              \
         .min = 1,                                                                                 \
         .max = 1000,                                                                              \
         .key = "produce.countries",                                                               \
         .help = "countries that users come from"},                                                \
        {.name = "seed",                                                                           \
         .type = CM_OPT_INT,                                                                       \
         .offset = offsetof(s, m.seed),                                                            \
         .arg = "S",                                                                               \
         .def = "1",                                                                               \
         .min = 0,                                                                                 \
         .max = 9e15,                                                                              \
         .key = "produce.seed",                                                                    \
         .help = "the same seed and start give the same events"},                                  \
        {.name = "late",                                                                           \
         .type = CM_OPT_REAL,                                                                      \
         .offset = offsetof(s, m.late),                                                            \
         .arg = "PERCENT",                                                                         \
         .min = 0,                                                                                 \
         .max = 100,                                                                               \
         .key = "produce.late",                                                                    \
         .help = "share of events that come out of order"},                                        \
        {.name = "repeat",                                                                         \
         .type = CM_OPT_REAL,                                                                      \
         .offset = offsetof(s, m.repeat),                                                          \
         .arg = "PERCENT",                                                                         \
         .min = 0,                                                                                 \
         .max = 100,                                                                               \
         .key = "produce.repeat",                                                                  \
         .help = "share of events that come twice"},                                               \
    {                                                                                              \
        .name = "start", .type = CM_OPT_TEXT, .offset = offsetof(s, m.start), .arg = "TIME",       \
        .key = "produce.start", .help = "time of the first event, RFC 3339 or `now`"               \
    }

/* When the events come. */
typedef enum cm_traffic_pace {
    CM_TRAFFIC_AT_ONCE, /* as fast as they are taken */
    CM_TRAFFIC_PACED,   /* in real time; who asks waits for them */
    CM_TRAFFIC_DUE,     /* in real time; who asks gets what is due */
} cm_traffic_pace_t;

/* Opens the source. `from_now`: it starts now unless --start says otherwise; else 2026-01-01, so
 * that the same seed gives the same bytes. `stop` ends a wait for the next event. CM_EUSAGE. */
int cm_traffic_open(const cm_traffic_options_t *options, cm_traffic_pace_t pace, bool from_now,
                    const cm_clock_t *clock, const atomic_bool *stop, cm_source_t **source,
                    cm_err_t *err);

#endif
