/* Decodes a value of a prepared schema into JSON text. Every length and count is checked against
 * the bytes that are left, and the text has a limit. */
#include "kafka/avro_node.h"

#include "base/clock.h"

#include <math.h>
#include <nettle/base64.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TEXT_MOST = 16 << 20, /* bytes of JSON of one value */
    DECIMAL_MOST = 64,    /* bytes of a decimal: 154 digits */
    LIMBS = 32,           /* of 9 digits each, for so many bytes */
    LIMB = 1000 * 1000 * 1000,
    SECONDS_OF_DAY = 24 * 3600,
};

/* The years 0001 to 9999, in seconds: the times that RFC 3339 can write. */
#define FIRST_SECOND INT64_C(-62135596800)
#define LAST_SECOND  INT64_C(253402300799)

typedef cm_kafka_avro_node_t node_t;

typedef struct decoder {
    cm_str_t rest;
    cm_buf_t *json;
    size_t limit; /* of json->len */
    cm_err_t *err;
    cm_str_t path[CM_KAFKA_AVRO_DEPTH + 1]; /* names of the records' fields from the root */
    int depth;
} decoder_t;

static int decode(decoder_t *decoder, const node_t *node);

/* "Avro: at props.plan: reason". */
static int __attribute__((format(printf, 2, 3))) refuse(decoder_t *decoder, const char *format, ...)
{
    cm_buf_t path = CM_BUF_INIT;
    char reason[200];
    va_list rest;

    va_start(rest, format);
    vsnprintf(reason, sizeof reason, format, rest);
    va_end(rest);
    for (int i = 0; i < decoder->depth; i++) {
        if (decoder->path[i].len == 0)
            continue;
        cm_buf_add_text(&path, path.len > 0 ? "." : "at ");
        cm_buf_add_str(&path, decoder->path[i]);
    }
    int rc = cm_fail(decoder->err, CM_EREJECT, "not a value of the Avro schema: %.300s%s%s",
                     path.len > 0 ? path.data : "", path.len > 0 ? ": " : "", reason);
    cm_buf_free(&path);
    return rc;
}

/* ---- the binary format ---- */

static int take_bytes(decoder_t *decoder, uint64_t len, cm_str_t *bytes)
{
    if (len > decoder->rest.len)
        return refuse(decoder, "it ends too early");
    *bytes = (cm_str_t){decoder->rest.data, (size_t)len};
    decoder->rest.data += len;
    decoder->rest.len -= (size_t)len;
    return 0;
}

/* A variable-length zig-zag integer. */
static int take_long(decoder_t *decoder, int64_t *value)
{
    uint64_t bits = 0;

    for (int shift = 0; shift < 64; shift += 7) {
        if (decoder->rest.len == 0)
            return refuse(decoder, "it ends too early");
        const unsigned char byte = (unsigned char)*decoder->rest.data++;
        decoder->rest.len--;
        if (shift == 63 && byte > 1)
            break;
        bits |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *value = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
            return 0;
        }
    }
    return refuse(decoder, "a number has more than 64 bits");
}

/* The bytes of a string or of `bytes`, which begin with their length. */
static int take_sized(decoder_t *decoder, cm_str_t *bytes)
{
    int64_t len = 0;

    int rc = take_long(decoder, &len);
    if (rc == 0 && len < 0)
        rc = refuse(decoder, "a length is negative");
    return rc < 0 ? rc : take_bytes(decoder, (uint64_t)len, bytes);
}

/* The number of items in the next block of an array or a map; 0: there is none. Items may take no
 * byte, so only the limit of the text ends a block that claims billions of them. */
static int take_block(decoder_t *decoder, int64_t *count)
{
    int64_t size = 0;

    int rc = take_long(decoder, count);
    if (rc == 0 && *count < 0) { /* the size of the block in bytes follows */
        if (*count == INT64_MIN)
            return refuse(decoder, "a number of items is not valid");
        *count = -*count;
        rc = take_long(decoder, &size);
        if (rc == 0 && (size < 0 || (uint64_t)size > decoder->rest.len))
            return refuse(decoder, "it ends too early");
    }
    return rc;
}

/* ---- times ---- */

static int64_t divide(int64_t value, int64_t by, int64_t *rest)
{
    int64_t whole = value / by;

    *rest = value % by;
    if (*rest < 0) {
        *rest += by;
        whole--;
    }
    return whole;
}

static void add_fraction(cm_buf_t *json, int64_t fraction, int digits)
{
    if (fraction != 0)
        cm_buf_printf(json, ".%0*lld", digits, (long long)fraction);
}

/* A time that RFC 3339 cannot write stays a number, which no rule of events takes for a time. */
static void add_timestamp(cm_buf_t *json, const node_t *node, int64_t value)
{
    const int64_t unit = node->digits == 3 ? 1000 : node->digits == 6 ? 1000000 : 1000000000;
    char text[CM_TIME_TEXT];
    int64_t fraction;

    const int64_t seconds = divide(value, unit, &fraction);
    if (seconds < FIRST_SECOND || seconds > LAST_SECOND) {
        cm_buf_add_i64(json, value);
        return;
    }
    cm_time_format(seconds * 1000, text);
    cm_buf_printf(json, "\"%.19s", text);
    add_fraction(json, fraction, node->digits);
    cm_buf_add_text(json, node->logical == CM_AVRO_LOCAL_TIME ? "\"" : "Z\"");
}

static void add_date(cm_buf_t *json, int64_t days)
{
    char text[CM_TIME_TEXT];
    const int64_t seconds = days * SECONDS_OF_DAY; /* an int of days: no overflow */

    if (seconds < FIRST_SECOND || seconds > LAST_SECOND)
        cm_buf_add_i64(json, days);
    else
        cm_buf_printf(json, "\"%.10s\"", cm_time_format(seconds * 1000, text));
}

static void add_time(cm_buf_t *json, const node_t *node, int64_t value)
{
    int64_t fraction;

    const int64_t seconds = divide(value, node->digits == 3 ? 1000 : 1000000, &fraction);
    if (seconds < 0 || seconds >= SECONDS_OF_DAY) {
        cm_buf_add_i64(json, value);
        return;
    }
    cm_buf_printf(json, "\"%02d:%02d:%02d", (int)(seconds / 3600), (int)(seconds / 60 % 60),
                  (int)(seconds % 60));
    add_fraction(json, fraction, node->digits);
    cm_buf_add_char(json, '"');
}

static int add_integer(decoder_t *decoder, const node_t *node)
{
    int64_t value = 0;

    int rc = take_long(decoder, &value);
    if (rc == 0 && node->kind == CM_AVRO_INT && (value < INT32_MIN || value > INT32_MAX))
        rc = refuse(decoder, "an int has more than 32 bits");
    if (rc < 0)
        return rc;
    switch (node->logical) {
    case CM_AVRO_DATE:
        add_date(decoder->json, value);
        break;
    case CM_AVRO_TIME:
        add_time(decoder->json, node, value);
        break;
    case CM_AVRO_TIMESTAMP:
    case CM_AVRO_LOCAL_TIME:
        add_timestamp(decoder->json, node, value);
        break;
    default:
        cm_buf_add_i64(decoder->json, value);
        break;
    }
    return 0;
}

/* ---- numbers ---- */

/* JSON has no number for these, so they are text. */
static bool add_special(cm_buf_t *json, double value)
{
    if (isfinite(value))
        return false;
    cm_buf_add_text(json, isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"");
    return true;
}

static int add_real(decoder_t *decoder, const node_t *node)
{
    const size_t size = node->kind == CM_AVRO_FLOAT ? 4 : 8;
    uint64_t bits = 0;
    cm_str_t bytes = {NULL, 0};

    int rc = take_bytes(decoder, size, &bytes);
    if (rc < 0)
        return rc;
    for (size_t i = 0; i < size; i++)
        bits |= (uint64_t)(unsigned char)bytes.data[i] << (8 * i);
    if (size == 8) {
        double value;
        memcpy(&value, &bits, sizeof value);
        if (!add_special(decoder->json, value))
            cm_buf_add_double(decoder->json, value);
    } else {
        const uint32_t low = (uint32_t)bits;
        float value;
        memcpy(&value, &low, sizeof value);
        if (!add_special(decoder->json, value))
            cm_buf_add_float(decoder->json, value);
    }
    return 0;
}

/* The magnitude of a two's complement number, the most significant byte first, in limbs of nine
 * decimal digits, the least significant limb first. Returns how many limbs there are. */
static int to_limbs(cm_str_t bytes, bool negative, uint32_t limbs[LIMBS])
{
    unsigned char magnitude[DECIMAL_MOST];
    int count = 1, carry = negative;

    for (size_t i = bytes.len; i-- > 0;) {
        const int byte = (unsigned char)(negative ? ~bytes.data[i] : bytes.data[i]) + carry;
        magnitude[i] = (unsigned char)byte;
        carry = byte >> 8;
    }
    limbs[0] = 0;
    for (size_t i = 0; i < bytes.len; i++) {
        uint64_t more = magnitude[i];
        for (int k = 0; k < count; k++) {
            more += (uint64_t)limbs[k] << 8;
            limbs[k] = (uint32_t)(more % LIMB);
            more /= LIMB;
        }
        if (more > 0)
            limbs[count++] = (uint32_t)more;
    }
    return count;
}

/* All digits that the scale has, so that 12.50 stays that. */
static int add_decimal(decoder_t *decoder, const node_t *node, cm_str_t bytes)
{
    uint32_t limbs[LIMBS];
    cm_buf_t digits = CM_BUF_INIT;

    if (bytes.len == 0 || bytes.len > DECIMAL_MOST)
        return refuse(decoder, "a decimal of %zu bytes; 1 to %d are read", bytes.len, DECIMAL_MOST);
    const bool negative = ((unsigned char)bytes.data[0] & 0x80) != 0;
    int count = to_limbs(bytes, negative, limbs);
    const size_t scale = (size_t)node->digits;

    cm_buf_printf(&digits, "%u", limbs[count - 1]);
    while (--count > 0)
        cm_buf_printf(&digits, "%09u", limbs[count - 1]);
    if (negative)
        cm_buf_add_char(decoder->json, '-');
    const size_t whole = digits.len > scale ? digits.len - scale : 0;
    if (whole == 0)
        cm_buf_add_char(decoder->json, '0');
    cm_buf_add(decoder->json, digits.data, whole);
    if (scale > 0) {
        cm_buf_add_char(decoder->json, '.');
        for (size_t i = digits.len; i < scale; i++)
            cm_buf_add_char(decoder->json, '0');
        cm_buf_add(decoder->json, digits.data + whole, digits.len - whole);
    }
    cm_buf_free(&digits);
    return 0;
}

/* ---- text and bytes ---- */

static int add_text(decoder_t *decoder, cm_str_t text)
{
    if (!cm_utf8_valid(text.data, text.len))
        return refuse(decoder, "a string is not UTF-8");
    cm_buf_add_json(decoder->json, text);
    return 0;
}

static void add_uuid(cm_buf_t *json, cm_str_t bytes)
{
    cm_buf_add_char(json, '"');
    for (size_t i = 0; i < bytes.len; i++)
        cm_buf_printf(json, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
                      (unsigned char)bytes.data[i]);
    cm_buf_add_char(json, '"');
}

static int add_bytes(decoder_t *decoder, const node_t *node, cm_str_t bytes)
{
    cm_buf_t *json = decoder->json;

    if (node->logical == CM_AVRO_DECIMAL)
        return add_decimal(decoder, node, bytes);
    if (node->logical == CM_AVRO_UUID) {
        add_uuid(json, bytes);
        return 0;
    }
    const size_t len = BASE64_ENCODE_RAW_LENGTH(bytes.len);
    cm_buf_add_char(json, '"');
    cm_buf_reserve(json, len);
    base64_encode_raw(json->data + json->len, bytes.len, (const uint8_t *)bytes.data);
    json->len += len;
    cm_buf_add_char(json, '"');
    return 0;
}

/* ---- types of several values ---- */

/* A value inside another one. `name`: that of a record's field; empty: it has none. */
static int decode_inside(decoder_t *decoder, const node_t *node, cm_str_t name)
{
    if (decoder->depth == CM_KAFKA_AVRO_DEPTH)
        return refuse(decoder, "it is nested too deep");
    if (decoder->json->len > decoder->limit)
        return refuse(decoder, "it is longer than %d MiB as JSON", TEXT_MOST >> 20);
    decoder->path[decoder->depth++] = name;
    int rc = decode(decoder, node);
    if (rc == 0) /* else the path stays for a sentence that is being made */
        decoder->depth--;
    return rc;
}

static int decode_record(decoder_t *decoder, const node_t *node)
{
    int rc = 0;

    cm_buf_add_char(decoder->json, '{');
    for (size_t i = 0; i < node->count && rc == 0; i++) {
        if (i > 0)
            cm_buf_add_char(decoder->json, ',');
        cm_buf_add_json(decoder->json, node->names[i]);
        cm_buf_add_char(decoder->json, ':');
        rc = decode_inside(decoder, node->items[i], node->names[i]);
    }
    cm_buf_add_char(decoder->json, '}');
    return rc;
}

static int decode_items(decoder_t *decoder, const node_t *node)
{
    const bool is_map = node->kind == CM_AVRO_MAP;
    const cm_str_t no_name = {NULL, 0};
    bool first = true;
    int64_t count = 0;
    cm_str_t key;

    cm_buf_add_char(decoder->json, is_map ? '{' : '[');
    int rc = take_block(decoder, &count);
    while (rc == 0 && count > 0) {
        if (!first)
            cm_buf_add_char(decoder->json, ',');
        first = false;
        if (is_map && ((rc = take_sized(decoder, &key)) < 0 || (rc = add_text(decoder, key)) < 0))
            break;
        if (is_map)
            cm_buf_add_char(decoder->json, ':');
        rc = decode_inside(decoder, node->items[0], no_name);
        if (rc == 0 && --count == 0)
            rc = take_block(decoder, &count);
    }
    cm_buf_add_char(decoder->json, is_map ? '}' : ']');
    return rc;
}

static int decode_union(decoder_t *decoder, const node_t *node)
{
    const cm_str_t no_name = {NULL, 0};
    int64_t branch = 0;

    int rc = take_long(decoder, &branch);
    if (rc == 0 && (branch < 0 || (uint64_t)branch >= node->count))
        rc = refuse(decoder, "branch %lld of a union of %zu", (long long)branch, node->count);
    return rc < 0 ? rc : decode_inside(decoder, node->items[branch], no_name);
}

static int decode_enum(decoder_t *decoder, const node_t *node)
{
    int64_t symbol = 0;

    int rc = take_long(decoder, &symbol);
    if (rc == 0 && (symbol < 0 || (uint64_t)symbol >= node->count))
        rc = refuse(decoder, "symbol %lld of an enum of %zu", (long long)symbol, node->count);
    if (rc == 0)
        cm_buf_add_json(decoder->json, node->names[symbol]);
    return rc;
}

static int decode_boolean(decoder_t *decoder)
{
    cm_str_t byte = {NULL, 0};

    int rc = take_bytes(decoder, 1, &byte);
    if (rc == 0 && (unsigned char)byte.data[0] > 1)
        rc = refuse(decoder, "a boolean is neither 0 nor 1");
    if (rc == 0)
        cm_buf_add_text(decoder->json, byte.data[0] == 1 ? "true" : "false");
    return rc;
}

static int decode(decoder_t *decoder, const node_t *node)
{
    cm_str_t bytes = {NULL, 0};
    int rc = 0;

    switch (node->kind) {
    case CM_AVRO_NULL:
        cm_buf_add_text(decoder->json, "null");
        return 0;
    case CM_AVRO_BOOLEAN:
        return decode_boolean(decoder);
    case CM_AVRO_INT:
    case CM_AVRO_LONG:
        return add_integer(decoder, node);
    case CM_AVRO_FLOAT:
    case CM_AVRO_DOUBLE:
        return add_real(decoder, node);
    case CM_AVRO_BYTES:
        rc = take_sized(decoder, &bytes);
        return rc < 0 ? rc : add_bytes(decoder, node, bytes);
    case CM_AVRO_STRING:
        rc = take_sized(decoder, &bytes);
        return rc < 0 ? rc : add_text(decoder, bytes);
    case CM_AVRO_FIXED:
        rc = take_bytes(decoder, node->size, &bytes);
        return rc < 0 ? rc : add_bytes(decoder, node, bytes);
    case CM_AVRO_ENUM:
        return decode_enum(decoder, node);
    case CM_AVRO_ARRAY:
    case CM_AVRO_MAP:
        return decode_items(decoder, node);
    case CM_AVRO_UNION:
        return decode_union(decoder, node);
    case CM_AVRO_RECORD:
        return decode_record(decoder, node);
    }
    return refuse(decoder, "its type is not known");
}

int cm_kafka_avro_decode(const cm_kafka_avro_t *avro, cm_str_t value, cm_buf_t *json, cm_err_t *err)
{
    decoder_t decoder = {
        .rest = value, .json = json, .limit = json->len + TEXT_MOST, .err = err, .depth = 0};

    int rc = decode(&decoder, avro->root);
    if (rc == 0 && decoder.rest.len > 0)
        rc = refuse(&decoder, "%zu bytes are left after its end", decoder.rest.len);
    return rc;
}
