/* A client of a schema registry: what a message in the registry's wire format (a byte 0, the id of
 * a schema in four bytes, the value) is as JSON text (docs/kafka.md).
 *
 * Uses two calls of the published API: a schema by its id, and a version of a subject, for
 * references. A schema never changes, so it is kept until the client is closed; that an id is not
 * known is kept for some seconds. The client belongs to the caller that opened it; one thread. */
#ifndef CM_KAFKA_REGISTRY_H
#define CM_KAFKA_REGISTRY_H

#include "kafka/client.h"

typedef struct cm_kafka_registry cm_kafka_registry_t;

/* Reads settings->registry and the rest about it; connects with the first schema. CM_EUSAGE. */
int cm_kafka_registry_open(const cm_kafka_settings_t *settings, cm_kafka_registry_t **registry,
                           cm_err_t *err);

void cm_kafka_registry_close(cm_kafka_registry_t *registry);

/* The id of the schema when the value is in the wire format; 0: it is not. */
uint32_t cm_kafka_registry_id(cm_str_t value);

/* Makes sure that the schema is known, or known not to be there. 1: it is; 0: the registry has not
 * answered yet, call again; waits for at most CM_KAFKA_REGISTRY_WAIT_MS. CM_EUSAGE when the
 * registry refuses the credentials or its certificate is not valid. */
int cm_kafka_registry_find(cm_kafka_registry_t *registry, uint32_t id, cm_err_t *err);

enum { CM_KAFKA_REGISTRY_WAIT_MS = 100 };

/* The same, and waits until the registry answers, for `limit_ms` at most: CM_EAWAY. CM_ESTOP when
 * the settings' `stop` is set. */
int cm_kafka_registry_wait(cm_kafka_registry_t *registry, uint32_t id, int64_t limit_ms,
                           cm_err_t *err);

/* Whether the registry that the settings name answers within their time limit; its answer about any
 * schema will do. 0, or the error of cm_kafka_registry_open() or cm_kafka_registry_wait(). */
int cm_kafka_registry_check(const cm_kafka_settings_t *settings, cm_err_t *err);

/* Makes JSON text of a value in the wire format, whose schema cm_kafka_registry_find() has found.
 * The text is a part of `value`, or in `scratch`. CM_EREJECT: the registry does not know the
 * schema, it is of a kind that is not read, or it is not that of the value. */
int cm_kafka_registry_text(const cm_kafka_registry_t *registry, cm_str_t value, cm_buf_t *scratch,
                           cm_str_t *text, cm_err_t *err);

/* Why the registry does not answer; NULL: it does, as far as is known. Until the next call. */
const char *cm_kafka_registry_trouble(const cm_kafka_registry_t *registry);

#endif
