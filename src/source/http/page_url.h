/* URLs of events, as a page may write them: with a host, or relative to the page. Pure functions
 * (RFC 3986, sections 3 and 4.2). */
#ifndef CM_SOURCE_HTTP_PAGE_URL_H
#define CM_SOURCE_HTTP_PAGE_URL_H

#include "base/arena.h"
#include "base/str.h"

/* What stands between "//" and the path, with its port; a part of `url`. Empty: it has none. Where
 * a reader could take another host out of it (a user name before an @, a backslash), all of that
 * belongs to the host, which then is nobody's. */
cm_str_t cm_page_url_host(cm_str_t url);

/* Whether it has neither a host nor a scheme: "/cart", "cart", "?page=2". */
bool cm_page_url_relative(cm_str_t url);

/* A URL without a host or without a scheme, made whole with the page's origin
 * ("https://shop.example"), in the arena; another one as it is. */
cm_str_t cm_page_url_complete(cm_str_t url, cm_str_t origin, cm_arena_t *arena);

#endif
