/* A schema that several make at once.
 *
 * When workers start together without a table, each finds none and makes one. Cassandra sorts that
 * out by itself, but until it has, it answers some of them with errors: the table exists already,
 * its id is another one, a node does not know it yet. Those are told here from errors that stay,
 * and tried again for a while. One thread. */
#ifndef CM_CASSANDRA_SETTLE_H
#define CM_CASSANDRA_SETTLE_H

#include "cassandra/client.h"

/* The time that a schema gets to settle. */
typedef struct cm_cassandra_settling {
    int64_t until_ns; /* cm_clock_ticks_ns() */
    int attempts;     /* so far */
} cm_cassandra_settling_t;

/* Begins now; it lasts twice as long as nobody may answer (settings->timeout_ms). */
cm_cassandra_settling_t cm_cassandra_settling_begin(const cm_cassandra_settings_t *settings);

/* Whether the error is one of a schema that has not settled. */
bool cm_cassandra_is_unsettled(const cm_cql_error_t *error);

/* Waits before another attempt, longer each time, with some chance in it, while the session runs
 * on. False when time is over, or we shall stop. */
bool cm_cassandra_settle(cm_cassandra_settling_t *settling, const cm_cassandra_settings_t *settings,
                         cm_cql_t *session);

/* Says that the schema has not settled in time: CM_EAWAY, or CM_ESTOP. */
int cm_cassandra_unsettled(const cm_cassandra_settings_t *settings, const cm_cql_error_t *last,
                           const char *doing, cm_err_t *err);

/* Prepares a statement on a table that may have been made just now. */
int cm_cassandra_prepare(const cm_cassandra_settings_t *settings, cm_cql_t *session, cm_str_t text,
                         cm_cql_prepared_t **prepared, const char *doing, cm_err_t *err);

#endif
