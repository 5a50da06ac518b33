/* Options that say where Cassandra is and how it is used: an array of rows (base/options.h) that a
 * command composes. The struct belongs to the command; tables are constant, for any thread. */
#ifndef CM_CASSANDRA_OPTIONS_H
#define CM_CASSANDRA_OPTIONS_H

#include "base/options.h"
#include "cassandra/client.h"

typedef struct cm_cassandra_options {
    const char *hosts, *local_dc, *keyspace, *table, *username, *password, *replication;
    const char *ca, *cert, *key, *host_name;
    int64_t port, connections, in_flight, batch_bytes, ttl, timeout, speculative;
    int consistency; /* position in the row's choices */
    bool tls, insecure, create, only_writer, extended;
} cm_cassandra_options_t;

/* For a cm_cassandra_options_t. The environment's variables are those of the Python pipeline that
 * Clickmill replaces. */
extern const cm_option_t cm_cassandra_option_rows[];

/* The settings that the options mean; they borrow from all three. */
cm_cassandra_settings_t cm_cassandra_settings_of(const cm_cassandra_options_t *options,
                                                 const cm_log_t *log, const atomic_bool *stop);

#endif
