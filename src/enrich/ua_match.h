/* Matches a user agent with the rules; ua.c caches the results. A matcher belongs to one thread. */
#ifndef CM_ENRICH_UA_MATCH_H
#define CM_ENRICH_UA_MATCH_H

#include "enrich/ua.h"

enum { CM_UA_VERSION_MAX = 64 }; /* bytes, the limit of the contract */

typedef struct cm_ua_matcher cm_ua_matcher_t;

cm_ua_matcher_t *cm_ua_matcher_new(cm_ua_rules_t *rules);
void cm_ua_matcher_free(cm_ua_matcher_t *matcher);

/* From now on tries all rules instead of those that can match: slow, for tests only. */
void cm_ua_matcher_try_all(cm_ua_matcher_t *matcher);

/* Fills `ua`; its strings live until the next call. The agent has at most CM_UA_MAX bytes.
 *
 * A version is joined as toVersionString() of the reference implementation in JavaScript does it:
 * the parts with dots between them, up to the first that is absent; but a third or fourth part that
 * begins with no digit follows without a dot ("3.6b4"). Parts beyond CM_UA_VERSION_MAX bytes are
 * left out. */
void cm_ua_match(cm_ua_matcher_t *matcher, cm_str_t agent, cm_ua_t *ua);

#endif
