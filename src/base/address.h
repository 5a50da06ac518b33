/* IP addresses in the forms that occur in logs and headers.
 *
 * One address is written in many ways: with a port, in brackets or quotes, with a zone, IPv4 as
 * IPv6, IPv6 with all zeros. All of them mean the same visitor. So an address is read into its
 * bytes, and written in one canonical form. Pure functions, for any thread. */
#ifndef CM_BASE_ADDRESS_H
#define CM_BASE_ADDRESS_H

#include "base/str.h"

#include <sys/socket.h>

enum { CM_ADDRESS_TEXT = 46 }; /* bytes of the canonical form, including the NUL */

/* An IPv4 address is stored as IPv6, ::ffff:192.0.2.1 (RFC 4291, section 2.5.5.2). */
typedef struct cm_address {
    uint8_t bytes[16];
} cm_address_t;

/* Reads one address. White space, NULs, quotes and brackets around it, a port after it (8.8.8.8:80,
 * [2001:db8::1]:80) and a zone (fe80::1%eth0) are ignored. False for everything else, host names
 * for example; then *address is undefined. */
bool cm_address_parse(cm_str_t text, cm_address_t *address);

/* Reads a list with commas, such as X-Forwarded-For: gives the first public address, or the first
 * address if none is public. Elements that are not addresses are skipped. False when there is no
 * address. */
bool cm_address_of_list(cm_str_t list, cm_address_t *address);

/* The address in an IPv4 or IPv6 socket address. */
void cm_address_of_socket(const struct sockaddr *socket, cm_address_t *address);

bool cm_address_is_v4(const cm_address_t *address);

/* False for private, local, multicast and reserved addresses. Addresses for documentation
 * (192.0.2.0/24, 2001:db8::/32) count as public. */
bool cm_address_is_public(const cm_address_t *address);

/* True for addresses of the machine itself: 127.0.0.0/8 and ::1. */
bool cm_address_is_loopback(const cm_address_t *address);

/* The bytes by which limits per client are counted: the IPv4 address, or the network (/64) of an
 * IPv6 address, because one customer has one such network. They point into the address. */
cm_str_t cm_address_limit_key(const cm_address_t *address);

/* Writes the canonical form (RFC 5952; IPv4 with dots) and a NUL; returns its length. */
size_t cm_address_write(const cm_address_t *address, char text[CM_ADDRESS_TEXT]);

#endif
