#include "pipeline/replay.h"

#include "index/open.h"
#include "kafka/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct replay {
    const cm_pipeline_env_t *env;
    cm_replay_place_t *place;
    const cm_replay_options_t *options;
    cm_account_t *account;
    cm_err_t *err;
    /* What is made of the visitors in lines of access logs. */
    uint8_t key[CM_VISITOR_KEY];
    bool older_keys;
    cm_enrich_thread_t enriching;
    cm_timestamp_format_t times;
    cm_event_map_t *map;
    /* A file without a name: messages are read from it as `import` reads files. */
    int fd;
    char path[40];
    cm_kafka_registry_t *registry; /* NULL: none is configured */
    cm_buf_t decoded;
    uint64_t rows; /* letters that were no events but rows that `index` had refused */
    cm_index_settings_t index;
    /* Letters since the last commit: their part of the account, how many, their bytes. */
    cm_account_t waiting;
    size_t letters, bytes;
} replay_t;

/* ---- commits ---- */

static int commit(replay_t *replay)
{
    int rc = cm_sink_commit(replay->place->sink, replay->err);

    if (rc == 0)
        cm_account_add(replay->account, &replay->waiting);
    replay->waiting = (cm_account_t){0};
    replay->letters = replay->bytes = 0;
    return rc;
}

static int commit_when_many(replay_t *replay, size_t bytes)
{
    replay->bytes += bytes;
    if (++replay->letters < replay->place->group_letters &&
        replay->bytes < replay->place->group_bytes)
        return 0;
    return commit(replay);
}

/* ---- one message ---- */

/* A letter is mended by one message: of several, those that break a rule would be lost with it. */
static int check_alone(const replay_t *replay, cm_source_t *source, int more, uint64_t messages)
{
    cm_batch_t rest = CM_BATCH_INIT;

    while (more > 0) {
        cm_batch_clear(&rest);
        more = cm_source_next(source, &rest, replay->err);
        messages += rest.account.read;
    }
    cm_batch_free(&rest);
    if (more < 0 || messages == 1)
        return more;
    return cm_fail(replay->err, CM_EINPUT,
                   "%s holds %llu messages, --with takes one: the letter's, mended; `clickmill "
                   "import` takes many",
                   replay->options->with, (unsigned long long)messages);
}

/* Reads one letter's message as `import` would read a file that holds just that. */
static int read_message(replay_t *replay, const char *path, cm_batch_t *batch)
{
    const cm_file_given_t *files = replay->options->files;
    const cm_file_options_t file = {.path = path,
                                    .format = (cm_file_format_t)files->format,
                                    .all = files->all,
                                    .times = replay->times,
                                    .map = replay->map,
                                    .site = files->site,
                                    .older_keys = replay->older_keys,
                                    .visitor_key = replay->key,
                                    .enrich = cm_enricher_visit,
                                    .enrich_context = replay->enriching.enricher,
                                    .fill = cm_enricher_fill,
                                    .fill_context = replay->enriching.enricher};
    cm_source_t *source = NULL;
    int more = 1;

    int rc = cm_file_open(&file, &source, replay->err);
    if (rc < 0)
        return rc;
    /* One message gives one batch with something in it, and the source keeps its strings until
     * then. */
    while (more > 0 && batch->account.read == 0) {
        cm_batch_clear(batch);
        more = cm_source_next(source, batch, replay->err);
    }
    batch->position_count = 0;
    batch->dead_count = 0; /* it is a dead letter already */
    if (more >= 0 && batch->count > 0)
        rc = cm_sink_put(replay->place->sink, batch, replay->err);
    if (more >= 0 && rc == 0 && replay->options->with != NULL)
        rc = check_alone(replay, source, more, batch->account.read);
    cm_source_close(source);
    return more < 0 ? more : rc;
}

static int retry_message(replay_t *replay, const char *path, cm_account_t *account)
{
    cm_batch_t batch = CM_BATCH_INIT;

    int rc = read_message(replay, path, &batch);
    if (rc == CM_EINPUT && replay->options->with == NULL) { /* of no known format: still dead */
        batch.account = (cm_account_t){.read = 1, .rejected = 1};
        rc = 0;
    }
    *account = batch.account;
    cm_batch_free(&batch);
    return rc;
}

/* ---- one letter ---- */

static int write_file(const replay_t *replay, cm_str_t payload)
{
    if (ftruncate(replay->fd, 0) == 0 &&
        pwrite(replay->fd, payload.data, payload.len, 0) == (ssize_t)payload.len)
        return 0;
    return cm_fail(replay->err, CM_EIO, "no memory file for a dead letter");
}

/* The letter's message as a file; one in the wire format of a schema registry as the JSON text that
 * it stands for. CM_EREJECT when it still stands for none. */
static int write_message(replay_t *replay, cm_str_t payload)
{
    const uint32_t id = replay->registry != NULL ? cm_kafka_registry_id(payload) : 0;
    cm_str_t text = payload;
    int rc = 0;

    if (id != 0)
        rc = cm_kafka_registry_wait(replay->registry, id, replay->options->kafka->timeout_ms,
                                    replay->err);
    if (rc == 0 && id != 0)
        rc =
            cm_kafka_registry_text(replay->registry, payload, &replay->decoded, &text, replay->err);
    return rc < 0 ? rc : write_file(replay, text);
}

static int replay_message(replay_t *replay, const cm_replay_letter_t *letter)
{
    const char *path = replay->options->with;
    cm_account_t account = {.read = 1, .rejected = 1};
    int rc = 0;

    if (path == NULL) {
        path = replay->path;
        rc = write_message(replay, letter->payload);
    }
    if (rc == 0)
        rc = retry_message(replay, path, &account);
    else if (rc == CM_EREJECT)
        rc = 0;
    /* Event in and letter out are one transaction. */
    if (rc == 0 && account.accepted > 0)
        rc = replay->place->ops->remove(replay->place, letter->id, replay->err);
    if (rc == 0)
        cm_account_add(&replay->waiting, &account);
    return rc;
}

/* A row that an index refused is no event: its letter goes, and the index is compared with the
 * answers next time, which sends what it lacks. */
static int replay_row(replay_t *replay, const cm_replay_letter_t *letter)
{
    int rc = 0;

    /* First, in a transaction of its own: if the process ends before the letters are gone, only a
     * comparison is made without need. */
    if (replay->rows++ == 0 && (rc = commit(replay)) == 0)
        rc = replay->place->ops->forget_checkpoints(replay->place, replay->err);
    return rc == 0 ? replay->place->ops->remove(replay->place, letter->id, replay->err) : rc;
}

static int replay_letter(void *context, const cm_replay_letter_t *letter)
{
    replay_t *replay = context;
    const cm_replay_place_ops_t *ops = replay->place->ops;

    if (cm_pipeline_stops(replay->env))
        return CM_ESTOP;
    const bool row = replay->options->with == NULL && ops->forget_checkpoints != NULL &&
                     cm_index_refused(letter->origin, &replay->index);
    int rc = row ? replay_row(replay, letter) : replay_message(replay, letter);
    return rc == 0 ? commit_when_many(replay, letter->payload.len) : rc;
}

/* ---- all letters ---- */

static int replay_letters(replay_t *replay)
{
    const cm_replay_options_t *options = replay->options;
    cm_replay_place_t *place = replay->place;
    int rc = 0;

    for (int i = 0; i < options->id_count && rc == 0 && place->ops->check != NULL; i++)
        rc = place->ops->check(place, options->ids[i], replay->err);
    if (rc < 0)
        return rc;
    if (options->id_count == 0)
        rc = place->ops->each(place, NULL, 0, replay_letter, replay, replay->err);
    for (int i = 0; i < options->id_count && rc == 0; i++)
        rc = place->ops->each(place, options->ids[i], 1, replay_letter, replay, replay->err);
    if (rc == CM_ESTOP && cm_pipeline_stops(replay->env))
        rc = 0;
    if (rc == 0)
        rc = commit(replay);
    if (rc == 0 && replay->account->accepted > 0 && place->ops->settle != NULL)
        rc = place->ops->settle(place, replay->err);
    if (rc == 0 && replay->rows > 0)
        fprintf(replay->env->messages,
                "%llu answers that %s had refused: the next `clickmill process%s` sends again what "
                "it lacks\n",
                (unsigned long long)replay->rows, cm_index_engine(&replay->index),
                cm_index_argument(&replay->index));
    return rc;
}

static int open_file(replay_t *replay)
{
    replay->fd = memfd_create("dead letter", MFD_CLOEXEC);
    if (replay->fd < 0)
        return cm_fail(replay->err, CM_EINTERNAL, "the kernel gives no memory file");
    snprintf(replay->path, sizeof replay->path, "/proc/self/fd/%d", replay->fd);
    return 0;
}

int cm_replay(const cm_pipeline_env_t *env, cm_replay_place_t *place,
              const cm_replay_options_t *options, cm_account_t *account, cm_err_t *err)
{
    const cm_file_given_t *files = options->files;
    replay_t replay = {
        .env = env, .place = place, .options = options, .account = account, .err = err, .fd = -1};

    cm_enrich_thread_open(&replay.enriching, &files->enrich, files->all, env->log);
    int rc = cm_timestamp_format_open(&files->times, &replay.times, err);
    if (rc == 0)
        rc = cm_event_map_new(&files->map, &replay.map, err);
    if (rc == 0)
        rc = cm_enrichment_start(replay.enriching.enrichment, err);
    if (rc == 0)
        rc = place->ops->visitors(place, replay.key, &replay.older_keys, err);
    if (rc == 0 && options->kafka->registry != NULL)
        rc = cm_kafka_registry_open(options->kafka, &replay.registry, err);
    if (rc == 0)
        rc = open_file(&replay);
    if (rc == 0)
        rc = replay_letters(&replay);
    if (replay.fd >= 0)
        close(replay.fd);
    cm_kafka_registry_close(replay.registry);
    cm_buf_free(&replay.decoded);
    cm_enrich_thread_close(&replay.enriching);
    cm_timestamp_format_close(&replay.times);
    cm_event_map_free(replay.map);
    return rc;
}
