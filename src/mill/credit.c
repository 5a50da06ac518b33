#include "mill/credit.h"

#include "base/host.h"
#include "enrich/url_parts.h"
#include "mill/hash.h"

#include <stdlib.h>

enum { KEY = 2 + CM_CAMPAIGN_FIELDS, FIRST_SLOTS = 256 };

/* Added to the number of a url's campaign that is only a source by `ref` or `source`. */
#define BY_REF (UINT32_C(1) << 31)

/* What an credit follows from: the host of the url, the referrer, the values of the campaign. */
typedef struct credit_key {
    uint32_t part[KEY];
} credit_key_t;

typedef struct cm_credit_memo {
    bool used;
    credit_key_t key;
    cm_credit_t credit;
} memo_t;

typedef struct cm_credit_pair {
    uint64_t key; /* host and referrer; 0: free, because values of referrers are above 0 */
    bool internal;
} pair_t;

/* ---- what all threads share ---- */

void cm_credits_init(cm_credits_t *credits, const cm_timelines_t *timelines,
                     const cm_attribution_rules_t *rules)
{
    *credits = (cm_credits_t){.timelines = timelines, .rules = rules};
    pthread_mutex_init(&credits->lock, NULL);
}

/* Urls of one host mostly follow each other, so the host of the one before is compared first. */
static int find_hosts(cm_credits_t *credits, const cm_ask_options_t *options, cm_err_t *err)
{
    const uint32_t count = cm_timelines_value_count(credits->timelines, CM_COLUMN_URL);
    cm_buf_t scratch = CM_BUF_INIT;
    cm_dict_t hosts = CM_DICT_INIT;
    cm_str_t before = {NULL, 0};
    int rc = 0;

    credits->hosts = cm_alloc_zero(count, sizeof *credits->hosts);
    for (uint32_t url = 1; rc == 0 && url < count; url++) {
        rc = cm_ask_check_at(options, url, err);
        const cm_str_t host =
            cm_url_host(cm_timelines_string(credits->timelines, CM_COLUMN_URL, url));
        if (url > 1 && cm_str_equal(host, before)) {
            credits->hosts[url] = credits->hosts[url - 1];
            continue;
        }
        cm_buf_clear(&scratch);
        cm_host_add(&scratch, host);
        credits->hosts[url] =
            cm_dict_put(&hosts, cm_url_without_www((cm_str_t){scratch.data, scratch.len}));
        before = host;
    }
    cm_dict_free(&hosts);
    cm_buf_free(&scratch);
    return rc;
}

/* The values of a campaign; false when it has none. */
static bool put_campaign(cm_credits_t *credits, const cm_campaign_t *campaign, cm_credit_t *values)
{
    bool any = false;

    *values = (cm_credit_t){{0}};
    for (int field = 0; field < CM_CAMPAIGN_FIELDS; field++) {
        if (campaign->fields[field].len == 0)
            continue;
        values->field[field] = 1 + cm_dict_put(&credits->strings[field], campaign->fields[field]);
        any = true;
    }
    return any;
}

static int find_campaigns(cm_credits_t *credits, const cm_ask_options_t *options, cm_err_t *err)
{
    const uint32_t count = cm_timelines_value_count(credits->timelines, CM_COLUMN_URL);
    cm_arena_t arena = CM_ARENA_INIT;
    int rc = 0;

    credits->campaigns = cm_alloc_zero(count, sizeof *credits->campaigns);
    credits->named_count = 1;
    for (uint32_t url = 1; rc == 0 && url < count; url++) {
        rc = cm_ask_check_at(options, url, err);
        const cm_str_t text = cm_timelines_string(credits->timelines, CM_COLUMN_URL, url);
        cm_campaign_t campaign = {0};
        cm_credit_t values;
        cm_arena_reset(&arena);
        cm_campaign_fill(text, &arena, &campaign);
        if (!put_campaign(credits, &campaign, &values))
            continue;
        if (credits->named_count >= credits->named_cap) {
            credits->named_cap = 2 * credits->named_count + 64;
            credits->named =
                cm_realloc(credits->named, credits->named_cap * sizeof *credits->named);
        }
        credits->campaigns[url] = credits->named_count | (campaign.by_ref ? BY_REF : 0);
        credits->named[credits->named_count++] = values;
    }
    cm_arena_free(&arena);
    return rc;
}

/* The dictionaries begin with the strings of the columns, so that a column's values stay valid. */
static void take_columns(cm_credits_t *credits)
{
    for (int field = 0; field < CM_CAMPAIGN_FIELDS; field++) {
        const cm_timelines_column_t column = CM_COLUMN_UTM_SOURCE + (unsigned)field;
        const uint32_t count = cm_timelines_value_count(credits->timelines, column);
        for (uint32_t value = 1; value < count; value++)
            cm_dict_put(&credits->strings[field],
                        cm_timelines_string(credits->timelines, column, value));
    }
}

int cm_credits_prepare(cm_credits_t *credits, bool campaigns, const cm_ask_options_t *options,
                       cm_err_t *err)
{
    int rc = find_hosts(credits, options, err);

    if (rc == 0 && campaigns) {
        take_columns(credits);
        rc = find_campaigns(credits, options, err);
    }
    return rc;
}

cm_str_t cm_credits_string(cm_credits_t *credits, cm_credit_field_t field, uint32_t value)
{
    pthread_mutex_lock(&credits->lock);
    const cm_str_t string = cm_dict_string(&credits->strings[field], value - 1);
    pthread_mutex_unlock(&credits->lock);
    return string;
}

static uint32_t put_string(cm_credits_t *credits, cm_credit_field_t field, cm_str_t string)
{
    pthread_mutex_lock(&credits->lock);
    const uint32_t value = 1 + cm_dict_put(&credits->strings[field], string);
    pthread_mutex_unlock(&credits->lock);
    return value;
}

void cm_credits_free(cm_credits_t *credits)
{
    free(credits->hosts);
    free(credits->campaigns);
    free(credits->named);
    for (int field = 0; field < CM_CREDIT_FIELDS; field++)
        cm_dict_free(&credits->strings[field]);
    pthread_mutex_destroy(&credits->lock);
}

/* ---- in a thread ---- */

static uint64_t hash_key(const credit_key_t *key)
{
    uint64_t hash = 0;

    for (int i = 0; i < KEY; i++)
        hash = cm_hash_add(hash, key->part[i]);
    return hash;
}

static memo_t *find_memo(memo_t *memos, size_t mask, const credit_key_t *key)
{
    size_t slot = hash_key(key) & mask;

    while (memos[slot].used && memcmp(&memos[slot].key, key, sizeof *key) != 0)
        slot = (slot + 1) & mask;
    return &memos[slot];
}

static void grow_memos(cm_credit_reader_t *reader)
{
    const size_t slots = reader->memos == NULL ? FIRST_SLOTS : 2 * (reader->mask + 1);
    memo_t *memos = cm_alloc_zero(slots, sizeof *memos);

    for (size_t i = 0; reader->memos != NULL && i <= reader->mask; i++) {
        if (reader->memos[i].used)
            *find_memo(memos, slots - 1, &reader->memos[i].key) = reader->memos[i];
    }
    free(reader->memos);
    reader->memos = memos;
    reader->mask = slots - 1;
}

static uint32_t value_at(const cm_crowd_t *crowd, cm_timelines_column_t column, uint32_t row)
{
    return crowd->values[column] != NULL ? crowd->values[column][row] : 0;
}

/* A field that the event does not state is that of its url. But where it states another one, the
 * url may have been cleaned since, and `ref` and `source`, which cleaning leaves there, do not
 * count. */
static credit_key_t key_at(const cm_credits_t *credits, const cm_crowd_t *crowd, uint32_t row)
{
    const uint32_t url = crowd->values[CM_COLUMN_URL][row], named = credits->campaigns[url];
    credit_key_t key = {{credits->hosts[url], value_at(crowd, CM_COLUMN_REFERRER, row)}};
    uint32_t stated = 0;

    for (unsigned field = 0; field < CM_CAMPAIGN_FIELDS; field++) {
        key.part[2 + field] = value_at(crowd, CM_COLUMN_UTM_SOURCE + field, row);
        stated |= key.part[2 + field];
    }
    if (named == 0 || (stated != 0 && (named & BY_REF) != 0))
        return key;
    for (unsigned field = 0; field < CM_CAMPAIGN_FIELDS; field++) {
        if (key.part[2 + field] == 0)
            key.part[2 + field] = credits->named[named & ~BY_REF].field[field];
    }
    return key;
}

static cm_credit_t find_credit(cm_credit_reader_t *reader, uint32_t url, const credit_key_t *key)
{
    cm_credits_t *credits = reader->credits;
    cm_attribution_input_t input = {
        .url = cm_timelines_string(credits->timelines, CM_COLUMN_URL, url)};
    cm_credit_t credit;

    if (key->part[1] != 0)
        input.referrer = cm_timelines_string(credits->timelines, CM_COLUMN_REFERRER, key->part[1]);
    for (unsigned field = 0; field < CM_CAMPAIGN_FIELDS; field++) {
        credit.field[field] = key->part[2 + field];
        if (credit.field[field] != 0)
            input.campaign.fields[field] = cm_credits_string(credits, field, credit.field[field]);
    }
    const cm_attribution_t found = cm_attribution_find(credits->rules, &input, &reader->scratch);
    credit.field[CM_CREDIT_SOURCE] = put_string(credits, CM_CREDIT_SOURCE, found.source);
    credit.field[CM_CREDIT_CHANNEL] = put_string(credits, CM_CREDIT_CHANNEL, found.channel);
    return credit;
}

const cm_credit_t *cm_credit_at(cm_credit_reader_t *reader, const cm_crowd_t *crowd, uint32_t row)
{
    const credit_key_t key = key_at(reader->credits, crowd, row);

    if (reader->memos == NULL || reader->count > reader->mask / 2)
        grow_memos(reader);
    memo_t *memo = find_memo(reader->memos, reader->mask, &key);
    if (!memo->used) {
        const uint32_t url = crowd->values[CM_COLUMN_URL][row];
        *memo = (memo_t){.used = true, .key = key, .credit = find_credit(reader, url, &key)};
        reader->count++;
    }
    return &memo->credit;
}

static pair_t *find_pair(pair_t *pairs, size_t mask, uint64_t key)
{
    size_t slot = cm_hash_add(0, key) & mask;

    while (pairs[slot].key != 0 && pairs[slot].key != key)
        slot = (slot + 1) & mask;
    return &pairs[slot];
}

static void grow_pairs(cm_credit_reader_t *reader)
{
    const size_t slots = reader->pairs == NULL ? FIRST_SLOTS : 2 * (reader->pair_mask + 1);
    pair_t *pairs = cm_alloc_zero(slots, sizeof *pairs);

    for (size_t i = 0; reader->pairs != NULL && i <= reader->pair_mask; i++) {
        if (reader->pairs[i].key != 0)
            *find_pair(pairs, slots - 1, reader->pairs[i].key) = reader->pairs[i];
    }
    free(reader->pairs);
    reader->pairs = pairs;
    reader->pair_mask = slots - 1;
}

uint32_t cm_credit_referrer_at(cm_credit_reader_t *reader, const cm_crowd_t *crowd, uint32_t row)
{
    const cm_credits_t *credits = reader->credits;
    const uint32_t referrer = value_at(crowd, CM_COLUMN_REFERRER, row);
    const uint32_t url = crowd->values[CM_COLUMN_URL][row];

    if (referrer == 0)
        return 0;
    if (reader->pairs == NULL || reader->pair_count > reader->pair_mask / 2)
        grow_pairs(reader);
    const uint64_t key = (uint64_t)credits->hosts[url] << 32 | referrer;
    pair_t *pair = find_pair(reader->pairs, reader->pair_mask, key);
    if (pair->key == 0) {
        *pair = (pair_t){
            key, cm_attribution_is_internal(
                     credits->rules, cm_timelines_string(credits->timelines, CM_COLUMN_URL, url),
                     cm_timelines_string(credits->timelines, CM_COLUMN_REFERRER, referrer),
                     &reader->scratch)};
        reader->pair_count++;
    }
    return pair->internal ? 0 : referrer;
}

void cm_credit_reader_free(cm_credit_reader_t *reader)
{
    free(reader->memos);
    free(reader->pairs);
    cm_buf_free(&reader->scratch);
}
