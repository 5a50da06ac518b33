/* How ua.c finds what an agent tells when it has not seen it before. */
#ifndef CM_ENRICH_UA_MATCH_H
#define CM_ENRICH_UA_MATCH_H

#include "enrich/ua.h"

typedef struct cm_ua_matcher cm_ua_matcher_t; /* one a thread */

cm_ua_matcher_t *cm_ua_matcher_new(cm_ua_rules_t *rules);
void cm_ua_matcher_free(cm_ua_matcher_t *matcher);

/* From now on tries every rule instead of those that are worth it: slow, for tests only. */
void cm_ua_matcher_try_all(cm_ua_matcher_t *matcher);

/* Fills `ua`; its texts live until the next call. The agent is not longer than CM_UA_MAX. */
void cm_ua_match(cm_ua_matcher_t *matcher, cm_str_t agent, cm_ua_t *ua);

#endif
