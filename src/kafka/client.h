/* What producers and consumers share: the settings, librdkafka's configuration made from them, and
 * its errors as sentences.
 *
 * Only the rooms' Kafka files include this. A cm_kafka_client_t owns its rd_kafka_t; it must not
 * move while that lives, because librdkafka's callbacks find it by its address. One thread, except
 * that librdkafka's own threads write to the log. */
#ifndef CM_KAFKA_CLIENT_H
#define CM_KAFKA_CLIENT_H

#include "base/log.h"
#include "base/options.h"

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

/* Borrowed by whoever is opened with it, until that is closed. */
typedef struct cm_kafka_settings {
    const char *brokers; /* "host:port,host:port" */
    /* librdkafka's own, from the user; stronger than the house's. In a value ${NAME} is the
     * environment variable, and a value file:PATH is what the file holds. NULL: none. */
    const cm_option_map_t *properties;
    const char *topic, *dead_topic, *group;
    int64_t timeout_ms;   /* how long a broker may be silent before that is said */
    bool create;          /* make topics that are missing, with: */
    int partitions;       /* -1: as the broker is configured */
    int replication;      /* the same */
    bool skip_tombstones; /* messages without a value are left out, and are no dead letters */
    const cm_log_t *log;
    const atomic_bool *stop; /* ends every wait for a broker; NULL: nobody asks */
} cm_kafka_settings_t;

typedef struct cm_kafka_client {
    rd_kafka_t *rk;
    const cm_kafka_settings_t *settings;
    void *owner; /* of the callbacks */
    /* The last thing librdkafka has complained about; 0 and "" when there is nothing. */
    rd_kafka_resp_err_t code;
    char reason[300];
    bool all_down;       /* no broker answers; until cm_kafka_answered() */
    bool lost;           /* a connection is lost: worth a look whether any broker answers */
    int known;           /* topics that were there at the last look, -1 before the first */
    int64_t learning_ns; /* when they were none, or had become more; 0: never */
} cm_kafka_client_t;

/* A property of the house, which the user's may replace. */
typedef struct cm_kafka_property {
    const char *name, *value;
} cm_kafka_property_t;

/* Makes a configuration of brokers, the house's properties (the last has no name) and the user's.
 * CM_EUSAGE with librdkafka's sentence and where the property was given. */
int cm_kafka_conf(const cm_kafka_settings_t *settings, const cm_kafka_property_t *house,
                  rd_kafka_conf_t **conf, cm_err_t *err);

/* Starts the client; takes the configuration in any case. CM_EUSAGE when properties do not fit
 * together or a file they name cannot be read. */
int cm_kafka_start(cm_kafka_client_t *client, rd_kafka_type_t type, rd_kafka_conf_t *conf,
                   const cm_kafka_settings_t *settings, void *owner, cm_err_t *err);

/* Turns a code of librdkafka into one of ours with a sentence: "`doing`: ..., then what to do". */
int cm_kafka_fail(const cm_kafka_client_t *client, rd_kafka_resp_err_t code, const char *doing,
                  cm_err_t *err);

/* True when the settings' `stop` says so. */
bool cm_kafka_stopped(const cm_kafka_client_t *client);

/* Forgets the last complaint: a broker has answered. */
void cm_kafka_answered(cm_kafka_client_t *client);

/* Ends the client in at most `limit_ms`; what it holds is given up, and so is leaving a group. When
 * brokers were exchanged for others behind the same address, a thread of librdkafka's may wait for
 * the old ones for ever. False: it still waits, and `client` must outlive the process. */
bool cm_kafka_end_within(cm_kafka_client_t *client, int limit_ms);

/* For most of them. */
enum { CM_KAFKA_END_MS = 2000 };

#endif
