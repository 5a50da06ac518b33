#include "event/batch.h"

#include <stdlib.h>

cm_event_t *cm_batch_slot(cm_batch_t *batch)
{
    if (batch->count == batch->cap) {
        batch->cap = batch->cap ? batch->cap * 2 : CM_BATCH_EVENTS;
        batch->events = cm_realloc(batch->events, batch->cap * sizeof *batch->events);
    }
    return &batch->events[batch->count];
}

void cm_batch_accept(cm_batch_t *batch)
{
    batch->count++;
    batch->account.read++;
    batch->account.accepted++;
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
    };
    batch->account.read++;
    batch->account.rejected++;
}

void cm_batch_skip(cm_batch_t *batch)
{
    batch->account.read++;
    batch->account.skipped++;
}

void cm_account_add(cm_account_t *sum, const cm_account_t *more)
{
    sum->read += more->read;
    sum->accepted += more->accepted;
    sum->rejected += more->rejected;
    sum->skipped += more->skipped;
    sum->unknown_fields += more->unknown_fields;
}

void cm_batch_clear(cm_batch_t *batch)
{
    batch->count = batch->dead_count = 0;
    batch->account = (cm_account_t){0};
    batch->source = (cm_str_t){NULL, 0};
    batch->position = 0;
    cm_arena_reset(&batch->arena);
}

void cm_batch_free(cm_batch_t *batch)
{
    free(batch->events);
    free(batch->dead);
    cm_arena_free(&batch->arena);
    *batch = CM_BATCH_INIT;
}
