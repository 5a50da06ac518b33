#include "pipeline/spark/child.h"

#include "base/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    POLL_MS = 100,
    KILL_MS = 10000, /* from SIGTERM to SIGKILL */
    LINE_MAX_BYTES = 1 << 20,
    LOG_TAIL_BYTES = 64 * 1024, /* searched for the reason of a failure */
};

int cm_child_open(cm_child_t *child, cm_err_t *err)
{
    const char *place = getenv("TMPDIR");

    *child = (cm_child_t){.log = -1};
    snprintf(child->directory, sizeof child->directory, "%s/clickmill-XXXXXX",
             place != NULL && place[0] == '/' ? place : "/tmp");
    if (mkdtemp(child->directory) != NULL)
        return 0;
    int rc = cm_fail(err, CM_EIO, "%s cannot be created: %s; set TMPDIR", child->directory,
                     strerror(errno));
    child->directory[0] = '\0';
    return rc;
}

void cm_child_argument(cm_child_t *child, const char *text)
{
    if (child->argument_count < CM_CHILD_ARGUMENTS)
        child->arguments[child->argument_count++] = cm_strdup(text);
}

static void path_of(const cm_child_t *child, const char *name, char path[500])
{
    snprintf(path, 500, "%s/%s", child->directory, name);
}

void cm_child_extend(cm_child_t *child, const char *text)
{
    char **last = &child->arguments[child->argument_count - 1];
    const size_t len = strlen(*last);

    *last = cm_realloc(*last, len + strlen(text) + 1);
    memcpy(*last + len, text, strlen(text) + 1);
}

int cm_child_file(cm_child_t *child, const char *name, cm_str_t contents, cm_err_t *err)
{
    char path[500];

    path_of(child, name, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool written = fd >= 0 && write(fd, contents.data, contents.len) == (ssize_t)contents.len;
    if (fd >= 0 && close(fd) != 0)
        written = false;
    if (!written)
        return cm_fail(err, CM_EIO, "%s cannot be written: %s", path, strerror(errno));
    cm_child_argument(child, path);
    return 0;
}

/* ---- running ---- */

/* Runs in the forked child. */
static void execute(const cm_child_t *child, int output, int log, pid_t parent)
{
    sigset_t none;

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(127);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    dup2(nothing, STDIN_FILENO);
    dup2(output, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    execv(child->arguments[0], child->arguments);
    dprintf(STDERR_FILENO, "%s: %s\n", child->arguments[0], strerror(errno));
    _exit(127);
}

static int start(cm_child_t *child, int *output, cm_err_t *err)
{
    char path[500];
    int ends[2];
    pid_t parent = getpid();

    path_of(child, "log", path);
    child->log = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_APPEND, 0600);
    if (child->log < 0 || pipe2(ends, O_CLOEXEC) != 0)
        return cm_fail(err, CM_EIO, "%s cannot be started: %s", child->arguments[0],
                       strerror(errno));
    signal(SIGCHLD, SIG_DFL); /* where it is ignored, waitpid() does not get the status */
    child->pid = fork();
    if (child->pid == 0)
        execute(child, ends[1], child->log, parent);
    close(ends[1]);
    *output = ends[0];
    if (child->pid > 0) {
        setpgid(child->pid, child->pid); /* the child does it too: the first one counts */
        return 0;
    }
    close(ends[0]);
    return cm_fail(err, CM_EIO, "%s cannot be started: %s", child->arguments[0], strerror(errno));
}

static void take_bytes(cm_child_t *child, const char *data, size_t len,
                       void (*take)(void *context, cm_str_t line), void *context)
{
    const char *end;

    while ((end = memchr(data, '\n', len)) != NULL) {
        cm_buf_reserve(&child->line, 1);
        cm_buf_add(&child->line, data, (size_t)(end - data));
        dprintf(child->log, "%s\n", child->line.data);
        take(context, (cm_str_t){child->line.data, child->line.len});
        cm_buf_clear(&child->line);
        len -= (size_t)(end + 1 - data);
        data = end + 1;
    }
    if (child->line.len + len < LINE_MAX_BYTES)
        cm_buf_add(&child->line, data, len);
}

static bool is_readable(int output)
{
    struct pollfd ready = {.fd = output, .events = POLLIN};
    return poll(&ready, 1, 0) > 0;
}

/* Reads what is available, waiting POLL_MS at most; false at the end of the output. */
static bool read_output(cm_child_t *child, int output, void (*take)(void *context, cm_str_t line),
                        void *context)
{
    struct pollfd ready = {.fd = output, .events = POLLIN};
    char data[4096];

    if (poll(&ready, 1, POLL_MS) <= 0)
        return true;
    ssize_t got = read(output, data, sizeof data);
    if (got > 0)
        take_bytes(child, data, (size_t)got, take, context);
    return got > 0 || (got < 0 && errno == EINTR);
}

/* Whether the child has ended; `*status` is that of waitpid(). */
static bool has_ended(cm_child_t *child, int *status)
{
    pid_t found = waitpid(child->pid, status, WNOHANG);

    if (found < 0 && errno != EINTR)
        *status = 0; /* unknown; a job that failed has printed no account */
    return found == child->pid || (found < 0 && errno != EINTR);
}

/* Ends the process group: SIGTERM, after KILL_MS SIGKILL. */
static void end_group(cm_child_t *child, int *status)
{
    int64_t started = cm_clock_ticks_ns();

    kill(-child->pid, SIGTERM);
    while (!has_ended(child, status)) {
        if (cm_clock_ticks_ns() - started > KILL_MS * INT64_C(1000000))
            kill(-child->pid, SIGKILL);
        cm_sleep_ms(POLL_MS / 2);
    }
    kill(-child->pid, SIGKILL); /* the rest of the group */
}

/* ---- the reason of a failure ---- */

/* The most informative line of a log of Java or Python: the deepest cause, else the last exception,
 * else the last line. Warnings count least. */
static cm_str_t find_reason(char *log)
{
    cm_str_t best = {"", 0};
    int rank = 0;

    for (char *next = log, *line; *next != '\0';) {
        line = next;
        next += strcspn(next, "\n");
        if (*next == '\n')
            *next++ = '\0';
        while (*line == ' ' || *line == '\t' || *line == ':')
            line++;
        int worth = strncmp(line, "Caused by: ", 11) == 0                            ? 3
                    : strstr(line, "Exception: ") != NULL || strstr(line, "Error: ") ? 2
                    : *line != '\0'                                                  ? 1
                                                                                     : 0;
        if (strncmp(line, "at ", 3) == 0 || strncmp(line, "... ", 4) == 0)
            continue;
        if (strstr(line, " WARN ") != NULL)
            worth = worth > 0;
        if (worth > 0 && worth >= rank) {
            rank = worth;
            best = cm_str(worth == 3 ? line + 11 : line);
        }
    }
    return best;
}

static int fail(const cm_child_t *child, int status, cm_err_t *err)
{
    char *log = cm_alloc_zero(1, LOG_TAIL_BYTES + 1);
    struct stat about = {.st_size = 0};

    fstat(child->log, &about);
    ssize_t got = pread(child->log, log, LOG_TAIL_BYTES,
                        about.st_size > LOG_TAIL_BYTES ? about.st_size - LOG_TAIL_BYTES : 0);
    log[got > 0 ? got : 0] = '\0';
    const cm_str_t reason = find_reason(log);
    int rc = cm_fail(err, CM_EIO, "%s ended with status %d: %.*s", child->arguments[0],
                     WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
                     cm_utf8_head(reason, 400), reason.data);
    free(log);
    return rc;
}

int cm_child_run(cm_child_t *child, const atomic_bool *stop,
                 void (*take)(void *context, cm_str_t line), void *context, cm_err_t *err)
{
    bool open = true, ended = false;
    int output, status = 0;

    int rc = start(child, &output, err);
    if (rc < 0)
        return rc;
    /* The child may close its output before it ends, and its children may keep it open longer. */
    while (!atomic_load(stop) && !ended) {
        if (open)
            open = read_output(child, output, take, context);
        else
            cm_sleep_ms(POLL_MS);
        ended = has_ended(child, &status);
    }
    while (ended && open && is_readable(output))
        open = read_output(child, output, take, context);
    const bool stopped = !ended;
    if (stopped)
        end_group(child, &status);
    child->pid = 0;
    close(output);
    if (stopped)
        return cm_fail(err, CM_ESTOP, "stopped");
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : fail(child, status, err);
}

void cm_child_remove(const cm_child_t *child, const char *name)
{
    char path[500];

    path_of(child, name, path);
    unlink(path);
}

void cm_child_close(cm_child_t *child)
{
    DIR *directory = child->directory[0] != '\0' ? opendir(child->directory) : NULL;
    struct dirent *entry;

    while (directory != NULL && (entry = readdir(directory)) != NULL)
        unlinkat(dirfd(directory), entry->d_name, 0);
    if (directory != NULL)
        closedir(directory);
    if (child->directory[0] != '\0')
        rmdir(child->directory);
    for (int i = 0; i < child->argument_count; i++)
        free(child->arguments[i]);
    cm_buf_free(&child->line);
    if (child->log >= 0)
        close(child->log);
    *child = (cm_child_t){.log = -1};
}
