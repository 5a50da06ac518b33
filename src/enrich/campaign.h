/* The campaign that a URL names in its query. Pure functions, for any thread. */
#ifndef CM_ENRICH_CAMPAIGN_H
#define CM_ENRICH_CAMPAIGN_H

#include "base/arena.h"

/* The fields of a campaign: utm_source, utm_medium, utm_campaign, utm_term, utm_content. */
typedef enum cm_campaign_field {
    CM_CAMPAIGN_SOURCE,
    CM_CAMPAIGN_MEDIUM,
    CM_CAMPAIGN_NAME,
    CM_CAMPAIGN_TERM,
    CM_CAMPAIGN_CONTENT,
    CM_CAMPAIGN_FIELDS,
} cm_campaign_field_t;

enum { CM_CAMPAIGN_MAX = 256 }; /* bytes of a value */

typedef struct cm_campaign {
    cm_str_t fields[CM_CAMPAIGN_FIELDS]; /* empty: absent */
    /* Set by cm_campaign_fill(): all that the URL gave is a source by `ref` or `source`. These stay
     * when a URL is cleaned, so other parameters of the campaign may have been there. */
    bool by_ref;
} cm_campaign_t;

/* Fills the absent fields from the query of the URL, which has not been cleaned:
 *
 *   - field X by utm_X, else mtm_X, else pk_X, in any case, the first that is not empty after
 * decoding (cm_form_decode()) and trimming; "keyword" and "kwd" are "term";
 *   - where the URL has none of these, not even an empty one, the source by `ref`, else `source`;
 *   - a medium that is still absent is "cpc" where an advertiser's click id (gclid, msclkid, ...)
 * is not empty.
 *
 * "&amp;" separates parameters as "&" does. A value is cut to CM_CAMPAIGN_MAX bytes, at a
 * character. Values are slices of `url`, of `arena`, or constants. Returns how many values were
 * cut. */
int cm_campaign_fill(cm_str_t url, cm_arena_t *arena, cm_campaign_t *campaign);

#endif
