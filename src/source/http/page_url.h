/* URLs of events, as a page may write them: with a host, or relative to the page. Pure functions,
 * for any thread (RFC 3986, sections 3 and 4.2). */
#ifndef CM_SOURCE_HTTP_PAGE_URL_H
#define CM_SOURCE_HTTP_PAGE_URL_H

#include "base/arena.h"
#include "base/str.h"

/* The host of a URL, with its port: what is between "//" and the path, as a part of `url`. Empty:
 * it has none. Where a parser could find another host in it (a user name before an @, a backslash),
 * all of that is returned as the host, so that it equals no site's host. */
cm_str_t cm_page_url_host(cm_str_t url);

/* Whether it has neither a host nor a scheme: "/cart", "cart", "?page=2". */
bool cm_page_url_relative(cm_str_t url);

/* A URL without a host or without a scheme, completed with the page's origin
 * ("https://shop.example"), in the arena; any other URL unchanged. */
cm_str_t cm_page_url_complete(cm_str_t url, cm_str_t origin, cm_arena_t *arena);

#endif
