#include "serve/proxies.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* An IPv4 address is kept as IPv6 has it, ::ffff:192.0.2.1 (RFC 4291, section 2.5.5.2). */
typedef struct network {
    struct in6_addr address;
    unsigned bits;
} network_t;

struct cm_proxies {
    network_t *all;
    size_t count;
};

static void map(const struct in_addr *from, struct in6_addr *to)
{
    memset(to, 0, sizeof *to);
    to->s6_addr[10] = to->s6_addr[11] = 0xff;
    memcpy(to->s6_addr + 12, from, 4);
}

static bool parse_address(cm_str_t text, struct in6_addr *address, bool *v4)
{
    char copy[CM_ADDRESS_TEXT];
    struct in_addr four;

    if (text.len == 0 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    *v4 = inet_pton(AF_INET, copy, &four) == 1;
    if (*v4)
        map(&four, address);
    return *v4 || inet_pton(AF_INET6, copy, address) == 1;
}

static bool parse_network(cm_str_t text, network_t *network)
{
    const char *slash = memchr(text.data, '/', text.len);
    cm_str_t address = {text.data, slash != NULL ? (size_t)(slash - text.data) : text.len};
    int64_t bits;
    bool v4;

    if (!parse_address(address, &network->address, &v4))
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

static bool in_network(const network_t *network, const struct in6_addr *address)
{
    const unsigned whole = network->bits / 8, rest = network->bits % 8;

    if (memcmp(&network->address, address, whole) != 0)
        return false;
    return rest == 0 ||
           (network->address.s6_addr[whole] ^ address->s6_addr[whole]) >> (8 - rest) == 0;
}

static bool is_proxy(const cm_proxies_t *proxies, const struct in6_addr *address)
{
    for (size_t i = 0; i < proxies->count; i++) {
        if (in_network(&proxies->all[i], address))
            return true;
    }
    return false;
}

/* The last word of the list that is not yet taken: some proxies add a port, "192.0.2.1:4711" or
 * "[2001:db8::1]:4711". */
static cm_str_t last_word(const char *list, size_t *len)
{
    size_t begin = *len;

    while (begin > 0 && list[begin - 1] != ',')
        begin--;
    cm_str_t word = cm_str_trim((cm_str_t){list + begin, *len - begin});
    *len = begin > 0 ? begin - 1 : 0;
    if (word.len > 0 && word.data[0] == '[') {
        const char *end = memchr(word.data, ']', word.len);
        return end != NULL ? (cm_str_t){word.data + 1, (size_t)(end - word.data) - 1} : word;
    }
    const char *colon = word.len > 0 ? memchr(word.data, ':', word.len) : NULL;
    if (colon != NULL && memchr(colon + 1, ':', word.len - (size_t)(colon + 1 - word.data)) == NULL)
        word.len = (size_t)(colon - word.data);
    return word;
}

static void address_of(const struct sockaddr *peer, struct in6_addr *address)
{
    if (peer->sa_family == AF_INET)
        map(&((const struct sockaddr_in *)(const void *)peer)->sin_addr, address);
    else
        *address = ((const struct sockaddr_in6 *)(const void *)peer)->sin6_addr;
}

bool cm_proxies_has(const cm_proxies_t *proxies, const struct sockaddr *peer)
{
    struct in6_addr address;

    address_of(peer, &address);
    return is_proxy(proxies, &address);
}

bool cm_proxies_client(const cm_proxies_t *proxies, const struct sockaddr *peer,
                       const char *forwarded, char text[CM_ADDRESS_TEXT], bool *loopback)
{
    struct in6_addr address, next;
    size_t len = forwarded != NULL ? strlen(forwarded) : 0;
    bool direct = true, v4;

    address_of(peer, &address);
    if (len > 0 && is_proxy(proxies, &address))
        direct = false; /* whatever the list says */
    while (len > 0 && is_proxy(proxies, &address)) {
        cm_str_t word = last_word(forwarded, &len);
        if (word.len == 0) /* a list may have empty elements (RFC 9110, section 5.6.1) */
            continue;
        if (!parse_address(word, &next, &v4))
            break;
        address = next;
    }
    if (IN6_IS_ADDR_V4MAPPED(&address)) {
        inet_ntop(AF_INET, address.s6_addr + 12, text, CM_ADDRESS_TEXT);
        *loopback = address.s6_addr[12] == 127;
    } else {
        inet_ntop(AF_INET6, &address, text, CM_ADDRESS_TEXT);
        *loopback = IN6_IS_ADDR_LOOPBACK(&address);
    }
    return direct;
}
