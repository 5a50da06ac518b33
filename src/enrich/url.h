/* Cleaning of URLs, so that one page is one row of the answers: without the fragment, which is a
 * place on the page, and without the parameters that say which campaign a visitor came from. Pure
 * functions. */
#ifndef CM_ENRICH_URL_H
#define CM_ENRICH_URL_H

#include "base/arena.h"

/* The URL without
 *   its fragment (from the first '#');
 *   its query (from the first '?') with `drop_query`; else those parameters of it whose name
 *   cm_url_is_campaign() knows, the others staying byte by byte and in their order, and without a
 *   '?' that has nothing left behind it.
 * A slice of `url`, or of `arena` where something was taken out of its middle. A URL that would
 * become empty stays as it is. */
cm_str_t cm_url_clean(cm_str_t url, bool drop_query, cm_arena_t *arena);

/* True for the names of parameters that advertising and mailing systems add (docs/enrichment.md
 * lists them), in any case. */
bool cm_url_is_campaign(cm_str_t name);

#endif
