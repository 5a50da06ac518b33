/* The proxies in front of this server, whose X-Forwarded-For is trusted. Constant once it is made,
 * for any thread. */
#ifndef CM_SERVE_PROXIES_H
#define CM_SERVE_PROXIES_H

#include "base/address.h"
#include "base/err.h"
#include "base/str.h"

#include <netinet/in.h>
#include <sys/socket.h>

typedef struct cm_proxies cm_proxies_t;

/* Addresses and networks separated by commas, "10.0.0.0/8, ::1"; NULL and "": none. CM_EUSAGE. */
int cm_proxies_new(const char *list, cm_proxies_t **proxies, cm_err_t *err);
void cm_proxies_free(cm_proxies_t *proxies);

/* Whether there is at least one. */
bool cm_proxies_any(const cm_proxies_t *proxies);

/* Whether the peer of a connection is one of them. */
bool cm_proxies_has(const cm_proxies_t *proxies, const struct sockaddr *peer);

/* Writes the visitor's address, in its canonical form (base/address.h), and returns whether the
 * connection has come from it directly. The address is that of `peer`; but where `peer` is a proxy,
 * it is the last address of `forwarded` (an X-Forwarded-For header, NULL for none) that is not a
 * proxy. An element there that is not an address ends the search, because what precedes it cannot
 * be trusted. `*loopback`: whether it is a loopback address. */
bool cm_proxies_client(const cm_proxies_t *proxies, const struct sockaddr *peer,
                       const char *forwarded, char text[CM_ADDRESS_TEXT], bool *loopback);

#endif
