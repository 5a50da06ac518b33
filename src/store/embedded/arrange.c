#include "store/embedded/arrange.h"

#include "store/embedded/internal.h"

#include <assert.h>
#include <stdio.h>

/* The statements of one arrangement. */
typedef struct writing {
    cm_store_embedded_t *self;
    sqlite3_stmt *insert; /* into timeline */
    int64_t run;
    int64_t end; /* ordinal behind the last block that was written */
} writing_t;

/* Removes the blocks from `from` on, and finds the number of the new run. */
static int begin(writing_t *writing, int64_t from, cm_err_t *err)
{
    const cm_database_t *database = &writing->self->database;
    static const char doing[] = "arranging blocks";
    char sql[160];

    int rc = cm_store_embedded_begin(writing->self, err);
    if (rc == 0)
        rc = cm_database_int(database, "SELECT coalesce(max(run), 0) + 1 FROM timeline", 0,
                             &writing->run, err);
    snprintf(sql, sizeof sql,
             "DELETE FROM timeline WHERE first >= %lld; DELETE FROM block WHERE first >= %lld",
             (long long)from, (long long)from);
    if (rc == 0)
        rc = cm_database_exec(database, sql, doing, err);
    if (rc == 0)
        rc = cm_database_prepare(
            database, "INSERT INTO timeline (first, run, period, copies) VALUES (?, ?, ?, ?)",
            &writing->insert, err);
    return rc;
}

static int write_block(writing_t *writing, const cm_store_arranged_t *block, cm_err_t *err)
{
    cm_store_embedded_t *self = writing->self;
    cm_columns_t *columns = &block->builder->columns;

    assert(columns->count > 0);
    columns->first = writing->end;
    writing->end += columns->count;
    int rc = cm_merge_insert(&self->database, self->insert_block, block->builder, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_int64(writing->insert, 1, columns->first);
    sqlite3_bind_int64(writing->insert, 2, writing->run);
    sqlite3_bind_int64(writing->insert, 3, block->period);
    sqlite3_bind_int(writing->insert, 4, block->copies);
    return cm_database_step(&self->database, writing->insert, "arranging blocks", err);
}

static int write_blocks(writing_t *writing, cm_store_arranged_fn next, void *context, cm_err_t *err)
{
    cm_store_arranged_t block;
    int rc;

    while ((rc = next(context, &block, err)) > 0) {
        rc = write_block(writing, &block, err);
        if (rc < 0)
            return rc;
    }
    if (rc == 0 && writing->end != writing->self->committed)
        rc = cm_fail(err, CM_EINTERNAL, "%lld events became %lld when they were arranged",
                     (long long)writing->self->committed, (long long)writing->end);
    return rc;
}

int cm_store_embedded_arrange(cm_store_t *store, int64_t from, cm_store_arranged_fn next,
                              void *context, cm_err_t *err)
{
    cm_store_embedded_t *self = (cm_store_embedded_t *)store;
    writing_t writing = {.self = self, .end = from};

    assert(!self->in_transaction && self->pending.columns.count == 0);
    int rc = begin(&writing, from, err);
    if (rc == 0)
        rc = write_blocks(&writing, next, context, err);
    sqlite3_finalize(writing.insert);
    if (rc == 0)
        rc = cm_database_step(&self->database, self->commit, "arranging blocks", err);
    if (rc < 0)
        return cm_store_embedded_give_up(self, rc, err);
    self->in_transaction = false;
    cm_debug(store->log, CM_DEBUG_STORE, "blocks are arranged", "from=%lld to=%lld run=%lld",
             (long long)from, (long long)writing.end, (long long)writing.run);
    rc = cm_merge_load(&self->merge, &self->database, err);
    return rc == 0 ? cm_database_check(&self->database, err) : rc;
}
