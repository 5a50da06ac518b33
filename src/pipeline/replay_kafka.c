/* The dead letters in Kafka's topic. */
#include "kafka/dead.h"
#include "pipeline/replay.h"
#include "sink/kafka/sink.h"
#include "store/open.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { GROUP_LETTERS = 100 }; /* in a transaction */

typedef struct kafka_place {
    cm_replay_place_t place; /* first */
    const cm_kafka_settings_t *settings;
    const cm_clock_t *clock;
    const char *data_dir;
    uint8_t secret[CM_STORE_SECRET];
    bool has_secret;
    cm_buf_t name, plain;
} kafka_place_t;

/* ---- walking ---- */

typedef struct walk {
    kafka_place_t *self;
    cm_replay_letter_fn take;
    void *context;
} walk_t;

/* The payload as it came: one that was sealed is opened into `plain`, if the secret is the one with
 * which it was sealed. */
static cm_str_t open_payload(kafka_place_t *self, cm_str_t payload)
{
    cm_buf_clear(&self->plain);
    if (!self->has_secret || !cm_store_unseal(self->secret, payload, &self->plain))
        return payload;
    return (cm_str_t){self->plain.data, self->plain.len};
}

static int pass_on(void *context, const cm_kafka_dead_letter_t *letter)
{
    const walk_t *walk = context;

    return walk->take(walk->context,
                      &(cm_replay_letter_t){.id = letter->id,
                                            .time = letter->time,
                                            .origin = letter->origin,
                                            .reason = letter->reason,
                                            .payload = open_payload(walk->self, letter->payload)});
}

static int kafka_each(cm_replay_place_t *place, const char *id, int64_t limit,
                      cm_replay_letter_fn take, void *context, cm_err_t *err)
{
    kafka_place_t *self = (kafka_place_t *)place;
    walk_t walk = {self, take, context};

    return cm_kafka_dead_each(self->settings, id, limit, pass_on, &walk, err);
}

/* ---- replaying ---- */

static int kafka_visitors(cm_replay_place_t *place, uint8_t key[CM_VISITOR_KEY], bool *older_keys,
                          cm_err_t *err)
{
    kafka_place_t *self = (kafka_place_t *)place;

    int rc = cm_store_older_keys_of(self->data_dir, older_keys, err);
    if (rc == 0)
        rc = cm_store_secret_of(self->data_dir, self->secret, err);
    self->has_secret |= rc == 0;
    memcpy(key, self->secret, CM_VISITOR_KEY);
    return rc;
}

/* Notes in the topic of the letters that this one was replayed. */
static int kafka_remove(cm_replay_place_t *place, const char *id, cm_err_t *err)
{
    kafka_place_t *self = (kafka_place_t *)place;
    const cm_str_t nothing = {NULL, 0};
    rd_kafka_headers_t *headers = rd_kafka_headers_new(1);

    rd_kafka_header_add(headers, CM_KAFKA_REPLAYED, -1, id, -1);
    int rc = cm_sink_kafka_put_raw(place->sink, self->settings->dead_topic, nothing, nothing,
                                   headers, err);
    rd_kafka_headers_destroy(headers);
    return rc;
}

/* If two processes replay at once, the name of the transaction lets only the later one go on. */
static int open_sink(kafka_place_t *self, cm_err_t *err)
{
    const cm_sink_kafka_options_t sink = {
        .settings = self->settings, .clock = self->clock, .transaction = self->name.data};

    return cm_sink_kafka_open(&sink, &self->place.sink, err);
}

/* Readers see a committed transaction a moment later; a new producer of its name is let in only
 * then. So the next command that lists the letters finds them without those that were replayed. */
static int kafka_settle(cm_replay_place_t *place, cm_err_t *err)
{
    cm_sink_close(place->sink);
    place->sink = NULL;
    return open_sink((kafka_place_t *)place, err);
}

static void kafka_close(cm_replay_place_t *place)
{
    kafka_place_t *self = (kafka_place_t *)place;

    cm_sink_close(place->sink);
    cm_buf_free(&self->name);
    cm_buf_free(&self->plain);
    free(self);
}

int cm_replay_open_kafka(const cm_pipeline_env_t *env, const cm_kafka_settings_t *settings,
                         const char *data_dir, bool replay, cm_replay_place_t **place,
                         cm_err_t *err)
{
    static const cm_replay_place_ops_t ops = {.each = kafka_each,
                                              .visitors = kafka_visitors,
                                              .remove = kafka_remove,
                                              .settle = kafka_settle,
                                              .close = kafka_close};
    kafka_place_t *self = cm_alloc_zero(1, sizeof *self);

    *self = (kafka_place_t){.place = {.ops = &ops,
                                      .list_command = "clickmill dead list --from kafka",
                                      .text_ids = true,
                                      .group_letters = GROUP_LETTERS,
                                      .group_bytes = SIZE_MAX},
                            .settings = settings,
                            .clock = env->clock,
                            .data_dir = data_dir};
    cm_buf_printf(&self->name, "%s.dead", settings->group);
    int rc = cm_store_find_secret(data_dir, self->secret, &self->has_secret, err);
    if (rc == 0 && replay)
        rc = open_sink(self, err);
    if (rc < 0) {
        kafka_close(&self->place);
        return rc;
    }
    *place = &self->place;
    return 0;
}
