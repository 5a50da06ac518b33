/* The enricher: what a source calls for each event.
 *
 * A cm_enrichment_t is shared by all threads. It has the rules for user agents and the GeoIP
 * database, which cm_enrichment_start() opens. A cm_enricher_t belongs to one thread. */
#ifndef CM_ENRICH_ENRICHER_H
#define CM_ENRICH_ENRICHER_H

#include "base/log.h"
#include "enrich/enrich.h"

typedef struct cm_enrich_options {
    const char *geoip; /* a .mmdb file; NULL: the built-in database; "none": no database */
    bool keep_bots;
    bool judge_messages; /* bots among messages are treated as those among visits; otherwise they
                          * stay as they came, as in the first edition */
    bool keep_urls; /* URLs and referrers stay as they are; otherwise they are cleaned, see url.h */
    bool drop_query; /* removes their query, also with keep_urls */
    const cm_log_t *log;
} cm_enrich_options_t;

typedef struct cm_enrichment cm_enrichment_t;
typedef struct cm_enricher cm_enricher_t;

/* Never NULL. Strings of the options are borrowed as long as it lives. */
cm_enrichment_t *cm_enrichment_new(const cm_enrich_options_t *options);

/* To be called after its enrichers are freed. NULL is allowed. */
void cm_enrichment_free(cm_enrichment_t *enrichment);

/* Opens the GeoIP database if it is not open. CM_EINPUT when it cannot be used. Any thread. */
int cm_enrichment_start(cm_enrichment_t *enrichment, cm_err_t *err);

/* Never NULL; may be called before or after the start. */
cm_enricher_t *cm_enricher_new(cm_enrichment_t *enrichment);
void cm_enricher_free(cm_enricher_t *enricher);

/* A cm_enrich_fn whose context is a cm_enricher_t of a started enrichment. Fills empty fields,
 * cleans the URL, and returns the kind of a bot. Where bots are kept, they get the properties `bot`
 * and `bot_kind` instead. */
cm_bot_kind_t cm_enricher_visit(void *enricher, const cm_enrich_visit_t *visit, cm_arena_t *arena,
                                cm_event_t *event, cm_enrich_cut_t *cut);

/* A cm_event_json_fill_fn whose context is a cm_enricher_t. Starts the enrichment if necessary.
 * Fills empty fields, leaves the URL as it is, and with `judge_messages` treats bots as
 * cm_enricher_visit() does. */
cm_bot_kind_t cm_enricher_fill(void *enricher, cm_str_t address, cm_str_t agent, cm_arena_t *arena,
                               cm_event_t *event);

/* CM_EINPUT, with the number of failed look-ups, when the GeoIP database is broken; otherwise 0. */
int cm_enrichment_check(cm_enrichment_t *enrichment, cm_err_t *err);

/* A word for the difference that the options make to events, as a part of a source's identity. A
 * constant. */
const char *cm_enrich_variant(const cm_enrich_options_t *options);

/* The same for messages (cm_enricher_fill()); NULL where they stay as they came. */
const char *cm_enrich_message_variant(const cm_enrich_options_t *options);

#endif
