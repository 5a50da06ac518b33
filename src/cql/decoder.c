#include "cql/crc.h"
#include "cql/frame.h"
#include "cql/wire.h"

#include <lz4.h>

enum {
    LZ4_TIMES = 255, /* no byte of LZ4 becomes more than this: a longer length is false */
    LZ4_MORE = 64,
};

char *cm_cql_decoder_room(cm_cql_decoder_t *d, size_t want)
{
    if (d->at == d->in.len) {
        d->at = d->in.len = 0;
    } else if (d->at > 0 && d->in.cap - d->in.len < want + 1) {
        memmove(d->in.data, d->in.data + d->at, d->in.len - d->at);
        d->in.len -= d->at;
        d->at = 0;
    }
    if (!cm_buf_try_reserve(&d->in, want))
        return NULL;
    return d->in.data + d->in.len;
}

void cm_cql_decoder_took(cm_cql_decoder_t *d, size_t len)
{
    d->in.len += len;
}

static int decompress(cm_cql_decoder_t *d, cm_str_t packed, size_t len, cm_str_t *plain,
                      cm_err_t *err)
{
    if (len > packed.len * LZ4_TIMES + LZ4_MORE || packed.len > INT32_MAX || len > INT32_MAX)
        return cm_fail(err, CM_ECORRUPT, "%zu compressed bytes cannot become %zu", packed.len, len);
    cm_buf_clear(&d->plain);
    if (!cm_buf_try_reserve(&d->plain, len + 1))
        return cm_cql_fail_memory(err);
    int got = LZ4_decompress_safe(packed.data, d->plain.data, (int)packed.len, (int)len);
    if (got < 0 || (size_t)got != len)
        return cm_fail(err, CM_ECORRUPT, "%zu bytes of LZ4 do not decompress to %zu", packed.len,
                       len);
    *plain = (cm_str_t){d->plain.data, len};
    return 0;
}

/* A message header (v4 section 2, v5 2.4.1). Returns the whole message's length, 0 when the header
 * is not complete, or a negative code. */
static int64_t read_header(const cm_cql_decoder_t *d, cm_str_t bytes, cm_cql_frame_t *frame,
                           cm_err_t *err)
{
    if (bytes.len == 0)
        return 0;
    int first = (uint8_t)bytes.data[0];
    frame->version = first & 0x7F;
    frame->response = (first & 0x80) != 0;
    if (frame->version < 1 || frame->version > 6)
        return cm_fail(err, CM_ECORRUPT,
                       "a message begins with the byte 0x%02x, which is no protocol version%s",
                       (unsigned)first, first == 0x15 ? " (does the node expect TLS?)" : "");
    if (bytes.len < CM_CQL_HEADER)
        return 0;
    frame->flags = (uint8_t)bytes.data[1];
    frame->stream = (int16_t)cm_cql_load_u16(bytes.data + 2);
    frame->opcode = (uint8_t)bytes.data[4];
    int64_t len = cm_cql_load_i32(bytes.data + 5);
    if (len < 0 || (uint64_t)len > d->max_frame)
        return cm_fail(err, CM_ECORRUPT, "a message of %lld bytes; %zu are allowed",
                       (long long)(uint32_t)len, d->max_frame);
    return CM_CQL_HEADER + len;
}

/* v4 section 5: the first four bytes of a compressed body are its length before compression. */
static int decompress_body(cm_cql_decoder_t *d, cm_cql_frame_t *frame, cm_err_t *err)
{
    if (!(frame->flags & CM_CQL_FLAG_COMPRESSED))
        return 0;
    if (!d->lz4)
        return cm_fail(err, CM_ECORRUPT, "a compressed message, but no compression was agreed on");
    if (frame->body.len < 4)
        return cm_fail(err, CM_ECORRUPT, "a compressed message of %zu bytes", frame->body.len);
    int64_t len = cm_cql_load_i32(frame->body.data);
    if (len < 0 || (uint64_t)len > d->max_frame)
        return cm_fail(err, CM_ECORRUPT, "a message of %lld bytes; %zu are allowed",
                       (long long)(uint32_t)len, d->max_frame);
    cm_str_t packed = {frame->body.data + 4, frame->body.len - 4};
    if (len == 0) {
        frame->body.len = 0;
        return 0;
    }
    return decompress(d, packed, (size_t)len, &frame->body, err);
}

static int next_message(cm_cql_decoder_t *d, cm_cql_frame_t *frame, cm_err_t *err)
{
    cm_str_t bytes = {d->in.data + d->at, d->in.len - d->at};
    int64_t len = read_header(d, bytes, frame, err);

    if (len < 0)
        return (int)len;
    if (len == 0 || (size_t)len > bytes.len)
        return 0;
    frame->body = (cm_str_t){bytes.data + CM_CQL_HEADER, (size_t)len - CM_CQL_HEADER};
    d->at += (size_t)len;
    int rc = decompress_body(d, frame, err);
    return rc < 0 ? rc : 1;
}

static uint64_t load_little(const char *at, int len)
{
    uint64_t value = 0;
    for (int i = 0; i < len; i++)
        value |= (uint64_t)(uint8_t)at[i] << (8 * i);
    return value;
}

/* v5 2.1 and 2.2: 17 bits payload length, with compression 17 bits length before it, one bit "holds
 * whole messages", CRC-24; payload; CRC-32. Returns 1, 0 when more bytes are needed, or a negative
 * code. */
static int next_segment(cm_cql_decoder_t *d, cm_str_t *payload, bool *whole, cm_err_t *err)
{
    const int fields = d->lz4 ? 5 : 3, head = fields + 3;
    const char *at = d->in.data + d->at;
    size_t left = d->in.len - d->at;

    if (left < (size_t)head)
        return 0;
    uint64_t bits = load_little(at, fields);
    uint32_t crc = (uint32_t)load_little(at + fields, 3);
    if (cm_cql_crc24(bits, fields) != crc)
        return cm_fail(err, CM_ECORRUPT, "a frame header has the CRC-24 %06x instead of %06x",
                       (unsigned)crc, (unsigned)cm_cql_crc24(bits, fields));
    size_t len = bits & 0x1FFFF, plain_len = d->lz4 ? bits >> 17 & 0x1FFFF : 0;
    *whole = bits >> (d->lz4 ? 34 : 17) & 1;
    if (left < head + len + 4)
        return 0;
    *payload = (cm_str_t){at + head, len};
    crc = (uint32_t)load_little(at + head + len, 4);
    if (cm_cql_crc32(payload->data, len) != crc)
        return cm_fail(err, CM_ECORRUPT, "a frame of %zu bytes has the CRC-32 %08x instead of %08x",
                       len, (unsigned)crc, (unsigned)cm_cql_crc32(payload->data, len));
    d->at += head + len + 4;
    if (plain_len > 0) {
        int rc = decompress(d, *payload, plain_len, payload, err);
        if (rc < 0)
            return rc;
    }
    return 1;
}

/* The next message of a segment that holds whole messages. */
static int next_of_payload(cm_cql_decoder_t *d, cm_cql_frame_t *frame, cm_err_t *err)
{
    int64_t len = read_header(d, d->payload, frame, err);

    if (len < 0)
        return (int)len;
    if (len == 0 || (size_t)len > d->payload.len)
        return cm_fail(err, CM_ECORRUPT, "a message is cut off at the end of its frame");
    if (frame->flags & CM_CQL_FLAG_COMPRESSED)
        return cm_fail(err, CM_ECORRUPT, "a message within a frame is compressed by itself");
    frame->body = (cm_str_t){d->payload.data + CM_CQL_HEADER, (size_t)len - CM_CQL_HEADER};
    d->payload.data += len;
    d->payload.len -= (size_t)len;
    return 1;
}

/* Adds a part of a large message. Returns 1 when it is complete, 0 when not, or a negative code. */
static int add_part(cm_cql_decoder_t *d, cm_str_t part, cm_cql_frame_t *frame, cm_err_t *err)
{
    if (!cm_cql_append(&d->parts, part))
        return cm_cql_fail_memory(err);
    cm_str_t bytes = {d->parts.data, d->parts.len};
    int64_t len = read_header(d, bytes, frame, err);
    if (len < 0)
        return (int)len;
    if (len > 0 && frame->flags & CM_CQL_FLAG_COMPRESSED)
        return cm_fail(err, CM_ECORRUPT, "a message within a frame is compressed by itself");
    if (len == 0 || (size_t)len > bytes.len)
        return 0;
    if ((size_t)len < bytes.len)
        return cm_fail(err, CM_ECORRUPT, "a message in parts has %zu bytes too many",
                       bytes.len - (size_t)len);
    frame->body = (cm_str_t){bytes.data + CM_CQL_HEADER, (size_t)len - CM_CQL_HEADER};
    d->parts_used = true;
    return 1;
}

int cm_cql_decoder_next(cm_cql_decoder_t *d, cm_cql_frame_t *frame, cm_err_t *err)
{
    cm_str_t payload;
    bool whole = false;

    if (!d->segments)
        return next_message(d, frame, err);
    if (d->parts_used) {
        cm_buf_clear(&d->parts);
        d->parts_used = false;
    }
    for (;;) {
        if (d->payload.len > 0)
            return next_of_payload(d, frame, err);
        int rc = next_segment(d, &payload, &whole, err);
        if (rc <= 0)
            return rc;
        if (whole && d->parts.len > 0)
            return cm_fail(err, CM_ECORRUPT, "a message in parts is not continued");
        if (whole) {
            d->payload = payload;
            continue;
        }
        rc = add_part(d, payload, frame, err);
        if (rc != 0)
            return rc;
    }
}

void cm_cql_decoder_free(cm_cql_decoder_t *d)
{
    cm_buf_free(&d->in);
    cm_buf_free(&d->plain);
    cm_buf_free(&d->parts);
    d->at = 0;
    d->payload = (cm_str_t){NULL, 0};
}
