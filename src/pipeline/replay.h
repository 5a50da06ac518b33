/* Dead letters wherever they are, in the data directory or in Kafka's topic: shown, and replayed.
 *
 * A place of letters (cm_replay_place_t) is read through one small interface; cm_replay() tries
 * letters again, whatever the place. What is opened here belongs to the caller, who closes it; it
 * borrows from the options. One thread. */
#ifndef CM_PIPELINE_REPLAY_H
#define CM_PIPELINE_REPLAY_H

#include "kafka/client.h"
#include "pipeline/env.h"
#include "sink/sink.h"
#include "source/file/options.h"

/* A dead letter; its strings are valid until the callback returns. */
typedef struct cm_replay_letter {
    const char *id; /* "17", in Kafka "0@17" */
    cm_str_t time, origin, reason, payload;
} cm_replay_letter_t;

/* Called once for each letter; a result other than 0 ends the walk and is returned by it. */
typedef int (*cm_replay_letter_fn)(void *context, const cm_replay_letter_t *letter);

typedef struct cm_replay_place cm_replay_place_t;

typedef struct cm_replay_place_ops {
    /* Walks the letters in order: all (`id` NULL) or one; at most `limit` (0: all). `take` may
     * remove the letter that it gets. CM_EUSAGE when `id` is no id, or there is no such letter. */
    int (*each)(cm_replay_place_t *place, const char *id, int64_t limit, cm_replay_letter_fn take,
                void *context, cm_err_t *err);
    /* Whether there is such a letter: CM_EUSAGE as above. All ids are checked before the first one
     * is replayed. NULL: each() finds out. */
    int (*check)(cm_replay_place_t *place, const char *id, cm_err_t *err);
    /* The key with which visitors are hashed, and whether row keys of access logs are older ones
     * (source/file/accesslog_builder.h). */
    int (*visitors)(cm_replay_place_t *place, uint8_t key[CM_VISITOR_KEY], bool *older_keys,
                    cm_err_t *err);
    /* Removes a letter with the next commit of the sink. */
    int (*remove)(cm_replay_place_t *place, const char *id, cm_err_t *err);
    /* Called for the first letter that is no message but a row that an index has refused, so that
     * the next run compares all rows. NULL: there are no such letters. */
    int (*forget_checkpoints)(cm_replay_place_t *place, cm_err_t *err);
    /* After the last commit, when letters were replayed; may be NULL. */
    int (*settle)(cm_replay_place_t *place, cm_err_t *err);
    void (*close)(cm_replay_place_t *place);
} cm_replay_place_ops_t;

struct cm_replay_place {
    const cm_replay_place_ops_t *ops;
    cm_sink_t *sink;          /* takes the events of replayed letters; NULL: opened to be read */
    const char *list_command; /* that lists its letters */
    bool text_ids;            /* ids are text, not numbers */
    const char *none;         /* the sentence for a place without letters; NULL: nothing is said */
    /* Letters that are committed together, because a commit waits for a disk or a server. */
    size_t group_letters, group_bytes;
};

/* The letters of a data directory. `replay`: opened for writing, with its lock; else it is opened
 * for reading by each(), where CM_EINPUT means that there is no store. */
int cm_replay_open_store(const cm_pipeline_env_t *env, const char *data_dir, bool replay,
                         cm_replay_place_t **place, cm_err_t *err);

/* The letters of Kafka's topic. Payloads that were sealed with the secret of the data directory are
 * opened. `settings` and `env` are borrowed. */
int cm_replay_open_kafka(const cm_pipeline_env_t *env, const cm_kafka_settings_t *settings,
                         const char *data_dir, bool replay, cm_replay_place_t **place,
                         cm_err_t *err);

typedef struct cm_replay_options {
    const cm_file_given_t *files;     /* how messages are read */
    const cm_kafka_settings_t *kafka; /* the schema registry's, and time limits */
    const char *with; /* file with the mended message of the one letter; NULL: none */
    char *const *ids; /* NULL: all letters */
    int id_count;
} cm_replay_options_t;

/* Reads the message of each letter as `import` would read a file that has only this message. A
 * message that is an event now is put into the place's sink, and its letter is removed in the same
 * transaction. `account` gets what is committed, also on an error. CM_EINPUT when the file of
 * `with` cannot be read or has several messages. */
int cm_replay(const cm_pipeline_env_t *env, cm_replay_place_t *place,
              const cm_replay_options_t *options, cm_account_t *account, cm_err_t *err);

#endif
