/* The options of enrichment, and the enrichment that they describe. The tables are constants; a
 * cm_enrich_thread_t belongs to one thread. */
#ifndef CM_ENRICH_OPTIONS_H
#define CM_ENRICH_OPTIONS_H

#include "base/options.h"
#include "enrich/attribution.h"
#include "enrich/enricher.h"

/* In the order of the choices of --bots. */
typedef enum cm_bots_choice {
    CM_BOTS_AUTO, /* drop, but keep with --all; messages stay as they are */
    CM_BOTS_KEEP,
    CM_BOTS_DROP,
} cm_bots_choice_t;

typedef struct cm_enrich_settings {
    const char *geoip; /* NULL: built in */
    int bots;          /* cm_bots_choice_t */
    bool clean_urls;
    int url_query; /* 0: keep, 1: drop */
} cm_enrich_settings_t;

/* The option of the database alone, for a const char *. */
extern const cm_option_t cm_enrich_geoip_option[];

/* The options of a cm_enrich_settings_t that concern messages of a topic: --geoip, --bots. */
extern const cm_option_t cm_enrich_message_option_rows[];

/* All options of a cm_enrich_settings_t. */
extern const cm_option_t cm_enrich_option_rows[];

/* What decides which referrers count; lists for cm_attribution_rules_new(). */
typedef struct cm_attribution_settings {
    const char *sites; /* NULL: none */
    const char *ignored;
} cm_attribution_settings_t;

/* The options of a cm_attribution_settings_t. */
extern const cm_option_t cm_attribution_option_rows[];

/* The enrichment of one thread that reads files. */
typedef struct cm_enrich_thread {
    cm_enrichment_t *enrichment; /* must be started before events are read */
    cm_enricher_t *enricher;
    const char *variant, *message_variant; /* a part of the files' identity */
} cm_enrich_thread_t;

/* Makes the enrichment of the settings; `all`: --all is given. It opens no file, and cannot fail.
 * The caller closes it. */
void cm_enrich_thread_open(cm_enrich_thread_t *enriching, const cm_enrich_settings_t *given,
                           bool all, const cm_log_t *log);

/* The same for messages of a topic. If the settings name a database, it is opened now: CM_EINPUT.
 */
int cm_enrich_thread_open_messages(cm_enrich_thread_t *enriching, const cm_enrich_settings_t *given,
                                   const cm_log_t *log, cm_err_t *err);

void cm_enrich_thread_close(cm_enrich_thread_t *enriching);

#endif
