/* Merging small blocks, so that a quiet site's file stays small and quick to read.
 *
 * A commit of a quiet site holds a handful of events. Blocks are put into tiers by size
 * (cm_block_size(); each tier 16 times the one before); when a tier has 16 blocks at the end of the
 * store, they become one, and so do large ones of which no more fit into a block. Every event is
 * rewritten about once a tier, four or five times in its life, and the number of small blocks stays
 * below 16 a tier. The same holds for dictionary segments. A merge is a transaction of its own and
 * changes no ordinal and no id. It owns its lists. One thread, that of the writer's connection. */
#ifndef CM_STORE_EMBEDDED_MERGE_H
#define CM_STORE_EMBEDDED_MERGE_H

#include "store/builder.h"
#include "store/embedded/database.h"
#include "store/store.h"

/* What block.keys_derived has: two bits, and from bit CM_MERGE_BYTES on the bytes of the strings of
 * the optional fields, before they are compressed. It stands before the blobs, because SQLite walks
 * over all pages of a row's blobs to get to a column behind them. */
enum { CM_MERGE_KEYS_DERIVED = 1, CM_MERGE_HAS_OTHERS = 2, CM_MERGE_BYTES = 2 };

#define CM_MERGE_INSERT_BLOCK                                                                      \
    "INSERT INTO block (first, count, time_min, time_max, keys_derived, hot, cold, keys, "         \
    "extra) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
#define CM_MERGE_INSERT_STRINGS                                                                    \
    "INSERT INTO dictionary (field, first, count, texts) VALUES (?, ?, ?, ?)"

/* The sizes of consecutive pieces, blocks or segments, oldest first. */
typedef struct cm_pieces {
    int64_t *firsts;
    uint32_t *counts; /* events or strings */
    uint32_t *sizes;  /* the same, or cm_block_size() */
    size_t count, cap;
} cm_pieces_t;

void cm_pieces_add(cm_pieces_t *pieces, int64_t first, uint32_t count, uint32_t size);
void cm_pieces_free(cm_pieces_t *pieces);

/* How many pieces at the end must become one; 0: none. The size of a merged piece never exceeds
 * `limit`.
 *
 * The pieces of a tier are merged when there are 16 of them; or, when they are large, when no more
 * fit into one. But a piece is only written again when the result is at least twice its size. */
size_t cm_pieces_due(const cm_pieces_t *pieces, uint32_t limit);

/* Makes one of the last `run`. */
void cm_pieces_join(cm_pieces_t *pieces, size_t run);

typedef struct cm_merge {
    cm_pieces_t blocks;
    cm_pieces_t segments[CM_FIELD_COUNT];
    bool unknown; /* a merge has failed: the content of the file must be read again */
} cm_merge_t;

/* Reads where the blocks and segments are. CM_ECORRUPT when one is missing in between. */
int cm_merge_load(cm_merge_t *merge, const cm_database_t *database, cm_err_t *err);

/* Notes what the transaction inserts. */
void cm_merge_add_block(cm_merge_t *merge, const cm_columns_t *columns);
void cm_merge_add_strings(cm_merge_t *merge, int field, uint32_t first, uint32_t count);

/* Removes the notes of a transaction that was rolled back: all from these on. */
void cm_merge_take_back(cm_merge_t *merge, int64_t events, const uint32_t strings[CM_FIELD_COUNT]);

/* Events in all blocks, and strings in all segments of a dictionary. */
int64_t cm_merge_events(const cm_merge_t *merge);
int64_t cm_merge_strings(const cm_merge_t *merge, int field);

/* After a commit: merges what is due. */
int cm_merge_run(cm_merge_t *merge, const cm_database_t *database,
                 const cm_dict_t dicts[CM_FIELD_COUNT], cm_err_t *err);

/* Inserts an encoded block, with CM_MERGE_INSERT_BLOCK; columns.first says where it begins. */
int cm_merge_insert(const cm_database_t *database, sqlite3_stmt *insert,
                    const cm_builder_t *builder, cm_err_t *err);

/* Inserts the strings [from, to) of a dictionary as one segment, with CM_MERGE_INSERT_STRINGS. */
int cm_merge_insert_strings(const cm_database_t *database, sqlite3_stmt *insert,
                            const cm_dict_t *dict, int field, uint32_t from, uint32_t to,
                            cm_err_t *err);

void cm_merge_free(cm_merge_t *merge);

#endif
