#include "store/embedded/wal.h"

#include "base/clock.h"
#include "base/str.h"
#include "store/embedded/wal_format.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    CHECKPOINT_FRAMES = 1000,
    /* The log's index (https://sqlite.org/walformat.html), in 32-bit numbers: */
    INDEX_SIZE = 32768,
    INDEX_LAST_FRAME = 4,
    INDEX_COPIED = 24,
    CHECKPOINT_LOCK = 1,
    LOCK_WAIT_MS = 2000,
    LOCK_STEP_MS = 20,
};

struct cm_wal {
    sqlite3 *db;
    const char *path; /* of the database */
    bool failed;      /* a sync has failed, and its frames are not written again yet */
    bool lost;        /* writing them again has failed too */
};

static int fail(const cm_wal_t *wal, const char *doing, cm_err_t *err)
{
    return cm_fail(err, CM_EIO, "cannot %s the log of %s (%s); check its disk", doing, wal->path,
                   strerror(errno));
}

/* ---- the log's file ---- */

/* SQLite holds no locks on the log file, so it may be opened and closed here. */
static int open_log(const cm_wal_t *wal, cm_err_t *err)
{
    cm_buf_t path = CM_BUF_INIT;

    cm_buf_printf(&path, "%s-wal", wal->path);
    int fd = open(path.data, O_RDWR | O_CLOEXEC);
    cm_buf_free(&path);
    return fd < 0 ? fail(wal, "open", err) : fd;
}

/* The bytes of a frame; 0 when the file has no header of a log. */
static size_t frame_size(const uint8_t header[CM_WAL_HEADER])
{
    const uint32_t page = cm_wal_u32(header + CM_WAL_PAGE_SIZE_AT);

    return page >= 512 && page <= 65536 ? CM_WAL_FRAME_HEADER + (size_t)page : 0;
}

static bool write_all(int fd, const uint8_t *bytes, size_t len, off_t at)
{
    errno = ENOSPC; /* the usual reason for a short write */
    return pwrite(fd, bytes, len, at) == (ssize_t)len;
}

/* Writes the log's frames once more, unchanged: only those with the salts of the header, because
 * others belong to an older round. */
static int write_frames(const cm_wal_t *wal, int fd, cm_err_t *err)
{
    uint8_t header[CM_WAL_HEADER];
    off_t at = CM_WAL_HEADER;

    if (pread(fd, header, CM_WAL_HEADER, 0) != CM_WAL_HEADER)
        return 0; /* no commit was ever written to it */
    const size_t size = frame_size(header);
    if (size == 0)
        return 0;
    uint8_t *frame = cm_alloc(size);
    bool good = write_all(fd, header, CM_WAL_HEADER, 0);
    while (good && pread(fd, frame, size, at) == (ssize_t)size &&
           memcmp(frame + CM_WAL_FRAME_SALTS_AT, header + CM_WAL_SALTS_AT, CM_WAL_SALTS) == 0) {
        good = write_all(fd, frame, size, at);
        at += (off_t)size;
    }
    good = good && fdatasync(fd) == 0;
    int rc = good ? 0 : fail(wal, "write", err);
    free(frame);
    return rc;
}

/* Makes the frames after the last commit invalid: they belong to a commit that has failed and was
 * not acknowledged. After a crash they would otherwise be found whole, and more could follow them.
 */
static int void_frames(const cm_wal_t *wal, uint32_t last, cm_err_t *err)
{
    static const uint8_t nothing[CM_WAL_FRAME_HEADER];
    uint8_t header[CM_WAL_HEADER];
    size_t size = 0;

    int fd = open_log(wal, err);
    if (fd < 0)
        return fd;
    if (pread(fd, header, CM_WAL_HEADER, 0) == CM_WAL_HEADER)
        size = frame_size(header);
    bool good = size == 0 ||
                write_all(fd, nothing, CM_WAL_FRAME_HEADER, CM_WAL_HEADER + (off_t)(last * size));
    good = good && fdatasync(fd) == 0;
    int rc = good ? 0 : fail(wal, "write", err);
    close(fd);
    return rc;
}

/* ---- the log's index ---- */

/* SQLite's index in memory, which all processes that have the database open share. */
static volatile uint32_t *map_index(const cm_wal_t *wal, sqlite3_file **file)
{
    void volatile *index = NULL;

    *file = NULL;
    sqlite3_file_control(wal->db, "main", SQLITE_FCNTL_FILE_POINTER, file);
    if (*file == NULL || (*file)->pMethods == NULL || (*file)->pMethods->iVersion < 2 ||
        (*file)->pMethods->xShmMap(*file, 0, INDEX_SIZE, 0, &index) != SQLITE_OK)
        return NULL;
    return index;
}

/* Records that no frame of the log has been copied into the database, so that the next checkpoint
 * copies all of them again. While a process reads an older state, SQLite counts frames as copied
 * that it has not synced, and would not copy them again after a failed sync. */
static int forget_copies(const cm_wal_t *wal, uint32_t *last, cm_err_t *err)
{
    const int lock = SQLITE_SHM_LOCK | SQLITE_SHM_EXCLUSIVE;
    const int unlock = SQLITE_SHM_UNLOCK | SQLITE_SHM_EXCLUSIVE;
    sqlite3_file *file;
    volatile uint32_t *index = map_index(wal, &file);

    if (index == NULL)
        return cm_fail(err, CM_EIO, "cannot read the log's index of %s; check its disk", wal->path);
    for (int waited = 0; file->pMethods->xShmLock(file, CHECKPOINT_LOCK, 1, lock) != SQLITE_OK;
         waited += LOCK_STEP_MS) {
        if (waited >= LOCK_WAIT_MS)
            return cm_fail(err, CM_EIO, "another program holds %s; stop it", wal->path);
        cm_sleep_ms(LOCK_STEP_MS);
    }
    file->pMethods->xShmBarrier(file);
    index[INDEX_COPIED] = 0;
    *last = index[INDEX_LAST_FRAME];
    file->pMethods->xShmBarrier(file);
    file->pMethods->xShmLock(file, CHECKPOINT_LOCK, 1, unlock);
    return 0;
}

/* ---- syncs that fail ---- */

bool cm_wal_note(cm_wal_t *wal)
{
    const int code = sqlite3_extended_errcode(wal->db);

    if (code != SQLITE_IOERR_FSYNC && code != SQLITE_IOERR_DIR_FSYNC)
        return false;
    wal->failed = true;
    return true;
}

static int checkpoint(cm_wal_t *wal)
{
    int code = sqlite3_wal_checkpoint_v2(wal->db, "main", SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);

    if (code != SQLITE_OK)
        cm_wal_note(wal);
    return code;
}

/* Called after each commit. SQLite's own function does the same but ignores errors. */
static int after_commit(void *context, sqlite3 *db, const char *name, int frames)
{
    (void)db;
    (void)name;
    if (frames >= CHECKPOINT_FRAMES)
        checkpoint(context);
    return SQLITE_OK; /* the commit is complete, even if the copy fails */
}

/* Each successful commit was synced by itself, so its frames are safe. Not safe are the copies of
 * their pages in the database, and the frames of the failed commit. */
static int write_anew(cm_wal_t *wal, cm_err_t *err)
{
    uint32_t last;

    int rc = forget_copies(wal, &last, err);
    if (rc < 0)
        return rc;
    const int code = checkpoint(wal);
    /* While other processes use the database, a later commit makes the copies. */
    if (code != SQLITE_OK && code != SQLITE_BUSY && code != SQLITE_LOCKED)
        return cm_fail(err, CM_EIO, "cannot write %s again (%s)", wal->path,
                       sqlite3_errmsg(wal->db));
    return void_frames(wal, last, err);
}

int cm_wal_prove(cm_wal_t *wal, cm_err_t *err)
{
    cm_err_t why = {.text = "it has failed before"};

    if (!wal->failed)
        return 0;
    if (!wal->lost && write_anew(wal, &why) == 0) {
        wal->failed = false;
        return 0;
    }
    wal->lost = true;
    return cm_fail(err, CM_EDISK,
                   "the disk below %s keeps failing: a sync of what was written failed, and so did "
                   "writing it again (%s); what was acknowledged is kept, check the disk and start "
                   "again",
                   wal->path, why.text);
}

/* ---- open and close ---- */

/* Runs within a write transaction, so that no other program appends meanwhile. */
static int take_over(cm_wal_t *wal, cm_err_t *err)
{
    uint32_t last;
    int fd = open_log(wal, err);

    if (fd < 0)
        return fd;
    int rc = write_frames(wal, fd, err);
    close(fd);
    return rc < 0 ? rc : forget_copies(wal, &last, err);
}

int cm_wal_open(sqlite3 *db, const char *path, bool crashed, cm_wal_t **out, cm_err_t *err)
{
    cm_wal_t *wal = cm_alloc_zero(1, sizeof *wal);
    int rc = 0;

    *wal = (cm_wal_t){.db = db, .path = path};
    if (crashed) {
        if (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
            rc = cm_fail(err, CM_EBUSY, "%s is being used by another program (%s); try again", path,
                         sqlite3_errmsg(db));
        if (rc == 0)
            rc = take_over(wal, err);
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    if (rc < 0) {
        free(wal);
        return rc;
    }
    sqlite3_wal_hook(db, after_commit, wal);
    *out = wal;
    return 0;
}

bool cm_wal_free(cm_wal_t *wal)
{
    const bool proven = !wal->failed;

    if (!proven)
        sqlite3_db_config(wal->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_wal_hook(wal->db, NULL, NULL);
    free(wal);
    return proven;
}
