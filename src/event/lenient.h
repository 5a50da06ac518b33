/* Numbers of more than 64 bits and exponents beyond a double: JSON allows them, the parser does
 * not. In a field that is not in the contract they must not cause an error. It changes only the
 * text that it is given. For any thread. */
#ifndef CM_EVENT_LENIENT_H
#define CM_EVENT_LENIENT_H

#include "event/map.h"

/* Overwrites such numbers with 0 and spaces in the values of unknown fields of the object `text`;
 * which they are says the map (NULL: none). Whatever is not valid JSON is left as it is. Returns
 * whether anything was overwritten. */
bool cm_lenient_mend(char *text, size_t len, const cm_event_map_t *map);

#endif
