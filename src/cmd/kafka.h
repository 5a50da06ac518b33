/* Options that say where Kafka is, shared by all commands that use it. */
#ifndef CM_CMD_KAFKA_H
#define CM_CMD_KAFKA_H

#include "cmd/app.h"
#include "kafka/options.h"
#include "sink/kafka/sink.h"
#include "sink/options.h"

/* Ends the wait for a broker that is away when the program has been asked to stop a while ago. */
typedef struct cm_kafka_patience {
    cm_waiter_t waiter;
    const atomic_bool *stop;
    int64_t stop_ns;
} cm_kafka_patience_t;

/* Must not move afterwards. */
void cm_kafka_patience_start(cm_kafka_patience_t *patience, const cm_app_t *app);

/* Prints the account of a run into a Kafka sink, with what became of its messages: sentences, or
 * where --json asks one object. */
void cm_kafka_account_print(cm_app_t *app, const cm_account_t *account, const cm_sink_t *sink);

#endif
