#include "store/embedded/merge.h"

#include "store/block.h"
#include "store/embedded/ends.h"
#include "store/embedded/reader.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { FAN = 16, TIERS = 5 }; /* 16^4 < CM_BLOCK_EVENTS = 16^4.5: pieces of tier 4 may merge too */

/* 0: below 16, 1: below 256, ... */
static int tier_of(uint32_t count)
{
    int tier = 0;
    for (; count >= FAN; count /= FAN)
        tier++;
    return tier;
}

void cm_pieces_add(cm_pieces_t *pieces, int64_t first, uint32_t count, uint32_t size)
{
    if (pieces->count == pieces->cap) {
        pieces->cap = pieces->cap ? pieces->cap * 2 : 64;
        pieces->firsts = cm_realloc(pieces->firsts, pieces->cap * sizeof *pieces->firsts);
        pieces->counts = cm_realloc(pieces->counts, pieces->cap * sizeof *pieces->counts);
        pieces->sizes = cm_realloc(pieces->sizes, pieces->cap * sizeof *pieces->sizes);
    }
    pieces->firsts[pieces->count] = first;
    pieces->sizes[pieces->count] = size;
    pieces->counts[pieces->count++] = count;
}

static int64_t pieces_end(const cm_pieces_t *pieces)
{
    if (pieces->count == 0)
        return 0;
    return pieces->firsts[pieces->count - 1] + pieces->counts[pieces->count - 1];
}

size_t cm_pieces_due(const cm_pieces_t *pieces, uint32_t limit)
{
    for (int tier = 0; tier < TIERS; tier++) {
        size_t run = 0;
        uint64_t sum = 0;
        uint32_t largest = 0;
        bool full = false;
        while (run < pieces->count) {
            uint32_t size = pieces->sizes[pieces->count - 1 - run];
            if (tier_of(size) > tier)
                break;
            full = sum + size > limit;
            if (full)
                break;
            sum += size;
            largest = size > largest ? size : largest;
            run++;
        }
        if (largest <= sum / 3 && (run >= FAN || (full && sum > limit / 2)))
            return run;
    }
    return 0;
}

void cm_pieces_join(cm_pieces_t *pieces, size_t run)
{
    assert(run > 0 && run <= pieces->count);
    size_t at = pieces->count - run;
    for (size_t i = at + 1; i < pieces->count; i++) {
        pieces->counts[at] += pieces->counts[i];
        pieces->sizes[at] += pieces->sizes[i];
    }
    pieces->count = at + 1;
}

/* Appends the pieces that the query (first, count, bytes of strings) returns. */
static int load_pieces(cm_pieces_t *pieces, const cm_database_t *database, const char *sql,
                       const char *what, cm_err_t *err)
{
    sqlite3_stmt *select;
    int step, rc = cm_database_prepare(database, sql, &select, err);
    if (rc < 0)
        return rc;
    while ((step = sqlite3_step(select)) == SQLITE_ROW && rc == 0) {
        int64_t first = sqlite3_column_int64(select, 0), end = pieces_end(pieces);
        int64_t count = sqlite3_column_int64(select, 1);
        if (first != end || count <= 0 || count > UINT32_MAX)
            rc = cm_fail(err, CM_ECORRUPT,
                         "%s %lld is missing in %s; restore the file from a copy "
                         "or save the readable part with `clickmill recover --to DIR`",
                         what, (long long)end, database->path);
        else
            cm_pieces_add(
                pieces, first, (uint32_t)count,
                cm_block_size((uint32_t)count, (uint64_t)sqlite3_column_int64(select, 2)));
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = cm_database_fail(database, "reading the store", err);
    sqlite3_finalize(select);
    return rc;
}

int cm_merge_load(cm_merge_t *merge, const cm_database_t *database, cm_err_t *err)
{
    char sql[160];

    cm_merge_free(merge);
    int rc = load_pieces(&merge->blocks, database,
                         "SELECT first, count, keys_derived >> 2 FROM block ORDER BY first",
                         "event", err);
    for (int field = 0; rc == 0 && field < CM_FIELD_COUNT; field++) {
        snprintf(sql, sizeof sql,
                 "SELECT first, count, 0 FROM dictionary WHERE field = %d ORDER BY first", field);
        rc = load_pieces(&merge->segments[field], database, sql, "dictionary text", err);
    }
    merge->unknown = rc < 0;
    return rc;
}

void cm_merge_add_block(cm_merge_t *merge, const cm_columns_t *columns)
{
    const uint32_t count = columns->count;

    assert(count > 0 && (merge->unknown || columns->first == pieces_end(&merge->blocks)));
    cm_pieces_add(&merge->blocks, columns->first, count, cm_block_size(count, columns->wide.bytes));
}

void cm_merge_add_strings(cm_merge_t *merge, int field, uint32_t first, uint32_t count)
{
    assert(count > 0 && (merge->unknown || first == pieces_end(&merge->segments[field])));
    cm_pieces_add(&merge->segments[field], first, count, count);
}

static void cut(cm_pieces_t *pieces, int64_t end)
{
    while (pieces_end(pieces) > end)
        pieces->count--;
}

void cm_merge_take_back(cm_merge_t *merge, int64_t events, const uint32_t strings[CM_FIELD_COUNT])
{
    cut(&merge->blocks, events);
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        cut(&merge->segments[field], strings[field]);
}

int64_t cm_merge_events(const cm_merge_t *merge)
{
    return pieces_end(&merge->blocks);
}

int64_t cm_merge_strings(const cm_merge_t *merge, int field)
{
    return pieces_end(&merge->segments[field]);
}

static int bind_blob(sqlite3_stmt *statement, int at, const cm_buf_t *blob)
{
    return sqlite3_bind_blob64(statement, at, blob->data, blob->len, SQLITE_STATIC);
}

int cm_merge_insert(const cm_database_t *database, sqlite3_stmt *insert,
                    const cm_builder_t *builder, cm_err_t *err)
{
    const cm_columns_t *columns = &builder->columns;

    sqlite3_bind_int64(insert, 1, columns->first);
    sqlite3_bind_int64(insert, 2, columns->count);
    sqlite3_bind_int64(insert, 3, builder->time_min);
    sqlite3_bind_int64(insert, 4, builder->time_max);
    sqlite3_bind_int64(insert, 5,
                       (builder->all_keys_derived ? CM_MERGE_KEYS_DERIVED : 0) |
                           (builder->has_others ? CM_MERGE_HAS_OTHERS : 0) |
                           (sqlite3_int64)columns->wide.bytes << CM_MERGE_BYTES);
    for (int part = 0; part < CM_BUILDER_PARTS; part++) {
        if (builder->parts[part].len > 0)
            bind_blob(insert, 6 + part, &builder->parts[part]);
        else
            sqlite3_bind_null(insert, 6 + part);
    }
    return cm_database_step(database, insert, "writing events", err);
}

int cm_merge_insert_strings(const cm_database_t *database, sqlite3_stmt *insert,
                            const cm_dict_t *dict, int field, uint32_t from, uint32_t to,
                            cm_err_t *err)
{
    cm_buf_t blob = CM_BUF_INIT;
    cm_str_t *strings = cm_alloc((to - from) * sizeof *strings);

    for (uint32_t id = from; id < to; id++)
        strings[id - from] = cm_dict_string(dict, id);
    cm_segment_encode(strings, to - from, &blob);
    sqlite3_bind_int(insert, 1, field);
    sqlite3_bind_int64(insert, 2, from);
    sqlite3_bind_int64(insert, 3, to - from);
    bind_blob(insert, 4, &blob);
    int rc = cm_database_step(database, insert, "writing texts", err);
    free(strings);
    cm_buf_free(&blob);
    return rc;
}

/* Inside the open transaction: checks that the table has as many rows as the pieces at the end that
 * will become one. The numbers differ when another process has merged these rows. */
static int check_run(const cm_database_t *database, const char *rows, size_t run, cm_err_t *err)
{
    char sql[140];
    int64_t count;

    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", rows);
    int rc = cm_database_int(database, sql, 0, &count, err);
    return rc < 0 || (size_t)count == run ? rc : cm_ends_fail(database, err);
}

/* Replaces the last `run` blocks by one, inside the open transaction; `*size` is its size. */
static int replace_blocks(const cm_pieces_t *blocks, size_t run, const cm_database_t *database,
                          cm_reader_t *reader, uint32_t *size, cm_err_t *err)
{
    cm_builder_t all = {.columns = {.first = blocks->firsts[blocks->count - run]}};
    cm_columns_t one = {0};
    sqlite3_stmt *insert = NULL;
    char rows[80], sql[100];

    snprintf(rows, sizeof rows, "block WHERE first >= %lld", (long long)all.columns.first);
    snprintf(sql, sizeof sql, "DELETE FROM %s", rows);
    int rc = check_run(database, rows, run, err);
    for (size_t i = blocks->count - run; rc == 0 && i < blocks->count; i++) {
        cm_block_ref_t block = {
            .first = blocks->firsts[i], .count = blocks->counts[i], .has_extra = true};
        rc = cm_reader_read(reader, &block, CM_READ_ALL, &one, err);
        if (rc == 0)
            cm_builder_add_columns(&all, &one);
    }
    if (rc == 0 && (rc = cm_database_exec(database, sql, "merging blocks", err)) == 0 &&
        (rc = cm_database_prepare(database, CM_MERGE_INSERT_BLOCK, &insert, err)) == 0) {
        cm_builder_encode(&all);
        rc = cm_merge_insert(database, insert, &all, err);
        *size = cm_block_size(all.columns.count, all.columns.wide.bytes);
    }
    sqlite3_finalize(insert);
    cm_builder_free(&all);
    cm_columns_free(&one);
    return rc;
}

static int replace_segments(const cm_pieces_t *pieces, size_t run, const cm_database_t *database,
                            const cm_dict_t *dict, int field, cm_err_t *err)
{
    int64_t first = pieces->firsts[pieces->count - run];
    sqlite3_stmt *insert = NULL;
    char rows[100], sql[120];

    snprintf(rows, sizeof rows, "dictionary WHERE field = %d AND first >= %lld", field,
             (long long)first);
    snprintf(sql, sizeof sql, "DELETE FROM %s", rows);
    int rc = check_run(database, rows, run, err);
    if (rc == 0)
        rc = cm_database_exec(database, sql, "merging texts", err);
    if (rc == 0 && (rc = cm_database_prepare(database, CM_MERGE_INSERT_STRINGS, &insert, err)) == 0)
        rc = cm_merge_insert_strings(database, insert, dict, field, (uint32_t)first,
                                     (uint32_t)pieces_end(pieces), err);
    sqlite3_finalize(insert);
    return rc;
}

/* Does all merges that are due, inside the open transaction. */
static int merge_due(cm_merge_t *merge, const cm_database_t *database, cm_reader_t *reader,
                     const cm_dict_t dicts[CM_FIELD_COUNT], cm_err_t *err)
{
    size_t run = cm_pieces_due(&merge->blocks, CM_BLOCK_EVENTS);
    uint32_t size = 0;
    int rc = 0;

    if (run > 0 && (rc = replace_blocks(&merge->blocks, run, database, reader, &size, err)) == 0) {
        cm_pieces_join(&merge->blocks, run);
        merge->blocks.sizes[merge->blocks.count - 1] = size; /* equal strings are kept once */
    }
    for (int field = 0; rc == 0 && field < CM_FIELD_COUNT; field++) {
        cm_pieces_t *pieces = &merge->segments[field];
        run = cm_pieces_due(pieces, CM_BLOCK_EVENTS);
        if (run > 0 &&
            (rc = replace_segments(pieces, run, database, &dicts[field], field, err)) == 0)
            cm_pieces_join(pieces, run);
    }
    return rc;
}

static bool anything_due(const cm_merge_t *merge)
{
    bool any = cm_pieces_due(&merge->blocks, CM_BLOCK_EVENTS) > 0;
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        any |= cm_pieces_due(&merge->segments[field], CM_BLOCK_EVENTS) > 0;
    return any;
}

/* Checks that the tables end where the last piece ends. */
static int check_ends(const cm_merge_t *merge, const cm_database_t *database, cm_err_t *err)
{
    cm_ends_t ends = {.events = cm_merge_events(merge)};
    sqlite3_stmt *select = NULL;

    for (int field = 0; field < CM_FIELD_COUNT; field++)
        ends.strings[field] = cm_merge_strings(merge, field);
    int rc = cm_ends_prepare(database, &select, err);
    if (rc == 0)
        rc = cm_ends_check(database, select, &ends, err);
    sqlite3_finalize(select);
    return rc;
}

static int merge_in_transaction(cm_merge_t *merge, const cm_database_t *database,
                                cm_reader_t *reader, const cm_dict_t dicts[CM_FIELD_COUNT],
                                cm_err_t *err)
{
    int rc = cm_database_exec(database, "BEGIN IMMEDIATE", "merging blocks", err);
    if (rc < 0)
        return rc;
    rc = check_ends(merge, database, err);
    if (rc == 0)
        rc = merge_due(merge, database, reader, dicts, err);
    if (rc == 0)
        rc = cm_database_exec(database, "COMMIT", "merging blocks", err);
    if (rc < 0) {
        /* The merge is given up, but the events are kept: read from the file which pieces there
         * are. */
        cm_database_exec(database, "ROLLBACK", "merging blocks", NULL);
        merge->unknown = true;
    }
    return rc;
}

int cm_merge_run(cm_merge_t *merge, const cm_database_t *database,
                 const cm_dict_t dicts[CM_FIELD_COUNT], cm_err_t *err)
{
    cm_reader_t *reader = NULL;

    int rc = merge->unknown ? cm_merge_load(merge, database, err) : 0;
    if (rc < 0 || !anything_due(merge))
        return rc;
    if ((rc = cm_reader_open_on(database, &reader, err)) < 0)
        return rc;
    /* The merge waits for the disk as every commit does. If a later sync failed and its frames were
     * lost, commits after them would not be found again. */
    rc = merge_in_transaction(merge, database, reader, dicts, err);
    cm_reader_close(reader);
    return rc;
}

void cm_pieces_free(cm_pieces_t *pieces)
{
    free(pieces->firsts);
    free(pieces->counts);
    free(pieces->sizes);
    *pieces = (cm_pieces_t){0};
}

void cm_merge_free(cm_merge_t *merge)
{
    cm_pieces_free(&merge->blocks);
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        cm_pieces_free(&merge->segments[field]);
}
