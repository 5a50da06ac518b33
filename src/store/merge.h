/* Merging small blocks, so that a quiet site's file stays small and quick to read.
 *
 * A commit of a quiet site holds a handful of events. Blocks are put into tiers by size (each 16
 * times the one before); when 16 blocks at the end of the store have not left a tier, they become
 * one. Every event is rewritten at most once a tier, four or five times in its life, and the number
 * of small blocks stays below 16 a tier. The same holds for dictionary segments. A merge is a
 * transaction of its own and changes no ordinal and no id. */
#ifndef CM_STORE_MERGE_H
#define CM_STORE_MERGE_H

#include "store/builder.h"
#include "store/database.h"
#include "store/store.h"

#define CM_MERGE_INSERT_BLOCK                                                                      \
    "INSERT INTO block (first, count, time_min, time_max, keys_derived, hot, cold, keys) "         \
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
#define CM_MERGE_INSERT_TEXTS                                                                      \
    "INSERT INTO dictionary (field, first, count, texts) VALUES (?, ?, ?, ?)"

/* The sizes of consecutive pieces, blocks or segments, oldest first. */
typedef struct cm_pieces {
    int64_t *firsts;
    uint32_t *counts;
    size_t count, cap;
} cm_pieces_t;

typedef struct cm_merge {
    cm_pieces_t blocks;
    cm_pieces_t segments[CM_FIELD_COUNT];
} cm_merge_t;

/* Reads where the blocks and segments are. CM_ECORRUPT when one is missing in between. */
int cm_merge_load(cm_merge_t *merge, const cm_database_t *database, cm_err_t *err);

/* Events in all blocks. */
int64_t cm_merge_events(const cm_merge_t *merge);

/* Takes what was committed since the last call into account and merges what has become due. */
int cm_merge_run(cm_merge_t *merge, const cm_database_t *database,
                 const cm_dict_t dicts[CM_FIELD_COUNT], cm_err_t *err);

/* Inserts an encoded block, with CM_MERGE_INSERT_BLOCK; columns.first says where it begins. */
int cm_merge_insert(const cm_database_t *database, sqlite3_stmt *insert,
                    const cm_builder_t *builder, cm_err_t *err);

/* Inserts the texts [from, to) of a dictionary as one segment, with CM_MERGE_INSERT_TEXTS. */
int cm_merge_insert_texts(const cm_database_t *database, sqlite3_stmt *insert,
                          const cm_dict_t *dict, int field, uint32_t from, uint32_t to,
                          cm_err_t *err);

void cm_merge_free(cm_merge_t *merge);

#endif
