#include "enrich/arrival.h"

#include "enrich/campaign.h"
#include "enrich/url.h"

#include <assert.h>

static_assert(CM_EXTRA_UTM_CONTENT - CM_EXTRA_UTM_SOURCE + 1 == CM_CAMPAIGN_FIELDS,
              "the fields of a campaign are in the same order");

static const char mark[] = "://";

enum { MARK_LEN = sizeof mark - 1 };

static size_t authority_end(cm_str_t url, size_t at)
{
    while (at < url.len && strchr("/?#\\", url.data[at]) == NULL)
        at++;
    return at;
}

cm_str_t cm_arrival_origin(cm_str_t url, cm_arena_t *arena)
{
    const char *found = url.len > 0 ? memmem(url.data, url.len, mark, MARK_LEN) : NULL;

    if (found == NULL)
        return (cm_str_t){NULL, 0};
    const size_t host = (size_t)(found - url.data) + MARK_LEN, end = authority_end(url, host);
    const char *user = end > host ? memrchr(url.data + host, '@', end - host) : NULL;
    const size_t begin = user != NULL ? (size_t)(user - url.data) + 1 : host;
    if (begin == end)
        return (cm_str_t){NULL, 0};
    char *text = cm_arena_alloc(arena, host + (end - begin) + 1);
    memcpy(text, url.data, host);
    memcpy(text + host, url.data + begin, end - begin);
    text[host + end - begin] = '/';
    return (cm_str_t){text, host + end - begin + 1};
}

static bool fits(cm_str_t referrer)
{
    return referrer.len <= cm_extra_limits[CM_EXTRA_REFERRER] &&
           cm_utf8_valid(referrer.data, referrer.len);
}

cm_str_t cm_arrival_shorten(cm_str_t referrer, cm_arena_t *arena, cm_enrich_cut_t *cut)
{
    if (fits(referrer))
        return referrer;
    cut->referrers++;
    const cm_str_t origin = cm_arrival_origin(referrer, arena);
    return fits(origin) ? origin : (cm_str_t){NULL, 0};
}

static void fill_campaign(cm_str_t url, cm_arena_t *arena, cm_event_extra_t *extra,
                          cm_enrich_cut_t *cut)
{
    cm_str_t *fields = &extra->text[CM_EXTRA_UTM_SOURCE];
    cm_campaign_t campaign;

    if (url.len == 0 || memchr(url.data, '?', url.len) == NULL)
        return;
    memcpy(campaign.fields, fields, sizeof campaign.fields);
    cut->campaigns += (uint64_t)cm_campaign_fill(url, arena, &campaign);
    memcpy(fields, campaign.fields, sizeof campaign.fields);
}

void cm_arrival_fill(const cm_arrival_rules_t *rules, const cm_enrich_visit_t *visit, cm_str_t url,
                     cm_arena_t *arena, cm_event_extra_t *extra, cm_enrich_cut_t *cut)
{
    cm_str_t *referrer = &extra->text[CM_EXTRA_REFERRER];
    const bool stated = referrer->len > 0;

    if (!stated)
        *referrer = cm_str_trim(visit->referrer);
    if (rules->clean && referrer->len > 0)
        *referrer = cm_url_clean(*referrer, rules->drop_query, arena);
    if (referrer->len > 0 && (!stated || visit->page))
        *referrer = cm_arrival_shorten(*referrer, arena, cut);
    if (rules->clean)
        fill_campaign(url, arena, extra, cut);
}
