#include "store/embedded/reader.h"

#include "store/block.h"
#include "store/dict.h"
#include "store/embedded/merge.h"
#include "store/embedded/store.h"

#include <stdlib.h>

typedef struct cm_store_embedded_reader {
    cm_reader_t reader; /* first */
    cm_database_t own;  /* closed with the reader; path is NULL when the connection is borrowed */
    const cm_database_t *database;
    sqlite3_stmt *select_hot, *select_cold, *select_keys, *select_extra, *select_strings;
    cm_block_ref_t *blocks;
    size_t block_count;
    uint32_t string_counts[CM_FIELD_COUNT];
    /* The strings of a field. A segment is decoded when one of its strings is first read. */
    struct strings {
        cm_str_t *by_id; /* data is NULL: not read yet */
        cm_arena_t arena;
    } strings[CM_FIELD_COUNT];
} cm_store_embedded_reader_t;

static int load_blocks(cm_store_embedded_reader_t *self, cm_err_t *err)
{
    /* typeof() does not read the blob. */
    static const char old[] = "SELECT first, count, keys_derived, time_min, time_max, 0 FROM block "
                              "ORDER BY first",
                      now[] = "SELECT first, count, keys_derived, time_min, time_max, "
                              "typeof(extra) = 'blob' FROM block ORDER BY first";
    sqlite3_stmt *select;
    size_t cap = 0;
    int64_t end = 0;
    int step, rc = cm_database_prepare(self->database, self->database->version == 1 ? old : now,
                                       &select, err);
    if (rc < 0)
        return rc;
    while ((step = sqlite3_step(select)) == SQLITE_ROW) {
        if (self->block_count == cap) {
            cap = cap ? cap * 2 : 64;
            self->blocks = cm_realloc(self->blocks, cap * sizeof *self->blocks);
        }
        int64_t count = sqlite3_column_int64(select, 1);
        cm_block_ref_t block = {.first = sqlite3_column_int64(select, 0),
                                .count = (uint32_t)count,
                                .all_keys_derived =
                                    sqlite3_column_int(select, 2) & CM_MERGE_KEYS_DERIVED,
                                .has_others = sqlite3_column_int(select, 2) & CM_MERGE_HAS_OTHERS,
                                .time_min = sqlite3_column_int64(select, 3),
                                .time_max = sqlite3_column_int64(select, 4),
                                .has_extra = sqlite3_column_int(select, 5) == 1};
        if (block.first != end || count < 1 || count > CM_BLOCK_EVENTS) {
            rc =
                cm_fail(err, CM_ECORRUPT,
                        "event %lld is missing in %s; restore the file from a copy or save what is "
                        "whole with `clickmill recover --to DIR`",
                        (long long)end, self->database->path);
            break;
        }
        end += block.count;
        self->blocks[self->block_count++] = block;
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = cm_database_fail(self->database, "reading the store", err);
    sqlite3_finalize(select);
    return rc;
}

static int load_name_counts(cm_store_embedded_reader_t *self, cm_err_t *err)
{
    sqlite3_stmt *select;
    int step, rc = cm_database_prepare(
                  self->database, "SELECT field, max(first + count) FROM dictionary GROUP BY field",
                  &select, err);
    if (rc < 0)
        return rc;
    while ((step = sqlite3_step(select)) == SQLITE_ROW) {
        unsigned field = (unsigned)sqlite3_column_int(select, 0);
        if (field < CM_FIELD_COUNT)
            self->string_counts[field] = (uint32_t)sqlite3_column_int64(select, 1);
    }
    if (step != SQLITE_DONE)
        rc = cm_database_fail(self->database, "reading the dictionaries", err);
    sqlite3_finalize(select);
    return rc;
}

static int reader_blocks(cm_reader_t *reader, const cm_block_ref_t **blocks, size_t *count,
                         cm_err_t *err)
{
    cm_store_embedded_reader_t *self = (cm_store_embedded_reader_t *)reader;
    (void)err;
    *blocks = self->blocks;
    *count = self->block_count;
    return 0;
}

static int read_part(cm_store_embedded_reader_t *self, sqlite3_stmt *select, unsigned part,
                     const cm_block_ref_t *block, cm_columns_t *columns, cm_err_t *err)
{
    cm_err_t why;
    int rc;

    sqlite3_bind_int64(select, 1, block->first);
    if (sqlite3_step(select) != SQLITE_ROW) {
        rc = cm_database_fail(self->database, "reading events", err);
    } else if (part >= CM_READ_EXTRA && sqlite3_column_type(select, 0) == SQLITE_NULL) {
        rc = 0;
    } else {
        cm_str_t blob = {sqlite3_column_blob(select, 0), (size_t)sqlite3_column_bytes(select, 0)};
        rc = cm_block_decode(blob, part, block->count, self->string_counts, columns, &why);
        if (rc < 0)
            rc = cm_fail(err, rc,
                         "the block of events %lld to %lld in %s is damaged: %s; restore the file "
                         "from a copy or save the readable part with `clickmill recover --to DIR`",
                         (long long)block->first, (long long)(block->first + block->count - 1),
                         self->database->path, why.text);
    }
    sqlite3_reset(select);
    return cm_database_is_fresh(self->database) ? rc : cm_database_check_fresh(self->database, err);
}

static int reader_read(cm_reader_t *reader, const cm_block_ref_t *block, unsigned parts,
                       cm_columns_t *columns, cm_err_t *err)
{
    cm_store_embedded_reader_t *self = (cm_store_embedded_reader_t *)reader;
    int rc = 0;

    columns->first = block->first;
    if (parts & CM_READ_HOT)
        rc = read_part(self, self->select_hot, CM_READ_HOT, block, columns, err);
    if (rc == 0 && parts & CM_READ_COLD)
        rc = read_part(self, self->select_cold, CM_READ_COLD, block, columns, err);
    if (rc == 0 && parts & CM_READ_KEYS)
        rc = read_part(self, self->select_keys, CM_READ_KEYS, block, columns, err);
    const unsigned extra = parts & (CM_READ_EXTRA | CM_READ_VIEWS);
    if (rc == 0 && extra != 0 && block->has_extra)
        rc = read_part(self, self->select_extra, extra, block, columns, err);
    return rc;
}

static int reader_string_count(cm_reader_t *reader, cm_field_t field, uint32_t *count,
                               cm_err_t *err)
{
    (void)err;
    *count = ((cm_store_embedded_reader_t *)reader)->string_counts[field];
    return 0;
}

typedef struct take {
    struct strings *strings;
    uint32_t id;
} take_t;

static void take_string(void *context, cm_str_t string)
{
    take_t *take = context;
    take->strings->by_id[take->id++] = cm_arena_copy(&take->strings->arena, string);
}

/* Decodes the segment that has the id. */
static int load_segment(cm_store_embedded_reader_t *self, cm_field_t field, uint32_t id,
                        cm_err_t *err)
{
    struct strings *strings = &self->strings[field];
    sqlite3_stmt *select = self->select_strings;
    cm_err_t why = {.text = "it is missing"};
    int rc = CM_ECORRUPT;

    if (strings->by_id == NULL)
        strings->by_id = cm_alloc_zero(self->string_counts[field], sizeof *strings->by_id);
    sqlite3_bind_int(select, 1, (int)field);
    sqlite3_bind_int64(select, 2, id);
    const int step = sqlite3_step(select);
    if (step == SQLITE_ROW) {
        int64_t first = sqlite3_column_int64(select, 0), count = sqlite3_column_int64(select, 1);
        cm_str_t blob = {sqlite3_column_blob(select, 2), (size_t)sqlite3_column_bytes(select, 2)};
        take_t take = {strings, (uint32_t)first};
        if (first >= 0 && count > id - first && count <= self->string_counts[field] - first)
            rc = cm_segment_decode(blob, (uint32_t)count, take_string, &take, &why);
    }
    const bool failed = step != SQLITE_ROW && step != SQLITE_DONE;
    if (failed)
        rc = cm_database_fail(self->database, "reading the dictionaries", err);
    sqlite3_reset(select);
    if (rc < 0 && !failed)
        cm_fail(err, rc,
                "text %u of dictionary %d in %s is damaged: %s; restore the file from a copy or "
                "save what "
                "is whole with `clickmill recover --to DIR`",
                id, (int)field, self->database->path, why.text);
    return rc;
}

static int reader_string(cm_reader_t *reader, cm_field_t field, uint32_t id, cm_str_t *string,
                         cm_err_t *err)
{
    cm_store_embedded_reader_t *self = (cm_store_embedded_reader_t *)reader;

    if (id >= self->string_counts[field])
        return cm_fail(err, CM_EINTERNAL, "text %u of dictionary %d was asked for, there are %u",
                       id, (int)field, self->string_counts[field]);
    if (self->strings[field].by_id == NULL || self->strings[field].by_id[id].data == NULL) {
        int rc = load_segment(self, field, id, err);
        if (rc < 0)
            return rc;
    }
    *string = self->strings[field].by_id[id];
    return 0;
}

static void reader_close(cm_reader_t *reader)
{
    cm_store_embedded_reader_t *self = (cm_store_embedded_reader_t *)reader;

    sqlite3_finalize(self->select_hot);
    sqlite3_finalize(self->select_cold);
    sqlite3_finalize(self->select_keys);
    sqlite3_finalize(self->select_extra);
    sqlite3_finalize(self->select_strings);
    for (int field = 0; field < CM_FIELD_COUNT; field++) {
        free(self->strings[field].by_id);
        cm_arena_free(&self->strings[field].arena);
    }
    free(self->blocks);
    if (self->own.path != NULL)
        cm_database_close(&self->own);
    free(self);
}

static int reader_start(cm_store_embedded_reader_t *self, cm_err_t *err)
{
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } all[] = {
        {&self->select_hot, "SELECT hot FROM block WHERE first = ?"},
        {&self->select_cold, "SELECT cold FROM block WHERE first = ?"},
        {&self->select_keys, "SELECT keys FROM block WHERE first = ?"},
        {&self->select_extra, self->database->version == 1
                                  ? "SELECT NULL FROM block WHERE first = ?"
                                  : "SELECT extra FROM block WHERE first = ?"},
        {&self->select_strings, "SELECT first, count, texts FROM dictionary WHERE field = ? AND "
                                "first <= ? ORDER BY first DESC LIMIT 1"},
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0] && rc == 0; i++)
        rc = cm_database_prepare(self->database, all[i].sql, all[i].statement, err);
    if (rc == 0)
        rc = load_blocks(self, err);
    return rc < 0 ? rc : load_name_counts(self, err);
}

static cm_store_embedded_reader_t *reader_new(void)
{
    static const cm_reader_ops_t ops = {reader_blocks, reader_read, reader_string_count,
                                        reader_string, reader_close};
    cm_store_embedded_reader_t *self = cm_alloc_zero(1, sizeof *self);
    self->reader.ops = &ops;
    return self;
}

int cm_reader_open_on(const cm_database_t *database, cm_reader_t **reader, cm_err_t *err)
{
    cm_store_embedded_reader_t *self = reader_new();
    self->database = database;
    int rc = reader_start(self, err);
    if (rc < 0)
        reader_close(&self->reader);
    else
        *reader = &self->reader;
    return rc;
}

int cm_store_embedded_open_reader(const char *data_dir, cm_reader_t **reader, cm_err_t *err)
{
    cm_store_embedded_reader_t *self = reader_new();
    int rc = cm_database_open_read(data_dir, &self->own, err);

    self->database = &self->own;
    /* One snapshot for the reader's whole life: a merge must not move blocks during it. */
    if (rc == 0)
        rc = cm_database_exec(self->database, "BEGIN", "reading the store", err);
    if (rc == 0)
        rc = reader_start(self, err);
    if (rc < 0)
        reader_close(&self->reader);
    else
        *reader = &self->reader;
    return rc;
}
