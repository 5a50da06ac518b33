/* Options that say what events learn from addresses and user agents. */
#ifndef CM_ENRICH_ENRICHING_H
#define CM_ENRICH_ENRICHING_H

#include "base/options.h"
#include "enrich/enricher.h"

/* In the order of the choices of --bots. */
typedef enum cm_bots_choice {
    CM_BOTS_AUTO, /* drop, but keep where everything is asked for */
    CM_BOTS_KEEP,
    CM_BOTS_DROP,
} cm_bots_choice_t;

typedef struct cm_enrich_given {
    const char *geoip; /* NULL: built in */
    int bots;          /* cm_bots_choice_t */
    bool clean_urls;
    int url_query; /* 0: keep, 1: drop */
} cm_enrich_given_t;

/* For a const char *: the database alone. */
extern const cm_option_t cm_enrich_geoip_option[];

/* For a cm_enrich_given_t. */
extern const cm_option_t cm_enrich_option_rows[];

/* The enrichment of one thread that reads files. */
typedef struct cm_enriching {
    cm_enrichment_t *enrichment; /* to be started before events are read */
    cm_enricher_t *enricher;
    const char *variant; /* a part of the files' identity */
} cm_enriching_t;

/* Makes ready what was given; `all`: everything is asked for. Opens nothing yet, and cannot fail.
 */
void cm_enriching_open(cm_enriching_t *enriching, const cm_enrich_given_t *given, bool all,
                       const cm_log_t *log);

/* The same for messages of a topic. A database that is named is opened now: CM_EINPUT. */
int cm_enriching_open_geoip(cm_enriching_t *enriching, const char *geoip, const cm_log_t *log,
                            cm_err_t *err);

void cm_enriching_close(cm_enriching_t *enriching);

#endif
