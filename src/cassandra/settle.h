/* A schema that several processes make at the same time.
 *
 * When workers start together without a table, each finds none and makes one. Cassandra resolves
 * this by itself, but until then it answers some of them with errors: the table exists already, its
 * id is different, a node does not have it yet. Such errors are distinguished here from permanent
 * ones, and tried again for a while. One thread. */
#ifndef CM_CASSANDRA_SETTLE_H
#define CM_CASSANDRA_SETTLE_H

#include "cassandra/client.h"

/* The time that a schema gets to settle. */
typedef struct cm_cassandra_settling {
    int64_t until_ns; /* cm_clock_ticks_ns() */
    int attempts;     /* so far */
} cm_cassandra_settling_t;

/* Begins now; it lasts twice as long as all nodes may be silent (settings->timeout_ms). */
cm_cassandra_settling_t cm_cassandra_settling_begin(const cm_cassandra_settings_t *settings);

/* Whether the error comes from a schema that has not settled. */
bool cm_cassandra_is_unsettled(const cm_cql_error_t *error);

/* Waits before another attempt, longer each time and partly random, while the session keeps
 * running. False when the time is over, or the process was told to stop. */
bool cm_cassandra_settle(cm_cassandra_settling_t *settling, const cm_cassandra_settings_t *settings,
                         cm_cql_t *session);

/* The error that the schema has not settled in time: CM_EAWAY, or CM_ESTOP. */
int cm_cassandra_unsettled(const cm_cassandra_settings_t *settings, const cm_cql_error_t *last,
                           const char *doing, cm_err_t *err);

/* Prepares a statement on a table that may have been made just now. */
int cm_cassandra_prepare(const cm_cassandra_settings_t *settings, cm_cql_t *session, cm_str_t text,
                         cm_cql_prepared_t **prepared, const char *doing, cm_err_t *err);

#endif
