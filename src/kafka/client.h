/* What producers and consumers share: the settings, librdkafka's configuration made from them, and
 * its errors as sentences.
 *
 * A cm_kafka_client_t owns its rd_kafka_t; it must not be moved while that lives, because
 * librdkafka's callbacks find it by its address. One thread, except that librdkafka's own threads
 * write to the log. */
#ifndef CM_KAFKA_CLIENT_H
#define CM_KAFKA_CLIENT_H

#include "base/log.h"
#include "base/options.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

/* Borrowed by each client, source and sink that is opened with it, until that is closed. */
typedef struct cm_kafka_settings {
    const char *brokers; /* "host:port,host:port" */
    /* librdkafka's own, from the user; they replace the program's. In a value ${NAME} is the
     * environment variable, and a value file:PATH is what the file holds. NULL: none. */
    const cm_option_map_t *properties;
    const char *topic, *dead_topic, *group;
    int64_t timeout_ms;         /* how long brokers may be silent before that is an error, ms */
    bool create;                /* make topics that are missing, with these: */
    int partitions;             /* -1: as the broker is configured */
    int replication;            /* the same */
    bool skip_tombstones;       /* messages without a value are left out, and are no dead letters */
    const cm_option_map_t *map; /* which members of messages give fields; NULL: none */
    const char *registry;       /* URLs of a schema registry, "http://host:8081,..."; NULL: none */
    /* ${NAME} and file:PATH are understood (base/secret.h); NULL: none. */
    const char *registry_user, *registry_password;
    const char *registry_ca; /* PEM; NULL: the system's */
    const cm_log_t *log;
    const atomic_bool *stop; /* ends every wait for a broker; NULL: never */
} cm_kafka_settings_t;

typedef struct cm_kafka_client {
    rd_kafka_t *rk;
    const cm_kafka_settings_t *settings;
    void *owner; /* for the callbacks */
    /* The last error that librdkafka has reported; 0 and "": none since a broker answered. */
    rd_kafka_resp_err_t code;
    char reason[300];
    bool all_down;       /* no broker answers; until cm_kafka_answered() */
    bool lost;           /* a connection was lost: check whether any broker answers */
    int known;           /* topics that the last metadata had; -1: none was read yet */
    int64_t learning_ns; /* when `known` was last 0, or had grown; 0: never */
} cm_kafka_client_t;

/* A property that this program sets; the user's may replace it. */
typedef struct cm_kafka_property {
    const char *name, *value;
} cm_kafka_property_t;

/* Makes a configuration of the brokers, the program's properties `house` (the last has no name) and
 * the user's. CM_EUSAGE with librdkafka's sentence and the place where the property was given. */
int cm_kafka_conf(const cm_kafka_settings_t *settings, const cm_kafka_property_t *house,
                  rd_kafka_conf_t **conf, cm_err_t *err);

/* Starts the client; owns the configuration from now on, also after an error. CM_EUSAGE when
 * properties contradict each other or a file that they name cannot be read. */
int cm_kafka_start(cm_kafka_client_t *client, rd_kafka_type_t type, rd_kafka_conf_t *conf,
                   const cm_kafka_settings_t *settings, void *owner, cm_err_t *err);

/* Turns a code of librdkafka into a CM_E* code with a sentence: "`doing`: what happened; what to
 * do". */
int cm_kafka_fail(const cm_kafka_client_t *client, rd_kafka_resp_err_t code, const char *doing,
                  cm_err_t *err);

/* True when the settings' `stop` is set. */
bool cm_kafka_stopped(const cm_kafka_client_t *client);

/* Forgets the last error: a broker has answered. */
void cm_kafka_answered(cm_kafka_client_t *client);

/* Ends the client in at most `limit_ms`, with the user's enable.metrics.push a second later;
 * messages that it holds are dropped, and it does not leave its group. When other brokers have
 * taken the addresses of the old ones, a thread of librdkafka may wait for the old ones without
 * end. False: it still waits, and `client` must never be freed. */
bool cm_kafka_end_within(cm_kafka_client_t *client, int limit_ms);

/* The limit for most clients. */
enum { CM_KAFKA_END_MS = 2000 };

#endif
