#include "serve/sites.h"

#include <stdlib.h>

typedef struct site {
    cm_str_t host;   /* with its port where the origin is whole */
    bool below;      /* names that end with ".host" */
    bool all, whole; /* whole: `host` is an origin with its scheme */
} site_t;

struct cm_sites {
    char *text;
    site_t *all;
    size_t count;
};

static bool has_scheme(cm_str_t url)
{
    return (url.len > 7 && cm_str_equal_nocase((cm_str_t){url.data, 7}, CM_STR("http://"))) ||
           (url.len > 8 && cm_str_equal_nocase((cm_str_t){url.data, 8}, CM_STR("https://")));
}

cm_str_t cm_sites_origin(cm_str_t url)
{
    if (!has_scheme(url))
        return (cm_str_t){"", 0};
    size_t len = (size_t)((const char *)memchr(url.data, ':', url.len) - url.data) + 3;
    while (len < url.len && url.data[len] != '/' && url.data[len] != '?' && url.data[len] != '#')
        len++;
    return (cm_str_t){url.data, len};
}

/* The name in an origin, without scheme and port. */
static cm_str_t origin_name(cm_str_t origin)
{
    const char *begin = (const char *)memchr(origin.data, ':', origin.len) + 3;
    cm_str_t host = {begin, origin.len - (size_t)(begin - origin.data)};
    const char *end = host.len > 0 && host.data[0] == '[' ? memchr(host.data, ']', host.len) : NULL;

    if (end != NULL) /* an IPv6 address keeps its brackets */
        return (cm_str_t){host.data, (size_t)(end - host.data) + 1};
    end = host.len > 0 ? memchr(host.data, ':', host.len) : NULL;
    return (cm_str_t){host.data, end != NULL ? (size_t)(end - host.data) : host.len};
}

static bool is_name(cm_str_t host)
{
    if (host.len > 2 && host.data[0] == '[')
        return host.data[host.len - 1] == ']';
    for (size_t i = 0; i < host.len; i++) {
        char c = host.data[i];
        if (c <= ' ' || c == '/' || c == ':' || c == '*' || c == '?' || c == '#' || c == '@')
            return false;
    }
    return host.len > 0 && host.data[0] != '.';
}

static bool parse(cm_str_t text, site_t *site)
{
    *site = (site_t){.host = text};
    if (cm_str_equal(text, CM_STR("*"))) {
        site->all = true;
        return true;
    }
    if (has_scheme(text)) {
        if (text.data[text.len - 1] == '/')
            site->host.len--;
        site->whole = true;
        return cm_sites_origin(site->host).len == site->host.len &&
               is_name(origin_name(site->host));
    }
    if (text.len > 2 && memcmp(text.data, "*.", 2) == 0) {
        site->below = true;
        site->host = (cm_str_t){text.data + 2, text.len - 2};
    }
    return is_name(site->host);
}

int cm_sites_new(const char *list, cm_sites_t **out, cm_err_t *err)
{
    cm_sites_t *sites = cm_alloc_zero(1, sizeof *sites);
    int rc = 0;

    sites->text = cm_strdup(list != NULL ? list : "");
    sites->all = cm_alloc_zero(strlen(sites->text) / 2 + 1, sizeof *sites->all);
    for (const char *at = sites->text; rc == 0 && *at != '\0';) {
        size_t len = strcspn(at, ",");
        cm_str_t entry = cm_str_trim((cm_str_t){at, len});
        if (entry.len > 0 && !parse(entry, &sites->all[sites->count++]))
            rc =
                cm_fail(err, CM_EUSAGE,
                        "collect.sites: \"%.*s\" is no site; give a name (shop.example), all names "
                        "below one (*.shop.example), an origin (https://shop.example:8443) or *",
                        (int)(entry.len < 100 ? entry.len : 100), entry.data);
        at += len + (at[len] == ',');
    }
    if (rc < 0)
        cm_sites_free(sites);
    else
        *out = sites;
    return rc;
}

void cm_sites_free(cm_sites_t *sites)
{
    if (sites == NULL)
        return;
    free(sites->all);
    free(sites->text);
    free(sites);
}

static bool matches(const site_t *site, cm_str_t origin)
{
    if (site->all)
        return true;
    if (cm_sites_origin(origin).len == 0)
        return false;
    if (site->whole)
        return cm_str_equal_nocase(site->host, origin);
    cm_str_t name = origin_name(origin);
    if (!site->below)
        return cm_str_equal_nocase(site->host, name);
    if (name.len <= site->host.len + 1)
        return false;
    const char *tail = name.data + (name.len - site->host.len);
    return tail[-1] == '.' && cm_str_equal_nocase((cm_str_t){tail, site->host.len}, site->host);
}

bool cm_sites_allow(const cm_sites_t *sites, cm_str_t origin)
{
    for (size_t i = 0; i < sites->count; i++) {
        if (matches(&sites->all[i], origin))
            return true;
    }
    return false;
}
