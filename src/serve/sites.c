#include "serve/sites.h"

#include "base/host.h"
#include "serve/authority.h"
#include "source/http/posted.h"

#include <stdlib.h>

typedef struct site {
    cm_str_t host; /* with `whole` the origin, with `port` host and port */
    bool whole;    /* an origin: scheme, host and port */
    bool port;     /* with its port */
    bool below;    /* names that end with ".host" */
    bool all;
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
    cm_str_t host = cm_posted_host(url);
    return (cm_str_t){url.data, (size_t)(host.data + host.len - url.data)};
}

static cm_str_t origin_name(cm_str_t origin)
{
    return cm_authority_host(cm_posted_host(origin));
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

/* Nothing, or a colon and a port. */
static bool is_port(cm_str_t text)
{
    int64_t port;

    return text.len == 0 || (cm_str_to_i64((cm_str_t){text.data + 1, text.len - 1}, &port) &&
                             port >= 1 && port <= 65535 && text.data[0] == ':');
}

/* "https://shop.example:8443" */
static bool is_origin(cm_str_t text)
{
    if (cm_sites_origin(text).len != text.len)
        return false;
    cm_str_t name = origin_name(text);
    const char *rest = name.data + name.len;
    return is_name(name) && is_port((cm_str_t){rest, (size_t)(text.data + text.len - rest)});
}

/* An entry or an origin with its host normalized (base/host.h), and the scheme in lower case. */
static void add_normal(cm_buf_t *buf, cm_str_t text)
{
    cm_str_t host = has_scheme(text) ? cm_posted_host(text) : text;
    if (host.len > 2 && memcmp(host.data, "*.", 2) == 0)
        host = (cm_str_t){host.data + 2, host.len - 2};
    cm_str_t name = cm_authority_host(host);
    const char *rest = name.data + name.len;
    const size_t from = buf->len;

    cm_buf_add(buf, text.data, (size_t)(name.data - text.data));
    for (size_t i = from; i < buf->len; i++) {
        if (buf->data[i] >= 'A' && buf->data[i] <= 'Z')
            buf->data[i] |= 0x20;
    }
    if (name.len > 0 && name.data[0] == '*') /* "*." does not mean "*" */
        cm_buf_add_str(buf, name);
    else
        cm_host_add(buf, name);
    cm_buf_add(buf, rest, (size_t)(text.data + text.len - rest));
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
        return is_origin(site->host);
    }
    if (text.len > 2 && memcmp(text.data, "*.", 2) == 0) {
        site->below = true;
        site->host = (cm_str_t){text.data + 2, text.len - 2};
        return is_name(site->host);
    }
    cm_str_t name = cm_authority_host(text);
    site->port = name.len < text.len;
    return is_name(name) && is_port((cm_str_t){text.data + name.len, text.len - name.len});
}

static char *normal_list(const char *list)
{
    cm_str_t rest = cm_str(list), entry;
    cm_buf_t text = CM_BUF_INIT;

    cm_buf_reserve(&text, 1);
    text.data[0] = '\0';
    while (cm_str_next(&rest, &entry)) {
        add_normal(&text, entry);
        cm_buf_add_char(&text, ',');
    }
    return text.data;
}

int cm_sites_new(const char *list, cm_sites_t **out, cm_err_t *err)
{
    cm_sites_t *sites = cm_alloc_zero(1, sizeof *sites);
    int rc = 0;

    sites->text = normal_list(list != NULL ? list : "");
    sites->all = cm_alloc_zero(strlen(sites->text) / 2 + 1, sizeof *sites->all);
    cm_str_t rest = cm_str(sites->text), entry;
    while (rc == 0 && cm_str_next(&rest, &entry)) {
        if (entry.len > 0 && !parse(entry, &sites->all[sites->count++]))
            rc = cm_fail(
                err, CM_EUSAGE,
                "collect.sites: \"%.*s\" is not a site; give a name (shop.example), all names "
                "below one (*.shop.example), an origin (https://shop.example:8443) or *",
                (int)(entry.len < 100 ? entry.len : 100), entry.data);
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

bool cm_sites_any(const cm_sites_t *sites)
{
    return sites->count > 0;
}

bool cm_sites_all(const cm_sites_t *sites)
{
    bool all = false;

    for (size_t i = 0; i < sites->count; i++)
        all |= sites->all[i].all;
    return all;
}

static bool is_below(const site_t *site, cm_str_t name)
{
    if (name.len <= site->host.len + 1)
        return false;
    const char *tail = name.data + (name.len - site->host.len);
    return tail[-1] == '.' && cm_str_equal_nocase((cm_str_t){tail, site->host.len}, site->host);
}

/* The name alone. */
static cm_str_t name_of(const site_t *site)
{
    return cm_authority_host(site->whole ? cm_posted_host(site->host) : site->host);
}

bool cm_sites_has_host(const cm_sites_t *sites, cm_str_t host)
{
    cm_buf_t normal = CM_BUF_INIT;
    bool has = false;

    if (host.len == 0 ||
        memchr(host.data, '@', host.len) != NULL) /* it is unclear which part is the host */
        return false;
    add_normal(&normal, host);
    cm_str_t name = cm_authority_host((cm_str_t){normal.data, normal.len});
    for (size_t i = 0; i < sites->count && !has; i++) {
        const site_t *site = &sites->all[i];
        has = site->all ||
              (site->below ? is_below(site, name) : cm_str_equal_nocase(name_of(site), name));
    }
    cm_buf_free(&normal);
    return has;
}

static bool matches(const site_t *site, cm_str_t origin)
{
    if (site->all)
        return true;
    if (cm_sites_origin(origin).len == 0)
        return false;
    if (site->whole)
        return cm_str_equal_nocase(site->host, origin);
    if (site->port)
        return cm_str_equal_nocase(site->host, cm_posted_host(origin));
    cm_str_t name = origin_name(origin);
    if (!site->below)
        return cm_str_equal_nocase(site->host, name);
    return is_below(site, name);
}

bool cm_sites_allow(const cm_sites_t *sites, cm_str_t origin)
{
    cm_buf_t normal = CM_BUF_INIT;
    bool allowed = false;

    add_normal(&normal, origin);
    for (size_t i = 0; i < sites->count && !allowed; i++)
        allowed = matches(&sites->all[i], (cm_str_t){normal.data, normal.len});
    cm_buf_free(&normal);
    return allowed;
}
