/* Cleaning of URLs, so that one page is one row of the answers: in one spelling, without the
 * fragment, which is a place on the page, without the parameters that say which campaign a visitor
 * came from, and without session ids. Pure functions. */
#ifndef CM_ENRICH_URL_H
#define CM_ENRICH_URL_H

#include "base/arena.h"
#include "enrich/url_names.h"

/* The URL without its fragment (from the first '#'), and
 *   from its path on in the spelling of RFC 3986, 6.2.2: unreserved characters as they are; bytes
 *   outside of ASCII, '\\', and a '%' that begins no escape as %XX, in upper case; an escape of an
 *   access log (\\xHH, \\", \\\\) is the byte that it stands for;
 *   without a session in its path (;jsessionid=..., /(S(...))/);
 *   without its query (from the first '?') with `drop_query`; else without those parameters of it
 *   whose name cm_url_is_campaign() or cm_url_is_session() knows, the others staying in their
 * order,
 *   "&amp;" between them as "&", and without a '?' that has nothing left behind it.
 * A slice of `url`, or of `arena` where it had to be changed. A URL that would become empty, or
 * longer than an event's may be, keeps its spelling. */
cm_str_t cm_url_clean(cm_str_t url, bool drop_query, cm_arena_t *arena);

#endif
