#include "enrich/enriching.h"

void cm_enriching_open(cm_enriching_t *enriching, const cm_enrich_given_t *given, bool all,
                       const cm_log_t *log)
{
    const cm_enrich_options_t wanted = {
        .geoip = given->geoip,
        .keep_bots = given->bots == CM_BOTS_KEEP || (given->bots == CM_BOTS_AUTO && all),
        .keep_urls = !given->clean_urls,
        .drop_query = given->url_query == 1,
        .log = log,
    };

    enriching->enrichment = cm_enrichment_new(&wanted);
    enriching->enricher = cm_enricher_new(enriching->enrichment);
    enriching->variant = cm_enrich_variant(&wanted);
}

int cm_enriching_open_geoip(cm_enriching_t *enriching, const char *geoip, const cm_log_t *log,
                            cm_err_t *err)
{
    cm_enriching_open(enriching, &(cm_enrich_given_t){.geoip = geoip}, true, log);
    return geoip != NULL ? cm_enrichment_start(enriching->enrichment, err) : 0;
}

void cm_enriching_close(cm_enriching_t *enriching)
{
    cm_enricher_free(enriching->enricher);
    cm_enrichment_free(enriching->enrichment);
}
