/* The protocol's notations (v4 and v5 section 3): reading with bounds, and appending.
 *
 * A reader borrows its bytes. Reading beyond the end, or a negative length where none is allowed,
 * sets `bad`; from then on everything reads as zero or empty, so that a parser checks once at its
 * end. What is appended goes into room that the caller has reserved (memory.h). Pure functions, for
 * any thread. */
#ifndef CM_CQL_WIRE_H
#define CM_CQL_WIRE_H

#include "base/str.h"

typedef struct cm_cql_reader {
    const char *at, *end;
    bool bad;
    bool no_memory; /* `bad` because of that: set by the parser */
} cm_cql_reader_t;

static inline cm_cql_reader_t cm_cql_reader(cm_str_t bytes)
{
    return (cm_cql_reader_t){.at = bytes.data, .end = bytes.data + bytes.len};
}

static inline uint16_t cm_cql_load_u16(const char *at)
{
    uint16_t value;
    memcpy(&value, at, 2);
    return __builtin_bswap16(value);
}

static inline int32_t cm_cql_load_i32(const char *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return (int32_t)__builtin_bswap32(value);
}

static inline int64_t cm_cql_load_i64(const char *at)
{
    uint64_t value;
    memcpy(&value, at, 8);
    return (int64_t)__builtin_bswap64(value);
}

/* `len` bytes; NULL, and `bad`, when there are fewer. */
static inline const char *cm_cql_read_raw(cm_cql_reader_t *r, size_t len)
{
    if (r->bad || (size_t)(r->end - r->at) < len) {
        r->bad = true;
        return NULL;
    }
    const char *at = r->at;
    r->at += len;
    return at;
}

static inline uint8_t cm_cql_read_u8(cm_cql_reader_t *r)
{
    const char *at = cm_cql_read_raw(r, 1);
    return at != NULL ? (uint8_t)*at : 0;
}

static inline uint16_t cm_cql_read_u16(cm_cql_reader_t *r)
{
    const char *at = cm_cql_read_raw(r, 2);
    return at != NULL ? cm_cql_load_u16(at) : 0;
}

static inline int32_t cm_cql_read_i32(cm_cql_reader_t *r)
{
    const char *at = cm_cql_read_raw(r, 4);
    return at != NULL ? cm_cql_load_i32(at) : 0;
}

static inline cm_str_t cm_cql_read_len(cm_cql_reader_t *r, size_t len)
{
    const char *at = cm_cql_read_raw(r, len);
    return at != NULL ? (cm_str_t){at, len} : (cm_str_t){"", 0};
}

/* [string], [short bytes] */
static inline cm_str_t cm_cql_read_string(cm_cql_reader_t *r)
{
    return cm_cql_read_len(r, cm_cql_read_u16(r));
}

/* [bytes]: `data` is NULL for null. */
static inline cm_str_t cm_cql_read_bytes(cm_cql_reader_t *r)
{
    int32_t len = cm_cql_read_i32(r);
    return len < 0 ? (cm_str_t){NULL, 0} : cm_cql_read_len(r, (size_t)len);
}

static inline void cm_cql_add_u8(cm_buf_t *buf, int value)
{
    cm_buf_add_char(buf, (char)value);
}

static inline void cm_cql_add_u16(cm_buf_t *buf, int value)
{
    uint16_t big = __builtin_bswap16((uint16_t)value);
    cm_buf_add(buf, &big, 2);
}

static inline void cm_cql_add_i32(cm_buf_t *buf, int32_t value)
{
    uint32_t big = __builtin_bswap32((uint32_t)value);
    cm_buf_add(buf, &big, 4);
}

static inline void cm_cql_add_i64(cm_buf_t *buf, int64_t value)
{
    uint64_t big = __builtin_bswap64((uint64_t)value);
    cm_buf_add(buf, &big, 8);
}

/* [string], [short bytes]; cut at 65535 bytes. */
static inline void cm_cql_add_string(cm_buf_t *buf, cm_str_t s)
{
    size_t len = s.len < 65535 ? s.len : 65535;
    cm_cql_add_u16(buf, (int)len);
    cm_buf_add(buf, s.data, len);
}

/* [long string], [bytes] */
static inline void cm_cql_add_bytes(cm_buf_t *buf, cm_str_t s)
{
    cm_cql_add_i32(buf, (int32_t)s.len);
    cm_buf_add(buf, s.data, s.len);
}

#endif
