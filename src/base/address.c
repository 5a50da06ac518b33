#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool cm_address_is_v4(const cm_address_t *address)
{
    return memcmp(address->bytes, mapped, sizeof mapped) == 0;
}

void cm_address_of_socket(const struct sockaddr *socket, cm_address_t *address)
{
    if (socket->sa_family == AF_INET) {
        memcpy(address->bytes, mapped, sizeof mapped);
        memcpy(address->bytes + sizeof mapped,
               &((const struct sockaddr_in *)(const void *)socket)->sin_addr, 4);
    } else {
        memcpy(address->bytes, &((const struct sockaddr_in6 *)(const void *)socket)->sin6_addr, 16);
    }
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads four numbers with dots, the form of nearly all addresses. It accepts only what inet_pton()
 * accepts, and needs no copy of the text. */
static bool parse_v4(cm_str_t text, cm_address_t *address)
{
    uint8_t *bytes = address->bytes + sizeof mapped;
    const char *at = text.data, *end = at + text.len;

    memcpy(address->bytes, mapped, sizeof mapped);
    for (int i = 0; i < 4; i++) {
        const char *from = at;
        unsigned number = 0;
        for (; at < end && is_digit(*at); at++)
            number = number * 10 + (unsigned)(*at - '0');
        if (at == from || at > from + 3 || number > 255 || (*from == '0' && at > from + 1))
            return false;
        bytes[i] = (uint8_t)number;
        if (i < 3 && (at == end || *at++ != '.'))
            return false;
    }
    return at == end;
}

/* Reads an address with nothing around it. */
static bool parse_bare(cm_str_t text, cm_address_t *address)
{
    char copy[CM_ADDRESS_TEXT];

    if (parse_v4(text, address))
        return true;
    if (text.len < 2 || text.len >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (memchr(copy, ':', text.len) != NULL)
        return inet_pton(AF_INET6, copy, address->bytes) == 1;
    memcpy(address->bytes, mapped, sizeof mapped);
    return inet_pton(AF_INET, copy, address->bytes + sizeof mapped) == 1;
}

static bool is_around(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\0' || c == '"' || c == '\'';
}

/* The text without white space, NULs and quotes around it; a quote may be escaped. */
static cm_str_t strip(cm_str_t text)
{
    while (text.len > 0 && (is_around(text.data[0]) || text.data[0] == '\\')) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && (is_around(text.data[text.len - 1]) || text.data[text.len - 1] == '\\'))
        text.len--;
    return text;
}

/* Removes ":" and digits from the end; false when there are none. */
static bool cut_port(cm_str_t *text)
{
    size_t at = text->len;

    while (at > 0 && text->data[at - 1] >= '0' && text->data[at - 1] <= '9')
        at--;
    size_t digits = text->len - at;
    if (at < 2 || digits == 0 || digits > 5 || text->data[at - 1] != ':')
        return false;
    text->len = at - 1;
    return true;
}

static cm_str_t without_zone(cm_str_t text)
{
    const char *zone = text.len > 0 ? memchr(text.data, '%', text.len) : NULL;

    return zone != NULL ? (cm_str_t){text.data, (size_t)(zone - text.data)} : text;
}

/* "[address]" or "[address]:port". */
static bool parse_bracketed(cm_str_t text, cm_address_t *address)
{
    const char *end = memchr(text.data, ']', text.len);

    if (end == NULL)
        return false;
    cm_str_t inside = {text.data + 1, (size_t)(end - text.data) - 1};
    cm_str_t behind = {end + 1, text.len - inside.len - 2};
    if (behind.len == 1 && behind.data[0] == ':')
        behind.len = 0;
    if (behind.len > 0) {
        /* cut_port() needs a byte before the colon: the bracket. */
        cm_str_t rest = {end, behind.len + 1};
        if (!cut_port(&rest) || rest.len != 1)
            return false;
    }
    inside = strip(inside);
    return parse_bare(without_zone(inside), address) ||
           (cut_port(&inside) && parse_bare(without_zone(inside), address));
}

bool cm_address_parse(cm_str_t text, cm_address_t *address)
{
    text = strip(text);
    if (text.len == 0)
        return false;
    if (text.data[0] == '[')
        return parse_bracketed(text, address);
    cm_str_t bare = without_zone(text);
    if (parse_bare(bare, address))
        return true;
    /* Last, because the end of an IPv6 address looks like a port. */
    return cut_port(&text) && parse_bare(without_zone(text), address);
}

bool cm_address_of_list(cm_str_t list, cm_address_t *address)
{
    cm_address_t one;
    cm_str_t word;
    bool found = false;

    if (parse_v4(list, address))
        return true;
    list = strip(list);
    while (cm_str_next(&list, &word)) {
        if (!cm_address_parse(word, &one))
            continue;
        if (!found || cm_address_is_public(&one))
            *address = one;
        found = true;
        if (cm_address_is_public(&one))
            break;
    }
    return found;
}

static bool is_public_v4(uint32_t address)
{
    return address >> 24 != 0 && address >> 24 != 10 && address >> 24 != 127 &&
           address >> 22 != 0x6440 >> 6 /* 100.64/10 */ &&
           address >> 16 != 0xA9FE /* 169.254/16 */ && address >> 20 != 0xAC1 /* 172.16/12 */ &&
           address >> 16 != 0xC0A8 /* 192.168/16 */ &&
           address >> 28 < 0xE /* multicast and reserved */;
}

bool cm_address_is_public(const cm_address_t *address)
{
    struct in6_addr v6;
    uint32_t v4;

    if (cm_address_is_v4(address)) {
        memcpy(&v4, address->bytes + sizeof mapped, sizeof v4);
        return is_public_v4(ntohl(v4));
    }
    memcpy(&v6, address->bytes, sizeof v6);
    return !IN6_IS_ADDR_UNSPECIFIED(&v6) && !IN6_IS_ADDR_LOOPBACK(&v6) &&
           !IN6_IS_ADDR_LINKLOCAL(&v6) && !IN6_IS_ADDR_MULTICAST(&v6) &&
           (v6.s6_addr[0] & 0xFE) != 0xFC;
}

bool cm_address_is_loopback(const cm_address_t *address)
{
    static const uint8_t one[16] = {[15] = 1};

    return cm_address_is_v4(address) ? address->bytes[12] == 127
                                     : memcmp(address->bytes, one, sizeof one) == 0;
}

cm_str_t cm_address_limit_key(const cm_address_t *address)
{
    return (cm_str_t){(const char *)address->bytes,
                      cm_address_is_v4(address) ? sizeof address->bytes : 8};
}

size_t cm_address_write(const cm_address_t *address, char text[CM_ADDRESS_TEXT])
{
    if (cm_address_is_v4(address))
        inet_ntop(AF_INET, address->bytes + sizeof mapped, text, CM_ADDRESS_TEXT);
    else
        inet_ntop(AF_INET6, address->bytes, text, CM_ADDRESS_TEXT);
    return strlen(text);
}
