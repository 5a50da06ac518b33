/* Cleaning of URLs, so that one page is one row of the answers: one spelling, without the fragment,
 * which is a place on the page, without campaign parameters and without session ids. Pure
 * functions, for any thread. */
#ifndef CM_ENRICH_URL_H
#define CM_ENRICH_URL_H

#include "base/arena.h"
#include "enrich/url_names.h"

/* The URL, cleaned:
 *
 *   - without its fragment, everything from the first '#';
 *   - from its path on in the spelling of RFC 3986, 6.2.2: unreserved characters as they are; bytes
 *     outside ASCII, '\\', and a '%' that begins no escape as %XX, in upper case; an escape of an
 *     access log (\\xHH, \\", \\\\) becomes the byte that it means;
 *   - without a session id in its path (;jsessionid=..., /(S(...))/);
 *   - with `drop_query` without its query, everything from the first '?'. Otherwise without the
 *     parameters whose names are cm_url_is_campaign() or cm_url_is_session(). The others keep their
 *     order, "&amp;" between them becomes "&", and a '?' with nothing after it is removed.
 *
 * The result is a slice of `url`, or of `arena` if it was changed. A URL that would become empty,
 * or longer than the contract allows, keeps its spelling. */
cm_str_t cm_url_clean(cm_str_t url, bool drop_query, cm_arena_t *arena);

/* Reads one byte of a URL, which may be written as an escape of a URL (%XX) or of an access log
 * (\xHH, \", \\): sets `byte` to its meaning, returns how long it is written. */
size_t cm_url_read_byte(cm_str_t text, size_t at, uint8_t *byte);

#endif
