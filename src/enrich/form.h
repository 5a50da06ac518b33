/* Values of a URL's query, decoded as a form (application/x-www-form-urlencoded). Pure functions,
 * for any thread. */
#ifndef CM_ENRICH_FORM_H
#define CM_ENRICH_FORM_H

#include "base/arena.h"

/* The value, decoded once: '+' is a blank, and %XX and the escapes of an access log (\xHH, \",
 * \\) are the bytes that they mean; other '%' and '\' stay. Bytes that are not UTF-8 become
 * U+FFFD, one for each sequence that is cut off, as browsers decode forms. A slice of `text` if
 * nothing changes, else of `arena`. */
cm_str_t cm_form_decode(cm_str_t text, cm_arena_t *arena);

#endif
