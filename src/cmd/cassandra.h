/* Options that say where Cassandra is, shared by all commands that use it. */
#ifndef CM_CMD_CASSANDRA_H
#define CM_CMD_CASSANDRA_H

#include "cmd/app.h"
#include "store/cassandra/store.h"

/* Which store: also the position in its row's choices. */
typedef enum cm_store_choice {
    CM_STORE_EMBEDDED,
    CM_STORE_CASSANDRA,
} cm_store_choice_t;

/* The row of an option table for an int that is the member `m` of struct `s`. */
#define CM_STORE_ROW(s, m)                                                                         \
    {                                                                                              \
        .name = "store", .type = CM_OPT_CHOICE, .offset = offsetof(s, m), .arg = "STORE",          \
        .def = "embedded", .choices = "embedded|cassandra", .key = "store",                        \
        .help = "where the raw events are kept"                                                    \
    }

typedef struct cm_cassandra_given {
    const char *hosts, *local_dc, *keyspace, *table, *username, *password, *replication;
    const char *ca, *cert, *key, *host_name;
    int64_t port, connections, in_flight, batch_bytes, ttl, timeout, speculative;
    int consistency; /* position in the row's choices */
    bool tls, insecure, create, only_writer;
} cm_cassandra_given_t;

/* The rows of an option table for a cm_cassandra_given_t that is the member `m` of struct `s`. The
 * environment's variables are those of the Python pipeline that Clickmill replaces. */
#define CM_CASSANDRA_ROWS(s, m)                                                                    \
    {.name = "cassandra-hosts",                                                                    \
     .type = CM_OPT_TEXT,                                                                          \
     .offset = offsetof(s, m.hosts),                                                               \
     .arg = "HOST[:PORT],...",                                                                     \
     .def = "127.0.0.1",                                                                           \
     .key = "cassandra.hosts",                                                                     \
     .aliases = "cassandra.host|cassandra.contact_points",                                         \
     .env = "CASSANDRA_HOST",                                                                      \
     .help = "Cassandra's nodes, some of them are enough"},                                        \
        {.name = "cassandra-port",                                                                 \
         .type = CM_OPT_INT,                                                                       \
         .offset = offsetof(s, m.port),                                                            \
         .arg = "PORT",                                                                            \
         .def = "9042",                                                                            \
         .min = 1,                                                                                 \
         .max = 65535,                                                                             \
         .key = "cassandra.port",                                                                  \
         .env = "CASSANDRA_PORT",                                                                  \
         .help = "port of nodes that are named without one"},                                      \
        {.name = "cassandra-local-dc",                                                             \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.local_dc),                                                        \
         .arg = "NAME",                                                                            \
         .key = "cassandra.local_dc",                                                              \
         .help = "data centre to keep to; else that of the node reached first"},                   \
        {.name = "cassandra-keyspace",                                                             \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.keyspace),                                                        \
         .arg = "NAME",                                                                            \
         .def = "clickstream",                                                                     \
         .key = "cassandra.keyspace",                                                              \
         .help = "keyspace of the events"},                                                        \
        {.name = "cassandra-table",                                                                \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.table),                                                           \
         .arg = "NAME",                                                                            \
         .def = "clickstream_events",                                                              \
         .key = "cassandra.table",                                                                 \
         .help = "table of the events"},                                                           \
        {.name = "cassandra-username",                                                             \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.username),                                                        \
         .arg = "NAME",                                                                            \
         .key = "cassandra.username",                                                              \
         .env = "CASSANDRA_USERNAME",                                                              \
         .help = "user to log in as"},                                                             \
        {.name = "cassandra-password",                                                             \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.password),                                                        \
         .arg = "PASSWORD",                                                                        \
         .secret = CM_SECRET,                                                                      \
         .key = "cassandra.password",                                                              \
         .env = "CASSANDRA_PASSWORD",                                                              \
         .help = "its password; ${NAME} is an environment variable, and file:PATH what a file "    \
                 "holds"},                                                                         \
        {.name = "cassandra-consistency",                                                          \
         .type = CM_OPT_CHOICE,                                                                    \
         .offset = offsetof(s, m.consistency),                                                     \
         .arg = "LEVEL",                                                                           \
         .def = "local_quorum",                                                                    \
         .choices = "one|two|three|quorum|all|local_quorum|local_one",                             \
         .key = "cassandra.consistency",                                                           \
         .help = "copies that must have an event before it counts as stored, and be asked when "   \
                 "it is read"},                                                                    \
        {.name = "cassandra-tls",                                                                  \
         .type = CM_OPT_FLAG,                                                                      \
         .offset = offsetof(s, m.tls),                                                             \
         .key = "cassandra.tls.enabled",                                                           \
         .aliases = "cassandra.tls",                                                               \
         .help = "connect by TLS"},                                                                \
        {.name = "cassandra-ca",                                                                   \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.ca),                                                              \
         .arg = "FILE",                                                                            \
         .key = "cassandra.tls.ca",                                                                \
         .aliases = "cassandra.ca",                                                                \
         .help = "certificates (PEM) to trust; else the system's"},                                \
        {.name = "cassandra-cert",                                                                 \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.cert),                                                            \
         .arg = "FILE",                                                                            \
         .key = "cassandra.tls.cert",                                                              \
         .help = "our own certificate (PEM), where the servers ask for one"},                      \
        {.name = "cassandra-key",                                                                  \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.key),                                                             \
         .arg = "FILE",                                                                            \
         .key = "cassandra.tls.key",                                                               \
         .help = "its key (PEM); else it is in the certificate's file"},                           \
        {.name = "cassandra-host-name",                                                            \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.host_name),                                                       \
         .arg = "NAME",                                                                            \
         .key = "cassandra.tls.host_name",                                                         \
         .help = "name that the servers' certificates have; else the one of cassandra.hosts"},     \
        {.name = "cassandra-insecure",                                                             \
         .type = CM_OPT_FLAG,                                                                      \
         .offset = offsetof(s, m.insecure),                                                        \
         .key = "cassandra.tls.insecure",                                                          \
         .help = "trust any certificate: for trying out only"},                                    \
        {.name = "cassandra-create",                                                               \
         .type = CM_OPT_FLAG,                                                                      \
         .offset = offsetof(s, m.create),                                                          \
         .key = "cassandra.create",                                                                \
         .help = "make keyspace and table when they are missing"},                                 \
        {.name = "cassandra-only-writer",                                                          \
         .type = CM_OPT_FLAG,                                                                      \
         .offset = offsetof(s, m.only_writer),                                                     \
         .key = "cassandra.only_writer",                                                           \
         .help = "only `ingest` and `run` write the table: they note what they write in a "        \
                 "companion table, and `process` reads what has changed instead of all"},          \
        {.name = "cassandra-replication",                                                          \
         .type = CM_OPT_TEXT,                                                                      \
         .offset = offsetof(s, m.replication),                                                     \
         .arg = "N|DC:N,...",                                                                      \
         .key = "cassandra.replication",                                                           \
         .help = "copies in a keyspace that is made, in each data centre; else 3, or as many as "  \
                 "it has nodes"},                                                                  \
        {.name = "cassandra-ttl",                                                                  \
         .type = CM_OPT_DURATION,                                                                  \
         .offset = offsetof(s, m.ttl),                                                             \
         .arg = "TIME",                                                                            \
         .min = 1000,                                                                              \
         .max = 630720000e3, /* the server's limit */                                              \
         .key = "cassandra.ttl",                                                                   \
         .help = "time after which Cassandra forgets an event; else never"},                       \
        {.name = "cassandra-connections",                                                          \
         .type = CM_OPT_INT,                                                                       \
         .offset = offsetof(s, m.connections),                                                     \
         .arg = "N",                                                                               \
         .def = "2",                                                                               \
         .min = 1,                                                                                 \
         .max = 16,                                                                                \
         .key = "cassandra.connections",                                                           \
         .help = "connections to each node"},                                                      \
        {.name = "cassandra-in-flight",                                                            \
         .type = CM_OPT_INT,                                                                       \
         .offset = offsetof(s, m.in_flight),                                                       \
         .arg = "N",                                                                               \
         .def = "32768",                                                                           \
         .min = 1,                                                                                 \
         .max = 1 << 20,                                                                           \
         .key = "cassandra.in_flight",                                                             \
         .help = "events on their way to Cassandra at most"},                                      \
        {.name = "cassandra-batch-bytes",                                                          \
         .type = CM_OPT_SIZE,                                                                      \
         .offset = offsetof(s, m.batch_bytes),                                                     \
         .arg = "SIZE",                                                                            \
         .def = "24k",                                                                             \
         .min = 1,                                                                                 \
         .max = 16 << 20,                                                                          \
         .key = "cassandra.batch_bytes",                                                           \
         .help = "size of a batch of events at most; servers refuse large ones"},                  \
        {.name = "cassandra-speculative",                                                          \
         .type = CM_OPT_DURATION,                                                                  \
         .offset = offsetof(s, m.speculative),                                                     \
         .arg = "TIME",                                                                            \
         .def = "500ms",                                                                           \
         .max = 60e3,                                                                              \
         .key = "cassandra.speculative",                                                           \
         .help = "a batch that its node has not answered for so long also goes to the next node "  \
                 "with a copy of its rows; 0: never"},                                             \
    {                                                                                              \
        .name = "cassandra-timeout", .type = CM_OPT_DURATION, .offset = offsetof(s, m.timeout),    \
        .arg = "TIME", .def = "15s", .min = 100, .max = 3600e3, .key = "cassandra.timeout",        \
        .help = "how long no node may answer before that is said"                                  \
    }

/* The settings that the options mean; they borrow from both. */
cm_cassandra_settings_t cm_cassandra_settings_of(const cm_app_t *app,
                                                 const cm_cassandra_given_t *given);

/* All of the table into a store in memory (store/memory.h), in the form in which the mill reads it;
 * says how many rows are no events. */
int cm_cassandra_to_memory(cm_app_t *app, const cm_cassandra_given_t *given, cm_store_t *into,
                           cm_account_t *account);

/* Says how many rows are no events, where there are any. */
void cm_cassandra_say_left_out(cm_app_t *app, const cm_account_t *account);

#endif
