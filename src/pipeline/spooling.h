/* Spooling: collected events go to Kafka through a spool below the data directory, which keeps them
 * while no broker answers.
 *
 * Opened, drained and closed by the thread that owns it; another thread may put events into the
 * sink of the spool meanwhile. */
#ifndef CM_PIPELINE_SPOOLING_H
#define CM_PIPELINE_SPOOLING_H

#include "kafka/options.h"
#include "pipeline/letters.h"
#include "sink/kafka/sink.h"
#include "store/embedded/spool.h"

/* Must not move while it is open. */
typedef struct cm_spooling {
    cm_pipeline_env_t env;
    cm_kafka_settings_t kafka;
    cm_kafka_ends_t *ends;
    cm_letters_t *letters;
    atomic_uint_fast64_t dead; /* events that became dead letters */
    atomic_bool leave;         /* ends every wait for a broker; the stop of the program does not */
    cm_spool_t *spool;         /* NULL: not open */
    /* of the drain */
    int64_t until_ns, shown_ns;
} cm_spooling_t;

/* Opens the spool, with `max_bytes` at most, and connects to Kafka; a broker that does not answer
 * is waited for 2 s only. `ends` notes what Kafka has acknowledged, until this is closed; NULL: it
 * is not noted. `letters` takes the events that Kafka refuses permanently. From now on the second
 * signal sets `hurry`. The errors of cm_store_open_directory(), and of cm_sink_kafka_open() except
 * CM_EAWAY. */
int cm_spooling_open(cm_spooling_t *spooling, const cm_pipeline_env_t *env, const char *data_dir,
                     const cm_kafka_options_t *kafka, int64_t max_bytes, cm_kafka_ends_t *ends,
                     cm_letters_t *letters, cm_err_t *err);

/* Writes into `text` of `size` bytes how many events wait for Kafka, and why; "" when none does.
 * False when there is no spool. */
bool cm_spooling_describe(const cm_spooling_t *spooling, char *text, size_t size);

/* At the end, when nothing more is put: sends what is kept. Waits for Kafka up to `ms`, or until a
 * second signal, with a status line. What is left then is sent by the next process. */
int cm_spooling_drain(cm_spooling_t *spooling, int64_t ms, cm_err_t *err);

/* Writes into the account what became of the `collected` events, and of those that an earlier
 * process had left. Without a spool it writes nothing. */
void cm_spooling_count(const cm_spooling_t *spooling, uint64_t collected, cm_account_t *account);

void cm_spooling_close(cm_spooling_t *spooling);

#endif
