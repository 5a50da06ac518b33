/* What `dead` does wherever the dead letters are: in the embedded store (dead.c) or in Kafka's
 * topic (dead_kafka.c). */
#ifndef CM_CMD_DEAD_H
#define CM_CMD_DEAD_H

#include "cmd/app.h"
#include "kafka/options.h"
#include "sink/sink.h"
#include "source/file/options.h"

enum { CM_DEAD_FROM_STORE, CM_DEAD_FROM_KAFKA };

typedef struct cm_dead_options {
    cm_file_given_t import;
    int64_t limit;
    const char *with;
    int from;
    cm_kafka_options_t kafka;
} cm_dead_options_t;

/* What is made of the visitors in lines of access logs. */
typedef struct cm_dead_visitors {
    uint8_t key[CM_VISITOR_KEY];
    cm_enriching_t enriching;
    cm_timestamp_format_t times;
    bool older_keys; /* see source/file/accesslog_builder.h */
} cm_dead_visitors_t;

/* A letter as it is shown. */
typedef struct cm_dead_shown {
    const char *id; /* as --json has it: 17 or "0@17" */
    cm_str_t time, origin, reason, payload;
} cm_dead_shown_t;

/* For a sink into Kafka: seals what may hold the address of a person with the data directory's key,
 * which is the context. */
int cm_dead_seal(void *key, cm_str_t payload, cm_buf_t *out, cm_err_t *err);

/* Writes a letter to stdout: a line, the payload's bytes (`whole`), or an object (--json). */
int cm_dead_print(cm_app_t *app, const cm_dead_shown_t *letter, bool whole);

/* A file without a name, for messages that are read as `import` reads files. */
typedef struct cm_dead_file {
    int fd;
    char path[40];
} cm_dead_file_t;

int cm_dead_file_open(cm_dead_file_t *file, cm_err_t *err);
int cm_dead_file_write(cm_dead_file_t *file, cm_str_t payload, cm_err_t *err);

/* Reads one letter's message from a file as `import` would, and puts its event into the sink. What
 * is no event is counted as rejected, unless it comes from --with: then it must be one message.
 * CM_EINPUT when --with cannot be read. */
int cm_dead_retry(cm_app_t *app, const cm_dead_options_t *options,
                  const cm_dead_visitors_t *visitors, const char *path, cm_sink_t *sink,
                  cm_account_t *account);

/* The commands with --from kafka. */
int cm_dead_kafka_print(cm_app_t *app, const cm_dead_options_t *options, bool whole,
                        const char *id);
int cm_dead_kafka_replay(cm_app_t *app, const cm_dead_options_t *options, int argc, char **argv);

#endif
