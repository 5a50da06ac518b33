#include "enrich/referrer.h"

#include "enrich/referrer_table.h"
#include "enrich/url_parts.h"

/* A key that is looked up: a host and the beginning of a path, in lower case. */
typedef struct place {
    char text[CM_REFERRER_KEY_MAX + 1];
    size_t len;
} place_t;

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static bool find_row(const cm_referrer_row_t *rows, size_t count, cm_str_t key,
                     cm_referrer_t *found)
{
    size_t low = 0, high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = cm_str_compare(rows[middle].key, key);
        if (order == 0) {
            *found = rows[middle].source;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool find_host(cm_str_t key, cm_referrer_t *found)
{
    return find_row(cm_referrer_hosts, cm_referrer_hosts_count, key, found);
}

/* Appends as much of the text as a key can have. */
static void add_lower(place_t *place, cm_str_t text)
{
    for (size_t i = 0; i < text.len && place->len < sizeof place->text; i++)
        place->text[place->len++] = lower(text.data[i]);
}

/* The place without its last part "/..."; false when it is only a host. */
static bool shorten(place_t *place, size_t host_len)
{
    while (place->len > host_len && place->text[place->len - 1] != '/')
        place->len--;
    if (place->len == host_len)
        return false;
    place->len--;
    return true;
}

/* The longest key with a path. */
static bool find_path(cm_str_t host, cm_str_t path, cm_referrer_t *found)
{
    place_t place = {.len = 0};

    add_lower(&place, host);
    add_lower(&place, path);
    /* A place that is as long as the memory may be cut inside a part, and no key is so long. */
    while (place.len > host.len) {
        if (place.len < sizeof place.text && find_host((cm_str_t){place.text, place.len}, found))
            return true;
        if (!shorten(&place, host.len))
            break;
    }
    return false;
}

bool cm_referrer_find(cm_str_t host, cm_str_t url, cm_referrer_t *found)
{
    const cm_str_t plain = cm_url_without_www(host), path = cm_url_path(url);
    const bool mobile = plain.len > 2 && memcmp(plain.data, "m.", 2) == 0;
    const cm_str_t desktop = mobile ? (cm_str_t){plain.data + 2, plain.len - 2} : plain;

    if (path.len > 1 &&
        (find_path(plain, path, found) || (mobile && find_path(desktop, path, found))))
        return true;
    return find_host(plain, found) || (mobile && find_host(desktop, found));
}

bool cm_referrer_find_name(cm_str_t text, cm_referrer_t *found)
{
    place_t place = {.len = 0};

    if (text.len == 0 || text.len > CM_REFERRER_KEY_MAX || memchr(text.data, '/', text.len) != NULL)
        return false;
    add_lower(&place, text);
    cm_str_t key = {place.text, place.len};
    return find_row(cm_referrer_names, cm_referrer_names_count, key, found) ||
           find_host(cm_url_without_www(key), found);
}

cm_str_t cm_referrer_medium_name(cm_referrer_medium_t medium)
{
    static const char *const names[] = {"", "ai", "search", "social", "email", "paid", "referral"};

    return cm_str(names[medium]);
}
