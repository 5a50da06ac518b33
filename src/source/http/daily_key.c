#include "source/http/daily_key.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

enum { MAGIC = 8, DAY = 8, SIZE = MAGIC + DAY + CM_VISITOR_KEY };

static const char magic[MAGIC + 1] = "cm-day-1";

struct cm_daily_key {
    char *path;
    int fd;
    pthread_mutex_t lock; /* guards all below */
    int64_t day;          /* -1: there is no key yet */
    uint8_t bytes[CM_VISITOR_KEY];
};

static int fail(const cm_daily_key_t *key, const char *doing, cm_err_t *err)
{
    return cm_fail(err, CM_EIO, "cannot %s %s: %s; it holds the key for the ids of visitors", doing,
                   key->path, strerror(errno));
}

/* A file of another kind, or an incomplete one, counts as missing: visitors get a new key. */
static int load(cm_daily_key_t *key, cm_err_t *err)
{
    uint8_t file[SIZE];

    ssize_t size = pread(key->fd, file, sizeof file, 0);
    if (size < 0)
        return fail(key, "read", err);
    if (size < SIZE || memcmp(file, magic, MAGIC) != 0)
        return 0;
    uint64_t day = 0;
    for (int i = DAY - 1; i >= 0; i--)
        day = day << 8 | file[MAGIC + i];
    key->day = (int64_t)day;
    memcpy(key->bytes, file + MAGIC + DAY, CM_VISITOR_KEY);
    return 0;
}

static int renew(cm_daily_key_t *key, int64_t day, cm_err_t *err)
{
    uint8_t file[SIZE];

    memcpy(file, magic, MAGIC);
    for (int i = 0; i < DAY; i++)
        file[MAGIC + i] = (uint8_t)((uint64_t)day >> (8 * i));
    if (getrandom(file + MAGIC + DAY, CM_VISITOR_KEY, 0) != CM_VISITOR_KEY)
        return cm_fail(err, CM_EINTERNAL, "the kernel gives no random bytes for the visitors' key");
    errno = ENOSPC; /* the cause of a short write */
    if (pwrite(key->fd, file, sizeof file, 0) != (ssize_t)sizeof file || fdatasync(key->fd) < 0)
        return fail(key, "write", err);
    key->day = day;
    memcpy(key->bytes, file + MAGIC + DAY, CM_VISITOR_KEY);
    return 0;
}

int cm_daily_key_open(const char *data_dir, cm_daily_key_t **out, cm_err_t *err)
{
    static const char name[] = "/visitors.key";
    cm_daily_key_t *key = cm_alloc_zero(1, sizeof *key);
    size_t dir = strlen(data_dir);

    key->path = cm_alloc(dir + sizeof name);
    memcpy(key->path, data_dir, dir);
    memcpy(key->path + dir, name, sizeof name);
    key->day = -1;
    pthread_mutex_init(&key->lock, NULL);
    key->fd = open(key->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    int rc = key->fd < 0 ? fail(key, "open", err) : load(key, err);
    if (rc < 0)
        cm_daily_key_close(key);
    else
        *out = key;
    return rc;
}

int cm_daily_key_get(cm_daily_key_t *key, int64_t day, uint8_t bytes[CM_VISITOR_KEY],
                     int64_t *of_day, cm_err_t *err)
{
    int rc = 0;

    pthread_mutex_lock(&key->lock);
    if (day > key->day || day + 1 < key->day)
        rc = renew(key, day, err);
    *of_day = key->day;
    memcpy(bytes, key->bytes, CM_VISITOR_KEY);
    pthread_mutex_unlock(&key->lock);
    return rc;
}

void cm_daily_key_close(cm_daily_key_t *key)
{
    if (key == NULL)
        return;
    if (key->fd >= 0)
        close(key->fd);
    pthread_mutex_destroy(&key->lock);
    explicit_bzero(key->bytes, sizeof key->bytes);
    free(key->path);
    free(key);
}
