/* The dead letters of a data directory. */
#include "index/index.h"
#include "index/mirror.h"
#include "pipeline/replay.h"
#include "store/open.h"

#include <stdio.h>
#include <stdlib.h>

enum { GROUP_LETTERS = 1000, GROUP_BYTES = 16 << 20, ID = 24 };

typedef struct store_place {
    cm_replay_place_t place; /* first */
    const char *data_dir;
    cm_store_t *store; /* NULL: not open for reading yet, since ids are checked first */
    char none[300];
} store_place_t;

static int parse_id(const char *text, int64_t *id, cm_err_t *err)
{
    if (cm_str_to_i64(cm_str(text), id) && *id > 0)
        return 0;
    return cm_fail(err, CM_EUSAGE,
                   "a dead letter's number is wanted, not \"%.40s\"; `clickmill dead list` shows "
                   "them",
                   text);
}

/* ---- walking ---- */

typedef struct walk {
    cm_replay_letter_fn take;
    void *context;
} walk_t;

static int pass_on(void *context, const cm_store_letter_t *letter)
{
    const walk_t *walk = context;
    char id[ID], when[CM_TIME_TEXT];

    snprintf(id, sizeof id, "%lld", (long long)letter->id);
    return walk->take(walk->context,
                      &(cm_replay_letter_t){.id = id,
                                            .time = cm_str(cm_time_format(letter->time, when)),
                                            .origin = letter->origin,
                                            .reason = letter->reason,
                                            .payload = letter->payload});
}

/* A letter whose bytes outlive the walk, so that its callback may write to the store. */
typedef struct kept_letter {
    cm_store_letter_t letter;
    cm_arena_t strings;
} kept_letter_t;

static int keep(void *context, const cm_store_letter_t *letter)
{
    kept_letter_t *kept = context;

    kept->letter = *letter;
    kept->letter.origin = cm_arena_copy(&kept->strings, letter->origin);
    kept->letter.reason = cm_arena_copy(&kept->strings, letter->reason);
    kept->letter.payload = cm_arena_copy(&kept->strings, letter->payload);
    return 0;
}

typedef struct id_list {
    int64_t *ids;
    size_t count, cap;
} id_list_t;

static int collect_id(void *context, const cm_store_letter_t *letter)
{
    id_list_t *list = context;

    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 64;
        list->ids = cm_realloc(list->ids, list->cap * sizeof *list->ids);
    }
    list->ids[list->count++] = letter->id;
    return 0;
}

/* The ids are collected first, because the callback changes the table. */
static int walk_to_change(store_place_t *self, int64_t id, int64_t limit, walk_t *walk,
                          cm_err_t *err)
{
    id_list_t list = {.ids = NULL};

    int rc = cm_store_each_letter(self->store, id, limit, collect_id, &list, err);
    for (size_t i = 0; rc == 0 && i < list.count; i++) {
        kept_letter_t kept = {.letter = {0}};
        rc = cm_store_each_letter(self->store, list.ids[i], 1, keep, &kept, err);
        if (rc == 0)
            rc = pass_on(walk, &kept.letter);
        cm_arena_free(&kept.strings);
    }
    free(list.ids);
    return rc;
}

static int store_each(cm_replay_place_t *place, const char *text, int64_t limit,
                      cm_replay_letter_fn take, void *context, cm_err_t *err)
{
    store_place_t *self = (store_place_t *)place;
    walk_t walk = {take, context};
    int64_t id = 0;

    int rc = text != NULL ? parse_id(text, &id, err) : 0;
    if (rc == 0 && self->store == NULL)
        rc = cm_store_open_directory_read(self->data_dir, &self->store, err);
    if (rc < 0)
        return rc;
    return place->sink != NULL ? walk_to_change(self, id, limit, &walk, err)
                               : cm_store_each_letter(self->store, id, limit, pass_on, &walk, err);
}

static int ignore(void *context, const cm_store_letter_t *letter)
{
    (void)context;
    (void)letter;
    return 0;
}

static int store_check(cm_replay_place_t *place, const char *text, cm_err_t *err)
{
    int64_t id;

    int rc = parse_id(text, &id, err);
    return rc < 0 ? rc
                  : cm_store_each_letter(((store_place_t *)place)->store, id, 1, ignore, NULL, err);
}

/* ---- replaying ---- */

static int store_visitors(cm_replay_place_t *place, uint8_t key[CM_VISITOR_KEY], bool *older_keys,
                          cm_err_t *err)
{
    store_place_t *self = (store_place_t *)place;

    int rc = cm_store_older_keys(self->store, older_keys, err);
    return rc == 0 ? cm_store_secret(self->store, key, err) : rc;
}

static int store_remove(cm_replay_place_t *place, const char *text, cm_err_t *err)
{
    int64_t id;

    int rc = parse_id(text, &id, err);
    return rc == 0 ? cm_store_forget_letter(((store_place_t *)place)->store, id, err) : rc;
}

static int forget_checkpoints(cm_replay_place_t *place, cm_err_t *err)
{
    store_place_t *self = (store_place_t *)place;
    const cm_index_settings_t here = cm_index_settings_of_data_dir(self->data_dir, false);
    cm_index_t *index;

    int rc = cm_index_open_writer(&here, self->store, &index, err);
    if (rc < 0)
        return rc;
    rc = cm_index_set_checkpoint(index, NULL, NULL, err);
    cm_index_close(index);
    return rc;
}

static void store_close(cm_replay_place_t *place)
{
    cm_store_close(((store_place_t *)place)->store);
    free(place);
}

int cm_replay_open_store(const cm_pipeline_env_t *env, const char *data_dir, bool replay,
                         cm_replay_place_t **place, cm_err_t *err)
{
    static const cm_replay_place_ops_t ops = {.each = store_each,
                                              .check = store_check,
                                              .visitors = store_visitors,
                                              .remove = store_remove,
                                              .forget_checkpoints = forget_checkpoints,
                                              .close = store_close};
    cm_store_t *store = NULL;

    int rc = replay ? cm_store_open_directory(data_dir, env->clock, &store, err) : 0;
    if (rc < 0)
        return rc;
    store_place_t *self = cm_alloc_zero(1, sizeof *self);
    self->data_dir = data_dir;
    self->store = store;
    self->place = (cm_replay_place_t){.ops = &ops,
                                      .sink = replay ? &store->sink : NULL,
                                      .list_command = "clickmill dead list",
                                      .none = self->none,
                                      .group_letters = GROUP_LETTERS,
                                      .group_bytes = GROUP_BYTES};
    snprintf(self->none, sizeof self->none, "there are no dead letters in %s", data_dir);
    *place = &self->place;
    return 0;
}
