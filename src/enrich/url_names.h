/* Names of URL parameters that are not about the page. Pure functions, for any thread. */
#ifndef CM_ENRICH_URL_NAMES_H
#define CM_ENRICH_URL_NAMES_H

#include "base/str.h"

/* True for the names of parameters that advertising and mailing systems add (docs/enrichment.md
 * lists them), in any case. */
bool cm_url_is_campaign(cm_str_t name);

/* True for the names of parameters that carry a session or a key to it, in any case. */
bool cm_url_is_session(cm_str_t name);

#endif
