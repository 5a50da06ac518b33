/* All events in Cassandra as a store for the mill.
 *
 * Each reading takes the whole table; or where only Clickmill's own writers write the table
 * (cassandra.only_writer), it takes what has changed since the last one, into a copy in the data
 * directory (mirror.h). One thread. */
#ifndef CM_STORE_CASSANDRA_EVENTS_H
#define CM_STORE_CASSANDRA_EVENTS_H

#include "base/clock.h"
#include "cassandra/client.h"
#include "store/reading.h"
#include "store/store.h"

typedef struct cm_store_cassandra_source {
    const cm_cassandra_settings_t *settings;
    const char
        *data_dir; /* of the copy; its own store is open, so no other process does the same */
    const cm_clock_t *clock;
    int64_t memory; /* bytes that changed rows may take */
} cm_store_cassandra_source_t;

/* As cm_store_open_events(); the caller closes `*events`. */
int cm_store_cassandra_events(const cm_store_cassandra_source_t *source, bool rebuild,
                              cm_store_t **events, cm_store_reading_t *reading, cm_err_t *err);

/* As cm_store_open_verified(). */
int cm_store_cassandra_verified(const cm_store_cassandra_source_t *source, cm_store_t **events,
                                cm_store_foreign_t *foreign, cm_err_t *err);

#endif
