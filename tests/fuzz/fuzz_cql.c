/* The bytes of a Cassandra connection. Any bytes are refused, or cut into messages, and the
 * messages do not depend on the pieces in which the bytes come; each message is refused, or parsed
 * within its bounds.
 *
 * The first byte of the input chooses the framing: segments of v5 or messages of v4, with or
 * without LZ4, and whether the checksums of segments are corrected, so that their contents are
 * tested.
 */
#include "cql/crc.h"
#include "cql/message.h"
#include "fuzz.h"

enum { SEGMENTS = 1, LZ4 = 2, PUT_RIGHT = 4, MAX_FRAME = 100000 };

static uint64_t load_little(const char *at, int len)
{
    uint64_t value = 0;
    for (int i = 0; i < len; i++)
        value |= (uint64_t)(uint8_t)at[i] << (8 * i);
    return value;
}

static void store_little(char *at, uint64_t value, int len)
{
    for (int i = 0; i < len; i++)
        at[i] = (char)(value >> (8 * i));
}

static void put_right(char *at, size_t left, bool lz4)
{
    const int fields = lz4 ? 5 : 3;

    while (left >= (size_t)fields + 3) {
        uint64_t bits = load_little(at, fields);
        size_t len = bits & 0x1FFFF;
        store_little(at + fields, cm_cql_crc24(bits, fields), 3);
        at += fields + 3;
        left -= (size_t)fields + 3;
        if (left < len + 4)
            return;
        store_little(at + len, cm_cql_crc32(at, len), 4);
        at += len + 4;
        left -= len + 4;
    }
}

static uint64_t mix(uint64_t hash, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ (uint8_t)data[i]) * UINT64_C(0x100000001B3);
    return hash;
}

static void walk(cm_cql_rows_t *rows, cm_str_t body)
{
    int64_t count = 0;

    while (cm_cql_next(rows)) {
        for (int i = 0; i < rows->column_count; i++) {
            cm_str_t cell = rows->cells[i], element;
            cm_cql_elements_t elements = cm_cql_elements(cell);
            FUZZ_CHECK(cell.data == NULL ||
                       (cell.data >= body.data && cell.data + cell.len <= body.data + body.len));
            while (cm_cql_elements_next(&elements, &element))
                ;
        }
        count++;
    }
    FUZZ_CHECK(count == rows->row_count);
}

static void check_message(const cm_cql_frame_t *frame)
{
    cm_cql_parsed_t parsed = {0};
    cm_cql_event_t event;
    cm_err_t err = {0};

    int rc = cm_cql_parse(frame, &parsed, &err);
    if (rc == CM_CQL_OP_RESULT && parsed.result.rows != NULL)
        walk(parsed.result.rows, frame->body);
    if (rc == CM_CQL_OP_RESULT && parsed.kind == CM_CQL_KIND_PREPARED) {
        cm_cql_columns_t copy = {0};
        cm_cql_columns_copy(&copy, &parsed.bound);
        FUZZ_CHECK(copy.count == parsed.bound.count);
        cm_cql_columns_free(&copy);
    }
    if (rc < 0)
        fuzz_check_refusal(rc, CM_ECORRUPT, &err);
    rc = cm_cql_parse_event(frame->body, &event, &err);
    if (rc < 0)
        fuzz_check_refusal(rc, CM_ECORRUPT, &err);
    cm_cql_supported(frame->body, CM_STR("COMPRESSION"), CM_STR("lz4"));
    cm_cql_parsed_free(&parsed);
}

/* Decodes the bytes in pieces; returns a hash of every message and of the last error. */
static uint64_t decode(const char *bytes, size_t len, int mode, size_t piece, cm_err_t *err)
{
    cm_cql_decoder_t d = {.segments = mode & SEGMENTS, .lz4 = mode & LZ4, .max_frame = MAX_FRAME};
    cm_cql_frame_t frame;
    uint64_t hash = 1;
    int rc = 0;

    for (size_t at = 0; at < len && rc >= 0; at += piece) {
        size_t part = piece < len - at ? piece : len - at;
        memcpy(cm_cql_decoder_room(&d, part), bytes + at, part);
        cm_cql_decoder_took(&d, part);
        while ((rc = cm_cql_decoder_next(&d, &frame, err)) > 0) {
            FUZZ_CHECK(frame.body.len <= MAX_FRAME);
            hash = mix(hash, frame.body.data, frame.body.len) + (uint64_t)frame.stream;
            if (piece == len) {
                char *copy = fuzz_copy((const uint8_t *)frame.body.data, frame.body.len, 0, 0);
                frame.body.data = copy;
                check_message(&frame);
                free(copy);
            }
        }
    }
    if (rc < 0)
        fuzz_check_refusal(rc, CM_ECORRUPT, err);
    cm_cql_decoder_free(&d);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cm_err_t whole = {0}, single = {0};

    if (size < 2)
        return 0;
    size--;
    char *bytes = fuzz_copy(data + 1, size, 0, 0);
    if (data[0] & SEGMENTS && data[0] & PUT_RIGHT)
        put_right(bytes, size, data[0] & LZ4);
    uint64_t hash = decode(bytes, size, data[0], size, &whole);
    FUZZ_CHECK(hash == decode(bytes, size, data[0], 1, &single));
    FUZZ_CHECK(strcmp(whole.text, single.text) == 0);
    free(bytes);
    return 0;
}
