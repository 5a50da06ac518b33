/* The block: thousands of events as compressed columns.
 *
 * A block has up to four parts, each a blob with its own checksum: hot (user, time, url, country),
 * cold (city, browser, os, device), keys (row keys) and extra (the optional fields, see wide.h;
 * only where an event has one). Layout of a part, little-endian:
 *
 *     u64 XXH3-64 of all that follows
 *     u8  format (1), u8 streams
 *     per stream: u8 width, u32 raw bytes, u32 stored bytes, the bytes
 *
 * A stream is a column of unsigned numbers of `width` bytes, transposed into byte planes (all
 * lowest bytes, then all second bytes, ...) so that zstd compresses the high bytes, which hardly
 * vary, to almost nothing; width 0 is a column of zeros. Time is stored as the zigzag difference to
 * the event before, its first value absolute. Stored bytes equal to raw bytes mean "not
 * compressed".
 *
 * Encoding and decoding touch only the memory given; any thread. */
#ifndef CM_STORE_BLOCK_H
#define CM_STORE_BLOCK_H

#include "store/store.h"

/* Events that fill a block. 256 Ki: big enough that the dictionary columns compress well and a
 * block costs one SQLite row, small enough that its columns stay in a core's L2 cache by parts. */
enum { CM_BLOCK_EVENTS = 256 * 1024 };

/* A block is also full when its optional fields have this many bytes of strings for each of
 * CM_BLOCK_EVENTS (64 MiB): they are held in memory several times while a block is written, and a
 * blob of SQLite has at most a billion bytes. */
enum { CM_BLOCK_STRINGS = 256 };

/* How full a block is, in events: CM_BLOCK_EVENTS or more is full. */
static inline uint32_t cm_block_size(uint32_t count, uint64_t string_bytes)
{
    const uint64_t size = string_bytes / CM_BLOCK_STRINGS;
    return size > count ? (uint32_t)size : count;
}

/* Makes room for `count` events and keeps the contents of the first columns->count. */
void cm_columns_reserve(cm_columns_t *columns, uint32_t count);

/* Appends the block's part, of one event at least, to the empty buffer. `part` is one of
 * CM_READ_HOT, _COLD, _KEYS, or _EXTRA where an event has an optional field; without `compress`
 * streams are as long as their widths say, for data that is read again at once. */
void cm_block_encode(const cm_columns_t *columns, unsigned part, bool compress, cm_buf_t *out);

/* Decodes one part (also CM_READ_VIEWS, of the part `extra`) of a block of `count` events into the
 * columns, after its checksum. `strings` is how many ids each dictionary has; a higher id is
 * corruption. CM_ECORRUPT says what is wrong, the caller adds where. */
int cm_block_decode(cm_str_t blob, unsigned part, uint32_t count,
                    const uint32_t strings[CM_FIELD_COUNT], cm_columns_t *columns, cm_err_t *err);

/* A dictionary segment: the strings of ids [first, first + count), with the same checksum. */
void cm_segment_encode(const cm_str_t *strings, uint32_t count, cm_buf_t *out);

/* Calls `take` for each string of the segment, in order. */
int cm_segment_decode(cm_str_t blob, uint32_t count, void (*take)(void *context, cm_str_t string),
                      void *context, cm_err_t *err);

#endif
