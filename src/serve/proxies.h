/* Whose word on a visitor's address is taken: the proxies in front of us. Constant once it is made,
 * for any thread. */
#ifndef CM_SERVE_PROXIES_H
#define CM_SERVE_PROXIES_H

#include "base/address.h"
#include "base/err.h"
#include "base/str.h"

#include <netinet/in.h>
#include <sys/socket.h>

typedef struct cm_proxies cm_proxies_t;

/* Addresses and networks between commas, "10.0.0.0/8, ::1"; NULL and "": none. CM_EUSAGE. */
int cm_proxies_new(const char *list, cm_proxies_t **proxies, cm_err_t *err);
void cm_proxies_free(cm_proxies_t *proxies);

bool cm_proxies_any(const cm_proxies_t *proxies);

/* Whether the other end of a connection is one of them. */
bool cm_proxies_has(const cm_proxies_t *proxies, const struct sockaddr *peer);

/* Writes the visitor's address, in its canonical form (base/address.h), and says whether it is
 * that of the connection itself. That is `peer`; but where it is a proxy, the last address of
 * `forwarded` (an X-Forwarded-For header, NULL for none) that is none. A word there that is no
 * address ends the search: what is before it is a stranger's. Loopback addresses are `*loopback`.
 */
bool cm_proxies_client(const cm_proxies_t *proxies, const struct sockaddr *peer,
                       const char *forwarded, char text[CM_ADDRESS_TEXT], bool *loopback);

#endif
