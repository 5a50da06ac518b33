/* Opening a store: the only place where its engine is chosen.
 *
 * A data directory always has a store of its own, on the embedded engine: there are the answers,
 * the secret of the visitors and the dead letters, also when the events are in Cassandra. The
 * caller owns what is opened here and closes it. For any thread; a store itself is used by one. */
#ifndef CM_STORE_OPEN_H
#define CM_STORE_OPEN_H

#include "base/clock.h"
#include "cassandra/client.h"
#include "store/options.h"
#include "store/reading.h"
#include "store/store.h"

#include <stdio.h>

/* Borrowed by what is opened with it, until that is closed. */
typedef struct cm_store_settings {
    cm_store_choice_t engine;
    const char *data_dir;      /* of the embedded store, and of the copy of Cassandra's table */
    const cm_clock_t *clock;   /* of write times and dead letters; NULL: the real one */
    const cm_log_t *log;       /* gets debug entries; NULL: none */
    const cm_waiter_t *waiter; /* for servers; NULL: waits without end */
    cm_cassandra_settings_t cassandra;
    int64_t memory; /* bytes that rows which have changed may take while they are read */
} cm_store_settings_t;

/* Appends where the store is, as it stands in a sentence: "data", "Cassandra at HOSTS, table
 * KEYSPACE.TABLE". */
void cm_store_describe(const cm_store_settings_t *settings, cm_buf_t *text);

/* What sentences call the engine: "Cassandra". */
const char *cm_store_engine(const cm_store_settings_t *settings);

/* Whether the events are in the data directory's own store. */
bool cm_store_in_data_dir(const cm_store_settings_t *settings);

/* The table on servers that holds the events, for another program that reads it (borrowed from
 * `settings`); NULL when they are in the data directory. */
const cm_cassandra_settings_t *cm_store_table(const cm_store_settings_t *settings);

/* Opens the store for writing; what is missing is made where the settings allow it. CM_EBUSY when
 * another process has the data directory; CM_EAWAY, CM_EUSAGE, CM_EINPUT, CM_ESTOP and the errors
 * of files. */
int cm_store_open(const cm_store_settings_t *settings, cm_store_t **store, cm_err_t *err);

/* Opens the store for reading, beside writers; nothing is made. CM_EINPUT when there is none. */
int cm_store_open_read(const cm_store_settings_t *settings, cm_store_t **store, cm_err_t *err);

/* ---- all events ---- */

/* Whether reading all events keeps a copy in the data directory: its own store must then be open
 * for writing, so that no other process does the same. */
bool cm_store_keeps_copy(const cm_store_settings_t *settings);

/* All events that are there now, as a store for the mill; `rebuild`: nothing that an earlier
 * reading has kept is used. `*events` is NULL when they are in the data directory's own store. */
int cm_store_open_events(const cm_store_settings_t *settings, bool rebuild, cm_store_t **events,
                         cm_store_reading_t *reading, cm_err_t *err);

/* All events that are there now, for `verify`; where only Clickmill may write them, rows that
 * another program has written are counted. cm_store_is_directory() says whether events may still be
 * added to `*events`. */
int cm_store_open_verified(const cm_store_settings_t *settings, cm_store_t **events,
                           cm_store_foreign_t *foreign, cm_err_t *err);

/* ---- the data directory's own store ---- */

/* Opens or creates it for writing, and takes the lock of the directory: CM_EBUSY when another
 * process has it. */
int cm_store_open_directory(const char *data_dir, const cm_clock_t *clock, cm_store_t **store,
                            cm_err_t *err);

/* Opens it for reading, beside a writer or without one: for readers, dead letters and what is
 * recorded of ids of visitors (cm_store_daily()) and of hosts (cm_store_sites()), not for anything
 * else. CM_EINPUT when there is no
 * store yet. */
int cm_store_open_directory_read(const char *data_dir, cm_store_t **store, cm_err_t *err);

/* Opens it for writing as cm_store_open_directory() does, or where another process has it and
 * shares it (cm_store_share()), a way to that process: events, dead letters and positions are put
 * and committed, secret and older row keys are known, and nothing else is there. `messages` gets a
 * line when a wait for that process is long; once `stop` is set such a wait ends after some
 * seconds. CM_EBUSY when that process does not share it. */
int cm_store_open_shared(const char *data_dir, const cm_clock_t *clock, const atomic_bool *stop,
                         FILE *messages, cm_store_t **store, cm_err_t *err);

/* The process that holds the directory of a store from cm_store_open_shared(); 0: this one. */
long cm_store_holder(const cm_store_t *store);

/* Whether that process keeps the answers up to date. */
bool cm_store_holder_answers(const cm_store_t *store);

/* cm_store_secret() and cm_store_older_keys() of a directory that is not open here: read beside the
 * process that writes it, and made and recorded when they are not there yet. */
int cm_store_secret_of(const char *data_dir, uint8_t secret[CM_STORE_SECRET], cm_err_t *err);
int cm_store_older_keys_of(const char *data_dir, bool *older, cm_err_t *err);

/* The secret of a directory when it was made already: `*found`. Nothing is made. */
int cm_store_find_secret(const char *data_dir, uint8_t secret[CM_STORE_SECRET], bool *found,
                         cm_err_t *err);

/* Appends the payload of a dead letter, encrypted with the secret, because it may hold a person's
 * address. `secret`: CM_STORE_SECRET bytes. CM_EINTERNAL. */
int cm_store_seal(void *secret, cm_str_t payload, cm_buf_t *out, cm_err_t *err);

/* Appends the payload that was sealed; false when it was not, or with another secret. */
bool cm_store_unseal(const uint8_t secret[CM_STORE_SECRET], cm_str_t sealed, cm_buf_t *out);

#endif
