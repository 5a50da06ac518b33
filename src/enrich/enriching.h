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

#define CM_GEOIP_ROW(s, m)                                                                         \
    {                                                                                              \
        .name = "geoip", .type = CM_OPT_TEXT, .offset = offsetof(s, m), .arg = "FILE",             \
        .key = "enrich.geoip",                                                                     \
        .help = "MaxMind database (.mmdb) for country and city, or none; default: the built-in "   \
                "one, countries only"                                                              \
    }

/* The rows of an option table for a cm_enrich_given_t that is the member `m` of struct `s`. */
#define CM_ENRICH_ROWS(s, m)                                                                       \
    CM_GEOIP_ROW(s, m.geoip),                                                                      \
        {.name = "bots",                                                                           \
         .type = CM_OPT_CHOICE,                                                                    \
         .offset = offsetof(s, m.bots),                                                            \
         .arg = "WHAT",                                                                            \
         .def = "auto",                                                                            \
         .choices = "auto|keep|drop",                                                              \
         .key = "enrich.bots",                                                                     \
         .help = "visits of programs; auto drops them, but keeps them with --all"},                \
        {.name = "clean-urls",                                                                     \
         .type = CM_OPT_FLAG,                                                                      \
         .offset = offsetof(s, m.clean_urls),                                                      \
         .def = "true",                                                                            \
         .key = "enrich.clean_urls",                                                               \
         .help = "take fragments and campaign parameters (utm_source, gclid, ...) out of URLs"},   \
    {                                                                                              \
        .name = "url-query", .type = CM_OPT_CHOICE, .offset = offsetof(s, m.url_query),            \
        .arg = "WHAT", .def = "keep", .choices = "keep|drop", .key = "enrich.url_query",           \
        .help = "the part of URLs behind the question mark"                                        \
    }

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
