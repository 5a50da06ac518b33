/* The tables of all commands are sound, and every form of help is made of them. */
#include "cmd/commands.h"
#include "settings/help.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Counts lines of more than 80 columns. */
static int long_lines(const char *text)
{
    int count = 0;

    while (*text != '\0') {
        size_t len = strcspn(text, "\n");
        count += len > 80;
        text += len;
        text += *text == '\n';
    }
    return count;
}

/* Runs `check` on every row of every table. */
static void each_option(void (*check)(const cm_option_t *option))
{
    for (const cm_option_t *o = cm_global_option_table; o->name != NULL; o++)
        check(o);
    for (const cm_command_t *const *c = cm_cmd_program.commands; *c != NULL; c++) {
        for (const cm_option_t *o = cm_program_options(&cm_cmd_program, *c);
             o != NULL && o->name != NULL; o++)
            check(o);
    }
}

static void check_row(const cm_option_t *o)
{
    cm_err_t err = {0, ""};

    assert_non_null(o->help);
    assert_true(strlen(o->help) > 0 && o->help[strlen(o->help) - 1] != '.');
    assert_true((o->arg == NULL) == (o->type == CM_OPT_FLAG));
    assert_true((o->choices != NULL) == (o->type == CM_OPT_CHOICE));
    assert_true(strncmp(o->name, "no-", 3) != 0);
    assert_true(o->min <= o->max);
    if (o->def != NULL && cm_options_check(o, o->def, o->name, &err) < 0)
        fail_msg("default: %s", err.text);
}

static void test_rows(void **state)
{
    (void)state;
    each_option(check_row);
}

/* The parser would never reach the second of two equal names. */
static void test_names_are_unique(void **state)
{
    (void)state;
    for (const cm_command_t *const *c = cm_cmd_program.commands; *c != NULL; c++) {
        for (const cm_option_t *o = cm_program_options(&cm_cmd_program, *c);
             o != NULL && o->name != NULL; o++) {
            assert_null(cm_options_by_name(o + 1, o->name));
            if (cm_options_by_name(cm_global_option_table, o->name) != NULL)
                fail_msg("%s: --%s is a global option too", (*c)->name, o->name);
            assert_true(o->letter != 'h');
        }
        assert_ptr_equal(*c, cm_program_find(&cm_cmd_program, (*c)->name));
    }
}

/* A key that several commands read must mean the same to all. */
static void check_key(const cm_option_t *o)
{
    const cm_option_t *other;

    if (o->key == NULL)
        return;
    for (const cm_command_t *const *c = cm_cmd_program.commands; *c != NULL; c++) {
        other = cm_options_by_key(cm_program_options(&cm_cmd_program, *c), o->key);
        if (other != NULL &&
            (other->type != o->type || other->min != o->min || other->max != o->max))
            fail_msg("key %s differs between commands", o->key);
    }
    other = cm_options_by_key(cm_global_option_table, o->key);
    if (other != NULL && other != o)
        fail_msg("key %s is a global one too", o->key);
}

static void test_keys_agree(void **state)
{
    (void)state;
    each_option(check_key);
}

static void test_text_fits_80_columns(void **state)
{
    cm_buf_t buf = CM_BUF_INIT;

    (void)state;
    cm_help_add_overview(&buf, &cm_cmd_program);
    for (const cm_command_t *const *c = cm_cmd_program.commands; *c != NULL; c++)
        cm_help_add_command(&buf, &cm_cmd_program, *c);
    assert_int_equal(0, long_lines(buf.data));
    cm_buf_free(&buf);
}

/* Every name of a command and an option stands in every form of help. */
static void check_complete(void (*add)(cm_buf_t *buf, const cm_program_t *program),
                           const char *format)
{
    cm_buf_t buf = CM_BUF_INIT, wanted = CM_BUF_INIT;

    add(&buf, &cm_cmd_program);
    for (const cm_command_t *const *c = cm_cmd_program.commands; *c != NULL; c++) {
        assert_non_null(strstr(buf.data, (*c)->name));
        for (const cm_option_t *o = cm_program_options(&cm_cmd_program, *c);
             o != NULL && o->name != NULL; o++) {
            cm_buf_clear(&wanted);
            cm_buf_printf(&wanted, "%s%s", format, o->name);
            if (strstr(buf.data, wanted.data) == NULL)
                fail_msg("%s is missing", wanted.data);
        }
    }
    cm_buf_free(&wanted);
    cm_buf_free(&buf);
}

static void test_forms_are_complete(void **state)
{
    (void)state;
    check_complete(cm_help_add_markdown, "--");
    check_complete(cm_help_add_bash, "--");
    check_complete(cm_help_add_zsh, "--");
    check_complete(cm_help_add_fish, "-l ");
}

static const cm_option_t sample_table[] = {
    {.name = "out",
     .letter = 'o',
     .type = CM_OPT_TEXT,
     .arg = "FILE",
     .def = "-",
     .key = "sample.out",
     .help = "where to"},
    {.name = NULL},
};
static const cm_command_t sample = {
    .name = "sample",
    .arguments = "FILE...|-",
    .summary = "does nothing",
    .details = "One paragraph.\n\n  clickmill sample -o x\n\n.Another paragraph, with a \\.",
    .options = sample_table,
};

static void test_command_text(void **state)
{
    static const char expected[] =
        "Usage: clickmill sample [OPTIONS] FILE...|-\n"
        "\n"
        "does nothing\n"
        "\n"
        "One paragraph.\n"
        "\n"
        "  clickmill sample -o x\n"
        "\n"
        ".Another paragraph, with a \\.\n"
        "\n"
        "Options:\n"
        "  -o, --out FILE          where to [default -; key sample.out]\n"
        "\n"
        "Options of every command:\n";
    cm_buf_t buf = CM_BUF_INIT;

    (void)state;
    cm_help_add_command(&buf, &cm_cmd_program, &sample);
    buf.data[strlen(expected)] = '\0';
    assert_string_equal(expected, buf.data);
    cm_buf_free(&buf);
}

static void test_man(void **state)
{
    static const char expected[] =
        ".TH CLICKMILL-SAMPLE 1 \"\" \"clickmill " CM_VERSION "\" \"Clickmill\"\n"
        ".SH NAME\n"
        "clickmill\\-sample \\- does nothing\n"
        ".SH SYNOPSIS\n"
        ".B clickmill sample\n"
        "[\\fIOPTIONS\\fR] FILE...|\\-\n"
        ".SH DESCRIPTION\n"
        ".PP\n"
        "One paragraph.\n"
        ".PP\n"
        ".nf\n"
        "  clickmill sample \\-o x\n"
        ".fi\n"
        ".PP\n"
        "\\&.Another paragraph, with a \\e.\n"
        ".SH OPTIONS\n"
        ".TP\n"
        "\\fB\\-o\\fR, \\fB\\-\\-out\\fR \\fIFILE\\fR\n"
        "where to [default \\-; key sample.out]\n";
    cm_buf_t buf = CM_BUF_INIT;

    (void)state;
    cm_help_add_man(&buf, &cm_cmd_program, &sample);
    buf.data[strlen(expected)] = '\0';
    assert_string_equal(expected, buf.data);
    cm_buf_free(&buf);
}

static void test_unknown_command(void **state)
{
    cm_err_t err;

    (void)state;
    assert_int_equal(CM_EUSAGE, cm_program_fail_unknown(&cm_cmd_program, "hlep", &err));
    assert_string_equal("unknown command hlep; did you mean help?", err.text);
    assert_int_equal(CM_EUSAGE, cm_program_fail_unknown(&cm_cmd_program, "xyzzyx", &err));
    assert_string_equal("unknown command xyzzyx; `clickmill help` lists them", err.text);
    assert_null(cm_program_find(&cm_cmd_program, "hel"));
}

/* Each code of the program has its documented number and meaning. */
static void test_exits(void **state)
{
    (void)state;
    for (int code = CM_EAWAY; code < 0; code++) {
        if (code != CM_EREJECT && code != CM_ESTOP)
            assert_non_null(cm_help_exits[cm_err_exit_status(code)]);
    }
    assert_null(cm_help_exits[-CM_EREJECT]);
    assert_int_equal(0, cm_err_exit_status(CM_ESTOP));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_names_are_unique),
        cmocka_unit_test(test_keys_agree),
        cmocka_unit_test(test_text_fits_80_columns),
        cmocka_unit_test(test_forms_are_complete),
        cmocka_unit_test(test_command_text),
        cmocka_unit_test(test_man),
        cmocka_unit_test(test_unknown_command),
        cmocka_unit_test(test_exits),
    };
    return cmocka_run_group_tests_name("help", tests, NULL, NULL);
}
