/* The format of a foreign message is named, with what to do. */
#include "support.h"

#include "source/kafka/envelope.h"

#define REGISTERED                                                                                 \
    " in the wire format of a schema registry (schema 17); give the registry's URL in "            \
    "kafka.registry, or write plain JSON"
#define AVRO "Avro" REGISTERED
#define JSON "JSON" REGISTERED
#define PROTOBUF                                                                                   \
    "Protobuf in the wire format of a schema registry (schema 17), which is not read; write Avro " \
    "or JSON"
#define LONG                                                                                       \
    "a schema id of eight bytes, as Apicurio Registry writes it (schema 17); set "                 \
    "apicurio.registry.as-confluent=true in the producer"
#define GLUE                                                                                       \
    "the wire format of AWS Glue's schema registry; write plain JSON, or convert it on its way "   \
    "into this topic"
#define SINGLE                                                                                     \
    "Avro in its single-object encoding; write plain JSON, or convert it on its way into "         \
    "this topic"
#define CONNECT                                                                                    \
    "an envelope of Kafka Connect, with schema and payload; set "                                  \
    "value.converter.schemas.enable=false in the connector"
#define DEBEZIUM                                                                                   \
    "a change event of Debezium; unwrap it in the connector (transform "                           \
    "ExtractNewRecordState)"
#define BOTH                                                                                       \
    "a change event of Debezium in an envelope of Kafka Connect; unwrap it in the connector "      \
    "(transform ExtractNewRecordState, value.converter.schemas.enable=false)"

#define ID "\0\0\0\0\x11"
#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const struct {
    cm_str_t value;
    const char *name;
} messages[] = {
    /* A record of the strings "u1" and "/a" and the time 1747476303123. */
    {BYTES(ID "\x04u1\x04/a\xA6\xB8\xD6\xC9\xDB\x65"), AVRO},
    {BYTES(ID "\x02\x04u1"), AVRO}, /* a union's second branch */
    {BYTES(ID "\0\x0A\x02u1\x12\x02/a\x18\xD3\x9B\xEB\xE4\xED\x32"), PROTOBUF},
    {BYTES(ID "\x04\x02\0\x0A\x02u1"), PROTOBUF}, /* the first message in the second one */
    {BYTES(ID "\0\x0A\x7Fu1"), AVRO}, /* a field that is longer than the whole message */
    {BYTES(ID "\0"), AVRO},
    {BYTES(ID "{\"user_id\":\"u\"}"), JSON},
    {BYTES(ID "[1]"), JSON},
    {BYTES(ID), ""},
    {BYTES("\0\0\0\0\0xyz"), ""},   /* no schema has the id 0 */
    {BYTES("\0\xFF\0\0\1xyz"), ""}, /* or a negative one */
    {BYTES("\0\0\0\0" ID "x"), LONG},
    {BYTES("\x03\x05"
           "1234567890123456x"),
     GLUE},
    {BYTES("\xC3\x01"
           "12345678u1"),
     SINGLE},
    {BYTES("{\"schema\":{\"type\":\"struct\"},\"payload\":{\"user_id\":\"u\",\"before\":1}}"),
     CONNECT},
    {BYTES("{\"schema\":null,\"payload\":null}"), CONNECT},
    {BYTES("{\"payload\" : \"a\\\"}\", \"schema\" : null}"), CONNECT},
    {BYTES(
         "{\"before\":null,\"after\":{\"user_id\":\"u\"},\"source\":{\"db\":\"x\"},\"op\":\"c\"}"),
     DEBEZIUM},
    {BYTES("{\"op\":\"d\",\"before\":{\"user_id\":\"u\"}}"), DEBEZIUM},
    {BYTES("{\"schema\":{\"fields\":[{\"field\":\"op\"}]},\"payload\":{\"op\":\"u\",\"before\":{},"
           "\"after\":{}}}"),
     BOTH},
    {BYTES(" {\"payload\":{\"after\":{},\"op\":\"r\"},\"schema\":{}} "), BOTH},
    /* Keys of nested objects, and strings, are not keys of this object. */
    {BYTES("{\"a\":{\"schema\":1,\"payload\":2}}"), ""},
    {BYTES("{\"a\":\"schema\",\"b\":\"payload\",\"op\":1}"), ""},
    {BYTES("{\"op\":\"schema\",\"payload\":{\"after\":1}}"), ""},
    {BYTES("[\"op\",\"before\"]"), ""},
    {BYTES("[{\"schema\":1,\"payload\":2}]"), ""},
    {BYTES("{\"schema\":1,\"payload\":[\"op\",\"after\"]}"), CONNECT},
    {BYTES("{\"schema\":1,\"payload\":\"a,{\",\"b\":{\"op\":1,\"after\":2}}"), CONNECT},
    {BYTES("{\"b\":{},\"schema\":{\"op\":1,\"after\":2},\"payload\":3}"), CONNECT},
    /* An event with another error: this error must be reported. */
    {BYTES("{\"user_id\":\"u\",\"schema\":\"v2\",\"payload\":{}}"), ""},
    {BYTES("{\"op\":\"click\",\"after\":3,\"url\":\"/\"}"), ""},
    {BYTES("{\"schema"), ""},
    {BYTES("{\"payload\":1,\"schema\\"), ""},
    {BYTES("{}"), ""},
    {BYTES("not json"), ""},
    {{"", 0}, ""},
};

static void names(void **state)
{
    char text[CM_ENVELOPE_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof messages / sizeof messages[0]; i++) {
        bool named = cm_envelope_name(messages[i].value, text);
        if (strcmp(text, messages[i].name) != 0)
            fail_msg("message %zu is \"%s\"", i, text);
        assert_int_equal(named, text[0] != '\0');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
