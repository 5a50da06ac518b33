/* A hash table from strings to positions, for names in a list that may be long.
 *
 * It owns copies of its keys. Used by one thread at a time. */
#ifndef CM_BASE_LOOKUP_H
#define CM_BASE_LOOKUP_H

#include "base/str.h"

typedef struct cm_lookup_slot {
    char *key; /* NULL: free */
    size_t len, at;
} cm_lookup_slot_t;

/* All zero is an empty table. */
typedef struct cm_lookup {
    cm_lookup_slot_t *slots;
    size_t cap, count; /* cap: a power of two, or 0 */
} cm_lookup_t;

/* Whether the table has the key; then `*at` is its position. */
bool cm_lookup_find(const cm_lookup_t *lookup, cm_str_t key, size_t *at);

/* Adds a key that the table does not have. */
void cm_lookup_add(cm_lookup_t *lookup, cm_str_t key, size_t at);

void cm_lookup_free(cm_lookup_t *lookup);

#endif
