/* Where a visit came from: its source and its channel, and which referrers are internal.
 *
 * Both are computed when they are asked for, from the strings of the visit's first page view, so
 * that a better table of referrers mends old data. The rules are made once and are constant then,
 * for any thread; a scratch buffer belongs to one thread. */
#ifndef CM_ENRICH_ATTRIBUTION_H
#define CM_ENRICH_ATTRIBUTION_H

#include "base/err.h"
#include "enrich/campaign.h"
#include "enrich/referrer.h"

/* The strings of a page view; empty: absent. */
typedef struct cm_attribution_input {
    cm_str_t url, referrer;
    cm_campaign_t campaign;
} cm_attribution_input_t;

typedef struct cm_attribution {
    cm_str_t source;             /* "Google", "news.example", "Direct" */
    cm_str_t channel;            /* "Organic Search"; a constant */
    cm_referrer_medium_t medium; /* what the table says of the source */
} cm_attribution_t;

typedef struct cm_attribution_rules cm_attribution_rules_t;

/* `sites`: the site's own hosts, whose pages are internal referrers; `ignored`: hosts that count as
 * no referrer for source and channel. Both are lists separated by commas, of hosts ("shop.example";
 * a scheme, a port and "www." make no difference) and of all names below one ("*.shop.example").
 * NULL and "": none. CM_EUSAGE. */
int cm_attribution_rules_new(const char *sites, const char *ignored, cm_attribution_rules_t **out,
                             cm_err_t *err);
void cm_attribution_rules_free(cm_attribution_rules_t *rules);

/* Whether the referrer is a page of the URL's own host or of the site's own hosts. Such a referrer
 * counts as absent. `scratch` is overwritten. */
bool cm_attribution_is_internal(const cm_attribution_rules_t *rules, cm_str_t url,
                                cm_str_t referrer, cm_buf_t *scratch);

/* The source is utm_source, by the table's name where the table has it; else the table's name for
 * the referrer, else the referrer's host without "www.", else "Direct". The channel is by the
 * medium of the campaign and what the table says of the source (docs/enrichment.md has the rules in
 * their order). Strings of the result may be slices of the input or of `scratch`, which is
 * overwritten. */
cm_attribution_t cm_attribution_find(const cm_attribution_rules_t *rules,
                                     const cm_attribution_input_t *input, cm_buf_t *scratch);

#endif
