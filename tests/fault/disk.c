/* Preloaded into clickmill, a disk that fails: writes down what happens to the files of its
 * databases, from which disk_support.py makes the disk that a loss of power leaves, and lets syncs
 * fail.
 *
 * CM_DISK is a directory. In it `trace` grows by a record for each event: the header below, the
 * path, and for a write its bytes. A sync of a database (`fail-db`), its log (`fail-wal`) or a
 * directory (`fail-dir`) fails as often as the file of that name has bytes. No sync reaches the
 * true disk. */
#undef _FILE_OFFSET_BITS /* both names of a function are to be defined */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

typedef struct record {
    char kind; /* Write, Truncate, Sync, Create, Unlink, Mkdir */
    char good; /* a sync: 1 unless it fails */
    uint16_t path;
    uint32_t bytes;
    int64_t at; /* of a write; the size that is cut to */
    int64_t time_ns;
} record_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int trace = -1;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int own(const char *name, int flags)
{
    const char *directory = getenv("CM_DISK");
    char path[PATH_MAX];

    if (directory == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return REAL(open)(path, flags | O_CLOEXEC, 0600);
}

static bool ends_with(const char *path, const char *ending)
{
    size_t len = strlen(path), end = strlen(ending);
    return len >= end && strcmp(path + len - end, ending) == 0;
}

static bool is_ours(const char *path)
{
    return ends_with(path, "/clickmill.db") || ends_with(path, "/clickmill.db-wal") ||
           ends_with(path, "/clickmill.db-journal");
}

/* The path of a descriptor; "" of what is no file. */
static const char *path_of(int fd, char path[PATH_MAX])
{
    char name[40];

    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t len = readlink(name, path, PATH_MAX - 1);
    path[len > 0 ? len : 0] = '\0';
    return path;
}

/* Under the lock. */
static void tell(char kind, bool good, const char *path, int64_t at, const void *bytes, size_t len)
{
    record_t record = {kind, (char)good, (uint16_t)strlen(path), (uint32_t)len, at, 0};
    struct iovec parts[] = {
        {&record, sizeof record}, {(void *)path, record.path}, {(void *)bytes, len}};
    struct timespec now;

    if (trace < 0)
        trace = own("trace", O_WRONLY | O_CREAT | O_APPEND);
    clock_gettime(CLOCK_MONOTONIC, &now);
    record.time_ns = now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
    if (trace < 0 || writev(trace, parts, 3) != (ssize_t)(sizeof record + record.path + len))
        abort();
}

static int do_sync(int fd)
{
    char path[PATH_MAX];
    struct stat info;
    off_t left = 0;

    path_of(fd, path);
    const bool directory = fstat(fd, &info) == 0 && S_ISDIR(info.st_mode);
    if (!directory && !is_ours(path))
        return 0;
    pthread_mutex_lock(&lock);
    int fails = own(directory                 ? "fail-dir"
                    : ends_with(path, "-wal") ? "fail-wal"
                                              : "fail-db",
                    O_RDWR);
    if (fails >= 0 && (left = lseek(fails, 0, SEEK_END)) > 0 &&
        REAL(ftruncate)(fails, left - 1) < 0)
        abort();
    if (fails >= 0)
        close(fails);
    tell('S', left <= 0, path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    errno = EIO;
    return left > 0 ? -1 : 0;
}

int fsync(int fd)
{
    return do_sync(fd);
}

int fdatasync(int fd)
{
    return do_sync(fd);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off_t at)
{
    char path[PATH_MAX];

    if (!is_ours(path_of(fd, path)))
        return REAL(pwrite64)(fd, bytes, len, at);
    pthread_mutex_lock(&lock);
    ssize_t done = REAL(pwrite64)(fd, bytes, len, at);
    if (done > 0)
        tell('W', true, path, at, bytes, (size_t)done);
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return pwrite64(fd, bytes, len, at);
}

int ftruncate64(int fd, off_t size)
{
    char path[PATH_MAX];

    if (!is_ours(path_of(fd, path)))
        return REAL(ftruncate64)(fd, size);
    pthread_mutex_lock(&lock);
    int rc = REAL(ftruncate64)(fd, size);
    if (rc == 0)
        tell('T', true, path, size, NULL, 0);
    pthread_mutex_unlock(&lock);
    return rc;
}

int ftruncate(int fd, off_t size)
{
    return ftruncate64(fd, size);
}

static int do_open(const char *path, int flags, mode_t mode)
{
    char whole[PATH_MAX];
    struct stat info;

    if ((flags & O_CREAT) == 0 || !is_ours(path))
        return REAL(open64)(path, flags, mode);
    pthread_mutex_lock(&lock);
    const bool is_new = stat(path, &info) < 0;
    int fd = REAL(open64)(path, flags, mode);
    if (fd >= 0 && is_new)
        tell('C', true, path_of(fd, whole), 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return fd;
}

int open64(const char *path, int flags, ...)
{
    va_list args;

    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return do_open(path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list args;

    va_start(args, flags);
    mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return do_open(path, flags, mode);
}

static int do_named(char kind, const char *path, mode_t mode)
{
    char directory[PATH_MAX], whole[PATH_MAX];

    pthread_mutex_lock(&lock);
    const bool known = realpath(path, whole) != NULL; /* before it goes */
    int rc = kind == 'M' ? REAL(mkdir)(path, mode) : REAL(unlink)(path);
    if (rc == 0 && (known || realpath(path, directory) != NULL) && (kind == 'M' || is_ours(whole)))
        tell(kind, true, known ? whole : directory, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    return rc;
}

int mkdir(const char *path, mode_t mode)
{
    return do_named('M', path, mode);
}

int unlink(const char *path)
{
    return do_named('U', path, 0);
}
