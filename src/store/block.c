#include "store/block.h"

#include "base/clock.h"

#include <assert.h>
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
    /* A compressed stream may have at most this many of 256 bytes; otherwise it is stored as it is.
     * Every `process` reads all hot streams. To decompress the ids and times of random users took a
     * third of the reading time and saved a third of the bytes, so a hot stream must shrink to
     * half. */
    HOT_MOST = 128,
    COLD_MOST = 255,
};

/* ---- writing ---- */

static void add_u32(cm_buf_t *out, uint32_t value)
{
    uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                        (uint8_t)(value >> 24)};
    cm_buf_add(out, bytes, sizeof bytes);
}

/* How the streams of a part are written. */
typedef struct part_writer {
    cm_buf_t *out;
    bool compress;
    size_t most;      /* HOT_MOST, COLD_MOST */
    uint64_t *wide;   /* one number for each event */
    uint8_t *scratch; /* 8 bytes for each event */
} part_writer_t;

static void begin_part(cm_buf_t *out, uint8_t streams)
{
    uint8_t head[HEAD_SIZE] = {[8] = FORMAT, [9] = streams};
    cm_buf_add(out, head, sizeof head);
}

static void finish_part(cm_buf_t *out)
{
    uint64_t sum = XXH3_64bits(out->data + 8, out->len - 8);
    for (int i = 0; i < 8; i++)
        out->data[i] = (char)(sum >> (8 * i));
}

/* Adds raw bytes as one stream. They are compressed if that saves enough. */
static void add_stream(const part_writer_t *writer, uint8_t width, const uint8_t *raw, size_t size)
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

/* Adds the first `count` numbers of writer->wide as a stream. */
static void add_numbers(const part_writer_t *writer, uint32_t count)
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
    add_stream(writer, width, writer->scratch, (size_t)width * count);
}

static void add_ids(const part_writer_t *writer, const uint32_t *ids, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        writer->wide[i] = ids[i];
    add_numbers(writer, count);
}

static uint64_t zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static void add_times(const part_writer_t *writer, const int64_t *times, uint32_t count)
{
    /* The first difference would be the whole time, and would make all others as wide. So the first
     * time is stored separately. */
    writer->wide[0] = zigzag(times[0]);
    add_numbers(writer, 1);
    for (uint32_t i = 1; i < count; i++)
        writer->wide[i - 1] = zigzag(times[i] - times[i - 1]);
    add_numbers(writer, count - 1);
}

static void add_keys(const part_writer_t *writer, const cm_columns_t *columns)
{
    cm_buf_t uuids = CM_BUF_INIT, lengths = CM_BUF_INIT, strings = CM_BUF_INIT;

    for (uint32_t i = 0; i < columns->count; i++) {
        const cm_key_t *key = &columns->keys[i];
        writer->wide[i] = key->kind;
        if (key->kind == CM_KEY_UUID) {
            cm_buf_add(&uuids, key->uuid, sizeof key->uuid);
        } else if (key->kind == CM_KEY_TEXT) {
            cm_buf_add_char(&lengths, (char)key->text.len);
            cm_buf_add_str(&strings, key->text);
        }
    }
    add_numbers(writer, columns->count);
    add_stream(writer, 1, (const uint8_t *)uuids.data, uuids.len);
    add_stream(writer, 1, (const uint8_t *)lengths.data, lengths.len);
    add_stream(writer, 1, (const uint8_t *)strings.data, strings.len);
    cm_buf_free(&uuids);
    cm_buf_free(&lengths);
    cm_buf_free(&strings);
}

void cm_block_encode(const cm_columns_t *columns, unsigned part, bool compress, cm_buf_t *out)
{
    uint32_t count = columns->count;
    assert(count > 0 && count <= CM_BLOCK_EVENTS && out->len == 0);
    assert(part == CM_READ_HOT || part == CM_READ_COLD || part == CM_READ_KEYS);
    const part_writer_t writer = {.out = out,
                                  .compress = compress,
                                  .most = part == CM_READ_HOT ? HOT_MOST : COLD_MOST,
                                  .wide = cm_alloc((size_t)count * sizeof *writer.wide),
                                  .scratch = cm_alloc((size_t)count * sizeof *writer.wide)};

    if (part == CM_READ_HOT) {
        begin_part(out, 5);
        add_ids(&writer, columns->ids[CM_USER], count);
        add_times(&writer, columns->time, count);
        add_ids(&writer, columns->ids[CM_URL], count);
        add_ids(&writer, columns->ids[CM_COUNTRY], count);
    } else if (part == CM_READ_COLD) {
        begin_part(out, CM_FIELD_COUNT - CM_CITY);
        for (int field = CM_CITY; field < CM_FIELD_COUNT; field++)
            add_ids(&writer, columns->ids[field], count);
    } else {
        begin_part(out, 4);
        add_keys(&writer, columns);
    }
    finish_part(out);
    free(writer.wide);
    free(writer.scratch);
}

/* ---- reading ---- */

/* The rest of a part, and the scratch memory into which streams are decompressed. */
typedef struct part_reader {
    const uint8_t *at, *end;
    cm_columns_t *columns;
    cm_err_t *err;
} part_reader_t;

typedef struct stream {
    uint8_t width;
    const uint8_t *raw;
    size_t size;
} stream_t;

static uint32_t get_u32(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static int corrupt(cm_err_t *err, const char *what)
{
    return cm_fail(err, CM_ECORRUPT, "%s", what);
}

bool cm_block_is_whole(cm_str_t blob)
{
    const uint8_t *bytes = (const uint8_t *)blob.data;
    uint64_t sum = 0;

    if (blob.len < HEAD_SIZE)
        return false;
    for (int i = 0; i < 8; i++)
        sum |= (uint64_t)bytes[i] << (8 * i);
    return sum == XXH3_64bits(bytes + 8, blob.len - 8);
}

static int open_part(part_reader_t *reader, cm_str_t blob, uint8_t streams)
{
    const uint8_t *bytes = (const uint8_t *)blob.data;

    if (blob.len < HEAD_SIZE)
        return corrupt(reader->err, "it is too short");
    if (!cm_block_is_whole(blob))
        return corrupt(reader->err, "its checksum does not match its bytes");
    if (bytes[8] != FORMAT || bytes[9] != streams)
        return corrupt(reader->err, "its format is not known");
    reader->at = bytes + HEAD_SIZE;
    reader->end = bytes + blob.len;
    return 0;
}

/* Takes the next stream, which may have at most `want` bytes, and decompresses it into the scratch
 * memory. */
static int next_stream(part_reader_t *reader, size_t want, stream_t *out)
{
    cm_columns_t *columns = reader->columns;

    if (reader->end - reader->at < STREAM_SIZE)
        return corrupt(reader->err, "a column is missing");
    out->width = reader->at[0];
    out->size = get_u32(reader->at + 1);
    size_t stored = get_u32(reader->at + 5);
    reader->at += STREAM_SIZE;
    /* There are never more stored bytes than raw bytes, so an empty column has no stored bytes. */
    if (stored > (size_t)(reader->end - reader->at) || out->size > want || stored > out->size)
        return corrupt(reader->err, "a column is longer than its block");
    const uint8_t *bytes = reader->at;
    reader->at += stored;
    if (stored == out->size) {
        out->raw = bytes;
        return 0;
    }
    if (columns->scratch_size < out->size) {
        columns->scratch_size = out->size;
        columns->scratch = cm_realloc(columns->scratch, out->size);
    }
    size_t got = ZSTD_decompress(columns->scratch, out->size, bytes, stored);
    if (ZSTD_isError(got) || got != out->size)
        return corrupt(reader->err, "a column does not decompress");
    out->raw = columns->scratch;
    return 0;
}

static int next_numbers(part_reader_t *reader, uint32_t count, unsigned max_width, stream_t *out)
{
    int rc = next_stream(reader, (size_t)max_width * count, out);
    if (rc < 0)
        return rc;
    if (out->width > max_width || out->size != (size_t)out->width * count)
        return corrupt(reader->err, "a column has a wrong width");
    return 0;
}

static inline uint64_t number_at(const stream_t *stream, uint32_t count, uint32_t i)
{
    uint64_t value = 0;
    for (uint8_t plane = 0; plane < stream->width; plane++)
        value |= (uint64_t)stream->raw[(size_t)plane * count + i] << (8 * plane);
    return value;
}

/* Joins the planes of a column. One loop handles all planes of a number: its body has no branches
 * and the compiler vectorises it. A loop over the planes costs three times as much. */
static void gather(const stream_t *stream, uint32_t count, uint32_t *to)
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

static int read_ids(part_reader_t *reader, uint32_t *ids, uint32_t limit)
{
    uint32_t count = reader->columns->count, max = 0;
    stream_t stream = {0};
    int rc = next_numbers(reader, count, 4, &stream);
    if (rc < 0)
        return rc;
    gather(&stream, count, ids);
    for (uint32_t i = 0; i < count; i++)
        max = ids[i] > max ? ids[i] : max;
    if (max >= limit)
        return corrupt(reader->err, "it names a text that the dictionary does not have");
    return 0;
}

/* Adds up the differences after time[0]. False when a time is out of range. The arithmetic is
 * unsigned, because the sum of a forged column may overflow. */
static bool add_up_times(const stream_t *stream, uint32_t count, int64_t *time, uint32_t *scratch)
{
    uint64_t at = (uint64_t)time[0], bad = at - 1 >= CM_TIME_END - 1;

    if (stream->width <= 4)
        gather(stream, count - 1, scratch);
    for (uint32_t i = 1; i < count; i++) {
        uint64_t step = stream->width <= 4 ? scratch[i - 1] : number_at(stream, count - 1, i - 1);
        at += (uint64_t)unzigzag(step);
        bad |= at - 1 >= CM_TIME_END - 1;
        time[i] = (int64_t)at;
    }
    return !bad;
}

static int read_times(part_reader_t *reader)
{
    cm_columns_t *columns = reader->columns;
    stream_t stream = {0};

    int rc = next_numbers(reader, 1, 8, &stream);
    if (rc < 0)
        return rc;
    columns->time[0] = unzigzag(number_at(&stream, 1, 0));
    rc = next_numbers(reader, columns->count - 1, 8, &stream);
    if (rc < 0)
        return rc;
    /* The memory of the urls is used as scratch memory: their column is read later. */
    if (!add_up_times(&stream, columns->count, columns->time, columns->ids[CM_URL]))
        return corrupt(reader->err, "a time is out of range");
    return 0;
}

static int read_keys(part_reader_t *reader)
{
    cm_columns_t *columns = reader->columns;
    size_t uuids = 0, strings = 0, at = 0;
    stream_t stream = {0};

    int rc = next_numbers(reader, columns->count, 1, &stream);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < columns->count; i++) {
        columns->keys[i].kind = (uint8_t)number_at(&stream, columns->count, i);
        if (columns->keys[i].kind > CM_KEY_TEXT)
            return corrupt(reader->err, "a row key is of no known kind");
        uuids += columns->keys[i].kind == CM_KEY_UUID;
        strings += columns->keys[i].kind == CM_KEY_TEXT;
    }
    if ((rc = next_stream(reader, uuids * 16, &stream)) < 0)
        return rc;
    if (stream.size != uuids * 16)
        return corrupt(reader->err, "row keys are missing");
    for (uint32_t i = 0; i < columns->count; i++) {
        if (columns->keys[i].kind == CM_KEY_UUID) {
            memcpy(columns->keys[i].uuid, stream.raw + at, 16);
            at += 16;
        }
    }
    if ((rc = next_stream(reader, strings, &stream)) < 0)
        return rc;
    if (stream.size != strings)
        return corrupt(reader->err, "row keys are missing");
    size_t bytes = 0;
    at = 0;
    for (uint32_t i = 0; i < columns->count; i++) {
        if (columns->keys[i].kind == CM_KEY_TEXT) {
            columns->keys[i].text.len = stream.raw[at++];
            bytes += columns->keys[i].text.len;
        }
    }
    if ((rc = next_stream(reader, bytes, &stream)) < 0)
        return rc;
    if (stream.size != bytes)
        return corrupt(reader->err, "row keys are missing");
    cm_arena_reset(&columns->key_strings);
    cm_str_t all =
        cm_arena_copy(&columns->key_strings, (cm_str_t){(const char *)stream.raw, bytes});
    at = 0;
    for (uint32_t i = 0; i < columns->count; i++) {
        if (columns->keys[i].kind == CM_KEY_TEXT) {
            columns->keys[i].text.data = all.data + at;
            at += columns->keys[i].text.len;
        }
    }
    return 0;
}

int cm_block_decode(cm_str_t blob, unsigned part, uint32_t count,
                    const uint32_t strings[CM_FIELD_COUNT], cm_columns_t *columns, cm_err_t *err)
{
    part_reader_t reader = {.columns = columns, .err = err};
    int rc;

    if (count == 0 || count > CM_BLOCK_EVENTS)
        return corrupt(err, "the number of its events is wrong");
    columns->count = 0;
    cm_columns_reserve(columns, count);
    columns->count = count;
    if (part == CM_READ_HOT) {
        if ((rc = open_part(&reader, blob, 5)) < 0 ||
            (rc = read_ids(&reader, columns->ids[CM_USER], strings[CM_USER])) < 0 ||
            (rc = read_times(&reader)) < 0 ||
            (rc = read_ids(&reader, columns->ids[CM_URL], strings[CM_URL])) < 0)
            return rc;
        return read_ids(&reader, columns->ids[CM_COUNTRY], strings[CM_COUNTRY]);
    }
    if (part == CM_READ_COLD) {
        rc = open_part(&reader, blob, CM_FIELD_COUNT - CM_CITY);
        for (int field = CM_CITY; rc == 0 && field < CM_FIELD_COUNT; field++)
            rc = read_ids(&reader, columns->ids[field], strings[field]);
        return rc;
    }
    rc = open_part(&reader, blob, 4);
    return rc < 0 ? rc : read_keys(&reader);
}

/* ---- columns and segments ---- */

void cm_columns_reserve(cm_columns_t *columns, uint32_t count)
{
    if (count <= columns->cap)
        return;
    uint32_t cap = columns->cap ? columns->cap : 256;
    while (cap < count)
        cap *= 2;
    columns->time = cm_realloc(columns->time, cap * sizeof *columns->time);
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        columns->ids[field] = cm_realloc(columns->ids[field], cap * sizeof *columns->ids[field]);
    columns->keys = cm_realloc(columns->keys, cap * sizeof *columns->keys);
    columns->cap = cap;
}

void cm_columns_free(cm_columns_t *columns)
{
    free(columns->time);
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        free(columns->ids[field]);
    free(columns->keys);
    free(columns->scratch);
    cm_arena_free(&columns->key_strings);
    *columns = (cm_columns_t){0};
}

void cm_segment_encode(const cm_str_t *strings, uint32_t count, cm_buf_t *out)
{
    const part_writer_t writer = {.out = out, .compress = true};
    cm_buf_t lengths = CM_BUF_INIT, bytes = CM_BUF_INIT;

    for (uint32_t i = 0; i < count; i++) {
        uint8_t len[2] = {(uint8_t)strings[i].len, (uint8_t)(strings[i].len >> 8)};
        cm_buf_add(&lengths, len, sizeof len);
        cm_buf_add_str(&bytes, strings[i]);
    }
    begin_part(out, 2);
    add_stream(&writer, 2, (const uint8_t *)lengths.data, lengths.len);
    add_stream(&writer, 1, (const uint8_t *)bytes.data, bytes.len);
    finish_part(out);
    cm_buf_free(&lengths);
    cm_buf_free(&bytes);
}

int cm_segment_decode(cm_str_t blob, uint32_t count, void (*take)(void *context, cm_str_t text),
                      void *context, cm_err_t *err)
{
    cm_columns_t scratch = {0};
    part_reader_t reader = {.columns = &scratch, .err = err};
    uint8_t *lengths = NULL;
    size_t total = 0, at = 0;
    stream_t stream = {0};

    int rc = open_part(&reader, blob, 2);
    if (rc < 0 || (rc = next_stream(&reader, (size_t)count * 2, &stream)) < 0)
        goto done;
    if (stream.size != (size_t)count * 2) {
        rc = corrupt(err, "strings are missing");
        goto done;
    }
    lengths = cm_alloc(stream.size);
    memcpy(lengths, stream.raw, stream.size);
    for (uint32_t i = 0; i < count; i++)
        total += lengths[2 * i] | (size_t)lengths[2 * i + 1] << 8;
    if ((rc = next_stream(&reader, total, &stream)) < 0)
        goto done;
    if (stream.size != total) {
        rc = corrupt(err, "strings are missing");
        goto done;
    }
    for (uint32_t i = 0; i < count; i++) {
        size_t len = lengths[2 * i] | (size_t)lengths[2 * i + 1] << 8;
        take(context, (cm_str_t){(const char *)stream.raw + at, len});
        at += len;
    }
done:
    cm_columns_free(&scratch);
    free(lengths);
    return rc;
}
