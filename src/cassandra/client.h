/* What all parts that use Cassandra share: where it is, the credentials, what may be made there.
 *
 * Only files about Cassandra include this. A session (cql/cql.h) belongs to the function that
 * opened it, and is used by one thread. */
#ifndef CM_CASSANDRA_CLIENT_H
#define CM_CASSANDRA_CLIENT_H

#include "cql/cql.h"

#include <stdatomic.h>

/* Borrowed by what is opened with it, until that is closed. */
typedef struct cm_cassandra_settings {
    const char *hosts; /* "host[:port],host" */
    int port;
    const char *local_dc; /* NULL: that of the first node that was reached */
    const char *keyspace, *table;
    /* ${NAME} and file:PATH are understood (base/secret.h); NULL: none. */
    const char *username, *password;
    cm_cql_consistency_t consistency; /* of writes and of reads */
    cm_cql_tls_t tls;
    bool only_writer; /* no other program writes the table: each write is noted in its companion */
    bool extended;    /* the table has a column for each optional field (event/extra.h) */
    bool create;      /* make keyspace and table when they are missing, with: */
    const char *replication; /* "3", "dc1:3,dc2:2"; NULL: three in each data centre, or as many as
                                it has nodes */
    int64_t ttl_s;           /* seconds after which the server forgets an event; 0: never */
    int connections;         /* to each node */
    int in_flight;           /* events on their way at most */
    size_t batch_bytes;
    int speculative_ms; /* after which a batch also goes to another copy of its rows; 0: never */
    int64_t timeout_ms; /* how long all nodes may be silent before this is an error */
    const cm_log_t *log;
    const atomic_bool *stop; /* ends every wait for a server; NULL: none */
} cm_cassandra_settings_t;

/* Opens a session and waits until a node takes requests. CM_EAWAY after settings->timeout_ms;
 * CM_EUSAGE at once when the credentials are refused or TLS fails; CM_ESTOP. */
int cm_cassandra_connect(const cm_cassandra_settings_t *settings, cm_cql_t **session,
                         cm_err_t *err);

/* Whether the process was told to stop: settings' `stop`. */
bool cm_cassandra_stopped(const cm_cassandra_settings_t *settings);

/* Takes what a function of the client has returned, and returns it. Where the client had no memory,
 * now or before, the program ends as cm_alloc() ends it: the client is a library, which reports
 * that or tries again. `session` may be NULL. */
int cm_cassandra_result(const cm_cql_t *session, int rc);

/* cm_cql_run() with that. */
int cm_cassandra_run(cm_cql_t *session, int timeout_ms, cm_err_t *err);

/* Turns an error of the client into one of ours with a sentence: "`doing`: ..., then what to do".
 */
int cm_cassandra_fail(const cm_cassandra_settings_t *settings, const cm_cql_error_t *error,
                      const char *doing, cm_err_t *err);

/* Reads with one statement, page by page, to its end; `done` gets its rows, and no errors. */
int cm_cassandra_select(const cm_cassandra_settings_t *settings, cm_cql_t *session,
                        const char *text, const cm_cql_request_t *request, cm_cql_done_t done,
                        void *context, const char *doing, cm_err_t *err);

/* The same for the servers' own tables: asks the node of the control connection, at LOCAL_ONE. */
int cm_cassandra_select_system(const cm_cassandra_settings_t *settings, cm_cql_t *session,
                               const char *text, cm_cql_done_t done, void *context,
                               const char *doing, cm_err_t *err);

/* Turns an error of the client into "`doing`: Cassandra at HOSTS says: ..." and our code; 0 where
 * there is none. */
int cm_cassandra_server_error(const cm_cassandra_settings_t *settings, const cm_cql_error_t *error,
                              const char *doing, cm_err_t *err);

/* Changes the schema, and waits until all nodes have it (10 s at most). What the servers say is
 * in `error`; negative only when the client itself fails. */
int cm_cassandra_change(cm_cql_t *session, const char *text, cm_cql_error_t *error, cm_err_t *err);

/* Appends "keyspace"."table". */
void cm_cassandra_add_table(cm_buf_t *text, const cm_cassandra_settings_t *settings);

/* Appends the name in the quotes of CQL, which keep capital letters. */
void cm_cassandra_add_name(cm_buf_t *text, const char *name);

/* Appends 'text', with the quotes in it doubled. */
void cm_cassandra_add_quoted(cm_buf_t *text, const char *value);

#endif
