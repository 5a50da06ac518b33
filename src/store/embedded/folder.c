#include "store/embedded/folder.h"

#include "base/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* SQLite does the same but ignores failures. A file system that cannot sync a directory returns
 * EINVAL, and a directory that may not be listed cannot be opened. */
int cm_folder_sync(const char *path, cm_err_t *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = fd >= 0 ? fsync(fd) == 0 || errno == EINVAL : errno == EACCES;
    int rc = good ? 0
                  : cm_fail(err, CM_EIO, "cannot sync the directory %s (%s); check its disk", path,
                            strerror(errno));

    if (fd >= 0)
        close(fd);
    return rc;
}

/* Syncs the parent directory, which has the new name of the directory that was made last. */
static int sync_parent(const char *path, cm_err_t *err)
{
    cm_buf_t parent = CM_BUF_INIT;

    cm_buf_printf(&parent, "%s/..", path);
    int rc = cm_folder_sync(parent.data, err);
    cm_buf_free(&parent);
    return rc;
}

/* Like mkdir -p. */
int cm_folder_make(const char *path, cm_err_t *err)
{
    char *copy = cm_strdup(path);
    int rc = 0;

    if (path[0] == '\0')
        rc = cm_fail(err, CM_EUSAGE, "the data directory has no name; give one with --data");
    for (char *at = copy + 1; rc == 0; at++) {
        if (*at != '/' && *at != '\0')
            continue;
        char end = *at;
        *at = '\0';
        if (mkdir(copy, end == '\0' ? 0700 : 0777) == 0)
            rc = sync_parent(copy, err);
        else if (errno != EEXIST)
            rc = cm_fail(err, CM_EIO,
                         "cannot make the data directory %s (%s); choose another with --data", path,
                         strerror(errno));
        *at = end;
        if (end == '\0')
            break;
    }
    free(copy);
    return rc;
}

void cm_folder_give(int fd, const char *neighbour)
{
    struct stat info;

    if (geteuid() == 0 && stat(neighbour, &info) == 0 && info.st_uid != 0 &&
        fchown(fd, info.st_uid, info.st_gid) < 0)
        return; /* a file system that has no owners, for example */
}

/* ---- rights ---- */

/* Removes all permissions of other users from a file of this user. Files of other users cannot be
 * changed. */
static void close_to_others(int directory, const char *name)
{
    struct stat info;

    if (fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) == 0 && info.st_uid == geteuid() &&
        (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)) && (info.st_mode & 077) != 0 &&
        fchmodat(directory, name, info.st_mode & 0700, 0) < 0)
        return; /* for example on a file system without permissions */
}

/* Whether a file of this name belongs to a data directory. */
static bool is_ours(const char *name)
{
    static const char *const names[] = {".",
                                        "..",
                                        "clickmill.db",
                                        "lock",
                                        "clickmill.db-wal",
                                        "clickmill.db-shm",
                                        "demo",
                                        "spool",
                                        "clickmill.db-journal",
                                        "synthetic",
                                        "secret.key",
                                        "secret.key.new",
                                        "visitors.key",
                                        "clickmill.sock"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

/* Earlier editions made these files readable for all users. A directory that also has other files
 * (`--data .`) keeps its permissions: they may be intended. */
static void close_directory(const char *data_dir)
{
    static const char *const files[] = {"clickmill.db", "clickmill.db-wal", "clickmill.db-shm",
                                        "lock", "spool"};
    DIR *directory = opendir(data_dir);
    bool alone = true;

    if (directory == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        alone &= is_ours(entry->d_name);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        close_to_others(dirfd(directory), files[i]);
    if (alone)
        close_to_others(dirfd(directory), ".");
    closedir(directory);
}

/* SQLite gives its log the permissions of the database. An existing file is not opened: closing it
 * would release the locks that SQLite has on it in this process. */
int cm_folder_make_file(const char *data_dir, const char *name, cm_err_t *err)
{
    cm_buf_t path = CM_BUF_INIT;
    int rc = 0;

    cm_buf_printf(&path, "%s/%s", data_dir, name);
    int fd = open(path.data, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0) {
        cm_folder_give(fd, data_dir);
        close(fd);
    } else if (errno != EEXIST) {
        rc = cm_fail(err, CM_EIO, "opening the store: cannot use %s (%s); check its permissions",
                     path.data, strerror(errno));
    }
    cm_buf_free(&path);
    close_directory(data_dir);
    return rc;
}
