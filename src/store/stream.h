/* Streams: the columns of a part of a block, and of a dictionary segment (see block.h for the
 * layout of a part).
 *
 * A writer appends to a buffer of the caller; a reader borrows the bytes of a part and owns the
 * scratch memory into which it decompresses, so that what it returns is valid until its next call.
 * Neither is used by two threads at a time. */
#ifndef CM_STORE_STREAM_H
#define CM_STORE_STREAM_H

#include "base/err.h"
#include "base/str.h"

/* How the streams of a part are written. */
typedef struct cm_stream_writer {
    cm_buf_t *out;
    bool compress;
    size_t most;      /* a compressed stream may have at most this many of 256 bytes of the raw
                       * one; otherwise it is stored as it is */
    uint64_t *wide;   /* one number for each event; for cm_stream_add_numbers() */
    uint8_t *scratch; /* 8 bytes for each event; for the same */
} cm_stream_writer_t;

/* Begins and ends a part in the empty buffer. */
void cm_stream_begin(cm_buf_t *out, uint8_t streams);
void cm_stream_finish(cm_buf_t *out);

/* Adds raw bytes as one stream. They are compressed if that saves enough. */
void cm_stream_add(const cm_stream_writer_t *writer, uint8_t width, const void *raw, size_t size);

/* Adds the first `count` numbers of writer->wide as a stream. */
void cm_stream_add_numbers(const cm_stream_writer_t *writer, uint32_t count);

/* Adds `count` ids as a stream. */
void cm_stream_add_ids(const cm_stream_writer_t *writer, const uint32_t *ids, uint32_t count);

/* Adds strings as two streams: lengths of `width` bytes (little-endian), and the bytes. */
void cm_stream_add_strings(const cm_stream_writer_t *writer, const cm_str_t *strings,
                           uint32_t count, uint8_t width);

/* The memory into which streams are decompressed; the caller reuses it and frees `bytes`. */
typedef struct cm_stream_scratch {
    uint8_t *bytes;
    size_t size;
} cm_stream_scratch_t;

/* The rest of a part. */
typedef struct cm_stream_reader {
    const uint8_t *at, *end;
    cm_stream_scratch_t *scratch;
    cm_err_t *err;
} cm_stream_reader_t;

typedef struct cm_stream {
    uint8_t width;
    const uint8_t *raw;
    size_t size;
} cm_stream_t;

/* Whether the bytes of a part match their checksum. */
bool cm_stream_is_whole(cm_str_t part);

/* CM_ECORRUPT with the sentence. */
int cm_stream_corrupt(cm_err_t *err, const char *what);

/* Checks the part and goes to its first stream; `scratch` and `err` are set by the caller.
 * CM_ECORRUPT when it does not have so many streams or is damaged. */
int cm_stream_open(cm_stream_reader_t *reader, cm_str_t part, uint8_t streams);

/* Takes the next stream, which may have at most `want` bytes. CM_ECORRUPT. */
int cm_stream_next(cm_stream_reader_t *reader, size_t want, cm_stream_t *out);

/* Goes past the next `count` streams without decompressing them. CM_ECORRUPT. */
int cm_stream_skip(cm_stream_reader_t *reader, unsigned count);

/* The same as cm_stream_next() for a column of `count` numbers of at most `max_width` bytes each.
 */
int cm_stream_next_numbers(cm_stream_reader_t *reader, uint32_t count, unsigned max_width,
                           cm_stream_t *out);

/* Takes strings as cm_stream_add_strings() has added them, of at most `longest` bytes each, and
 * calls `take` for each, in order; each is valid until it returns. CM_ECORRUPT. */
int cm_stream_next_strings(cm_stream_reader_t *reader, uint32_t count, uint8_t width,
                           size_t longest, void (*take)(void *context, cm_str_t string),
                           void *context);

/* The number at `i` of a column of `count`. */
static inline uint64_t cm_stream_number(const cm_stream_t *stream, uint32_t count, uint32_t i)
{
    uint64_t value = 0;
    for (uint8_t plane = 0; plane < stream->width; plane++)
        value |= (uint64_t)stream->raw[(size_t)plane * count + i] << (8 * plane);
    return value;
}

/* Joins the planes of a column of numbers with at most four bytes. */
void cm_stream_gather(const cm_stream_t *stream, uint32_t count, uint32_t *to);

#endif
