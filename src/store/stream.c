#include "store/stream.h"

#include <stdlib.h>
#include <xxhash.h>
#include <zstd.h>

enum {
    FORMAT = 1,
    HEAD_SIZE = 10,  /* checksum, format, streams */
    STREAM_SIZE = 9, /* width, raw, stored */
    ZSTD_LEVEL = 1,
    /* Streams with fewer bytes than this are not compressed. A group commit of a few events is soon
     * merged with others, and to start the compressor costs more than the rest of such a commit. */
    SMALL = 1024,
};

/* ---- writing ---- */

static void add_u32(cm_buf_t *out, uint32_t value)
{
    uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                        (uint8_t)(value >> 24)};
    cm_buf_add(out, bytes, sizeof bytes);
}

void cm_stream_begin(cm_buf_t *out, uint8_t streams)
{
    uint8_t head[HEAD_SIZE] = {[8] = FORMAT, [9] = streams};
    cm_buf_add(out, head, sizeof head);
}

void cm_stream_finish(cm_buf_t *out)
{
    uint64_t sum = XXH3_64bits(out->data + 8, out->len - 8);
    for (int i = 0; i < 8; i++)
        out->data[i] = (char)(sum >> (8 * i));
}

void cm_stream_add(const cm_stream_writer_t *writer, uint8_t width, const void *raw, size_t size)
{
    cm_buf_t *out = writer->out;
    size_t bound = ZSTD_compressBound(size), stored = size;

    cm_buf_add(out, &width, 1);
    add_u32(out, (uint32_t)size);
    size_t stored_at = out->len;
    add_u32(out, 0);
    cm_buf_reserve(out, bound);
    if (writer->compress && size >= SMALL)
        stored = ZSTD_compress(out->data + out->len, bound, raw, size, ZSTD_LEVEL);
    if (ZSTD_isError(stored) || stored > size * writer->most / 256) {
        if (size > 0)
            memcpy(out->data + out->len, raw, size);
        stored = size;
    }
    out->len += stored;
    for (int i = 0; i < 4; i++)
        out->data[stored_at + (size_t)i] = (char)(stored >> (8 * i));
}

static uint8_t width_of(uint64_t max)
{
    uint8_t width = 0;
    for (; max != 0; max >>= 8)
        width++;
    return width;
}

void cm_stream_add_numbers(const cm_stream_writer_t *writer, uint32_t count)
{
    const uint64_t *values = writer->wide;
    uint64_t all = 0;

    for (uint32_t i = 0; i < count; i++)
        all |= values[i];
    uint8_t width = width_of(all);
    for (uint8_t plane = 0; plane < width; plane++) {
        uint8_t *to = writer->scratch + (size_t)plane * count;
        for (uint32_t i = 0; i < count; i++)
            to[i] = (uint8_t)(values[i] >> (8 * plane));
    }
    cm_stream_add(writer, width, writer->scratch, (size_t)width * count);
}

void cm_stream_add_ids(const cm_stream_writer_t *writer, const uint32_t *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        writer->wide[i] = ids[i];
    cm_stream_add_numbers(writer, count);
}

void cm_stream_add_strings(const cm_stream_writer_t *writer, const cm_str_t *strings,
                           uint32_t count, uint8_t width)
{
    cm_buf_t lengths = CM_BUF_INIT, bytes = CM_BUF_INIT;

    for (uint32_t i = 0; i < count; i++) {
        for (uint8_t byte = 0; byte < width; byte++)
            cm_buf_add_char(&lengths, (char)(strings[i].len >> (8 * byte)));
        cm_buf_add_str(&bytes, strings[i]);
    }
    cm_stream_add(writer, width, lengths.data, lengths.len);
    cm_stream_add(writer, 1, bytes.data, bytes.len);
    cm_buf_free(&lengths);
    cm_buf_free(&bytes);
}

/* ---- reading ---- */

static uint32_t get_u32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

int cm_stream_corrupt(cm_err_t *err, const char *what)
{
    return cm_fail(err, CM_ECORRUPT, "%s", what);
}

bool cm_stream_is_whole(cm_str_t blob)
{
    const uint8_t *bytes = (const uint8_t *)blob.data;
    uint64_t sum = 0;

    if (blob.len < HEAD_SIZE)
        return false;
    for (int i = 0; i < 8; i++)
        sum |= (uint64_t)bytes[i] << (8 * i);
    return sum == XXH3_64bits(bytes + 8, blob.len - 8);
}

int cm_stream_open(cm_stream_reader_t *reader, cm_str_t blob, uint8_t streams)
{
    const uint8_t *bytes = (const uint8_t *)blob.data;

    if (blob.len < HEAD_SIZE)
        return cm_stream_corrupt(reader->err, "it is too short");
    if (!cm_stream_is_whole(blob))
        return cm_stream_corrupt(reader->err, "its checksum does not match its bytes");
    if (bytes[8] != FORMAT || bytes[9] != streams)
        return cm_stream_corrupt(reader->err, "its format is not known");
    reader->at = bytes + HEAD_SIZE;
    reader->end = bytes + blob.len;
    return 0;
}

/* Reads the head of the next stream; `stored` is how many bytes follow. There are never more of
 * them than raw bytes, so an empty column has none. */
static int next_head(cm_stream_reader_t *reader, cm_stream_t *out, size_t *stored)
{
    if (reader->end - reader->at < STREAM_SIZE)
        return cm_stream_corrupt(reader->err, "a column is missing");
    out->width = reader->at[0];
    out->size = get_u32(reader->at + 1);
    *stored = get_u32(reader->at + 5);
    reader->at += STREAM_SIZE;
    if (*stored > (size_t)(reader->end - reader->at) || *stored > out->size)
        return cm_stream_corrupt(reader->err, "a column is longer than its block");
    return 0;
}

int cm_stream_skip(cm_stream_reader_t *reader, unsigned count)
{
    cm_stream_t stream;
    size_t stored = 0;

    for (unsigned i = 0; i < count; i++) {
        int rc = next_head(reader, &stream, &stored);
        if (rc < 0)
            return rc;
        reader->at += stored;
    }
    return 0;
}

int cm_stream_next(cm_stream_reader_t *reader, size_t want, cm_stream_t *out)
{
    cm_stream_scratch_t *scratch = reader->scratch;
    size_t stored = 0;

    int rc = next_head(reader, out, &stored);
    if (rc < 0)
        return rc;
    if (out->size > want)
        return cm_stream_corrupt(reader->err, "a column is longer than its block");
    const uint8_t *bytes = reader->at;
    reader->at += stored;
    if (stored == out->size) {
        out->raw = bytes;
        return 0;
    }
    if (scratch->size < out->size) {
        scratch->size = out->size;
        scratch->bytes = cm_realloc(scratch->bytes, out->size);
    }
    size_t got = ZSTD_decompress(scratch->bytes, out->size, bytes, stored);
    if (ZSTD_isError(got) || got != out->size)
        return cm_stream_corrupt(reader->err, "a column does not decompress");
    out->raw = scratch->bytes;
    return 0;
}

int cm_stream_next_numbers(cm_stream_reader_t *reader, uint32_t count, unsigned max_width,
                           cm_stream_t *out)
{
    int rc = cm_stream_next(reader, (size_t)max_width * count, out);
    if (rc < 0)
        return rc;
    if (out->width > max_width || out->size != (size_t)out->width * count)
        return cm_stream_corrupt(reader->err, "a column has a wrong width");
    return 0;
}

static size_t length_at(const uint8_t *lengths, uint32_t i, uint8_t width)
{
    size_t length = 0;
    for (uint8_t byte = 0; byte < width; byte++)
        length |= (size_t)lengths[(size_t)i * width + byte] << (8 * byte);
    return length;
}

/* The sum of the lengths; CM_ECORRUPT when one is too long. */
static int sum_lengths(cm_stream_reader_t *reader, const uint8_t *lengths, uint32_t count,
                       uint8_t width, size_t longest, size_t *total)
{
    *total = 0;
    for (uint32_t i = 0; i < count; i++) {
        const size_t length = length_at(lengths, i, width);
        if (length > longest)
            return cm_stream_corrupt(reader->err, "a string is too long");
        *total += length;
    }
    return 0;
}

int cm_stream_next_strings(cm_stream_reader_t *reader, uint32_t count, uint8_t width,
                           size_t longest, void (*take)(void *context, cm_str_t string),
                           void *context)
{
    cm_stream_t stream = {0};
    size_t total, at = 0;

    int rc = cm_stream_next(reader, (size_t)count * width, &stream);
    if (rc < 0)
        return rc;
    if (stream.size != (size_t)count * width)
        return cm_stream_corrupt(reader->err, "strings are missing");
    uint8_t *lengths = cm_alloc(stream.size + 1);
    memcpy(lengths, stream.raw, stream.size);
    rc = sum_lengths(reader, lengths, count, width, longest, &total);
    if (rc == 0)
        rc = cm_stream_next(reader, total, &stream);
    if (rc == 0 && stream.size != total)
        rc = cm_stream_corrupt(reader->err, "strings are missing");
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        const size_t length = length_at(lengths, i, width);
        take(context, (cm_str_t){(const char *)stream.raw + at, length});
        at += length;
    }
    free(lengths);
    return rc;
}

/* Joins the planes of a column. One loop handles all planes of a number: its body has no branches
 * and the compiler vectorises it. A loop over the planes costs three times as much. */
void cm_stream_gather(const cm_stream_t *stream, uint32_t count, uint32_t *to)
{
    const uint8_t *a = stream->raw, *b = a + count, *c = b + count, *d = c + count;

    switch (stream->width) {
    case 0:
        memset(to, 0, count * sizeof *to);
        break;
    case 1:
        for (uint32_t i = 0; i < count; i++)
            to[i] = a[i];
        break;
    case 2:
        for (uint32_t i = 0; i < count; i++)
            to[i] = a[i] | (uint32_t)b[i] << 8;
        break;
    case 3:
        for (uint32_t i = 0; i < count; i++)
            to[i] = a[i] | (uint32_t)b[i] << 8 | (uint32_t)c[i] << 16;
        break;
    default:
        for (uint32_t i = 0; i < count; i++)
            to[i] = a[i] | (uint32_t)b[i] << 8 | (uint32_t)c[i] << 16 | (uint32_t)d[i] << 24;
    }
}
