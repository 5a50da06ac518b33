#include "store/embedded/claim.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    /* SQLite locks the bytes from 2^30 to 2^30 + 511. */
    LOCK_BYTE = 0x40000000 + 4096,
    PARTS = 3,
};

static const char *const endings[PARTS] = {"", "-wal", "-shm"};

/* A file that this process has open. */
typedef struct file {
    dev_t device;
    ino_t inode;
    int claims;
    int fd;      /* -1: the lock was not requested */
    bool locked; /* by a writer of this process */
    struct file *next;
} file_t;

typedef struct identity {
    dev_t device;
    ino_t inode; /* 0: the file did not exist */
} identity_t;

struct cm_claim {
    char *paths[PARTS];
    identity_t settled[PARTS];
    file_t *file; /* NULL: the file was removed before it was checked */
    bool locked;
};

/* One list for the process, because these locks belong to the process. */
static pthread_mutex_t files_lock = PTHREAD_MUTEX_INITIALIZER;
static file_t *files;

/* Finds the entry of a file, or adds one. */
static file_t *find_file(dev_t device, ino_t inode)
{
    file_t *file = files;

    while (file != NULL && (file->device != device || file->inode != inode))
        file = file->next;
    if (file == NULL) {
        file = cm_alloc_zero(1, sizeof *file);
        *file = (file_t){.device = device, .inode = inode, .fd = -1, .next = files};
        files = file;
    }
    return file;
}

cm_claim_t *cm_claim_new(const char *path)
{
    cm_claim_t *claim = cm_alloc_zero(1, sizeof *claim);
    struct stat info;

    for (int part = 0; part < PARTS; part++) {
        cm_buf_t name = CM_BUF_INIT;
        cm_buf_printf(&name, "%s%s", path, endings[part]);
        claim->paths[part] = name.data;
    }
    pthread_mutex_lock(&files_lock);
    if (stat(path, &info) == 0) {
        claim->file = find_file(info.st_dev, info.st_ino);
        claim->file->claims++;
    }
    pthread_mutex_unlock(&files_lock);
    return claim;
}

static int fail_gone(const char *path, cm_err_t *err)
{
    return cm_fail(err, CM_EIO,
                   "%s was deleted, moved or replaced while it was in use; nothing more is stored: "
                   "put it back, or start again",
                   path);
}

/* Returns 0 also on a file system that has no such locks. */
static int set_lock(int fd, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = LOCK_BYTE, .l_len = 1};

    return fcntl(fd, F_OFD_SETLK, &lock) < 0 && (errno == EAGAIN || errno == EACCES) ? -1 : 0;
}

/* Opens the descriptor for the lock. If another file has taken the path, it is closed again: this
 * process has no locks on that file. */
static int open_file(file_t *file, const char *path, cm_err_t *err)
{
    struct stat info;

    if (file->fd >= 0)
        return 0;
    file->fd = open(path, O_RDWR | O_CLOEXEC);
    if (file->fd < 0)
        return cm_fail(err, CM_EIO, "cannot open %s (%s); check its permissions", path,
                       strerror(errno));
    if (fstat(file->fd, &info) == 0 && info.st_dev == file->device && info.st_ino == file->inode)
        return 0;
    close(file->fd);
    file->fd = -1;
    return fail_gone(path, err);
}

int cm_claim_lock(cm_claim_t *claim, cm_err_t *err)
{
    const char *path = claim->paths[0];
    file_t *file = claim->file;

    if (file == NULL)
        return fail_gone(path, err);
    pthread_mutex_lock(&files_lock);
    int rc = file->locked ? CM_EBUSY : open_file(file, path, err);
    if (rc == 0 && set_lock(file->fd, F_WRLCK) < 0)
        rc = CM_EBUSY;
    if (rc == 0)
        claim->locked = file->locked = true;
    pthread_mutex_unlock(&files_lock);
    if (rc == CM_EBUSY)
        cm_fail(err, rc,
                "%s is in use by another process, which the file `lock` beside it does not name; "
                "stop that process or choose another directory with --data",
                path);
    return rc;
}

bool cm_claim_is_taken(const char *path)
{
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = LOCK_BYTE, .l_len = 1};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool taken = fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;

    if (fd >= 0)
        close(fd);
    return taken;
}

static identity_t look_at(const char *path)
{
    struct stat info;

    if (stat(path, &info) < 0)
        return (identity_t){0};
    return (identity_t){info.st_dev, info.st_ino};
}

void cm_claim_settle(cm_claim_t *claim)
{
    for (int part = 0; part < PARTS; part++)
        claim->settled[part] = look_at(claim->paths[part]);
}

int cm_claim_check(const cm_claim_t *claim, cm_err_t *err)
{
    for (int part = 0; part < PARTS; part++) {
        const identity_t then = claim->settled[part], now = look_at(claim->paths[part]);
        if (now.inode != then.inode || now.device != then.device)
            return fail_gone(claim->paths[part], err);
    }
    return 0;
}

/* Removes the entry of a file that is no longer open. */
static void forget_file(file_t *file)
{
    file_t **at = &files;

    while (*at != file)
        at = &(*at)->next;
    *at = file->next;
    if (file->fd >= 0)
        close(file->fd);
    free(file);
}

void cm_claim_free(cm_claim_t *claim)
{
    if (claim == NULL)
        return;
    pthread_mutex_lock(&files_lock);
    if (claim->locked) {
        set_lock(claim->file->fd, F_UNLCK);
        claim->file->locked = false;
    }
    if (claim->file != NULL && --claim->file->claims == 0)
        forget_file(claim->file);
    pthread_mutex_unlock(&files_lock);
    for (int part = 0; part < PARTS; part++)
        free(claim->paths[part]);
    free(claim);
}
