/* The sites whose pages may send: an allow-list of origins (RFC 6454). Constant once it is made,
 * for any thread. */
#ifndef CM_SERVE_SITES_H
#define CM_SERVE_SITES_H

#include "base/err.h"
#include "base/str.h"

typedef struct cm_sites cm_sites_t;

/* Entries between commas, blanks around them left aside. Upper case, a dot at a name's end, and
 * whether it is written with its own letters or as xn-- make no difference. "shop.example" (either
 * scheme, any port), "shop.example:8443" (either scheme),
 * "*.shop.example" (every name below it), "https://shop.example:8443" (just that origin), "*"
 * (all). NULL and "": none. CM_EUSAGE. */
int cm_sites_new(const char *list, cm_sites_t **sites, cm_err_t *err);
void cm_sites_free(cm_sites_t *sites);

/* Whether a page of that origin, "https://shop.example", may send. The origin "null", of pages that
 * have none, is in "*" alone. */
bool cm_sites_allow(const cm_sites_t *sites, cm_str_t origin);

/* Whether any site is listed, and whether one of them is "*". */
bool cm_sites_any(const cm_sites_t *sites);
bool cm_sites_all(const cm_sites_t *sites);

/* Whether a host ("shop.example:8443", its port left aside) is that of one of them. */
bool cm_sites_has_host(const cm_sites_t *sites, cm_str_t host);

/* The scheme and host of a URL, "https://shop.example:8443/cart" without "/cart"; empty when it is
 * not http or https. */
cm_str_t cm_sites_origin(cm_str_t url);

#endif
