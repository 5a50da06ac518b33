#include "store/embedded/demo.h"

#include "base/str.h"
#include "store/embedded/database.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static const char mark[] = "The events here are synthetic, or clicks in the demo shop.\n";

static char *path_of(const char *data_dir, const char *name)
{
    cm_buf_t path = CM_BUF_INIT;

    cm_buf_printf(&path, "%s/%s", data_dir, name);
    return path.data;
}

char *cm_demo_directory(const char *data_dir)
{
    return path_of(data_dir, "demo");
}

int cm_demo_mark(const char *data_dir, cm_err_t *err)
{
    const ssize_t len = sizeof mark - 1;
    char *path = path_of(data_dir, "synthetic");
    int rc = 0, fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, mark, (size_t)len) != len)
        rc = cm_fail(err, CM_EIO, "cannot write %s (%s); check its permissions and its disk", path,
                     strerror(errno));
    if (fd >= 0)
        close(fd);
    free(path);
    return rc;
}

static bool there(const char *data_dir, const char *name)
{
    char *path = path_of(data_dir, name);
    bool found = access(path, F_OK) == 0;

    free(path);
    return found;
}

bool cm_demo_marked(const char *data_dir)
{
    return there(data_dir, "synthetic");
}

bool cm_demo_is_there(const char *data_dir)
{
    return there(data_dir, "demo/clickmill.db");
}

bool cm_demo_is_meant(const char *data_dir)
{
    cm_database_t database;
    int64_t blocks = 1;
    cm_err_t err;

    if (!cm_demo_is_there(data_dir) || cm_database_open_read(data_dir, &database, &err) < 0)
        return false;
    int rc = cm_database_int(&database, "SELECT count(*) FROM (SELECT 1 FROM block LIMIT 1)", 1,
                             &blocks, &err);
    cm_database_close(&database);
    return rc == 0 && blocks == 0;
}

bool cm_demo_is_alone(const char *data_dir)
{
    return cm_demo_is_there(data_dir) && !there(data_dir, "clickmill.db");
}
