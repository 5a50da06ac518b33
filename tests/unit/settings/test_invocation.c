/* One command line: the command, its options, what file and environment add. */
#include "settings/invocation.h"
#include "support.h"

#include <stdlib.h>
#include <unistd.h>

typedef struct sample {
    int64_t count;
    const char *name;
} sample_t;

static const cm_option_t rows[] = {
    {.name = "count",
     .type = CM_OPT_INT,
     .offset = offsetof(sample_t, count),
     .arg = "N",
     .def = "1",
     .max = 1000,
     .key = "sample.count",
     .help = "how many"},
    {.name = "name",
     .type = CM_OPT_TEXT,
     .offset = offsetof(sample_t, name),
     .arg = "NAME",
     .key = "sample.name",
     .env = "CLICKMILL_TEST_NAME",
     .help = "what it is called"},
    {.name = NULL},
};
static const cm_option_t table[] = {
    {.name = "rows", .type = CM_OPT_ROWS, .rows = rows},
    {.name = NULL},
};
static const cm_command_t sample = {.name = "sample",
                                    .arguments = "[FILE]...",
                                    .summary = "does nothing",
                                    .options = table,
                                    .options_size = sizeof(sample_t)};
static const cm_command_t other = {.name = "other", .arguments = "", .summary = "does nothing too"};
static const cm_command_t *const commands[] = {&sample, &other, NULL};
static const cm_option_t *composed[3];
static const cm_program_t program = {commands, composed};

static int parse(cm_invocation_t *call, const char *const *words, cm_err_t *err)
{
    const char *argv[16] = {"clickmill"};
    int argc = 1;

    for (; words[argc - 1] != NULL; argc++)
        argv[argc] = words[argc - 1];
    return cm_invocation_parse(call, &program, argc, (char **)argv, err);
}

/* Options stand before or after the command and its arguments. */
static void command_line(void **state)
{
    cm_invocation_t call;
    cm_err_t err;

    (void)state;
    assert_ok(parse(&call,
                    (const char *[]){"--data", "there", "sample", "a", "--count", "7", "b", NULL},
                    &err),
              err);
    assert_ptr_equal(call.command, &sample);
    assert_int_equal(((sample_t *)call.options)->count, 7);
    assert_null(((sample_t *)call.options)->name);
    assert_string_equal(call.global.data_dir, "there");
    assert_int_equal(call.argument_count, 2);
    assert_string_equal(call.arguments[0], "a");
    assert_string_equal(call.arguments[1], "b");
    cm_invocation_free(&call);
}

static void without_a_command(void **state)
{
    cm_invocation_t call;
    cm_err_t err;

    (void)state;
    assert_ok(parse(&call, (const char *[]){"--json", NULL}, &err), err);
    assert_null(call.command);
    assert_true(call.global.json);
    assert_string_equal(call.global.data_dir, "data");
    cm_invocation_free(&call);
    assert_ok(parse(&call, (const char *[]){"version", NULL}, &err), err);
    assert_null(call.command);
    assert_true(call.global.version);
    cm_invocation_free(&call);
}

static void wrong_words(void **state)
{
    cm_invocation_t call;
    cm_err_t err;

    (void)state;
    assert_int_equal(parse(&call, (const char *[]){"sampel", NULL}, &err), CM_EUSAGE);
    assert_string_equal(err.text, "unknown command sampel; did you mean sample?");
    cm_invocation_free(&call);
    assert_int_equal(parse(&call, (const char *[]){"sample", "--cuont", "3", NULL}, &err),
                     CM_EUSAGE);
    cm_invocation_free(&call);
    assert_int_equal(parse(&call, (const char *[]){"other", "--count", "3", NULL}, &err),
                     CM_EUSAGE);
    cm_invocation_free(&call);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

/* The command line wins over the environment, that over the file, that over the default. */
static void completed(void **state)
{
    char path[] = "/tmp/invocation-XXXXXX";
    cm_invocation_t call;
    cm_err_t err;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    write_file(path, "sample: {count: 5, name: file}\nmemory: 2g\n");
    setenv("CLICKMILL_TEST_NAME", "environment", 1);
    assert_ok(parse(&call, (const char *[]){"sample", "--config", path, NULL}, &err), err);
    assert_ok(cm_invocation_complete(&call, &err), err);
    assert_int_equal(((sample_t *)call.options)->count, 5);
    assert_string_equal(((sample_t *)call.options)->name, "environment");
    assert_int_equal(call.global.memory, INT64_C(2) << 30);
    cm_invocation_free(&call);
    assert_ok(
        parse(&call,
              (const char *[]){"sample", "--config", path, "--count", "6", "--name", "line", NULL},
              &err),
        err);
    assert_ok(cm_invocation_complete(&call, &err), err);
    assert_int_equal(((sample_t *)call.options)->count, 6);
    assert_string_equal(((sample_t *)call.options)->name, "line");
    cm_invocation_free(&call);

    /* Another command may have keys of its own in the file; a key of none is an error. */
    assert_ok(parse(&call, (const char *[]){"other", "--config", path, NULL}, &err), err);
    assert_ok(cm_invocation_complete(&call, &err), err);
    cm_invocation_free(&call);
    write_file(path, "sample: {colour: red}\n");
    assert_ok(parse(&call, (const char *[]){"other", "--config", path, NULL}, &err), err);
    assert_int_equal(cm_invocation_complete(&call, &err), CM_EUSAGE);
    cm_invocation_free(&call);
    unlink(path);
    unsetenv("CLICKMILL_TEST_NAME");
}

static int free_tables(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof composed / sizeof composed[0]; i++)
        free((void *)composed[i]);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_line),
        cmocka_unit_test(without_a_command),
        cmocka_unit_test(wrong_words),
        cmocka_unit_test(completed),
    };
    return cmocka_run_group_tests(tests, NULL, free_tables);
}
