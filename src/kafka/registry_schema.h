/* A schema on its way from the registry: its text, and the texts of the schemas that it refers to,
 * are fetched one after the other. Only the registry's files include this. One thread. */
#ifndef CM_KAFKA_REGISTRY_SCHEMA_H
#define CM_KAFKA_REGISTRY_SCHEMA_H

#include "base/json.h"
#include "kafka/avro.h"
#include "kafka/registry_fetch.h"

/* What the registry says of an id. */
typedef struct cm_kafka_schema {
    uint32_t id;
    bool is_json;          /* values are JSON text */
    cm_kafka_avro_t *avro; /* values are of this schema */
    char *refused;         /* neither: why no value can be read */
    int64_t expires_ns;    /* when the registry is to be asked again; 0: never */
} cm_kafka_schema_t;

typedef struct cm_kafka_schema_text cm_kafka_schema_text_t;

/* All zero is unused. */
typedef struct cm_kafka_schema_job {
    uint32_t id;                   /* 0: there is no job */
    cm_kafka_schema_text_t *texts; /* the schema's own is the first */
    size_t count, cap;
    bool asked_again;
    int64_t waited_ns; /* when a job last asked again for an id that was not known */
} cm_kafka_schema_job_t;

/* Goes on with the schema; one of another id is given up. 1: it is ready in `schema`, which the
 * caller owns; 0: call again. Waits for at most `wait_ms`. Errors as cm_kafka_fetch(). */
int cm_kafka_schema_get(cm_kafka_schema_job_t *job, cm_kafka_fetch_t *fetch,
                        cm_json_parser_t *parser, uint32_t id, int wait_ms,
                        cm_kafka_schema_t *schema, cm_err_t *err);

/* Gives the job up. */
void cm_kafka_schema_drop(cm_kafka_schema_job_t *job, cm_kafka_fetch_t *fetch);

#endif
