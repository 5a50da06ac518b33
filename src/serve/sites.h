/* The sites whose pages may send events: a list of allowed origins (RFC 6454). Constant once it is
 * made, for any thread. */
#ifndef CM_SERVE_SITES_H
#define CM_SERVE_SITES_H

#include "base/err.h"
#include "base/str.h"

typedef struct cm_sites cm_sites_t;

/* Entries separated by commas; blanks around them are ignored. "shop.example" (both schemes, any
 * port), "shop.example:8443" (both schemes), "*.shop.example" (every name below it),
 * "https://shop.example:8443" (only this origin), "*" (all). Letter case, a dot at the end of a
 * name, and Unicode or xn-- make no difference. NULL and "": none. CM_EUSAGE. */
int cm_sites_new(const char *list, cm_sites_t **sites, cm_err_t *err);
void cm_sites_free(cm_sites_t *sites);

/* Whether a page of that origin, "https://shop.example", may send. The origin "null", of pages that
 * have none, is allowed only by "*". */
bool cm_sites_allow(const cm_sites_t *sites, cm_str_t origin);

/* Whether at least one site is listed, and whether one of them is "*". */
bool cm_sites_any(const cm_sites_t *sites);
bool cm_sites_all(const cm_sites_t *sites);

/* Whether a host ("shop.example:8443"; the port is ignored) is the host of a site. */
bool cm_sites_has_host(const cm_sites_t *sites, cm_str_t host);

/* The scheme and host of a URL, "https://shop.example:8443/cart" without "/cart"; empty when it is
 * not http or https. */
cm_str_t cm_sites_origin(cm_str_t url);

#endif
