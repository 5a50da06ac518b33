/* Outlet: a Kafka topic as the sink of a command that ends, such as `produce` and `import`.
 *
 * Events that Kafka refuses permanently become dead letters of the data directory. A broker that
 * does not answer is waited for; after a stop not longer than 5 s. Used by one thread. */
#ifndef CM_PIPELINE_OUTLET_H
#define CM_PIPELINE_OUTLET_H

#include "kafka/waiter.h"
#include "pipeline/letters.h"
#include "sink/options.h"

/* Must not move while it is open. */
typedef struct cm_outlet {
    cm_kafka_settings_t kafka;
    cm_kafka_waiter_t waiter;
    cm_letters_t letters;
    cm_sink_t *sink; /* keeps no positions, and needs a commit only at the end */
} cm_outlet_t;

/* `secret`: the key with which dead letters are sealed that have what identifies a visitor; NULL:
 * none have. All arguments are borrowed. The errors of cm_sink_kafka_open(). To be closed also
 * after a failure. */
int cm_outlet_open(cm_outlet_t *outlet, const cm_pipeline_env_t *env, const char *data_dir,
                   const cm_sink_options_t *options, uint8_t *secret, cm_err_t *err);

/* Prints the account, and what became of the messages: sentences, or where `json` is not NULL one
 * object to it. */
void cm_outlet_print(const cm_outlet_t *outlet, const cm_account_t *account, FILE *json);

void cm_outlet_close(cm_outlet_t *outlet);

#endif
