/* The parts of a URL (RFC 3986, section 3), as slices of it. Pure functions, for any thread. */
#ifndef CM_ENRICH_URL_PARTS_H
#define CM_ENRICH_URL_PARTS_H

#include "base/str.h"

/* The host as it is written, without user name and port, of "SCHEME://HOST..." and "//HOST...".
 * IPv6 keeps its brackets. Empty: it has none, as "/cart" and "about:blank". A backslash ends a
 * host as a slash does, because browsers read it so. cm_host_add() gives a host its one form. */
cm_str_t cm_url_host(cm_str_t url);

/* The path as it is written, up to '?' or '#'; "/" when it is empty. */
cm_str_t cm_url_path(cm_str_t url);

/* The query after the first '?', without the fragment. Empty: it has none. */
cm_str_t cm_url_query(cm_str_t url);

/* A host without "www." before it. */
cm_str_t cm_url_without_www(cm_str_t host);

#endif
