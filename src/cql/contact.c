#include "cql/contact.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

void cm_cql_address_host(const cm_cql_address_t *address, char *host)
{
    const void *bytes = &((const struct sockaddr_in *)&address->sock)->sin_addr;

    if (address->sock.ss_family == AF_INET6)
        bytes = &((const struct sockaddr_in6 *)&address->sock)->sin6_addr;
    if (inet_ntop(address->sock.ss_family, bytes, host, INET6_ADDRSTRLEN) == NULL)
        host[0] = '\0';
}

static int port_of(const cm_cql_address_t *address)
{
    if (address->sock.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&address->sock)->sin6_port);
    return ntohs(((const struct sockaddr_in *)&address->sock)->sin_port);
}

void cm_cql_address_name(const cm_cql_address_t *address, char *name)
{
    char host[INET6_ADDRSTRLEN];
    bool six = address->sock.ss_family == AF_INET6;

    cm_cql_address_host(address, host);
    snprintf(name, CM_CQL_NAME, "%s%s%s:%d", six ? "[" : "", host, six ? "]" : "",
             port_of(address));
}

bool cm_cql_address_equal(const cm_cql_address_t *a, const cm_cql_address_t *b)
{
    if (a->sock.ss_family != b->sock.ss_family || port_of(a) != port_of(b))
        return false;
    if (a->sock.ss_family == AF_INET)
        return ((const struct sockaddr_in *)&a->sock)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)&b->sock)->sin_addr.s_addr;
    return memcmp(&((const struct sockaddr_in6 *)&a->sock)->sin6_addr,
                  &((const struct sockaddr_in6 *)&b->sock)->sin6_addr, 16) == 0;
}

bool cm_cql_address_from(cm_str_t bytes, int port, cm_cql_address_t *address)
{
    memset(address, 0, sizeof *address);
    if (bytes.len == 4) {
        struct sockaddr_in *four = (struct sockaddr_in *)&address->sock;
        four->sin_family = AF_INET;
        four->sin_port = htons((uint16_t)port);
        memcpy(&four->sin_addr, bytes.data, 4);
        address->len = sizeof *four;
    } else if (bytes.len == 16) {
        struct sockaddr_in6 *six = (struct sockaddr_in6 *)&address->sock;
        six->sin6_family = AF_INET6;
        six->sin6_port = htons((uint16_t)port);
        memcpy(&six->sin6_addr, bytes.data, 16);
        address->len = sizeof *six;
    }
    return address->len > 0;
}

/* "host", "host:port", "[v6]:port", and an IPv6 address as it is. */
static int parse_one(cm_cql_contacts_t *contacts, cm_str_t text, int default_port, cm_err_t *err)
{
    cm_cql_contact_t *contact = &contacts->list[contacts->count];
    cm_str_t host = text, port = {NULL, 0};
    const char *colon = NULL;
    int64_t number = default_port;
    int colons = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != ':')
            continue;
        colon = text.data + i;
        colons++;
    }
    if (text.data[0] == '[') {
        const char *close = memchr(text.data, ']', text.len);
        if (close == NULL)
            return cm_fail(err, CM_EUSAGE, "cql: contact point %.*s has no ]", (int)text.len,
                           text.data);
        host = (cm_str_t){text.data + 1, (size_t)(close - text.data) - 1};
        colon = close + 1 < text.data + text.len ? close + 1 : NULL;
    } else if (colons > 1) {
        colon = NULL; /* an IPv6 address */
    } else if (colon != NULL) {
        host.len = (size_t)(colon - text.data);
    }
    if (colon != NULL)
        port = (cm_str_t){colon + 1, (size_t)(text.data + text.len - colon) - 1};
    if (host.len == 0 || (colon != NULL && (*colon != ':' || !cm_str_to_i64(port, &number) ||
                                            number < 1 || number > 65535)))
        return cm_fail(err, CM_EUSAGE, "cql: contact point %.*s is not HOST or HOST:PORT",
                       (int)text.len, text.data);
    contact->name = cm_cql_copy(host);
    if (contact->name == NULL)
        return cm_cql_fail_memory(err);
    contact->port = (int)number;
    contacts->count++;
    return 0;
}

int cm_cql_contacts_parse(cm_cql_contacts_t *contacts, const char *text, int port, cm_err_t *err)
{
    cm_str_t rest = cm_str(text);

    contacts->list = calloc(rest.len + 1, sizeof *contacts->list); /* more than enough */
    if (contacts->list == NULL)
        return cm_cql_fail_memory(err);
    while (rest.len > 0) {
        const char *comma = memchr(rest.data, ',', rest.len);
        size_t len = comma ? (size_t)(comma - rest.data) : rest.len;
        cm_str_t one = cm_str_trim((cm_str_t){rest.data, len});
        int rc = one.len > 0 ? parse_one(contacts, one, port, err) : 0;
        if (rc < 0)
            return rc;
        len += comma != NULL;
        rest.data += len;
        rest.len -= len;
    }
    if (contacts->count == 0)
        return cm_fail(err, CM_EUSAGE, "cql: no contact point is named; name one as HOST:PORT");
    return 0;
}

static int resolve_one(cm_cql_contact_t *contact, cm_err_t *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char port[16];
    int count = 0;

    snprintf(port, sizeof port, "%d", contact->port);
    int rc = getaddrinfo(contact->name, port, &hints, &found);
    if (rc == EAI_MEMORY)
        return cm_cql_fail_memory(err);
    if (rc != 0)
        return cm_fail(err, CM_EUSAGE, "cql: contact point %s cannot be resolved: %s",
                       contact->name, gai_strerror(rc));
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next)
        count++;
    cm_cql_address_t *addresses = calloc((size_t)count + 1, sizeof *addresses);
    if (addresses == NULL) {
        freeaddrinfo(found);
        return cm_cql_fail_memory(err);
    }
    free(contact->addresses);
    contact->addresses = addresses;
    contact->count = 0;
    for (const struct addrinfo *at = found; at != NULL; at = at->ai_next) {
        if (at->ai_family != AF_INET && at->ai_family != AF_INET6)
            continue;
        cm_cql_address_t *address = &contact->addresses[contact->count++];
        memcpy(&address->sock, at->ai_addr, at->ai_addrlen);
        address->len = at->ai_addrlen;
    }
    freeaddrinfo(found);
    return 0;
}

int cm_cql_contacts_resolve(cm_cql_contacts_t *contacts, cm_err_t *err)
{
    int rc = 0, known = 0;

    for (int i = 0; i < contacts->count; i++) {
        int failed = resolve_one(&contacts->list[i], err);
        if (failed < 0)
            rc = failed;
        known += contacts->list[i].count;
    }
    return known > 0 ? 0 : rc;
}

void cm_cql_contacts_free(cm_cql_contacts_t *contacts)
{
    for (int i = 0; i < contacts->count; i++) {
        free(contacts->list[i].name);
        free(contacts->list[i].addresses);
    }
    free(contacts->list);
}
