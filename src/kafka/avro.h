/* Avro values as JSON text, so that the parser of events reads them (docs/kafka.md).
 *
 * A schema is parsed by libavro and prepared once; its logical types, which libavro drops, are
 * added. Values are decoded by this room: libavro's reader trusts the lengths in a value and builds
 * a tree of allocations for each. A prepared schema owns its memory and does not change any more,
 * so any thread may decode with it. */
#ifndef CM_KAFKA_AVRO_H
#define CM_KAFKA_AVRO_H

#include "base/err.h"
#include "base/str.h"

typedef struct cm_kafka_avro cm_kafka_avro_t;

/* Prepares the last of the schemas, which are JSON texts; those before it define names that it
 * uses, each before its first use. CM_EREJECT with what is wrong. The caller frees it. */
int cm_kafka_avro_new(const cm_str_t *texts, size_t count, cm_kafka_avro_t **avro, cm_err_t *err);

void cm_kafka_avro_free(cm_kafka_avro_t *avro);

/* Appends the value as JSON: unions without their tag, enums as text, bytes and fixed in base64,
 * decimals as numbers with all digits, times as RFC 3339, NaN and infinities as text. CM_EREJECT
 * with the path of the field and the reason; then `json` has a part of the text. The binary format
 * is that of the Avro specification, 1.12, "Binary Encoding". */
int cm_kafka_avro_decode(const cm_kafka_avro_t *avro, cm_str_t value, cm_buf_t *json,
                         cm_err_t *err);

#endif
