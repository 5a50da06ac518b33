/* Patterns: * matches any characters, ? matches one character of UTF-8, all others match
 * themselves.
 *
 * The time for matching is proportional to the length of the text for any pattern: all positions in
 * the pattern are followed at the same time, 64 of them in one step. A pattern is constant after it
 * is made and may be used by any thread. */
#ifndef CM_BASE_PATTERN_H
#define CM_BASE_PATTERN_H

#include "base/arena.h"
#include "base/str.h"

typedef struct cm_pattern cm_pattern_t;

/* Never NULL. */
cm_pattern_t *cm_pattern_new(const char *text);
void cm_pattern_free(cm_pattern_t *pattern);

/* The same in an arena, which frees it. */
const cm_pattern_t *cm_pattern_make(cm_str_t text, cm_arena_t *arena);

bool cm_pattern_matches(const cm_pattern_t *pattern, cm_str_t text);

/* Whether the text has no * and no ?, so that it matches only itself. */
bool cm_pattern_is_plain(const char *text);

#endif
