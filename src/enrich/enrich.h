/* Enrichment: place, browser, os and device of an event, from its address and user agent, and how
 * the visitor came to the page. Sources that have these two call a cm_enrich_fn for each event that
 * they would accept. The function belongs to one thread. */
#ifndef CM_ENRICH_ENRICH_H
#define CM_ENRICH_ENRICH_H

#include "event/bot.h"
#include "event/event.h"

/* The visitor of an event. Slices of the source's memory, valid during the call; the referrer as
 * long as the event. Address and agent are never stored and never logged: the address identifies a
 * person. */
typedef struct cm_enrich_visit {
    cm_str_t address;  /* IPv4, IPv6 or a host name */
    cm_str_t agent;    /* as logged, escapes included; empty when not known */
    cm_str_t referrer; /* of a log, as logged; empty when absent */
    bool page; /* a browser sent the event: the referrer that it states is not our sender's */
} cm_enrich_visit_t;

/* How many values of an event were shortened, because they come from outside and are longer than
 * the contract allows. */
typedef struct cm_enrich_cut {
    uint64_t referrers; /* that became their origin, or absent */
    uint64_t campaigns; /* values of a URL that became their first 256 bytes */
} cm_enrich_cut_t;

/* Fills the fields that it knows, with strings that live as long as `arena` and the visit; of the
 * nine fields, those that stay empty become "Unknown". Adds to `cut`. CM_BOT_NONE, or the kind of
 * the bot that made the event: it must be left out, see cm_batch_skip_bot(). */
typedef cm_bot_kind_t (*cm_enrich_fn)(void *context, const cm_enrich_visit_t *visit,
                                      cm_arena_t *arena, cm_event_t *event, cm_enrich_cut_t *cut);

#endif
