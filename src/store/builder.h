/* A block that is being built.
 *
 * Events are collected with the block's own dictionaries, so that several threads can each build a
 * block without sharing anything. Then, one thread at a time, resolve() replaces the block's ids by
 * the store's; encode() compresses, again on any thread. A builder owns all its memory and is
 * reused. */
#ifndef CM_STORE_BUILDER_H
#define CM_STORE_BUILDER_H

#include "store/block.h"
#include "store/dict.h"

#include <stdatomic.h>

enum { CM_BUILDER_PARTS = 4 };

struct cm_builder {
    cm_columns_t columns; /* ids are the block's own until resolved */
    cm_str_t *users;      /* each event's user, until resolved */
    uint32_t *user_hashes;
    cm_arena_t user_strings;
    cm_dict_t dicts[CM_FIELD_COUNT];  /* the block's other strings */
    uint32_t *global[CM_FIELD_COUNT]; /* scratch of resolve(): the store's id of each string */
    uint32_t global_cap[CM_FIELD_COUNT];
    uint8_t *stated; /* with answers_only: how many of city, browser, os, device are stated */
    cm_buf_t parts[CM_BUILDER_PARTS];  /* encoded: hot, cold, keys, extra */
    bool all_keys_derived, has_others; /* as in cm_block_ref_t */
    int64_t time_min, time_max;
    /* Set by the caller before events are added: */
    bool answers_only; /* leave city, browser, os and device out, and keep row keys as they come */
    const atomic_bool *frugal; /* with it: once set, row keys that follow from user and time are not
                                  kept; or NULL */
};

#define CM_BUILDER_INIT ((cm_builder_t){0})

/* Events that are added together, for speed. */
enum { CM_BUILDER_GROUP = 32 };

/* How many events may still be added; 0: the block is full. */
uint32_t cm_builder_room(const cm_builder_t *builder);

/* Adds `count` events, copying their strings. At most CM_BLOCK_EVENTS in all. */
void cm_builder_add(cm_builder_t *builder, const cm_event_t *events, uint32_t count);

/* Adds the columns of a block of the store, whose ids are resolved, to a builder that has only such
 * events. */
void cm_builder_add_columns(cm_builder_t *builder, const cm_columns_t *from);

/* Adds as many events of the batch, from position `from` on, as the block still has room for.
 * Returns how many. The caller empties the builder when it is full (cm_builder_room()). */
size_t cm_builder_fill(cm_builder_t *builder, const cm_batch_t *batch, size_t from);

/* Replaces the ids by those of the store's dictionaries, to which missing strings are added. */
void cm_builder_resolve(cm_builder_t *builder, cm_dict_t store_dicts[CM_FIELD_COUNT]);

/* Fills `parts`, `all_keys_derived`, `has_others` and the times from the resolved columns; without
 * events there is no block, and the parts are empty. So is `extra` where no event has an optional
 * field. */
void cm_builder_encode(cm_builder_t *builder);

/* Removes the events and keeps the memory. */
void cm_builder_clear(cm_builder_t *builder);

void cm_builder_free(cm_builder_t *builder);

#endif
