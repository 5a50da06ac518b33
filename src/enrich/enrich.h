/* The place where an event learns what its address and its user agent tell: country, city, browser,
 * os, device. Sources that know the two call a cm_enrich_fn for each event that they would take. */
#ifndef CM_ENRICH_ENRICH_H
#define CM_ENRICH_ENRICH_H

#include "event/event.h"

/* What is known of the visitor behind an event. Slices of the source's memory, valid during the
 * call. Never stored and never logged: the address identifies a person. */
typedef struct cm_enrich_visit {
    cm_str_t address; /* IPv4, IPv6 or a host name */
    cm_str_t agent;   /* as logged, escapes included; empty when not known */
    cm_str_t referrer;
} cm_enrich_visit_t;

/* Fills country, city, browser, os and device where it can, with texts that live as long as
 * `arena`; what stays empty becomes "Unknown". False leaves the event out (a bot): it is counted
 * as skipped. */
typedef bool (*cm_enrich_fn)(void *context, const cm_enrich_visit_t *visit, cm_arena_t *arena,
                             cm_event_t *event);

#endif
