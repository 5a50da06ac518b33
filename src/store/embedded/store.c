#include "store/embedded/internal.h"

#include "store/block.h"
#include "store/dict.h"
#include "store/embedded/ends.h"
#include "store/embedded/seal.h"
#include "store/embedded/setting.h"

#include <assert.h>
#include <stdlib.h>

/* Checks that the file ends where this process has written its end. */
static int check_ends(cm_store_embedded_t *self, cm_err_t *err)
{
    cm_ends_t ends = {.events = self->committed};

    pthread_mutex_lock(&self->dict_lock);
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        ends.strings[field] = self->dict_committed[field];
    pthread_mutex_unlock(&self->dict_lock);
    return cm_ends_check(&self->database, self->select_ends, &ends, err);
}

int cm_store_embedded_begin(cm_store_embedded_t *self, cm_err_t *err)
{
    if (self->in_transaction)
        return 0;
    int rc = cm_database_check(&self->database, err);
    if (rc < 0 ||
        (rc = cm_database_step(&self->database, self->begin, "writing the store", err)) < 0)
        return rc;
    rc = check_ends(self, err);
    self->second_writer |= rc == CM_EBUSY;
    if (rc < 0)
        cm_database_exec(&self->database, "ROLLBACK", "taking back a transaction", NULL);
    self->in_transaction = rc == 0;
    return rc;
}

/* ---- dictionaries ---- */

static void take_string(void *context, cm_str_t string)
{
    cm_dict_put(context, string);
}

static int load_dictionaries(cm_store_embedded_t *self, cm_err_t *err)
{
    sqlite3_stmt *select;
    int step, rc = cm_database_prepare(
                  &self->database,
                  "SELECT field, first, count, texts FROM dictionary ORDER BY field, first",
                  &select, err);
    if (rc < 0)
        return rc;
    while (rc == 0 && (step = sqlite3_step(select)) == SQLITE_ROW) {
        cm_err_t why;
        unsigned field = (unsigned)sqlite3_column_int(select, 0);
        int64_t first = sqlite3_column_int64(select, 1);
        uint32_t count = (uint32_t)sqlite3_column_int64(select, 2);
        cm_str_t blob = {sqlite3_column_blob(select, 3), (size_t)sqlite3_column_bytes(select, 3)};
        rc = field < CM_FIELD_COUNT && first == self->dicts[field].count
                 ? cm_segment_decode(blob, count, take_string, &self->dicts[field], &why)
                 : cm_fail(&why, CM_ECORRUPT, "its place is wrong");
        if (rc == 0 && self->dicts[field].count != first + count)
            rc = cm_fail(&why, CM_ECORRUPT, "it has a text twice");
        if (rc < 0)
            cm_fail(err, rc,
                    "texts %lld of dictionary %u in %s are damaged: %s; restore the file from a "
                    "copy or save the readable part with `clickmill recover --to DIR`",
                    (long long)first, field, self->database.path, why.text);
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = cm_database_fail(&self->database, "reading the dictionaries", err);
    sqlite3_finalize(select);
    for (int field = 0; field < CM_FIELD_COUNT; field++) {
        if (rc < 0) /* another attempt starts from the beginning */
            cm_dict_truncate(&self->dicts[field], 0);
        else
            self->dict_committed[field] = self->dicts[field].count;
    }
    return rc;
}

/* ---- put ---- */

/* Reads the dictionaries when they are first needed: only a writer needs them, and a big store has
 * millions of strings. */
static int need_dictionaries(cm_store_embedded_t *self, cm_err_t *err)
{
    int rc = self->dicts_loaded ? 0 : load_dictionaries(self, err);
    self->dicts_loaded |= rc == 0;
    return rc;
}

static int embedded_resolve(cm_store_t *store, cm_builder_t *builder, cm_err_t *err)
{
    cm_store_embedded_t *self = (cm_store_embedded_t *)store;

    pthread_mutex_lock(&self->dict_lock);
    int rc = need_dictionaries(self, err);
    if (rc == 0)
        cm_builder_resolve(builder, self->dicts);
    pthread_mutex_unlock(&self->dict_lock);
    return rc;
}

/* The first optional fields of a store whose events came from an edition that ignored them: says
 * so once. They may be meant in another sense, and a name makes other events of page views. */
static int tell_extra(cm_store_embedded_t *self, const cm_wide_t *wide, cm_err_t *err)
{
    cm_buf_t fields = CM_BUF_INIT;

    for (int field = 0; field < CM_EXTRA_TEXTS; field++) {
        if (wide->strings[field].count > 0)
            cm_buf_printf(&fields, "%s%s", fields.len > 0 ? "," : "", cm_extra_names[field]);
    }
    if (self->store.log != NULL)
        cm_log(self->store.log, CM_LOG_WARN,
               "fields that an earlier version ignored are read now; `event.map: {FIELD: none}` in "
               "the configuration ignores one",
               "fields=%s", fields.data);
    cm_buf_free(&fields);
    self->without_extra = false;
    return cm_setting_set(&self->database, CM_SETTING_WITHOUT_EXTRA, "", err);
}

/* Writes an encoded block into the open transaction. */
static int insert_block(cm_store_embedded_t *self, cm_builder_t *builder, cm_err_t *err)
{
    int rc = cm_store_embedded_begin(self, err);
    if (rc < 0 || builder->columns.count == 0)
        return rc;
    assert(self->in_transaction && self->written >= self->committed);
    assert(builder->columns.count <= CM_BLOCK_EVENTS);
    builder->columns.first = self->written;
    rc = cm_merge_insert(&self->database, self->insert_block, builder, err);
    if (rc == 0 && self->without_extra && builder->columns.wide.any)
        rc = tell_extra(self, &builder->columns.wide, err);
    if (rc < 0)
        return rc;
    cm_debug(self->store.log, CM_DEBUG_STORE, "block is written", "first=%lld events=%u",
             (long long)self->written, builder->columns.count);
    cm_merge_add_block(&self->merge, &builder->columns);
    self->written += builder->columns.count;
    return 0;
}

/* Writes the pending events as one block into the open transaction. */
static int write_block(cm_store_embedded_t *self, cm_err_t *err)
{
    int rc = embedded_resolve(&self->store, &self->pending, err);
    if (rc < 0)
        return rc;
    cm_builder_encode(&self->pending);
    rc = insert_block(self, &self->pending, err);
    if (rc == 0)
        cm_builder_clear(&self->pending);
    return rc;
}

static int put_dead(cm_store_embedded_t *self, const cm_dead_t *dead, cm_err_t *err)
{
    sqlite3_stmt *insert = self->insert_dead;
    cm_str_t payload = dead->payload;
    cm_buf_t sealed = CM_BUF_INIT;
    uint8_t secret[CM_SEAL_KEY];

    int rc = cm_store_embedded_begin(self, err);
    if (rc == 0 && dead->personal) {
        rc = cm_store_secret(&self->store, secret, err);
        if (rc == 0)
            rc = cm_seal_text(secret, payload, &sealed, err);
        payload = (cm_str_t){sealed.data, sealed.len};
    }
    if (rc < 0)
        goto done;
    sqlite3_bind_int64(insert, 1, cm_clock_now_ms(self->clock));
    sqlite3_bind_text(insert, 2, dead->origin.data, (int)dead->origin.len, SQLITE_STATIC);
    sqlite3_bind_text(insert, 3, dead->reason.data, (int)dead->reason.len, SQLITE_STATIC);
    /* A message without a value is stored as zero bytes. */
    sqlite3_bind_blob(insert, 4, payload.data != NULL ? payload.data : "", (int)payload.len,
                      SQLITE_STATIC);
    rc = cm_database_step(&self->database, insert, "writing a dead letter", err);
done:
    cm_buf_free(&sealed);
    return rc;
}

static int put_position(cm_store_embedded_t *self, const cm_position_t *at, cm_err_t *err)
{
    sqlite3_stmt *statement = at->position < 0 ? self->drop_source : self->set_source;

    int rc = cm_store_embedded_begin(self, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_text(statement, 1, at->source.data, (int)at->source.len, SQLITE_STATIC);
    if (at->position >= 0)
        sqlite3_bind_int64(statement, 2, at->position);
    return cm_database_step(&self->database, statement, "writing a source's position", err);
}

/* After a failure SQLite may or may not have rolled back by itself. The rest of the transaction
 * must never be committed, so all of it is rolled back. Returns `rc`, or CM_EDISK. */
int cm_store_embedded_give_up(cm_store_embedded_t *self, int rc, cm_err_t *err)
{
    if (self->holder != NULL)
        cm_holder_lose(self->holder, err);
    cm_store_embedded_rollback(&self->store, NULL);
    int proven = cm_wal_prove(self->database.wal, err);
    return proven < 0 ? proven : rc;
}

/* Dead letters and positions. */
static int put_rest(cm_store_embedded_t *self, const cm_batch_t *batch, cm_err_t *err)
{
    int rc = 0;

    for (size_t i = 0; i < batch->dead_count && rc == 0; i++)
        rc = put_dead(self, &batch->dead[i], err);
    for (size_t i = 0; i < batch->position_count && rc == 0; i++) {
        if (batch->positions[i].source.len > 0)
            rc = put_position(self, &batch->positions[i], err);
    }
    return rc;
}

int cm_store_embedded_put(cm_sink_t *sink, const cm_batch_t *batch, cm_err_t *err)
{
    cm_store_embedded_t *self = (cm_store_embedded_t *)sink;
    int rc = 0;

    for (size_t i = 0; i < batch->count && rc == 0;) {
        i += cm_builder_fill(&self->pending, batch, i);
        if (cm_builder_room(&self->pending) == 0)
            rc = write_block(self, err);
    }
    if (rc == 0)
        rc = put_rest(self, batch, err);
    return rc < 0 ? cm_store_embedded_give_up(self, rc, err) : 0;
}

static int embedded_append(cm_store_t *store, cm_builder_t *builder, const cm_batch_t *rest,
                           cm_err_t *err)
{
    cm_store_embedded_t *self = (cm_store_embedded_t *)store;

    int rc = builder->columns.count > 0 ? insert_block(self, builder, err) : 0;
    if (rc == 0)
        rc = put_rest(self, rest, err);
    return rc < 0 ? cm_store_embedded_give_up(self, rc, err) : 0;
}

/* ---- commit ---- */

/* Writes the new strings, also those of events that are written later; `written` gets the numbers
 * of strings in the file after this transaction. */
static int write_strings(cm_store_embedded_t *self, uint32_t written[CM_FIELD_COUNT], cm_err_t *err)
{
    int rc = 0;

    pthread_mutex_lock(&self->dict_lock);
    for (int field = 0; rc == 0 && field < CM_FIELD_COUNT; field++) {
        const cm_dict_t *dict = &self->dicts[field];
        uint32_t to;
        for (uint32_t from = self->dict_committed[field]; rc == 0 && from < dict->count;
             from = to) {
            /* A segment is one blob, and a blob of SQLite has at most a billion bytes. */
            to = dict->count - from > CM_BLOCK_EVENTS ? from + CM_BLOCK_EVENTS : dict->count;
            rc = cm_merge_insert_strings(&self->database, self->insert_strings, dict, field, from,
                                         to, err);
            if (rc == 0)
                cm_merge_add_strings(&self->merge, field, from, to - from);
        }
        written[field] =
            dict->count > self->dict_committed[field] ? dict->count : self->dict_committed[field];
    }
    pthread_mutex_unlock(&self->dict_lock);
    return rc;
}

/* The events are already durable. A merge without space on the disk is tried again later. Damage
 * that a merge finds is reported at once, and so is a disk that fails. */
static int merge(cm_store_embedded_t *self, cm_err_t *err)
{
    const size_t before = self->merge.blocks.count;

    pthread_mutex_lock(&self->dict_lock);
    int rc = cm_merge_run(&self->merge, &self->database, self->dicts, err);
    pthread_mutex_unlock(&self->dict_lock);
    if (self->merge.blocks.count < before)
        cm_debug(self->store.log, CM_DEBUG_STORE, "blocks are merged", "before=%zu after=%zu",
                 before, self->merge.blocks.count);
    return rc == CM_EIO || rc == CM_EBUSY ? cm_wal_prove(self->database.wal, err) : rc;
}

/* After a commit, or when there is nothing to commit: checks that committed events can be found
 * again. Events that were committed into a removed file are not acknowledged. */
static int check_safe(cm_store_embedded_t *self, cm_err_t *err)
{
    int rc = cm_database_check(&self->database, err);
    if (rc == 0 && self->second_writer)
        rc = cm_ends_fail(&self->database, err);
    if (rc < 0 && self->holder != NULL)
        cm_holder_lose(self->holder, err);
    return rc;
}

static int commit_all(cm_store_embedded_t *self, cm_err_t *err)
{
    int rc = self->pending.columns.count > 0 ? write_block(self, err) : 0;
    if (rc == 0 && !self->in_transaction)
        return check_safe(self, err);
    bool grown = self->written > self->committed;
    uint32_t strings[CM_FIELD_COUNT];
    if (rc < 0 || (rc = write_strings(self, strings, err)) < 0 ||
        (rc = cm_database_step(&self->database, self->commit, "committing events", err)) < 0)
        return cm_store_embedded_give_up(self, rc, err);
    assert(self->merge.unknown || self->written == cm_merge_events(&self->merge));
    self->in_transaction = false;
    self->committed = self->written;
    memcpy(self->dict_committed, strings, sizeof strings);
    rc = check_safe(self, err);
    return rc == 0 && grown ? merge(self, err) : rc;
}

/* Commits the own events and those that other processes have sent. */
static int embedded_commit(cm_sink_t *sink, cm_err_t *err)
{
    cm_store_embedded_t *self = (cm_store_embedded_t *)sink;

    if (self->holder == NULL)
        return commit_all(self, err);
    int rc = cm_holder_take(self->holder, err);
    if (rc == 0)
        rc = commit_all(self, err);
    if (rc == 0)
        cm_holder_answer(self->holder);
    return rc;
}

int cm_store_embedded_rollback(cm_store_t *store, cm_err_t *err)
{
    cm_store_embedded_t *self = (cm_store_embedded_t *)store;
    int rc = 0;

    if (self->holder != NULL)
        cm_holder_lose(self->holder, NULL);

    /* After a full disk SQLite has rolled back by itself. */
    if (self->in_transaction && !sqlite3_get_autocommit(self->database.db))
        rc = cm_database_exec(&self->database, "ROLLBACK", "taking back a transaction", err);
    self->in_transaction = false;
    self->written = self->committed;
    if (self->dicts_loaded) /* otherwise nothing has been written */
        cm_merge_take_back(&self->merge, self->committed, self->dict_committed);
    cm_builder_clear(&self->pending);
    pthread_mutex_lock(&self->dict_lock);
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        cm_dict_truncate(&self->dicts[field], self->dict_committed[field]);
    pthread_mutex_unlock(&self->dict_lock);
    return rc;
}

static void embedded_close(cm_sink_t *sink)
{
    cm_store_embedded_t *self = (cm_store_embedded_t *)sink;

    cm_holder_close(self->holder);
    sqlite3_finalize(self->begin);
    sqlite3_finalize(self->commit);
    sqlite3_finalize(self->select_ends);
    sqlite3_finalize(self->insert_block);
    sqlite3_finalize(self->insert_strings);
    sqlite3_finalize(self->insert_dead);
    sqlite3_finalize(self->set_source);
    sqlite3_finalize(self->drop_source);
    cm_merge_free(&self->merge);
    cm_database_close(&self->database); /* rolls back an open transaction */
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        cm_dict_free(&self->dicts[field]);
    cm_builder_free(&self->pending);
    pthread_mutex_destroy(&self->dict_lock);
    explicit_bzero(self->secret, sizeof self->secret);
    free(self->data_dir);
    free(self);
}

static int embedded_reader(cm_store_t *store, cm_reader_t **reader, cm_err_t *err)
{
    return cm_store_embedded_open_reader(((cm_store_embedded_t *)store)->data_dir, reader, err);
}

/* ---- open ---- */

static int prepare_statements(cm_store_embedded_t *self, cm_err_t *err)
{
    const struct {
        sqlite3_stmt **statement;
        const char *sql;
    } all[] = {
        {&self->begin, "BEGIN IMMEDIATE"},
        {&self->commit, "COMMIT"},
        {&self->insert_block, CM_MERGE_INSERT_BLOCK},
        {&self->insert_strings, CM_MERGE_INSERT_STRINGS},
        {&self->insert_dead,
         "INSERT INTO dead (time, origin, reason, payload) VALUES (?, ?, ?, ?)"},
        {&self->set_source, "INSERT INTO source (name, position) VALUES (?, ?) ON CONFLICT (name) "
                            "DO UPDATE SET position = excluded.position"},
        {&self->drop_source, "DELETE FROM source WHERE name = ?"},
    };
    int rc = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0] && rc == 0; i++)
        rc = cm_database_prepare(&self->database, all[i].sql, all[i].statement, err);
    return rc < 0 ? rc : cm_ends_prepare(&self->database, &self->select_ends, err);
}

int cm_store_embedded_open(const char *data_dir, const cm_clock_t *clock, cm_store_t **store,
                           cm_err_t *err)
{
    static const cm_sink_ops_t sink_ops = {cm_store_embedded_put, embedded_commit, embedded_close,
                                           NULL};
    static const cm_store_ops_t store_ops = {.reader = embedded_reader,
                                             .resolve = embedded_resolve,
                                             .append = embedded_append,
                                             .directory = &cm_store_embedded_directory};
    cm_database_t database;

    int rc = cm_database_open_write(data_dir, &database, err);
    if (rc < 0)
        return rc;
    cm_store_embedded_t *self = cm_alloc_zero(1, sizeof *self);
    self->store = (cm_store_t){.sink = {&sink_ops}, .ops = &store_ops};
    self->database = database;
    self->clock = clock;
    self->data_dir = cm_strdup(data_dir);
    pthread_mutex_init(&self->dict_lock, NULL);
    char without_extra[CM_SETTING_TEXT];
    if ((rc = prepare_statements(self, err)) < 0 ||
        (rc = cm_setting_get(&self->database, CM_SETTING_WITHOUT_EXTRA, without_extra, err)) < 0 ||
        (rc = cm_merge_load(&self->merge, &self->database, err)) < 0) {
        embedded_close(&self->store.sink);
        return rc;
    }
    self->without_extra = without_extra[0] != '\0';
    self->committed = self->written = cm_merge_events(&self->merge);
    for (int field = 0; field < CM_FIELD_COUNT; field++)
        self->dict_committed[field] = (uint32_t)cm_merge_strings(&self->merge, field);
    /* Recorded for the answers (index/embedded/embedded.h), which a later run may be the first to
     * check. */
    if ((database.crashed &&
         (rc = cm_setting_set(&self->database, CM_SETTING_CRASHED, "1", err)) < 0) ||
        (rc = cm_key_move(&self->database, err)) < 0) {
        embedded_close(&self->store.sink);
        return rc;
    }
    *store = &self->store;
    return 0;
}

cm_database_t *cm_store_embedded_database(cm_store_t *store)
{
    return &((cm_store_embedded_t *)store)->database;
}

int64_t cm_store_embedded_events(const cm_store_t *store)
{
    return ((const cm_store_embedded_t *)store)->committed;
}

uint32_t cm_store_embedded_pending(const cm_store_t *store)
{
    const cm_store_embedded_t *self = (const cm_store_embedded_t *)store;
    return self->pending.columns.count + (uint32_t)(self->written - self->committed);
}
