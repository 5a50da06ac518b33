/* Synthetic traffic: a source of generated clicks that look like the clicks on a real site.
 *
 * Users have a home country and city, and a browser, os and device that belong together. They visit
 * in sessions: an entry page (often the home page), then more pages with think times between them,
 * about five pages in total. URL popularity follows Zipf's law. User activity follows it too, but a
 * user is in one session at a time, so the most active users are less active than the law says: the
 * activity of rank k is proportional to 1 / (k + q), where q grows with the rate.
 *
 * With all fields, a visit comes from a referrer or a campaign, and its events are page views, the
 * custom events add_to_cart and purchase with their value, and engagement.
 *
 * The same options give the same events on every run and machine. Row keys are derived; a user's
 * times are strictly increasing, so that the keys are distinct. The strings of events live as long
 * as the source. One thread at a time. */
#ifndef CM_SOURCE_SYNTHETIC_SYNTHETIC_H
#define CM_SOURCE_SYNTHETIC_SYNTHETIC_H

#include "source/source.h"
#include "source/synthetic/population.h"

#include <stdatomic.h>

typedef struct cm_synthetic_options {
    uint64_t count;   /* events to emit, repeats included; 0: without end */
    double rate;      /* events per second of simulated time, repeats included */
    bool paced;       /* emit in real time: start_ms is the moment of the first next() */
    bool no_wait;     /* with `paced`: next() never waits for the next event */
    int64_t start_ms; /* simulated time begins here; ms since the epoch */
    uint32_t users;
    uint32_t urls;
    uint32_t countries; /* the first of the list */
    uint64_t seed;
    bool all_fields;     /* also the optional fields, custom events and engagement, see details.h */
    bool views_only;     /* with `all_fields`: page views alone, as an access log has them */
    double late_percent; /* percentage of new events that are delayed by up to 511 events */
    double repeat_percent; /* percentage of new events that are emitted again within 511 events */
} cm_synthetic_options_t;

/* A small demo site. */
#define CM_SYNTHETIC_DEFAULTS                                                                      \
    ((cm_synthetic_options_t){.rate = 1,                                                           \
                              .start_ms = INT64_C(1704067200000),                                  \
                              .users = 20,                                                         \
                              .urls = 10,                                                          \
                              .countries = 20,                                                     \
                              .seed = 1})

/* Opens the source. 0, CM_EUSAGE (an option out of range) or CM_ENOMEM. `stop` may be NULL; it must
 * outlive the source. A paced source returns the events that are due at least every 200 ms, and at
 * once when `*stop` is true. */
int cm_synthetic_open(const cm_synthetic_options_t *options, const atomic_bool *stop,
                      cm_source_t **source, cm_err_t *err);

/* The user agent of an event of the last batch, by its index; `source` is a synthetic one. */
cm_str_t cm_synthetic_user_agent(const cm_source_t *source, size_t event);

/* The address of the user of an event of the last batch, see cm_population_address(). */
cm_str_t cm_synthetic_address(const cm_source_t *source, size_t event,
                              char text[CM_POPULATION_ADDRESS_MAX]);

#endif
