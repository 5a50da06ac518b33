/* Recognises messages that other programs write in other formats, so that the dead letter says what
 * to do: tombstones; Avro, Protobuf and JSON with the prefix of a schema registry, where none is
 * configured; Avro with its own prefix; the envelopes of Kafka Connect and Debezium. None is
 * unpacked.
 *
 * Pure functions, for any thread. The format is found by the bytes. Between Avro and Protobuf this
 * is a guess: neither of them has a mark of its own. */
#ifndef CM_SOURCE_KAFKA_ENVELOPE_H
#define CM_SOURCE_KAFKA_ENVELOPE_H

#include "base/str.h"

enum { CM_ENVELOPE_TEXT = 200 };

/* The reason of a message without a value. */
extern const char cm_envelope_tombstone[];

/* Writes what the value of a message is, and what to do. "" and false when it is none of these. */
bool cm_envelope_name(cm_str_t value, char text[CM_ENVELOPE_TEXT]);

#endif
