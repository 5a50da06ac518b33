#include "store/embedded/lock.h"

#include "base/clock.h"
#include "base/process.h"
#include "base/str.h"
#include "store/embedded/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

enum {
    LOCK_WAIT_MS = 2000,
    LOCK_STEP_MS = 50,
    HOLDER_TEXT = 32,
};

/* Written instead of a process id: the store was closed. */
static const char closed[] = "0";

static bool lock_file(int fd)
{
    for (int waited = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited += LOCK_STEP_MS) {
        if (errno != EWOULDBLOCK || waited >= LOCK_WAIT_MS)
            return false;
        cm_sleep_ms(LOCK_STEP_MS);
    }
    return true;
}

static int fail_held(const char *data_dir, const char *holder, cm_err_t *err)
{
    char text[CM_PROCESS_TEXT];
    const char *command = cm_process_command(strtol(holder, NULL, 10), text);

    return cm_fail(err, CM_EBUSY,
                   "the data directory %s is in use by process %s; stop it%s%s%s or choose another "
                   "directory with --data",
                   data_dir, holder[0] ? holder : "unknown", command[0] ? " (`" : "", command,
                   command[0] ? "`)" : "");
}

/* Reads which process holds the lock or held it last, or `closed`. */
static void read_holder(int fd, char holder[HOLDER_TEXT])
{
    ssize_t got = pread(fd, holder, HOLDER_TEXT - 1, 0);
    holder[got > 0 ? got : 0] = '\0';
    holder[strcspn(holder, "\n")] = '\0';
}

static bool write_holder(int fd, const char *holder)
{
    char line[HOLDER_TEXT + 1];
    int len = snprintf(line, sizeof line, "%s\n", holder);

    return ftruncate(fd, 0) == 0 && pwrite(fd, line, (size_t)len, 0) == len;
}

void cm_lock_note_closed(int fd)
{
    write_holder(fd, closed);
}

int cm_lock_take(const char *data_dir, int *fd, bool *was_closed, cm_err_t *err)
{
    cm_buf_t path = CM_BUF_INIT;
    char holder[HOLDER_TEXT];
    int rc = 0;

    cm_buf_printf(&path, "%s/lock", data_dir);
    *fd = open(path.data, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (*fd >= 0)
        cm_folder_give(*fd, data_dir);
    else if (errno == EEXIST)
        *fd = open(path.data, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0) {
        rc = cm_fail(err, CM_EIO,
                     "cannot write to the data directory %s (%s); choose another with "
                     "--data",
                     data_dir, strerror(errno));
    } else if (!lock_file(*fd)) {
        read_holder(*fd, holder);
        rc = fail_held(data_dir, strcmp(holder, closed) != 0 ? holder : "", err);
        close(*fd);
        *fd = -1;
    } else {
        read_holder(*fd, holder);
        *was_closed = strcmp(holder, closed) == 0;
        snprintf(holder, sizeof holder, "%ld", (long)getpid());
        /* After a loss of power the file must not say that the store was closed by this process. */
        if (!write_holder(*fd, holder) || (*was_closed && fdatasync(*fd) < 0))
            rc = cm_fail(err, CM_EIO, "cannot write %s (%s); free some space", path.data,
                         strerror(errno));
    }
    cm_buf_free(&path);
    return rc;
}

bool cm_lock_keep_out(const char *data_dir, int *fd)
{
    cm_buf_t path = CM_BUF_INIT;

    cm_buf_printf(&path, "%s/lock", data_dir);
    *fd = open(path.data, O_RDONLY | O_CLOEXEC);
    cm_buf_free(&path);
    if (*fd < 0 || flock(*fd, LOCK_SH | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return true;
    close(*fd);
    *fd = -1;
    return false;
}

bool cm_lock_is_taken(const char *data_dir)
{
    int fd;
    bool held = !cm_lock_keep_out(data_dir, &fd);

    if (fd >= 0)
        close(fd);
    return held;
}
