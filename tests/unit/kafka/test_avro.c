/* Avro values as JSON text: each type of the specification, logical types, references, and values
 * that are not of their schema. */
#include "support.h"

#include "kafka/avro.h"

#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
#define RECORD(fields)         "{\"type\":\"record\",\"name\":\"R\",\"fields\":[" fields "]}"
#define FIELD(name, type)      "{\"name\":\"" name "\",\"type\":" type "}"
#define LOGICAL(type, logical) "{\"type\":\"" type "\",\"logicalType\":\"" logical "\"}"
#define DECIMAL(scale)                                                                             \
    "{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":40,\"scale\":" scale "}"
#define NOT "not a value of the Avro schema: "

/* A schema, a value, and the JSON text or the reason of the refusal. */
static const struct {
    const char *schema;
    cm_str_t value;
    const char *json;
} values[] = {
    {"\"null\"", BYTES(""), "null"},
    {"\"boolean\"", BYTES("\x01"), "true"},
    {"\"boolean\"", BYTES("\0"), "false"},
    {"\"boolean\"", BYTES("\x02"), NOT "a boolean is neither 0 nor 1"},
    {"\"int\"", BYTES("\x01"), "-1"},
    {"\"int\"", BYTES("\xFE\xFF\xFF\xFF\x0F"), "2147483647"},
    {"\"int\"", BYTES("\x80\x80\x80\x80\x10"), NOT "an int has more than 32 bits"},
    {"\"long\"", BYTES("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), "-9223372036854775808"},
    {"\"long\"", BYTES("\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), "9223372036854775807"},
    {"\"long\"", BYTES("\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02"),
     NOT "a number has more than 64 bits"},
    {"\"long\"", BYTES("\x80"), NOT "it ends too early"},
    {"\"long\"", BYTES("\x02\x02"), NOT "1 bytes are left after its end"},
    {"\"float\"", BYTES("\x0A\xD7\x1F\x41"), "9.99"},
    {"\"float\"", BYTES("\0\0\x80\x7F"), "\"Infinity\""},
    {"\"double\"", BYTES("\x7B\x14\xAE\x47\xE1\xFA\x23\x40"), "9.99"},
    {"\"double\"", BYTES("\0\0\0\0\0\0\xF8\x7F"), "\"NaN\""},
    {"\"double\"", BYTES("\0\0\0\0\0\0\xF0\xFF"), "\"-Infinity\""},
    {"\"double\"", BYTES("\0\0\0"), NOT "it ends too early"},
    {"\"string\"", BYTES("\x0A\"\\\n\xC3\xA9"), "\"\\\"\\\\\\n\xC3\xA9\""},
    {"\"string\"", BYTES("\0"), "\"\""},
    {"\"string\"", BYTES("\x02\xE9"), NOT "a string is not UTF-8"},
    {"\"string\"", BYTES("\x04x"), NOT "it ends too early"},
    {"\"string\"", BYTES("\x01"), NOT "a length is negative"},
    {"\"bytes\"", BYTES("\x06\0\xFFz"), "\"AP96\""},
    {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":2}", BYTES("\x01\x02"), "\"AQI=\""},
    {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"],\"default\":\"A\"}",
     BYTES("\x02"), "\"B\""},
    /* The default is for readers of older schemas: in a value of this schema it is an error. */
    {"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"],\"default\":\"A\"}",
     BYTES("\x04"), NOT "symbol 2 of an enum of 2"},
    {"[\"null\",\"string\"]", BYTES("\0"), "null"},
    {"[\"null\",\"string\"]", BYTES("\x02\x02x"), "\"x\""},
    {"[\"string\",\"null\"]", BYTES("\x02"), "null"}, /* null need not be the first branch */
    {"[\"null\",\"string\"]", BYTES("\x04\x02x"), NOT "branch 2 of a union of 2"},
    {"[\"null\",\"string\"]", BYTES("\x01"), NOT "branch -1 of a union of 2"},
    {"{\"type\":\"array\",\"items\":\"int\"}", BYTES("\x04\x02\x04\x02\x06\0"), "[1,2,3]"},
    /* A block with its size in bytes. */
    {"{\"type\":\"array\",\"items\":\"int\"}", BYTES("\x03\x04\x02\x04\0"), "[1,2]"},
    {"{\"type\":\"array\",\"items\":\"int\"}", BYTES("\0"), "[]"},
    {"{\"type\":\"array\",\"items\":\"int\"}", BYTES("\x03\xC8\x01\x02\x04\0"),
     NOT "it ends too early"},
    {"{\"type\":\"array\",\"items\":\"int\"}", BYTES("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\0"),
     NOT "a number of items is not valid"},
    /* Items without a byte: the length of the text is the limit. */
    {"{\"type\":\"array\",\"items\":\"null\"}", BYTES("\x06\0"), "[null,null,null]"},
    {"{\"type\":\"array\",\"items\":\"null\"}", BYTES("\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\0"),
     NOT "it is longer than 16 MiB as JSON"},
    {"{\"type\":\"map\",\"values\":\"long\"}",
     BYTES("\x04\x02"
           "a\x02\x02"
           "b\x04\0"),
     "{\"a\":1,\"b\":2}"},
    {RECORD(FIELD("a", "\"int\"") "," FIELD("b", "[\"null\",\"string\"]")), BYTES("\x02\0"),
     "{\"a\":1,\"b\":null}"},
    {RECORD(FIELD("p", "{\"type\":\"record\",\"name\":\"P\",\"fields\":[" FIELD(
                           "q", "{\"type\":\"map\",\"values\":[\"null\",\"string\"]}") "]}")),
     BYTES("\x02\x02k\x02\x02\xFF\0"), NOT "at p.q: a string is not UTF-8"},
    {RECORD(""), BYTES(""), "{}"},
    /* Logical types. */
    {LOGICAL("int", "date"), BYTES("\xB2\xA5\x02"), "\"2021-05-30\""},
    {LOGICAL("int", "date"), BYTES("\xFF\xFF\xFF\xFF\x0F"), "-2147483648"},
    {LOGICAL("int", "time-millis"), BYTES("\xA0\x9C\x01"), "\"00:00:10\""},
    {LOGICAL("long", "time-micros"), BYTES("\x06"), "\"00:00:00.000003\""},
    {LOGICAL("long", "time-micros"), BYTES("\x01"), "-1"},
    {LOGICAL("long", "timestamp-millis"), BYTES("\xA6\xB4\xA2\xDB\xDB\x65"),
     "\"2025-05-17T10:05:03.123Z\""},
    {LOGICAL("long", "timestamp-millis"), BYTES("\x01"), "\"1969-12-31T23:59:59.999Z\""},
    {LOGICAL("long", "timestamp-micros"), BYTES("\x02"), "\"1970-01-01T00:00:00.000001Z\""},
    {LOGICAL("long", "timestamp-nanos"), BYTES("\x02"), "\"1970-01-01T00:00:00.000000001Z\""},
    {LOGICAL("long", "local-timestamp-millis"), BYTES("\0"), "\"1970-01-01T00:00:00\""},
    {LOGICAL("long", "timestamp-millis"), BYTES("\xFE\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),
     "9223372036854775807"},                                  /* after the year 9999 */
    {LOGICAL("int", "timestamp-millis"), BYTES("\x02"), "1"}, /* only a long can be one */
    {LOGICAL("string", "uuid"), BYTES("\x02u"), "\"u\""},
    {LOGICAL("string", "made-up"), BYTES("\x02u"), "\"u\""},
    {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":16,\"logicalType\":\"uuid\"}",
     BYTES("\x12\x3E\x45\x67\xE8\x9B\x12\xD3\xA4\x56\x42\x66\x14\x17\x40\0"),
     "\"123e4567-e89b-12d3-a456-426614174000\""},
    {DECIMAL("2"), BYTES("\x04\x04\xE2"), "12.50"},
    {DECIMAL("2"), BYTES("\x04\xFB\x1E"), "-12.50"},
    {DECIMAL("2"), BYTES("\x02\xFF"), "-0.01"},
    {DECIMAL("2"), BYTES("\x02\0"), "0.00"},
    {DECIMAL("0"), BYTES("\x02\x80"), "-128"},
    {DECIMAL("0"), BYTES("\x20\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"),
     "170141183460469231731687303715884105727"},
    {DECIMAL("10"), BYTES("\x12\0\x8A\xC7\x23\x04\x89\xE8\0\0"), "1000000000.0000000000"},
    {DECIMAL("2"), BYTES("\0"), NOT "a decimal of 0 bytes; 1 to 64 are read"},
    /* Without a precision it is no decimal, by the specification. */
    {"{\"type\":\"bytes\",\"logicalType\":\"decimal\"}", BYTES("\x04\x04\xE2"), "\"BOI=\""},
    {"{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":2,\"scale\":3}",
     BYTES("\x04\x04\xE2"), "\"BOI=\""},
    /* A name that was defined before, with its logical type; and a type inside itself. */
    {RECORD(FIELD("a", "{\"type\":\"fixed\",\"name\":\"F\",\"size\":1,\"logicalType\":\"decimal\","
                       "\"precision\":2,\"scale\":1}") "," FIELD("b", "\"F\"")),
     BYTES("\x05\x06"), "{\"a\":0.5,\"b\":0.6}"},
    {RECORD(FIELD("v", "\"int\"") "," FIELD("next", "[\"null\",\"R\"]")), BYTES("\x02\x02\x04\0"),
     "{\"v\":1,\"next\":{\"v\":2,\"next\":null}}"},
};

static void each_value(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        const cm_str_t schema = cm_str(values[i].schema);
        cm_kafka_avro_t *avro = NULL;
        cm_buf_t json = CM_BUF_INIT;
        cm_err_t err;
        assert_ok(cm_kafka_avro_new(&schema, 1, &avro, &err), err);
        int rc = cm_kafka_avro_decode(avro, values[i].value, &json, &err);
        const char *got = rc == 0 ? json.data : err.text;
        if (strcmp(got, values[i].json) != 0)
            fail_msg("value %zu of %s is %.200s, not %s", i, values[i].schema, got, values[i].json);
        assert_int_equal(rc, strncmp(got, NOT, strlen(NOT)) == 0 ? CM_EREJECT : 0);
        cm_kafka_avro_free(avro);
        cm_buf_free(&json);
    }
}

/* Depth is limited: a list of a thousand elements, each inside the one before. */
static void depth(void **state)
{
    const cm_str_t schema = CM_STR(RECORD(FIELD("next", "[\"null\",\"R\"]")));
    char value[1001];
    cm_kafka_avro_t *avro = NULL;
    cm_buf_t json = CM_BUF_INIT;
    cm_err_t err;

    (void)state;
    memset(value, 2, 1000);
    value[1000] = 0;
    assert_ok(cm_kafka_avro_new(&schema, 1, &avro, &err), err);
    assert_int_equal(cm_kafka_avro_decode(avro, (cm_str_t){value, 1001}, &json, &err), CM_EREJECT);
    assert_non_null(strstr(err.text, "next.next: it is nested too deep"));
    cm_kafka_avro_free(avro);
    cm_buf_free(&json);
}

#define CANNOT "the Avro schema cannot be used: "

static const struct {
    const char *schema, *reason;
} wrong[] = {
    {"{", CANNOT "it is not JSON"},
    {"\"int\"},{\"name\":\"x\",\"type\":\"int\"", CANNOT "it is not JSON"},
    {"\"Nope\"", CANNOT "Unknown Avro \"type\": Nope"},
    {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":-2}", CANNOT "a fixed type has no valid size"},
    {"{\"type\":\"fixed\",\"name\":\"F\",\"size\":4611686018427387904}",
     CANNOT "a fixed type has no valid size"},
    {RECORD(FIELD("a-b", "\"int\"")), CANNOT "Invalid Avro identifier"},
};

static void wrong_schemas(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        const cm_str_t schema = cm_str(wrong[i].schema);
        cm_kafka_avro_t *avro = NULL;
        cm_err_t err;
        assert_int_equal(cm_kafka_avro_new(&schema, 1, &avro, &err), CM_EREJECT);
        assert_string_equal(err.text, wrong[i].reason);
        assert_null(avro);
    }
}

/* A schema that uses names of another subject, by its full name and inside its own name space. */
static void references(void **state)
{
    const cm_str_t texts[] = {
        CM_STR("{\"type\":\"enum\",\"name\":\"Plan\",\"namespace\":\"com.a\",\"symbols\":[\"FREE\","
               "\"PRO\"]}"),
        CM_STR("{\"type\":\"record\",\"name\":\"Attributes\",\"namespace\":\"com.b\",\"fields\":["
               "{\"name\":\"plan\",\"type\":\"com.a.Plan\"}]}"),
        CM_STR("{\"type\":\"record\",\"name\":\"Click\",\"namespace\":\"com.b\",\"fields\":["
               "{\"name\":\"user\",\"type\":\"string\"},"
               "{\"name\":\"props\",\"type\":[\"null\",\"Attributes\"]}]}"),
    };
    cm_kafka_avro_t *avro = NULL;
    cm_buf_t json = CM_BUF_INIT;
    cm_err_t err;

    (void)state;
    assert_ok(cm_kafka_avro_new(texts, 3, &avro, &err), err);
    assert_ok(cm_kafka_avro_decode(avro, CM_STR("\x04u1\x02\x02"), &json, &err), err);
    assert_string_equal(json.data, "{\"user\":\"u1\",\"props\":{\"plan\":\"PRO\"}}");
    cm_kafka_avro_free(avro);
    assert_int_equal(cm_kafka_avro_new(texts + 1, 2, &avro, &err), CM_EREJECT);
    assert_string_equal(err.text, CANNOT "Unknown Avro \"type\": com.a.Plan");
    cm_buf_free(&json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_value),
        cmocka_unit_test(depth),
        cmocka_unit_test(wrong_schemas),
        cmocka_unit_test(references),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
