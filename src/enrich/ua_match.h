/* Matches a user agent with the rules; ua.c caches the results. A matcher belongs to one thread. */
#ifndef CM_ENRICH_UA_MATCH_H
#define CM_ENRICH_UA_MATCH_H

#include "enrich/ua.h"

typedef struct cm_ua_matcher cm_ua_matcher_t;

cm_ua_matcher_t *cm_ua_matcher_new(cm_ua_rules_t *rules);
void cm_ua_matcher_free(cm_ua_matcher_t *matcher);

/* From now on tries all rules instead of those that can match: slow, for tests only. */
void cm_ua_matcher_try_all(cm_ua_matcher_t *matcher);

/* Fills `ua`; its strings live until the next call. The agent has at most CM_UA_MAX bytes. */
void cm_ua_match(cm_ua_matcher_t *matcher, cm_str_t agent, cm_ua_t *ua);

#endif
