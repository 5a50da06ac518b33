/* What `recover` has found of a damaged store: blocks, segments of dictionaries, and the rest,
 * recognized by their form. Owned by cm_found_t; one thread. */
#ifndef CM_STORE_EMBEDDED_FOUND_H
#define CM_STORE_EMBEDDED_FOUND_H

#include "store/embedded/raw.h"
#include "store/store.h"

/* A block, whole or not. */
typedef struct cm_found_block {
    int64_t first;
    uint32_t count;
    bool hot, cold, keys; /* these parts are whole */
    bool extra;           /* the same, or it has no such part */
    bool keys_derived;
    cm_raw_view_t view;
    uint32_t page, cell;
} cm_found_block_t;

/* Strings of consecutive ids of one field. */
typedef struct cm_found_segment {
    int64_t first;
    uint32_t count;
    cm_str_t *strings; /* NULL: the segment is damaged */
    cm_arena_t arena;
} cm_found_segment_t;

typedef struct cm_found_segments {
    cm_found_segment_t
        *items; /* after cm_found_settle(): whole, by first id, none inside another */
    size_t count, cap;
    int64_t (*doubt)[2]; /* ids [from, to) for which two segments have different strings */
    size_t doubts, doubt_cap;
    int64_t end; /* how many ids there were, as far as can be seen */
} cm_found_segments_t;

typedef struct cm_found {
    cm_found_block_t *blocks;
    size_t count, cap;
    cm_found_segments_t segments[CM_FIELD_COUNT];
    int64_t
        end_ordinal; /* events that the answers cover, by their own records; 0: there are none */
} cm_found_t;

/* Whether a block can be saved. Row keys that follow from the events need not be there. Without the
 * optional fields, other events would become page views. */
static inline bool cm_found_is_whole(const cm_found_block_t *block)
{
    return block->hot && block->extra && (block->keys || block->keys_derived);
}

/* Takes a record if it is a block, a segment, or says what answers cover. */
void cm_found_take(cm_found_t *found, cm_raw_view_t view, const cm_raw_record_t *record);

/* Sorts all: blocks by ordinal, the largest first. */
void cm_found_settle(cm_found_t *found);

/* The string of an id; false when it is lost. */
bool cm_found_string(const cm_found_t *found, cm_field_t field, uint32_t id, cm_str_t *string);

/* Strings that were found, and those that are lost. */
void cm_found_count_strings(const cm_found_t *found, int64_t *strings, int64_t *lost);

/* How many ordinals there were, as far as can be seen. */
int64_t cm_found_end(const cm_found_t *found);

void cm_found_free(cm_found_t *found);

#endif
