/* Values of Avro, of a schema that the first byte chooses. Any bytes are refused with a sentence,
 * or become JSON text that a parser takes. */
#include "base/json.h"
#include "fuzz.h"
#include "kafka/avro.h"

static const char *const schemas[] = {
    /* An event with a bit of everything. */
    "{\"type\":\"record\",\"name\":\"Click\",\"namespace\":\"a.b\",\"fields\":["
    "{\"name\":\"user_id\",\"type\":\"string\"},"
    "{\"name\":\"timestamp\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-micros\"}},"
    "{\"name\":\"device\",\"type\":[\"null\",{\"type\":\"enum\",\"name\":\"D\",\"symbols\":[\"A\","
    "\"B\"]}]},"
    "{\"name\":\"price\",\"type\":{\"type\":\"bytes\",\"logicalType\":\"decimal\",\"precision\":20,"
    "\"scale\":4}},"
    "{\"name\":\"id\",\"type\":{\"type\":\"fixed\",\"name\":\"F\",\"size\":16,\"logicalType\":"
    "\"uuid\"}},"
    "{\"name\":\"props\",\"type\":{\"type\":\"map\",\"values\":[\"string\",\"double\",\"float\","
    "\"boolean\",\"null\"]}},"
    "{\"name\":\"tags\",\"type\":{\"type\":\"array\",\"items\":\"bytes\"}},"
    "{\"name\":\"day\",\"type\":{\"type\":\"int\",\"logicalType\":\"date\"}},"
    "{\"name\":\"at\",\"type\":{\"type\":\"int\",\"logicalType\":\"time-millis\"}}]}",
    /* Types inside themselves, and items without a byte. */
    "{\"type\":\"record\",\"name\":\"N\",\"fields\":[{\"name\":\"next\",\"type\":[\"null\",\"N\"]},"
    "{\"name\":\"all\",\"type\":{\"type\":\"array\",\"items\":\"N\"}}]}",
    "{\"type\":\"array\",\"items\":{\"type\":\"record\",\"name\":\"E\",\"fields\":[]}}",
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { SCHEMAS = sizeof schemas / sizeof *schemas };
    const cm_str_t schema = cm_str(schemas[size > 0 ? data[0] % SCHEMAS : 0]);
    cm_kafka_avro_t *avro = NULL;
    cm_buf_t json = CM_BUF_INIT;
    cm_err_t err = {0};

    FUZZ_CHECK(cm_kafka_avro_new(&schema, 1, &avro, &err) == 0);
    const size_t len = size > 0 ? size - 1 : 0;
    char *value = fuzz_copy(data + (size > 0), len, 0, 0);
    int rc = cm_kafka_avro_decode(avro, (cm_str_t){value, len}, &json, &err);
    if (rc == 0) {
        cm_json_parser_t *parser = cm_json_parser_new();
        cm_json_t root;
        FUZZ_CHECK(cm_json_parse(parser, (cm_str_t){json.data, json.len}, &root));
        cm_json_parser_free(parser);
    } else {
        fuzz_check_refusal(rc, CM_EREJECT, &err);
    }
    free(value);
    cm_buf_free(&json);
    cm_kafka_avro_free(avro);
    return 0;
}
