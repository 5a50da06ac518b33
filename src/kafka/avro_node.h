/* The types of a prepared Avro schema: built by avro_schema.c, walked by avro_decode.c. Only these
 * two include this. A schema is not changed once it is prepared, so any thread may read it. */
#ifndef CM_KAFKA_AVRO_NODE_H
#define CM_KAFKA_AVRO_NODE_H

#include "base/arena.h"
#include "kafka/avro.h"

/* How deep a schema or a value may be nested. */
enum { CM_KAFKA_AVRO_DEPTH = 64 };

typedef enum cm_kafka_avro_kind {
    CM_AVRO_NULL,
    CM_AVRO_BOOLEAN,
    CM_AVRO_INT,
    CM_AVRO_LONG,
    CM_AVRO_FLOAT,
    CM_AVRO_DOUBLE,
    CM_AVRO_BYTES,
    CM_AVRO_STRING,
    CM_AVRO_FIXED,
    CM_AVRO_ENUM,
    CM_AVRO_ARRAY,
    CM_AVRO_MAP,
    CM_AVRO_UNION,
    CM_AVRO_RECORD,
} cm_kafka_avro_kind_t;

/* Logical types that change the text; all others are their plain type. */
typedef enum cm_kafka_avro_logical {
    CM_AVRO_PLAIN,
    CM_AVRO_DECIMAL,
    CM_AVRO_UUID,       /* of fixed(16) */
    CM_AVRO_DATE,       /* days */
    CM_AVRO_TIME,       /* of day */
    CM_AVRO_TIMESTAMP,  /* UTC */
    CM_AVRO_LOCAL_TIME, /* a timestamp without a zone */
} cm_kafka_avro_logical_t;

typedef struct cm_kafka_avro_node cm_kafka_avro_node_t;

struct cm_kafka_avro_node {
    cm_kafka_avro_kind_t kind;
    cm_kafka_avro_logical_t logical;
    int digits;                   /* of a decimal: its scale; of a time: 3 for ms, 6 us, 9 ns */
    size_t size;                  /* bytes of a fixed */
    size_t count;                 /* of `items` and `names` */
    cm_kafka_avro_node_t **items; /* fields, branches; the one type of an array's or map's items */
    cm_str_t *names;              /* of a record's fields and an enum's symbols */
};

struct cm_kafka_avro {
    cm_arena_t arena; /* of the nodes */
    cm_kafka_avro_node_t *root;
};

#endif
