#include "store/embedded/database.h"

#include "base/clock.h"
#include "base/str.h"
#include "store/embedded/folder.h"
#include "store/embedded/lock.h"
#include "store/embedded/setting.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    APPLICATION_ID = 0x434C4B4D, /* "CLKM" */
    VERSION = 2,                 /* 1: blocks without optional fields, see upgrade() */
    BUSY_MS = 5000,              /* a reader may wait while the writer recovers the log */
    CLAIM_WAIT_MS = 2000,
    CLAIM_STEP_MS = 50,
};

static const char schema[] =
    "CREATE TABLE block (\n"
    "    first INTEGER PRIMARY KEY,\n" /* ordinal of its first event */
    "    count INTEGER NOT NULL,\n"
    "    time_min INTEGER NOT NULL,\n"
    "    time_max INTEGER NOT NULL,\n"
    "    keys_derived INTEGER NOT NULL,\n" /* bit 0: no event has a row key of its own, 1: some
                                            * event is no page view; then bytes, see merge.h */
    "    hot BLOB NOT NULL,\n"
    "    cold BLOB NOT NULL,\n"
    "    keys BLOB NOT NULL,\n"
    "    extra BLOB);\n" /* NULL: no event has an optional field */
    "CREATE TABLE dictionary (\n"
    "    field INTEGER NOT NULL,\n"
    "    first INTEGER NOT NULL,\n" /* id of its first string */
    "    count INTEGER NOT NULL,\n"
    "    texts BLOB NOT NULL,\n"
    "    PRIMARY KEY (field, first)) WITHOUT ROWID;\n"
    "CREATE TABLE source (\n"
    "    name TEXT PRIMARY KEY,\n"
    "    position INTEGER NOT NULL) WITHOUT ROWID;\n"
    "CREATE TABLE dead (\n"
    "    id INTEGER PRIMARY KEY AUTOINCREMENT,\n"
    "    time INTEGER NOT NULL,\n"
    "    origin TEXT NOT NULL,\n"
    "    reason TEXT NOT NULL,\n"
    "    payload BLOB NOT NULL);\n" CM_SETTING_TABLE CM_SETTING_NEW_STORE;

int cm_database_has(const cm_database_t *database, const char *table, bool *has, cm_err_t *err)
{
    sqlite3_stmt *select;

    *has = false;
    int rc =
        cm_database_prepare(database, "SELECT 1 FROM sqlite_master WHERE name = ?", &select, err);
    if (rc < 0)
        return rc;
    sqlite3_bind_text(select, 1, table, -1, SQLITE_STATIC);
    int step = sqlite3_step(select);
    *has = step == SQLITE_ROW;
    if (step != SQLITE_ROW && step != SQLITE_DONE)
        rc = cm_database_fail(database, "reading the store", err);
    sqlite3_finalize(select);
    return rc;
}

/* Whether SQLite's last error is a lack of memory, for which it has several codes. */
static bool is_memory(sqlite3 *db)
{
    const int code = sqlite3_extended_errcode(db);

    return code == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM ||
           ((code == SQLITE_IOERR_SHMMAP || code == SQLITE_IOERR_MMAP ||
             code == SQLITE_IOERR_SHMOPEN || code == SQLITE_CANTOPEN) &&
            sqlite3_system_errno(db) == ENOMEM);
}

int cm_database_fail(const cm_database_t *database, const char *doing, cm_err_t *err)
{
    int code = sqlite3_errcode(database->db);
    const char *text = sqlite3_errmsg(database->db);
    const char *path = database->path;

    if (database->wal != NULL && cm_wal_note(database->wal))
        return cm_fail(err, CM_EIO,
                       "%s: a sync of %s failed; what it was for is not stored: send it or run it "
                       "again, and check the disk",
                       doing, path);
    if (is_memory(database->db))
        return cm_fail_memory(err);
    switch (code & 0xFF) {
    case SQLITE_FULL:
        return cm_fail(err, CM_EIO,
                       "%s: no space left for %s; free some space and run it again, nothing that "
                       "was committed is lost",
                       doing, path);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return cm_fail(err, CM_EIO, "%s: cannot use %s (%s); check its permissions and its disk",
                       doing, path, text);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return cm_fail(err, CM_ECORRUPT,
                       "%s: %s is damaged or not a Clickmill database (%s); restore it from a copy "
                       "or save the readable part with `clickmill recover --to DIR`",
                       doing, path, text);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return cm_fail(err, CM_EBUSY, "%s: %s is being used by another program; try again", doing,
                       path);
    default:
        return cm_fail(err, CM_EINTERNAL, "%s: SQLite says for %s: %s", doing, path, text);
    }
}

int cm_database_exec(const cm_database_t *database, const char *sql, const char *doing,
                     cm_err_t *err)
{
    if (sqlite3_exec(database->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return cm_database_fail(database, doing, err);
    return 0;
}

int cm_database_prepare(const cm_database_t *database, const char *sql, sqlite3_stmt **statement,
                        cm_err_t *err)
{
    if (sqlite3_prepare_v2(database->db, sql, -1, statement, NULL) != SQLITE_OK)
        return cm_database_fail(database, "preparing a statement", err);
    return 0;
}

int cm_database_step(const cm_database_t *database, sqlite3_stmt *statement, const char *doing,
                     cm_err_t *err)
{
    int rc = sqlite3_step(statement) == SQLITE_DONE ? 0 : cm_database_fail(database, doing, err);
    sqlite3_reset(statement);
    return rc;
}

int cm_database_int(const cm_database_t *database, const char *sql, int64_t fallback,
                    int64_t *value, cm_err_t *err)
{
    sqlite3_stmt *statement;
    int rc = cm_database_prepare(database, sql, &statement, err);
    if (rc < 0)
        return rc;
    int step = sqlite3_step(statement);
    *value = fallback;
    if (step == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL)
        *value = sqlite3_column_int64(statement, 0);
    else if (step != SQLITE_ROW && step != SQLITE_DONE)
        rc = cm_database_fail(database, "reading the store", err);
    sqlite3_finalize(statement);
    return rc;
}

/* Takes the lock of the database file itself. Waits for it as for the directory's lock. */
static int claim_file(cm_claim_t *claim, cm_err_t *err)
{
    int rc;

    for (int waited = 0; (rc = cm_claim_lock(claim, err)) == CM_EBUSY && waited < CLAIM_WAIT_MS;
         waited += CLAIM_STEP_MS)
        cm_sleep_ms(CLAIM_STEP_MS);
    return rc;
}

static int check_version(cm_database_t *database, bool *empty, cm_err_t *err)
{
    int64_t id, version, tables;
    int rc = cm_database_int(database, "PRAGMA application_id", 0, &id, err);
    if (rc < 0 || (rc = cm_database_int(database, "PRAGMA user_version", 0, &version, err)) < 0 ||
        (rc = cm_database_int(database, "SELECT count(*) FROM sqlite_master", 0, &tables, err)) < 0)
        return rc;
    *empty = tables == 0;
    if (*empty)
        return 0;
    if (id != APPLICATION_ID)
        return cm_fail(err, CM_ECORRUPT,
                       "%s is a database of some other program; choose another directory with "
                       "--data",
                       database->path);
    if (version > VERSION)
        return cm_fail(err, CM_EVERSION,
                       "%s was written by a newer Clickmill (format %lld, this one knows %d); "
                       "install that version",
                       database->path, (long long)version, VERSION);
    database->version = (int)version;
    return 0;
}

/* Changes a database of format 1 to the present one, in one transaction: a process that is killed
 * leaves one or the other. Adding a column writes no row. */
static int upgrade(cm_database_t *database, cm_err_t *err)
{
    static const char doing[] = "changing the store to the format of this version";

    int rc = cm_database_exec(database, "BEGIN IMMEDIATE", doing, err);
    if (rc == 0)
        rc = cm_database_exec(database,
                              "ALTER TABLE block ADD COLUMN extra BLOB;" CM_SETTING_TABLE
                              "INSERT OR REPLACE INTO setting SELECT '" CM_SETTING_WITHOUT_EXTRA
                              "', '1' FROM block LIMIT 1",
                              doing, err);
    if (rc == 0)
        rc = cm_database_exec(database, "PRAGMA user_version = 2", doing, err);
    if (rc == 0)
        rc = cm_database_exec(database, "COMMIT", doing, err);
    if (rc == 0)
        database->version = VERSION;
    return rc;
}

static int open_file(const char *data_dir, int flags, cm_database_t *database, cm_err_t *err)
{
    cm_buf_t path = CM_BUF_INIT;

    cm_buf_printf(&path, "%s/clickmill.db", data_dir);
    database->path = path.data;
    if (sqlite3_open_v2(database->path, &database->db, flags | SQLITE_OPEN_NOMUTEX, NULL) !=
        SQLITE_OK)
        return cm_database_fail(database, "opening the store", err);
    database->claim = cm_claim_new(database->path);
    sqlite3_busy_timeout(database->db, BUSY_MS);
    return 0;
}

static int create_tables(cm_database_t *database, cm_err_t *err)
{
    static const char doing[] = "creating the store";
    char sql[200];

    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d;",
             APPLICATION_ID, VERSION);
    int rc = cm_database_exec(database, "BEGIN", doing, err);
    if (rc == 0)
        rc = cm_database_exec(database, schema, doing, err);
    if (rc == 0)
        rc = cm_database_exec(database, sql, doing, err);
    database->version = VERSION;
    return rc < 0 ? rc : cm_database_exec(database, "COMMIT", doing, err);
}

static int64_t log_size(const char *path)
{
    struct stat info;
    cm_buf_t log = CM_BUF_INIT;

    cm_buf_printf(&log, "%s-wal", path);
    int64_t size = stat(log.data, &info) == 0 ? (int64_t)info.st_size : 0;
    cm_buf_free(&log);
    return size;
}

int cm_database_open_write(const char *data_dir, cm_database_t *database, cm_err_t *err)
{
    bool empty = false, was_closed = false;

    *database = (cm_database_t){.lock_fd = -1};
    int rc = cm_folder_make(data_dir, err);
    if (rc < 0 || (rc = cm_lock_take(data_dir, &database->lock_fd, &was_closed, err)) < 0)
        goto fail;
    rc = cm_folder_make_file(data_dir, "clickmill.db", err);
    if (rc == 0)
        rc = open_file(data_dir, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, database, err);
    /* A writer that ends normally leaves no log, unless another process is reading. */
    database->crashed = !was_closed && rc == 0 && log_size(database->path) > 0;
    if (rc == 0)
        rc = claim_file(database->claim, err);
    /* First check which program made the file, because the pragmas after this write. Page size:
     * blobs of some hundred KiB should need few overflow pages, and commits of a small site should
     * be small. */
    if (rc < 0 || (rc = check_version(database, &empty, err)) < 0 ||
        (rc = cm_database_exec(database,
                               "PRAGMA page_size = 16384; PRAGMA journal_mode = WAL; PRAGMA "
                               "synchronous = FULL; PRAGMA cache_size = -65536",
                               "opening the store", err)) < 0 ||
        (rc = cm_wal_open(database->db, database->path, database->crashed, &database->wal, err)) <
            0 ||
        (empty && (rc = create_tables(database, err)) < 0) ||
        (database->version == 1 && (rc = upgrade(database, err)) < 0) ||
        (rc = cm_folder_sync(data_dir, err)) < 0)
        goto fail;
    cm_claim_settle(database->claim);
    return 0;

fail:
    cm_database_close(database);
    return rc;
}

int cm_database_check(const cm_database_t *database, cm_err_t *err)
{
    int rc = cm_wal_prove(database->wal, err);
    return rc < 0 ? rc : cm_claim_check(database->claim, err);
}

/* ---- a directory that cannot be written ---- */

/* Also true for a directory whose owner has removed all write permissions; these do not stop root.
 */
static bool is_read_only(const char *data_dir)
{
    struct stat info;

    if (stat(data_dir, &info) < 0 || !S_ISDIR(info.st_mode))
        return false;
    return (info.st_mode & (S_IWUSR | S_IWGRP | S_IWOTH)) == 0 ||
           faccessat(AT_FDCWD, data_dir, W_OK, AT_EACCESS) < 0;
}

static struct cm_database_state look_at(const char *path)
{
    struct cm_database_state state = {.log_size = log_size(path)};
    struct stat info;

    if (stat(path, &info) == 0) {
        state.inode = (int64_t)info.st_ino;
        state.size = (int64_t)info.st_size;
        state.changed_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
    }
    return state;
}

bool cm_database_is_fresh(const cm_database_t *database)
{
    if (!database->frozen)
        return true;
    const struct cm_database_state now = look_at(database->path), then = database->state;
    return now.inode == then.inode && now.size == then.size && now.changed_ns == then.changed_ns &&
           now.log_size == then.log_size;
}

int cm_database_check_fresh(const cm_database_t *database, cm_err_t *err)
{
    if (cm_database_is_fresh(database))
        return 0;
    return cm_fail(err, CM_EBUSY,
                   "%s was written by another process while it was read in a directory that cannot "
                   "be written; run it again",
                   database->path);
}

/* SQLite's log mode needs shared memory in a file next to the database, also for readers. Here this
 * file cannot be made. Without a log the database is complete and does not change. With a log of a
 * crashed process, the log's index is made in the memory of this process, as SQLite does for
 * exclusive use. The locks for that are left out, because a file that is open only for reading
 * cannot have them. */
static int open_frozen(const char *data_dir, cm_database_t *database, cm_err_t *err)
{
    cm_buf_t path = CM_BUF_INIT, uri = CM_BUF_INIT;

    cm_buf_printf(&path, "%s/clickmill.db", data_dir);
    database->path = path.data;
    database->frozen = true;
    database->state = look_at(path.data);
    cm_buf_add_text(&uri, "file:");
    for (const char *at = path.data; *at != '\0'; at++)
        cm_buf_printf(&uri, strchr("?#%", *at) != NULL ? "%%%02X" : "%c", (unsigned char)*at);
    const bool log = database->state.log_size > 0;
    cm_buf_add_text(&uri, log ? "?vfs=unix-none" : "?immutable=1");
    int code = sqlite3_open_v2(uri.data, &database->db,
                               SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
    cm_buf_free(&uri);
    if (code != SQLITE_OK)
        return cm_database_fail(database, "opening the store", err);
    sqlite3_db_config(database->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return log ? cm_database_exec(database, "PRAGMA locking_mode = EXCLUSIVE", "opening the store",
                                  err)
               : 0;
}

int cm_database_open_read(const char *data_dir, cm_database_t *database, cm_err_t *err)
{
    bool empty = false;

    *database = (cm_database_t){.lock_fd = -1};
    int rc = is_read_only(data_dir) && !cm_lock_is_taken(data_dir)
                 ? open_frozen(data_dir, database, err)
                 : open_file(data_dir, SQLITE_OPEN_READONLY, database, err);
    if (rc < 0 && access(database->path, F_OK) < 0 && errno == ENOENT)
        rc = cm_fail(err, CM_EINPUT,
                     "there are no events in %s yet; `clickmill import`, `produce` or `run` put "
                     "some there, --data names another directory",
                     data_dir);
    if (rc == 0)
        rc = check_version(database, &empty, err);
    if (rc == 0 && empty)
        rc = cm_fail(err, CM_EINPUT,
                     "there are no events in %s yet; another Clickmill is just "
                     "creating it",
                     data_dir);
    if (rc < 0)
        cm_database_close(database);
    return rc;
}

int cm_database_open_aside(const char *data_dir, cm_database_t *database, cm_err_t *err)
{
    bool empty = false;

    *database = (cm_database_t){.lock_fd = -1};
    int rc = open_frozen(data_dir, database, err);
    if (rc == 0)
        rc = check_version(database, &empty, err);
    if (rc < 0)
        cm_database_close(database);
    return rc;
}

int64_t cm_database_size(const cm_database_t *database)
{
    struct stat file;

    return (stat(database->path, &file) == 0 ? (int64_t)file.st_size : 0) +
           log_size(database->path);
}

void cm_database_close(cm_database_t *database)
{
    const bool proven = database->wal != NULL && cm_wal_free(database->wal);

    sqlite3_close(database->db);
    if (proven)
        cm_lock_note_closed(database->lock_fd);
    cm_claim_free(database->claim);
    free(database->path);
    if (database->lock_fd >= 0)
        close(database->lock_fd);
    *database = (cm_database_t){.lock_fd = -1};
}
