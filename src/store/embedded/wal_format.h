/* Where things are in SQLite's write-ahead log (https://sqlite.org/fileformat2.html#walformat): a
 * header, then frames of a header and a page each. Numbers are big-endian. Constants, for any
 * thread. */
#ifndef CM_STORE_EMBEDDED_WAL_FORMAT_H
#define CM_STORE_EMBEDDED_WAL_FORMAT_H

#include <stdint.h>

enum {
    CM_WAL_HEADER = 32, /* bytes */
    /* In the header: */
    CM_WAL_PAGE_SIZE_AT = 8,
    CM_WAL_SALTS_AT = 16, /* two numbers, which the frames of this round repeat */
    CM_WAL_SALTS = 8,     /* bytes of them */
    CM_WAL_SUMS_AT = 24,  /* two numbers, over what is before them */
    /* A frame, and in it: */
    CM_WAL_FRAME_HEADER = 24,   /* bytes before the page */
    CM_WAL_FRAME_PAGE_AT = 0,   /* number of the page */
    CM_WAL_FRAME_COMMIT_AT = 4, /* pages of the database, in the last frame of a commit; else 0 */
    CM_WAL_FRAME_SALTS_AT = 8,
    CM_WAL_FRAME_SUMS_AT = 16, /* over all frames so far: the first 8 bytes of each, and its page */
};

static inline uint32_t cm_wal_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

#endif
