/* Foreign text on a terminal: making it harmless, and its width. Pure functions, for any thread. */
#ifndef CM_BASE_TERMINAL_H
#define CM_BASE_TERMINAL_H

#include "base/str.h"

/* Appends the text with U+FFFD for each character that controls a terminal (control characters,
 * line breaks, changes of direction) and for each byte that is not UTF-8. */
void cm_terminal_add(cm_buf_t *buf, cm_str_t text);

/* The columns of a text: two for a character of an East Asian script or an emoji, none for one that
 * combines with its neighbour, otherwise one (Unicode Standard Annex 11, by blocks). */
size_t cm_terminal_columns(cm_str_t text);

/* Appends the text with spaces after it, or before it (`right`), up to `width` columns; a wider
 * text is appended as it is. */
void cm_terminal_add_padded(cm_buf_t *buf, cm_str_t text, size_t width, bool right);

#endif
