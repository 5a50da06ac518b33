/* Texts of others on a terminal: what they may not do there, and how much room they take.
 *
 * Pure functions, no state. */
#ifndef CM_BASE_TERMINAL_H
#define CM_BASE_TERMINAL_H

#include "base/str.h"

/* Appends the text with U+FFFD for each character that steers a terminal instead of standing on it
 * (control characters, line breaks, changes of direction) and for each byte that is not UTF-8. */
void cm_terminal_add(cm_buf_t *buf, cm_str_t text);

/* Columns that a text takes: two for a character of an East Asian script or an emoji, none for one
 * that combines with its neighbour, else one (Unicode Standard Annex 11, by its blocks). */
size_t cm_terminal_columns(cm_str_t text);

#endif
