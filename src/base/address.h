/* Addresses of the Internet Protocol as people and programs write them.
 *
 * Logs and headers write one address in many ways: with a port, in brackets or quotes, with a zone,
 * IPv4 as IPv6, IPv6 with all its zeros. All of them are the same visitor: so an address is read
 * into its bytes, and written in one canonical form. Pure functions, for any thread. */
#ifndef CM_BASE_ADDRESS_H
#define CM_BASE_ADDRESS_H

#include "base/str.h"

#include <sys/socket.h>

enum { CM_ADDRESS_TEXT = 46 }; /* of the canonical form, the NUL included */

/* An IPv4 address is kept as IPv6 has it, ::ffff:192.0.2.1 (RFC 4291, section 2.5.5.2). */
typedef struct cm_address {
    uint8_t bytes[16];
} cm_address_t;

/* Reads one address. Around it may be white space, NULs, quotes and brackets, behind it a port
 * (8.8.8.8:80, [2001:db8::1]:80) and a zone (fe80::1%eth0), which are left aside. False for
 * everything else, host names for example; *address is then undefined. */
bool cm_address_parse(cm_str_t text, cm_address_t *address);

/* Of a list between commas, as X-Forwarded-For is one: the first public address, or where there is
 * none the first address. What is no address is passed over. False when there is no address. */
bool cm_address_of_list(cm_str_t list, cm_address_t *address);

/* The address of a socket of the Internet. */
void cm_address_of_socket(const struct sockaddr *socket, cm_address_t *address);

bool cm_address_is_v4(const cm_address_t *address);

/* False for addresses that are of no public network: private, local, multicast and reserved ones.
 * Those for documentation (192.0.2.0/24, 2001:db8::/32) count as public. */
bool cm_address_is_public(const cm_address_t *address);

/* True for the machine itself: 127.0.0.0/8 and ::1. */
bool cm_address_is_loopback(const cm_address_t *address);

/* The bytes that limits of an address are counted for: those of its own, but of IPv6 those of the
 * network (/64), of which a customer has one. They point into the address. */
cm_str_t cm_address_who(const cm_address_t *address);

/* Writes the canonical form (RFC 5952; IPv4 with dots) and a NUL; returns its length. */
size_t cm_address_write(const cm_address_t *address, char text[CM_ADDRESS_TEXT]);

#endif
