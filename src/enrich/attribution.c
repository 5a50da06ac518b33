#include "enrich/attribution.h"

#include "base/host.h"
#include "base/lookup.h"
#include "enrich/url_parts.h"

#include <stdlib.h>

/* A list of hosts. */
typedef struct hosts {
    cm_lookup_t exact, below; /* "shop.example" of "*.shop.example" is in `below` */
} hosts_t;

struct cm_attribution_rules {
    hosts_t sites, ignored;
};

/* ---- lists of hosts ---- */

static bool is_name(cm_str_t host)
{
    for (size_t i = 0; i < host.len; i++) {
        if ((unsigned char)host.data[i] <= ' ' || host.data[i] == '*')
            return false;
    }
    return host.len > 0 && host.data[0] != '.';
}

/* The entry's host in its one form, without "www.", in `scratch`; empty when it is no host. */
static cm_str_t normal_entry(cm_str_t entry, cm_buf_t *scratch)
{
    const bool whole = memmem(entry.data, entry.len, "//", 2) != NULL;
    cm_buf_t url = CM_BUF_INIT;

    cm_buf_add_text(&url, whole ? "" : "//");
    cm_buf_add_str(&url, entry);
    const cm_str_t text = {url.data, url.len}, host = cm_url_host(text);
    const bool more = cm_url_path(text).len > 1 || strpbrk(url.data, "?#@") != NULL;
    cm_buf_clear(scratch);
    if (is_name(host) && !more)
        cm_host_add(scratch, host);
    cm_buf_free(&url);
    return cm_url_without_www((cm_str_t){scratch->data, scratch->len});
}

static void add_once(cm_lookup_t *lookup, cm_str_t host)
{
    size_t at;

    if (!cm_lookup_find(lookup, host, &at))
        cm_lookup_add(lookup, host, lookup->count);
}

static int read_hosts(hosts_t *hosts, const char *list, const char *key, cm_err_t *err)
{
    cm_str_t rest = cm_str(list), entry;
    cm_buf_t scratch = CM_BUF_INIT;
    int rc = 0;

    while (rc == 0 && cm_str_next(&rest, &entry)) {
        const bool below = entry.len > 2 && memcmp(entry.data, "*.", 2) == 0;
        const size_t skip = below ? 2 : 0;
        if (entry.len == 0)
            continue;
        cm_str_t host = normal_entry((cm_str_t){entry.data + skip, entry.len - skip}, &scratch);
        if (host.len > 0)
            add_once(below ? &hosts->below : &hosts->exact, host);
        else
            rc = cm_fail(err, CM_EUSAGE,
                         "%s: \"%.*s\" is not a host; give a name (shop.example) or all names "
                         "below one (*.shop.example)",
                         key, cm_utf8_head(entry, 100), entry.data);
    }
    cm_buf_free(&scratch);
    return rc;
}

static void free_hosts(hosts_t *hosts)
{
    cm_lookup_free(&hosts->exact);
    cm_lookup_free(&hosts->below);
}

static bool has_host(const hosts_t *hosts, cm_str_t host)
{
    size_t at;

    if (cm_lookup_find(&hosts->exact, host, &at))
        return true;
    for (size_t i = 0; hosts->below.count > 0 && i + 1 < host.len; i++) {
        if (host.data[i] == '.' &&
            cm_lookup_find(&hosts->below, (cm_str_t){host.data + i + 1, host.len - i - 1}, &at))
            return true;
    }
    return false;
}

int cm_attribution_rules_new(const char *sites, const char *ignored, cm_attribution_rules_t **out,
                             cm_err_t *err)
{
    cm_attribution_rules_t *rules = cm_alloc_zero(1, sizeof *rules);

    int rc = read_hosts(&rules->sites, sites, "sites", err);
    if (rc == 0)
        rc = read_hosts(&rules->ignored, ignored, "ignore_referrers", err);
    if (rc < 0) {
        cm_attribution_rules_free(rules);
        rules = NULL;
    }
    *out = rules;
    return rc;
}

void cm_attribution_rules_free(cm_attribution_rules_t *rules)
{
    if (rules == NULL)
        return;
    free_hosts(&rules->sites);
    free_hosts(&rules->ignored);
    free(rules);
}

/* ---- the referrer ---- */

/* The hosts of the referrer and the URL in their one form, without "www.". */
typedef struct pair {
    cm_str_t referrer, url;
} pair_t;

static pair_t hosts_of(cm_str_t url, cm_str_t referrer, cm_buf_t *scratch)
{
    cm_buf_clear(scratch);
    cm_host_add(scratch, cm_url_host(referrer));
    const size_t middle = scratch->len;
    cm_host_add(scratch, cm_url_host(url));
    return (pair_t){
        cm_url_without_www((cm_str_t){scratch->data, middle}),
        cm_url_without_www((cm_str_t){scratch->data + middle, scratch->len - middle}),
    };
}

static bool is_internal(const cm_attribution_rules_t *rules, const pair_t *hosts)
{
    return hosts->referrer.len > 0 &&
           (cm_str_equal(hosts->referrer, hosts->url) || has_host(&rules->sites, hosts->referrer));
}

bool cm_attribution_is_internal(const cm_attribution_rules_t *rules, cm_str_t url,
                                cm_str_t referrer, cm_buf_t *scratch)
{
    const pair_t hosts = hosts_of(url, referrer, scratch);

    return is_internal(rules, &hosts);
}

/* ---- source and channel ---- */

static bool is_one_of(cm_str_t text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (cm_str_equal_nocase(text, cm_str(*words)))
            return true;
    }
    return false;
}

static bool begins_with(cm_str_t text, cm_str_t start)
{
    return text.len >= start.len && cm_str_equal_nocase((cm_str_t){text.data, start.len}, start);
}

static bool is_paid(cm_str_t medium)
{
    static const char *const words[] = {"cpc", "ppc",     "cpm",         "cpv",
                                        "cpa", "display", "retargeting", NULL};

    return is_one_of(medium, words) || begins_with(medium, CM_STR("paid"));
}

static bool is_email(cm_str_t medium)
{
    static const char *const words[] = {"email", "e-mail", "newsletter", NULL};

    return is_one_of(medium, words);
}

static bool has_campaign(const cm_campaign_t *campaign)
{
    for (int i = 0; i < CM_CAMPAIGN_FIELDS; i++) {
        if (campaign->fields[i].len > 0)
            return true;
    }
    return false;
}

/* The channel: the first rule that holds. `referred`: there is a referrer that counts. */
static cm_str_t channel_of(const cm_campaign_t *campaign, const cm_referrer_t *source,
                           bool referred)
{
    const cm_str_t medium = campaign->fields[CM_CAMPAIGN_MEDIUM];

    if (source->medium == CM_REFERRER_AI)
        return CM_STR("AI");
    if (is_paid(medium) || source->medium == CM_REFERRER_PAID) {
        if (source->usual == CM_REFERRER_SOCIAL)
            return CM_STR("Paid Social");
        return source->usual == CM_REFERRER_SEARCH ? CM_STR("Paid Search") : CM_STR("Paid Other");
    }
    if (is_email(medium) || source->medium == CM_REFERRER_EMAIL)
        return CM_STR("Email");
    if (source->medium == CM_REFERRER_SEARCH || cm_str_equal_nocase(medium, CM_STR("organic")))
        return CM_STR("Organic Search");
    if (source->medium == CM_REFERRER_SOCIAL || begins_with(medium, CM_STR("social")))
        return CM_STR("Organic Social");
    if (has_campaign(campaign))
        return CM_STR("Campaign");
    return referred ? CM_STR("Referral") : CM_STR("Direct");
}

cm_attribution_t cm_attribution_find(const cm_attribution_rules_t *rules,
                                     const cm_attribution_input_t *input, cm_buf_t *scratch)
{
    const cm_str_t named = input->campaign.fields[CM_CAMPAIGN_SOURCE];
    const pair_t hosts = hosts_of(input->url, input->referrer, scratch);
    const bool referred = hosts.referrer.len > 0 && !is_internal(rules, &hosts) &&
                          !has_host(&rules->ignored, hosts.referrer);
    cm_referrer_t found = {.name = CM_STR("Direct")};

    if (named.len > 0) {
        if (!cm_referrer_find_name(named, &found))
            found.name = named;
    } else if (referred && !cm_referrer_find(hosts.referrer, input->referrer, &found)) {
        found.name = hosts.referrer;
    }
    return (cm_attribution_t){.source = found.name,
                              .channel = channel_of(&input->campaign, &found, referred),
                              .medium = found.medium};
}
