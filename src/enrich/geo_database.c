#include "enrich/geo_database.h"

#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The file of the npm package, see src/meson.build. */
extern const char cm_geo_data[], cm_geo_data_end[];

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t done = write(fd, data, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return -1;
        data += done;
        len -= (size_t)done;
    }
    return 0;
}

/* From now on the copy is read, so the original need not stay in memory. */
static void let_go_of_original(void)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)cm_geo_data + page - 1) / page * page;
    uintptr_t to = (uintptr_t)cm_geo_data_end / page * page;

    if (to > from)
        madvise((void *)from, to - from, MADV_DONTNEED);
}

/* The library opens only files, so the bytes are written to a file in memory. */
static int open_built_in(MMDB_s *mmdb, cm_err_t *err)
{
    char path[40];
    int rc = 0;

    int fd = memfd_create("geoip", MFD_CLOEXEC);
    if (fd < 0 || write_all(fd, cm_geo_data, (size_t)(cm_geo_data_end - cm_geo_data)) < 0) {
        rc = cm_fail(err, CM_EINPUT,
                     "the built-in database of countries cannot be unpacked: %s; name another one "
                     "with --geoip FILE, or do without by --geoip none",
                     strerror(errno));
        goto done;
    }
    let_go_of_original();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int status = MMDB_open(path, MMDB_MODE_MMAP, mmdb);
    if (status == MMDB_OUT_OF_MEMORY_ERROR || (status == MMDB_IO_ERROR && errno == ENOMEM))
        rc = cm_fail_memory(err);
    else if (status != MMDB_SUCCESS)
        rc = cm_fail(err, CM_EINPUT,
                     "the built-in database of countries cannot be opened: %s (is /proc there?); "
                     "name another one with --geoip FILE, or do without by --geoip none",
                     MMDB_strerror(status));
done:
    if (fd >= 0)
        close(fd);
    return rc;
}

static int open_file(const char *path, MMDB_s *mmdb, cm_err_t *err)
{
    errno = 0;
    int status = MMDB_open(path, MMDB_MODE_MMAP, mmdb);
    if (status == MMDB_FILE_OPEN_ERROR || status == MMDB_IO_ERROR)
        return cm_fail(err, CM_EINPUT, "GeoIP database %s: %s", path,
                       errno != 0 ? strerror(errno) : MMDB_strerror(status));
    if (status != MMDB_SUCCESS)
        return cm_fail(
            err, CM_EINPUT,
            "GeoIP database %s is not a MaxMind DB file (.mmdb), or is cut or broken: %s", path,
            MMDB_strerror(status));
    return 0;
}

int cm_geo_database_open(const char *path, cm_geo_database_t **database, cm_err_t *err)
{
    cm_geo_database_t *opened = cm_alloc_zero(1, sizeof *opened);

    int rc = path != NULL ? open_file(path, &opened->mmdb, err) : open_built_in(&opened->mmdb, err);
    if (rc < 0) {
        free(opened);
        return rc;
    }
    atomic_init(&opened->users, 1);
    *database = opened;
    return 0;
}

void cm_geo_database_leave(cm_geo_database_t *database)
{
    if (database == NULL || atomic_fetch_sub(&database->users, 1) > 1)
        return;
    MMDB_close(&database->mmdb);
    free(database);
}
