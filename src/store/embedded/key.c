#include "store/embedded/key.h"

#include "base/str.h"
#include "store/embedded/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum { MAGIC = 8, SIZE = MAGIC + CM_KEY };

static const char magic[MAGIC + 1] = "cm-key-1";

/* The path of a file next to the database; the caller frees it. */
static char *path_of(const cm_database_t *database, const char *name)
{
    const char *slash = strrchr(database->path, '/');
    cm_buf_t path = CM_BUF_INIT;

    cm_buf_printf(&path, "%.*s%s", slash != NULL ? (int)(slash + 1 - database->path) : 0,
                  database->path, name);
    return path.data;
}

int cm_key_read_file(const char *path, uint8_t key[CM_KEY], bool *found, cm_err_t *err)
{
    uint8_t bytes[SIZE + 1];
    int rc = 0;

    *found = false;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    ssize_t got = fd < 0 ? -1 : pread(fd, bytes, sizeof bytes, 0);
    if (got < 0)
        rc = cm_fail(err, CM_EIO, "cannot read the visitors' key %s (%s); check its permissions",
                     path, strerror(errno));
    else if (got != SIZE || memcmp(bytes, magic, MAGIC) != 0)
        rc = cm_fail(err, CM_ECORRUPT,
                     "%s is no key of visitors; restore it from a copy, or remove it: visitors get "
                     "new names then, and sealed dead letters stay closed",
                     path);
    else
        memcpy(key, bytes + MAGIC, CM_KEY);
    *found = rc == 0;
    if (fd >= 0)
        close(fd);
    explicit_bzero(bytes, sizeof bytes);
    return rc;
}

/* Written to a temporary file and moved to its place, so that there is never half a key. */
int cm_key_write(const cm_database_t *database, const uint8_t key[CM_KEY], cm_err_t *err)
{
    char *path = path_of(database, CM_KEY_FILE), *fresh = path_of(database, CM_KEY_FILE ".new");
    char *directory = path_of(database, ".");
    uint8_t bytes[SIZE];
    int rc = 0;

    memcpy(bytes, magic, MAGIC);
    memcpy(bytes + MAGIC, key, CM_KEY);
    unlink(fresh); /* left by a process that was interrupted */
    int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        cm_folder_give(fd, database->path);
    errno = fd < 0 ? errno : ENOSPC; /* the usual reason for a short write */
    if (fd < 0 || write(fd, bytes, SIZE) != SIZE || fsync(fd) < 0 || rename(fresh, path) < 0)
        rc = cm_fail(err, CM_EIO,
                     "cannot write the visitors' key %s (%s); check its directory and its disk",
                     path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (rc == 0)
        rc = cm_folder_sync(directory, err);
    explicit_bzero(bytes, sizeof bytes);
    free(path);
    free(fresh);
    free(directory);
    return rc;
}

/* Reads the key that an earlier edition has stored in the database. */
static int read_table(const cm_database_t *database, uint8_t key[CM_KEY], bool *found,
                      cm_err_t *err)
{
    sqlite3_stmt *select;
    bool there;

    *found = false;
    int rc = cm_database_has(database, "secret", &there, err);
    if (rc < 0 || !there)
        return rc;
    rc = cm_database_prepare(database, "SELECT value FROM secret WHERE name = 'visitor'", &select,
                             err);
    if (rc < 0)
        return rc;
    const int step = sqlite3_step(select);
    *found = step == SQLITE_ROW && sqlite3_column_bytes(select, 0) == CM_KEY;
    if (*found)
        memcpy(key, sqlite3_column_blob(select, 0), CM_KEY);
    else if (step != SQLITE_ROW && step != SQLITE_DONE)
        rc = cm_database_fail(database, "reading the visitors' key", err);
    sqlite3_finalize(select);
    return rc;
}

int cm_key_read(const cm_database_t *database, uint8_t key[CM_KEY], bool *found, cm_err_t *err)
{
    char *path = path_of(database, CM_KEY_FILE);

    int rc = cm_key_read_file(path, key, found, err);
    free(path);
    return rc < 0 || *found ? rc : read_table(database, key, found, err);
}

int cm_key_of(const char *data_dir, uint8_t key[CM_KEY], bool *found, cm_err_t *err)
{
    cm_database_t database;
    cm_buf_t path = CM_BUF_INIT;

    cm_buf_printf(&path, "%s/" CM_KEY_FILE, data_dir);
    int rc = cm_key_read_file(path.data, key, found, err);
    cm_buf_free(&path);
    if (rc < 0 || *found || cm_database_open_read(data_dir, &database, NULL) < 0)
        return rc;
    rc = read_table(&database, key, found, err);
    cm_database_close(&database);
    return rc;
}

int cm_key_make(const cm_database_t *database, uint8_t key[CM_KEY], cm_err_t *err)
{
    if (getrandom(key, CM_KEY, 0) != CM_KEY)
        return cm_fail(err, CM_EINTERNAL, "the kernel gives no random bytes for the visitors' key");
    return cm_key_write(database, key, err);
}

int cm_key_move(const cm_database_t *database, cm_err_t *err)
{
    static const char moving[] = "moving the visitors' key out of the database";
    uint8_t key[CM_KEY], kept[CM_KEY];
    char *path = path_of(database, CM_KEY_FILE);
    bool there, found = false, moved = false;

    int rc = cm_database_has(database, "secret", &there, err);
    if (rc == 0 && there && (rc = cm_key_read_file(path, kept, &moved, err)) == 0 &&
        (rc = read_table(database, key, &found, err)) == 0 && found && !moved)
        rc = cm_key_write(database, key, err);
    if (rc == 0 && there && found && moved && memcmp(key, kept, CM_KEY) != 0)
        rc =
            cm_fail(err, CM_ECORRUPT,
                    "%s is another key than the one that %s has from an earlier version; move away "
                    "the one of these files that does not belong here",
                    path, database->path);
    free(path);
    if (rc < 0 || !there)
        return rc;
    /* Zeros overwrite the key in the file. The log may contain it too and is truncated. While
     * another process is reading, the log is overwritten later. */
    rc = cm_database_exec(database, "PRAGMA secure_delete = ON; DROP TABLE secret", moving, err);
    if (rc == 0)
        rc = cm_database_exec(database, "PRAGMA secure_delete = OFF", moving, err);
    if (rc == 0)
        cm_database_exec(database, "PRAGMA wal_checkpoint(TRUNCATE)", moving, NULL);
    explicit_bzero(key, sizeof key);
    explicit_bzero(kept, sizeof kept);
    return rc;
}
