#include "source/file/accesslog_builder.h"

#include "base/clock.h"
#include "base/host.h"
#include "base/put.h"

#include <xxhash.h>

/* ---- sites ---- */

static cm_str_t str_of(const cm_buf_t *buf)
{
    return (cm_str_t){buf->data, buf->len};
}

static void add_lower(cm_buf_t *buf, cm_str_t text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        cm_buf_add_char(buf, c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c);
    }
}

static void free_site(cm_site_t *site)
{
    cm_buf_free(&site->url);
    cm_buf_free(&site->host);
}

/* Cuts ":" and the port off the end of a host. Returns the port without the colon. */
static cm_str_t cut_port(cm_str_t *host)
{
    size_t at = host->len;

    while (at > 0 && host->data[at - 1] >= '0' && host->data[at - 1] <= '9')
        at--;
    if (at == 0 || at == host->len || host->data[at - 1] != ':')
        return (cm_str_t){"", 0};
    cm_str_t port = {host->data + at, host->len - at};
    host->len = at - 1;
    return port;
}

/* "host:port", without the port when it is the scheme's default. */
static void set_host(cm_site_t *site, cm_str_t host, bool secure)
{
    cm_str_t port = cut_port(&host);

    cm_buf_clear(&site->host);
    cm_host_add(&site->host, host);
    if (port.len > 0 && !cm_str_equal(port, secure ? CM_STR("443") : CM_STR("80"))) {
        cm_buf_add_char(&site->host, ':');
        cm_buf_add_str(&site->host, port);
    }
}

static bool is_host_text(cm_str_t host)
{
    for (size_t i = 0; i < host.len; i++) {
        if ((unsigned char)host.data[i] <= ' ' || strchr("\"'<>\\?#@,;", host.data[i]) != NULL)
            return false;
    }
    return host.len > 0 && host.data[0] != ':' && host.data[0] != '.';
}

static int set_given(cm_site_t *site, const char *text, cm_err_t *err)
{
    cm_str_t rest = cm_str_trim(cm_str(text)), scheme = CM_STR("https");
    const char *mark = rest.len > 0 ? memmem(rest.data, rest.len, "://", 3) : NULL;

    if (rest.len == 0)
        return 0;
    if (mark != NULL)
        scheme.len = (size_t)(mark - rest.data), scheme.data = rest.data;
    size_t skip = mark != NULL ? scheme.len + 3 : 0;
    while (skip < rest.len && rest.data[skip] == '/')
        skip++;
    rest = (cm_str_t){rest.data + skip, rest.len - skip};
    while (rest.len > 0 && rest.data[rest.len - 1] == '/')
        rest.len--;
    const char *slash = rest.len > 0 ? memchr(rest.data, '/', rest.len) : NULL;
    cm_str_t host = {rest.data, slash != NULL ? (size_t)(slash - rest.data) : rest.len};
    if (!is_host_text(host) || scheme.len == 0)
        return cm_fail(err, CM_EUSAGE,
                       "--site \"%.*s\" names no host; write for example --site "
                       "https://www.example.com",
                       cm_utf8_head(cm_str(text), 100), text);
    add_lower(&site->url, scheme);
    cm_buf_add_text(&site->url, "://");
    cm_str_t name = host, port = cut_port(&name);
    cm_host_add(&site->url, name);
    cm_buf_add(&site->url, name.data + name.len, port.len + (port.len > 0));
    cm_buf_add(&site->url, rest.data + host.len, rest.len - host.len);
    set_host(site, host, cm_str_equal_nocase(scheme, CM_STR("https")));
    return 0;
}

/* The site of a virtual host: https for the ports 443 and 8443, http for other ports, and https
 * without a port, as for --site. */
static void set_logged(cm_accesslog_builder_t *visits, cm_str_t logged)
{
    cm_site_t *site = &visits->line;
    cm_str_t host = logged, port = cut_port(&host);
    bool secure =
        port.len == 0 || cm_str_equal(port, CM_STR("443")) || cm_str_equal(port, CM_STR("8443"));

    cm_buf_clear(&visits->line_logged);
    cm_buf_add_str(&visits->line_logged, logged);
    set_host(site, logged, secure);
    cm_buf_clear(&site->url);
    cm_buf_add_text(&site->url, secure ? "https://" : "http://");
    cm_buf_add_str(&site->url, str_of(&site->host));
}

/* Whether it is the host that was given. The port is ignored, because it differs behind a proxy. */
static bool is_given(const cm_accesslog_builder_t *visits, cm_str_t logged)
{
    cm_str_t given = str_of(&visits->given.host);

    cut_port(&given);
    cut_port(&logged);
    return given.len > 0 && cm_str_equal_nocase(given, logged);
}

static const cm_site_t *site_of(cm_accesslog_builder_t *visits, const cm_access_t *access)
{
    if (access->host.len == 0 || is_given(visits, access->host))
        return &visits->given;
    if (!cm_str_equal(str_of(&visits->line_logged), access->host))
        set_logged(visits, access->host);
    return &visits->line;
}

/* ---- visits ---- */

int cm_accesslog_builder_init(cm_accesslog_builder_t *visits, const char *site, bool older_keys,
                              const uint8_t key[CM_VISITOR_KEY], cm_err_t *err)
{
    *visits = (cm_accesslog_builder_t){.older_keys = older_keys};
    int rc = set_given(&visits->given, site, err);
    if (rc < 0)
        return rc;
    cm_visitor_cache_init(&visits->visitors, key);
    memcpy(&visits->seed, key, sizeof visits->seed);
    return 0;
}

void cm_accesslog_builder_restart(cm_accesslog_builder_t *visits)
{
    cm_repeats_free(&visits->repeats);
}

void cm_accesslog_builder_free(cm_accesslog_builder_t *visits)
{
    cm_repeats_free(&visits->repeats);
    cm_visitor_cache_free(&visits->visitors);
    free_site(&visits->given);
    free_site(&visits->line);
    cm_buf_free(&visits->line_logged);
    cm_buf_free(&visits->name);
}

/* A hash of the visitor of a line: of the user, or of address and agent. The seed is secret, so
 * that an attacker cannot write lines that all hash to one slot of a table. */
static uint64_t hash_visitor(const cm_accesslog_builder_t *visits, const cm_access_t *access)
{
    cm_str_t user = access->user, address = access->address, agent = access->agent;

    if (user.len > 0)
        return XXH3_64bits_withSeed(user.data, user.len, visits->seed);
    /* One hash is the seed of the next one, so the strings need not be copied together. */
    uint64_t hash = XXH3_64bits_withSeed(address.data, address.len, visits->seed);
    return XXH3_64bits_withSeed(agent.data, agent.len, hash);
}

/* The host in the row key; empty: none. */
static cm_str_t key_host(const cm_accesslog_builder_t *visits, const cm_accesslog_line_t *line)
{
    return visits->older_keys ? (cm_str_t){"", 0} : str_of(&line->site->host);
}

void cm_accesslog_builder_count(cm_accesslog_builder_t *visits, const cm_access_t *access,
                                cm_accesslog_line_t *line)
{
    *line = (cm_accesslog_line_t){
        .access = access, .site = site_of(visits, access), .visitor = hash_visitor(visits, access)};
    /* A line with an impossible time becomes no event, so it needs no count. */
    if (access->time <= 0 || access->time >= CM_TIME_END)
        return;
    cm_str_t request = access->request, host = key_host(visits, line);
    uint64_t hash = XXH3_64bits_withSeed(request.data, request.len, line->visitor);
    if (host.len > 0)
        hash = XXH3_64bits_withSeed(host.data, host.len, hash);
    line->k = cm_repeats_count(&visits->repeats, hash, (uint32_t)(access->time / 1000));
}

static cm_str_t user_of(cm_accesslog_builder_t *visits, const cm_accesslog_line_t *line,
                        cm_arena_t *arena)
{
    const cm_access_t *access = line->access;

    if (access->user.len > 0)
        return access->user;
    const char *id =
        cm_visitor_cache_id(&visits->visitors, line->visitor, access->address, access->agent);
    return cm_arena_copy(arena, (cm_str_t){id, CM_VISITOR_TEXT});
}

static cm_str_t url_of(const cm_accesslog_line_t *line, cm_arena_t *arena)
{
    const cm_access_t *access = line->access;
    cm_str_t url = access->method.len > 0 ? access->url : access->request;
    cm_str_t site = str_of(&line->site->url);

    if (site.len == 0 || url.data[0] != '/')
        return url;
    char *text = cm_arena_alloc(arena, site.len + url.len);
    memcpy(text, site.data, site.len);
    memcpy(text + site.len, url.data, url.len);
    return (cm_str_t){text, site.len + url.len};
}

void cm_accesslog_builder_event(cm_accesslog_builder_t *visits, const cm_accesslog_line_t *line,
                                cm_arena_t *arena, cm_event_t *event)
{
    *event = (cm_event_t){
        .timestamp = line->access->time,
        .user_id = user_of(visits, line, arena),
        .url = url_of(line, arena),
    };
}

cm_str_t cm_accesslog_builder_row_key(cm_accesslog_builder_t *visits,
                                      const cm_accesslog_line_t *line, const cm_event_t *event,
                                      cm_arena_t *arena)
{
    cm_str_t request = line->access->request, host = key_host(visits, line);
    cm_buf_t *name = &visits->name;

    cm_buf_clear(name);
    cm_buf_reserve(name, event->user_id.len + host.len + request.len + 2 * CM_PUT_U64 + 5);
    char *at = CM_PUT(cm_put_str(name->data, event->user_id), "_");
    at = CM_PUT(cm_put_i64(at, event->timestamp), "_");
    if (host.len > 0)
        at = CM_PUT(cm_put_str(at, host), "_");
    at = CM_PUT(cm_put_str(at, request), "_");
    at = cm_put_u64(at, line->k);
    char *text = cm_arena_alloc(arena, CM_UUID_TEXT);
    cm_uuid5((cm_str_t){name->data, (size_t)(at - name->data)}, text);
    return (cm_str_t){text, CM_UUID_TEXT};
}
