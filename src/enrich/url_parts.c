#include "enrich/url_parts.h"

static cm_str_t from(cm_str_t text, size_t at)
{
    return (cm_str_t){text.data + at, text.len - at};
}

/* Bytes that end a part of a URL. */
enum { COLON = 1, SLASH = 2, BACKSLASH = 4, QUERY = 8, FRAGMENT = 16 };

/* The length of the text before the first of the bytes, or all of it. */
static size_t before_any(cm_str_t text, unsigned bytes)
{
    static const uint8_t ends[256] = {
        [':'] = COLON, ['/'] = SLASH, ['\\'] = BACKSLASH, ['?'] = QUERY, ['#'] = FRAGMENT,
    };
    size_t len = 0;

    while (len < text.len && (ends[(unsigned char)text.data[len]] & bytes) == 0)
        len++;
    return len;
}

static bool is_scheme(cm_str_t text)
{
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.data[i];
        const bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
        const bool other = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
        if (!letter && !(other && i > 0))
            return false;
    }
    return true;
}

/* Where the authority begins, after "//"; 0: the URL has none. */
static size_t authority_start(cm_str_t url)
{
    const size_t colon = before_any(url, COLON | SLASH | QUERY | FRAGMENT);
    const size_t slashes = colon < url.len && url.data[colon] == ':' ? colon + 1 : 0;

    if (slashes == 1 || url.len < slashes + 2 || memcmp(url.data + slashes, "//", 2) != 0)
        return 0;
    return slashes == 0 || is_scheme((cm_str_t){url.data, colon}) ? slashes + 2 : 0;
}

static size_t authority_end(cm_str_t url, size_t start)
{
    return start > 0 ? start + before_any(from(url, start), SLASH | BACKSLASH | QUERY | FRAGMENT)
                     : 0;
}

cm_str_t cm_url_host(cm_str_t url)
{
    const size_t start = authority_start(url), end = authority_end(url, start);
    cm_str_t host = {url.data + start, end - start};

    for (size_t i = host.len; i > 0; i--) {
        if (host.data[i - 1] == '@') {
            host = from(host, i);
            break;
        }
    }
    if (host.len > 0 && host.data[0] == '[') {
        const char *close = memchr(host.data, ']', host.len);
        return close != NULL ? (cm_str_t){host.data, (size_t)(close - host.data) + 1} : host;
    }
    host.len = before_any(host, COLON);
    return host;
}

cm_str_t cm_url_path(cm_str_t url)
{
    cm_str_t path = from(url, authority_end(url, authority_start(url)));

    path.len = before_any(path, QUERY | FRAGMENT);
    return path.len > 0 ? path : CM_STR("/");
}

cm_str_t cm_url_query(cm_str_t url)
{
    const char *mark = url.len > 0 ? memchr(url.data, '?', url.len) : NULL;

    if (mark == NULL) /* nearly always true */
        return CM_STR("");
    const char *hash = memchr(url.data, '#', url.len);
    const char *end = hash != NULL ? hash : url.data + url.len;
    return end > mark ? (cm_str_t){mark + 1, (size_t)(end - mark) - 1} : CM_STR("");
}

cm_str_t cm_url_without_www(cm_str_t host)
{
    if (host.len > 4 && cm_str_equal_nocase((cm_str_t){host.data, 4}, CM_STR("www.")))
        return from(host, 4);
    return host;
}
