/* A child process: its files, its output, its end. */
#include "base/clock.h"
#include "pipeline/spark/child.h"
#include "support.h"

#include <sys/stat.h>
#include <unistd.h>

typedef struct seen {
    cm_buf_t lines;
    atomic_bool *stop; /* set by the first line; NULL: never */
} seen_t;

static void take_line(void *context, cm_str_t line)
{
    seen_t *seen = context;

    cm_buf_add_str(&seen->lines, line);
    cm_buf_add_char(&seen->lines, '\n');
    if (seen->stop != NULL)
        atomic_store(seen->stop, true);
}

/* Runs a script of the shell, with the path of a file as its argument. */
static int run_script(const char *script, bool stops, cm_buf_t *lines, cm_err_t *err)
{
    atomic_bool stop = false;
    seen_t seen = {.stop = stops ? &stop : NULL};
    char directory[300];
    struct stat about;
    cm_child_t child;

    assert_int_equal(cm_child_open(&child, err), 0);
    memcpy(directory, child.directory, sizeof directory);
    assert_int_equal(stat(directory, &about), 0);
    assert_int_equal(about.st_mode & 0777, 0700);
    cm_child_argument(&child, "/bin/sh");
    cm_child_argument(&child, "-c");
    cm_child_argument(&child, script);
    assert_int_equal(cm_child_file(&child, "secret", CM_STR("hidden\n"), err), 0);
    int rc = cm_child_run(&child, &stop, take_line, &seen, err);
    cm_child_close(&child);
    assert_int_not_equal(stat(directory, &about), 0); /* deleted with its files */
    *lines = seen.lines;
    return rc;
}

static void output(void **state)
{
    cm_buf_t lines = CM_BUF_INIT;
    cm_err_t err;

    (void)state;
    assert_int_equal(run_script("cat \"$0\"; stat -c %a \"$0\"; echo noise >&2; printf half", false,
                                &lines, &err),
                     0);
    assert_string_equal(lines.data, "hidden\n600\n");
    cm_buf_free(&lines);
}

/* The deepest cause says more than the last line. */
static void failure(void **state)
{
    cm_buf_t lines = CM_BUF_INIT;
    cm_err_t err;

    (void)state;
    assert_int_equal(run_script("echo 'java.io.IOException: outer'; echo ' at A'; "
                                "echo 'Caused by: java.net.ConnectException: refused'; "
                                "echo '... 3 more'; echo bye; exit 3",
                                false, &lines, &err),
                     CM_EIO);
    assert_string_equal(err.text,
                        "/bin/sh ended with status 3: java.net.ConnectException: refused");
    cm_buf_free(&lines);
}

/* Whether a process runs; one that only waits to be collected does not. */
static bool runs(const char *pid)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
    FILE *file = fopen(path, "r");
    bool running = file != NULL && fgetc(file) != EOF;
    if (file != NULL)
        fclose(file);
    return running;
}

/* The whole process group ends. */
static void stopped(void **state)
{
    cm_buf_t lines = CM_BUF_INIT;
    char pid[32];
    cm_err_t err;

    (void)state;
    assert_int_equal(run_script("sleep 600 & echo $!; wait", true, &lines, &err), CM_ESTOP);
    snprintf(pid, sizeof pid, "%.*s", (int)strcspn(lines.data, "\n"), lines.data);
    for (int waited = 0; runs(pid) && waited < 10000; waited += 10)
        cm_sleep_ms(10);
    assert_false(runs(pid));
    cm_buf_free(&lines);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(output),
        cmocka_unit_test(failure),
        cmocka_unit_test(stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
