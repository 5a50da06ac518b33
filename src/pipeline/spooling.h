/* The way of collected events to Kafka: through a spool below the data directory. */
#ifndef CM_PIPELINE_SPOOLING_H
#define CM_PIPELINE_SPOOLING_H

#include "cmd/kafka.h"
#include "pipeline/letters.h"
#include "serve/collecting.h"
#include "store/embedded/spool.h"

/* Must not move while it is open. */
typedef struct cm_spooling {
    const cm_app_t *app;
    cm_kafka_settings_t kafka;
    cm_kafka_ends_t *ends;
    cm_letters_t *letters;
    atomic_uint_fast64_t dead; /* events that became dead letters */
    atomic_bool leave;         /* ends every wait for a broker; the program's stop does not */
    cm_spool_t *spool;         /* NULL: not open */
    /* of the drain */
    int64_t until_ns, shown_ns;
} cm_spooling_t;

/* Opens the spool, with `max_bytes` at most, and looks for Kafka, but does not wait long for it.
 * `ends` notes what Kafka has acknowledged, until this is closed; NULL: nobody asks.
 * `letters` takes the events that Kafka refuses for good. The errors of
 * cm_store_embedded_open(), and of cm_kafka_sink_open() but CM_EAWAY. */
int cm_spooling_open(cm_spooling_t *spooling, const cm_app_t *app, const cm_kafka_options_t *kafka,
                     int64_t max_bytes, cm_kafka_ends_t *ends, cm_letters_t *letters,
                     cm_err_t *err);

/* While Kafka is away, whoever looks sees it. */
void cm_spooling_note(cm_spooling_t *spooling, cm_collecting_t *collecting);

/* At the end, when nothing more is put: sends what is kept, and waits for Kafka up to `ms`, or
 * until the program is told once more to stop. Says so. What is left then is sent by the next
 * process. */
int cm_spooling_drain(cm_spooling_t *spooling, int64_t ms, cm_err_t *err);

/* Writes into the account what became of so many events that were collected, and of those that an
 * earlier process had left; nothing where there is no spool. */
void cm_spooling_count(const cm_spooling_t *spooling, uint64_t collected, cm_account_t *account);

void cm_spooling_close(cm_spooling_t *spooling);

#endif
