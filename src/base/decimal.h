/* Exact decimal numbers: at most 18 digits before and 9 after the point, and sums of 10^11 of them.
 * Plain values, for any thread. */
#ifndef CM_BASE_DECIMAL_H
#define CM_BASE_DECIMAL_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* A number times 10^9. */
typedef struct cm_decimal {
    __int128 scaled;
} cm_decimal_t;

/* Reads a number by JSON's grammar (RFC 8259, section 6), the exponent applied; the whole text.
 * False when it is none, or has more digits; zeros at its end and its begin do not count. */
bool cm_decimal_parse(cm_str_t text, cm_decimal_t *number);

/* Below 0, 0 or above 0. */
int cm_decimal_compare(cm_decimal_t a, cm_decimal_t b);

/* Appends it without zeros at its end: `12`, `-0.5`. */
void cm_decimal_add_text(cm_buf_t *text, cm_decimal_t number);

/* The double nearest to number / count; `count` is above 0. */
double cm_decimal_average(cm_decimal_t number, int64_t count);

#endif
