#include "store/cassandra/mirror.h"

#include "store/cassandra/mirror_internal.h"
#include "store/embedded/store.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char folder[] = "/cassandra";

static const char tables[] =
    "CREATE TABLE IF NOT EXISTS mirror_state (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;\n"
    "CREATE TABLE IF NOT EXISTS mirror_writer (number INTEGER PRIMARY KEY, next INTEGER, settled "
    "INTEGER);\n"
    "CREATE TABLE IF NOT EXISTS mirror_entry (writer INTEGER, seq INTEGER, first_us INTEGER, "
    "last_us INTEGER, keys BLOB, PRIMARY KEY (writer, seq)) WITHOUT ROWID;\n"
    "CREATE TABLE IF NOT EXISTS mirror_replaced (ordinal INTEGER PRIMARY KEY);\n";

const cm_database_t *cm_mirror_database(const cm_mirror_t *mirror)
{
    return mirror->inner != NULL ? cm_store_embedded_database(mirror->inner) : &mirror->database;
}

/* ---- replaced events ---- */

void cm_mirror_replace(cm_mirror_t *mirror, int64_t ordinal)
{
    if (mirror->replaced_count == mirror->replaced_cap) {
        mirror->replaced_cap = mirror->replaced_cap ? 2 * mirror->replaced_cap : 64;
        mirror->replaced =
            cm_realloc(mirror->replaced, mirror->replaced_cap * sizeof *mirror->replaced);
    }
    mirror->replaced[mirror->replaced_count++] = ordinal;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

void cm_mirror_sort_replaced(cm_mirror_t *mirror)
{
    if (mirror->replaced_count > 1)
        qsort(mirror->replaced, mirror->replaced_count, sizeof *mirror->replaced, compare);
}

size_t cm_mirror_replaced_before(const cm_mirror_t *mirror, int64_t ordinal)
{
    size_t low = 0, high = mirror->replaced_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (mirror->replaced[middle] < ordinal)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int load_replaced(cm_mirror_t *mirror, cm_err_t *err)
{
    const cm_database_t *database = cm_mirror_database(mirror);
    sqlite3_stmt *select;
    int step;

    mirror->replaced_count = 0;
    int rc = cm_database_prepare(database, "SELECT ordinal FROM mirror_replaced ORDER BY ordinal",
                                 &select, err);
    if (rc < 0)
        return rc;
    while ((step = sqlite3_step(select)) == SQLITE_ROW)
        cm_mirror_replace(mirror, sqlite3_column_int64(select, 0));
    if (step != SQLITE_DONE)
        rc = cm_database_fail(database, "reading what was replaced", err);
    sqlite3_finalize(select);
    return rc;
}

/* ---- opening and closing ---- */

void cm_mirror_close(cm_mirror_t *mirror)
{
    if (mirror == NULL)
        return;
    if (mirror->inner != NULL)
        cm_sink_close(&mirror->inner->sink);
    else if (mirror->database.db != NULL)
        cm_database_close(&mirror->database);
    free(mirror->replaced);
    free(mirror->directory);
    free(mirror);
}

static void close_sink(cm_sink_t *sink)
{
    cm_mirror_close((cm_mirror_t *)sink);
}

static cm_mirror_t *new_mirror(const char *data_dir, const cm_clock_t *clock)
{
    static const cm_sink_ops_t sink_ops = {.close = close_sink};
    static const cm_store_ops_t store_ops = {.reader = cm_mirror_reader};
    cm_mirror_t *mirror = cm_alloc_zero(1, sizeof *mirror);
    size_t size = strlen(data_dir) + sizeof folder;

    mirror->store = (cm_store_t){.sink = {&sink_ops}, .ops = &store_ops};
    mirror->clock = clock;
    mirror->directory = cm_alloc(size);
    snprintf(mirror->directory, size, "%s%s", data_dir, folder);
    return mirror;
}

static int open_inner(cm_mirror_t *mirror, cm_err_t *err)
{
    int rc = cm_store_embedded_open(mirror->directory, mirror->clock, &mirror->inner, err);
    if (rc == 0)
        rc = cm_database_exec(cm_mirror_database(mirror), tables, "making the copy's tables", err);
    if (rc == 0)
        rc = load_replaced(mirror, err);
    return rc;
}

int cm_mirror_open(const char *data_dir, const cm_clock_t *clock, cm_mirror_t **mirror,
                   cm_err_t *err)
{
    cm_mirror_t *self = new_mirror(data_dir, clock);

    int rc = open_inner(self, err);
    if (rc < 0)
        cm_mirror_close(self);
    else
        *mirror = self;
    return rc;
}

/* Removes every file of the directory, which has no other files. */
static int remove_files(const char *directory, cm_err_t *err)
{
    DIR *dir = opendir(directory);
    char path[4096];
    int rc = 0;

    if (dir == NULL)
        return errno == ENOENT
                   ? 0
                   : cm_fail(err, CM_EIO, "cannot read %s: %s", directory, strerror(errno));
    for (struct dirent *at = readdir(dir); at != NULL && rc == 0; at = readdir(dir)) {
        if (strcmp(at->d_name, ".") == 0 || strcmp(at->d_name, "..") == 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", directory, at->d_name);
        if (unlink(path) < 0)
            rc = cm_fail(err, CM_EIO, "cannot remove %s: %s", path, strerror(errno));
    }
    closedir(dir);
    return rc;
}

int cm_mirror_remove(const char *data_dir, cm_err_t *err)
{
    cm_mirror_t *mirror = new_mirror(data_dir, NULL);

    int rc = remove_files(mirror->directory, err);
    cm_mirror_close(mirror);
    return rc;
}

int cm_mirror_open_read(const char *data_dir, cm_mirror_t **mirror, cm_err_t *err)
{
    cm_mirror_t *self = new_mirror(data_dir, NULL);

    int rc = cm_database_open_read(self->directory, &self->database, err);
    if (rc == 0)
        rc = load_replaced(self, err);
    else
        self->database.db = NULL;
    if (rc < 0)
        cm_mirror_close(self);
    else
        *mirror = self;
    return rc;
}

int cm_mirror_inner_reader(const cm_mirror_t *mirror, cm_reader_t **reader, cm_err_t *err)
{
    return cm_store_embedded_open_reader(mirror->directory, reader, err);
}

cm_store_t *cm_mirror_store(cm_mirror_t *mirror)
{
    return &mirror->store;
}

int64_t cm_mirror_events(const cm_mirror_t *mirror)
{
    return cm_store_embedded_events(mirror->inner) - (int64_t)mirror->replaced_count;
}

int64_t cm_mirror_replaced(const cm_mirror_t *mirror)
{
    return (int64_t)mirror->replaced_count;
}

/* ---- its state ---- */

static void keep_text(sqlite3_stmt *select, char *text, size_t size)
{
    const char *value = (const char *)sqlite3_column_text(select, 1);
    snprintf(text, size, "%s", value != NULL ? value : "");
}

int cm_mirror_state(cm_mirror_t *mirror, cm_mirror_state_t *state, cm_err_t *err)
{
    const cm_database_t *database = cm_mirror_database(mirror);
    sqlite3_stmt *select;
    int step;

    *state = (cm_mirror_state_t){.table = ""};
    int rc = cm_database_prepare(database, "SELECT name, value FROM mirror_state", &select, err);
    if (rc < 0)
        return rc;
    while ((step = sqlite3_step(select)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(select, 0);
        if (strcmp(name, "table") == 0)
            keep_text(select, state->table, sizeof state->table);
        else if (strcmp(name, "changes") == 0)
            keep_text(select, state->changes, sizeof state->changes);
        else if (strcmp(name, "extended") == 0)
            state->extended = sqlite3_column_int(select, 1) != 0;
        else if (strcmp(name, "read_ms") == 0)
            state->read_ms = sqlite3_column_int64(select, 1);
        else if (strcmp(name, "run") == 0)
            mirror->run = sqlite3_column_int64(select, 1);
    }
    if (step != SQLITE_DONE)
        rc = cm_database_fail(database, "reading what the copy is of", err);
    sqlite3_finalize(select);
    return rc;
}

static int load_writers(const cm_database_t *database, cm_store_changes_t *changes, cm_err_t *err)
{
    sqlite3_stmt *select;
    int step;

    int rc = cm_database_prepare(database, "SELECT number, next, settled FROM mirror_writer",
                                 &select, err);
    if (rc < 0)
        return rc;
    while ((step = sqlite3_step(select)) == SQLITE_ROW) {
        cm_store_change_writer_t *writer =
            cm_store_changes_add_writer(changes, sqlite3_column_int64(select, 0));
        writer->next = sqlite3_column_int64(select, 1);
        writer->settled = sqlite3_column_int64(select, 2);
    }
    if (step != SQLITE_DONE)
        rc = cm_database_fail(database, "reading what is known of the writers", err);
    sqlite3_finalize(select);
    return rc;
}

int cm_mirror_changes(cm_mirror_t *mirror, cm_store_changes_t *changes, cm_err_t *err)
{
    const cm_database_t *database = cm_mirror_database(mirror);
    sqlite3_stmt *select;
    int step;

    int rc = load_writers(database, changes, err);
    if (rc == 0)
        rc = cm_database_prepare(database,
                                 "SELECT writer, seq, first_us, last_us, keys FROM mirror_entry",
                                 &select, err);
    if (rc < 0)
        return rc;
    while ((step = sqlite3_step(select)) == SQLITE_ROW) {
        const cm_store_change_entry_t entry = {
            .writer = sqlite3_column_int64(select, 0),
            .seq = sqlite3_column_int64(select, 1),
            .first_us = sqlite3_column_int64(select, 2),
            .last_us = sqlite3_column_int64(select, 3),
            .keys = {sqlite3_column_blob(select, 4), (size_t)sqlite3_column_bytes(select, 4)}};
        cm_store_changes_add_entry(changes, &entry);
    }
    if (step != SQLITE_DONE)
        rc = cm_database_fail(database, "reading what is not settled", err);
    sqlite3_finalize(select);
    return rc;
}

/* ---- writing ---- */

/* The first mark of a transaction opens it (store/embedded/store.h). */
static int open_transaction(cm_mirror_t *mirror, cm_err_t *err)
{
    cm_batch_t batch = CM_BATCH_INIT;

    cm_batch_mark(&batch, CM_STR("mirror"), ++mirror->run);
    int rc = cm_sink_put(&mirror->inner->sink, &batch, err);
    cm_batch_free(&batch);
    return rc;
}

int cm_mirror_begin(cm_mirror_t *mirror, cm_err_t *err)
{
    if (cm_store_embedded_events(mirror->inner) > 0 || mirror->replaced_count > 0) {
        cm_sink_close(&mirror->inner->sink);
        mirror->inner = NULL;
        mirror->replaced_count = 0;
        int rc = remove_files(mirror->directory, err);
        if (rc == 0)
            rc = open_inner(mirror, err);
        if (rc < 0)
            return rc;
    }
    return open_transaction(mirror, err);
}

int cm_mirror_fill(cm_mirror_t *mirror, const cm_batch_t *batch, cm_err_t *err)
{
    return cm_sink_put(&mirror->inner->sink, batch, err);
}

static int write_state(const cm_mirror_t *mirror, const cm_mirror_state_t *state, cm_err_t *err)
{
    char *sql = sqlite3_mprintf("DELETE FROM mirror_state;"
                                "DELETE FROM mirror_writer;"
                                "DELETE FROM mirror_entry;"
                                "INSERT INTO mirror_state VALUES ('table', %Q), ('changes', %Q), "
                                "('extended', '%d'), ('read_ms', '%lld'), ('run', '%lld');",
                                state->table, state->changes, state->extended,
                                (long long)state->read_ms, (long long)mirror->run);
    int rc = cm_database_exec(cm_mirror_database(mirror), sql, "writing what the copy is of", err);
    sqlite3_free(sql);
    return rc;
}

static int write_writers(const cm_database_t *database, const cm_store_changes_t *changes,
                         cm_err_t *err)
{
    sqlite3_stmt *insert;

    int rc =
        cm_database_prepare(database, "INSERT INTO mirror_writer VALUES (?, ?, ?)", &insert, err);
    for (size_t i = 0; i < changes->writer_count && rc == 0; i++) {
        if (!changes->writers[i].there)
            continue;
        sqlite3_bind_int64(insert, 1, changes->writers[i].number);
        sqlite3_bind_int64(insert, 2, changes->writers[i].next);
        sqlite3_bind_int64(insert, 3, changes->writers[i].settled);
        rc = cm_database_step(database, insert, "writing what is known of the writers", err);
    }
    sqlite3_finalize(insert);
    return rc;
}

static int write_entries(const cm_database_t *database, const cm_store_changes_t *changes,
                         cm_err_t *err)
{
    sqlite3_stmt *insert;

    int rc = cm_database_prepare(
        database, "INSERT OR REPLACE INTO mirror_entry VALUES (?, ?, ?, ?, ?)", &insert, err);
    for (size_t i = 0; i < changes->entry_count && rc == 0; i++) {
        const cm_store_change_entry_t *entry = &changes->entries[i];
        if (entry->settled)
            continue;
        sqlite3_bind_int64(insert, 1, entry->writer);
        sqlite3_bind_int64(insert, 2, entry->seq);
        sqlite3_bind_int64(insert, 3, entry->first_us);
        sqlite3_bind_int64(insert, 4, entry->last_us);
        sqlite3_bind_blob(insert, 5, entry->keys.len > 0 ? entry->keys.data : "",
                          (int)entry->keys.len, SQLITE_STATIC);
        rc = cm_database_step(database, insert, "writing what is not settled", err);
    }
    sqlite3_finalize(insert);
    return rc;
}

int cm_mirror_end(cm_mirror_t *mirror, const cm_mirror_state_t *state,
                  const cm_store_changes_t *changes, cm_err_t *err)
{
    const cm_database_t *database = cm_mirror_database(mirror);

    int rc = write_state(mirror, state, err);
    if (rc == 0)
        rc = write_writers(database, changes, err);
    if (rc == 0)
        rc = write_entries(database, changes, err);
    return rc == 0 ? cm_sink_commit(&mirror->inner->sink, err) : rc;
}
