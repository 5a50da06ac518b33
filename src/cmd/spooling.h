/* The way of collected events to Kafka: through a spool below the data directory. */
#ifndef CM_CMD_SPOOLING_H
#define CM_CMD_SPOOLING_H

#include "cmd/collecting.h"
#include "cmd/kafka.h"
#include "store/spool.h"

/* Must not move while it is open. */
typedef struct cm_spooling {
    const cm_app_t *app;
    cm_kafka_settings_t kafka;
    cm_spool_t *spool;
} cm_spooling_t;

/* Opens the spool, with `max_bytes` at most, and looks for Kafka, but does not wait long for it.
 * The errors of cm_embedded_open(), and of cm_kafka_sink_open() but CM_EAWAY. */
int cm_spooling_open(cm_spooling_t *spooling, const cm_app_t *app, const cm_kafka_options_t *kafka,
                     int64_t max_bytes, cm_err_t *err);

/* While Kafka is away, whoever looks sees it. */
void cm_spooling_note(cm_spooling_t *spooling, cm_collecting_t *collecting);

void cm_spooling_close(cm_spooling_t *spooling);

#endif
