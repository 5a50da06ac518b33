/* What a writer notes in the companion of the table (cassandra/changes.h): which rows it will send,
 * before it sends them, and later that they are acknowledged.
 *
 * An entry without its rows does no harm: a reader finds nothing new. A row without an entry would
 * never be found. So the table's writer is held (cm_cql_writer_options_t): its rows are released,
 * in order, when their entry is acknowledged. Entries and rows are sent at the same time; a row
 * waits one round trip longer, and no row waits for another row. An entry is settled when its rows
 * are acknowledged; the entries after it record this. One thread: the store's. */
#ifndef CM_STORE_CASSANDRA_LOG_H
#define CM_STORE_CASSANDRA_LOG_H

#include "cassandra/client.h"

typedef struct cm_store_cassandra_log cm_store_cassandra_log_t;

typedef struct cm_store_cassandra_log_options {
    const cm_cassandra_settings_t *settings;
    cm_cql_t *session;
    cm_cql_refused_t refused; /* of entries, as of rows */
    void *context;
    cm_cql_writer_t *rows; /* held; is released by this */
} cm_store_cassandra_log_options_t;

/* Makes the companion when it is missing and the settings allow it. */
int cm_store_cassandra_log_open(const cm_store_cassandra_log_options_t *options,
                                cm_store_cassandra_log_t **log, cm_err_t *err);

/* Notes the rows that will be added next, for the keys that are not NULL; `until` is how many rows
 * will have been added after them. CM_EBUSY: run the session, then call again. */
int cm_store_cassandra_log_add(cm_store_cassandra_log_t *log, const cm_str_t *keys, size_t count,
                               int64_t first_us, int64_t last_us, uint64_t until, cm_err_t *err);

/* Called when this many rows are acknowledged. */
void cm_store_cassandra_log_done(cm_store_cassandra_log_t *log, uint64_t rows);

/* Notes which entries are settled, if this is not noted yet. CM_EBUSY as above. */
int cm_store_cassandra_log_report(cm_store_cassandra_log_t *log, cm_err_t *err);

/* Whether all that was noted is acknowledged. */
bool cm_store_cassandra_log_is_written(const cm_store_cassandra_log_t *log);

/* Why the first row of the companion that is not acknowledged waits: cm_cql_writer_stall(). */
bool cm_store_cassandra_log_stall(const cm_store_cassandra_log_t *log, cm_cql_error_t *why);

/* NULL is fine. */
void cm_store_cassandra_log_close(cm_store_cassandra_log_t *log);

#endif
