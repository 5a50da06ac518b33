/* All of the enrichment in one: what a source calls for each event.
 *
 * A cm_enrichment_t holds what threads share: the rules for user agents and the GeoIP database,
 * which cm_enrichment_start() opens. A cm_enricher_t belongs to one thread. */
#ifndef CM_ENRICH_ENRICHER_H
#define CM_ENRICH_ENRICHER_H

#include "base/log.h"
#include "enrich/enrich.h"

typedef struct cm_enrich_options {
    const char *geoip; /* a .mmdb file; NULL: the built-in one; "none": none */
    bool keep_bots;
    bool keep_urls;  /* as they are; else they are cleaned, see url.h */
    bool drop_query; /* of URLs, also with keep_urls */
    const cm_log_t *log;
} cm_enrich_options_t;

typedef struct cm_enrichment cm_enrichment_t;
typedef struct cm_enricher cm_enricher_t;

/* Never NULL. Texts of the options are borrowed until the end. */
cm_enrichment_t *cm_enrichment_new(const cm_enrich_options_t *options);

/* After its enrichers. NULL is allowed. */
void cm_enrichment_free(cm_enrichment_t *enrichment);

/* Opens the GeoIP database; not again when it is open. CM_EINPUT when it cannot be used. */
int cm_enrichment_start(cm_enrichment_t *enrichment, cm_err_t *err);

/* Never NULL; before or after the start. */
cm_enricher_t *cm_enricher_new(cm_enrichment_t *enrichment);
void cm_enricher_free(cm_enricher_t *enricher);

/* A cm_enrich_fn whose context is a cm_enricher_t of a started enrichment: fills the fields that
 * are empty, cleans the URL, and says false to bots unless they are kept. */
bool cm_enricher_visit(void *enricher, const cm_enrich_visit_t *visit, cm_arena_t *arena,
                       cm_event_t *event);

/* A cm_event_json_fill_fn whose context is a cm_enricher_t; starts the enrichment when that is
 * needed. Fills the fields that are empty and leaves no event out. */
void cm_enricher_fill(void *enricher, cm_str_t address, cm_str_t agent, cm_arena_t *arena,
                      cm_event_t *event);

/* CM_EINPUT and how many look-ups failed because the GeoIP database is broken; else 0. */
int cm_enrichment_check(cm_enrichment_t *enrichment, cm_err_t *err);

/* What the options make different about the events, as a word for a source's identity: a constant.
 */
const char *cm_enrich_variant(const cm_enrich_options_t *options);

#endif
