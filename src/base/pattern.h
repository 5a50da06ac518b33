/* Patterns of texts: * is any run of characters, ? any one character of UTF-8, and all else itself.
 *
 * Matching takes time that grows with the text, not with what a pattern makes of it: all places of
 * the pattern are followed at once, 64 of them in a step. A pattern is constant once it is made,
 * for any thread. */
#ifndef CM_BASE_PATTERN_H
#define CM_BASE_PATTERN_H

#include "base/str.h"

typedef struct cm_pattern cm_pattern_t;

/* Never NULL. */
cm_pattern_t *cm_pattern_new(const char *text);
void cm_pattern_free(cm_pattern_t *pattern);

bool cm_pattern_matches(const cm_pattern_t *pattern, cm_str_t text);

/* Whether the text is no more than itself. */
bool cm_pattern_is_plain(const char *text);

#endif
