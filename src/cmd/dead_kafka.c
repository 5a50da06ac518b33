/* clickmill dead --from kafka: dead letters in their topic. */
#include "cmd/dead.h"
#include "kafka/dead.h"
#include "pipeline/pipeline.h"
#include "sink/kafka/sink.h"
#include "store/embedded/key.h"
#include "store/embedded/seal.h"
#include "store/open.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int cm_dead_seal(void *key, cm_str_t payload, cm_buf_t *out, cm_err_t *err)
{
    return cm_seal_text(key, payload, out, err);
}

/* The payload as it came: sealed ones are opened into `plain`, where the key is that of the data
 * directory that has sealed them. */
static cm_str_t open_payload(const uint8_t *key, cm_str_t payload, cm_buf_t *plain)
{
    cm_buf_clear(plain);
    if (key == NULL || !cm_seal_open(key, payload, plain))
        return payload;
    return (cm_str_t){plain->data, plain->len};
}

/* ---- list and show ---- */

typedef struct printer {
    cm_app_t *app;
    bool whole;
    bool has_key;
    uint8_t key[CM_KEY];
    cm_buf_t plain;
} printer_t;

static int print_letter(void *context, const cm_kafka_dead_letter_t *letter)
{
    printer_t *printer = context;
    char id[CM_KAFKA_DEAD_LETTER_ID + 2];

    snprintf(id, sizeof id, printer->app->global.json ? "\"%s\"" : "%s", letter->id);
    const cm_dead_shown_t shown = {.id = id,
                                   .time = letter->time,
                                   .origin = letter->origin,
                                   .reason = letter->reason,
                                   .payload = open_payload(printer->has_key ? printer->key : NULL,
                                                           letter->payload, &printer->plain)};
    return cm_dead_print(printer->app, &shown, printer->whole);
}

int cm_dead_kafka_print(cm_app_t *app, const cm_dead_options_t *options, bool whole, const char *id)
{
    const cm_kafka_settings_t settings =
        cm_kafka_settings_of(&options->kafka, &app->log, app->stop);
    printer_t printer = {.app = app, .whole = whole};

    int rc = cm_key_of(app->global.data_dir, printer.key, &printer.has_key, &app->err);
    if (rc == 0)
        rc = cm_kafka_dead_each(&settings, id, options->limit, print_letter, &printer, &app->err);
    cm_buf_free(&printer.plain);
    return rc;
}

/* ---- replay ---- */

enum { TOGETHER = 100 }; /* letters a transaction */

typedef struct replay {
    cm_app_t *app;
    const cm_dead_options_t *options;
    const cm_kafka_settings_t *settings;
    cm_sink_t *sink;
    cm_dead_file_t file;
    cm_dead_visitors_t visitors;
    cm_buf_t plain;
    cm_account_t account, uncommitted;
} replay_t;

static int commit(replay_t *replay)
{
    int rc = cm_sink_commit(replay->sink, &replay->app->err);

    if (rc == 0)
        cm_account_add(&replay->account, &replay->uncommitted);
    replay->uncommitted = (cm_account_t){0};
    return rc;
}

/* Notes in the letters' topic that this one is done with. */
static int mark_replayed(replay_t *replay, const char *id)
{
    const cm_str_t nothing = {NULL, 0};
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);

    rd_kafka_header_add(headers, CM_KAFKA_REPLAYED, -1, id, -1);
    int rc = cm_sink_kafka_put_raw(replay->sink, replay->settings->dead_topic, nothing, nothing,
                                   headers, &replay->app->err);
    rd_kafka_headers_destroy(headers);
    return rc;
}

static int replay_letter(void *context, const cm_kafka_dead_letter_t *letter)
{
    replay_t *replay = context;
    cm_err_t *err = &replay->app->err;
    const char *path = replay->options->with;
    cm_account_t account = {0};
    int rc = 0;

    if (path == NULL) {
        path = replay->file.path;
        rc = cm_dead_file_write(&replay->file,
                                open_payload(replay->visitors.key, letter->payload, &replay->plain),
                                err);
    }
    if (rc == 0)
        rc = cm_dead_retry(replay->app, replay->options, &replay->visitors, path, replay->sink,
                           &account);
    if (rc == 0 && account.accepted > 0)
        rc = mark_replayed(replay, letter->id);
    if (rc < 0)
        return rc;
    cm_account_add(&replay->uncommitted, &account);
    return replay->uncommitted.read >= TOGETHER ? commit(replay) : 0;
}

static int replay_letters(replay_t *replay, int argc, char **argv)
{
    int rc = 0;

    if (argc == 0)
        rc =
            cm_kafka_dead_each(replay->settings, NULL, 0, replay_letter, replay, &replay->app->err);
    for (int i = 0; i < argc && rc == 0; i++)
        rc = cm_kafka_dead_each(replay->settings, argv[i], 1, replay_letter, replay,
                                &replay->app->err);
    return rc == 0 ? commit(replay) : rc;
}

/* A committed transaction is seen by readers a moment later; a new producer of its name is let in
 * only then. So whoever lists the letters next finds them as we leave them. */
static int settle(replay_t *replay, const cm_sink_kafka_options_t *sink)
{
    cm_sink_close(replay->sink);
    replay->sink = NULL;
    return cm_sink_kafka_open(sink, &replay->sink, &replay->app->err);
}

int cm_dead_kafka_replay(cm_app_t *app, const cm_dead_options_t *options, int argc, char **argv)
{
    const cm_kafka_settings_t settings =
        cm_kafka_settings_of(&options->kafka, &app->log, app->stop);
    replay_t replay = {.app = app, .options = options, .settings = &settings};
    cm_buf_t name = CM_BUF_INIT;

    cm_buf_printf(&name, "%s.dead", settings.group);
    /* Of two who replay at once, the name lets only the later one go on. */
    const cm_sink_kafka_options_t sink = {
        .settings = &settings, .clock = app->clock, .transaction = name.data};
    cm_enriching_open(&replay.visitors.enriching, &options->import.enrich, options->import.all,
                      &app->log);
    int rc = cm_dead_file_open(&replay.file, &app->err);
    if (rc == 0)
        rc = cm_timestamp_format_open(&options->import.times, &replay.visitors.times, &app->err);
    if (rc == 0)
        rc = cm_enrichment_start(replay.visitors.enriching.enrichment, &app->err);
    if (rc == 0)
        rc = cm_store_older_keys_of(app->global.data_dir, &replay.visitors.older_keys, &app->err);
    if (rc == 0)
        rc = cm_store_secret_of(app->global.data_dir, replay.visitors.key, &app->err);
    if (rc == 0)
        rc = cm_sink_kafka_open(&sink, &replay.sink, &app->err);
    if (rc == 0)
        rc = replay_letters(&replay, argc, argv);
    if (rc == 0 && replay.account.accepted > 0)
        rc = settle(&replay, &sink);
    if (rc == 0)
        cm_app_print_account_as(app, &replay.account, app->out, "clickmill dead list --from kafka");
    cm_sink_close(replay.sink);
    if (replay.file.fd >= 0)
        close(replay.file.fd);
    cm_enriching_close(&replay.visitors.enriching);
    cm_timestamp_format_close(&replay.visitors.times);
    cm_buf_free(&name);
    cm_buf_free(&replay.plain);
    return rc;
}
