#include "source/http/page_url.h"

/* The length of "https:", with its colon; 0: there is no scheme. */
static size_t scheme_len(cm_str_t url)
{
    for (size_t i = 0; i < url.len; i++) {
        const char c = url.data[i];
        if (c == ':')
            return i > 0 ? i + 1 : 0;
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        const bool other = (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
        if (!letter && !(other && i > 0))
            return 0;
    }
    return 0;
}

static cm_str_t behind(cm_str_t text, size_t len)
{
    return (cm_str_t){text.data + len, text.len - len};
}

/* Browsers read a backslash as a slash. */
static bool is_slash(char c)
{
    return c == '/' || c == '\\';
}

static bool has_slashes(cm_str_t text)
{
    return text.len >= 2 && is_slash(text.data[0]) && is_slash(text.data[1]);
}

cm_str_t cm_page_url_host(cm_str_t url)
{
    cm_str_t rest = behind(url, scheme_len(url));
    size_t len = 0;

    if (!has_slashes(rest))
        return (cm_str_t){"", 0};
    rest = behind(rest, 2);
    while (len < rest.len && rest.data[len] != '/' && rest.data[len] != '?' &&
           rest.data[len] != '#')
        len++;
    return (cm_str_t){rest.data, len};
}

bool cm_page_url_relative(cm_str_t url)
{
    return scheme_len(url) == 0 && !has_slashes(url);
}

cm_str_t cm_page_url_complete(cm_str_t url, cm_str_t origin, cm_arena_t *arena)
{
    cm_str_t start = origin;
    const char *between = "";

    if (scheme_len(url) > 0)
        return url;
    if (has_slashes(url))
        start.len = scheme_len(origin);
    else if (url.len == 0 || !is_slash(url.data[0]))
        between = "/";
    const size_t between_len = strlen(between);
    char *text = cm_arena_alloc(arena, start.len + between_len + url.len);
    memcpy(text, start.data, start.len);
    memcpy(text + start.len, between, between_len);
    if (url.len > 0)
        memcpy(text + start.len + between_len, url.data, url.len);
    return (cm_str_t){text, start.len + between_len + url.len};
}
