#include "event/batch.h"

#include <stdlib.h>

cm_event_t *cm_batch_slot(cm_batch_t *batch)
{
    if (batch->count == batch->cap) {
        batch->cap = batch->cap ? batch->cap * 2 : CM_BATCH_EVENTS;
        batch->events = cm_realloc(batch->events, batch->cap * sizeof *batch->events);
    }
    batch->events[batch->count].extra = NULL;
    return &batch->events[batch->count];
}

void cm_batch_accept(cm_batch_t *batch)
{
    cm_account_accept(&batch->account, &batch->events[batch->count++]);
}

/* Whether an event in JSON may have an address, in a field that enrichment reads. */
static bool has_address(cm_str_t payload)
{
    return payload.data != NULL && (memmem(payload.data, payload.len, "\"ip\"", 4) != NULL ||
                                    memmem(payload.data, payload.len, "\"address\"", 9) != NULL);
}

void cm_batch_reject(cm_batch_t *batch, cm_str_t payload, const char *reason, const char *origin)
{
    if (batch->dead_count == batch->dead_cap) {
        batch->dead_cap = batch->dead_cap ? batch->dead_cap * 2 : 16;
        batch->dead = cm_realloc(batch->dead, batch->dead_cap * sizeof *batch->dead);
    }
    batch->dead[batch->dead_count++] = (cm_dead_t){
        .payload = cm_arena_copy(&batch->arena, payload),
        .reason = cm_arena_copy(&batch->arena, cm_str(reason)),
        .origin = cm_arena_copy(&batch->arena, cm_str(origin)),
        .personal = has_address(payload),
    };
    batch->account.read++;
    batch->account.rejected++;
}

void cm_batch_mark(cm_batch_t *batch, cm_str_t source, int64_t position)
{
    if (batch->position_count == batch->position_cap) {
        batch->position_cap = batch->position_cap ? batch->position_cap * 2 : 8;
        batch->positions =
            cm_realloc(batch->positions, batch->position_cap * sizeof *batch->positions);
    }
    batch->positions[batch->position_count++] =
        (cm_position_t){cm_arena_copy(&batch->arena, source), position};
}

void cm_batch_skip(cm_batch_t *batch)
{
    batch->account.read++;
    batch->account.skipped++;
}

void cm_batch_skip_bot(cm_batch_t *batch, cm_bot_kind_t kind)
{
    cm_batch_skip(batch);
    batch->account.bots[kind]++;
}

/* Whether it is a path, or has no scheme with a host. */
static bool is_hostless(cm_str_t url)
{
    const bool path = url.len > 0 && url.data[0] == '/';

    return path ? url.len < 2 || url.data[1] != '/' : memmem(url.data, url.len, "://", 3) == NULL;
}

void cm_account_accept(cm_account_t *account, const cm_event_t *event)
{
    account->read++;
    account->accepted++;
    if (event->extra != NULL && event->extra->text[CM_EXTRA_REFERRER].len > 0)
        account->hostless += is_hostless(event->url);
}

void cm_account_add(cm_account_t *sum, const cm_account_t *more)
{
    sum->read += more->read;
    sum->accepted += more->accepted;
    sum->rejected += more->rejected;
    sum->skipped += more->skipped;
    for (int kind = 0; kind < CM_BOT_KINDS; kind++)
        sum->bots[kind] += more->bots[kind];
    sum->refused += more->refused;
    sum->told += more->told;
    sum->gone += more->gone;
    sum->resumed += more->resumed;
    sum->collected += more->collected;
    sum->sent += more->sent;
    sum->dead += more->dead;
    sum->spooled += more->spooled;
    sum->unknown_fields += more->unknown_fields;
    sum->cut_referrers += more->cut_referrers;
    sum->cut_campaigns += more->cut_campaigns;
    for (int i = 0; i < CM_EXTRA_COUNT; i++)
        sum->lost[i] += more->lost[i];
    sum->hostless += more->hostless;
}

void cm_batch_copy(cm_batch_t *to, const cm_batch_t *from)
{
    cm_account_t account = to->account;

    cm_account_add(&account, &from->account);
    for (size_t i = 0; i < from->count; i++) {
        cm_event_t *event = cm_batch_slot(to);
        *event = from->events[i];
        to->count++;
        cm_event_keep(event, &to->arena);
    }
    for (size_t i = 0; i < from->dead_count; i++) {
        cm_batch_reject(to, from->dead[i].payload, "", "");
        cm_dead_t *dead = &to->dead[to->dead_count - 1];
        dead->reason = cm_arena_copy(&to->arena, from->dead[i].reason);
        dead->origin = cm_arena_copy(&to->arena, from->dead[i].origin);
        dead->key = cm_arena_copy(&to->arena, from->dead[i].key);
        dead->personal = from->dead[i].personal;
    }
    to->account = account;
    for (size_t i = 0; i < from->position_count; i++)
        cm_batch_mark(to, from->positions[i].source, from->positions[i].position);
}

size_t cm_batch_size(const cm_batch_t *batch)
{
    size_t size = batch->count * sizeof *batch->events;

    for (size_t i = 0; i < batch->count; i++)
        size += cm_event_size(&batch->events[i]);
    return size;
}

void cm_batch_clear(cm_batch_t *batch)
{
    batch->count = batch->dead_count = batch->position_count = 0;
    batch->account = (cm_account_t){0};
    cm_arena_reset(&batch->arena);
}

void cm_batch_free(cm_batch_t *batch)
{
    free(batch->events);
    free(batch->dead);
    free(batch->positions);
    cm_arena_free(&batch->arena);
    *batch = CM_BATCH_INIT;
}
