/* Origins: where page views came from, as far as questions ask for it: source, channel and the five
 * fields of the campaign.
 *
 * An origin follows from the host of the url, the referrer and the campaign. Of these there are few
 * different ones, so the rules (enrich/attribution.h) are applied once to each in a thread.
 * cm_origins_t is shared by threads; its strings grow under a mutex. A reader belongs to one
 * thread. */
#ifndef CM_MILL_ORIGIN_H
#define CM_MILL_ORIGIN_H

#include "enrich/attribution.h"
#include "mill/timelines.h"

#include <pthread.h>

/* The fields of an origin. */
typedef enum cm_origin_field {
    CM_ORIGIN_UTM_SOURCE, /* in the order of cm_campaign_field_t */
    CM_ORIGIN_UTM_MEDIUM,
    CM_ORIGIN_UTM_CAMPAIGN,
    CM_ORIGIN_UTM_TERM,
    CM_ORIGIN_UTM_CONTENT,
    CM_ORIGIN_SOURCE,
    CM_ORIGIN_CHANNEL,
    CM_ORIGIN_FIELDS,
} cm_origin_field_t;

/* The values of the fields; 0: absent. */
typedef struct cm_origin {
    uint32_t field[CM_ORIGIN_FIELDS];
} cm_origin_t;

/* The columns that origins are made of. */
enum {
    CM_ORIGIN_COLUMNS = 1 << CM_COLUMN_URL | 1 << CM_COLUMN_REFERRER | 1 << CM_COLUMN_UTM_SOURCE |
                        1 << CM_COLUMN_UTM_MEDIUM | 1 << CM_COLUMN_UTM_CAMPAIGN |
                        1 << CM_COLUMN_UTM_TERM | 1 << CM_COLUMN_UTM_CONTENT,
};

typedef struct cm_origins {
    const cm_timelines_t *timelines;
    const cm_attribution_rules_t *rules; /* borrowed */
    uint32_t *hosts;     /* by url: the number of its host; urls of one host have the same one */
    uint32_t *campaigns; /* by url: 0, or the number of the campaign that it names */
    cm_origin_t *named;  /* by that number: values of the campaign */
    uint32_t named_count, named_cap;
    pthread_mutex_t lock; /* of strings, once threads read origins */
    cm_dict_t strings[CM_ORIGIN_FIELDS];
} cm_origins_t;

void cm_origins_init(cm_origins_t *origins, const cm_timelines_t *timelines,
                     const cm_attribution_rules_t *rules);

/* Finds the hosts of all urls and, if `campaigns`, what they name in their queries. The columns of
 * CM_ORIGIN_COLUMNS were read. */
void cm_origins_prepare(cm_origins_t *origins, bool campaigns);

/* The string of a value above 0. */
cm_str_t cm_origins_string(cm_origins_t *origins, cm_origin_field_t field, uint32_t value);

void cm_origins_free(cm_origins_t *origins);

typedef struct cm_origin_reader {
    cm_origins_t *origins;
    struct cm_origin_memo *memos; /* hash table of origins; open addressing */
    size_t count, mask;
    struct cm_origin_pair *pairs; /* hash table of hosts and referrers */
    size_t pair_count, pair_mask;
    cm_buf_t scratch;
} cm_origin_reader_t;

/* The origin of the page view at `row`. Valid until the next call. */
const cm_origin_t *cm_origin_at(cm_origin_reader_t *reader, const cm_crowd_t *crowd, uint32_t row);

/* The value of the referrer of the event at `row`; 0: it has none, or an internal one. */
uint32_t cm_origin_referrer_at(cm_origin_reader_t *reader, const cm_crowd_t *crowd, uint32_t row);

void cm_origin_reader_free(cm_origin_reader_t *reader);

#endif
