/* Enrichment: country, city, browser, os and device of an event, from its address and user agent.
 * Sources that have these two call a cm_enrich_fn for each event that they would accept. The
 * function belongs to one thread. */
#ifndef CM_ENRICH_ENRICH_H
#define CM_ENRICH_ENRICH_H

#include "event/bot.h"
#include "event/event.h"

/* The visitor of an event. Slices of the source's memory, valid during the call. They are never
 * stored and never logged: the address identifies a person. */
typedef struct cm_enrich_visit {
    cm_str_t address; /* IPv4, IPv6 or a host name */
    cm_str_t agent;   /* as logged, escapes included; empty when not known */
    cm_str_t referrer;
} cm_enrich_visit_t;

/* Fills country, city, browser, os and device where it can, with strings that live as long as
 * `arena`; fields that stay empty become "Unknown". CM_BOT_NONE, or the kind of the bot that made
 * the event: it must be left out, see cm_batch_skip_bot(). */
typedef cm_bot_kind_t (*cm_enrich_fn)(void *context, const cm_enrich_visit_t *visit,
                                      cm_arena_t *arena, cm_event_t *event);

#endif
