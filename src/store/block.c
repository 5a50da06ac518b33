#include "store/block.h"

#include "base/clock.h"

#include <assert.h>
#include <stdlib.h>

enum {
    /* A compressed stream may have at most this many of 256 bytes; otherwise it is stored as it is.
     * Every `process` reads all hot streams. To decompress the ids and times of random users took a
     * third of the reading time and saved a third of the bytes, so a hot stream must shrink to
     * half. */
    HOT_MOST = 128,
    COLD_MOST = 255,
    SEGMENT_LENGTH = 2, /* bytes of the length of a dictionary's string */
};

/* ---- writing ---- */

static uint64_t zigzag(int64_t value)
{
    return ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
}

static int64_t unzigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

static void add_times(const cm_stream_writer_t *writer, const int64_t *times, uint32_t count)
{
    /* The first difference would be the whole time, and would make all others as wide. So the first
     * time is stored separately. */
    writer->wide[0] = zigzag(times[0]);
    cm_stream_add_numbers(writer, 1);
    for (uint32_t i = 1; i < count; i++)
        writer->wide[i - 1] = zigzag(times[i] - times[i - 1]);
    cm_stream_add_numbers(writer, count - 1);
}

static void add_keys(const cm_stream_writer_t *writer, const cm_columns_t *columns)
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
    cm_stream_add_numbers(writer, columns->count);
    cm_stream_add(writer, 1, uuids.data, uuids.len);
    cm_stream_add(writer, 1, lengths.data, lengths.len);
    cm_stream_add(writer, 1, strings.data, strings.len);
    cm_buf_free(&uuids);
    cm_buf_free(&lengths);
    cm_buf_free(&strings);
}

void cm_block_encode(const cm_columns_t *columns, unsigned part, bool compress, cm_buf_t *out)
{
    uint32_t count = columns->count;
    assert(count > 0 && count <= CM_BLOCK_EVENTS && out->len == 0);
    assert(part == CM_READ_HOT || part == CM_READ_COLD || part == CM_READ_KEYS ||
           (part == CM_READ_EXTRA && columns->wide.any));
    const cm_stream_writer_t writer = {.out = out,
                                       .compress = compress,
                                       .most = part == CM_READ_HOT ? HOT_MOST : COLD_MOST,
                                       .wide = cm_alloc((size_t)count * sizeof *writer.wide),
                                       .scratch = cm_alloc((size_t)count * sizeof *writer.wide)};

    if (part == CM_READ_HOT) {
        cm_stream_begin(out, 5);
        cm_stream_add_ids(&writer, columns->ids[CM_USER], count);
        add_times(&writer, columns->time, count);
        cm_stream_add_ids(&writer, columns->ids[CM_URL], count);
        cm_stream_add_ids(&writer, columns->ids[CM_COUNTRY], count);
    } else if (part == CM_READ_COLD) {
        cm_stream_begin(out, CM_FIELD_COUNT - CM_CITY);
        for (int field = CM_CITY; field < CM_FIELD_COUNT; field++)
            cm_stream_add_ids(&writer, columns->ids[field], count);
    } else if (part == CM_READ_EXTRA) {
        cm_stream_begin(out, CM_WIDE_STREAMS);
        cm_wide_encode(&columns->wide, &writer);
    } else {
        cm_stream_begin(out, 4);
        add_keys(&writer, columns);
    }
    cm_stream_finish(out);
    free(writer.wide);
    free(writer.scratch);
}

/* ---- reading ---- */

/* The rest of a part, and the columns that it is read into. */
typedef struct part_reader {
    cm_stream_reader_t stream;
    cm_columns_t *columns;
} part_reader_t;

static bool is_wanted(const cm_columns_t *columns, uint32_t only)
{
    return columns->only == 0 || (columns->only & only) != 0;
}

static int read_ids(part_reader_t *reader, int field, uint32_t limit)
{
    uint32_t *ids = reader->columns->ids[field], count = reader->columns->count, max = 0;
    cm_stream_t stream = {0};

    if (!is_wanted(reader->columns, (uint32_t)CM_ONLY_FIELDS << field))
        return cm_stream_skip(&reader->stream, 1);
    int rc = cm_stream_next_numbers(&reader->stream, count, 4, &stream);
    if (rc < 0)
        return rc;
    cm_stream_gather(&stream, count, ids);
    for (uint32_t i = 0; i < count; i++)
        max = ids[i] > max ? ids[i] : max;
    if (max >= limit)
        return cm_stream_corrupt(reader->stream.err,
                                 "it names a text that the dictionary does not have");
    return 0;
}

/* Adds up the differences after time[0]. False when a time is out of range. The arithmetic is
 * unsigned, because the sum of a forged column may overflow. */
static bool add_up_times(const cm_stream_t *stream, uint32_t count, int64_t *time,
                         uint32_t *scratch)
{
    uint64_t at = (uint64_t)time[0], bad = at - 1 >= CM_TIME_END - 1;

    if (stream->width <= 4)
        cm_stream_gather(stream, count - 1, scratch);
    for (uint32_t i = 1; i < count; i++) {
        uint64_t step =
            stream->width <= 4 ? scratch[i - 1] : cm_stream_number(stream, count - 1, i - 1);
        at += (uint64_t)unzigzag(step);
        bad |= at - 1 >= CM_TIME_END - 1;
        time[i] = (int64_t)at;
    }
    return !bad;
}

static int read_times(part_reader_t *reader)
{
    cm_columns_t *columns = reader->columns;
    cm_stream_t stream = {0};

    if (!is_wanted(columns, CM_ONLY_TIME))
        return cm_stream_skip(&reader->stream, 2);
    int rc = cm_stream_next_numbers(&reader->stream, 1, 8, &stream);
    if (rc < 0)
        return rc;
    columns->time[0] = unzigzag(cm_stream_number(&stream, 1, 0));
    rc = cm_stream_next_numbers(&reader->stream, columns->count - 1, 8, &stream);
    if (rc < 0)
        return rc;
    /* The memory of the urls is used as scratch memory: their column is read later. */
    if (!add_up_times(&stream, columns->count, columns->time, columns->ids[CM_URL]))
        return cm_stream_corrupt(reader->stream.err, "a time is out of range");
    return 0;
}

static int read_keys(part_reader_t *reader)
{
    cm_columns_t *columns = reader->columns;
    size_t uuids = 0, strings = 0, at = 0;
    cm_stream_t stream = {0};

    int rc = cm_stream_next_numbers(&reader->stream, columns->count, 1, &stream);
    if (rc < 0)
        return rc;
    for (uint32_t i = 0; i < columns->count; i++) {
        columns->keys[i].kind = (uint8_t)cm_stream_number(&stream, columns->count, i);
        if (columns->keys[i].kind > CM_KEY_TEXT)
            return cm_stream_corrupt(reader->stream.err, "a row key is of no known kind");
        uuids += columns->keys[i].kind == CM_KEY_UUID;
        strings += columns->keys[i].kind == CM_KEY_TEXT;
    }
    if ((rc = cm_stream_next(&reader->stream, uuids * 16, &stream)) < 0)
        return rc;
    if (stream.size != uuids * 16)
        return cm_stream_corrupt(reader->stream.err, "row keys are missing");
    for (uint32_t i = 0; i < columns->count; i++) {
        if (columns->keys[i].kind == CM_KEY_UUID) {
            memcpy(columns->keys[i].uuid, stream.raw + at, 16);
            at += 16;
        }
    }
    if ((rc = cm_stream_next(&reader->stream, strings, &stream)) < 0)
        return rc;
    if (stream.size != strings)
        return cm_stream_corrupt(reader->stream.err, "row keys are missing");
    size_t bytes = 0;
    at = 0;
    for (uint32_t i = 0; i < columns->count; i++) {
        if (columns->keys[i].kind == CM_KEY_TEXT) {
            columns->keys[i].text.len = stream.raw[at++];
            bytes += columns->keys[i].text.len;
        }
    }
    if ((rc = cm_stream_next(&reader->stream, bytes, &stream)) < 0)
        return rc;
    if (stream.size != bytes)
        return cm_stream_corrupt(reader->stream.err, "row keys are missing");
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
    part_reader_t reader = {.stream = {.scratch = &columns->scratch, .err = err},
                            .columns = columns};
    int rc;

    if (count == 0 || count > CM_BLOCK_EVENTS)
        return cm_stream_corrupt(err, "the number of its events is wrong");
    columns->count = 0;
    cm_columns_reserve(columns, count);
    columns->count = count;
    if (part == CM_READ_HOT) {
        if ((rc = cm_stream_open(&reader.stream, blob, 5)) < 0 ||
            (rc = read_ids(&reader, CM_USER, strings[CM_USER])) < 0 ||
            (rc = read_times(&reader)) < 0 || (rc = read_ids(&reader, CM_URL, strings[CM_URL])) < 0)
            return rc;
        return read_ids(&reader, CM_COUNTRY, strings[CM_COUNTRY]);
    }
    if (part == CM_READ_COLD) {
        rc = cm_stream_open(&reader.stream, blob, CM_FIELD_COUNT - CM_CITY);
        for (int field = CM_CITY; rc == 0 && field < CM_FIELD_COUNT; field++)
            rc = read_ids(&reader, field, strings[field]);
        return rc;
    }
    if (part == CM_READ_EXTRA || part == CM_READ_VIEWS) {
        rc = cm_stream_open(&reader.stream, blob, CM_WIDE_STREAMS);
        if (rc < 0)
            return rc;
        const uint32_t only = columns->only / CM_ONLY_EXTRAS;
        return part == CM_READ_EXTRA
                   ? cm_wide_decode(&columns->wide, count, columns->only == 0 ? UINT32_MAX : only,
                                    &reader.stream)
                   : cm_wide_decode_views(&columns->wide, count, &reader.stream);
    }
    rc = cm_stream_open(&reader.stream, blob, 4);
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
    free(columns->scratch.bytes);
    cm_wide_free(&columns->wide);
    cm_arena_free(&columns->key_strings);
    *columns = (cm_columns_t){0};
}

void cm_segment_encode(const cm_str_t *strings, uint32_t count, cm_buf_t *out)
{
    const cm_stream_writer_t writer = {.out = out, .compress = true};

    cm_stream_begin(out, 2);
    cm_stream_add_strings(&writer, strings, count, SEGMENT_LENGTH);
    cm_stream_finish(out);
}

int cm_segment_decode(cm_str_t blob, uint32_t count, void (*take)(void *context, cm_str_t string),
                      void *context, cm_err_t *err)
{
    cm_stream_scratch_t scratch = {0};
    cm_stream_reader_t reader = {.scratch = &scratch, .err = err};

    int rc = cm_stream_open(&reader, blob, 2);
    if (rc == 0)
        rc = cm_stream_next_strings(&reader, count, SEGMENT_LENGTH, UINT16_MAX, take, context);
    free(scratch.bytes);
    return rc;
}
