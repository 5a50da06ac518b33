/* Numbers of more than 64 bits, and powers beyond a double: JSON allows them, the parser does not.
 * In a field that the contract does not know they are none of our business. */
#ifndef CM_EVENT_LENIENT_H
#define CM_EVENT_LENIENT_H

#include <stdbool.h>
#include <stddef.h>

/* Overwrites such numbers with 0, and blanks behind it, in the values of unknown fields of the
 * object that `text` is. What breaks the rules of JSON is left as it is. Returns whether anything
 * was overwritten. */
bool cm_lenient_mend(char *text, size_t len);

#endif
