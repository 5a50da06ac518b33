/* How a visitor came to the page: the referrer and the campaign of an event. Pure
 * functions, for any thread. */
#ifndef CM_ENRICH_ARRIVAL_H
#define CM_ENRICH_ARRIVAL_H

#include "enrich/enrich.h"

typedef struct cm_arrival_rules {
    bool clean;      /* URLs are cleaned */
    bool drop_query; /* then also of their query */
} cm_arrival_rules_t;

/* Fills the referrer and the campaign of an event whose URL is not yet cleaned.
 *
 *   - A referrer that the event lacks is that of the visit, which is a server's log. A referrer is
 *     cleaned where URLs are.
 *   - A referrer of a log or a page that is longer than the contract allows or not UTF-8 becomes
 *     its origin ("https://shop.example/", as browsers shorten it), or absent if it has none.
 *   - Where URLs are cleaned, absent fields of the campaign are filled from the URL, because
 *     cleaning removes them (enrich/campaign.h). Other URLs keep them.
 *
 * Adds to `cut` what was shortened. Strings are slices of the visit, the URL or `arena`. */
void cm_arrival_fill(const cm_arrival_rules_t *rules, const cm_enrich_visit_t *visit, cm_str_t url,
                     cm_arena_t *arena, cm_event_extra_t *extra, cm_enrich_cut_t *cut);

/* The referrer of a log or a page as the contract allows it: itself, its origin, or empty; see
 * above. What is shortened is counted in `cut`. The result is a slice of `referrer` or of `arena`.
 */
cm_str_t cm_arrival_shorten(cm_str_t referrer, cm_arena_t *arena, cm_enrich_cut_t *cut);

/* The scheme and host of a URL and a slash, without a user name: "https://shop.example:8443/".
 * Empty when the URL has no host. The result is a slice of `url` or of `arena`. */
cm_str_t cm_arrival_origin(cm_str_t url, cm_arena_t *arena);

#endif
