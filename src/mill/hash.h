/* Hashing numbers. Pure functions, for any thread. */
#ifndef CM_MILL_HASH_H
#define CM_MILL_HASH_H

#include <stdint.h>

/* The hash of what `hash` is of, followed by `part`; 0 is the hash of nothing. Different parts give
 * different results. The constant is 2^64 / golden ratio. */
static inline uint64_t cm_hash_add(uint64_t hash, uint64_t part)
{
    hash = (hash ^ part) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 32;
}

#endif
