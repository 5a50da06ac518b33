#include "enrich/url.h"

#include "event/event.h"

enum {
    GROWTH = 3, /* one byte may become three: %XX */
    FIRST_NON_ASCII = 0x80,
};

static bool is_unreserved(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

/* True for bytes that may need another spelling. */
static bool is_spelled(uint8_t c)
{
    return c >= FIRST_NON_ASCII || c == '%' || c == '\\';
}

/* The text before the first `end`, or all of it. */
static cm_str_t before(cm_str_t text, char end)
{
    const char *at = text.len > 0 ? memchr(text.data, end, text.len) : NULL;

    return (cm_str_t){text.data, at != NULL ? (size_t)(at - text.data) : text.len};
}

static cm_str_t from(cm_str_t text, size_t at)
{
    return (cm_str_t){text.data + at, text.len - at};
}

/* ---- the spelling ---- */

/* The byte of the two hexadecimal digits at `at`; -1 when there are none. */
static int hex_byte(cm_str_t text, size_t at)
{
    if (at + 2 > text.len || cm_hex_digit(text.data[at]) < 0 || cm_hex_digit(text.data[at + 1]) < 0)
        return -1;
    return cm_hex_digit(text.data[at]) << 4 | cm_hex_digit(text.data[at + 1]);
}

size_t cm_url_read_byte(cm_str_t text, size_t at, uint8_t *byte)
{
    char next = at + 1 < text.len ? text.data[at + 1] : '\0';
    int escaped = text.data[at] == '%' ? hex_byte(text, at + 1) : -1;
    size_t len = 1;

    *byte = (uint8_t)text.data[at];
    if (escaped >= 0) {
        len = 3;
    } else if (text.data[at] == '\\' && next == 'x' && (escaped = hex_byte(text, at + 2)) >= 0) {
        len = 4;
    } else if (text.data[at] == '\\' && (next == '"' || next == '\\')) {
        escaped = next;
        len = 2;
    }
    if (escaped >= 0)
        *byte = (uint8_t)escaped;
    return len;
}

/* Writes the byte in its only spelling; returns the number of bytes. */
static size_t spell(cm_str_t text, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t len = 0;

    for (size_t at = 0; at < text.len;) {
        if (!is_spelled((uint8_t)text.data[at])) {
            out[len++] = text.data[at++];
            continue;
        }
        uint8_t byte;
        at += cm_url_read_byte(text, at, &byte);
        if (is_unreserved(byte)) {
            out[len++] = (char)byte;
            continue;
        }
        out[len++] = '%';
        out[len++] = digits[byte >> 4];
        out[len++] = digits[byte & 15];
    }
    return len;
}

/* ---- sessions in the path ---- */

/* The length of the session id that begins with this ';'; 0 when it is none. */
static size_t path_parameter(cm_str_t rest)
{
    size_t end = 1;

    while (end < rest.len && rest.data[end] != ';' && rest.data[end] != '/')
        end++;
    return cm_url_is_session(before((cm_str_t){rest.data + 1, end - 1}, '=')) ? end : 0;
}

/* The length of the segment in which ASP.NET keeps a session id, with the '/' before it: /(S(...)),
 * where other letters may precede or follow the S. 0 when it is none. */
static size_t aspnet_segment(cm_str_t rest)
{
    size_t at = 2;

    if (rest.len < 2 || rest.data[0] != '/' || rest.data[1] != '(')
        return 0;
    while (at + 1 < rest.len && rest.data[at] >= 'A' && rest.data[at] <= 'Z' &&
           rest.data[at + 1] == '(') {
        for (at += 2; at < rest.len && rest.data[at] != ')' && rest.data[at] != '/';)
            at++;
        if (at == rest.len || rest.data[at] != ')')
            return 0;
        at++;
    }
    bool whole = at > 2 && at < rest.len && rest.data[at] == ')';
    return whole && (at + 1 == rest.len || rest.data[at + 1] == '/') ? at + 1 : 0;
}

/* Removes the session ids in place; returns the length. */
static size_t drop_sessions(char *path, size_t size)
{
    cm_str_t text = {path, size};
    size_t len = 0;

    for (size_t at = 0; at < size;) {
        size_t session = 0;
        if (path[at] == ';')
            session = path_parameter(from(text, at));
        else if (path[at] == '/')
            session = aspnet_segment(from(text, at));
        if (session == 0)
            path[len++] = path[at++];
        at += session;
    }
    if (len == 0 && size > 0) /* it was only a session id */
        path[len++] = '/';
    return len;
}

/* ---- the query ---- */

/* A parameter without the rest of an "&amp;" before it. */
static cm_str_t without_amp(cm_str_t parameter)
{
    while (parameter.len >= 4 && cm_str_equal_nocase((cm_str_t){parameter.data, 4}, CM_STR("amp;")))
        parameter = from(parameter, 4);
    return parameter;
}

static bool goes(cm_str_t parameter)
{
    cm_str_t name = before(parameter, '=');

    return cm_url_is_campaign(name) || cm_url_is_session(name);
}

/* Copies the parameters that stay to `out`, which may be the same memory; returns the number of
 * bytes. */
static size_t keep_parameters(cm_str_t query, char *out)
{
    size_t len = 0;
    bool first = true;

    for (;;) {
        cm_str_t whole = before(query, '&'), parameter = without_amp(whole);
        if (!goes(parameter)) {
            if (!first)
                out[len++] = '&';
            memmove(out + len, parameter.data, parameter.len);
            len += parameter.len;
            first = false;
        }
        if (whole.len == query.len)
            return len;
        query = from(query, whole.len + 1);
    }
}

static bool query_stays(cm_str_t query)
{
    for (;;) {
        cm_str_t parameter = before(query, '&');
        if (goes(parameter) || without_amp(parameter).len < parameter.len)
            return false;
        if (parameter.len == query.len)
            return true;
        query = from(query, parameter.len + 1);
    }
}

/* ---- the whole URL ---- */

/* The length of scheme and host, which stay as they are. */
static size_t origin_of(cm_str_t url)
{
    size_t at = 0;

    while (at < url.len && is_unreserved((uint8_t)url.data[at]))
        at++;
    if (at == 0 || at + 3 > url.len || memcmp(url.data + at, "://", 3) != 0)
        return 0;
    at += 3;
    while (at < url.len && url.data[at] != '/' && url.data[at] != '?')
        at++;
    return at;
}

/* Whether path or query need another spelling, or the path may have a session id. */
static bool has_work(cm_str_t path, cm_str_t query)
{
    bool work = false;

    for (size_t i = 0; i < path.len; i++)
        work |= is_spelled((uint8_t)path.data[i]) | (path.data[i] == ';') | (path.data[i] == '(');
    for (size_t i = 0; i < query.len; i++)
        work |= is_spelled((uint8_t)query.data[i]);
    return work;
}

static cm_str_t clean_all(cm_str_t url, size_t origin, cm_str_t path, cm_str_t query,
                          cm_arena_t *arena)
{
    char *text = cm_arena_alloc(arena, origin + GROWTH * (path.len + query.len) + 2);
    size_t len = origin;

    memcpy(text, url.data, origin);
    len += drop_sessions(text + origin, spell(path, text + origin));
    if (query.data != NULL) {
        text[len] = '?';
        cm_str_t spelled = {text + len + 1, spell(query, text + len + 1)};
        size_t kept = keep_parameters(spelled, text + len + 1);
        if (kept > 0 || query_stays(spelled))
            len += 1 + kept;
    }
    return (cm_str_t){text, len};
}

/* Whether nothing in the URL can change: it has no query, no fragment, and nothing that has_work()
 * searches. That is true for most URLs of pages, for which this is the only pass. */
static bool is_clean(cm_str_t url)
{
    static const bool works[FIRST_NON_ASCII] = {
        ['#'] = true, ['?'] = true, ['%'] = true, ['\\'] = true, [';'] = true, ['('] = true,
    };

    for (size_t i = 0; i < url.len; i++) {
        uint8_t c = (uint8_t)url.data[i];
        if (c >= FIRST_NON_ASCII || works[c])
            return false;
    }
    return true;
}

cm_str_t cm_url_clean(cm_str_t url, bool drop_query, cm_arena_t *arena)
{
    if (is_clean(url))
        return url;
    cm_str_t clean = before(url, '#');
    size_t origin = origin_of(clean);
    cm_str_t path = before(from(clean, origin), '?'), query = {NULL, 0};
    cm_str_t whole_path = {clean.data, origin + path.len};

    if (whole_path.len < clean.len && !drop_query)
        query = from(clean, whole_path.len + 1);
    else
        clean = whole_path;
    if (has_work(path, query) || (query.data != NULL && !query_stays(query))) {
        cm_str_t changed = clean_all(clean, origin, path, query, arena);
        if (changed.len <= CM_URL_MAX || changed.len <= clean.len)
            clean = changed;
    }
    return clean.len > 0 ? clean : url;
}
