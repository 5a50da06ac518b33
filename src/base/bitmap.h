/* A bitmap: one bit per place, the least significant bit of a byte first.
 *
 * The bytes belong to the caller: cm_bitmap_bytes() of them, all zero for an empty bitmap. Places
 * are not checked. Not for several threads, except cm_bitmap_set_atomic(). */
#ifndef CM_BASE_BITMAP_H
#define CM_BASE_BITMAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes for places 0 to `places`, at least one byte, so that an allocation is never empty. */
static inline size_t cm_bitmap_bytes(size_t places)
{
    return places / 8 + 1;
}

static inline bool cm_bitmap_get(const uint8_t *bits, size_t place)
{
    return (bits[place / 8] >> place % 8 & 1) != 0;
}

static inline void cm_bitmap_set(uint8_t *bits, size_t place)
{
    bits[place / 8] |= (uint8_t)(1u << place % 8);
}

/* The same while other threads set bits of the same bitmap. */
static inline void cm_bitmap_set_atomic(atomic_uchar *bits, size_t place)
{
    atomic_fetch_or(&bits[place / 8], (unsigned char)(1u << place % 8));
}

#endif
