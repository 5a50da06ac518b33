#include "store/embedded/recover.h"

#include "store/block.h"
#include "store/embedded/found.h"
#include "store/embedded/key.h"
#include "store/embedded/lock.h"
#include "store/embedded/setting.h"
#include "store/embedded/sound.h"
#include "store/embedded/store.h"
#include "store/event_at.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TOGETHER = 64 /* events that are put together */, COMMIT_BLOCKS = 16 };

/* The state of a recovery: what is found, and then what is written. */
typedef struct recovering {
    const cm_recover_options_t *options;
    cm_recovered_t *out;
    int lock_fd; /* keeps writers out */
    cm_raw_t *raw;
    cm_found_t found;
    cm_raw_view_t view; /* the view of the current walk */
    cm_store_t *store;  /* the new store */
    uint8_t key[CM_KEY];
    bool key_in_table;
    cm_err_t *err;
    /* For writing events: */
    cm_batch_t batch;
    cm_columns_t columns, kept; /* of a block, and of the last block that was saved */
    int64_t end;                /* events before this ordinal are saved or counted as lost */
} recovering_t;

static int check_stop(const recovering_t *self)
{
    if (self->options->stop == NULL || !atomic_load(self->options->stop))
        return 0;
    return cm_fail(self->err, CM_ESTOP, "stopped");
}

/* ---- records without a checksum ---- */

static bool is_text(const cm_raw_value_t *value)
{
    return value->type == CM_RAW_TEXT && cm_utf8_valid(value->bytes.data, value->bytes.len);
}

/* id, time, origin, reason, payload */
static bool is_dead_letter(const cm_raw_record_t *record)
{
    const cm_raw_value_t *values = record->values;

    return record->table && record->count == 5 && values[0].type == CM_RAW_NULL &&
           record->rowid > 0 && values[1].type == CM_RAW_INT && is_text(&values[2]) &&
           is_text(&values[3]);
}

static int save_dead(recovering_t *self, const cm_raw_record_t *record)
{
    const cm_database_t *database = cm_store_embedded_database(self->store);
    const cm_raw_value_t *values = record->values;
    sqlite3_stmt *insert;

    if (values[4].type != CM_RAW_BLOB) {
        self->out->lost_dead++;
        return 0;
    }
    int rc = cm_database_prepare(database, "INSERT OR IGNORE INTO dead VALUES (?, ?, ?, ?, ?)",
                                 &insert, self->err);
    if (rc < 0)
        return rc;
    sqlite3_bind_int64(insert, 1, record->rowid);
    sqlite3_bind_int64(insert, 2, values[1].number);
    for (int i = 2; i < 4; i++)
        sqlite3_bind_text(insert, i + 1, values[i].bytes.data, (int)values[i].bytes.len,
                          SQLITE_STATIC);
    sqlite3_bind_blob(insert, 5, values[4].bytes.len > 0 ? values[4].bytes.data : "",
                      (int)values[4].bytes.len, SQLITE_STATIC);
    rc = cm_database_step(database, insert, "saving a dead letter", self->err);
    self->out->dead += rc == 0 ? sqlite3_changes(database->db) : 0;
    sqlite3_finalize(insert);
    return rc;
}

static int save_position(recovering_t *self, const cm_raw_record_t *record)
{
    const cm_database_t *database = cm_store_embedded_database(self->store);
    const cm_str_t name = record->values[0].bytes;
    sqlite3_stmt *insert;

    int rc = cm_database_prepare(database, "INSERT OR IGNORE INTO source VALUES (?, ?)", &insert,
                                 self->err);
    if (rc < 0)
        return rc;
    sqlite3_bind_text(insert, 1, name.data, (int)name.len, SQLITE_STATIC);
    sqlite3_bind_int64(insert, 2, record->values[1].number);
    rc = cm_database_step(database, insert, "saving a position", self->err);
    self->out->positions += rc == 0 ? sqlite3_changes(database->db) : 0;
    sqlite3_finalize(insert);
    return rc;
}

static int save_setting(recovering_t *self, cm_str_t name, cm_str_t value)
{
    static const char *const names[] = {CM_SETTING_LOG_KEYS, CM_SETTING_LOG_KEYS_SAID,
                                        CM_SETTING_VISITORS};
    char text[CM_SETTING_TEXT];
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof names / sizeof names[0]; i++) {
        if (!cm_str_equal(name, cm_str(names[i])) || value.len >= sizeof text)
            continue;
        snprintf(text, sizeof text, "%.*s", (int)value.len, value.data);
        rc = cm_setting_set(cm_store_embedded_database(self->store), names[i], text, self->err);
        self->out->settings++;
    }
    return rc;
}

/* Takes a dead letter, a position, a setting, or the key of an earlier edition. */
static int take_rest(void *context, const cm_raw_record_t *record)
{
    recovering_t *self = context;
    const cm_raw_value_t *values = record->values;

    if (is_dead_letter(record))
        return save_dead(self, record);
    if (record->table || record->count != 2 || !is_text(&values[0]))
        return 0;
    if (values[1].type == CM_RAW_INT && values[1].number >= 0)
        return save_position(self, record);
    if (values[1].type == CM_RAW_TEXT)
        return save_setting(self, values[0].bytes, values[1].bytes);
    if (values[1].type == CM_RAW_BLOB && values[1].bytes.len == CM_KEY &&
        cm_str_equal(values[0].bytes, CM_STR("visitor"))) {
        memcpy(self->key, values[1].bytes.data, CM_KEY);
        self->key_in_table = true;
    }
    return 0;
}

static int save_rest(recovering_t *self)
{
    static const char doing[] = "saving dead letters";
    const cm_database_t *database = cm_store_embedded_database(self->store);

    int rc = cm_database_exec(database, "BEGIN", doing, self->err);
    if (rc == 0)
        rc = cm_raw_each(self->raw, CM_RAW_COMMITTED, true, take_rest, self);
    return rc == 0 ? cm_database_exec(database, "COMMIT", doing, self->err) : rc;
}

/* ---- events ---- */

/* The event of a row; false when its user or URL is lost. `*partial`: another field is lost. */
static bool event_at(const cm_found_t *found, const cm_columns_t *columns, uint32_t row, bool cold,
                     cm_event_t *event, cm_store_room_t *room, bool *partial)
{
    cm_str_t *strings[CM_FIELD_COUNT];

    cm_store_event_strings(event, strings);
    *event = (cm_event_t){.timestamp = columns->time[row]};
    *partial = !cold;
    for (int field = 0; field < CM_FIELD_COUNT; field++) {
        if (field >= CM_CITY && !cold)
            continue;
        if (cm_found_string(found, (cm_field_t)field, columns->ids[field][row], strings[field]))
            continue;
        if (field == CM_USER || field == CM_URL)
            return false;
        *partial = true;
    }
    event->row_key = cm_store_row_key_at(columns, row, room->key);
    if (cm_wide_at(&columns->wide, row, &room->extra))
        event->extra = &room->extra;
    cm_event_complete(event);
    return true;
}

static int put_rows(recovering_t *self, const cm_columns_t *columns, bool cold)
{
    cm_recovered_t *out = self->out;
    int rc = 0;

    for (uint32_t row = 0; rc == 0 && row < columns->count;) {
        cm_store_room_t rooms[TOGETHER];
        bool partial;
        cm_batch_clear(&self->batch);
        for (int i = 0; i < TOGETHER && row < columns->count; i++, row++) {
            cm_event_t *event = cm_batch_slot(&self->batch);
            if (!event_at(&self->found, columns, row, cold, event, &rooms[i], &partial)) {
                out->nameless++;
                continue;
            }
            cm_batch_accept(&self->batch);
            out->partial += partial;
            out->events++;
        }
        rc = cm_sink_put(&self->store->sink, &self->batch, self->err);
    }
    return rc;
}

typedef struct decoding {
    const cm_found_block_t *block;
    cm_columns_t *columns;
    bool done;
    cm_err_t why;
} decoding_t;

static int decode(void *context, const cm_raw_record_t *record)
{
    decoding_t *decoding = context;
    const cm_found_block_t *block = decoding->block;
    cm_columns_t *columns = decoding->columns;
    uint32_t any[CM_FIELD_COUNT];

    for (int field = 0; field < CM_FIELD_COUNT; field++)
        any[field] = UINT32_MAX; /* whether the strings exist is checked later */
    columns->first = block->first;
    cm_wide_clear(&columns->wide);
    int rc = cm_block_decode(record->values[5].bytes, CM_READ_HOT, block->count, any, columns,
                             &decoding->why);
    if (rc == 0 && block->cold)
        rc = cm_block_decode(record->values[6].bytes, CM_READ_COLD, block->count, any, columns,
                             &decoding->why);
    if (rc == 0 && block->keys)
        rc = cm_block_decode(record->values[7].bytes, CM_READ_KEYS, block->count, any, columns,
                             &decoding->why);
    if (rc == 0 && record->count > 8 && record->values[8].type == CM_RAW_BLOB)
        rc = cm_block_decode(record->values[8].bytes, CM_READ_EXTRA, block->count, any, columns,
                             &decoding->why);
    for (uint32_t row = 0; rc == 0 && !block->keys && row < block->count; row++)
        columns->keys[row].kind = CM_KEY_DERIVED;
    decoding->done = rc == 0;
    return 0;
}

/* Whether the block is a piece of the last saved block: it was merged into that one. */
static bool is_piece(const cm_columns_t *piece, const cm_columns_t *kept)
{
    const int64_t at = piece->first - kept->first;

    if (at < 0 || at + piece->count > kept->count)
        return false;
    return memcmp(piece->time, kept->time + at, piece->count * sizeof *piece->time) == 0 &&
           memcmp(piece->ids[CM_USER], kept->ids[CM_USER] + at,
                  piece->count * sizeof *piece->ids[0]) == 0 &&
           memcmp(piece->ids[CM_URL], kept->ids[CM_URL] + at,
                  piece->count * sizeof *piece->ids[0]) == 0;
}

static void lose(recovering_t *self, int64_t from, int64_t to, const char *why)
{
    const cm_found_t *found = &self->found;
    int64_t seen = from;

    if (to <= from)
        return;
    self->out->lost_events += to - from;
    for (size_t i = 0; i < found->count; i++) { /* without pieces of merged blocks */
        const cm_found_block_t *block = &found->blocks[i];
        if (cm_found_is_whole(block) || block->first < seen || block->first >= to)
            continue;
        self->out->lost_blocks++;
        seen = block->first + block->count;
    }
    self->options->lost(self->options->context, from, to, why);
}

/* Saves a block, unless its events are already saved. */
static int save_block(recovering_t *self, const cm_found_block_t *block, const char *gap)
{
    decoding_t decoding = {.block = block, .columns = &self->columns};
    const int64_t end = block->first + block->count;

    int rc = cm_raw_again(self->raw, block->view, block->page, block->cell, decode, &decoding);
    if (rc < 0 || !decoding.done)
        return rc;
    if (is_piece(&self->columns, &self->kept))
        return 0;
    lose(self, self->end, block->first, gap);
    self->out->blocks++;
    rc = put_rows(self, &self->columns, block->cold);
    const cm_columns_t kept = self->kept;
    self->kept = self->columns;
    self->columns = kept;
    self->end = end > self->end ? end : self->end;
    return rc == 0 && self->out->blocks % COMMIT_BLOCKS == 0
               ? cm_sink_commit(&self->store->sink, self->err)
               : rc;
}

/* Why the events before a block are lost, if a trace of them is left. */
static const char *reason_of(const cm_found_t *found, int64_t from, int64_t to)
{
    for (size_t i = 0; i < found->count; i++) {
        const cm_found_block_t *block = &found->blocks[i];
        if (!cm_found_is_whole(block) && block->first < to && block->first + block->count > from)
            return "the checksum of their block does not match";
    }
    return "their block is gone";
}

static int save_events(recovering_t *self)
{
    const cm_found_t *found = &self->found;
    const int64_t end = cm_found_end(found);
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < found->count; i++) {
        const cm_found_block_t *block = &found->blocks[i];
        if (!cm_found_is_whole(block))
            continue;
        rc = save_block(self, block, reason_of(found, self->end, block->first));
        if (rc == 0)
            rc = check_stop(self);
        if (self->options->progress != NULL && end > 0)
            self->options->progress(self->options->context, (double)self->end / (double)end);
    }
    if (rc == 0)
        lose(self, self->end, end, reason_of(found, self->end, end));
    return rc == 0 ? cm_sink_commit(&self->store->sink, self->err) : rc;
}

/* ---- files beside the database ---- */

/* Copies a small file if it exists. */
static int copy_file(const recovering_t *self, const char *name)
{
    cm_buf_t from = CM_BUF_INIT, to = CM_BUF_INIT;
    char bytes[4096];
    int rc = 0;

    cm_buf_printf(&from, "%s/%s", self->options->data_dir, name);
    cm_buf_printf(&to, "%s/%s", self->options->to, name);
    FILE *in = fopen(from.data, "rbe"), *out = NULL;
    const bool there = in != NULL || errno != ENOENT;
    const size_t got = in != NULL ? fread(bytes, 1, sizeof bytes, in) : 0;
    if (there && (in == NULL || ferror(in)))
        rc = cm_fail(self->err, CM_EIO, "cannot read %s (%s); check its permissions", from.data,
                     strerror(errno));
    else if (there &&
             ((out = fopen(to.data, "wbxe")) == NULL || fchmod(fileno(out), 0600) < 0 ||
              fwrite(bytes, 1, got, out) != got || fflush(out) != 0 || fdatasync(fileno(out)) != 0))
        rc = cm_fail(self->err, CM_EIO, "cannot write %s (%s)", to.data, strerror(errno));
    if (in != NULL)
        fclose(in);
    if (out != NULL)
        fclose(out);
    cm_buf_free(&from);
    cm_buf_free(&to);
    return rc;
}

/* From its file, or else from the place where an earlier edition stored it. */
static int save_key(recovering_t *self)
{
    cm_buf_t path = CM_BUF_INIT;
    uint8_t key[CM_KEY];
    bool found;

    cm_buf_printf(&path, "%s/" CM_KEY_FILE, self->options->data_dir);
    int rc = cm_key_read_file(path.data, key, &found, self->err);
    cm_buf_free(&path);
    if (rc < 0 && rc != CM_ECORRUPT)
        return rc;
    if (rc == 0 && !found && self->key_in_table) {
        memcpy(key, self->key, CM_KEY);
        found = true;
    }
    self->out->lost_key = rc < 0;
    self->out->key = found;
    rc = found ? cm_key_write(cm_store_embedded_database(self->store), key, self->err) : 0;
    explicit_bzero(key, sizeof key);
    return rc;
}

/* Runs before the new store is used, which would make its own keys. */
static int save_files(recovering_t *self)
{
    int rc = save_key(self);

    if (rc == 0)
        rc = copy_file(self, "visitors.key");
    return rc < 0 ? rc : copy_file(self, "synthetic");
}

/* ---- opening ---- */

static int open_raw(recovering_t *self)
{
    const cm_recover_options_t *options = self->options;
    cm_buf_t path = CM_BUF_INIT, to = CM_BUF_INIT;
    struct stat info;
    int rc = 0;

    cm_buf_printf(&path, "%s/clickmill.db", options->data_dir);
    cm_buf_printf(&to, "%s/clickmill.db", options->to);
    if (stat(to.data, &info) == 0)
        rc = cm_fail(self->err, CM_EUSAGE,
                     "there is a store in %s already: give --to a directory "
                     "that is not there yet",
                     options->to);
    else if (!cm_lock_keep_out(options->data_dir, &self->lock_fd) || cm_claim_is_taken(path.data))
        rc = cm_fail(self->err, CM_EBUSY,
                     "the data directory %s is in use; stop the process that writes it",
                     options->data_dir);
    else
        rc = cm_raw_open(path.data, &self->raw, self->err);
    cm_buf_free(&path);
    cm_buf_free(&to);
    return rc;
}

static int take_found(void *context, const cm_raw_record_t *record)
{
    recovering_t *self = context;
    cm_found_take(&self->found, self->view, record);
    return check_stop(self);
}

/* Free pages are searched too: a block that was merged with others may still be whole there. */
static int find(recovering_t *self)
{
    int rc = 0;

    for (int view = 0; rc == 0 && view < CM_RAW_VIEWS; view++) {
        self->view = (cm_raw_view_t)view;
        if (view == CM_RAW_COMMITTED || cm_raw_has_beyond(self->raw))
            rc = cm_raw_each(self->raw, self->view, false, take_found, self);
    }
    self->out->broken_log = cm_raw_has_beyond(self->raw);
    /* SQLite fills up a page that is not complete. */
    self->out->unsound = cm_raw_is_cut(self->raw)
                             ? (1u << CM_SOUND_TABLES) - 1
                             : cm_sound_check(self->options->data_dir, self->options->stop);
    cm_found_settle(&self->found);
    cm_found_count_strings(&self->found, &self->out->strings, &self->out->lost_strings);
    return rc < 0 ? rc : check_stop(self);
}

int cm_recover(const cm_recover_options_t *options, cm_recovered_t *out, cm_err_t *err)
{
    recovering_t self = {
        .options = options, .out = out, .err = err, .lock_fd = -1, .batch = CM_BATCH_INIT};

    *out = (cm_recovered_t){0};
    int rc = open_raw(&self);
    if (rc == 0)
        rc = find(&self);
    if (rc == 0)
        rc = cm_store_embedded_open(options->to, options->clock, &self.store, err);
    if (rc == 0)
        rc = save_rest(&self);
    if (rc == 0)
        rc = save_files(&self);
    if (rc == 0)
        rc = save_events(&self);
    if (rc == 0 && cm_raw_was_too_much(self.raw))
        out->unsound = (1u << CM_SOUND_TABLES) - 1;
    if (self.store != NULL)
        cm_sink_close(&self.store->sink);
    if (self.raw != NULL)
        cm_raw_close(self.raw);
    if (self.lock_fd >= 0)
        close(self.lock_fd);
    cm_found_free(&self.found);
    cm_batch_free(&self.batch);
    cm_columns_free(&self.columns);
    cm_columns_free(&self.kept);
    return rc;
}
