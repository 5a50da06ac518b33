#include "cql/crc.h"
#include "cql/frame.h"
#include "cql/wire.h"

#include <lz4.h>

enum {
    COMPRESS_FROM = 128, /* shorter bodies do not become smaller */
    MOVE_FROM = 64 * 1024,
};

void cm_cql_drop_sent(cm_buf_t *out, size_t *at)
{
    size_t left = out->len - *at;

    if (left > 0 && (*at < MOVE_FROM || *at < left))
        return;
    if (left > 0)
        memmove(out->data, out->data + *at, left);
    out->len = left;
    *at = 0;
}

cm_buf_t *cm_cql_encoder_begin(cm_cql_encoder_t *e, int stream, int opcode, size_t size)
{
    cm_buf_t *buf = e->segments ? &e->plain : &e->out;

    if (buf == &e->out)
        cm_cql_drop_sent(&e->out, &e->at);
    if (!cm_buf_try_reserve(buf, CM_CQL_HEADER + size))
        return NULL;
    e->begun = buf->len;
    char *head = buf->data + buf->len;
    head[0] = (char)(e->version | (e->response ? 0x80 : 0));
    head[1] = 0;
    head[2] = (char)(stream >> 8);
    head[3] = (char)stream;
    head[4] = (char)opcode;
    buf->len += CM_CQL_HEADER;
    return buf;
}

static void store_big(char *at, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(at, &value, 4);
}

/* v4 section 5: the length before compression, then the LZ4 block. The body stays as it is when
 * that is not shorter, or when there is no memory for it. */
static void compress_body(cm_cql_encoder_t *e)
{
    char *head = e->out.data + e->begun;
    size_t len = e->out.len - e->begun - CM_CQL_HEADER;

    if (len < COMPRESS_FROM || len > LZ4_MAX_INPUT_SIZE)
        return;
    int bound = LZ4_compressBound((int)len);
    cm_buf_clear(&e->scratch);
    if (!cm_buf_try_reserve(&e->scratch, (size_t)bound))
        return;
    int packed = LZ4_compress_default(head + CM_CQL_HEADER, e->scratch.data, (int)len, bound);
    if (packed <= 0 || (size_t)packed + 4 >= len)
        return;
    store_big(head + CM_CQL_HEADER, (uint32_t)len);
    memcpy(head + CM_CQL_HEADER + 4, e->scratch.data, (size_t)packed);
    head[1] |= CM_CQL_FLAG_COMPRESSED;
    e->out.len = e->begun + CM_CQL_HEADER + 4 + (size_t)packed;
}

void cm_cql_encoder_end(cm_cql_encoder_t *e)
{
    cm_buf_t *buf = e->segments ? &e->plain : &e->out;

    if (!e->segments && e->lz4)
        compress_body(e);
    store_big(buf->data + e->begun + 5, (uint32_t)(buf->len - e->begun - CM_CQL_HEADER));
}

static void add_little(cm_buf_t *buf, uint64_t value, int len)
{
    for (int i = 0; i < len; i++)
        cm_buf_add_char(buf, (char)(value >> (8 * i)));
}

/* v5 2.1 and 2.2, see the decoder. False when there is no memory. */
static bool add_segment(cm_cql_encoder_t *e, const char *data, size_t len, bool whole)
{
    uint64_t bits, plain_len = 0;
    const char *payload = data;
    size_t payload_len = len;

    cm_buf_clear(&e->scratch);
    if (e->lz4 && cm_buf_try_reserve(&e->scratch, (size_t)LZ4_compressBound((int)len))) {
        int packed =
            LZ4_compress_default(data, e->scratch.data, (int)len, LZ4_compressBound((int)len));
        if (packed > 0 && (size_t)packed < len) {
            payload = e->scratch.data;
            payload_len = (size_t)packed;
            plain_len = len;
        }
    }
    bits = payload_len | plain_len << 17;
    const int fields = e->lz4 ? 5 : 3;
    bits |= (uint64_t)whole << (e->lz4 ? 34 : 17);
    if (!cm_buf_try_reserve(&e->out, payload_len + 12))
        return false;
    add_little(&e->out, bits, fields);
    add_little(&e->out, cm_cql_crc24(bits, fields), 3);
    cm_buf_add(&e->out, payload, payload_len);
    add_little(&e->out, cm_cql_crc32(payload, payload_len), 4);
    return true;
}

bool cm_cql_encoder_pack(cm_cql_encoder_t *e)
{
    const char *at = e->plain.data, *end = at + e->plain.len;

    if (e->plain.len == 0)
        return true;
    cm_cql_drop_sent(&e->out, &e->at);
    while (at < end) {
        size_t len = 0;
        while (at + len < end) { /* as many whole messages as fit */
            size_t one = CM_CQL_HEADER + (uint32_t)cm_cql_load_i32(at + len + 5);
            if (len > 0 && len + one > CM_CQL_SEGMENT_MAX)
                break;
            len += one;
        }
        if (len <= CM_CQL_SEGMENT_MAX) {
            if (!add_segment(e, at, len, true))
                return false;
            at += len;
            continue;
        }
        for (const char *stop = at + len; at < stop;) {
            size_t part = (size_t)(stop - at);
            part = part < CM_CQL_SEGMENT_MAX ? part : CM_CQL_SEGMENT_MAX;
            if (!add_segment(e, at, part, false))
                return false;
            at += part;
        }
    }
    cm_buf_clear(&e->plain);
    return true;
}

void cm_cql_encoder_free(cm_cql_encoder_t *e)
{
    cm_buf_free(&e->out);
    cm_buf_free(&e->plain);
    cm_buf_free(&e->scratch);
    e->at = 0;
}
