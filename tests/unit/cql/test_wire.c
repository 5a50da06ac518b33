/* The parts that need no session: checksums, tokens, frames, messages, timers. */
#include "cql/crc.h"
#include "cql/message.h"
#include "cql/timer.h"
#include "cql/wire.h"
#include "support.h"

static void test_crc24(void **state)
{
    (void)state;
    assert_int_equal(0x875060, cm_cql_crc24(0, 0));
    assert_int_equal(0xc4366a, cm_cql_crc24(0x020000, 3)); /* no payload, whole messages */
    assert_int_equal(0xc1c8a4, cm_cql_crc24(0x020009, 3));
    assert_int_equal(0x474025, cm_cql_crc24(0x03ffff, 3));
    assert_int_equal(0x319669, cm_cql_crc24(UINT64_C(0x0504030201), 5));
}

static void test_crc32(void **state)
{
    char all[256];

    (void)state;
    for (int i = 0; i < 256; i++)
        all[i] = (char)i;
    assert_int_equal(0x44777ed3, cm_cql_crc32("", 0));
    assert_int_equal(0xf7294a53, cm_cql_crc32("a", 1));
    assert_int_equal(0xe2a261a7, cm_cql_crc32("123456789", 9));
    assert_int_equal(0x214de79b, cm_cql_crc32(all, 256));
}

/* Tokens as Cassandra 5.0.9 computes them: SELECT token(k). */
static void test_tokens(void **state)
{
    static const struct {
        const char *key;
        size_t len;
        int64_t token;
    } cases[] = {
        {"", 0, INT64_MIN},
        {"123", 3, INT64_C(-7468325962851647638)},
        {"\xfe\xfe\xfe\xfe\xfe\xfe\xfe\xfe", 8, INT64_C(-8927430733708461935)},
        {"\x10\x10\x10\x10\x10\x10\x10\x10", 8, INT64_C(1446172840243228796)},
        {"9223372036854775807", 19, INT64_C(7162290910810015547)},
        {"\xd2\xc4\x96", 3, INT64_C(-9156078156637110866)},
        {"\x04\x2f\xbe\x95\x18\xb3\x08\x40\xe6\x1e\x4a\xc8\xa0\x2e\x8c\xd0", 16,
         INT64_C(-9204009498857113049)},
        {"\x87\xb8\x65\x2c\x29\x86\xee\x22\x85\x7f\xc3\x2b\x92\x89\x83\x1c\x85", 17,
         INT64_C(-8546863442383364069)},
        {"\x94\xfc\xc1\x63\x62\xab\x9c\x20\xe2\xa8\x59\xa4\x6d\x76\x95\xd9\xcd\x15\x44\x2f\xb0\xd2"
         "\x44\x77\xe0\x08\x7f\xa3\x82\x72\xd3",
         31, INT64_C(-9195463577854265080)},
        {"\x28\x4f\x1a\xc8\x81\xb1\x33\xc0\x4c\x36\x81\xaa\xdd\x37\x6c\x9e\x52\x14\xf1\x21\x59\x54"
         "\xc6\xaf\x45\xc3\xb5\x1b\xe4\x9b\x42\x0a\xb7",
         33, INT64_C(-9173327803328310685)},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(cases[i].token, cm_cql_token(cases[i].key, cases[i].len));
}

/* ---- frames ---- */

static const size_t sizes[] = {0,      1,      100,    127,    128,    5000, 131061,
                               131062, 131063, 131071, 131072, 300000, 20,   999999};
enum { MESSAGES = sizeof sizes / sizeof *sizes };

static char body_byte(size_t message, size_t at)
{
    return (char)((at / 7) * 3 + message);
}

static void write_messages(cm_cql_encoder_t *e)
{
    for (int i = 0; i < MESSAGES; i++) {
        cm_buf_t *buf = cm_cql_encoder_begin(e, i * 3, CM_CQL_OP_QUERY, 0);
        for (size_t j = 0; j < sizes[i]; j++)
            cm_buf_add_char(buf, body_byte((size_t)i, j));
        cm_cql_encoder_end(e);
        if (i % 3 == 2)
            cm_cql_encoder_pack(e);
    }
    cm_cql_encoder_pack(e);
}

/* Decodes the bytes in pieces; returns how many messages are correct. */
static int read_messages(cm_str_t bytes, bool segments, bool lz4, size_t piece, cm_err_t *err)
{
    cm_cql_decoder_t d = {.segments = segments, .lz4 = lz4, .max_frame = 1 << 20};
    cm_cql_frame_t frame;
    int count = 0, rc = 0;

    for (size_t at = 0; at < bytes.len && rc >= 0; at += piece) {
        size_t len = piece < bytes.len - at ? piece : bytes.len - at;
        memcpy(cm_cql_decoder_room(&d, len), bytes.data + at, len);
        cm_cql_decoder_took(&d, len);
        while ((rc = cm_cql_decoder_next(&d, &frame, err)) > 0) {
            assert_int_equal(count * 3, frame.stream);
            assert_int_equal(CM_CQL_OP_QUERY, frame.opcode);
            assert_int_equal(segments ? 5 : 4, frame.version);
            assert_int_equal(sizes[count], frame.body.len);
            for (size_t j = 0; j < frame.body.len; j++) {
                if (frame.body.data[j] != body_byte((size_t)count, j))
                    fail_msg("message %d differs at %zu", count, j);
            }
            count++;
        }
    }
    cm_cql_decoder_free(&d);
    return rc < 0 ? rc : count;
}

static void test_frames(void **state)
{
    static const size_t pieces[] = {1, 2, 7, 1000, 65536, 10000000};

    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        bool segments = kind & 1, lz4 = kind & 2;
        cm_cql_encoder_t e = {.version = segments ? 5 : 4, .segments = segments, .lz4 = lz4};
        cm_err_t err = {0};
        write_messages(&e);
        if (lz4)
            assert_true(e.out.len < 1000000);
        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
            int count =
                read_messages((cm_str_t){e.out.data, e.out.len}, segments, lz4, pieces[i], &err);
            if (count != MESSAGES)
                fail_msg("%d messages, pieces of %zu: %s", count, pieces[i], err.text);
        }
        cm_cql_encoder_free(&e);
    }
}

/* A change of any single bit of a v5 stream is detected. */
static void test_every_bit_is_checked(void **state)
{
    (void)state;
    for (int lz4 = 0; lz4 < 2; lz4++) {
        cm_cql_encoder_t e = {.version = 5, .segments = true, .lz4 = lz4};
        cm_err_t err;
        cm_buf_t *buf = cm_cql_encoder_begin(&e, 0, CM_CQL_OP_QUERY, 0);
        for (size_t j = 0; j < 200; j++)
            cm_buf_add_char(buf, body_byte(0, j));
        cm_cql_encoder_end(&e);
        cm_cql_encoder_pack(&e);
        for (size_t bit = 0; bit < e.out.len * 8; bit++) {
            cm_cql_decoder_t d = {.segments = true, .lz4 = lz4, .max_frame = 1 << 20};
            cm_cql_frame_t frame;
            char *room = cm_cql_decoder_room(&d, e.out.len);
            memcpy(room, e.out.data, e.out.len);
            room[bit / 8] ^= (char)(1 << bit % 8);
            cm_cql_decoder_took(&d, e.out.len);
            assert_int_equal(CM_ECORRUPT, cm_cql_decoder_next(&d, &frame, &err));
            assert_non_null(strstr(err.text, bit < (lz4 ? 64 : 48) ? "CRC-24" : "CRC-32"));
            cm_cql_decoder_free(&d);
        }
        cm_cql_encoder_free(&e);
    }
}

static void check_refused(const char *bytes, size_t len, bool lz4, const char *sentence)
{
    cm_cql_decoder_t d = {.lz4 = lz4, .max_frame = 1000};
    cm_cql_frame_t frame;
    cm_err_t err;

    memcpy(cm_cql_decoder_room(&d, len), bytes, len);
    cm_cql_decoder_took(&d, len);
    assert_int_equal(CM_ECORRUPT, cm_cql_decoder_next(&d, &frame, &err));
    assert_string_equal(sentence, err.text);
    cm_cql_decoder_free(&d);
}

static void test_frames_refused(void **state)
{
    (void)state;
    check_refused("H", 1, false,
                  "a message begins with the byte 0x48, which is no protocol version");
    check_refused("\x84\0\0\1\2\0\0\3\xe9", 9, false, "a message of 1001 bytes; 1000 are allowed");
    check_refused("\x84\0\0\1\2\xff\xff\xff\xff", 9, false,
                  "a message of 4294967295 bytes; 1000 are allowed");
    check_refused("\x84\1\0\1\2\0\0\0\5\0\0\0\1\x10", 14, false,
                  "a compressed message, but no compression was agreed on");
    check_refused("\x84\1\0\1\2\0\0\0\3\0\0\0", 12, true, "a compressed message of 3 bytes");
    check_refused("\x84\1\0\1\2\0\0\0\5\0\0\3\xe7\x10", 14, true,
                  "1 compressed bytes cannot become 999");
    check_refused("\x84\1\0\1\2\0\0\0\5\0\0\0\7\x10", 14, true,
                  "1 bytes of LZ4 do not decompress to 7");
}

/* ---- messages ---- */

static int parse(int opcode, int version, int flags, const char *bytes, size_t len,
                 cm_cql_parsed_t *parsed, cm_err_t *err)
{
    char *copy = malloc(len + 1); /* so that the sanitizer sees reading beyond its end */
    cm_cql_frame_t frame = {.version = version,
                            .response = true,
                            .opcode = opcode,
                            .flags = flags,
                            .body = {copy, len}};

    memcpy(copy, bytes, len);
    char *exact = realloc(copy, len > 0 ? len : 1);
    frame.body.data = exact;
    int rc = cm_cql_parse(&frame, parsed, err);
    if (rc == CM_CQL_OP_RESULT && parsed->result.rows != NULL) {
        while (cm_cql_next(parsed->result.rows))
            ;
        assert_true(parsed->rows.at <= exact + len);
    }
    free(exact);
    return rc;
}

/* Two rows of text, list<int>, map<text, udt>, tuple, with a paging state; a warning, a tracing id
 * and a payload come before them. */
static void build_rows(cm_buf_t *b)
{
    for (int i = 0; i < 16; i++)
        cm_cql_add_u8(b, i);
    cm_cql_add_u16(b, 2);
    cm_cql_add_string(b, CM_STR("slow"));
    cm_cql_add_string(b, CM_STR("large"));
    cm_cql_add_u16(b, 1);
    cm_cql_add_string(b, CM_STR("key"));
    cm_cql_add_bytes(b, CM_STR("value"));
    cm_cql_add_i32(b, 2);
    cm_cql_add_i32(b, 1 | 2);
    cm_cql_add_i32(b, 4);
    cm_cql_add_bytes(b, CM_STR("state"));
    cm_cql_add_string(b, CM_STR("ks"));
    cm_cql_add_string(b, CM_STR("tab"));
    cm_cql_add_string(b, CM_STR("name"));
    cm_cql_add_u16(b, 0x0D);
    cm_cql_add_string(b, CM_STR("numbers"));
    cm_cql_add_u16(b, 0x20);
    cm_cql_add_u16(b, 0x09);
    cm_cql_add_string(b, CM_STR("map"));
    cm_cql_add_u16(b, 0x21);
    cm_cql_add_u16(b, 0x0D);
    cm_cql_add_u16(b, 0x30);
    cm_cql_add_string(b, CM_STR("ks"));
    cm_cql_add_string(b, CM_STR("udt"));
    cm_cql_add_u16(b, 1);
    cm_cql_add_string(b, CM_STR("field"));
    cm_cql_add_u16(b, 0x02);
    cm_cql_add_string(b, CM_STR("tuple"));
    cm_cql_add_u16(b, 0x31);
    cm_cql_add_u16(b, 2);
    cm_cql_add_u16(b, 0x00);
    cm_cql_add_string(b, CM_STR("org.example.Type"));
    cm_cql_add_u16(b, 0x07);
    cm_cql_add_i32(b, 2);
    for (int row = 0; row < 2; row++) {
        cm_cql_add_bytes(b, row ? CM_STR("second") : CM_STR("first"));
        cm_cql_add_bytes(b, CM_STR("\0\0\0\1\0\0\0\4\0\0\0\7"));
        cm_cql_add_i32(b, -1);
        cm_cql_add_bytes(b, CM_STR(""));
    }
}

enum { PRELUDE = CM_CQL_FLAG_TRACING | CM_CQL_FLAG_PAYLOAD | CM_CQL_FLAG_WARNING };

static void test_rows(void **state)
{
    cm_cql_parsed_t parsed = {0};
    cm_buf_t b = CM_BUF_INIT;
    cm_err_t err;

    (void)state;
    build_rows(&b);
    cm_cql_frame_t frame = {
        .version = 4, .opcode = CM_CQL_OP_RESULT, .flags = PRELUDE, .body = {b.data, b.len}};
    assert_int_equal(CM_CQL_OP_RESULT, cm_cql_parse(&frame, &parsed, &err));
    cm_cql_rows_t *rows = parsed.result.rows;
    assert_non_null(rows);
    assert_string_equal("slow\nlarge", parsed.result.warnings);
    assert_int_equal(4, rows->column_count);
    assert_int_equal(2, rows->row_count);
    assert_true(rows->more);
    assert_true(cm_str_equal(CM_STR("state"), rows->paging_state));
    assert_true(cm_str_equal(CM_STR("numbers"), rows->columns[1].name));
    assert_int_equal(CM_CQL_TYPE_LIST, rows->columns[1].type);
    assert_int_equal(CM_CQL_TYPE_MAP, rows->columns[2].type);
    assert_int_equal(CM_CQL_TYPE_TUPLE, rows->columns[3].type);
    assert_true(cm_cql_next(rows));
    assert_true(cm_str_equal(CM_STR("first"), rows->cells[0]));
    cm_cql_elements_t list = cm_cql_elements(rows->cells[1]);
    cm_str_t element;
    assert_true(cm_cql_elements_next(&list, &element));
    assert_int_equal(7, cm_cql_get_i32(element));
    assert_false(cm_cql_elements_next(&list, &element));
    assert_null(rows->cells[2].data);
    assert_non_null(rows->cells[3].data);
    assert_int_equal(0, rows->cells[3].len);
    assert_true(cm_cql_next(rows));
    assert_true(cm_str_equal(CM_STR("second"), rows->cells[0]));
    assert_false(cm_cql_next(rows));
    cm_buf_free(&b);
    cm_cql_parsed_free(&parsed);
}

/* A message that is cut at any place is refused; nothing beyond its end is read. */
static void check_cuts(const cm_buf_t *b, int opcode, int version, int flags)
{
    cm_cql_parsed_t parsed = {0};
    cm_err_t err;

    assert_int_equal(opcode, parse(opcode, version, flags, b->data, b->len, &parsed, &err));
    for (size_t len = 0; len < b->len; len++) {
        assert_int_equal(CM_ECORRUPT, parse(opcode, version, flags, b->data, len, &parsed, &err));
        assert_non_null(strstr(err.text, "is malformed"));
    }
    cm_cql_parsed_free(&parsed);
}

static void build_prepared(cm_buf_t *b, int version)
{
    cm_cql_add_i32(b, 4);
    cm_cql_add_string(b, CM_STR("identity"));
    if (version >= 5)
        cm_cql_add_string(b, CM_STR("metadata"));
    cm_cql_add_i32(b, 0);
    cm_cql_add_i32(b, 2);
    cm_cql_add_i32(b, 2);
    cm_cql_add_u16(b, 1);
    cm_cql_add_u16(b, 0);
    for (int i = 0; i < 2; i++) {
        cm_cql_add_string(b, CM_STR("ks"));
        cm_cql_add_string(b, CM_STR("tab"));
        cm_cql_add_string(b, i ? CM_STR("b") : CM_STR("a"));
        cm_cql_add_u16(b, 0x0D);
    }
    cm_cql_add_i32(b, 4);
    cm_cql_add_i32(b, 0);
}

static void test_prepared(void **state)
{
    (void)state;
    for (int version = 4; version <= 5; version++) {
        cm_cql_parsed_t parsed = {0};
        cm_buf_t b = CM_BUF_INIT;
        cm_err_t err;
        build_prepared(&b, version);
        cm_cql_frame_t frame = {
            .version = version, .opcode = CM_CQL_OP_RESULT, .body = {b.data, b.len}};
        assert_int_equal(CM_CQL_OP_RESULT, cm_cql_parse(&frame, &parsed, &err));
        assert_int_equal(CM_CQL_KIND_PREPARED, parsed.kind);
        assert_true(cm_str_equal(CM_STR("identity"), parsed.prepared.id));
        assert_int_equal(version == 5 ? 8 : 0, parsed.prepared.metadata_id.len);
        assert_int_equal(2, parsed.prepared.key_count);
        assert_int_equal(1, parsed.prepared.keys[0]);
        assert_int_equal(0, parsed.prepared.keys[1]);
        assert_int_equal(2, parsed.bound.count);
        assert_true(cm_str_equal(CM_STR("ks"), parsed.bound.keyspace));
        check_cuts(&b, CM_CQL_OP_RESULT, version, 0);
        cm_buf_free(&b);
        cm_cql_parsed_free(&parsed);
    }
}

static void test_cut_messages(void **state)
{
    cm_buf_t b = CM_BUF_INIT;

    (void)state;
    build_rows(&b);
    check_cuts(&b, CM_CQL_OP_RESULT, 4, PRELUDE);
    cm_buf_clear(&b);
    cm_cql_add_i32(&b, 0x1000);
    cm_cql_add_string(&b, CM_STR("Cannot achieve consistency level QUORUM"));
    cm_cql_add_u16(&b, 4);
    cm_cql_add_i32(&b, 2);
    cm_cql_add_i32(&b, 1);
    check_cuts(&b, CM_CQL_OP_ERROR, 5, 0);
    cm_buf_clear(&b);
    cm_cql_add_i32(&b, 0x2500);
    cm_cql_add_string(&b, CM_STR("unknown"));
    cm_cql_add_string(&b, CM_STR("id"));
    check_cuts(&b, CM_CQL_OP_ERROR, 4, 0);
    cm_buf_free(&b);
}

static void test_events(void **state)
{
    cm_buf_t b = CM_BUF_INIT;
    cm_cql_event_t event;
    cm_err_t err;

    (void)state;
    cm_cql_add_string(&b, CM_STR("STATUS_CHANGE"));
    cm_cql_add_string(&b, CM_STR("DOWN"));
    cm_cql_add_u8(&b, 4);
    cm_buf_add(&b, "\x7f\0\0\2", 4);
    cm_cql_add_i32(&b, 9042);
    assert_int_equal(0, cm_cql_parse_event((cm_str_t){b.data, b.len}, &event, &err));
    assert_true(cm_str_equal(CM_STR("DOWN"), event.change));
    assert_int_equal(4, event.address.len);
    assert_int_equal(9042, event.port);
    for (size_t len = 0; len < b.len; len++)
        assert_int_equal(CM_ECORRUPT, cm_cql_parse_event((cm_str_t){b.data, len}, &event, &err));
    cm_buf_clear(&b);
    cm_cql_add_string(&b, CM_STR("SCHEMA_CHANGE"));
    cm_cql_add_string(&b, CM_STR("CREATED"));
    cm_cql_add_string(&b, CM_STR("TABLE"));
    cm_cql_add_string(&b, CM_STR("ks"));
    cm_cql_add_string(&b, CM_STR("tab"));
    assert_int_equal(0, cm_cql_parse_event((cm_str_t){b.data, b.len}, &event, &err));
    assert_true(cm_str_equal(CM_STR("ks"), event.keyspace));
    cm_buf_free(&b);
}

/* The bytes of a QUERY's parameters, in both versions. */
static void test_parameters(void **state)
{
    cm_cql_value_t values[] = {cm_cql_text(CM_STR("ab")), cm_cql_i32(258), cm_cql_null(),
                               cm_cql_unset(), cm_cql_bool(true)};
    cm_buf_t b = CM_BUF_INIT, v = CM_BUF_INIT;

    (void)state;
    cm_cql_add_values(&v, values, 5);
    assert_int_equal(2 + 4 * 5 + 2 + 4 + 1, v.len);
    assert_memory_equal("\0\5\0\0\0\2ab\0\0\0\4\0\0\1\2\xff\xff\xff\xff\xff\xff\xff\xfe\0\0\0\1\1",
                        v.data, v.len);
    cm_cql_parameters_t p = {.consistency = 6,
                             .serial = 8,
                             .page_size = 10,
                             .paging_state = CM_STR("xy"),
                             .timestamp_us = 5,
                             .values = CM_STR("\0\1\0\0\0\1z")};
    cm_cql_add_parameters(&b, 4, &p);
    assert_int_equal(30, b.len);
    assert_memory_equal("\0\6\x3d\0\1\0\0\0\1z\0\0\0\x0a\0\0\0\2xy\0\x08\0\0\0\0\0\0\0\5", b.data,
                        30);
    cm_buf_clear(&b);
    cm_cql_add_parameters(&b, 5, &p);
    assert_memory_equal("\0\6\0\0\0\x3d\0\1\0\0\0\1z", b.data, 13);
    cm_buf_free(&b);
    cm_buf_free(&v);
}

static void test_names(void **state)
{
    cm_cql_consistency_t consistency;

    (void)state;
    assert_true(cm_cql_consistency_parse(CM_STR("local_quorum"), &consistency));
    assert_int_equal(CM_CQL_LOCAL_QUORUM, consistency);
    assert_string_equal("LOCAL_QUORUM", cm_cql_consistency_name(consistency));
    assert_false(cm_cql_consistency_parse(CM_STR("MOST"), &consistency));
    assert_string_equal("overloaded", cm_cql_server_code_name(0x1001));
    assert_string_equal("unknown", cm_cql_server_code_name(0x4242));
    assert_string_equal("timeout", cm_cql_code_name(CM_CQL_TIMEOUT));
    assert_string_equal("memory", cm_cql_code_name(CM_CQL_MEMORY));
}

/* ---- timers ---- */

typedef struct alarm_ {
    cm_cql_timer_t timer;
    int64_t fired;
} alarm_t;

static int64_t now;

static void on_alarm(cm_cql_timer_t *timer)
{
    ((alarm_t *)timer)->fired = now;
}

/* A thousand timers of up to a minute: each fires in its own millisecond; the wheel never waits
 * beyond one. */
static void test_wheel(void **state)
{
    enum { COUNT = 1000 };
    static cm_cql_wheel_t wheel;
    static alarm_t alarms[COUNT];
    uint64_t random = 7;
    int fired = 0;

    (void)state;
    now = 123456;
    cm_cql_wheel_init(&wheel, now);
    assert_int_equal(-1, cm_cql_wheel_wait(&wheel, now));
    for (int i = 0; i < COUNT; i++) {
        alarms[i] = (alarm_t){.timer.fire = on_alarm};
        cm_cql_timer_set(&wheel, &alarms[i].timer, now + (int64_t)(test_random(&random) % 60000));
        if (i % 10 == 0)
            cm_cql_timer_stop(&wheel, &alarms[i].timer);
    }
    while (wheel.count > 0) {
        int wait = cm_cql_wheel_wait(&wheel, now);
        assert_true(wait >= 0);
        now += wait;
        cm_cql_wheel_advance(&wheel, now);
        assert_true(now < 200000);
    }
    for (int i = 0; i < COUNT; i++) {
        if (i % 10 != 0) {
            assert_int_equal(alarms[i].timer.at, alarms[i].fired);
            fired++;
        } else {
            assert_int_equal(0, alarms[i].fired);
        }
    }
    assert_int_equal(900, fired);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc24),
        cmocka_unit_test(test_crc32),
        cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_frames),
        cmocka_unit_test(test_every_bit_is_checked),
        cmocka_unit_test(test_frames_refused),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_prepared),
        cmocka_unit_test(test_cut_messages),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_wheel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
