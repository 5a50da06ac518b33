/* Credits: where page views came from, as far as questions ask for it: source, channel and the five
 * fields of the campaign.
 *
 * A credit follows from the host of the url, the referrer and the campaign. Of these there are few
 * different ones, so the rules (enrich/attribution.h) are applied once to each in a thread.
 * cm_credits_t is shared by threads; its strings grow under a mutex. A reader belongs to one
 * thread. */
#ifndef CM_MILL_CREDIT_H
#define CM_MILL_CREDIT_H

#include "enrich/attribution.h"
#include "mill/ask.h"

#include <pthread.h>

/* The fields of a credit. */
typedef enum cm_credit_field {
    CM_CREDIT_UTM_SOURCE, /* in the order of cm_campaign_field_t */
    CM_CREDIT_UTM_MEDIUM,
    CM_CREDIT_UTM_CAMPAIGN,
    CM_CREDIT_UTM_TERM,
    CM_CREDIT_UTM_CONTENT,
    CM_CREDIT_SOURCE,
    CM_CREDIT_CHANNEL,
    CM_CREDIT_FIELDS,
} cm_credit_field_t;

/* The values of the fields; 0: absent. */
typedef struct cm_credit {
    uint32_t field[CM_CREDIT_FIELDS];
} cm_credit_t;

/* The columns that credits are made of. */
enum {
    CM_CREDIT_COLUMNS = 1 << CM_COLUMN_URL | 1 << CM_COLUMN_REFERRER | 1 << CM_COLUMN_UTM_SOURCE |
                        1 << CM_COLUMN_UTM_MEDIUM | 1 << CM_COLUMN_UTM_CAMPAIGN |
                        1 << CM_COLUMN_UTM_TERM | 1 << CM_COLUMN_UTM_CONTENT,
};

typedef struct cm_credits {
    const cm_timelines_t *timelines;
    const cm_attribution_rules_t *rules; /* borrowed */
    uint32_t *hosts;     /* by url: the number of its host; urls of one host have the same one */
    uint32_t *campaigns; /* by url: 0, or the number of the campaign that it names */
    cm_credit_t *named;  /* by that number: values of the campaign */
    uint32_t named_count, named_cap;
    pthread_mutex_t lock; /* of strings, once threads read credits */
    cm_dict_t strings[CM_CREDIT_FIELDS];
} cm_credits_t;

void cm_credits_init(cm_credits_t *credits, const cm_timelines_t *timelines,
                     const cm_attribution_rules_t *rules);

/* Finds the hosts of all urls and, if `campaigns`, what they name in their queries. The columns of
 * CM_CREDIT_COLUMNS were read. */
int cm_credits_prepare(cm_credits_t *credits, bool campaigns, const cm_ask_options_t *options,
                       cm_err_t *err);

/* The string of a value above 0. */
cm_str_t cm_credits_string(cm_credits_t *credits, cm_credit_field_t field, uint32_t value);

void cm_credits_free(cm_credits_t *credits);

typedef struct cm_credit_reader {
    cm_credits_t *credits;
    struct cm_credit_memo *memos; /* hash table of credits; open addressing */
    size_t count, mask;
    struct cm_credit_pair *pairs; /* hash table of hosts and referrers */
    size_t pair_count, pair_mask;
    cm_buf_t scratch;
} cm_credit_reader_t;

/* The credit of the page view at `row`. Valid until the next call. */
const cm_credit_t *cm_credit_at(cm_credit_reader_t *reader, const cm_crowd_t *crowd, uint32_t row);

/* The value of the referrer of the event at `row`; 0: it has none, or an internal one. */
uint32_t cm_credit_referrer_at(cm_credit_reader_t *reader, const cm_crowd_t *crowd, uint32_t row);

void cm_credit_reader_free(cm_credit_reader_t *reader);

#endif
