#include "source/kafka/envelope.h"

#include <inttypes.h>
#include <stdio.h>

const char cm_envelope_tombstone[] =
    "the message has no value: a tombstone, which deletes what has "
    "its key; kafka.tombstones: skip leaves them out";

enum {
    PREFIX = 5,       /* bytes of a schema registry's prefix: 0, and the schema's id */
    LONG_PREFIX = 9,  /* the same with an id of eight bytes */
    INDEXES_MOST = 8, /* how deep a Protobuf message may be nested in its schema */
};

/* ---- the formats of schema registries ---- */

static bool take_varint(cm_str_t *rest, uint64_t *value)
{
    *value = 0;
    for (int shift = 0; shift < 64 && rest->len > 0; shift += 7) {
        const unsigned char byte = (unsigned char)*rest->data++;
        rest->len--;
        *value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80)
            return true;
    }
    return false;
}

/* A field of a Protobuf message: tag and content. */
static bool take_field(cm_str_t *rest)
{
    uint64_t tag, size = 0;

    if (!take_varint(rest, &tag) || tag >> 3 == 0)
        return false;
    switch (tag & 7) {
    case 0:
        return take_varint(rest, &size);
    case 1:
        size = 8;
        break;
    case 2:
        if (!take_varint(rest, &size))
            return false;
        break;
    case 5:
        size = 4;
        break;
    default: /* groups, which are obsolete */
        return false;
    }
    if (size > rest->len)
        return false;
    rest->data += size;
    rest->len -= size;
    return true;
}

/* The index list that names the message in its schema (0 for the first message), then fields up to
 * the last byte. */
static bool is_protobuf(cm_str_t body)
{
    uint64_t count, index;

    if (!take_varint(&body, &count) || count % 2 != 0 || count / 2 > INDEXES_MOST)
        return false;
    for (uint64_t i = 0; i < count / 2; i++) {
        if (!take_varint(&body, &index))
            return false;
    }
    if (body.len == 0)
        return false;
    while (body.len > 0) {
        if (!take_field(&body))
            return false;
    }
    return true;
}

static uint32_t take_u32(const char *data)
{
    uint32_t value = 0;

    for (size_t i = 0; i < 4; i++)
        value = value << 8 | (unsigned char)data[i];
    return value;
}

static bool name_registered(cm_str_t value, char *text)
{
    if (value.len <= PREFIX || value.data[0] != 0)
        return false;
    const uint32_t id = take_u32(value.data + 1);
    const cm_str_t body = {value.data + PREFIX, value.len - PREFIX};
    if (id == 0 && value.len > LONG_PREFIX && take_u32(body.data) != 0) {
        snprintf(text, CM_ENVELOPE_TEXT,
                 "a schema id of eight bytes, as Apicurio Registry writes it (schema %" PRIu32
                 "); set apicurio.registry.as-confluent=true in the producer",
                 take_u32(body.data));
        return true;
    }
    if (id == 0 || id > INT32_MAX)
        return false;
    const bool json = body.data[0] == '{' || body.data[0] == '[';
    if (!json && is_protobuf(body))
        snprintf(text, CM_ENVELOPE_TEXT,
                 "Protobuf in the wire format of a schema registry (schema %" PRIu32
                 "), which is not read; write Avro or JSON",
                 id);
    else
        snprintf(text, CM_ENVELOPE_TEXT,
                 "%s in the wire format of a schema registry (schema %" PRIu32
                 "); give the registry's URL in kafka.registry, or write plain JSON",
                 json ? "JSON" : "Avro", id);
    return true;
}

/* The library of AWS Glue writes a version, whether it is compressed, and a UUID. */
static bool is_glue(cm_str_t value)
{
    return value.len > 18 && value.data[0] == 3 && (value.data[1] == 0 || value.data[1] == 5);
}

/* ---- envelopes in JSON ---- */

enum {
    SCHEMA = 1,
    PAYLOAD = 2,
    BEFORE = 4,
    AFTER = 8,
    OP = 16,
    EVENT = 32, /* a key of events: it is an event with an error of its own, whatever other keys it
                   has */
};

static const struct {
    cm_str_t name;
    int bit;
} keys[] = {
    {{"schema", 6}, SCHEMA}, {{"payload", 7}, PAYLOAD}, {{"before", 6}, BEFORE},
    {{"after", 5}, AFTER},   {{"op", 2}, OP},           {{"user_id", 7}, EVENT},
    {{"url", 3}, EVENT},
};

/* Where the string that begins at `at` ends. */
static size_t end_of_text(cm_str_t json, size_t at)
{
    for (at++; at < json.len && json.data[at] != '"'; at++)
        at += json.data[at] == '\\';
    return at < json.len ? at : json.len;
}

/* Finds which of the known keys the object at the start of the text has at its top level, and its
 * payload. A text that begins with something else has none. The text need not be valid JSON; then
 * the result means nothing. */
static int find_keys(cm_str_t json, cm_str_t *payload)
{
    int depth = 0, found = 0;
    bool is_key = true;

    for (size_t at = 0; at < json.len; at++) {
        const char c = json.data[at];
        if (c == '"') {
            const size_t end = end_of_text(json, at);
            const cm_str_t name = {json.data + at + 1, end > at ? end - at - 1 : 0};
            for (size_t i = 0; depth == 1 && is_key && i < sizeof keys / sizeof keys[0]; i++) {
                found |= cm_str_equal(name, keys[i].name) ? keys[i].bit : 0;
                if (keys[i].bit == PAYLOAD && cm_str_equal(name, keys[i].name) && end < json.len)
                    *payload = (cm_str_t){json.data + end + 1, json.len - end - 1};
            }
            at = end;
        } else if (depth == 0 && (c == '[' || c == ',')) {
            break;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth <= 0) {
            break;
        } else if (depth == 1) {
            is_key = c == ',' ? true : c == ':' ? false : is_key;
        }
    }
    return found;
}

static bool is_change(int found)
{
    return (found & OP) != 0 && (found & (BEFORE | AFTER)) != 0;
}

static bool name_json(cm_str_t value, char *text)
{
    cm_str_t payload = {NULL, 0}, ignored = {NULL, 0};
    const int found = find_keys(value, &payload);
    if ((found & EVENT) != 0)
        return false;
    const bool connect = (found & SCHEMA) != 0 && payload.data != NULL;
    const bool change = is_change(connect ? find_keys(payload, &ignored) : found);

    if (change)
        snprintf(text, CM_ENVELOPE_TEXT,
                 "a change event of Debezium%s; unwrap it in the connector (transform "
                 "ExtractNewRecordState%s)",
                 connect ? " in an envelope of Kafka Connect" : "",
                 connect ? ", value.converter.schemas.enable=false" : "");
    else if (connect)
        snprintf(text, CM_ENVELOPE_TEXT,
                 "an envelope of Kafka Connect, with schema and payload; set "
                 "value.converter.schemas.enable=false in the connector");
    return change || connect;
}

bool cm_envelope_name(cm_str_t value, char text[CM_ENVELOPE_TEXT])
{
    text[0] = '\0';
    if (value.len > 10 && memcmp(value.data, "\xC3\x01", 2) == 0) {
        snprintf(text, CM_ENVELOPE_TEXT,
                 "Avro in its single-object encoding; write plain JSON, or convert it on its way "
                 "into this topic");
        return true;
    }
    if (is_glue(value)) {
        snprintf(
            text, CM_ENVELOPE_TEXT,
            "the wire format of AWS Glue's schema registry; write plain JSON, or convert it on "
            "its way into this topic");
        return true;
    }
    return name_registered(value, text) || name_json(value, text);
}
