#include "serve/proxies.h"

#include <stdlib.h>

typedef struct network {
    cm_address_t address;
    unsigned bits;
} network_t;

struct cm_proxies {
    network_t *all;
    size_t count;
};

static bool parse_network(cm_str_t text, network_t *network)
{
    const char *slash = memchr(text.data, '/', text.len);
    cm_str_t address = {text.data, slash != NULL ? (size_t)(slash - text.data) : text.len};
    int64_t bits;

    if (!cm_address_parse(address, &network->address))
        return false;
    const char *colon = memchr(address.data, ':', address.len);
    const bool v4 = cm_address_is_v4(&network->address) && colon == NULL;
    /* A network has no port. */
    if (colon != NULL &&
        memchr(colon + 1, ':', address.len - (size_t)(colon + 1 - address.data)) == NULL)
        return false;
    network->bits = 128;
    if (slash == NULL)
        return true;
    cm_str_t length = {slash + 1, text.len - address.len - 1};
    if (!cm_str_to_i64(length, &bits) || bits < 0 || bits > (v4 ? 32 : 128))
        return false;
    network->bits = (unsigned)bits + (v4 ? 96 : 0);
    return true;
}

int cm_proxies_new(const char *list, cm_proxies_t **out, cm_err_t *err)
{
    cm_proxies_t *proxies = cm_alloc_zero(1, sizeof *proxies);
    int rc = 0;

    cm_str_t rest = cm_str(list), entry;
    proxies->all = cm_alloc_zero(rest.len / 2 + 1, sizeof *proxies->all);
    while (rc == 0 && cm_str_next(&rest, &entry)) {
        if (entry.len > 0 && !parse_network(entry, &proxies->all[proxies->count++]))
            rc = cm_fail(err, CM_EUSAGE,
                         "collect.proxies: \"%.*s\" is neither an address (192.0.2.1, ::1) nor a "
                         "network (10.0.0.0/8)",
                         (int)(entry.len < 100 ? entry.len : 100), entry.data);
    }
    if (rc < 0)
        cm_proxies_free(proxies);
    else
        *out = proxies;
    return rc;
}

void cm_proxies_free(cm_proxies_t *proxies)
{
    if (proxies == NULL)
        return;
    free(proxies->all);
    free(proxies);
}

bool cm_proxies_any(const cm_proxies_t *proxies)
{
    return proxies->count > 0;
}

static bool in_network(const network_t *network, const cm_address_t *address)
{
    const unsigned whole = network->bits / 8, rest = network->bits % 8;

    if (memcmp(network->address.bytes, address->bytes, whole) != 0)
        return false;
    return rest == 0 || (network->address.bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}

static bool is_proxy(const cm_proxies_t *proxies, const cm_address_t *address)
{
    for (size_t i = 0; i < proxies->count; i++) {
        if (in_network(&proxies->all[i], address))
            return true;
    }
    return false;
}

/* The last element of the list before `*len`, which is moved before it. */
static cm_str_t last_element(const char *list, size_t *len)
{
    size_t begin = *len;

    while (begin > 0 && list[begin - 1] != ',')
        begin--;
    cm_str_t element = cm_str_trim((cm_str_t){list + begin, *len - begin});
    *len = begin > 0 ? begin - 1 : 0;
    return element;
}

bool cm_proxies_has(const cm_proxies_t *proxies, const struct sockaddr *peer)
{
    cm_address_t address;

    cm_address_of_socket(peer, &address);
    return is_proxy(proxies, &address);
}

bool cm_proxies_client(const cm_proxies_t *proxies, const struct sockaddr *peer,
                       const char *forwarded, char text[CM_ADDRESS_TEXT], bool *loopback)
{
    cm_address_t address, next;
    size_t len = forwarded != NULL ? strlen(forwarded) : 0;
    bool direct = true;

    cm_address_of_socket(peer, &address);
    if (len > 0 && is_proxy(proxies, &address))
        direct = false; /* whatever the list contains */
    while (len > 0 && is_proxy(proxies, &address)) {
        cm_str_t element = last_element(forwarded, &len);
        if (element.len == 0) /* a list may have empty elements (RFC 9110, section 5.6.1) */
            continue;
        if (!cm_address_parse(element, &next))
            break;
        address = next;
    }
    cm_address_write(&address, text);
    *loopback = cm_address_is_loopback(&address);
    return direct;
}
